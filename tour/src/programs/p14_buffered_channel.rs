//! 14. Buffered channels.
//!
//! **The notes:** a buffered channel is a queue between processes. Who knows how many writes there will be can make
//! the buffer that long, and be done without waiting for a reader. If the buffer is empty and a receiver waits, the value
//! goes straight to it: the buffer is bypassed.
//!
//! **In Rust** the same. The first part joins the producer before anything is received, which shows that none of its sends
//! had to wait. The second sends to a receiver that is known to be parked: at that moment the value is neither in the buffer
//! nor has the receiver run. Knowing it takes no sleeping: a child that [`go_local`] starts shares its parent's
//! worker, so while the parent runs, a child that has come as far as its receive is parked in it.

use std::cell::Cell;
use std::rc::Rc;

use rendez::{chan, go, go_local, yield_now};

use crate::output::{Check, Output, ensure};

pub(crate) fn run(out: &Output) -> Check {
    producer_is_done_first(out)?;
    bypass(out)?;
    out.expect([
        "Sending: 0",
        "Sending: 1",
        "Sending: 2",
        "Sending: 3",
        "Producer done.",
        "Received 0.",
        "Received 1.",
        "Received 2.",
        "Received 3.",
        "Nobody waits: 1 in the buffer.",
        "A receiver waits: 0 in the buffer.",
        "It got 42.",
    ])
}

fn producer_is_done_first(out: &Output) -> Check {
    let (sender, ints) = chan::bounded(4);
    let producer = go({
        let out = out.clone();
        move || {
            let sent = (0..4).try_for_each(|i| {
                out.say(format_args!("Sending: {i}"));
                sender.send(i)
            });
            out.say("Producer done.");
            sent
        }
    });
    // In a program of its own the two would run at the same time; the join only proves that the sends don't wait.
    producer.join()??;
    for i in ints {
        out.say(format_args!("Received {i}."));
    }
    Ok(())
}

fn bypass(out: &Output) -> Check {
    let (sender, ints) = chan::bounded(4);
    sender.send(41)?;
    out.say(format_args!("Nobody waits: {} in the buffer.", ints.len()));
    ensure(ints.recv() == Ok(41), "what was sent should be received")?;

    // `Rc` and `Cell`, because these two never leave their worker.
    let receiving = Rc::new(Cell::new(false));
    let receiver = go_local({
        let (receiving, ints) = (Rc::clone(&receiving), ints.clone());
        move || {
            receiving.set(true);
            let received = ints.recv();
            receiving.set(false);
            received
        }
    });
    while !receiving.get() {
        yield_now();
    }
    sender.send(42)?;
    ensure(receiving.get(), "the receiver should not have run yet")?;
    out.say(format_args!("A receiver waits: {} in the buffer.", ints.len()));

    out.say(format_args!("It got {}.", receiver.join()??));
    Ok(())
}
