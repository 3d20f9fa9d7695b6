//! `Group`: the first error, limits, panics.

use crate::{
    setup::{Drops, runtime, text},
    worlds::{in_every_world, on_one_worker},
};
use rendez::{Context, ContextError, chan, go, sync::Group};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

#[test]
fn it_waits_for_all_and_gives_the_first_error() {
    in_every_world(|crew| {
        let role = crew.start(|ops| async move {
            let ended = Arc::new(AtomicUsize::new(0));
            let group = Group::new();
            let (tx, rx) = chan::bounded::<()>(0);
            for i in 0..10 {
                let (ended, tx, rx) = (ended.clone(), tx.clone(), rx.clone());
                let member = move || {
                    // Nobody but the fifth ends before it has.
                    if i == 5 {
                        tx.close();
                    } else {
                        drop(tx);
                        assert!(rx.recv().is_err());
                        rendez::yield_now();
                    }
                    ended.fetch_add(1, Ordering::Relaxed);
                    if i >= 5 { Err(i) } else { Ok(()) }
                };
                if ops.awaits() { group.go_async(member).await } else { group.go(member) }
            }
            let result = if ops.awaits() { group.wait_async().await } else { group.wait() };
            assert_eq!(ended.load(Ordering::Relaxed), 10);
            result
        });
        assert!(role.join().is_err_and(|i| i >= 5));
    });
    assert_eq!(Group::<()>::new().wait(), Ok(()));
    on_one_worker(|| {
        let (group, order) = (Group::new(), Arc::new(AtomicUsize::new(0)));
        for _ in 0..3 {
            let order = order.clone();
            group.go(move || Err(order.fetch_add(1, Ordering::Relaxed)));
        }
        assert_eq!(group.wait(), Err(0), "the first in time");
    });
}

#[test]
fn the_first_error_ends_the_context_and_so_does_the_end_of_waiting() {
    let (group, ctx) = Group::with_context(&Context::background());
    let seen = ctx.clone();
    group.go(move || {
        assert!(seen.done().recv().is_err());
        Err("second")
    });
    group.go(|| Err("first"));
    assert_eq!(group.wait(), Err("first"));
    assert_eq!(ctx.err(), Some(ContextError::Canceled));

    let (group, ctx) = Group::<()>::with_context(&Context::background());
    group.go(|| Ok(()));
    assert_eq!(group.wait(), Ok(()));
    assert_eq!(ctx.err(), Some(ContextError::Canceled));

    let (parent, cancel) = Context::background().with_cancel();
    let (group, ctx) = Group::with_context(&parent);
    group.go(move || ctx.done().recv().map_or(Err("ended from above"), |never| match never {}));
    cancel.cancel();
    assert_eq!(group.wait(), Err("ended from above"));
}

#[test]
fn no_more_run_at_once_than_the_limit_says() {
    in_every_world(|crew| {
        let role = crew.start(|ops| async move {
            let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let group = Group::<()>::new();
            group.limit(3);
            for _ in 0..30 {
                let (now, most) = (now.clone(), most.clone());
                let member = move || {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    rendez::yield_now();
                    now.fetch_sub(1, Ordering::SeqCst);
                    Ok(())
                };
                if ops.awaits() { group.go_async(member).await } else { group.go(member) }
            }
            assert_eq!(if ops.awaits() { group.wait_async().await } else { group.wait() }, Ok(()));
            let most = most.load(Ordering::SeqCst);
            assert!((1..=3).contains(&most), "{most}");
        });
        role.join();
    });
}

#[test]
fn who_only_tries_starts_nothing_beyond_the_limit() {
    let group = Group::<()>::new();
    group.limit(1);
    let (tx, rx) = chan::bounded::<()>(0);
    let drops = Drops::default();
    let token = drops.token();
    assert!(group.try_go(move || {
        assert!(rx.recv().is_err());
        Ok(())
    }));
    assert!(!group.try_go(move || {
        drop(token);
        Ok(())
    }));
    assert_eq!(drops.count(), 1);
    drop(tx);
    assert_eq!(group.wait(), Ok(()));
}

#[test]
fn a_limit_is_not_changed_while_members_run_and_nothing_waits_for_a_limit_of_zero() {
    let group = Group::<()>::new();
    group.limit(2);
    let (tx, rx) = chan::bounded::<()>(0);
    group.go(move || {
        assert!(rx.recv().is_err());
        Ok(())
    });
    let panic = catch_unwind(AssertUnwindSafe(|| group.limit(5))).unwrap_err();
    assert_eq!(text(panic), "errgroup: modify limit while 1 goroutines in the group are still active");
    drop(tx);
    assert_eq!(group.wait(), Ok(()));
    let group = Group::<()>::new();
    group.limit(0);
    assert!(!group.try_go(|| Ok(())));
    let panic = catch_unwind(AssertUnwindSafe(|| group.go(|| Ok(())))).unwrap_err();
    assert!(text(panic).contains("the limit of this Group is zero"));
    assert_eq!(group.wait(), Ok(()));
    // More than can be counted is no limit.
    let group = Group::<()>::new();
    group.limit(usize::MAX);
    group.go(|| Ok(()));
    assert_eq!(group.wait(), Ok(()));
}

