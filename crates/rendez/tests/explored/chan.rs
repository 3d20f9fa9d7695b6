//! Channels: rendezvous, bounded, unbounded.

use crate::{Census, Counted, exhaust, explore};
use rendez::{
    chan::{self, Receiver, SendTimeoutError, Sender, TryRecvError, TrySendError},
    go, go_async, scope, select,
};
use std::{future::poll_fn, pin::pin, sync::Mutex, task::Poll, time::Duration};

const CAPACITIES: [Option<usize>; 3] = [Some(0), Some(1), None];
const SHORT: Duration = Duration::from_millis(1);

fn channel<T>(capacity: Option<usize>) -> (Sender<T>, Receiver<T>) {
    capacity.map_or_else(chan::unbounded, chan::bounded)
}

/// Those that were received, in order, and those that came back.
#[derive(Default)]
struct Ledger {
    received: Mutex<Vec<u32>>,
    returned: Mutex<Vec<u32>>,
}

impl Ledger {
    fn receive(&self, value: Counted) {
        self.received.lock().unwrap().push(value.value);
    }

    fn give_back(&self, value: Counted) {
        self.returned.lock().unwrap().push(value.value);
    }

    /// All that were made are here once, but for `lost` that were in the channel when the last receiver went.
    fn check(&self, made: &[u32], lost: usize) {
        let mut all = self.received.lock().unwrap().clone();
        all.extend(&*self.returned.lock().unwrap());
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count, "a value came twice: {all:?}");
        assert!(all.iter().all(|value| made.contains(value)), "{all:?}");
        assert!(count <= made.len() && count + lost >= made.len(), "{all:?} of {made:?}");
    }
}

#[test]
fn what_is_sent_is_received_once_and_in_the_order_of_its_sender() {
    for capacity in CAPACITIES {
        explore(2 * CAPACITIES.len(), move || {
            let (census, ledger) = (Census::default(), Ledger::default());
            let (tx, rx) = channel(capacity);
            scope(|s| {
                for sender in [10, 20] {
                    let (tx, census) = (tx.clone(), &census);
                    s.go(move || (1..=2).for_each(|i| tx.send(census.make(sender + i)).unwrap()));
                }
                drop(tx);
                for _ in 0..2 {
                    let (rx, ledger) = (rx.clone(), &ledger);
                    s.go(move || {
                        let mut last = [0; 3];
                        for value in rx {
                            let (sender, i) = ((value.value / 10) as usize, value.value % 10);
                            assert!(i > last[sender], "out of order");
                            last[sender] = i;
                            ledger.receive(value);
                        }
                    });
                }
            });
            ledger.check(&[11, 12, 21, 22], 0);
            assert_eq!(census.alive(), 0);
        });
    }
}

#[test]
fn all_that_give_up_lose_nothing() {
    // Receivers that look, wait for a while, or are dropped as futures; senders that do the same, or lose a select.
    for capacity in CAPACITIES {
        explore(2 * CAPACITIES.len(), move || {
            let (census, ledger) = (Census::default(), Ledger::default());
            let (tx, rx) = channel(capacity);
            scope(|s| {
                s.go({
                    let (tx, census, ledger) = (tx.clone(), &census, &ledger);
                    move || {
                        match tx.send_timeout(census.make(1), SHORT) {
                            Ok(()) => {}
                            Err(SendTimeoutError::Timeout(value) | SendTimeoutError::Closed(value)) => {
                                ledger.give_back(value);
                            }
                        }
                        if let Err(error) = tx.send(census.make(2)) {
                            ledger.give_back(error.into_inner());
                        }
                    }
                });
                s.go({
                    let (tx, census, ledger) = (tx, &census, &ledger);
                    move || {
                        match tx.try_send(census.make(3)) {
                            Ok(()) => {}
                            Err(TrySendError::Full(value) | TrySendError::Closed(value)) => {
                                ledger.give_back(value);
                            }
                        }
                        let mut slot = Some(census.make(4));
                        select! {
                            send(tx, take slot) -> sent => if let Err(error) = sent {
                                ledger.give_back(error.into_inner());
                            },
                            default(SHORT) => {}
                        }
                        if let Some(value) = slot {
                            ledger.give_back(value);
                        }
                    }
                });
                s.go({
                    let (rx, ledger) = (rx.clone(), &ledger);
                    move || {
                        if let Ok(value) = rx.recv_timeout(SHORT) {
                            ledger.receive(value);
                        }
                        // A future that is polled once, and dropped.
                        rendez::block_on(async {
                            let mut waiting = pin!(rx.recv_async());
                            if let Poll::Ready(Ok(value)) =
                                poll_fn(|cx| Poll::Ready(waiting.as_mut().poll(cx))).await
                            {
                                ledger.receive(value);
                            }
                        });
                        if let Ok(value) = rx.try_recv() {
                            ledger.receive(value);
                        }
                    }
                });
                // Waits for all that is left.
                s.go(|| rx.iter().for_each(|value| ledger.receive(value)));
            });
            assert_eq!(rx.try_recv().unwrap_err(), TryRecvError::Closed);
            ledger.check(&[1, 2, 3, 4], 0);
            assert_eq!(census.alive(), 0);
        });
    }
}

