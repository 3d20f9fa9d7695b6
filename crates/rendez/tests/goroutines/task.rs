//! Goroutines: starting, joining, panicking, and what becomes of results.
#![cfg(not(loom))]

use crate::setup::{Drops, Token, in_every_world, in_time, wait_until};
use rendez::{
    Builder, JoinHandle, Placement, Runtime, block_on, chan, go, go_local, run, sync::WaitGroup, yield_now,
};
use std::{
    cell::Cell,
    collections::HashSet,
    panic::{AssertUnwindSafe, catch_unwind, panic_any, resume_unwind},
    rc::Rc,
    sync::{
        Arc, Mutex, TryLockError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

// ---- join ----

#[test]
fn a_goroutine_returns_its_value_to_whoever_joins_it() {
    in_every_world(|| {
        let handles: Vec<JoinHandle<usize>> = (0..100).map(|i| go(move || i * i)).collect();
        for (i, handle) in handles.into_iter().enumerate() {
            assert_eq!(handle.join().unwrap(), i * i);
        }
    });
}

#[test]
fn a_join_waits_for_a_goroutine_that_is_parked() {
    in_every_world(|| {
        let (tx, rx) = chan::bounded(0);
        let first = go(move || rx.recv().unwrap());
        let second = go(move || first.join().unwrap() + 1);
        tx.send(40).unwrap();
        assert_eq!(second.join().unwrap(), 41);
    });
}

#[test]
fn a_join_after_the_end_returns_at_once() {
    in_every_world(|| {
        let handle = go(|| String::from("kept"));
        wait_until(|| handle.is_finished());
        assert_eq!(handle.join().unwrap(), "kept");
    });
}

#[test]
fn is_finished_turns_true_once_the_goroutine_has_ended() {
    in_every_world(|| {
        let (tx, rx) = chan::bounded::<()>(0);
        let handle = go(move || rx.recv());
        assert!(!handle.is_finished());
        drop(tx);
        wait_until(|| handle.is_finished());
        assert!(handle.join().unwrap().is_err());
    });
}

#[test]
fn a_handle_may_be_joined_by_another_thread_or_another_runtime() {
    in_time(|| {
        let (one, two) =
            (Runtime::builder().build().unwrap(), Runtime::builder().workers(1).build().unwrap());
        for round in 0..50 {
            let handle = one.spawn(move || round);
            assert_eq!(two.spawn(move || handle.join().unwrap()).join().unwrap(), round);
            let handle = one.run(|| go(move || round));
            assert_eq!(thread::spawn(move || handle.join().unwrap()).join().unwrap(), round);
        }
    });
}

#[test]
fn a_chain_of_five_thousand_joins_comes_back() {
    in_time(|| {
        fn chain(depth: u32) -> u32 {
            if depth == 0 { 0 } else { go(move || chain(depth - 1)).join().unwrap() + 1 }
        }
        assert_eq!(run(|| chain(5000)), 5000);
    });
}

#[test]
fn a_detached_goroutine_goes_on_after_its_handle_and_its_parent_have_gone() {
    in_every_world(|| {
        let (tx, rx) = chan::bounded(0);
        go(move || drop(go(move || tx.send("still here").unwrap()))).join().unwrap();
        assert_eq!(rx.recv().unwrap(), "still here");
    });
}

#[test]
fn results_of_any_size_come_over() {
    in_every_world(|| {
        go(|| ()).join().unwrap();
        let large = go(|| [7u8; 16 * 1024]).join().unwrap();
        assert!(large.iter().all(|&byte| byte == 7));
        #[repr(align(128))]
        struct Aligned(u8);
        let aligned = go(|| Box::new(Aligned(9))).join().unwrap();
        assert_eq!((aligned.0, &raw const *aligned as usize % 128), (9, 0));
    });
}

#[test]
fn numbers_are_unique_among_workers_threads_and_runtimes() {
    in_time(|| {
        let numbers = Arc::new(Mutex::new(Vec::new()));
        let threads: Vec<_> = (0..4)
            .map(|i| {
                let numbers = numbers.clone();
                thread::spawn(move || {
                    let start = || (0..500).map(|_| go(|| ()).id()).collect::<Vec<u64>>();
                    let mine = if i % 2 == 0 { start() } else { run(start) };
                    numbers.lock().unwrap().extend(mine);
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let numbers = numbers.lock().unwrap();
        assert_eq!(numbers.len(), 2000);
        assert_eq!(numbers.iter().collect::<HashSet<_>>().len(), 2000);
        assert!(!numbers.contains(&0));
    });
}

#[test]
fn a_handle_shows_its_number_and_whether_the_goroutine_has_ended() {
    let handle = go(|| ());
    wait_until(|| handle.is_finished());
    assert_eq!(format!("{handle:?}"), format!("JoinHandle {{ id: {}, finished: true }}", handle.id()));
}

// ---- panics ----

#[test]
fn a_panic_comes_out_of_join_with_its_payload() {
    in_every_world(|| {
        #[derive(Debug, PartialEq)]
        struct Reason(u32);
        let error = go(|| panic_any(Reason(7))).join().unwrap_err();
        assert!(error.is_panic() && !error.is_cancelled());
        assert_eq!(*error.into_panic().downcast::<Reason>().unwrap(), Reason(7));
    });
}

#[test]
fn a_join_error_tells_the_number_and_the_message() {
    let told = |handle: JoinHandle<()>| {
        let id = handle.id();
        let error = handle.join().unwrap_err();
        (id, error.to_string(), format!("{error:?}"))
    };
    let (id, display, debug) = told(go(|| panic!("out of tea")));
    assert_eq!(display, format!("goroutine {id} panicked: out of tea"));
    assert_eq!(debug, format!("JoinError::Panic({id}, \"out of tea\")"));
    let (id, display, _) = told(go(|| panic!("{} cups", 3)));
    assert_eq!(display, format!("goroutine {id} panicked: 3 cups"));
    let (id, display, _) = told(go(|| panic_any(3)));
    assert_eq!(display, format!("goroutine {id} panicked"));
}

#[test]
fn a_payload_can_be_raised_again() {
    in_every_world(|| {
        let error = go(|| panic!("first")).join().unwrap_err();
        let again = go(move || resume_unwind(error.into_panic())).join().unwrap_err();
        assert_eq!(*again.into_panic().downcast::<&str>().unwrap(), "first");
    });
}

#[test]
fn into_panic_of_a_cancelled_goroutine_says_what_is_wrong() {
    let runtime = Runtime::builder().workers(1).build().unwrap();
    runtime.shutdown();
    let handle = runtime.spawn(|| ());
    let id = handle.id();
    let error = handle.join().unwrap_err();
    assert!(error.is_cancelled() && !error.is_panic());
    assert_eq!(error.to_string(), format!("goroutine {id} was cancelled: its runtime has shut down"));
    let panic = catch_unwind(AssertUnwindSafe(|| error.into_panic())).unwrap_err();
    let text = panic.downcast::<String>().unwrap();
    assert!(text.contains("into_panic") && text.contains("was cancelled"), "{text}");
}

#[test]
fn a_panic_leaves_its_worker_and_its_siblings_alone() {
    in_time(|| {
        let runtime = Runtime::builder().workers(1).build().unwrap();
        runtime.run(|| {
            let (tx, rx) = chan::bounded::<u32>(0);
            let sibling = go(move || rx.iter().sum::<u32>());
            for i in 0..100 {
                assert!(go(move || panic_any(i)).join().unwrap_err().is_panic());
                tx.send(i).unwrap();
            }
            drop(tx);
            assert_eq!(sibling.join().unwrap(), 4950);
            assert!(!thread::panicking());
        });
    });
}

#[test]
fn a_panic_after_a_park_may_be_caught_around_the_park() {
    in_every_world(|| {
        let (tx, rx) = chan::bounded::<u32>(0);
        let handle = go(move || {
            let caught = catch_unwind(AssertUnwindSafe(|| {
                let value = rx.recv().unwrap();
                panic_any(value);
            }));
            yield_now();
            *caught.unwrap_err().downcast::<u32>().unwrap() + rx.recv().unwrap()
        });
        tx.send(40).unwrap();
        tx.send(2).unwrap();
        assert_eq!(handle.join().unwrap(), 42);
    });
}

#[test]
fn a_destructor_may_wait_while_a_panic_unwinds_and_others_run_and_panic_meanwhile() {
    in_time(|| {
        struct Waits(chan::Receiver<u32>, chan::Sender<u32>);
        impl Drop for Waits {
            fn drop(&mut self) {
                assert!(thread::panicking());
                self.1.send(self.0.recv().unwrap() + 1).unwrap();
            }
        }
        for workers in [1, 2] {
            let runtime = Runtime::builder().workers(workers).build().unwrap();
            runtime.run(|| {
                let ((ask, asked), (tell, told)) = (chan::bounded(0), chan::unbounded());
                let unwinding = go(move || {
                    let _waits = Waits(asked, tell);
                    panic_any("outer");
                });
                for _ in 0..10 {
                    let error = go(|| {
                        yield_now();
                        panic_any("other")
                    });
                    let error = error.join().unwrap_err();
                    assert_eq!(*error.into_panic().downcast::<&str>().unwrap(), "other");
                }
                ask.send(1).unwrap();
                assert_eq!(told.recv(), Ok(2));
                let error = unwinding.join().unwrap_err();
                assert_eq!(*error.into_panic().downcast::<&str>().unwrap(), "outer");
                assert!(!thread::panicking());
            });
        }
    });
}

// ---- what becomes of results ----

#[test]
fn a_result_that_is_joined_is_dropped_once_by_the_joiner() {
    in_every_world(|| {
        let drops = Drops::default();
        let token = drops.token();
        let result = go(move || token).join().unwrap();
        assert_eq!(drops.count(), 0);
        drop(result);
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn a_result_whose_handle_went_before_the_end_is_dropped_once() {
    in_every_world(|| {
        let drops = Drops::default();
        let (tx, rx) = chan::bounded::<()>(0);
        let token = drops.token();
        drop(go(move || {
            let _ = rx.recv();
            token
        }));
        assert_eq!(drops.count(), 0);
        drop(tx);
        wait_until(|| drops.count() > 0);
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn a_result_whose_handle_goes_after_the_end_is_dropped_once_with_the_handle() {
    in_every_world(|| {
        let drops = Drops::default();
        let token = drops.token();
        let handle = go(move || token);
        wait_until(|| handle.is_finished());
        assert_eq!(drops.count(), 0);
        drop(handle);
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn results_are_dropped_once_however_the_end_and_the_handle_race() {
    in_time(|| {
        let runtime = Runtime::builder().workers(2).build().unwrap();
        let drops = Drops::default();
        for i in 0..4000 {
            let token = drops.token();
            let handle = runtime.spawn(move || token);
            for _ in 0..i % 50 {
                std::hint::spin_loop();
            }
            match i % 3 {
                0 => drop(handle),
                1 => drop(handle.join().unwrap()),
                _ => drop(runtime.spawn(move || handle.join().unwrap())),
            }
        }
        wait_until(|| drops.count() >= 4000);
        runtime.shutdown();
        assert_eq!(drops.count(), 4000);
    });
}

#[test]
fn a_panic_drops_captures_and_payload_once() {
    in_every_world(|| {
        let drops = Drops::default();
        let (captured, payload) = (drops.token(), drops.token());
        let error = go(move || {
            let _captured = captured;
            panic_any(payload);
        });
        let error = error.join().unwrap_err();
        assert_eq!(drops.count(), 1);
        drop(error);
        assert_eq!(drops.count(), 2);
        let payload = drops.token();
        drop(go(move || panic_any(payload)));
        wait_until(|| drops.count() > 2);
        assert_eq!(drops.count(), 3);
    });
}

#[test]
fn captures_are_dropped_before_join_returns() {
    in_every_world(|| {
        let drops = Drops::default();
        for _ in 0..200 {
            let before = drops.count();
            let token = drops.token();
            go(move || _ = &token).join().unwrap();
            assert_eq!(drops.count(), before + 1);
        }
    });
}

#[test]
fn a_cancelled_goroutine_drops_its_captures_once() {
    in_time(|| {
        let drops = Drops::default();
        let runtime = Runtime::builder().workers(2).build().unwrap();
        let (tx, rx) = chan::bounded::<()>(0);
        let (started, starts) = chan::unbounded();
        let handles: Vec<JoinHandle<Token>> = (0..100)
            .map(|_| {
                let (token, rx, started) = (drops.token(), rx.clone(), started.clone());
                runtime.spawn(move || {
                    started.send(()).unwrap();
                    let _ = rx.recv();
                    token
                })
            })
            .collect();
        (0..50).for_each(|_| starts.recv().unwrap());
        runtime.shutdown();
        assert_eq!(drops.count(), 100);
        assert!(handles.into_iter().all(|handle| handle.join().unwrap_err().is_cancelled()));
        assert_eq!(drops.count(), 100);
        drop(tx);
    });
}

#[test]
fn a_result_whose_destructor_panics_does_no_harm() {
    in_every_world(|| {
        struct Bad(#[allow(dead_code, reason = "counts its drop")] Token);
        impl Drop for Bad {
            fn drop(&mut self) {
                panic!("a destructor that panics");
            }
        }
        let drops = Drops::default();
        let token = drops.token();
        drop(go(move || Bad(token)));
        wait_until(|| drops.count() == 1);
        let token = drops.token();
        let handle = go(move || Bad(token));
        wait_until(|| handle.is_finished());
        drop(handle);
        assert_eq!(drops.count(), 2);
        assert_eq!(go(|| 5).join().unwrap(), 5);
    });
}

// ---- builder, go_local ----

#[test]
fn a_builder_gives_a_goroutine_a_large_stack() {
    fn deep(depth: usize) -> usize {
        let frame = std::hint::black_box([depth; 128]);
        if depth == 0 { 0 } else { deep(depth - 1) + frame[depth % 128] / depth }
    }
    in_every_world(|| {
        // Some 4 MB of frames, where the default is 256 KiB.
        let handle = Builder::new().name("deep").stack_size(16 << 20).spawn(|| deep(3000)).unwrap();
        assert_eq!(handle.join().unwrap(), 3000);
    });
}

#[test]
fn a_placement_of_near_stays_on_the_parents_thread_and_spread_goes_to_others() {
    in_time(|| {
        let runtime = Runtime::builder().workers(4).build().unwrap();
        runtime.run(|| {
            let me = thread::current().id();
            let place = |placement, rx: &chan::Receiver<()>| {
                let rx = rx.clone();
                let started = Builder::new().placement(placement).spawn(move || {
                    let here = thread::current().id();
                    let _ = rx.recv();
                    assert_eq!(thread::current().id(), here);
                    here
                });
                started.unwrap()
            };
            let (tx, rx) = chan::bounded(0);
            let near: Vec<_> = (0..20).map(|_| place(Placement::Near, &rx)).collect();
            let spread: Vec<_> = (0..20).map(|_| place(Placement::Spread, &rx)).collect();
            drop(tx);
            assert!(near.into_iter().all(|handle| handle.join().unwrap() == me));
            let threads: HashSet<_> = spread.into_iter().map(|handle| handle.join().unwrap()).collect();
            assert!(threads.len() > 1, "all on {threads:?}");
        });
    });
}

#[test]
fn go_local_shares_an_rc_with_its_parent() {
    in_time(|| {
        for workers in [1, 2, 8] {
            let runtime = Runtime::builder().workers(workers).build().unwrap();
            runtime.run(|| {
                let sum = Rc::new(Cell::new(0));
                let parent = thread::current().id();
                let handles: Vec<_> = (0..100)
                    .map(|i| {
                        let sum = sum.clone();
                        go_local(move || {
                            yield_now();
                            sum.set(sum.get() + i);
                            rendez::sleep(Duration::from_micros(i));
                            assert_eq!(thread::current().id(), parent);
                            sum
                        })
                    })
                    .collect();
                for handle in handles {
                    assert!(Rc::ptr_eq(&handle.join().unwrap(), &sum));
                }
                assert_eq!((sum.get(), Rc::strong_count(&sum)), (4950, 1));
            });
        }
    });
}

#[test]
fn go_local_gives_its_panic_to_join() {
    run(|| {
        let handle = go_local(|| panic_any(Cell::new(3)));
        let error = handle.join().unwrap_err();
        assert_eq!(error.into_panic().downcast::<Cell<i32>>().unwrap().get(), 3);
    });
}

#[test]
fn go_local_outside_a_goroutine_says_so() {
    let panic = catch_unwind(|| go_local(|| ())).map(drop).unwrap_err();
    let text = *panic.downcast::<&str>().unwrap();
    assert!(text.starts_with("go_local called outside a goroutine"), "{text}");
}

// ---- around joins ----

#[test]
fn a_wait_group_waits_for_all_in_every_world() {
    in_every_world(|| {
        let group = WaitGroup::new();
        let count = Arc::new(AtomicUsize::new(0));
        for i in 0..200 {
            let count = count.clone();
            group.go(move || {
                if i % 3 == 0 {
                    yield_now();
                }
                count.fetch_add(1, Ordering::SeqCst);
            });
        }
        group.wait();
        assert_eq!(count.load(Ordering::SeqCst), 200);
        let (theirs, count) = (group.clone(), count.clone());
        theirs.add(1);
        drop(go(move || {
            count.fetch_add(1, Ordering::SeqCst);
            theirs.done();
        }));
        block_on(group.wait_async());
    });
}

#[test]
fn a_std_mutex_guard_may_be_held_across_a_park() {
    in_time(|| {
        let runtime = Runtime::builder().workers(1).build().unwrap();
        runtime.run(|| {
            let mutex = Arc::new(Mutex::new(0));
            let ((tx, rx), (locked, wait_for_lock)) = (chan::bounded(0), chan::bounded(0));
            let theirs = mutex.clone();
            let holder = go(move || {
                let mut guard = theirs.lock().unwrap();
                locked.send(()).unwrap();
                *guard += rx.recv().unwrap();
            });
            wait_for_lock.recv().unwrap();
            assert!(matches!(mutex.try_lock(), Err(TryLockError::WouldBlock)));
            tx.send(5).unwrap();
            holder.join().unwrap();
            assert_eq!(*mutex.try_lock().unwrap(), 5);
        });
    });
}

#[test]
fn a_join_of_a_goroutine_that_another_worker_ends_is_never_lost() {
    in_time(|| {
        let runtime = Runtime::builder().workers(2).build().unwrap();
        runtime.run(|| {
            for i in 0..3000 {
                let stop = Arc::new(AtomicBool::new(false));
                let theirs = stop.clone();
                let placed = Builder::new().placement(Placement::Spread).spawn(move || {
                    while !theirs.load(Ordering::SeqCst) {
                        yield_now();
                    }
                    i
                });
                stop.store(true, Ordering::SeqCst);
                assert_eq!(placed.unwrap().join().unwrap(), i);
            }
        });
    });
}
