//! Contexts: Go's rules, from every world.

use crate::{
    setup::{Drops, runtime, wait_until},
    worlds::{Crew, in_both_times, in_every_world, in_worlds_of_time, on_one_worker, poll_once},
};
use rendez::{
    Context, ContextError, Event, Runtime, chan, choose, go, select,
    sync::{Mutex, Semaphore, WaitGroup},
    time::Instant,
};
use std::{
    error::Error,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

const HOUR: Duration = Duration::from_secs(3600);
const SOON: Duration = Duration::from_millis(2);

fn is_closed(ctx: &Context) -> bool {
    ctx.done().try_recv().is_err_and(|error| error == chan::TryRecvError::Closed)
}

#[test]
fn the_roots_never_end_and_say_what_they_are() {
    in_both_times(|clock| {
        for (ctx, name) in [(Context::background(), "context.Background"), (Context::todo(), "context.TODO")]
        {
            assert_eq!(ctx.to_string(), name);
            assert!(ctx.err().is_none() && ctx.cause().is_none() && ctx.deadline().is_none());
            assert!(!is_closed(&ctx));
            let start = Instant::now();
            assert_eq!((&ctx).wait_timeout(SOON), None);
            assert_eq!(ctx.done().recv_timeout(SOON), Err(chan::RecvTimeoutError::Timeout));
            clock.has_passed(start, 2 * SOON);
            assert!(!ctx.done().close(), "nobody can close it");
        }
    });
}

#[test]
fn the_texts_are_gos() {
    assert_eq!(ContextError::Canceled.to_string(), "context canceled");
    assert_eq!(ContextError::DeadlineExceeded.to_string(), "context deadline exceeded");
    let error: Box<dyn Error + Send + Sync> = Box::new(ContextError::Canceled);
    assert_eq!(error.to_string(), "context canceled");
}

#[test]
fn the_end_reaches_everybody_who_waits_for_it_however() {
    in_every_world(|crew| {
        for way in 0..6 {
            let (ctx, cancel) = Context::background().with_cancel();
            let waiting = WaitGroup::new();
            waiting.add(12);
            let roles: Vec<_> = (0..12)
                .map(|_| {
                    let (ctx, waiting) = (ctx.with_value("x"), waiting.clone());
                    crew.start(move |ops| async move {
                        waiting.done();
                        match way {
                            0 => assert!(ops.recv(ctx.done()).await.is_err()),
                            1 => assert_eq!(ops.event(&ctx).await, ContextError::Canceled),
                            2 => {
                                let (_tx, rx) = chan::bounded::<i32>(0);
                                let bound = ctx.bound(rx.recv_event());
                                assert_eq!(ops.event(bound).await, Err(ContextError::Canceled));
                            }
                            3 => assert!(ops.event(choose([ctx.done().recv_event()])).await.is_err()),
                            4 => {
                                while ctx.err().is_none() {
                                    ops.pause().await;
                                }
                            }
                            _ => {
                                let (_tx, rx) = chan::bounded::<i32>(0);
                                let ended = select! {
                                    recv(rx) -> _ => false,
                                    wait(&ctx) -> err => err == ContextError::Canceled,
                                };
                                assert!(ended);
                            }
                        }
                        assert!(is_closed(&ctx));
                        assert_eq!(ctx.err(), Some(ContextError::Canceled));
                    })
                })
                .collect();
            waiting.wait();
            cancel.cancel();
            roles.into_iter().for_each(|role| role.join());
        }
    });
}

#[test]
fn an_error_that_somebody_has_seen_means_that_done_is_closed() {
    in_every_world(|crew| {
        for _ in 0..50 {
            let (ctx, cancel) = Context::background().with_cancel();
            let roles: Vec<_> = (0..3)
                .map(|_| {
                    let ctx = ctx.clone();
                    crew.start(move |ops| async move {
                        while ctx.err().is_none() {
                            ops.pause().await;
                        }
                        assert!(is_closed(&ctx));
                    })
                })
                .collect();
            // One of them, or nobody, has made the channel by now.
            _ = ctx.done();
            drop(cancel);
            roles.into_iter().for_each(|role| role.join());
        }
    });
}

#[test]
fn the_first_to_cancel_says_why() {
    let (ctx, cancel) = Context::background().with_cancel_cause();
    let (child, cancel_child) = ctx.with_cancel();
    cancel.cancel_with("first");
    cancel.cancel_with("second");
    cancel_child.cancel_with("third");
    for ctx in [&ctx, &child, &child.with_value(1), &child.with_cancel().0] {
        assert_eq!(ctx.err(), Some(ContextError::Canceled));
        assert_eq!(ctx.cause().unwrap().to_string(), "first");
    }
    let (ctx, cancel) = Context::background().with_timeout(HOUR);
    let (child, cancel_child) = ctx.with_cancel();
    cancel_child.cancel_with(std::io::Error::other("the child first"));
    drop(cancel);
    assert_eq!(child.cause().unwrap().to_string(), "the child first");
    assert_eq!(ctx.cause().unwrap().to_string(), "context canceled", "without a cause it is the error");
}

#[test]
fn of_several_who_cancel_at_once_one_is_the_first_for_all() {
    in_every_world(|crew| {
        for _ in 0..30 {
            let (ctx, cancel) = Context::background().with_cancel();
            let (child, _cancel_child) = ctx.with_cancel();
            let cancel = Arc::new(cancel);
            let roles: Vec<_> = (0..4)
                .map(|role| {
                    let (cancel, ctx) = (cancel.clone(), ctx.clone());
                    crew.start(move |_| async move {
                        cancel.cancel_with(format!("{role}"));
                        ctx.cause().expect("it has ended").to_string()
                    })
                })
                .collect();
            let causes: Vec<String> = roles.into_iter().map(|role| role.join()).collect();
            assert!(causes.iter().all(|cause| *cause == causes[0]), "{causes:?}");
            wait_until(|| child.cause().is_some());
            assert_eq!(child.cause().unwrap().to_string(), causes[0]);
        }
    });
}

#[test]
fn a_parents_end_is_its_childrens_and_not_the_other_way_round() {
    let (parent, cancel) = Context::background().with_cancel();
    let (child, cancel_child) = parent.with_cancel();
    let (other, _cancel_other) = parent.with_value(0).with_timeout(HOUR);
    cancel_child.cancel();
    assert!(child.err().is_some() && parent.err().is_none() && other.err().is_none());
    cancel.cancel();
    assert!(parent.err().is_some() && other.err() == Some(ContextError::Canceled));
    let (late, _cancel) = parent.with_timeout(HOUR);
    assert_eq!(late.err(), Some(ContextError::Canceled), "a child of what has ended has ended");
    assert!(is_closed(&late));
}

#[test]
fn a_cancel_func_that_is_dropped_cancels_and_one_that_is_detached_does_not() {
    in_both_times(|clock| {
        let (ctx, cancel) = Context::background().with_cancel();
        drop(cancel);
        assert_eq!(ctx.err(), Some(ContextError::Canceled));
        let start = Instant::now();
        let (ctx, cancel) = Context::background().with_timeout(SOON);
        cancel.detach();
        // By the machine's clock, that may have been it already.
        assert!(ctx.err().is_none() || !clock.is_virtual());
        assert_eq!((&ctx).wait(), ContextError::DeadlineExceeded);
        clock.has_passed(start, SOON);
        let (parent, cancel) = Context::background().with_cancel();
        let (child, cancel_child) = parent.with_cancel();
        cancel_child.detach();
        assert_eq!(child.err(), None);
        cancel.cancel();
        assert_eq!(child.err(), Some(ContextError::Canceled));
    });
}

#[test]
fn a_cancel_func_that_a_panic_or_a_shutdown_drops_cancels() {
    let (ctx, cancel) = Context::background().with_cancel();
    let panics = go(move || {
        let _cancel = cancel;
        panic!("for the test");
    });
    assert!(panics.join().is_err());
    assert!(ctx.err().is_some());

    let (ctx, cancel) = Context::background().with_cancel();
    let runtime = runtime(1);
    let (tx, rx) = chan::bounded(0);
    drop(runtime.spawn(move || {
        let _cancel = cancel;
        tx.send(()).unwrap();
        chan::never::<()>().recv()
    }));
    rx.recv().unwrap();
    assert!(ctx.err().is_none());
    drop(runtime);
    assert!(ctx.err().is_some());
}

fn eight_deadlines(crew: &Crew) {
    let roles: Vec<_> = (0..8)
        .map(|i| {
            crew.start(move |ops| async move {
                let deadline = Instant::now() + Duration::from_micros(300 * i);
                let (ctx, _cancel) = Context::background().with_deadline(deadline);
                let (child, _cancel_child) = ctx.with_cancel();
                assert_eq!(child.deadline(), Some(deadline));
                assert_eq!(ops.event(&child).await, ContextError::DeadlineExceeded);
                ops.clock().meets(Instant::now(), deadline);
                assert_eq!(ctx.err(), Some(ContextError::DeadlineExceeded));
                assert_eq!(child.cause().unwrap().to_string(), "context deadline exceeded");
            })
        })
        .collect();
    roles.into_iter().for_each(|role| role.join());
}

#[test]
fn a_deadline_ends_it_in_every_world_and_not_before() {
    in_worlds_of_time(eight_deadlines);
}

/// The one test of deadlines by the machine's clock on one, two and eight real workers.
#[test]
fn a_deadline_ends_it_on_real_workers_too() {
    in_every_world(eight_deadlines);
}

#[test]
fn a_parents_earlier_deadline_wins_and_a_later_one_does_not() {
    in_both_times(|clock| {
        let now = Instant::now();
        let (near, far) = (now + Duration::from_secs(60), now + HOUR);
        let (parent, _cancel) = Context::background().with_deadline(near);
        let (later, _cancel_later) = parent.with_value("v").with_deadline(far);
        assert_eq!(later.deadline(), Some(near));
        let (earlier, _cancel_earlier) = later.with_deadline(now + Duration::from_secs(1));
        assert_eq!(earlier.deadline(), Some(now + Duration::from_secs(1)));
        let (soon, _cancel_soon) = Context::background().with_timeout(SOON);
        let (child, _cancel_child) = soon.with_timeout(HOUR);
        assert_eq!((&child).wait(), ContextError::DeadlineExceeded);
        clock.has_passed(now, SOON);
    });
}

#[test]
fn a_deadline_that_has_passed_cancels_at_once() {
    in_both_times(|_| {
        for (ctx, _cancel) in [
            Context::background().with_timeout(Duration::ZERO),
            Context::background().with_deadline(Instant::now()),
        ] {
            assert_eq!(ctx.err(), Some(ContextError::DeadlineExceeded));
            assert!(is_closed(&ctx));
            assert!(ctx.deadline().is_some());
        }
    });
}

#[test]
fn more_time_than_the_clock_can_say_is_for_ever() {
    let (ctx, cancel) = Context::background().with_timeout(Duration::MAX);
    assert_eq!((ctx.deadline(), ctx.err()), (None, None));
    cancel.cancel();
    assert_eq!(ctx.err(), Some(ContextError::Canceled));
}

/// By the machine's clock: the virtual one stands while somebody computes.
#[test]
fn a_goroutine_that_computes_sees_the_deadline_though_its_worker_sees_to_no_timers() {
    on_one_worker(|| {
        let (ctx, _cancel) = Context::background().with_timeout(SOON);
        let (child, _cancel_child) = ctx.with_value(0).with_cancel();
        let rx = child.done().clone();
        while child.err().is_none() {}
        assert_eq!(ctx.err(), Some(ContextError::DeadlineExceeded));
        assert_eq!(rx.try_recv(), Err(chan::TryRecvError::Closed));
    });
}

#[test]
fn values_are_found_by_their_type_and_the_nearest_hides_the_others() {
    #[derive(PartialEq, Debug)]
    struct UserId(&'static str);
    let ctx = Context::background().with_value(UserId("jane")).with_value(7_u8);
    let (child, _cancel) = ctx.with_cancel();
    let inner = child.with_value(UserId("john"));
    assert_eq!(child.value::<UserId>(), Some(&UserId("jane")));
    assert_eq!(inner.value::<UserId>(), Some(&UserId("john")));
    assert_eq!(inner.value::<u8>(), Some(&7));
    assert_eq!(inner.value::<&'static str>(), None);
    assert_eq!(Context::background().value::<u8>(), None);
}

#[test]
fn values_are_dropped_once_with_the_last_context_that_has_them() {
    let drops = Drops::default();
    let ctx = Context::background().with_value(drops.token());
    let (child, cancel) = ctx.with_cancel();
    let inner = child.without_cancel();
    drop((ctx, child, cancel));
    assert_eq!(drops.count(), 0);
    drop(inner);
    assert_eq!(drops.count(), 1);
}

#[test]
fn without_cancel_keeps_the_values_and_nothing_else() {
    let (ctx, cancel) = Context::background().with_value(1_u8).with_timeout(HOUR);
    let free = ctx.without_cancel();
    assert_eq!(free.deadline(), None);
    let (below, _cancel) = free.with_cancel();
    cancel.cancel();
    assert!(ctx.err().is_some());
    for ctx in [&free, &below] {
        assert!(ctx.err().is_none() && ctx.cause().is_none() && !is_closed(ctx));
        assert_eq!(ctx.value::<u8>(), Some(&1));
    }
}

#[test]
fn a_context_tells_how_it_was_made() {
    in_both_times(|clock| {
        struct Key;
        let (ctx, _cancel) = Context::todo().with_value(Key).with_cancel();
        let (ctx, _cancel_inner) = ctx.without_cancel().with_timeout(HOUR);
        let text = ctx.to_string();
        let type_name = concat!(module_path!(), "::a_context_tells");
        assert!(text.starts_with(&format!("context.TODO.WithValue(type {type_name}")), "{text}");
        let left = if clock.is_virtual() { "in 3600s)" } else { "in 3" };
        assert!(text.contains(&format!("Key).WithCancel.WithoutCancel.WithDeadline({left}")), "{text}");
        let (past, _cancel_past) = Context::background().with_timeout(Duration::ZERO);
        rendez::sleep(SOON);
        assert!(past.to_string().starts_with("context.Background.WithDeadline("), "{past}");
        assert!(past.to_string().ends_with(if clock.is_virtual() { "(2ms ago)" } else { " ago)" }), "{past}");
        assert!(format!("{past:?}").contains("DeadlineExceeded"));
    });
}

#[test]
fn after_func_runs_on_a_goroutine_of_its_own_once_and_stop_says_whether_it_prevented_it() {
    for workers in [1, 2] {
        runtime(workers).run(|| {
            let (ctx, cancel) = Context::background().with_cancel();
            let (tx, rx) = chan::unbounded();
            let (stopped, kept) = (tx.clone(), tx.clone());
            let stop = ctx.after_func(move || stopped.send("stopped").unwrap());
            let keep = ctx.after_func(move || {
                rendez::yield_now();
                kept.send("kept").unwrap();
            });
            drop(ctx.after_func(move || tx.send("dropped").unwrap()));
            assert!(stop.stop());
            assert!(!stop.stop(), "once");
            cancel.cancel();
            cancel.cancel();
            let mut got: Vec<_> = rx.iter().collect();
            got.sort_unstable();
            assert_eq!(got, ["dropped", "kept"]);
            assert!(!keep.stop() && !stop.stop());
        });
    }
}

#[test]
fn after_func_of_what_has_ended_runs_at_once_and_of_what_never_ends_never() {
    let (ctx, cancel) = Context::background().with_cancel();
    drop(cancel);
    let (tx, rx) = chan::bounded(1);
    let stop = ctx.after_func(move || tx.send(()).unwrap());
    assert_eq!(rx.recv(), Ok(()));
    assert!(!stop.stop());
    let drops = Drops::default();
    let token = drops.token();
    let stop = Context::background().after_func(move || drop(token));
    assert!(stop.stop());
    assert!(!stop.stop());
    assert_eq!(drops.count(), 1);
}

#[test]
fn a_function_keeps_the_context_that_its_parent_or_its_deadline_can_end() {
    in_both_times(|_| {
        let (parent, cancel) = Context::background().with_cancel();
        let (tx, rx) = chan::bounded(2);
        let other = tx.clone();
        let (child, cancel_child) = parent.with_cancel();
        drop(child.after_func(move || tx.send("parent").unwrap()));
        cancel_child.detach();
        drop(child);
        let (timed, cancel_timed) = Context::background().with_timeout(SOON);
        drop(timed.after_func(move || other.send("deadline").unwrap()));
        cancel_timed.detach();
        drop(timed);
        assert_eq!(rx.recv(), Ok("deadline"));
        cancel.cancel();
        assert_eq!(rx.recv(), Ok("parent"));
        assert!(rx.recv().is_err(), "both are gone");
        // Nobody can end this one any more.
        let drops = Drops::default();
        let (ctx, cancel) = Context::background().with_cancel();
        let token = drops.token();
        drop(ctx.after_func(move || drop(token)));
        cancel.detach();
        drop(ctx);
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn a_function_of_a_runtime_that_has_ended_is_dropped() {
    let (drops, ran) = (Drops::default(), Arc::new(AtomicBool::new(false)));
    let (ctx, cancel) = Context::background().with_cancel();
    let runtime = Runtime::builder().workers(1).build().unwrap();
    let (token, runs) = (drops.token(), ran.clone());
    let stop = runtime.run(|| {
        ctx.after_func(move || {
            runs.store(true, Ordering::Relaxed);
            drop(token);
        })
    });
    drop(runtime);
    cancel.cancel();
    assert!(!stop.stop());
    assert_eq!((drops.count(), ran.load(Ordering::Relaxed)), (1, false));
}

#[test]
fn stops_beside_the_end_are_told_apart() {
    in_every_world(|crew| {
        for _ in 0..50 {
            let (ctx, cancel) = Context::background().with_cancel();
            let (tx, rx) = chan::bounded(1);
            let stop = ctx.after_func(move || tx.send(()).unwrap());
            let stopper = crew.start(move |_| async move { stop.stop() });
            let canceller = crew.start(move |_| async move { cancel.cancel() });
            let stopped = stopper.join();
            canceller.join();
            assert_eq!(rx.recv().is_err(), stopped, "it ran, or it was stopped");
        }
    });
}

#[test]
fn everything_that_blocks_can_be_bounded() {
    in_worlds_of_time(|crew| {
        let start = Instant::now();
        let (ctx, _cancel) = Context::background().with_timeout(SOON);
        let role = crew.start(move |ops| async move {
            let late = ContextError::DeadlineExceeded;
            let (tx, rx) = chan::bounded(0);
            let (mutex, semaphore, group) = (Mutex::new(1), Semaphore::new(1), WaitGroup::new());
            let (held, permit) = (mutex.try_lock().unwrap(), semaphore.try_acquire(1).unwrap());
            group.add(1);
            assert_eq!(ops.event(ctx.bound(rx.recv_event())).await, Err(late));
            assert_eq!(ops.event(ctx.bound(tx.send_event(1))).await, Err(late));
            assert!(ops.event(ctx.bound(mutex.lock_event())).await.is_err());
            assert!(ops.event(ctx.bound(semaphore.acquire_event(1))).await.is_err());
            assert_eq!(ops.event(ctx.bound(&group)).await, Err(late));
            assert_eq!(ops.event(ctx.bound(rendez::time::timer(HOUR))).await, Err(late));
            assert_eq!(ops.event(ctx.bound(choose([rx.recv_event()]))).await, Err(late));
            assert_eq!(ops.event(ctx.bound(&Context::background())).await, Err(late));
            drop((held, permit));
            assert!(mutex.try_lock().is_some() && semaphore.available() == 1);
        });
        role.join();
        crew.clock().has_passed(start, SOON);
    });
}

#[test]
fn a_bounded_event_that_happens_first_is_what_counts() {
    in_worlds_of_time(|crew| {
        let (ctx, _cancel) = Context::background().with_cancel();
        let (tx, rx) = chan::bounded(0);
        let receiver = crew.start({
            let ctx = ctx.clone();
            move |ops| async move {
                let mut sum = 0;
                while let Ok(value) = ops.event(ctx.bound(rx.recv_event())).await.expect("it goes on") {
                    sum += value;
                }
                sum
            }
        });
        for i in 0..100 {
            assert_eq!(ctx.bound(tx.send_event(i)).wait(), Ok(Ok(())));
        }
        drop(tx);
        assert_eq!(receiver.join(), 4950);
        let start = Instant::now();
        assert_eq!(ctx.bound(rendez::time::timer(SOON)).wait().err(), None);
        assert!(Context::background().bound(&ctx).wait_timeout(SOON).is_none());
        crew.clock().has_passed(start, 2 * SOON);
    });
}

#[test]
fn an_end_that_has_come_goes_before_an_event_that_is_ready() {
    let (ctx, cancel) = Context::background().with_cancel();
    let (tx, rx) = chan::bounded(1);
    tx.send(1).unwrap();
    drop(cancel);
    for _ in 0..20 {
        assert_eq!(ctx.bound(rx.recv_event()).wait(), Err(ContextError::Canceled));
    }
    assert_eq!(rx.len(), 1, "and takes nothing");
}

#[test]
fn values_that_meet_the_end_are_neither_lost_nor_doubled() {
    in_every_world(|crew| {
        for _ in 0..30 {
            let (ctx, cancel) = Context::background().with_cancel();
            let (tx, rx) = chan::bounded(0);
            let sent = Arc::new(AtomicUsize::new(0));
            let sender = crew.start({
                let (ctx, sent) = (ctx.clone(), sent.clone());
                move |ops| async move {
                    while let Ok(Ok(())) = ops.event(ctx.bound(tx.send_event(1))).await {
                        sent.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
            let receiver = crew.start({
                let ctx = ctx.clone();
                move |ops| async move {
                    let mut got = 0;
                    while let Ok(Ok(value)) = ops.event(ctx.bound(rx.recv_event())).await {
                        got += value;
                    }
                    got
                }
            });
            let canceller = crew.start(move |ops| async move {
                ops.pause().await;
                drop(cancel);
            });
            canceller.join();
            sender.join();
            assert_eq!(receiver.join(), sent.load(Ordering::Relaxed));
        }
    });
}

#[test]
fn a_future_that_is_dropped_leaves_the_queue() {
    let (ctx, cancel) = Context::background().with_cancel();
    {
        let mut ended = pin!((&ctx).wait_async());
        assert!(poll_once(ended.as_mut()).is_none());
        let (_tx, rx) = chan::bounded::<i32>(0);
        let mut bound = pin!(ctx.bound(rx.recv_event()).wait_async());
        assert!(poll_once(bound.as_mut()).is_none());
    }
    cancel.cancel();
    let mut ended = pin!((&ctx).wait_async());
    assert_eq!(poll_once(ended.as_mut()), Some(ContextError::Canceled));
}

#[test]
fn contexts_go_between_runtimes_and_threads() {
    let (ctx, cancel) = Context::background().with_cancel();
    let (one, other) = (runtime(1), runtime(2));
    let waits: Vec<_> = [&one, &other]
        .map(|runtime| {
            let ctx = ctx.clone();
            runtime.spawn(move || (&ctx).wait())
        })
        .into_iter()
        .collect();
    let thread = thread::spawn({
        let ctx = ctx.clone();
        move || (&ctx).wait()
    });
    one.run(move || cancel.cancel());
    for wait in waits {
        assert_eq!(wait.join().unwrap(), ContextError::Canceled);
    }
    assert_eq!(thread.join().unwrap(), ContextError::Canceled);
}
