//! The state word of an async goroutine: whose turn it is, whether it has been woken, and how many can still reach it.
//!
//! # The word
//!
//! Two bits, and above them a count of references.
//!
//! | `WOKEN` | `RUNNING` | the task is | who may touch the future | who leaves this state |
//! | --- | --- | --- | --- | --- |
//! | 0 | 0 | idle | nobody | whoever wakes it ([`wake`](PollState::wake)), and must then queue it |
//! | 1 | 0 | queued, once | whoever takes it out of the queue | that one ([`begin`](PollState::begin)) |
//! | 0 | 1 | being polled | the one who polls | a waker; or the one who polls, to idle ([`pause`](PollState::pause)) |
//! | 1 | 1 | being polled, and woken since | the one who polls | that one, to queued, and must then queue it |
//!
//! A task that has ended is never paused: it stays `RUNNING`, so a late wake-up finds nothing to do.
//!
//! * *It is in one queue at most.* Whoever turns "neither bit" into `WOKEN` queues it, or the one who polls when it takes
//!   `RUNNING` away from under a `WOKEN`; both leave `WOKEN` alone, which only `begin` clears, after it has been taken out.
//! * *It is polled by one at a time.* `begin` follows one taking out of the queue, and it is not queued while `RUNNING`.
//! * *No wake-up is lost.* A wake-up is one read-modify-write, so it comes either before the `begin` that clears its bit, and
//!   the poll that follows sees what was done before the wake-up (the `begin` acquires what every wake-up released, a
//!   wake-up that finds the bit set included, since it writes the word nevertheless); or after it, and `pause` sees the bit.
//! * *Polls see each other*: `pause` releases and `begin` acquires, whatever threads they are on.
//!
//! # The references
//!
//! One of the task and its handle together (they settle between themselves which of them is the last: see
//! [`header`](super::header)), and one of every waker. Who gives up the last one frees the allocation. A task that has not
//! ended has its own, so a waker that has queued it may give up its reference first.

use crate::primitives::atomic::{AtomicUsize, Ordering};

const WOKEN: usize = 1;
const RUNNING: usize = 2;
const REFERENCE: usize = 4;
/// Beyond this many references somebody forgets wakers in a loop, and the count would overflow in the end.
const MOST: usize = isize::MAX as usize;

#[derive(Debug)]
pub(crate) struct PollState(AtomicUsize);

/// What a wake-up that also gives up its reference leaves to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Woken {
    Nothing,
    /// The task is to be queued.
    Queue,
    /// The reference is the last one, of a task that has ended, and is still to be given up.
    Release,
}

impl PollState {
    /// A task that is about to be queued for the first time, with its own reference.
    pub(crate) fn new() -> PollState {
        PollState(AtomicUsize::new(WOKEN | REFERENCE))
    }

    /// Wakes the task. If `true`, the caller must queue it.
    #[must_use]
    pub(crate) fn wake(&self) -> bool {
        self.0.fetch_or(WOKEN, Ordering::AcqRel) & (WOKEN | RUNNING) == 0
    }

