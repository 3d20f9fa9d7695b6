//! Running a program under many schedules: what users call, and the session behind it.

use super::{
    Strategy,
    explorer::{Body, Explorer, Verdict},
    failure::{Failure, Kind},
    panics,
    schedule::Schedule,
    strategy::{self, Exhaustive, Pct, Random, Replay},
};
use crate::sched::harness::{self, Control, Start};
use std::{
    io::Write,
    ops::Range,
    panic::Location,
    sync::{Arc, Once},
};

/// How [`explore`] goes about it. Write what differs, and `..Config::default()`.
///
/// # Examples
/// ```
/// use rendez::testing::{Config, Strategy};
/// let config = Config { iterations: Some(500), strategy: Strategy::Pct { depth: 3 }, ..Config::default() };
/// assert_eq!(config.seed, None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The seed of the first schedule, from which those of the others follow. Default: another one each time. A failure
    /// tells the seed of its schedule.
    pub seed: Option<u64>,
    /// How many schedules to run at most. Default: 1000; with [`Strategy::Exhaustive`], all.
    pub iterations: Option<usize>,
    /// Who chooses the schedules. Default: [`Strategy::Random`].
    pub strategy: Strategy,
    /// How many steps a schedule may take, before it is said not to end. Default: 1,000,000.
    pub max_steps: u64,
    /// Whether the clock may strike at any step, so that a time limit may pass although others could still run, as happens
    /// on a machine that is slow for a moment. Default: no, the clock moves only when all wait.
    pub early_timers: bool,
    /// How many schedules to run, after one has failed, in search of a shorter one that fails in the same way. Default:
    /// 1000.
    pub shrink: usize,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            seed: None,
            iterations: None,
            strategy: Strategy::default(),
            max_steps: 1_000_000,
            early_timers: false,
            shrink: 1000,
        }
    }
}

/// What [`check`] has looked at, if nothing failed: see there for an example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explored {
    /// How many schedules were run.
    pub schedules: u64,
    /// How many steps they took together.
    pub steps: u64,
    /// Whether there are no others: only an exhaustive search can know.
    pub complete: bool,
    /// The seed of the first.
    pub seed: u64,
    /// Who went on at each step of the last schedule, by the goroutines' numbers, the body being 1.
    pub trace: String,
}

/// The environment variable that names a call and a schedule for it.
const REPLAY: &str = "RENDEZ_REPLAY";

/// Runs `f` under many schedules, and panics on the first failure with a text that says how to repeat it.
///
/// `f` runs as goroutine 1 of a runtime of its own with one worker, in [virtual time](super::virtual_time). At the beginning
/// of every operation of this crate, at [`yield_now`](crate::yield_now), and whenever a goroutine waits or ends, the
/// strategy says which goroutine goes on; it also decides what a `select!` with several ready arms chooses. So whatever can
/// happen between two operations happens in some schedule. `#[rendez::test(explore = 1000)]` makes a test of it.
///
/// A failure is
///
/// * a panic of `f`, or of a goroutine that nobody joins;
/// * a deadlock: all wait, and no timer is set;
/// * a leak: `f` has returned, the others have had all the virtual time they need, and some are left that wait for ever;
/// * a schedule that takes more than [`Config::max_steps`].
///
/// The failing schedule is shortened as far as it will go; its panics are told in the text and not printed. The text holds
/// `seed = N` (give that as [`Config::seed`], and the first schedule is the failing one), and `RENDEZ_REPLAY=...`: with that
/// in the environment this call runs the one shortened schedule once and nothing else, so that a debugger, or prints, can
/// follow it.
///
/// # What it takes
///
/// `f` has to do the same under the same schedule: nothing random of its own, no times but this crate's, no order of hash
/// maps, no threads that bring work from outside. It is run often, so whatever it leaves behind (statics, thread-locals)
/// should not matter. What happens between two operations is not divided: races of plain atomics show only where an
/// operation stands between them.
///
/// # Panics
/// On the first failure; if a `RENDEZ_REPLAY` for this call can't be read; or if the runtime can't be started.
///
/// # Blocking
/// Parks the calling goroutine, or blocks the OS thread, until all schedules have been run, or one has failed and has been
/// shortened.
///
/// # Cancellation
/// None: a shutdown of the caller's runtime waits for it.
///
/// # Examples
/// Two goroutines add to a number, each in two steps, which loses an addition if the other comes between:
/// ```should_panic
/// use rendez::{sync::Mutex, testing::{self, Config}};
/// testing::explore(Config::default(), || {
///     let total = Mutex::new(0);
///     rendez::scope(|s| {
///         for _ in 0..2 {
///             s.go(|| {
///                 let seen = *total.lock();
///                 *total.lock() = seen + 1;
///             });
///         }
///     });
///     assert_eq!(*total.lock(), 2);
/// });
/// ```
#[track_caller]
pub fn explore<F>(config: Config, f: F)
where
    F: Fn() + Send + Sync + 'static,
{
    if let Err(failure) = check_from(&config, Arc::new(f), Location::caller()) {
        panic!("{failure}");
    }
}

