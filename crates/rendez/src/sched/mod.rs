//! The scheduler: workers, their queues, how work finds them and how they sleep.
//!
//! * [`worker`]: the loop and what belongs to one worker. [`queue`]: run queue and inbox. [`polls`]: the queue
//!   of async goroutines that have been woken. [`timers`]: time limits of its goroutines; [`alarms`]: those of all others; both are heaps of [`deadlines`].
//! * [`idle`]: stealing, spinning, sleeping. [`starved`]: when stacks run out. [`sleep`]: the sleep word; [`sleepers`]: how many do. [`clock`]. [`placement`]: where a goroutine starts.
//! * [`poller`]: file descriptors that become ready, and the [`bell`] that wakes a worker from there; [`sources`]: how many there are.
//!   [`batch`]: reads and writes of sockets that are made together.
//! * [`counters`]: what each worker counts; [`figures`] adds it up. [`census`]: who is there, and what they were [`given`]. [`deadlock`]: nothing can run any more.
//!   [`knot`]: some wait only for each other. With the feature `testing`, `left_over`: who does not end;
//!   [`harness`]: a worker under test, whose clock and schedule are given; `no_harness` is in its place without.
//! * [`monitor`]: who holds a worker for too long. [`spares`]: who takes that worker's place meanwhile.
//! * [`shared`]: what others see of a worker. [`runtime`]: starting, running a main, shutdown; [`ending`]: a worker's part in that. [`builder`], [`config`]: settings and their errors.
//!
//! The rule that everything here keeps: *a goroutine never changes its OS thread once its first instruction has run*. Only
//! unstarted tasks are in the structures that several threads take from (deques, injector).

mod alarms;
mod batch;
mod bell;
mod builder;
mod census;
mod clock;
mod config;
pub(crate) mod counters;
mod deadlines;
pub(crate) mod deadlock;
mod deque;
mod ending;
pub(crate) mod figures;
mod given;
#[cfg(feature = "testing")]
pub(crate) mod harness;
#[cfg(not(feature = "testing"))]
#[path = "no_harness.rs"]
pub(crate) mod harness;
mod held_up;
pub(crate) mod high_water;
mod idle;
mod knot;
#[cfg(feature = "testing")]
mod left_over;
mod loot;
pub(crate) mod monitor;
mod placement;
mod poller;
mod polls;
mod queue;
mod runtime;
mod shared;
mod sleep;
mod sleepers;
mod sources;
mod spares;
mod starved;
mod stopwatch;
mod timers;
pub(crate) mod waiting;
mod worker;

pub(crate) use alarms::Alarm;
pub(crate) use batch::{read_with_others, write_with_others};
pub use builder::RuntimeBuilder;
pub(crate) use census::{Everybody, Inhabitant, census_of_all, count, every_park};
pub use config::PanicPolicy;
pub(crate) use knot::{Edge, Knot, Places, knots};
#[cfg(feature = "testing")]
pub(crate) use left_over::left_over;
pub(crate) use poller::{Poller, poller_here};
pub(crate) use runtime::Shared;
pub use runtime::{Runtime, run};
pub(crate) use shared::{RingOfWorker, WorkerName, WorkerShared, rings};
pub(crate) use timers::Timer;

use crate::{
    primitives::seldom,
    task::{Goroutine, Header, header::ASYNC},
    time::Instant,
    wait::{self, Awaited, Outcome, Reason, Waiter},
};
use alarms::{AlarmSet, Service};
use queue::Chain;
use std::{
    cell::Cell,
    io::Write,
    mem,
    ptr::{self, NonNull},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering, compiler_fence},
    },
    time::Duration,
};
use worker::Worker;

thread_local! {
    /// The worker of this thread, while its loop runs. It has no destructor, so it can be asked at any time, also while
    /// the thread's other locals are being destroyed: then a caller counts as a plain thread.
    static WORKER: Cell<*const Worker> = const { Cell::new(ptr::null()) };
    /// The runtime whose worker has ended on this thread, while what was set there is woken.
    static LEFT: Cell<*const Shared> = const { Cell::new(ptr::null()) };
}

/// The worker of this thread.
#[inline(always)]
fn with_worker<R>(f: impl FnOnce(Option<&Worker>) -> R) -> R {
    // SAFETY: the pointer is set only while the worker is on this thread's stack, in `enter`.
    f(unsafe { WORKER.get().as_ref() })
}

