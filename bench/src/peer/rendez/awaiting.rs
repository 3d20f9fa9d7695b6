//! The channels' programs again, with async goroutines that await: what the async peers do.

use rendez::{
    chan::{Receiver, bounded},
    go_async,
};
use std::{
    future::Future,
    time::{Duration, Instant},
};

/// Runs it as an async goroutine, as the others are.
fn on_goroutine(program: impl Future<Output = Duration> + Send + 'static) -> Duration {
    go_async(program).join().expect("the case does not panic")
}

pub(super) fn ping_pong(n: u64) -> Duration {
    on_goroutine(async move {
        let (ping, rx) = bounded(0);
        let (tx, pong) = bounded(0);
        go_async(async move {
            while let Ok(v) = rx.recv_async().await {
                tx.send_async(v).await.expect("the other side receives");
            }
        });
        let start = Instant::now();
        for i in 0..n {
            ping.send_async(i).await.expect("the other side receives");
            assert_eq!(pong.recv_async().await.ok(), Some(i));
        }
        start.elapsed()
    })
}

async fn count(rx: Receiver<usize>) -> u64 {
    let mut count = 0;
    while rx.recv_async().await.is_ok() {
        count += 1;
    }
    count
}

/// `n` numbers from some senders to one receiver over one channel, which closes with the last sender.
pub(super) fn to_one(senders: u64, capacity: usize, n: u64) -> Duration {
    on_goroutine(async move {
        let (tx, rx) = bounded(capacity);
        let start = Instant::now();
        let receiver = go_async(count(rx));
        for _ in 0..senders {
            let tx = tx.clone();
            go_async(async move {
                for i in 0..(n / senders) as usize {
                    tx.send_async(i).await.expect("somebody receives");
                }
            });
        }
        drop(tx);
        assert_eq!(receiver.await.ok(), Some(n / senders * senders));
        start.elapsed()
    })
}
