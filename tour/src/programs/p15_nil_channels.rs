//! 15. Nil channels.
//!
//! **The notes:** reading from a nil channel, or writing to one, blocks for ever, and closing one panics. In a `select` that
//! is of use: an arm on a nil channel is never ready, so setting the variable to nil switches the arm off.
//!
//! **In Rust** there is no channel that nobody made. [`chan::never`] is one that never has anything, and in
//! [`select!`] an endpoint may be an `Option`: `None` is the arm that is never ready. Here two streams are merged, and
//! each arm is switched off when its stream has ended; without that, a closed channel would be ready again and again.
//!
//! Where nothing else is left to wait for, it is a deadlock, as in Go. A program of its own would end here, with status 2 and `fatal error:`
//! before the same words (`cargo run -p examples --bin broken -- nil-channel`); so that the tour goes on, it is had in a test's runtime.

use std::time::Duration;

use rendez::chan::{self, Receiver, RecvTimeoutError};
use rendez::testing::{self, Config};
use rendez::{go, select};

use crate::output::{Check, Output, ensure};

pub(crate) fn run(out: &Output) -> Check {
    let nil = chan::never::<i32>();
    let patience = Duration::from_millis(20);
    ensure(nil.recv_timeout(patience) == Err(RecvTimeoutError::Timeout), "a nil channel blocks")?;
    ensure(!nil.close(), "a nil channel can't be closed")?;
    out.say("a nil channel blocks, and can't be closed");

    let once = Config { iterations: Some(1), ..Config::default() };
    let waits_for_ever = || _ = chan::never::<i32>().recv();
    let report = testing::check(once, waits_for_ever).expect_err("nobody can ever go on").message();
    for line in report.lines().filter(|line| !line.is_empty() && !line.contains("created ")) {
        // Without the place in this file.
        let (told, rest) = line.trim().split_once(", made at ").unwrap_or((line, ""));
        let (_, why) = rest.rsplit_once(": ").unwrap_or_default();
        out.say(format_args!("{told}{}{why}", if why.is_empty() { "" } else { ": " }));
    }

    let received = select! {
        recv(nil) -> _ => "nil",
        recv(None::<Receiver<i32>>) -> _ => "none",
        default(patience) => "neither is ever ready",
    };
    out.say(received);

    let (mut odd, mut even) = (Some(count(1)), Some(count(2)));
    let mut merged = Vec::new();
    while odd.is_some() || even.is_some() {
        select! {
            recv(odd) -> number => match number {
                Ok(number) => merged.push(number),
                Err(_) => odd = None,
            },
            recv(even) -> number => match number {
                Ok(number) => merged.push(number),
                Err(_) => even = None,
            },
        }
    }
    merged.sort_unstable();
    out.say(format_args!("merged: {merged:?}"));

    out.expect([
        "a nil channel blocks, and can't be closed",
        "all goroutines are asleep - deadlock!",
        "goroutine 1 [chan receive]:",
        "waits for a nil channel of i32: nothing will ever come",
        "neither is ever ready",
        "merged: [1, 2, 3, 4, 5, 6]",
    ])
}

/// Three numbers from `first` on, every second one.
fn count(first: i32) -> Receiver<i32> {
    let (numbers, stream) = chan::bounded(0);
    go(move || (first..).step_by(2).take(3).all(|number| numbers.send(number).is_ok()));
    stream
}
