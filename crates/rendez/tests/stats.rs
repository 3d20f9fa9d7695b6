//! What `diag::stats` counts.
//!
//! The counters are the process's, and so is the clock of what went on before: each test asks about a runtime of its own.
#![cfg(not(loom))]

mod worlds;

use rendez::{
    Builder, Placement, Runtime, chan,
    diag::{self, RuntimeStats, Stats},
    sync::{Barrier, WaitGroup},
};
use std::{
    collections::HashSet,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};
use worlds::{WORLDS, World, in_world};

/// The runtimes that there were not in `before`.
fn new_runtimes<'a>(before: &Stats, now: &'a Stats) -> Vec<&'a RuntimeStats> {
    let known: HashSet<u64> = before.runtimes.iter().map(|runtime| runtime.number).collect();
    now.runtimes.iter().filter(|runtime| !known.contains(&runtime.number)).collect()
}

/// A runtime, and its number.
fn runtime(workers: usize) -> (Runtime, u64) {
    let before = diag::stats();
    let runtime = Runtime::builder().workers(workers).build().unwrap();
    let now = diag::stats();
    let [new] = new_runtimes(&before, &now)[..] else { panic!("others start some meanwhile: {now}") };
    let number = new.number;
    (runtime, number)
}

/// One test at a time, so that a runtime's number is known.
static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn turn() -> std::sync::MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn stats_of(number: u64) -> RuntimeStats {
    diag::stats().runtimes.into_iter().find(|runtime| runtime.number == number).expect("it is there")
}

/// How many goroutines wait for a channel's values.
fn receivers(stats: &Stats) -> u64 {
    let mut waiting = stats.goroutines.waiting.iter();
    waiting.find(|(reason, _)| *reason == "chan receive").map_or(0, |&(_, n)| n)
}

#[test]
fn a_goroutine_that_waits_is_counted_by_what_it_waits_for() {
    let _turn = turn();
    for workers in [1, 2, 8] {
        let (runtime, number) = runtime(workers);
        let before = stats_of(number);
        runtime.run(|| {
            let (tx, rx) = chan::bounded::<()>(0);
            let all = WaitGroup::new();
            for _ in 0..10 {
                let rx = rx.clone();
                all.go(move || assert!(rx.recv().is_err()));
            }
            while receivers(&diag::stats()) < 10 {
                rendez::yield_now();
            }
            let now = stats_of(number);
            let spawned = now.counts.spawned - before.counts.spawned;
            assert_eq!(spawned, 11, "main and ten: {now:?}");
            assert!(diag::stats().goroutines.all >= 11);
            drop(tx);
            all.wait();
        });
        // The main function may have returned before its goroutine has ended.
        while stats_of(number).counts.ended < stats_of(number).counts.spawned {
            thread::yield_now();
        }
        let now = stats_of(number);
        let parks = |stats: &RuntimeStats| {
            let mut parks = stats.counts.parks_by_reason.iter();
            parks.find(|(reason, _)| *reason == "chan receive").map_or(0, |&(_, n)| n)
        };
        assert_eq!(parks(&now) - parks(&before), 10, "{workers} workers: {now:?}");
        assert_eq!(now.counts.ended, now.counts.spawned, "{workers} workers: {now:?}");
        let wakes = now.counts.local_wakes + now.counts.remote_wakes;
        let before_wakes = before.counts.local_wakes + before.counts.remote_wakes;
        assert!(wakes - before_wakes >= 10, "{workers} workers: {now:?}");
        assert_eq!(now.workers.len(), workers);
    }
}

#[test]
fn a_wake_up_is_local_remote_or_the_clock_s() {
    let _turn = turn();
    let (runtime, number) = runtime(1);
    let counts = || stats_of(number).counts;
    // By a goroutine of the same worker.
    let before = counts();
    runtime.run(|| {
        let (tx, rx) = chan::bounded(0);
        rendez::go(move || (0..100).for_each(|i| tx.send(i).unwrap()));
        assert_eq!(rx.iter().count(), 100);
    });
    let now = counts();
    assert!(now.local_wakes - before.local_wakes >= 100, "{now:?}");
    // By a thread.
    let before = counts();
    let (tx, rx) = chan::bounded(0);
    let handle = runtime.spawn(move || rx.iter().count());
    // Else it might find the thread waiting, each time.
    while receivers(&diag::stats()) == 0 {
        thread::yield_now();
    }
    (0..100).for_each(|i| tx.send(i).unwrap());
    drop(tx);
    assert_eq!(handle.join().unwrap(), 100);
    let now = counts();
    assert!(now.remote_wakes > before.remote_wakes, "{now:?}");
    assert!(now.local_wakes - before.local_wakes <= 1, "nobody was there but itself: {now:?}");
    // By the clock.
    let before = counts();
    runtime.run(|| (0..3).for_each(|_| rendez::sleep(Duration::from_millis(1))));
    let now = counts();
    assert_eq!(now.timeouts - before.timeouts, 3, "{now:?}");
}

