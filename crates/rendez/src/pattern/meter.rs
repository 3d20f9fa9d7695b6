//! Where the time of a stage goes.

use crate::time::Instant;
use crossbeam_utils::CachePadded;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// What a worker of a stage is told as it goes on. Each call ends a stretch of time that began with the one before.
pub(super) trait Meter: Send {
    /// It has waited for a value, and got it.
    fn received(&mut self) {}
    /// It has worked.
    fn worked(&mut self) {}
    /// It has waited to send a value, and sent it.
    fn sent(&mut self) {}
    /// It has waited for its input.
    fn waited(&mut self) {}
    /// It has waited for what comes after it to get on.
    fn waited_for_room(&mut self) {}
}

/// Nobody wants to know.
impl Meter for () {}

/// What one worker has done. Written by it alone.
#[derive(Debug, Default)]
struct Lane {
    received: AtomicU64,
    sent: AtomicU64,
    busy: AtomicU64,
    input: AtomicU64,
    output: AtomicU64,
}

/// What the workers of a stage have done.
#[derive(Clone, Debug)]
pub(super) struct Lanes(Arc<[CachePadded<Lane>]>);

/// The sums over the workers.
#[derive(Debug, Default)]
pub(super) struct Sums {
    pub(super) received: u64,
    pub(super) sent: u64,
    pub(super) busy: Duration,
    pub(super) input: Duration,
    pub(super) output: Duration,
}

impl Lanes {
    pub(super) fn new(workers: usize) -> Lanes {
        Lanes((0..workers).map(|_| CachePadded::default()).collect())
    }

    pub(super) fn workers(&self) -> usize {
        self.0.len()
    }

    /// The meter of a worker, whose time begins now. Each is taken once.
    pub(super) fn meter(&self, worker: usize) -> Stopwatch {
        Stopwatch { lanes: self.clone(), worker, last: Instant::now() }
    }

    pub(super) fn sums(&self) -> Sums {
        let mut sums = Sums::default();
        for lane in self.0.iter() {
            let nanos = |of: &AtomicU64| Duration::from_nanos(of.load(Ordering::Relaxed));
            sums.received += lane.received.load(Ordering::Relaxed);
            sums.sent += lane.sent.load(Ordering::Relaxed);
            sums.busy += nanos(&lane.busy);
            sums.input += nanos(&lane.input);
            sums.output += nanos(&lane.output);
        }
        sums
    }
}

/// Measures one worker.
pub(super) struct Stopwatch {
    lanes: Lanes,
    worker: usize,
    last: Instant,
}

impl Stopwatch {
    /// The time since the last call goes to one of the sums; and one more is counted, if something is.
    fn lap(&mut self, time: fn(&Lane) -> &AtomicU64, count: Option<fn(&Lane) -> &AtomicU64>) {
        let now = Instant::now();
        let nanos = now.saturating_duration_since(self.last).as_nanos() as u64;
        self.last = now;
        let lane = &self.lanes.0[self.worker];
        add(time(lane), nanos);
        if let Some(count) = count {
            add(count(lane), 1);
        }
    }
}

/// By the only one who writes it.
fn add(sum: &AtomicU64, more: u64) {
    sum.store(sum.load(Ordering::Relaxed) + more, Ordering::Relaxed);
}

impl Meter for Stopwatch {
    fn received(&mut self) {
        self.lap(|lane| &lane.input, Some(|lane| &lane.received));
    }

    fn worked(&mut self) {
        self.lap(|lane| &lane.busy, None);
    }

    fn sent(&mut self) {
        self.lap(|lane| &lane.output, Some(|lane| &lane.sent));
    }

    fn waited(&mut self) {
        self.lap(|lane| &lane.input, None);
    }

    fn waited_for_room(&mut self) {
        self.lap(|lane| &lane.output, None);
    }
}
