//! How long whoever has been woken waits for its turn, where others compute.

use crate::{
    gauge::{self, BUSY, Delay},
    peer::{Body, pause},
};
use rendez::{chan, scope, sleep, yield_now};
use std::{
    hint::black_box,
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

pub(super) fn within(what: Delay, share: f64) -> Body {
    Body::value(move |n| {
        let steps = BUSY.1 * gauge::steps_per_us();
        rendez::run(|| {
            let done = AtomicBool::new(false);
            let waits = scope(|s| {
                for _ in 0..BUSY.0 {
                    s.go(|| {
                        while !done.load(Ordering::Relaxed) {
                            black_box(gauge::work(steps));
                            yield_now();
                        }
                    });
                }
                let (tx, rx) = chan::bounded(0);
                let receiver =
                    s.go(move || rx.iter().map(|sent: Instant| sent.elapsed()).collect::<Vec<_>>());
                let mut late = Vec::new();
                for number in 0..n {
                    let due = Instant::now() + pause(number);
                    sleep(pause(number));
                    late.push(due.elapsed());
                    tx.send(Instant::now()).expect("somebody receives");
                }
                drop(tx);
                let waits = receiver.join().expect("it does not panic");
                done.store(true, Ordering::Relaxed);
                match what {
                    Delay::Wake => waits,
                    Delay::Late => late,
                }
            });
            gauge::within(share, waits)
        })
    })
}
