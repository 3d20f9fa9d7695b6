//! What a worker counts, all the time: for [`stats`](crate::diag::stats).
//!
//! # Who may touch what
//!
//! | field | who writes it | who reads it |
//! | --- | --- | --- |
//! | a [`Counter`] | the worker alone, by a load and a store: no read-modify-write, so it costs an instruction and no fence | anybody, a moment late |
//! | `notified`, `stuck`, `spares` | whoever wakes the worker, and the monitor, by a read-modify-write: next to the system calls that go with it it costs nothing | anybody |
//! | `probe` | set by who wakes the goroutine, if there is none; cleared by the worker, which runs it | both |
//! | `probed_at` | who has just set `probe`, before that goroutine is queued | the worker, when it runs it |
//!
//! # From wake to run
//!
//! Measuring each wake-up would cost two looks at the clock, several times what a wake-up costs. So one in some is measured: in
//! the bursts that are timed anyway (see [`placement`](super::placement)) the first goroutine that is woken becomes the *probe*
//! of its worker, with the time; that worker compares what it runs with its probe, and when it is that, adds the time since to
//! the histogram. A goroutine that was woken runs next on the worker that it belongs to, without fail, so a probe never goes astray.
//! (Async goroutines are not measured: any worker may run them.)

use crate::{task::Header, wait::Reason};
use std::{
    ptr,
    sync::LazyLock,
    sync::atomic::{
        AtomicPtr, AtomicU64,
        Ordering::{Acquire, Relaxed, Release},
    },
    time::{Duration, Instant},
};

/// How many kinds of waits there are.
pub(crate) const REASONS: usize = Reason::Rest as usize + 1;
/// The buckets of a histogram: the n-th holds what is less than 2^n nanoseconds, and no less than half of that.
pub(crate) const BUCKETS: usize = 40;

/// The machine's clock, in nanoseconds, whatever a test makes of the caller's.
fn now() -> u64 {
    static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);
    EPOCH.elapsed().as_nanos() as u64
}

/// A number that one thread changes and others read.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    /// By the one thread.
    #[inline(always)]
    pub(super) fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    /// By the one thread.
    #[inline(always)]
    pub(super) fn set(&self, n: u64) {
        self.0.store(n, Relaxed);
    }

    #[inline(always)]
    pub(super) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// What one worker counts.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// Waits that have begun, and those that have ended, by [`Reason`].
    pub(super) waits: [Counter; REASONS],
    pub(super) ended_waits: [Counter; REASONS],
    pub(super) yields: Counter,
    /// Wake-ups that came through the inbox.
    pub(super) remote_wakes: Counter,
    pub(super) timeouts: Counter,
    /// Waits that a shutdown ended.
    pub(super) cancelled: Counter,
    /// Wake-ups of async goroutines from this worker, and polls of them here.
    pub(super) async_wakes: Counter,
    pub(super) async_polls: Counter,
    /// Batches taken from others, or from what all share.
    pub(super) steals: Counter,
    /// Looks at the poller, asleep or not.
    pub(super) poller_looks: Counter,
    /// Calls on sockets that were made together.
    pub(super) calls_together: Counter,
    pub(super) sleeps: Counter,
    /// Nanoseconds that it has slept, in one word with whether it sleeps: see [`Asleep`].
    asleep: Counter,
    /// How many timers are set, when it last looked.
    pub(super) timers: Counter,
    latency: Histogram,
    probe: AtomicPtr<Header>,
    probed_at: AtomicU64,
    notified: AtomicU64,
    /// Goroutines that were found to hold the worker for too long.
    stuck: AtomicU64,
    /// Times that it was called as a spare.
    spares: AtomicU64,
}

/// Times, by the number of their digits.
#[derive(Debug)]
struct Histogram {
    buckets: [Counter; BUCKETS],
    sum: Counter,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram { buckets: std::array::from_fn(|_| Counter::default()), sum: Counter::default() }
    }
}

