//! A worker: one OS thread, the goroutines that live on it, and the loop that switches between them.
//!
//! Everything in [`Worker`] is touched by its own thread alone, from the loop's stack or from a goroutine's, never from
//! both at once: a goroutine runs only while the loop is suspended in `resume`. Hence cells, and no locks. What other
//! threads may touch is in [`WorkerShared`].
//!
//! Which task is next:
//! 1. the one that was woken last, at most [`STREAK`] times in a row (its value is hot, and its waker is about to park); or, if there is none
//!    and a queue has had the last turn, the first whose sleep or time-out is over, unless one whose was over before is still queued;
//! 2. every [`FRESH_EVERY`] switches, or [`LOOKS_AROUND`] where bursts pass on to each other, an unstarted one, so that started ones that
//!    always have something to do don't starve them (and now and then the oldest of these);
//! 3. the oldest started one, or the async goroutine that was woken first, by turns (see [`polls`](super::polls));
//! 4. the newest unstarted one.
//!
//! What goroutines call of it is in [`calls`], bursts that are looked at in [`observed`], and what a worker under test does besides in `tested`.
//!
//! The inbox is looked at before every switch, the timers, the injector and the poller every [`LOOKS_AROUND`] switches (every one
//! while bursts are long) and whenever there is nothing to do.

mod bursts;
mod calls;
mod observed;
#[cfg(feature = "testing")]
mod tested;

use super::{
    batch::Batch,
    clock,
    deadlock::Doubts,
    deque::Deque,
    harness, high_water,
    idle::{Spins, Still, Watch},
    loot::Loot,
    monitor,
    placement::{self, Kind, Placer},
    poller::Turn,
    polls::Polls,
    queue::RunQueue,
    runtime::Shared,
    shared::{Fresh, WorkerShared},
    stopwatch,
    timers::{Timer, Timers},
};
use crate::{
    diag::trace::Ring,
    primitives::{prefetch, prefetch_whole, rarely, seldom},
    task::{
        Goroutine, Header,
        fiber::{CAN_PASS, Fiber, Order, SEEN, Suspend},
        header::{ASYNC, PINNED, SERVES, SPREAD},
        heap,
    },
    time::Instant,
    wait::{Awaited, Reason, Waiter},
};
use crossbeam_deque::{Steal, Worker as Fifo};
use observed::{LastRecord, TRACED};
use std::{
    cell::{Cell, RefCell},
    num::NonZeroU64,
    panic::Location,
    ptr::{self, NonNull},
    sync::{
        Arc,
        atomic::{Ordering, compiler_fence, fence},
    },
    time::Duration,
};

/// In place of the task that was woken last, while one runs whose wake-ups are to be noted: it has woken nobody yet.
const NOBODY: *mut Header = ptr::without_provenance_mut(1);

const STREAK: u32 = 32;
const FRESH_EVERY: u32 = 16;
/// Of the unstarted ones that get such a turn, one in this many is the oldest.
const OLDEST_EVERY: u32 = 4;
/// At each multiple the loop does something besides: it maintains, or times a burst and maintains after it.
const LOOKS_AROUND: u32 = 32;
/// Of the ticks' bits none: each burst comes from the loop.
const ALWAYS: u32 = 0;
/// So many turns before a goroutine's own, what the worker has to know of it is fetched: far enough for a fetch from memory, which
/// takes some turns of goroutines that do little.
const BOOKS_AHEAD: u32 = 10;
/// So many turns before its own, the header of an unstarted one is.
const FRESH_AHEAD: usize = 2;
/// So many stacks are looked up at once.
const PAGES_AHEAD: u32 = 4;
const SAMPLE_EVERY: u32 = 64;
/// Which of them is timed. Not the one after a look at the timers: that is often the first burst of who has slept, and a short one.
const SAMPLED: u32 = LOOKS_AROUND;
const _: () = assert!(SAMPLE_EVERY == 2 * LOOKS_AROUND);
/// Of these, one in some is seen to the end of what it wakes.
const LATENCY_EVERY: u32 = SAMPLE_EVERY * 8;
/// So many timed polls of chatty async goroutines in a row say that there are no others.
const WORKS_FOR: u32 = 32;
/// Blocking operations that did not block before a goroutine yields.
const BUDGET: i32 = 512;
/// What a call of the system costs of it.
const CALL: i32 = 8;
/// What may pass in such a call without being the goroutine's work: on a socket, it is often spent on waking who reads
/// at the other end.
const IN_CALL: Duration = Duration::from_micros(10);
/// How often in a row an async operation is told that the budget is used up.
const REFUSALS: i32 = 64;
/// Idle runners that a worker keeps, some milliseconds' worth of goroutines that sleep or wait and end (see also
/// [`note_idle_runners`](Worker::note_idle_runners)); the others' stacks go back to the pool, some at a time.
const KEPT_RUNNERS: usize = 1024;

