//! `scope`: goroutines that borrow, and the order in which everything ends.
#![cfg(not(loom))]

use crate::setup::{in_every_world, in_time, text};
use rendez::{Runtime, chan, go, run, scope, yield_now};
use std::{
    mem,
    panic::{AssertUnwindSafe, catch_unwind, panic_any},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

struct Token<'a>(&'a AtomicUsize);

impl Drop for Token<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn children_may_borrow_and_change_what_outlives_the_scope() {
    in_every_world(|| {
        let mut numbers: Vec<u32> = (0..100).collect();
        let offset = 1;
        scope(|s| {
            for number in &mut numbers {
                s.go(move || {
                    yield_now();
                    *number += offset;
                });
            }
        });
        assert!(numbers.iter().zip(1..).all(|(&number, expected)| number == expected));
    });
}

#[test]
fn a_child_returns_what_borrows_from_outside() {
    in_every_world(|| {
        let words = [String::from("a"), String::from("bcd"), String::from("ef")];
        let longest: &str = scope(|s| {
            let handles: Vec<_> = words.iter().map(|word| s.go(move || word.as_str())).collect();
            handles.into_iter().map(|handle| handle.join().unwrap()).max_by_key(|word| word.len()).unwrap()
        });
        assert_eq!(longest, "bcd");
    });
}

#[test]
fn a_scope_returns_only_after_children_that_nobody_joined() {
    in_every_world(|| {
        let (tx, rx) = chan::bounded::<()>(0);
        let ended = AtomicUsize::new(0);
        scope(|s| {
            for _ in 0..10 {
                s.go(|| {
                    rx.recv().unwrap();
                    ended.fetch_add(1, Ordering::SeqCst);
                });
            }
            s.go(move || (0..10).for_each(|_| tx.send(()).unwrap()));
        });
        assert_eq!(ended.load(Ordering::SeqCst), 10);
    });
}

#[test]
fn a_child_may_start_siblings_in_its_scope() {
    in_every_world(|| {
        let count = AtomicUsize::new(0);
        scope(|s| {
            for _ in 0..10 {
                let count = &count;
                s.go(move || {
                    for _ in 0..10 {
                        s.go(move || count.fetch_add(1, Ordering::SeqCst));
                    }
                });
            }
        });
        assert_eq!(count.load(Ordering::SeqCst), 100);
    });
}

#[test]
fn scopes_nest() {
    in_every_world(|| {
        fn sum(numbers: &[u64]) -> u64 {
            if numbers.len() < 4 {
                return numbers.iter().sum();
            }
            let (left, right) = numbers.split_at(numbers.len() / 2);
            scope(|s| {
                let left = s.go(move || sum(left));
                sum(right) + left.join().unwrap()
            })
        }
        let numbers: Vec<u64> = (0..512).collect();
        assert_eq!(sum(&numbers), 512 * 511 / 2);
    });
}

#[test]
fn a_scope_without_children_is_a_call() {
    in_every_world(|| assert_eq!(scope(|_| 3), 3));
}

#[test]
fn a_panic_of_a_child_that_is_joined_is_the_joiners() {
    in_every_world(|| {
        let kept = scope(|s| {
            let error = s.go(|| panic_any("joined")).join().unwrap_err();
            assert!(error.is_panic());
            text(error.into_panic())
        });
        assert_eq!(kept, "joined");
    });
}