/// How long a worker has slept. In one word, for with two a reader might see a sleep that has just ended twice, or not at all.
#[derive(Clone, Copy, Debug)]
enum Asleep {
    /// So many nanoseconds, until it last woke.
    Awake(u64),
    /// What is missing from the present moment for the sum, the sleep that lasts included.
    Sleeps(u64),
}

impl Asleep {
    /// Nanoseconds are counted modulo this, and the lowest bit says whether it sleeps.
    const MASK: u64 = u64::MAX >> 1;

    fn from_word(word: u64) -> Asleep {
        if word & 1 == 0 { Asleep::Awake(word >> 1) } else { Asleep::Sleeps(word >> 1) }
    }

    fn into_word(self) -> u64 {
        match self {
            Asleep::Awake(slept) => slept << 1,
            Asleep::Sleeps(before) => before << 1 | 1,
        }
    }

    /// In all, at this moment.
    fn sum(self, now: impl FnOnce() -> u64) -> u64 {
        match self {
            Asleep::Awake(slept) => slept,
            Asleep::Sleeps(before) => now().wrapping_add(before) & Asleep::MASK,
        }
    }
}

impl Counters {
    /// The worker has been notified, by any thread.
    #[inline]
    pub(super) fn note_notified(&self) {
        self.notified.fetch_add(1, Relaxed);
    }

    /// A goroutine was found to hold the worker for too long, by the monitor. (Not by a load and a store: the worker may end meanwhile, and
    /// its successor begin at nothing.)
    pub(super) fn note_stuck(&self) {
        self.stuck.fetch_add(1, Relaxed);
    }

    /// It has been called as a spare, by the monitor.
    pub(super) fn note_spare(&self) {
        self.spares.fetch_add(1, Relaxed);
    }

    /// A sleep begins. Returns when.
    pub(super) fn sleep_begins(&self) -> u64 {
        let now = now();
        let slept = Asleep::from_word(self.asleep.get()).sum(|| now);
        self.asleep.set(Asleep::Sleeps(slept.wrapping_sub(now)).into_word());
        now
    }

    /// It ends; or it was none, since there was work.
    pub(super) fn sleep_ends(&self, since: u64, has_slept: bool) {
        let until = if has_slept { now() } else { since };
        if has_slept {
            self.sleeps.add(1);
        }
        let slept = Asleep::from_word(self.asleep.get()).sum(|| until);
        self.asleep.set(Asleep::Awake(slept).into_word());
    }

    /// Nanoseconds that it has slept, a sleep that lasts included.
    fn asleep(&self) -> u64 {
        loop {
            let word = self.asleep.get();
            let sum = Asleep::from_word(word).sum(now);
            // Else it may have woken before the clock was read, and not have slept so long.
            if self.asleep.get() == word {
                return sum;
            }
        }
    }

    /// `task`, which is the worker's and is about to be queued, is to be the probe, if there is none.
    #[cold]
    pub(super) fn set_probe(&self, task: *mut Header) {
        if self.probe.load(Relaxed).is_null()
            // Who sees that there is none sees that the time of the last one has been read.
            && self.probe.compare_exchange(ptr::null_mut(), task, Acquire, Relaxed).is_ok()
        {
            // The worker runs the task after it has been queued, which is after this.
            self.probed_at.store(now(), Relaxed);
        }
    }

    /// Whether the worker, which is about to run `task`, has been waiting for that.
    #[inline(always)]
    pub(super) fn is_probe(&self, task: *const Header) -> bool {
        ptr::eq(self.probe.load(Relaxed), task)
    }

    /// The probe runs.
    #[cold]
    pub(super) fn take_probe(&self) {
        let waited = now().saturating_sub(self.probed_at.load(Relaxed));
        self.probe.store(ptr::null_mut(), Release);
        let bucket = (u64::BITS - waited.leading_zeros()).min(BUCKETS as u32 - 1);
        self.latency.buckets[bucket as usize].add(1);
        self.latency.sum.add(waited);
    }

