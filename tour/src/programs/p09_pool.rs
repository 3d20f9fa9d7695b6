//! 9. Pool.
//!
//! **The notes:** a `Pool` gives out objects that are dear to make: `Get` takes one that was put back or calls `New`, `Put` brings it back,
//! usually by `defer`. A million workers share a few buffers of a megabyte... and how many were made differs from run to run.
//!
//! **In Rust** [`get`](Pool::get) gives a guard that brings the object back as it is dropped, and `New` is part of making the
//! pool, so neither can be forgotten. As in Go, expect nothing of the contents, and give it objects of one kind.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rendez::sync::{Pool, WaitGroup};

use crate::output::{Check, Output, ensure};

const CALLS: usize = 1_000_000;
const SIZE: usize = 1 << 20;

pub(crate) fn run(out: &Output) -> Check {
    let made = Arc::new(AtomicUsize::new(0));
    let buffers = Arc::new(Pool::new({
        let made = made.clone();
        move || {
            made.fetch_add(1, Ordering::Relaxed);
            vec![0_u8; SIZE]
        }
    }));
    let all = WaitGroup::new();
    let wrong = Arc::new(AtomicUsize::new(0));
    for call in 0..CALLS {
        let (buffers, wrong) = (buffers.clone(), wrong.clone());
        all.go(move || {
            let mut buffer = buffers.get();
            buffer[call % SIZE] = call as u8;
            if buffer[call % SIZE] != call as u8 {
                wrong.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    all.wait();
    let made = made.load(Ordering::Relaxed);
    out.say(format_args!("{made} buffers of 1 MB were made for {CALLS} calls"));
    ensure(wrong.load(Ordering::Relaxed) == 0, "two had the same buffer at once")?;
    ensure((1..=100).contains(&made), "far fewer are made than used")
}
