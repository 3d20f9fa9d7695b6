//! flume: its async channels, which can rendezvous and have several receivers, between tokio tasks.
//!
//! It could also be used from OS threads; crossbeam-channel stands for that kind here.

use super::{
    Answer::{self, Cannot, Does, Nearly},
    Body, capacity,
    on_tokio::{self, Channel, Shared, channels},
};
use flume::{Receiver, Sender};
use std::time::{Duration, Instant};

/// As many parked tasks as can be released in seconds.
const CROWD: u64 = 100_000;

/// `flume::bounded` and `flume::unbounded`, used by its futures.
struct Flume;

impl Channel for Flume {
    type Tx = Sender<usize>;
    type Rx = Receiver<usize>;

    fn channel(capacity: Option<usize>) -> (Self::Tx, Self::Rx) {
        capacity.map_or_else(flume::unbounded, flume::bounded)
    }

    async fn send(tx: &Self::Tx, value: usize) -> bool {
        tx.send_async(value).await.is_ok()
    }

    async fn recv(rx: &mut Self::Rx) -> Option<usize> {
        rx.recv_async().await.ok()
    }
}

impl Shared for Flume {
    fn share(rx: &Self::Rx) -> Self::Rx {
        rx.clone()
    }
}

/// The blocking operations, which are faster than the async ones and have no occasion to block here.
fn fill(capacity: Option<usize>, n: u64) -> Duration {
    let start = Instant::now();
    let (tx, rx) = capacity.map_or_else(flume::unbounded, flume::bounded);
    for i in 0..n {
        tx.send(i).expect("there is room");
    }
    for i in 0..n {
        assert_eq!(rx.recv().ok(), Some(i));
    }
    start.elapsed()
}

/// The same.
fn seq(n: u64) -> Duration {
    let (tx, rx) = flume::bounded(1);
    let start = Instant::now();
    for i in 0..n {
        tx.send(i).expect("there is room");
        assert_eq!(rx.recv().ok(), Some(i));
    }
    start.elapsed()
}

const NO_OCCASION: &str = "its blocking operations, which have no occasion to block";

pub(crate) fn find(case: &str) -> Answer {
    if case == "seq_1" {
        return Nearly(NO_OCCASION, Body::timed(seq));
    }
    if let Some(("seq", capacity)) = capacity::split(case) {
        return Nearly(NO_OCCASION, Body::timed(move |n| fill(capacity.of_run(n), n)));
    }
    if case == "mem_async" {
        return Nearly(
            "100,000 tasks: its time to release them grows with the square",
            channels::mem_async::<Flume>(CROWD),
        );
    }
    if case.starts_with("select_") || case.starts_with("arms_") {
        return Cannot(
            "its Selector is for OS threads; a receive future that loses a select may lose a message",
        );
    }
    match on_tokio::channel_case::<Flume>(case).or_else(|| on_tokio::shared_case::<Flume>(case)) {
        Some(body) => Does(body),
        None => Cannot(on_tokio::NOT_THE_CHANNELS),
    }
}
