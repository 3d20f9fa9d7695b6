//! 11. Reading a closed channel.
//!
//! **The notes:** a closed channel can be read for ever: `value, ok := <-stream` gives what is left in the buffer, and then
//! the zero value with `ok == false`, at once, to any number of readers.
//!
//! **In Rust** the pair is a `Result`: `Ok(value)` while something is left, then `Err(RecvError)`, for ever. A value that
//! was not sent can't be mistaken for one that was: whoever wants Go's zero says so with `unwrap_or_default`.

use rendez::chan;

use crate::output::{Check, Output};

pub(crate) fn run(out: &Output) -> Check {
    let (sender, ints) = chan::bounded::<i32>(2);
    sender.send(7)?;
    sender.send(8)?;
    sender.close();

    let another = ints.clone();
    for reader in [&ints, &another, &ints, &another, &ints] {
        let received = reader.recv();
        let ok = received.is_ok();
        out.say(format_args!("({ok}): {}", received.unwrap_or_default()));
    }

    out.expect(["(true): 7", "(true): 8", "(false): 0", "(false): 0", "(false): 0"])
}
