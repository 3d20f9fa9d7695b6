//! Selects that meet selects, each kind of owner with each: no deadlock, no value lost or doubled.
#![cfg(not(loom))]

use rendez::{
    Event, Runtime, block_on,
    chan::{self, Receiver, Sender},
    choose, select,
};
use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

/// More rounds where they are cheap.
const fn rounds(release: u64) -> u64 {
    if cfg!(debug_assertions) || cfg!(rendez_sanitize) { release / 50 } else { release }
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Goroutine,
    Thread,
    Async,
    Task,
}

const KINDS: [Kind; 4] = [Kind::Goroutine, Kind::Thread, Kind::Async, Kind::Task];

/// What one side has sent and received, as sums.
type Sums = (u64, u64);

/// One of two partners: each round it either sends a number on its own channel or receives one from the other's.
fn partner(tx: Sender<u64>, rx: Receiver<u64>, turns: u64, send_first: bool) -> Sums {
    let mut sums = (0, 0);
    for number in 1..=turns {
        if send_first {
            select! {
                send(tx, number) -> sent => { sent.unwrap(); sums.0 += number }
                recv(rx) -> got => sums.1 += got.unwrap(),
            }
        } else {
            select! {
                recv(rx) -> got => sums.1 += got.unwrap(),
                send(tx, number) -> sent => { sent.unwrap(); sums.0 += number }
            }
        }
    }
    sums
}

/// The same in an async task.
async fn partner_async(tx: Sender<u64>, rx: Receiver<u64>, turns: u64, send_first: bool) -> Sums {
    let mut sums = (0, 0);
    for number in 1..=turns {
        let send = tx.send_event(number).map(|sent| sent.map(|()| (number, 0)).unwrap()).boxed();
        let recv = rx.recv_event().map(|got| (0, got.unwrap())).boxed();
        let both = if send_first { [send, recv] } else { [recv, send] };
        let (sent, got) = choose(both).wait_async().await;
        sums.0 += sent;
        sums.1 += got;
    }
    sums
}

/// Starts a partner; the result comes over the channel.
fn start(
    runtime: &Runtime,
    kind: Kind,
    blocking: impl FnOnce() -> Sums + Send + 'static,
    pending: impl Future<Output = Sums> + Send + 'static,
) -> Receiver<Sums> {
    let (tx, rx) = chan::bounded(1);
    match kind {
        Kind::Goroutine => drop(runtime.spawn(move || tx.send(blocking()).unwrap())),
        Kind::Thread => drop(thread::spawn(move || tx.send(blocking()).unwrap())),
        Kind::Async => runtime.run(|| drop(rendez::go_async(async move { tx.send(pending.await).unwrap() }))),
        Kind::Task => drop(thread::spawn(move || tx.send(block_on(pending)).unwrap())),
    }
    rx
}

#[test]
fn two_selects_that_meet_on_two_channels_agree_in_all_worlds() {
    for workers in [1, 2, 8] {
        let runtime = Runtime::builder().workers(workers).build().unwrap();
        for one in KINDS {
            for other in KINDS {
                // A million rounds in all, most of them where a round is cheap.
                let turns = match (one, other) {
                    (Kind::Goroutine | Kind::Async, Kind::Goroutine | Kind::Async) => rounds(100_000),
                    _ => rounds(5_000),
                };
                for orders in 0..4 {
                    let (tx_a, rx_a) = chan::bounded(0);
                    let (tx_b, rx_b) = chan::bounded(0);
                    let (first, second) = (orders & 1 == 0, orders & 2 == 0);
                    let turns = turns / 4;
                    let a = start(
                        &runtime,
                        one,
                        {
                            let (tx, rx) = (tx_a.clone(), rx_b.clone());
                            move || partner(tx, rx, turns, first)
                        },
                        partner_async(tx_a, rx_b, turns, first),
                    );
                    let b = start(
                        &runtime,
                        other,
                        {
                            let (tx, rx) = (tx_b.clone(), rx_a.clone());
                            move || partner(tx, rx, turns, second)
                        },
                        partner_async(tx_b, rx_a, turns, second),
                    );
                    let told = || panic!("{one:?} and {other:?}, {workers} workers: they do not end");
                    let limit = Duration::from_secs(60);
                    let a = a.recv_timeout(limit).unwrap_or_else(|_| told());
                    let b = b.recv_timeout(limit).unwrap_or_else(|_| told());
                    assert_eq!((a.0, a.1), (b.1, b.0), "{one:?} and {other:?}, {workers} workers");
                }
            }
        }
    }
}

#[test]
fn selects_with_time_outs_against_closes_account_for_every_value() {
    for workers in [1, 2, 8] {
        let runtime = Runtime::builder().workers(workers).build().unwrap();
        let sent = Arc::new(AtomicU64::new(0));
        let received = Arc::new(AtomicU64::new(0));
        for round in 0..rounds(2000) {
            let (tx_a, rx_a) = chan::bounded(round as usize % 2);
            let (tx_b, rx_b) = chan::bounded(0);
            let mut ends = Vec::new();
            for side in 0..2 {
                let (tx_a, tx_b, sent) = (tx_a.clone(), tx_b.clone(), sent.clone());
                ends.push(runtime.spawn(move || {
                    for i in 0..20 {
                        let limit = Duration::from_micros((i * 7 + side) % 40);
                        select! {
                            send(tx_a, 1) -> r => if r.is_ok() { sent.fetch_add(1, Ordering::SeqCst); },
                            send(tx_b, 1) -> r => if r.is_ok() { sent.fetch_add(1, Ordering::SeqCst); },
                            default(limit) => {}
                        }
                    }
                }));
            }
            for side in 0..2 {
                let (rx_a, rx_b, received) = (rx_a.clone(), rx_b.clone(), received.clone());
                ends.push(runtime.spawn(move || {
                    for i in 0..20 {
                        let limit = Duration::from_micros((i * 5 + side) % 40);
                        select! {
                            recv(rx_b) -> r => if r.is_ok() { received.fetch_add(1, Ordering::SeqCst); },
                            recv(rx_a) -> r => if r.is_ok() { received.fetch_add(1, Ordering::SeqCst); },
                            default(limit) => {}
                        }
                    }
                    if side == 0 {
                        rx_b.close();
                    }
                }));
            }
            ends.into_iter().for_each(|end| end.join().unwrap());
            received.fetch_add(rx_a.try_iter().count() as u64, Ordering::SeqCst);
        }
        assert_eq!(sent.load(Ordering::SeqCst), received.load(Ordering::SeqCst), "{workers} workers");
    }
}
