//! `Once` and `OnceValue`: Go's rules, from every world.
#![cfg(not(loom))]

use crate::worlds::{Ops, Wakes, drive, in_every_world, on_one_worker, poll_once, poll_with, until};
use rendez::{
    Runtime, block_on, chan, go, select,
    sync::{Once, OnceValue},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind, panic_any},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

/// What `f` panics with.
fn panic_of<R>(f: impl FnOnce() -> R) -> String {
    let payload = catch_unwind(AssertUnwindSafe(|| drop(f()))).expect_err("it should have panicked");
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload.downcast_ref::<&str>().expect("a text").to_string(),
    }
}

#[test]
fn a_hundred_callers_make_one_call_and_see_what_it_did() {
    in_every_world(|crew| {
        let (once, count) = (Arc::new(Once::new()), Arc::new(AtomicUsize::new(0)));
        let callers: Vec<_> = (0..100)
            .map(|_| {
                let (once, count) = (once.clone(), count.clone());
                crew.start(move |ops| async move {
                    ops.pause().await;
                    once.call_once(|| {
                        // Others come while it runs.
                        rendez::yield_now();
                        count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                    });
                    assert_eq!(count.load(Ordering::Relaxed), 1);
                })
            })
            .collect();
        callers.into_iter().for_each(|caller| caller.join());
    });
}

#[test]
fn it_is_the_calls_that_are_counted_and_not_the_functions() {
    let (once, count) = (Once::new(), AtomicUsize::new(0));
    assert!(!once.is_completed());
    once.call_once(|| _ = count.fetch_add(1, Ordering::Relaxed));
    once.call_once(|| _ = count.fetch_sub(1, Ordering::Relaxed));
    assert!(once.is_completed());
    assert_eq!(count.load(Ordering::Relaxed), 1);
}

/// One caller's function waits for a message, and then ends as `end` says; what the callers that come meanwhile do.
fn callers_wait_for_the_first(end: fn()) {
    in_every_world(|crew| {
        let once = Arc::new(Once::new());
        let (called, is_called) = chan::bounded(1);
        let (release, is_released) = chan::bounded::<()>(1);
        let ended = Arc::new(AtomicBool::new(false));
        let first = crew.start({
            let (once, ended) = (once.clone(), ended.clone());
            move |_| async move {
                let call = || {
                    once.call_once(|| {
                        called.send(()).unwrap();
                        is_released.recv().unwrap();
                        ended.store(true, Ordering::Relaxed);
                        end();
                    });
                };
                catch_unwind(AssertUnwindSafe(call)).is_err()
            }
        });
        is_called.recv().unwrap();
        let others: Vec<_> = (0..40)
            .map(|i| {
                let (once, ended) = (once.clone(), ended.clone());
                crew.start(move |ops| async move {
                    match i % 3 {
                        0 => once.call_once(|| panic!("the second call")),
                        1 => ops.event(&*once).await,
                        _ if ops.awaits() => once.wait_async().await,
                        _ => once.wait(),
                    }
                    assert!(once.is_completed());
                    ended.load(Ordering::Relaxed)
                })
            })
            .collect();
        (0..10).for_each(|_| rendez::yield_now());
        assert!(!once.is_completed());
        release.send(()).unwrap();
        for other in others {
            assert!(other.join(), "returned before the call had ended");
        }
        first.join();
        once.call_once(|| panic!("a later call"));
    });
}

#[test]
fn callers_that_come_meanwhile_wait_for_the_first() {
    callers_wait_for_the_first(|| ());
}

#[test]
fn a_panic_counts_as_done_also_for_those_who_wait() {
    callers_wait_for_the_first(|| std::panic::resume_unwind(Box::new("quietly")));
    let once = Once::new();
    assert_eq!(panic_of(|| once.call_once(|| panic!("the first"))), "the first");
    once.call_once(|| panic!("the second"));
}

