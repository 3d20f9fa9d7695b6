//! Where a worker sleeps: one word and one place, so that a poller can take it over.
//!
//! | state | set by |
//! | --- | --- |
//! | `AWAKE` | the worker, when it has slept or thinks better of it |
//! | `ASLEEP` | the worker, before it looks for work one last time and sleeps |
//! | `NOTIFIED` | the one waker that exchanges `ASLEEP` for it; it then unblocks the thread |
//!
//! No wake-up is lost: the waker first publishes the work, then reads the word; the worker first writes `ASLEEP`, then
//! looks for work. All four are sequentially consistent, so at least one sees the other.

use crate::primitives::atomic::{AtomicU32, Ordering};
use std::{
    sync::{Condvar, Mutex, PoisonError},
    time::{Duration, Instant},
};

const AWAKE: u32 = 0;
const ASLEEP: u32 = 1;
const NOTIFIED: u32 = 2;

#[derive(Debug)]
pub(super) struct Sleep {
    state: AtomicU32,
    mutex: Mutex<()>,
    condvar: Condvar,
}

impl Sleep {
    pub(super) const fn new() -> Self {
        Sleep { state: AtomicU32::new(AWAKE), mutex: Mutex::new(()), condvar: Condvar::new() }
    }

    /// The worker is about to sleep: it looks for work once more after this, then calls `commit` or `cancel`.
    pub(super) fn prepare(&self) {
        self.state.store(ASLEEP, Ordering::SeqCst);
    }

    /// There was work after all.
    pub(super) fn cancel(&self) {
        self.state.store(AWAKE, Ordering::SeqCst);
    }

    /// Sleeps until notified, or for `timeout`. Returns whether it was notified.
    pub(super) fn commit(&self, timeout: Option<Duration>) -> bool {
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
                    drop(self.condvar.wait_timeout(guard, timeout));
                }
            }
        }
        self.state.swap(AWAKE, Ordering::SeqCst) == NOTIFIED
    }

    /// Wakes the worker if it sleeps, or is about to. Returns the time that this took the caller, if it did.
    #[inline]
    pub(super) fn notify(&self) -> Option<Duration> {
        match self.state.load(Ordering::SeqCst) {
            ASLEEP => self.notify_sleeper(),
            _ => None,
        }
    }

    #[cold]
    fn notify_sleeper(&self) -> Option<Duration> {
        if self.state.compare_exchange(ASLEEP, NOTIFIED, Ordering::SeqCst, Ordering::SeqCst).is_err() {
            return None;
        }
        let start = Instant::now();
        // The sleeper holds the mutex from its check of the word until it waits, so the notification can't fall between.
        drop(self.mutex.lock().unwrap_or_else(PoisonError::into_inner));
        self.condvar.notify_one();
        Some(start.elapsed())
    }
}
