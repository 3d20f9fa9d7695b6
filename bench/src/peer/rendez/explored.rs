//! `testing`: a program under many schedules.

use rendez::{
    chan, go,
    sync::Mutex,
    testing::{self, Config, Strategy},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

pub(super) fn small_at_random(n: u64) -> Duration {
    small(Strategy::Random, n)
}

pub(super) fn small_by_pct(n: u64) -> Duration {
    small(Strategy::Pct { depth: 3 }, n)
}

fn small(strategy: Strategy, n: u64) -> Duration {
    let config = Config { iterations: Some(n as usize), strategy, ..Config::default() };
    let start = Instant::now();
    let explored = testing::check(config, || {
        let total = Arc::new(Mutex::new(0));
        let (tx, rx) = chan::bounded(1);
        let senders = [1, 2].map(|each| {
            let (total, tx) = (total.clone(), tx.clone());
            go(move || {
                for _ in 0..2 {
                    *total.lock() += each;
                    tx.send(each).expect("somebody receives");
                }
            })
        });
        drop(tx);
        assert_eq!(rx.iter().sum::<u64>(), 6);
        for sender in senders {
            sender.join().expect("it does not panic");
        }
        assert_eq!(*total.lock(), 6);
    });
    let elapsed = start.elapsed();
    assert_eq!(explored.expect("nothing is wrong with it").schedules, n);
    elapsed
}
