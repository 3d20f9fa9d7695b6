//! `blocking`: calls that block their thread, while the worker goes on.
#![cfg(not(loom))]

use crate::setup::{Drops, OnDrop, in_time, runtime, text};
use rendez::{Runtime, blocking, chan, go, go_async};
use std::{
    panic::catch_unwind,
    sync::{
        Barrier,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

#[test]
fn what_it_borrows_it_may_change_and_its_result_comes_back() {
    in_time(|| {
        runtime(1).run(|| {
            let (mut text, word) = (String::from("a"), String::from("b"));
            let len = blocking(|| {
                text.push_str(&word);
                text.len()
            });
            assert_eq!((len, text.as_str()), (2, "ab"));
        });
    });
}

#[test]
fn the_worker_goes_on_with_others_meanwhile() {
    in_time(|| {
        runtime(1).run(|| {
            let meet = &Barrier::new(3);
            // All three have to be in it at the same time: this one, and a goroutine and an async one of the same worker.
            rendez::scope(|s| {
                s.go(|| blocking(|| meet.wait()));
                let (tx, rx) = chan::bounded(1);
                go_async(async move {
                    blocking(|| tx.send(()).unwrap());
                });
                rx.recv().unwrap();
                s.go(|| blocking(|| meet.wait()));
                blocking(|| meet.wait());
            });
        });
    });
}

#[test]
fn outside_of_goroutines_it_is_a_plain_call() {
    let here = thread::current().id();
    assert_eq!(blocking(|| thread::current().id()), here);
    in_time(|| {
        runtime(1).run(|| {
            let worker = thread::current().id();
            assert_ne!(blocking(|| thread::current().id()), worker);
            assert_eq!(thread::current().id(), worker);
        });
    });
}

#[test]
fn its_panic_is_the_caller_s() {
    in_time(|| {
        runtime(1).run(|| {
            let payload = catch_unwind(|| blocking(|| -> u8 { panic!("number {}", 7) })).unwrap_err();
            assert_eq!(text(payload), "number 7");
            // And a payload of any type.
            let payload = catch_unwind(|| blocking(|| std::panic::panic_any(5_u16))).unwrap_err();
            assert_eq!(*payload.downcast::<u16>().unwrap(), 5);
        });
    });
}

#[test]
fn a_shutdown_waits_for_the_call_which_borrows_and_then_unwinds() {
    in_time(|| {
        for seconds in [0, 3] {
            let (begun, begins) = std::sync::mpsc::channel();
            let (done, went_on) = (std::sync::Arc::new(AtomicBool::new(false)), Drops::default());
            let runtime = runtime(2);
            runtime.spawn({
                let (done, token) = (done.clone(), went_on.token());
                move || {
                    let _token = token;
                    let frame = AtomicUsize::new(0);
                    blocking(|| {
                        begun.send(()).unwrap();
                        // Longer than a shutdown has patience with what never ends.
                        thread::sleep(Duration::from_secs(seconds) + Duration::from_millis(30));
                        frame.store(1, Ordering::SeqCst);
                    });
                    done.store(frame.load(Ordering::SeqCst) == 1, Ordering::SeqCst);
                    rendez::yield_now();
                    unreachable!("the runtime has been shut down");
                }
            });
            begins.recv().unwrap();
            runtime.shutdown();
            assert!(done.load(Ordering::SeqCst), "the shutdown did not wait");
            assert_eq!(went_on.count(), 1);
        }
    });
}

#[test]
fn a_destructor_may_call_it_while_its_goroutine_is_unwound() {
    in_time(|| {
        let (tx, rx) = std::sync::mpsc::channel();
        let runtime = runtime(1);
        runtime.spawn(move || {
            let _last = OnDrop(move || {
                let mut frame = 1;
                blocking(|| {
                    thread::sleep(Duration::from_millis(5));
                    frame += 1;
                });
                tx.send(frame).unwrap();
            });
            let (_tx, never) = chan::bounded::<()>(0);
            let _ = never.recv();
        });
        thread::sleep(Duration::from_millis(5));
        drop(runtime);
        assert_eq!(rx.recv().unwrap(), 2);
    });
}

#[test]
fn more_calls_than_there_may_be_threads_are_all_made() {
    in_time(|| {
        runtime(2).run(|| {
            let count = AtomicUsize::new(0);
            let most = AtomicUsize::new(0);
            let at_once = AtomicUsize::new(0);
            rendez::scope(|s| {
                for _ in 0..1500 {
                    s.go(|| {
                        blocking(|| {
                            most.fetch_max(at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                            thread::sleep(Duration::from_millis(10));
                            at_once.fetch_sub(1, Ordering::SeqCst);
                            count.fetch_add(1, Ordering::SeqCst);
                        });
                    });
                }
            });
            assert_eq!(count.into_inner(), 1500);
            let most = most.into_inner();
            assert!((2..=512).contains(&most), "{most}");
        });
    });
}

#[cfg(feature = "testing")]
#[test]
fn the_clock_of_a_test_stands_during_a_call() {
    in_time(|| {
        let start = std::time::Instant::now();
        rendez::testing::virtual_time(|| {
            let begin = rendez::time::Instant::now();
            let sleeper = go(|| rendez::sleep(Duration::from_secs(3600)));
            let passed = blocking(|| {
                thread::sleep(Duration::from_millis(30));
                1
            });
            assert_eq!((passed, begin.elapsed()), (1, Duration::ZERO));
            sleeper.join().unwrap();
            assert_eq!(begin.elapsed(), Duration::from_secs(3600));
        });
        assert!(start.elapsed() < Duration::from_secs(20));
    });
}

#[test]
fn a_call_may_start_goroutines_and_runtimes_of_its_own() {
    in_time(|| {
        runtime(1).run(|| {
            let sum = blocking(|| {
                let inner = Runtime::builder().workers(1).build().unwrap();
                go(|| 1).join().unwrap() + inner.run(|| go(|| 2).join().unwrap())
            });
            assert_eq!(sum, 3);
        });
    });
}
