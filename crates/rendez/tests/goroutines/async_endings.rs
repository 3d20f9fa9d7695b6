//! How async goroutines end: what is dropped, how often, and what a panic anywhere comes to.
#![cfg(not(loom))]

use crate::worlds::{Watchdog, on_one_worker, until};
use rendez::{JoinHandle, Runtime, chan, go_async, yield_now};
use std::{
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind, panic_any},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

/// Counts how often its tokens are dropped.
#[derive(Clone, Default)]
struct Drops(Arc<AtomicUsize>);

impl Drops {
    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    fn token(&self) -> Token {
        Token { drops: self.clone(), panics: false }
    }

    fn panicking_token(&self) -> Token {
        Token { drops: self.clone(), panics: true }
    }
}

struct Token {
    drops: Drops,
    panics: bool,
}

impl Drop for Token {
    fn drop(&mut self) {
        self.drops.0.fetch_add(1, Ordering::SeqCst);
        if self.panics {
            panic_any("dropped");
        }
    }
}

/// A future with something to drop, that does what its closure says.
struct Acting<F> {
    act: F,
    _token: Token,
}

impl<F: FnMut(&mut Context<'_>) -> Poll<R> + Unpin, R> Future for Acting<F> {
    type Output = R;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<R> {
        (self.act)(cx)
    }
}

fn acting<R>(
    act: impl FnMut(&mut Context<'_>) -> Poll<R> + Unpin + Send + 'static,
    token: Token,
) -> JoinHandle<R>
where
    R: Send + 'static,
{
    go_async(Acting { act, _token: token })
}

fn text(handle: JoinHandle<impl Sized>) -> &'static str {
    match handle.join() {
        Ok(_) => panic!("no panic came out"),
        Err(error) => *error.into_panic().downcast::<&str>().unwrap(),
    }
}

#[test]
fn a_future_goes_before_its_result_is_there_and_the_result_goes_to_the_handle() {
    on_one_worker(|| {
        let (future, result) = (Drops::default(), Drops::default());
        let token = result.token();
        let mut token = Some(token);
        let handle = acting(move |_| Poll::Ready(token.take().unwrap()), future.token());
        until(|| handle.is_finished());
        assert_eq!((future.count(), result.count()), (1, 0));
        drop(handle.join().unwrap());
        assert_eq!((future.count(), result.count()), (1, 1));
    });
}

#[test]
fn results_that_nobody_takes_are_dropped_once_whether_the_handle_goes_first_or_the_task() {
    on_one_worker(|| {
        let result = Drops::default();
        let start = || {
            let token = result.token();
            go_async(async { token })
        };
        let (first, second) = (start(), start());
        drop(first);
        until(|| second.is_finished() && result.count() == 1);
        drop(second);
        assert_eq!(result.count(), 2);
    });
}

#[test]
fn the_end_and_the_handle_race_and_all_is_dropped_once() {
    let _watchdog = Watchdog::new("two workers".to_string());
    let runtime = Runtime::builder().workers(2).build().unwrap();
    let (future, result) = (Drops::default(), Drops::default());
    const ROUNDS: usize = 5000;
    runtime.run(|| {
        for round in 0..ROUNDS {
            let mut token = Some(result.token());
            let handle = acting(move |_| Poll::Ready(token.take().unwrap()), future.token());
            match round % 3 {
                0 => drop(handle),
                1 => drop(handle.join().unwrap()),
                _ => {
                    yield_now();
                    drop(handle);
                }
            }
        }
        until(|| result.count() == ROUNDS && future.count() == ROUNDS);
    });
}

#[test]
fn a_panic_in_a_poll_comes_out_of_join_and_the_future_is_dropped() {
    on_one_worker(|| {
        let future = Drops::default();
        let waker = Arc::new(Mutex::new(None::<Waker>));
        let mut polls = 0;
        let act = {
            let waker = waker.clone();
            move |cx: &mut Context<'_>| -> Poll<()> {
                *waker.lock().unwrap() = Some(cx.waker().clone());
                polls += 1;
                if polls == 3 {
                    // Woken too: but what has panicked is not polled again.
                    cx.waker().wake_by_ref();
                    panic_any("polled");
                }
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        };
        let handle = acting(act, future.token());
        until(|| handle.is_finished());
        assert_eq!(future.count(), 1);
        waker.lock().unwrap().take().unwrap().wake();
        (0..10).for_each(|_| yield_now());
        assert_eq!(text(handle), "polled");
        assert_eq!(future.count(), 1);
    });
}

