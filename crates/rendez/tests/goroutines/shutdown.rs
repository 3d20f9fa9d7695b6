//! Ending a runtime: Go's rule of exit, with destructors. (`unwinding.rs` has destructors that wait, and unwinding that is
//! caught.)
#![cfg(not(loom))]

use crate::setup::{Drops, OnDrop, in_time, runtime, text};
use rendez::{
    JoinHandle, PanicPolicy, Runtime, block_on, chan, go, go_async, run, scope, sync::WaitGroup, yield_now,
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind, panic_any},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

// ---- run ----

#[test]
fn run_returns_what_main_returns_and_main_may_borrow() {
    in_time(|| {
        let mut log = vec![String::from("before")];
        let len = run(|| {
            log.push(String::from("inside"));
            log.len()
        });
        log.push(String::from("after"));
        assert_eq!((len, log.len()), (2, 3));
    });
}

#[test]
fn run_returns_when_main_does_and_the_rest_is_unwound_with_its_destructors() {
    in_time(|| {
        let drops = Drops::default();
        let (started, starts) = chan::unbounded();
        run(|| {
            for _ in 0..100 {
                let (token, started) = (drops.token(), started.clone());
                go(move || {
                    let _token = token;
                    started.send(()).unwrap();
                    rendez::sleep(Duration::from_secs(3600));
                });
            }
            (0..100).for_each(|_| starts.recv().unwrap());
            assert_eq!(drops.count(), 0);
        });
        assert_eq!(drops.count(), 100);
    });
}

