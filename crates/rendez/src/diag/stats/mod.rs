//! Figures of the scheduler: [`stats`].

mod latency;
#[cfg(feature = "metrics")]
pub(super) mod publish;
mod show;

pub use latency::Latency;

use crate::{
    blocking::pool_figures,
    sched::{
        counters::{REASONS, Tally},
        figures::{Figures, RuntimeFigures, WorkerFigures},
    },
    wait::Reason,
};
use std::{
    panic::Location,
    time::{Duration, Instant},
};

/// What the runtimes of the process have done since it began, and how things stand; or what they have done between two such
/// moments: [`since`](Stats::since).
///
/// Shown as a table. Each number is right for its own moment, and these lie some microseconds apart while others run: so sums need not
/// agree to the last one.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stats {
    /// The time since the first time that `stats` was called; or between the two moments.
    pub period: Duration,
    /// What has happened, in all runtimes, those that have ended included.
    pub counts: Counts,
    /// How long goroutines that were woken have waited for their turn; a sample.
    pub wake_to_run: Latency,
    /// How many goroutines there are now.
    pub goroutines: Goroutines,
    /// The runtimes that there are now.
    pub runtimes: Vec<RuntimeStats>,
    /// The stacks that there are now, by size.
    pub stacks: Vec<StackStats>,
    /// How much of their stacks goroutines have used, by where they were created: a sample, the deepest first. Nothing on systems other than Linux.
    pub high_water: Vec<HighWater>,
    /// Time limits, sleeps, timers and tickers that are set now.
    pub timers: u64,
    /// The threads for calls that block: see [`blocking`](crate::blocking()).
    pub blocking: BlockingStats,
}

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Goroutines started with `go` and its relatives, async ones included.
    pub spawned: u64,
    /// Goroutines that have ended.
    pub ended: u64,
    /// Waits for which a goroutine gave up its worker.
    pub parks: u64,
    /// The same by what was waited for, in Go's words (`chan receive`); only those that there were.
    pub parks_by_reason: Vec<(&'static str, u64)>,
    /// Times that a goroutine let others run although it could go on.
    pub yields: u64,
    /// Parked goroutines that were woken by another goroutine of their worker, and have run.
    pub local_wakes: u64,
    /// Parked goroutines that were woken by another worker or thread.
    pub remote_wakes: u64,
    /// Parked goroutines whose time limit, or sleep, has ended.
    pub timeouts: u64,
    /// Waits that a shutdown has ended.
    pub cancelled: u64,
    /// Async goroutines that were woken by a worker of their runtime.
    pub async_wakes: u64,
    /// Polls of async goroutines that came back pending.
    pub async_polls: u64,
    /// Batches of goroutines that a worker which had nothing to run took from another one or from the common queue.
    pub steals: u64,
    /// Looks of workers at their pollers, each a call of the system.
    pub poller_looks: u64,
    /// Reads and writes of sockets that were given to the kernel several at a time: see [`net`](crate::net#what-it-costs).
    pub calls_together: u64,
    /// Times that a worker slept because there was nothing to run.
    pub sleeps: u64,
    /// How long workers have slept, together.
    pub asleep: Duration,
    /// Times that somebody woke a worker that slept.
    pub notifies: u64,
    /// Goroutines that were found to hold their worker for too long, while somebody looked.
    pub stuck: u64,
    /// Times that a spare worker was called to take the place of one that was kept by a goroutine: see [`RuntimeBuilder::spares`](crate::RuntimeBuilder::spares).
    pub spares: u64,
    tally: Tally,
}

impl Counts {
    /// Calls of the system by which workers slept and were woken: a futex's, or, at a worker that has sockets to watch, its poller's.
    pub fn futex_calls(&self) -> u64 {
        self.sleeps + self.notifies
    }

    fn of(tally: &Tally) -> Counts {
        Counts {
            spawned: tally.spawned,
            ended: tally.ended,
            parks: tally.all_waits().0,
            parks_by_reason: by_reason(&tally.waits),
            yields: tally.yields,
            local_wakes: tally.local_wakes(),
            remote_wakes: tally.remote_wakes,
            timeouts: tally.timeouts,
            cancelled: tally.cancelled,
            async_wakes: tally.async_wakes,
            async_polls: tally.async_polls,
            steals: tally.steals,
            poller_looks: tally.poller_looks,
            calls_together: tally.calls_together,
            sleeps: tally.sleeps,
            asleep: tally.asleep,
            notifies: tally.notified,
            stuck: tally.stuck,
            spares: tally.spares,
            tally: *tally,
        }
    }

    fn since(&self, earlier: &Counts) -> Counts {
        Counts::of(&self.tally.since(&earlier.tally))
    }
}