    /// Wakes the task and gives up a reference, in one step.
    pub(crate) fn wake_and_release(&self) -> Woken {
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            if word < 2 * REFERENCE {
                return Woken::Release;
            }
            let next = (word | WOKEN) - REFERENCE;
            match self.0.compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) if word & (WOKEN | RUNNING) == 0 => return Woken::Queue,
                Ok(_) => return Woken::Nothing,
                Err(changed) => word = changed,
            }
        }
    }

    /// The task has been taken out of its queue and is to be polled, or ended.
    #[inline]
    pub(crate) fn begin(&self) {
        // From `WOKEN` alone to `RUNNING` alone: adding one does both.
        let before = self.0.fetch_add(RUNNING - WOKEN, Ordering::Acquire);
        debug_assert_eq!(before & (WOKEN | RUNNING), WOKEN);
    }

    /// The poll has left the task pending. If `true`, it was woken meanwhile and the caller must queue it; if `false`,
    /// others may have done so already, and the caller has no claim on it any more.
    #[inline]
    #[must_use]
    pub(crate) fn pause(&self) -> bool {
        let before = self.0.fetch_sub(RUNNING, Ordering::AcqRel);
        debug_assert_eq!(before & RUNNING, RUNNING);
        before & WOKEN != 0
    }

    /// One reference more, for a caller that has one.
    pub(crate) fn retain(&self) {
        if self.0.fetch_add(REFERENCE, Ordering::Relaxed) > MOST {
            std::process::abort();
        }
    }

    /// One reference less. If `true`, it was the last, and the caller must free the task.
    #[must_use]
    pub(crate) fn release(&self) -> bool {
        self.0.fetch_sub(REFERENCE, Ordering::AcqRel) < 2 * REFERENCE
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::{PollState, Woken};
    use crate::primitives::{
        Arc, UnsafeCell,
        atomic::{AtomicUsize, Ordering},
        thread::yield_now,
    };
    use loom::thread;
    use std::sync::atomic::AtomicUsize as Uncounted;

    /// Runs `model` in every interleaving, and says how many those were.
    fn explore(model: impl Fn() + Sync + Send + 'static) {
        let interleavings = std::sync::Arc::new(Uncounted::new(0));
        let counted = interleavings.clone();
        loom::model(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            model();
        });
        println!("{} interleavings", interleavings.load(Ordering::Relaxed));
    }

    /// A task whose future is a cell that loom watches, with the shortest of queues.
    struct Task {
        state: PollState,
        /// How often it is queued: one at most.
        queued: AtomicUsize,
        /// How many polls there were. Touched by whoever may touch the future.
        polls: UnsafeCell<usize>,
        /// What its wakers have brought about, each before it woke.
        events: AtomicUsize,
        freed: AtomicUsize,
    }

    impl Task {
        fn new() -> Arc<Task> {
            Arc::new(Task {
                state: PollState::new(),
                queued: AtomicUsize::new(1),
                polls: UnsafeCell::new(0),
                events: AtomicUsize::new(0),
                freed: AtomicUsize::new(0),
            })
        }

        fn queue(&self) {
            assert_eq!(self.queued.fetch_add(1, Ordering::Release), 0, "queued twice");
        }

        fn free(&self) {
            assert_eq!(self.freed.fetch_add(1, Ordering::Relaxed), 0, "freed twice");
            // SAFETY: only who may free it may do this beside the wakers; loom tells if another does.
            self.polls.with_mut(|polls| unsafe { *polls = usize::MAX });
        }

        fn wake(&self) {
            self.events.fetch_add(1, Ordering::Relaxed);
            if self.state.wake() {
                self.queue();
            }
        }

        fn wake_and_release(&self) {
            self.events.fetch_add(1, Ordering::Relaxed);
            match self.state.wake_and_release() {
                Woken::Nothing => {}
                Woken::Queue => self.queue(),
                Woken::Release => self.release(),
            }
        }

        fn release(&self) {
            if self.state.release() {
                self.free();
            }
        }

        /// Takes it out of the queue if it is there, and polls it. It ends when it has seen all of `events`; otherwise
        /// it is left as a pending poll leaves it. Returns whether it has ended.
        fn run(&self, events: usize) -> bool {
            if self.queued.compare_exchange(1, 0, Ordering::Acquire, Ordering::Relaxed).is_err() {
                yield_now();
                return false;
            }
            self.state.begin();
            let seen = self.events.load(Ordering::Relaxed);
            // SAFETY: the state word gives a task to one runner at a time; loom tells if it does not.
            self.polls.with_mut(|polls| unsafe { *polls += 1 });
            if seen == events {
                return true;
            }
            if self.state.pause() {
                self.queue();
            }
            false
        }
    }

    #[test]
    fn loom_a_wake_up_beside_a_poll_is_not_lost() {
        explore(|| {
            let task = Task::new();
            task.state.retain();
            let waker = thread::spawn({
                let task = task.clone();
                move || {
                    task.wake();
                    task.release();
                }
            });
            // It hangs, and loom says so, if the wake-up is lost.
            while !task.run(1) {}
            task.release();
            waker.join().unwrap();
            assert_eq!(task.freed.load(Ordering::Relaxed), 1);
        });
    }

    #[test]
    fn loom_two_wakers_queue_it_once_each_time_and_the_last_one_frees_it() {
        explore(|| {
            let task = Task::new();
            let wakers = [(); 2].map(|()| {
                task.state.retain();
                let task = task.clone();
                thread::spawn(move || task.wake_and_release())
            });
            while !task.run(2) {}
            task.release();
            for waker in wakers {
                waker.join().unwrap();
            }
            assert_eq!(task.freed.load(Ordering::Relaxed), 1);
        });
    }

    #[test]
    fn loom_a_task_polled_by_two_workers_by_turns_is_polled_by_one_at_a_time() {
        explore(|| {
            let task = Task::new();
            let worker = thread::spawn({
                let task = task.clone();
                move || task.run(1)
            });
            task.state.retain();
            let waker = thread::spawn({
                let task = task.clone();
                move || task.wake_and_release()
            });
            let mine = task.run(1);
            waker.join().unwrap();
            if !worker.join().unwrap() && !mine {
                // Whoever polled it without the event has left it for another.
                while !task.run(1) {}
            }
            task.release();
            assert_eq!(task.freed.load(Ordering::Relaxed), 1);
        });
    }

    #[test]
    fn loom_a_waker_that_outlives_the_task_frees_it() {
        explore(|| {
            let task = Task::new();
            task.state.retain();
            let waker = thread::spawn({
                let task = task.clone();
                move || {
                    task.state.retain();
                    task.release();
                    task.wake_and_release();
                }
            });
            assert!(task.run(0) || task.events.load(Ordering::Relaxed) > 0);
            task.release();
            waker.join().unwrap();
        });
    }
}
