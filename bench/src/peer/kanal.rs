//! kanal: its async channels, which can rendezvous and have several receivers, between tokio tasks.

use super::{
    Answer::{self, Cannot, Does, Nearly},
    Body, capacity,
    on_tokio::{self, Channel, Shared},
};
use kanal::{AsyncReceiver, AsyncSender};
use std::time::{Duration, Instant};

/// `kanal::bounded_async` and `kanal::unbounded_async`.
struct Kanal;

impl Channel for Kanal {
    type Tx = AsyncSender<usize>;
    type Rx = AsyncReceiver<usize>;

    fn channel(capacity: Option<usize>) -> (Self::Tx, Self::Rx) {
        capacity.map_or_else(kanal::unbounded_async, kanal::bounded_async)
    }

    async fn send(tx: &Self::Tx, value: usize) -> bool {
        tx.send(value).await.is_ok()
    }

    async fn recv(rx: &mut Self::Rx) -> Option<usize> {
        rx.recv().await.ok()
    }
}

impl Shared for Kanal {
    fn share(rx: &Self::Rx) -> Self::Rx {
        rx.clone()
    }
}

/// The blocking operations, which are faster than the async ones and have no occasion to block here.
fn fill(capacity: Option<usize>, n: u64) -> Duration {
    let start = Instant::now();
    let (tx, rx) = capacity.map_or_else(kanal::unbounded, kanal::bounded);
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
    let (tx, rx) = kanal::bounded(1);
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
    if case.starts_with("select_") || case.starts_with("arms_") {
        return Cannot("it has no select; a receive future that loses one may lose a message");
    }
    match on_tokio::channel_case::<Kanal>(case).or_else(|| on_tokio::shared_case::<Kanal>(case)) {
        Some(body) => Does(body),
        None => Cannot(on_tokio::NOT_THE_CHANNELS),
    }
}