#[test]
fn a_call_from_within_its_own_function_panics() {
    in_every_world(|crew| {
        crew.start(|_| async {
            let once = Once::new();
            let text = panic_of(|| once.call_once(|| once.call_once(|| ())));
            assert_eq!(text, "sync: Once is used by its own function, which would wait for itself");
            assert!(once.is_completed());
            let once = Once::new();
            assert!(panic_of(|| once.call_once(|| once.wait())).contains("wait for itself"));
        })
        .join();
    });
}

#[test]
fn a_call_from_within_through_a_future_of_the_same_goroutine_panics() {
    on_one_worker(|| {
        let once = Once::new();
        let text = panic_of(|| once.call_once(|| block_on(async { once.call_once(|| ()) })));
        assert!(text.contains("wait for itself"), "{text}");
    });
    let once = Once::new();
    let text = panic_of(|| once.call_once(|| drive(async { once.call_once(|| ()) })));
    assert!(text.contains("wait for itself"), "{text}");
}

#[test]
fn another_goroutine_of_the_same_worker_waits_and_does_not_stop_it() {
    on_one_worker(|| {
        let (once, called) = (Arc::new(Once::new()), Arc::new(AtomicUsize::new(0)));
        let (tx, rx) = chan::bounded::<()>(0);
        let callers: Vec<_> = (0..2)
            .map(|_| {
                let (once, called, rx) = (once.clone(), called.clone(), rx.clone());
                go(move || {
                    called.fetch_add(1, Ordering::Relaxed);
                    once.call_once(|| rx.recv().unwrap());
                })
            })
            .collect();
        until(|| called.load(Ordering::Relaxed) == 2);
        assert!(callers.iter().all(|caller| !caller.is_finished()));
        // One message is enough: one of them receives.
        tx.send(()).unwrap();
        callers.into_iter().for_each(|caller| caller.join().unwrap());
    });
}

