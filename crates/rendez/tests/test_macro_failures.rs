//! What a failing `#[rendez::test]` says. The failing tests are in [`failing`], ignored, and each is run by the test below
//! that reads its report: in a child process, as test runners run it.

#![cfg(feature = "testing")]
// Not under loom, where the library has no goroutines.
#![cfg(not(loom))]

mod child;

use child::Ended;

/// Tests that fail: run by the tests below, in a child process.
mod failing {
    use rendez::{
        chan, go, go_async, scope,
        sync::Mutex,
        time::{self, Instant},
    };
    use std::{process::ExitCode, time::Duration};

    #[derive(Debug)]
    struct Oops(#[allow(dead_code, reason = "for its Debug")] i32);

    #[rendez::test]
    #[ignore = "it fails: run by `a_leak_is_told_with_its_place_and_what_it_waits_for`"]
    fn leak() {
        let (tx, rx) = chan::bounded::<i32>(0);
        rendez::Builder::new().name("forgotten").spawn(move || (tx.send(1), rx)).unwrap();
        go_async(std::future::pending::<()>());
    }

    #[rendez::test(virtual_time)]
    #[ignore = "it fails: run by `a_leak_is_told_with_its_place_and_what_it_waits_for`"]
    fn leak_in_virtual_time() {
        let (tx, rx) = chan::bounded::<i32>(0);
        rendez::Builder::new().name("forgotten").spawn(move || (tx.send(1), rx)).unwrap();
        go(|| time::sleep(Duration::from_secs(3600))); // which ends
        go_async(std::future::pending::<()>());
    }

    #[rendez::test(virtual_time)]
    #[ignore = "it fails: run by `a_deadlock_is_told_with_who_waits_for_what`"]
    fn deadlock() {
        let mutex = Mutex::new(());
        let _guard = mutex.lock();
        scope(|s| {
            s.go(|| drop(mutex.lock()));
        });
    }

    #[rendez::test(explore = 1)]
    #[ignore = "it fails: run by `a_deadlock_is_told_with_who_waits_for_what`"]
    fn explored_deadlock() {
        let mutex = Mutex::new(());
        let _guard = mutex.lock();
        let _again = mutex.lock();
    }

    #[rendez::test(explore = 1000)]
    #[ignore = "it fails: run by `an_exploration_says_how_to_run_it_again`"]
    fn lost_update() {
        println!("a run");
        let total = Mutex::new(0);
        scope(|s| {
            for _ in 0..2 {
                s.go(|| {
                    let seen = *total.lock();
                    *total.lock() = seen + 1;
                });
            }
        });
        assert_eq!(*total.lock(), 2, "an addition was lost");
    }

    #[rendez::test(explore = 10, seed = 5)]
    #[ignore = "it fails: run by `an_exploration_tells_leaks`"]
    fn explored_leak() {
        let (tx, rx) = chan::bounded::<i32>(0);
        go(move || (tx.send(1), rx));
    }

    #[rendez::test]
    #[ignore = "it fails: run by `an_error_is_told_as_its_debug_has_it`"]
    fn error() -> Result<(), Oops> {
        Err(Oops(3))
    }

    #[rendez::test(virtual_time)]
    #[ignore = "it fails: run by `an_error_is_told_as_its_debug_has_it`"]
    async fn error_in_virtual_time() -> Result<Result<(), Oops>, ()> {
        Ok(Err(Oops(3)))
    }

    #[rendez::test]
    #[ignore = "it fails: run by `a_status_is_told`"]
    fn status() -> ExitCode {
        ExitCode::FAILURE
    }

    #[rendez::test(explore = 1000, strategy = exhaustive)]
    #[ignore = "it fails: run by `an_error_in_some_schedule_is_a_failure_of_the_exploration`"]
    fn explored_error() -> Result<(), Oops> {
        let (tx, rx) = chan::bounded(2);
        scope(|s| {
            for n in 0..2 {
                let tx = tx.clone();
                s.go(move || tx.send(n).unwrap());
            }
        });
        match rx.recv() {
            Ok(0) => Ok(()),
            _ => Err(Oops(4)),
        }
    }

    #[rendez::test]
    #[should_panic(expected = "this")]
    #[ignore = "it fails: run by `a_panic_that_was_to_come_is_missed`"]
    fn no_panic() {
        time::sleep(Duration::from_millis(1));
    }

    #[rendez::test(explore = 10)]
    #[should_panic(expected = "this")]
    #[ignore = "it fails: run by `a_panic_that_was_to_come_is_missed`"]
    fn no_panic_in_any_schedule() {}

    #[rendez::test(virtual_time)]
    #[should_panic(expected = "this")]
    #[ignore = "it fails: run by `a_panic_that_was_to_come_is_missed`"]
    fn another_panic() {
        panic!("that");
    }

    #[rendez::test]
    #[ignore = "it fails: run by `a_panic_is_told_once`"]
    fn panic() {
        assert_eq!(Instant::now().elapsed(), Duration::MAX, "out of time");
    }

    #[rendez::test(workers = 2)]
    #[ignore = "it fails: run by `a_panic_that_nobody_joins_fails_the_test`"]
    fn detached_panic() {
        drop(go(|| panic!("nobody asks")));
    }

    #[rendez::test(virtual_time)]
    #[ignore = "it fails: run by `a_panic_that_nobody_joins_fails_the_test`"]
    fn detached_panic_in_virtual_time() {
        drop(go(|| panic!("nobody asks")));
    }

    #[rendez::test(workers = 0)]
    #[ignore = "it fails: run by `a_runtime_that_can_not_be_is_told`"]
    fn no_workers() {}

    #[rendez::test(explore = 1 - 1)]
    #[ignore = "it fails: run by `no_schedules_are_refused`"]
    fn no_schedules() {}

    #[rendez::test(workers = 2)]
    #[ignore = "it fails: run by `who_never_stops_running_is_a_leak_too`"]
    fn running_leak() {
        go(|| {
            let begin = std::time::Instant::now();
            while begin.elapsed() < Duration::from_secs(15) {
                rendez::yield_now();
            }
        });
    }
}

/// The report of a failing test, captured as usual.
#[derive(Debug)]
struct Report {
    /// What the runner tells under the test's name.
    text: String,
    ended: Ended,
}

fn report_of(test: &str, settings: &[(&str, &str)]) -> Report {
    let name = format!("failing::{test}");
    let ended = child::end(child::start_ignored(&name, settings));
    assert_eq!(ended.status.code(), Some(101), "it was to fail: {ended:?}");
    assert!(ended.out.contains(&format!("test {name} ")), "{ended:?}");
    let text = match ended.out.split_once("\nfailures:\n") {
        Some((_, rest)) => rest.split_once("\nfailures:\n").map_or(rest, |(text, _)| text).trim().to_owned(),
        None => panic!("no report: {ended:?}"),
    };
    Report { text, ended }
}

impl Report {
    /// Fails unless there is one panic, at this file's `line`, with a text that begins like this.
    #[track_caller]
    fn tells_once(&self, line: u32, begin: &str) {
        assert_eq!(self.text.matches(" panicked at ").count(), 1, "{self:#?}");
        let (_, rest) = self.text.split_once(" panicked at ").unwrap();
        let (place, message) = rest.split_once(":\n").unwrap();
        assert!(place.starts_with(&format!("{}:{line}:", file!())), "at line {line}: {place}\n{self:#?}");
        assert!(message.starts_with(begin), "{self:#?}");
    }

