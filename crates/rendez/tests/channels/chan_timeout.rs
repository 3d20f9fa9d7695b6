//! Time limits: how long a send or a receive waits, and that no value gets lost between "in time" and "too late".

use crate::worlds::{CAPACITIES, Way, channel, in_every_world, in_worlds_of_time};
use rendez::{
    chan::{self, RecvTimeoutError, SendTimeoutError},
    time::Instant,
};
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

const SHORT: Duration = Duration::from_millis(5);

#[test]
fn a_receive_with_a_limit_waits_that_long_and_no_value_comes() {
    in_worlds_of_time(|crew| {
        let (tx, rx) = chan::bounded::<i32>(1);
        let start = Instant::now();
        let receiver = crew.start(move |_| async move { rx.recv_timeout(SHORT) });
        assert_eq!(receiver.join(), Err(RecvTimeoutError::Timeout));
        crew.clock().has_passed(start, SHORT);
        drop(tx);
    });
}

#[test]
fn a_send_with_a_limit_waits_that_long_and_gives_the_value_back() {
    in_worlds_of_time(|crew| {
        for capacity in [0, 1, 3] {
            let (tx, rx) = chan::bounded(capacity);
            for _ in 0..capacity {
                tx.send(0).unwrap();
            }
            let start = Instant::now();
            let sender = crew.start(move |_| async move { tx.send_timeout(9, SHORT) });
            assert_eq!(sender.join(), Err(SendTimeoutError::Timeout(9)));
            crew.clock().has_passed(start, SHORT);
            assert_eq!(rx.iter().count(), capacity, "the value that came back must not be delivered too");
        }
    });
}

#[test]
fn deadlines_are_moments_and_one_that_has_passed_still_takes_what_is_there() {
    in_worlds_of_time(|crew| {
        crew.start(|ops| async move {
            let (tx, rx) = chan::bounded(1);
            let past = Instant::now();
            assert_eq!(tx.send_deadline(1, past), Ok(()));
            assert_eq!(tx.send_deadline(2, past), Err(SendTimeoutError::Timeout(2)));
            assert_eq!(rx.recv_deadline(past), Ok(1));
            assert_eq!(rx.recv_deadline(past), Err(RecvTimeoutError::Timeout));
            let soon = Instant::now() + SHORT;
            assert_eq!(rx.recv_deadline(soon), Err(RecvTimeoutError::Timeout));
            ops.clock().meets(Instant::now(), soon);
            tx.close();
            assert_eq!(tx.send_deadline(3, soon), Err(SendTimeoutError::Closed(3)));
            assert_eq!(rx.recv_deadline(soon), Err(RecvTimeoutError::Closed));
        })
        .join();
    });
}

#[test]
fn a_limit_that_the_clock_cannot_say_is_no_limit() {
    in_every_world(|crew| {
        let (tx, rx) = chan::bounded(0);
        let receiver = crew.start(move |_| async move { rx.recv_timeout(Duration::MAX) });
        let sender = crew.start(move |_| async move { tx.send_timeout(1, Duration::MAX) });
        assert_eq!(receiver.join(), Ok(1));
        assert_eq!(sender.join(), Ok(()));
    });
}

#[test]
fn close_ends_a_wait_with_a_limit_at_once() {
    const LONG: Duration = Duration::from_secs(100);
    in_worlds_of_time(|crew| {
        let start = Instant::now();
        let (tx, rx) = chan::bounded::<i32>(0);
        let receivers: Vec<_> = (0..3)
            .map(|_| {
                let rx = rx.clone();
                crew.start(move |_| async move { rx.recv_timeout(LONG) })
            })
            .collect();
        rx.close();
        for receiver in receivers {
            assert_eq!(receiver.join(), Err(RecvTimeoutError::Closed));
        }
        let (tx2, rx2) = chan::bounded(0);
        let sender = crew.start(move |_| async move { tx2.send_timeout(4, LONG) });
        drop(rx2);
        assert_eq!(sender.join(), Err(SendTimeoutError::Closed(4)));
        if crew.clock().is_virtual() {
            assert_eq!(start.elapsed(), Duration::ZERO);
        }
        drop(tx);
    });
}

// What follows are races of the limit with the other side, so the workers are real ones. Nothing is said of how long anything
// takes, and whichever comes first, the outcome is right.