#[test]
fn functions_may_call_other_onces() {
    on_one_worker(|| {
        let (outer, inner, count) = (Once::new(), Once::new(), AtomicUsize::new(0));
        outer.call_once(|| inner.call_once(|| _ = count.fetch_add(1, Ordering::Relaxed)));
        inner.call_once(|| _ = count.fetch_add(1, Ordering::Relaxed));
        assert_eq!(count.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn the_end_of_the_call_is_an_arm_of_a_select() {
    in_every_world(|crew| {
        let once = Arc::new(Once::new());
        let waits = crew.start({
            let once = once.clone();
            move |ops| async move {
                let never = chan::never::<()>();
                if ops.awaits() {
                    return ops.event(&*once).await;
                }
                select! {
                    wait(&*once) -> () => (),
                    recv(never) -> _ => unreachable!(),
                }
            }
        });
        once.call_once(|| ());
        waits.join();
        select! {
            wait(&*once) -> () => (),
            default => unreachable!("it has happened"),
        }
    });
    let once = Once::new();
    let happened = select! {
        wait(&once) -> () => true,
        default(Duration::from_millis(1)) => false,
    };
    assert!(!happened);
    once.call_once(|| ());
}

#[test]
fn a_wait_that_is_dropped_has_no_effect() {
    let once = Once::new();
    let (wakes, waker) = Wakes::new();
    let mut gone = Box::pin(once.wait_async());
    let mut kept: Vec<_> = (0..100).map(|_| Box::pin(once.wait_async())).collect();
    assert!(poll_with(gone.as_mut(), &waker).is_none());
    for future in &mut kept {
        assert!(poll_with(future.as_mut(), &waker).is_none());
    }
    drop(gone);
    once.call_once(|| assert_eq!(wakes.count(), 0));
    assert_eq!(wakes.count(), 100);
    for future in &mut kept {
        assert_eq!(poll_once(future.as_mut()), Some(()));
    }
    assert_eq!(poll_once(pin!(once.wait_async())), Some(()));
}

#[test]
fn a_shutdown_unwinds_those_who_wait_and_ends_the_call() {
    let (once, unwound) = (Arc::new(Once::new()), Arc::new(AtomicUsize::new(0)));
    struct Unwound(Arc<AtomicUsize>);
    impl Drop for Unwound {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let runtime = Runtime::builder().workers(1).build().unwrap();
    runtime.run(|| {
        let called = Arc::new(AtomicUsize::new(0));
        for i in 0..10 {
            let (once, called, unwound) = (once.clone(), called.clone(), Unwound(unwound.clone()));
            go(move || {
                let _unwound = unwound;
                called.fetch_add(1, Ordering::Relaxed);
                match i {
                    9 => once.wait(),
                    _ => once.call_once(|| _ = chan::never::<()>().recv()),
                }
                // The call has ended by being unwound; those that wait are unwound themselves, or go on.
            });
        }
        until(|| called.load(Ordering::Relaxed) == 10);
    });
    runtime.shutdown();
    assert_eq!(unwound.load(Ordering::Relaxed), 10);
    assert!(once.is_completed());
    once.call_once(|| unreachable!());
}

#[test]
fn a_thread_waits_for_a_goroutine_and_a_goroutine_for_a_thread() {
    let once = Arc::new(Once::new());
    let (tx, rx) = chan::bounded::<()>(0);
    let thread = thread::spawn({
        let once = once.clone();
        move || once.call_once(|| rx.recv().unwrap())
    });
    let goroutine = go({
        let once = once.clone();
        move || once.wait()
    });
    tx.send(()).unwrap();
    goroutine.join().unwrap();
    thread.join().unwrap();
}

#[test]
fn a_once_describes_itself() {
    static ONCE: Once = Once::new();
    assert_eq!(format!("{ONCE:?}"), "Once { completed: false, .. }");
    Once::default().call_once(|| ());
}

/// Counts how often it is dropped.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_value_is_made_once_for_all_who_ask() {
    in_every_world(|crew| {
        let (made, drops) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let value = Arc::new(OnceValue::new({
            let (made, drops) = (made.clone(), drops.clone());
            move || {
                rendez::yield_now();
                (made.fetch_add(1, Ordering::Relaxed) + 1, Counted(drops))
            }
        }));
        let askers: Vec<_> = (0..50)
            .map(|_| {
                let value = value.clone();
                crew.start(move |ops: Ops| async move {
                    ops.pause().await;
                    assert_eq!(value.get().0, 1);
                    std::ptr::from_ref(value.get()).addr()
                })
            })
            .collect();
        let mut places: Vec<_> = askers.into_iter().map(|asker| asker.join()).collect();
        places.dedup();
        assert_eq!(places.len(), 1);
        assert_eq!(drops.load(Ordering::Relaxed), 0);
        drop(value);
        until(|| drops.load(Ordering::Relaxed) == 1);
    });
}

#[test]
fn the_function_is_dropped_when_it_has_been_called_and_when_it_has_panicked() {
    let drops = Arc::new(AtomicUsize::new(0));
    let held = Counted(drops.clone());
    let value = OnceValue::new(move || held.0.load(Ordering::Relaxed) > 10);
    assert!(!value.get());
    assert_eq!(drops.load(Ordering::Relaxed), 1);
    let held = Counted(drops.clone());
    let value = OnceValue::<()>::new(move || panic!("{}", held.0.load(Ordering::Relaxed) > 10));
    assert_eq!(panic_of(|| value.get()), "false");
    assert_eq!(drops.load(Ordering::Relaxed), 2);
    // Never called.
    let held = Counted(drops.clone());
    drop(OnceValue::new(move || held.0.load(Ordering::Relaxed) > 10));
    assert_eq!(drops.load(Ordering::Relaxed), 3);
}

#[test]
fn every_call_panics_with_the_text_of_the_first_panic() {
    in_every_world(|crew| {
        let count = Arc::new(AtomicUsize::new(0));
        let value = Arc::new(OnceValue::<u32>::new({
            let count = count.clone();
            move || {
                rendez::yield_now();
                panic!("panic number {}", count.fetch_add(1, Ordering::Relaxed))
            }
        }));
        let askers: Vec<_> = (0..10)
            .map(|_| {
                let value = value.clone();
                crew.start(move |_| async move { panic_of(|| value.get()) })
            })
            .collect();
        for asker in askers {
            assert_eq!(asker.join(), "panic number 0");
        }
        assert_eq!(panic_of(|| value.get()), "panic number 0");
        assert_eq!(value.try_get(), None);
    });
}

#[test]
fn the_first_caller_gets_the_payload_and_the_others_hear_that_it_was_no_text() {
    let value = OnceValue::<()>::new(|| panic_any(7));
    let first = catch_unwind(AssertUnwindSafe(|| _ = value.get())).unwrap_err();
    assert_eq!(first.downcast_ref(), Some(&7));
    assert_eq!(panic_of(|| value.get()), "it panicked with a payload that is no text");
    let value = OnceValue::<()>::new(|| panic!("a text without arguments"));
    assert_eq!(panic_of(|| value.get()), "a text without arguments");
    assert_eq!(panic_of(|| value.get()), "a text without arguments");
}

#[test]
fn a_value_that_asks_for_itself_panics() {
    static SELF: OnceValue<u32, fn() -> u32> = OnceValue::from_fn(|| SELF.get() + 1);
    let expected = "sync: OnceValue is used by its own function, which would wait for itself";
    assert_eq!(panic_of(|| SELF.get()), expected);
    assert_eq!(panic_of(|| SELF.get()), expected);
}

#[test]
fn a_static_is_made_by_a_goroutine_that_parks_while_others_of_its_worker_wait() {
    static WORDS: OnceValue<Vec<&str>, fn() -> Vec<&'static str>> = OnceValue::from_fn(|| {
        // It parks.
        go(|| ()).join().unwrap();
        vec!["hello", "greetings"]
    });
    on_one_worker(|| {
        let askers: Vec<_> = (0..10).map(|_| go(|| WORDS.get().len())).collect();
        assert!(askers.into_iter().all(|asker| asker.join().unwrap() == 2));
    });
    assert_eq!(format!("{WORDS:?}"), "OnceValue { completed: true, .. }");
}

#[test]
fn a_value_whose_maker_was_ended_by_a_shutdown_says_so() {
    let value = Arc::new(OnceValue::<()>::new(|| _ = chan::never::<()>().recv()));
    let runtime = Runtime::builder().workers(1).build().unwrap();
    runtime.run(|| {
        let asked = Arc::new(AtomicBool::new(false));
        go({
            let (value, asked) = (value.clone(), asked.clone());
            move || {
                asked.store(true, Ordering::Relaxed);
                value.get();
            }
        });
        until(|| asked.load(Ordering::Relaxed));
    });
    runtime.shutdown();
    assert_eq!(panic_of(|| value.get()), "its goroutine was ended by the shutdown of its runtime");
}

#[test]
fn who_is_to_end_with_the_maker_of_a_value_is_unwound_and_panics_not() {
    let value = Arc::new(OnceValue::<()>::new(|| _ = chan::never::<()>().recv()));
    let runtime = Runtime::builder().workers(1).build().unwrap();
    let asked = Arc::new(AtomicBool::new(false));
    let handle = runtime.spawn({
        let (value, asked) = (value.clone(), asked.clone());
        move || {
            asked.store(true, Ordering::Relaxed);
            // It makes the value, catches its own end, and asks once more.
            drop(catch_unwind(AssertUnwindSafe(|| value.get())));
            assert!(value.try_get().is_none());
            value.get();
        }
    });
    runtime.run(|| until(|| asked.load(Ordering::Relaxed)));
    runtime.shutdown();
    let error = handle.join().unwrap_err();
    assert!(error.is_cancelled(), "{error}");
}