/// Of those who are woken in a burst the first is measured, who goes on after the last, and directly: without the worker's loop.
#[test]
fn a_wake_up_is_measured_also_if_its_goroutine_is_passed_to() {
    const ROUNDS: usize = 40_000;
    let _turn = turn();
    let (runtime, _) = runtime(1);
    let measured = runtime.run(|| {
        let waits = || {
            let (tx, rx) = chan::bounded(0);
            rendez::go(move || rx.iter().for_each(drop));
            tx
        };
        // Many: who had its turn has it again when long since another one should have been measured. (And not so many that these turns are at
        // the same places between two looks of the loop.)
        let (firsts, last): (Vec<_>, _) = ((0..509).map(|_| waits()).collect(), waits());
        firsts.iter().chain([&last]).for_each(|waits| waits.send(()).unwrap());
        let samples = || diag::stats().wake_to_run.samples();
        let before = samples();
        for round in 0..ROUNDS {
            firsts[round % firsts.len()].send(()).unwrap();
            last.send(()).unwrap();
            // In rounds of several lengths, so that each burst is the one in 512 that is measured at some time.
            (0..=round % 5).for_each(|_| rendez::yield_now());
        }
        samples() - before
    });
    // About one in 2,500 turns, of which a round has five.
    assert!(measured >= 40, "{measured}");
}

#[test]
fn a_worker_is_said_to_run_while_a_goroutine_does_and_not_when_it_has_ended_or_waits() {
    let _turn = turn();
    let (runtime, number) = runtime(1);
    let runs = move || stats_of(number).workers[0].running;
    let does_nothing = || {
        let since = Instant::now();
        while runs() {
            assert!(since.elapsed() < Duration::from_secs(60), "it is said to run for ever");
            thread::yield_now();
        }
    };
    assert!(runtime.run(runs));
    does_nothing();
    let (tx, rx) = chan::bounded(0);
    let waits = runtime.spawn(move || {
        tx.send(()).unwrap();
        tx.send(()).unwrap();
        runs()
    });
    rx.recv().unwrap();
    does_nothing();
    rx.recv().unwrap();
    assert!(waits.join().unwrap());
}

#[test]
fn goroutines_of_both_kinds_are_counted_and_threads_are_not() {
    let _turn = turn();
    for world in WORLDS {
        // Two roles; of the mixed ones the first is a goroutine, and the second a task on a thread.
        let expected = match world {
            World::Goroutines(_) | World::AsyncGoroutines(_) => 2,
            World::Mixed(_) => 1,
            _ => 0,
        };
        in_world(world, |crew| {
            let before = diag::stats();
            let (tx, rx) = chan::bounded(0);
            let sender = crew.start(move |ops| async move {
                for i in 0..50 {
                    ops.send(&tx, i).await.unwrap();
                }
            });
            let receiver = crew.start(move |ops| async move {
                let mut n = 0;
                while ops.recv(&rx).await.is_ok() {
                    n += 1;
                }
                n
            });
            sender.join();
            assert_eq!(receiver.join(), 50);
            let ended = || diag::stats().since(&before).counts.ended;
            while ended() < expected {
                thread::yield_now();
            }
            let counts = diag::stats().since(&before).counts;
            assert_eq!((counts.spawned, counts.ended), (expected, expected), "{world:?}");
            if matches!(world, World::Goroutines(1)) {
                assert!(counts.parks >= 50 && counts.local_wakes >= 50, "{counts}");
                assert_eq!(counts.remote_wakes, 0, "{counts}");
            }
        });
    }
}

