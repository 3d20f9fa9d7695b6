//! `Cond`: Go's rules, from every world.

use crate::{
    setup::{Drops, in_time, runtime, wait_until},
    worlds::{Wakes, in_every_world, on_one_worker, poll_once, poll_with},
};
use rendez::{
    chan, go,
    sync::{Cond, Mutex},
    time::Instant,
};
use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

type Waiting<'a> = (Pin<Box<rendez::sync::CondFuture<'a, i32>>>, Arc<Wakes>);

/// Futures that wait, in order, each with its waker.
fn waiting<'a>(mutex: &'a Mutex<i32>, cond: &'a Cond, number: usize) -> Vec<Waiting<'a>> {
    (0..number)
        .map(|_| {
            let (wakes, waker) = Wakes::new();
            let mut future =
                Box::pin(cond.wait_async(mutex.try_lock().expect("those who wait have left it")));
            assert!(poll_with(future.as_mut(), &waker).is_none());
            (future, wakes)
        })
        .collect()
}

#[test]
fn a_signal_goes_to_the_one_that_has_waited_longest() {
    let (mutex, cond) = (Mutex::new(0), Cond::new());
    let mut waiting = waiting(&mutex, &cond, 5);
    for next in 0..5 {
        cond.signal();
        let woken: Vec<_> = waiting.iter().map(|(_, wakes)| wakes.count()).collect();
        assert!((0..5).all(|i| woken[i] == usize::from(i <= next)), "{woken:?}");
    }
    for (future, _) in &mut waiting {
        assert!(poll_once(future.as_mut()).is_some());
    }
    cond.signal();
}

#[test]
fn a_broadcast_goes_to_all_that_wait_and_to_nobody_later() {
    let (mutex, cond) = (Mutex::new(0), Cond::new());
    let mut early = waiting(&mutex, &cond, 100);
    cond.broadcast();
    let late = waiting(&mutex, &cond, 1);
    for (future, wakes) in &mut early {
        assert_eq!(wakes.count(), 1);
        assert!(poll_once(future.as_mut()).is_some());
    }
    assert_eq!(late[0].1.count(), 0);
}

#[test]
fn a_signal_is_not_kept_for_later() {
    crate::setup::in_worlds_of_time(|clock| {
        let (mutex, cond) = (Mutex::new(0), Cond::new());
        cond.signal();
        cond.broadcast();
        let mut guard = mutex.lock();
        let start = Instant::now();
        assert!(!cond.wait_timeout(&mut guard, Duration::from_millis(2)));
        assert!(!cond.wait_timeout(&mut guard, Duration::ZERO));
        clock.has_passed(start, Duration::from_millis(2));
        assert!(mutex.try_lock().is_none(), "it has been taken again");
        drop(guard);
        assert!(mutex.try_lock().is_some());
    });
}

#[test]
fn a_queue_never_holds_more_than_two() {
    const ITEMS: usize = 100;
    in_every_world(|crew| {
        let shared = Arc::new((Mutex::new(VecDeque::new()), Cond::new()));
        let producers: Vec<_> = (0..3)
            .map(|_| {
                let shared = shared.clone();
                crew.start(move |ops| async move {
                    let (queue, changed) = &*shared;
                    for item in 0..ITEMS {
                        let mut queue = ops.lock(queue).await;
                        while queue.len() == 2 {
                            queue = ops.wait_for_signal(changed, queue).await;
                        }
                        queue.push_back(item);
                        drop(queue);
                        changed.broadcast();
                    }
                })
            })
            .collect();
        let consumers: Vec<_> = (0..3)
            .map(|_| {
                let shared = shared.clone();
                crew.start(move |ops| async move {
                    let (queue, changed) = &*shared;
                    let mut sum = 0;
                    for _ in 0..ITEMS {
                        let mut queue = ops.lock(queue).await;
                        while queue.is_empty() {
                            queue = ops.wait_for_signal(changed, queue).await;
                        }
                        assert!(queue.len() <= 2);
                        sum += queue.pop_front().expect("it is not empty");
                        drop(queue);
                        changed.broadcast();
                    }
                    sum
                })
            })
            .collect();
        producers.into_iter().for_each(|producer| producer.join());
        let sum: usize = consumers.into_iter().map(|consumer| consumer.join()).sum();
        assert_eq!(sum, 3 * (0..ITEMS).sum::<usize>());
    });
}

