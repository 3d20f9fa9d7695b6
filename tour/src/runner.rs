//! Runs programs one after another, each on a runtime of its own, and counts.
//!
//! A program fails if its check says so, if it panics, or if it is not done within [`TIME_LIMIT`]. The first two are
//! counted and the tour goes on; after the third it can't, since a program that hangs can't be taken away.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::output::{Check, Failure, Output, print_line};
use crate::programs::Program;

/// Far more than any program needs, on any machine and in any build.
const TIME_LIMIT: Duration = Duration::from_secs(120);

/// Runs the programs and prints the summary; the status is 1 if any failed, or if there was none.
pub(crate) fn run_all(programs: impl IntoIterator<Item = &'static Program>) -> ExitCode {
    let (mut passed, mut failed) = (0, Vec::new());
    for program in programs {
        if shown(program) { passed += 1 } else { failed.push(program) }
    }
    for program in &failed {
        print_line(format_args!("failed: {program}"));
    }
    print_line(format_args!("tour: {passed} passed, {} failed", failed.len()));
    if failed.is_empty() && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints the programs' numbers and titles.
pub(crate) fn list(programs: &[Program]) {
    for program in programs {
        print_line(program);
    }
}

/// Runs one program, shown, and says whether its check held.
fn shown(program: &'static Program) -> bool {
    print_line(program);
    let started = Instant::now();
    let check = within_time_limit(program, || checked(program, &Output::shown()));
    let milliseconds = started.elapsed().as_secs_f64() * 1e3;
    match &check {
        Ok(()) => print_line(format_args!("    -- check held ({milliseconds:.1} ms)\n")),
        Err(failure) => print_line(format_args!("    -- CHECK FAILED: {failure}\n")),
    }
    check.is_ok()
}

/// Runs one program as goroutine 1 of a new runtime. A panic is a check that failed.
pub(crate) fn checked(program: &Program, out: &Output) -> Check {
    // What a program that panicked leaves in `out` is only shown.
    catch_unwind(AssertUnwindSafe(|| rendez::run(|| (program.body)(out))))
        .unwrap_or_else(|panic| Err(Failure::new(format!("it panicked: {}", message(&*panic)))))
}

fn message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no text)")
}

/// Ends the process if `f` takes longer than [`TIME_LIMIT`].
fn within_time_limit<R>(program: &'static Program, f: impl FnOnce() -> R) -> R {
    let (running, watched) = mpsc::channel::<()>();
    thread::spawn(move || {
        // Nothing is sent: the other end is dropped when `f` is done.
        if let Err(RecvTimeoutError::Timeout) = watched.recv_timeout(TIME_LIMIT) {
            print_line(format_args!(
                "    -- CHECK FAILED: not done after {TIME_LIMIT:?}\n\nfailed: {program}"
            ));
            std::process::exit(1);
        }
    });
    let result = f();
    drop(running);
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::ensure;
    use crate::programs::ALL;

    #[test]
    fn every_program_passes_its_check() {
        for program in ALL {
            if let Err(failure) = within_time_limit(program, || checked(program, &Output::silent())) {
                panic!("{program}: {failure}");
            }
        }
    }

    #[test]
    fn a_check_that_fails_and_a_panic_are_both_failures() {
        let refuses = Program { number: 0, title: "refuses", body: |_| ensure(false, "no") };
        assert_eq!(checked(&refuses, &Output::silent()), Err(Failure::new("no")));
        let panics = Program { number: 0, title: "panics", body: |_| panic!("oh {}", "dear") };
        assert_eq!(checked(&panics, &Output::silent()), Err(Failure::new("it panicked: oh dear")));
    }
}
