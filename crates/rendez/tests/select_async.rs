//! Futures of receives, events and selects that are dropped at any moment: every value is accounted for.
#![cfg(not(loom))]

use rendez::{Event, Runtime, Select, chan, choose, go_async};
use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

const fn rounds(release: u64) -> u64 {
    if cfg!(debug_assertions) || cfg!(rendez_sanitize) { release / 50 } else { release }
}

/// Polls a future so many times with other things going on in between, then drops it.
async fn poll_some<F: Future>(future: F, polls: u32) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..polls {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return Some(output);
        }
        rendez::yield_now();
    }
    None
}

#[test]
fn futures_that_are_dropped_at_random_lose_and_double_nothing() {
    for workers in [1, 2, 8] {
        let runtime = Runtime::builder().workers(workers).build().unwrap();
        let sum = Arc::new(AtomicU64::new(0));
        let n = rounds(100_000);
        let (tx, rx) = chan::bounded(0);
        let (tx2, rx2) = chan::bounded(2);
        let senders: Vec<_> = [tx, tx2]
            .into_iter()
            .map(|tx| runtime.spawn(move || (1..=n).for_each(|i| tx.send(i).unwrap())))
            .collect();
        let receivers: Vec<_> = (0..4)
            .map(|seed| {
                let (rx, rx2, sum) = (rx.clone(), rx2.clone(), sum.clone());
                let mut random = fastrand::Rng::with_seed(seed);
                let end = async move {
                    loop {
                        let polls = random.u32(0..4);
                        let got = match random.u32(0..3) {
                            0 => poll_some(rx.recv_async(), polls).await.and_then(Result::ok),
                            1 => {
                                let either = choose([rx.recv_event(), rx2.recv_event()]);
                                poll_some(either.wait_async(), polls).await.and_then(Result::ok)
                            }
                            _ => {
                                let mut select = Select::new();
                                let first = select.recv(&rx);
                                select.recv(&rx2);
                                let chosen = poll_some(select.wait_async(), polls).await;
                                match chosen {
                                    // Now and then not completed: the value goes back.
                                    Some(operation) if random.u32(0..8) == 0 => {
                                        drop(operation);
                                        None
                                    }
                                    Some(operation) if operation.index() == first => operation.recv(&rx).ok(),
                                    Some(operation) => operation.recv(&rx2).ok(),
                                    None => None,
                                }
                            }
                        };
                        match got {
                            Some(value) => _ = sum.fetch_add(value, Ordering::SeqCst),
                            None if rx.is_closed() && rx2.is_closed() && rx.is_empty() && rx2.is_empty() => {
                                return;
                            }
                            None => rendez::yield_now(),
                        }
                    }
                };
                runtime.run(|| go_async(end))
            })
            .collect();
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        receivers.into_iter().for_each(|receiver| receiver.join().unwrap());
        assert_eq!(sum.load(Ordering::SeqCst), n * (n + 1), "{workers} workers");
    }
}

#[test]
fn an_async_wait_for_a_moment_ends_and_can_be_dropped() {
    let runtime = Runtime::builder().workers(1).build().unwrap();
    runtime.run(|| {
        let tasks: Vec<_> = (0..100)
            .map(|i| {
                go_async(async move { rendez::time::timer(Duration::from_micros(i * 20)).wait_async().await })
            })
            .collect();
        for _ in 0..100 {
            let timer = rendez::time::timer(Duration::from_secs(3600)).wait_async();
            assert!(rendez::block_on(poll_some(timer, 2)).is_none());
        }
        tasks.into_iter().for_each(|task| _ = task.join().unwrap());
    });
}
