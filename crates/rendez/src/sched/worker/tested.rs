//! For the [harness](super::super::harness): a worker under test.

use super::*;

impl Worker {
    /// As [`next`](Self::next).
    pub(in crate::sched) fn next_by_habit(&self, tick: u32) -> Option<*mut Header> {
        self.next(tick)
    }

    /// Takes something that can run out of the queues, in no order that matters.
    pub(in crate::sched) fn take_any(&self) -> Option<*mut Header> {
        let woken = self.woken.replace(ptr::null_mut());
        if !woken.is_null() {
            return Some(woken);
        }
        let other = self.queue.pop().or_else(|| self.polls.take());
        other.or_else(|| self.fresh.pop().or_else(|| self.shared.take_handed()).map(|task| task.0.as_ptr()))
    }

    /// Whether there may be something in the queues that can run.
    #[inline]
    pub(in crate::sched) fn has_news(&self) -> bool {
        self.has_woken()
            || !self.queue.is_empty()
            || !self.fresh.is_empty()
            || self.polls.len() > 0
            || !self.shared.inbox.is_empty()
            || self.shared.burden.incoming.load(Ordering::Relaxed) > 0
            || !self.runtime.injector.is_empty()
            || !self.runtime.woken.is_empty()
    }

    /// Of the timers and alarms that are due, the one that `pick` chooses strikes.
    pub(in crate::sched) fn fire_one(&self, pick: impl FnOnce(usize) -> usize) {
        let (now, alarms) = (Instant::now().nanos(), &self.shared.alarms);
        let timers = self.timers.count_due(now);
        let chosen = pick(timers + alarms.count_due(now));
        match self.timers.take_nth_due(now, chosen) {
            Some(timer) => _ = self.time_out(timer),
            None => alarms.fire_nth(now, chosen - timers),
        }
    }

    /// Leaves the running goroutine until it is resumed.
    ///
    /// # Safety
    /// Whoever resumes it has been told of it, and does so after this.
    #[inline]
    pub(in crate::sched) unsafe fn leave_to_others(&self) {
        // SAFETY: it is the running goroutine's fiber; the rest is passed on.
        unsafe { self.suspend(self.fiber.get(), self.is_unwinding(), self.has_started()) };
    }

    /// Runs `task` for a burst that is not timed.
    pub(in crate::sched) fn execute_one(&self, task: *mut Header) {
        self.tick.set(1);
        self.execute(task, 1);
    }

    /// What a burst may spend; `None` for the usual.
    pub(in crate::sched) fn set_budget(&self, budget: Option<i32>) {
        self.full_budget.set(budget.unwrap_or(BUDGET) - 1);
    }
}
