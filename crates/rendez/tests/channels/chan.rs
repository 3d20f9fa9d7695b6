//! Sending and receiving: what Go's channels do, in every world and at every capacity.

use crate::worlds::{CAPACITIES, channel, in_every_world, on_one_worker, poll_once, until};
use rendez::chan::{self, Receiver, RecvError, SendError, Sender, TryRecvError, TrySendError};
use std::{
    collections::BTreeMap,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

#[test]
fn one_senders_values_arrive_in_order_at_every_capacity() {
    in_every_world(|crew| {
        for capacity in CAPACITIES {
            let (tx, rx) = channel(capacity);
            let sender = crew.start(move |ops| async move {
                for i in 0..200 {
                    ops.send(&tx, i).await.unwrap();
                }
            });
            let receiver = crew.start(move |ops| async move {
                let mut values = Vec::new();
                while let Ok(value) = ops.recv(&rx).await {
                    values.push(value);
                }
                values
            });
            sender.join();
            assert_eq!(receiver.join(), (0..200).collect::<Vec<i32>>(), "capacity {capacity:?}");
        }
    });
}

#[test]
fn many_senders_and_receivers_get_every_value_once_and_each_senders_in_order() {
    const SENDERS: usize = 4;
    const EACH: usize = 100;
    in_every_world(|crew| {
        for capacity in CAPACITIES {
            let (tx, rx) = channel(capacity);
            let senders: Vec<_> = (0..SENDERS)
                .map(|id| {
                    let tx = tx.clone();
                    crew.start(move |ops| async move {
                        for i in 0..EACH {
                            ops.send(&tx, (id, i)).await.unwrap();
                        }
                    })
                })
                .collect();
            let receivers: Vec<_> = (0..3)
                .map(|_| {
                    let rx = rx.clone();
                    crew.start(move |ops| async move {
                        let mut values: Vec<(usize, usize)> = Vec::new();
                        while let Ok(value) = ops.recv(&rx).await {
                            values.push(value);
                        }
                        values
                    })
                })
                .collect();
            drop((tx, rx));
            senders.into_iter().for_each(|sender| sender.join());
            let mut all = Vec::new();
            for receiver in receivers {
                let values = receiver.join();
                let mut last = BTreeMap::new();
                for &(id, i) in &values {
                    assert!(last.insert(id, i).is_none_or(|before| before < i), "out of order: {values:?}");
                }
                all.extend(values);
            }
            all.sort_unstable();
            let expected: Vec<_> = (0..SENDERS).flat_map(|id| (0..EACH).map(move |i| (id, i))).collect();
            assert_eq!(all, expected);
        }
    });
}

#[test]
fn a_rendezvous_send_returns_only_when_a_receiver_has_come() {
    in_every_world(|crew| {
        for _ in 0..50 {
            let (tx, rx) = chan::bounded(0);
            let come = Arc::new(AtomicBool::new(false));
            let sender = crew.start({
                let come = come.clone();
                move |ops| async move {
                    ops.send(&tx, ()).await.unwrap();
                    assert!(come.load(Ordering::SeqCst));
                }
            });
            let receiver = crew.start(move |ops| async move {
                ops.pause().await;
                come.store(true, Ordering::SeqCst);
                ops.recv(&rx).await.unwrap();
            });
            sender.join();
            receiver.join();
        }
    });
}

#[test]
fn a_send_into_a_free_slot_needs_no_receiver() {
    in_every_world(|crew| {
        let (tx, rx) = chan::bounded(3);
        crew.start(move |ops| async move {
            for i in 0..3 {
                ops.send(&tx, i).await.unwrap();
            }
        })
        .join();
        assert_eq!(rx.try_iter().collect::<Vec<_>>(), [0, 1, 2]);
        let (tx, rx) = chan::unbounded();
        crew.start(move |ops| async move {
            for i in 0..1000 {
                ops.send(&tx, i).await.unwrap();
            }
        })
        .join();
        assert_eq!(rx.len(), 1000);
    });
}

#[test]
fn unbounded_sends_never_wait() {
    on_one_worker(|| {
        let (tx, rx) = chan::unbounded();
        // A send that waited would wait for ever: nobody else is there to receive.
        (0..100_000).for_each(|i| tx.send(i).unwrap());
        assert!(tx.try_send(100_000).is_ok());
        assert_eq!((tx.len(), tx.capacity(), tx.is_full()), (100_001, None, false));
        drop(tx);
        assert!(rx.iter().eq(0..=100_000));
    });
}

#[test]
fn two_that_send_to_each_other_in_turn_never_lose_the_beat() {
    in_every_world(|crew| {
        let (ping, pings) = chan::bounded(0);
        let (pong, pongs) = chan::bounded(0);
        let echo = crew.start(move |ops| async move {
            while let Ok(value) = ops.recv(&pings).await {
                ops.send(&pong, value + 1).await.unwrap();
            }
        });
        let caller = crew.start(move |ops| async move {
            let mut value = 0;
            for _ in 0..500 {
                ops.send(&ping, value).await.unwrap();
                value = ops.recv(&pongs).await.unwrap();
            }
            value
        });
        assert_eq!(caller.join(), 500);
        echo.join();
    });
}

#[test]
fn a_try_send_on_a_rendezvous_reaches_a_waiting_receiver_and_nobody_else() {
    in_every_world(|crew| {
        let (tx, rx) = chan::bounded(0);
        assert_eq!(tx.try_send(0), Err(TrySendError::Full(0)));
        let receiver = crew.start(move |ops| async move { ops.recv(&rx).await });
        // It succeeds from the moment that the receiver waits.
        until(|| tx.try_send(7).is_ok());
        assert_eq!(receiver.join(), Ok(7));
    });
}

#[test]
fn a_try_recv_on_a_rendezvous_takes_from_a_waiting_sender() {
    in_every_world(|crew| {
        let (tx, rx) = chan::bounded(0);
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
        let sender = crew.start(move |ops| async move { ops.send(&tx, 7).await });
        let value = loop {
            match rx.try_recv() {
                Ok(value) => break value,
                Err(_) => rendez::yield_now(),
            }
        };
        assert_eq!((value, sender.join()), (7, Ok(())));
    });
}

#[test]
fn a_value_for_a_waiting_receiver_bypasses_the_buffer() {
    let (tx, rx) = chan::bounded(3);
    let mut receive = pin!(rx.recv_async());
    assert!(poll_once(receive.as_mut()).is_none());
    tx.send(1).unwrap();
    assert_eq!((tx.len(), rx.len()), (0, 0));
    tx.send(2).unwrap();
    assert_eq!(rx.len(), 1);
    assert_eq!(poll_once(receive), Some(Ok(1)));

    on_one_worker(|| {
        let (tx, rx) = chan::bounded(3);
        let waits = Arc::new(AtomicBool::new(false));
        let receiver = rendez::go({
            let waits = waits.clone();
            move || {
                waits.store(true, Ordering::Relaxed);
                rx.recv()
            }
        });
        until(|| waits.load(Ordering::Relaxed));
        tx.send(1).unwrap();
        assert_eq!(tx.len(), 0);
        assert_eq!(receiver.join().unwrap(), Ok(1));
    });
}

#[test]
fn a_receive_from_a_full_channel_lets_the_oldest_parked_sender_refill_it() {
    let (tx, rx) = chan::bounded(2);
    tx.send(1).unwrap();
    tx.send(2).unwrap();
    let mut third = pin!(tx.send_async(3));
    let mut fourth = pin!(tx.send_async(4));
    assert!(poll_once(third.as_mut()).is_none());
    assert!(poll_once(fourth.as_mut()).is_none());
    assert_eq!(rx.recv(), Ok(1));
    assert_eq!(rx.len(), 2);
    assert_eq!(poll_once(third), Some(Ok(())));
    assert!(poll_once(fourth.as_mut()).is_none());
    assert_eq!(rx.try_recv(), Ok(2));
    assert_eq!(rx.len(), 2);
    assert_eq!(poll_once(fourth), Some(Ok(())));
    assert_eq!(rx.try_iter().collect::<Vec<_>>(), [3, 4]);
}

#[test]
fn a_parked_sender_refills_the_slot_before_a_later_send_can_have_it() {
    on_one_worker(|| {
        let (tx, rx) = chan::bounded(1);
        tx.send(1).unwrap();
        let parked = Arc::new(AtomicBool::new(false));
        let sender = rendez::go({
            let (tx, parked) = (tx.clone(), parked.clone());
            move || {
                parked.store(true, Ordering::Relaxed);
                tx.send(2).unwrap();
            }
        });
        until(|| parked.load(Ordering::Relaxed));
        assert_eq!(rx.recv(), Ok(1));
        assert_eq!(tx.try_send(3), Err(TrySendError::Full(3)));
        assert_eq!(rx.recv(), Ok(2));
        sender.join().unwrap();
    });
}

#[test]
fn the_gauges_tell_what_is_buffered() {
    let (tx, rx) = chan::bounded(2);
    let gauges = |tx: &Sender<i32>, rx: &Receiver<i32>| {
        assert_eq!((tx.len(), tx.is_empty(), tx.is_full()), (rx.len(), rx.is_empty(), rx.is_full()));
        assert_eq!((tx.capacity(), tx.is_closed()), (rx.capacity(), rx.is_closed()));
        (rx.len(), rx.is_empty(), rx.is_full(), rx.is_closed())
    };
    assert_eq!(rx.capacity(), Some(2));
    assert_eq!(gauges(&tx, &rx), (0, true, false, false));
    tx.send(1).unwrap();
    assert_eq!(gauges(&tx, &rx), (1, false, false, false));
    tx.send(2).unwrap();
    assert_eq!(gauges(&tx, &rx), (2, false, true, false));
    tx.close();
    assert_eq!(gauges(&tx, &rx), (2, false, true, true));
    rx.recv().unwrap();
    assert_eq!(gauges(&tx, &rx), (1, false, false, true));

    let (tx, rx) = chan::bounded(0);
    assert_eq!(rx.capacity(), Some(0));
    assert_eq!(gauges(&tx, &rx), (0, true, true, false));
    let (tx, rx) = chan::unbounded();
    assert_eq!(rx.capacity(), None);
    tx.send(1).unwrap();
    assert_eq!(gauges(&tx, &rx), (1, false, false, false));
}

#[test]
fn every_operation_in_every_state_of_a_channel() {
    for capacity in [Some(1), Some(3), None] {
        // Open and empty.
        let (tx, rx) = channel(capacity);
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(rx.try_iter().next(), None);
        assert_eq!(tx.try_send(0), Ok(()));
        // Open, with values.
        for i in 1..capacity.unwrap_or(100) {
            assert_eq!(tx.try_send(i), Ok(()));
        }
        if capacity.is_some() {
            assert_eq!(tx.try_send(99), Err(TrySendError::Full(99)));
        }
        assert_eq!(rx.try_recv(), Ok(0));
        assert_eq!(tx.send(100), Ok(()));
        // Closed, with values.
        assert!(tx.close());
        assert_eq!(tx.send(101), Err(SendError(101)));
        assert_eq!(tx.try_send(101), Err(TrySendError::Closed(101)));
        let rest: Vec<_> = (1..capacity.unwrap_or(100)).chain([100]).collect();
        assert_eq!(rx.iter().collect::<Vec<_>>(), rest);
        // Closed and drained.
        for _ in 0..2 {
            assert_eq!(rx.recv(), Err(RecvError));
            assert_eq!(rx.try_recv(), Err(TryRecvError::Closed));
        }
        assert!(!tx.close());
    }
}

#[test]
fn a_range_over_a_channel_ends_when_it_is_closed_and_drained() {
    in_every_world(|crew| {
        let (tx, rx) = chan::bounded(1);
        let sender = crew.start(move |ops| async move {
            for i in 1..=4 {
                ops.send(&tx, i).await.unwrap();
            }
        });
        let mut seen = Vec::new();
        for value in &rx {
            seen.push(value);
            if value == 2 {
                break;
            }
        }
        seen.extend(rx);
        assert_eq!(seen, [1, 2, 3, 4]);
        sender.join();
    });
}

#[test]
fn try_iter_ends_where_it_would_have_to_wait() {
    let (tx, rx) = chan::unbounded();
    tx.send(1).unwrap();
    tx.send(2).unwrap();
    assert_eq!(rx.try_iter().collect::<Vec<_>>(), [1, 2]);
    assert_eq!(rx.try_iter().next(), None);
    tx.send(3).unwrap();
    assert_eq!(rx.try_iter().next(), Some(3));
}

#[test]
fn a_channel_of_any_capacity_takes_turns_between_its_clones() {
    in_every_world(|crew| {
        let (tx, rx) = chan::bounded::<usize>(0);
        let sum = Arc::new(AtomicUsize::new(0));
        let receivers: Vec<_> = (0..4)
            .map(|_| {
                let (rx, sum) = (rx.clone(), sum.clone());
                crew.start(move |ops| async move {
                    while let Ok(value) = ops.recv(&rx).await {
                        sum.fetch_add(value, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        drop(rx);
        for i in 1..=100 {
            tx.send(i).unwrap();
        }
        drop(tx);
        receivers.into_iter().for_each(|receiver| receiver.join());
        assert_eq!(sum.load(Ordering::Relaxed), 5050);
    });
}

#[test]
fn never_neither_yields_nor_ends() {
    let rx = chan::never::<i32>();
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    assert_eq!(rx.recv_timeout(std::time::Duration::ZERO), Err(chan::RecvTimeoutError::Timeout));
    assert!(!rx.close());
    assert!(!rx.is_closed());
    assert_eq!((rx.len(), rx.capacity(), rx.is_empty()), (0, Some(0), true));
    let other = rx.clone();
    let mut receive = pin!(other.recv_async());
    assert!(poll_once(receive.as_mut()).is_none());
    assert!(!rx.close());
    drop(rx);
    assert!(poll_once(receive).is_none());
}

#[test]
fn endpoints_go_to_other_threads_when_their_values_may() {
    fn both<T: Send + Sync>() {}
    fn sendable<T: Send>(_: &T) {}
    both::<Sender<std::cell::Cell<i32>>>();
    both::<Receiver<std::cell::Cell<i32>>>();
    let (tx, rx) = chan::bounded::<std::cell::Cell<i32>>(0);
    sendable(&tx.send_async(std::cell::Cell::new(1)));
    sendable(&rx.recv_async());
    sendable(&rx.stream());
}

#[test]
fn endpoints_describe_themselves_without_their_values() {
    struct Opaque;
    let (tx, rx) = chan::bounded(2);
    assert!(tx.try_send(Opaque).is_ok());
    assert_eq!(format!("{tx:?}"), "Sender { len: 1, capacity: Some(2), closed: false }");
    tx.close();
    let described = "Receiver { len: 1, capacity: Some(2), closed: true }";
    assert_eq!(format!("{rx:?}"), described);
    assert_eq!(format!("{:?}", rx.iter()), format!("Iter({described})"));
    assert_eq!(format!("{:?}", rx.try_iter()), format!("TryIter({described})"));
    assert_eq!(format!("{:?}", rx.into_iter()), format!("IntoIter({described})"));
}