#[test]
fn a_panic_of_main_comes_out_of_run_after_the_rest_has_been_unwound() {
    in_time(|| {
        let drops = Drops::default();
        let caught = catch_unwind(AssertUnwindSafe(|| {
            run(|| {
                let (token, (tx, rx)) = (drops.token(), chan::bounded(0));
                go(move || {
                    let _token = token;
                    tx.send(()).unwrap();
                    rendez::sleep(Duration::MAX);
                });
                rx.recv().unwrap();
                panic_any("main failed");
            })
        }));
        assert_eq!(text(caught.unwrap_err()), "main failed");
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn run_inside_a_goroutine_is_a_runtime_of_its_own_and_the_outer_one_goes_on() {
    in_time(|| {
        let runtime = runtime(1);
        runtime.run(|| {
            let (tx, rx) = chan::bounded(0);
            let outer = thread::current().id();
            let sibling = go(move || (0..10).for_each(|i| tx.send(i).unwrap()));
            let drops = Drops::default();
            let inner = run(|| {
                assert_ne!(thread::current().id(), outer);
                let token = drops.token();
                go(move || {
                    let _token = token;
                    rendez::sleep(Duration::MAX);
                });
                // The outer runtime's only worker is free for the sibling.
                assert_eq!(rx.iter().sum::<i32>(), 45);
                run(|| thread::current().id())
            });
            assert_eq!(drops.count(), 1);
            assert_ne!(inner, thread::current().id());
            assert_eq!(thread::current().id(), outer);
            sibling.join().unwrap();
        });
    });
}

#[test]
fn a_runtimes_run_leaves_the_others_running() {
    in_time(|| {
        let runtime = runtime(2);
        let (tx, rx) = chan::bounded(0);
        let handle = runtime.run(|| go(move || rx.recv().unwrap()));
        assert!(!handle.is_finished());
        runtime.run(|| tx.send(3).unwrap());
        assert_eq!(handle.join().unwrap(), 3);
    });
}

#[test]
fn a_closure_that_a_shutdown_ends_makes_run_panic_and_say_why() {
    in_time(|| {
        for workers in [1, 2] {
            let runtime = Arc::new(runtime(workers));
            let (tx, rx) = chan::bounded::<()>(0);
            let theirs = runtime.clone();
            let caller = thread::spawn(move || {
                theirs.run(|| {
                    tx.send(()).unwrap();
                    rendez::sleep(Duration::MAX);
                })
            });
            rx.recv().unwrap();
            runtime.shutdown();
            let said = text(caller.join().unwrap_err());
            assert!(said.contains("shut down"), "{said}");
            let said = text(catch_unwind(AssertUnwindSafe(|| runtime.run(|| ()))).unwrap_err());
            assert!(said.contains("shut down before"), "{said}");
        }
    });
}

#[test]
fn a_goroutine_whose_run_on_another_runtime_was_shut_down_is_told_by_a_panic() {
    in_time(|| {
        let (ours, theirs) = (runtime(1), Arc::new(runtime(1)));
        let shared = theirs.clone();
        let (tx, rx) = chan::bounded::<()>(0);
        let caller = ours.spawn(move || {
            shared.run(|| {
                tx.send(()).unwrap();
                rendez::sleep(Duration::MAX);
            })
        });
        rx.recv().unwrap();
        theirs.shutdown();
        let error = caller.join().unwrap_err();
        assert!(error.is_panic(), "{error}");
    });
}

#[test]
fn a_goroutine_whose_run_on_its_own_runtime_is_cut_short_is_unwound() {
    in_time(|| {
        for workers in [1, 2] {
            let runtime = Arc::new(runtime(workers));
            let drops = Drops::default();
            let (ready, wait) = chan::bounded::<()>(0);
            // One whose closure is running, and one whose closure will not start: it calls `run` when all has been stopped.
            let (theirs, token) = (runtime.clone(), drops.token());
            let started = runtime.spawn(move || {
                let _token = token;
                theirs.run(|| {
                    ready.send(()).unwrap();
                    rendez::sleep(Duration::MAX);
                });
                unreachable!("`run` has nothing to return");
            });
            wait.recv().unwrap();
            let (theirs, token) = (runtime.clone(), drops.token());
            let unstarted = runtime.spawn(move || {
                let _token = token;
                theirs.shutdown();
                theirs.run(|| unreachable!("started on a runtime that ends"));
            });
            assert!(unstarted.join().unwrap_err().is_cancelled());
            assert!(started.join().unwrap_err().is_cancelled());
            runtime.shutdown();
            assert_eq!(drops.count(), 2);
        }
    });
}

// ---- unstarted ones ----

#[test]
fn what_has_not_started_is_dropped_with_its_captures() {
    in_time(|| {
        let runtime = Arc::new(runtime(1));
        let drops = Drops::default();
        let started = Arc::new(AtomicBool::new(false));
        let theirs = runtime.clone();
        let handles = runtime.run(|| {
            let handles: Vec<JoinHandle<()>> = (0..100)
                .map(|_| {
                    let (token, started) = (drops.token(), started.clone());
                    go(move || {
                        let _token = token;
                        started.store(true, Ordering::SeqCst);
                    })
                })
                .collect();
            theirs.shutdown();
            handles
        });
        runtime.shutdown();
        assert_eq!(drops.count(), 100);
        assert!(!started.load(Ordering::SeqCst));
        assert!(handles.into_iter().all(|handle| handle.join().unwrap_err().is_cancelled()));
    });
}

#[test]
fn after_a_shutdown_nothing_starts_and_the_handle_says_so() {
    in_time(|| {
        let runtime = Arc::new(runtime(2));
        let (tx, rx) = chan::bounded::<JoinHandle<()>>(1);
        let theirs = runtime.clone();
        runtime.spawn(move || {
            theirs.shutdown();
            tx.send(go(|| unreachable!("started on a runtime that ends"))).unwrap();
        });
        assert!(rx.recv().unwrap().join().unwrap_err().is_cancelled());
        runtime.shutdown();
        let drops = Drops::default();
        let token = drops.token();
        let handle = runtime.spawn(move || drop(token));
        assert_eq!(drops.count(), 1);
        assert!(handle.is_finished());
        assert!(handle.join().unwrap_err().is_cancelled());
    });
}

#[test]
fn destructors_that_start_goroutines_while_they_unwind_get_cancelled_ones() {
    in_time(|| {
        let runtime = runtime(2);
        let drops = Drops::default();
        let (tx, rx) = chan::unbounded();
        for _ in 0..10 {
            let (drops, tx) = (drops.clone(), tx.clone());
            runtime.spawn(move || {
                let _starts = OnDrop(move || {
                    let token = drops.token();
                    drop(go(move || drop(token)));
                });
                tx.send(()).unwrap();
                rendez::sleep(Duration::MAX);
            });
        }
        (0..10).for_each(|_| rx.recv().unwrap());
        runtime.shutdown();
        assert_eq!(drops.count(), 10);
    });
}

#[test]
fn what_foreign_threads_start_while_the_runtime_stops_runs_or_is_dropped_and_tells_which() {
    in_time(|| {
        for round in 0..100 {
            let runtime = Arc::new(runtime(1 + round % 3));
            let (drops, ran) = (Drops::default(), Arc::new(AtomicUsize::new(0)));
            let (started, stopped) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
            let threads: Vec<_> = (0..3)
                .map(|_| {
                    let (runtime, drops, ran) = (runtime.clone(), drops.clone(), ran.clone());
                    let (started, stopped) = (started.clone(), stopped.clone());
                    thread::spawn(move || {
                        let mut handles = Vec::new();
                        while !stopped.load(Ordering::SeqCst) {
                            let (token, ran) = (drops.token(), ran.clone());
                            handles.push(runtime.spawn(move || {
                                let _token = token;
                                ran.fetch_add(1, Ordering::SeqCst);
                            }));
                            started.fetch_add(1, Ordering::SeqCst);
                        }
                        handles
                    })
                })
                .collect();
            while started.load(Ordering::SeqCst) < 1 + 10 * (round % 7) {
                std::hint::spin_loop();
            }
            runtime.shutdown();
            stopped.store(true, Ordering::SeqCst);
            let (mut done, mut cancelled) = (0, 0);
            for handle in threads.into_iter().flat_map(|thread| thread.join().unwrap()) {
                match handle.join() {
                    Ok(()) => done += 1,
                    Err(error) => {
                        assert!(error.is_cancelled());
                        cancelled += 1;
                    }
                }
            }
            assert_eq!((ran.load(Ordering::SeqCst), drops.count()), (done, done + cancelled));
            assert_eq!(started.load(Ordering::SeqCst), done + cancelled);
        }
    });
}

// ---- from wherever and as often as one likes ----

#[test]
fn a_second_shutdown_does_nothing_and_both_of_two_at_once_wait() {
    in_time(|| {
        for _ in 0..20 {
            let runtime = Arc::new(runtime(2));
            let drops = Drops::default();
            for _ in 0..20 {
                let token = drops.token();
                runtime.spawn(move || {
                    let _token = token;
                    rendez::sleep(Duration::MAX);
                });
            }
            let threads: Vec<_> = (0..3)
                .map(|_| {
                    let (runtime, drops) = (runtime.clone(), drops.clone());
                    thread::spawn(move || {
                        runtime.shutdown();
                        assert_eq!(drops.count(), 20);
                    })
                })
                .collect();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            runtime.shutdown();
        }
    });
}

#[test]
fn a_runtime_may_be_dropped_from_inside_itself() {
    in_time(|| {
        for workers in [1, 2, 8] {
            let drops = Drops::default();
            let (tx, rx) = chan::bounded::<Runtime>(0);
            let runtime = runtime(workers);
            let (token, sibling) = (drops.token(), drops.token());
            runtime.spawn(move || {
                let _sibling = sibling;
                rendez::sleep(Duration::MAX);
            });
            let handle = runtime.spawn(move || {
                let _token = token;
                drop(rx.recv().unwrap());
                // It ends at its next wait.
                rendez::sleep(Duration::MAX);
                unreachable!("a goroutine of a runtime that has ended went on");
            });
            tx.send(runtime).unwrap();
            assert!(handle.join().unwrap_err().is_cancelled());
            while drops.count() < 2 {
                rendez::sleep(Duration::from_micros(100));
            }
        }
    });
}

#[test]
fn a_runtime_may_be_shut_down_by_a_goroutine_of_another() {
    in_time(|| {
        let outer = runtime(1);
        outer.run(|| {
            let drops = Drops::default();
            let inner = runtime(2);
            let (token, (tx, rx)) = (drops.token(), chan::bounded(0));
            inner.spawn(move || {
                let _token = token;
                tx.send(()).unwrap();
                rendez::sleep(Duration::MAX);
            });
            rx.recv().unwrap();
            drop(inner);
            assert_eq!(drops.count(), 1);
        });
    });
}

#[test]
fn many_runtimes_come_and_go() {
    in_time(|| {
        let drops = Drops::default();
        for _ in 0..100 {
            run(|| {
                for _ in 0..10 {
                    let token = drops.token();
                    go(move || {
                        let _token = token;
                        rendez::sleep(Duration::MAX);
                    });
                }
                yield_now();
            });
        }
        assert_eq!(drops.count(), 1000);
    });
}

// ---- every kind of wait ----

#[test]
fn goroutines_parked_in_every_kind_of_wait_are_unwound() {
    type Wait = fn();
    let waits: &[(&str, Wait)] = &[
        ("rendezvous send", || {
            let (tx, _rx) = chan::bounded(0);
            let _ = tx.send(());
        }),
        ("send on a full channel", || {
            let (tx, _rx) = chan::bounded(1);
            tx.send(1).unwrap();
            let _ = tx.send(2);
        }),
        ("receive", || {
            let (_tx, rx) = chan::bounded::<()>(0);
            let _ = rx.recv();
        }),
        ("receive from never", || _ = chan::never::<()>().recv()),
        ("receive with a far deadline", || {
            let (_tx, rx) = chan::bounded::<()>(3);
            let _ = rx.recv_timeout(Duration::from_secs(3600));
        }),
        ("send with a far deadline", || {
            let (tx, _rx) = chan::bounded(0);
            let _ = tx.send_timeout((), Duration::from_secs(3600));
        }),
        ("join", || {
            // The joined one may be ended first, and then the join says so.
            let _ = go(|| rendez::sleep(Duration::MAX)).join();
            rendez::sleep(Duration::MAX);
        }),
        ("WaitGroup", || {
            let group = WaitGroup::new();
            group.add(1);
            group.wait();
        }),
        ("sleep", || rendez::sleep(Duration::from_secs(3600))),
        ("sleep for ever", || rendez::sleep(Duration::MAX)),
        ("scope", || {
            scope(|s| {
                s.go(|| rendez::sleep(Duration::MAX));
            })
        }),
        ("block_on", || {
            let (_tx, rx) = chan::bounded::<()>(0);
            let _ = block_on(rx.recv_async());
        }),
        ("block_on for ever", || block_on(std::future::pending())),
        ("yield", || {
            loop {
                yield_now();
            }
        }),
        ("operations that never wait", || {
            let (tx, rx) = chan::bounded(1);
            loop {
                tx.send(()).unwrap();
                rx.recv().unwrap();
            }
        }),
    ];
    in_time(move || {
        for workers in [1, 2, 8] {
            let runtime = runtime(workers);
            let drops = Drops::default();
            let (started, starts) = chan::unbounded();
            let mut handles = Vec::new();
            for &(name, wait) in waits.iter().cycle().take(3 * waits.len()) {
                let (token, started) = (drops.token(), started.clone());
                let body = move || {
                    let _token = token;
                    started.send(()).unwrap();
                    wait();
                    unreachable!("{name} went on");
                };
                handles.push((name, runtime.spawn(body)));
            }
            for _ in &handles {
                starts.recv().unwrap();
            }
            for &(name, wait) in waits {
                // The same inside the poll of an async goroutine.
                let (token, started) = (drops.token(), started.clone());
                let body = async move {
                    let _token = token;
                    started.send_async(()).await.unwrap();
                    wait();
                    unreachable!("{name} went on");
                };
                handles.push((name, runtime.run(|| go_async(body))));
                starts.recv().unwrap();
            }
            runtime.shutdown();
            assert_eq!(drops.count(), handles.len());
            for (name, handle) in handles {
                let error = handle.join().unwrap_err();
                assert!(error.is_cancelled(), "{name}: {error}");
            }
        }
    });
}

#[test]
fn async_goroutines_that_wait_are_dropped() {
    in_time(|| {
        for workers in [1, 2] {
            let runtime = runtime(workers);
            let drops = Drops::default();
            let (tx, rx) = chan::bounded::<()>(0);
            let handles: Vec<_> = (0..100)
                .map(|_| {
                    let (token, rx) = (drops.token(), rx.clone());
                    runtime.run(|| {
                        go_async(async move {
                            let _token = token;
                            let _ = rx.recv_async().await;
                        })
                    })
                })
                .collect();
            runtime.shutdown();
            assert_eq!(drops.count(), 100);
            assert!(handles.into_iter().all(|handle| handle.join().unwrap_err().is_cancelled()));
            drop(tx);
        }
    });
}

#[test]
fn ten_thousand_parked_goroutines_are_unwound() {
    in_time(|| {
        let runtime = runtime(2);
        let drops = Drops::default();
        let (started, starts) = chan::unbounded();
        for _ in 0..10_000 {
            let (token, started) = (drops.token(), started.clone());
            runtime.spawn(move || {
                let _token = token;
                started.send(()).unwrap();
                let _ = chan::never::<()>().recv();
            });
        }
        (0..10_000).for_each(|_| starts.recv().unwrap());
        runtime.shutdown();
        assert_eq!(drops.count(), 10_000);
    });
}

#[test]
fn sleepers_whose_time_is_up_when_the_shutdown_comes_wake_once_and_are_unwound_at_their_next_wait() {
    in_time(|| {
        let runtime = runtime(1);
        let (drops, woken) = (Drops::default(), Drops::default());
        let (started, starts) = chan::unbounded();
        for i in 0..1000 {
            let (token, woken, started) = (drops.token(), woken.token(), started.clone());
            runtime.spawn(move || {
                let _token = token;
                started.send(()).unwrap();
                rendez::sleep(if i % 2 == 0 { Duration::from_millis(50) } else { Duration::from_secs(100) });
                drop(woken);
                rendez::sleep(Duration::from_secs(100));
                unreachable!("the shutdown has come");
            });
        }
        (0..1000).for_each(|_| starts.recv().unwrap());
        let (blocked, blocks) = chan::bounded(1);
        runtime.spawn(move || {
            blocked.send(()).unwrap();
            // The worker's thread with it: afterwards the worker finds timers that are due and the shutdown, both at once.
            thread::sleep(Duration::from_millis(200));
        });
        blocks.recv().unwrap();
        runtime.shutdown();
        assert_eq!((drops.count(), woken.count()), (1000, 1000));
    });
}

#[test]
fn a_value_whose_sender_is_unwound_is_dropped_once_and_its_receiver_finds_the_channel_closed() {
    in_time(|| {
        let runtime = runtime(2);
        let drops = Drops::default();
        let (tx, rx) = chan::bounded(0);
        let (started, starts) = chan::bounded(0);
        for _ in 0..10 {
            let (token, tx, started) = (drops.token(), tx.clone(), started.clone());
            runtime.spawn(move || {
                started.send(()).unwrap();
                tx.send(token).unwrap();
            });
        }
        drop(tx);
        (0..10).for_each(|_| starts.recv().unwrap());
        let received = rx.recv().unwrap();
        assert_eq!(drops.count(), 0);
        runtime.shutdown();
        assert_eq!(drops.count(), 9);
        drop(received);
        assert_eq!(drops.count(), 10);
        assert!(rx.recv().is_err());
    });
}

#[test]
fn a_shutdown_does_not_count_as_a_panic_of_detached_goroutines() {
    in_time(|| {
        // The policy would end this process.
        let runtime = Runtime::builder().workers(2).panic_policy(PanicPolicy::Exit).build().unwrap();
        let (ready, wait) = chan::bounded(0);
        for _ in 0..10 {
            let ready = ready.clone();
            drop(runtime.spawn(move || {
                ready.send(()).unwrap();
                rendez::sleep(Duration::MAX);
            }));
            wait.recv().unwrap();
        }
        runtime.shutdown();
    });
}
