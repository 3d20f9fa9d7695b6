//! The async twins: cancelled at any point they lose nothing, and they work under any executor.

use crate::worlds::{Wakes, drive, in_every_world, poll_once, poll_with};
use futures_core::Stream;
use rendez::chan::{self, RecvError, SendError, TryRecvError, TrySendError};
use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
};

#[test]
fn a_future_that_is_never_polled_does_nothing() {
    let (tx, rx) = chan::bounded(1);
    drop(tx.send_async(1));
    drop(rx.recv_async());
    assert!(rx.is_empty());
    tx.send(2).unwrap();
    drop(rx.recv_async());
    assert_eq!(rx.len(), 1);
}

#[test]
fn a_ready_operation_is_ready_at_its_first_poll() {
    let (tx, rx) = chan::bounded(1);
    assert_eq!(poll_once(pin!(tx.send_async(1))), Some(Ok(())));
    assert_eq!(poll_once(pin!(rx.recv_async())), Some(Ok(1)));
    tx.close();
    assert_eq!(poll_once(pin!(tx.send_async(2))), Some(Err(SendError(2))));
    assert_eq!(poll_once(pin!(rx.recv_async())), Some(Err(RecvError)));
}

#[test]
fn a_pending_receive_that_is_dropped_leaves_the_queue() {
    let (tx, rx) = chan::bounded(0);
    let mut gone = Box::pin(rx.recv_async());
    assert!(poll_once(gone.as_mut()).is_none());
    drop(gone);
    assert_eq!(tx.try_send(1), Err(TrySendError::Full(1)));
}

#[test]
fn a_pending_send_that_is_dropped_sends_nothing() {
    let (tx, rx) = chan::bounded(0);
    let mut gone = Box::pin(tx.send_async(1));
    assert!(poll_once(gone.as_mut()).is_none());
    drop(gone);
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
}

#[test]
fn a_value_handed_to_a_receive_that_is_dropped_goes_to_the_next_receiver() {
    let (tx, rx) = chan::bounded(0);
    let mut gone = Box::pin(rx.recv_async());
    let mut next = Box::pin(rx.recv_async());
    let (wakes, waker) = Wakes::new();
    assert!(poll_once(gone.as_mut()).is_none());
    assert!(poll_with(next.as_mut(), &waker).is_none());
    tx.send(7).unwrap();
    assert_eq!(wakes.count(), 0);
    drop(gone);
    assert_eq!(wakes.count(), 1);
    assert_eq!(poll_once(next.as_mut()), Some(Ok(7)));
}

#[test]
fn a_value_handed_to_a_receive_that_is_dropped_goes_back_to_the_front() {
    for capacity in [0, 1, 3] {
        let (tx, rx) = chan::bounded(capacity);
        let mut gone = Box::pin(rx.recv_async());
        assert!(poll_once(gone.as_mut()).is_none());
        for i in 0..=capacity {
            tx.send(i).unwrap();
        }
        let mut parked = Box::pin(tx.send_async(capacity + 1));
        assert!(poll_once(parked.as_mut()).is_none());
        drop(gone);
        assert_eq!(rx.len(), capacity + 1, "one more than the capacity, for once");
        assert_eq!(tx.try_send(99), Err(TrySendError::Full(99)));
        assert_eq!(rx.try_iter().collect::<Vec<_>>(), (0..capacity + 2).collect::<Vec<_>>());
        assert_eq!(poll_once(parked.as_mut()), Some(Ok(())));
        assert!(rx.is_empty());
    }
}

#[test]
fn a_value_given_back_to_a_closed_channel_is_still_drained() {
    let (tx, rx) = chan::bounded(0);
    let mut gone = Box::pin(rx.recv_async());
    assert!(poll_once(gone.as_mut()).is_none());
    tx.send(1).unwrap();
    drop(tx);
    drop(gone);
    assert_eq!(rx.recv(), Ok(1));
    assert_eq!(rx.recv(), Err(RecvError));
}

#[test]
fn a_send_that_was_taken_and_is_dropped_unpolled_has_been_sent() {
    let (tx, rx) = chan::bounded(0);
    let value = Arc::new(());
    let mut send = Box::pin(tx.send_async(value.clone()));
    assert!(poll_once(send.as_mut()).is_none());
    let got = rx.recv().unwrap();
    drop(send);
    assert_eq!(Arc::strong_count(&value), 2);
    drop(got);
    assert_eq!(Arc::strong_count(&value), 1);
}

