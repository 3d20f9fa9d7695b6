//! The queues of started goroutines: a worker's own run queue, and its inbox for wake-ups from other threads. Both are
//! linked through the goroutines' headers, so neither ever allocates.
//!
//! The inbox is one word, the newest task of a stack (Treiber):
//!
//! | step | who | what it does to the word | and to the links |
//! | --- | --- | --- | --- |
//! | look | anyone | reads it | |
//! | push | any thread | exchanges what it read for its own task, or tries again | its task's, before the exchange: what it read |
//! | push a chain | any thread | exchanges what it read for the newest of several tasks, or tries again | all of these', before the exchange: each has the one before it, and the oldest what it read |
//! | take | the worker | exchanges it for null | all of the chain's, after the exchange: it reverses them |
//!
//! * A task's link belongs to the pusher until its exchange, and to the taker from his: the exchange of the one releases
//!   what that of the other acquires, through whatever other pushes lie between (they continue the release sequence).
//! * There is no ABA: nobody pops single tasks, so a pusher's exchange means the same whatever came and went since it read:
//!   the word is the newest task now, and its chain is whole.
//! * What one thread pushed first comes out first: the chain is newest first, and one take empties it and reverses it.
//! * The exchange of a push, and `is_empty`, are in the one order of sequentially consistent accesses: see `sleep`.

use crate::primitives::{
    atomic::{AtomicPtr, Ordering},
    rarely, total_order,
};
use std::{cell::Cell, fmt, ptr};

/// What can be queued: it has a link of its own, and is in one queue at a time.
pub(super) trait Linked {
    fn link(&self) -> &AtomicPtr<Self>
    where
        Self: Sized;
}

/// First in, first out; for one thread. The link of the last one says nothing.
pub(super) struct RunQueue<T> {
    head: Cell<*mut T>,
    tail: Cell<*mut T>,
    /// The last that has been looked at before its turn, if `lead` is not zero.
    seen: Cell<*mut T>,
    /// How many there are up to that one. Never more than there are in all: each pop counts it down, so at zero `seen` may
    /// be gone.
    lead: Cell<u32>,
}

impl<T: Linked> RunQueue<T> {
    pub(super) const fn new() -> Self {
        RunQueue {
            head: Cell::new(ptr::null_mut()),
            tail: Cell::new(ptr::null_mut()),
            seen: Cell::new(ptr::null_mut()),
            lead: Cell::new(0),
        }
    }

    #[inline(always)]
    pub(super) fn is_empty(&self) -> bool {
        self.head.get().is_null()
    }

    /// Whether there are two or more.
    #[inline(always)]
    pub(super) fn has_two(&self) -> bool {
        !ptr::eq(self.head.get(), self.tail.get())
    }

    /// The first in the queue, or null.
    pub(super) fn oldest(&self) -> *mut T {
        self.head.get()
    }

    /// The last in the queue, or null.
    pub(super) fn newest(&self) -> *mut T {
        self.tail.get()
    }

    /// # Safety
    /// `task` is unfinished and in no queue; it stays unfinished until it is popped.
    #[inline(always)]
    pub(super) unsafe fn push(&self, task: *mut T) {
        let tail = self.tail.replace(task);
        if rarely(tail.is_null()) {
            self.head.set(task);
        } else {
            // SAFETY: the tail is queued here, so it lives and its link is ours.
            unsafe { (*tail).link().store(task, Ordering::Relaxed) };
        }
    }

    /// Puts `task` before all others. It counts as one that has been looked at.
    ///
    /// # Safety
    /// As for [`push`](Self::push).
    #[inline]
    pub(super) unsafe fn push_first(&self, task: *mut T) {
        let head = self.head.replace(task);
        // SAFETY: by contract `task` lives and its link is ours.
        unsafe { (*task).link().store(head, Ordering::Relaxed) };
        if head.is_null() {
            self.tail.set(task);
        }
        if self.lead.replace(self.lead.get() + 1) == 0 {
            self.seen.set(task);
        }
    }

    #[inline(always)]
    pub(super) fn pop(&self) -> Option<*mut T> {
        let task = self.head.get();
        if task.is_null() {
            return None;
        }
        if rarely(ptr::eq(task, self.tail.get())) {
            self.head.set(ptr::null_mut());
            self.tail.set(ptr::null_mut());
        } else {
            // SAFETY: queued tasks live (see `push`), and this is not the last one.
            self.head.set(unsafe { (*task).link().load(Ordering::Relaxed) });
        }
        let lead = self.lead.get();
        if lead > 0 {
            self.lead.set(lead - 1);
        }
        Some(task)
    }

    /// Shows the next one or two of those that nobody has looked at, so that in the end those `distance` turns from theirs
    /// have been seen; each once. How many of the first have been.
    #[inline(always)]
    pub(super) fn look_ahead(&self, distance: u32, mut each: impl FnMut(*mut T)) -> u32 {
        let mut lead = self.lead.get();
        for _ in 0..2 {
            if lead >= distance {
                break;
            }
            let next = match lead {
                0 => self.head.get(),
                _ if ptr::eq(self.seen.get(), self.tail.get()) => break,
                // SAFETY: the one that was seen last is queued, and queued tasks live (see `push`); and it is not the last one.
                _ => unsafe { (*self.seen.get()).link().load(Ordering::Relaxed) },
            };
            if next.is_null() {
                break;
            }
            each(next);
            self.seen.set(next);
            lead += 1;
        }
        self.lead.set(lead);
        lead
    }
}

/// Tasks on their way into one inbox, linked as they will be there: each to the one that was added before it.
pub(super) struct Chain<T> {
    newest: *mut T,
    oldest: *mut T,
}

