//! Runtimes: starting workers, running a main, shutting down in order.
//!
//! # Shutdown
//!
//! `stopping` is set and every worker woken. From then on each worker unwinds its parked goroutines (their waits come back
//! cancelled), refuses to park those that run, and starts unstarted tasks only to drop their closures. It ends when the
//! runtime is *quiescent*: as many tasks have finished as were spawned, where all the finished are counted before all the
//! spawned. A task is counted as spawned before it can be seen and as finished after its own spawns have been counted, so
//! equal sums mean that at the moment between the two counts nothing was left, and only a task (or a foreign thread, which
//! counts first and asks about `stopping` after) can make another. An async goroutine counts as finished when it has ended,
//! not when a poll has; a shutdown wakes those that wait, and the workers end what they would poll.
//!
//! A `scope` waits for its children first, since that wait is never cancelled; a destructor that waits keeps its goroutine
//! until what it waits for happens or, if nothing moves any more for some seconds, for ever: it is reported and left
//! behind, with its stack.

use super::{
    PanicPolicy, RuntimeBuilder, census,
    config::{self, Config},
    deadlock,
    deque::{self, Deque},
    harness, monitor,
    queue::Inbox,
    shared::{Fresh, WorkerShared},
    sleepers::Sleepers,
    starved::Starved,
    stopwatch,
    worker::Worker,
};
use crate::{
    JoinHandle,
    diag::trace,
    lock,
    stack::{self, Pool},
    sync::WaitGroup,
    task::{AsyncTasks, ForcedUnwind, Header, header, spawn},
};
use crossbeam_deque::{Injector, Worker as Fifo};
use crossbeam_utils::CachePadded;
use std::{
    any::Any,
    fmt,
    io::{self, Write},
    panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind, resume_unwind},
    ptr::NonNull,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence},
    },
    thread,
    time::Duration,
};

/// What the workers of a runtime share.
pub(crate) struct Shared {
    slots: Box<[OnceLock<Slot>]>,
    /// How many slots are filled.
    started: AtomicUsize,
    /// How many of them take new work: the first ones, spares included.
    pub(super) active: AtomicUsize,
    /// How many are wanted; what goes beyond that are [spares](super::spares).
    pub(super) wanted: AtomicUsize,
    /// How many spares there may be.
    pub(super) most_spares: usize,
    pub(super) injector: Injector<Fresh>,
    /// Async goroutines that were woken by threads that are no workers of this runtime.
    pub(super) woken: Inbox<Header>,
    /// Written by who goes to sleep and who comes from there. What every park and spawn reads lies on other lines.
    pub(super) sleepers: CachePadded<Sleepers>,
    pub(super) searching: CachePadded<AtomicUsize>,
    pub(super) sentinel: CachePadded<AtomicBool>,
    /// Whether another one does, seldom.
    pub(super) deputy: CachePadded<AtomicBool>,
    /// Whether one rests.
    pub(super) rester: CachePadded<AtomicBool>,
    /// When a sleeper will look for overdue alarms, in the clock's nanoseconds; see [`idle`](super::idle).
    pub(super) watched: CachePadded<AtomicU64>,
    stopping: AtomicBool,
    pub(super) exit: AtomicBool,
    /// How many workers have left.
    pub(super) left: AtomicUsize,
    foreign_spawned: CachePadded<AtomicU64>,
    foreign_finished: CachePadded<AtomicU64>,
    /// Told from that of all other runtimes of the process, and not zero.
    pub(super) number: u64,
    pub(super) stacks: Arc<Pool>,
    pub(super) starved: Starved,
    /// The progress when memory was last given back.
    pub(super) tidied: AtomicU64,
    pub(super) seed: u64,
    panic_policy: PanicPolicy,
    stuck_after: Duration,
    /// Whether workers may have calls on sockets made together.
    pub(super) batches: bool,
    /// How many goroutines wait for calls on the pool.
    pub(super) offloaded: AtomicUsize,
    /// The first panic that nobody asked about, in words.
    detached_panic: OnceLock<String>,
    pub(crate) async_tasks: AsyncTasks,
    pub(super) threads: Mutex<Vec<thread::JoinHandle<()>>>,
    /// Counts the workers' threads.
    alive: WaitGroup,
    /// The number of the first goroutine that [`run`](Self::run) starts, if the runtime has a harness, and then one worker;
    /// and the harness until that worker takes it.
    tested: Option<u64>,
    harness: Mutex<Option<harness::Start>>,
    /// See [`census`](super::census): whose turn it is to ask, how often has been asked, and what.
    pub(super) census_turn: crate::sync::Mutex<()>,
    pub(super) census_asked: AtomicU32,
    pub(super) census: Mutex<Option<Arc<census::Request>>>,
}