#[test]
fn a_panic_in_the_futures_drop_comes_out_of_join_and_the_result_is_dropped() {
    on_one_worker(|| {
        let (future, result) = (Drops::default(), Drops::default());
        let mut token = Some(result.token());
        let act = move |_: &mut Context<'_>| Poll::Ready(token.take().unwrap());
        assert_eq!(text(acting(act, future.panicking_token())), "dropped");
        assert_eq!((future.count(), result.count()), (1, 1));
        // Detached, after a panic of the poll, and where the result panics as well.
        drop(acting(|_| Poll::Ready(()), future.panicking_token()));
        until(|| future.count() == 2);
        let act = |_: &mut Context<'_>| -> Poll<()> { panic_any("polled") };
        let both = acting(act, future.panicking_token());
        assert!(both.join().unwrap_err().is_panic());
        let mut token = Some(result.panicking_token());
        let act = move |_: &mut Context<'_>| Poll::Ready(token.take().unwrap());
        assert_eq!(text(acting(act, future.panicking_token())), "dropped");
        assert_eq!((future.count(), result.count()), (4, 2));
        // The worker goes on.
        assert_eq!(go_async(async { 7 }).join().unwrap(), 7);
    });
}

#[test]
fn a_panic_in_the_drop_of_a_future_that_a_shutdown_ends_comes_out_of_join() {
    for workers in [1, 2] {
        let _watchdog = Watchdog::new(format!("{workers} workers"));
        let runtime = Runtime::builder().workers(workers).build().unwrap();
        let future = Drops::default();
        let start = |token| runtime.run(|| acting(|_| Poll::<()>::Pending, token));
        let panics: Vec<_> = (0..10).map(|_| start(future.panicking_token())).collect();
        let goes: Vec<_> = (0..10).map(|_| start(future.token())).collect();
        runtime.shutdown();
        assert_eq!(future.count(), 20);
        panics.into_iter().for_each(|handle| assert_eq!(text(handle), "dropped"));
        assert!(goes.into_iter().all(|handle| handle.join().unwrap_err().is_cancelled()));
    }
}

#[test]
fn a_destructor_of_a_future_may_wait_while_its_task_ends() {
    for cancelled in [false, true] {
        let _watchdog = Watchdog::new(format!("cancelled: {cancelled}"));
        struct Waits(chan::Sender<()>, chan::Receiver<()>);
        impl Drop for Waits {
            fn drop(&mut self) {
                self.0.send(()).unwrap();
                self.1.recv().unwrap();
            }
        }
        let runtime = Runtime::builder().workers(1).build().unwrap();
        let (reached, reaches) = chan::unbounded();
        let (let_go, goes) = chan::unbounded();
        let waits = Waits(reached, goes);
        let handle = runtime.run(|| {
            go_async(async move {
                let _waits = waits;
                if cancelled {
                    poll_fn(|_| Poll::<()>::Pending).await;
                }
            })
        });
        if cancelled {
            // It is dropped on a runtime that stops, where no wait is granted: what waits then is unwound.
            runtime.shutdown();
            reaches.recv().unwrap();
            assert!(handle.join().is_err());
        } else {
            reaches.recv().unwrap();
            assert!(!handle.is_finished());
            let_go.send(()).unwrap();
            handle.join().unwrap();
        }
    }
}

#[test]
fn tasks_that_nobody_can_wake_end_with_the_runtime() {
    let _watchdog = Watchdog::new("three runtimes".to_string());
    for workers in [1, 2, 8] {
        let runtime = Runtime::builder().workers(workers).build().unwrap();
        let future = Drops::default();
        runtime.run(|| {
            for _ in 0..1000 {
                let token = future.token();
                drop(go_async(async move {
                    let _token = token;
                    std::future::pending::<()>().await;
                }));
            }
        });
        drop(runtime);
        assert_eq!(future.count(), 1000);
    }
}

#[test]
fn a_detached_tasks_panic_is_no_other_goroutines_business() {
    on_one_worker(|| {
        drop(go_async(async { panic_any("detached") }));
        let inner = go_async(async { catch_unwind(AssertUnwindSafe(|| panic_any("caught"))).is_err() });
        assert!(inner.join().unwrap());
    });
}
