//! 29. The tee-channel.
//!
//! **The notes:** `tee` makes two channels of one, both of which get every value: one part of the program works on them, another logs them. It writes to
//! both in whichever order they are read, by a `select` in which the one that has got its value is set to `nil`.
//!
//! **In Rust** it is [`pattern::tee`], and [`pattern::tee_n`] for more. Values that go to two places are cloned, which the signature says (`T: Clone`);
//! for what is dear to clone there is `Arc`. If one of the two is dropped, the other goes on: in the notes it would wait for ever.

use rendez::{Context, pattern};

use crate::output::{Check, Output, ensure};

pub(crate) fn run(out: &Output) -> Check {
    let ctx = Context::background();
    let numbers = pattern::take(&ctx, pattern::repeat(&ctx, [1, 2]), 4);
    let (left, right) = pattern::tee(&ctx, numbers);
    for value in left {
        out.say(format_args!("left: {value}, right: {}", right.recv()?));
    }
    ensure(right.recv().is_err(), "both end together")?;

    let (log, work) = pattern::tee(&ctx, pattern::generator(&ctx, 1..=3));
    drop(log);
    out.say(format_args!("without the other: {:?}", work.iter().collect::<Vec<i32>>()));
    out.expect([
        "left: 1, right: 1",
        "left: 2, right: 2",
        "left: 1, right: 1",
        "left: 2, right: 2",
        "without the other: [1, 2, 3]",
    ])
}
