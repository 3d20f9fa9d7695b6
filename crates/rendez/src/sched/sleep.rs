//! Where a worker sleeps: one word and one place, so that a poller can take it over.
//!
//! | state | meaning | set by | from |
//! | --- | --- | --- | --- |
//! | `AWAKE` | notifying is not needed | the worker, when it has slept or has found work after all | any |
//! | `ASLEEP` | who brings work has to notify | the worker, before it looks for work one last time | `AWAKE` |
//! | `POLLING` | the same; the worker sleeps in its poller | the worker, in place of `ASLEEP` | `AWAKE` |
//! | `NOTIFIED` | somebody does; nobody else need | that waker, by an exchange | `ASLEEP`, `POLLING` |
//!
//! | | a waker | the worker |
//! | --- | --- | --- |
//! | 1 | publishes the work | stores `ASLEEP` |
//! | 2 | fence, unless 1 was sequentially consistent | fence |
//! | 3 | loads the word, and exchanges `ASLEEP` for `NOTIFIED` | looks for work: if there is some, stores `AWAKE` and does it |
//! | 4 | if it has: enters and leaves the mutex, notifies | in the mutex: waits while the word is `ASLEEP`; then exchanges it for `AWAKE` |
//!
//! * *No wake-up is lost.* 1 and 3 of either are in the one order of sequentially consistent accesses (or a fence between
//!   them is, which is worth the same here), so at least one of the two sees what the other has done.
//! * *Nor between check and wait*: the worker holds the mutex from the one to the other, and the waker has passed through it
//!   between changing the word and notifying.
//! * *A waker that comes late*, when the worker has found work by itself, or has timed out, and maybe sleeps again: its
//!   notification finds nobody, or one who looks at the word and waits on (one with a time limit looks for work once more).
//!   Its exchange, if it still succeeds, wakes a worker that finds nothing: that is all.
//! * *In the poller* there is no mutex to pass through: what wakes it there is the [bell](Bell), which stays rung until the poller
//!   has been told of it. So a waker that rings between check and wait is heard as well, and one that comes late wakes
//!   a later sleep for nothing.
//! * *One notification stands for all* that was published before the worker left `NOTIFIED`: it looks for work after that.

use super::bell::Bell;
use crate::primitives::{
    Condvar, Mutex,
    total_order::{AtomicU32, Ordering, fence},
};
use std::{
    sync::{OnceLock, PoisonError},
    time::{Duration, Instant},
};

const AWAKE: u32 = 0;
const ASLEEP: u32 = 1;
const NOTIFIED: u32 = 2;
const POLLING: u32 = 3;

#[derive(Debug)]
pub(super) struct Sleep {
    state: AtomicU32,
    mutex: Mutex<()>,
    condvar: Condvar,
    /// Of the poller, once the worker has one.
    bell: OnceLock<Bell>,
}

/// How a sleep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slept {
    /// Not at all: there was work.
    FoundWork,
    Notified,
    TimedOut,
}

impl Sleep {
    pub(super) fn new() -> Self {
        Sleep {
            state: AtomicU32::new(AWAKE),
            mutex: Mutex::new(()),
            condvar: Condvar::new(),
            bell: OnceLock::new(),
        }
    }

    /// What wakes the worker from its poller, which it is about to make; set once.
    pub(super) fn hang(&self, bell: Bell) -> &Bell {
        self.bell.get_or_init(|| bell)
    }

    /// What [`hang`](Self::hang) was given.
    pub(super) fn bell(&self) -> Option<&Bell> {
        self.bell.get()
    }

    /// As [`sleep`](Self::sleep), in the worker's poller: `poll` waits there for so long, or until the bell rings.
    pub(super) fn sleep_polling(
        &self,
        has_work: impl FnOnce() -> bool,
        timeout: impl FnOnce() -> Option<Duration>,
        poll: impl FnOnce(Option<Duration>),
    ) -> Slept {
        self.state.store(POLLING, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if has_work() {
            self.state.store(AWAKE, Ordering::SeqCst);
            return Slept::FoundWork;
        }
        poll(timeout());
        match self.state.swap(AWAKE, Ordering::SeqCst) {
            NOTIFIED => Slept::Notified,
            _ => Slept::TimedOut,
        }
    }

    /// Sleeps until notified, or for `timeout`, unless the worker `has_work`. Both are asked in this order when a waker
    /// already takes the worker for sleeping.
    pub(super) fn sleep(
        &self,
        has_work: impl FnOnce() -> bool,
        timeout: impl FnOnce() -> Option<Duration>,
    ) -> Slept {
        self.state.store(ASLEEP, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if has_work() {
            self.state.store(AWAKE, Ordering::SeqCst);
            return Slept::FoundWork;
        }
        let timeout = timeout();
        let mut guard = self.mutex.lock().unwrap_or_else(PoisonError::into_inner);
        match timeout {
            None => {
                while self.state.load(Ordering::SeqCst) == ASLEEP {
                    guard = self.condvar.wait(guard).unwrap_or_else(PoisonError::into_inner);
                }
            }
            // One wait will do: whoever wakes early finds nothing to do and comes back.
            Some(timeout) => {
                if self.state.load(Ordering::SeqCst) == ASLEEP {
                    let _ = self.condvar.wait_timeout(guard, timeout);
                }
            }
        }
        match self.state.swap(AWAKE, Ordering::SeqCst) {
            NOTIFIED => Slept::Notified,
            _ => Slept::TimedOut,
        }
    }

    /// A cheap look, which may come a moment late.
    #[cfg_attr(loom, allow(dead_code, reason = "for the watch over alarms, which has no model"))]
    pub(super) fn looks_asleep(&self) -> bool {
        matches!(self.state.load(Ordering::Relaxed), ASLEEP | POLLING)
    }

    /// As [`looks_asleep`](Self::looks_asleep): whether it has been notified, and has not looked for work since.
    #[cfg_attr(loom, allow(dead_code, reason = "as above"))]
    pub(super) fn looks_notified(&self) -> bool {
        self.state.load(Ordering::Relaxed) == NOTIFIED
    }

    /// Wakes the worker if it sleeps, or is about to. Returns the time that this took the caller, if it did.
    #[inline]
    pub(super) fn notify(&self) -> Option<Duration> {
        match self.state.load(Ordering::SeqCst) {
            asleep @ (ASLEEP | POLLING) => self.notify_sleeper(asleep),
            _ => None,
        }
    }

    #[cold]
    fn notify_sleeper(&self, asleep: u32) -> Option<Duration> {
        // (If it has changed beds in between, it has looked for work in between too.)
        if self.state.compare_exchange(asleep, NOTIFIED, Ordering::SeqCst, Ordering::SeqCst).is_err() {
            return None;
        }
        let start = Instant::now();
        if asleep == POLLING {
            self.bell().expect("a worker that polls has one").ring();
        } else {
            drop(self.mutex.lock().unwrap_or_else(PoisonError::into_inner));
            self.condvar.notify_one();
        }
        Some(start.elapsed())
    }
}
