//! shuttle: runs a program, written with its threads, locks and channels, under schedules that it chooses.

use super::{
    Answer::{self, Cannot, Does},
    Body,
};
use shuttle::{
    check_pct, check_random,
    sync::{Mutex, mpsc},
    thread,
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

pub(super) fn find(case: &str) -> Answer {
    match case {
        "explore_small" => Does(Body::timed(|n| timed(|| check_random(small, n as usize)))),
        "explore_small_pct" => Does(Body::timed(|n| timed(|| check_pct(small, n as usize, 3)))),
        _ => Cannot("it is for tests"),
    }
}

fn timed(run: impl FnOnce()) -> Duration {
    let start = Instant::now();
    run();
    start.elapsed()
}

fn small() {
    let total = Arc::new(Mutex::new(0));
    let (tx, rx) = mpsc::sync_channel(1);
    let senders = [1, 2].map(|each| {
        let (total, tx) = (total.clone(), tx.clone());
        thread::spawn(move || {
            for _ in 0..2 {
                *total.lock().expect("nobody panics") += each;
                tx.send(each).expect("somebody receives");
            }
        })
    });
    drop(tx);
    assert_eq!(rx.iter().sum::<u64>(), 6);
    for sender in senders {
        sender.join().expect("it does not panic");
    }
    assert_eq!(*total.lock().expect("nobody panics"), 6);
}