/// What begins anew with each burst. Both are written at once.
#[repr(C, align(8))]
pub(super) struct Burst {
    /// How many operations more it may do than one. Below that (see `poll_budget`) it is used up.
    pub(super) budget: Cell<i32>,
    /// The children that the goroutine that runs has started in it.
    siblings: Cell<u32>,
}

pub(crate) struct Worker {
    pub(super) index: usize,
    pub(super) runtime: Arc<Shared>,
    pub(super) shared: &'static WorkerShared,
    pub(super) queue: RunQueue<Header>,
    /// Async goroutines that have been woken.
    pub(super) polls: Polls,
    /// The task that was woken last.
    woken: Cell<*mut Header>,
    /// What is to be done with who is woken: see [`observed`].
    noting: Cell<u8>,
    /// Where bursts are recorded, if they are.
    trace: Cell<Option<&'static Ring>>,
    last_record: Cell<LastRecord>,
    /// Who was woken first in the burst that is recorded.
    recorded_wake: Cell<Option<NonZeroU64>>,
    streak: Cell<u32>,
    pub(super) fresh: Deque<Fresh>,
    lately: high_water::Lately,
    /// Tasks for which there was no stack and that must start here.
    pub(super) starved: RunQueue<Header>,
    /// What runs now: null while the loop does.
    pub(super) current: Cell<*const Header>,
    fiber: Cell<*mut Fiber>,
    pub(super) runners: RefCell<Vec<*mut Fiber>>,
    /// Looks at how many runners are idle, and the least that there were.
    pub(super) idle_runners: Cell<(u32, usize)>,
    /// For the shutdown, when there is no other stack.
    pub(super) reserve: Cell<Option<*mut Fiber>>,
    /// The last request for runners that was heeded.
    pub(super) heeded: Cell<u32>,
    /// The stacks that belong to goroutines.
    pub(super) owned: Cell<*mut Fiber>,
    load: Cell<u32>,
    pub(super) timers: Timers,
    /// How many are queued because their sleep or time-out is over.
    late: Cell<u32>,
    tick: Cell<u32>,
    /// When an unstarted task last had its turn before started ones, and how often that was.
    fresh_tick: Cell<u32>,
    fresh_turn: Cell<u32>,
    pub(super) burst: Burst,
    placer: Cell<Placer>,
    /// The family of the last goroutine that it was about to give away, and whether it has looked for events first and found some: see
    /// `hears_first`.
    pub(super) heard_first: Cell<(u32, bool)>,
    /// The family of the last burst that has accepted a connection.
    accepted: Cell<Option<u64>>,
    pub(super) ids: Cell<(u64, u64)>,
    pub(super) random: RefCell<fastrand::Rng>,
    /// The victim that a thief watches.
    pub(super) watch: Cell<Option<Watch>>,
    /// Of each that had something when it was looked at last.
    pub(super) still: RefCell<Vec<Option<Still>>>,
    /// Above zero if the bursts that were timed last were long, so that the clock may be asked after every burst.
    pub(super) slow: Cell<u32>,
    /// The tick of the burst that was timed in its turn last, and when it ended, by the stopwatch; what was waited since, while `slow`, left out.
    last_timed: Cell<(u32, u64)>,
    /// What runs may pass on to another one when it suspends, without the loop, unless the tick of that has none of these bits: see `pass_on`.
    loop_at: Cell<u32>,
    /// How many of the next bursts are to be timed whatever the tick says; and whether all are to be recorded.
    curious: Cell<u32>,
    /// How many more polls of chatty async goroutines are to be seen before none here is taken to work for long.
    polls_work: Cell<u32>,
    /// Time spent on waking other workers since the start of the burst that is timed.
    pub(super) spent_waking: Cell<Duration>,
    /// Time spent in it on calls that others had put off.
    pub(super) spent_on_others: Cell<Duration>,
    /// Calls of the system in it.
    calls: Cell<u32>,
    /// What has been spent of its budget for anything but hand-overs.
    not_handed: Cell<u32>,
    /// Whether `fresh` holds stolen tasks, which are started here, not sent back; or, at a retired spare, none are.
    pub(super) has_loot: Cell<bool>,
    pub(super) loot: Loot,
    /// How many goroutines are suspended in a destructor that an unwind runs.
    unwinding: Cell<u32>,
    /// Whether the shutdown has ended the waits of what was parked.
    pub(super) cancelled: Cell<bool>,
    /// What each burst begins with: [`BUDGET`], but for a worker whose schedule is chosen.
    full_budget: Cell<i32>,
    /// Of a runtime under test.
    pub(super) harness: Option<harness::Attached>,
    /// The time, in seconds, when this worker last looked around.
    seconds: Cell<u32>,
    /// Whether it took new work when it last looked around.
    pub(super) was_active: Cell<bool>,
    /// When its poller is looked at.
    pub(super) poll_turn: Turn,
    pub(super) spins: Spins,
    /// Calls on sockets that have been put off.
    pub(super) batch: Batch,
    /// The last question of [`census`](super::census) that was answered here.
    pub(super) census_answered: Cell<u32>,
    /// The number of this thread in [`lock`](crate::lock), or 0.
    pub(super) lock_number: Cell<u32>,
}

