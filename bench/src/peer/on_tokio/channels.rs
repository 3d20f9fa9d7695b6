//! Programs whose work is done by a channel.

use super::{Channel, Countdown, Shared, on, runtime, shared_runtime};
use crate::{gauge, peer::Body};
use std::time::{Duration, Instant};

pub(super) async fn ping_pong<C: Channel>(n: u64) -> Duration {
    let (ping, mut rx) = C::channel(Some(0));
    let (tx, mut pong) = C::channel(Some(0));
    tokio::spawn(async move {
        while let Some(v) = C::recv(&mut rx).await {
            C::send(&tx, v).await;
        }
    });
    let start = Instant::now();
    for i in 0..n as usize {
        C::send(&ping, i).await;
        assert_eq!(C::recv(&mut pong).await, Some(i));
    }
    start.elapsed()
}

pub(super) async fn seq<C: Channel>(n: u64) -> Duration {
    let (tx, mut rx) = C::channel(Some(1));
    let start = Instant::now();
    for i in 0..n as usize {
        C::send(&tx, i).await;
        assert_eq!(C::recv(&mut rx).await, Some(i));
    }
    start.elapsed()
}

/// Sends `n` numbers by so many senders; the channel closes with the last.
fn send_from<C: Channel>(senders: u64, tx: C::Tx, n: u64) {
    for _ in 0..senders {
        let tx = tx.clone();
        tokio::spawn(async move {
            for i in 0..(n / senders) as usize {
                C::send(&tx, i).await;
            }
        });
    }
}

/// Counts what comes until the channel is closed.
async fn count<C: Channel>(mut rx: C::Rx) -> u64 {
    let mut count = 0;
    while C::recv(&mut rx).await.is_some() {
        count += 1;
    }
    count
}

/// `n` numbers are sent, and then they are received.
pub(super) async fn fill<C: Channel>(capacity: Option<usize>, n: u64) -> Duration {
    let start = Instant::now();
    let (tx, mut rx) = C::channel(capacity);
    for i in 0..n as usize {
        C::send(&tx, i).await;
    }
    for i in 0..n as usize {
        assert_eq!(C::recv(&mut rx).await, Some(i));
    }
    start.elapsed()
}

pub(super) async fn to_one<C: Channel>(senders: u64, capacity: Option<usize>, n: u64) -> Duration {
    let start = Instant::now();
    let (tx, rx) = C::channel(capacity);
    let receiver = tokio::spawn(count::<C>(rx));
    send_from::<C>(senders, tx, n);
    assert_eq!(receiver.await.ok(), Some(n));
    start.elapsed()
}

pub(super) async fn to_many<C: Shared>(capacity: Option<usize>, n: u64) -> Duration {
    let start = Instant::now();
    let (tx, rx) = C::channel(capacity);
    let receivers: Vec<_> = (0..4).map(|_| tokio::spawn(count::<C>(C::share(&rx)))).collect();
    drop(rx);
    send_from::<C>(4, tx, n);
    let mut got = 0;
    for receiver in receivers {
        got += receiver.await.expect("a receiver does not panic");
    }
    let elapsed = start.elapsed();
    assert_eq!(got, n);
    elapsed
}

pub(super) async fn sieve<C: Channel>(primes: u64) -> Duration {
    let start = Instant::now();
    let (tx, mut numbers) = C::channel(Some(0));
    tokio::spawn(async move {
        let mut i = 2;
        while C::send(&tx, i).await {
            i += 1;
        }
    });
    let mut prime = 0;
    for _ in 0..primes {
        prime = C::recv(&mut numbers).await.expect("there are more primes");
        let (tx, rx) = C::channel(Some(0));
        let mut source = std::mem::replace(&mut numbers, rx);
        tokio::spawn(async move {
            while let Some(v) = C::recv(&mut source).await {
                if v % prime != 0 && !C::send(&tx, v).await {
                    break;
                }
            }
        });
    }
    let elapsed = start.elapsed();
    assert!(primes != 2000 || prime == 17389);
    elapsed
}

pub(super) async fn skynet<C: Channel>(leaves: u64) -> Duration {
    let start = Instant::now();
    let (tx, mut rx) = C::channel(Some(0));
    node::<C>(tx, 0, leaves as usize);
    let sum = C::recv(&mut rx).await;
    let elapsed = start.elapsed();
    assert_eq!(sum, Some((leaves * (leaves - 1) / 2) as usize));
    elapsed
}

