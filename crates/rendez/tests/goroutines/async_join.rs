//! Awaiting a handle, from everywhere, for every kind of goroutine and every kind of end.
#![cfg(not(loom))]

use crate::worlds::{Wakes, Watchdog, drive, in_every_world, on_one_worker, poll_once, poll_with, until};
use rendez::{JoinFuture, JoinHandle, Runtime, block_on, chan, go, go_async, yield_now};
use std::{
    future::{Future, IntoFuture},
    panic::{AssertUnwindSafe, catch_unwind, panic_any},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

#[test]
fn a_handle_can_be_awaited_in_every_world() {
    in_every_world(|crew| {
        for asynchronous in [false, true] {
            let (tx, rx) = chan::bounded(0);
            let handle = match asynchronous {
                false => go(move || rx.recv().unwrap()),
                true => go_async(async move { rx.recv_async().await.unwrap() }),
            };
            let waiting = crew.start(|ops| async move {
                // In the worlds that block, a role must not be pending.
                let _ = ops;
                block_on(handle.into_future()).unwrap()
            });
            tx.send(7).unwrap();
            assert_eq!(waiting.join(), 7);
        }
    });
}

#[test]
fn tasks_await_each_other() {
    for workers in [1, 2, 8] {
        let _watchdog = Watchdog::new(format!("{workers} workers"));
        let runtime = Runtime::builder().workers(workers).build().unwrap();
        let sum = runtime.run(|| {
            let mut last = go_async(async { 0_u64 });
            for i in 1..=1000 {
                let before = last;
                last = go_async(async move { before.await.unwrap() + i });
            }
            last.join().unwrap()
        });
        assert_eq!(sum, 500_500);
    }
}

#[test]
fn an_executor_that_knows_nothing_of_rendez_awaits_both_kinds() {
    let _watchdog = Watchdog::new("a thread".to_string());
    assert_eq!(drive(go(|| 1).into_future()).unwrap(), 1);
    assert_eq!(drive(go_async(async { 2 }).into_future()).unwrap(), 2);
    let (tx, rx) = chan::bounded(0);
    let waiting = thread::spawn(move || drive(async { go(move || rx.recv().unwrap()).await.unwrap() }));
    tx.send(3).unwrap();
    assert_eq!(waiting.join().unwrap(), 3);
    assert_eq!(block_on(go(|| 4).into_future()).unwrap(), 4);
}

#[test]
fn an_awaited_panic_has_its_payload() {
    let panicked: [JoinHandle<()>; 2] = [go(|| panic_any("gone")), go_async(async { panic_any("gone") })];
    for handle in panicked {
        let error = drive(handle.into_future()).unwrap_err();
        assert_eq!(*error.into_panic().downcast::<&str>().unwrap(), "gone");
    }
}

#[test]
fn an_awaited_goroutine_whose_runtime_shuts_down_was_cancelled() {
    let _watchdog = Watchdog::new("a shutdown".to_string());
    let runtime = Runtime::builder().workers(2).build().unwrap();
    let handles = runtime.run(|| {
        let never = || chan::never::<()>();
        [go(move || never().recv().unwrap()), go_async(async move { never().recv_async().await.unwrap() })]
    });
    let waiting = handles.map(|handle| thread::spawn(move || drive(handle.into_future())));
    runtime.shutdown();
    for waiting in waiting {
        assert!(waiting.join().unwrap().unwrap_err().is_cancelled());
    }
}

#[test]
fn dropping_the_future_detaches() {
    on_one_worker(|| {
        for polled in [false, true] {
            let (tx, rx) = chan::bounded(0);
            let (done, dones) = chan::bounded(1);
            let mut future = Box::pin(
                go(move || {
                    rx.recv().unwrap();
                    done.send(()).unwrap();
                })
                .into_future(),
            );
            let (wakes, waker) = Wakes::new();
            if polled {
                assert!(poll_with(future.as_mut(), &waker).is_none());
            }
            drop(future);
            tx.send(()).unwrap();
            dones.recv().unwrap();
            yield_now();
            assert_eq!(wakes.count(), 0);
            drop(waker);
            assert_eq!(Arc::strong_count(&wakes), 1, "a future that is dropped lets its waker go");
        }
    });
}

#[test]
fn only_the_waker_of_the_latest_poll_is_called() {
    on_one_worker(|| {
        let (tx, rx) = chan::bounded::<()>(0);
        let mut future = pin!(go_async(async move { rx.recv_async().await.is_err() }).into_future());
        let ((first, first_waker), (second, second_waker)) = (Wakes::new(), Wakes::new());
        assert!(poll_with(future.as_mut(), &first_waker).is_none());
        assert!(poll_with(future.as_mut(), &second_waker).is_none());
        drop(tx);
        until(|| second.count() > 0);
        assert_eq!((first.count(), second.count()), (0, 1));
        assert!(poll_once(future.as_mut()).unwrap().unwrap());
        let again = catch_unwind(AssertUnwindSafe(|| poll_once(future.as_mut())));
        assert!(again.is_err(), "polled after it was ready");
    });
}

#[test]
fn a_join_and_a_future_that_is_dropped_race_with_the_end_and_the_result_is_dropped_once() {
    struct Token(Arc<AtomicUsize>);
    impl Drop for Token {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let _watchdog = Watchdog::new("two workers".to_string());
    let drops = Arc::new(AtomicUsize::new(0));
    const ROUNDS: usize = 3000;
    let runtime = Runtime::builder().workers(2).build().unwrap();
    for round in 0..ROUNDS {
        let (token, (tx, rx)) = (Token(drops.clone()), chan::bounded::<()>(0));
        let handle = match round % 2 {
            0 => runtime.spawn(move || {
                let _ = rx.recv();
                token
            }),
            _ => runtime.run(|| {
                go_async(async move {
                    let _ = rx.recv_async().await;
                    token
                })
            }),
        };
        let mut future = Box::pin(handle.into_future());
        assert!(poll_once(future.as_mut()).is_none());
        // From here on it ends.
        drop(tx);
        (0..round % 64).for_each(|_| std::hint::spin_loop());
        drop(poll_once(future.as_mut()));
    }
    drop(runtime);
    assert_eq!(drops.load(Ordering::SeqCst), ROUNDS);
}

#[test]
fn a_join_future_goes_where_its_result_may_go() {
    fn check<Fut: Future + Send + Sync + std::panic::UnwindSafe + std::panic::RefUnwindSafe>(_: &Fut) {}
    let future: JoinFuture<std::cell::Cell<u8>> = go(|| std::cell::Cell::new(1)).into_future();
    check(&future);
    assert!(format!("{future:?}").starts_with("JoinFuture { id: "));
    assert_eq!(block_on(future).unwrap().get(), 1);
}