#[test]
fn futures_whose_channel_closes_end_with_their_values() {
    let (tx, rx) = chan::bounded(0);
    let (wakes, waker) = Wakes::new();
    let mut send = Box::pin(tx.send_async(5));
    assert!(poll_with(send.as_mut(), &waker).is_none());
    rx.close();
    assert_eq!(wakes.count(), 1);
    assert_eq!(poll_once(send.as_mut()), Some(Err(SendError(5))));
    let (tx, rx) = chan::bounded(0);
    let value = Arc::new(());
    let mut send = Box::pin(tx.send_async(value.clone()));
    assert!(poll_once(send.as_mut()).is_none());
    drop(rx);
    // Dropped after the close, unpolled.
    drop(send);
    assert_eq!(Arc::strong_count(&value), 1);
}

#[test]
fn only_the_waker_of_the_latest_poll_is_called() {
    let (tx, rx) = chan::bounded(0);
    let (first, first_waker) = Wakes::new();
    let (second, second_waker) = Wakes::new();
    let mut receive = Box::pin(rx.recv_async());
    assert!(poll_with(receive.as_mut(), &first_waker).is_none());
    assert!(poll_with(receive.as_mut(), &second_waker).is_none());
    drop(first_waker);
    assert_eq!(Arc::strong_count(&first), 1, "a waker that was replaced is let go");
    tx.send(1).unwrap();
    assert_eq!((first.count(), second.count()), (0, 1));
    assert_eq!(poll_once(receive.as_mut()), Some(Ok(1)));
}

#[test]
fn a_future_polled_by_one_task_can_be_finished_by_another() {
    in_every_world(|crew| {
        let (tx, rx) = chan::bounded(0);
        let receiver = crew.start(move |_| async move {
            let mut receive = Box::pin(rx.recv_async());
            let ready = poll_once(receive.as_mut());
            // With whatever waker this role's executor has, after the first poll with none.
            match ready {
                Some(result) => result,
                None => drive(receive),
            }
        });
        let sender = crew.start(move |ops| async move { ops.send(&tx, 3).await });
        assert_eq!(receiver.join(), Ok(3));
        assert_eq!(sender.join(), Ok(()));
    });
}

#[test]
fn polling_a_finished_operation_panics() {
    let (tx, rx) = chan::bounded(1);
    let mut send = Box::pin(tx.send_async(1));
    assert!(poll_once(send.as_mut()).is_some());
    assert!(catch_unwind(AssertUnwindSafe(|| poll_once(send.as_mut()))).is_err());
    let mut receive = Box::pin(rx.recv_async());
    assert!(poll_once(receive.as_mut()).is_some());
    assert!(catch_unwind(AssertUnwindSafe(|| poll_once(receive.as_mut()))).is_err());
}

/// A waker that panics when it is called.
struct Faulty;

impl Wake for Faulty {
    fn wake(self: Arc<Self>) {
        std::panic::resume_unwind(Box::new("a waker that panics"));
    }
}

#[test]
fn a_waker_that_panics_costs_neither_its_peer_nor_a_value() {
    let value = Arc::new(());
    let faulty = Waker::from(Arc::new(Faulty));
    let (tx, rx) = chan::bounded(0);
    let mut receive = Box::pin(rx.recv_async());
    assert!(poll_with(receive.as_mut(), &faulty).is_none());
    let mut send = Box::pin(tx.send_async(value.clone()));
    assert!(poll_once(send.as_mut()).is_some_and(|sent| sent.is_ok()));
    drop(send);
    assert_eq!(Arc::strong_count(&value), 2, "it was handed over, once");
    drop(poll_once(receive.as_mut()).expect("handed over").expect("a value"));
    assert_eq!(Arc::strong_count(&value), 1);

    let mut send = Box::pin(tx.send_async(value.clone()));
    assert!(poll_with(send.as_mut(), &faulty).is_none());
    let mut receive = Box::pin(rx.recv_async());
    let got = poll_once(receive.as_mut()).expect("ready").expect("a value");
    drop((send, receive));
    assert_eq!(Arc::strong_count(&value), 2);
    drop(got);
    assert_eq!(Arc::strong_count(&value), 1);
}