#[test]
fn latencies_are_sampled_and_a_worker_that_is_kept_shows_in_them() {
    let _turn = turn();
    let (runtime, _) = runtime(1);
    let before = diag::stats();
    runtime.run(|| {
        let barrier = std::sync::Arc::new(Barrier::new(2));
        let all = WaitGroup::new();
        for _ in 0..2 {
            let barrier = barrier.clone();
            all.go(move || {
                for _ in 0..20_000 {
                    barrier.wait();
                }
            });
        }
        all.wait();
    });
    let latency = diag::stats().since(&before).wake_to_run;
    // One switch in 512 is looked at.
    assert!(latency.samples() >= 10, "{latency}");
    assert!(latency.quantile(0.5) <= latency.quantile(0.99));
    assert!(latency.mean() > Some(Duration::ZERO), "{latency}");
}

#[test]
fn those_who_have_nothing_to_do_look_seldom_while_another_one_is_kept() {
    let _turn = turn();
    let (runtime, _) = runtime(4);
    let looks = runtime.run(|| {
        std::thread::sleep(Duration::from_millis(500));
        let before = diag::stats();
        std::thread::sleep(Duration::from_secs(2));
        diag::stats().since(&before).counts.sleeps
    });
    assert!(looks < 20, "{looks} in 2 s");
}

#[test]
fn one_looks_seldom_while_another_one_is_kept_and_the_others_sleep() {
    let _turn = turn();
    let (runtime, _) = runtime(8);
    let looks = runtime.run(|| {
        // Who comes to have nothing to do finds that another one rests already.
        for i in 1..=7 {
            let kept = move || thread::sleep(Duration::from_millis(250 * i));
            Builder::new().placement(Placement::Spread).spawn(kept).unwrap();
        }
        thread::sleep(Duration::from_millis(2500));
        let before = diag::stats();
        thread::sleep(Duration::from_secs(2));
        diag::stats().since(&before).counts.sleeps
    });
    assert!(looks < 12, "{looks} in 2 s");
}

/// How many of some rounds, at which what is done by a worker that is kept from then on is told to the others late, are slow.
fn slow_rounds(rounds: usize, tell: impl Fn(mpsc::Sender<()>) + Send + Sync + 'static) -> usize {
    let (runtime, _) = runtime(2);
    runtime.run(move || {
        let slow = |_: &usize| {
            thread::sleep(Duration::from_millis(500));
            let (tx, rx) = mpsc::channel();
            let before = diag::stats().counts.sleeps;
            // When who rests has looked, and is about to go to rest again.
            while diag::stats().counts.sleeps == before {}
            let start = Instant::now();
            tell(tx);
            rx.recv().unwrap();
            start.elapsed() > Duration::from_millis(250)
        };
        (0..rounds).filter(slow).count()
    })
}

#[test]
fn what_is_spawned_as_others_go_to_rest_does_not_wait_for_the_end_of_that() {
    let _turn = turn();
    let slow = slow_rounds(10, |tx| _ = rendez::go(move || tx.send(()).unwrap()));
    assert!(slow < 3, "{slow} of 10");
}

#[test]
fn those_who_rest_are_told_of_what_is_spread() {
    let _turn = turn();
    let slow = slow_rounds(6, |tx| {
        let _ = Builder::new().placement(Placement::Spread).spawn(move || tx.send(()).unwrap()).unwrap();
    });
    assert!(slow < 3, "{slow} of 6");
}

#[test]
fn what_a_runtime_has_counted_stays_when_it_has_ended() {
    let _turn = turn();
    let before = diag::stats();
    let (runtime, number) = runtime(2);
    runtime.run(|| (0..10).for_each(|_| rendez::go(|| ()).join().unwrap()));
    let there = diag::stats();
    assert!(new_runtimes(&before, &there).iter().any(|runtime| runtime.number == number));
    drop(runtime);
    let after = diag::stats();
    assert!(new_runtimes(&before, &after).is_empty(), "{after}");
    let counts = after.since(&before).counts;
    // Ten, and the main function of the run.
    assert_eq!((counts.spawned, counts.ended), (11, 11), "{after}");
    // What the threads started is foreign, and counted too.
    assert!(after.counts.spawned >= there.counts.spawned);
}