    #[track_caller]
    fn has(&self, text: &str) {
        assert!(self.text.contains(text), "{text}: {self:#?}");
    }
}

/// The line of this file on which `code` stands first.
fn line_of(code: &str) -> u32 {
    let at =
        include_str!("test_macro_failures.rs").lines().position(|line| line.trim_start().starts_with(code));
    at.unwrap_or_else(|| panic!("no such line: {code}")) as u32 + 1
}

#[test]
fn a_leak_is_told_with_its_place_and_what_it_waits_for() {
    for test in ["leak", "leak_in_virtual_time"] {
        let report = report_of(test, &[]);
        report.tells_once(
            line_of(&format!("fn {test}()")),
            "2 goroutines have leaked: they did not end\n\ngoroutine ",
        );
        report.has(" \"forgotten\" [chan send]:\n\tcreated at crates/rendez/tests/test_macro_failures.rs:");
        report.has(" [await]:\n\tcreated at crates/rendez/tests/test_macro_failures.rs:");
        assert_eq!(report.ended.err, "", "{report:#?}");
    }
}

#[test]
fn a_deadlock_is_told_with_who_waits_for_what() {
    let report = report_of("deadlock", &[]);
    let line = line_of("fn deadlock()");
    let first = format!("goroutine 1 [scope]:\n\tcreated at {}:{line}:", file!());
    report.tells_once(line, &format!("all goroutines are asleep - deadlock!\n\n{first}"));
    report.has("goroutine 2 [sync.Mutex.Lock]:\n\tcreated at crates/rendez/tests/test_macro_failures.rs:");
    report_of("explored_deadlock", &[])
        .has(&format!("goroutine 1 [sync.Mutex.Lock]:\n\tcreated at {}:", file!()));
}

#[test]
fn an_exploration_says_how_to_run_it_again() {
    let line = line_of("fn lost_update()");
    let report = report_of("lost_update", &[]);
    report.tells_once(line, "the body panicked: assertion `left == right` failed: an addition was lost");
    report.has("seed = ");
    let (_, rest) = report.text.split_once("RENDEZ_REPLAY=").expect("how to run it again");
    let replay = rest.lines().next().unwrap();
    assert!(replay.starts_with(&format!("{}:{line}=", file!())), "{report:#?}");

    let again = report_of("lost_update", &[("RENDEZ_REPLAY", replay)]);
    again.tells_once(line, "the body panicked: assertion `left == right` failed: an addition was lost");
    again.has("found by schedule 1 ");
    again.has(&format!("RENDEZ_REPLAY={replay}"));
    assert_eq!(again.text.matches("a run\n").count(), 1, "{again:#?}");

    // Another test is not touched by it, and says so.
    let other = report_of("explored_leak", &[("RENDEZ_REPLAY", replay)]);
    other.has("1 goroutine has leaked");
    assert!(other.ended.err.contains("runs as usual"), "{other:#?}");
}

#[test]
fn an_exploration_tells_leaks() {
    let report = report_of("explored_leak", &[]);
    report
        .tells_once(line_of("fn explored_leak()"), "1 goroutine has leaked: it did not end\n\ngoroutine 2 [");
    report.has("found by schedule 1 (seed = 5)");
}

#[test]
fn an_error_is_told_as_its_debug_has_it() {
    report_of("error", &[]).tells_once(line_of("fn error()"), "the test returned an error: Oops(3)\n");
    let line = line_of("async fn error_in_virtual_time()");
    report_of("error_in_virtual_time", &[]).tells_once(line, "the test returned an error: Oops(3)\n");
}

#[test]
fn a_status_is_told() {
    report_of("status", &[])
        .tells_once(line_of("fn status()"), "the test returned a status of failure: ExitCode(");
}

#[test]
fn an_error_in_some_schedule_is_a_failure_of_the_exploration() {
    let line = line_of("fn explored_error()");
    let report = report_of("explored_error", &[]);
    report.tells_once(line, "the body panicked: the test returned an error: Oops(4)\n");
    report.has(&format!("\n\tat {}:{line}:", file!()));
    report.has(&format!("RENDEZ_REPLAY={}:{line}=", file!()));
}

#[test]
fn a_panic_that_was_to_come_is_missed() {
    for test in ["no_panic", "no_panic_in_any_schedule"] {
        report_of(test, &[]).has("test did not panic as expected");
    }
    let report = report_of("another_panic", &[]);
    report.has("panic did not contain expected string");
    report.has("panic message: \"that\"");
}

#[test]
fn a_panic_is_told_once() {
    let report = report_of("panic", &[]);
    report
        .tells_once(line_of("assert_eq!(Instant::now()"), "assertion `left == right` failed: out of time\n");
    assert_eq!(report.ended.err, "", "{report:#?}");
}

#[test]
fn a_panic_that_nobody_joins_fails_the_test() {
    for test in ["detached_panic", "detached_panic_in_virtual_time"] {
        let report = report_of(test, &[]);
        // Its own, and the test's.
        assert_eq!(report.text.matches(" panicked at ").count(), 2, "{report:#?}");
        report.has("nobody asks");
        report
            .has(" panicked, and nobody joined it\n\tcreated at crates/rendez/tests/test_macro_failures.rs:");
    }
}

#[test]
fn a_runtime_that_can_not_be_is_told() {
    let report = report_of("no_workers", &[]);
    report.tells_once(line_of("fn no_workers()"), "the runtime of the test could not be started: ");
    report.has("must be from 1 to 1024, not 0");
}

#[test]
fn no_schedules_are_refused() {
    report_of("no_schedules", &[])
        .tells_once(line_of("fn no_schedules()"), "`explore = 0` explores nothing: expected 1 or more");
}

#[test]
fn who_never_stops_running_is_a_leak_too() {
    let report = report_of("running_leak", &[]);
    report.tells_once(line_of("fn running_leak()"), "1 goroutine has leaked: it did not end\n");
}
