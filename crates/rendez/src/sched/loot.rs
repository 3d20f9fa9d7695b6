//! Whether it pays to steal: what a thief learns from what it has taken.
//!
//! To take a task from another worker costs both of them: its header and its closure move from one
//! processor's cache to the other's, and so does its memory when it has ended. And to look whether there is something to take costs who is
//! looked at, since the lines that are read are those that it writes at each turn. So goroutines that do next to nothing and end are run faster by the one
//! worker that starts them than by two. (Measured with batches that one goroutine starts, two workers to one: a hundred that do nothing take 2.2 times as long, a thousand 2, ten thousand 1.2;
//! as long where each of the hundred works for 110 ns, and of the ten thousand for 30 ns.)
//!
//! So a thief looks at the clock when it has taken some and when it has nothing to run any more. If all have ended, and each took less than [`TINY`], it looks at
//! nobody for [`REST`] times as long as they took, and [`LONGEST_REST`] at most. Then it tries again: so it finds out when larger ones come, and what lies behind somebody
//! who runs on for long is taken in its turn. It does not go to sleep for that, since a rest is shorter than a spin. Nor does it rest where so [`MANY`] lie that their memory counts.

use super::worker::Worker;
use crate::time::Instant;
use std::{cell::Cell, sync::atomic::Ordering, time::Duration};

/// What each of a batch takes a thief at most, with its share of the theft, where it had better been left: some 60 ns are its own.
const TINY: Duration = Duration::from_nanos(200);
/// So many tell something.
const BATCH: u64 = 8;
const REST: u32 = 8;
/// Less than a thief spins for.
const LONGEST_REST: Duration = Duration::from_micros(40);
/// Of unstarted tasks at a victim: some megabytes, which is what a cache holds.
const MANY: usize = 1 << 15;

/// What a thief has taken and runs.
#[derive(Clone, Copy, Debug)]
struct Batch {
    since: Instant,
    /// How many had ended here before.
    finished: u64,
    /// How many were parked here.
    load: u32,
}

/// A worker's experience as a thief.
#[derive(Debug, Default)]
pub(super) struct Loot {
    batch: Cell<Option<Batch>>,
    rests_until: Cell<Option<Instant>>,
}

impl Loot {
    /// The thief has nothing to run any more. Whether it rests.
    fn weigh(&self, now: impl Fn() -> Instant, finished: u64, load: u32) -> bool {
        if let Some(batch) = self.batch.take() {
            let ended = finished - batch.finished;
            if ended >= BATCH && load == batch.load {
                let took = now().duration_since(batch.since);
                let is_tiny = took.as_nanos() < TINY.as_nanos() * u128::from(ended);
                let rest = (took * REST).min(LONGEST_REST);
                self.rests_until.set(if is_tiny { now().checked_add(rest) } else { None });
            }
        }
        let Some(until) = self.rests_until.get() else { return false };
        let rests = now() < until;
        if !rests {
            self.rests_until.set(None);
        }
        rests
    }
}

impl Worker {
    /// Has just taken unstarted tasks from somebody who had `len`.
    pub(super) fn note_loot(&self, len: usize) {
        let batch = Batch { since: Instant::now(), finished: self.finished(), load: self.load() };
        self.loot.batch.set((len < MANY).then_some(batch));
    }

    /// Has nothing to run. Whether it leaves alone what others have.
    pub(super) fn rests_from_stealing(&self) -> bool {
        self.loot.weigh(Instant::now, self.finished(), self.load())
    }

    fn finished(&self) -> u64 {
        self.shared.published.finished.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a thief rests right after it has run a batch, and for how many microseconds.
    fn rests_after(ended: u64, parked: u32, each: Duration) -> Option<u32> {
        let loot = Loot::default();
        let since = Instant::now();
        loot.batch.set(Some(Batch { since, finished: 5, load: 3 }));
        let end = since + each * ended as u32;
        let is_resting =
            |micros| loot.weigh(|| end + Duration::from_micros(u64::from(micros)), 5 + ended, 3 + parked);
        is_resting(0).then(|| (1..).find(|&micros| !is_resting(micros)).expect("it ends"))
    }

    #[test]
    fn a_thief_rests_after_many_tiny_ones_that_have_ended() {
        assert_eq!(rests_after(10, 0, Duration::from_nanos(100)), Some(8), "eight times a microsecond");
        assert_eq!(rests_after(32, 0, Duration::from_nanos(190)), Some(40), "the longest");
        assert_eq!(rests_after(32, 0, TINY), None, "worth it");
        assert_eq!(rests_after(BATCH - 1, 0, Duration::from_nanos(100)), None, "too few to tell");
        assert_eq!(rests_after(31, 1, Duration::from_nanos(100)), None, "one is parked");
    }

    #[test]
    fn what_is_worth_it_ends_the_rest_of_before() {
        let (loot, since) = (Loot::default(), Instant::now());
        loot.rests_until.set(Some(since + LONGEST_REST));
        assert!(loot.weigh(|| since, 0, 0));
        loot.batch.set(Some(Batch { since, finished: 0, load: 0 }));
        assert!(!loot.weigh(|| since + Duration::from_micros(10), 10, 0));
    }
}
