//! Nothing is lost and nothing is dropped twice: channels under stress, with every value accounted for.
//!
//! A [`Ledger`] numbers the values. Each is received exactly once, given back exactly once, or dropped exactly once while
//! nobody looked (in a buffer, a cancelled future, an unwound goroutine); and at the end none is alive.

use crate::worlds::{CAPACITIES, Crew, Ops, World, channel, in_world, poll_once};
use rendez::{
    Runtime,
    chan::{Receiver, RecvError, SendError, SendTimeoutError, Sender, TrySendError},
};
use std::{
    panic::resume_unwind,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicUsize, Ordering},
    },
    time::Duration,
};

/// What has become of each value.
struct Ledger {
    fates: Vec<AtomicU8>,
    made: AtomicUsize,
    alive: AtomicUsize,
}

const UNMADE: u8 = 0;
const ALIVE: u8 = 1;
const RECEIVED: u8 = 2;
const RETURNED: u8 = 3;
const DROPPED: u8 = 4;

impl Ledger {
    fn new(size: usize) -> Arc<Ledger> {
        Arc::new(Ledger {
            fates: (0..size).map(|_| AtomicU8::new(UNMADE)).collect(),
            made: AtomicUsize::new(0),
            alive: AtomicUsize::new(0),
        })
    }

    fn make(self: &Arc<Self>) -> Value {
        let id = self.made.fetch_add(1, Ordering::Relaxed);
        self.change(id, UNMADE, ALIVE);
        self.alive.fetch_add(1, Ordering::Relaxed);
        Value { id, check: !id, ledger: self.clone() }
    }

    fn change(&self, id: usize, from: u8, to: u8) {
        let before = self.fates[id].swap(to, Ordering::Relaxed);
        // A second panic in an unwinding goroutine would hide this one.
        if before != from {
            eprintln!("value {id} was {before} where {from} was due, on its way to {to}");
            std::process::abort();
        }
    }

    fn count(&self, fate: u8) -> usize {
        self.fates.iter().filter(|value| value.load(Ordering::Relaxed) == fate).count()
    }

    /// Waits for what unwinds or is cancelled at its own pace, then compares.
    fn settle(&self) {
        crate::worlds::until(|| self.alive.load(Ordering::Acquire) == 0);
        let made = self.made.load(Ordering::Relaxed);
        assert_eq!(self.count(ALIVE), 0);
        assert_eq!(self.count(RECEIVED) + self.count(RETURNED) + self.count(DROPPED), made);
    }
}

/// One numbered value.
struct Value {
    id: usize,
    check: usize,
    ledger: Arc<Ledger>,
}

impl Value {
    fn received(self) {
        self.end(RECEIVED);
    }

    fn returned(self) {
        self.end(RETURNED);
    }

    fn end(self, fate: u8) {
        assert_eq!(self.check, !self.id);
        self.ledger.change(self.id, ALIVE, fate);
        // The drop finds it ended.
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        let fate = self.ledger.fates[self.id].load(Ordering::Relaxed);
        if fate == ALIVE {
            self.ledger.change(self.id, ALIVE, DROPPED);
        } else if fate == DROPPED {
            eprintln!("value {} dropped twice", self.id);
            std::process::abort();
        }
        self.ledger.alive.fetch_sub(1, Ordering::Release);
    }
}

const WORLDS: [World; 6] = [
    World::Goroutines(1),
    World::Goroutines(2),
    World::Mixed(1),
    World::Mixed(2),
    World::Mixed(8),
    World::Threads,
];

/// Runs `body` in a choice of worlds, for each capacity and some seeds.
fn stress(seeds: u64, body: impl Fn(&Crew, Option<usize>, u64) + Send + Sync) {
    for world in WORLDS {
        in_world(world, |crew| {
            for capacity in CAPACITIES {
                for seed in 0..seeds {
                    body(crew, capacity, seed);
                }
            }
        });
    }
}

/// Sends one value in one of the many ways. `false` when the channel is closed.
async fn send_somehow(ops: Ops, tx: &Sender<Value>, value: Value, random: &mut fastrand::Rng) -> bool {
    let micros = Duration::from_micros(random.u64(0..20));
    match random.u8(0..6) {
        0 => match tx.try_send(value) {
            Ok(()) => true,
            Err(TrySendError::Full(value)) => {
                value.returned();
                ops.pause().await;
                true
            }
            Err(TrySendError::Closed(value)) => {
                value.returned();
                false
            }
        },
        1 => match tx.send_timeout(value, micros) {
            Ok(()) => true,
            Err(SendTimeoutError::Timeout(value)) => {
                value.returned();
                true
            }
            Err(SendTimeoutError::Closed(value)) => {
                value.returned();
                false
            }
        },
        // Polled, left for a while, in which it may be taken, and cancelled: sent or dropped.
        2 => {
            let mut send = Box::pin(tx.send_async(value));
            let mut result = poll_once(send.as_mut());
            if result.is_none() {
                ops.pause().await;
                if random.bool() {
                    result = poll_once(send.as_mut());
                }
            }
            returned(result.unwrap_or(Ok(())))
        }
        // Never polled.
        3 if random.u8(0..4) == 0 => {
            drop(tx.send_async(value));
            true
        }
        _ => returned(ops.send(tx, value).await),
    }
}

