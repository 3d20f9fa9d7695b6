//! A program whose time passes only when it has nothing else to do.

use crate::sched::{
    Shared,
    harness::{self, Control, Start},
};
use std::{panic::Location, sync::Arc};

/// Runs `f` in virtual time and returns what it returns.
///
/// `f` runs as the first goroutine of a runtime of its own, with one worker, whose clock begins at midnight of 2000-01-01
/// UTC ([`wall_clock`](crate::time::wall_clock)) and stands while anything in there can run. When every goroutine and async
/// task waits, for whatever rendez lets one wait for (channels, locks, conditions, groups, contexts, joins), the clock moves
/// at once to the next moment for which one does: an hour of sleeping costs microseconds. (Go's `testing/synctest` is the
/// model; there, a goroutine that waits for a mutex keeps the clock from moving.)
///
/// The program does the same each time: the order in which goroutines run is fixed, and what is random has a fixed seed.
/// When `f` returns, the goroutines that are left are unwound, as after [`run`](crate::run). `#[rendez::test(virtual_time)]`
/// makes a test of it, which fails if there are any; [`check_leaks`](super::check_leaks) at the end of `f` does, too.
///
/// # What holds the clock
///
/// * A [`ClockHold`](super::ClockHold), as long as it exists.
/// * A goroutine that waits for another runtime: [`Runtime::run`](crate::Runtime::run), or another `virtual_time`.
/// * A system call that blocks: it keeps the one worker, and so the whole program, from going on.
///
/// OS threads don't, since they can't be seen. They live in real time, and one that is to send on a channel of the program
/// needs a `ClockHold`, or the clock moves as if the thread were not there.
///
/// # Panics
/// With `f`'s panic. If all wait and nothing is left that could wake one, with `all goroutines are asleep - deadlock!` and
/// who waits for what. If the runtime can't be started.
///
/// # Blocking
/// Parks the calling goroutine, or blocks the OS thread, until `f` has returned and the others have ended.
///
/// # Cancellation
/// None, since `f` may borrow from the caller: a shutdown of the caller's runtime waits for it.
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
#[doc(alias("synctest"))]
#[track_caller]
pub fn virtual_time<F, R>(f: F) -> R
where
    F: FnOnce() -> R + Send,
    R: Send,
{
    run(f).0
}

/// As [`virtual_time`]; with the runtime, which has been shut down.
#[track_caller]
pub(super) fn run<F, R>(f: F) -> (R, Arc<Shared>)
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
    let result = runtime.try_run(Location::caller(), body);
    runtime.shutdown();
    match result {
        Ok(value) => (value, runtime),
        Err(unfinished) => match control.take().failure {
            Some(kind) => panic!("{kind}"),
            None => unfinished.pass_on(),
        },
    }
}
