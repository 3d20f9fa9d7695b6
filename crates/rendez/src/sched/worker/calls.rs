//! What goroutines call of their worker: waking others, parking, yielding, spawning.

use super::*;

impl Worker {
    #[inline(always)]
    pub(in crate::sched) fn goroutine(&self) -> Option<Goroutine> {
        NonNull::new(self.current.get().cast_mut()).map(Goroutine)
    }

    /// The low bits of the number of the goroutine that runs here; where none does, all of them.
    #[inline(always)]
    pub(in crate::sched) fn current_id(&self) -> u32 {
        // SAFETY: the header of what runs is there.
        unsafe { self.current.get().as_ref() }.map_or(crate::sync::THREAD, |task| task.id as u32)
    }

    /// The stack of the running goroutine.
    pub(in crate::sched) fn fiber(&self) -> Option<&Fiber> {
        // SAFETY: it is there while its goroutine runs.
        unsafe { self.fiber.get().as_ref() }
    }

    /// As [`note_over`](crate::sched::note_over).
    #[inline(always)]
    pub(in crate::sched) fn note_over(&self, task: *const Header) {
        if ptr::eq(self.current.get(), task) {
            // SAFETY: what runs has a fiber.
            unsafe { (*self.fiber.get()).is_over.set(true) };
            // Before the books go, for a handler on this thread.
            compiler_fence(Ordering::Release);
        }
    }

    /// Makes a goroutine of this worker ready.
    ///
    /// # Safety
    /// It is parked, or about to be, and this is the one wake-up that it gets.
    #[inline(always)]
    pub(in crate::sched) unsafe fn ready(&self, task: *mut Header) {
        let before = self.woken.replace(task);
        if rarely(!before.is_null()) {
            if self.noting.get() != 0 {
                self.note_wake(task);
            }
            if !ptr::eq(before, NOBODY) {
                // SAFETY: it was woken before and has not run.
                unsafe { self.queue.push(before) };
            }
        }
    }

    /// As [`random_below`](crate::sched::random_below).
    pub(in crate::sched) fn random_below(&self, n: usize) -> usize {
        let decided = self.harness.as_ref().and_then(|harness| harness.pick(n));
        decided.unwrap_or_else(|| self.random.borrow_mut().usize(..n))
    }

    /// As [`random_seed`](crate::sched::random_seed).
    pub(in crate::sched) fn random_seed(&self) -> Option<u64> {
        self.harness.is_none().then(|| self.random.borrow_mut().u64(..))
    }

    /// Whether the running goroutine is unwinding. Rust counts a thread's panics and not a goroutine's: while another one
    /// is suspended in a destructor that an unwind runs, this one is as it was when it last parked or was cancelled.
    #[inline(always)]
    pub(in crate::sched) fn is_unwinding(&self) -> bool {
        // SAFETY: the running goroutine's fiber.
        std::thread::panicking()
            && (self.unwinding.get() == 0 || unsafe { (*self.fiber.get()).unwinding.get() })
    }

    /// Leaves `fiber` until it is resumed, and keeps count if it is unwinding. `any_ready` says whether a goroutine that has started
    /// is ready here, as [`has_started`](Self::has_started) does. Whether another goroutine has passed on to it in the end, and not the loop: then
    /// nothing has happened that only the loop sees.
    ///
    /// # Safety
    /// As for [`Fiber::suspend`].
    #[inline(always)]
    pub(in crate::sched) unsafe fn suspend(
        &self,
        fiber: *const Fiber,
        unwinding: bool,
        any_ready: bool,
    ) -> bool {
        crate::lock::assert_none_is_held();
        // SAFETY: passed on; it is the running goroutine's fiber.
        unsafe {
            if unwinding {
                return self.suspend_unwinding(fiber, any_ready);
            }
            (*fiber).unwinding.set(false);
            self.leave_for_next(fiber, any_ready)
        }
    }