struct Slot {
    shared: &'static WorkerShared,
    stealer: deque::Stealer<Fresh>,
    polls: crossbeam_deque::Stealer<Fresh>,
    /// Whether it became active as a [spare](super::spares) when it last did. Written under the lock of `threads`.
    is_spare: AtomicBool,
}

/// How many runtimes have been.
static STARTED: AtomicU64 = AtomicU64::new(0);

/// What a thief sees of another worker.
pub(super) struct Victim<'a> {
    pub(super) shared: &'static WorkerShared,
    /// Its unstarted tasks.
    pub(super) fresh: &'a deque::Stealer<Fresh>,
    /// Its async goroutines that have been woken.
    pub(super) polls: &'a crossbeam_deque::Stealer<Fresh>,
}

impl Shared {
    fn start(config: &Config) -> io::Result<Arc<Shared>> {
        Self::start_with(config, None)
    }

    /// As [`start`](Self::start), for a runtime under test if there is a harness for its worker.
    pub(super) fn start_with(config: &Config, harness: Option<harness::Start>) -> io::Result<Arc<Shared>> {
        // Before there are any threads of ours.
        lock::prepare();
        let workers = config.workers()?;
        let stacks = stack::pool(config.stack_size()?)?;
        if harness.is_none() {
            trace::start_from_environment()?;
        }
        let (stuck_after, reports) = config.stuck_after()?;
        let most_spares = config.spares()?;
        let batches = config.batches()?;
        stopwatch::slow_down(Config::slowdown()?);
        if reports {
            monitor::start_reporting()?;
        } else if harness.is_none() && most_spares > 0 {
            // Without it there are no spares: that is no reason not to run.
            let _ = monitor::start();
        }
        // The first stack shows whether there is memory for any.
        drop(stacks.allocate()?);
        let shared = Arc::new(Shared {
            slots: (0..config::MAX_WORKERS).map(|_| OnceLock::new()).collect(),
            started: AtomicUsize::new(0),
            active: AtomicUsize::new(0),
            wanted: AtomicUsize::new(0),
            most_spares,
            injector: Injector::new(),
            woken: Inbox::new(),
            sleepers: CachePadded::default(),
            searching: CachePadded::new(AtomicUsize::new(0)),
            sentinel: CachePadded::new(AtomicBool::new(false)),
            deputy: CachePadded::new(AtomicBool::new(false)),
            rester: CachePadded::new(AtomicBool::new(false)),
            watched: CachePadded::new(AtomicU64::new(u64::MAX)),
            stopping: AtomicBool::new(false),
            exit: AtomicBool::new(false),
            left: AtomicUsize::new(0),
            foreign_spawned: CachePadded::new(AtomicU64::new(0)),
            foreign_finished: CachePadded::new(AtomicU64::new(0)),
            number: STARTED.fetch_add(1, Ordering::Relaxed) + 1,
            stacks,
            starved: Starved::new(),
            tidied: AtomicU64::new(0),
            seed: config.seed.unwrap_or_else(|| fastrand::u64(..)),
            panic_policy: config.panic_policy,
            stuck_after,
            batches,
            offloaded: AtomicUsize::new(0),
            detached_panic: OnceLock::new(),
            async_tasks: AsyncTasks::default(),
            threads: Mutex::default(),
            alive: WaitGroup::new(),
            tested: harness.as_ref().map(harness::Start::first_id),
            harness: Mutex::new(harness),
            census_turn: crate::sync::Mutex::new(()),
            census_asked: AtomicU32::new(0),
            census: Mutex::default(),
        });
        if let Err(error) = shared.set_workers(workers) {
            shared.shutdown();
            return Err(error);
        }
        deadlock::register(&shared);
        Ok(shared)
    }

