//! A tree of contexts that is cancelled at random places, with goroutines that wait for its ends and functions that run at them.

use crate::soak::stage::{Rng, Stage, moment};
use rendez::{CancelFunc, Context, Event, select};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

pub(super) fn play(stage: &Stage) {
    let mut rng = stage.rng();
    let mut nodes = vec![stage.ctx.clone()];
    let mut cancels: Vec<CancelFunc> = Vec::new();
    for _ in 0..rng.usize(3..60) {
        let of = &nodes[rng.usize(..nodes.len())];
        let ctx = match rng.u32(..5) {
            0 => of.with_value(rng.u64(..)),
            1 => {
                let (ctx, cancel) = of.with_timeout(Duration::from_micros(rng.u64(..20_000)));
                cancels.push(cancel);
                ctx
            }
            2 => {
                let (ctx, cancel) = of.with_cancel();
                // Forgotten here: it ends with its parent.
                cancel.detach();
                ctx
            }
            _ => {
                let (ctx, cancel) = of.with_cancel();
                cancels.push(cancel);
                ctx
            }
        };
        nodes.push(ctx);
    }
    let (added, ran, stopped) = (Arc::default(), Arc::default(), Arc::default());
    for ctx in &nodes {
        if rng.bool() {
            waits(stage, &mut rng, ctx.clone());
        }
        if rng.bool() {
            let tallies = [&added, &ran, &stopped].map(Arc::clone);
            functions(stage, &mut rng, ctx.clone(), tallies);
        }
    }
    for cancel in cancels {
        match rng.u32(..4) {
            0 => cancel.cancel(),
            1 => cancel.cancel_with("the scene says so"),
            2 => stage.thread({
                let wait = moment(&mut rng, 500);
                move || {
                    rendez::sleep(wait);
                    cancel.cancel();
                }
            }),
            // Dropped: it cancels.
            _ => drop(cancel),
        }
    }
    stage.wait();
    if stage.is_whole() {
        // The end goes down the tree, which takes its time, and leaves nobody out: it would be waited for in vain.
        nodes.iter().for_each(|ctx| _ = ctx.done().recv());
        // Functions run on goroutines of their own.
        while stage.is_whole() && ran.load(SeqCst) + stopped.load(SeqCst) < added.load(SeqCst) {
            rendez::sleep(Duration::from_micros(100));
        }
        if stage.is_whole() {
            assert_eq!(ran.load(SeqCst) + stopped.load(SeqCst), added.load(SeqCst));
        }
    }
}

/// Somebody waits for its end, in one of the ways.
fn waits(stage: &Stage, rng: &mut Rng, ctx: Context) {
    stage.start(rng, move |mut rng: Rng| {
        match rng.u32(..4) {
            0 => _ = ctx.done().recv(),
            1 => _ = (&ctx).wait(),
            2 => select! {
                recv(ctx.done()) -> _ => {},
                recv(rendez::chan::never::<()>()) -> _ => unreachable!("it never yields"),
            },
            _ => {
                let never = rendez::chan::never::<()>();
                assert!(ctx.bound(never.recv_event()).wait().is_err());
            }
        }
        assert!(ctx.err().is_some());
    });
}

/// Somebody adds a function, and perhaps takes it back.
fn functions(stage: &Stage, rng: &mut Rng, ctx: Context, tallies: [Arc<AtomicU64>; 3]) {
    stage.start(rng, move |mut rng: Rng| {
        let [added, ran, stopped] = tallies;
        added.fetch_add(1, SeqCst);
        let stop = ctx.after_func(move || _ = ran.fetch_add(1, SeqCst));
        rendez::sleep(moment(&mut rng, 1000));
        if rng.bool() && stop.stop() {
            stopped.fetch_add(1, SeqCst);
        }
    });
}