fn returned(result: Result<(), SendError<Value>>) -> bool {
    result.map_err(|error| error.into_inner().returned()).is_ok()
}

/// Receives at most one value in one of the many ways. `false` when the channel is closed and drained.
async fn receive_somehow(ops: Ops, rx: &Receiver<Value>, random: &mut fastrand::Rng) -> bool {
    let micros = Duration::from_micros(random.u64(0..20));
    let result = match random.u8(0..6) {
        0 => {
            ops.pause().await;
            rx.try_recv().map_err(|error| error == rendez::chan::TryRecvError::Closed)
        }
        1 => rx.recv_timeout(micros).map_err(|error| error == rendez::chan::RecvTimeoutError::Closed),
        // Polled, left for a while, in which it may be handed a value, and cancelled.
        2 => {
            let mut receive = Box::pin(rx.recv_async());
            let mut result = poll_once(receive.as_mut());
            if result.is_none() {
                ops.pause().await;
                if random.bool() {
                    result = poll_once(receive.as_mut());
                }
            }
            drop(receive);
            result.unwrap_or(Err(RecvError)).map_err(|RecvError| rx.is_closed() && rx.is_empty())
        }
        _ => ops.recv(rx).await.map_err(|RecvError| true),
    };
    match result {
        Ok(value) => {
            value.received();
            true
        }
        Err(ended) => !ended,
    }
}

const SENDERS: usize = 3;
const RECEIVERS: usize = 2;
const EACH: usize = 40;

#[test]
fn every_value_is_received_returned_or_dropped_once() {
    stress(2, |crew, capacity, seed| {
        let ledger = Ledger::new(SENDERS * EACH);
        let (tx, rx) = channel(capacity);
        let senders: Vec<_> = (0..SENDERS)
            .map(|id| {
                let (tx, ledger) = (tx.clone(), ledger.clone());
                let mut random = fastrand::Rng::with_seed(seed * 100 + id as u64);
                crew.start(move |ops| async move {
                    for _ in 0..EACH {
                        assert!(send_somehow(ops, &tx, ledger.make(), &mut random).await);
                    }
                })
            })
            .collect();
        let receivers: Vec<_> = (0..RECEIVERS)
            .map(|id| {
                let rx = rx.clone();
                let mut random = fastrand::Rng::with_seed(seed * 100 + 50 + id as u64);
                crew.start(move |ops| async move { while receive_somehow(ops, &rx, &mut random).await {} })
            })
            .collect();
        drop(tx);
        senders.into_iter().for_each(|sender| sender.join());
        receivers.into_iter().for_each(|receiver| receiver.join());
        // A value that a cancelled receive gave back after the others had seen the end.
        rx.try_iter().for_each(Value::received);
        drop(rx);
        ledger.settle();
        assert_eq!(ledger.made.load(Ordering::Relaxed), SENDERS * EACH);
    });
}

#[test]
fn a_close_or_a_last_receiver_that_goes_in_between_changes_nothing_about_that() {
    stress(3, |crew, capacity, seed| {
        let ledger = Ledger::new(SENDERS * EACH);
        let (tx, rx) = channel(capacity);
        let senders: Vec<_> = (0..SENDERS)
            .map(|id| {
                let (tx, ledger) = (tx.clone(), ledger.clone());
                let mut random = fastrand::Rng::with_seed(seed * 100 + id as u64);
                crew.start(move |ops| async move {
                    for _ in 0..EACH {
                        if !send_somehow(ops, &tx, ledger.make(), &mut random).await {
                            return;
                        }
                    }
                })
            })
            .collect();
        let receivers: Vec<_> = (0..RECEIVERS)
            .map(|id| {
                let rx = rx.clone();
                let mut random = fastrand::Rng::with_seed(seed * 100 + 50 + id as u64);
                crew.start(move |ops| async move {
                    // Each goes after a while, the last one with what is buffered; one of the seeds closes.
                    for _ in 0..random.usize(1..EACH) {
                        if !receive_somehow(ops, &rx, &mut random).await {
                            return;
                        }
                    }
                    if seed == 0 {
                        rx.close();
                    }
                })
            })
            .collect();
        drop((tx, rx));
        senders.into_iter().for_each(|sender| sender.join());
        receivers.into_iter().for_each(|receiver| receiver.join());
        ledger.settle();
    });
}

