//! Tests of concurrent programs that are the same each time: virtual time, chosen schedules, replay.
//!
//! | | |
//! | --- | --- |
//! | [`virtual_time`] | a program whose clock moves only when it has nothing else to do |
//! | [`explore`], [`check`] | a program run under many schedules, in virtual time; what fails is repeated by a seed, or by a line for the environment |
//! | [`check_leaks`] | no goroutine is left behind |
//!
//! They work on the program as it is: rendez owns its scheduler, its clock and its randomness, so nothing has to be
//! replaced by a double.
//!
//! # How it is made
//!
//! A runtime under test has one worker with another loop (`sched::harness`). `explorer` is the engine: it counts steps, keeps the decisions,
//! and asks a `strategy` for each. `schedule` is how decisions are written down, `failure` how a failure is told, and
//! `explore` the session that begins runs, and shortens what failed. Ideas: systematic search and replay from VeriSoft
//! and CHESS, PCT from its paper, the separation of engine and strategies and failures that print what repeats them from
//! shuttle, a clock that moves when all wait from Go's `testing/synctest`.

mod explore;
mod explorer;
mod failure;
mod leaks;
pub(crate) mod panics;
mod schedule;
mod strategy;
mod virtual_time;

pub use explore::{Config, Explored, check, explore};
pub use failure::Failure;
pub use leaks::{ClockHold, check_leaks};
pub use virtual_time::virtual_time;

pub(crate) use explorer::Explorer;
pub(crate) use failure::Kind;
pub(crate) use strategy::{CLOCK, Options, Running, wrapped};

/// Who chooses schedules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// At each decision, one of the options, each as likely as the others. Finds most bugs of few goroutines, and is the quickest.
    #[default]
    Random,
    /// Probabilistic concurrency testing (Burckhardt and others, ASPLOS 2010): goroutines have priorities, which change at `depth - 1` places. A
    /// bug that takes `depth` things to happen in a certain order is found by a schedule with a probability of at least
    /// 1 / (n * k^(depth - 1)), for a program of `n` goroutines and `k` steps. For bugs that need a goroutine to be held up for
    /// long, which random choices don't do. 3 is a good depth to begin with. The first schedule only counts the steps.
    Pct {
        /// How many things have to happen in order. 1: there are no changes of priority.
        depth: usize,
    },
    /// Every schedule, once, depth first: for small programs, of which it is then known that no schedule makes them fail. A program
    /// that spins on [`yield_now`](crate::yield_now) has schedules without end, unless preemptions are bounded.
    Exhaustive {
        /// Only those that at most so many times take the processor from a goroutine that could go on, or, when one yields, go to
        /// another than the next by number. `None`: all. Two or three find most bugs.
        preemptions: Option<usize>,
    },
    /// One schedule, as [`Failure::schedule`] gives it; after its end, goroutines run until they wait.
    Replay(String),
}

/// The numbers of goroutines, step by step.
fn trace_text(trace: &[u64]) -> String {
    let names: Vec<String> = trace.iter().map(|&id| name_of(id)).collect();
    names.join(" ")
}

fn name_of(id: u64) -> String {
    if id == CLOCK { "clock".to_owned() } else { id.to_string() }
}
