//! `after_func`.
#![cfg(not(loom))]

use crate::setup::{Clock, Drops, in_every_world, in_worlds_of_time, runtime};
use rendez::{
    Runtime,
    chan::{self, TryRecvError},
    time::{self, Instant, Timer, after_func},
};
use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

fn wait_until(condition: impl Fn() -> bool) {
    crate::setup::wait_until(condition);
}

/// A function that counts its calls.
fn counting(duration: Duration) -> (Timer, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let theirs = calls.clone();
    let timer = after_func(duration, move || _ = theirs.fetch_add(1, Ordering::SeqCst));
    (timer, calls)
}

/// In two milliseconds, on a goroutine, which may sleep.
fn a_function_runs(clock: Clock) {
    let (tx, rx) = chan::unbounded();
    let start = Instant::now();
    let timer = after_func(2 * MS, move || {
        // It may block, as a goroutine.
        rendez::yield_now();
        time::sleep(MS);
        tx.send((Instant::now(), rendez::workers())).unwrap();
        rendez::go_local(|| ()).join().unwrap();
    });
    let (at, workers) = rx.recv().unwrap();
    clock.meets(at, start + 3 * MS);
    assert!(workers == rendez::workers());
    time::sleep(MS);
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    assert!(!timer.stop());
}

#[test]
fn the_function_runs_once_when_it_is_time_on_a_goroutine_of_its_own() {
    in_worlds_of_time(a_function_runs);
}

/// The one test of it by the machine's clock on one, two and eight real workers.
#[test]
fn the_function_runs_on_real_workers_too() {
    in_every_world(|| a_function_runs(Clock::Machine));
}

#[test]
fn stop_prevents_the_run_and_says_so() {
    in_worlds_of_time(|clock| {
        // By the machine's clock, three milliseconds may be over before it is stopped.
        let soon = if clock.is_virtual() { 3 * MS } else { HOUR };
        let (timer, calls) = counting(soon);
        assert!(timer.stop());
        assert!(!timer.stop());
        time::sleep(4 * MS);
        assert_eq!(calls.load(Ordering::SeqCst), 0);
        let (timer, calls) = counting(Duration::ZERO);
        wait_until(|| calls.load(Ordering::SeqCst) == 1);
        assert!(!timer.stop());
    });
}

#[test]
fn reset_has_it_run_at_another_moment_and_again() {
    in_worlds_of_time(|clock| {
        let (tx, rx) = chan::unbounded();
        let timer = after_func(HOUR, move || tx.send(Instant::now()).unwrap());
        assert!(timer.reset(HOUR));
        let before = Instant::now();
        assert!(timer.reset(MS));
        clock.meets(rx.recv().unwrap(), before + MS);
        let before = Instant::now();
        assert!(!timer.reset(MS));
        clock.meets(rx.recv().unwrap(), before + MS);
        assert!(!timer.stop());
        assert!(!timer.reset(HOUR));
        assert!(timer.stop());
        let before = Instant::now();
        assert!(!timer.reset(Duration::ZERO));
        clock.meets(rx.recv().unwrap(), before);
    });
}

#[test]
fn it_may_set_itself_again() {
    in_worlds_of_time(|clock| {
        let timer = Arc::new(OnceLock::<Timer>::new());
        let (tx, rx) = chan::unbounded();
        let (mine, mut runs, start) = (Arc::downgrade(&timer), 0, Instant::now());
        let set = after_func(MS, move || {
            runs += 1;
            tx.send((runs, Instant::now())).unwrap();
            if runs < 5
                && let Some(timer) = mine.upgrade()
            {
                assert!(!timer.wait().reset(2 * MS));
            }
        });
        timer.set(set).unwrap();
        for (run, expected) in rx.iter().take(5).zip(1..) {
            assert_eq!(run.0, expected);
            clock.meets(run.1, start + MS + 2 * MS * (expected - 1));
        }
    });
}

#[test]
fn dropping_the_timer_does_not_stop_it() {
    in_worlds_of_time(|_| {
        let (timer, calls) = counting(MS);
        drop(timer);
        wait_until(|| calls.load(Ordering::SeqCst) == 1);
    });
}

#[test]
fn its_channel_never_yields() {
    in_worlds_of_time(|_| {
        let (timer, calls) = counting(Duration::ZERO);
        wait_until(|| calls.load(Ordering::SeqCst) == 1);
        assert_eq!(timer.c().try_recv(), Err(TryRecvError::Empty));
        assert!(!timer.c().close() && !timer.c().is_closed());
    });
}

#[test]
fn the_function_is_dropped_as_soon_as_it_can_not_run_any_more() {
    in_worlds_of_time(|_| {
        let drops = Drops::default();
        let make = |duration| {
            let token = drops.token();
            after_func(duration, move || _ = &token)
        };
        // Stopped, and the timer dropped, in either order.
        let timer = make(HOUR);
        timer.stop();
        assert_eq!(drops.count(), 0);
        drop(timer);
        assert_eq!(drops.count(), 1);
        // Run, and the timer dropped.
        drop(make(MS));
        wait_until(|| drops.count() == 2);
        let timer = make(Duration::ZERO);
        wait_until(|| !timer.reset(Duration::ZERO));
        wait_until(|| !timer.stop());
        drop(timer);
        wait_until(|| drops.count() == 3);
    });
}

