//! Chosen schedules: what goes wrong in some order is found, shortened, and happens again when it is asked for.

#![cfg(feature = "testing")]

use rendez::{
    chan, go, go_async, scope, select,
    sync::{Mutex, WaitGroup},
    testing::{self, Config, Failure, Strategy},
    time::{self, Instant},
};
use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

fn exhaustive() -> Config {
    Config { strategy: Strategy::Exhaustive { preemptions: None }, ..Config::default() }
}

fn seeded(strategy: Strategy) -> Config {
    Config { strategy, seed: Some(1), ..Config::default() }
}

/// Two add to a number in two steps each.
fn lost_update() {
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

fn lock_order() {
    let locks = Arc::new((Mutex::new(()), Mutex::new(())));
    let other = locks.clone();
    let handle = go(move || {
        let _second = other.1.lock();
        let _first = other.0.lock();
    });
    let (_first, _second) = (locks.0.lock(), locks.1.lock());
    drop((_first, _second));
    handle.join().unwrap();
}

fn failure_of(config: Config, f: impl Fn() + Send + Sync + 'static) -> Failure {
    *testing::check(config, f).expect_err("there is a schedule under which it fails")
}

#[test]
fn every_strategy_finds_a_lost_update() {
    for strategy in [
        Strategy::Random,
        Strategy::Pct { depth: 2 },
        Strategy::Exhaustive { preemptions: None },
        Strategy::Exhaustive { preemptions: Some(1) },
    ] {
        let failure = failure_of(seeded(strategy.clone()), lost_update);
        assert!(failure.is_panic(), "{failure}");
        assert!(failure.message().contains("an addition was lost"), "{failure}");
        assert!(failure.message().contains("tests/explore.rs:"), "it says where: {failure}");
        assert!(failure.found_after() < 200, "{strategy:?}: {failure}");
    }
}

#[test]
fn every_strategy_finds_locks_taken_in_both_orders() {
    for strategy in
        [Strategy::Random, Strategy::Pct { depth: 2 }, Strategy::Exhaustive { preemptions: Some(1) }]
    {
        let failure = failure_of(seeded(strategy), lock_order);
        assert!(failure.is_deadlock(), "{failure}");
        assert!(failure.message().matches("[sync.Mutex.Lock]").count() == 2, "{failure}");
    }
}

#[test]
fn a_failure_happens_again_by_its_seed_and_by_its_schedule() {
    for strategy in [Strategy::Random, Strategy::Pct { depth: 2 }] {
        let config = Config { strategy: strategy.clone(), ..Config::default() };
        let failure = failure_of(config, lost_update);
        let by_seed = Config { strategy, seed: Some(failure.seed()), ..Config::default() };
        let again = failure_of(by_seed, lost_update);
        assert_eq!((again.found_after(), again.seed()), (1, failure.seed()));
        assert_eq!(again.schedule(), failure.schedule());
        let by_schedule = Config { strategy: Strategy::Replay(failure.schedule()), ..Config::default() };
        for _ in 0..100 {
            let again = failure_of(by_schedule.clone(), lost_update);
            assert_eq!(again.trace(), failure.trace());
        }
    }
}

#[test]
fn a_failing_schedule_is_shortened_to_what_matters() {
    let failure = failure_of(seeded(Strategy::Random), lost_update);
    // One goroutine has to be interrupted between its two steps: that is one decision.
    let decisions = failure.schedule().split('-').count();
    assert_eq!(decisions, 1, "{failure}");
}

#[test]
fn the_report_says_how_to_run_it_again() {
    let panic =
        std::panic::catch_unwind(|| testing::explore(seeded(Strategy::Random), lost_update)).unwrap_err();
    let text = panic.downcast::<String>().unwrap();
    assert!(text.contains("seed = "), "{text}");
    assert!(text.contains("RENDEZ_REPLAY=crates/rendez/tests/explore.rs:"), "{text}");
}

#[test]
fn a_leak_is_found_and_named() {
    let failure = failure_of(seeded(Strategy::Random), || {
        let (tx, rx) = chan::bounded::<i32>(0);
        go(move || {
            // So nobody else can send, or end it.
            let _tx = tx;
            rx.recv()
        });
    });
    assert!(failure.is_leak(), "{failure}");
    assert!(failure.message().contains("[chan receive]"), "{failure}");
}

#[test]
fn a_detached_goroutine_that_panics_fails_the_run() {
    let failure = failure_of(seeded(Strategy::Random), || {
        drop(go(|| panic!("nobody asks")));
    });
    assert!(failure.is_panic() && failure.message().contains("nobody asks"), "{failure}");
}

#[test]
fn a_panic_that_is_joined_is_no_failure() {
    let explored = testing::check(seeded(Strategy::Random), || {
        assert!(go(|| panic!("somebody asks")).join().is_err());
    });
    assert_eq!(explored.unwrap().schedules, 1000);
}

#[test]
fn what_never_ends_is_stopped() {
    let config = Config { max_steps: 1000, ..seeded(Strategy::Random) };
    let failure = failure_of(config, || {
        loop {
            rendez::yield_now();
        }
    });
    assert!(failure.message().contains("did not end within 1000 steps"), "{failure}");
}

#[test]
fn a_loop_that_yields_until_another_is_done_ends_under_every_strategy() {
    for strategy in
        [Strategy::Random, Strategy::Pct { depth: 3 }, Strategy::Exhaustive { preemptions: Some(0) }]
    {
        let config = Config { iterations: Some(300), max_steps: 10_000, ..seeded(strategy) };
        testing::explore(config, || {
            let other = go(|| {
                for _ in 0..3 {
                    rendez::yield_now();
                }
            });
            while !other.is_finished() {
                rendez::yield_now();
            }
        });
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let trace = |seed| {
        let config = Config { seed: Some(seed), iterations: Some(1), ..Config::default() };
        testing::check(config, busy).unwrap().trace
    };
    assert_eq!(trace(7), trace(7));
    assert_ne!(trace(7), trace(8));
}

/// Some of everything.
fn busy() {
    let (tx, rx) = chan::bounded(1);
    let (done_tx, done_rx) = chan::bounded::<()>(0);
    let group = WaitGroup::new();
    for i in 0..3 {
        let tx = tx.clone();
        group.go(move || {
            tx.send(i).unwrap();
            time::sleep(Duration::from_millis(i));
            tx.send(10 + i).unwrap();
        });
    }
    drop(tx);
    let sum = go_async({
        let rx = rx.clone();
        async move {
            let mut sum = 0;
            while let Ok(n) = rx.recv_async().await {
                sum += n;
            }
            sum
        }
    });
    let mut mine = 0;
    go(move || {
        group.wait();
        drop(done_tx);
    });
    loop {
        select! {
            recv(rx) -> n => match n {
                Ok(n) => mine += n,
                Err(_) => break,
            },
            recv(done_rx) -> _ => break,
        }
    }
    drop(rx);
    assert_eq!(mine + sum.join().unwrap(), 36);
}

#[test]
fn nothing_is_lost_in_ten_thousand_schedules() {
    let config = Config { iterations: Some(10_000), ..Config::default() };
    testing::explore(config, busy);
    let config = Config { iterations: Some(3000), strategy: Strategy::Pct { depth: 3 }, ..Config::default() };
    testing::explore(config, busy);
}

#[test]
fn an_exhaustive_search_knows_when_there_is_nothing_left() {
    let explored = testing::check(exhaustive(), || {
        let (tx, rx) = chan::bounded(0);
        let sender = go(move || tx.send(1).unwrap());
        assert_eq!(rx.recv(), Ok(1));
        sender.join().unwrap();
    })
    .unwrap();
    assert!(explored.complete && explored.schedules > 1, "{explored:?}");
    let bounded = Config { iterations: Some(1), ..exhaustive() };
    assert!(!testing::check(bounded, busy).unwrap().complete);
}

#[test]
fn an_exhaustive_search_visits_every_interleaving_once() {
    // Goroutines that do nothing but yield, k times each, and the main one that is parked meanwhile: their k + 1 bursts each
    // interleave in any way, and that is a multinomial. Here (2 * 3)! / (3! * 3!) = 20 (see the head of the test for three).
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let explored = testing::check(exhaustive(), {
        let seen = seen.clone();
        move || {
            let order = std::sync::Mutex::new(Vec::new());
            let order = &order;
            scope(|s| {
                for name in ["a", "b"] {
                    s.go(move || {
                        for _ in 0..3 {
                            order.lock().unwrap().push(name);
                            rendez::yield_now();
                        }
                    });
                }
            });
            seen.lock().unwrap().push(order.lock().unwrap().concat());
        }
    })
    .unwrap();
    let mut all = seen.lock().unwrap().clone();
    let runs = all.len();
    all.sort();
    all.dedup();
    println!("{explored:?}: {} orders in {runs} runs", all.len());
    assert!(explored.complete);
    assert_eq!(all.len(), 20);
}

/// The smallest program in which two of each kind meet.
fn rendezvous(senders: usize, receivers: usize) {
    let (tx, rx) = chan::bounded(0);
    let (tx, rx) = (&tx, &rx);
    scope(|s| {
        (0..senders).for_each(|value| drop(s.go(move || tx.send(value).unwrap())));
        (0..receivers).for_each(|_| drop(s.go(|| rx.recv().unwrap())));
    });
}

#[test]
fn the_orders_of_a_rendezvous_are_counted() {
    // The library's own test `the_rendezvous_of_two_senders_and_two_receivers_is_visited_in_every_order_once` derives them from
    // a model, and compares every one.
    for (senders, receivers, orders) in [(1, 1, 6), (2, 2, 10_224)] {
        let explored = testing::check(exhaustive(), move || rendezvous(senders, receivers)).unwrap();
        assert!(explored.complete);
        assert_eq!(explored.schedules, orders, "{senders} senders and {receivers} receivers");
    }
}

#[test]
fn a_select_that_needs_its_luck_has_it_while_a_strategy_measures() {
    // Under the habits it would take its first arm for ever.
    let config = Config { iterations: Some(10), max_steps: 10_000, ..seeded(Strategy::Pct { depth: 2 }) };
    testing::explore(config, || {
        let (work, stop) = (chan::bounded(1), chan::bounded(1));
        work.0.send(()).unwrap();
        stop.0.send(()).unwrap();
        loop {
            select! {
                recv(work.1) -> _ => work.0.send(()).unwrap(),
                recv(stop.1) -> _ => break,
            }
        }
    });
}

/// Whether some schedule makes `f` fail, of at most so many.
fn fails(config: Config, f: impl Fn() + Send + Sync + 'static) -> bool {
    testing::check(config, f).is_err()
}

#[test]
fn a_goroutine_may_have_sent_its_result_and_not_have_ended() {
    let body = |pause: Duration| {
        let (tx, rx) = chan::bounded(1);
        let worker = go(move || tx.send(1).unwrap());
        rx.recv().unwrap();
        time::sleep(pause);
        assert!(worker.is_finished());
        worker.join().unwrap();
    };
    assert!(fails(exhaustive(), move || body(Duration::ZERO)));
    // But who has slept has slept while nobody could run.
    assert!(!fails(exhaustive(), move || body(Duration::from_secs(1))));
}

#[test]
fn what_is_done_at_the_same_moment_is_done_in_any_order() {
    let second = Duration::from_secs(1);
    // Two sleepers, in the order in which they were set and in the other one.
    let sleepers = move |first: &'static str| {
        let (tx, rx) = chan::unbounded();
        for name in ["a", "b"] {
            let tx = tx.clone();
            go(move || {
                time::sleep(second);
                tx.send(name).unwrap();
            });
        }
        drop(tx);
        assert_ne!(rx.recv(), Ok(first));
    };
    for first in ["a", "b"] {
        assert!(fails(seeded(Strategy::Random), move || sleepers(first)), "{first} may be first");
    }
    // A value that comes at the last moment of a wait, for which a limit was set before it was.
    for in_time in [true, false] {
        let body = move || {
            let (tx, rx) = chan::bounded(0);
            let sender = go(move || {
                time::sleep(second);
                _ = tx.send(());
            });
            let got = rx.recv_timeout(second);
            drop(rx);
            sender.join().unwrap();
            assert_ne!(got.is_ok(), in_time);
        };
        assert!(fails(seeded(Strategy::Random), body), "it may be in time: {in_time}");
    }
    // An async one, whose alarm is another kind of timer.
    for first in ["a", "b"] {
        let body = move || {
            let (tx, rx) = chan::unbounded();
            let (a, b) = (tx.clone(), tx);
            go(move || {
                time::sleep(second);
                a.send("a").unwrap();
            });
            go_async(async move {
                time::sleep_async(second).await;
                b.send("b").unwrap();
            });
            assert_ne!(rx.recv(), Ok(first));
        };
        assert!(fails(seeded(Strategy::Random), body), "{first} may be first");
    }
}

#[test]
fn a_clock_that_is_held_does_not_strike_early() {
    let config = Config { early_timers: true, iterations: Some(200), ..seeded(Strategy::Random) };
    testing::explore(config, || {
        let hold = testing::ClockHold::new();
        let (tx, rx) = chan::bounded(0);
        let sender = go(move || tx.send(1).unwrap());
        assert_eq!(rx.recv_timeout(Duration::from_secs(1)), Ok(1));
        drop(hold);
        sender.join().unwrap();
    });
}

#[test]
fn a_future_may_be_given_its_value_just_before_it_is_dropped() {
    // The value then goes back, and stays even in a channel that has no room.
    for given in [true, false] {
        let body = move || {
            let (tx, rx) = chan::bounded(0);
            let sender = go(move || tx.send(7).unwrap());
            let got = rendez::block_on(async {
                let mut wait = std::pin::pin!(rx.recv_async());
                std::future::poll_fn(|cx| Poll::Ready(wait.as_mut().poll(cx).is_ready())).await
            });
            if got {
                return sender.join().unwrap();
            }
            let kept = rx.len();
            assert_eq!(rx.recv(), Ok(7));
            sender.join().unwrap();
            assert_ne!(kept == 1, given);
        };
        assert!(fails(seeded(Strategy::Random), body), "it may be given: {given}");
    }
}

#[test]
fn a_select_may_keep_its_peer_waiting_until_it_sends() {
    // Between the choice and the value the receiver's time may be over; then the value stays in the channel.
    for in_time in [true, false] {
        let body = move || {
            let (tx, rx) = chan::bounded(0);
            let receiver = go(move || {
                let got = rx.recv_timeout(Duration::from_secs(1));
                (got, rx)
            });
            let mut select = rendez::Select::new();
            select.send(&tx);
            let operation = select.wait();
            operation.send(&tx, 5).unwrap();
            let (got, rx) = receiver.join().unwrap();
            assert!(got.is_ok() || rx.try_recv() == Ok(5), "lost");
            assert_ne!(got.is_ok(), in_time);
        };
        let config = Config { early_timers: true, ..seeded(Strategy::Random) };
        let failure = failure_of(config, body);
        assert!(!failure.message().contains("lost"), "{failure}");
    }
}

#[test]
fn a_once_ends_after_the_last_that_its_function_does() {
    let body = |expected: bool| {
        let once = Arc::new(rendez::sync::Once::new());
        let (tx, rx) = chan::bounded(1);
        let caller = go({
            let once = once.clone();
            move || once.call_once(|| tx.send(()).unwrap())
        });
        rx.recv().unwrap();
        let is_completed = once.is_completed();
        caller.join().unwrap();
        assert_ne!(is_completed, expected);
    };
    for expected in [true, false] {
        assert!(fails(exhaustive(), move || body(expected)), "{expected} is possible");
    }
}

#[test]
fn time_limits_pass_early_only_if_they_may() {
    let body = || {
        let start = Instant::now();
        let (tx, rx) = chan::bounded(1);
        let sender = go(move || tx.send(1).is_ok());
        let got = rx.recv_timeout(Duration::from_secs(1));
        assert!(got.is_ok(), "timed out after {:?}", start.elapsed());
        sender.join().unwrap();
    };
    assert!(testing::check(seeded(Strategy::Random), body).is_ok());
    let early = Config { early_timers: true, ..seeded(Strategy::Random) };
    let failure = failure_of(early, body);
    assert!(failure.message().contains("timed out after 1s"), "{failure}");
    assert!(failure.trace().contains("clock"), "{failure}");
}

#[test]
fn what_a_run_leaves_behind_does_not_reach_the_next() {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    static KEPT: std::sync::Mutex<Vec<time::Timer>> = std::sync::Mutex::new(Vec::new());
    let config = Config { iterations: Some(50), ..seeded(Strategy::Random) };
    let explored = testing::check(config, || {
        RUNS.fetch_add(1, Ordering::Relaxed);
        assert_eq!(Instant::now().elapsed(), Duration::ZERO);
        // Stays set when all have ended.
        KEPT.lock().unwrap().push(time::after_func(Duration::from_secs(5), || panic!("of another run")));
        time::sleep(Duration::from_secs(1));
    });
    assert_eq!(explored.unwrap().schedules, 50);
    assert_eq!(RUNS.load(Ordering::Relaxed), 50);
}

#[test]
fn explorations_may_run_beside_each_other_and_within_one_another() {
    std::thread::scope(|s| {
        for _ in 0..3 {
            s.spawn(|| {
                let config = Config { iterations: Some(200), ..Config::default() };
                testing::explore(config, busy);
            });
        }
    });
    let few = Config { iterations: Some(5), ..Config::default() };
    testing::explore(few.clone(), move || testing::explore(few.clone(), busy));
}
