//! The alarms of a worker that does not come to them are fired by others, whatever those did before.
//!
//! That is about real workers, which sleep in the kernel, so the time is the machine's; no test asks that anything be quick.
#![cfg(not(loom))]

use rendez::{
    Builder, Placement, Runtime, chan, go, go_async,
    time::{Instant, after_func, sleep_async},
    yield_now,
};
use std::{sync::mpsc, thread, time::Duration};

const SOON: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(60);
/// How long all others have been asleep: not at all; still to wake by time; for good.
const PAUSES: [u64; 3] = [0, 20, 400];

#[test]
fn an_alarm_goes_off_while_its_worker_is_blocked_and_all_others_had_gone_to_sleep() {
    for workers in [2, 4] {
        let runtime = Runtime::builder().workers(workers).build().unwrap();
        for pause in PAUSES {
            thread::sleep(Duration::from_millis(pause));
            runtime.run(|| {
                let (tx, rx) = mpsc::channel();
                let _timer = after_func(SOON, move || tx.send(()).unwrap());
                // It blocks the worker, not the goroutine.
                rx.recv_timeout(LONG).expect("another worker fires it");
            });
        }
    }
}

/// Those who have looked in vain for a while look seldom, and are told.
#[test]
fn who_is_kept_has_alarms_fired_and_goroutines_run_by_those_who_rest() {
    for workers in [2, 4] {
        let runtime = Runtime::builder().workers(workers).build().unwrap();
        runtime.run(|| {
            for _ in 0..3 {
                thread::sleep(Duration::from_millis(400));
                let (tx, rx) = mpsc::channel();
                let alarm = tx.clone();
                let _timer = after_func(SOON, move || alarm.send("alarm").unwrap());
                assert_eq!(rx.recv_timeout(LONG), Ok("alarm"));
                thread::sleep(Duration::from_millis(400));
                go(move || tx.send("goroutine").unwrap());
                assert_eq!(rx.recv_timeout(LONG), Ok("goroutine"));
            }
        });
    }
}

/// Runs `f` on another worker.
fn place_elsewhere(f: impl FnOnce() + Send + 'static) {
    let here = thread::current().id();
    let mut left = Some(f);
    while left.is_some() {
        let (mine, (back, came_back)) = (left.take(), chan::bounded(1));
        let place = move || match mine {
            Some(f) if thread::current().id() != here => {
                back.send(None).unwrap();
                f();
            }
            mine => back.send(mine).unwrap(),
        };
        Builder::new().placement(Placement::Spread).spawn(place).unwrap();
        left = came_back.recv().unwrap();
    }
}

/// Each look at the other one finds something there that may soon be run.
#[test]
fn what_lies_at_a_kept_worker_is_run_beside_another_one_that_always_has_something() {
    for workers in [3, 4] {
        let runtime = Runtime::builder().workers(workers).build().unwrap();
        runtime.run(|| {
            let (tx, rx) = mpsc::channel();
            let kept = move || {
                let (end, ends) = mpsc::channel();
                go(move || end.send(()).unwrap());
                tx.send(ends.recv_timeout(LONG)).unwrap();
            };
            place_elsewhere(kept);
            let ended = loop {
                if let Ok(ended) = rx.try_recv() {
                    break ended;
                }
                for _ in 0..3 {
                    go(|| ());
                }
                yield_now();
            };
            ended.expect("another worker runs it");
        });
    }
}

/// Of three workers, two are kept: the one where the goroutine is spawned, and the one that has watched until it is woken for something else.
#[test]
fn what_lies_at_a_kept_worker_is_run_by_the_last_one_when_who_watched_is_kept_as_well() {
    let runtime = Runtime::builder().workers(3).build().unwrap();
    for _ in 0..4 {
        runtime.run(|| {
            let (tx, rx) = mpsc::channel();
            let (end, ends) = mpsc::channel::<()>();
            let (tell, told) = chan::bounded(0);
            place_elsewhere(move || {
                told.recv().unwrap();
                ends.recv_timeout(LONG).unwrap();
            });
            // The others go to sleep beside this one, which is at work until they have no reason left to wake by time.
            let start = Instant::now();
            while start.elapsed() < Duration::from_millis(300) {
                yield_now();
            }
            go(move || {
                end.send(()).unwrap();
                tx.send(()).unwrap();
            });
            tell.send(()).unwrap();
            rx.recv_timeout(LONG).expect("another worker runs it");
        });
    }
}

/// The worker sleeps itself when the others go to sleep, and is then woken and kept.
#[test]
fn an_alarm_goes_off_on_a_worker_that_was_woken_from_outside_and_is_kept() {
    for workers in [2, 4] {
        let runtime = Runtime::builder().workers(workers).build().unwrap();
        for pause in PAUSES {
            let (start, started) = chan::bounded::<()>(0);
            let (tx, rx) = mpsc::channel();
            let kept = runtime.spawn(move || {
                let wait = Duration::from_millis(pause) + 2 * SOON;
                let _timer = after_func(wait, move || tx.send(()).unwrap());
                started.recv().unwrap();
                rx.recv_timeout(LONG).expect("another worker fires it");
            });
            thread::sleep(Duration::from_millis(pause));
            start.send(()).unwrap();
            kept.join().unwrap();
        }
    }
}

/// Who watches goes to work.
#[test]
fn the_watch_is_passed_on_by_who_is_kept_too() {
    let runtime = Runtime::builder().workers(3).build().unwrap();
    for pause in PAUSES {
        thread::sleep(Duration::from_millis(pause));
        runtime.run(|| {
            let (tx, rx) = mpsc::channel();
            let (done, stop) = mpsc::channel::<()>();
            // Keeps a second worker.
            let second = go(move || _ = stop.recv());
            let ticks = go_async(async move {
                for _ in 0..5 {
                    sleep_async(SOON).await;
                }
                tx.send(()).unwrap();
            });
            let start = Instant::now();
            rx.recv_timeout(LONG).expect("the third worker sees to it");
            assert!(start.elapsed() >= SOON);
            drop(done);
            second.join().unwrap();
            ticks.join().unwrap();
        });
    }
}
