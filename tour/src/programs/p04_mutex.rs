//! 4. Mutex.
//!
//! **The notes:** a `Mutex` guards a critical section: a part of the program that needs a shared resource for itself. Five goroutines
//! count up and five count down; always unlock by `defer`, so that a panic can't leave the mutex locked.
//!
//! **In Rust** the mutex owns what it guards, and [`lock`](Mutex::lock) gives a guard through which alone the value can be reached; the
//! guard unlocks as it is dropped, also by a panic. Neither the unlocked access nor the forgotten unlock can be written. [`scope`]
//! lets the goroutines borrow the mutex, so there is nothing to share by pointer or count.

use rendez::scope;
use rendez::sync::Mutex;

use crate::output::{Check, Output, ensure};

pub(crate) fn run(out: &Output) -> Check {
    let count = Mutex::new(0);
    scope(|s| {
        for _ in 0..5 {
            s.go(|| {
                let mut count = count.lock();
                *count += 1;
                out.say(format_args!("Incrementing: {count}"));
            });
            s.go(|| {
                let mut count = count.lock();
                *count -= 1;
                out.say(format_args!("Decrementing: {count}"));
            });
        }
    });
    let count = count.into_inner();
    out.say(format_args!("Arithmetic complete: {count}"));
    ensure(count == 0, "five up and five down are zero")?;
    let lines = out.lines();
    let ups = lines.iter().filter(|line| line.starts_with("Incrementing")).count();
    let downs = lines.iter().filter(|line| line.starts_with("Decrementing")).count();
    ensure((ups, downs, lines.len()) == (5, 5, 11), "five increments, five decrements and the end")
}
