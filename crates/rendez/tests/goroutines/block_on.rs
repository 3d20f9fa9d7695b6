//! `block_on` on goroutines: between polls others run, in the midst of one nobody does.
#![cfg(not(loom))]

use crate::setup::{in_time, runtime};
use rendez::{Event, block_on, chan, go, yield_now};
use std::{
    cell::Cell,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

/// So many operations use up any budget many times.
const READY: usize = 20_000;

thread_local! {
    /// Polls of [`Marked`] futures that are under way on this thread.
    static POLLS: Cell<u32> = const { Cell::new(0) };
}

/// Sets a thread-local for the length of each poll, as spans do, and other runtimes' contexts.
struct Marked<F>(F);

struct Mark(u32);

impl Mark {
    fn new() -> Mark {
        Mark(POLLS.replace(POLLS.get() + 1))
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        assert_eq!(POLLS.replace(self.0), self.0 + 1, "they do not nest");
    }
}

impl<F: Future + Unpin> Future for Marked<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let _mark = Mark::new();
        Pin::new(&mut self.0).poll(cx)
    }
}

fn filled() -> chan::Receiver<usize> {
    let (tx, rx) = chan::unbounded();
    (0..READY).for_each(|i| tx.send(i).unwrap());
    rx
}

/// Each operation that is awaited, always ready. `send` and its like are no such operations: they may let others run where they are
/// called. So the channels are filled before.
async fn await_all(rx: chan::Receiver<usize>, streamed: chan::Receiver<usize>) {
    let (tx, back) = chan::unbounded();
    for i in 0..READY {
        assert_eq!(rx.recv_async().await, Ok(i));
        tx.send_async(i).await.unwrap();
        assert_eq!(back.recv_event().wait_async().await, Ok(i));
    }
    let mut stream = pin!(streamed.stream());
    for i in 0..READY {
        assert_eq!(poll_fn(|cx| futures_core::Stream::poll_next(stream.as_mut(), cx)).await, Some(i));
    }
}

#[test]
fn what_is_set_for_the_length_of_a_poll_is_seen_by_no_other_goroutine() {
    in_time(|| {
        for workers in [1, 2] {
            runtime(workers).run(|| {
                let left = Arc::new(AtomicUsize::new(4));
                for _ in 0..4 {
                    let left = left.clone();
                    go(move || {
                        let all = await_all(filled(), filled());
                        block_on(Marked(Box::pin(all)));
                        assert_eq!(POLLS.get(), 0);
                        left.fetch_sub(1, Ordering::SeqCst);
                    });
                }
                let mut turns = 0;
                while left.load(Ordering::SeqCst) > 0 {
                    assert_eq!(POLLS.get(), 0, "in the midst of another's poll, at turn {turns}");
                    turns += 1;
                    yield_now();
                }
                assert!(turns > 100, "they let nobody else run: {turns} turns");
            });
        }
    });
}

#[test]
fn a_poll_that_calls_block_on_itself_is_still_a_poll_afterwards() {
    in_time(|| {
        runtime(1).run(|| {
            let other = go(|| {
                (0..100).for_each(|_| {
                    assert_eq!(POLLS.get(), 0);
                    yield_now();
                });
            });
            let all = await_all(filled(), filled());
            block_on(Marked(Box::pin(async {
                // Ready at its first poll, so that it does not park.
                assert_eq!(block_on(async { 1 }), 1);
                all.await;
            })));
            other.join().unwrap();
        });
    });
}

#[test]
fn a_poll_that_panics_leaves_the_goroutine_as_it_was() {
    in_time(|| {
        runtime(1).run(|| {
            let caught = go(|| {
                let fails = || block_on(async { std::panic::resume_unwind(Box::new("no")) as usize });
                assert!(std::panic::catch_unwind(fails).is_err());
                // Now a future that is polled by hand: it yields in its polls when the budget is used up, as before.
                let rx = filled();
                for i in 0..READY {
                    let mut receive = pin!(rx.recv_async());
                    let mut cx = Context::from_waker(std::task::Waker::noop());
                    assert_eq!(receive.as_mut().poll(&mut cx), Poll::Ready(Ok(i)));
                }
            });
            caught.join().unwrap();
        });
    });
}