#[test]
fn a_panic_of_a_child_that_nobody_joins_comes_out_after_its_siblings_have_ended() {
    in_every_world(|| {
        let (tx, rx) = chan::bounded::<()>(0);
        let ended = AtomicUsize::new(0);
        let caught = catch_unwind(AssertUnwindSafe(|| {
            scope(|s| {
                let sibling = s.go(|| {
                    rx.recv().unwrap_err();
                    ended.fetch_add(1, Ordering::SeqCst);
                });
                drop(sibling);
                drop(s.go(move || {
                    let _tx = tx;
                    panic_any("unjoined");
                }));
            });
        }));
        assert_eq!(text(caught.unwrap_err()), "unjoined");
        assert_eq!(ended.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn one_of_several_panics_comes_out_and_the_other_payloads_are_dropped() {
    in_every_world(|| {
        static DROPS: AtomicUsize = AtomicUsize::new(0);
        let before = DROPS.load(Ordering::SeqCst);
        let caught = catch_unwind(|| {
            scope(|s| (0..5).for_each(|_| drop(s.go(|| panic_any(Token(&DROPS))))));
        });
        let payload = caught.unwrap_err();
        assert_eq!(DROPS.load(Ordering::SeqCst), before + 4);
        drop(payload);
        assert_eq!(DROPS.load(Ordering::SeqCst), before + 5);
    });
}

#[test]
fn a_panic_of_the_body_comes_out_after_the_children_have_ended() {
    in_every_world(|| {
        let ended = AtomicBool::new(false);
        let (tx, rx) = chan::bounded::<()>(0);
        let caught = catch_unwind(AssertUnwindSafe(|| {
            scope(|s| {
                let _tx = tx;
                s.go(|| {
                    rx.recv().unwrap_err();
                    yield_now();
                    ended.store(true, Ordering::SeqCst);
                });
                panic_any("body");
            });
        }));
        assert_eq!(text(caught.unwrap_err()), "body");
        assert!(ended.load(Ordering::SeqCst));
    });
}

#[test]
fn a_panic_of_the_body_goes_before_that_of_a_child() {
    in_every_world(|| {
        let caught = catch_unwind(|| {
            scope(|s| {
                s.go(|| panic_any("child"));
                panic_any("body");
            });
        });
        assert_eq!(text(caught.unwrap_err()), "body");
    });
}

#[cfg_attr(rendez_sanitize, ignore = "it leaks on purpose")]
#[test]
fn a_handle_that_is_forgotten_keeps_neither_the_scope_nor_a_panic() {
    in_every_world(|| {
        let ended = AtomicUsize::new(0);
        scope(|s| {
            mem::forget(s.go(|| {
                yield_now();
                ended.fetch_add(1, Ordering::SeqCst);
            }));
        });
        assert_eq!(ended.load(Ordering::SeqCst), 1);
        let caught = catch_unwind(|| scope(|s| mem::forget(s.go(|| panic!("forgotten")))));
        assert!(caught.is_err());
    });
}

#[test]
fn results_are_dropped_once_and_not_after_the_scope() {
    in_every_world(|| {
        let drops = AtomicUsize::new(0);
        let token = || Token(&drops);
        let count = || drops.load(Ordering::SeqCst);
        // Joined, and dropped by the body.
        scope(|s| drop(s.go(token).join().unwrap()));
        assert_eq!(count(), 1);
        // The handle goes before the end.
        let (tx, rx) = chan::bounded::<()>(0);
        scope(|s| {
            let handle = s.go(|| {
                let _ = rx.recv();
                token()
            });
            drop(handle);
            assert_eq!(count(), 1);
            drop(tx);
        });
        assert_eq!(count(), 2);
        // The handle goes after the end.
        scope(|s| {
            let handle = s.go(token);
            while !handle.is_finished() {
                rendez::sleep(Duration::from_micros(100));
            }
            assert_eq!(count(), 2);
        });
        assert_eq!(count(), 3);
        // What a panic leaves behind.
        let caught = catch_unwind(AssertUnwindSafe(|| {
            scope(|s| {
                s.go(|| {
                    let _token = token();
                    panic!("with a token");
                });
            })
        }));
        assert!(caught.is_err());
        assert_eq!(count(), 4);
        // The handle moves into a sibling, which joins.
        scope(|s| {
            let first = s.go(token);
            s.go(move || first.join().unwrap());
        });
        assert_eq!(count(), 5);
    });
}

#[test]
fn a_result_whose_destructor_panics_comes_out_of_the_scope() {
    in_every_world(|| {
        struct Bad;
        impl Drop for Bad {
            fn drop(&mut self) {
                panic_any("bad result");
            }
        }
        let caught = catch_unwind(|| {
            let (tx, rx) = chan::bounded::<()>(0);
            scope(|s| {
                drop(s.go(move || {
                    let _ = rx.recv();
                    Bad
                }));
                drop(tx);
            })
        });
        assert_eq!(text(caught.unwrap_err()), "bad result");
    });
}

#[test]
fn a_scope_in_a_destructor_that_unwinds_waits_for_its_children() {
    in_every_world(|| {
        struct Scopes<'a>(&'a AtomicUsize);
        impl Drop for Scopes<'_> {
            fn drop(&mut self) {
                let local = 5;
                scope(|s| {
                    s.go(|| {
                        yield_now();
                        self.0.fetch_add(local, Ordering::SeqCst);
                    });
                });
            }
        }
        let count = AtomicUsize::new(0);
        let caught = catch_unwind(AssertUnwindSafe(|| {
            let _scopes = Scopes(&count);
            panic_any("outer");
        }));
        assert_eq!(text(caught.unwrap_err()), "outer");
        assert_eq!(count.load(Ordering::SeqCst), 5);
    });
}

#[test]
fn a_scope_of_an_os_thread_waits_for_goroutines_of_the_global_runtime() {
    in_time(|| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                thread::spawn(|| {
                    for round in 0..100 {
                        let mut sum = 0;
                        scope(|s| {
                            let children: Vec<_> = (0..8).map(|i| s.go(move || i * round)).collect();
                            sum = children.into_iter().map(|child| child.join().unwrap()).sum();
                        });
                        assert_eq!(sum, 28 * round);
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

// ---- shutdown ----

#[test]
fn a_shutdown_ends_the_children_before_what_they_borrow() {
    in_time(|| {
        #[derive(Clone)]
        struct Log(Arc<Mutex<Vec<&'static str>>>);
        struct Entry(Log, &'static str);
        impl Drop for Entry {
            fn drop(&mut self) {
                self.0.0.lock().unwrap().push(self.1);
            }
        }
        for workers in [1, 2, 8] {
            for park_body in [false, true] {
                let log = Log(Arc::default());
                let theirs = log.clone();
                let runtime = Runtime::builder().workers(workers).build().unwrap();
                let (tx, rx) = chan::unbounded();
                let handle = runtime.spawn(move || {
                    let borrowed = Entry(theirs, "parent");
                    scope(|s| {
                        for _ in 0..4 {
                            let (tx, borrowed) = (tx.clone(), &borrowed);
                            s.go(move || {
                                let _entry = Entry(borrowed.0.clone(), "child");
                                tx.send(()).unwrap();
                                rendez::sleep(Duration::MAX);
                                unreachable!("a sleep for ever ended");
                            });
                        }
                        if park_body {
                            rendez::sleep(Duration::MAX);
                        }
                    });
                    unreachable!("the scope of cancelled goroutines returned");
                });
                (0..4).for_each(|_| rx.recv().unwrap());
                runtime.shutdown();
                assert!(handle.join().unwrap_err().is_cancelled());
                assert_eq!(*log.0.lock().unwrap(), ["child", "child", "child", "child", "parent"]);
            }
        }
    });
}

#[test]
fn a_shutdown_ends_nested_scopes_from_the_inside() {
    in_time(|| {
        fn nest(depth: usize, order: &Mutex<Vec<usize>>, ready: &chan::Sender<()>) {
            struct Entry<'a>(usize, &'a Mutex<Vec<usize>>);
            impl Drop for Entry<'_> {
                fn drop(&mut self) {
                    self.1.lock().unwrap().push(self.0);
                }
            }
            let entry = Entry(depth, order);
            if depth == 20 {
                ready.send(()).unwrap();
                rendez::sleep(Duration::MAX);
            }
            scope(|s| {
                s.go(|| nest(entry.0 + 1, order, ready));
            });
        }
        for workers in [1, 2, 8] {
            let runtime = Runtime::builder().workers(workers).build().unwrap();
            let order = Arc::new(Mutex::new(Vec::new()));
            let (ready, wait) = chan::bounded(0);
            let theirs = order.clone();
            let handle = runtime.spawn(move || nest(0, &theirs, &ready));
            wait.recv().unwrap();
            runtime.shutdown();
            assert!(handle.join().unwrap_err().is_cancelled());
            assert_eq!(*order.lock().unwrap(), (0..=20).rev().collect::<Vec<_>>());
        }
    });
}

#[test]
fn a_scope_whose_unstarted_children_were_dropped_does_not_go_on_as_if_they_had_run() {
    in_time(|| {
        let runtime = Arc::new(Runtime::builder().workers(1).build().unwrap());
        let theirs = runtime.clone();
        let went_on = Arc::new(AtomicBool::new(false));
        let flag = went_on.clone();
        let handle = runtime.spawn(move || {
            let mut filled = None;
            scope(|s| {
                s.go(|| filled = Some(1));
                theirs.shutdown();
            });
            flag.store(true, Ordering::SeqCst);
            filled.unwrap()
        });
        assert!(handle.join().unwrap_err().is_cancelled());
        assert!(!went_on.load(Ordering::SeqCst));
        runtime.shutdown();
    });
}

#[test]
fn a_join_of_a_cancelled_child_says_so_and_the_scope_ends_its_goroutine() {
    in_time(|| {
        let runtime = Arc::new(Runtime::builder().workers(1).build().unwrap());
        let theirs = runtime.clone();
        let (tx, rx) = chan::bounded(1);
        let handle = runtime.spawn(move || {
            scope(|s| {
                let child = s.go(|| ());
                theirs.shutdown();
                // The wait of this join is itself cancelled.
                let caught = catch_unwind(AssertUnwindSafe(|| child.join()));
                tx.send(caught.is_err()).unwrap();
            });
        });
        assert!(handle.join().unwrap_err().is_cancelled());
        assert_eq!(rx.recv(), Ok(true));
    });
}

#[test]
fn the_main_of_run_may_end_while_scopes_of_others_wait() {
    in_time(|| {
        for _ in 0..50 {
            let drops = Arc::new(AtomicUsize::new(0));
            let (tx, rx) = chan::unbounded();
            run(|| {
                for _ in 0..4 {
                    let (drops, tx) = (drops.clone(), tx.clone());
                    go(move || {
                        let token = Token(&drops);
                        scope(|s| {
                            s.go(|| {
                                tx.send(()).unwrap();
                                rendez::sleep(Duration::MAX);
                                _ = &token;
                            });
                        });
                    });
                }
                (0..4).for_each(|_| rx.recv().unwrap());
            });
            assert_eq!(drops.load(Ordering::SeqCst), 4);
        }
    });
}

#[test]
fn a_scope_whose_child_another_runtime_has_ended_says_so_by_a_panic() {
    in_every_world(|| {
        let other = Runtime::builder().workers(1).build().unwrap();
        let (begun, has_begun) = chan::bounded::<()>(1);
        let panic = catch_unwind(AssertUnwindSafe(|| {
            scope(|s| {
                let begun = &begun;
                other.run(move || {
                    drop(s.go(move || {
                        begun.send(()).unwrap();
                        chan::never::<()>().recv()
                    }));
                });
                has_begun.recv().unwrap();
                other.shutdown();
            });
        }))
        .unwrap_err();
        let text = text(panic);
        assert!(text.contains("ended by the shutdown of its runtime"), "{text}");
    });
}

#[test]
fn a_result_whose_destructor_a_shutdown_ends_is_no_panic_of_the_scope() {
    struct Waits(chan::Sender<()>);
    impl Drop for Waits {
        fn drop(&mut self) {
            self.0.send(()).unwrap();
            let _ = chan::never::<()>().recv();
        }
    }
    in_every_world(|| {
        let other = Runtime::builder().workers(1).build().unwrap();
        let (begun, has_begun) = chan::bounded(1);
        scope(|s| {
            // The handle goes before the child runs, on the one worker: so it is the child that drops the result.
            other.run(move || drop(s.go(move || Waits(begun))));
            has_begun.recv().unwrap();
            other.shutdown();
        });
    });
}
