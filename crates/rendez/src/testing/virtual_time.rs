//! A program whose time passes only when it has nothing else to do.

use super::failure::Kind;
use crate::sched::harness::{self, Control, Start};
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};

/// Runs `f` in virtual time and returns what it returns.
///
/// `f` runs as the first goroutine of a runtime of its own, with one worker, whose clock begins at midnight of 2000-01-01 UTC
/// ([`wall_clock`](crate::time::wall_clock)) and stands still while anything in there can run. When every goroutine and async task waits, for
/// whatever rendez lets one wait for (channels, locks, conditions, groups, contexts, joins), the clock moves at once to
/// the next moment for which one does: an hour of sleeping costs microseconds. (Go's `testing/synctest` is the model; there, a
/// goroutine that waits for a mutex keeps the clock from moving.)
///
/// The program is the same again each time: the order in which goroutines run is fixed, and randomness has a fixed seed.
/// When `f` returns, the others are unwound, as after [`run`](crate::run).
///
/// # What holds the clock
///
/// The clock also stands while a [`ClockHold`](super::ClockHold) exists, and while one of the goroutines waits for another runtime
/// ([`Runtime::run`](crate::Runtime::run), another `virtual_time`). OS threads can't be seen: one that is to send on a channel of the program
/// needs a `ClockHold`, or the clock moves as if it were not there. A system call that blocks, keeps the whole program
/// from going on, and its clock too. OS threads themselves live in real time.
///
/// # Panics
/// With `f`'s panic. If everybody waits and nothing is left that could wake one, with `all goroutines are asleep - deadlock!` and who
/// waits for what. If the runtime can't be started.
///
/// # Blocking
/// Parks the calling goroutine, or OS thread, until `f` has returned.
///
/// # Examples
/// ```
/// use rendez::{chan, select, testing, time::{self, Instant}};
/// use std::time::Duration;
/// let hours = Duration::from_secs(3600);
/// let waited = testing::virtual_time(move || {
///     let start = Instant::now();
///     let answer = rendez::go(move || time::sleep(3 * hours));
///     select! {
///         wait(&answer) => panic!("that takes three hours"),
///         default(hours) => {}
///     }
///     start.elapsed()
/// });
/// assert_eq!(waited, hours);
/// ```
#[track_caller]
pub fn virtual_time<F, R>(f: F) -> R
where
    F: FnOnce() -> R + Send,
    R: Send,
{
    let control = Control::new();
    let runtime = harness::start(Start { control: control.clone(), explorer: None })
        .unwrap_or_else(|error| panic!("rendez: the runtime could not be started: {error}"));
    let body = || {
        let result = f();
        harness::note_main_done();
        result
    };
    let site = Location::caller();
    let result = catch_unwind(AssertUnwindSafe(|| runtime.run_from(site, body)));
    runtime.shutdown();
    match result {
        Ok(value) => value,
        Err(payload) => match control.take().failure {
            Some(kind) => deadlocked(&kind),
            None => resume_unwind(payload),
        },
    }
}

#[track_caller]
fn deadlocked(kind: &Kind) -> ! {
    panic!("{kind}");
}
