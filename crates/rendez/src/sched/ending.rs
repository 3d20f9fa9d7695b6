//! A worker's part in its runtime's shutdown; the order of it is described at the head of [`runtime`](super::runtime).

use super::{
    counters::Tally,
    high_water,
    runtime::Shared,
    shared::{WorkerShared, with_counted},
    worker::Worker,
};
use crate::{
    task::{fiber::Fiber, header},
    wait::Reason,
};
use std::{
    io::Write,
    ptr::NonNull,
    sync::atomic::{Ordering, fence},
    time::Duration,
};

/// How often a worker looks again while its runtime shuts down.
const RETRY: Duration = Duration::from_millis(1);
/// After this many fruitless looks, what is still parked in a destructor is left behind.
const PATIENCE: u32 = 2000;

impl Worker {
    /// Ends the waits of all parked goroutines that may be unwound. Once: who would park after that is refused, and who may
    /// not be unwound now may not as long as he stays parked. (A look at all of them every few switches would take a million
    /// goroutines half an hour.)
    pub(super) fn cancel_parked(&self) {
        if cfg!(panic = "abort") || self.cancelled.replace(true) {
            return;
        }
        let mut fiber = self.owned.get();
        while !fiber.is_null() {
            // SAFETY: fibers in the list are there; a waiter that is set is in the frame of the parked goroutine.
            unsafe {
                let this = &*fiber;
                let waiter = this.timer.waiter.get();
                if !waiter.is_null()
                    && !this.timer.has_ended_sleep()
                    && this.reason().is_none_or(Reason::is_interruptible)
                    && !this.unwinding.get()
                    && (*waiter).cancel()
                {
                    self.timers.remove(&this.timer);
                    self.shared.counters.cancelled.add(1);
                    self.queue.push(this.timer.task.get().cast_mut());
                }
                fiber = this.next.get();
            }
        }
    }

    /// Leaves behind the goroutines that can't be ended, tells of them, and completes them as cancelled. A goroutine whose
    /// wake-up is on its way is not one of them. Nothing of an abandoned goroutine's frames is freed, so that nodes that
    /// are still queued somewhere stay valid; their waits are decided, so that nobody wakes it.
    pub(super) fn abandon_parked(&self) {
        let mut next = self.owned.get();
        while let Some(fiber) = NonNull::new(next) {
            let fiber = fiber.as_ptr();
            // SAFETY: in the list, and this worker's; a waiter that is set is in the parked frame. After the
            // cancellation nothing leads to the goroutine any more, and it is not resumed.
            unsafe {
                next = (*fiber).next.get();
                let timer = &(*fiber).timer;
                let waiter = timer.waiter.get();
                if waiter.is_null() || timer.has_ended_sleep() || !(*waiter).cancel() {
                    continue;
                }
                self.timers.remove(timer);
                let task = timer.task.get();
                if cfg!(panic = "unwind") {
                    let _ = writeln!(
                        std::io::stderr(),
                        "rendez: {} (created at {}) waits in a destructor and can't be ended: its stack is left behind",
                        (*task).title(),
                        (*task).site
                    );
                }
                if let Some(reason) = (*fiber).reason() {
                    let counters = &self.shared.counters;
                    counters.cancelled.add(1);
                    counters.ended_waits[reason as usize].add(1);
                }
                self.disown(fiber);
                if (*fiber).measured.get() {
                    high_water::take(&*fiber);
                }
                header::abandon_parked(task);
                Fiber::abandon(fiber);
            }
            self.note_finished();
        }
    }

    pub(super) fn has_parked(&self) -> bool {
        !self.owned.get().is_null()
    }

    /// Nothing to run, and the runtime shuts down: ends when every task of the runtime has.
    pub(super) fn idle_stopping(&self) -> bool {
        let runtime = &self.runtime;
        let mut fruitless = 0;
        let mut seen = runtime.progress();
        loop {
            if runtime.is_quiescent() {
                runtime.exit.store(true, Ordering::SeqCst);
                runtime.wake_all();
                return true;
            }
            if runtime.exit.load(Ordering::SeqCst) {
                return true;
            }
            if self.find_work() {
                return false;
            }
            if cfg!(panic = "abort") {
                self.abandon_parked();
            }
            self.shared.published.timed.store(!self.timers.is_empty(), Ordering::Relaxed);
            self.shared.sleep.sleep(|| !self.shared.inbox.is_empty(), || Some(RETRY));
            let progress = runtime.progress();
            fruitless = if progress == seen && !runtime.is_busy() { fruitless + 1 } else { 0 };
            seen = progress;
            if fruitless > PATIENCE {
                if self.has_parked() {
                    self.abandon_parked();
                } else {
                    while self.drop_starved_here() {}
                }
            }
        }
    }
}

impl Shared {
    /// A worker has left. The last one gives back what others saw of them all. Until then those that are still awake, or wake only
    /// now, look for work and for overdue alarms there, and must not find another runtime's, whose time may be another one.
    pub(super) fn note_left(&self) {
        // Who has seen that the runtime stops sees all workers that have been started.
        fence(Ordering::Acquire);
        let started = self.started_workers();
        if self.left.fetch_add(1, Ordering::AcqRel) + 1 == started {
            (0..started).filter_map(|index| self.worker(index)).for_each(WorkerShared::retire);
        }
    }

    /// Whether all workers have left: what others saw of them is other workers' now, or will be.
    pub(super) fn has_ended(&self) -> bool {
        self.left.load(Ordering::Acquire) == self.started_workers()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let (spawned, ended) = self.foreign_counts();
        with_counted(|counted| {
            *counted = counted.plus(&Tally { spawned, ended, ..Tally::NOTHING });
        });
    }
}
