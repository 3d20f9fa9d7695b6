//! What a context's end owes to those who have no handle of it any more, to those who come while it is under way, and to
//! those behind somebody who misbehaves.

use crate::{
    setup::{Drops, OnDrop, in_time, runtime, wait_until},
    worlds::{in_both_times, in_every_world, in_worlds_of_time, poll_with},
};
use rendez::{
    Context, ContextError, Event, Runtime,
    chan::{self, RecvTimeoutError, TryRecvError},
    sync::WaitGroup,
    time::Instant,
};
use std::{
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Wake, Waker},
    time::Duration,
};

const HOUR: Duration = Duration::from_secs(3600);
const SOON: Duration = Duration::from_millis(2);

#[test]
fn a_done_channel_that_outlives_every_handle_closes_when_the_parent_ends_and_not_before() {
    in_worlds_of_time(|crew| {
        for nested in [false, true] {
            let (parent, cancel) = Context::background().with_value(nested).with_cancel();
            let (child, cancel_child) = parent.with_value(1).with_cancel();
            let done = match nested {
                false => child.done().clone(),
                true => {
                    let (grandchild, cancel_grandchild) = child.with_cancel();
                    cancel_grandchild.detach();
                    grandchild.done().clone()
                }
            };
            cancel_child.detach();
            drop((child, parent));
            assert_eq!(done.try_recv(), Err(TryRecvError::Empty), "nothing has ended");
            let waits = crew.start({
                let done = done.clone();
                |ops| async move { ops.recv(&done).await.is_err() }
            });
            assert_eq!(done.recv_timeout(SOON), Err(RecvTimeoutError::Timeout));
            cancel.cancel();
            assert!(waits.join());
        }
    });
}

#[test]
fn a_done_channel_that_outlives_every_handle_closes_at_the_deadline() {
    in_both_times(|clock| {
        let start = Instant::now();
        let done = {
            let (ctx, cancel) = Context::background().with_timeout(SOON);
            cancel.detach();
            ctx.done().clone()
        };
        // By the machine's clock, it may be there already.
        assert!(done.try_recv() == Err(TryRecvError::Empty) || !clock.is_virtual());
        assert!(done.recv().is_err());
        clock.has_passed(start, SOON);
    });
}

#[test]
fn what_nobody_can_see_any_more_goes_at_once_though_its_deadline_is_far() {
    let drops = Drops::default();
    let (parent, _cancel) = Context::background().with_cancel();
    for asks in [false, true] {
        for limit in [Some(HOUR), None] {
            let above = parent.with_value(drops.token());
            let (child, cancel) = match limit {
                Some(limit) => above.with_timeout(limit),
                None => above.with_cancel(),
            };
            drop(above);
            let before = drops.count();
            if asks {
                let done = child.done().clone();
                assert!(done.try_recv().is_err());
            }
            let other = child.clone();
            cancel.detach();
            drop(child);
            assert_eq!(drops.count(), before);
            drop(other);
            assert_eq!(drops.count(), before + 1, "asked: {asks}, limit: {limit:?}");
        }
    }
}

/// A race with deadlines that pass meanwhile, so the workers are real ones.
#[test]
fn handles_that_go_beside_the_end_leave_nothing_behind() {
    in_every_world(|crew| {
        let drops = Drops::default();
        let mut made = 0;
        for round in 0..100 {
            let (parent, cancel) = Context::background().with_value(drops.token()).with_cancel();
            made += 1;
            let roles: Vec<_> = (0..3)
                .map(|role| {
                    let limit = [HOUR, Duration::from_micros(50), Duration::ZERO][(role + round) % 3];
                    let parent = parent.with_value(drops.token());
                    made += 1;
                    crew.start(move |ops| async move {
                        let (child, detached) = parent.with_timeout(limit);
                        let (other, kept) = parent.with_cancel();
                        drop(parent);
                        detached.detach();
                        let done = (role % 2 == 0).then(|| (child.done().clone(), other.done().clone()));
                        let clone = child.clone();
                        ops.pause().await;
                        drop(child);
                        kept.detach();
                        drop((clone, other));
                        if let Some((one, two)) = done {
                            _ = ops.recv(&one).await;
                            _ = ops.recv(&two).await;
                        }
                    })
                })
                .collect();
            drop(parent);
            rendez::yield_now();
            cancel.cancel();
            drop(cancel);
            roles.into_iter().for_each(|role| role.join());
        }
        // An alarm that is going off has its context for a moment yet.
        wait_until(|| drops.count() == made);
    });
}

