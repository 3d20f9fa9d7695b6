//! kanal: its async channels, which can rendezvous and have several receivers, between tokio tasks.

use super::{
    Answer::{self, Cannot, Does},
    on_tokio::{self, Channel, Shared},
};
use kanal::{AsyncReceiver, AsyncSender};

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

pub(crate) fn find(case: &str) -> Answer {
    match on_tokio::channel_case::<Kanal>(case).or_else(|| on_tokio::shared_case::<Kanal>(case)) {
        Some(body) => Does(body),
        None => Cannot(on_tokio::NOT_THE_CHANNELS),
    }
}
