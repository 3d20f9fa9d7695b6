//! Timers, tickers, functions, sleeping: set, reset and stopped while they strike.

use crate::explore;
use rendez::{
    chan, go, go_async, scope,
    sync::WaitGroup,
    time::{self, Instant, Ticker, Timer},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

const SHORT: Duration = Duration::from_millis(1);

#[test]
fn a_timer_that_was_stopped_or_reset_has_no_value_of_before() {
    explore(2, || {
        let start = Instant::now();
        let timer = Timer::new(SHORT);
        scope(|s| {
            s.go(|| {
                time::sleep(SHORT);
                timer.reset(2 * SHORT);
                // Whoever receives from now on receives the later one.
                assert!(timer.c().recv().unwrap() >= start + 3 * SHORT);
            });
        });
        let was_set = timer.reset(SHORT);
        assert!(!was_set, "its value has been received");
        time::sleep(SHORT);
        let stopped = timer.stop();
        assert!(timer.c().try_recv().is_err());
        assert!(stopped, "it was set, and nobody has received");
    });
    explore(2, || {
        // One value for each time that it was set and was not stopped before it was received.
        let timer = Timer::new(SHORT);
        let received = AtomicUsize::new(0);
        let mut due = 1;
        scope(|s| {
            for _ in 0..2 {
                s.go(|| {
                    while timer.c().recv_timeout(3 * SHORT).is_ok() {
                        received.fetch_add(1, Relaxed);
                    }
                });
            }
            time::sleep(SHORT);
            if !timer.reset(SHORT) {
                due += 1;
            }
            if timer.stop() {
                due -= 1;
            }
        });
        assert_eq!(received.load(Relaxed), due);
    });
}

#[test]
fn a_ticker_ticks_a_period_apart_and_not_after_it_was_stopped() {
    explore(1, || {
        let (start, ticker) = (Instant::now(), Ticker::new(SHORT));
        scope(|s| {
            s.go(|| {
                let mut last = start;
                while let Ok(tick) = ticker.c().recv_timeout(2 * SHORT) {
                    assert!(tick > last, "two at one moment");
                    last = tick;
                }
            });
            s.go(|| {
                time::sleep(2 * SHORT);
                ticker.reset(SHORT);
                time::sleep(SHORT);
                ticker.stop();
                assert!(ticker.c().try_recv().is_err());
            });
        });
    });
}

#[test]
fn a_function_runs_as_often_as_it_was_set_and_not_stopped() {
    explore(1, || {
        let (runs, all) = (Arc::new(AtomicUsize::new(0)), WaitGroup::new());
        all.add(1);
        let timer = time::after_func(SHORT, {
            let (runs, done) = (runs.clone(), all.clone());
            move || {
                runs.fetch_add(1, Relaxed);
                done.done();
            }
        });
        let mut expected = 1;
        time::sleep(SHORT);
        all.add(1);
        if timer.reset(SHORT) {
            all.done();
        } else {
            expected += 1;
        }
        if timer.stop() {
            all.done();
            expected -= 1;
        }
        all.wait();
        assert_eq!(runs.load(Relaxed), expected);
    });
}

#[test]
fn nobody_wakes_before_his_time_and_time_limits_end_what_waits() {
    explore(1, || {
        let start = Instant::now();
        let (tx, rx) = chan::bounded(0);
        let sleepers = [1, 2].map(|times| {
            let tx = tx.clone();
            go(move || {
                time::sleep(times * SHORT);
                assert!(start.elapsed() >= times * SHORT);
                tx.send_timeout(times, SHORT).is_ok()
            })
        });
        let task = go_async({
            let rx = rx.clone();
            async move {
                time::sleep_async(SHORT).await;
                assert!(start.elapsed() >= SHORT);
                usize::from(rx.try_recv().is_ok())
            }
        });
        let mut received = 0;
        while rx.recv_timeout(SHORT).is_ok() {
            received += 1;
        }
        let sent = sleepers.map(|sleeper| usize::from(sleeper.join().unwrap())).iter().sum::<usize>();
        received += task.join().unwrap();
        assert_eq!(sent, received);
    });
}
