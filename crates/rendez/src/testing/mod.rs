//! Tests of concurrent programs that are the same each time: virtual time, chosen schedules, replay.
//!
//! | | |
//! | --- | --- |
//! | [`virtual_time`] | a program whose clock moves only when it has nothing else to do |
//! | [`explore`], [`check`] | a program run under many schedules, in virtual time; what fails can be repeated |
//! | [`check_leaks`] | no goroutine is left behind |
//! | [`#[rendez::test]`](macro@crate::test) | a test of any of these kinds, or on real workers, that ends with `check_leaks` |
//!
//! They work on the program as it is: rendez owns its scheduler, its clock and its randomness, so nothing has to be
//! replaced by a double.
//!
//! # How it is made
//!
//! A runtime under test has one worker with another loop (`sched::harness`). `explorer` is the engine: it counts steps,
//! keeps the decisions, and asks a `strategy` for each. `schedule` is how decisions are written down, `failure` how a
//! failure is told, and `explore` the session that begins runs, and shortens what failed. Ideas: systematic search and
//! replay from VeriSoft and CHESS, PCT from its paper, the separation of engine and strategies and failures that print what
//! repeats them from shuttle, a clock that moves when all wait from Go's `testing/synctest`.

pub(crate) mod attribute;
mod explore;
mod explorer;
mod failure;
mod leaks;
pub(crate) mod panics;
mod schedule;
mod strategy;
#[cfg(test)]
mod tests;
mod virtual_time;

pub use explore::{Config, Explored, check, explore};
pub use failure::Failure;
pub use leaks::{ClockHold, check_leaks};
pub use virtual_time::virtual_time;

pub(crate) use explorer::Explorer;
pub(crate) use failure::{Kind, Left};
pub(crate) use strategy::{CLOCK, Options, Running, wrapped};

/// Who chooses the schedules of [`explore`]: at each step which goroutine goes on, and what a `select!` with several ready
/// arms takes.
///
/// # Examples
/// A small program, of which it is then known that no schedule makes it fail:
/// ```
/// use rendez::testing::{self, Config, Strategy};
/// let config = Config { strategy: Strategy::Exhaustive { preemptions: None }, ..Config::default() };
/// testing::explore(config, || assert_eq!(rendez::go(|| 42).join().unwrap(), 42));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// At each step any of those that can go on, each as likely as the others. It is the quickest, and finds most bugs of
    /// few goroutines.
    #[default]
    Random,
    /// Probabilistic concurrency testing (Burckhardt and others, ASPLOS 2010): the goroutine of the highest priority goes
    /// on; priorities are drawn, and at `depth - 1` steps, drawn too, that goroutine's becomes the lowest. A bug that takes
    /// `depth` things to happen in a certain order is found by each schedule with a probability of at least
    /// 1 / (n * k^(depth - 1)), for a program of `n` goroutines and `k` steps. This is for bugs that need a goroutine to be
    /// held up for long, which random choices hardly do. 3 is a good depth to begin with. A first schedule, which is not
    /// counted, measures how many steps there are.
    Pct {
        /// How many things have to happen in order. 1 (or 0): there are no changes of priority.
        depth: usize,
    },
    /// Every schedule, once, depth first: for small programs. One that spins on [`yield_now`](crate::yield_now) has
    /// schedules without end, unless preemptions are bounded.
    Exhaustive {
        /// The most *preemptions* of a schedule: times that it takes the processor from a goroutine that could go on, or
        /// that, when one yields, it goes to another than the next by number. `None`: any number. Two or three find most
        /// bugs.
        preemptions: Option<usize>,
    },
    /// One schedule, once, as [`Failure::schedule`] gives it; after its end, goroutines run until they wait.
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
