//! 21. Confinement.
//!
//! **The notes:** data that only one goroutine can reach needs no lock. *Ad hoc* confinement is an agreement: everybody
//! could touch the slice, but only one function does. *Lexical* confinement uses scope, so that the wrong thing can't be
//! written: the sending end exists only inside its owner, and each goroutine is handed only its own part of a slice.
//!
//! **In Rust** the agreement is checked as well. What is shared by reference can't be changed by anyone, and what can
//! be changed is reachable from one place alone, in goroutines as elsewhere. So confinement by parts goes further here:
//! the two goroutines *write* to their halves of one buffer.

use rendez::chan::{self, Receiver};
use rendez::{go, scope};

use crate::output::{Check, Output, ensure};

pub(crate) fn run(out: &Output) -> Check {
    ad_hoc(out)?;
    lexical_by_owner(out);
    let word = lexical_by_parts();
    out.say(format_args!("{word}, in two halves"));

    let counted = |range: std::ops::Range<i32>| range.map(|i| format!("Received: {i}"));
    out.expect(counted(1..5).chain(counted(0..6)).chain(["GOLANG, in two halves".to_owned()]))
}

/// `data` is in everybody's sight; by agreement only the loop that feeds the channel uses it. A child that wrote to it
/// meanwhile would not compile.
fn ad_hoc(out: &Output) -> Check {
    let data = [1, 2, 3, 4];
    let (sender, stream) = chan::bounded(0);
    let fed = scope(|s| {
        let feeder = s.go(|| {
            // Moved in, so that it is dropped, and the channel closed, when the loop ends.
            let sender = sender;
            data.iter().all(|&number| sender.send(number).is_ok())
        });
        for number in stream {
            out.say(format_args!("Received: {number}"));
        }
        feeder.join()
    })?;
    ensure(fed, "all the data should have been taken")
}

/// The sending end never leaves this function's goroutine.
fn numbers() -> Receiver<i32> {
    let (sender, numbers) = chan::bounded(5);
    go(move || (0..=5).try_for_each(|number| sender.send(number)));
    numbers
}

fn lexical_by_owner(out: &Output) {
    for number in numbers() {
        out.say(format_args!("Received: {number}"));
    }
}

/// Each goroutine borrows its half alone; there is nothing to lock.
fn lexical_by_parts() -> String {
    let mut word = "golang".to_owned().into_bytes();
    let (left, right) = word.split_at_mut(3);
    scope(|s| {
        s.go(|| left.make_ascii_uppercase());
        s.go(|| right.make_ascii_uppercase());
    });
    String::from_utf8_lossy(&word).into_owned()
}