#[test]
fn workers_sleep_and_are_woken_and_their_stacks_and_timers_are_told() {
    let _turn = turn();
    let (runtime, number) = runtime(2);
    let before = stats_of(number).counts;
    for _ in 0..20 {
        // Long enough to fall asleep.
        thread::sleep(Duration::from_millis(2));
        runtime.run(|| ());
    }
    let now = stats_of(number).counts;
    assert!(now.sleeps > before.sleeps && now.notifies > before.notifies, "{now:?}");
    assert!(now.asleep - before.asleep >= Duration::from_millis(10), "{now:?}");
    runtime.run(|| {
        let sleeper = rendez::go(|| rendez::sleep(Duration::from_secs(60)));
        while diag::stats().timers == 0 {
            rendez::yield_now();
        }
        let stats = diag::stats();
        assert!(stats.stacks.iter().any(|stacks| stacks.in_use >= 2 && stacks.mapped >= stacks.in_use));
        assert!(stats.to_string().contains("sleep 1"), "{stats}");
        drop(sleeper);
    });
}

/// Calls itself until so many bytes of the stack are in use, and then `f`.
#[cfg(all(target_os = "linux", not(rendez_sanitize)))]
fn deep<R>(bytes: usize, f: &mut dyn FnMut() -> R) -> R {
    use std::hint::black_box;

    #[inline(never)]
    fn deeper<R>(begin: usize, bytes: usize, f: &mut dyn FnMut() -> R) -> R {
        let here = black_box([0_u8; 256]);
        let is_there = begin - (&raw const here).addr() >= bytes;
        let result = if is_there { f() } else { deeper(begin, bytes, f) };
        black_box(&here);
        result
    }
    let begin = black_box(0_u8);
    deeper((&raw const begin).addr(), bytes, f)
}

/// What is told of the goroutines that were created in this line.
#[cfg(all(target_os = "linux", not(rendez_sanitize)))]
fn high_water_of(line: u32) -> Option<diag::HighWater> {
    let is_it = |high: &diag::HighWater| high.site.file().ends_with("stats.rs") && high.site.line() == line;
    diag::stats().high_water.into_iter().find(is_it)
}

// AddressSanitizer keeps what is on stacks elsewhere.
#[cfg(all(target_os = "linux", not(rendez_sanitize)))]
#[test]
fn the_most_that_is_used_of_a_stack_is_told_by_spawn_site() {
    const KIB: usize = 1024;
    let _turn = turn();
    for workers in [1, 2, 8] {
        let (runtime, _) = runtime(workers);
        let [shallow, deeper, polled, own] = runtime.run(|| {
            let mut lines = [0; 4];
            // By turns, on the same stacks.
            for _ in 0..300 {
                lines[0] = line!() + 1;
                rendez::go(|| ()).join().unwrap();
                lines[1] = line!() + 1;
                rendez::go(|| deep(120 * KIB, &mut rendez::yield_now)).join().unwrap();
                lines[2] = line!() + 1;
                rendez::go_async(async { deep(60 * KIB, &mut || ()) }).join().unwrap();
            }
            for kib in [40, 700, 10] {
                let builder = Builder::new().stack_size(1 << 20);
                lines[3] = line!() + 1;
                builder.spawn(move || deep(kib * KIB, &mut || ())).unwrap().join().unwrap();
            }
            lines
        });
        let [shallow, deeper, polled, own] =
            [shallow, deeper, polled, own].map(|line| high_water_of(line).expect("it has been measured"));
        assert!(shallow.deepest <= 40 * KIB, "{shallow:?}");
        assert!((120 * KIB..140 * KIB).contains(&deeper.deepest), "{deeper:?}");
        assert!((60 * KIB..80 * KIB).contains(&polled.deepest), "{polled:?}");
        assert!((700 * KIB..720 * KIB).contains(&own.deepest), "{own:?}");
        assert_eq!((deeper.size, own.size), (256 * KIB, 1 << 20));
        assert!(own.measured.is_multiple_of(3) && deeper.measured < 300, "{own:?} {deeper:?}");
        let text = diag::stats().to_string();
        let told = format!(" of 1024 KiB used at most by those created at {} (", own.site);
        assert!(text.contains(&told), "{text}");
    }
}

