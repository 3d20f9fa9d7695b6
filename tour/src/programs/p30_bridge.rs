//! 30. The bridge-channel.
//!
//! **The notes:** sometimes values come as a sequence of channels (the lines of one file after another, each read by a stage of its own). `bridge` makes a single
//! channel of them, so that the consumer need not know.
//!
//! **In Rust** it is [`pattern::bridge`]: of a channel of channels, which is a type like any other, a channel. It takes the next one only when the last has
//! ended, and so keeps the order; [`pattern::fan_in`] reads all at the same time and keeps none.

use rendez::chan::Receiver;
use rendez::{Context, pattern};

use crate::output::{Check, Output, ensure};

/// Ten channels, of which each holds one value.
fn gen_vals(ctx: &Context) -> Receiver<Receiver<u32>> {
    let ctx = ctx.clone();
    pattern::generator(&ctx.clone(), (0..10).map(move |n| pattern::generator(&ctx, [n])))
}

pub(crate) fn run(out: &Output) -> Check {
    let (ctx, cancel) = Context::background().with_cancel();
    let values = pattern::bridge(&ctx, gen_vals(&ctx));
    let all: Vec<String> = values.iter().map(|value| value.to_string()).collect();
    out.say(all.join(" "));
    out.expect(["0 1 2 3 4 5 6 7 8 9"])?;

    // A sequence without end, of channels without end.
    let endless = pattern::generator(&ctx, {
        let ctx = ctx.clone();
        std::iter::repeat_with(move || pattern::repeat(&ctx, [7]))
    });
    let values = pattern::bridge(&ctx, endless);
    ensure(values.iter().take(3).eq([7, 7, 7]), "it is still in the first one")?;
    cancel.cancel();
    ensure(values.iter().count() <= 1, "and ends when it is told to")
}
