//! What OS threads do to each other through rendez, without any goroutine: values in boxes, which whoever receives one reads, writes to and frees, and data
//! under locks.
//!
//! Its own main function, and nothing but threads that are joined: so ThreadSanitizer, which does not know switches of stacks, and sees into no code of
//! the standard library that was compiled before, has nothing here that it could mistake for a race. See `ci/tsan`.
#![cfg(not(loom))]

use rendez::{
    Context, chan, select,
    sync::{Barrier, Cond, Mutex, Once, RwLock, Semaphore, WaitGroup},
};
use std::{
    thread::{self, JoinHandle},
    time::Duration,
};

/// Values of each sender.
const VALUES: u64 = 2_000;

type Value = Box<[u64; 4]>;

fn value(n: u64) -> Value {
    Box::new([n, n + 1, n + 2, n + 3])
}

/// Reads all of it, writes to it, and frees it.
#[expect(clippy::boxed_local, reason = "its memory goes with it")]
fn used(mut value: Value) -> u64 {
    let first = value[0];
    assert_eq!(*value, [first, first + 1, first + 2, first + 3]);
    value.fill(0);
    first
}

fn joined<R>(threads: Vec<JoinHandle<R>>) -> Vec<R> {
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

fn values_go_from_thread_to_thread(capacity: Option<usize>, senders: u64, receivers: u64) {
    let (tx, rx) = match capacity {
        Some(capacity) => chan::bounded(capacity),
        None => chan::unbounded(),
    };
    let sending = (0..senders).map(|_| {
        let tx = tx.clone();
        thread::spawn(move || (0..VALUES).for_each(|n| tx.send(value(n)).unwrap()))
    });
    let sending: Vec<_> = sending.collect();
    let receiving = (0..receivers).map(|_| {
        let rx = rx.clone();
        thread::spawn(move || rx.iter().map(used).sum::<u64>())
    });
    let receiving: Vec<_> = receiving.collect();
    drop((tx, rx));
    joined(sending);
    assert_eq!(joined(receiving).iter().sum::<u64>(), senders * VALUES * (VALUES - 1) / 2);
}

fn a_value_is_received_or_given_back_when_time_is_up() {
    let (tx, rx) = chan::bounded(0);
    let sender = thread::spawn(move || {
        let send = |n| match tx.send_timeout(value(n), Duration::from_micros(n % 50)) {
            Ok(()) => 0,
            Err(error) => used(error.into_inner()) + 1,
        };
        (0..VALUES).map(send).filter(|&given_back| given_back > 0).count()
    });
    let receiver = thread::spawn(move || {
        let mut received = 0;
        loop {
            match rx.recv_timeout(Duration::from_micros(20)) {
                Ok(value) => received += usize::from(used(value) < VALUES),
                Err(chan::RecvTimeoutError::Timeout) => {}
                Err(chan::RecvTimeoutError::Closed) => return received,
            }
        }
    });
    assert_eq!(sender.join().unwrap() + receiver.join().unwrap(), VALUES as usize);
}

fn selects_meet_selects() {
    let ((left, from_left), (right, from_right)) = (chan::bounded(0), chan::bounded(1));
    let sender = thread::spawn(move || {
        for n in 0..VALUES {
            select! {
                send(left, value(n)) -> sent => sent.unwrap(),
                send(right, value(n)) -> sent => sent.unwrap(),
            }
        }
    });
    let receive = |_| {
        let (from_left, from_right) = (from_left.clone(), from_right.clone());
        thread::spawn(move || {
            let (mut left, mut right, mut sum) = (Some(from_left), Some(from_right), 0);
            while left.is_some() || right.is_some() {
                select! {
                    recv(left) -> value => match value {
                        Ok(value) => sum += used(value),
                        Err(_) => left = None,
                    },
                    recv(right) -> value => match value {
                        Ok(value) => sum += used(value),
                        Err(_) => right = None,
                    },
                }
            }
            sum
        })
    };
    let receivers: Vec<JoinHandle<u64>> = (0..2).map(receive).collect();
    drop((from_left, from_right));
    sender.join().unwrap();
    assert_eq!(joined(receivers).iter().sum::<u64>(), VALUES * (VALUES - 1) / 2);
}

fn a_close_gives_values_back() {
    for n in 0..200 {
        let (tx, rx) = chan::bounded(1);
        let theirs = tx.clone();
        let senders = (0..2).map(|_| {
            let tx = theirs.clone();
            thread::spawn(move || tx.send(value(n)).map_or_else(|error| used(error.into_inner()), |()| n))
        });
        let senders: Vec<_> = senders.collect();
        let closer = thread::spawn(move || theirs.close());
        rx.iter().for_each(|value| assert_eq!(used(value), n));
        assert!(closer.join().unwrap() && joined(senders).iter().all(|&back| back == n));
        drop(tx);
    }
}

/// Four threads, each with `f`.
fn four(f: impl Fn(u64) + Clone + Send + 'static) {
    let run = |n| {
        let f = f.clone();
        thread::spawn(move || f(n))
    };
    joined((0..4).map(run).collect());
}

fn locks_keep_what_is_under_them() {
    static SUM: Mutex<u64> = Mutex::new(0);
    static PAIR: RwLock<(u64, u64)> = RwLock::new((0, 0));
    four(|_| {
        for n in 0..VALUES {
            *SUM.lock() += 1;
            if n % 4 == 0 {
                let mut pair = PAIR.write();
                *pair = (pair.0 + 1, pair.1 + 1);
            } else {
                let pair = PAIR.read();
                assert_eq!(pair.0, pair.1);
            }
        }
    });
    assert_eq!((*SUM.lock(), *PAIR.read()), (4 * VALUES, (VALUES, VALUES)));
}

fn permits_barriers_and_conditions_hand_over_what_was_done() {
    static ONE: Semaphore = Semaphore::new(1);
    static UNDER_IT: Plain = Plain::new();
    static TURN: Mutex<u64> = Mutex::new(0);
    static CHANGED: Cond = Cond::new();
    four(|n| {
        for round in 0..200 {
            let permit = ONE.acquire(1);
            UNDER_IT.add_one();
            drop(permit);
            let mut turn = TURN.lock();
            CHANGED.wait_while(&mut turn, |turn| *turn != 4 * round + n);
            *turn += 1;
            drop(turn);
            CHANGED.broadcast();
        }
    });
    assert_eq!((UNDER_IT.get(), *TURN.lock()), (800, 800));
    let (barrier, places) = (std::sync::Arc::new(Barrier::new(4)), [const { Plain::new() }; 4]);
    let places = std::sync::Arc::new(places);
    let (theirs, all) = (barrier.clone(), places.clone());
    four(move |n| {
        for round in 1..=100 {
            all[n as usize].add_one();
            theirs.wait();
            assert!(all.iter().all(|place| place.get() == round));
            theirs.wait();
        }
    });
}

fn who_waits_for_a_group_a_function_or_a_context_sees_what_was_done_before() {
    static ONCE: Once = Once::new();
    static MADE: Plain = Plain::new();
    four(|_| {
        ONCE.call_once(|| MADE.add_one());
        assert_eq!(MADE.get(), 1);
    });
    for _ in 0..200 {
        let (group, done) = (WaitGroup::new(), std::sync::Arc::new([const { Plain::new() }; 3]));
        let (ctx, cancel) = Context::background().with_cancel();
        // Made here: it lies in a `OnceLock`, of which the sanitizer sees nothing.
        let _ = ctx.done();
        group.add(3);
        let work = |n: usize| {
            let (group, done, ctx) = (group.clone(), done.clone(), ctx.clone());
            thread::spawn(move || {
                done[n].add_one();
                group.done();
                assert!(ctx.done().recv().is_err());
                assert!(done.iter().all(|place| place.get() == 1));
            })
        };
        let threads: Vec<_> = (0..3).map(work).collect();
        group.wait();
        assert!(done.iter().all(|place| place.get() == 1));
        cancel.cancel();
        joined(threads);
    }
}

/// A number that is no atomic: that nobody else touches it meanwhile is for what is tested to see to.
struct Plain(std::cell::UnsafeCell<u64>);

// SAFETY: it is used where something of rendez orders the uses; that this holds is what the sanitizer is asked.
unsafe impl Sync for Plain {}

impl Plain {
    const fn new() -> Plain {
        Plain(std::cell::UnsafeCell::new(0))
    }

    fn add_one(&self) {
        // SAFETY: as above.
        unsafe { *self.0.get() += 1 };
    }

    fn get(&self) -> u64 {
        // SAFETY: as above.
        unsafe { *self.0.get() }
    }
}

const TESTS: &[(&str, fn())] = &[
    ("values_go_from_thread_to_thread_at_a_rendezvous", || values_go_from_thread_to_thread(Some(0), 1, 1)),
    ("values_go_from_thread_to_thread_through_a_buffer", || values_go_from_thread_to_thread(Some(3), 2, 2)),
    ("values_go_from_thread_to_thread_without_a_bound", || values_go_from_thread_to_thread(None, 2, 2)),
    ("a_value_is_received_or_given_back_when_time_is_up", a_value_is_received_or_given_back_when_time_is_up),
    ("selects_meet_selects", selects_meet_selects),
    ("a_close_gives_values_back", a_close_gives_values_back),
    ("locks_keep_what_is_under_them", locks_keep_what_is_under_them),
    (
        "permits_barriers_and_conditions_hand_over_what_was_done",
        permits_barriers_and_conditions_hand_over_what_was_done,
    ),
    (
        "who_waits_for_a_group_a_function_or_a_context_sees_what_was_done_before",
        who_waits_for_a_group_a_function_or_a_context_sees_what_was_done_before,
    ),
];

/// Without the standard harness, whose threads and channels are compiled before.
fn main() {
    let mut arguments = std::env::args().skip(1);
    if std::env::args().any(|argument| argument == "--list") {
        return TESTS.iter().for_each(|(name, _)| println!("{name}: test"));
    }
    let wanted = arguments.find(|argument| !argument.starts_with('-')).unwrap_or_default();
    if std::env::var_os("RENDEZ_PLANTED_RACE").is_some() {
        // For `ci/tsan`, which wants to know whether one would be seen.
        static RACED: Plain = Plain::new();
        four(|_| (0..VALUES).for_each(|_| RACED.add_one()));
    }
    let wanted: Vec<_> = TESTS.iter().filter(|(name, _)| name.contains(&*wanted)).collect();
    for (name, test) in &wanted {
        test();
        println!("test {name} ... ok");
    }
    println!("\ntest result: ok. {} passed; 0 failed", wanted.len());
}
