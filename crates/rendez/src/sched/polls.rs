//! The async goroutines of a worker that have been woken, oldest first, and whose turn it is: theirs or the started ones'.
//!
//! The queue is a deque that other workers take from (started goroutines' is not, hence two). First come, first served holds
//! in each; between the two it holds by *rounds*: all that were in the one queue when its turn began run once, then all that
//! were in the other. So whoever is woken runs after at most two rounds of those that were there before, and one that wakes
//! itself without end runs once in each round, as a goroutine does that yields without end.
//!
//! Rejected: numbers that order the two exactly (a number would have to be read from the oldest of a deque without taking
//! it, and to be changed by a thief); one queue for both, from which a worker sheds when others look idle (what lies
//! behind a long burst would be out of their reach); a slot for the one that was woken last, as for started goroutines
//! (it is out of reach too, and the pass through the queue costs little).
//!
//! The deque's buffer grows and shrinks by doubling; beyond that, queueing allocates nothing.

use super::{queue::RunQueue, shared::Fresh};
use crate::task::Header;
use crossbeam_deque::{Steal, Stealer, Worker as Deque};
use std::{
    cell::Cell,
    ptr::{self, NonNull},
};

/// For one thread; others have stealers of its deque.
#[derive(Debug)]
pub(super) struct Polls {
    deque: Deque<Fresh>,
    /// Whether there may be any: a look that costs nothing for workers that have none.
    any: Cell<bool>,
    /// How many are left of the turn of this queue; zero while it is the others' turn.
    left: Cell<usize>,
    /// The started goroutine that ends the turn of the others; null if that has yet to begin. It is in their queue, so it is
    /// told from all others by its address.
    until: Cell<*mut Header>,
}

impl Polls {
    /// `deque` is first in, first out.
    pub(super) fn new(deque: Deque<Fresh>) -> Self {
        Polls { deque, any: Cell::new(false), left: Cell::new(0), until: Cell::new(ptr::null_mut()) }
    }

    pub(super) fn len(&self) -> usize {
        if self.any.get() { self.deque.len() } else { 0 }
    }

    /// Whether there may be some.
    #[inline(always)]
    pub(super) fn has_any(&self) -> bool {
        self.any.get()
    }

    /// Queues a task that its state word says is to be queued.
    #[inline]
    pub(super) fn push(&self, task: *mut Header) {
        self.any.set(true);
        self.deque.push(Fresh(NonNull::new(task).expect("a task")));
    }

    /// The oldest.
    pub(super) fn take(&self) -> Option<*mut Header> {
        self.deque.pop().map(|Fresh(task)| task.as_ptr())
    }

    /// The next of these or of `started`, whose turn it is.
    #[inline(always)]
    pub(super) fn next(&self, started: &RunQueue<Header>) -> Option<*mut Header> {
        if self.any.get() { self.next_by_turns(started) } else { started.pop() }
    }

    fn next_by_turns(&self, started: &RunQueue<Header>) -> Option<*mut Header> {
        let left = self.left.get();
        if left > 0
            && let Some(task) = self.take()
        {
            self.left.set(left - 1);
            return Some(task);
        }
        if self.until.get().is_null() {
            self.until.set(started.newest());
        }
        let task = started.pop();
        if let Some(task) = task
            && task != self.until.get()
        {
            self.left.set(0);
            return Some(task);
        }
        // The others' turn is over, or they have nothing.
        self.until.set(ptr::null_mut());
        let len = self.deque.len();
        self.any.set(len > 0);
        if task.is_some() || len == 0 {
            self.left.set(len);
            return task;
        }
        self.left.set(len - 1);
        self.take()
    }

    /// Takes a batch of another worker's.
    pub(super) fn steal_from(&self, victim: &Stealer<Fresh>) -> bool {
        loop {
            match victim.steal_batch(&self.deque) {
                Steal::Success(()) => {
                    self.any.set(true);
                    return true;
                }
                Steal::Empty => return false,
                Steal::Retry => {}
            }
        }
    }
}
