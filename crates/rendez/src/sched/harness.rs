//! A worker under test: the clock and the schedule are the [`testing`](crate::testing) module's, not the machine's.
//!
//! A runtime of this kind has one worker, whose loop is [`Worker::run_under_harness`] until the runtime shuts down. Nothing
//! of it is on the paths of other workers: they have another loop, and where a path is shared the question is asked on its
//! slow side (a budget that is always used up leads to [`Worker::point`]).
//!
//! * **The clock** stands while anything can run. When nothing can, it jumps to the next time limit. (Time limits of the same
//!   moment strike one by one, in an order that is part of the schedule.) It stands, too, while somebody *holds* it ([`ClockHold`]): then something outside may still bring work, and the worker sleeps as others do.
//! * **Nothing can run and there is no time limit**: every goroutine waits for another one for ever, which is a deadlock, or
//!   a leak if the main one has returned.
//! * **The schedule**, if there is an [`Explorer`]: all that can run is kept in one list, by number, and at each switch and
//!   each *point* (at the beginning of every operation of rendez) the explorer says who goes on. Numbers are given anew for
//!   each schedule, so they are the same in the same schedule.
//! * **The end.** A failure is put into [`Control`], with the explorer, and then the runtime shuts down as any other: the
//!   rest is unwound in the ordinary loop, by the ordinary order, while the clock goes on with the real one's pace.

use super::{
    Inhabitant,
    census::{describe, describe_async},
    config::Config,
    given,
    runtime::Shared,
    shared::WorkerShared,
    worker::Worker,
};
use crate::{
    primitives::prefetch,
    sync::WaitGroup,
    task::{ForcedUnwind, Header, header},
    testing::{CLOCK, Explorer, Kind, Left, Options, Running, panics, wrapped},
    time::Instant,
    wait::{Outcome, Reason, Waiter},
};
use std::{
    cell::{Cell, RefCell},
    fmt, io,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    ptr,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

/// Set in the numbers of goroutines of such runtimes: below come the number of the schedule in the process, and, in the low
/// half, the goroutine's number in its schedule, which is what people are shown.
const TESTED: u64 = 1 << 63;
/// A block of numbers is enough for a schedule.
const IDS: u64 = 1 << 32;
static BLOCKS: AtomicU64 = AtomicU64::new(0);

/// Whether there has been a runtime of this kind in the process. It is asked at the beginning of every operation, in programs and not in
/// tests for the most part: a load of what nobody writes, and a branch that is never taken, are all that it costs them.
static ANY: AtomicBool = AtomicBool::new(false);

#[inline(always)]
pub(super) fn any() -> bool {
    // Whoever can be under test has been started after it was set.
    ANY.load(Ordering::Relaxed)
}

/// For how long, before it is called a deadlock that all wait, somebody outside has to bring something.
const GRACE: Duration = Duration::from_millis(20);
/// So often may the clock strike while somebody waits for the rest to end.
const PATIENCE: u32 = 10_000;

fn new_block() -> u64 {
    TESTED | (BLOCKS.fetch_add(1, Ordering::Relaxed) << 32 & !TESTED)
}

/// The goroutine's number as people are shown it.
pub(crate) fn shown_id(id: u64) -> u64 {
    if id & TESTED == 0 { id } else { id % IDS }
}

/// What is shared with those outside.
#[derive(Debug)]
pub(crate) struct Control {
    /// What the numbers of goroutines begin after, where there is no explorer.
    block: u64,
    holds: AtomicUsize,
    outcome: Mutex<Outbox>,
    /// Done when the explorer has come back.
    pub(crate) reported: WaitGroup,
    worker: OnceLock<&'static WorkerShared>,
}

#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pub(crate) explorer: Option<Box<Explorer>>,
    pub(crate) failure: Option<Kind>,
}

impl Control {
    pub(crate) fn new() -> Arc<Control> {
        let reported = WaitGroup::new();
        reported.add(1);
        Arc::new(Control {
            block: new_block(),
            holds: AtomicUsize::new(0),
            outcome: Mutex::default(),
            reported,
            worker: OnceLock::new(),
        })
    }

    /// The number of the first goroutine.
    fn first_id(&self) -> u64 {
        self.block + 1
    }

