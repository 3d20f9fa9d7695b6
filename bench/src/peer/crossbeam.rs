//! crossbeam-channel between OS threads.

use super::{
    Answer::{self, Cannot, Does, Nearly},
    Body, capacity,
};
use crate::gauge;
use crossbeam_channel::{Receiver, Select, Sender, bounded, never, unbounded};
use std::{
    hint::black_box,
    sync::{Mutex, RwLock},
    thread,
    time::{Duration, Instant},
};

pub(super) fn find(case: &str) -> Answer {
    Does(Body::timed(match case {
        "ping_pong" => ping_pong,
        "seq_1" => seq,
        "arms_1" => |n| arms(1, n),
        "arms_4" => |n| arms(4, n),
        "arms_64" => |n| arms(64, n),
        "arms_1024" => |n| arms(1024, n),
        "pipeline_8" => pipeline,
        "speedup_workers" => {
            return Nearly("one OS thread against two: what the machine gives", Body::value(speedup_workers));
        }
        "arms_wait_1" | "arms_wait_4" | "arms_wait_64" | "arms_wait_1024" => {
            return Cannot("two threads: a wake-up by the system would be what is measured");
        }
        "speedup_fork_join" | "speedup_pipeline" => {
            return Cannot("threads: the number of workers can't be set");
        }
        "mutex_8" => {
            return Nearly("the standard library's, between OS threads", Body::timed(|n| mutex(8, n)));
        }
        "rwlock_8" => {
            return Nearly("the standard library's, between OS threads", Body::timed(|n| rw_lock(8, n)));
        }
        "cond_2" => return Cannot("threads: a wake-up by the system would be what is measured"),
        "once" | "pool_8" | "context_100k" | "echo_1" | "echo_100" | "echo_10k" | "mem_conn" => {
            return Cannot("it is about channels");
        }
        "mem_async" | "async_ping_pong" | "async_spsc_0" | "async_spsc_128" | "async_mpsc_128"
        | "async_sleepers" => {
            return Cannot("crossbeam-channel has no async operations");
        }
        "wake_p50" | "wake_p99" | "wake_p999" => {
            return Cannot("it is the kernel that gives threads their turns");
        }
        _ => match of_capacity(case) {
            Some(body) => return Does(body),
            None => return Cannot("a thread for each goroutine is out of the question"),
        },
    }))
}

/// The cases that there are with channels of several capacities.
fn of_capacity(case: &str) -> Option<Body> {
    let (kind, capacity) = capacity::split(case)?;
    Some(match kind {
        "seq" => Body::timed(move |n| fill(capacity.of_run(n), n)),
        "spsc" => Body::timed(move |n| messages(1, 1, capacity.of_run(n), n)),
        "mpsc" => Body::timed(move |n| messages(4, 1, capacity.of_run(n), n)),
        "mpmc" => Body::timed(move |n| messages(4, 4, capacity.of_run(n), n)),
        "select" => Body::timed(move |n| select(capacity.of_run(n), n)),
        "select_both" => Body::timed(move |n| select_both(capacity.of_run(n), n)),
        _ => return None,
    })
}

/// Without a capacity it has no bound.
fn channel<T>(capacity: Option<usize>) -> (Sender<T>, Receiver<T>) {
    capacity.map_or_else(unbounded, bounded)
}

fn on_threads(threads: u64, body: impl Fn() + Sync) -> Duration {
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(&body);
        }
    });
    start.elapsed()
}

fn mutex(threads: u64, n: u64) -> Duration {
    let count = Mutex::new(0);
    let elapsed = on_threads(threads, || {
        for _ in 0..n / threads {
            *count.lock().expect("nobody panics") += 1;
        }
    });
    assert_eq!(count.into_inner().ok(), Some(n / threads * threads));
    elapsed
}

fn rw_lock(threads: u64, n: u64) -> Duration {
    let count = RwLock::new(0_u64);
    on_threads(threads, || {
        for i in 0..n / threads {
            if i % 10 == 0 {
                *count.write().expect("nobody panics") += 1;
            } else {
                black_box(*count.read().expect("nobody panics"));
            }
        }
    })
}

fn ping_pong(n: u64) -> Duration {
    let (ping, rx) = bounded(0);
    let (tx, pong) = bounded(0);
    thread::spawn(move || rx.iter().all(|v: u64| tx.send(v).is_ok()));
    let start = Instant::now();
    for i in 0..n {
        ping.send(i).expect("the other side receives");
        assert_eq!(pong.recv(), Ok(i));
    }
    start.elapsed()
}

fn seq(n: u64) -> Duration {
    let (tx, rx) = bounded(1);
    let start = Instant::now();
    for i in 0..n {
        tx.send(i).expect("there is room");
        assert_eq!(rx.recv(), Ok(i));
    }
    start.elapsed()
}

