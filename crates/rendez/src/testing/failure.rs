//! How a run fails, and how that is told.

use super::schedule::Schedule;
use crate::{
    diag::{write_rings, write_waits},
    sched::{Inhabitant, knots},
};
use std::{fmt, panic::Location};

/// What went wrong in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Of whom, and what it said.
    Panic {
        title: String,
        message: String,
    },
    Deadlock(Left),
    Leak(Left),
    /// After so many steps.
    Endless(u64, Left),
}

/// What there is when a run comes to nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) inhabitants: Vec<Inhabitant>,
    /// Who panicked before, and what he said: often that is why the others wait.
    pub(crate) panicked: Vec<(u64, String)>,
}

impl Kind {
    /// Whether the two are of the same bug, as far as that can be told.
    pub(super) fn resembles(&self, other: &Kind) -> bool {
        match (self, other) {
            (Kind::Panic { message: one, .. }, Kind::Panic { message: other, .. }) => one == other,
            (Kind::Deadlock(_), Kind::Deadlock(_))
            | (Kind::Leak(_), Kind::Leak(_))
            | (Kind::Endless(..), Kind::Endless(..)) => true,
            _ => false,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (left, text) = match self {
            Kind::Panic { title, message } => return write!(f, "{title} panicked: {message}"),
            Kind::Deadlock(left) => (left, "all goroutines are asleep - deadlock!".to_owned()),
            Kind::Leak(left) => (left, leak_text(left.inhabitants.len())),
            Kind::Endless(steps, left) => (left, format!("did not end within {steps} steps")),
        };
        f.write_str(&text)?;
        write_inhabitants(f, &left.inhabitants)?;
        for (id, message) in &left.panicked {
            write!(f, "\n\ngoroutine {id} has panicked: {message}")?;
        }
        Ok(())
    }
}

pub(crate) fn leak_text(leaked: usize) -> String {
    match leaked {
        1 => "1 goroutine has leaked: it did not end".to_owned(),
        n => format!("{n} goroutines have leaked: they did not end"),
    }
}

/// Reports of crowds end somewhere.
const MOST_TOLD: usize = 50;

pub(crate) fn write_inhabitants(f: &mut impl fmt::Write, all: &[Inhabitant]) -> fmt::Result {
    write_waits(f, &all[..all.len().min(MOST_TOLD)], all)?;
    if all.len() > MOST_TOLD {
        write!(f, "\n\n... and {} more", all.len() - MOST_TOLD)?;
    }
    let mut rings = String::new();
    write_rings(&mut rings, all, &knots(all, |_| true))?;
    match rings.trim_end() {
        "" => Ok(()),
        rings => write!(f, "\n\n{rings}"),
    }
}

/// A schedule under which the program failed. Its [`Display`](fmt::Display) tells what happened, and how to have it happen
/// again.
///
/// # Examples
/// ```
/// use rendez::{sync::Mutex, testing::{self, Config}};
/// let failure = testing::check(Config::default(), || {
///     let mutex = Mutex::new(());
///     let _guard = mutex.lock();
///     let _again = mutex.lock();
/// });
/// let failure = failure.unwrap_err();
/// assert!(failure.is_deadlock() && failure.message().contains("[sync.Mutex.Lock]"));
/// assert_eq!(failure.found_after(), 1); // no other schedule was needed, nor any decision against the habit:
/// assert!(failure.replay().ends_with("=0"));
/// ```
#[derive(Clone, Debug)]
pub struct Failure {
    pub(super) kind: Kind,
    /// The one that was found.
    pub(super) seed: u64,
    pub(super) found_after: u64,
    /// What the strategy found.
    pub(super) found: Schedule,
    /// The shortest that was found to do the same.
    pub(super) schedule: Schedule,
    /// Where [`explore`](super::explore) was called.
    pub(super) site: &'static Location<'static>,
    /// Who went on, step by step, under `schedule`.
    pub(super) trace: Vec<u64>,
}

impl Failure {
    /// What went wrong, without how to repeat it: `all goroutines are asleep - deadlock!` and who waits for what, or the
    /// panic, or who has leaked.
    pub fn message(&self) -> String {
        self.kind.to_string()
    }

    /// Whether all goroutines were waiting, and nobody could ever wake one.
    pub fn is_deadlock(&self) -> bool {
        matches!(self.kind, Kind::Deadlock(_))
    }

    /// Whether a goroutine, or the body itself, panicked.
    pub fn is_panic(&self) -> bool {
        matches!(self.kind, Kind::Panic { .. })
    }

    /// Whether goroutines were left that could not end any more.
    pub fn is_leak(&self) -> bool {
        matches!(self.kind, Kind::Leak(_))
    }

    /// The seed of the failing schedule: with it as [`Config::seed`](super::Config) (and the same strategy) the first
    /// schedule fails.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// How many schedules were run until one failed, that one included.
    pub fn found_after(&self) -> u64 {
        self.found_after
    }

    /// The failing schedule, shortened as far as it would go, for [`Strategy::Replay`](super::Strategy).
    pub fn schedule(&self) -> String {
        self.schedule.to_string()
    }

    /// The value of the environment variable `RENDEZ_REPLAY` with which this very call runs this very schedule. It names the
    /// call by file and line, so of several on a line (those in a macro of yours, for example) each takes it for its own.
    pub fn replay(&self) -> String {
        format!("{}:{}={}", self.site.file(), self.site.line(), self.schedule)
    }

    /// Who went on at each step of the schedule, by the goroutines' numbers, the body being 1: `1 1 2 3 2`.
    pub fn trace(&self) -> String {
        super::trace_text(&self.trace)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", self.kind)?;
        let (found, short) = (self.found.weight(), self.schedule.weight());
        write!(f, "found by schedule {} (seed = {})", self.found_after, self.seed)?;
        if short < found {
            write!(f, "; of its {found} decisions against the habit, {short} will do")?;
        }
        writeln!(f, "\nwho ran: {}", runs(&self.trace))?;
        write!(f, "to run it again: RENDEZ_REPLAY={}", self.replay())
    }
}

/// The trace with each goroutine's steps in a row told once: `1 2*3 1`; of a long one, the end.
fn runs(trace: &[u64]) -> String {
    const LAST: usize = 60;
    let mut runs: Vec<(u64, usize)> = Vec::new();
    for &id in trace {
        match runs.last_mut() {
            Some((last, times)) if *last == id => *times += 1,
            _ => runs.push((id, 1)),
        }
    }
    let mut text = String::new();
    if runs.len() > LAST {
        text.push_str("... ");
    }
    let told: Vec<String> = runs[runs.len().saturating_sub(LAST)..]
        .iter()
        .map(|&(id, times)| match times {
            1 => super::name_of(id),
            times => format!("{}*{times}", super::name_of(id)),
        })
        .collect();
    text.push_str(&told.join(" "));
    text
}