#[test]
fn a_channel_is_closed_once_and_drained_before_it_ends() {
    for capacity in CAPACITIES {
        explore(CAPACITIES.len(), move || {
            let (census, ledger) = (Census::default(), Ledger::default());
            let (tx, rx) = channel(capacity);
            let closed = scope(|s| {
                for value in [1, 2] {
                    let (tx, census, ledger) = (tx.clone(), &census, &ledger);
                    s.go(move || {
                        if let Err(error) = tx.send(census.make(value)) {
                            assert!(tx.is_closed());
                            ledger.give_back(error.into_inner());
                        }
                    });
                }
                s.go({
                    let (rx, ledger) = (rx.clone(), &ledger);
                    move || {
                        for value in &rx {
                            ledger.receive(value);
                        }
                        assert!(rx.is_closed() && rx.is_empty());
                        assert!(rx.recv().is_err());
                    }
                });
                let closers = [s.go(|| tx.close()), s.go(|| rx.close())];
                closers.map(|closer| usize::from(closer.join().unwrap())).iter().sum::<usize>()
            });
            assert_eq!(closed, 1);
            ledger.check(&[1, 2], 0);
            assert_eq!(census.alive(), 0);
        });
    }
}

#[test]
fn the_last_receiver_takes_what_is_left_with_it() {
    for capacity in CAPACITIES {
        explore(CAPACITIES.len(), move || {
            let (census, ledger) = (Census::default(), Ledger::default());
            let (tx, rx) = channel(capacity);
            scope(|s| {
                let (census, ledger) = (&census, &ledger);
                s.go(move || {
                    for value in 1..=3 {
                        if let Err(error) = tx.send(census.make(value)) {
                            ledger.give_back(error.into_inner());
                        }
                    }
                });
                s.go(move || ledger.receive(rx.recv().unwrap()));
            });
            ledger.check(&[1, 2, 3], capacity.unwrap_or(2));
            assert_eq!(census.alive(), 0);
        });
    }
}

#[test]
fn who_has_waited_longest_is_served_first() {
    // Each says where it stands while nobody else can run: there is no point between saying so and queueing up.
    explore(2, || {
        let (tx, rx) = chan::bounded::<u32>(0);
        let (queued, served) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
        scope(|s| {
            for name in 0..3 {
                let (rx, queued, served) = (&rx, &queued, &served);
                s.go(move || {
                    rendez::yield_now();
                    let value = rendez::block_on(async {
                        let mut waiting = pin!(rx.recv_async());
                        poll_fn(|cx| {
                            let polled = waiting.as_mut().poll(cx);
                            if polled.is_pending() && !queued.lock().unwrap().contains(&name) {
                                queued.lock().unwrap().push(name);
                            }
                            polled
                        })
                        .await
                    });
                    served.lock().unwrap().push((value.unwrap(), name));
                });
            }
            let tx = &tx;
            s.go(move || (0..3).for_each(|value| tx.send(value).unwrap()));
        });
        let mut served = served.into_inner().unwrap();
        served.sort_unstable();
        let order: Vec<_> = served.iter().map(|&(_, name)| name).collect();
        let queued = queued.into_inner().unwrap();
        // Those that found a sender there did not queue.
        let waited: Vec<_> = order.into_iter().filter(|name| queued.contains(name)).collect();
        assert_eq!(waited, queued);
    });
    explore(2, || {
        let (tx, rx) = chan::bounded::<u32>(0);
        let mut queued = Vec::new();
        let mut senders = Vec::new();
        for value in 0..3 {
            let tx = tx.clone();
            senders.push(go_async(async move { tx.send_async(value).await.unwrap() }));
        }
        for _ in 0..3 {
            queued.push(rx.recv().unwrap());
        }
        queued.sort_unstable();
        assert_eq!(queued, [0, 1, 2]);
        for sender in senders {
            sender.join().unwrap();
        }
    });
}

#[test]
fn small_ones_under_every_schedule() {
    let mut schedules = 0;
    for capacity in CAPACITIES {
        schedules += exhaust(2, move || {
            let (tx, rx) = channel(capacity);
            let sender = go(move || [tx.send(1), tx.send(2)].iter().filter(|sent| sent.is_ok()).count());
            let first = rx.recv_timeout(SHORT);
            assert_eq!(first, Ok(1), "the clock does not move while it can send");
            let closed = rx.close();
            let second = rx.try_recv();
            assert!(matches!(second, Ok(2) | Err(TryRecvError::Closed)));
            let sent = sender.join().unwrap();
            assert_eq!(sent, 1 + usize::from(second.is_ok()), "closed: {closed}");
        });
    }
    assert!(schedules > 30, "{schedules}");
}
