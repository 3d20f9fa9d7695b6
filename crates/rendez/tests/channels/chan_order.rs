//! First in, first out, on both sides of a channel and whatever kind of waiter stands in the queue.

use crate::worlds::{on_one_worker, poll_once, poll_with, until};
use rendez::chan::{self, Receiver, Sender};
use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Wake, Waker},
};

const WAITERS: usize = 40;

/// Parks goroutines one after another; on one worker, each one's park precedes the next one's start.
fn park_in_order(mut start: impl FnMut(usize, Box<dyn FnOnce() + Send>)) {
    let reached = Arc::new(AtomicUsize::new(0));
    for i in 0..WAITERS {
        let mine = reached.clone();
        start(i, Box::new(move || mine.store(i + 1, Ordering::Relaxed)));
        until(|| reached.load(Ordering::Relaxed) == i + 1);
    }
}

fn parked_senders(capacity: usize) -> (Receiver<usize>, usize) {
    let (tx, rx) = chan::bounded(capacity);
    for i in 0..capacity {
        tx.send(i).unwrap();
    }
    park_in_order(|i, reached| {
        let tx = tx.clone();
        drop(rendez::go(move || {
            reached();
            tx.send(capacity + i).unwrap();
        }));
    });
    (rx, capacity + WAITERS)
}

#[test]
fn parked_senders_are_served_in_the_order_in_which_they_came() {
    on_one_worker(|| {
        for capacity in [0, 1, 3] {
            let (rx, count) = parked_senders(capacity);
            assert_eq!(rx.iter().collect::<Vec<_>>(), (0..count).collect::<Vec<_>>());
        }
    });
}

#[test]
fn try_recv_serves_parked_senders_in_order_too() {
    on_one_worker(|| {
        for capacity in [0, 1, 3] {
            let (rx, count) = parked_senders(capacity);
            assert_eq!(rx.try_iter().take(count).collect::<Vec<_>>(), (0..count).collect::<Vec<_>>());
        }
    });
}

#[test]
fn parked_receivers_are_served_in_the_order_in_which_they_came() {
    on_one_worker(|| {
        for capacity in [0, 3] {
            let (tx, rx) = chan::bounded(capacity);
            let mut receivers = Vec::new();
            park_in_order(|_, reached| {
                let rx = rx.clone();
                receivers.push(rendez::go(move || {
                    reached();
                    rx.recv().unwrap()
                }));
            });
            for i in 0..WAITERS {
                tx.try_send(i).unwrap();
            }
            let got: Vec<usize> = receivers.into_iter().map(|receiver| receiver.join().unwrap()).collect();
            assert_eq!(got, (0..WAITERS).collect::<Vec<_>>());
        }
    });
}

#[test]
fn one_queue_holds_goroutines_and_async_tasks_in_order() {
    on_one_worker(|| {
        let (tx, rx) = chan::bounded::<usize>(0);
        let order = Arc::new(Mutex::new(Vec::new()));
        let futures: Vec<_> = (0..WAITERS).map(|_| rx.clone()).collect();
        let mut futures: Vec<_> = futures.iter().map(|rx| Box::pin(rx.recv_async())).collect();
        let mut goroutines = Vec::new();
        let reached = Arc::new(AtomicUsize::new(0));
        for (i, future) in futures.iter_mut().enumerate() {
            if i % 2 == 0 {
                assert!(poll_once(future.as_mut()).is_none());
            } else {
                let (rx, order, reached) = (rx.clone(), order.clone(), reached.clone());
                let mine = reached.clone();
                goroutines.push(rendez::go(move || {
                    mine.store(i, Ordering::Relaxed);
                    let value = rx.recv().unwrap();
                    order.lock().unwrap().push((i, value));
                }));
                until(|| reached.load(Ordering::Relaxed) == i);
            }
        }
        for i in 0..WAITERS {
            tx.try_send(i).unwrap();
        }
        for goroutine in goroutines {
            goroutine.join().unwrap();
        }
        // They were served in order; in which order they then ran is the scheduler's business.
        order.lock().unwrap().sort_unstable();
        let odd: Vec<_> = (0..WAITERS).filter(|i| i % 2 == 1).map(|i| (i, i)).collect();
        assert_eq!(*order.lock().unwrap(), odd);
        for (i, future) in futures.iter_mut().enumerate().step_by(2) {
            assert_eq!(poll_once(future.as_mut()), Some(Ok(i)));
        }
    });
}

#[test]
fn one_that_gives_up_leaves_the_others_in_order() {
    let (tx, rx) = chan::bounded(0);
    let mut sends: Vec<_> = (0..9).map(|i| Some(Box::pin(tx.send_async(i)))).collect();
    for send in sends.iter_mut().flatten() {
        assert!(poll_once(send.as_mut()).is_none());
    }
    // The first, the last and one between.
    for gone in [0, 4, 8] {
        sends[gone] = None;
    }
    assert_eq!(rx.try_iter().collect::<Vec<_>>(), [1, 2, 3, 5, 6, 7]);
    for send in sends.iter_mut().flatten() {
        assert_eq!(poll_once(send.as_mut()), Some(Ok(())));
    }
    assert!(rx.try_recv().is_err());
}

/// A waker that writes its number down when it is called.
struct Logged(usize, Arc<Mutex<Vec<usize>>>);

impl Wake for Logged {
    fn wake(self: Arc<Self>) {
        self.1.lock().unwrap().push(self.0);
    }
}

fn queue_logged<Fut: Future>(futures: &mut [Pin<Box<Fut>>]) -> Arc<Mutex<Vec<usize>>> {
    let log = Arc::new(Mutex::new(Vec::new()));
    for (i, future) in futures.iter_mut().enumerate() {
        let waker = Waker::from(Arc::new(Logged(i, log.clone())));
        assert!(poll_with(future.as_mut(), &waker).is_none());
    }
    log
}

/// More than are woken in one batch.
const CROWD: usize = 100;

#[test]
fn close_wakes_all_receivers_in_the_order_in_which_they_came() {
    let (tx, rx): (Sender<i32>, _) = chan::bounded(1);
    let mut futures: Vec<_> = (0..CROWD).map(|_| Box::pin(rx.recv_async())).collect();
    let log = queue_logged(&mut futures);
    assert!(tx.close());
    assert_eq!(*log.lock().unwrap(), (0..CROWD).collect::<Vec<_>>());
    for future in &mut futures {
        assert!(poll_once(future.as_mut()).expect("closed").is_err());
    }
}

#[test]
fn close_wakes_all_senders_in_order_and_gives_their_values_back() {
    let (tx, rx) = chan::bounded(1);
    tx.send(1000).unwrap();
    let mut futures: Vec<_> = (0..CROWD).map(|i| Box::pin(tx.send_async(i))).collect();
    let log = queue_logged(&mut futures);
    assert!(rx.close());
    assert_eq!(*log.lock().unwrap(), (0..CROWD).collect::<Vec<_>>());
    for (i, future) in futures.iter_mut().enumerate() {
        assert_eq!(poll_once(future.as_mut()).expect("closed").unwrap_err().into_inner(), i);
    }
    assert_eq!(rx.iter().collect::<Vec<_>>(), [1000]);
}
