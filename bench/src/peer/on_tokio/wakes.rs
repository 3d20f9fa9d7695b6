//! How long a task that has been woken waits for its turn, where others compute.

use super::{on, shared_runtime};
use crate::{
    gauge::{self, BUSY, Delay},
    peer::{Body, pause},
};
use std::{
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};
use tokio::{sync::mpsc, task::yield_now, time::sleep};

pub(crate) fn within(what: Delay, share: f64) -> Body {
    Body::value(move |n| {
        let steps = BUSY.1 * gauge::steps_per_us();
        let waits = on(shared_runtime(), async move {
            let done = Arc::new(AtomicBool::new(false));
            for _ in 0..BUSY.0 {
                let done = done.clone();
                tokio::spawn(async move {
                    while !done.load(Ordering::Relaxed) {
                        black_box(gauge::work(steps));
                        yield_now().await;
                    }
                });
            }
            let (tx, mut rx) = mpsc::channel::<Instant>(1);
            let receiver = tokio::spawn(async move {
                let mut waits = Vec::new();
                while let Some(sent) = rx.recv().await {
                    waits.push(sent.elapsed());
                }
                waits
            });
            let mut late = Vec::new();
            for number in 0..n {
                let due = Instant::now() + pause(number);
                sleep(pause(number)).await;
                late.push(due.elapsed());
                tx.send(Instant::now()).await.expect("somebody receives");
            }
            drop(tx);
            let waits = receiver.await.expect("it does not panic");
            done.store(true, Ordering::Relaxed);
            match what {
                Delay::Wake => waits,
                Delay::Late => late,
            }
        });
        gauge::within(share, waits)
    })
}