/// The goroutine that runs has accepted a connection: what it starts next in the same burst is placed as what serves it.
pub(crate) fn note_accepted() {
    with_worker(|worker| worker.map(Worker::note_accepted));
}

/// Runs a worker on this thread until its runtime shuts down.
fn enter(worker: Worker) {
    /// Dropped by a panic alone. (`panicking` does not tell: it is also true after a goroutine was left behind in a
    /// destructor that an unwind ran.)
    struct Panicked;
    impl Drop for Panicked {
        fn drop(&mut self) {
            // The goroutines of this worker can never run again, and others wait for them.
            let _ =
                writeln!(std::io::stderr(), "rendez: a worker's own code panicked, which is a bug in rendez");
            std::process::abort();
        }
    }
    let panicked = Panicked;
    crate::diag::overflow::install();
    crate::diag::aborts::install();
    let _signal_stack = crate::diag::overflow::SignalStack::new();
    crate::diag::stuck::unblock();
    let shared = worker.shared;
    WORKER.set(&worker);
    crate::lock::adopt();
    worker.lock_number.set(crate::lock::worker().unwrap_or(0));
    worker.run();
    crate::lock::disown();
    WORKER.set(ptr::null());
    // Those who are woken by this don't find the worker any more, and set their alarms elsewhere. But a shutdown that they ask
    // for must not wait for this thread.
    LEFT.set(&*worker.runtime);
    shared.alarms.empty();
    LEFT.set(ptr::null());
    shared.clock.disown();
    worker.runtime.note_left();
    std::mem::forget(panicked);
}

/// Whether the running goroutine, or else this thread, is unwinding.
pub(crate) fn is_unwinding() -> bool {
    with_worker(|worker| match worker {
        Some(worker) if worker.goroutine().is_some() => worker.is_unwinding(),
        _ => std::thread::panicking(),
    })
}

/// A shutdown's unwinding of the running goroutine begins, or has been caught.
pub(crate) fn note_unwind(begins: bool) {
    with_worker(|worker| {
        if let Some(worker) = worker
            && worker.goroutine().is_some()
        {
            worker.note_unwind(begins);
        }
    });
}

/// The goroutine that runs on this thread.
#[inline(always)]
pub(crate) fn current_goroutine() -> Option<Goroutine> {
    with_worker(|worker| worker?.goroutine())
}

/// A goroutine of this thread that has run over the end of its stack.
pub(crate) struct Overflow<'a> {
    task: &'a Header,
    /// Bytes of address space.
    size: usize,
}

/// Whose stack has been overflowed, if `address`, where this thread has faulted, lies in the guard of the running goroutine's. May be
/// called in a signal handler.
pub(crate) fn overflow_at(address: usize) -> Option<Overflow<'static>> {
    // SAFETY: as in `with_worker`; what runs has not ended, and its fiber is there.
    unsafe {
        let worker = WORKER.get().as_ref()?;
        let (task, fiber) = (worker.goroutine()?, worker.fiber()?);
        let (limit, size) = fiber.bounds();
        let page = crate::stack::page_size();
        if !(limit..limit + page).contains(&address) {
            // It may be anywhere, also where the goroutine's books are about to go.
            return None;
        }
        Some(Overflow { task: task.0.as_ref(), size })
    }
}

/// Whether this thread is the worker that has this.
pub(crate) fn is_worker_here(shared: *const WorkerShared) -> bool {
    // SAFETY: as in `with_worker`.
    unsafe { WORKER.get().as_ref() }.is_some_and(|worker| ptr::eq(worker.shared, shared))
}

/// How often the worker that this thread is has switched: odd while it runs a goroutine. For a signal handler.
pub(crate) fn switches_here() -> Option<u32> {
    // SAFETY: as in `with_worker`.
    unsafe { WORKER.get().as_ref() }.map(|worker| worker.shared.switches())
}

