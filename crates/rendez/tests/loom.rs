//! Channels and wait groups under loom: every interleaving of two or three threads, through the public API.
//!
//! `RUSTFLAGS="--cfg loom" LOOM_MAX_PREEMPTIONS=3 cargo test --release -p rendez --test loom`
#![cfg(loom)]

use loom::{
    future::block_on,
    thread::{self, JoinHandle},
};
use rendez::{
    chan::{self, Receiver, RecvError, RecvTimeoutError, SendError, SendTimeoutError, Sender, TryRecvError},
    sync::WaitGroup,
};
use std::{
    future::Future,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

/// Runs `model` in every interleaving, and says how many those were.
fn explore(model: impl Fn() + Sync + Send + 'static) {
    let interleavings = Arc::new(AtomicUsize::new(0));
    let counted = interleavings.clone();
    loom::model(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        model();
    });
    println!("{} interleavings", interleavings.load(Ordering::Relaxed));
}

/// Under loom a limit may pass at any moment, whatever it says.
const LIMIT: Duration = Duration::from_secs(1);

fn poll_once<Fut: Future>(future: Pin<&mut Fut>) -> Option<Fut::Output> {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

fn send<T: Send + 'static>(tx: &Sender<T>, value: T) -> JoinHandle<Result<(), SendError<T>>> {
    let tx = tx.clone();
    thread::spawn(move || tx.send(value))
}

/// Counts its drops, and how many there are.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new() -> (Counted, Arc<AtomicUsize>) {
        let alive = Arc::new(AtomicUsize::new(1));
        (Counted(alive.clone()), alive)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        assert_eq!(self.0.fetch_sub(1, Ordering::SeqCst), 1, "dropped twice");
    }
}

#[test]
fn a_rendezvous_hands_the_value_over() {
    explore(|| {
        let (tx, rx) = chan::bounded(0);
        let sender = send(&tx, Box::new(7));
        drop(tx);
        assert_eq!(rx.recv(), Ok(Box::new(7)));
        assert_eq!(rx.recv(), Err(RecvError));
        assert_eq!(sender.join().unwrap(), Ok(()));
    });
}

#[test]
fn two_values_keep_their_order() {
    for capacity in [0, 1] {
        explore(move || {
            let (tx, rx) = chan::bounded(capacity);
            let sender = thread::spawn(move || {
                tx.send(1).unwrap();
                tx.send(2).unwrap();
            });
            assert_eq!((rx.recv(), rx.recv()), (Ok(1), Ok(2)));
            sender.join().unwrap();
        });
    }
}

#[test]
fn two_senders_fill_one_slot_and_both_values_arrive() {
    explore(|| {
        let (tx, rx) = chan::bounded(1);
        let senders = [send(&tx, 1), send(&tx, 2)];
        drop(tx);
        let mut got = [rx.recv().unwrap(), rx.recv().unwrap()];
        got.sort_unstable();
        assert_eq!(got, [1, 2]);
        for sender in senders {
            assert_eq!(sender.join().unwrap(), Ok(()));
        }
        assert_eq!(rx.try_recv(), Err(TryRecvError::Closed));
    });
}

#[test]
fn a_receive_from_a_full_channel_lets_a_parked_sender_go() {
    explore(|| {
        let (tx, rx) = chan::bounded(1);
        tx.send(1).unwrap();
        let sender = send(&tx, 2);
        assert_eq!(rx.recv(), Ok(1));
        assert_eq!(sender.join().unwrap(), Ok(()));
        assert_eq!((rx.len(), rx.try_recv()), (1, Ok(2)));
    });
}

#[test]
fn two_receivers_share_two_values() {
    explore(|| {
        let (tx, rx) = chan::bounded(0);
        let other = thread::spawn({
            let rx = rx.clone();
            move || rx.recv().unwrap()
        });
        let sender = thread::spawn(move || {
            tx.send(1).unwrap();
            tx.send(2).unwrap();
        });
        let mine = rx.recv().unwrap();
        assert_eq!(mine + other.join().unwrap(), 3);
        sender.join().unwrap();
    });
}

#[test]
fn a_value_sent_to_a_receive_that_times_out_is_received_or_still_there() {
    for capacity in [0, 1] {
        explore(move || {
            let (tx, rx) = chan::bounded(capacity);
            let (value, alive) = Counted::new();
            let sender = thread::spawn(move || tx.send(value).is_ok());
            match rx.recv_timeout(LIMIT) {
                Ok(value) => drop(value),
                Err(error) => {
                    assert_eq!(error, RecvTimeoutError::Timeout, "the sender drops its end after its send");
                    assert_eq!(alive.load(Ordering::SeqCst), 1);
                    drop(rx.recv().expect("still there"));
                }
            }
            assert!(sender.join().unwrap());
            assert_eq!(alive.load(Ordering::SeqCst), 0);
        });
    }
}

