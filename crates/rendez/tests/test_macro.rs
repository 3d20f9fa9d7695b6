//! `#[rendez::test]` as its users write it: each test here is one, and asserts what its options promise.
//!
//! How they fail is in `test_macro_failures.rs`; what must not compile, in `compile_fail/test_*.rs`.

#![cfg(feature = "testing")]
// Not under loom, where the library has no goroutines.
#![cfg(not(loom))]

use rendez::{
    chan, go, go_async, scope,
    sync::{Mutex, WaitGroup},
    time::{self, Instant},
};
use std::{
    cell::Cell,
    collections::BTreeSet,
    process::ExitCode,
    rc::Rc,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, UNIX_EPOCH},
};

const HOUR: Duration = Duration::from_secs(3600);

/// A name that the expansion must not take for its own.
#[allow(dead_code, reason = "it is there to be in the way")]
mod core {}

// ---- on real workers ----

#[rendez::test]
fn the_body_is_a_goroutine() {
    // Only goroutines can start local ones.
    assert_eq!(rendez::go_local(|| 1).join().unwrap(), 1);
}

const WORKERS: usize = 3;

#[rendez::test(workers = WORKERS, stack_size = 64 * 1024, seed = 7,)]
fn options_set_up_the_runtime() {
    assert_eq!(rendez::workers(), WORKERS);
}

#[rendez::test(workers = 2)]
fn its_workers_are_its_own() {
    let before = rendez::workers();
    rendez::set_workers(4);
    assert_eq!((before, rendez::workers()), (2, 4));
}

#[rendez::test(workers = 2)]
fn a_goroutine_that_is_about_to_end_is_no_leak() {
    go(|| time::sleep(Duration::from_millis(20)));
    go_async(time::sleep_async(Duration::from_millis(20)));
}

#[rendez::test(leaks = allow)]
fn goroutines_may_be_left_behind_on_real_workers() {
    go(|| chan::never::<()>().recv());
}

#[rendez::test(panics = allow)]
fn goroutines_may_panic_unasked_on_real_workers() {
    drop(go(|| panic!("as it may")));
}

#[rendez::test]
fn a_panic_that_is_joined_is_no_failure() {
    assert!(go(|| panic!("as it should")).join().is_err());
}

// ---- in virtual time ----

#[rendez::test(virtual_time)]
fn the_clock_stands_until_all_wait() {
    assert_eq!(time::wall_clock(), UNIX_EPOCH + Duration::from_secs(946_684_800));
    let start = Instant::now();
    go(|| time::sleep(HOUR)).join().unwrap();
    assert_eq!(start.elapsed(), HOUR);
}

#[rendez::test(virtual_time)]
fn who_ends_in_an_hour_is_no_leak() {
    go(|| time::sleep(HOUR));
}

#[rendez::test(virtual_time, leaks = allow, panics = allow)]
fn goroutines_may_be_left_behind_and_panic_in_virtual_time() {
    go(|| chan::never::<()>().recv());
    drop(go(|| panic!("as it may")));
    rendez::yield_now();
}

// ---- explored ----

/// What the runs of an exploration have seen.
struct Seen(std::sync::Mutex<Vec<String>>);

impl Seen {
    const fn new() -> Seen {
        Seen(std::sync::Mutex::new(Vec::new()))
    }

