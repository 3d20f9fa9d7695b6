//! 17. A channel's owner and its consumer.
//!
//! **The notes:** the owner of a channel makes it, writes to it, closes it, and hands out only a reading end. So nobody
//! can write to a nil channel, write to a closed one or close twice. The consumer has two things to mind: when the channel
//! is closed, and that waiting may last.
//!
//! **In Rust** ownership is the language's own: the sender moves into the goroutine that writes, and is dropped, which
//! closes the channel, when that ends. The other direction works too. When a consumer goes away, the owner's next
//! send gives an error with the value in it, so an owner that writes for ever does not leak.

use rendez::chan::{self, Receiver, SendError};
use rendez::{JoinHandle, go};

use crate::output::{Check, Output, ensure};

/// Makes the channel, writes to it, closes it; the caller can only receive.
fn results() -> Receiver<i32> {
    let (sender, results) = chan::bounded(5);
    go(move || {
        for i in 0..=5 {
            // The consumer may have gone.
            if sender.send(i).is_err() {
                return;
            }
        }
    });
    results
}

/// An owner that never ends by itself; its goroutine returns the value that nobody took.
fn naturals() -> (Receiver<u64>, JoinHandle<SendError<u64>>) {
    let (sender, naturals) = chan::bounded(0);
    let owner = go(move || {
        let mut n = 0;
        loop {
            match sender.send(n) {
                Ok(()) => n += 1,
                Err(unsent) => return unsent,
            }
        }
    });
    (naturals, owner)
}

fn consume(results: Receiver<i32>, out: &Output) {
    for result in results {
        out.say(format_args!("Received: {result}"));
    }
    out.say("Done receiving!");
}

pub(crate) fn run(out: &Output) -> Check {
    consume(results(), out);
    out.expect((0..=5).map(|i| format!("Received: {i}")).chain(["Done receiving!".to_owned()]))?;

    let (naturals, owner) = naturals();
    let first: Vec<u64> = naturals.iter().take(3).collect();
    out.say(format_args!("Received: {first:?}, and that is enough."));
    drop(naturals);
    let SendError(unsent) = owner.join()?;
    out.say(format_args!("The owner has ended, with {unsent} unsent."));
    ensure(first == [0, 1, 2] && unsent == 3, "no value may be skipped, lost or sent twice")
}
