//! The three worlds: how the owner of a wait is put to sleep and woken.

use super::{Awaited, Outcome, Waiter};
use crate::primitives::thread::{self, Thread};
use crate::time::Instant;
#[cfg(not(loom))]
use crate::{
    sched::{
        self, deadlock,
        waiting::{Place, WaitingThread},
    },
    task::Goroutine,
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    task::Waker,
};

/// The handle that wakes the owner of a wait.
// Of nothing but whole words behind the tag: with a byte in it the compiler moves it in pieces which overlap, and the processor waits for each.
pub(super) enum Blocker {
    /// A goroutine: made ready on its own worker.
    #[cfg(not(loom))]
    Goroutine(Goroutine),
    /// An OS thread: unparked.
    Thread(Thread),
    /// One that waits for this alone, which is over with whoever wakes it, and not only when the system has let it run.
    #[cfg(not(loom))]
    RestingThread(Thread, WaitingThread),
    /// An async task: its waker is called.
    Task(Waker),
}

impl Blocker {
    /// The handle of whoever is calling: the current goroutine, or else the thread.
    #[inline]
    pub(super) fn current() -> Blocker {
        #[cfg(not(loom))]
        if let Some(goroutine) = sched::current_goroutine() {
            return Blocker::Goroutine(goroutine);
        }
        Blocker::Thread(thread::current())
    }

    // A goroutine is woken where this is called: a few instructions, where it is of the caller's worker.
    #[inline(always)]
    pub(super) fn wake(self) {
        match self {
            #[cfg(not(loom))]
            // SAFETY: a `Blocker` leaves its waiter only with the one exchange that decides the wait, so this is the one
            // wake-up that the parked goroutine gets.
            Blocker::Goroutine(goroutine) => unsafe { sched::ready(goroutine) },
            other => other.wake_other(),
        }
    }

    /// As [`wake`](Self::wake), of what is no goroutine.
    #[inline(never)]
    fn wake_other(self) {
        match self {
            #[cfg(not(loom))]
            Blocker::Goroutine(_) => unreachable!("its caller has woken it"),
            Blocker::Thread(thread) => thread.unpark(),
            #[cfg(not(loom))]
            Blocker::RestingThread(thread, waits) => {
                drop(waits);
                thread.unpark();
            }
            // A waker is user code, called in the middle of somebody else's operation. If it panics, the panic hook has told
            // so, and the operation goes on: others wait for their wake-ups behind this one.
            Blocker::Task(waker) => {
                if let Err(payload) = catch_unwind(AssertUnwindSafe(|| waker.wake()))
                    && let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload)))
                {
                    std::mem::forget(again);
                }
            }
        }
    }
}

impl std::fmt::Debug for Blocker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            #[cfg(not(loom))]
            Blocker::Goroutine(_) => "Goroutine",
            Blocker::Thread(_) => "Thread",
            #[cfg(not(loom))]
            Blocker::RestingThread(..) => "RestingThread",
            Blocker::Task(_) => "Task",
        })
    }
}

/// Blocks the calling goroutine or thread, whose waiter this is, until the wait is decided.
#[inline(never)]
pub(super) fn block(waiter: &Waiter, deadline: Option<Instant>, awaited: Awaited<'_>) -> Outcome {
    block_in_place(waiter, deadline, awaited)
}

/// As [`block`], in the function that calls this.
#[inline(always)]
pub(super) fn block_in_place(waiter: &Waiter, deadline: Option<Instant>, awaited: Awaited<'_>) -> Outcome {
    #[cfg(not(loom))]
    if sched::current_goroutine().is_some() {
        sched::park(waiter, deadline, awaited);
        return waiter.outcome().expect("a parked goroutine is resumed only when its wait is decided");
    }
    block_thread(waiter, deadline, awaited)
}

/// How often a thread looks at the word before it parks: a few microseconds, against the tens of microseconds that waking
/// a parked thread takes.
#[cfg(not(loom))]
const SPINS: u32 = 200;

#[cfg(not(loom))]
#[cold]
fn block_thread(waiter: &Waiter, deadline: Option<Instant>, awaited: Awaited<'_>) -> Outcome {
    for _ in 0..SPINS {
        if let Some(outcome) = waiter.outcome() {
            return outcome;
        }
        std::hint::spin_loop();
    }
    match deadline {
        None => rest_thread(waiter, awaited),
        Some(deadline) => rest_thread_until(waiter, deadline),
    }
}

#[cfg(not(loom))]
fn rest_thread(waiter: &Waiter, awaited: Awaited<'_>) -> Outcome {
    // SAFETY: it is dropped at the end of this function.
    let _place = unsafe { Place::of(awaited) };
    // Whoever decides the wait takes the handle, and what it says of this thread with it.
    if let Some(outcome) = waiter.rest(Blocker::RestingThread(thread::current(), WaitingThread::new())) {
        return outcome;
    }
    let mut doubts = deadlock::Doubts::default();
    let mut again = doubts.next();
    loop {
        if let Some(outcome) = waiter.outcome() {
            return outcome;
        }
        match again {
            None => thread::park(),
            Some(at) if at <= Instant::now() => {
                again = if deadlock::check_from_thread() { doubts.next() } else { None };
            }
            Some(at) => thread::park_timeout(at.saturating_duration_since(Instant::now())),
        }
    }
}

#[cfg(not(loom))]
fn rest_thread_until(waiter: &Waiter, deadline: Instant) -> Outcome {
    loop {
        if let Some(outcome) = waiter.outcome() {
            return outcome;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            // Lost against a peer that is just carrying its value over: its unpark follows.
            if !waiter.time_out() && waiter.outcome().is_none() {
                thread::park();
            }
        } else {
            thread::park_timeout(left);
        }
    }
}

/// Under loom there is no clock: a deadline may pass at any moment, which is what the yield lets loom explore.
#[cfg(loom)]
fn block_thread(waiter: &Waiter, deadline: Option<Instant>, _: Awaited<'_>) -> Outcome {
    if deadline.is_some() {
        thread::yield_now();
        waiter.time_out();
    }
    loop {
        if let Some(outcome) = waiter.outcome() {
            return outcome;
        }
        thread::park();
    }
}
