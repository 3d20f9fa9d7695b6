//! Selects in async tasks: futures that are dropped, polled late or by others, and what became of the values.

mod setup;
mod worlds;

use rendez::{
    Event, Runtime, Select,
    chan::{self, Receiver},
    choose,
};
use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use worlds::Watchdog;

/// An async goroutine that always finds its select ready must let others run.
fn lets_others_run<Fut: Future<Output = ()> + Send + 'static>(
    select: impl Fn(Receiver<u32>) -> Fut + Send + Sync + 'static,
) {
    const MANY: u32 = 1_000_000;
    let _watchdog = Watchdog::new("budget".into());
    Runtime::builder().workers(1).build().unwrap().run(move || {
        let (started, stop) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let busy = rendez::go_async({
            let (started, stop) = (started.clone(), stop.clone());
            async move {
                // Closed, so always ready.
                let (_, rx) = chan::bounded(1);
                let mut rounds = 0;
                while !stop.load(Ordering::Relaxed) && rounds < MANY {
                    started.store(true, Ordering::Relaxed);
                    select(rx.clone()).await;
                    rounds += 1;
                }
                rounds
            }
        });
        worlds::until(|| started.load(Ordering::Relaxed));
        stop.store(true, Ordering::Relaxed);
        assert!(busy.join().unwrap() < MANY, "it had the worker to itself");
    });
}

#[test]
fn a_choice_that_is_always_ready_lets_others_run() {
    lets_others_run(|rx| async move { assert!(choose([rx.recv_event()]).wait_async().await.is_err()) });
}

#[test]
fn a_dynamic_select_that_is_always_ready_lets_others_run() {
    lets_others_run(|rx| async move {
        let mut select = Select::new();
        select.recv(&rx);
        let operation = select.wait_async().await;
        assert!(operation.recv(&rx).is_err());
    });
}
