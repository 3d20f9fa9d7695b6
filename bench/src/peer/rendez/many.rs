//! Programs whose work is done by the goroutines themselves.

use super::runtime;
use crate::{
    gauge::{self, FIB_CUT_OFF},
    peer::{SETTLE, sleep_of},
};
use rendez::{
    Context,
    chan::{Sender, bounded},
    go, go_async, sleep,
    sync::WaitGroup,
    time::sleep_async,
    yield_now,
};
use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

pub(super) fn spawn_batch(n: u64) -> Duration {
    let start = Instant::now();
    let all = WaitGroup::new();
    for _ in 0..n {
        all.go(|| {});
    }
    all.wait();
    start.elapsed()
}

pub(super) fn spawn_seq(n: u64) -> Duration {
    let start = Instant::now();
    for i in 0..n {
        assert_eq!(go(move || i).join().ok(), Some(i));
    }
    start.elapsed()
}

pub(super) fn yielding(goroutines: u64, n: u64) -> Duration {
    let start = Instant::now();
    let all = WaitGroup::new();
    for _ in 0..goroutines {
        all.go(move || {
            for _ in 0..n / goroutines {
                yield_now();
            }
        });
    }
    all.wait();
    start.elapsed()
}

pub(super) fn sleepers(n: u64) -> Duration {
    let start = Instant::now();
    let all = WaitGroup::new();
    for i in 0..n {
        all.go(move || sleep(sleep_of(i)));
    }
    all.wait();
    start.elapsed()
}

pub(super) fn async_sleepers(n: u64) -> Duration {
    let start = Instant::now();
    let all = WaitGroup::new();
    all.add(n as i64);
    for i in 0..n {
        let all = all.clone();
        go_async(async move {
            sleep_async(sleep_of(i)).await;
            all.done();
        });
    }
    all.wait();
    start.elapsed()
}

/// Goroutines, or async tasks, that are parked in a receive on one channel, or on their way there.
struct Crowd {
    gate: Sender<Infallible>,
    ended: WaitGroup,
}

impl Crowd {
    /// Starts `n` goroutines and returns when all have come to their receive.
    fn gather(n: u64) -> Crowd {
        let (gate, rx) = bounded(0);
        let (here, ended) = (WaitGroup::new(), WaitGroup::new());
        here.add(n as i64);
        for _ in 0..n {
            let (rx, here) = (rx.clone(), here.clone());
            ended.go(move || {
                here.done();
                assert!(rx.recv().is_err(), "nothing is ever sent");
            });
        }
        here.wait();
        Crowd { gate, ended }
    }

    /// The same with async tasks.
    fn gather_async(n: u64) -> Crowd {
        let (gate, rx) = bounded(0);
        let (here, ended) = (WaitGroup::new(), WaitGroup::new());
        here.add(n as i64);
        ended.add(n as i64);
        for _ in 0..n {
            let (rx, here, ended) = (rx.clone(), here.clone(), ended.clone());
            go_async(async move {
                here.done();
                assert!(rx.recv_async().await.is_err(), "nothing is ever sent");
                ended.done();
            });
        }
        here.wait();
        Crowd { gate, ended }
    }

    /// Closes the channel and returns when all have ended.
    fn release(self) {
        self.gate.close();
        self.ended.wait();
    }
}

pub(super) fn park(n: u64) -> Duration {
    let start = Instant::now();
    let crowd = Crowd::gather(n);
    let elapsed = start.elapsed();
    crowd.release();
    elapsed
}

pub(super) fn cycle(n: u64) -> Duration {
    let start = Instant::now();
    Crowd::gather(n).release();
    start.elapsed()
}

pub(super) fn context(n: u64) -> Duration {
    let (ctx, cancel) = Context::background().with_cancel();
    let (ready, ended) = (WaitGroup::new(), WaitGroup::new());
    ready.add(n as i64);
    for _ in 0..n {
        let (ctx, ready) = (ctx.clone(), ready.clone());
        ended.go(move || {
            let (child, _cancel) = ctx.with_cancel();
            let done = child.done();
            ready.done();
            assert!(done.recv().is_err());
        });
    }
    ready.wait();
    sleep(SETTLE);
    let start = Instant::now();
    cancel.cancel();
    ended.wait();
    start.elapsed()
}

pub(super) fn mem_parked(n: u64) -> f64 {
    rendez::run(|| parked(Crowd::gather, n))
}

pub(super) fn mem_async(n: u64) -> f64 {
    rendez::run(|| parked(Crowd::gather_async, n))
}

/// Bytes for each of a crowd of `n`.
fn parked(gather: fn(u64) -> Crowd, n: u64) -> f64 {
    gather(1000).release();
    let before = gauge::footprint();
    let crowd = gather(n);
    sleep(SETTLE);
    let each = gauge::growth_each(before, gauge::footprint(), n);
    crowd.release();
    each
}

pub(super) fn mem_unstarted(n: u64) -> f64 {
    runtime(1).run(|| {
        let started = Arc::new(AtomicU64::new(0));
        let before = gauge::footprint();
        for _ in 0..n {
            let started = started.clone();
            go(move || started.fetch_add(1, Ordering::Relaxed));
        }
        let after = gauge::footprint();
        gauge::growth_each(before, after, n - started.load(Ordering::Relaxed))
    })
}

pub(super) fn idle_cpu(n: u64) -> f64 {
    rendez::run(|| {
        let crowd = Crowd::gather(n);
        sleep(Duration::from_secs(1));
        let before = gauge::cpu_time();
        sleep(Duration::from_secs(2));
        let used = gauge::cpu_time() - before;
        crowd.release();
        used.as_secs_f64() * 1e3
    })
}

pub(super) fn rss_after(n: u64) -> f64 {
    rendez::run(|| {
        Crowd::gather(10).release();
        let before = gauge::resident();
        Crowd::gather(n).release();
        sleep(Duration::from_secs(1));
        gauge::resident().saturating_sub(before) as f64 / f64::from(1 << 20)
    })
}

pub(super) fn speedup_fork_join(n: u64) -> f64 {
    gauge::speedup(|workers| {
        runtime(workers).run(|| {
            let start = Instant::now();
            fork_join(n);
            start.elapsed()
        })
    })
}

fn fork_join(n: u64) -> u64 {
    if n <= FIB_CUT_OFF {
        return gauge::fib(n);
    }
    let half = go(move || fork_join(n - 1));
    let other = fork_join(n - 2);
    half.join().expect("a half does not panic") + other
}
