//! The locks under loom: every interleaving of two or three threads. Time limits may pass at any moment there, and whoever is
//! woken and loses counts as having waited long, so that the hand-over in order is tried as well.

use super::{Barrier, Cond, Mutex, RwLock, Semaphore};
use crate::{
    Event, chan,
    select::{Arm, Operation, Patience, run},
};
use loom::{cell::UnsafeCell, sync::Arc, thread};
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

/// Under loom a limit may pass at any moment, whatever it says.
const LIMIT: Duration = Duration::from_secs(1);

pub(super) fn explore(model: impl Fn() + Sync + Send + 'static) {
    explore_with(2, model);
}

/// With at most so many unforced switches.
pub(crate) fn explore_with(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let interleavings = std::sync::Arc::new(AtomicUsize::new(0));
    let counted = interleavings.clone();
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        model();
    });
    println!("{} interleavings", interleavings.load(Ordering::Relaxed));
}

/// A value whose accesses loom checks.
pub(super) struct Checked(UnsafeCell<usize>);

// SAFETY: loom tells of every race.
unsafe impl Send for Checked {}
// SAFETY: as above.
unsafe impl Sync for Checked {}

impl Checked {
    pub(super) fn new() -> Checked {
        Checked(UnsafeCell::new(0))
    }

    fn add(&mut self) {
        // SAFETY: loom checks it.
        self.0.with_mut(|value| unsafe { *value += 1 });
    }

    /// By whoever is the only one to.
    pub(super) fn add_alone(&self) {
        // SAFETY: loom checks it.
        self.0.with_mut(|value| unsafe { *value += 1 });
    }

    pub(super) fn get(&self) -> usize {
        // SAFETY: loom checks it.
        self.0.with(|value| unsafe { *value })
    }
}

fn spawn<R: 'static>(f: impl FnOnce() -> R + 'static) -> thread::JoinHandle<R> {
    thread::spawn(f)
}

#[test]
fn one_at_a_time_holds_a_mutex_and_sees_what_the_one_before_did() {
    explore(|| {
        let mutex = Arc::new(Mutex::new(Checked::new()));
        let other = spawn({
            let mutex = mutex.clone();
            move || (0..2).for_each(|_| mutex.lock().add())
        });
        (0..2).for_each(|_| mutex.lock().add());
        other.join().unwrap();
        assert_eq!(mutex.try_lock().expect("it is free").get(), 4);
    });
}

#[test]
fn three_who_want_a_mutex_all_get_it() {
    explore(|| {
        let mutex = Arc::new(Mutex::new(Checked::new()));
        let others: Vec<_> = (0..2)
            .map(|_| {
                let mutex = mutex.clone();
                spawn(move || mutex.lock().add())
            })
            .collect();
        mutex.lock().add();
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!(mutex.try_lock().expect("it is free").get(), 3);
    });
}

#[test]
fn a_mutex_that_is_handed_to_one_who_gives_up_goes_to_the_next() {
    explore(|| {
        let mutex = Arc::new(Mutex::new(Checked::new()));
        let guard = mutex.lock();
        let gives_up = spawn({
            let mutex = mutex.clone();
            move || mutex.lock_timeout(LIMIT).map(|mut guard| guard.add()).is_some()
        });
        let waits = spawn({
            let mutex = mutex.clone();
            move || mutex.lock().add()
        });
        drop(guard);
        let expected = 1 + usize::from(gives_up.join().unwrap());
        waits.join().unwrap();
        assert_eq!(mutex.try_lock().expect("it is free").get(), expected);
    });
}

#[test]
fn a_select_that_receives_does_not_hold_the_mutex() {
    explore(|| {
        let mutex = Arc::new(Mutex::new(Checked::new()));
        let (tx, rx) = chan::bounded(1);
        let guard = mutex.lock();
        let selects = spawn({
            let mutex = mutex.clone();
            move || {
                let (mut lock, mut recv) = (mutex.lock_event(), rx.recv_event());
                let mut arms: [&mut dyn Arm; 2] = [&mut lock, &mut recv];
                match run(&mut arms[..], true, Patience::Endless) {
                    Some(0) => {
                        lock.finish().add();
                        true
                    }
                    _ => {
                        assert_eq!(recv.finish(), Ok(7));
                        false
                    }
                }
            }
        });
        tx.send(7).unwrap();
        drop(guard);
        let locked = selects.join().unwrap();
        assert_eq!(mutex.try_lock().expect("it is free").get(), usize::from(locked));
    });
}

#[test]
fn readers_read_together_and_a_writer_writes_alone() {
    explore(|| {
        let lock = Arc::new(RwLock::new(Checked::new()));
        let writer = spawn({
            let lock = lock.clone();
            move || lock.write().add()
        });
        let reader = spawn({
            let lock = lock.clone();
            move || lock.read().get()
        });
        assert!(lock.read().get() <= 1);
        assert!(reader.join().unwrap() <= 1);
        writer.join().unwrap();
        assert_eq!(lock.try_write().expect("it is free").get(), 1);
    });
}

#[test]
fn two_writers_and_a_reader_all_get_the_lock() {
    explore(|| {
        let lock = Arc::new(RwLock::new(Checked::new()));
        let writer = spawn({
            let lock = lock.clone();
            move || lock.write().add()
        });
        let reader = spawn({
            let lock = lock.clone();
            move || lock.read().get()
        });
        lock.write().add();
        assert!(reader.join().unwrap() <= 2);
        writer.join().unwrap();
        assert_eq!(lock.try_write().expect("it is free").get(), 2);
    });
}

