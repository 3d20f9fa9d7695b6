//! Contexts: cancellation at every moment of everything that blocks.

use crate::{Census, explore};
use rendez::{
    Context, Event, chan,
    context::ContextError::{Canceled, DeadlineExceeded},
    go, scope, select,
    sync::{Cond, Mutex, Semaphore, WaitGroup},
    time,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

const SHORT: Duration = Duration::from_millis(1);

#[test]
fn the_first_to_end_it_is_the_first_for_all() {
    explore(2, || {
        let (parent, cancel_parent) = Context::background().with_timeout(SHORT);
        let (child, cancel_child) = parent.with_cancel();
        let seen = scope(|s| {
            let watchers = [&parent, &child].map(|ctx| {
                s.go(move || {
                    assert!(ctx.done().recv().is_err());
                    ctx.err().expect("done is closed")
                })
            });
            s.go(|| {
                time::sleep(SHORT);
                cancel_parent.cancel_with("the parent's reason");
                // If it has ended by its deadline, its children may just be about to.
                assert!(parent.err().is_some());
            });
            s.go(|| {
                time::sleep(SHORT);
                cancel_child.cancel_with("the child's reason");
                assert!(child.err().is_some());
            });
            watchers.map(|watcher| watcher.join().unwrap())
        });
        assert_eq!([parent.err(), child.err()].map(Option::unwrap), seen, "it does not change");
        for ctx in [&parent, &child] {
            let cause = ctx.cause().unwrap().to_string();
            match ctx.err().unwrap() {
                Canceled => assert!(cause.ends_with("reason"), "{cause}"),
                DeadlineExceeded => assert_eq!(cause, "context deadline exceeded"),
            }
        }
        assert_ne!(parent.cause().unwrap().to_string(), "the child's reason");
    });
    explore(2, || {
        // Children that come while the parent ends, end.
        let (parent, cancel) = Context::background().with_cancel();
        scope(|s| {
            s.go(|| cancel.cancel());
            for _ in 0..2 {
                s.go(|| {
                    let (child, _cancel) = parent.with_timeout(Duration::from_secs(3600));
                    let (grandchild, _cancel) = child.with_cancel();
                    assert!(grandchild.done().recv().is_err());
                    // The hour passes at once where time limits may pass at any moment.
                    assert!(matches!(grandchild.err(), Some(Canceled | DeadlineExceeded)));
                });
            }
        });
    });
}

#[test]
fn a_function_runs_or_is_stopped() {
    explore(1, || {
        let (ctx, cancel) = Context::background().with_cancel();
        let runs = Arc::new(AtomicUsize::new(0));
        let all = WaitGroup::new();
        let stops = [0, 1].map(|_| {
            let (runs, done) = (runs.clone(), all.clone());
            all.add(1);
            ctx.after_func(move || {
                runs.fetch_add(1, Relaxed);
                done.done();
            })
        });
        let ends = go(move || cancel.cancel());
        let mut stopped = 0;
        for stop in &stops {
            if stop.stop() {
                stopped += 1;
                all.done();
            }
            assert!(!stop.stop(), "only once");
        }
        ends.join().unwrap();
        all.wait();
        assert_eq!(runs.load(Relaxed) + stopped, 2);
    });
}

#[test]
fn everything_that_blocks_is_ended_or_has_happened() {
    explore(3, || {
        let (ctx, cancel) = Context::background().with_cancel();
        let (mutex, semaphore, group) = (Mutex::new(0), Semaphore::new(1), WaitGroup::new());
        let (census, (tx, rx)) = (Census::default(), chan::bounded(0));
        group.add(1);
        let (permit, guard) = (semaphore.acquire(1), mutex.lock());
        let (sent, received) = scope(|s| {
            let sender = s.go(|| matches!(ctx.bound(tx.send_event(census.make(1))).wait(), Ok(Ok(()))));
            let receiver = s.go(|| matches!(ctx.bound(rx.recv_event()).wait(), Ok(Ok(_))));
            s.go(|| {
                if let Ok(mut guard) = ctx.bound(mutex.lock_event()).wait() {
                    *guard += 1;
                }
            });
            s.go(|| drop(ctx.bound(semaphore.acquire_event(1)).wait()));
            s.go(|| _ = ctx.bound(&group).wait());
            s.go(|| cancel.cancel());
            drop((permit, guard));
            group.done();
            (sender.join().unwrap(), receiver.join().unwrap())
        });
        assert_eq!(sent, received);
        assert_eq!((census.alive(), semaphore.available()), (0, 1));
        assert!(mutex.try_lock().is_some());
    });
    explore(3, || {
        // By a select with its done channel, and by a deadline.
        let (ctx, _cancel) = Context::background().with_timeout(SHORT);
        let census = Census::default();
        let (tx, rx) = chan::bounded(1);
        let (sent, received) = scope(|s| {
            let sender = s.go(|| {
                let mut sent = 0;
                for value in 0..3 {
                    let mut slot = Some(census.make(value));
                    select! {
                        recv(ctx.done()) -> _ => return sent,
                        send(&tx, take slot) -> r => sent += usize::from(r.is_ok()),
                    }
                }
                sent
            });
            let receiver = s.go(|| {
                let mut received = 0;
                loop {
                    select! {
                        recv(ctx.done()) -> _ => return received,
                        recv(&rx) -> got => received += usize::from(got.is_ok()),
                    }
                }
            });
            (sender.join().unwrap(), receiver.join().unwrap())
        });
        assert_eq!(ctx.err(), Some(DeadlineExceeded));
        assert_eq!(sent, received + usize::from(rx.try_recv().is_ok()));
        assert_eq!(census.alive(), 0);
    });
    explore(3, || {
        // What a condition waits for, ended by a function of the context, as Go's documentation has it.
        let (ctx, cancel) = Context::background().with_cancel();
        let shared = Arc::new((Mutex::new(false), Cond::new()));
        let stop = ctx.after_func({
            let shared = shared.clone();
            move || {
                let _guard = shared.0.lock();
                shared.1.broadcast();
            }
        });
        let waiter = go({
            let (shared, ctx) = (shared.clone(), ctx.clone());
            move || {
                let mut ready = shared.0.lock();
                while !*ready && ctx.err().is_none() {
                    shared.1.wait(&mut ready);
                }
                *ready
            }
        });
        let ends = go(move || cancel.cancel());
        *shared.0.lock() = true;
        shared.1.signal();
        waiter.join().unwrap();
        ends.join().unwrap();
        stop.stop();
    });
}