/// The goroutines that have not ended, by state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Goroutines {
    /// All of them.
    pub all: u64,
    /// They have a worker.
    pub running: u64,
    /// They have not run yet. (Of async ones, a few that have run may be among them.)
    pub unstarted: u64,
    /// They wait, or were woken and have not run since; by what for, in Go's words. Async goroutines are `await`.
    pub waiting: Vec<(&'static str, u64)>,
    /// The others: they can run, and wait for their turn.
    pub runnable: u64,
}

/// A runtime.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RuntimeStats {
    /// Runtimes are numbered as they are started, from 1.
    pub number: u64,
    /// What has happened in it.
    pub counts: Counts,
    /// Goroutines in queues that all its workers share.
    pub queued: u64,
    /// How many [spares](crate::RuntimeBuilder::spares) take new work now.
    pub spares: u64,
    /// Its workers, and the spares that there have been.
    pub workers: Vec<WorkerStats>,
}

/// A worker: an OS thread.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WorkerStats {
    /// Its place among the workers of its runtime, from 0; its thread is called `rendez-` and this.
    pub index: usize,
    /// What has happened on it.
    pub counts: Counts,
    /// Processor time that its thread has used.
    pub busy: Duration,
    /// Whether it runs a goroutine now.
    pub running: bool,
    /// Goroutines in its queues now that have not started, and async ones that have been woken. (For the others see
    /// [`Goroutines::runnable`].)
    pub queued: u64,
}

/// Stacks of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StackStats {
    /// Bytes of address space for each, guard page included. (A page between two that nobody touches may come on top.)
    pub size: usize,
    /// Given out: goroutines have them, or workers, for the next.
    pub in_use: u64,
    /// Free ones that hold memory.
    pub cached: u64,
    /// So many fit into the address space that is mapped for them.
    pub mapped: u64,
}

/// How much of their stacks the goroutines of one spawn site have used since the process began.
///
/// Of each site the first few are measured, and later one in some thousands; of those with a stack size of their own, one in some dozens. What is told is what
/// has been touched, in whole pages, of which the upper one or two are always counted. Of async goroutines it is the stack of their polls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HighWater {
    /// Where they were created.
    pub site: &'static Location<'static>,
    /// How many have been measured, those that have not ended included.
    pub measured: u64,
    /// The most that one of them has used, in bytes.
    pub deepest: usize,
    /// Bytes of address space of that one's stack, guard page included.
    pub size: usize,
}

/// The threads for calls that block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlockingStats {
    /// All of them.
    pub threads: u64,
    /// Those that have nothing to do.
    pub idle: u64,
    /// Calls that wait for a thread.
    pub queued: u64,
}

/// Says what the runtimes of the process have done since it began, and how things stand.
///
/// The figures are kept all the time: a worker adds to counters of its own, without atomic read-modify-writes, some instructions for each switch. To read them stops
/// nobody and takes some microseconds, and more with many workers.
///
/// # Examples
/// ```
/// use rendez::{chan, diag, go};
/// rendez::run(|| {
///     let before = diag::stats();
///     let (tx, rx) = chan::bounded(0);
///     go(move || (0..10).for_each(|i| tx.send(i).unwrap()));
///     assert_eq!(rx.iter().count(), 10);
///     let stats = diag::stats().since(&before);
///     assert_eq!(stats.counts.spawned, 1);
///     assert!(stats.counts.parks >= 10, "{stats}");
/// });
/// ```
pub fn stats() -> Stats {
    static FIRST: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let period = FIRST.get_or_init(Instant::now).elapsed();
    Stats::of(&Figures::read(), period)
}

fn by_reason(waits: &[u64; REASONS]) -> Vec<(&'static str, u64)> {
    let all = Reason::ALL.iter().map(|&reason| (reason.text(), waits[reason as usize]));
    all.filter(|&(_, n)| n > 0).collect()
}

fn sum_of<'a>(tallies: impl IntoIterator<Item = &'a Tally>) -> Tally {
    tallies.into_iter().fold(Tally::NOTHING, |sum, tally| sum.plus(tally))
}