/// As many go on as there were signals, though signals come without the mutex and some waits end by themselves.
#[test]
fn nobody_goes_on_without_a_signal_and_no_signal_is_lost() {
    const WAITS: usize = 200;
    #[derive(Default)]
    struct Counts {
        /// Of the patient one: how often it has begun to wait, and has gone on.
        begun: usize,
        ended: usize,
        /// Signals that somebody has got.
        got: usize,
    }
    in_every_world(|crew| {
        let shared = Arc::new((Mutex::new(Counts::default()), Cond::new()));
        let impatient = crew.start({
            let shared = shared.clone();
            move |_| async move {
                let (mutex, cond) = &*shared;
                for _ in 0..WAITS {
                    let mut counts = mutex.lock();
                    if cond.wait_timeout(&mut counts, Duration::from_micros(20)) {
                        counts.got += 1;
                    }
                }
            }
        });
        let patient = crew.start({
            let shared = shared.clone();
            move |ops| async move {
                let (mutex, cond) = &*shared;
                for _ in 0..WAITS {
                    let mut counts = ops.lock(mutex).await;
                    counts.begun += 1;
                    let mut counts = ops.wait_for_signal(cond, counts).await;
                    counts.ended += 1;
                    counts.got += 1;
                }
            }
        });
        let (mutex, cond) = &*shared;
        let mut given = 0;
        loop {
            let counts = mutex.lock();
            assert!(counts.got <= given, "somebody went on without a signal");
            if counts.ended == WAITS {
                break;
            }
            // The patient one waits, so there is somebody for it; the next one comes when it has been got.
            if counts.begun > counts.ended && counts.got == given {
                given += 1;
                cond.signal();
            }
            drop(counts);
            rendez::yield_now();
        }
        patient.join();
        impatient.join();
        assert_eq!(mutex.try_lock().expect("it is free").got, given);
    });
}

#[test]
fn waiting_while_looks_before_it_waits_and_after_each_signal() {
    on_one_worker(|| {
        let shared = Arc::new((Mutex::new(0), Cond::new()));
        shared.1.wait_while(&mut shared.0.lock(), |value| *value != 0);
        let looks = Arc::new(AtomicUsize::new(0));
        let waits = go({
            let (shared, looks) = (shared.clone(), looks.clone());
            move || {
                let mut guard = shared.0.lock();
                shared.1.wait_while(&mut guard, |value| {
                    looks.fetch_add(1, Ordering::Relaxed);
                    *value < 3
                });
                *guard
            }
        });
        crate::worlds::until(|| looks.load(Ordering::Relaxed) == 1);
        for value in 1..=3 {
            *shared.0.lock() = value;
            shared.1.signal();
            crate::worlds::until(|| looks.load(Ordering::Relaxed) == value as usize + 1);
        }
        assert_eq!(waits.join().unwrap(), 3);
    });
}

#[test]
fn a_wait_with_a_limit_ends_by_the_first_of_signal_and_limit() {
    crate::setup::in_worlds_of_time(|clock| {
        let shared = Arc::new((Mutex::new(false), Cond::new()));
        let start = Instant::now();
        assert!(!shared.1.wait_timeout(&mut shared.0.lock(), Duration::from_millis(5)));
        clock.has_passed(start, Duration::from_millis(5));
        let signals = go({
            let shared = shared.clone();
            move || {
                *shared.0.lock() = true;
                shared.1.signal();
            }
        });
        let mut guard = shared.0.lock();
        while !*guard {
            assert!(shared.1.wait_timeout(&mut guard, Duration::from_secs(60)));
        }
        drop(guard);
        signals.join().unwrap();
        if clock.is_virtual() {
            assert_eq!(start.elapsed(), Duration::from_millis(5));
        }
    });
}

