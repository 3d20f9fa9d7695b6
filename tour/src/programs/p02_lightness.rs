//! 2. Goroutines are light.
//!
//! **The notes:** a newly made goroutine is given a few kilobytes, which is nearly always enough; the run time grows and shrinks
//! that by itself. So hundreds of thousands of goroutines in one address space are practical. The listing starts many that
//! block for ever on one channel, and divides the memory by their number.
//!
//! **In Rust** they can be let go again: the channel closes when its last sender is dropped, every receive ends with an
//! error, and every goroutine returns. A stack is a range of addresses of which the kernel backs the pages that have been touched: for a goroutine
//! that does little, one page. An async goroutine, [`go_async`], has no stack, and takes a few hundred bytes.

use std::convert::Infallible;

use rendez::sync::WaitGroup;
use rendez::{chan, go_async};

use crate::output::{Check, Output, ensure};

const MANY: usize = 1_000_000;

pub(crate) fn run(out: &Output) -> Check {
    // These come first: the system takes its time to take back what a million stacks have left, and what is left would be used again.
    let before = resident();
    let (release, released) = chan::bounded::<Infallible>(0);
    let tasks: Vec<_> = (0..MANY / 10)
        .map(|_| {
            let released = released.clone();
            go_async(async move { released.recv_async().await.is_err() })
        })
        .collect();
    rendez::yield_now();
    tell(out, "async ones, so far", before, resident());
    drop(release);
    let ended =
        tasks.into_iter().map(|task| task.join()).filter(|ended| *ended.as_ref().unwrap_or(&false)).count();
    ensure(ended == MANY / 10, "an async goroutine was not released")?;

    out.say(format_args!("{MANY} goroutines"));
    let before = resident();
    let (parked, ended) = (WaitGroup::new(), WaitGroup::new());
    let (release, released) = chan::bounded::<Infallible>(0);
    parked.add(MANY as i64);
    for _ in 0..MANY {
        let (parked, released) = (parked.clone(), released.clone());
        ended.go(move || {
            parked.done();
            _ = released.recv();
        });
    }
    parked.wait();
    tell(out, "parked", before, resident());
    drop(release);
    ended.wait();
    out.say("all released by closing their channel");
    ensure(out.lines().len() == 4, "four lines")
}

/// Bytes of memory that the process has; `None` where the system does not say in `/proc`.
fn resident() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: usize = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}

fn tell(out: &Output, what: &str, before: Option<usize>, after: Option<usize>) {
    let number = if what == "parked" { MANY } else { MANY / 10 };
    match (before, after) {
        (Some(before), Some(after)) => {
            out.say(format_args!("{what}: {} bytes each", after.saturating_sub(before) / number));
        }
        _ => out.say(format_args!("{what}: this system does not say what they take")),
    }
}