/// The goroutine in the middle of which this thread is, and the addresses of its stack. `None` if it is in none, or between two, or the
/// goroutine is about to be over.
///
/// A worker writes what runs, and its fiber, before it says by an odd number of switches that something runs, and touches
/// them again only after the number is even again, or where one goroutine passes on to another one. Then both are there, but for some
/// instructions the name may be the one's and the stack the other's: before these the tick goes on, and after them the number of switches,
/// which else is the tick's. Before a goroutine's books may go, its fiber is marked.
///
/// # Safety
/// Called in a signal handler, and not used beyond it.
pub(crate) unsafe fn interrupted() -> Option<(&'static Header, std::ops::Range<usize>)> {
    // SAFETY: as in `with_worker`; between the two stores of `switches` task and fiber are there, until the mark is set.
    unsafe {
        let worker = WORKER.get().as_ref()?;
        if !worker.is_within_burst() {
            return None;
        }
        compiler_fence(Ordering::Acquire);
        let (task, fiber) = (worker.goroutine()?, worker.fiber()?);
        if fiber.is_over.get() {
            return None;
        }
        compiler_fence(Ordering::Acquire);
        Some((task.0.as_ref(), fiber.stack()))
    }
}

/// The running goroutine's books may go from now on, if it is `task`.
#[inline(always)]
pub(crate) fn note_over(task: *const Header) {
    with_worker(|worker| {
        if let Some(worker) = worker {
            worker.note_over(task);
        }
    });
}

/// As [`Header::title`]. Allocates nothing.
fn write_title(out: &mut impl std::fmt::Write, task: &Header) -> std::fmt::Result {
    write!(out, "goroutine {}", harness::shown_id(task.id))?;
    match task.name() {
        Some(name) => write!(out, " {name:?}"),
        None => Ok(()),
    }
}

/// Tells that the process is being aborted in `task`. Allocates nothing.
pub(crate) fn write_abort(out: &mut impl std::fmt::Write, task: &Header) -> std::fmt::Result {
    out.write_str("rendez: the process was aborted in ")?;
    write_title(out, task)?;
    writeln!(out, "; created at {}", task.site)
}

impl Overflow<'_> {
    /// Tells of it. Allocates nothing.
    pub(crate) fn write(&self, out: &mut impl std::fmt::Write) -> std::fmt::Result {
        out.write_str("\nfatal error: stack overflow\n\n")?;
        write_title(out, self.task)?;
        writeln!(
            out,
            " has used up its stack of {} KiB;\n\tcreated at {}",
            self.size / 1024,
            self.task.site
        )?;
        // An async goroutine has none of its own.
        out.write_str(match self.task.has_flag(ASYNC) {
            true => "give its runtime larger ones, for it is polled on one of these, with RuntimeBuilder::stack_size or the\n",
            false => {
                "give it a larger one with rendez::Builder::stack_size, or all of them with RuntimeBuilder::stack_size or the\n"
            }
        })?;
        out.write_str(
            "environment variable RENDEZ_STACK_SIZE (in bytes); or does it call itself without end?\n",
        )
    }
}

/// The number of the goroutine that runs on this thread.
pub(crate) fn current_id() -> Option<u64> {
    // SAFETY: what runs has not ended, so its header is there.
    current_goroutine().map(|goroutine| unsafe { goroutine.0.as_ref().id })
}

/// Where the caller is, which stays so: a goroutine does not change its thread. For who asks several things in a row.
#[derive(Clone, Copy)]
pub(crate) struct Here(*const Worker);

impl Here {
    #[inline(always)]
    pub(crate) fn now() -> Here {
        Here(WORKER.get())
    }

    /// [`spend_budget`].
    #[inline(always)]
    pub(crate) fn spend_budget(self) {
        // SAFETY: as in `with_worker`; a `Here` does not leave the call that made it.
        if let Some(worker) = unsafe { self.0.as_ref() } {
            worker.spend_budget();
        }
    }

    /// For locks: the number that its worker has there (or 0), and the low bits of the number of the goroutine (or all of them).
    #[inline(always)]
    pub(crate) fn whereabouts(self) -> (u32, u32) {
        // SAFETY: as above.
        match unsafe { self.0.as_ref() } {
            Some(worker) => (worker.lock_number.get(), worker.current_id()),
            None => (0, crate::sync::THREAD),
        }
    }
}

/// The number of this thread if it is a worker: no other worker of the process has it at the same time.
#[inline(always)]
pub(crate) fn worker_number() -> Option<usize> {
    with_worker(|worker| worker.map(|worker| worker.shared.number))
}

/// Whether the running goroutine would be unwound if it were to wait now.
pub(crate) fn is_ending() -> bool {
    with_worker(|worker| {
        worker.is_some_and(|worker| {
            worker.goroutine().is_some() && worker.runtime.is_stopping() && !worker.is_unwinding()
        })
    })
}