/// Starts a node of the tree. Not async itself, so that the task's type does not contain itself.
fn node<C: Channel>(out: C::Tx, number: usize, size: usize) {
    tokio::spawn(async move {
        if size < 10 {
            C::send(&out, number).await;
            return;
        }
        let (tx, mut rx) = C::channel(Some(0));
        for i in 0..10 {
            node::<C>(tx.clone(), number + i * (size / 10), size / 10);
        }
        let mut sum = 0;
        for _ in 0..10 {
            sum += C::recv(&mut rx).await.expect("every child sends");
        }
        C::send(&out, sum).await;
    });
}

pub(super) async fn daisy<C: Channel>(n: u64) -> Duration {
    let start = Instant::now();
    let (mut left, mut leftmost) = C::channel(Some(0));
    for _ in 0..n {
        let (tx, mut right) = C::channel(Some(0));
        let out = std::mem::replace(&mut left, tx);
        tokio::spawn(async move {
            if let Some(v) = C::recv(&mut right).await {
                C::send(&out, v + 1).await;
            }
        });
    }
    tokio::spawn(async move { C::send(&left, 0).await });
    let got = C::recv(&mut leftmost).await;
    let elapsed = start.elapsed();
    assert_eq!(got, Some(n as usize));
    elapsed
}

/// Eight stages, each does its steps of work and adds one.
pub(super) async fn pipeline<C: Channel>(n: u64, steps: u64) -> Duration {
    let (first, mut last) = C::channel(Some(0));
    let ready = Countdown::new(8);
    for _ in 0..8 {
        let (tx, rx) = C::channel(Some(0));
        let mut source = std::mem::replace(&mut last, rx);
        let ready = ready.clone();
        tokio::spawn(async move {
            ready.done();
            while let Some(v) = C::recv(&mut source).await {
                gauge::work(steps);
                C::send(&tx, v + 1).await;
            }
        });
    }
    ready.wait().await;
    tokio::time::sleep(Duration::from_millis(1)).await; // for the last of them to park
    let start = Instant::now();
    tokio::spawn(async move {
        for i in 0..n as usize {
            C::send(&first, i).await;
        }
    });
    let mut count = 0;
    while let Some(v) = C::recv(&mut last).await {
        assert_eq!(v, count + 8);
        count += 1;
    }
    let elapsed = start.elapsed();
    assert_eq!(count, n as usize);
    elapsed
}

pub(super) fn speedup_pipeline<C: Channel>() -> Body {
    Body::value(|n| {
        let steps = 20 * gauge::steps_per_us();
        gauge::speedup(|workers| on(&runtime(workers), pipeline::<C>(n, steps)))
    })
}

pub(super) fn speedup_workers<C: Shared>() -> Body {
    Body::value(|n| {
        let steps = 50 * gauge::steps_per_us();
        gauge::speedup(|workers| on(&runtime(workers), jobs::<C>(n, steps)))
    })
}

/// Four tasks take `n` jobs off one channel.
async fn jobs<C: Shared>(n: u64, steps: u64) -> Duration {
    let (tx, rx) = C::channel(Some(0));
    let start = Instant::now();
    let workers: Vec<_> = (0..4)
        .map(|_| {
            let mut rx = C::share(&rx);
            tokio::spawn(async move {
                while C::recv(&mut rx).await.is_some() {
                    gauge::work(steps);
                }
            })
        })
        .collect();
    drop(rx);
    for i in 0..n as usize {
        C::send(&tx, i).await;
    }
    drop(tx);
    for worker in workers {
        worker.await.expect("a worker does not panic");
    }
    start.elapsed()
}

/// Parks `n` tasks, but no more than `most`.
pub(crate) fn mem_async<C: Shared>(most: u64) -> Body {
    Body::value(move |n| {
        on(shared_runtime(), parked::<C>(1000));
        on(shared_runtime(), parked::<C>(n.min(most)))
    })
}

/// Bytes for each of `n` tasks that await a receive on one channel.
async fn parked<C: Shared>(n: u64) -> f64 {
    let (tx, rx) = C::channel(Some(0));
    let (here, ended) = (Countdown::new(n), Countdown::new(n));
    let before = gauge::footprint();
    for _ in 0..n {
        let (mut rx, here, ended) = (C::share(&rx), here.clone(), ended.clone());
        tokio::spawn(async move {
            here.done();
            C::recv(&mut rx).await;
            ended.done();
        });
    }
    here.wait().await;
    tokio::time::sleep(crate::peer::SETTLE).await;
    let each = gauge::growth_each(before, gauge::footprint(), n);
    drop(tx);
    ended.wait().await;
    each
}