/// A receive and a send with limits, on one, two and eight real workers, whose own alarms end the wait.
#[test]
fn limits_end_waits_on_real_workers_too() {
    in_every_world(|crew| {
        let (start, (tx, rx)) = (Instant::now(), chan::bounded::<i32>(0));
        let receiver = crew.start({
            let rx = rx.clone();
            move |_| async move { rx.recv_timeout(SHORT) }
        });
        assert_eq!(receiver.join(), Err(RecvTimeoutError::Timeout));
        crew.clock().has_passed(start, SHORT);
        let sender = crew.start(move |_| async move { tx.send_timeout(9, SHORT) });
        assert_eq!(sender.join(), Err(SendTimeoutError::Timeout(9)));
        crew.clock().has_passed(start, 2 * SHORT);
        drop(rx);
    });
}

/// Limits around the time that a hand-over takes, from one that has passed on.
fn limit(i: usize) -> Duration {
    Duration::from_nanos([0, 500, 2_000, 10_000, 50_000][i % 5])
}

#[test]
fn a_receive_that_times_out_while_a_send_comes_loses_nothing() {
    const VALUES: usize = 150;
    in_every_world(|crew| {
        for capacity in CAPACITIES {
            let (tx, rx) = channel(capacity);
            let sender = crew.start(move |ops| async move {
                for i in 0..VALUES {
                    ops.send(&tx, i).await.unwrap();
                }
            });
            let receiver = crew.start(move |ops| async move {
                let mut values = Vec::new();
                while let Ok(value) = ops.recv_by(Way::Timeout(limit(values.len())), &rx).await {
                    values.push(value);
                }
                values
            });
            sender.join();
            assert_eq!(receiver.join(), (0..VALUES).collect::<Vec<_>>());
        }
    });
}

#[test]
fn a_send_that_times_out_while_a_receive_comes_is_either_delivered_or_given_back() {
    const TRIES: usize = 200;
    in_every_world(|crew| {
        for capacity in [0, 1, 3] {
            let (tx, rx) = chan::bounded(capacity);
            let sender = crew.start(move |ops| async move {
                let mut delivered = BTreeSet::new();
                for i in 0..TRIES {
                    match tx.send_timeout(i, limit(i)) {
                        Ok(()) => assert!(delivered.insert(i)),
                        Err(error) => assert_eq!(error, SendTimeoutError::Timeout(i)),
                    }
                    ops.pause().await;
                }
                delivered
            });
            let receiver = crew.start(move |ops| async move {
                let mut received = Vec::new();
                while let Ok(value) = ops.recv(&rx).await {
                    received.push(value);
                    ops.pause().await;
                }
                received
            });
            let (delivered, received) = (sender.join(), receiver.join());
            assert_eq!(received, delivered.into_iter().collect::<Vec<_>>());
        }
    });
}

#[test]
fn both_sides_may_time_out_at_once() {
    const VALUES: usize = 100;
    in_every_world(|crew| {
        for capacity in [0, 1] {
            let (tx, rx) = chan::bounded(capacity);
            let senders: Vec<_> = (0..2)
                .map(|id| {
                    let tx = tx.clone();
                    crew.start(move |ops| async move {
                        for i in 0..VALUES {
                            ops.send_by(Way::Timeout(limit(i)), &tx, id * VALUES + i).await.unwrap();
                        }
                    })
                })
                .collect();
            let receivers: Vec<_> = (0..2)
                .map(|_| {
                    let rx = rx.clone();
                    crew.start(move |ops| async move {
                        let mut values = Vec::new();
                        while let Ok(value) = ops.recv_by(Way::Timeout(limit(values.len())), &rx).await {
                            values.push(value);
                        }
                        values
                    })
                })
                .collect();
            drop((tx, rx));
            senders.into_iter().for_each(|sender| sender.join());
            let mut all: Vec<_> = receivers.into_iter().flat_map(|receiver| receiver.join()).collect();
            all.sort_unstable();
            assert_eq!(all, (0..2 * VALUES).collect::<Vec<_>>());
        }
    });
}

#[test]
fn a_wait_that_timed_out_leaves_no_trace_for_the_next_one() {
    in_every_world(|crew| {
        let (tx, rx) = chan::bounded(0);
        let stop = Arc::new(AtomicBool::new(false));
        // Times out again and again between the receives of the other.
        let impatient = crew.start({
            let (rx, stop) = (rx.clone(), stop.clone());
            move |ops| async move {
                let mut got = 0;
                while !stop.load(Ordering::Relaxed) {
                    got += usize::from(rx.recv_timeout(Duration::from_micros(1)).is_ok());
                    ops.pause().await;
                }
                got
            }
        });
        let patient = crew.start(move |ops| async move {
            let mut got = 0;
            while ops.recv(&rx).await.is_ok() {
                got += 1;
            }
            got
        });
        for i in 0..200 {
            tx.send(i).unwrap();
        }
        stop.store(true, Ordering::Relaxed);
        drop(tx);
        assert_eq!(impatient.join() + patient.join(), 200);
    });
}