/// Whether this thread is one of the runtime's, which can't wait for its end.
fn is_worker_of(runtime: &Shared) -> bool {
    with_worker(|worker| match worker {
        Some(worker) => ptr::eq(&*worker.runtime, runtime),
        None => ptr::eq(LEFT.get(), runtime),
    })
}

/// Makes a goroutine ready that is parked, or about to park.
///
/// # Safety
/// This is the one wake-up that the goroutine gets for its park.
#[inline(always)]
pub(crate) unsafe fn ready(goroutine: Goroutine) {
    let task = goroutine.0.as_ptr();
    // SAFETY: it can't end before it has been woken, so its header is there, and it has a worker since it runs.
    let home = unsafe { (*task).worker.get() };
    with_worker(|worker| match worker {
        // SAFETY: passed on.
        Some(worker) if ptr::eq(worker.shared, home) => unsafe { worker.ready(task) },
        worker => {
            seldom();
            // SAFETY: passed on; it is its worker.
            unsafe { ready_elsewhere(worker, task, home) }
        }
    });
}

/// As [`ready`], of a goroutine whose worker, which shares `home`, is not the caller's.
///
/// # Safety
/// As for [`ready`].
#[inline(never)]
unsafe fn ready_elsewhere(worker: Option<&Worker>, task: *mut Header, home: *const WorkerShared) {
    // SAFETY: passed on; what a worker shares is never freed.
    unsafe {
        if let Some(worker) = worker {
            worker.note_remote_wake(task, &*home);
        }
        let took = (*home).push(task);
        if let (Some(took), Some(worker)) = (took, worker) {
            worker.spent_waking.set(worker.spent_waking.get() + took);
        }
    }
}

/// Goroutines that are made ready together: those of this worker at once, those of others when this is dropped, in a chain for
/// each worker.
pub(crate) struct Crowd {
    worker: *const Worker,
    /// The first `len` have tasks in them.
    chains: [(*const WorkerShared, Chain<Header>); Self::HOMES],
    len: usize,
}

impl Crowd {
    /// For so many other workers at once; more are served one after another.
    const HOMES: usize = 4;

    #[inline]
    pub(crate) fn new() -> Self {
        Crowd { worker: WORKER.get(), chains: [const { (ptr::null(), Chain::new()) }; Self::HOMES], len: 0 }
    }

    /// # Safety
    /// As for [`ready`]; nothing runs on this thread before this is dropped.
    #[inline]
    pub(crate) unsafe fn ready(&mut self, goroutine: Goroutine) {
        let task = goroutine.0.as_ptr();
        // SAFETY: as in `ready`; the worker of this thread is there.
        unsafe {
            let home = (*task).worker.get();
            match self.worker.as_ref() {
                Some(worker) if ptr::eq(worker.shared, home) => worker.ready(task),
                worker => {
                    if let Some(worker) = worker {
                        worker.note_remote_wake(task, &*home);
                    }
                    self.chain(home).add(task);
                }
            }
        }
    }

    fn chain(&mut self, home: *const WorkerShared) -> &mut Chain<Header> {
        let known = self.chains[..self.len].iter().position(|chain| ptr::eq(chain.0, home));
        let index = known.unwrap_or_else(|| {
            if self.len == Self::HOMES {
                self.send();
            }
            self.chains[self.len].0 = home;
            self.len += 1;
            self.len - 1
        });
        &mut self.chains[index].1
    }

    fn send(&mut self) {
        for (home, chain) in &mut self.chains[..self.len] {
            let chain = mem::replace(chain, Chain::new());
            // SAFETY: what a worker shares is never freed; the tasks are as in `ready`.
            let took = unsafe { (**home).push_chain(chain) };
            // SAFETY: the worker of this thread.
            if let (Some(took), Some(worker)) = (took, unsafe { self.worker.as_ref() }) {
                worker.spent_waking.set(worker.spent_waking.get() + took);
            }
        }
        self.len = 0;
    }
}

impl Drop for Crowd {
    #[inline]
    fn drop(&mut self) {
        if self.len > 0 {
            self.send();
        }
    }
}