impl<T: Linked> Chain<T> {
    pub(super) const fn new() -> Self {
        Chain { newest: ptr::null_mut(), oldest: ptr::null_mut() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.newest.is_null()
    }

    /// # Safety
    /// As for [`Inbox::push`].
    #[inline]
    pub(super) unsafe fn add(&mut self, task: *mut T) {
        if self.is_empty() {
            self.oldest = task;
        } else {
            // SAFETY: by contract it lives, and its link is ours.
            unsafe { (*task).link().store(self.newest, Ordering::Relaxed) };
        }
        self.newest = task;
    }
}

/// Many pushers, one taker who takes all at once.
#[repr(align(128))]
pub(super) struct Inbox<T> {
    newest: total_order::AtomicPtr<T>,
}

impl<T: Linked> Inbox<T> {
    pub(super) fn new() -> Self {
        Inbox { newest: total_order::AtomicPtr::new(ptr::null_mut()) }
    }

    /// Sequentially consistent, so that a pusher that then finds the worker awake, and a worker that goes to sleep and
    /// then finds the inbox empty, can't both be right.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.newest.load(Ordering::SeqCst).is_null()
    }

    /// A cheap look, which may come a moment late.
    #[inline(always)]
    pub(super) fn looks_filled(&self) -> bool {
        !self.newest.load(Ordering::Relaxed).is_null()
    }

    /// # Safety
    /// `task` is unfinished and in no queue; it stays unfinished until it is taken.
    pub(super) unsafe fn push(&self, task: *mut T) {
        // SAFETY: passed on.
        unsafe { self.push_chain(Chain { newest: task, oldest: task }) };
    }

    /// All at once, in the order in which they were added.
    ///
    /// # Safety
    /// As for [`push`](Self::push), of every task of the chain, which is not empty.
    pub(super) unsafe fn push_chain(&self, chain: Chain<T>) {
        let mut newest = self.newest.load(Ordering::Relaxed);
        loop {
            // SAFETY: ours until the exchange succeeds.
            unsafe { (*chain.oldest).link().store(newest, Ordering::Relaxed) };
            let exchange =
                self.newest.compare_exchange_weak(newest, chain.newest, Ordering::SeqCst, Ordering::Relaxed);
            match exchange {
                Ok(_) => return,
                Err(changed) => newest = changed,
            }
        }
    }

    /// Takes everything, oldest first.
    pub(super) fn take(&self, mut each: impl FnMut(*mut T)) {
        let mut newest = self.newest.swap(ptr::null_mut(), Ordering::Acquire);
        let mut oldest: *mut T = ptr::null_mut();
        while !newest.is_null() {
            // SAFETY: what was pushed lives until it is taken, and the exchange made the whole chain ours.
            unsafe {
                let next = (*newest).link().load(Ordering::Relaxed);
                (*newest).link().store(oldest, Ordering::Relaxed);
                oldest = newest;
                newest = next;
            }
        }
        while !oldest.is_null() {
            // SAFETY: as above; the next is read before the task is given away.
            let next = unsafe { (*oldest).link().load(Ordering::Relaxed) };
            each(oldest);
            oldest = next;
        }
    }
}

impl<T: Linked> fmt::Debug for Inbox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").field("filled", &self.looks_filled()).finish()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    struct Item(AtomicPtr<Item>);

    impl Item {
        /// With a link to `stranger`, as one has that was in a queue before.
        fn made(stranger: &mut Item) -> *mut Item {
            Box::into_raw(Box::new(Item(AtomicPtr::new(stranger))))
        }
    }

    impl Linked for Item {
        fn link(&self) -> &AtomicPtr<Item> {
            &self.0
        }
    }

    #[test]
    fn who_looks_ahead_sees_each_once_and_only_what_is_queued() {
        const DISTANCE: u32 = 5;
        let mut random = fastrand::Rng::with_seed(11);
        let queue = RunQueue::new();
        let mut stranger = Item(AtomicPtr::new(ptr::null_mut()));
        // What is queued, and how many of these have been shown.
        let (mut model, mut shown) = (VecDeque::new(), 0);
        for _ in 0..20_000 {
            // Now it fills, and now it runs empty.
            match random.u32(0..3) {
                0 if random.u32(0..8) == 0 => {
                    let item = Item::made(&mut stranger);
                    // SAFETY: just made, in no queue, and freed after it has been popped.
                    unsafe { queue.push_first(item) };
                    model.push_front(item);
                    shown += 1;
                }
                0 if random.u32(0..1000) < 960 => {
                    let item = Item::made(&mut stranger);
                    // SAFETY: just made, in no queue, and freed after it has been popped.
                    unsafe { queue.push(item) };
                    model.push_back(item);
                }
                1 => {
                    let popped = queue.pop();
                    assert_eq!(popped, model.pop_front());
                    if let Some(item) = popped {
                        shown = u32::saturating_sub(shown, 1);
                        // SAFETY: nobody has it any more: whoever looks at it from now on reads what was freed.
                        drop(unsafe { Box::from_raw(item) });
                    }
                }
                _ => {
                    let mut seen = Vec::new();
                    let lead = queue.look_ahead(DISTANCE, |item| seen.push(item));
                    let next = model
                        .iter()
                        .skip(shown as usize)
                        .take(2)
                        .take(DISTANCE.saturating_sub(shown) as usize);
                    assert_eq!(seen, next.copied().collect::<Vec<_>>());
                    shown += seen.len() as u32;
                    assert_eq!(lead, shown);
                }
            }
        }
        while let Some(item) = queue.pop() {
            // SAFETY: as above.
            drop(unsafe { Box::from_raw(item) });
        }
        assert!(queue.is_empty());
    }
}