#[test]
fn a_send_that_times_out_is_either_delivered_or_given_back() {
    for capacity in [0, 1] {
        explore(move || {
            let (tx, rx) = chan::bounded(capacity);
            for _ in 0..capacity {
                tx.send(0).unwrap();
            }
            let receiver = thread::spawn(move || rx.iter().filter(|&value| value == 7).count());
            let delivered = match tx.send_timeout(7, LIMIT) {
                Ok(()) => 1,
                Err(error) => {
                    assert_eq!(error, SendTimeoutError::Timeout(7));
                    0
                }
            };
            drop(tx);
            assert_eq!(receiver.join().unwrap(), delivered);
        });
    }
}

#[test]
fn when_both_sides_time_out_they_agree_whether_they_met() {
    explore(|| {
        let (tx, rx) = chan::bounded(0);
        // Held, so that neither side sees the other's end go.
        let ends = (tx.clone(), rx.clone());
        let sender = thread::spawn(move || tx.send_timeout(7, LIMIT).is_ok());
        let received = rx.recv_timeout(LIMIT).is_ok();
        assert_eq!(sender.join().unwrap(), received);
        drop(ends);
    });
}

#[test]
fn close_ends_a_parked_receive() {
    explore(|| {
        let (tx, rx) = chan::bounded::<i32>(0);
        let receiver = thread::spawn(move || rx.recv());
        assert!(tx.close());
        assert_eq!(receiver.join().unwrap(), Err(RecvError));
    });
}

#[test]
fn close_gives_a_parked_send_its_value_back_or_it_was_received() {
    for capacity in [0, 1] {
        explore(move || {
            let (tx, rx) = chan::bounded(capacity);
            let sender = send(&tx, 7);
            let closer = thread::spawn(move || tx.close());
            let received = rx.recv();
            match sender.join().unwrap() {
                Ok(()) => assert_eq!(received, Ok(7)),
                Err(SendError(value)) => assert_eq!((value, received), (7, Err(RecvError))),
            }
            assert!(closer.join().unwrap());
        });
    }
}

#[test]
fn of_two_that_close_one_is_told_that_it_did() {
    explore(|| {
        let (tx, rx) = chan::bounded::<i32>(0);
        let other = thread::spawn(move || tx.close());
        let mine = rx.close();
        // The sender's end goes with its thread, after its close.
        assert!(mine != other.join().unwrap());
    });
}

#[test]
fn when_the_last_sender_goes_a_receive_ends() {
    explore(|| {
        let (tx, rx) = chan::bounded::<i32>(0);
        let other = tx.clone();
        let droppers = [thread::spawn(move || drop(tx)), thread::spawn(move || drop(other))];
        assert_eq!(rx.recv(), Err(RecvError));
        for dropper in droppers {
            dropper.join().unwrap();
        }
    });
}

#[test]
fn when_the_last_receiver_goes_a_value_is_dropped_or_comes_back() {
    for capacity in [0, 1] {
        explore(move || {
            let (tx, rx) = chan::bounded(capacity);
            let (value, alive) = Counted::new();
            let dropper = thread::spawn(move || drop(rx));
            match tx.send(value) {
                Ok(()) => assert_eq!(capacity, 1),
                Err(error) => {
                    assert_eq!(alive.load(Ordering::SeqCst), 1);
                    drop(error);
                }
            }
            dropper.join().unwrap();
            assert_eq!(alive.load(Ordering::SeqCst), 0);
        });
    }
}

#[test]
fn whichever_end_goes_last_frees_the_channel_after_all_that_was_done_to_it() {
    explore(|| {
        let (tx, rx) = chan::bounded(2);
        let (value, alive) = Counted::new();
        assert!(tx.try_send(value).is_ok());
        // Two senders and a receiver, each on a thread of its own; what frees the channel looks at its state once more, so that loom sees
        // whether all that came before is before it.
        let other = tx.clone();
        let sender = thread::spawn(move || drop(other));
        let receiver = thread::spawn(move || drop(rx));
        drop(tx);
        sender.join().unwrap();
        receiver.join().unwrap();
        assert_eq!(alive.load(Ordering::Relaxed), 0);
    });
}