    /// As [`suspend`](Self::suspend), in a destructor that an unwind runs.
    ///
    /// # Safety
    /// As for that.
    #[cold]
    #[inline(never)]
    unsafe fn suspend_unwinding(&self, fiber: *const Fiber, any_ready: bool) -> bool {
        self.unwinding.set(self.unwinding.get() + 1);
        // SAFETY: passed on.
        let passed = unsafe {
            (*fiber).unwinding.set(true);
            self.leave_for_next(fiber, any_ready)
        };
        self.unwinding.set(self.unwinding.get() - 1);
        passed
    }

    /// # Safety
    /// As for [`suspend`](Self::suspend).
    #[inline(always)]
    unsafe fn leave_for_next(&self, fiber: *const Fiber, any_ready: bool) -> bool {
        let next = if any_ready { self.pass_on() } else { ptr::null() };
        // SAFETY: passed on.
        unsafe { Fiber::suspend(fiber, next) }
    }

    /// A shutdown's unwinding of the running goroutine begins, or has been caught.
    pub(in crate::sched) fn note_unwind(&self, begins: bool) {
        // SAFETY: the running goroutine's fiber.
        unsafe { (*self.fiber.get()).unwinding.set(begins) };
    }

    /// Parks the running goroutine until `waiter` is decided.
    // All of it is where this is called: see `Waiter::wait_in_place`. (Its two ends as functions: `ping_pong` 1.12 of the time.)
    #[inline(always)]
    pub(in crate::sched) fn park(&self, waiter: &Waiter, deadline: Option<Instant>, awaited: Awaited<'_>) {
        let fiber = self.fiber.get();
        let unwinding = self.is_unwinding();
        if self.park_begins(waiter, deadline, awaited, unwinding) {
            // SAFETY: it is the running goroutine's.
            unsafe { self.suspend(fiber, unwinding, self.has_started()) };
            self.park_ends(waiter, deadline, awaited.kind.reason);
        }
    }

    /// Whether it is to suspend.
    #[inline(always)]
    fn park_begins(
        &self,
        waiter: &Waiter,
        deadline: Option<Instant>,
        awaited: Awaited<'_>,
        unwinding: bool,
    ) -> bool {
        let reason = awaited.kind.reason;
        if rarely(self.runtime.is_stopping()) && reason.is_interruptible() && !unwinding && waiter.cancel() {
            return false;
        }
        // SAFETY: the running goroutine's fiber.
        let this = unsafe { &*self.fiber.get() };
        this.timer.waiter.set(waiter);
        this.awaits.set(Some(awaited.kind));
        this.source.set(awaited.source);
        this.since.set(self.seconds.get());
        self.shared.counters.waits[reason as usize].add(1);
        self.count(this, !matches!(reason, Reason::Join | Reason::Scope | Reason::WaitGroup));
        if let Some(deadline) = deadline {
            this.timer.set_alone(reason == Reason::Sleep);
            // SAFETY: the timer is taken out before the goroutine ends.
            unsafe { self.timers.set(&this.timer, deadline) };
        }
        true
    }

    #[inline(always)]
    fn park_ends(&self, waiter: &Waiter, deadline: Option<Instant>, reason: Reason) {
        // SAFETY: as above.
        let this = unsafe { &*self.fiber.get() };
        if deadline.is_some() {
            self.timers.remove(&this.timer);
            if this.timer.note_queued(false) {
                self.late.set(self.late.get() - 1);
            }
            if reason == Reason::Sleep {
                this.timer.set_alone(false);
                // Unless a shutdown has.
                waiter.time_out();
            }
        }
        self.shared.counters.ended_waits[reason as usize].add(1);
        this.timer.waiter.set(ptr::null());
        this.awaits.set(None);
    }

    /// Lets others run. Whether it was one of them who passed on to it.
    #[inline(always)]
    pub(in crate::sched) fn yield_quietly(&self) -> bool {
        self.shared.counters.yields.add(1);
        // SAFETY: the running goroutine is in no queue; its fiber is the one we run on. It is resumed only after it has
        // suspended, because only this thread pops the queue.
        unsafe {
            self.queue.push(self.current.get().cast_mut());
            self.suspend(self.fiber.get(), self.is_unwinding(), true)
        }
    }