    fn note(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    /// What `test` has them see.
    fn by(&self, test: fn()) -> Vec<String> {
        test();
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// In which order two goroutines come to a channel.
fn order_of_two() -> String {
    let (tx, rx) = chan::bounded(2);
    scope(|s| {
        for name in ["a", "b"] {
            let tx = tx.clone();
            s.go(move || tx.send(name).unwrap());
        }
    });
    drop(tx);
    rx.iter().collect::<Vec<_>>().concat()
}

/// Explorations that are called by the tests below: each has to be a test to be made by the macro, and is not run as one, so
/// that nobody else adds to what it has seen.
mod explorations {
    use super::*;

    pub(super) static SEEN: [Seen; 6] = [const { Seen::new() }; 6];

    #[rendez::test(explore = 25)]
    #[ignore = "run by `a_body_is_run_as_often_as_it_says`"]
    pub(super) fn counted() {
        SEEN[0].note(order_of_two());
    }

    #[rendez::test(explore, seed = 3)]
    #[ignore = "run by `the_same_seed_is_the_same_exploration`"]
    pub(super) fn seeded() {
        SEEN[1].note(order_of_two());
    }

    #[rendez::test(explore = 100, strategy = random, max_steps = 10_000, shrink = 0)]
    #[ignore = "run by `every_strategy_sees_both_orders`"]
    pub(super) fn random() {
        SEEN[2].note(order_of_two());
    }

    #[rendez::test(strategy = pct(1 + 1), explore = 100)]
    #[ignore = "run by `every_strategy_sees_both_orders`"]
    pub(super) fn pct() {
        SEEN[3].note(order_of_two());
    }

    #[rendez::test(explore, strategy = exhaustive(1))]
    #[ignore = "run by `every_strategy_sees_both_orders`"]
    pub(super) fn bounded() {
        SEEN[4].note(order_of_two());
    }

    #[rendez::test(explore, strategy = exhaustive)]
    #[ignore = "run by `every_strategy_sees_both_orders`"]
    pub(super) fn exhaustive() {
        SEEN[5].note(order_of_two());
    }
}

#[test]
fn a_body_is_run_as_often_as_it_says() {
    assert_eq!(explorations::SEEN[0].by(explorations::counted).len(), 25);
}

#[test]
fn the_same_seed_is_the_same_exploration() {
    let run = || explorations::SEEN[1].by(explorations::seeded);
    let first = run();
    assert_eq!(first.len(), 1000, "without a number, it is a thousand");
    assert!(first == run());
}

#[test]
fn every_strategy_sees_both_orders() {
    use explorations::{SEEN, bounded, exhaustive, pct, random};
    for (seen, test) in SEEN[2..].iter().zip([random as fn(), pct, bounded, exhaustive]) {
        let orders: BTreeSet<String> = seen.by(test).into_iter().collect();
        assert_eq!(orders.into_iter().collect::<Vec<_>>(), ["ab", "ba"]);
    }
}

/// A time limit that passes although somebody could still run.
#[rendez::test(explore = 500, early_timers, seed = 1)]
#[should_panic(expected = "Err(Timeout)")]
fn timers_may_be_early() {
    let (tx, rx) = chan::bounded(1);
    let sender = go(move || tx.send(1));
    assert_eq!(rx.recv_timeout(HOUR), Ok(1));
    sender.join().unwrap().unwrap();
}

#[rendez::test(explore = 200)]
fn nothing_is_lost_under_a_lock() {
    let total = Mutex::new(0);
    scope(|s| {
        for _ in 0..2 {
            s.go(|| *total.lock() += 1);
        }
    });
    assert_eq!(*total.lock(), 2);
}

// ---- async bodies ----

async fn answer_of_another() -> Result<i32, chan::RecvError> {
    // The future is not `Send`: it stays in its goroutine.
    let here = Rc::new(Cell::new(41));
    let (tx, rx) = chan::bounded(0);
    go_async(async move { tx.send_async(1).await });
    here.set(here.get() + rx.recv_async().await?);
    Ok(here.get())
}

#[rendez::test]
async fn an_async_body_may_hold_what_is_not_send() {
    assert_eq!(answer_of_another().await, Ok(42));
}

#[rendez::test(virtual_time)]
async fn an_async_body_sleeps_in_virtual_time() {
    let start = Instant::now();
    time::sleep_async(HOUR).await;
    assert_eq!(start.elapsed(), HOUR);
}

#[rendez::test(explore = 50)]
async fn an_async_body_is_explored() -> Result<(), chan::RecvError> {
    assert_eq!(answer_of_another().await?, 42);
    Ok(())
}

// ---- results ----

/// Neither the value nor the error is `Send`.
#[rendez::test(workers = 1)]
fn a_result_need_not_be_send() -> Result<(), Box<dyn std::error::Error>> {
    let number: i32 = "42".parse()?;
    assert_eq!(number, 42);
    Ok(())
}

#[rendez::test(virtual_time)]
fn a_status_of_success_is_one() -> ExitCode {
    ExitCode::SUCCESS
}

#[rendez::test(explore = 5)]
fn results_may_be_nested() -> Result<ExitCode, Rc<str>> {
    Ok(ExitCode::SUCCESS)
}

#[rendez::test(workers = 1)]
#[should_panic(expected = "the test returned an error: ParseIntError")]
fn an_error_fails_the_test() -> Result<(), std::num::ParseIntError> {
    "4x".parse::<i32>().map(drop)
}

#[rendez::test(workers = 1)]
#[should_panic(expected = "the test returned a status of failure")]
fn a_status_of_failure_fails_the_test() -> ExitCode {
    ExitCode::from(3)
}

// ---- other attributes ----

/// Told, and kept.
#[should_panic(expected = "as it should")]
#[rendez::test(workers = 1)]
#[allow(clippy::diverging_sub_expression)]
fn a_panic_is_passed_on() -> ! {
    #![allow(unused)]
    let never_used = ();
    panic!("as it should")
}

#[rendez::test(explore = 100)]
#[should_panic(expected = "all goroutines are asleep - deadlock!")]
fn a_deadlock_in_some_schedule_is_a_panic() {
    let (a, b) = (Mutex::new(()), Mutex::new(()));
    scope(|s| {
        s.go(|| drop((a.lock(), b.lock())));
        s.go(|| drop((b.lock(), a.lock())));
    });
}

#[rendez::test(workers = 1)]
#[ignore = "is here to see that this is kept: it would fail"]
fn an_ignored_test_is_not_run() {
    panic!("it was to be ignored");
}

#[cfg(any())]
#[rendez::test]
fn a_test_for_nowhere_is_not_compiled() {
    this_does_not_exist();
}

#[rendez::test(workers = 1)]
#[cfg_attr(all(), should_panic(expected = "conditionally"))]
fn conditional_attributes_are_heeded() {
    panic!("conditionally");
}

/// Under its short name it is what `test` means, and stands for the standard one.
mod under_its_short_name {
    use rendez::test;

    #[test]
    fn test_is_a_goroutine() {
        assert_eq!(rendez::go_local(|| 1).join().unwrap(), 1);
    }

    #[test(explore = 10)]
    fn test_takes_options() {
        assert_eq!(rendez::workers(), 1);
    }
}

/// With everything of the crate in scope, `test` alone would be ambiguous.
mod with_all_of_the_crate {
    use rendez::*;

    #[rendez::test]
    fn test_is_a_goroutine() {
        assert_eq!(go_local(|| 1).join().unwrap(), 1);
    }
}

macro_rules! made_by_a_macro {
    ($name:ident, $($workers:literal)?) => {
        #[rendez::test($(workers = $workers)?)]
        fn $name() -> Result<(), rendez::JoinError> {
            $(assert_eq!(rendez::workers(), $workers);)?
            go(|| ()).join()
        }
    };
}
made_by_a_macro!(a_macro_may_make_tests,);
made_by_a_macro!(a_macro_may_make_tests_with_options, 2);

// ---- tests are functions ----

#[rendez::test(leaks = allow, workers = 1)]
fn leaves_one_waiting() {
    struct Tells;
    impl Drop for Tells {
        fn drop(&mut self) {
            UNWOUND.fetch_add(1, Ordering::Relaxed);
        }
    }
    let started = WaitGroup::new();
    started.add(1);
    let counted = started.clone();
    go(move || {
        let _tells = Tells;
        counted.done();
        chan::never::<()>().recv()
    });
    started.wait();
}

static UNWOUND: AtomicUsize = AtomicUsize::new(0);

#[test]
fn what_may_leak_is_unwound_before_the_test_returns() {
    leaves_one_waiting();
    assert!(UNWOUND.load(Ordering::Relaxed) > 0);
}
