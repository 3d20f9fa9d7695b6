//! Every pattern with one input and one output, as a row of a table, so that one body tests them all, in any position.
#![allow(dead_code, reason = "each test file uses its own part of this")]

use rendez::{
    Context,
    chan::{self, Receiver, Sender},
    pattern,
};

/// A stage that passes on what it receives.
#[derive(Clone, Copy)]
pub(crate) struct Stage {
    pub(crate) name: &'static str,
    pub(crate) start: fn(&Context, Receiver<u64>) -> Receiver<u64>,
    pub(crate) is_ordered: bool,
    /// Values that it may have taken before anybody has received one, beyond the one that it is about to send.
    pub(crate) ahead: usize,
}

const fn ordered(
    name: &'static str,
    start: fn(&Context, Receiver<u64>) -> Receiver<u64>,
    ahead: usize,
) -> Stage {
    Stage { name, start, is_ordered: true, ahead }
}

const fn unordered(
    name: &'static str,
    start: fn(&Context, Receiver<u64>) -> Receiver<u64>,
    ahead: usize,
) -> Stage {
    Stage { name, start, is_ordered: false, ahead }
}

pub(crate) const STAGES: &[Stage] = &[
    ordered("generator", |ctx, rx| pattern::generator(ctx, rx), 0),
    ordered("generator of an iterator", |ctx, rx| pattern::generator(ctx, rx.into_iter().fuse()), 0),
    ordered("map", |ctx, rx| pattern::map(ctx, rx, |value| value), 0),
    ordered("filter", |ctx, rx| pattern::filter(ctx, rx, |_| true), 0),
    ordered("take", |ctx, rx| pattern::take(ctx, rx, usize::MAX), 0),
    ordered("buffer of none", |ctx, rx| pattern::buffer(ctx, rx, 0), 0),
    ordered("buffer", |ctx, rx| pattern::buffer(ctx, rx, 3), 3),
    ordered("or_done", pattern::or_done, 0),
    ordered("bridge", |ctx, rx| pattern::bridge(ctx, filled([rx])), 0),
    ordered("fan_in", |ctx, rx| pattern::fan_in(ctx, [rx]), 0),
    ordered("fan_out to one", |ctx, rx| pattern::fan_out(ctx, rx, 1, |value| value).remove(0), 0),
    ordered("tee_n of one", |ctx, rx| pattern::tee_n(ctx, rx, 1).remove(0), 0),
    ordered("tee, of which one is read", |ctx, rx| pattern::tee(ctx, rx).1, 0),
    ordered("ordered_map of one", |ctx, rx| pattern::ordered_map(ctx, rx, 1, |value| value), 8),
    ordered("ordered_map", |ctx, rx| pattern::ordered_map(ctx, rx, 3, |value| value), 24),
    unordered(
        "fan_out and fan_in",
        |ctx, rx| pattern::fan_in(ctx, pattern::fan_out(ctx, rx, 3, |value| value)),
        5,
    ),
];

/// A channel that holds these values and has ended.
pub(crate) fn filled<T>(values: impl IntoIterator<Item = T>) -> Receiver<T> {
    let (tx, rx) = chan::unbounded();
    values.into_iter().for_each(|value| tx.send(value).expect("the receiver is there"));
    rx
}

/// Whether the values of this one can be waited for by events; an iterator that blocks can't be left.
pub(crate) fn can_leave_its_input(stage: &Stage) -> bool {
    stage.name != "generator of an iterator"
}

/// A source of 0, 1, 2, ... that ends with the stage that it feeds, and says so by closing the second.
pub(crate) fn counting() -> (Receiver<u64>, Receiver<()>) {
    let ((tx, numbers), (alive, ended)) = (chan::bounded(0), chan::bounded(0));
    rendez::go(move || {
        let _alive: Sender<()> = alive;
        (0..).try_for_each(|n| tx.send(n))
    });
    (numbers, ended)
}

/// Waits until nobody holds the receiver of this channel any more.
pub(crate) fn wait_until_let_go<T>(tx: &Sender<T>) {
    use rendez::Event;
    tx.closed_event().wait();
}
