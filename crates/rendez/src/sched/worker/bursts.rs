//! Bursts: what a goroutine does from when it is resumed to when it suspends, or ends.
//!
//! One burst follows another through the loop; or, where the loop would do nothing in between, directly: who suspends goes to the
//! stack of the next one.

use super::*;

impl Worker {
    /// Starts or resumes `task` and sees to what it leaves behind.
    #[inline(always)]
    pub(super) fn execute(&self, task: *mut Header, tick: u32) {
        // SAFETY: what comes out of a queue is unfinished, and this is its worker (or it has none yet).
        unsafe {
            let mut fiber = (*task).fiber.get();
            if fiber.is_null() {
                fiber = match self.prepare(task) {
                    Some(fiber) => fiber,
                    None => return,
                };
            }
            self.burst_begins(task, fiber, tick, self.full_budget.get());
            if self.shared.counters.is_probe(task) {
                self.shared.counters.take_probe();
            }
            let order = Order { task, cancelled: self.runtime.is_stopping() };
            let curious = self.curious.get();
            let suspended = if is_sampled(tick) || curious > 0 {
                self.observe(task, fiber, order, tick, curious)
            } else {
                // Not who parks for the first time, whose stack is to become his own.
                if (*fiber).owned.get() && !order.cancelled && self.may_pass(tick) {
                    self.loop_at.set(LOOKS_AROUND - 1);
                }
                let suspended = Fiber::resume(fiber, order);
                self.pass_no_more();
                suspended
            };
            // It may have passed on to others, of whom this is the last.
            let (fiber, tick) = (self.fiber.get(), self.tick.get());
            self.burst_ends(tick);
            let task = self.current.replace(ptr::null());
            match suspended {
                Suspend::Parked => {
                    if !(*fiber).owned.get() {
                        self.own(fiber, task.cast_mut());
                    }
                }
                Suspend::Idle => {
                    self.note_finished();
                    self.vacated(fiber);
                }
                Suspend::Polled => {
                    self.shared.counters.async_polls.add(1);
                    self.vacated(fiber);
                }
            }
        }
    }

    /// `task` is about to go on, with this `budget`.
    ///
    /// # Safety
    /// It is unfinished, and this is its worker and its fiber.
    #[inline(always)]
    unsafe fn burst_begins(&self, task: *const Header, fiber: *mut Fiber, tick: u32, budget: i32) {
        self.current.set(task);
        self.fiber.set(fiber);
        self.burst.budget.set(budget);
        self.burst.siblings.set(0);
        let shared = self.shared;
        // What is said above of what runs is there for a handler that sees the number.
        compiler_fence(Ordering::Release);
        shared.published.switches.store(tick.wrapping_mul(2) | 1, Ordering::Relaxed);
    }

    /// What has run suspends. A handler that sees the number looks no more at what is said of it.
    #[inline(always)]
    fn burst_ends(&self, tick: u32) {
        self.shared.published.switches.store(tick.wrapping_mul(2), Ordering::Relaxed);
        compiler_fence(Ordering::Release);
    }

    /// Whether something runs here, and is not just passing on to another one. For a handler on this thread.
    pub(in crate::sched) fn is_within_burst(&self) -> bool {
        self.shared.published.switches.load(Ordering::Relaxed) == self.tick.get().wrapping_mul(2) | 1
    }

    /// Whether a goroutine that has started is ready here.
    #[inline(always)]
    pub(in crate::sched) fn has_started(&self) -> bool {
        !self.woken.get().is_null() || !self.queue.is_empty()
    }

    /// Whether bursts may follow each other without the loop until it looks around: nothing is to be seen at each one's end, and nobody waits whom the
    /// loop alone begins.
    #[inline(always)]
    fn may_pass(&self, tick: u32) -> bool {
        self.slow.get() == 0
            && self.harness.is_none()
            && !self.polls.has_any()
            && !(self.is_fresh_turn(tick) && self.has_fresh())
    }

    /// The burst that runs is the last one before the loop.
    #[inline(always)]
    pub(super) fn pass_no_more(&self) {
        self.loop_at.set(ALWAYS);
    }

    /// The goroutine that runs is about to suspend. If the loop would do nothing then but to resume another one, that is what runs from now on,
    /// and its fiber is returned, to be gone to at once; else null: the loop is to go on.
    ///
    /// What the loop does before and after a burst is done here, in its order: see [`execute`](Worker::execute). The bursts at whose end this
    /// is asked, and those that it begins, are neither timed nor recorded.
    ///
    /// What is asked at each is as little as can be: all that changes rarely is put into `loop_at` when it changes.
    #[inline(never)]
    pub(super) fn pass_on(&self) -> *const Fiber {
        let tick = self.tick.get().wrapping_add(1);
        if rarely(!CAN_PASS || tick & self.loop_at.get() == 0) || rarely(self.shared.inbox.looks_filled()) {
            return ptr::null();
        }
        let woken = self.woken.get();
        if !woken.is_null() {
            let streak = self.streak.get();
            if rarely(streak >= STREAK) {
                return ptr::null();
            }
            // SAFETY: who has been woken and has not run lives.
            let fiber = unsafe { (*woken).fiber.get() };
            if rarely(self.is_not_to_be_gone_to(fiber)) {
                return ptr::null();
            }
            self.woken.set(ptr::null_mut());
            self.streak.set(streak + 1);
            // SAFETY: it has just been taken out of its place, and has a fiber: it is owned, and this worker's.
            return unsafe { self.passes_to(woken, fiber, tick, || false) };
        }
        let next = self.queue.oldest();
        if rarely(next.is_null()) {
            return ptr::null();
        }
        // SAFETY: what is queued lives.
        let fiber = unsafe { (*next).fiber.get() };
        if rarely(self.is_not_to_be_gone_to(fiber)) {
            return ptr::null();
        }
        self.queue.pop();
        self.streak.set(0);
        // SAFETY: as above.
        unsafe { self.passes_to(next, fiber, tick, || self.queue.has_two()) }
    }

