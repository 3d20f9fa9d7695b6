//! What the curves measure: with so many of something, so many operations.

use rendez::{
    chan::{Sender, bounded},
    go, sleep,
    sync::WaitGroup,
    time::{Timer, after_func},
    yield_now,
};
use std::{
    convert::Infallible,
    time::{Duration, Instant},
};

/// As the bench case `flat_1k_1m`.
pub(super) fn cycle(n: u64) -> Duration {
    let start = Instant::now();
    crowd(n, || {});
    start.elapsed()
}

/// Starts `n` goroutines, which come to a receive on one channel and do `part` when that is closed. They are all there when this returns.
fn gather(n: u64, part: impl Fn() + Clone + Send + 'static) -> (Sender<Infallible>, WaitGroup) {
    let (gate, rx) = bounded::<Infallible>(0);
    let (here, ended) = (WaitGroup::new(), WaitGroup::new());
    here.add(n as i64);
    for _ in 0..n {
        let (rx, here, part) = (rx.clone(), here.clone(), part.clone());
        ended.go(move || {
            here.done();
            assert!(rx.recv().is_err(), "nothing is ever sent");
            part();
        });
    }
    here.wait();
    (gate, ended)
}

/// Runs `during` while `n` goroutines are parked.
fn crowd<R>(n: u64, during: impl FnOnce() -> R) -> R {
    let (gate, ended) = gather(n, || {});
    let result = during();
    gate.close();
    ended.wait();
    result
}

/// Each of `n` yields as often as the others; the starting is not timed.
pub(super) fn yields(n: u64, count: u64) -> Duration {
    let each = count.div_ceil(n);
    timed_gate(n, count, move || {
        for _ in 0..each {
            yield_now();
        }
    })
}

/// `n` goroutines that wait for each other and then do `part`: the time for `count` operations, of which there may be a few more.
fn timed_gate(n: u64, count: u64, part: impl Fn() + Clone + Send + 'static) -> Duration {
    let (gate, ended) = gather(n, part);
    let start = Instant::now();
    gate.close();
    ended.wait();
    // In proportion, where they don't divide.
    start.elapsed().mul_f64(count as f64 / (count.div_ceil(n) * n) as f64)
}

pub(super) fn pairs(n: u64, count: u64) -> Duration {
    let pairs = n / 2;
    let each = count.div_ceil(pairs);
    timed_gate(pairs, count, move || round_trips(each))
}

/// With a goroutine of its own, which ends with them.
fn round_trips(count: u64) {
    let (ping, rx) = bounded(0);
    let (tx, pong) = bounded(0);
    let partner = go(move || rx.iter().all(|v: u64| tx.send(v).is_ok()));
    for i in 0..count {
        ping.send(i).expect("the other side receives");
        assert_eq!(pong.recv().ok(), Some(i));
    }
    drop(ping);
    assert_eq!(partner.join().ok(), Some(true));
}

pub(super) fn among_parked(n: u64, count: u64) -> Duration {
    crowd(n, || {
        let start = Instant::now();
        round_trips(count);
        start.elapsed()
    })
}

pub(super) fn set_and_stop(n: u64, count: u64) -> Duration {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    // Not before an hour, and in no order.
    let spread =
        |i: u64| DAY / 24 + DAY.mul_f64(i.wrapping_mul(0x9E37_79B9_7F4A_7C15) as f64 / u64::MAX as f64);
    let set = |i| after_func(spread(i), || unreachable!("it is stopped"));
    let standing: Vec<Timer> = (0..n).map(set).collect();
    let start = Instant::now();
    for i in 0..count {
        assert!(set(n + i).stop(), "it has not fired");
    }
    let took = start.elapsed();
    assert!(standing.iter().all(Timer::stop), "none has fired");
    took
}

/// Beyond the longest of the times.
pub(super) fn sleepers(n: u64) -> Duration {
    let time = |i| Duration::from_nanos(i * 7919 % 2_000_000);
    let start = Instant::now();
    let all = WaitGroup::new();
    for i in 0..n {
        all.go(move || sleep(time(i)));
    }
    all.wait();
    let longest = (0..n).map(time).max().unwrap_or_default();
    start.elapsed().saturating_sub(longest).max(Duration::from_nanos(1))
}

/// Through all of them, one message after the other.
pub(super) fn chain(n: u64, count: u64) -> Duration {
    let (first, mut last) = bounded(0);
    let all = WaitGroup::new();
    for _ in 1..n {
        let (tx, rx) = bounded(0);
        let source = std::mem::replace(&mut last, rx);
        all.go(move || source.iter().for_each(|v: u64| tx.send(v).expect("there is a next")));
    }
    let messages = count.div_ceil(n);
    // One through it first, so that all have started.
    first.send(0).expect("there is a next");
    last.recv().expect("it comes through");
    let start = Instant::now();
    let sender = go(move || (0..messages).for_each(|i| first.send(i).expect("there is a next")));
    assert_eq!(last.iter().count() as u64, messages);
    let took = start.elapsed();
    sender.join().expect("it does not panic");
    all.wait();
    took.mul_f64(count as f64 / (messages * n) as f64)
}

pub(super) fn round_robin(n: u64, count: u64) -> Duration {
    let channels: Vec<_> = (0..n).map(|_| bounded(1)).collect();
    let rounds = count.div_ceil(n);
    let start = Instant::now();
    for i in 0..rounds {
        for (tx, rx) in &channels {
            tx.send(i).expect("there is room");
            assert_eq!(rx.recv().ok(), Some(i));
        }
    }
    start.elapsed().mul_f64(count as f64 / (rounds * n) as f64)
}