#[test]
fn a_receive_future_that_is_dropped_passes_its_value_on() {
    explore(|| {
        let (tx, rx) = chan::bounded(0);
        let (value, alive) = Counted::new();
        let mut future = Box::pin(rx.recv_async());
        assert!(poll_once(future.as_mut()).is_none());
        let sender = thread::spawn(move || tx.send(value).is_ok());
        drop(future);
        drop(rx.recv().expect("nothing is lost"));
        assert!(sender.join().unwrap());
        assert_eq!(alive.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn a_receive_future_that_is_dropped_passes_its_value_on_to_one_that_waits() {
    explore(|| {
        let (tx, rx) = chan::bounded(0);
        let mut future = Box::pin(rx.recv_async());
        assert!(poll_once(future.as_mut()).is_none());
        let waiting = thread::spawn({
            let rx = rx.clone();
            move || rx.recv()
        });
        let sender = send(&tx, 7);
        drop(future);
        assert_eq!(waiting.join().unwrap(), Ok(7));
        assert_eq!(sender.join().unwrap(), Ok(()));
    });
}

#[test]
fn a_send_future_that_is_dropped_has_sent_or_has_dropped_its_value() {
    explore(|| {
        let (tx, rx) = chan::bounded(0);
        let (value, alive) = Counted::new();
        let receiver = thread::spawn(move || rx.recv().is_ok());
        let mut future = Box::pin(tx.send_async(value));
        let sent = poll_once(future.as_mut()).is_some();
        drop(future);
        drop(tx);
        let received = receiver.join().unwrap();
        assert!(received || !sent);
        assert_eq!(alive.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn a_receive_future_is_woken_by_a_send() {
    explore(|| {
        let (tx, rx) = chan::bounded(0);
        let sender = send(&tx, 7);
        assert_eq!(block_on(rx.recv_async()), Ok(7));
        assert_eq!(sender.join().unwrap(), Ok(()));
    });
}

#[test]
fn two_futures_meet() {
    explore(|| {
        let (tx, rx) = chan::bounded(0);
        let sender = thread::spawn(move || block_on(tx.send_async(7)));
        assert_eq!(block_on(rx.recv_async()), Ok(7));
        assert_eq!(sender.join().unwrap(), Ok(()));
    });
}

#[test]
fn a_future_whose_waker_changes_while_a_send_comes_is_woken() {
    explore(|| {
        let (tx, rx) = chan::bounded(0);
        let mut future = pin!(rx.recv_async());
        // With a waker that wakes nobody: only the next poll's will do.
        assert!(poll_once(future.as_mut()).is_none());
        let sender = send(&tx, 7);
        assert_eq!(block_on(future), Ok(7));
        assert_eq!(sender.join().unwrap(), Ok(()));
    });
}

#[test]
fn a_future_is_woken_by_close() {
    explore(|| {
        let (tx, rx): (Sender<i32>, Receiver<i32>) = chan::bounded(0);
        let closer = thread::spawn(move || tx.close());
        assert_eq!(block_on(rx.recv_async()), Err(RecvError));
        assert!(closer.join().unwrap());
    });
}

#[test]
fn a_wait_group_waits_for_both() {
    explore(|| {
        let group = WaitGroup::new();
        group.add(2);
        let finished = Arc::new(AtomicUsize::new(0));
        let workers: Vec<_> = (0..2)
            .map(|_| {
                let (group, finished) = (group.clone(), finished.clone());
                thread::spawn(move || {
                    finished.fetch_add(1, Ordering::Relaxed);
                    group.done();
                })
            })
            .collect();
        group.wait();
        assert_eq!(finished.load(Ordering::Relaxed), 2);
        for worker in workers {
            worker.join().unwrap();
        }
    });
}

#[test]
fn a_wait_group_lets_two_waiters_go() {
    explore(|| {
        let group = WaitGroup::new();
        group.add(1);
        let other = thread::spawn({
            let group = group.clone();
            move || group.wait()
        });
        let worker = thread::spawn({
            let group = group.clone();
            move || group.done()
        });
        group.wait();
        other.join().unwrap();
        worker.join().unwrap();
    });
}

#[test]
fn a_wait_group_whose_waiter_gave_up_counts_a_second_round_right() {
    explore(|| {
        let group = WaitGroup::new();
        group.add(1);
        let mut given_up = Box::pin(group.wait_async());
        assert!(poll_once(given_up.as_mut()).is_none());
        let worker = thread::spawn({
            let group = group.clone();
            move || group.done()
        });
        drop(given_up);
        group.wait();
        // Nobody waits any more, so a second round may begin.
        group.add(1);
        group.done();
        group.wait();
        worker.join().unwrap();
    });
}

#[test]
fn an_add_beside_the_last_done_counts_or_panics_and_the_waiter_goes_on() {
    // The default hook would print each of the many panics.
    std::panic::set_hook(Box::new(|_| ()));
    explore(|| {
        let group = WaitGroup::new();
        group.add(1);
        let mut waits = Box::pin(group.wait_async());
        assert!(poll_once(waits.as_mut()).is_none());
        let last = thread::spawn({
            let group = group.clone();
            move || group.done()
        });
        let added = std::panic::catch_unwind(|| group.add(1)).is_ok();
        last.join().unwrap();
        if added {
            group.done();
        }
        assert!(poll_once(waits.as_mut()).is_some());
        group.wait();
    });
}