    /// Starts workers, or lets the surplus take no more work.
    pub(super) fn set_workers(self: &Arc<Self>, workers: usize) -> io::Result<()> {
        // The list of threads doubles as the lock of this operation.
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_stopping() || (self.tested.is_some() && self.started_workers() > 0) {
            return Ok(());
        }
        while self.started_workers() < workers {
            self.start_worker(&mut threads, None)?;
        }
        self.wanted.store(workers, Ordering::SeqCst);
        (0..workers).for_each(|index| self.note_spare(index, false));
        // If some are stuck the monitor calls spares anew.
        self.active.store(workers, Ordering::SeqCst);
        drop(threads);
        self.wake_all();
        Ok(())
    }

    /// Starts one more; on the processors of that one `beside` which it is to work, if the thread that calls this is not to say.
    pub(super) fn start_worker(
        self: &Arc<Self>,
        threads: &mut Vec<thread::JoinHandle<()>>,
        beside: Option<&'static WorkerShared>,
    ) -> io::Result<()> {
        let index = self.started_workers();
        let fresh = Deque::new();
        let shared = WorkerShared::obtain(self.number);
        let polls = Fifo::new_fifo();
        let slot = Slot {
            shared,
            stealer: fresh.stealer(),
            polls: polls.stealer(),
            is_spare: AtomicBool::new(false),
        };
        self.alive.add(1);
        let runtime = self.clone();
        let harness = self.harness.lock().unwrap_or_else(PoisonError::into_inner).take();
        let body = move || {
            let alive = runtime.alive.clone();
            if let Some(other) = beside {
                other.clock.share_processors();
            }
            if harness.is_none() {
                shared.adopt_poller(&runtime);
            }
            let harness = harness.map(|start| start.attach(shared));
            super::enter(Worker::new(index, runtime, shared, fresh, polls, harness));
            alive.done();
        };
        match thread::Builder::new().name(format!("rendez-{index}")).spawn(body) {
            Ok(thread) => threads.push(thread),
            Err(error) => {
                self.alive.done();
                shared.retire();
                return Err(error);
            }
        }
        // Only now do others know the worker, so a failed start leaves no trace.
        assert!(self.slots[index].set(slot).is_ok(), "slots are filled in order, under the lock");
        self.started.store(index + 1, Ordering::SeqCst);
        Ok(())
    }

    pub(super) fn active_workers(&self) -> usize {
        self.active.load(Ordering::Relaxed)
    }

    /// How many workers the program has asked for.
    pub(super) fn wanted_workers(&self) -> usize {
        self.wanted.load(Ordering::Relaxed)
    }

    /// For how long a goroutine may have its worker before that is told. `None` if the time here is not the machine's.
    pub(super) fn stuck_after(&self) -> Option<Duration> {
        self.tested.is_none().then_some(self.stuck_after)
    }

    pub(super) fn is_tested(&self) -> bool {
        self.tested.is_some()
    }

    pub(super) fn started_workers(&self) -> usize {
        self.started.load(Ordering::Relaxed)
    }

    /// How many of them have not ended: a runtime may be known for a while after its threads have gone.
    pub(super) fn living_workers(&self) -> usize {
        self.started_workers().min(usize::try_from(self.alive.count()).unwrap_or(0))
    }

