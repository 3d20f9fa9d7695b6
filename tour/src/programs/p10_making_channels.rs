//! 10. Declaring, making and narrowing channels.
//!
//! **The notes:** `var s chan T` declares, `make(chan T)` makes. One-way channels are seldom made but often passed: a
//! function that takes `<-chan T` can only receive, and the compiler stops it from sending. `chan interface{}` carries
//! anything.
//!
//! **In Rust** a channel is made as two handles, [`Sender`] and [`Receiver`]: it is narrow from the start, and what Go
//! has to convert is here a matter of which handle you hand out. To send on a receiver, or to use a channel that was
//! declared but not made, does not compile; there is no nil channel to wait on for ever. What can be sent is a type, so
//! "anything" is an enum that names the possibilities.

use rendez::chan::{self, Receiver, SendError, Sender};
use rendez::go;

use crate::output::{Check, Output, ensure};

/// All that may come.
#[derive(Debug, PartialEq)]
enum Item {
    Text(String),
    Number(i64),
}

/// Can only send.
fn produce(items: &Sender<Item>) -> Result<(), SendError<Item>> {
    items.send(Item::Text("hello, channels".to_owned()))?;
    items.send(Item::Number(42))
}

/// Can only receive.
fn consume(items: &Receiver<Item>, out: &Output) {
    for item in items {
        match item {
            Item::Text(text) => out.say(text),
            Item::Number(number) => out.say(number),
        }
    }
}

pub(crate) fn run(out: &Output) -> Check {
    // Declared: it can't be used before it is made.
    #[expect(clippy::needless_late_init, reason = "two steps, to show both")]
    let data_stream: (Sender<Item>, Receiver<Item>);
    // Made: capacity 0, so that every send meets its receive.
    data_stream = chan::bounded(0);

    let (sender, receiver) = data_stream;
    ensure(receiver.capacity() == Some(0), "a channel made with capacity 0 should have it")?;
    let producer = go(move || produce(&sender));
    consume(&receiver, out);

    ensure(producer.join()? == Ok(()), "both items should have been sent")?;
    out.expect(["hello, channels", "42"])
}
