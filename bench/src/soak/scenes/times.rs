//! Sleeps, timers, tickers and functions of later: none comes before its time, and none after it was stopped.

use crate::soak::stage::{Rng, Role, Stage};
use rendez::{
    Context, Event, select,
    time::{self, Instant, Ticker, Timer, after_func},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

pub(super) fn play(stage: &Stage) {
    let mut rng = stage.rng();
    for _ in 0..rng.u32(2..12) {
        stage.start(&mut rng, Keeping(stage.ctx.clone()));
    }
    stage.wait();
}

struct Keeping(Context);

fn some(rng: &mut Rng) -> Duration {
    Duration::from_micros(rng.u64(1..2000))
}

impl Role for Keeping {
    fn play(self, mut rng: Rng) {
        let Keeping(ctx) = self;
        while ctx.err().is_none() {
            let (start, limit) = (Instant::now(), some(&mut rng));
            match rng.u32(..6) {
                0 => {
                    time::sleep(limit);
                    assert!(start.elapsed() >= limit);
                }
                1 => {
                    let timer = Timer::new(limit);
                    let other = some(&mut rng);
                    let reset = Instant::now();
                    assert!(timer.reset(other), "its value has not been received");
                    assert!(timer.c().recv().unwrap() <= Instant::now());
                    assert!(reset.elapsed() >= other);
                }
                2 => {
                    let timer = Timer::new(limit);
                    if rng.bool() {
                        time::sleep(some(&mut rng));
                    }
                    if timer.stop() {
                        assert!(timer.c().try_recv().is_err(), "a timer that was stopped has a value");
                    }
                }
                3 => {
                    let ticker = Ticker::new(limit);
                    for i in 1..=3 {
                        ticker.c().recv().unwrap();
                        assert!(start.elapsed() >= limit * i);
                    }
                    ticker.stop();
                    assert!(ticker.c().try_recv().is_err(), "a ticker that was stopped has a tick");
                }
                4 => {
                    let runs = Arc::new(AtomicU32::new(0));
                    let timer = after_func(limit, {
                        let runs = runs.clone();
                        move || _ = runs.fetch_add(1, SeqCst)
                    });
                    time::sleep(some(&mut rng));
                    if timer.stop() {
                        assert_eq!(runs.load(SeqCst), 0, "a function ran that was stopped");
                    }
                }
                _ => select! {
                    wait(time::timer(limit)) -> _ => assert!(start.elapsed() >= limit),
                    recv(ctx.done()) -> _ => {},
                },
            }
        }
    }

    async fn play_async(self, mut rng: Rng) {
        let Keeping(ctx) = self;
        while ctx.err().is_none() {
            let (start, limit) = (Instant::now(), some(&mut rng));
            match rng.u32(..3) {
                0 => time::sleep_async(limit).await,
                1 => _ = Timer::new(limit).c().recv_async().await,
                _ => {
                    if ctx.bound(time::timer(limit)).wait_async().await.is_err() {
                        return;
                    }
                }
            }
            assert!(start.elapsed() >= limit);
        }
    }
}