#[cfg(all(target_os = "linux", not(rendez_sanitize)))]
#[test]
fn how_deep_a_stack_is_in_use_is_told_of_one_that_has_not_ended_too() {
    let _turn = turn();
    let (runtime, _) = runtime(2);
    runtime.run(|| {
        // Who is offered while another thread reads the marks is not measured: then the next one is.
        let (line, tx, waits) = loop {
            let (tx, rx) = chan::bounded::<()>(0);
            let (deep_down, is_deep_down) = chan::bounded(1);
            let mut wait = move || {
                deep_down.send(()).unwrap();
                rx.recv().is_err()
            };
            let builder = Builder::new().stack_size(128 << 10);
            let (line, waits) = (line!(), builder.spawn(move || deep(80 << 10, &mut wait)).unwrap());
            is_deep_down.recv().unwrap();
            if high_water_of(line).is_some_and(|high| high.deepest >= 80 << 10) {
                break (line, tx, waits);
            }
            drop(tx);
            assert!(waits.join().unwrap());
        };
        // Others, on other stacks and then on that one, are not taken for it.
        drop(tx);
        assert!(waits.join().unwrap());
        let before = high_water_of(line).unwrap();
        assert_eq!(before.measured, 1);
        let other = Builder::new().stack_size(128 << 10).spawn(|| deep(100 << 10, &mut || ()));
        other.unwrap().join().unwrap();
        assert_eq!(high_water_of(line), Some(before));
    });
}

#[test]
fn a_blocking_call_and_an_async_goroutine_are_told() {
    let _turn = turn();
    let (runtime, _) = runtime(1);
    let before = diag::stats();
    runtime.run(|| {
        let (tx, rx) = chan::bounded::<()>(0);
        let task = rendez::go_async(async move { rx.recv_async().await.is_err() });
        let awaiting = |stats: &Stats| stats.goroutines.waiting.iter().any(|&(reason, _)| reason == "await");
        while !awaiting(&diag::stats()) {
            rendez::yield_now();
        }
        assert!(rendez::blocking(|| diag::stats().blocking.threads) >= 1);
        drop(tx);
        assert!(task.join().unwrap());
    });
    let counts = diag::stats().since(&before).counts;
    assert!(counts.async_polls >= 1 && counts.async_wakes >= 1, "{counts:?}");
}

#[cfg(feature = "metrics")]
mod for_metrics {
    use super::*;
    use metrics::{
        Counter, CounterFn, Gauge, GaugeFn, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    };
    use std::sync::{Arc, Mutex};

    /// Remembers what it is told.
    #[derive(Clone, Default)]
    struct Told(Arc<Mutex<Vec<(Key, f64)>>>);

    struct One(Told, Key);

    impl One {
        fn tell(&self, value: f64) {
            self.0.0.lock().unwrap().push((self.1.clone(), value));
        }
    }

    impl CounterFn for One {
        fn increment(&self, _: u64) {
            panic!("counters are told as they are");
        }

        fn absolute(&self, value: u64) {
            self.tell(value as f64);
        }
    }

    impl GaugeFn for One {
        fn increment(&self, _: f64) {
            panic!("gauges are set");
        }

        fn decrement(&self, _: f64) {
            panic!("gauges are set");
        }

        fn set(&self, value: f64) {
            self.tell(value);
        }
    }

    impl Recorder for Told {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
            Counter::from_arc(Arc::new(One(self.clone(), key.clone())))
        }

        fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::from_arc(Arc::new(One(self.clone(), key.clone())))
        }

        fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::noop()
        }
    }

    #[test]
    fn the_figures_are_told_to_the_recorder_of_the_metrics_crate() {
        let _turn = turn();
        rendez::run(|| rendez::go(|| ()).join().unwrap());
        let told = Told::default();
        metrics::with_local_recorder(&told, rendez::diag::publish_metrics);
        let told = told.0.lock().unwrap();
        let value = |name: &str, label: Option<(&str, &str)>| {
            let is_it = |key: &Key| {
                let mut labels = key.labels().map(|own| (own.key(), own.value()));
                key.name() == name && label.is_none_or(|label| labels.any(|own| own == label))
            };
            told.iter().find(|(key, _)| is_it(key)).map(|&(_, value)| value)
        };
        assert!(value("rendez_spawned_total", None) >= Some(2.0), "{told:?}");
        assert!(value("rendez_parks_total", Some(("reason", "join"))).is_some(), "{told:?}");
        assert!(value("rendez_goroutines", Some(("state", "chan receive"))).is_some(), "{told:?}");
        assert!(value("rendez_stacks", Some(("state", "mapped"))) > Some(0.0), "{told:?}");
        if cfg!(target_os = "linux") {
            assert!(value("rendez_stack_used_bytes", None) > Some(0.0), "{told:?}");
        }
    }
}