    /// Whether one that is next has not begun, or is who asks.
    #[inline(always)]
    fn is_not_to_be_gone_to(&self, fiber: *mut Fiber) -> bool {
        fiber.is_null() || ptr::eq(fiber, self.fiber.get())
    }

    /// The burst of who runs ends, and that of `task` begins; returns its fiber. If it `is_to_fetch` for others, does that.
    ///
    /// (That nothing runs is not said in between: see [`interrupted`](crate::sched::interrupted).)
    ///
    /// # Safety
    /// As for [`burst_begins`](Self::burst_begins).
    #[inline(always)]
    unsafe fn passes_to(
        &self,
        task: *const Header,
        fiber: *mut Fiber,
        tick: u32,
        is_to_fetch: impl FnOnce() -> bool,
    ) -> *const Fiber {
        let shared = self.shared;
        self.tick.set(tick);
        // Before a handler may see the name of the one with the stack of the other.
        compiler_fence(Ordering::Release);
        // SAFETY: passed on. (Where there is another budget there is a harness, and nobody passes.)
        unsafe { self.burst_begins(task, fiber, tick, BUDGET - 1) };
        // What is called last, and returns what it finds itself, costs nothing where it is not called, not even registers to be saved.
        if rarely(shared.counters.is_probe(task)) {
            return self.meet_probe();
        }
        if is_to_fetch() {
            return self.fetch();
        }
        fiber
    }

    /// Whether it is the turn of an unstarted goroutine.
    #[inline(always)]
    pub(super) fn is_fresh_turn(&self, tick: u32) -> bool {
        tick.wrapping_sub(self.fresh_tick.get()) >= FRESH_EVERY
    }

    /// Whether there is one to start here.
    fn has_fresh(&self) -> bool {
        !self.fresh.is_empty() || self.shared.burden.incoming.load(Ordering::Relaxed) > 0
    }

    /// Fetches ahead for those that come after who runs from now on, whose fiber it returns.
    #[inline(never)]
    fn fetch(&self) -> *const Fiber {
        self.prefetch(self.tick.get());
        self.fiber.get()
    }

    /// Who runs from now on is the probe.
    #[cold]
    #[inline(never)]
    fn meet_probe(&self) -> *const Fiber {
        self.shared.counters.take_probe();
        self.fiber.get()
    }
}

#[cfg(test)]
mod tests {
    use super::LOOKS_AROUND;
    use crate::{Runtime, sched};
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
        mpsc,
    };

    #[test]
    fn a_handler_sees_who_runs_and_nobody_where_one_passes_on_to_another() {
        // SAFETY: as in a handler.
        let seen = || unsafe { sched::interrupted() }.map(|(task, _)| task.id);
        Runtime::builder().workers(1).build().unwrap().run(|| {
            crate::scope(|s| {
                for _ in 0..2 {
                    s.go(|| {
                        for _ in 0..100 {
                            assert_eq!(seen(), sched::current_id());
                            sched::with_worker(|worker| {
                                let tick = &worker.unwrap().tick;
                                let now = tick.replace(tick.get().wrapping_add(1));
                                let passing = seen();
                                tick.set(now);
                                assert_eq!(passing, None);
                            });
                            crate::yield_now();
                        }
                    });
                }
            });
        });
    }

    /// Who was passed to does not ask whether the runtime stops: the loop sees to it that nobody is any more.
    #[test]
    fn a_shutdown_ends_those_who_yield_to_each_other_within_the_turns_up_to_the_next_look() {
        let runtime = Runtime::builder().workers(1).build().unwrap();
        let turns = Arc::new(AtomicU32::new(0));
        let (begun, has_begun) = mpsc::channel();
        for _ in 0..100 {
            let (turns, begun) = (turns.clone(), begun.clone());
            drop(runtime.spawn(move || {
                crate::yield_now();
                begun.send(()).unwrap();
                loop {
                    let stops = sched::with_worker(|worker| worker.unwrap().runtime.is_stopping());
                    turns.fetch_add(u32::from(stops), Ordering::Relaxed);
                    crate::yield_now();
                }
            }));
        }
        (0..100).for_each(|_| has_begun.recv().unwrap());
        runtime.shutdown();
        let turns = turns.load(Ordering::Relaxed);
        assert!(turns <= 2 * LOOKS_AROUND, "{turns} turns");
    }
}
