//! tokio: its tasks, and `tokio::sync::mpsc` between them.

use super::{
    Answer::{self, Cannot, Does, Nearly},
    on_tokio::{self, Channel, many, timed},
};
use tokio::sync::mpsc::{self, Receiver, Sender};

/// `tokio::sync::mpsc`, with capacity 1 where 0 is asked for.
struct Mpsc;

impl Channel for Mpsc {
    type Tx = Sender<usize>;
    type Rx = Receiver<usize>;

    fn bounded(capacity: usize) -> (Self::Tx, Self::Rx) {
        mpsc::channel(capacity.max(1))
    }

    async fn send(tx: &Self::Tx, value: usize) -> bool {
        tx.send(value).await.is_ok()
    }

    async fn recv(rx: &mut Self::Rx) -> Option<usize> {
        rx.recv().await
    }
}

const NO_RENDEZVOUS: &str = "tokio has no rendezvous channel: capacity 1";
const ONE_RECEIVER: &str = "tokio::sync::mpsc has one receiver";
const TASKS: &str =
    "async tasks, parked on a semaphore that is closed to release them (mpsc has one receiver)";

pub(crate) fn find(case: &str) -> Answer {
    match case {
        "spawn_batch" => Does(timed(many::spawn_batch)),
        "spawn_seq" => Does(timed(many::spawn_seq)),
        "yield_2" => Does(timed(|n| many::yielding(2, n))),
        "yield_1000" => Does(timed(|n| many::yielding(1000, n))),
        "mpmc_0" | "mpmc_128" | "speedup_workers" => Cannot(ONE_RECEIVER),
        "mem_parked" | "mem_async" => Nearly(TASKS, many::mem_parked()),
        "mem_unstarted" => Does(many::mem_unstarted()),
        "park_1m" => Nearly(TASKS, timed(many::park)),
        "flat_1k_1m" => Nearly(TASKS, timed(many::cycle)),
        "idle_cpu" => Nearly(TASKS, many::idle_cpu()),
        "rss_after" => Nearly(TASKS, many::rss_after()),
        "speedup_fork_join" => Does(many::speedup_fork_join()),
        "seq_1" | "spsc_128" | "mpsc_128" => {
            Does(on_tokio::channel_case::<Mpsc>(case).expect("a channel case"))
        }
        _ => match on_tokio::channel_case::<Mpsc>(case) {
            Some(body) => Nearly(NO_RENDEZVOUS, body),
            None => Cannot("unknown case"),
        },
    }
}