    pub(super) fn worker(&self, index: usize) -> Option<&'static WorkerShared> {
        self.slots.get(index)?.get().map(|slot| slot.shared)
    }

    /// Whether the worker is a [spare](super::spares) from now on.
    pub(super) fn note_spare(&self, index: usize, is_spare: bool) {
        if let Some(slot) = self.slots[index].get() {
            slot.is_spare.store(is_spare, Ordering::Relaxed);
        }
    }

    /// Whether the worker was a spare when it last took new work.
    pub(super) fn was_spare(&self, index: usize) -> bool {
        self.slots[index].get().is_some_and(|slot| slot.is_spare.load(Ordering::Relaxed))
    }

    pub(super) fn victim(&self, index: usize) -> Option<Victim<'_>> {
        let slot = self.slots[index].get()?;
        Some(Victim { shared: slot.shared, fresh: &slot.stealer, polls: &slot.polls })
    }

    /// Whether some worker runs a goroutine, or has one that will be woken by a timer or by a call on the pool.
    pub(super) fn is_busy(&self) -> bool {
        self.offloaded.load(Ordering::Relaxed) > 0
            || self.started_slots().any(|slot| slot.shared.is_running() || slot.shared.is_timed())
    }

    fn started_slots(&self) -> impl Iterator<Item = &Slot> {
        self.slots[..self.started.load(Ordering::SeqCst)].iter().filter_map(OnceLock::get)
    }

    /// Wakes an active worker; whether one slept.
    pub(super) fn wake_one(&self) -> bool {
        self.started_slots().take(self.active_workers()).any(|slot| slot.shared.notify().is_some())
    }

    pub(super) fn wake_all(&self) {
        for slot in self.started_slots() {
            slot.shared.notify();
        }
    }

    /// Wakes the workers that have tasks which no other worker may start, and no stack for them.
    pub(super) fn wake_hungry(&self) {
        for slot in self.started_slots().filter(|slot| slot.shared.published.hungry.load(Ordering::SeqCst)) {
            slot.shared.notify();
        }
    }

    #[inline(always)]
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Offers an unstarted task to all workers.
    pub(super) fn inject(&self, task: Fresh) {
        self.injector.push(task);
        self.offered();
    }

    /// Offers an async goroutine that has been woken to all workers. It may have ended when this returns.
    ///
    /// # Safety
    /// The task's state word obliges the caller to queue it.
    pub(super) unsafe fn inject_woken(&self, task: *mut Header) {
        // SAFETY: passed on: it is in no queue, and does not end before it is taken out of this one.
        unsafe { self.woken.push(task) };
        self.offered();
    }

    fn offered(&self) {
        fence(Ordering::SeqCst);
        if self.searching.load(Ordering::SeqCst) == 0 && !self.wake_one() {
            // All are at work, or kept.
            monitor::wake();
        }
    }

    /// Queues a task from a thread that is no worker of this runtime.
    pub(super) fn spawn_foreign(&self, task: NonNull<Header>) {
        // Counted first: see the head of the file.
        self.foreign_spawned.fetch_add(1, Ordering::SeqCst);
        if self.stopping.load(Ordering::SeqCst) {
            // SAFETY: just made and in no queue.
            unsafe { header::run_task(task.as_ptr(), true) };
            self.foreign_finished.fetch_add(1, Ordering::SeqCst);
        } else {
            self.inject(Fresh(task));
        }
    }

    pub(super) fn is_quiescent(&self) -> bool {
        self.counts().1 == 0
    }

    /// How many tasks were started, and have ended, where no worker of this runtime was.
    pub(super) fn foreign_counts(&self) -> (u64, u64) {
        let finished = self.foreign_finished.load(Ordering::Acquire);
        (self.foreign_spawned.load(Ordering::Relaxed), finished)
    }

    /// How many tasks have finished, and how many have not.
    pub(super) fn counts(&self) -> (u64, u64) {
        let finished = self.foreign_finished.load(Ordering::SeqCst)
            + self.started_slots().map(|s| s.shared.published.finished.load(Ordering::SeqCst)).sum::<u64>();
        let spawned = self.foreign_spawned.load(Ordering::SeqCst)
            + self.started_slots().map(|s| s.shared.published.spawned.load(Ordering::SeqCst)).sum::<u64>();
        (finished, spawned.saturating_sub(finished))
    }

    /// Whether nothing runs here, nothing is queued and no time limit is set, as far as can be seen; the caller's worker, if
    /// it has one, is awake and does not count.
    pub(super) fn seems_dead(&self, me: Option<&Worker>) -> bool {
        self.injector.is_empty()
            && self.woken.is_empty()
            && self.started_slots().all(|slot| {
                let shared = slot.shared;
                let sleeps =
                    me.is_some_and(|me| std::ptr::eq(shared, me.shared)) || shared.sleep.looks_asleep();
                sleeps && shared.seems_dead()
            })
    }

    /// Whether a goroutine runs at a worker other than the one with this number.
    #[cfg(feature = "testing")]
    pub(super) fn runs_besides(&self, number: Option<usize>) -> bool {
        self.started_slots().any(|slot| slot.shared.is_running() && Some(slot.shared.number) != number)
    }

    /// A number that changes when anything runs.
    pub(super) fn progress(&self) -> u64 {
        let each = |s: &Slot| {
            s.shared.published.finished.load(Ordering::Relaxed)
                + u64::from(s.shared.published.switches.load(Ordering::Relaxed))
        };
        self.started_slots().map(each).sum()
    }

    /// Has everything end.
    pub(super) fn begin_shutdown(&self) {
        let first = {
            // Whoever starts workers holds it.
            let _threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
            !self.stopping.swap(true, Ordering::SeqCst)
        };
        if first {
            // The workers drop the futures: a destructor that waits would keep this thread, and nobody could end it.
            self.async_tasks.wake_all();
        }
        self.wake_all();
    }

    /// Ends everything and waits for it, unless called from inside, where nobody could wait.
    pub(crate) fn shutdown(&self) {
        self.begin_shutdown();
        if super::is_worker_of(self) {
            return;
        }
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        self.wait_for_workers(&self.alive);
        if super::current_goroutine().is_none() {
            for thread in threads {
                // A worker's loop does not panic; if one did, the panic has been printed.
                drop(thread.join());
            }
        }
    }

    /// A goroutine panicked and nobody will ask why.
    pub(super) fn report_panic(&self, task: &Header) {
        if self.tested.is_some() && harness::take_panic(task) {
            return;
        }
        let _ = self.detached_panic.set(format!(
            "{} panicked, and nobody joined it\n\tcreated at {}",
            task.title(),
            task.site
        ));
        report_panic(task, self.panic_policy);
    }

    /// Whether a goroutine has panicked that nobody joined: which.
    #[cfg(feature = "testing")]
    pub(crate) fn detached_panic(&self) -> Option<&str> {
        self.detached_panic.get().map(String::as_str)
    }

    /// Runs `f` on a goroutine of this runtime while the caller waits; `f` may therefore borrow.
    #[track_caller]
    fn run<F, R>(&self, f: F) -> R
    where
        F: FnOnce() -> R + Send,
        R: Send,
    {
        match self.try_run(std::panic::Location::caller(), f) {
            Ok(value) => value,
            Err(unfinished) => unfinished.pass_on(),
        }
    }

    /// As [`run`](Self::run), on a goroutine that was created at `site`; that `f` has not returned is returned.
    pub(crate) fn try_run<F, R>(
        &self,
        site: &'static std::panic::Location<'static>,
        f: F,
    ) -> Result<R, Unfinished>
    where
        F: FnOnce() -> R + Send,
        R: Send,
    {
        /// Ends the caller's wait when the closure is gone, whether it ran or was dropped.
        struct Done(WaitGroup);
        impl Drop for Done {
            fn drop(&mut self) {
                self.0.done();
            }
        }
        /// The fields are dropped in order, so `done` is last also if the body is dropped unstarted.
        struct Body<F, R> {
            f: F,
            slot: SendPtr<Option<std::thread::Result<R>>>,
            done: Done,
        }
        impl<F: FnOnce() -> R, R> Body<F, R> {
            fn run(self) {
                let Body { f, slot, done } = self;
                let caught = catch_unwind(AssertUnwindSafe(f));
                // SAFETY: the caller's frame waits until `done` is dropped, and nobody else touches the slot before.
                unsafe { *slot.0 = Some(caught) };
                drop(done);
            }
        }
        // Another runtime under test has to wait for this one.
        let _hold = harness::hold();
        let running = WaitGroup::new();
        running.add(1);
        let mut result = None;
        let body = Body { f, slot: SendPtr(&raw mut result), done: Done(running.clone()) };
        let body = move || body.run();
        let id = self.tested.unwrap_or_else(super::next_id);
        let header = header::allocate(body, id, site, None, 0);
        // SAFETY: the closure and what it borrows are used only until `done` is dropped, which we wait for below; the
        // handle, whose result is `()`, is given up at once.
        unsafe {
            super::spawn_on(self, header);
            header::release_handle(header.as_ptr(), false);
        }
        running.wait_for_children(&());
        match result {
            Some(Ok(value)) => Ok(value),
            Some(Err(payload)) if !payload.is::<ForcedUnwind>() => Err(Unfinished::Panic(payload)),
            Some(Err(payload)) => {
                // Its drop would tell that *this* goroutine has caught its unwinding. It has no size, so nothing leaks.
                std::mem::forget(payload);
                Err(Unfinished::Shutdown("while it ran the closure"))
            }
            None => Err(Unfinished::Shutdown("before it could run the closure")),
        }
    }
}

