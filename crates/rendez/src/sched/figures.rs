//! What all runtimes have counted, and what there is at the moment; for [`stats`](crate::diag::stats).
//!
//! Nobody is asked and nothing stops: each number is read where its owner keeps it, a moment apart from the others.
#![forbid(unsafe_code)]

use super::{
    alarms,
    counters::Tally,
    deadlock,
    high_water::{self, HighWater},
    runtime::{Shared, Victim},
    shared::with_counted,
};
use crate::stack::PoolStats;
use std::{panic::Location, sync::atomic::Ordering, time::Duration};

/// A worker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WorkerFigures {
    pub(crate) index: usize,
    pub(crate) tally: Tally,
    /// Processor time of its thread.
    pub(crate) processor: Duration,
    pub(crate) running: bool,
    /// Async goroutines that have been woken. (The queue of started ones has no length: to keep one costs a yield a tenth.)
    pub(crate) queued_async: u64,
    pub(crate) unstarted: u64,
    pub(crate) timers: u64,
}

/// A runtime.
#[derive(Clone, Debug)]
pub(crate) struct RuntimeFigures {
    pub(crate) number: u64,
    pub(crate) workers: Vec<WorkerFigures>,
    /// What is in the queues that all its workers share.
    pub(crate) unstarted: u64,
    /// Spares that take new work.
    pub(crate) spares: u64,
    /// What was counted where no worker of it was.
    pub(crate) foreign: Tally,
    /// Async goroutines that have not ended.
    pub(crate) async_alive: u64,
}

/// The process.
#[derive(Clone, Debug)]
pub(crate) struct Figures {
    /// Of runtimes and workers that have ended.
    pub(crate) past: Tally,
    pub(crate) runtimes: Vec<RuntimeFigures>,
    pub(crate) stacks: Vec<PoolStats>,
    pub(crate) high_water: Vec<(&'static Location<'static>, HighWater)>,
    /// Alarms that are set at no worker.
    pub(crate) alarms: u64,
}

impl Figures {
    pub(crate) fn read() -> Figures {
        let shared = deadlock::known_runtimes();
        // Whoever ends meanwhile is in neither place or in both unless he waits.
        let (past, runtimes) =
            with_counted(|past| (*past, shared.iter().map(|runtime| runtime.figures()).collect()));
        Figures {
            past,
            runtimes,
            stacks: crate::stack::stats(),
            high_water: high_water::high_water(),
            alarms: alarms::set_at_service(),
        }
    }
}

impl Shared {
    fn figures(&self) -> RuntimeFigures {
        let workers = (0..self.started_workers()).filter_map(|index| self.worker_figures(index)).collect();
        let (spawned, ended) = self.foreign_counts();
        RuntimeFigures {
            number: self.number,
            workers,
            unstarted: self.injector.len() as u64 + self.starved.len(),
            spares: self.active_workers().saturating_sub(self.wanted_workers()) as u64,
            foreign: Tally { spawned, ended, ..Tally::NOTHING },
            async_alive: self.async_tasks.len(),
        }
    }

    /// How many unstarted goroutines are in queues where any worker may take them from.
    pub(super) fn queued_unstarted(&self) -> u64 {
        let figures = self.figures();
        figures.unstarted + figures.workers.iter().map(|worker| worker.unstarted).sum::<u64>()
    }

    /// Nothing of a worker that has ended.
    fn worker_figures(&self, index: usize) -> Option<WorkerFigures> {
        let Victim { shared, fresh, polls } = self.victim(index)?;
        let tally = shared.tally_of(self.number)?;
        Some(WorkerFigures {
            index,
            tally,
            processor: shared.clock.now(),
            running: shared.is_running(),
            queued_async: polls.len() as u64,
            unstarted: fresh.len() as u64 + u64::from(shared.burden.incoming.load(Ordering::Relaxed)),
            timers: shared.counters.timers.get() + shared.alarms.len(),
        })
    }
}
