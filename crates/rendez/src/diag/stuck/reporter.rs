//! Who tells of goroutines that hold their workers: a thread of its own, which is there while there is something to be told.
//!
//! The hook is the program's. It may block, for ever even, and so may the standard error, if that is a pipe that nobody reads; the monitor
//! goes on meanwhile. One is told after the other, in the order in which they were found. So that a hook which never returns keeps no more and more
//! memory, [`MOST`] reports wait at most, and others are counted only.
//!
//! A thread that tells is one that nobody knows whose business it is: while it is there no deadlock is reported, for the
//! hook may be about to wake somebody.
#![forbid(unsafe_code)]

use super::{Stuck, hook};
use crate::task::header::discard;
use std::{
    collections::VecDeque,
    io::Write,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
};

/// So many wait to be told.
const MOST: usize = 64;

struct Reports {
    waiting: VecDeque<Stuck>,
    /// Whether somebody tells them.
    is_telling: bool,
}

static REPORTS: Mutex<Reports> = Mutex::new(Reports { waiting: VecDeque::new(), is_telling: false });

fn reports() -> MutexGuard<'static, Reports> {
    REPORTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has `stuck` told, after those that wait.
pub(crate) fn tell(stuck: Stuck) {
    {
        let mut reports = reports();
        if reports.waiting.len() >= MOST {
            return;
        }
        reports.waiting.push_back(stuck);
        if mem::replace(&mut reports.is_telling, true) {
            return;
        }
    }
    // Without a thread it is told here; the monitor waits meanwhile, which is better than silence.
    if thread::Builder::new().name("rendez-reports".into()).spawn(tell_all).is_err() {
        tell_all();
    }
}

fn tell_all() {
    loop {
        let stuck = {
            let mut reports = reports();
            match reports.waiting.pop_front() {
                Some(stuck) => stuck,
                None => {
                    reports.is_telling = false;
                    return;
                }
            }
        };
        // The hook's panic has been told. If it has been replaced meanwhile, it ends here, with what it has captured: that may panic as well.
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| tell_one(&stuck))) {
            discard(payload);
        }
    }
}

/// Calls the hook, or prints.
fn tell_one(stuck: &Stuck) {
    match hook() {
        Some(hook) => hook(stuck),
        // In one piece, and not `eprintln`, which panics when nobody reads the error stream any more.
        None => _ = std::io::stderr().write_all(format!("rendez: {stuck}\n").as_bytes()),
    }
}