    /// What has been reported since the last time.
    pub(crate) fn take(&self) -> Outbox {
        std::mem::take(&mut self.outcome.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn is_held(&self) -> bool {
        self.holds.load(Ordering::SeqCst) > 0
    }
}

/// While there is one, the clock of its runtime stands and no wait is taken for endless.
pub(crate) struct Hold(Arc<Control>);

impl Hold {
    fn new(control: &Arc<Control>) -> Hold {
        control.holds.fetch_add(1, Ordering::SeqCst);
        Hold(control.clone())
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if self.0.holds.fetch_sub(1, Ordering::SeqCst) == 1
            && let Some(worker) = self.0.worker.get()
        {
            worker.notify();
        }
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hold").finish_non_exhaustive()
    }
}

/// What such a runtime starts with.
pub(crate) struct Start {
    pub(crate) control: Arc<Control>,
    pub(crate) explorer: Option<Box<Explorer>>,
}

impl Start {
    /// The number of the first goroutine.
    pub(super) fn first_id(&self) -> u64 {
        self.control.first_id()
    }

    pub(super) fn attach(self, worker: &'static WorkerShared) -> Attached {
        Box::new(Harness::new(self, worker))
    }
}

/// As a worker has it.
pub(super) type Attached = Box<Harness>;

/// Starts a runtime of this kind.
pub(crate) fn start(start: Start) -> io::Result<Arc<Shared>> {
    ANY.store(true, Ordering::Relaxed);
    let config = Config { workers: Some(1), seed: Some(0), ..Config::default() };
    Shared::start_with(&config, Some(start))
}

/// What can run, by number.
#[derive(Debug, Default)]
struct Ready {
    ids: Vec<u64>,
    tasks: Vec<*mut Header>,
}

impl Ready {
    fn insert(&mut self, id: u64, task: *mut Header) {
        let at = self.first_above(id);
        self.ids.insert(at, id);
        self.tasks.insert(at, task);
    }

    /// Where the numbers above `id` begin.
    fn first_above(&self, id: u64) -> usize {
        const FEW: usize = 8;
        match self.ids.len() {
            ..=FEW => self.ids.iter().take_while(|&&other| other <= id).count(),
            _ => self.ids.partition_point(|&other| other <= id),
        }
    }

    fn remove(&mut self, at: usize) -> *mut Header {
        self.ids.remove(at);
        self.tasks.remove(at)
    }
}

/// Of one worker.
#[derive(Debug)]
pub(crate) struct Harness {
    control: Arc<Control>,
    /// Nanoseconds since the beginning.
    clock: Cell<u64>,
    /// Since when the clock goes on by itself.
    released: Cell<Option<std::time::Instant>>,
    explorer: RefCell<Option<Box<Explorer>>>,
    /// Whether its schedules are chosen: for this worker's life, and now.
    explores: bool,
    exploring: Cell<bool>,
    early_timers: bool,
    ready: RefCell<Ready>,
    /// Who ran last, and who has been chosen to go next.
    last: Cell<u64>,
    next: Cell<*mut Header>,
    main_done: Cell<bool>,
    /// How often the clock has struck.
    strikes: Cell<u32>,
    /// Those who wait for the rest to end or to wait for ever, and how often the clock has struck meanwhile.
    rest: RefCell<Vec<*const Waiter>>,
    struck: Cell<u32>,
}

enum Choice {
    GoesOn,
    Other(*mut Header),
    Clock,
    TooLong,
}

impl Harness {
    fn new(start: Start, worker: &'static WorkerShared) -> Harness {
        let Start { control, explorer } = start;
        assert!(control.worker.set(worker).is_ok(), "a control is for one runtime");
        Harness {
            control,
            clock: Cell::new(0),
            released: Cell::new(None),
            explores: explorer.is_some(),
            exploring: Cell::new(explorer.is_some()),
            early_timers: explorer.as_ref().is_some_and(|explorer| explorer.has_early_timers()),
            explorer: RefCell::new(explorer),
            ready: RefCell::default(),
            last: Cell::new(0),
            next: Cell::new(ptr::null_mut()),
            main_done: Cell::new(false),
            strikes: Cell::new(0),
            rest: RefCell::default(),
            struck: Cell::new(0),
        }
    }

    /// The present moment, in nanoseconds since the beginning.
    pub(super) fn now(&self) -> u64 {
        let since = self.released.get().map_or(0, |at| at.elapsed().as_nanos() as u64);
        self.clock.get() + since
    }

    pub(super) fn is_exploring(&self) -> bool {
        self.exploring.get()
    }

    /// A number below `n` that the program draws, if somebody decides on it.
    pub(super) fn pick(&self, n: usize) -> Option<usize> {
        self.explorer.borrow_mut().as_mut().map(|explorer| explorer.pick(n))
    }

    /// A goroutine ends. What its parent was told about it is not asked for any more, so there is room for when that was.
    fn note_end(&self, task: &Header) {
        task.family.set(self.strikes.get());
    }

    /// Asks who goes on, or whether the `clock` strikes. The running goroutine is not in the list.
    #[inline]
    fn choose(&self, running: Running, clock: bool) -> Choice {
        let mut explorer = self.explorer.borrow_mut();
        let Some(explorer) = explorer.as_mut() else { return Choice::GoesOn };
        let mut ready = self.ready.borrow_mut();
        if clock {
            ready.insert(CLOCK, ptr::null_mut());
        }
        let len = ready.ids.len();
        let first = match ready.first_above(self.last.get()) {
            end if end == len => 0,
            first => first,
        };
        let options = Options { others: &ready.ids, running, first };
        let chosen = explorer.schedule(&options);
        let choice = match (chosen, running) {
            (None, _) => Choice::TooLong,
            (Some(0), Running::GoesOn(_)) => Choice::GoesOn,
            (Some(index), Running::Yields(_)) if index == len => Choice::GoesOn,
            (Some(index), _) => {
                let other = index - usize::from(matches!(running, Running::GoesOn(_)));
                let at = wrapped(first + other, len);
                match ready.ids[at] {
                    CLOCK => Choice::Clock,
                    _ => Choice::Other(ready.remove(at)),
                }
            }
        };
        if clock {
            let at = ready.ids.iter().rposition(|&id| id == CLOCK).expect("put there above");
            ready.remove(at);
        }
        choice
    }
}

/// As they are compared and shown.
fn number(task: *mut Header) -> u64 {
    // SAFETY: what can run has not ended.
    shown_id(unsafe { (*task).id }) % IDS
}

impl Worker {
    /// The loop, until the runtime shuts down. Apart from the ordinary one, which is compiled the worse the more stands beside it.
    #[cold]
    #[inline(never)]
    pub(super) fn run_under_harness(&self, harness: &Harness) {
        // Until whoever starts the worker has entered it, nobody counts its goroutines, and all would seem to have ended.
        while self.runtime.started_workers() <= self.index {
            std::thread::yield_now();
        }
        if harness.is_exploring() {
            self.begin_schedule(harness);
        } else {
            // The first is the caller's.
            self.ids.set((harness.control.first_id() + 1, harness.control.block + IDS));
        }
        let mut tick = 0_u32;
        while !self.runtime.is_stopping() {
            let task = if harness.is_exploring() {
                self.choose_next(harness)
            } else {
                tick = tick.wrapping_add(1);
                if tick.is_multiple_of(32) {
                    self.maintain();
                }
                self.next_by_habit(tick)
            };
            match task {
                Some(task) => {
                    harness.last.set(number(task));
                    self.execute_one(task);
                }
                None if self.runtime.is_stopping() => {}
                None => self.nothing_runs(harness),
            }
        }
        self.set_budget(None);
        harness.released.set(Some(std::time::Instant::now()));
        let ready = harness.ready.take();
        let next = Some(harness.next.replace(ptr::null_mut())).filter(|next| !next.is_null());
        for task in ready.tasks.into_iter().chain(next) {
            // SAFETY: it can run, and is in no other queue.
            unsafe { self.queue.push(task) };
        }
    }

    /// Moves all that can run into the one list.
    #[inline]
    fn gather(&self, harness: &Harness) {
        if self.has_news() {
            self.gather_news(harness);
        }
    }

    fn gather_news(&self, harness: &Harness) {
        if !self.shared.inbox.is_empty() {
            self.empty_inbox();
        }
        if !self.runtime.injector.is_empty() || !self.runtime.woken.is_empty() {
            self.maintain();
        }
        let mut ready = harness.ready.borrow_mut();
        while let Some(task) = self.take_any() {
            prefetch(task);
            ready.insert(number(task), task);
        }
    }

    /// Who goes on when nobody runs.
    fn choose_next(&self, harness: &Harness) -> Option<*mut Header> {
        loop {
            self.gather(harness);
            let next = harness.next.replace(ptr::null_mut());
            if !next.is_null() {
                return Some(next);
            }
            let (running, yielding) = {
                let mut ready = harness.ready.borrow_mut();
                if ready.ids.is_empty() {
                    if self.next_deadline().is_some_and(|at| at <= harness.now()) {
                        drop(ready);
                        self.strike(harness);
                        continue;
                    }
                    return None;
                }
                // Who ran last and can run again has let others run.
                match ready.ids.binary_search(&harness.last.get()) {
                    Ok(at) => (Running::Yields(harness.last.get()), ready.remove(at)),
                    Err(_) => (Running::Nobody, ptr::null_mut()),
                }
            };
            let choice = harness.choose(running, self.may_strike(harness));
            if !yielding.is_null() && !matches!(choice, Choice::GoesOn) {
                harness.ready.borrow_mut().insert(number(yielding), yielding);
            }
            match choice {
                Choice::GoesOn => return Some(yielding),
                Choice::Other(task) => return Some(task),
                Choice::Clock => self.strike(harness),
                Choice::TooLong => {
                    self.fail_endless(harness);
                    return None;
                }
            }
        }
    }

    /// At the beginning of an operation: somebody else may go first.
    #[cold]
    pub(super) fn point(&self) {
        let Some(harness) = &self.harness else { return };
        crate::lock::assert_none_is_held();
        loop {
            let task = match self.goroutine() {
                Some(task) if harness.is_exploring() && !self.runtime.is_stopping() => task,
                _ => return,
            };
            // Others would see `panicking`.
            if self.is_unwinding() {
                return;
            }
            self.gather(harness);
            let task = task.0.as_ptr();
            let id = number(task);
            match harness.choose(Running::GoesOn(id), self.may_strike(harness)) {
                Choice::GoesOn => return,
                Choice::Other(next) => {
                    harness.next.set(next);
                    harness.ready.borrow_mut().insert(id, task);
                    // SAFETY: it is in the list of what can run, and in no queue, and this thread takes from both.
                    return unsafe { self.leave_to_others() };
                }
                Choice::Clock => self.strike(harness),
                Choice::TooLong => return self.fail_endless(harness),
            }
        }
    }

    /// Whether a time limit may pass while others can run: any if that is allowed, else one whose moment has come.
    #[inline]
    fn may_strike(&self, harness: &Harness) -> bool {
        let early = harness.early_timers && !harness.control.is_held();
        self.next_deadline().is_some_and(|at| early || at <= harness.now())
    }

    /// Moves the clock to the next time limit. Under a chosen schedule one of those for which it is time strikes, and the
    /// others stay among the options: what comes at the same moment comes in any order.
    fn strike(&self, harness: &Harness) {
        let Some(at) = self.next_deadline() else { return };
        harness.clock.set(harness.clock.get().max(at));
        harness.strikes.set(harness.strikes.get().wrapping_add(1));
        if harness.is_exploring() {
            self.fire_one(|due| harness.pick(due).unwrap_or(0));
        } else {
            self.fire_timers();
        }
    }

    fn nothing_runs(&self, harness: &Harness) {
        if self.find_from_outside() {
            return;
        }
        if harness.control.is_held() {
            return self.sleep_outside(harness, None);
        }
        if self.runtime.is_quiescent() {
            return if harness.is_exploring() {
                self.end_schedule(harness)
            } else {
                self.sleep_outside(harness, None)
            };
        }
        let waits = !harness.rest.borrow().is_empty();
        if self.next_deadline().is_some() && !(waits && harness.struck.get() >= PATIENCE) {
            harness.struck.set(harness.struck.get() + u32::from(waits));
            return self.strike(harness);
        }
        if waits {
            return self.wake_rest(harness);
        }
        if harness.is_exploring() {
            let left = self.left();
            let kind = if harness.main_done.get() { Kind::Leak(left) } else { Kind::Deadlock(left) };
            self.fail(harness, kind);
        } else if harness.main_done.get() {
            self.sleep_outside(harness, None);
        } else {
            self.sleep_outside(harness, Some(GRACE));
            if !self.find_from_outside() && !self.runtime.is_stopping() && !harness.control.is_held() {
                self.fail(harness, Kind::Deadlock(self.left()));
            }
        }
    }

    fn find_from_outside(&self) -> bool {
        self.maintain();
        self.has_work()
    }

    /// Sleeps until somebody outside brings something.
    fn sleep_outside(&self, harness: &Harness, limit: Option<Duration>) {
        let held = harness.control.is_held();
        let has_work = || {
            !self.shared.inbox.is_empty()
                || self.shared.burden.incoming.load(Ordering::SeqCst) > 0
                || !self.runtime.injector.is_empty()
                || !self.runtime.woken.is_empty()
                || self.runtime.is_stopping()
                || harness.control.is_held() != held
        };
        self.shared.sleep.sleep(has_work, || limit);
    }

    // ---- schedules ----

    fn begin_schedule(&self, harness: &Harness) {
        let block = new_block();
        self.ids.set((block + 1, block + IDS));
        self.set_budget(Some(1));
        harness.clock.set(0);
        harness.main_done.set(false);
        harness.last.set(0);
        let (body, site) = harness.explorer.borrow_mut().as_mut().expect("while exploring").begin();
        let main = move || {
            let result = catch_unwind(AssertUnwindSafe(&*body));
            drop(body);
            main_has_ended(result);
        };
        let header = header::allocate(main, self.next_id(), site, None, 0);
        self.spawn(header);
        // SAFETY: the handle, whose result is `()`, is given up at once.
        unsafe { header::release_handle(header.as_ptr(), false) };
    }

    /// All have ended: on to the next schedule.
    fn end_schedule(&self, harness: &Harness) {
        panics::forget();
        let mut explorer = harness.explorer.borrow_mut();
        let this = explorer.as_mut().expect("while exploring");
        if this.has_next() && self.next_deadline().is_none() {
            drop(explorer);
            return self.begin_schedule(harness);
        }
        if !this.is_finished() {
            // A timer that somebody has kept would strike in the next schedule.
            this.renew();
        }
        let explorer = explorer.take();
        self.report(harness, explorer, None);
    }

    fn report(&self, harness: &Harness, explorer: Option<Box<Explorer>>, failure: Option<Kind>) {
        harness.exploring.set(false);
        let mut outcome = harness.control.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        if outcome.explorer.is_none() && outcome.failure.is_none() {
            *outcome = Outbox { explorer, failure };
            drop(outcome);
            harness.control.reported.done();
        }
    }

    /// Ends the run.
    fn fail(&self, harness: &Harness, kind: Kind) {
        let explorer = harness.explorer.borrow_mut().take();
        match explorer {
            Some(mut explorer) => {
                explorer.fail(kind);
                self.report(harness, Some(explorer), None);
            }
            None => self.report(harness, None, Some(kind)),
        }
        self.runtime.begin_shutdown();
    }

    #[cold]
    fn fail_endless(&self, harness: &Harness) {
        let steps = harness.explorer.borrow().as_ref().map_or(0, |explorer| explorer.max_steps());
        self.fail(harness, Kind::Endless(steps, self.left()));
    }

    fn wake_rest(&self, harness: &Harness) {
        for waiter in harness.rest.take() {
            // SAFETY: its frame waits until this decides it, and a shutdown takes it off the list before it goes on.
            unsafe {
                if (*waiter).claim() {
                    drop((*waiter).complete(0));
                }
            }
        }
    }

    // ---- who is there ----

    fn left(&self) -> Left {
        Left { inhabitants: self.census(), panicked: panics::told() }
    }

    /// The goroutines that have not ended.
    pub(super) fn census(&self) -> Vec<Inhabitant> {
        let mut all = Vec::new();
        if let Some(harness) = &self.harness {
            // SAFETY: what can run has not ended, and this is its worker.
            all.extend(
                harness.ready.borrow().tasks.iter().map(|&task| unsafe { describe(&*task, "runnable") }),
            );
        }
        self.own_census(|inhabitant| all.push(inhabitant));
        self.runtime.async_tasks.for_each(|task, noted| all.push(describe_async(task, noted.read())));
        all.sort_by_key(|inhabitant| inhabitant.id);
        // An async goroutine that is parked in a poll comes twice.
        all.dedup_by_key(|inhabitant| inhabitant.id);
        given::note(&mut all);
        all
    }
}

/// The body of a schedule has returned.
fn main_has_ended(result: std::thread::Result<()>) {
    let panicked = match result {
        Ok(()) => None,
        // A shutdown.
        Err(payload) if payload.is::<ForcedUnwind>() => resume_unwind(payload),
        Err(payload) => {
            let message = panics::told_of(&*payload);
            header::discard(payload);
            Some(message)
        }
    };
    super::with_worker(|worker| {
        let Some((worker, harness)) = worker.and_then(|w| Some((w, w.harness.as_deref()?))) else { return };
        match panicked {
            None => harness.main_done.set(true),
            Some(message) if harness.is_exploring() => {
                worker.fail(harness, Kind::Panic { title: "the body".into(), message });
            }
            Some(_) => {}
        }
    });
}

/// The main goroutine of a runtime without an explorer has returned.
pub(crate) fn note_main_done() {
    with_harness(|_, harness| harness.main_done.set(true));
}

fn with_harness<R>(f: impl FnOnce(&Worker, &Harness) -> R) -> Option<R> {
    super::with_worker(|worker| {
        let worker = worker?;
        Some(f(worker, worker.harness.as_deref()?))
    })
}

/// See [`Worker::point`].
#[cold]
pub(super) fn point() {
    with_harness(|worker, _| worker.point());
}

/// The present moment, where it is not the machine's.
#[inline(always)]
pub(crate) fn virtual_now() -> Option<Instant> {
    if any() { own_now() } else { None }
}

#[cold]
fn own_now() -> Option<Instant> {
    with_harness(|_, harness| Instant::from_nanos(harness.now()))
}

/// The time since the clock began, where it is not the machine's.
pub(crate) fn virtual_elapsed() -> Option<Duration> {
    with_harness(|_, harness| Duration::from_nanos(harness.now()))
}

/// Holds the clock of the caller's runtime, if it can be held.
pub(crate) fn hold() -> Option<Hold> {
    with_harness(|_, harness| Hold::new(&harness.control))
}

/// Whether the caller runs under a chosen schedule, or is unwound after one.
pub(crate) fn is_exploring() -> bool {
    any() && with_harness(|_, harness| harness.explores).unwrap_or(false)
}

/// See [`Harness::note_end`].
#[cold]
pub(super) fn note_end(task: &Header) {
    with_harness(|_, harness| harness.note_end(task));
}

/// Whether somebody who asks if `task` has ended, which it has, asks before it does. A goroutine runs on to its end after its last
/// operation, but might have been held up there; until then whoever joins it would only have waited, so this is where the
/// difference shows, and a point at the end of all goroutines would only multiply the schedules. It is said once of each,
/// and not after the clock has moved, for which all have to wait.
#[inline(always)]
pub(crate) fn ends_late(task: &Header) -> bool {
    any() && ends_late_here(task)
}

#[cold]
fn ends_late_here(task: &Header) -> bool {
    with_harness(|worker, harness| {
        let is_here = worker.goroutine().is_some_and(|me| {
            // SAFETY: the running goroutine's header.
            unsafe { me.0.as_ref().id / IDS == task.id / IDS }
        });
        // Written by this thread alone, which runs all goroutines with such numbers.
        let late = is_here
            && harness.is_exploring()
            && task.family.get() == harness.strikes.get()
            && harness.pick(2) == Some(1);
        if late {
            task.family.set(harness.strikes.get().wrapping_sub(1));
        }
        late
    })
    .unwrap_or(false)
}

/// A goroutine that nobody joins has panicked. `false`: it is to be told as usual.
pub(super) fn take_panic(task: &Header) -> bool {
    with_harness(|worker, harness| {
        // After a failure, what goroutines say that are being ended is of no interest.
        if harness.is_exploring() {
            let message = panics::told_by(task.id);
            worker.fail(harness, Kind::Panic { title: task.title(), message });
        }
        harness.explores
    })
    .unwrap_or(false)
}

/// Waits until all other goroutines of the caller's runtime have ended or wait for ever. `None`: it is no runtime under
/// test.
pub(crate) fn wait_for_rest() -> Option<Vec<Inhabitant>> {
    let waiter = Waiter::current();
    let me = with_harness(|worker, harness| {
        let me = worker.goroutine()?;
        harness.rest.borrow_mut().push(&waiter);
        harness.struck.set(0);
        // SAFETY: the running goroutine's header.
        Some(shown_id(unsafe { me.0.as_ref().id }))
    })??;
    let outcome = waiter.wait(None, Reason::Rest);
    with_harness(|_, harness| harness.rest.borrow_mut().retain(|&other| !ptr::eq(other, &waiter)));
    if outcome == Outcome::Cancelled {
        crate::wait::unwind_cancelled();
    }
    with_harness(|worker, _| worker.census().into_iter().filter(|other| other.id != me).collect())
}