/// As [`explore`], but returns the failure, or, if there is none, what was looked at.
///
/// # Errors
/// The first failure.
///
/// # Panics
/// If a `RENDEZ_REPLAY` for this call can't be read; or if the runtime can't be started.
///
/// # Blocking
/// As [`explore`], and it is not cancelled either.
///
/// # Examples
/// ```
/// use rendez::{chan, testing::{self, Config, Strategy}};
/// let config = Config { strategy: Strategy::Exhaustive { preemptions: None }, ..Config::default() };
/// let explored = testing::check(config, || {
///     let (tx, rx) = chan::bounded(0);
///     let sender = rendez::go(move || tx.send(1).is_ok());
///     assert_eq!(rx.recv(), Ok(1));
///     assert!(sender.join().unwrap());
/// });
/// assert!(explored.unwrap().complete);
/// ```
#[track_caller]
pub fn check<F>(config: Config, f: F) -> Result<Explored, Box<Failure>>
where
    F: Fn() + Send + Sync + 'static,
{
    check_from(&config, Arc::new(f), Location::caller())
}

fn check_from(
    config: &Config,
    body: Body,
    site: &'static Location<'static>,
) -> Result<Explored, Box<Failure>> {
    panics::listen();
    let replayed = replay_of(site);
    let strategy = replayed.as_ref().unwrap_or(&config.strategy);
    let seed = config.seed.unwrap_or_else(|| fastrand::u64(..));
    let budget = match (config.iterations, strategy) {
        (_, Strategy::Replay(_)) => 1,
        (Some(n), _) => n as u64,
        (None, Strategy::Exhaustive { .. }) => u64::MAX,
        (None, _) => 1000,
    };
    let session = Session { config, body, site, replays: matches!(strategy, Strategy::Replay(_)) };
    let chooser =
        chooser(strategy).unwrap_or_else(|error| panic!("rendez: a schedule that can't be read: {error}"));
    if budget == 0 {
        return Ok(Explored { schedules: 0, steps: 0, complete: false, seed, trace: String::new() });
    }
    let explorer = session.explorer(chooser, seed, budget).keep_trace();
    let (mut explorer, failure) = session.run(Box::new(explorer));
    match failure {
        Some(kind) => Err(Box::new(session.failure(*explorer, kind))),
        None => Ok(Explored {
            schedules: explorer.schedules(),
            steps: explorer.steps(),
            complete: matches!(strategy, Strategy::Exhaustive { .. }) && explorer.schedules() < budget,
            seed,
            trace: super::trace_text(&explorer.take_trace()),
        }),
    }
}

/// What the environment says that this call is to run.
fn replay_of(site: &Location<'_>) -> Option<Strategy> {
    let value = std::env::var(REPLAY).ok()?;
    let (place, schedule) = match value.rsplit_once('=') {
        Some(parts) => parts,
        None => panic!(
            "rendez: {REPLAY}={value}: expected FILE:LINE=SCHEDULE, as the report of a failure says it"
        ),
    };
    if place != format!("{}:{}", site.file(), site.line()) {
        static TOLD: Once = Once::new();
        TOLD.call_once(|| {
            // Not `eprintln`, which panics when nobody reads the error stream any more.
            let _ = writeln!(
                std::io::stderr(),
                "rendez: {REPLAY} is for {place}; {site}, and any other, runs as usual"
            );
        });
        return None;
    }
    Some(Strategy::Replay(schedule.to_owned()))
}

fn chooser(strategy: &Strategy) -> Result<Box<dyn strategy::Strategy>, String> {
    Ok(match strategy {
        Strategy::Random => Box::new(Random::new()),
        Strategy::Pct { depth } => Box::new(Pct::new(*depth)),
        Strategy::Exhaustive { preemptions } => Box::new(Exhaustive::new(*preemptions)),
        Strategy::Replay(text) => Box::new(Replay::new(text.parse()?)),
    })
}

/// One call of [`explore`].
pub(super) struct Session<'a> {
    pub(super) config: &'a Config,
    pub(super) body: Body,
    pub(super) site: &'static Location<'static>,
    pub(super) replays: bool,
}

