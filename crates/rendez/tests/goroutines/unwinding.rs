//! How a shutdown unwinds: destructors that wait meanwhile, and user code that catches the unwinding.
#![cfg(not(loom))]

use crate::setup::{Drops, OnDrop, in_time, runtime, text};
use rendez::{JoinHandle, chan, go, go_async, scope, yield_now};
use std::{
    cell::RefCell,
    panic::{AssertUnwindSafe, catch_unwind, panic_any},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

// ---- destructors that wait ----

#[test]
fn a_destructor_may_wait_while_its_goroutine_is_unwound() {
    in_time(|| {
        for workers in [1, 2] {
            let runtime = runtime(workers);
            let ((ready, wait), (ask, asked), (answer, answers)) =
                (chan::bounded(0), chan::bounded(0), chan::bounded(0));
            let helper = thread::spawn(move || {
                let question: u32 = asked.recv().unwrap();
                answer.send(question + 1).unwrap();
            });
            let got = Arc::new(AtomicUsize::new(0));
            let theirs = got.clone();
            runtime.spawn(move || {
                let _asks = OnDrop(move || {
                    rendez::sleep(Duration::from_millis(5));
                    ask.send(41).unwrap();
                    let value = answers.recv().unwrap();
                    theirs.store(value as usize, Ordering::SeqCst);
                });
                ready.send(()).unwrap();
                rendez::sleep(Duration::MAX);
            });
            wait.recv().unwrap();
            runtime.shutdown();
            assert_eq!(got.load(Ordering::SeqCst), 42);
            helper.join().unwrap();
        }
    });
}

#[test]
fn goroutines_that_share_a_worker_with_a_destructor_that_waits_for_them_are_ended_too() {
    in_time(|| {
        let others: &[fn()] = &[
            || {
                loop {
                    yield_now();
                }
            },
            || rendez::sleep(Duration::MAX),
            || {
                // Caught once: it is to be ended at the next wait.
                let _ = catch_unwind(|| rendez::sleep(Duration::MAX));
                rendez::sleep(Duration::MAX);
            },
            || {
                scope(|s| {
                    s.go(|| rendez::sleep(Duration::MAX));
                })
            },
            || {
                let (tx, rx) = chan::bounded(1);
                loop {
                    tx.send(()).unwrap();
                    rx.recv().unwrap();
                }
            },
        ];
        for (i, &other) in others.iter().enumerate() {
            let runtime = runtime(1);
            let drops = Drops::default();
            let (ready, wait) = chan::bounded(0);
            let token = drops.token();
            let theirs = ready.clone();
            let other = runtime.spawn(move || {
                let _token = token;
                theirs.send(()).unwrap();
                other();
            });
            wait.recv().unwrap();
            let (tx, rx) = chan::bounded(1);
            let mut other = Some(other);
            runtime.spawn(move || {
                let _joins = OnDrop(move || {
                    let other = other.take().unwrap();
                    tx.send(other.join().unwrap_err().is_cancelled()).unwrap();
                });
                ready.send(()).unwrap();
                rendez::sleep(Duration::MAX);
            });
            wait.recv().unwrap();
            runtime.shutdown();
            assert_eq!(rx.try_recv(), Ok(true), "case {i}: it was left behind");
            assert_eq!(drops.count(), 1, "case {i}");
        }
    });
}

#[test]
fn a_user_panic_whose_destructor_waits_is_not_interrupted_by_a_shutdown() {
    in_time(|| {
        let runtime = runtime(1);
        let ((ready, wait), (tx, rx)) = (chan::bounded(0), chan::bounded(0));
        let (told, tell) = chan::bounded(1);
        let theirs = ready.clone();
        let panics = runtime.spawn(move || {
            let _waits = OnDrop(move || {
                theirs.send(()).unwrap();
                told.send(rx.recv()).unwrap();
            });
            panic_any("user");
        });
        wait.recv().unwrap();
        // A second one on the same worker is ended as usual.
        let sleeper = runtime.spawn(move || {
            ready.send(()).unwrap();
            rendez::sleep(Duration::MAX);
        });
        wait.recv().unwrap();
        let helper = thread::spawn(move || {
            assert!(sleeper.join().unwrap_err().is_cancelled());
            tx.send(7).unwrap();
        });
        runtime.shutdown();
        helper.join().unwrap();
        assert_eq!(tell.recv(), Ok(Ok(7)));
        assert_eq!(text(panics.join().unwrap_err().into_panic()), "user");
    });
}

/// How many wait while they unwind is counted, and who does is noted at its stack: others come after it, there too.
#[test]
fn who_waited_while_it_unwound_leaves_nothing_behind_for_which_others_are_taken_for_what_they_are_not() {
    in_time(|| {
        let runtime = runtime(1);
        let (ready, wait) = chan::bounded(0);
        let ((panic, panics), (sleeper, sleepers)) = (chan::bounded(0), chan::bounded::<JoinHandle<()>>(0));
        let (told, tell) = chan::bounded(1);
        // It has its stack before the others.
        let theirs = ready.clone();
        let unwinds = runtime.spawn(move || {
            let theirs_too = theirs.clone();
            let _waits = OnDrop(move || {
                theirs_too.send(()).unwrap();
                // If it is interrupted it must not be in the midst of a destructor.
                let ended = catch_unwind(AssertUnwindSafe(|| sleepers.recv().unwrap().join()));
                told.send(ended.map(|ended| ended.unwrap_err().is_cancelled()).ok()).unwrap();
            });
            theirs.send(()).unwrap();
            panics.recv().unwrap();
            panic_any("second");
        });
        wait.recv().unwrap();
        // One waits while it unwinds, and ends.
        let first = runtime.spawn(|| {
            let _waits = OnDrop(yield_now);
            panic_any("first");
        });
        assert_eq!(text(first.join().unwrap_err().into_panic()), "first");
        // The next one who does is taken for that: a shutdown does not interrupt it.
        panic.send(()).unwrap();
        wait.recv().unwrap();
        // Who goes on where the first one was, meanwhile, does not unwind: the shutdown ends it.
        let drops = Drops::default();
        let token = drops.token();
        let sleeps = runtime.spawn(move || {
            let _token = token;
            ready.send(()).unwrap();
            rendez::sleep(Duration::MAX);
        });
        wait.recv().unwrap();
        sleeper.send(sleeps).unwrap();
        runtime.shutdown();
        assert_eq!(tell.try_recv(), Ok(Some(true)), "it was interrupted");
        assert_eq!(drops.count(), 1, "the other one was left behind");
        assert_eq!(text(unwinds.join().unwrap_err().into_panic()), "second");
    });
}

#[test]
fn who_has_caught_a_panic_and_waited_before_that_is_ended_as_ever() {
    in_time(|| {
        let runtime = runtime(1);
        let (ready, wait) = mpsc::channel();
        let drops = Drops::default();
        let token = drops.token();
        let catches = runtime.spawn(move || {
            let _token = token;
            let caught = catch_unwind(|| {
                let _waits = OnDrop(yield_now);
                panic_any("user");
            });
            assert!(caught.is_err());
            ready.send(()).unwrap();
            rendez::sleep(Duration::MAX);
        });
        wait.recv().unwrap();
        // The worker comes to this when that one has parked.
        runtime.run(|| ());
        runtime.shutdown();
        assert_eq!(drops.count(), 1, "it was left behind");
        assert!(catches.join().unwrap_err().is_cancelled());
    });
}

#[test]
fn a_destructor_that_unwinds_and_catches_what_its_run_says_may_still_wait() {
    in_time(|| {
        let (runtime, inner) = (runtime(1), Arc::new(runtime(1)));
        let ((ready, wait), (running, runs), (told, tell)) =
            (chan::bounded(0), chan::bounded(0), chan::bounded(1));
        let (done, until_done) = chan::bounded::<()>(0);
        // While this one is in its destructor, the worker goes by what the other is known to do.
        let first = ready.clone();
        runtime.spawn(move || {
            let _waits = OnDrop(move || _ = until_done.recv());
            first.send(()).unwrap();
            rendez::sleep(Duration::MAX);
        });
        wait.recv().unwrap();
        let theirs = inner.clone();
        let second = runtime.spawn(move || {
            let mut done = Some(done);
            let _runs = OnDrop(move || {
                let cut_short = catch_unwind(AssertUnwindSafe(|| {
                    theirs.run(|| {
                        running.send(()).unwrap();
                        rendez::sleep(Duration::MAX);
                    });
                }));
                rendez::sleep(Duration::from_millis(1));
                told.send(text(cut_short.unwrap_err())).unwrap();
                drop(done.take());
            });
            ready.send(()).unwrap();
            rendez::sleep(Duration::MAX);
        });
        wait.recv().unwrap();
        let helper = thread::spawn(move || {
            runs.recv().unwrap();
            inner.shutdown();
        });
        runtime.shutdown();
        helper.join().unwrap();
        assert!(second.join().unwrap_err().is_cancelled());
        let said = tell.recv().unwrap();
        assert!(said.contains("shut down while"), "{said}");
    });
}

#[test]
fn a_result_whose_destructor_waits_is_ended_by_a_shutdown() {
    in_time(|| {
        let runtime = runtime(1);
        let (ready, wait) = chan::bounded(0);
        let drops = Drops::default();
        let token = drops.token();
        drop(runtime.spawn(move || {
            OnDrop(move || {
                let _token = &token;
                ready.send(()).unwrap();
                rendez::sleep(Duration::MAX);
            })
        }));
        wait.recv().unwrap();
        runtime.shutdown();
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn a_future_whose_destructor_waits_is_ended_by_a_shutdown() {
    in_time(|| {
        for workers in [1, 2] {
            let runtime = runtime(workers);
            let drops = Drops::default();
            let (ready, wait) = chan::unbounded();
            let handles: Vec<_> = (0..10)
                .map(|i| {
                    let (ready, token) = (ready.clone(), drops.token());
                    runtime.run(|| {
                        go_async(async move {
                            let _waits = OnDrop(move || {
                                let _token = &token;
                                match i % 2 {
                                    0 => rendez::sleep(Duration::MAX),
                                    _ => _ = chan::never::<()>().recv(),
                                }
                            });
                            ready.send_async(()).await.unwrap();
                            std::future::pending::<()>().await;
                        })
                    })
                })
                .collect();
            (0..10).for_each(|_| wait.recv().unwrap());
            runtime.shutdown();
            assert_eq!(drops.count(), 10, "something was left behind");
            assert!(handles.into_iter().all(|handle| handle.join().unwrap_err().is_cancelled()));
        }
    });
}

#[test]
fn a_thread_local_destructor_of_a_worker_may_wait_like_any_thread() {
    type LastWords = OnDrop<Box<dyn FnMut()>>;
    thread_local! {
        static LAST_WORDS: RefCell<Option<LastWords>> = const { RefCell::new(None) };
    }
    in_time(|| {
        let runtime = runtime(1);
        let ((ask, asked), (answer, answers)) = (chan::bounded(0), chan::bounded(0));
        let (tx, rx) = mpsc::channel();
        runtime.run(move || {
            LAST_WORDS.with_borrow_mut(|words| {
                *words = Some(OnDrop(Box::new(move || {
                    ask.send(1).unwrap();
                    rendez::sleep(Duration::from_millis(1));
                    yield_now();
                    // The thread is no worker any more: this runs on the global runtime.
                    let sum = answers.recv().unwrap() + go(|| 10).join().unwrap();
                    tx.send(sum).unwrap();
                })));
            });
        });
        let helper = thread::spawn(move || answer.send(asked.recv().unwrap() + 1).unwrap());
        runtime.shutdown();
        helper.join().unwrap();
        assert_eq!(rx.try_recv(), Ok(12));
    });
}

// ---- unwinding that is caught ----

#[test]
fn a_forced_unwind_that_is_caught_is_raised_again_at_the_next_wait() {
    in_time(|| {
        for workers in [1, 2] {
            let runtime = runtime(workers);
            let (ready, wait) = chan::bounded(0);
            let (log, logged) = chan::unbounded();
            let handle = runtime.spawn(move || {
                ready.send(()).unwrap();
                let caught = catch_unwind(|| rendez::sleep(Duration::MAX));
                log.send(caught.is_err()).unwrap();
                yield_now();
                log.send(false).unwrap();
            });
            wait.recv().unwrap();
            runtime.shutdown();
            assert!(handle.join().unwrap_err().is_cancelled());
            assert_eq!(logged.iter().collect::<Vec<_>>(), [true]);
        }
    });
}

#[test]
fn a_goroutine_that_catches_its_forced_unwind_and_returns_has_a_result() {
    in_time(|| {
        let runtime = runtime(1);
        let (ready, wait) = chan::bounded(0);
        let handle = runtime.spawn(move || {
            ready.send(()).unwrap();
            if catch_unwind(|| rendez::sleep(Duration::MAX)).is_err() { "cleaned up" } else { "slept" }
        });
        wait.recv().unwrap();
        runtime.shutdown();
        assert_eq!(handle.join().unwrap(), "cleaned up");
    });
}

#[test]
fn a_forced_unwind_poisons_no_mutex_that_was_not_held() {
    in_time(|| {
        let runtime = runtime(1);
        let (ready, wait) = chan::bounded(0);
        let (held, free) = (Arc::new(Mutex::new(1)), Arc::new(Mutex::new(2)));
        let theirs = (held.clone(), free.clone());
        runtime.spawn(move || {
            let (held, free) = theirs;
            assert_eq!(*free.lock().unwrap(), 2);
            let _guard = held.lock().unwrap();
            ready.send(()).unwrap();
            rendez::sleep(Duration::MAX);
        });
        wait.recv().unwrap();
        runtime.shutdown();
        assert!(!free.is_poisoned());
        // As by any panic.
        assert!(held.is_poisoned());
        assert_eq!(*held.lock().unwrap_err().into_inner(), 1);
    });
}