    /// A copy, for reading.
    pub(super) fn read(&self) -> Tally {
        Tally {
            spawned: 0,
            ended: 0,
            // What has ended is read first, so that no more seem to have ended than have begun.
            ended_waits: std::array::from_fn(|i| self.ended_waits[i].get()),
            waits: std::array::from_fn(|i| self.waits[i].get()),
            yields: self.yields.get(),
            remote_wakes: self.remote_wakes.get(),
            timeouts: self.timeouts.get(),
            cancelled: self.cancelled.get(),
            async_wakes: self.async_wakes.get(),
            async_polls: self.async_polls.get(),
            steals: self.steals.get(),
            poller_looks: self.poller_looks.get(),
            calls_together: self.calls_together.get(),
            sleeps: self.sleeps.get(),
            asleep: Duration::from_nanos(self.asleep()),
            notified: self.notified.load(Relaxed),
            stuck: self.stuck.load(Relaxed),
            spares: self.spares.load(Relaxed),
            latency: std::array::from_fn(|i| self.latency.buckets[i].get()),
            latency_sum: self.latency.sum.get(),
        }
    }

    /// The next worker begins at nothing.
    pub(super) fn reset(&self) {
        let all = [
            &self.yields,
            &self.remote_wakes,
            &self.timeouts,
            &self.cancelled,
            &self.async_wakes,
            &self.async_polls,
            &self.steals,
            &self.poller_looks,
            &self.calls_together,
            &self.sleeps,
            &self.asleep,
            &self.timers,
            &self.latency.sum,
        ];
        let arrays = self.latency.buckets.iter().chain(&self.waits).chain(&self.ended_waits);
        all.into_iter().chain(arrays).for_each(|counter| counter.set(0));
        self.probe.store(ptr::null_mut(), Release);
        self.notified.store(0, Relaxed);
        self.stuck.store(0, Relaxed);
        self.spares.store(0, Relaxed);
    }
}

/// What has been counted, by one worker or by several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) spawned: u64,
    pub(crate) ended: u64,
    /// By [`Reason`]: those that have begun, and those that have ended.
    pub(crate) waits: [u64; REASONS],
    pub(crate) ended_waits: [u64; REASONS],
    pub(crate) yields: u64,
    pub(crate) remote_wakes: u64,
    pub(crate) timeouts: u64,
    pub(crate) cancelled: u64,
    pub(crate) async_wakes: u64,
    pub(crate) async_polls: u64,
    pub(crate) steals: u64,
    pub(crate) poller_looks: u64,
    pub(crate) calls_together: u64,
    pub(crate) sleeps: u64,
    pub(crate) asleep: Duration,
    pub(crate) notified: u64,
    pub(crate) stuck: u64,
    pub(crate) spares: u64,
    pub(crate) latency: [u64; BUCKETS],
    pub(crate) latency_sum: u64,
}

impl Tally {
    pub(crate) const NOTHING: Tally = Tally {
        spawned: 0,
        ended: 0,
        waits: [0; REASONS],
        ended_waits: [0; REASONS],
        yields: 0,
        remote_wakes: 0,
        timeouts: 0,
        cancelled: 0,
        async_wakes: 0,
        async_polls: 0,
        steals: 0,
        poller_looks: 0,
        calls_together: 0,
        sleeps: 0,
        asleep: Duration::ZERO,
        notified: 0,
        stuck: 0,
        spares: 0,
        latency: [0; BUCKETS],
        latency_sum: 0,
    };

