//! How many workers of a runtime sleep, and whether anybody is to be told of new work: in one word, since each spawn asks
//! for the latter, which is one comparison.
//!
//! | bits | what | written by |
//! | --- | --- | --- |
//! | the lowest 12 | surplus workers that sleep. Who offers work to all does not wake them | each, as it goes to sleep and when it has slept |
//! | the next 12 | active workers that sleep | the same |
//! | one more | the [monitor](super::monitor) rests though some worker is kept | the monitor |
//!
//! A worker counts itself as what it took itself for when it last looked around. If that has changed by then, it does not
//! sleep but looks around again; if it changes later, it is notified: so nobody who sleeps is counted wrongly for long.
#![forbid(unsafe_code)]

use super::config::MAX_WORKERS;
use std::sync::atomic::{AtomicU32, Ordering};

const SURPLUS: u32 = 1;
const ACTIVE: u32 = 1 << 12;
const MONITOR: u32 = 1 << 24;
const _: () = assert!(MAX_WORKERS < ACTIVE as usize);

#[derive(Debug, Default)]
pub(super) struct Sleepers(AtomicU32);

impl Sleepers {
    /// A worker goes to sleep. Sequentially consistent, as all here that is not said to be less.
    #[inline]
    pub(super) fn enter(&self, is_active: bool) {
        self.0.fetch_add(if is_active { ACTIVE } else { SURPLUS }, Ordering::SeqCst);
    }

    /// It has slept; what it was counted as.
    #[inline]
    pub(super) fn leave(&self, was_active: bool) {
        self.0.fetch_sub(if was_active { ACTIVE } else { SURPLUS }, Ordering::SeqCst);
    }

    /// How many sleep, surplus or not.
    #[inline]
    pub(super) fn asleep(&self) -> usize {
        let word = self.0.load(Ordering::SeqCst);
        (word % ACTIVE + word % MONITOR / ACTIVE) as usize
    }

    /// Whether somebody is to be told of work that any worker may take: a cheap look, which may come a moment late.
    #[inline(always)]
    pub(super) fn want_to_know(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= ACTIVE
    }

    /// As [`want_to_know`](Self::want_to_know), not late.
    #[inline]
    pub(super) fn surely_want_to_know(&self) -> bool {
        self.0.load(Ordering::SeqCst) >= ACTIVE
    }

    /// The monitor rests, or does not any more.
    pub(super) fn set_monitor(&self, rests: bool) {
        match rests {
            true => self.0.fetch_or(MONITOR, Ordering::SeqCst),
            false => self.0.fetch_and(!MONITOR, Ordering::SeqCst),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn surplus_workers_sleep_and_want_to_know_nothing_and_the_monitor_does_not_sleep() {
        let sleepers = Sleepers::default();
        (0..MAX_WORKERS).for_each(|_| sleepers.enter(false));
        assert_eq!((sleepers.asleep(), sleepers.want_to_know()), (MAX_WORKERS, false));
        sleepers.set_monitor(true);
        assert_eq!((sleepers.asleep(), sleepers.want_to_know()), (MAX_WORKERS, true));
        (0..MAX_WORKERS).for_each(|_| sleepers.leave(false));
        sleepers.set_monitor(false);
        (0..MAX_WORKERS).for_each(|_| sleepers.enter(true));
        assert_eq!((sleepers.asleep(), sleepers.surely_want_to_know()), (MAX_WORKERS, true));
        (0..MAX_WORKERS).for_each(|_| sleepers.leave(true));
        assert_eq!((sleepers.asleep(), sleepers.want_to_know()), (0, false));
    }
}