#[test]
fn a_writer_that_gives_up_lets_those_in_whom_it_held_back() {
    explore(|| {
        let lock = Arc::new(RwLock::new(Checked::new()));
        let guard = lock.read();
        let writer = spawn({
            let lock = lock.clone();
            move || lock.write_timeout(LIMIT).map(|mut guard| guard.add()).is_some()
        });
        let reader = spawn({
            let lock = lock.clone();
            move || lock.read().get()
        });
        drop(guard);
        let written = usize::from(writer.join().unwrap());
        assert!(reader.join().unwrap() <= written);
        assert_eq!(lock.try_write().expect("it is free").get(), written);
    });
}

#[test]
fn a_writer_that_gives_up_while_somebody_reads_lets_readers_in() {
    explore(|| {
        let lock = Arc::new(RwLock::new(Checked::new()));
        let guard = lock.read();
        let writer = spawn({
            let lock = lock.clone();
            move || assert!(lock.write_timeout(LIMIT).is_none(), "somebody reads")
        });
        let reader = spawn({
            let lock = lock.clone();
            move || lock.read().get()
        });
        assert_eq!(reader.join().unwrap(), 0);
        writer.join().unwrap();
        drop(guard);
        assert!(lock.try_write().is_some());
    });
}

#[test]
fn a_signal_reaches_who_waits() {
    explore(|| {
        let shared = Arc::new((Mutex::new(Checked::new()), Cond::new()));
        let waits = spawn({
            let shared = shared.clone();
            move || {
                let mut value = shared.0.lock();
                shared.1.wait_while(&mut value, |value| value.get() == 0);
                value.get()
            }
        });
        shared.0.lock().add();
        shared.1.signal();
        assert_eq!(waits.join().unwrap(), 1);
        assert!(shared.0.try_lock().is_some());
    });
}

#[test]
fn a_signal_that_meets_a_time_out_goes_to_the_next() {
    explore_with(1, || {
        let shared = Arc::new((Mutex::new(0usize), Cond::new(), Cond::new()));
        let wait = |limit: Option<Duration>| {
            let shared = shared.clone();
            spawn(move || {
                let (mutex, cond, came) = &*shared;
                let mut guard = mutex.lock();
                *guard += 1;
                came.signal();
                match limit {
                    Some(limit) => cond.wait_timeout(&mut guard, limit),
                    None => {
                        cond.wait(&mut guard);
                        true
                    }
                }
            })
        };
        let first = wait(Some(LIMIT));
        let second = wait(None);
        let (mutex, cond, came) = &*shared;
        came.wait_while(&mut mutex.lock(), |count| *count < 2);
        // Both wait, or the first has given up: then the signal is the second's.
        cond.signal();
        if first.join().unwrap() {
            cond.signal();
        }
        second.join().unwrap();
        assert!(mutex.try_lock().is_some());
    });
}

#[test]
fn permits_are_not_lost_nor_given_twice() {
    explore(|| {
        let semaphore = Arc::new(Semaphore::new(2));
        let all = spawn({
            let semaphore = semaphore.clone();
            move || assert!(semaphore.acquire(2).permits() == 2)
        });
        let one = spawn({
            let semaphore = semaphore.clone();
            move || drop(semaphore.acquire(1))
        });
        drop(semaphore.acquire(1));
        all.join().unwrap();
        one.join().unwrap();
        assert_eq!(semaphore.available(), 2);
        assert!(semaphore.try_acquire(2).is_some());
    });
}

#[test]
fn when_the_first_gives_up_those_behind_it_are_served() {
    explore(|| {
        let semaphore = Arc::new(Semaphore::new(2));
        let held = semaphore.acquire(1);
        let all = spawn({
            let semaphore = semaphore.clone();
            move || assert!(semaphore.acquire_timeout(2, LIMIT).is_none(), "one is held")
        });
        let one = spawn({
            let semaphore = semaphore.clone();
            move || drop(semaphore.acquire(1))
        });
        one.join().unwrap();
        all.join().unwrap();
        drop(held);
        assert!(semaphore.try_acquire(2).is_some());
    });
}

#[test]
fn two_meet_twice_at_a_barrier() {
    explore(|| {
        let barrier = Arc::new(Barrier::new(2));
        let value = Arc::new(Mutex::new(Checked::new()));
        let other = spawn({
            let (barrier, value) = (barrier.clone(), value.clone());
            move || {
                value.lock().add();
                let first = barrier.wait();
                assert_eq!(value.lock().get(), 1);
                (first, barrier.wait())
            }
        });
        let first = barrier.wait();
        assert_eq!(value.lock().get(), 1);
        let second = barrier.wait();
        let theirs = other.join().unwrap();
        assert!(first != theirs.0 && second != theirs.1, "one of two came last");
    });
}

#[test]
fn an_event_waits_with_a_limit() {
    explore(|| {
        let semaphore = Arc::new(Semaphore::new(1));
        let other = spawn({
            let semaphore = semaphore.clone();
            move || drop(semaphore.acquire(1))
        });
        drop(semaphore.acquire_event(1).wait_timeout(LIMIT));
        other.join().unwrap();
        assert!(semaphore.try_acquire(1).is_some());
    });
}
