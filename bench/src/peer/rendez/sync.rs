//! `sync`: locks, counters and pools.

use rendez::sync::{Cond, Mutex, Once, Pool, RwLock, WaitGroup};
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
        // An atomic load each time, as in Go: the compiler leaves none out.
        once.call_once(|| calls += 1);
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

pub(super) fn mutex(goroutines: u64, n: u64) -> Duration {
    let count = Arc::new(Mutex::new(0));
    let start = Instant::now();
    let all = WaitGroup::new();
    for _ in 0..goroutines {
        let count = count.clone();
        all.go(move || {
            for _ in 0..n / goroutines {
                *count.lock() += 1;
            }
        });
    }
    all.wait();
    let elapsed = start.elapsed();
    assert_eq!(*count.lock(), n / goroutines * goroutines);
    elapsed
}

pub(super) fn rw_lock(goroutines: u64, n: u64) -> Duration {
    let count = Arc::new(RwLock::new(0_u64));
    let start = Instant::now();
    let all = WaitGroup::new();
    for _ in 0..goroutines {
        let count = count.clone();
        all.go(move || {
            for i in 0..n / goroutines {
                if i % 10 == 0 {
                    *count.write() += 1;
                } else {
                    black_box(*count.read());
                }
            }
        });
    }
    all.wait();
    start.elapsed()
}

pub(super) fn cond(n: u64) -> Duration {
    let shared = Arc::new((Mutex::new(0), [Cond::new(), Cond::new()]));
    let start = Instant::now();
    let all = WaitGroup::new();
    for me in 0..2 {
        let shared = shared.clone();
        all.go(move || {
            let (turn, conds) = &*shared;
            let mut turn = turn.lock();
            for _ in 0..n / 2 {
                conds[me].wait_while(&mut turn, |turn| *turn != me);
                *turn = 1 - me;
                conds[1 - me].signal();
            }
        });
    }
    all.wait();
    start.elapsed()
}
