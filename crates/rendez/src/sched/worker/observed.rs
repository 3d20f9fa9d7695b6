//! Bursts that are looked at: timed, for what is known of their spawn sites; sampled, for how long wake-ups take; or recorded, for a
//! [`trace`].
//!
//! All of it hangs on one question that the loop asks before each burst, whether [`curious`](Worker) is not zero: so what is not
//! asked for costs nothing there. Who wakes others has to be asked for as well while such a burst runs: then [`NOBODY`] stands in place
//! of the task that was woken last, so that the first wake-up takes the way of the second one, where that is asked.

use super::*;
use crate::{
    diag::trace::{self, Record, Ring},
    sched::shared::RingOfWorker,
};

/// A bit of `curious`: all bursts are recorded. The others count those that are still to be timed.
pub(super) const TRACED: u32 = 1 << 31;
/// Bits of `noting`: what is done with who is woken.
const PROBED: u8 = 1;
const RECORDED: u8 = 2;

impl Worker {
    /// Runs `task` for a burst that is looked at. `curious` is as it was when that was decided.
    ///
    /// # Safety
    /// As in [`execute`](Worker::execute), of which this is a part.
    #[inline(never)]
    pub(super) unsafe fn observe(
        &self,
        task: *mut Header,
        fiber: *mut Fiber,
        order: Order,
        tick: u32,
        curious: u32,
    ) -> Suspend {
        let left = curious & !TRACED;
        let is_timed = tick.is_multiple_of(SAMPLE_EVERY) || left > 0;
        if left > 0 {
            self.curious.set(curious - 1);
        }
        // SAFETY: passed on.
        unsafe {
            match self.trace.get() {
                Some(ring) => self.record(ring, task, fiber, order, is_timed.then_some(tick)),
                None => self.time(task, fiber, order, tick),
            }
        }
    }

    /// As [`observe`](Self::observe): times the burst.
    unsafe fn time(&self, task: *mut Header, fiber: *mut Fiber, order: Order, tick: u32) -> Suspend {
        // SAFETY: as in `execute`; nothing is read of the task after it may have ended.
        unsafe {
            let (site, first) = ((*task).site, !(*fiber).owned.get());
            let is_poll = (*task).has_flag(ASYNC);
            self.spent_waking.set(Duration::ZERO);
            self.calls.set(0);
            if tick.is_multiple_of(LATENCY_EVERY) {
                self.note_wakes(PROBED);
            }
            let start = Instant::now();
            let suspended = Fiber::resume(fiber, order);
            let (burst, waking) = (start.elapsed(), self.spent_waking.get());
            self.stop_noting();
            self.slow.set(burst >= placement::CHATTY);
            // Waking other workers is not the goroutine's work: if it counted, goroutines that talk across workers would
            // pass for working ones and be placed apart again. Nor can it be told apart from what the kernel does then.
            let short = burst.saturating_sub(IN_CALL * self.calls.get()) < placement::CHATTY;
            if if short { !first } else { waking.is_zero() } {
                placement::learn(site, burst);
            }
            if is_poll {
                self.note_poll(site);
            }
            suspended
        }
    }

    /// As [`observe`](Self::observe): records the burst, and times it at this tick.
    unsafe fn record(
        &self,
        ring: &Ring,
        task: *mut Header,
        fiber: *mut Fiber,
        order: Order,
        timed_at: Option<u32>,
    ) -> Suspend {
        // SAFETY: as in `execute`; nothing is read of the task after it may have ended.
        unsafe {
            let header = &*task;
            if let Some(extra) = header.extra.get()
                && let Some(name) = &extra.name
                && extra.told.get() != trace::round()
            {
                extra.told.set(trace::tell_name(header.id, name));
            }
            let (goroutine, site) = (header.id, ptr::from_ref(header.site).expose_provenance());
            self.note_wakes(RECORDED);
            let begin = trace::ticks();
            let suspended = match timed_at {
                Some(tick) => self.time(task, fiber, order, tick),
                None => Fiber::resume(fiber, order),
            };
            let length = trace::ticks().saturating_sub(begin);
            self.stop_noting();
            let end = match suspended {
                Suspend::Idle => Record::ENDED,
                Suspend::Polled => Record::PENDING,
                Suspend::Parked => {
                    (*fiber).reason().map_or(Record::YIELDED, |reason| Record::PARKED + reason as u8)
                }
            };
            ring.push(Record::Run { begin, length, goroutine, site, end });
            suspended
        }
    }

    /// From now on, who is woken is noted.
    fn note_wakes(&self, what: u8) {
        // A clock that a test bends tells nothing of latencies.
        if self.harness.is_none() {
            self.noting.set(self.noting.get() | what);
            if self.woken.get().is_null() {
                self.woken.set(NOBODY);
            }
        }
    }

    fn stop_noting(&self) {
        self.noting.set(0);
        if ptr::eq(self.woken.get(), NOBODY) {
            self.woken.set(ptr::null_mut());
        }
    }

    /// Something is noted: `task` is woken, at this worker.
    #[cold]
    pub(super) fn note_wake(&self, task: *const Header) {
        self.note_any_wake(task, self.shared);
    }

    /// `task` is about to be queued at another worker.
    #[inline]
    pub(in crate::sched) fn note_remote_wake(&self, task: *const Header, home: &WorkerShared) {
        if self.noting.get() != 0 {
            self.note_any_wake(task, home);
        }
    }

    #[cold]
    fn note_any_wake(&self, task: *const Header, home: &WorkerShared) {
        if self.noting.get() & PROBED != 0 {
            home.counters.set_probe(task.cast_mut());
        }
        // SAFETY: who is woken has not ended, and does not before it is queued, which is after this.
        self.record_if_traced(|| Record::Wake { goroutine: unsafe { (*task).id } });
    }

    /// An async goroutine is about to be queued here, and something is noted.
    #[cold]
    pub(super) fn note_async_wake(&self, task: *const Header) {
        // SAFETY: as above.
        self.record_if_traced(|| Record::Wake { goroutine: unsafe { (*task).id } });
    }

    /// A goroutine is about to be queued for the first time, and something is noted.
    #[cold]
    pub(super) fn note_spawn(&self, task: &Header) {
        self.record_if_traced(|| Record::Spawn {
            at: trace::ticks(),
            goroutine: task.id,
            site: ptr::from_ref(task.site).expose_provenance(),
        });
    }

    fn record_if_traced(&self, record: impl FnOnce() -> Record) {
        if self.noting.get() & RECORDED != 0
            && let Some(ring) = self.trace.get()
        {
            ring.push(record());
        }
    }

    /// Begins to record, or ends it, if that has been asked for.
    #[inline]
    pub(in crate::sched) fn heed_trace(&self) {
        if trace::is_on() != self.trace.get().is_some() {
            self.change_trace();
        }
    }

    #[cold]
    fn change_trace(&self) {
        let curious = self.curious.get();
        if !trace::is_on() {
            self.trace.set(None);
            self.curious.set(curious & !TRACED);
        } else if self.harness.is_none() {
            let ring = RingOfWorker::obtain(self.shared, self.runtime.number, self.index);
            self.trace.set(Some(ring));
            self.curious.set(curious | TRACED);
        }
    }
}