#[test]
fn a_signal_given_to_a_future_that_is_dropped_goes_to_the_next() {
    let (mutex, cond) = (Mutex::new(0), Cond::new());
    let mut futures = waiting(&mutex, &cond, 4);
    // Signalled, and not polled since.
    cond.signal();
    drop(futures.remove(0));
    assert_eq!(futures[0].1.count(), 1);
    // Signalled, and on its way to the mutex.
    let guard = mutex.lock();
    assert!(poll_once(futures[0].0.as_mut()).is_none());
    drop(futures.remove(0));
    assert_eq!(futures[0].1.count(), 1);
    drop(guard);
    assert!(poll_once(futures[0].0.as_mut()).is_some());
    // Not signalled: nothing to pass on.
    let last = futures.pop().unwrap();
    assert_eq!(last.1.count(), 0);
    drop(last);
    assert!(mutex.try_lock().is_some());
}

#[test]
fn a_broadcast_given_to_a_future_that_is_dropped_is_for_nobody_who_came_later() {
    let (mutex, cond) = (Mutex::new(0), Cond::new());
    let mut futures = waiting(&mutex, &cond, 2);
    cond.broadcast();
    let late = waiting(&mutex, &cond, 1);
    // Told, and not polled since.
    drop(futures.pop());
    assert_eq!(late[0].1.count(), 0);
    // Told, and on its way to the mutex.
    let _guard = mutex.lock();
    assert!(poll_once(futures[0].0.as_mut()).is_none());
    drop(futures);
    assert_eq!(late[0].1.count(), 0);
}

#[test]
fn a_signal_given_to_one_that_a_shutdown_unwinds_on_its_way_to_the_mutex_goes_to_the_next() {
    in_time(|| {
        loop {
            let shared = Arc::new((Mutex::new(0), Cond::new()));
            let runtime = runtime(1);
            let (tx, rx) = chan::bounded(0);
            let unwound = runtime.spawn({
                let shared = shared.clone();
                move || {
                    let mut guard = shared.0.lock();
                    tx.send(()).unwrap();
                    shared.1.wait(&mut guard);
                }
            });
            rx.recv().unwrap();
            drop(shared.0.lock());
            let mut next = waiting(&shared.0, &shared.1, 1);
            let guard = shared.0.lock();
            shared.1.signal();
            let ends = thread::spawn(move || runtime.shutdown());
            // It may be unwound before it has come to the mutex, or while it waits there.
            thread::sleep(Duration::from_millis(5));
            drop(guard);
            ends.join().unwrap();
            let Err(unwound) = unwound.join() else {
                // On a slow machine it has got the mutex before the shutdown came to it: once more.
                assert_eq!(next[0].1.count(), 0, "it was the other's signal");
                continue;
            };
            assert!(unwound.is_cancelled());
            assert_eq!(next[0].1.count(), 1, "the signal was lost with it");
            assert!(poll_once(next[0].0.as_mut()).is_some());
            break;
        }
    });
}

#[test]
fn a_future_that_is_never_polled_just_unlocks() {
    let (mutex, cond) = (Mutex::new(0), Cond::new());
    let future = cond.wait_async(mutex.lock());
    assert!(mutex.try_lock().is_none(), "it leaves the mutex when it is polled");
    drop(future);
    assert!(mutex.try_lock().is_some());
    assert!(format!("{cond:?}").contains("awaited: false"));
}

