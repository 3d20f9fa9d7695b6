//! 19. The for-select loop.
//!
//! **The notes:** `select` in a loop, to send the elements of something on a channel until told to stop, or to work until
//! told to stop, with the work after the `select` or in its `default`.
//!
//! **In Rust** it is the same loop. The body of an arm may `break` and `return`: it belongs to the function that it stands
//! in, and needs no label as `break` in Go's `select` does.

use rendez::chan::{self, Receiver};
use rendez::{go, select};

use crate::output::{Check, Output, ensure};

/// Sends the words, unless it is told to stop.
fn words(done: Receiver<()>) -> Receiver<&'static str> {
    let (tx, stream) = chan::bounded(0);
    go(move || {
        for word in ["a", "b", "c"] {
            select! {
                recv(done) -> _ => return,
                send(tx, word) -> sent => if sent.is_err() { return },
            }
        }
    });
    stream
}

/// Works after each look at `done`, until it is closed.
fn work_after(done: &Receiver<()>, work: &mut dyn FnMut()) {
    loop {
        select! {
            recv(done) -> _ => return,
            default => {}
        }
        work();
    }
}

/// Works where nothing else is to be done.
fn work_in_default(done: &Receiver<()>, work: &mut dyn FnMut()) {
    loop {
        select! {
            recv(done) -> _ => return,
            default => work(),
        }
    }
}

pub(crate) fn run(out: &Output) -> Check {
    let (stop, done) = chan::bounded(0);
    for word in words(done.clone()) {
        out.say(word);
    }

    let stopped = words(done.clone());
    ensure(stopped.recv() == Ok("a"), "the first word comes")?;
    stop.close();
    ensure(stopped.iter().count() <= 1, "after done is closed, at most the word that was on its way comes")?;
    out.say("stopped");

    for (name, work_until) in
        [("after", work_after as fn(&Receiver<()>, &mut dyn FnMut())), ("in default", work_in_default)]
    {
        let (stop, done) = chan::bounded(0);
        let mut turns = 0;
        work_until(&done, &mut || {
            turns += 1;
            if turns == 3 {
                stop.close();
            }
        });
        out.say(format_args!("{name}: worked {turns} turns"));
    }
    out.expect(["a", "b", "c", "stopped", "after: worked 3 turns", "in default: worked 3 turns"])
}
