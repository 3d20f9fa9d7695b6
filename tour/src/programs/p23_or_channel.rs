//! 23. The or-channel.
//!
//! **The notes** combine any number of done channels into one that closes when the first of them does, by a recursion that builds a
//! tree of goroutines, three channels each: Go's `select` needs its arms written out.
//!
//! **In Rust** [`choose`] waits for any number of events at once, so one goroutine does. Where the result need not be a channel,
//! not even that: `choose(..)` is itself something that can be waited for, alone or as an arm of a `select!`.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use rendez::chan::{self, Receiver};
use rendez::{Event, choose, go, sleep};

use crate::output::{Check, Output, ensure};

/// Closes when the first of `channels` does.
fn or(channels: Vec<Receiver<Infallible>>) -> Receiver<Infallible> {
    let (done, or_done) = chan::bounded(0);
    go(move || {
        // A receive of what can't be sent ends when its channel closes; and `or_done` closes when `done` is dropped.
        let _done = done;
        _ = choose(channels.iter().map(Receiver::recv_event)).wait();
    });
    or_done
}

/// Closes after a time.
fn sig(after: Duration) -> Receiver<Infallible> {
    let (done, signal) = chan::bounded(0);
    go(move || {
        let _done = done;
        sleep(after);
    });
    signal
}

pub(crate) fn run(out: &Output) -> Check {
    let (seconds, minutes) = (Duration::from_secs, |n: u64| Duration::from_secs(60 * n));
    let start = Instant::now();
    let first = or(vec![sig(seconds(2)), sig(minutes(5)), sig(minutes(60))]);
    ensure(first.recv().is_err(), "nothing is ever sent")?;
    let after = start.elapsed();
    out.say(format_args!("done after {after:.1?}"));
    ensure(after >= seconds(2) && after < minutes(1), "the first is what counts")?;

    for number in [1, 2, 3, 100] {
        let mut channels: Vec<_> = (1..number).map(|_| chan::never()).collect();
        channels.push(sig(Duration::from_millis(1)));
        ensure(or(channels).recv().is_err(), "nothing is ever sent")?;
        out.say(format_args!("done, with {number}"));
    }
    ensure(out.lines().len() == 5, "five lines")
}
