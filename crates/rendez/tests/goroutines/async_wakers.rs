//! The wakers of async goroutines: no wake-up is lost, wherever it comes from, and a waker may outlive everything.
#![allow(clippy::waker_clone_wake, reason = "each way of waking is tried")]
#![cfg(not(loom))]

use crate::worlds::Watchdog;
use rendez::{JoinHandle, Runtime, go_async};
use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    thread,
};

fn runtime(workers: usize) -> Runtime {
    Runtime::builder().workers(workers).build().unwrap()
}

/// A task that counts events, and what others see of it.
#[derive(Default)]
struct Counter {
    events: AtomicUsize,
    seen: AtomicUsize,
    polls: AtomicUsize,
    drops: AtomicUsize,
    polled_now: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

/// Ends at `last` events.
struct Counting {
    shared: Arc<Counter>,
    last: usize,
}

impl Future for Counting {
    type Output = usize;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<usize> {
        let shared = &self.shared;
        assert!(!shared.polled_now.swap(true, Ordering::Relaxed), "polled from two sides");
        shared.polls.fetch_add(1, Ordering::Relaxed);
        {
            let mut waker = shared.waker.lock().unwrap();
            if let Some(before) = &*waker {
                assert!(before.will_wake(cx.waker()), "a task's wakers are all the same");
            }
            *waker = Some(cx.waker().clone());
        }
        // Whoever comes after this look has a waker to call.
        let seen = shared.events.load(Ordering::Relaxed);
        shared.seen.store(seen, Ordering::Release);
        shared.polled_now.store(false, Ordering::Relaxed);
        if seen >= self.last { Poll::Ready(seen) } else { Poll::Pending }
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        assert_eq!(self.shared.drops.fetch_add(1, Ordering::SeqCst), 0);
    }
}

fn start(runtime: &Runtime, last: usize) -> (Arc<Counter>, Waker, JoinHandle<usize>) {
    let shared = Arc::<Counter>::default();
    let future = Counting { shared: shared.clone(), last };
    let handle = runtime.run(|| go_async(future));
    let waker = loop {
        if let Some(waker) = shared.waker.lock().unwrap().clone() {
            break waker;
        }
        thread::yield_now();
    };
    (shared, waker, handle)
}

#[test]
fn a_storm_of_wake_ups_from_threads_loses_none() {
    const TASKS: usize = 8;
    const THREADS: usize = 3;
    const WAKES: usize = 2000;
    for workers in [1, 2, 8] {
        let _watchdog = Watchdog::new(format!("{workers} workers"));
        let runtime = runtime(workers);
        let tasks: Vec<_> = (0..TASKS).map(|_| start(&runtime, THREADS * WAKES)).collect();
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let tasks = &tasks;
                scope.spawn(move || {
                    for wake in 0..WAKES {
                        for (shared, waker, _) in tasks {
                            shared.events.fetch_add(1, Ordering::Relaxed);
                            match (wake + thread) % 3 {
                                0 => waker.wake_by_ref(),
                                1 => waker.clone().wake(),
                                _ => waker.clone().wake_by_ref(),
                            }
                        }
                    }
                });
            }
        });
        for (shared, waker, handle) in tasks {
            assert_eq!(handle.join().unwrap(), THREADS * WAKES);
            let polls = shared.polls.load(Ordering::Relaxed);
            assert!(polls <= THREADS * WAKES + 1, "{polls} polls for {} wake-ups", THREADS * WAKES);
            // Afterwards it is never polled again.
            waker.wake();
            assert_eq!(shared.polls.load(Ordering::Relaxed), polls);
        }
    }
}

#[test]
fn every_single_wake_up_from_a_thread_is_followed_by_a_poll() {
    for workers in [1, 2, 8] {
        let _watchdog = Watchdog::new(format!("{workers} workers"));
        let runtime = runtime(workers);
        thread::scope(|scope| {
            for _ in 0..3 {
                let (shared, waker, handle) = start(&runtime, 1000);
                scope.spawn(move || {
                    for event in 1..=1000 {
                        shared.events.store(event, Ordering::Relaxed);
                        waker.wake_by_ref();
                        while shared.seen.load(Ordering::Acquire) < event {
                            thread::yield_now();
                        }
                    }
                    assert_eq!(handle.join().unwrap(), 1000);
                });
            }
        });
    }
}

