//! 8. Once.
//!
//! **The notes:** `Do` calls its function once, whoever calls it on whichever goroutine. It counts the calls of `Do`, not the functions: after
//! `once.Do(increment)`, `once.Do(decrement)` does nothing, and the count is 1. And two that wait for each other's `Once` are a
//! dead-lock.
//!
//! **In Rust** it is the same; for a value that is to be made once there is [`OnceValue`], which keeps it as well. A call from
//! within the function itself, which could only wait for itself, panics and says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rendez::sync::{Once, OnceValue, WaitGroup};

use crate::output::{Check, Output};

pub(crate) fn run(out: &Output) -> Check {
    let (count, once) = (Arc::new(AtomicU32::new(0)), Arc::new(Once::new()));
    let all = WaitGroup::new();
    for _ in 0..100 {
        let (count, once) = (count.clone(), once.clone());
        all.go(move || once.call_once(|| _ = count.fetch_add(1, Ordering::Relaxed)));
    }
    all.wait();
    out.say(format_args!("Count is {}", count.load(Ordering::Relaxed)));

    let (mut count, once) = (0, Once::new());
    once.call_once(|| count += 1);
    once.call_once(|| count -= 1);
    out.say(format_args!("Count: {count}"));

    let greeting = OnceValue::new(|| "made once".to_owned());
    out.say(format_args!("{}, {} times asked for", greeting.get(), [greeting.get(), greeting.get()].len()));
    out.expect(["Count is 1", "Count: 1", "made once, 2 times asked for"])
}
