//! The queues of started goroutines: a worker's own run queue, and its inbox for wake-ups from other threads. Both are
//! linked through the goroutines' headers, so neither ever allocates.

use crate::{
    primitives::atomic::{AtomicPtr, Ordering},
    task::Header,
};
use std::{cell::Cell, ptr};

/// First in, first out; for one thread.
#[derive(Debug)]
pub(super) struct RunQueue {
    head: Cell<*mut Header>,
    tail: Cell<*mut Header>,
}

impl RunQueue {
    pub(super) const fn new() -> Self {
        RunQueue { head: Cell::new(ptr::null_mut()), tail: Cell::new(ptr::null_mut()) }
    }

    #[inline(always)]
    pub(super) fn is_empty(&self) -> bool {
        self.head.get().is_null()
    }

    /// The last in the queue, or null.
    pub(super) fn newest(&self) -> *mut Header {
        self.tail.get()
    }

    /// # Safety
    /// `task` is unfinished and in no queue; it stays unfinished until it is popped.
    #[inline(always)]
    pub(super) unsafe fn push(&self, task: *mut Header) {
        // SAFETY: by contract `task` lives and its link is ours, and the tail is queued here, so the same holds for it.
        unsafe {
            (*task).link.store(ptr::null_mut(), Ordering::Relaxed);
            let tail = self.tail.replace(task);
            if tail.is_null() {
                self.head.set(task);
            } else {
                (*tail).link.store(task, Ordering::Relaxed);
            }
        }
    }

    #[inline(always)]
    pub(super) fn pop(&self) -> Option<*mut Header> {
        let task = self.head.get();
        if task.is_null() {
            return None;
        }
        // SAFETY: queued tasks live (see `push`).
        let next = unsafe { (*task).link.load(Ordering::Relaxed) };
        self.head.set(next);
        if next.is_null() {
            self.tail.set(ptr::null_mut());
        }
        Some(task)
    }
}

/// Many pushers, one taker who takes all at once: a stack (Treiber) that is emptied by one exchange and then reversed, so
/// that what was pushed first comes out first. There is no ABA: nobody pops single items.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Inbox {
    head: AtomicPtr<Header>,
}

impl Inbox {
    pub(super) const fn new() -> Self {
        Inbox { head: AtomicPtr::new(ptr::null_mut()) }
    }

    /// Sequentially consistent, so that a pusher that then finds the worker awake, and a worker that goes to sleep and
    /// then finds the inbox empty, can't both be right; see [`sleep`](super::sleep).
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.head.load(Ordering::SeqCst).is_null()
    }

    /// A cheap look, which may come a moment late.
    #[inline(always)]
    pub(super) fn looks_filled(&self) -> bool {
        !self.head.load(Ordering::Relaxed).is_null()
    }

    /// # Safety
    /// `task` is unfinished and in no queue; it stays unfinished until it is taken.
    pub(super) unsafe fn push(&self, task: *mut Header) {
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            // SAFETY: ours until the exchange succeeds.
            unsafe { (*task).link.store(head, Ordering::Relaxed) };
            match self.head.compare_exchange_weak(head, task, Ordering::SeqCst, Ordering::Relaxed) {
                Ok(_) => return,
                Err(changed) => head = changed,
            }
        }
    }

    /// Takes everything, oldest first.
    pub(super) fn take(&self, mut each: impl FnMut(*mut Header)) {
        let mut newest = self.head.swap(ptr::null_mut(), Ordering::Acquire);
        let mut oldest: *mut Header = ptr::null_mut();
        while !newest.is_null() {
            // SAFETY: what was pushed lives until it is taken, and the exchange made the whole chain ours.
            unsafe {
                let next = (*newest).link.load(Ordering::Relaxed);
                (*newest).link.store(oldest, Ordering::Relaxed);
                oldest = newest;
                newest = next;
            }
        }
        while !oldest.is_null() {
            // SAFETY: as above; the next is read before the task is given away.
            let next = unsafe { (*oldest).link.load(Ordering::Relaxed) };
            each(oldest);
            oldest = next;
        }
    }
}
