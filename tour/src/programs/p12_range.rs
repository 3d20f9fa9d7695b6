//! 12. Range.
//!
//! **The notes:** `for i := range stream` receives until the channel is closed, which the sender does with
//! `defer close(stream)`.
//!
//! **In Rust** a receiver is an iterator, so a `for` loop does it. The sender is moved into the goroutine that sends, and
//! dropping the last one closes the channel: the `defer` can't be forgotten, and it happens after a panic too.

use rendez::{chan, go};

use crate::output::{Check, Output};

pub(crate) fn run(out: &Output) -> Check {
    let (sender, ints) = chan::bounded(0);
    let producer = go(move || (1..5).try_for_each(|i| sender.send(i)));

    for i in ints {
        out.say(i);
    }

    producer.join()??;
    out.expect([1, 2, 3, 4])
}
