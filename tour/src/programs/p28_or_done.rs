//! 28. The or-done-channel.
//!
//! **The notes:** a channel from another part of the system may stay open when we are cancelled, so a loop over it has to select on `done` too, which
//! buries the loop's body in a nested `select`. `orDone` wraps that up: it passes on the values until either is over, and the loop can be
//! a `range` again.
//!
//! **In Rust** it is [`pattern::or_done`], with a [`Context`] for the `done`. Where a loop waits for one value at a time no goroutine is needed at
//! all: `ctx.bound(rx.recv_event())` is the receive or the context's end, whichever is first.

use rendez::chan::{self, Receiver};
use rendez::{Context, ContextError, Event, go, pattern};

use crate::output::{Check, Output, ensure};

pub(crate) fn run(out: &Output) -> Check {
    // Somebody else's: it has no end, and knows nothing of our context.
    let (tx, theirs) = chan::bounded(0);
    let producer = go(move || (1_u32..).try_for_each(|n| tx.send(n)));

    let (ctx, cancel) = Context::background().with_cancel();
    for value in pattern::or_done(&ctx, theirs.clone()) {
        out.say(format_args!("or_done: {value}"));
        if value == 3 {
            cancel.cancel();
            break;
        }
    }
    // That loop left by itself. A reader that waits is let go, too.
    let (silent, never_sent) = chan::bounded::<u32>(0);
    ensure(pattern::or_done(&ctx, never_sent).iter().count() == 0, "a context that has ended ends the loop")?;
    drop(silent);

    let (ctx, cancel) = Context::background().with_cancel();
    let error = loop {
        match next(&ctx, &theirs) {
            Ok(value) => {
                out.say("bound: a value");
                ensure(value > 3, "each value comes once")?;
                cancel.cancel();
            }
            Err(error) => break error,
        }
    };
    out.say(format_args!("bound: {error}"));

    // Theirs has not been closed by any of this; it ends when its last reader goes.
    ensure(!theirs.is_closed(), "it is still open")?;
    drop(theirs);
    ensure(producer.join()?.is_err(), "the producer is told that nobody listens")?;
    out.expect(["or_done: 1", "or_done: 2", "or_done: 3", "bound: a value", "bound: context canceled"])
}

/// The next value, unless the context ends first.
fn next(ctx: &Context, values: &Receiver<u32>) -> Result<u32, ContextError> {
    ctx.bound(values.recv_event()).wait().map(|value| value.expect("it is open"))
}