#[test]
fn a_future_panics_if_it_is_polled_after_it_was_ready() {
    let (mutex, cond) = (Mutex::new(0), Cond::new());
    let mut futures = waiting(&mutex, &cond, 1);
    cond.broadcast();
    assert!(poll_once(futures[0].0.as_mut()).is_some());
    assert!(catch_unwind(AssertUnwindSafe(|| drop(poll_once(futures[0].0.as_mut())))).is_err());
}

#[test]
fn a_panic_in_the_condition_unlocks_the_mutex() {
    crate::setup::in_every_world(|| {
        let (mutex, cond) = (Mutex::new(0), Cond::new());
        let wait = || cond.wait_while(&mut mutex.lock(), |_| resume_unwind(Box::new(())));
        assert!(catch_unwind(AssertUnwindSafe(wait)).is_err());
        assert!(mutex.try_lock().is_some());
    });
}

/// Whoever catches the unwinding still has the guard: it must be true.
#[test]
fn a_wait_that_a_shutdown_unwinds_has_the_mutex_again() {
    for workers in [1, 2, 8] {
        in_time(move || {
            let shared = Arc::new((Mutex::new(0), Cond::new()));
            let (drops, held) = (Drops::default(), Arc::new(AtomicUsize::new(0)));
            let here = Arc::new(AtomicUsize::new(0));
            let runtime = runtime(workers);
            for _ in 0..10 {
                let (shared, token, held, here) = (shared.clone(), drops.token(), held.clone(), here.clone());
                runtime.spawn(move || {
                    let _token = token;
                    let mut guard = shared.0.lock();
                    here.fetch_add(1, Ordering::SeqCst);
                    let end = catch_unwind(AssertUnwindSafe(|| shared.1.wait(&mut guard)));
                    assert!(shared.0.try_lock().is_none(), "this is the one that holds it");
                    *guard += 1;
                    held.fetch_add(1, Ordering::SeqCst);
                    resume_unwind(end.expect_err("nobody signals"));
                });
            }
            wait_until(|| here.load(Ordering::SeqCst) == 10);
            runtime.shutdown();
            assert_eq!((drops.count(), held.load(Ordering::SeqCst)), (10, 10));
            assert_eq!(*shared.0.try_lock().expect("it is free"), 10);
            shared.1.signal();
        });
    }
}

/// The signal comes, but the mutex does not, before the shutdown does.
#[test]
fn a_shutdown_while_a_signalled_one_waits_for_the_mutex() {
    in_time(|| {
        let shared = Arc::new((Mutex::new(0), Cond::new()));
        let runtime = runtime(2);
        let here = Arc::new(AtomicUsize::new(0));
        for _ in 0..4 {
            let (shared, here) = (shared.clone(), here.clone());
            runtime.spawn(move || {
                let mut guard = shared.0.lock();
                here.fetch_add(1, Ordering::SeqCst);
                shared.1.wait(&mut guard);
                *guard += 1;
            });
        }
        wait_until(|| here.load(Ordering::SeqCst) == 4 && shared.0.try_lock().is_some());
        let guard = shared.0.lock();
        shared.1.broadcast();
        let ends = thread::spawn(move || runtime.shutdown());
        thread::sleep(Duration::from_millis(5));
        drop(guard);
        ends.join().unwrap();
        assert!(shared.0.try_lock().is_some());
    });
}

#[test]
fn signals_need_not_hold_the_mutex() {
    in_every_world(|crew| {
        let shared = Arc::new((Mutex::new(0), Cond::new()));
        let (done, ended) = chan::bounded(1);
        let waits = crew.start({
            let shared = shared.clone();
            move |ops| async move {
                let guard = ops.lock(&shared.0).await;
                drop(ops.wait_for_signal(&shared.1, guard).await);
                ops.send(&done, ()).await.unwrap();
            }
        });
        while ended.try_recv().is_err() {
            shared.1.signal();
            rendez::yield_now();
        }
        waits.join();
    });
}
