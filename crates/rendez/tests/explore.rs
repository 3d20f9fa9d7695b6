//! Chosen schedules: what goes wrong in some order is found, shortened, and happens again when it is asked for.

use rendez::{
    chan, go, go_async, scope, select,
    sync::{Mutex, WaitGroup},
    testing::{self, Config, Failure, Strategy},
    time::{self, Instant},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
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
