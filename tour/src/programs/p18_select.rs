//! 18. The `select` statement.
//!
//! **The notes** ask three questions. What if several channels have something to read? Each is as likely as the others.
//! What if none ever becomes ready? Time out. What if there is something to do meanwhile? `default`.
//!
//! **In Rust** [`select!`] has Go's arms, `recv` and `send`, and one for whatever else can be waited for: `wait(event)`,
//! here a [`timer`], Go's `time.After`. `default(duration)` is the time-out without a timer.

use std::time::{Duration, Instant};

use rendez::time::timer;
use rendez::{chan, select};

use crate::output::{Check, Output, ensure};

const PICKS: u32 = 1000;

pub(crate) fn run(out: &Output) -> Check {
    // Both are closed, so both are always ready.
    let (first, second) = (chan::bounded::<()>(0).1, chan::bounded::<()>(0).1);
    let (mut of_first, mut of_second) = (0_u32, 0_u32);
    for _ in 0..PICKS {
        select! {
            recv(first) -> _ => of_first += 1,
            recv(second) -> _ => of_second += 1,
        }
    }
    out.say(format_args!("first: {of_first}, second: {of_second}"));
    // 16 standard deviations of a fair coin thrown a thousand times are 253.
    ensure(of_first.abs_diff(PICKS / 2) < 250, "the picks are not fair")?;
    ensure(of_first + of_second == PICKS, "a pick was lost")?;

    let silent = chan::never::<()>();
    let start = Instant::now();
    let timed_out = select! {
        recv(silent) -> _ => false,
        wait(timer(Duration::from_secs(1))) -> _ => true,
    };
    ensure(timed_out && start.elapsed() >= Duration::from_secs(1), "the time-out came early")?;
    out.say("timed out after 1 s");

    let (worker, done) = chan::bounded::<()>(0);
    rendez::go(move || {
        rendez::sleep(Duration::from_millis(5));
        drop(worker);
    });
    let mut work = 0_u64;
    loop {
        select! {
            recv(done) -> _ => break,
            default => work += 1,
        }
    }
    ensure(work > 0, "nothing was done meanwhile")?;
    out.say("there was time to work before done was closed");
    ensure(out.lines().len() == 3, "three lines")
}