impl Stats {
    fn of(figures: &Figures, period: Duration) -> Stats {
        let all: Vec<Tally> = figures.runtimes.iter().map(tally_of).collect();
        let present = sum_of(&all);
        let total = figures.past.plus(&present);
        let workers = || figures.runtimes.iter().flat_map(|runtime| &runtime.workers);
        let pool = pool_figures();
        Stats {
            period,
            counts: Counts::of(&total),
            wake_to_run: Latency::of(&total),
            goroutines: Goroutines::of(figures, &present),
            runtimes: figures.runtimes.iter().zip(&all).map(RuntimeStats::of).collect(),
            stacks: figures
                .stacks
                .iter()
                .map(|pool| StackStats {
                    size: pool.size,
                    in_use: pool.in_use as u64,
                    cached: pool.resident_free as u64,
                    mapped: pool.mapped as u64,
                })
                .collect(),
            high_water: figures
                .high_water
                .iter()
                .map(|&(site, mark)| HighWater {
                    site,
                    measured: mark.measured,
                    deepest: mark.deepest,
                    size: mark.size,
                })
                .collect(),
            timers: figures.alarms + workers().map(|worker| worker.timers).sum::<u64>(),
            blocking: BlockingStats { threads: pool.threads, idle: pool.waiting, queued: pool.queued },
        }
    }

    /// What has happened since `earlier`: counters and times are differences, what there is at a moment is as now.
    ///
    /// # Examples
    /// ```
    /// use rendez::diag;
    /// let before = diag::stats();
    /// rendez::run(|| rendez::go(|| ()).join().unwrap());
    /// // The main function of `run`, and the other.
    /// assert_eq!(diag::stats().since(&before).counts.ended, 2);
    /// ```
    #[must_use]
    pub fn since(&self, earlier: &Stats) -> Stats {
        Stats {
            period: self.period.saturating_sub(earlier.period),
            counts: self.counts.since(&earlier.counts),
            wake_to_run: self.wake_to_run.since(&earlier.wake_to_run),
            runtimes: self
                .runtimes
                .iter()
                .map(|runtime| {
                    let before = earlier.runtimes.iter().find(|other| other.number == runtime.number);
                    before.map_or_else(|| runtime.clone(), |before| runtime.since(before))
                })
                .collect(),
            ..self.clone()
        }
    }
}

/// All of one runtime.
fn tally_of(runtime: &RuntimeFigures) -> Tally {
    sum_of(runtime.workers.iter().map(|worker| &worker.tally)).plus(&runtime.foreign)
}

impl Goroutines {
    fn of(figures: &Figures, present: &Tally) -> Goroutines {
        let all = present.spawned.saturating_sub(present.ended);
        let workers = || figures.runtimes.iter().flat_map(|runtime| &runtime.workers);
        let running = workers().filter(|worker| worker.running).count() as u64;
        let queued_async = workers().map(|worker| worker.queued_async).sum::<u64>();
        let unstarted = figures.runtimes.iter().map(|runtime| runtime.unstarted).sum::<u64>()
            + workers().map(|worker| worker.unstarted).sum::<u64>();
        let open = std::array::from_fn(|i| present.waits[i].saturating_sub(present.ended_waits[i]));
        let mut waiting = by_reason(&open);
        let parked = waiting.iter().map(|&(_, n)| n).sum::<u64>();
        let async_alive = figures.runtimes.iter().map(|runtime| runtime.async_alive).sum::<u64>();
        // At most: those that run, or have not started, or wait in a poll, are not told from others.
        let others = all.saturating_sub(running + unstarted + parked);
        let awaiting = async_alive.saturating_sub(queued_async).min(others);
        if awaiting > 0 {
            match waiting.iter_mut().find(|(reason, _)| *reason == Reason::Future.text()) {
                Some((_, n)) => *n += awaiting,
                None => waiting.push((Reason::Future.text(), awaiting)),
            }
        }
        Goroutines { all, running, unstarted, waiting, runnable: others - awaiting }
    }
}

impl RuntimeStats {
    fn of((figures, tally): (&RuntimeFigures, &Tally)) -> RuntimeStats {
        RuntimeStats {
            number: figures.number,
            counts: Counts::of(tally),
            queued: figures.unstarted,
            spares: figures.spares,
            workers: figures.workers.iter().map(WorkerStats::of).collect(),
        }
    }

    fn since(&self, earlier: &RuntimeStats) -> RuntimeStats {
        let worker = |now: &WorkerStats| {
            let before = earlier.workers.iter().find(|other| other.index == now.index);
            before.map_or_else(|| now.clone(), |before| now.since(before))
        };
        RuntimeStats {
            counts: self.counts.since(&earlier.counts),
            workers: self.workers.iter().map(worker).collect(),
            ..self.clone()
        }
    }
}

impl WorkerStats {
    fn of(figures: &WorkerFigures) -> WorkerStats {
        WorkerStats {
            index: figures.index,
            counts: Counts::of(&figures.tally),
            busy: figures.processor,
            running: figures.running,
            queued: figures.queued_async + figures.unstarted,
        }
    }

    fn since(&self, earlier: &WorkerStats) -> WorkerStats {
        WorkerStats {
            counts: self.counts.since(&earlier.counts),
            busy: self.busy.saturating_sub(earlier.busy),
            ..self.clone()
        }
    }
}