#[test]
fn wake_ups_from_goroutines_of_the_same_and_of_another_runtime_are_not_lost() {
    let _watchdog = Watchdog::new("two runtimes".to_string());
    let (here, there) = (runtime(2), runtime(2));
    let (shared, waker, handle) = start(&here, 2000);
    let wakers = [&here, &there].map(|runtime| {
        let (shared, waker) = (shared.clone(), waker.clone());
        runtime.spawn(move || {
            for _ in 0..1000 {
                shared.events.fetch_add(1, Ordering::Relaxed);
                waker.wake_by_ref();
                rendez::yield_now();
            }
        })
    });
    assert_eq!(handle.join().unwrap(), 2000);
    wakers.into_iter().for_each(|waker| waker.join().unwrap());
}

#[test]
fn a_waker_may_be_kept_cloned_called_and_dropped_after_the_task_and_the_runtime_have_ended() {
    let _watchdog = Watchdog::new("late wakers".to_string());
    let runtime = runtime(2);
    let (ended, late, handle) = start(&runtime, 1);
    ended.events.store(1, Ordering::Relaxed);
    late.wake_by_ref();
    assert_eq!(handle.join().unwrap(), 1);
    // The future has gone though its wakers have not.
    assert_eq!(ended.drops.load(Ordering::SeqCst), 1);
    late.clone().wake();
    let (cut_off, later, handle) = start(&runtime, usize::MAX);
    drop(runtime);
    assert_eq!(cut_off.drops.load(Ordering::SeqCst), 1);
    let wakers = [late, later];
    thread::scope(|scope| {
        for waker in &wakers {
            for _ in 0..2 {
                scope.spawn(move || {
                    let clones: Vec<Waker> = (0..100).map(|_| waker.clone()).collect();
                    waker.wake_by_ref();
                    for (i, clone) in clones.into_iter().enumerate() {
                        if i % 2 == 0 { clone.wake() } else { drop(clone) }
                    }
                });
            }
        }
    });
    assert!(handle.join().unwrap_err().is_cancelled());
    for (shared, waker) in [ended, cut_off].into_iter().zip(wakers) {
        let polls = shared.polls.load(Ordering::Relaxed);
        *shared.waker.lock().unwrap() = None;
        waker.wake();
        assert_eq!(shared.polls.load(Ordering::Relaxed), polls);
    }
}

#[test]
fn a_shutdown_in_a_storm_of_wake_ups_drops_every_future_once() {
    for round in 0..60 {
        let _watchdog = Watchdog::new(format!("round {round}"));
        let runtime = runtime([1, 2, 8][round % 3]);
        let tasks: Vec<_> = (0..20).map(|_| start(&runtime, usize::MAX)).collect();
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        tasks.iter().for_each(|(_, waker, _)| waker.wake_by_ref());
                    }
                });
            }
            runtime.shutdown();
            for (shared, ..) in &tasks {
                assert_eq!(shared.drops.load(Ordering::SeqCst), 1);
            }
            stop.store(true, Ordering::Relaxed);
        });
        for (_, _, handle) in tasks {
            assert!(handle.join().unwrap_err().is_cancelled());
        }
        let late = Arc::<Counter>::default();
        let future = Counting { shared: late.clone(), last: 0 };
        let attempt = catch_unwind(AssertUnwindSafe(|| runtime.run(|| go_async(future))));
        assert!(attempt.is_err());
        assert_eq!((late.polls.load(Ordering::Relaxed), late.drops.load(Ordering::SeqCst)), (0, 1));
    }
}

#[test]
fn tasks_started_while_the_runtime_shuts_down_are_dropped_once_or_run() {
    for round in 0..100 {
        let _watchdog = Watchdog::new(format!("round {round}"));
        let runtime = runtime(1 + round % 2);
        let counters: Vec<_> = (0..50).map(|_| Arc::<Counter>::default()).collect();
        let handles = {
            let counters = counters.clone();
            runtime.run(|| {
                let spawner = rendez::go(move || {
                    let start = |(i, shared): (usize, &Arc<Counter>)| {
                        // Ready at once, and never, by turns.
                        go_async(Counting { shared: shared.clone(), last: i % 2 * usize::MAX })
                    };
                    counters.iter().enumerate().map(start).collect::<Vec<_>>()
                });
                // Sometimes it has begun by then.
                (0..round % 5).for_each(|_| rendez::yield_now());
                spawner
            })
        };
        runtime.shutdown();
        let started = handles.join();
        let expected = usize::from(started.is_ok());
        for shared in &counters {
            assert_eq!(shared.drops.load(Ordering::SeqCst), expected);
        }
        for handle in started.into_iter().flatten() {
            assert!(handle.is_finished());
            drop(handle.join());
        }
    }
}
