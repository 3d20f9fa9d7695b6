//! `select!`, `Select`, and events.

use crate::{Census, Counted, explore};
use rendez::{
    Event, Select,
    chan::{self, TryRecvError},
    go, scope, select,
    sync::Mutex,
};
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(1);

#[test]
fn selects_that_meet_on_both_sides_pass_each_value_once() {
    explore(3, || {
        let census = Census::default();
        let (a, b) = (chan::bounded::<Counted>(0), chan::bounded::<Counted>(0));
        let (sent, received, done) = (Mutex::new(0), Mutex::new(0), chan::bounded::<()>(0));
        scope(|s| {
            let pair = [1, 2].map(|value| {
                let (a, b, census, sent, received) = (&a, &b, &census, &sent, &received);
                s.go(move || {
                    // Each sends on one and receives from the other, whichever comes to pass.
                    let mut slot = Some(census.make(value));
                    select! {
                        send(&a.0, take slot) -> ok => { ok.unwrap(); *sent.lock() += value }
                        recv(&b.1) -> got => *received.lock() += got.unwrap().value,
                    }
                    let mut slot = slot.or_else(|| Some(census.make(10 * value)));
                    let second = slot.as_ref().map_or(0, |value| value.value);
                    select! {
                        send(&b.0, take slot) -> ok => { ok.unwrap(); *sent.lock() += second }
                        recv(&a.1) -> got => *received.lock() += got.unwrap().value,
                        default(SHORT) => {}
                    }
                })
            });
            // Takes and gives what a partner is missing for, until all have ended.
            s.go(|| {
                loop {
                    select! {
                        recv(&a.1) -> got => *received.lock() += got.unwrap().value,
                        recv(&b.1) -> got => *received.lock() += got.unwrap().value,
                        send(&b.0, census.make(100)) -> ok => { ok.unwrap(); *sent.lock() += 100 }
                        recv(&done.1) -> _ => break,
                    }
                }
            });
            pair.into_iter().for_each(|one| one.join().unwrap());
            done.0.close();
        });
        assert_eq!(*sent.lock(), *received.lock());
        assert_eq!(census.alive(), 0);
        assert!(matches!(a.1.try_recv(), Err(TryRecvError::Empty)));
        assert!(matches!(b.1.try_recv(), Err(TryRecvError::Empty)));
    });
}

#[test]
fn an_arm_that_loses_has_no_effect() {
    explore(3, || {
        let census = Census::default();
        let (a, b, done) = (chan::bounded(0), chan::bounded(1), chan::bounded::<()>(0));
        let (sent, received) = scope(|s| {
            let sender = s.go(|| {
                let mut sent = 0;
                for value in 0..3 {
                    select! {
                        send(&a.0, census.make(value)) -> r => sent += usize::from(r.is_ok()),
                        send(&b.0, census.make(value)) -> r => sent += usize::from(r.is_ok()),
                        default(SHORT) => {}
                    }
                }
                sent
            });
            let receivers = [0, 1].map(|_| {
                s.go(|| {
                    let mut received = 0;
                    loop {
                        select! {
                            recv(&a.1) -> got => received += usize::from(got.is_ok()),
                            recv(&b.1) -> got => received += usize::from(got.is_ok()),
                            recv(&done.1) -> _ => return received,
                        }
                    }
                })
            });
            let sent = sender.join().unwrap();
            done.0.close();
            (sent, receivers.map(|receiver| receiver.join().unwrap()).iter().sum::<usize>())
        });
        let left = usize::from(b.1.try_recv().is_ok());
        assert_eq!(sent, received + left);
        assert_eq!(census.alive(), 0);
    });
}

#[test]
fn default_is_taken_only_if_nothing_was_ready_at_one_instant() {
    explore(3, || {
        // There is always one value in one of the two: it moves from the later to the earlier, and back.
        let (a, b) = (chan::bounded(2), chan::bounded(2));
        a.0.send(()).unwrap();
        scope(|s| {
            s.go(|| {
                for _ in 0..2 {
                    // The next one comes before the last one goes.
                    b.0.send(()).unwrap();
                    a.1.recv().unwrap();
                    a.0.send(()).unwrap();
                    b.1.recv().unwrap();
                }
            });
            s.go(|| {
                for _ in 0..2 {
                    select! {
                        recv(&a.1) -> got => { got.unwrap(); a.0.send(()).unwrap() }
                        recv(&b.1) -> got => { got.unwrap(); b.0.send(()).unwrap() }
                        default => panic!("one of them was ready"),
                    }
                }
            });
        });
    });
}

#[test]
fn a_select_of_arms_known_at_run_time_keeps_its_promises() {
    for capacity in [0, 1] {
        explore(4, move || {
            let census = Census::default();
            let (tx, rx) = chan::bounded(capacity);
            let (other_tx, other_rx) = chan::bounded::<Counted>(0);
            let (mut sent, mut received) = (0, 0);
            scope(|s| {
                let sender = s.go(|| {
                    let mut sent = 0;
                    let mut select = Select::new();
                    let (send, recv) = (select.send(&tx), select.recv(&other_rx));
                    for value in 0..2 {
                        match select.wait_timeout(SHORT) {
                            Some(operation) if operation.index() == send => match value {
                                0 => sent += usize::from(operation.send(&tx, census.make(value)).is_ok()),
                                // The second is undone.
                                _ => drop(operation),
                            },
                            Some(operation) => {
                                assert_eq!(operation.index(), recv);
                                operation.recv(&other_rx).unwrap();
                            }
                            None => {}
                        }
                    }
                    sent
                });
                let receivers = [0, 1].map(|_| s.go(|| usize::from(rx.recv_timeout(SHORT).is_ok())));
                s.go(|| {
                    let _ = other_tx.send_timeout(census.make(9), SHORT);
                });
                sent += sender.join().unwrap();
                received += receivers.map(|receiver| receiver.join().unwrap()).iter().sum::<usize>();
            });
            while rx.try_recv().is_ok() {
                received += 1;
            }
            assert_eq!(sent, received);
            assert_eq!(census.alive(), 0);
        });
        explore(4, move || {
            let (tx, rx) = chan::bounded(capacity);
            scope(|s| {
                s.go(|| {
                    // Both sides choose first and speak later.
                    let mut select = Select::new();
                    select.send(&tx);
                    select.wait().send(&tx, 7).unwrap();
                });
                s.go(|| {
                    let mut select = Select::new();
                    select.recv(&rx);
                    assert_eq!(select.wait().recv(&rx), Ok(7));
                });
            });
            assert!(rx.is_empty());
        });
    }
}

#[test]
fn events_that_are_not_chosen_do_not_happen() {
    explore(1, || {
        let mutex = Mutex::new(0);
        let (tx, rx) = chan::bounded(1);
        let task = go(rendez::yield_now);
        scope(|s| {
            s.go(|| {
                select! {
                    wait(mutex.lock_event()) -> mut guard => *guard += 1,
                    wait(rx.recv_event()) -> got => assert_eq!(got, Ok(1)),
                    wait(&task) -> () => {}
                }
            });
            s.go(|| {
                let guard = mutex.lock();
                tx.send_event(1).wait().unwrap();
                drop(guard);
            });
            s.go(|| {
                if let Some(mut guard) = mutex.lock_event().wait_timeout(SHORT) {
                    *guard += 10;
                }
            });
        });
        // Whoever did not get the lock does not hold it.
        let count = *mutex.try_lock().expect("nobody holds it");
        assert!(matches!(count, 0 | 1 | 10 | 11));
        task.join().unwrap();
    });
}