impl Session<'_> {
    pub(super) fn explorer(&self, strategy: Box<dyn strategy::Strategy>, seed: u64, budget: u64) -> Explorer {
        Explorer::new(self.body.clone(), self.site, strategy, seed, budget)
            .limits(self.config.max_steps, self.config.early_timers)
    }

    /// Until all schedules have been run, or one has failed.
    pub(super) fn run(&self, mut explorer: Box<Explorer>) -> (Box<Explorer>, Option<Kind>) {
        // Another runtime under test has to wait for this one.
        let _hold = harness::hold();
        loop {
            let control = Control::new();
            let start = Start { control: control.clone(), explorer: Some(explorer) };
            let runtime = harness::start(start)
                .unwrap_or_else(|error| panic!("rendez: the runtime could not be started: {error}"));
            control.reported.wait_for_children(&());
            runtime.shutdown();
            explorer = control.take().explorer.expect("that is what was reported");
            match explorer.take_verdict() {
                Some(Verdict::Renew) => {}
                Some(Verdict::Failed(kind)) => return (explorer, Some(kind)),
                Some(Verdict::Finished) | None => return (explorer, None),
            }
        }
    }

    fn failure(&self, mut explorer: Explorer, kind: Kind) -> Failure {
        let found = Schedule::new(explorer.take_decisions());
        let mut failure = Failure {
            kind,
            // Without seeds, the search as a whole is repeated.
            seed: if explorer.is_seeded() { explorer.seed() } else { self.config.seed.unwrap_or(0) },
            found_after: explorer.schedules(),
            schedule: found.clone(),
            found,
            site: self.site,
            trace: explorer.take_trace(),
        };
        // Who asks for one schedule has the program run once.
        if !self.replays {
            self.shorten(&mut failure);
        }
        failure
    }

    /// Looks for a schedule with fewer decisions that fails in the same way: without its end, then without parts of it, from
    /// the large to the small (as delta debugging does: Zeller and Hildebrandt, "Simplifying and isolating failure-inducing
    /// input", TSE 2002).
    fn shorten(&self, failure: &mut Failure) {
        let mut left = self.config.shrink;
        // What is kept of it when it is run by what it was written as: it has to fail so, too.
        if !self.try_schedule(failure, failure.schedule.clone(), &mut left) {
            return;
        }
        self.drop_parts(failure, &mut left);
        // What is left may be short for its kind only: a decision changes what those after it mean. Often there is another
        // one, with next to no preemptions.
        for bound in 0..=2 {
            if failure.schedule.weight() <= 1 || left == 0 {
                return;
            }
            let budget = left.div_ceil(2);
            left -= budget;
            let explorer = self.explorer(Box::new(Exhaustive::new(Some(bound))), 0, budget as u64);
            let (mut explorer, kind) = self.run(Box::new(explorer));
            left += budget.saturating_sub(explorer.schedules() as usize);
            let found = Schedule::new(explorer.take_decisions());
            if kind.is_some_and(|kind| kind.resembles(&failure.kind))
                && found.weight() < failure.schedule.weight()
                && self.try_schedule(failure, found, &mut left)
            {
                self.drop_parts(failure, &mut left);
            }
        }
    }

    fn drop_parts(&self, failure: &mut Failure, left: &mut usize) {
        let mut size = failure.schedule.len();
        while size > 0 && *left > 0 {
            let mut end = failure.schedule.len();
            while end > 0 && *left > 0 {
                let range: Range<usize> = end.saturating_sub(size)..end;
                end = range.start;
                if failure.schedule.has_any(range.clone()) {
                    let shorter = failure.schedule.without(range);
                    self.try_schedule(failure, shorter, left);
                    end = end.min(failure.schedule.len());
                }
            }
            size /= 2;
        }
    }

    fn try_schedule(&self, failure: &mut Failure, schedule: Schedule, left: &mut usize) -> bool {
        if *left == 0 {
            return false;
        }
        *left -= 1;
        let explorer = self.explorer(Box::new(Replay::new(schedule)), 0, 1).keep_trace();
        let (mut explorer, kind) = self.run(Box::new(explorer));
        let Some(kind) = kind.filter(|kind| kind.resembles(&failure.kind)) else { return false };
        failure.kind = kind;
        // What was decided, and not what was written: a program that ends early leaves some of it unread.
        failure.schedule = Schedule::new(explorer.take_decisions());
        failure.trace = explorer.take_trace();
        true
    }
}