#[test]
fn goroutines_that_panic_with_values_in_their_hands_drop_them_once() {
    for workers in [1, 2, 8] {
        in_world(World::Goroutines(workers), |_| {
            for capacity in CAPACITIES {
                let ledger = Ledger::new(SENDERS * EACH);
                let (tx, rx) = channel(capacity);
                let senders: Vec<_> = (0..SENDERS)
                    .map(|id| {
                        let (tx, ledger) = (tx.clone(), ledger.clone());
                        rendez::go(move || {
                            for i in 0..EACH {
                                let value = ledger.make();
                                if i == EACH - 1 - id {
                                    resume_unwind(Box::new("with a value to send"));
                                }
                                returned(tx.send(value));
                            }
                        })
                    })
                    .collect();
                // All but the first may panic with a value that they have received.
                let receivers: Vec<_> = (0..10)
                    .map(|id| {
                        let rx = rx.clone();
                        rendez::go(move || {
                            for (i, value) in rx.iter().enumerate() {
                                if id != 0 && i == 3 {
                                    resume_unwind(Box::new("with a received value"));
                                }
                                value.received();
                            }
                        })
                    })
                    .collect();
                drop((tx, rx));
                assert!(senders.into_iter().all(|sender| sender.join().is_err()));
                let ended: Vec<_> = receivers.into_iter().map(|receiver| receiver.join().is_ok()).collect();
                assert!(ended[0], "the first one sees the end");
                ledger.settle();
            }
        });
    }
}

/// Values that a shutdown may have to wait for, with one more of each sender.
const MOST: usize = 500_000;

#[test]
fn a_shutdown_amid_traffic_drops_what_is_under_way_once() {
    for workers in [1, 2, 8] {
        for capacity in CAPACITIES {
            let _watchdog = crate::worlds::Watchdog::new(format!("{workers} workers, capacity {capacity:?}"));
            let ledger = Ledger::new(MOST + 4);
            let (tx, rx) = channel(capacity);
            let runtime = Runtime::builder().workers(workers).build().unwrap();
            for id in 0..4u64 {
                let (tx, ledger) = (tx.clone(), ledger.clone());
                let mut random = fastrand::Rng::with_seed(id);
                let traffic = move || {
                    crate::worlds::run_blocking(async move {
                        while ledger.made.load(Ordering::Relaxed) < MOST {
                            if !send_somehow(Ops::blocking(), &tx, ledger.make(), &mut random).await {
                                return;
                            }
                        }
                    })
                };
                drop(runtime.spawn(traffic));
                let rx = rx.clone();
                let mut random = fastrand::Rng::with_seed(100 + id);
                let traffic = move || {
                    crate::worlds::run_blocking(async move {
                        while receive_somehow(Ops::blocking(), &rx, &mut random).await {}
                    })
                };
                drop(runtime.spawn(traffic));
            }
            drop((tx, rx));
            while ledger.made.load(Ordering::Relaxed) < 200 {
                std::thread::yield_now();
            }
            runtime.shutdown();
            ledger.settle();
        }
    }
}

#[test]
fn a_cancelled_receive_and_the_next_receiver_never_lose_a_value_between_them() {
    for workers in [1, 2, 8] {
        in_world(World::Mixed(workers), |crew| {
            for capacity in [Some(0), Some(1)] {
                let ledger = Ledger::new(200);
                let (tx, rx) = channel(capacity);
                let sender = crew.start({
                    let ledger = ledger.clone();
                    move |ops| async move {
                        for _ in 0..200 {
                            returned(ops.send(&tx, ledger.make()).await);
                        }
                    }
                });
                let fickle = crew.start({
                    let rx = rx.clone();
                    move |ops| async move {
                        let mut receives = Vec::new();
                        while !(rx.is_closed() && rx.is_empty()) {
                            // A few at once, handed values while nobody looks, and dropped together.
                            for _ in 0..3 {
                                let mut receive = Box::pin(rx.recv_async());
                                if let Some(Ok(value)) = poll_once(receive.as_mut()) {
                                    value.received();
                                }
                                receives.push(receive);
                            }
                            ops.pause().await;
                            receives.clear();
                        }
                    }
                });
                let steady = crew.start({
                    let rx = rx.clone();
                    move |ops| async move {
                        while let Ok(value) = ops.recv(&rx).await {
                            value.received();
                        }
                    }
                });
                sender.join();
                steady.join();
                fickle.join();
                rx.try_iter().for_each(Value::received);
                assert_eq!(ledger.count(RECEIVED), 200, "nothing was dropped or returned");
                ledger.settle();
            }
        });
    }
}
