//! 23. The or-channel.
//!
//! **The notes** combine any number of done channels into one that closes when the first of them does, by a recursion that builds a
//! tree of goroutines, three channels each: Go's `select` needs its arms written out.
//!
//! **In Rust** it is [`or`], for which one goroutine is enough: [`choose`] waits for any number of events at once. Where the result
//! need not be a channel, not even that: `choose(..)` is itself something that can be waited for, alone or as an arm of a `select!`.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use rendez::chan::{self, Receiver};
use rendez::pattern::or;
use rendez::{Event, choose, go, sleep};

use crate::output::{Check, Output, ensure};

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

    // As an event: nobody is started, and it may stand beside other things.
    let signals = [chan::never(), sig(Duration::from_millis(1))];
    let in_time = choose(signals.iter().map(Receiver::recv_event)).wait_timeout(minutes(1));
    ensure(in_time.is_some(), "the signal comes long before the limit")?;
    out.say("done, without a channel");
    ensure(out.lines().len() == 6, "six lines")
}