#[test]
fn who_waits_for_members_that_a_shutdown_ended_is_told_so() {
    for started in [true, false] {
        let runtime = runtime(1);
        let (group, ctx) = Group::<&str>::with_context(&Context::background());
        runtime.run(|| {
            group.go(|| {
                _ = chan::never::<()>().recv();
                Ok(())
            });
            if started {
                rendez::yield_now();
            }
        });
        let failed = group.clone();
        drop(runtime);
        assert_eq!(ctx.err(), Some(ContextError::Canceled), "{started}");
        let panic = catch_unwind(AssertUnwindSafe(|| group.wait())).unwrap_err();
        assert_eq!(text(panic), "sync: a goroutine of this Group was ended by the shutdown of its runtime");
        // An error is something to tell.
        failed.go(|| Err("failed"));
        assert_eq!(failed.wait(), Err("failed"));
    }
}

#[test]
fn a_destructor_that_waits_for_members_while_a_shutdown_ends_them_returns() {
    for _ in 0..20 {
        let runtime = runtime(1);
        let waited = Arc::new(AtomicUsize::new(0));
        let counts = waited.clone();
        let (here, came) = chan::bounded(0);
        let waits = runtime.run(move || {
            go(move || {
                let group = Group::<()>::new();
                let member = group.clone();
                let _waits = crate::setup::OnDrop(move || {
                    assert_eq!(group.clone().wait(), Ok(()));
                    counts.fetch_add(1, Ordering::SeqCst);
                });
                member.go(|| {
                    _ = chan::never::<()>().recv();
                    Ok(())
                });
                here.send(()).unwrap();
                _ = chan::never::<()>().recv();
            })
        });
        came.recv().unwrap();
        drop(runtime);
        assert!(waits.join().unwrap_err().is_cancelled());
        assert_eq!(waited.load(Ordering::SeqCst), 1);
    }
}

#[test]
fn a_panic_comes_out_of_wait_when_all_have_ended() {
    let ended = Arc::new(AtomicUsize::new(0));
    let (group, ctx) = Group::<&str>::with_context(&Context::background());
    let counts = ended.clone();
    group.go(move || {
        assert!(ctx.done().recv().is_err(), "the panic cancels");
        counts.fetch_add(1, Ordering::Relaxed);
        Err("an error")
    });
    group.go(|| panic!("for the {}", "test"));
    let panic = catch_unwind(AssertUnwindSafe(|| group.wait())).unwrap_err();
    assert_eq!(text(panic), "for the test");
    assert_eq!(ended.load(Ordering::Relaxed), 1);
}

#[test]
fn members_may_start_others() {
    fn walk(group: &Group<()>, depth: usize, count: &Arc<AtomicUsize>) {
        count.fetch_add(1, Ordering::Relaxed);
        for _ in 0..if depth == 0 { 0 } else { 3 } {
            let (inner, count) = (group.clone(), count.clone());
            group.go(move || {
                walk(&inner, depth - 1, &count);
                Ok(())
            });
        }
    }
    for workers in [1, 2] {
        let count = Arc::new(AtomicUsize::new(0));
        runtime(workers).run(|| {
            let group = Group::new();
            walk(&group, 4, &count);
            assert_eq!(group.wait(), Ok(()));
        });
        assert_eq!(count.load(Ordering::Relaxed), 1 + 3 + 9 + 27 + 81);
    }
}

#[test]
fn a_group_that_is_dropped_goes_on_and_ends_its_context_with_the_last() {
    let (group, ctx) = Group::<()>::with_context(&Context::background());
    let (tx, rx) = chan::bounded(0);
    group.go(move || {
        tx.send(()).unwrap();
        Ok(())
    });
    drop(group);
    assert!(ctx.err().is_none());
    rx.recv().unwrap();
    assert!(ctx.done().recv().is_err());
}

#[test]
fn errors_and_functions_are_dropped_once_also_in_a_shutdown() {
    let drops = Drops::default();
    let runtime = runtime(1);
    let group = runtime.run(|| {
        let group = Group::new();
        group.limit(3);
        for _ in 0..2 {
            let token = drops.token();
            group.go(move || Err(token));
        }
        let token = drops.token();
        group.go(move || {
            let _token = token;
            _ = chan::never::<()>().recv();
            Ok(())
        });
        // Both errors have come, and the second has been dropped.
        crate::worlds::until(|| drops.count() == 1);
        group
    });
    drop(runtime);
    assert_eq!(drops.count(), 2, "the second error and what the shutdown unwound");
    let waits = go(move || group.wait());
    drop(waits.join().unwrap());
    assert_eq!(drops.count(), 3);
}

#[test]
fn who_has_waited_finds_every_place_free() {
    for _ in 0..500 {
        let group = Group::<()>::new();
        group.limit(1);
        let again = group.clone();
        group.go(|| Ok(()));
        assert_eq!(group.wait(), Ok(()));
        assert!(again.try_go(|| Ok(())));
        assert_eq!(again.clone().wait(), Ok(()));
        again.limit(2);
    }
}
