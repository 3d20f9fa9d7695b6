//! Trees of contexts: very deep, very wide, and changing while they end.

use crate::{
    setup::{Drops, runtime},
    worlds::in_every_world,
};
use rendez::{Context, ContextError, go, sync::WaitGroup};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

const MANY: usize = 100_000;

#[test]
fn a_chain_of_any_length_is_asked_ended_and_freed_without_recursion() {
    // A goroutine's stack would not do for a hundred thousand calls.
    runtime(1).run(|| {
        let drops = Drops::default();
        let (root, cancel) = Context::background().with_cancel();
        let mut ctx = root.with_value(drops.token());
        let mut cancels = Vec::new();
        for i in 0..MANY {
            ctx = if i % 3 == 0 { ctx.with_value(i as u8) } else { ctx };
            let (child, cancel) = ctx.with_cancel();
            cancels.push(cancel);
            ctx = child;
        }
        assert!(ctx.value::<crate::setup::Token>().is_some());
        assert!(ctx.to_string().len() > MANY * ".WithCancel".len());
        assert!(ctx.err().is_none());
        cancel.cancel();
        assert_eq!(ctx.err(), Some(ContextError::Canceled));
        cancels.truncate(1);
        drop((root, cancel));
        drop(cancels);
        assert_eq!(drops.count(), 0);
        drop(ctx);
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn a_chain_that_nobody_ended_is_freed_as_well() {
    runtime(1).run(|| {
        let drops = Drops::default();
        let mut ctx = Context::background().with_value(drops.token());
        for i in 0..MANY {
            let (child, cancel) = ctx.with_cancel();
            cancel.detach();
            ctx = if i % 7 == 0 { child.without_cancel() } else { child };
        }
        let (last, cancel) = ctx.with_cancel();
        drop(cancel);
        assert!(last.err().is_some() && ctx.err().is_none());
        drop((last, ctx));
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn a_hundred_thousand_children_end_and_wake_their_goroutines() {
    for workers in [1, 2] {
        runtime(workers).run(|| {
            let (ctx, cancel) = Context::background().with_cancel();
            let (started, ended) = (WaitGroup::new(), WaitGroup::new());
            started.add(1000);
            for _ in 0..1000 {
                let (ctx, started) = (ctx.clone(), started.clone());
                ended.go(move || {
                    let children: Vec<_> = (0..MANY / 1000).map(|_| ctx.with_cancel()).collect();
                    started.done();
                    for (child, _) in &children {
                        assert!(child.done().recv().is_err());
                        assert_eq!(child.err(), Some(ContextError::Canceled));
                    }
                });
            }
            started.wait();
            cancel.cancel();
            ended.wait();
        });
    }
}

#[test]
fn children_that_come_and_go_while_their_parent_ends_all_end() {
    in_every_world(|crew| {
        for round in 0..20 {
            let (ctx, cancel) = Context::background().with_cancel();
            let roles: Vec<_> = (0..6)
                .map(|role| {
                    let ctx = ctx.clone();
                    crew.start(move |ops| async move {
                        let mut kept = Vec::new();
                        loop {
                            let (child, cancel) = ctx.with_value(role).with_cancel();
                            let (grandchild, cancel_grandchild) = child.with_timeout(Duration::from_secs(60));
                            match kept.len() % 3 {
                                0 => drop(cancel),
                                1 => cancel.detach(),
                                _ => kept.push((child.clone(), cancel)),
                            }
                            kept.push((grandchild, cancel_grandchild));
                            if ctx.err().is_some() {
                                break;
                            }
                            ops.pause().await;
                        }
                        let (late, _cancel) = ctx.with_cancel();
                        assert!(late.err().is_some());
                        for (child, _) in &kept {
                            ops.event(child).await;
                            assert_eq!(child.err(), Some(ContextError::Canceled));
                        }
                    })
                })
                .collect();
            for _ in 0..round {
                rendez::yield_now();
            }
            cancel.cancel();
            roles.into_iter().for_each(|role| role.join());
        }
    });
}

#[test]
fn who_is_woken_may_use_the_tree_that_is_ending() {
    runtime(2).run(|| {
        let (ctx, cancel) = Context::background().with_cancel();
        let all = WaitGroup::new();
        let made = Arc::new(AtomicBool::new(false));
        for _ in 0..100 {
            let (child, cancel) = ctx.with_cancel();
            let (ctx, made) = (ctx.clone(), made.clone());
            all.go(move || {
                _ = child.done().recv();
                drop(cancel);
                let (other, _cancel) = ctx.with_cancel();
                made.store(other.err().is_some(), Ordering::Relaxed);
                drop(ctx.after_func(|| {}));
            });
        }
        let watcher = go({
            let ctx = ctx.clone();
            move || _ = ctx.done().recv()
        });
        rendez::yield_now();
        cancel.cancel();
        all.wait();
        watcher.join().unwrap();
        assert!(made.load(Ordering::Relaxed));
    });
}