/// Why a closure that was run has not returned.
pub(crate) enum Unfinished {
    Panic(Box<dyn Any + Send>),
    /// The runtime was shut down: when.
    Shutdown(&'static str),
}

impl Unfinished {
    /// In the caller's own goroutine or thread.
    #[track_caller]
    pub(crate) fn pass_on(self) -> ! {
        match self {
            Unfinished::Panic(payload) => resume_unwind(payload),
            Unfinished::Shutdown(_) if super::is_ending() => crate::task::unwind(),
            Unfinished::Shutdown(when) => panic!("rendez: the runtime was shut down {when}"),
        }
    }
}

/// A pointer to the waiting caller's slot, which is `Send` because its result is.
struct SendPtr<T>(*mut T);

// SAFETY: see `Shared::try_run`: the one who writes through it is the only one until the caller is told.
unsafe impl<T> Send for SendPtr<T> {}

pub(super) fn report_panic(task: &Header, policy: PanicPolicy) {
    // Not `eprintln`, which panics when nobody reads the error stream any more.
    let _ = writeln!(io::stderr(), "rendez: {} panicked; created at {}", task.title(), task.site);
    trace::note_panic();
    if policy == PanicPolicy::Exit {
        std::process::exit(2);
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("workers", &self.wanted_workers())
            .field("stopping", &self.is_stopping())
            .finish_non_exhaustive()
    }
}

/// A set of workers with goroutines of their own. Most programs need none: [`go`](crate::go) and [`run`] find one.
///
/// Dropping it shuts it down.
///
/// # Examples
/// ```
/// let runtime = rendez::Runtime::builder().workers(2).build()?;
/// let sum = runtime.run(|| (1..=4).map(|i| rendez::go(move || i)).map(|h| h.join().unwrap()).sum::<i32>());
/// assert_eq!(sum, 10);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Runtime {
    shared: Arc<Shared>,
}

