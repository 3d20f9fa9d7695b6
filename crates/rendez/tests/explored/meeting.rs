//! WaitGroup, Barrier, Once, OnceValue, Group.

use crate::{Inside, explore};
use rendez::{
    Context, go, scope,
    sync::{Barrier, Group, Once, OnceValue, WaitGroup},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

const SHORT: Duration = Duration::from_millis(1);

#[test]
fn a_group_is_waited_for_until_all_are_done() {
    explore(1, || {
        let (group, done) = (WaitGroup::new(), Arc::new(AtomicUsize::new(0)));
        for round in 1..=2 {
            for _ in 0..2 {
                let done = done.clone();
                group.go(move || {
                    rendez::yield_now();
                    done.fetch_add(1, Relaxed);
                });
            }
            let waiters = [0, 1].map(|_| {
                let (group, done) = (group.clone(), done.clone());
                go(move || {
                    group.wait();
                    done.load(Relaxed)
                })
            });
            rendez::block_on(async {
                use rendez::Event;
                let _ = (&group).wait_timeout(SHORT);
                group.wait_async().await;
            });
            assert_eq!(done.load(Relaxed), 2 * round);
            for waiter in waiters {
                assert_eq!(waiter.join().unwrap(), 2 * round);
            }
        }
    });
}

#[test]
fn a_barrier_lets_all_go_on_when_all_have_come() {
    explore(1, || {
        let (barrier, come) = (Barrier::new(3), AtomicUsize::new(0));
        let last = scope(|s| {
            let all = [0, 1, 2].map(|_| {
                s.go(|| {
                    let mut last = 0;
                    for round in 1..=2 {
                        come.fetch_add(1, Relaxed);
                        last += usize::from(barrier.wait());
                        assert!(come.load(Relaxed) >= 3 * round);
                    }
                    last
                })
            });
            all.map(|one| one.join().unwrap()).iter().sum::<usize>()
        });
        assert_eq!(last, 2, "one of each round");
    });
}

#[test]
fn once_is_once_and_all_see_what_it_did() {
    explore(2, || {
        let (once, calls) = (Once::new(), AtomicUsize::new(0));
        scope(|s| {
            for _ in 0..3 {
                s.go(|| {
                    once.call_once(|| {
                        rendez::yield_now();
                        calls.fetch_add(1, Relaxed);
                    });
                    assert!(once.is_completed());
                    assert_eq!(calls.load(Relaxed), 1);
                });
            }
            s.go(|| {
                once.wait();
                assert_eq!(calls.load(Relaxed), 1);
            });
        });
    });
    explore(2, || {
        // One that panics counts.
        let (once, calls) = (Once::new(), AtomicUsize::new(0));
        let panics = scope(|s| {
            let all = [0, 1, 2].map(|_| {
                s.go(|| {
                    let call = || {
                        once.call_once(|| {
                            calls.fetch_add(1, Relaxed);
                            rendez::yield_now();
                            panic!("the one call");
                        });
                    };
                    usize::from(catch_unwind(AssertUnwindSafe(call)).is_err())
                })
            });
            all.map(|one| one.join().unwrap()).iter().sum::<usize>()
        });
        assert_eq!((panics, calls.load(Relaxed)), (1, 1));
    });
}

#[test]
fn a_value_is_made_once() {
    explore(1, || {
        let calls = Arc::new(AtomicUsize::new(0));
        let value = OnceValue::new({
            let calls = calls.clone();
            move || {
                rendez::yield_now();
                calls.fetch_add(1, Relaxed);
                7
            }
        });
        scope(|s| {
            for _ in 0..3 {
                s.go(|| {
                    assert!(matches!(value.try_get(), None | Some(7)));
                    assert_eq!(*value.get(), 7);
                });
            }
        });
        assert_eq!(calls.load(Relaxed), 1);
    });
}

#[test]
fn a_group_keeps_its_limit_and_tells_the_first_error() {
    explore(2, || {
        let (group, ctx) = Group::with_context(&Context::background());
        let inside = Arc::new(Inside::default());
        group.limit(2);
        for member in 0..3 {
            let (inside, ctx) = (inside.clone(), ctx.clone());
            group.go(move || {
                inside.stay(2);
                match member {
                    1 => Err("one"),
                    _ => rendez::Event::wait(ctx.bound(rendez::time::timer(SHORT)))
                        .map(drop)
                        .map_err(|_| "ended"),
                }
            });
        }
        let started = group.try_go({
            let inside = inside.clone();
            move || {
                inside.stay(2);
                Ok(())
            }
        });
        let result = group.wait();
        assert!(inside.is_empty(), "all have ended; the last was started: {started}");
        assert_eq!(result, Err("one"), "nobody else fails before it has");
        assert!(ctx.err().is_some());
    });
    explore(2, || {
        let group = Group::<()>::new();
        group.limit(1);
        group.go(|| panic!("a member"));
        group.go(|| Ok(()));
        let panic = catch_unwind(AssertUnwindSafe(|| group.wait())).unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&"a member"));
    });
}
