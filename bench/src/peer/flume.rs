//! flume: its async channels, which can rendezvous and have several receivers, between tokio tasks.
//!
//! It could also be used from OS threads; crossbeam-channel stands for that kind here.

use super::{
    Answer::{self, Cannot, Does},
    on_tokio::{self, Channel, Shared},
};
use flume::{Receiver, Sender};

/// `flume::bounded`, used by its futures.
struct Flume;

impl Channel for Flume {
    type Tx = Sender<usize>;
    type Rx = Receiver<usize>;

    fn bounded(capacity: usize) -> (Self::Tx, Self::Rx) {
        flume::bounded(capacity)
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

pub(crate) fn find(case: &str) -> Answer {
    match on_tokio::channel_case::<Flume>(case).or_else(|| on_tokio::shared_case::<Flume>(case)) {
        Some(body) => Does(body),
        None => Cannot(on_tokio::NOT_THE_CHANNELS),
    }
}