/// One of so many arms is ready.
fn arms(arms: usize, n: u64) -> Duration {
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..arms).map(|_| bounded(1)).unzip();
    let mut select = Select::new();
    for receiver in &receivers {
        select.recv(receiver);
    }
    let start = Instant::now();
    for i in 0..n {
        let at = i as usize * 7919 % arms;
        senders[at].send(i).expect("there is room");
        let chosen = select.select();
        let index = chosen.index();
        assert_eq!((index, chosen.recv(&receivers[index])), (at, Ok(i)));
    }
    start.elapsed()
}

/// `n` numbers are sent, and then they are received.
fn fill(capacity: Option<usize>, n: u64) -> Duration {
    let start = Instant::now();
    let (tx, rx) = channel(capacity);
    for i in 0..n {
        tx.send(i).expect("there is room");
    }
    for i in 0..n {
        assert_eq!(rx.recv(), Ok(i));
    }
    start.elapsed()
}

/// `n` numbers from some senders to some receivers over one channel, which closes with the last sender.
fn messages(senders: u64, receivers: u64, capacity: Option<usize>, n: u64) -> Duration {
    let start = Instant::now();
    let (tx, rx) = channel(capacity);
    let receivers: Vec<_> = (0..receivers)
        .map(|_| {
            let rx = rx.clone();
            thread::spawn(move || rx.iter().count() as u64)
        })
        .collect();
    drop(rx);
    for _ in 0..senders {
        let tx = tx.clone();
        thread::spawn(move || {
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

fn select(capacity: Option<usize>, n: u64) -> Duration {
    let start = Instant::now();
    let [mut a, mut b, mut c, mut d] = std::array::from_fn(|_| {
        let (tx, rx) = channel(capacity);
        thread::spawn(move || {
            for i in 0..(n / 4) as usize {
                tx.send(i).expect("somebody receives");
            }
        });
        rx
    });
    let (mut got, mut open) = (0, 4);
    while open > 0 {
        let (arm, received) = crossbeam_channel::select! {
            recv(a) -> v => (&mut a, v),
            recv(b) -> v => (&mut b, v),
            recv(c) -> v => (&mut c, v),
            recv(d) -> v => (&mut d, v),
        };
        match received {
            Ok(_) => got += 1,
            Err(_) => {
                *arm = never();
                open -= 1;
            }
        }
    }
    let elapsed = start.elapsed();
    assert_eq!(got, n / 4 * 4);
    elapsed
}

/// `n` numbers from four senders to four receivers, each of whom selects over the same four channels.
fn select_both(capacity: Option<usize>, n: u64) -> Duration {
    let start = Instant::now();
    let channels: [_; 4] = std::array::from_fn(|_| channel(capacity));
    let [(a_tx, a), (b_tx, b), (c_tx, c), (d_tx, d)] = &channels;
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for i in 0..(n / 4) as usize {
                    crossbeam_channel::select! {
                        send(a_tx, i) -> sent => sent,
                        send(b_tx, i) -> sent => sent,
                        send(c_tx, i) -> sent => sent,
                        send(d_tx, i) -> sent => sent,
                    }
                    .expect("somebody receives");
                }
            });
            scope.spawn(|| {
                for _ in 0..n / 4 {
                    crossbeam_channel::select! {
                        recv(a) -> received => received,
                        recv(b) -> received => received,
                        recv(c) -> received => received,
                        recv(d) -> received => received,
                    }
                    .expect("somebody sends");
                }
            });
        }
    });
    start.elapsed()
}

fn pipeline(n: u64) -> Duration {
    let (first, mut last) = bounded(0);
    for _ in 0..8 {
        let (tx, rx) = bounded(0);
        let source = std::mem::replace(&mut last, rx);
        thread::spawn(move || source.iter().all(|v: u64| tx.send(v + 1).is_ok()));
    }
    thread::sleep(Duration::from_millis(1)); // for the last of them to park
    let start = Instant::now();
    thread::spawn(move || (0..n).all(|i| first.send(i).is_ok()));
    let mut count = 0;
    for v in last {
        assert_eq!(v, count + 8);
        count += 1;
    }
    let elapsed = start.elapsed();
    assert_eq!(count, n);
    elapsed
}

fn speedup_workers(n: u64) -> f64 {
    let steps = 50 * gauge::steps_per_us();
    gauge::speedup(|threads| {
        let (tx, rx) = bounded(0);
        let start = Instant::now();
        thread::scope(|scope| {
            for _ in 0..threads {
                let rx = rx.clone();
                scope.spawn(move || {
                    for _job in rx {
                        gauge::work(steps);
                    }
                });
            }
            for job in 0..n {
                tx.send(job).expect("somebody receives");
            }
            drop(tx);
        });
        start.elapsed()
    })
}