/// Parks the running goroutine until `waiter` is decided.
#[inline(always)]
pub(crate) fn park(waiter: &Waiter, deadline: Option<Instant>, awaited: Awaited<'_>) {
    // Not by a closure, which might become a function: see `Waiter::wait_in_place`.
    // SAFETY: as in `with_worker`.
    let worker = unsafe { WORKER.get().as_ref() };
    worker.expect("only goroutines park here").park(waiter, deadline, awaited);
}

/// Queues an async goroutine that has been woken on its runtime, `home`: on this worker if that is one of it.
///
/// # Safety
/// The task's state word obliges the caller to queue it. It, and `home` with it, may be gone afterwards.
pub(crate) unsafe fn queue_async(task: *mut Header, home: *const Arc<Shared>) {
    with_worker(|worker| {
        // SAFETY: `home` is there until the task is queued. (A pointer, since a reference would have to be valid for longer.)
        unsafe {
            match worker {
                Some(worker) if ptr::eq(&*worker.runtime, Arc::as_ptr(&*home)) => worker.queue_async(task),
                _ => {
                    let runtime = Arc::clone(&*home);
                    runtime.inject_woken(task);
                }
            }
        }
    });
}

/// Where this thread sets its alarms, and whether that is the service, which has to be told of them.
fn with_alarms<R>(f: impl FnOnce(&'static AlarmSet, bool) -> R) -> R {
    with_worker(|worker| match worker {
        Some(worker) => {
            let result = f(&worker.shared.alarms, false);
            worker.alarm_set();
            result
        }
        None => f(&Service::get().set, true),
    })
}

/// Counts one step of an async operation against the budget of the running burst. `false` says that it is used up, and that
/// the caller, in an async goroutine or in `block_on`, is to return `Pending` and be polled again; other goroutines yield here and now.
#[inline]
pub(crate) fn poll_budget() -> bool {
    with_worker(|worker| worker.is_none_or(Worker::poll_budget))
}

/// Says whether a future is polled on the running goroutine's stack from now on, and returns what was said before. While one is, what
/// is awaited there tells it to poll again later when the budget is used up, as in an async goroutine, and does not let others run in
/// the midst of the poll: a future may have set thread-locals for just as long as it is polled.
pub(crate) fn polling(polls: bool) -> bool {
    with_worker(|worker| {
        let worker = worker?;
        worker.goroutine()?;
        Some(worker.fiber()?.polls.replace(polls))
    })
    .unwrap_or_default()
}

#[inline(always)]
pub(crate) fn spend_budget() {
    with_worker(|worker| {
        if let Some(worker) = worker {
            worker.spend_budget();
        }
    });
}

/// One operation that has spent budget was no hand-over: see `placement`.
#[inline(always)]
pub(crate) fn spent_in_vain() {
    with_worker(|worker| {
        if let Some(worker) = worker {
            worker.note_spent(1);
        }
    });
}

/// As [`spend_budget`], for a call of the system, which takes as long as many other operations.
#[inline]
pub(crate) fn spend_budget_on_call() {
    with_worker(|worker| {
        if let Some(worker) = worker {
            worker.spend_budget_on_call();
        }
    });
}

/// An operation begins that spends no budget: whoever tests schedules may let somebody else go first.
#[cfg(feature = "testing")]
#[inline(always)]
pub(crate) fn point() {
    if harness::any() {
        harness::point();
    }
}

/// A goroutine ends: from now on that can be seen.
#[cfg(feature = "testing")]
#[inline(always)]
pub(crate) fn note_end(task: &Header) {
    if harness::any() {
        harness::note_end(task);
    }
}

/// Panics if there is no runtime for a new task and none can be started.
#[track_caller]
pub(crate) fn require_runtime() {
    if WORKER.get().is_null() {
        runtime::global();
    }
}

/// Queues a new task on the caller's runtime, or the global one.
#[track_caller]
pub(crate) fn spawn(task: NonNull<Header>) {
    with_worker(|worker| match worker {
        Some(worker) => worker.spawn(task),
        None => runtime::global().spawn_foreign(task),
    });
}

/// The caller's runtime, or the global one.
#[track_caller]
pub(crate) fn current_runtime() -> Arc<Shared> {
    with_worker(|worker| match worker {
        Some(worker) => worker.runtime.clone(),
        None => runtime::global().clone(),
    })
}

/// Queues a new task on `runtime`.
pub(crate) fn spawn_on(runtime: &Shared, task: NonNull<Header>) {
    with_worker(|worker| match worker {
        Some(worker) if ptr::eq(&*worker.runtime, runtime) => worker.spawn(task),
        _ => runtime.spawn_foreign(task),
    });
}

/// While there is one, the caller, a goroutine, waits for a call on the pool, and a shutdown does not give up on it.
pub(crate) struct Offloaded(Arc<Shared>, #[allow(dead_code, reason = "held")] deadlock::Outside);

pub(crate) fn count_offloaded() -> Offloaded {
    let runtime = current_runtime();
    runtime.offloaded.fetch_add(1, Ordering::Relaxed);
    Offloaded(runtime, deadlock::Outside::new())
}

impl Drop for Offloaded {
    fn drop(&mut self) {
        self.0.offloaded.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Numbers are handed out in blocks of this size.
pub(crate) const ID_BLOCK: u64 = 1024;
static IDS: AtomicU64 = AtomicU64::new(1);

fn id_block() -> (u64, u64) {
    let first = IDS.fetch_add(ID_BLOCK, Ordering::Relaxed);
    (first, first + ID_BLOCK)
}

/// A number for a new goroutine.
pub(crate) fn next_id() -> u64 {
    with_worker(|worker| match worker {
        Some(worker) => worker.next_id(),
        None => IDS.fetch_add(1, Ordering::Relaxed),
    })
}

/// Tells of a panic that no `join` will see.
pub(crate) fn report_detached_panic(task: &Header) {
    with_worker(|worker| match worker {
        Some(worker) => worker.runtime.report_panic(task),
        None => runtime::report_panic(task, PanicPolicy::Print),
    });
}

/// Lets other goroutines of this worker run. On an OS thread that is no goroutine, lets other threads run.
///
/// # Cancellation
/// When the runtime shuts down, this unwinds the goroutine.
#[doc(alias("Gosched"))]
// Always inlined: a goroutine that comes back inside a function finds the processor's stack of return addresses to be another's, and
// pays for a wrong guess more than for all the rest. (Measured on a Zen 3, with the switch as it is now: 24 ns, not 47.)
#[inline(always)]
pub fn yield_now() {
    // SAFETY: as in `with_worker`.
    match unsafe { WORKER.get().as_ref() } {
        Some(worker) if worker.goroutine().is_some() => worker.yield_now(),
        _ => std::thread::yield_now(),
    }
}

/// Whether this worker has something to run besides what runs. Never of a thread that is no worker.
pub(crate) fn has_other_work() -> bool {
    with_worker(|worker| worker.is_some_and(Worker::has_work))
}

/// A random number below `n`, from the worker's seeded generator if there is one.
pub(crate) fn random_below(n: usize) -> usize {
    with_worker(|worker| match worker {
        Some(worker) => worker.random_below(n),
        None => fastrand::usize(..n),
    })
}

/// What random numbers can be made from; `None` where somebody decides each of them ([`random_below`]).
pub(crate) fn random_seed() -> Option<u64> {
    with_worker(|worker| match worker {
        Some(worker) => worker.random_seed(),
        None => Some(fastrand::u64(..)),
    })
}

/// Sleeps until `deadline`, or for ever: parks the goroutine, or blocks the OS thread.
pub(crate) fn sleep_until(deadline: Option<Instant>) {
    if current_goroutine().is_none() {
        loop {
            let left = deadline.map_or(Duration::MAX, |at| at.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left);
        }
    }
    let waiter = Waiter::current();
    if waiter.wait(deadline, Reason::Sleep) == Outcome::Cancelled {
        wait::unwind_cancelled();
    }
}

/// How many workers take new work: of the runtime of the goroutine that asks, else of the global runtime.
#[doc(alias("GOMAXPROCS", "NumCPU"))]
pub fn workers() -> usize {
    with_worker(|worker| match worker {
        Some(worker) => worker.runtime.wanted_workers(),
        None => runtime::global_workers(),
    })
}

/// Sets how many workers take new work, from 1 to 1024, like Go's GOMAXPROCS. Raising it starts workers; lowering it lets
/// the surplus finish the goroutines that have started on them.
///
/// # Panics
/// If `n` is out of range, or threads can't be started.
#[doc(alias("GOMAXPROCS"))]
pub fn set_workers(n: usize) {
    config::assert_workers(n);
    let runtime = current_runtime();
    if let Err(error) = runtime.set_workers(n) {
        panic!("rendez: could not start {n} workers: {error}");
    }
}
