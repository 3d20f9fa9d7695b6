//! 26. Some handy generators: `repeat`, `repeat_with`, `take`.
//!
//! **The notes:** `repeat` sends its values over and over until it is told to stop, and `take` passes on the first few. Put together they make a
//! stream of any length. `repeatFn` does the same with what a function returns.
//!
//! **In Rust** they are [`pattern::repeat`], [`pattern::take`] and [`pattern::repeat_with`]. When `take` has had enough it drops its
//! input, and that ends the generator: the `done` channel of the notes, which says so from outside, is the [`Context`], for those who
//! need it. And `take` from a stream that ends early ends too, where the notes' would pass on zero values.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rendez::{Context, pattern};

use crate::output::{Check, Output, ensure};

pub(crate) fn run(out: &Output) -> Check {
    let ctx = Context::background();

    let ones = pattern::take(&ctx, pattern::repeat(&ctx, [1]), 10);
    let ones: Vec<String> = ones.iter().map(|one| one.to_string()).collect();
    out.say(ones.join(" "));

    let words = pattern::take(&ctx, pattern::repeat(&ctx, ["I", "am."]), 5);
    out.say(words.iter().collect::<Vec<_>>().join(" "));

    // The same numbers in every run: a generator of the simplest kind, with the state in its closure.
    let calls = Arc::new(AtomicU32::new(0));
    let random = pattern::repeat_with(&ctx, {
        let (calls, mut state) = (Arc::clone(&calls), 1_u64);
        move || {
            calls.fetch_add(1, Ordering::Relaxed);
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            state >> 33
        }
    });
    let drawn: Vec<u64> = pattern::take(&ctx, random, 10).iter().collect();
    out.say(format_args!("{} random numbers", drawn.len()));
    // One more may have been made to be on offer.
    let calls = calls.load(Ordering::Relaxed);
    ensure((10..=11).contains(&calls), format_args!("{calls} calls for ten numbers"))?;

    let short = pattern::take(&ctx, pattern::generator(&ctx, [1, 2]), 5);
    out.say(format_args!("of five there were {}", short.iter().count()));
    out.expect(["1 1 1 1 1 1 1 1 1 1", "I am. I am. I", "10 random numbers", "of five there were 2"])
}
