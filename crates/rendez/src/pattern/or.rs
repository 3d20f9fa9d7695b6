//! The or-channel.

use super::ending::Ending;
use crate::{
    Event,
    chan::{self, Receiver},
    choose, go_async,
};
use std::{convert::Infallible, pin::pin};

/// A channel that closes when the first of `signals` does. Of none it never closes; of one it is that one.
///
/// One goroutine watches them all; it ends with the first signal, or when the result is dropped. Where the result need not be
/// a channel, not even that is needed: `choose(signals.iter().map(Receiver::recv_event))` is the same as an [event](Event), to be
/// waited for alone or in a `select!`.
///
/// # Examples
/// ```
/// use rendez::{Context, chan, pattern};
/// let (ctx, cancel) = Context::background().with_cancel();
/// let (_open, other) = chan::bounded(0);
/// let either = pattern::or([ctx.done().clone(), other]);
/// cancel.cancel();
/// assert!(either.recv().is_err(), "it is closed");
/// ```
#[track_caller]
pub fn or<I>(signals: I) -> Receiver<Infallible>
where
    I: IntoIterator<Item = Receiver<Infallible>>,
{
    let mut signals: Vec<_> = signals.into_iter().collect();
    if signals.len() < 2 {
        return match signals.pop() {
            Some(only) => only,
            None => chan::never(),
        };
    }
    let (tx, first) = chan::bounded(0);
    go_async(async move {
        let ended = pin!(tx.closed_event().wait_async());
        let mut ending = Ending::new(ended);
        // It ends with a receive of what can't be sent, which is when the channel closes.
        _ = ending.unless(choose(signals.iter().map(Receiver::recv_event)).wait_async()).await;
    });
    first
}