// No user code runs under the runtime's locks, so a panic can't leave it half-changed.
impl UnwindSafe for Runtime {}
impl RefUnwindSafe for Runtime {}

impl Runtime {
    /// Starts building a runtime.
    pub fn builder() -> RuntimeBuilder {
        RuntimeBuilder::default()
    }

    /// Runs `f` on a goroutine of this runtime and returns what it returns; other goroutines go on afterwards.
    ///
    /// # Panics
    /// With `f`'s panic; or if the runtime is shut down before `f` has returned.
    ///
    /// # Blocking
    /// Parks the calling goroutine, or OS thread. A shutdown of the *caller's* runtime does not interrupt it, since `f`
    /// may borrow from the caller.
    ///
    /// # Cancellation
    /// If `f` is cut short by a shutdown, and the caller is a goroutine whose own runtime shuts down, the caller is unwound
    /// like any other instead of panicking.
    #[track_caller]
    pub fn run<F, R>(&self, f: F) -> R
    where
        F: FnOnce() -> R + Send,
        R: Send,
    {
        self.shared.run(f)
    }

    /// Starts `f` on a new goroutine of this runtime.
    ///
    /// After a shutdown nothing starts: `f` is dropped and the handle's `join` says so.
    #[track_caller]
    pub fn spawn<F, R>(&self, f: F) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        spawn::start_on(&self.shared, f)
    }

    /// Ends the runtime: unstarted goroutines are dropped, parked ones are unwound so that their destructors run, running
    /// ones are unwound when they next block. Returns when all have ended; a second call does nothing.
    ///
    /// Called from one of the runtime's own goroutines it returns at once, and that goroutine ends when it next blocks.
    ///
    /// # Blocking
    /// Until every goroutine has ended. One that never blocks holds it up, which an OS thread that waits for it says after five seconds, with who it
    /// is and where; so does one that catches its own unwinding in a loop. One that waits in a destructor for something that never comes is reported, after two seconds in which
    /// nothing moved, and left behind.
    pub fn shutdown(&self) {
        self.shared.shutdown();
    }

    pub(super) fn with(config: &Config) -> io::Result<Runtime> {
        Ok(Runtime { shared: Shared::start(config)? })
    }

    /// What its workers share.
    #[cfg(feature = "testing")]
    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.shared.shutdown();
    }
}