#[test]
fn a_waker_that_panics_at_close_leaves_the_others_woken() {
    let (tx, rx) = chan::bounded::<i32>(0);
    let mut futures: Vec<_> = (0..100).map(|_| Box::pin(rx.recv_async())).collect();
    let (wakes, waker) = Wakes::new();
    for (i, future) in futures.iter_mut().enumerate() {
        let faulty = Waker::from(Arc::new(Faulty));
        assert!(poll_with(future.as_mut(), if i % 50 == 10 { &faulty } else { &waker }).is_none());
    }
    assert!(tx.close());
    assert_eq!(wakes.count(), 98);
    for future in &mut futures {
        assert_eq!(poll_once(future.as_mut()), Some(Err(RecvError)));
    }
}

#[test]
fn a_stream_yields_until_the_channel_is_closed_and_drained() {
    in_every_world(|crew| {
        let (tx, rx) = chan::bounded(1);
        let sender = crew.start(move |ops| async move {
            for i in 0..100 {
                ops.send(&tx, i).await.unwrap();
            }
        });
        let collected = drive_in(crew, async move {
            let mut stream = pin!(rx.stream());
            let mut values = Vec::new();
            while let Some(value) = next(stream.as_mut()).await {
                values.push(value);
            }
            assert_eq!(next(stream).await, None, "it stays at its end");
            values
        });
        assert_eq!(collected, (0..100).collect::<Vec<i32>>());
        sender.join();
    });
}

/// Runs a future to its end as a role that blocks in `block_on`.
fn drive_in<R: Send + 'static>(
    crew: &crate::worlds::Crew,
    future: impl Future<Output = R> + Send + 'static,
) -> R {
    crew.start(move |_| async move { rendez::block_on(future) }).join()
}

async fn next<S: Stream>(mut stream: Pin<&mut S>) -> Option<S::Item> {
    poll_fn(|cx| stream.as_mut().poll_next(cx)).await
}

#[test]
fn a_stream_that_is_dropped_gives_back_what_it_was_handed() {
    let (tx, rx) = chan::bounded(0);
    let mut stream = Box::pin(rx.stream());
    let mut cx = Context::from_waker(Waker::noop());
    assert!(stream.as_mut().poll_next(&mut cx).is_pending());
    tx.send(1).unwrap();
    drop(stream);
    assert_eq!(rx.recv(), Ok(1));
    let mut stream = Box::pin(rx.stream());
    assert!(stream.as_mut().poll_next(&mut cx).is_pending());
    tx.send(2).unwrap();
    assert_eq!(stream.as_mut().poll_next(&mut cx), Poll::Ready(Some(2)));
}

#[test]
fn two_receives_raced_in_one_task_lose_nothing() {
    const EACH: usize = 100;
    in_every_world(|crew| {
        let (left, lefts) = chan::bounded(0);
        let (right, rights) = chan::bounded(0);
        let senders = [(left, 0), (right, EACH)].map(|(tx, first)| {
            crew.start(move |ops| async move {
                for i in first..first + EACH {
                    ops.send(&tx, i).await.unwrap();
                }
            })
        });
        let receiver = crew.start(move |ops| async move {
            let mut values = rendez::block_on(async {
                let mut values = Vec::new();
                loop {
                    // Both are dropped as soon as one is ready; the other may have been handed a value meanwhile.
                    let (mut a, mut b) = (pin!(lefts.recv_async()), pin!(rights.recv_async()));
                    let first = poll_fn(|cx| match a.as_mut().poll(cx) {
                        Poll::Pending => b.as_mut().poll(cx),
                        ready => ready,
                    });
                    match first.await {
                        Ok(value) => values.push(value),
                        Err(RecvError) => break values,
                    }
                }
            });
            while let Ok(value) = ops.recv(&lefts).await {
                values.push(value);
            }
            while let Ok(value) = ops.recv(&rights).await {
                values.push(value);
            }
            values
        });
        let mut values = receiver.join();
        values.sort_unstable();
        assert_eq!(values, (0..2 * EACH).collect::<Vec<_>>());
        senders.into_iter().for_each(|sender| sender.join());
    });
}