    /// Lets others run; a shutdown ends the goroutine here, or at one of its next turns: those that come of a pass don't ask for it.
    #[inline(always)]
    pub(in crate::sched) fn yield_now(&self) {
        if !self.yield_quietly() {
            seldom();
            if self.runtime.is_stopping() && !self.is_unwinding() {
                crate::task::unwind();
            }
        }
    }

    #[inline(always)]
    pub(in crate::sched) fn spend_budget(&self) {
        let left = self.burst.budget.get() - 1;
        self.burst.budget.set(left);
        if left < 0 {
            self.budget_spent();
        }
    }

    /// So much of the budget was not spent on hand-overs of this burst.
    #[inline(always)]
    pub(in crate::sched) fn note_spent(&self, otherwise: u32) {
        self.not_handed.set(self.not_handed.get().wrapping_add(otherwise));
    }

    /// For an operation that is a call of the system.
    #[inline]
    pub(in crate::sched) fn spend_budget_on_call(&self) {
        self.calls.set(self.calls.get().wrapping_add(1));
        let left = self.burst.budget.get();
        // The last one is spent below.
        let rest = if left >= 0 { (left - CALL + 1).max(0) } else { left };
        self.burst.budget.set(rest);
        self.note_spent((left - rest) as u32 + 1);
        self.spend_budget();
    }

    #[cold]
    pub(super) fn budget_spent(&self) {
        if !self.is_exploring() && !self.current.get().is_null() {
            // Whoever looks at the burst that ends by this finds the budget used up, and the next one begins with a full one.
            return self.yield_now();
        }
        self.burst.budget.set(self.full_budget.get());
        if self.is_exploring() {
            self.point();
        }
    }

    /// As [`spend_budget`](Self::spend_budget), from a poll. An async goroutine, or one in `block_on`, does not yield but is told to
    /// (`false`) until its poll has ended; unless somebody polls again and again within that, as an executor inside the future does, who
    /// would do so for ever.
    #[inline]
    pub(in crate::sched) fn poll_budget(&self) -> bool {
        // SAFETY: the header of what runs is there.
        match unsafe { self.current.get().as_ref() } {
            Some(task) if (task.has_flag(ASYNC) || self.is_polling()) && !self.is_exploring() => {
                let left = self.burst.budget.get();
                let used_up = left <= 0;
                self.burst.budget.set(if left > -REFUSALS { left - 1 } else { BUDGET - 1 });
                !used_up || left <= -REFUSALS
            }
            _ => {
                self.spend_budget();
                true
            }
        }
    }

    /// Whether `block_on` polls a future on the running goroutine's stack.
    pub(in crate::sched) fn is_polling(&self) -> bool {
        self.fiber().is_some_and(|fiber| fiber.polls.get())
    }

    /// Queues an async goroutine that has been woken.
    ///
    /// # Safety
    /// The task's state word obliges the caller to queue it. It may be gone afterwards.
    #[inline]
    pub(in crate::sched) unsafe fn queue_async(&self, task: *mut Header) {
        if self.noting.get() != 0 {
            self.note_async_wake(task);
        }
        self.polls.push(task);
        self.pass_no_more();
        self.shared.counters.async_wakes.add(1);
        if self.runtime.sleepers.want_to_know() {
            self.consider_waking();
        }
    }

    /// See [`note_accepted`](crate::sched::note_accepted).
    pub(in crate::sched) fn note_accepted(&self) {
        self.accepted.set(Some(self.family()));
    }

    /// Names the burst of the goroutine that runs: what it starts in it is a family.
    #[inline(always)]
    fn family(&self) -> u64 {
        u64::from(self.tick.get()) << 16 | self.index as u64
    }