/// Runs `main` as the first goroutine of a new runtime and returns what it returns. Go's rule of exit holds: when `main`
/// returns, the goroutines that are left do not go on; here they are unwound, so that their destructors run.
///
/// Called inside a goroutine it does the same, with a runtime of its own beside the caller's.
///
/// # Panics
/// With `main`'s panic, after the shutdown; or if the runtime can't be started.
///
/// # Blocking
/// Until `main` has returned and the others have ended; see [`Runtime::shutdown`].
///
/// # Examples
/// ```
/// let mut greeting = String::from("hello");
/// rendez::run(|| greeting.push_str(", world"));
/// assert_eq!(greeting, "hello, world");
/// ```
#[track_caller]
pub fn run<F, R>(main: F) -> R
where
    F: FnOnce() -> R + Send,
    R: Send,
{
    let runtime = or_panic(Runtime::builder().build());
    let result = runtime.run(main);
    runtime.shutdown();
    result
}

#[track_caller]
fn or_panic(runtime: io::Result<Runtime>) -> Runtime {
    runtime.unwrap_or_else(|error| panic!("rendez: the runtime could not be started: {error}"))
}

/// The runtime of whoever has none, started on first use.
#[track_caller]
pub(super) fn global() -> &'static Arc<Shared> {
    match GLOBAL.get() {
        Some(runtime) => &runtime.shared,
        None => &GLOBAL.get_or_init(|| or_panic(Runtime::builder().build())).shared,
    }
}

static GLOBAL: OnceLock<Runtime> = OnceLock::new();

/// How many workers the global runtime has, or would have.
pub(super) fn global_workers() -> usize {
    match GLOBAL.get() {
        Some(runtime) => runtime.shared.wanted_workers(),
        None => Config::default().workers().unwrap_or_else(|error| panic!("rendez: {error}")),
    }
}
