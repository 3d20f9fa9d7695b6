//! Patterns: a context that ends, a consumer that goes, and an input that ends, at every moment: every goroutine of a stage ends
//! (which the engine tells: a leak), and no value is there twice.

use crate::{explore, stages::STAGES};
use rendez::{
    Context, go,
    pattern::{batch, generator, heartbeat, rate_limit},
};
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(1);

#[test]
fn a_stage_ends_with_its_input_its_context_or_its_output_whenever_that_comes() {
    for stage in STAGES {
        let start = stage.start;
        // Cancelled at any moment, and read to the end.
        explore(2 * STAGES.len(), move || {
            let (ctx, cancel) = Context::background().with_cancel();
            let output = start(&ctx, generator(&ctx, 1..=3));
            let ends = go(move || cancel.cancel());
            let mut values: Vec<_> = output.iter().collect();
            let count = values.len();
            values.sort_unstable();
            values.dedup();
            assert!(count <= 3 && values.len() == count, "{values:?}");
            ends.join().unwrap();
        });
        // Left by its reader after one value, while it goes on.
        explore(2 * STAGES.len(), move || {
            let (ctx, cancel) = Context::background().with_cancel();
            let output = start(&ctx, generator(&ctx, 1..=3));
            let reader = go(move || output.recv().is_ok());
            assert!(reader.join().unwrap());
            drop(cancel);
        });
    }
}

#[test]
fn stages_that_watch_the_clock_end_too() {
    explore(3, || {
        let (ctx, cancel) = Context::background().with_cancel();
        let batches = batch(&ctx, generator(&ctx, 1..=3), 2, SHORT);
        let ends = go(move || cancel.cancel());
        let values: Vec<u64> = batches.iter().flatten().collect();
        assert!(values.is_sorted() && values.len() <= 3, "{values:?}");
        ends.join().unwrap();
    });
    explore(3, || {
        let (ctx, cancel) = Context::background().with_cancel();
        let limited = rate_limit(&ctx, generator(&ctx, 1..=3), 1, SHORT);
        let ends = go(move || cancel.cancel());
        let values: Vec<u64> = limited.iter().collect();
        assert!(values.is_sorted() && values.len() <= 3, "{values:?}");
        ends.join().unwrap();
    });
    explore(3, || {
        let (ctx, cancel) = Context::background().with_cancel();
        let (values, beats) = heartbeat(&ctx, generator(&ctx, 1..=3), SHORT);
        let ends = go(move || cancel.cancel());
        let listener = go(move || beats.iter().count());
        let values: Vec<u64> = values.iter().collect();
        assert!(values.is_sorted() && values.len() <= 3, "{values:?}");
        ends.join().unwrap();
        listener.join().unwrap();
    });
}
