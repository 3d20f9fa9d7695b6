//! Mutex, RwLock, Cond, Semaphore.

use crate::{Inside, exhaust, explore};
use rendez::{
    Event, go, go_async, scope, select,
    sync::{Cond, Mutex, RwLock, Semaphore},
    time,
};
use std::{
    collections::VecDeque,
    future::poll_fn,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    task::Poll,
    time::Duration,
};

const SHORT: Duration = Duration::from_millis(1);

#[test]
fn a_mutex_lets_one_in_at_a_time_and_whoever_gives_up_leaves_it() {
    explore(2, || {
        let (mutex, inside) = (Mutex::new(0), Inside::default());
        scope(|s| {
            for _ in 0..2 {
                s.go(|| {
                    let mut guard = mutex.lock();
                    inside.stay(1);
                    *guard += 1;
                });
            }
            s.go(|| {
                if let Some(mut guard) = mutex.lock_timeout(SHORT) {
                    inside.stay(1);
                    *guard += 1;
                }
                if let Some(mut guard) = mutex.try_lock() {
                    inside.stay(1);
                    *guard += 1;
                }
            });
        });
        assert!(inside.is_empty());
        assert!((2..=4).contains(&*mutex.try_lock().expect("nobody holds it")));
    });
    explore(2, || {
        let shared = Arc::new((Mutex::new(0), Inside::default()));
        let tasks = [false, true].map(|gives_up| {
            let shared = shared.clone();
            go_async(async move {
                let (mutex, inside) = &*shared;
                if gives_up {
                    let mut waiting = pin!(mutex.lock_async());
                    let polled = poll_fn(|cx| Poll::Ready(waiting.as_mut().poll(cx).is_ready())).await;
                    return usize::from(polled);
                }
                let mut guard = mutex.lock_async().await;
                inside.stay(1);
                *guard += 1;
                1
            })
        });
        let mut guard = shared.0.lock();
        time::sleep(SHORT);
        shared.1.stay(1);
        *guard += 1;
        drop(guard);
        for task in tasks {
            task.join().unwrap();
        }
        assert_eq!(*shared.0.try_lock().expect("nobody holds it"), 2);
    });
}

#[test]
fn a_lock_for_readers_and_writers_lets_readers_in_together_and_writers_alone() {
    explore(2, || {
        let lock = RwLock::new((0, 0));
        let (readers, writers) = (AtomicUsize::new(0), AtomicUsize::new(0));
        scope(|s| {
            for patient in [true, false] {
                let (lock, readers, writers) = (&lock, &readers, &writers);
                s.go(move || {
                    let guard = if patient { Some(lock.read()) } else { lock.read_timeout(SHORT) };
                    let Some(guard) = guard else { return };
                    readers.fetch_add(1, Relaxed);
                    rendez::yield_now();
                    assert_eq!(writers.load(Relaxed), 0);
                    assert_eq!(guard.0, guard.1, "half of a write was seen");
                    readers.fetch_sub(1, Relaxed);
                });
                s.go(move || {
                    let guard = if patient { Some(lock.write()) } else { lock.write_timeout(SHORT) };
                    let Some(mut guard) = guard else { return };
                    assert_eq!(writers.fetch_add(1, Relaxed), 0);
                    guard.0 += 1;
                    rendez::yield_now();
                    assert_eq!(readers.load(Relaxed), 0);
                    guard.1 += 1;
                    writers.fetch_sub(1, Relaxed);
                });
            }
        });
        let guard = lock.try_write().expect("nobody holds it");
        assert!(guard.0 == guard.1 && (1..=2).contains(&guard.0));
    });
    explore(2, || {
        let lock = RwLock::new(0);
        scope(|s| {
            s.go(|| {
                select! {
                    wait(lock.write_event()) -> mut guard => *guard += 1,
                    wait(lock.read_event()) -> guard => assert!(*guard <= 1),
                }
            });
            s.go(|| {
                if let Some(guard) = lock.try_read() {
                    rendez::yield_now();
                    assert!(*guard <= 2);
                }
                *lock.write() += 1;
            });
            s.go(|| assert!(*lock.read() <= 2));
        });
        assert!(lock.try_write().is_some());
    });
}

