//! tokio: its tasks, and `tokio::sync::mpsc` between them.

use super::{
    Answer::{self, Cannot, Does, Nearly},
    on_tokio::{self, Channel, http, many, timed, wakes},
};
use crate::{
    gauge::{self, Delay},
    load::Tell,
};
use std::time::{Duration, Instant};
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

const BUFFERED: &str = "futures' `buffered` on a stream in one task, without channels";
const BUFFERED_TASKS: &str = "futures' `buffered` on a stream of spawned tasks";

const TOKENS: &str = "tokio-util's CancellationToken";

pub(crate) fn find(case: &str) -> Answer {
    match case {
        "spawn_batch" => Does(timed(many::spawn_batch)),
        "spawn_seq" => Does(timed(many::spawn_seq)),
        "yield_2" => Does(timed(|n| many::yielding(2, n))),
        "yield_1000" => Does(timed(|n| many::yielding(1000, n))),
        "stage" => Nearly(BUFFERED, timed(many::stage)),
        "ordered_20us" => Nearly(BUFFERED_TASKS, many::ordered(20)),
        "ordered_1us" => Nearly(BUFFERED_TASKS, many::ordered(1)),
        "speedup_primes" => Cannot(ONE_RECEIVER),
        "sleepers" | "async_sleepers" => Does(timed(many::sleepers)),
        "echo_1" => Does(timed(|n| many::echo(1, n))),
        "echo_100" => Does(timed(|n| many::echo(100, n))),
        "echo_10k" => Does(timed(|n| many::echo(gauge::connections(10_000), n))),
        "mem_conn" => Does(many::mem_conn()),
        "http" => Does(http::hello_world(Tell::Rate)),
        "http_p50" => Does(http::hello_world(Tell::P50)),
        "http_p99" => Does(http::hello_world(Tell::P99)),
        "http_p999" => Does(http::hello_world(Tell::P999)),
        "http_cpu" => Does(http::hello_world(Tell::Cpu)),
        "http_plain" => Does(http::plain(Tell::Rate)),
        "http_plain_p50" => Does(http::plain(Tell::P50)),
        "http_plain_p99" => Does(http::plain(Tell::P99)),
        "wake_p50" => Nearly(NO_RENDEZVOUS, wakes::within(Delay::Wake, 0.5)),
        "wake_p99" => Nearly(NO_RENDEZVOUS, wakes::within(Delay::Wake, 0.99)),
        "wake_p999" => Nearly(NO_RENDEZVOUS, wakes::within(Delay::Wake, 0.999)),
        "late_p50" => Nearly(NO_RENDEZVOUS, wakes::within(Delay::Late, 0.5)),
        "late_p99" => Nearly(NO_RENDEZVOUS, wakes::within(Delay::Late, 0.99)),
        "late_p999" => Nearly(NO_RENDEZVOUS, wakes::within(Delay::Late, 0.999)),
        "context_100k" => Nearly(TOKENS, timed(many::cancel)),
        "once" => Cannot("a task can't wait for the standard library's, and tokio's OnceCell is a future"),
        "mutex_8" => Does(timed(|n| many::mutex(8, n))),
        "rwlock_8" => Does(timed(|n| many::rw_lock(8, n))),
        "cond_2" => Cannot("tokio has no condition variable"),
        "pool_8" => Cannot("tokio has no pool"),
        "mpmc_0" | "mpmc_128" | "speedup_workers" => Cannot(ONE_RECEIVER),
        "mem_parked" | "mem_async" => Nearly(TASKS, many::mem_parked()),
        "mem_unstarted" => Does(many::mem_unstarted()),
        "park_1m" => Nearly(TASKS, timed(many::park)),
        "flat_1k_1m" => Nearly(TASKS, timed(many::cycle)),
        "idle_cpu" => Nearly(TASKS, many::idle_cpu()),
        "rss_after" => Nearly(TASKS, many::rss_after()),
        "select_0" => Nearly(NO_RENDEZVOUS, timed(|n| select(1, n))),
        "select_128" => Does(timed(|n| select(128, n))),
        _ if case.starts_with("arms_") => {
            Cannot("its select! is for arms that are known where it is written")
        }
        "speedup_fork_join" => Does(many::speedup_fork_join()),
        "seq_1" | "spsc_128" | "mpsc_128" | "async_spsc_128" | "async_mpsc_128" => {
            Does(on_tokio::channel_case::<Mpsc>(case).expect("a channel case"))
        }
        _ => match on_tokio::channel_case::<Mpsc>(case) {
            Some(body) => Nearly(NO_RENDEZVOUS, body),
            None => Cannot("unknown case"),
        },
    }
}

/// `n` numbers from four senders, each on its own channel, to one receiver.
async fn select(capacity: usize, n: u64) -> Duration {
    let start = Instant::now();
    let [mut a, mut b, mut c, mut d] = std::array::from_fn(|_| {
        let (tx, rx) = mpsc::channel(capacity);
        tokio::spawn(async move {
            for i in 0..(n / 4) as usize {
                tx.send(i).await.expect("somebody receives");
            }
        });
        rx
    });
    let mut got = 0;
    loop {
        tokio::select! {
            Some(_) = a.recv() => got += 1,
            Some(_) = b.recv() => got += 1,
            Some(_) = c.recv() => got += 1,
            Some(_) = d.recv() => got += 1,
            else => break,
        }
    }
    let elapsed = start.elapsed();
    assert_eq!(got, n / 4 * 4);
    elapsed
}