#[test]
fn a_runtime_that_ends_takes_its_functions_with_it() {
    let drops = Drops::default();
    for workers in [1, 2, 8] {
        let before = drops.count();
        let runtime = runtime(workers);
        let timers: Vec<_> = runtime.run(|| {
            (0..100)
                .map(|_| {
                    let token = drops.token();
                    after_func(HOUR, move || unreachable!("{token:?}"))
                })
                .collect()
        });
        // Half of them have moved to this thread, which is no worker.
        timers.iter().take(50).for_each(|timer| assert!(timer.reset(20 * MS)));
        runtime.shutdown();
        wait_until(|| drops.count() == before + 100);
        // Nothing is left to run.
        assert!(timers.iter().all(|timer| !timer.stop()));
        timers.iter().for_each(|timer| assert!(!timer.reset(Duration::ZERO)));
    }
}

#[test]
fn one_that_is_due_again_while_it_runs_runs_again_afterwards_and_never_beside_itself() {
    in_worlds_of_time(|_| {
        let (begun, running) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (gate, rx) = chan::bounded::<()>(0);
        let (theirs, alone) = (begun.clone(), running.clone());
        let timer = after_func(Duration::ZERO, move || {
            assert!(!alone.swap(true, Ordering::SeqCst), "beside itself");
            theirs.fetch_add(1, Ordering::SeqCst);
            let _ = rx.recv();
            alone.store(false, Ordering::SeqCst);
        });
        wait_until(|| begun.load(Ordering::SeqCst) == 1);
        // Due again; and prevented again.
        timer.reset(Duration::ZERO);
        time::sleep(MS);
        assert!(timer.stop());
        // Due again, for good.
        assert!(!timer.reset(Duration::ZERO));
        time::sleep(MS);
        assert_eq!(begun.load(Ordering::SeqCst), 1);
        gate.send(()).unwrap();
        wait_until(|| begun.load(Ordering::SeqCst) == 2);
        gate.send(()).unwrap();
        wait_until(|| !running.load(Ordering::SeqCst));
        assert!(!timer.stop());
        assert_eq!(begun.load(Ordering::SeqCst), 2);
    });
}

#[test]
fn a_panic_in_it_is_a_detached_goroutines_and_it_can_run_again() {
    in_worlds_of_time(|_| {
        let calls = Arc::new(AtomicUsize::new(0));
        let theirs = calls.clone();
        let timer = after_func(Duration::ZERO, move || {
            if theirs.fetch_add(1, Ordering::SeqCst) == 0 {
                panic!("a panic, for the test");
            }
        });
        wait_until(|| calls.load(Ordering::SeqCst) == 1);
        assert!(!timer.reset(MS));
        wait_until(|| calls.load(Ordering::SeqCst) == 2);
    });
}

/// Each setting is prevented or runs, once. It is a race with the workers, so they are real ones.
#[test]
fn stops_and_resets_beside_runs_are_told_apart() {
    const ROUNDS: u32 = if cfg!(debug_assertions) { 500 } else { 5000 };
    in_every_world(|| {
        let (timer, calls) = counting(HOUR);
        let mut random = fastrand::Rng::with_seed(5);
        let (mut set, mut expected) = (true, 0);
        for _ in 0..ROUNDS {
            (0..random.u32(..30)).for_each(|_| rendez::yield_now());
            let stop = random.u32(..4) == 0;
            let prevented = match stop {
                true => timer.stop(),
                false => timer.reset(Duration::from_micros(random.u64(..100))),
            };
            assert!(set || !prevented);
            expected += usize::from(set && !prevented);
            set = !stop;
        }
        if set && !timer.stop() {
            expected += 1;
        }
        wait_until(|| calls.load(Ordering::SeqCst) == expected);
        time::sleep(MS);
        assert_eq!(calls.load(Ordering::SeqCst), expected);
    });
}

#[test]
fn many_are_cancelled_from_anywhere_and_many_run_at_one_instant() {
    const MANY: usize = if cfg!(debug_assertions) { 5_000 } else { 100_000 };
    for workers in [1, 2] {
        let drops = Drops::default();
        let runtime = runtime(workers);
        let timers: Vec<Timer> = runtime.run(|| {
            (0..MANY)
                .map(|i| {
                    let token = drops.token();
                    after_func(HOUR + Duration::from_micros(i as u64 * 37 % 1000), move || _ = &token)
                })
                .collect()
        });
        thread::spawn(move || timers.into_iter().for_each(|timer| assert!(timer.stop()))).join().unwrap();
        assert_eq!(drops.count(), MANY);
        let calls = Arc::new(AtomicUsize::new(0));
        runtime.run(|| {
            for _ in 0..MANY {
                let calls = calls.clone();
                after_func(2 * MS, move || _ = calls.fetch_add(1, Ordering::SeqCst));
            }
        });
        wait_until(|| calls.load(Ordering::SeqCst) == MANY);
    }
}

/// What goes with a worker's alarms goes on the worker's thread.
#[test]
fn a_function_that_is_dropped_at_the_end_may_shut_its_own_runtime_down() {
    struct Server {
        runtime: Arc<Runtime>,
        gone: std::sync::mpsc::Sender<()>,
    }
    impl Drop for Server {
        fn drop(&mut self) {
            self.runtime.shutdown();
            self.gone.send(()).unwrap();
        }
    }
    for from_inside in [false, true] {
        let runtime = Arc::new(Runtime::builder().workers(2).build().unwrap());
        let (gone, is_gone) = std::sync::mpsc::channel();
        let server = Server { runtime: runtime.clone(), gone };
        runtime.run(|| drop(after_func(Duration::from_secs(3600), move || _ = &server)));
        if from_inside {
            let inner = runtime.clone();
            _ = runtime.spawn(move || inner.shutdown()).join();
            drop(runtime);
        } else {
            thread::spawn(move || runtime.shutdown());
        }
        is_gone.recv_timeout(Duration::from_secs(30)).expect("it does not wait for itself");
    }
}
