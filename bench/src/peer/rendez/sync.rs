//! `sync`: locks, counters and pools.

use rendez::sync::{Once, Pool, WaitGroup};
use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

pub(super) fn once(n: u64) -> Duration {
    let (once, mut calls) = (Once::new(), 0);
    once.call_once(|| calls += 1);
    let start = Instant::now();
    for _ in 0..n {
        black_box(&once).call_once(|| calls += 1);
    }
    let elapsed = start.elapsed();
    assert_eq!(calls, 1);
    elapsed
}

pub(super) fn pool(goroutines: u64, n: u64) -> Duration {
    let pool = Arc::new(Pool::new(|| vec![0_u8; 1024]));
    let start = Instant::now();
    let all = WaitGroup::new();
    for _ in 0..goroutines {
        let pool = pool.clone();
        all.go(move || {
            for i in 0..n / goroutines {
                let mut buffer = pool.get();
                buffer[0] = i as u8;
                black_box(&mut *buffer);
            }
        });
    }
    all.wait();
    start.elapsed()
}
