//! The programs that run as tokio tasks, written once for every channel that has async operations.

pub(super) mod channels;
pub(super) mod http;
pub(super) mod many;
pub(super) mod wakes;

use super::{Body, capacity};
use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    runtime::{Builder, Runtime},
    sync::Notify,
};

/// Why kanal and flume have no reading where no channel is at work.
pub(super) const NOT_THE_CHANNELS: &str = "its tasks are tokio's: see there";

/// A channel of machine words with async operations.
pub(super) trait Channel: 'static {
    /// The sending half.
    type Tx: Clone + Send + Sync + 'static;
    /// The receiving half.
    type Rx: Send + 'static;
    /// A channel; capacity 0 means a rendezvous, or the closest that there is, and none means that it has no bound.
    fn channel(capacity: Option<usize>) -> (Self::Tx, Self::Rx);
    /// Sends; false when nobody will ever receive.
    fn send(tx: &Self::Tx, value: usize) -> impl Future<Output = bool> + Send;
    /// Receives; `None` when closed and drained.
    fn recv(rx: &mut Self::Rx) -> impl Future<Output = Option<usize>> + Send;
}

/// One that several tasks can receive from.
pub(super) trait Shared: Channel {
    /// One more receiver of the same channel.
    fn share(rx: &Self::Rx) -> Self::Rx;
}

/// A runtime with so many workers.
fn runtime(workers: usize) -> Runtime {
    Builder::new_multi_thread().worker_threads(workers).enable_all().build().expect("tokio's runtime starts")
}

/// The runtime of the timed cases, with a worker for every CPU.
fn shared_runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| runtime(crate::machine::cpus()))
}

/// Runs the future as a task, not on the calling thread: tokio is at its best when everything is on its workers.
fn on<F>(runtime: &Runtime, future: F) -> F::Output
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    runtime.block_on(runtime.spawn(future)).expect("the case does not panic")
}

/// A timed program out of an async function.
pub(super) fn timed<F, Fut>(mut run: F) -> Body
where
    F: FnMut(u64) -> Fut + Send + 'static,
    Fut: Future<Output = Duration> + Send + 'static,
{
    Body::timed(move |n| on(shared_runtime(), run(n)))
}

/// The cases that need a channel with one receiver.
pub(super) fn channel_case<C: Channel>(case: &str) -> Option<Body> {
    // Tasks that await are what all cases are made of here.
    let case = case.strip_prefix("async_").unwrap_or(case);
    Some(match case {
        "ping_pong" => timed(channels::ping_pong::<C>),
        "seq_1" => timed(channels::seq::<C>),
        "sieve" => timed(channels::sieve::<C>),
        "skynet" => timed(channels::skynet::<C>),
        "daisy" => timed(channels::daisy::<C>),
        "pipeline_8" => timed(|n| channels::pipeline::<C>(n, 0)),
        "speedup_pipeline" => channels::speedup_pipeline::<C>(),
        _ => match capacity::split(case)? {
            ("seq", capacity) => timed(move |n| channels::fill::<C>(capacity.of_run(n), n)),
            ("spsc", capacity) => timed(move |n| channels::to_one::<C>(1, capacity.of_run(n), n)),
            ("mpsc", capacity) => timed(move |n| channels::to_one::<C>(4, capacity.of_run(n), n)),
            _ => return None,
        },
    })
}

/// The cases that need several receivers.
pub(super) fn shared_case<C: Shared>(case: &str) -> Option<Body> {
    Some(match case {
        "mem_async" => channels::mem_async::<C>(u64::MAX),
        "speedup_workers" => channels::speedup_workers::<C>(),
        _ => match capacity::split(case)? {
            ("mpmc", capacity) => timed(move |n| channels::to_many::<C>(capacity.of_run(n), n)),
            _ => return None,
        },
    })
}

/// Counts down to the wake-up of one waiter: tokio has no wait group, and this is the cheapest that it offers.
#[derive(Clone)]
struct Countdown(Arc<(AtomicUsize, Notify)>);

impl Countdown {
    fn new(count: u64) -> Countdown {
        Countdown(Arc::new((AtomicUsize::new(count as usize), Notify::new())))
    }

    fn done(&self) {
        if self.0.0.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.1.notify_one();
        }
    }

    async fn wait(&self) {
        while self.0.0.load(Ordering::Acquire) != 0 {
            self.0.1.notified().await;
        }
    }
}