    /// Queues a new task.
    pub(in crate::sched) fn spawn(&self, task: NonNull<Header>) {
        let published = &self.shared.published;
        published.spawned.store(published.spawned.load(Ordering::Relaxed) + 1, Ordering::Release);
        // SAFETY: just made, ours until it is queued.
        let header = unsafe { task.as_ref() };
        header.family.set(self.family() as u32);
        if self.accepted.get() == Some(self.family()) {
            header.flags.set(header.flags.get() | SERVES);
        }
        header.sibling.set(self.burst.siblings.get() as u16);
        self.burst.siblings.set(self.burst.siblings.get().wrapping_add(1));
        if self.noting.get() != 0 {
            self.note_spawn(header);
        }
        let placement = header.extra.get().map_or(crate::Placement::Auto, |extra| extra.placement);
        // SAFETY: unstarted and in no queue.
        unsafe {
            match placement {
                crate::Placement::Auto if header.has_flag(PINNED) => self.queue.push(task.as_ptr()),
                crate::Placement::Auto => {
                    self.fresh.push(Fresh(task));
                    if self.runtime.sleepers.want_to_know() {
                        self.consider_waking();
                    }
                }
                crate::Placement::Near => self.queue.push(task.as_ptr()),
                crate::Placement::Spread => {
                    header.flags.set(header.flags.get() | SPREAD);
                    let workers = self.runtime.active_workers();
                    let load = |worker| match self.runtime.worker(worker) {
                        Some(shared) => shared.load(),
                        None => u32::MAX / 2,
                    };
                    let mut placer = Placer::new(self.index);
                    let target = placer.choose(Kind::Working, 0, 0, self.index, workers, load);
                    let is_told =
                        self.runtime.worker(target).is_some_and(|shared| shared.sleep.looks_asleep());
                    if !self.hand_to(target, Fresh(task)) {
                        // Counted here too, or a batch that one burst spreads would all stay.
                        self.shared.hand(Fresh(task));
                    }
                    // Who has it now may be kept.
                    if !is_told && self.runtime.sleepers.want_to_know() {
                        self.consider_waking();
                    }
                }
            }
        }
    }

    /// Where stolen tasks start: here. Where those start that are spawned at a retired spare: elsewhere.
    #[cold]
    pub(super) fn place_loot(&self) -> usize {
        if self.is_retired() && !self.runtime.is_stopping() {
            return self.least_loaded().unwrap_or(self.index);
        }
        self.has_loot.set(!self.fresh.is_empty());
        self.index
    }

    /// The least loaded of the workers that take new work and are not stuck, as far as is known.
    #[cold]
    pub(super) fn least_loaded(&self) -> Option<usize> {
        let runtime = &self.runtime;
        let all = (0..runtime.active_workers()).filter_map(|index| Some((index, runtime.worker(index)?)));
        let free = all.filter(|(_, shared)| !shared.is_stuck(runtime.number));
        free.min_by_key(|(_, shared)| shared.load()).map(|(index, _)| index)
    }

    /// A number for a new goroutine: numbers are unique in the process and handed to workers in blocks.
    pub(in crate::sched) fn next_id(&self) -> u64 {
        let (mut next, mut end) = self.ids.get();
        if next == end {
            (next, end) = crate::sched::id_block();
        }
        self.ids.set((next + 1, end));
        next
    }

    /// Gives everything back; nothing runs here any more.
    pub(super) fn leave(&self) {
        // Whoever has asked before it was known that all is over waits for an answer.
        if self.is_asked() {
            self.answer_census(self.runtime.census_asked.load(Ordering::SeqCst));
        }
        self.end_runners(self.runners.take().into_iter().chain(self.reserve.take()).collect());
        self.runtime.stacks.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Runtime, go};
    use std::sync::atomic::AtomicBool;

    /// Whether what the caller starts now is taken for what serves a connection.
    fn serves() -> bool {
        let asks = || {
            let Goroutine(task) = crate::sched::current_goroutine().unwrap();
            // SAFETY: it is the running goroutine's.
            unsafe { task.as_ref() }.has_flag(SERVES)
        };
        go(asks).join().unwrap()
    }

