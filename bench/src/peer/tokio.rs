//! tokio: its tasks, and `tokio::sync::mpsc` between them.

use super::{
    Answer::{self, Cannot, Does, Nearly},
    capacity::{self, Capacity},
    on_tokio::{self, Channel, http, many, timed, wakes},
};
use crate::{
    gauge::{self, Delay},
    load::Tell,
};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{self, Receiver, Sender, UnboundedReceiver, UnboundedSender};

/// `tokio::sync::mpsc`, with capacity 1 where 0 is asked for.
struct Mpsc;

impl Channel for Mpsc {
    type Tx = Sender<usize>;
    type Rx = Receiver<usize>;

    fn channel(capacity: Option<usize>) -> (Self::Tx, Self::Rx) {
        mpsc::channel(capacity.expect("`Unbounded` is for that").max(1))
    }

    async fn send(tx: &Self::Tx, value: usize) -> bool {
        tx.send(value).await.is_ok()
    }

    async fn recv(rx: &mut Self::Rx) -> Option<usize> {
        rx.recv().await
    }
}

/// `tokio::sync::mpsc` without a bound, which is another type.
struct Unbounded;

impl Channel for Unbounded {
    type Tx = UnboundedSender<usize>;
    type Rx = UnboundedReceiver<usize>;

    fn channel(_: Option<usize>) -> (Self::Tx, Self::Rx) {
        mpsc::unbounded_channel()
    }

    async fn send(tx: &Self::Tx, value: usize) -> bool {
        tx.send(value).is_ok()
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
        "speedup_workers" => Cannot(ONE_RECEIVER),
        _ if case.starts_with("mpmc_") || case.starts_with("select_both_") => Cannot(ONE_RECEIVER),
        "mem_parked" | "mem_async" => Nearly(TASKS, many::mem_parked()),
        "mem_unstarted" => Does(many::mem_unstarted()),
        "park_1m" => Nearly(TASKS, timed(many::park)),
        "flat_1k_1m" => Nearly(TASKS, timed(many::cycle)),
        "idle_cpu" => Nearly(TASKS, many::idle_cpu()),
        "rss_after" => Nearly(TASKS, many::rss_after()),
        _ if case.starts_with("arms_") => {
            Cannot("its select! is for arms that are known where it is written")
        }
        "speedup_fork_join" => Does(many::speedup_fork_join()),
        _ => of_capacity(case),
    }
}

/// What is left: the cases whose work is done by a channel of some capacity.
fn of_capacity(case: &str) -> Answer {
    let split = capacity::split(case);
    let (kind, capacity) = split.unwrap_or((case, Capacity::Fixed(0)));
    let body = match (kind, capacity) {
        ("select", Capacity::Unbounded) => Some(timed(|n| select::<Unbounded>(None, n))),
        ("select", _) => Some(timed(move |n| select::<Mpsc>(capacity.of_run(n), n))),
        (_, Capacity::Unbounded) => on_tokio::channel_case::<Unbounded>(case),
        _ => on_tokio::channel_case::<Mpsc>(case),
    };
    match body {
        Some(body) if capacity == Capacity::Fixed(0) => Nearly(NO_RENDEZVOUS, body),
        Some(body) => Does(body),
        None => Cannot("unknown case"),
    }
}

/// `n` numbers from four senders, each on its own channel, to one receiver.
async fn select<C: Channel>(capacity: Option<usize>, n: u64) -> Duration {
    let start = Instant::now();
    let [mut a, mut b, mut c, mut d] = std::array::from_fn(|_| {
        let (tx, rx) = C::channel(capacity);
        tokio::spawn(async move {
            for i in 0..(n / 4) as usize {
                assert!(C::send(&tx, i).await, "somebody receives");
            }
        });
        rx
    });
    let mut got = 0;
    loop {
        tokio::select! {
            Some(_) = C::recv(&mut a) => got += 1,
            Some(_) = C::recv(&mut b) => got += 1,
            Some(_) = C::recv(&mut c) => got += 1,
            Some(_) = C::recv(&mut d) => got += 1,
            else => break,
        }
    }
    let elapsed = start.elapsed();
    assert_eq!(got, n / 4 * 4);
    elapsed
}
