//! What lies at workers that are kept, by one that runs on or by many.
#![cfg(not(loom))]

use crate::setup::{in_time, runtime};
use rendez::{Builder, JoinHandle, Placement, chan, go, go_async, time::Instant, yield_now};
use std::{
    hint,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

/// Starts it here.
pub(crate) fn near(f: impl FnOnce() + Send + 'static) {
    drop(Builder::new().placement(Placement::Near).spawn(f).unwrap());
}

/// Starts it where the fewest are.
pub(crate) fn spread<R: Send + 'static>(f: impl FnOnce() -> R + Send + 'static) -> JoinHandle<R> {
    Builder::new().placement(Placement::Spread).spawn(f).unwrap()
}

fn flag() -> (Arc<AtomicBool>, impl FnOnce() + Send) {
    let flag = Arc::new(AtomicBool::new(false));
    let set = flag.clone();
    (flag, move || set.store(true, Ordering::SeqCst))
}

/// Computes.
fn compute(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        hint::spin_loop();
    }
}

/// Starts goroutines that compute for so long, whenever there are fewer than `most` that have not begun, until `done`; never parks. How many have begun.
fn start_others(most: usize, time: Duration, done: &AtomicBool) -> usize {
    let (mut started, begun) = (0, Arc::new(AtomicUsize::new(0)));
    while !done.load(Ordering::SeqCst) {
        if started - begun.load(Ordering::SeqCst) < most {
            started += 1;
            let begun = begun.clone();
            go(move || {
                begun.fetch_add(1, Ordering::SeqCst);
                compute(time);
            });
        }
    }
    begun.load(Ordering::SeqCst)
}

#[test]
fn one_that_is_to_be_spread_starts_though_who_has_its_worker_starts_others_without_end() {
    in_time(|| {
        runtime(2).run(|| {
            let others = Duration::from_micros(100);
            // Some are there first, for whoever comes.
            (0..4096).for_each(|_| drop(go(move || compute(others))));
            // (No worker has anything that has parked, so it is put here.)
            let (begun, begin) = flag();
            let spread = Builder::new().placement(Placement::Spread).spawn(begin).unwrap();
            let before = start_others(4096, others, &begun);
            spread.join().unwrap();
            // In 20 ms it is some 200.
            assert!(before < 2000, "after {before} others");
        });
    });
}

#[test]
fn what_lies_at_one_worker_that_is_kept_is_taken_though_another_one_that_is_kept_always_has_some() {
    in_time(|| {
        runtime(3).run(|| {
            let here = Arc::new(AtomicUsize::new(0));
            let meet = move || {
                here.fetch_add(1, Ordering::SeqCst);
                while here.load(Ordering::SeqCst) < 2 {
                    hint::spin_loop();
                }
            };
            let (robbed, rob) = flag();
            let (begun, begin) = flag();
            let first = go({
                let (meet, begun) = (meet.clone(), begun.clone());
                move || {
                    meet();
                    go(rob);
                    start_others(12, Duration::from_millis(2), &begun)
                }
            });
            let second = go(move || {
                meet();
                while !robbed.load(Ordering::SeqCst) {
                    hint::spin_loop();
                }
                go(begin);
                while !begun.load(Ordering::SeqCst) {
                    hint::spin_loop();
                }
            });
            let before = first.join().unwrap();
            second.join().unwrap();
            // In 20 ms it is some ten, and a batch.
            assert!(before < 100, "after {before} others");
        });
    });
}

#[test]
fn those_that_are_to_be_spread_do_not_wait_for_many_long_bursts_while_another_worker_has_nothing_to_do() {
    in_time(|| {
        runtime(2).run(|| {
            let here = thread::current().id();
            // The other worker has many that wait.
            near(|| rendez::sleep(Duration::MAX));
            yield_now();
            let (ready, wait) = chan::bounded(0);
            while spread(|| thread::current().id()).join().unwrap() == here {
                yield_now();
            }
            spread(move || {
                (0..200).for_each(|_| near(|| rendez::sleep(Duration::MAX)));
                yield_now();
                ready.send(thread::current().id()).unwrap();
            });
            assert_ne!(wait.recv(), Ok(here));
            // This one has some that work for long at a time.
            let (bursts, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
            for _ in 0..20 {
                let (bursts, done) = (bursts.clone(), done.clone());
                near(move || {
                    rendez::sleep(Duration::from_millis(1));
                    while !done.load(Ordering::SeqCst) {
                        compute(Duration::from_millis(5));
                        bursts.fetch_add(1, Ordering::SeqCst);
                        yield_now();
                    }
                });
            }
            while bursts.load(Ordering::SeqCst) < 20 {
                yield_now();
            }
            let before = bursts.load(Ordering::SeqCst);
            let begun = Arc::new(AtomicUsize::new(0));
            for _ in 0..10 {
                let begun = begun.clone();
                spread(move || begun.fetch_add(1, Ordering::SeqCst));
            }
            while begun.load(Ordering::SeqCst) < 10 {
                yield_now();
            }
            let after = bursts.load(Ordering::SeqCst) - before;
            done.store(true, Ordering::SeqCst);
            // One is started here in the course of each 16 bursts. (And each time round this one has a turn too.)
            assert!(after < 80, "after {after} bursts");
        });
    });
}

/// The kernel takes a processor away for some milliseconds at a time; here a thread gives its own up.
#[test]
fn an_async_goroutine_behind_one_whose_thread_does_not_run_goes_on_elsewhere_soon() {
    in_time(|| {
        for workers in 2..5 {
            runtime(workers).run(|| {
                let wait = || {
                    let (wake, waits) = chan::bounded(1);
                    let (run, ran) = mpsc::channel();
                    // At any of the workers: what has stood still elsewhere before is not to count.
                    let other = spread(move || {
                        go_async(async move {
                            let woken: Instant = waits.recv_async().await.unwrap();
                            run.send(woken.elapsed()).unwrap();
                        });
                        // Until it waits.
                        (0..100).for_each(|_| yield_now());
                        wake.send(Instant::now()).unwrap();
                        ran.recv().unwrap()
                    });
                    other.join().unwrap()
                };
                let mut all: Vec<_> = (0..20).map(|_| wait()).collect();
                all.sort_unstable();
                // What is to stay where it starts is not taken before 20 ms.
                assert!(all[10] < Duration::from_millis(10), "{workers} workers: {all:?}");
            });
        }
    });
}
