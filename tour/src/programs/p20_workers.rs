//! 20. GOMAXPROCS.
//!
//! **The notes:** `runtime.GOMAXPROCS` says how many OS threads run goroutines. It used to be one, and now is the number of processors, so
//! there is little reason to change it, but to find races by having more, or to see what one does.
//!
//! **In Rust** [`set_workers`] is the lever and [`workers`] tells where it stands. The same work is done by one worker and by all of
//! them; how much faster that is depends on the machine and on who else is using it, so it is shown and not checked.

use std::time::{Duration, Instant};

use rendez::sync::WaitGroup;
use rendez::{chan, set_workers, workers};

use crate::output::{Check, Output, ensure};

const JOBS: u64 = 64;

pub(crate) fn run(out: &Output) -> Check {
    let all = workers();
    set_workers(1);
    let (alone, took_alone) = work();
    set_workers(all);
    let (together, took_together) = work();
    out.say(format_args!("1 worker: {took_alone:.1?}"));
    let faster = took_alone.as_secs_f64() / took_together.as_secs_f64();
    out.say(format_args!("{all} workers: {took_together:.1?}, {faster:.2} times as fast"));
    ensure(workers() == all, "the lever is back where it was")?;
    ensure(alone == together, "the same work has the same result")
}

/// The sum of what the jobs find, and how long they took.
fn work() -> (u64, Duration) {
    let start = Instant::now();
    let (tx, rx) = chan::unbounded();
    let all = WaitGroup::new();
    for job in 0..JOBS {
        let tx = tx.clone();
        all.go(move || tx.send(primes(job * 2000, (job + 1) * 2000)).expect("somebody receives"));
    }
    drop(tx);
    let sum = rx.iter().sum();
    all.wait();
    (sum, start.elapsed())
}

/// How many primes there are in a range.
fn primes(from: u64, to: u64) -> u64 {
    let is_prime = |n: &u64| *n > 1 && (2..).take_while(|d| d * d <= *n).all(|d| !n.is_multiple_of(d));
    (from..to).filter(is_prime).count() as u64
}
