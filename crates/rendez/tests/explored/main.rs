//! Each primitive under ten thousand schedules and more, other ones every day: values in are values out, one is inside at a time, who is
//! first is first, nobody sleeps on (which the engine tells: a deadlock), and whoever gives up leaves no trace.
//!
//! The seed is the number of the day, so that a failure can be looked into the same day by running the test again, and
//! every day looks elsewhere. It is printed, and `RENDEZ_SEED` sets another. What has failed is told with its own line for
//! `RENDEZ_REPLAY`.

#![cfg(feature = "testing")]

mod chan;
mod context;
mod locks;
mod meeting;
mod pattern;
mod select;
mod sharing;
#[path = "../stages/mod.rs"]
mod stages;
mod time;
mod whole;

use rendez::testing::{self, Config, Strategy};
use std::{
    io::Write,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::SystemTime,
};

/// Of each primitive, over all of its programs.
const SCHEDULES: usize = 10_000;

fn seed() -> u64 {
    static SEED: OnceLock<u64> = OnceLock::new();
    *SEED.get_or_init(|| {
        let seed = match std::env::var("RENDEZ_SEED") {
            Ok(seed) => seed.parse().expect("RENDEZ_SEED is a number"),
            Err(_) => SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() / 86400,
        };
        #[expect(
            clippy::explicit_write,
            reason = "the harness keeps what tests print that pass, but for this"
        )]
        writeln!(std::io::stderr(), "explored: RENDEZ_SEED={seed}").unwrap();
        seed
    })
}

/// Runs one of a primitive's `programs` programs under its share of the schedules: half of them at random, a quarter at
/// random with time limits that may pass at any moment, a quarter by priorities.
#[track_caller]
pub(crate) fn explore(programs: usize, program: impl Fn() + Send + Sync + Clone + 'static) {
    let share = SCHEDULES.div_ceil(4 * programs);
    for (strategy, early_timers, shares) in
        [(Strategy::Random, false, 2), (Strategy::Random, true, 1), (Strategy::Pct { depth: 3 }, false, 1)]
    {
        let config = Config {
            seed: Some(seed()),
            iterations: Some(shares * share),
            strategy,
            max_steps: 100_000,
            early_timers,
            ..Config::default()
        };
        testing::explore(config, program.clone());
    }
}

/// Runs a small program under all schedules with at most so many preemptions; how many there were.
#[track_caller]
pub(crate) fn exhaust(preemptions: usize, program: impl Fn() + Send + Sync + 'static) -> u64 {
    let strategy = Strategy::Exhaustive { preemptions: Some(preemptions) };
    match testing::check(Config { strategy, ..Config::default() }, program) {
        Ok(explored) => {
            assert!(explored.complete);
            explored.schedules
        }
        Err(failure) => panic!("{failure}"),
    }
}

/// Values that are counted while they live.
#[derive(Clone, Default)]
pub(crate) struct Census(Arc<AtomicUsize>);

#[derive(Debug)]
pub(crate) struct Counted {
    pub(crate) value: u32,
    alive: Arc<AtomicUsize>,
}

impl Census {
    pub(crate) fn make(&self, value: u32) -> Counted {
        self.0.fetch_add(1, Ordering::Relaxed);
        Counted { value, alive: self.0.clone() }
    }

    pub(crate) fn alive(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Says who is inside, and panics if that is one too many.
#[derive(Default)]
pub(crate) struct Inside(AtomicUsize);

impl Inside {
    /// Enters, lets others run, and leaves.
    pub(crate) fn stay(&self, most: usize) {
        let before = self.0.fetch_add(1, Ordering::Relaxed);
        assert!(before < most, "{} are inside", before + 1);
        rendez::yield_now();
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}
