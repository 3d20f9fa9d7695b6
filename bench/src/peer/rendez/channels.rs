//! Programs whose work is done by channels.

use super::runtime;
use crate::gauge;
use rendez::{
    chan::{Receiver, Sender, bounded, unbounded},
    go,
    sync::WaitGroup,
};
use std::time::{Duration, Instant};

pub(super) fn ping_pong(n: u64) -> Duration {
    let (ping, rx) = bounded(0);
    let (tx, pong) = bounded(0);
    go(move || {
        for v in rx {
            tx.send(v).expect("the other side receives");
        }
    });
    let start = Instant::now();
    for i in 0..n {
        ping.send(i).expect("the other side receives");
        assert_eq!(pong.recv().ok(), Some(i));
    }
    start.elapsed()
}

pub(super) fn seq(n: u64) -> Duration {
    let (tx, rx) = bounded(1);
    let start = Instant::now();
    for i in 0..n {
        tx.send(i).expect("there is room");
        assert_eq!(rx.recv().ok(), Some(i));
    }
    start.elapsed()
}

/// Without a capacity it has no bound.
fn channel<T>(capacity: Option<usize>) -> (Sender<T>, Receiver<T>) {
    capacity.map_or_else(unbounded, bounded)
}

/// `n` numbers are sent, and then they are received.
pub(super) fn fill(capacity: Option<usize>, n: u64) -> Duration {
    let start = Instant::now();
    let (tx, rx) = channel(capacity);
    for i in 0..n {
        tx.send(i).expect("there is room");
    }
    for i in 0..n {
        assert_eq!(rx.recv().ok(), Some(i));
    }
    start.elapsed()
}

/// `n` numbers from some senders to some receivers over one channel, which closes with the last sender.
pub(super) fn messages(senders: u64, receivers: u64, capacity: Option<usize>, n: u64) -> Duration {
    let start = Instant::now();
    let (tx, rx) = channel(capacity);
    let receivers: Vec<_> = (0..receivers)
        .map(|_| {
            let rx = rx.clone();
            go(move || rx.iter().count() as u64)
        })
        .collect();
    drop(rx);
    for _ in 0..senders {
        let tx = tx.clone();
        go(move || {
            for i in 0..(n / senders) as usize {
                tx.send(i).expect("somebody receives");
            }
        });
    }
    drop(tx);
    let got: u64 = receivers.into_iter().map(|r| r.join().expect("a receiver does not panic")).sum();
    let elapsed = start.elapsed();
    assert_eq!(got, n);
    elapsed
}

/// `n` numbers from four senders, each on its own channel, to one receiver.
pub(super) fn select(capacity: Option<usize>, n: u64) -> Duration {
    let start = Instant::now();
    let [mut a, mut b, mut c, mut d] = std::array::from_fn(|_| {
        let (tx, rx) = channel(capacity);
        go(move || {
            for i in 0..(n / 4) as usize {
                tx.send(i).expect("somebody receives");
            }
        });
        Some(rx)
    });
    let (mut got, mut open) = (0, 4);
    while open > 0 {
        let (arm, received) = rendez::select! {
            recv(a) -> v => (&mut a, v),
            recv(b) -> v => (&mut b, v),
            recv(c) -> v => (&mut c, v),
            recv(d) -> v => (&mut d, v),
        };
        match received {
            Ok(_) => got += 1,
            Err(_) => {
                *arm = None;
                open -= 1;
            }
        }
    }
    let elapsed = start.elapsed();
    assert_eq!(got, n / 4 * 4);
    elapsed
}

/// `n` numbers from four senders to four receivers, each of whom selects over the same four channels.
pub(super) fn select_both(capacity: Option<usize>, n: u64) -> Duration {
    let start = Instant::now();
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..4).map(|_| channel(capacity)).unzip();
    let all = WaitGroup::new();
    for _ in 0..4 {
        let [a, b, c, d]: [Sender<usize>; 4] = senders.clone().try_into().expect("four");
        all.go(move || {
            for i in 0..(n / 4) as usize {
                rendez::select! {
                    send(a, i) -> sent => sent,
                    send(b, i) -> sent => sent,
                    send(c, i) -> sent => sent,
                    send(d, i) -> sent => sent,
                }
                .expect("somebody receives");
            }
        });
        let [a, b, c, d]: [Receiver<usize>; 4] = receivers.clone().try_into().expect("four");
        all.go(move || {
            for _ in 0..n / 4 {
                rendez::select! {
                    recv(a) -> received => received,
                    recv(b) -> received => received,
                    recv(c) -> received => received,
                    recv(d) -> received => received,
                }
                .expect("somebody sends");
            }
        });
    }
    all.wait();
    start.elapsed()
}

