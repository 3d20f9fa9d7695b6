//! kanal: its async channels, which can rendezvous and have several receivers, between tokio tasks.

use super::{
    Answer::{self, Cannot, Does, Nearly},
    Body,
    on_tokio::{self, Channel, Shared},
};
use kanal::{AsyncReceiver, AsyncSender};
use std::time::{Duration, Instant};

/// `kanal::bounded_async`.
struct Kanal;

impl Channel for Kanal {
    type Tx = AsyncSender<usize>;
    type Rx = AsyncReceiver<usize>;

    fn bounded(capacity: usize) -> (Self::Tx, Self::Rx) {
        kanal::bounded_async(capacity)
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
fn seq(n: u64) -> Duration {
    let (tx, rx) = kanal::bounded(1);
    let start = Instant::now();
    for i in 0..n {
        tx.send(i).expect("there is room");
        assert_eq!(rx.recv().ok(), Some(i));
    }
    start.elapsed()
}

pub(crate) fn find(case: &str) -> Answer {
    if case == "seq_1" {
        return Nearly("its blocking operations, which have no occasion to block", Body::timed(seq));
    }
    if case.starts_with("select_") || case.starts_with("arms_") {
        return Cannot("it has no select; a receive future that loses one may lose a message");
    }
    match on_tokio::channel_case::<Kanal>(case).or_else(|| on_tokio::shared_case::<Kanal>(case)) {
        Some(body) => Does(body),
        None => Cannot(on_tokio::NOT_THE_CHANNELS),
    }
}
