//! Programs whose work is done by the tasks themselves: tokio's own.

use super::{Countdown, on, runtime, shared_runtime};
use crate::{
    gauge::{self, FIB_CUT_OFF},
    peer::{Body, SETTLE, on_tokio::timed, ordered_item, sleep_of},
};
use futures_util::{StreamExt, stream};
use std::{
    hint::black_box,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Mutex, RwLock, Semaphore},
    task::yield_now,
    time::sleep,
};
use tokio_util::sync::CancellationToken;

pub(crate) async fn spawn_batch(n: u64) -> Duration {
    let start = Instant::now();
    let all = Countdown::new(n);
    for _ in 0..n {
        let all = all.clone();
        tokio::spawn(async move { all.done() });
    }
    all.wait().await;
    start.elapsed()
}

pub(crate) async fn spawn_seq(n: u64) -> Duration {
    let start = Instant::now();
    for i in 0..n {
        assert_eq!(tokio::spawn(async move { i }).await.ok(), Some(i));
    }
    start.elapsed()
}

pub(crate) async fn yielding(tasks: u64, n: u64) -> Duration {
    let start = Instant::now();
    let all = Countdown::new(tasks);
    for _ in 0..tasks {
        let all = all.clone();
        tokio::spawn(async move {
            for _ in 0..n / tasks {
                yield_now().await;
            }
            all.done();
        });
    }
    all.wait().await;
    start.elapsed()
}

pub(crate) async fn mutex(tasks: u64, n: u64) -> Duration {
    let count = Arc::new(Mutex::new(0));
    let start = Instant::now();
    let all = Countdown::new(tasks);
    for _ in 0..tasks {
        let (all, count) = (all.clone(), count.clone());
        tokio::spawn(async move {
            for _ in 0..n / tasks {
                *count.lock().await += 1;
            }
            all.done();
        });
    }
    all.wait().await;
    let elapsed = start.elapsed();
    assert_eq!(*count.lock().await, n / tasks * tasks);
    elapsed
}

pub(crate) async fn rw_lock(tasks: u64, n: u64) -> Duration {
    let count = Arc::new(RwLock::new(0_u64));
    let start = Instant::now();
    let all = Countdown::new(tasks);
    for _ in 0..tasks {
        let (all, count) = (all.clone(), count.clone());
        tokio::spawn(async move {
            for i in 0..n / tasks {
                if i % 10 == 0 {
                    *count.write().await += 1;
                } else {
                    black_box(*count.read().await);
                }
            }
            all.done();
        });
    }
    all.wait().await;
    start.elapsed()
}

pub(crate) async fn cancel(n: u64) -> Duration {
    let token = CancellationToken::new();
    let (ready, ended) = (Countdown::new(n), Countdown::new(n));
    for _ in 0..n {
        let (ready, ended, token) = (ready.clone(), ended.clone(), token.clone());
        tokio::spawn(async move {
            let child = token.child_token();
            ready.done();
            child.cancelled().await;
            ended.done();
        });
    }
    ready.wait().await;
    sleep(SETTLE).await;
    let start = Instant::now();
    token.cancel();
    ended.wait().await;
    start.elapsed()
}

pub(crate) async fn sleepers(n: u64) -> Duration {
    let start = Instant::now();
    let all = Countdown::new(n);
    for i in 0..n {
        let all = all.clone();
        tokio::spawn(async move {
            sleep(sleep_of(i)).await;
            all.done();
        });
    }
    all.wait().await;
    start.elapsed()
}

/// Tasks that wait for a permit of a semaphore that has none, or are on their way there.
struct Crowd {
    gate: Arc<Semaphore>,
    ended: Countdown,
}

impl Crowd {
    /// Starts `n` and returns when all have come to their wait.
    async fn gather(n: u64) -> Crowd {
        let crowd = Crowd { gate: Arc::new(Semaphore::new(0)), ended: Countdown::new(n) };
        let here = Countdown::new(n);
        for _ in 0..n {
            let (gate, here, ended) = (crowd.gate.clone(), here.clone(), crowd.ended.clone());
            tokio::spawn(async move {
                here.done();
                assert!(gate.acquire().await.is_err(), "it has no permits");
                ended.done();
            });
        }
        here.wait().await;
        crowd
    }

    /// Releases them all and returns when they have ended.
    async fn release(self) {
        self.gate.close();
        self.ended.wait().await;
    }
}

pub(crate) async fn park(n: u64) -> Duration {
    let start = Instant::now();
    let crowd = Crowd::gather(n).await;
    let elapsed = start.elapsed();
    crowd.release().await;
    elapsed
}

pub(crate) async fn cycle(n: u64) -> Duration {
    let start = Instant::now();
    Crowd::gather(n).await.release().await;
    start.elapsed()
}

/// A reading taken by an async function.
fn value<Fut>(read: fn(u64) -> Fut) -> Body
where
    Fut: Future<Output = f64> + Send + 'static,
{
    Body::value(move |n| on(shared_runtime(), read(n)))
}

pub(crate) fn mem_parked() -> Body {
    value(|n| async move {
        Crowd::gather(1000).await.release().await;
        let before = gauge::footprint();
        let crowd = Crowd::gather(n).await;
        sleep(SETTLE).await;
        let each = gauge::growth_each(before, gauge::footprint(), n);
        crowd.release().await;
        each
    })
}

