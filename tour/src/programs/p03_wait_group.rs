//! 3. WaitGroup.
//!
//! **The notes:** a `WaitGroup` is a counter that goroutines share. Call `Add` before the fork and not inside the
//! goroutine, or `Wait` may find zero and return before anything has started; and `defer` the `Done`, or a panic leaves
//! the counter where it is and `Wait` never returns.
//!
//! **In Rust** `add` and `done` are there, for the cases where one fork and one goroutine do not match. For the others
//! [`WaitGroup::go`] does all three in the right order, and counts a goroutine that panics as done, so neither mistake
//! can be written. Clones of a group share its counter; there is no pointer to pass.

use rendez::sync::WaitGroup;
use rendez::{go, yield_now};

use crate::output::{Check, Output, ensure};

pub(crate) fn run(out: &Output) -> Check {
    // By hand, as in Go.
    let group = WaitGroup::new();
    for n in 1..=3 {
        group.add(1);
        let (group, out) = (group.clone(), out.clone());
        go(move || {
            // Lets the parent go on to `wait` first.
            yield_now();
            out.say(format_args!("goroutine {n} done"));
            group.done();
        });
    }
    group.wait();
    out.say("All goroutines done.");

    // The same, counted by the group itself. It is at zero again, so it can be used again.
    for n in 4..=6 {
        let out = out.clone();
        group.go(move || {
            yield_now();
            out.say(format_args!("goroutine {n} done"));
        });
    }
    group.wait();
    out.say("All goroutines done.");

    let lines = out.lines();
    ensure(lines.len() == 8 && lines[3] == lines[7], "`wait` returned before all were done")?;
    let mut expected: Vec<String> = (1..=6).map(|n| format!("goroutine {n} done")).collect();
    expected.extend(["All goroutines done.".to_owned(), "All goroutines done.".to_owned()]);
    out.expect_in_any_order(expected)
}
