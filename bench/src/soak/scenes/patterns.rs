//! Pipelines of the patterns: what goes in comes out, unless they are told to stop.

use crate::soak::stage::{Stage, moment};
use rendez::pattern::{buffer, fan_in, fan_out, filter, generator, map, ordered_map, take, tee};
use std::collections::BTreeSet;

pub(super) fn play(stage: &Stage) {
    let mut rng = stage.rng();
    let (ctx, cancel) = stage.ctx.without_cancel().with_cancel();
    let (count, workers) = (rng.u64(1..500), rng.usize(1..5));
    let is_told_to_stop = rng.u32(..3) == 0;
    if is_told_to_stop {
        let wait = moment(&mut rng, 3000);
        stage.go(move || {
            rendez::sleep(wait);
            cancel.cancel();
        });
        // What is under way then goes with the stages.
        stage.ledger.allow_loss();
    }
    let ledger = stage.ledger.clone();
    let input = generator(&ctx, 0..count);
    match rng.u32(..4) {
        0 => {
            let values = map(&ctx, input, move |i| (i, ledger.make()));
            let parts = fan_out(&ctx, values, workers, |pair| pair);
            let mut seen = BTreeSet::new();
            for (i, value) in fan_in(&ctx, parts).iter() {
                assert!(seen.insert(i), "a value came twice");
                value.receive();
            }
            whole(stage, is_told_to_stop, seen.len() as u64, count);
        }
        1 => {
            let values = ordered_map(&ctx, input, workers, move |i| (i, ledger.make()));
            let mut next = 0;
            for (i, value) in buffer(&ctx, values, 8).iter() {
                assert_eq!(i, next);
                next += 1;
                value.receive();
            }
            whole(stage, is_told_to_stop, next, count);
        }
        2 => {
            let (left, right) = tee(&ctx, filter(&ctx, input, |i| i % 3 == 0));
            let (tx, rx) = rendez::chan::bounded(1);
            stage.go(move || _ = tx.send(right.iter().collect::<Vec<u64>>()));
            let left: Vec<u64> = left.iter().collect();
            if let Ok(right) = rx.recv()
                && stage.is_whole()
                && !is_told_to_stop
            {
                assert_eq!(left, right);
                assert_eq!(left.len() as u64, count.div_ceil(3));
            }
        }
        _ => {
            let some = rng.usize(..count as usize + 1);
            let got = take(&ctx, input, some).iter().count();
            whole(stage, is_told_to_stop, got as u64, some as u64);
        }
    }
    stage.wait();
}

fn whole(stage: &Stage, is_told_to_stop: bool, got: u64, expected: u64) {
    assert!(got <= expected);
    if stage.is_whole() && !is_told_to_stop {
        assert_eq!(got, expected, "values are missing at the end of a pipeline");
    }
}