    #[test]
    fn what_is_started_in_the_burst_of_an_accept_serves_and_nothing_that_is_started_later() {
        Runtime::builder().workers(1).build().unwrap().run(|| {
            assert!(!serves());
            crate::sched::note_accepted();
            assert!(serves());
            // To join it has ended the burst. Of each two bursts one is ours.
            (0..40_000).for_each(|round| assert!(!serves(), "round {round}"));
        });
    }

    /// How many times in a row `operation` does not make the goroutine that runs yield, and the next one does.
    fn until_it_yields(operation: impl Fn(&Worker)) -> usize {
        let yields = || crate::sched::with_worker(|worker| worker.unwrap().shared.counters.yields.get());
        let before = yields();
        (0..10 * BUDGET as usize)
            .take_while(|_| {
                crate::sched::with_worker(|worker| operation(worker.unwrap()));
                yields() == before
            })
            .count()
    }

    /// Also one that begins without the loop.
    #[test]
    fn a_burst_may_do_as_much_as_its_budget_says_and_no_more() {
        Runtime::builder().workers(1).build().unwrap().run(|| {
            let is_over = AtomicBool::new(false);
            crate::scope(|s| {
                s.go(|| {
                    while !is_over.load(Ordering::Relaxed) {
                        crate::yield_now();
                    }
                });
                let ways: [fn(&Worker); 3] =
                    [Worker::spend_budget, Worker::spend_budget_on_call, |worker| _ = worker.poll_budget()];
                let [all, calls] = [BUDGET - 1, BUDGET / CALL - 1].map(|count| count as usize);
                for round in 0..200 {
                    // And back from the other one, as a rule.
                    crate::yield_now();
                    let counts = ways.map(until_it_yields);
                    // Or the other one would go on for ever.
                    is_over.store(counts != [all, calls, all], Ordering::Relaxed);
                    assert_eq!(counts, [all, calls, all], "round {round}");
                }
                is_over.store(true, Ordering::Relaxed);
            });
        });
    }

    #[test]
    fn a_poll_whose_budget_is_used_up_is_told_so_some_times_and_then_goes_on() {
        Runtime::builder().workers(1).build().unwrap().run(|| {
            let asked = crate::go_async(async {
                let answer = || crate::sched::poll_budget();
                // How many answers in a row are these.
                let row = |wanted| (0..).take_while(|_| answer() == wanted).count() as i32;
                [row(true), row(false), row(true), row(false)]
            });
            // (The one with which a row ends belongs to the next one; and the first after the refusals begins the budget anew.)
            assert_eq!(asked.join().unwrap(), [BUDGET - 1, REFUSALS - 1, BUDGET - 1, REFUSALS - 1]);
        });
    }

    /// Also in a burst that begins without the loop.
    #[test]
    fn what_is_started_in_a_burst_is_numbered_from_the_first() {
        let number = || {
            let Goroutine(task) = crate::sched::current_goroutine().unwrap();
            // SAFETY: it is the running goroutine's.
            unsafe { task.as_ref() }.sibling.get()
        };
        Runtime::builder().workers(1).build().unwrap().run(|| {
            let is_over = AtomicBool::new(false);
            crate::scope(|s| {
                s.go(|| {
                    while !is_over.load(Ordering::Relaxed) {
                        crate::yield_now();
                    }
                });
                for round in 0..200 {
                    // And back from the other one, as a rule.
                    crate::yield_now();
                    let siblings = [go(number), go(number), go(number)];
                    let numbers = siblings.map(|sibling| sibling.join().unwrap());
                    // Or the other one would go on for ever.
                    is_over.store(numbers != [0, 1, 2], Ordering::Relaxed);
                    assert_eq!(numbers, [0, 1, 2], "round {round}");
                }
                is_over.store(true, Ordering::Relaxed);
            });
        });
    }
}