#[test]
fn of_several_handles_that_go_at_once_one_is_the_last() {
    in_every_world(|crew| {
        let drops = Drops::default();
        for round in 0..200 {
            let before = drops.count();
            let (parent, _cancel) = Context::background().with_cancel();
            let (child, detached) = parent.with_value(drops.token()).with_timeout(HOUR);
            let (grandchild, other) = child.with_cancel();
            detached.detach();
            other.detach();
            let done = (round % 2 == 0).then(|| grandchild.done().clone());
            let handles = [child.clone(), child, grandchild.clone(), grandchild];
            let roles = handles.map(|handle| crew.start(move |_| async move { drop(handle) }));
            drop(done);
            roles.into_iter().for_each(|role| role.join());
            // A `done` in somebody's hands may have had the last handle leave it for its parent to end.
            assert!(drops.count() > before || round % 2 == 0, "it is still there");
        }
    });
}

#[test]
fn nobody_but_the_context_closes_its_done() {
    let (ctx, cancel) = Context::background().with_cancel();
    let done = ctx.done().clone();
    assert!(!done.close() && !ctx.done().close());
    assert!(!done.is_closed() && ctx.err().is_none());
    assert_eq!(done.try_recv(), Err(TryRecvError::Empty));
    assert_eq!((done.len(), done.capacity(), done.is_full()), (0, Some(0), true));
    cancel.cancel();
    assert!(done.is_closed() && done.recv().is_err());
    assert!(!done.close());
}

#[test]
fn a_destructor_that_panics_in_a_function_which_is_dropped_keeps_nobody_from_ending() {
    let (ctx, cancel) = Context::background().with_cancel();
    let (child, _cancel) = ctx.with_cancel();
    let (grandchild, _cancel) = child.with_cancel();
    let ended = Runtime::builder().workers(1).build().unwrap();
    for _ in 0..2 {
        let bad = OnDrop(|| panic!("for the test"));
        ended.run(|| drop(ctx.after_func(move || drop(bad))));
    }
    drop(ended);
    let (tx, rx) = chan::bounded(1);
    drop(ctx.after_func(move || tx.send(()).unwrap()));
    cancel.cancel();
    assert_eq!(rx.recv(), Ok(()), "the functions behind it run");
    assert_eq!((child.err(), grandchild.err()), (Some(ContextError::Canceled), Some(ContextError::Canceled)));
}

/// Cancels again, and looks at what is not yet ended.
struct Cancels<F>(F, AtomicUsize);

impl<F: Fn() + Send + Sync + 'static> Wake for Cancels<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
        self.1.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_cancel_while_another_is_under_way_returns_at_once_and_the_first_returns_when_all_have_ended() {
    in_time(|| {
        let (ctx, cancel) = Context::background().with_cancel();
        let cancel = Arc::new(cancel);
        let (first, _cancel) = ctx.with_cancel();
        // Some siblings end together before anybody is told, but not so many.
        let _between: Vec<_> = (0..100).map(|_| ctx.with_cancel()).collect();
        let (second, _cancel) = ctx.with_cancel();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let waker = Arc::new(Cancels(
            {
                let (cancel, second, seen) = (cancel.clone(), second.clone(), seen.clone());
                move || {
                    cancel.cancel();
                    seen.lock().unwrap().push(second.err());
                }
            },
            AtomicUsize::new(0),
        ));
        let mut waits = pin!((&first).wait_async());
        assert!(poll_with(waits.as_mut(), &Waker::from(waker.clone())).is_none());
        cancel.cancel();
        assert_eq!(waker.1.load(Ordering::SeqCst), 1);
        assert_eq!(*seen.lock().unwrap(), [None], "a waker that is called by the first does not wait for it");
        assert!(first.err().is_some() && second.err().is_some());
    });
}

#[test]
fn when_several_have_cancelled_and_returned_everything_below_has_ended() {
    for workers in [1, 2, 8] {
        runtime(workers).run(|| {
            for _ in 0..200 {
                let (ctx, cancel) = Context::background().with_cancel();
                let cancel = Arc::new(cancel);
                let below: Vec<_> = (0..50)
                    .map(|_| {
                        let (child, cancel) = ctx.with_cancel();
                        let (grandchild, cancel_grandchild) = child.with_cancel();
                        ((child, cancel), (grandchild, cancel_grandchild))
                    })
                    .collect();
                let all = WaitGroup::new();
                for _ in 0..4 {
                    let cancel = cancel.clone();
                    all.go(move || cancel.cancel());
                }
                all.wait();
                for ((child, _), (grandchild, _)) in &below {
                    assert!(child.err().is_some() && grandchild.err().is_some());
                }
            }
        });
    }
}