/// As rendez's: connections that say nothing.
pub(crate) fn mem_conn() -> Body {
    async fn gather(n: u64) -> Vec<std::net::TcpStream> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("it has an address");
        let ends = tokio::task::spawn_blocking(move || {
            (0..n).map(|_| std::net::TcpStream::connect(addr).expect("it listens")).collect()
        });
        for _ in 0..n {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            tokio::spawn(async move {
                let mut buf = [0; 4096];
                while let Ok(len @ 1..) = stream.read(&mut buf).await {
                    stream.write_all(&buf[..len]).await.expect("the other side reads");
                }
            });
        }
        sleep(SETTLE).await;
        ends.await.expect("it does not panic")
    }
    value(|n| async move {
        let n = gauge::connections(n);
        drop(gather(100).await);
        sleep(SETTLE).await;
        let before = gauge::footprint();
        let ends = gather(n).await;
        let each = gauge::growth_each(before, gauge::footprint(), n);
        drop(ends);
        each
    })
}

pub(crate) fn mem_unstarted() -> Body {
    Body::value(|n| {
        on(&runtime(1), async move {
            let started = Arc::new(AtomicU64::new(0));
            let before = gauge::footprint();
            for _ in 0..n {
                let started = started.clone();
                tokio::spawn(async move { started.fetch_add(1, Ordering::Relaxed) });
            }
            let after = gauge::footprint();
            gauge::growth_each(before, after, n - started.load(Ordering::Relaxed))
        })
    })
}

pub(crate) fn idle_cpu() -> Body {
    value(|n| async move {
        let crowd = Crowd::gather(n).await;
        sleep(Duration::from_secs(1)).await;
        let before = gauge::cpu_time();
        sleep(Duration::from_secs(2)).await;
        let used = gauge::cpu_time() - before;
        crowd.release().await;
        used.as_secs_f64() * 1e3
    })
}

pub(crate) fn rss_after() -> Body {
    value(|n| async move {
        Crowd::gather(10).await.release().await;
        let before = gauge::resident();
        Crowd::gather(n).await.release().await;
        sleep(Duration::from_secs(1)).await;
        gauge::resident().saturating_sub(before) as f64 / f64::from(1 << 20)
    })
}

pub(crate) fn speedup_fork_join() -> Body {
    Body::value(|n| {
        gauge::speedup(|workers| {
            on(&runtime(workers), async move {
                let start = Instant::now();
                fork_join(n).await;
                start.elapsed()
            })
        })
    })
}

fn fork_join(n: u64) -> Pin<Box<dyn Future<Output = u64> + Send>> {
    Box::pin(async move {
        if n <= FIB_CUT_OFF {
            return gauge::fib(n);
        }
        let half = tokio::spawn(fork_join(n - 1));
        let other = fork_join(n - 2).await;
        half.await.expect("a half does not panic") + other
    })
}

/// `n` round trips over so many TCP connections.
pub(crate) async fn echo(connections: u64, n: u64) -> Duration {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("it has an address");
    let server = tokio::spawn(async move {
        for _ in 0..connections {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            tokio::spawn(async move {
                stream.set_nodelay(true).expect("it is connected");
                let mut buf = [0; 4096];
                while let Ok(len @ 1..) = stream.read(&mut buf).await {
                    stream.write_all(&buf[..len]).await.expect("the other side reads");
                }
            });
        }
    });
    let mut streams = Vec::new();
    for _ in 0..connections {
        streams.push(TcpStream::connect(addr).await.expect("the server accepts"));
    }
    server.await.expect("it does not panic");
    let start = Instant::now();
    let clients: Vec<_> = streams
        .into_iter()
        .map(|mut stream| {
            tokio::spawn(async move {
                stream.set_nodelay(true).expect("it is connected");
                let mut buf = [7; 64];
                for _ in 0..n / connections {
                    stream.write_all(&buf).await.expect("the server reads");
                    stream.read_exact(&mut buf).await.expect("the server answers");
                }
            })
        })
        .collect();
    for client in clients {
        client.await.expect("it does not panic");
    }
    start.elapsed()
}

/// Numbers through a stream that adds one to each.
pub(crate) async fn stage(n: u64) -> Duration {
    let start = Instant::now();
    let more = stream::iter(0..n).map(|i| async move { i + 1 }).buffered(1);
    let sum = more.fold(0, |sum, i| async move { sum + i }).await;
    let elapsed = start.elapsed();
    assert_eq!(sum, n * (n + 1) / 2);
    elapsed
}

pub(crate) fn ordered(us: u64) -> Body {
    let steps = us * gauge::steps_per_us();
    timed(move |n| async move {
        let start = Instant::now();
        let results = stream::iter(0..n)
            .map(|i| tokio::spawn(async move { ordered_item(i, steps) }))
            // Twice as many as there are workers, or one would wait for the task that polls this.
            .buffered(2 * crate::machine::cpus());
        let results: Vec<_> = results.collect().await;
        let elapsed = start.elapsed();
        assert!(results.len() as u64 == n && results.iter().all(Result::is_ok));
        elapsed
    })
}