/// Whether the burst is one of those that are timed.
#[inline(always)]
fn is_sampled(tick: u32) -> bool {
    tick % SAMPLE_EVERY == SAMPLED
}

/// Whether the loop maintains before it.
#[inline(always)]
fn is_maintained(tick: u32) -> bool {
    let phase = tick % SAMPLE_EVERY;
    phase == 0 || phase == SAMPLED + 1
}

impl Worker {
    pub(super) fn new(
        index: usize,
        runtime: Arc<Shared>,
        shared: &'static WorkerShared,
        fresh: Deque<Fresh>,
        polls: Fifo<Fresh>,
        harness: Option<harness::Attached>,
    ) -> Worker {
        let random =
            fastrand::Rng::with_seed(runtime.seed ^ (index as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let batches = runtime.batches;
        Worker {
            index,
            runtime,
            shared,
            queue: RunQueue::new(),
            polls: Polls::new(polls),
            woken: Cell::new(ptr::null_mut()),
            noting: Cell::new(0),
            trace: Cell::new(None),
            last_record: Cell::default(),
            recorded_wake: Cell::new(None),
            streak: Cell::new(0),
            fresh,
            lately: high_water::Lately::new(),
            starved: RunQueue::new(),
            current: Cell::new(ptr::null()),
            fiber: Cell::new(ptr::null_mut()),
            runners: RefCell::new(Vec::new()),
            idle_runners: Cell::new((0, usize::MAX)),
            reserve: Cell::new(None),
            heeded: Cell::new(0),
            owned: Cell::new(ptr::null_mut()),
            load: Cell::new(0),
            timers: Timers::new(),
            late: Cell::new(0),
            tick: Cell::new(0),
            fresh_tick: Cell::new(0),
            fresh_turn: Cell::new(0),
            burst: Burst { budget: Cell::new(BUDGET - 1), siblings: Cell::new(0) },
            placer: Cell::new(Placer::new(index)),
            heard_first: Cell::new((0, false)),
            accepted: Cell::new(None),
            ids: Cell::new((0, 0)),
            random: RefCell::new(random),
            watch: Cell::new(None),
            still: RefCell::default(),
            slow: Cell::new(0),
            last_timed: Cell::default(),
            loop_at: Cell::new(ALWAYS),
            curious: Cell::new(0),
            polls_work: Cell::new(0),
            spent_waking: Cell::new(Duration::ZERO),
            spent_on_others: Cell::new(Duration::ZERO),
            calls: Cell::new(0),
            not_handed: Cell::new(0),
            has_loot: Cell::new(false),
            loot: Loot::default(),
            unwinding: Cell::new(0),
            cancelled: Cell::new(false),
            full_budget: Cell::new(BUDGET - 1),
            harness,
            seconds: Cell::new(clock::coarse_seconds()),
            was_active: Cell::new(false),
            poll_turn: Turn::default(),
            spins: Spins::default(),
            batch: Batch::new(batches),
            census_answered: Cell::new(0),
            lock_number: Cell::new(0),
        }
    }

    // ---- the loop ----

    pub(super) fn run(&self) {
        self.shared.clock.adopt();
        stopwatch::wind_up();
        self.runtime.stacks.look_after();
        self.reserve_runner();
        monitor::wake();
        if let Some(harness) = &self.harness {
            self.run_under_harness(harness);
        }
        loop {
            let tick = self.tick.get().wrapping_add(1);
            self.tick.set(tick);
            let is_maintained = is_maintained(tick) || self.slow.get() > 0;
            if is_maintained {
                // In this order: who is told of something here would else go before the first whose sleep is over, and have it go last.
                self.poll_in_turn();
                self.maintain();
            } else if self.shared.inbox.looks_filled() {
                self.empty_inbox();
            }
            if !self.batch.is_empty()
                && (!self.has_started() && !self.polls.has_any() || is_maintained && self.batch.is_due())
            {
                self.make_batch();
            }
            if let Some(task) = self.next(tick) {
                self.execute(task, tick);
            } else if !self.batch.is_empty() {
                // Others have taken what was ready.
                self.make_batch();
            } else if self.find_work() {
                self.note_going_to_work();
            } else if self.idle() {
                break;
            }
        }
        self.leave();
    }

    #[inline(always)]
    fn next(&self, tick: u32) -> Option<*mut Header> {
        let woken = self.woken.replace(ptr::null_mut());
        if !woken.is_null() {
            let streak = self.streak.get();
            if streak < STREAK {
                self.streak.set(streak + 1);
                return Some(woken);
            }
            // SAFETY: it was woken, so it is unfinished and in no queue.
            unsafe { self.queue.push(woken) };
        }
        self.streak.set(0);
        // Not whenever the tick is a multiple: streaks and other habits of a program have periods too, and may miss each.
        if self.is_fresh_turn(tick) {
            self.fresh_tick.set(tick);
            let turn = self.fresh_turn.get().wrapping_add(1);
            self.fresh_turn.set(turn);
            if let Some(task) = self.next_fresh(turn.is_multiple_of(OLDEST_EVERY)) {
                return Some(task);
            }
        }
        let task = self.polls.next(&self.queue).or_else(|| self.next_fresh(false));
        self.prefetch(tick);
        task
    }

    /// Has the processor fetch what those who come next will touch: the stack of the next, the books of one some turns from now, the
    /// header of the one after that. Each is where what was fetched the turn before says. In a crowd that has been
    /// parked for long nothing of this is in the cache.
    ///
    /// And no stack is in the processor's table of pages: looking one up takes as long as a few fetches, and the turn that
    /// asks for it waits for that. So some stacks are asked for at once, whose look-ups overlap.
    #[inline(always)]
    fn prefetch(&self, tick: u32) {
        // SAFETY: what is queued lives, and this is its worker, as it is the one that writes `fiber`; a fiber that is set there is owned, and
        // lives until its goroutine ends or its poll does, which takes it out. `lead` are queued, so the links between them are not null.
        // Whatever else is an address here (a waiter, a stack, null) is not read but only told to the processor, which ignores what it
        // can't fetch.
        unsafe {
            let Some(first) = self.queue.oldest().as_ref() else { return };
            let lead = self.queue.look_ahead(BOOKS_AHEAD, |task| {
                Fiber::prefetch((*task).fiber.get());
                prefetch((*task).link.load(Ordering::Relaxed));
            });
            if lead < 2 {
                return;
            }
            if lead == BOOKS_AHEAD && tick.is_multiple_of(PAGES_AHEAD) {
                let mut task = first.link.load(Ordering::Relaxed);
                for _ in 0..PAGES_AHEAD {
                    if let Some(fiber) = (*task).fiber.get().as_ref() {
                        fiber.prefetch_page();
                    }
                    task = (*task).link.load(Ordering::Relaxed);
                }
            }
            if let Some(fiber) = first.fiber.get().as_ref() {
                fiber.prefetch_stack();
            }
        }
    }

    /// An unstarted task that is to start here; others are handed on. The `oldest` of this worker's own goes before what it
    /// was handed, of which there may always be some.
    #[inline]
    fn next_fresh(&self, oldest: bool) -> Option<*mut Header> {
        if !oldest && let Some(Fresh(task)) = self.shared.come_to_handed() {
            return Some(task.as_ptr());
        }
        loop {
            let Fresh(task) = match oldest {
                // It may have been made long ago, or by another worker.
                false => self.fresh.pop_and_show(FRESH_AHEAD, |Fresh(task)| prefetch_whole(task.as_ptr()))?,
                true => match self.fresh.pop_oldest() {
                    Some(task) => task,
                    None => return Some(self.shared.come_to_handed()?.0.as_ptr()),
                },
            };
            if self.starts_all() {
                return Some(task.as_ptr());
            }
            // SAFETY: taken out of the deque: unstarted and ours.
            let header = unsafe { task.as_ref() };
            let (placer, target) = (self.placer.get(), self.place(header));
            if target != self.index && self.hears_first(header.family.get()) {
                self.placer.set(placer);
                self.fresh.push(Fresh(task));
                return None;
            }
            if !self.hand_to(target, Fresh(task)) {
                return Some(task.as_ptr());
            }
        }
    }

    /// Whether whoever is to start here does, and nobody has to look where he had better.
    #[inline(always)]
    fn starts_all(&self) -> bool {
        let is_free =
            self.load.get() == 0 || self.runtime.active_workers() == 1 || self.runtime.is_stopping();
        is_free && !self.has_loot.get()
    }

    /// Where `task` is to start, if not [all](Self::starts_all) do here.
    fn place(&self, task: &Header) -> usize {
        if self.has_loot.get() {
            return self.place_loot();
        }
        let workers = self.runtime.active_workers();
        let (mut kind, curious) = placement::kind(task.site);
        if kind == Kind::Chatty && task.has_flag(SERVES) {
            kind = Kind::Unknown;
        }
        if curious {
            self.curious.set(self.curious.get() & TRACED | placement::CURIOUS);
        }
        let mut placer = self.placer.get();
        let target =
            placer.choose(kind, task.family.get(), task.sibling.get(), self.index, workers, |worker| {
                match worker == self.index {
                    true => self.load.get(),
                    false => self.runtime.worker(worker).map_or(u32::MAX / 2, |shared| shared.load()),
                }
            });
        self.placer.set(placer);
        target
    }

    /// Hands an unstarted task to another worker. `false` if `target` is this one.
    fn hand_to(&self, target: usize, task: Fresh) -> bool {
        if target == self.index {
            return false;
        }
        let Some(mut shared) = self.runtime.worker(target) else { return false };
        if shared.is_stuck(self.runtime.number) {
            let other = self.least_loaded().filter(|&other| other != self.index);
            let Some(other) = other.and_then(|other| self.runtime.worker(other)) else { return false };
            shared = other;
        }
        shared.hand(task);
        fence(Ordering::SeqCst);
        shared.notify();
        true
    }

    // ---- under test ----

    pub(super) fn is_exploring(&self) -> bool {
        self.harness.as_ref().is_some_and(|harness| harness.is_exploring())
    }

    /// Shows the stacks of all goroutines that have parked and not ended, but for the one that runs.
    ///
    /// # Safety
    /// Called on this worker's thread.
    pub(super) unsafe fn for_each_parked(&self, mut f: impl FnMut(&Fiber, &Header)) {
        let running = self.goroutine().map(|_| self.fiber.get().cast_const());
        let mut fiber = self.owned.get().cast_const();
        // SAFETY: fibers in the list are there, with their goroutines.
        while let Some(this) = unsafe { fiber.as_ref() } {
            if Some(fiber) != running {
                // SAFETY: as above.
                f(this, unsafe { &*this.timer.task.get() });
            }
            fiber = this.next.get();
        }
    }

    /// For how many seconds the goroutine that is parked on `fiber` has been that; about.
    pub(super) fn parked_for(&self, fiber: &Fiber) -> u32 {
        clock::coarse_seconds().saturating_sub(fiber.since.get() & !SEEN)
    }

    /// A poll of an async goroutine of this site has been timed: says whether such work for long, here and of late.
    fn note_poll(&self, site: &'static Location<'static>) {
        let works = match placement::kind(site).0 {
            Kind::Working => WORKS_FOR,
            _ => self.polls_work.get().saturating_sub(1),
        };
        self.polls_work.set(works);
        self.shared.published.works.store(works > 0, Ordering::Relaxed);
    }

    /// Gets an unstarted task a stack; without one it waits: see `starved`.
    unsafe fn prepare(&self, task: *mut Header) -> Option<*mut Fiber> {
        // SAFETY: as in `execute`; the header is ours until the task runs.
        unsafe {
            let own_stack = (*task).extra.get().and_then(|extra| extra.stack.take());
            let fiber = match own_stack {
                Some(stack) => Some(Fiber::new(stack, true)),
                None => self.runner(),
            };
            let Some(fiber) = fiber else {
                self.starve(NonNull::new_unchecked(task));
                return None;
            };
            (*fiber).timer.task.set(task);
            (*fiber).unwinding.set(false);
            (*fiber).is_over.set(false);
            (*task).worker.set(self.shared);
            if (self.lately.is_new((*task).site) || (*fiber).special) && self.harness.is_none() {
                high_water::offer(&*fiber, (*task).site);
            }
            Some(fiber)
        }
    }

    pub(super) fn runner(&self) -> Option<*mut Fiber> {
        if let Some(fiber) = self.runners.borrow_mut().pop() {
            return Some(fiber);
        }
        self.new_runner().or_else(|| if self.runtime.is_stopping() { self.reserve.take() } else { None })
    }

    pub(super) fn new_runner(&self) -> Option<*mut Fiber> {
        self.runtime.stacks.allocate().ok().map(|stack| Fiber::new(stack, false))
    }

    /// The stack becomes the goroutine's own: it has parked for the first time.
    unsafe fn own(&self, fiber: *mut Fiber, task: *mut Header) {
        // SAFETY: the goroutine is suspended on this fiber, and both are this worker's.
        unsafe {
            (*task).fiber.set(fiber);
            (*fiber).owned.set(true);
            let next = self.owned.replace(fiber);
            (*fiber).prev.set(ptr::null_mut());
            (*fiber).next.set(next);
            if !next.is_null() {
                (*next).prev.set(fiber);
            }
        }
    }

    pub(super) unsafe fn disown(&self, fiber: *mut Fiber) {
        // SAFETY: owned fibers are in the list, with their neighbours.
        unsafe {
            (*fiber).owned.set(false);
            let (prev, next) = ((*fiber).prev.get(), (*fiber).next.get());
            match prev.is_null() {
                true => self.owned.set(next),
                false => (*prev).next.set(next),
            }
            if !next.is_null() {
                (*next).prev.set(prev);
            }
            self.count(&*fiber, false);
        }
    }

    /// The goroutine on `fiber` has ended, or its poll has.
    #[inline]
    unsafe fn vacated(&self, fiber: *mut Fiber) {
        // SAFETY: idle, and this worker's.
        unsafe {
            if (*fiber).owned.get() {
                self.disown(fiber);
            }
            if (*fiber).measured.get() {
                high_water::take(&*fiber);
            }
            self.put_runner(fiber, KEPT_RUNNERS);
        }
    }

    pub(super) fn note_finished(&self) {
        let published = &self.shared.published;
        published.finished.store(published.finished.load(Ordering::Relaxed) + 1, Ordering::Release);
    }

    #[inline(always)]
    fn count(&self, fiber: &Fiber, counted: bool) {
        if rarely(fiber.counted.replace(counted) != counted) {
            let load = if counted { self.load.get() + 1 } else { self.load.get() - 1 };
            self.load.set(load);
            self.shared.burden.load.store(load, Ordering::Relaxed);
        }
    }

    // ---- looking for work ----

    /// The inbox, the timers, the injector, a shutdown.
    pub(super) fn maintain(&self) {
        let seconds = clock::coarse_seconds();
        if self.seconds.replace(seconds) != seconds {
            stopwatch::adjust();
        }
        self.heed_trace();
        self.empty_inbox();
        self.shared.counters.timers.set(self.timers.len());
        self.fire_timers();
        self.heed_monitor();
        let is_active = !self.is_surplus();
        if self.was_active.replace(is_active) && !is_active {
            // While this one searched, or slept, somebody may have relied on it for what it does not take any more.
            self.runtime.wake_one();
        }
        if is_active {
            if let Steal::Success(task) = self.runtime.injector.steal() {
                self.fresh.push(task);
            }
            self.take_woken();
        } else {
            // Of one that was a spare, what is spawned from now on goes to others as well, and what was handed over.
            let retired = self.is_retired();
            self.has_loot.set(retired || self.has_loot.get());
            let handed = || if retired { self.shared.take_handed() } else { None };
            while let Some(task) = self.fresh.pop().or_else(handed) {
                self.runtime.inject(task);
            }
            while let Some(task) = self.polls.take() {
                // SAFETY: it has been woken, and has just been taken out of its queue.
                unsafe { self.runtime.inject_woken(task) };
            }
        }
        self.retry_starved();
        self.note_idle_runners();
        if self.runtime.is_stopping() {
            self.cancel_parked();
        }
        let asked = self.runtime.census_asked.load(Ordering::Relaxed);
        if asked != self.census_answered.get() {
            self.answer_census(asked);
        }
    }

    pub(super) fn empty_inbox(&self) -> bool {
        if self.shared.inbox.is_empty() {
            return false;
        }
        let mut taken = 0;
        self.shared.inbox.take(|task| {
            taken += 1;
            // SAFETY: what was pushed is unfinished, in no queue any more, and this worker's.
            unsafe { self.queue.push(task) };
        });
        self.shared.counters.remote_wakes.add(taken);
        true
    }

    /// Takes over the async goroutines that foreign threads have woken.
    pub(super) fn take_woken(&self) -> bool {
        if !self.runtime.woken.looks_filled() {
            return false;
        }
        self.runtime.woken.take(|task| self.polls.push(task));
        self.polls.len() > 0
    }

    pub(super) fn fire_timers(&self) -> bool {
        let alarms = &self.shared.alarms;
        if self.timers.is_empty() && alarms.next_deadline().is_none() {
            return false;
        }
        if self.is_exploring() {
            // That is a decision.
            return false;
        }
        let now = Instant::now().nanos();
        let mut fired = alarms.fire(now);
        let mut due = [ptr::null::<Timer>(); 16];
        loop {
            let len = self.timers.take_due(now, &mut due);
            for &timer in &due[..len] {
                fired |= self.time_out(timer);
            }
            if len < due.len() {
                return fired;
            }
        }
    }

    /// The time of a timer that has just been taken out has come. Whether that ends a wait.
    fn time_out(&self, timer: *const Timer) -> bool {
        // SAFETY: the timer is a goroutine's of this worker that is parked or about to be resumed, so it is there, and its waiter
        // as well. One that only sleeps is in no queue: who ends its sleep otherwise removes the timer.
        unsafe {
            let timer = &*timer;
            let strikes = timer.is_alone() || (*timer.waiter.get()).time_out();
            if strikes {
                self.shared.counters.timeouts.add(1);
                let task = timer.task.get().cast_mut();
                // It has been late already, by as much as a burst: so the first of those that are due is the next to run, like one that was
                // woken last. (Not all of them: those who wait for their turn would wait for every crowd of sleepers. Nor one after the
                // other: they would wait for one that sleeps for next to no time again and again. And none goes before one that was due
                // before it.)
                let is_free = self.woken.get().is_null() && self.streak.get() == 0;
                if is_free && self.late.get() == 0 && self.harness.is_none() {
                    self.woken.set(task);
                } else {
                    timer.note_queued(true);
                    self.late.set(self.late.get() + 1);
                    self.queue.push(task);
                }
            }
            strikes
        }
    }

    /// When the first of its timers and alarms is due.
    pub(super) fn next_deadline(&self) -> Option<u64> {
        [self.timers.next_deadline(), self.shared.alarms.next_deadline()].into_iter().flatten().min()
    }

    pub(super) fn load(&self) -> u32 {
        self.load.get()
    }

    fn has_woken(&self) -> bool {
        let woken = self.woken.get();
        !woken.is_null() && !ptr::eq(woken, NOBODY)
    }

    /// Whether there is something to run now.
    pub(super) fn has_work(&self) -> bool {
        self.has_woken()
            || !self.queue.is_empty()
            || self.polls.len() > 0
            || !self.fresh.is_empty()
            || self.shared.burden.incoming.load(Ordering::SeqCst) > 0
    }

    /// The runtime has been idle for a while: gives back memory that only a burst needed, and asks whether anything will
    /// ever run again. If there are `doubts`, says when to ask again.
    pub(super) fn tidy(&self, doubts: &mut Doubts) -> Option<Instant> {
        if doubts.is_new() {
            self.give_back();
        }
        if self.check_deadlock() { doubts.next() } else { None }
    }

    fn give_back(&self) {
        self.give_runners(1);
        self.runtime.stacks.trim();
        heap::trim();
        // What the others keep goes back when the last of them has slept for as long again. Once: they run nothing.
        let progress = self.runtime.progress();
        if self.runtime.tidied.swap(progress, Ordering::Relaxed) != progress {
            self.request_runners();
        }
    }
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker")
            .field("index", &self.index)
            .field("load", &self.load.get())
            .finish_non_exhaustive()
    }
}