#[test]
fn a_condition_wakes_as_many_as_it_was_told_to() {
    // A queue that holds two.
    explore(3, || {
        let (queue, changed) = (Mutex::new(VecDeque::new()), Cond::new());
        let taken = scope(|s| {
            let (queue, changed) = (&queue, &changed);
            let takers = [0, 1].map(|_| {
                s.go(move || {
                    let mut queue = queue.lock();
                    changed.wait_while(&mut queue, |queue| queue.is_empty());
                    let value: u32 = queue.pop_front().unwrap();
                    drop(queue);
                    changed.broadcast();
                    value
                })
            });
            s.go(move || {
                for value in [1, 2, 3] {
                    let mut queue = queue.lock();
                    changed.wait_while(&mut queue, |queue| queue.len() == 2);
                    queue.push_back(value);
                    drop(queue);
                    changed.signal();
                }
            });
            takers.map(|taker| taker.join().unwrap())
        });
        assert_eq!(taken.iter().sum::<u32>(), 3);
        assert_eq!(*queue.lock(), [3]);
    });
    // A signal is not lost on one who gives up.
    explore(3, || {
        let (tokens, given) = (Mutex::new(0), Cond::new());
        scope(|s| {
            let (tokens, given) = (&tokens, &given);
            s.go(move || {
                let mut tokens = tokens.lock();
                if *tokens == 0 && !given.wait_timeout(&mut tokens, SHORT) {
                    // Not signalled: whoever was, has it.
                    return;
                }
                if *tokens > 0 {
                    *tokens -= 1;
                    drop(tokens);
                }
                given.signal();
            });
            s.go(move || {
                let mut tokens = tokens.lock();
                given.wait_while(&mut tokens, |tokens| *tokens == 0);
                *tokens -= 1;
            });
            for _ in 0..2 {
                s.go(move || {
                    *tokens.lock() += 1;
                    given.signal();
                });
            }
        });
        assert!(*tokens.lock() <= 1);
    });
    explore(3, || {
        let shared = Arc::new((Mutex::new(false), Cond::new()));
        let waits = go_async({
            let shared = shared.clone();
            async move {
                let mut ready = shared.0.lock_async().await;
                while !*ready {
                    ready = shared.1.wait_async(ready).await;
                }
            }
        });
        let gives_up = go_async({
            let shared = shared.clone();
            async move {
                let guard = shared.0.lock_async().await;
                let mut waiting = pin!(shared.1.wait_async(guard));
                poll_fn(|cx| {
                    let _ = waiting.as_mut().poll(cx);
                    Poll::Ready(())
                })
                .await;
            }
        });
        *shared.0.lock() = true;
        shared.1.signal();
        waits.join().unwrap();
        gives_up.join().unwrap();
        assert!(shared.0.try_lock().is_some());
    });
}

#[test]
fn a_semaphore_gives_no_more_than_it_has_and_the_first_goes_first() {
    explore(2, || {
        let (semaphore, inside) = (Semaphore::new(2), Inside::default());
        scope(|s| {
            let (semaphore, inside) = (&semaphore, &inside);
            for _ in 0..2 {
                s.go(move || {
                    let _permit = semaphore.acquire(1);
                    inside.stay(2);
                });
            }
            s.go(move || {
                let _permits = semaphore.acquire(2);
                inside.stay(1);
            });
            s.go(move || {
                if let Some(_permit) = semaphore.acquire_timeout(1, SHORT) {
                    inside.stay(2);
                }
                if let Some(_permit) = semaphore.acquire_event(2).wait_timeout(SHORT) {
                    inside.stay(1);
                }
                if let Some(_permit) = semaphore.try_acquire(1) {
                    inside.stay(2);
                }
            });
        });
        assert_eq!(semaphore.available(), 2);
    });
    explore(2, || {
        // Who wants much and waits is not passed by who wants little and comes later.
        let semaphore = Arc::new(Semaphore::new(2));
        let (waits, has) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let first = semaphore.acquire(1);
        let much = go_async({
            let (semaphore, waits, has) = (semaphore.clone(), waits.clone(), has.clone());
            async move {
                let mut acquiring = pin!(semaphore.acquire_async(2));
                let _permits = poll_fn(|cx| {
                    let polled = acquiring.as_mut().poll(cx);
                    waits.store(true, Relaxed);
                    polled
                })
                .await;
                has.store(true, Relaxed);
            }
        });
        let little = go({
            let semaphore = semaphore.clone();
            move || {
                let must_wait = waits.load(Relaxed);
                // (Others may come between, but only to wait sooner.)
                let _permit = semaphore.acquire(1);
                assert!(!must_wait || has.load(Relaxed));
            }
        });
        rendez::yield_now();
        drop(first);
        much.join().unwrap();
        little.join().unwrap();
        assert_eq!(semaphore.available(), 2);
    });
}

#[test]
fn small_ones_under_every_schedule() {
    let mutexes = exhaust(2, || {
        let (mutex, inside) = (Mutex::new(()), Inside::default());
        scope(|s| {
            s.go(|| {
                let _guard = mutex.lock();
                inside.stay(1);
            });
            s.go(|| {
                if let Some(_guard) = mutex.lock_timeout(SHORT) {
                    inside.stay(1);
                }
            });
        });
        assert!(mutex.try_lock().is_some());
    });
    let conditions = exhaust(2, || {
        let (ready, changed) = (Mutex::new(false), Cond::new());
        scope(|s| {
            for _ in 0..2 {
                s.go(|| changed.wait_while(&mut ready.lock(), |ready| !*ready));
            }
            *ready.lock() = true;
            changed.broadcast();
        });
    });
    assert!(mutexes > 10 && conditions > 10, "{mutexes}, {conditions}");
}