    /// Each number of the two, by `f`.
    fn zip(&self, other: &Tally, f: impl Fn(u64, u64) -> u64) -> Tally {
        let nanos = |time: Duration| time.as_nanos() as u64;
        Tally {
            spawned: f(self.spawned, other.spawned),
            ended: f(self.ended, other.ended),
            waits: std::array::from_fn(|i| f(self.waits[i], other.waits[i])),
            ended_waits: std::array::from_fn(|i| f(self.ended_waits[i], other.ended_waits[i])),
            yields: f(self.yields, other.yields),
            remote_wakes: f(self.remote_wakes, other.remote_wakes),
            timeouts: f(self.timeouts, other.timeouts),
            cancelled: f(self.cancelled, other.cancelled),
            async_wakes: f(self.async_wakes, other.async_wakes),
            async_polls: f(self.async_polls, other.async_polls),
            steals: f(self.steals, other.steals),
            poller_looks: f(self.poller_looks, other.poller_looks),
            calls_together: f(self.calls_together, other.calls_together),
            sleeps: f(self.sleeps, other.sleeps),
            asleep: Duration::from_nanos(f(nanos(self.asleep), nanos(other.asleep))),
            notified: f(self.notified, other.notified),
            stuck: f(self.stuck, other.stuck),
            spares: f(self.spares, other.spares),
            latency: std::array::from_fn(|i| f(self.latency[i], other.latency[i])),
            latency_sum: f(self.latency_sum, other.latency_sum),
        }
    }

    /// The sums.
    pub(crate) fn plus(&self, other: &Tally) -> Tally {
        self.zip(other, u64::wrapping_add)
    }

    /// What has come since `earlier`.
    pub(crate) fn since(&self, earlier: &Tally) -> Tally {
        self.zip(earlier, u64::saturating_sub)
    }

    /// Waits of all kinds: begun, and ended.
    pub(crate) fn all_waits(&self) -> (u64, u64) {
        (self.waits.iter().sum(), self.ended_waits.iter().sum())
    }

    /// Wake-ups that came from the same worker: what ended in no other way.
    pub(crate) fn local_wakes(&self) -> u64 {
        self.all_waits().1.saturating_sub(self.remote_wakes + self.timeouts + self.cancelled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_and_its_base_add_up_again() {
        let counters = Counters::default();
        let select = Reason::Select as usize;
        counters.waits[select].add(3);
        counters.steals.add(1);
        let before = counters.read();
        counters.waits[select].add(4);
        counters.ended_waits[select].add(5);
        counters.note_notified();
        let after = counters.read();
        let between = after.since(&before);
        assert_eq!(between.all_waits(), (4, 5));
        assert_eq!((between.steals, between.notified), (0, 1));
        assert_eq!(before.plus(&between), after);
        counters.reset();
        assert_eq!(counters.read(), Tally::NOTHING);
    }

    #[test]
    fn sleeps_add_up_while_they_last_and_afterwards() {
        let counters = Counters::default();
        let sum_at = |now| Asleep::from_word(counters.asleep.get()).sum(|| now);
        // What a clock of the machine's says has no place in this one.
        let begins = |now| counters.asleep.set(Asleep::Sleeps(sum_at(now).wrapping_sub(now)).into_word());
        let ends = |now| counters.asleep.set(Asleep::Awake(sum_at(now)).into_word());
        begins(1_000);
        assert_eq!([sum_at(1_000), sum_at(1_700)], [0, 700]);
        ends(2_000);
        assert_eq!([sum_at(2_000), sum_at(9_000)], [1_000, 1_000]);
        begins(10_000);
        assert_eq!(sum_at(10_500), 1_500);
        ends(10_500);
        assert_eq!(sum_at(u64::MAX), 1_500);
        let since = counters.sleep_begins();
        counters.sleep_ends(since, false);
        assert_eq!((counters.asleep(), counters.sleeps.get()), (1_500, 0));
        let since = counters.sleep_begins();
        while now() < since + 1_000_000 {}
        counters.sleep_ends(since, true);
        assert!(counters.asleep() >= 1_001_500 && counters.sleeps.get() == 1);
    }

    #[test]
    fn a_probe_is_timed_once_and_others_are_not() {
        let counters = Counters::default();
        let [one, other] = [8, 16].map(ptr::without_provenance_mut);
        counters.set_probe(one);
        counters.set_probe(other);
        assert!(counters.is_probe(one) && !counters.is_probe(other));
        counters.take_probe();
        assert!(!counters.is_probe(one));
        assert_eq!(counters.read().latency.iter().sum::<u64>(), 1);
    }
}
