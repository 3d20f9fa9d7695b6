//! A worker's own timers: the time limits of the goroutines that are parked on it. Only the worker touches them, so they need
//! no lock. What others may set or clear is in [`alarms`](super::alarms).
//!
//! A timer lies in the books of its goroutine's fiber, and not in the frame that waits: these lie close together, and of a goroutine
//! that only sleeps nothing else is touched when its time has come. Its wait is decided by nobody but the timer, a shutdown,
//! and so by this thread alone; so who fires it leaves that to the goroutine, which is about to touch its stack anyway.
//! (Measured: when 200,000 sleep, each pays for one miss of the TLB less.)

use super::deadlines::{Deadlines, SLOTS, Slot};
use crate::{primitives::prefetch, task::Header, time::Instant, wait::Waiter};
use std::{
    cell::{Cell, UnsafeCell},
    ptr,
};

const NOWHERE: Slot = SLOTS;

/// The time limit of a goroutine, while it is parked with one, and what is to be woken by it.
#[derive(Debug)]
pub(crate) struct Timer {
    slot: Cell<Slot>,
    /// Its goroutine waits for nothing but this.
    alone: Cell<bool>,
    /// Its time has come, and its goroutine is in the run queue since.
    queued: Cell<bool>,
    /// What the goroutine waits for, while it does, with a time limit or without.
    pub(crate) waiter: Cell<*const Waiter>,
    /// From its start to its end.
    pub(crate) task: Cell<*const Header>,
}

impl Timer {
    pub(crate) const fn new() -> Timer {
        Timer {
            slot: Cell::new(NOWHERE),
            alone: Cell::new(false),
            queued: Cell::new(false),
            waiter: Cell::new(ptr::null()),
            task: Cell::new(ptr::null()),
        }
    }

    /// Whether its goroutine is parked with a time limit that has not passed.
    pub(super) fn is_set(&self) -> bool {
        self.slot.get() != NOWHERE
    }

    pub(super) fn is_alone(&self) -> bool {
        self.alone.get()
    }

    pub(super) fn set_alone(&self, alone: bool) {
        self.alone.set(alone);
    }

    /// Notes whether its goroutine has been queued by it; what was noted before.
    pub(super) fn note_queued(&self, queued: bool) -> bool {
        self.queued.replace(queued)
    }

    /// Its goroutine only sleeps, and is awake but for running: it is queued.
    pub(super) fn has_ended_sleep(&self) -> bool {
        self.alone.get() && self.slot.get() == NOWHERE
    }
}

/// The heap. Its methods never call out, so the cell is never borrowed twice.
#[derive(Debug)]
pub(super) struct Timers {
    heap: UnsafeCell<Deadlines<*const Timer>>,
}

impl Timers {
    pub(super) const fn new() -> Self {
        Timers { heap: UnsafeCell::new(Deadlines::new()) }
    }

    #[allow(clippy::mut_from_ref, reason = "the borrow ends inside each method; see the type")]
    fn heap(&self) -> &mut Deadlines<*const Timer> {
        // SAFETY: one thread (the type is not `Sync`), and no method calls another that borrows while it borrows.
        unsafe { &mut *self.heap.get() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.heap().is_empty()
    }

    pub(super) fn len(&self) -> u64 {
        self.heap().len() as u64
    }

    pub(super) fn next_deadline(&self) -> Option<u64> {
        self.heap().next()
    }

    /// # Safety
    /// `timer` stays where it is until it has fired or been removed.
    #[inline]
    pub(super) unsafe fn set(&self, timer: &Timer, deadline: Instant) {
        timer.slot.set(self.heap().push(deadline.nanos(), timer));
    }

    #[inline]
    pub(super) fn remove(&self, timer: &Timer) {
        let slot = timer.slot.replace(NOWHERE);
        if slot != NOWHERE {
            self.heap().remove(slot);
        }
    }

    /// How many are due.
    #[cfg(feature = "testing")]
    pub(super) fn count_due(&self, now: u64) -> usize {
        self.heap().count_due(now)
    }

    /// Takes out one of those that are due.
    #[cfg(feature = "testing")]
    pub(super) fn take_nth_due(&self, now: u64, nth: usize) -> Option<*const Timer> {
        let timer = self.heap().pop_nth_due(now, nth)?;
        // SAFETY: a timer stays where it is while it is in the heap, and nothing has run since.
        unsafe { (*timer).slot.set(NOWHERE) };
        Some(timer)
    }

    /// Takes timers that are due out, the earliest first, as many as `due` has room for; how many there were.
    ///
    /// What a timer leads to has not been touched for as long as it was set: it is fetched for several at once, in as many steps as
    /// there are pointers to follow.
    pub(super) fn take_due(&self, now: u64, due: &mut [*const Timer]) -> usize {
        let heap = self.heap();
        let mut len = 0;
        while len < due.len()
            && let Some(timer) = heap.pop_due(now)
        {
            prefetch(timer);
            due[len] = timer;
            len += 1;
        }
        for &timer in &due[..len] {
            // SAFETY: a timer stays where it is while it is in the heap, and nothing has run since.
            let timer = unsafe { &*timer };
            timer.slot.set(NOWHERE);
            prefetch(timer.task.get());
            if !timer.is_alone() {
                prefetch(timer.waiter.get());
            }
        }
        len
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn timers_come_out_in_order_and_removed_ones_do_not() {
        let timers = Timers::new();
        let start = Instant::now();
        let mut random = fastrand::Rng::with_seed(7);
        let nodes: Vec<Timer> = (0..2000).map(|_| Timer::new()).collect();
        let mut expected = Vec::new();
        for (i, node) in nodes.iter().enumerate() {
            let delay = random.u64(0..500);
            // SAFETY: `nodes` is not touched until the heap is gone.
            unsafe { timers.set(node, start + Duration::from_millis(delay)) };
            if i % 3 != 0 {
                expected.push((delay, i));
            }
        }
        for node in nodes.iter().step_by(3) {
            timers.remove(node);
            timers.remove(node);
        }
        expected.sort_unstable();
        let mut seen = Vec::new();
        for ms in 0..500 {
            let mut due = [ptr::null(); 5];
            loop {
                let len = timers.take_due((start + Duration::from_millis(ms)).nanos(), &mut due);
                for &timer in &due[..len] {
                    let index = nodes.iter().position(|node| ptr::eq(node, timer)).unwrap();
                    seen.push((ms, index));
                }
                if len < due.len() {
                    break;
                }
            }
        }
        assert_eq!(seen, expected);
        assert!(timers.is_empty());
    }
}
