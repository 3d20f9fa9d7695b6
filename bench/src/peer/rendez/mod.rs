//! rendez: written as a user would write it. The number of workers is set only where the case fixes it.

mod arms;
mod awaiting;
mod channels;
mod echo;
#[cfg(feature = "testing")]
mod explored;
mod http;
mod many;
mod patterns;
mod sync;
mod wakes;

use super::{
    Answer::{self, Cannot, Does},
    Body, capacity,
};
use crate::{
    gauge::{self, Delay},
    load::Tell,
};
use rendez::Runtime;

/// The timed programs run in goroutine 1, all in one runtime.
pub(super) fn enter(job: &mut (dyn FnMut() + Send)) {
    rendez::run(job);
}

/// A runtime with so many workers.
fn runtime(workers: usize) -> Runtime {
    Runtime::builder().workers(workers).build().expect("the runtime starts")
}

pub(super) fn find(case: &str) -> Answer {
    Does(match case {
        "spawn_batch" => Body::timed(many::spawn_batch),
        "spawn_seq" => Body::timed(many::spawn_seq),
        "yield_2" => Body::timed(|n| many::yielding(2, n)),
        "yield_1000" => Body::timed(|n| many::yielding(1000, n)),
        "once" => Body::timed(sync::once),
        "pool_8" => Body::timed(|n| sync::pool(8, n)),
        "mutex_8" => Body::timed(|n| sync::mutex(8, n)),
        "rwlock_8" => Body::timed(|n| sync::rw_lock(8, n)),
        "cond_2" => Body::timed(sync::cond),
        "ping_pong" => Body::timed(channels::ping_pong),
        "seq_1" => Body::timed(channels::seq),
        "async_ping_pong" => Body::timed(awaiting::ping_pong),
        "async_spsc_0" => Body::timed(|n| awaiting::to_one(1, 0, n)),
        "async_spsc_128" => Body::timed(|n| awaiting::to_one(1, 128, n)),
        "async_mpsc_128" => Body::timed(|n| awaiting::to_one(4, 128, n)),
        "arms_1" => Body::timed(|n| arms::ready(1, n)),
        "arms_4" => Body::timed(|n| arms::ready(4, n)),
        "arms_64" => Body::timed(|n| arms::ready(64, n)),
        "arms_1024" => Body::timed(|n| arms::ready(1024, n)),
        "arms_wait_1" => Body::timed(|n| arms::waited_for(1, n)),
        "arms_wait_4" => Body::timed(|n| arms::waited_for(4, n)),
        "arms_wait_64" => Body::timed(|n| arms::waited_for(64, n)),
        "arms_wait_1024" => Body::timed(|n| arms::waited_for(1024, n)),
        "sieve" => Body::timed(channels::sieve),
        "skynet" => Body::timed(channels::skynet),
        "daisy" => Body::timed(channels::daisy),
        "pipeline_8" => Body::timed(|n| channels::pipeline(n, 0)),
        "stage" => Body::timed(patterns::stage),
        "ordered_20us" => patterns::ordered(20),
        "ordered_1us" => patterns::ordered(1),
        "sleepers" => Body::timed(many::sleepers),
        "async_sleepers" => Body::timed(many::async_sleepers),
        "echo_1" => Body::timed(|n| echo::round_trips(1, n)),
        "echo_100" => Body::timed(|n| echo::round_trips(100, n)),
        "echo_10k" => Body::timed(|n| echo::round_trips(gauge::connections(10_000), n)),
        "mem_conn" => Body::value(echo::memory_of_idle),
        "http" => http::hello_world(Tell::Rate),
        "http_p50" => http::hello_world(Tell::P50),
        "http_p99" => http::hello_world(Tell::P99),
        "http_p999" => http::hello_world(Tell::P999),
        "http_cpu" => http::hello_world(Tell::Cpu),
        "http_plain" => http::plain(Tell::Rate),
        "http_plain_p50" => http::plain(Tell::P50),
        "http_plain_p99" => http::plain(Tell::P99),
        "wake_p50" => wakes::within(Delay::Wake, 0.5),
        "wake_p99" => wakes::within(Delay::Wake, 0.99),
        "wake_p999" => wakes::within(Delay::Wake, 0.999),
        "late_p50" => wakes::within(Delay::Late, 0.5),
        "late_p99" => wakes::within(Delay::Late, 0.99),
        "late_p999" => wakes::within(Delay::Late, 0.999),
        "context_100k" => Body::timed(many::context),
        #[cfg(feature = "testing")]
        "explore_small" => Body::timed(explored::small_at_random),
        #[cfg(feature = "testing")]
        "explore_small_pct" => Body::timed(explored::small_by_pct),
        #[cfg(not(feature = "testing"))]
        "explore_small" | "explore_small_pct" => return Cannot("built without its feature `testing`"),
        "mem_parked" => Body::value(many::mem_parked),
        "mem_async" => Body::value(many::mem_async),
        "mem_unstarted" => Body::value(many::mem_unstarted),
        "park_1m" => Body::timed(many::park),
        "speedup_fork_join" => Body::value(many::speedup_fork_join),
        "speedup_workers" => Body::value(channels::speedup_workers),
        "speedup_pipeline" => Body::value(channels::speedup_pipeline),
        "speedup_primes" => Body::value(patterns::speedup_primes),
        "flat_1k_1m" => Body::timed(many::cycle),
        "idle_cpu" => Body::value(many::idle_cpu),
        "rss_after" => Body::value(many::rss_after),
        _ => match of_capacity(case) {
            Some(body) => body,
            None => return Cannot("unknown case"),
        },
    })
}

/// The cases that there are with channels of several capacities.
fn of_capacity(case: &str) -> Option<Body> {
    let (kind, capacity) = capacity::split(case)?;
    Some(match kind {
        "seq" => Body::timed(move |n| channels::fill(capacity.of_run(n), n)),
        "spsc" => Body::timed(move |n| channels::messages(1, 1, capacity.of_run(n), n)),
        "mpsc" => Body::timed(move |n| channels::messages(4, 1, capacity.of_run(n), n)),
        "mpmc" => Body::timed(move |n| channels::messages(4, 4, capacity.of_run(n), n)),
        "select" => Body::timed(move |n| channels::select(capacity.of_run(n), n)),
        "select_both" => Body::timed(move |n| channels::select_both(capacity.of_run(n), n)),
        _ => return None,
    })
}