pub(super) fn sieve(primes: u64) -> Duration {
    let start = Instant::now();
    let (tx, mut numbers) = bounded(0);
    go(move || (2_usize..).all(|i| tx.send(i).is_ok()));
    let mut prime = 0;
    for _ in 0..primes {
        prime = numbers.recv().expect("there are more primes");
        let (tx, rx) = bounded(0);
        let source = std::mem::replace(&mut numbers, rx);
        go(move || source.iter().filter(|v| v % prime != 0).all(|v| tx.send(v).is_ok()));
    }
    let elapsed = start.elapsed();
    assert!(primes != 2000 || prime == 17389);
    elapsed
}

pub(super) fn skynet(leaves: u64) -> Duration {
    let start = Instant::now();
    let (tx, rx) = bounded(0);
    go(move || node(&tx, 0, leaves));
    let sum = rx.recv();
    let elapsed = start.elapsed();
    assert_eq!(sum.ok(), Some(leaves * (leaves - 1) / 2));
    elapsed
}

fn node(out: &Sender<u64>, number: u64, size: u64) {
    if size < 10 {
        out.send(number).expect("the parent receives");
        return;
    }
    let (tx, rx) = bounded(0);
    for i in 0..10 {
        let tx = tx.clone();
        go(move || node(&tx, number + i * (size / 10), size / 10));
    }
    let sum = rx.iter().take(10).sum();
    out.send(sum).expect("the parent receives");
}

pub(super) fn daisy(n: u64) -> Duration {
    let start = Instant::now();
    let (mut left, leftmost) = bounded(0);
    for _ in 0..n {
        let (tx, right) = bounded::<u64>(0);
        let out = std::mem::replace(&mut left, tx);
        go(move || {
            let v = right.recv().expect("the right one sends");
            out.send(v + 1).expect("the left one receives");
        });
    }
    go(move || left.send(0).expect("the left one receives"));
    let got = leftmost.recv();
    let elapsed = start.elapsed();
    assert_eq!(got.ok(), Some(n));
    elapsed
}

/// Eight stages, each does its steps of work and adds one.
pub(super) fn pipeline(n: u64, steps: u64) -> Duration {
    let (first, mut last) = bounded(0);
    let ready = WaitGroup::new();
    ready.add(8);
    for _ in 0..8 {
        let (tx, rx) = bounded(0);
        let source = std::mem::replace(&mut last, rx);
        let ready = ready.clone();
        go(move || {
            ready.done();
            for v in source {
                gauge::work(steps);
                tx.send(v + 1).expect("the next stage receives");
            }
        });
    }
    ready.wait();
    rendez::sleep(Duration::from_millis(1)); // for the last of them to park
    let start = Instant::now();
    go(move || {
        for i in 0..n {
            first.send(i).expect("the first stage receives");
        }
    });
    let mut count = 0;
    for v in last {
        assert_eq!(v, count + 8);
        count += 1;
    }
    let elapsed = start.elapsed();
    assert_eq!(count, n);
    elapsed
}

pub(super) fn speedup_pipeline(n: u64) -> f64 {
    let steps = 20 * gauge::steps_per_us();
    gauge::speedup(|workers| runtime(workers).run(|| pipeline(n, steps)))
}

pub(super) fn speedup_workers(n: u64) -> f64 {
    let steps = 50 * gauge::steps_per_us();
    gauge::speedup(|workers| runtime(workers).run(|| jobs(n, steps)))
}

/// Four goroutines take `n` jobs off one channel.
fn jobs(n: u64, steps: u64) -> Duration {
    let (tx, rx) = bounded(0);
    let start = Instant::now();
    let all = WaitGroup::new();
    for _ in 0..4 {
        let rx = rx.clone();
        all.go(move || {
            for _job in rx {
                gauge::work(steps);
            }
        });
    }
    for job in 0..n {
        tx.send(job).expect("somebody receives");
    }
    drop(tx);
    all.wait();
    start.elapsed()
}
