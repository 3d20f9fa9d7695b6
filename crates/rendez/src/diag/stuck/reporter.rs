//! Who tells of goroutines that hold their workers: a thread of its own, which is there while there is something to be told.
//!
//! The hook is the program's. It may block, for ever even, and so may the standard error, if that is a pipe that nobody reads; the monitor
//! goes on meanwhile. One is told after the other, in the order in which they were found. So that a hook which never returns keeps no more and more
//! memory, [`MOST`] reports wait at most, and others are counted only.
//!
//! A thread that tells is one that nobody knows whose business it is: while it is there no deadlock is reported, for the
//! hook may be about to wake somebody.
//!
//! A program may end while one is being told: to name the calls of the first takes some tenths of a second where there is much debug information. It is
//! waited for then, for [`AT_EXIT`] at most.

use super::{Stuck, hook};
use crate::task::header::discard;
use std::{
    cell::Cell,
    collections::VecDeque,
    io::Write,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    process,
    sync::{
        Condvar, Mutex, MutexGuard, Once, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

/// So many wait to be told.
const MOST: usize = 64;
/// For so long the end of the process is put off.
const AT_EXIT: Duration = Duration::from_secs(1);

struct Reports {
    waiting: VecDeque<Stuck>,
    /// Whether somebody tells them.
    is_telling: bool,
}

static REPORTS: Mutex<Reports> = Mutex::new(Reports { waiting: VecDeque::new(), is_telling: false });

/// Nothing is being told any more.
static TOLD: Condvar = Condvar::new();

/// The process that tells: a child that was forked has a copy of what is being told, and maybe of a lock that nobody will leave, but not who does.
static PROCESS: AtomicU32 = AtomicU32::new(0);

thread_local! {
    /// Whether this thread tells.
    static TELLS: Cell<bool> = const { Cell::new(false) };
}

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
    static AT_THE_END: Once = Once::new();
    PROCESS.store(process::id(), Ordering::Relaxed);
    // SAFETY: `finish` may be called at any time, on any thread, and does not unwind. Without it some reports are lost.
    AT_THE_END.call_once(|| _ = unsafe { libc::atexit(finish) });
    // Without a thread it is told here; the monitor waits meanwhile, which is better than silence.
    if thread::Builder::new().name("rendez-reports".into()).spawn(tell_all).is_err() {
        tell_all();
    }
}

/// The process ends.
extern "C" fn finish() {
    // The hook itself may end it.
    if !TELLS.get() && PROCESS.load(Ordering::Relaxed) == process::id() {
        drop(TOLD.wait_timeout_while(reports(), AT_EXIT, |reports| reports.is_telling));
    }
}

fn tell_all() {
    TELLS.set(true);
    loop {
        let stuck = {
            let mut reports = reports();
            match reports.waiting.pop_front() {
                Some(stuck) => stuck,
                None => {
                    reports.is_telling = false;
                    // Where there is no thread for this it is the monitor's.
                    TELLS.set(false);
                    TOLD.notify_all();
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
