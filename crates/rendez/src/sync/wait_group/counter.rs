//! What the handles of a [`WaitGroup`](super::WaitGroup) share: the counter, and who waits for it to be zero.
//!
//! # Protocol
//!
//! One word, `state`, holds the counter (high half) and the number of waiters (low half), so that `add` and `done` are one
//! compare-exchange while nobody waits, and a bad call changes nothing. Waiters register in the word by compare-exchange while the counter is not zero,
//! under the queue's lock, and are queued before that lock is left. Whoever brings the counter to zero with waiters
//! registered clears the word under the same lock and wakes them. So a waiter either sees zero, or is registered before
//! the word turns zero and then is found in the queue.
//!
//! # Children, apart
//!
//! A crowd that `go` starts on one worker and that ends on others would have that one line go to and fro twice for each of them. So children
//! (of `go` alone) may be counted, as they end, in a line of its own, `ended`, and taken off the counter later, in one go, with their references:
//!
//! | `ended` | meaning | becomes so by |
//! | --- | --- | --- |
//! | [`AT_ONCE`] and anything | who ends takes one off the counter, and gives its reference back | who gathers, by a swap: under the lock |
//! | a number | so many have ended, are still in the counter, and have left their references | `go`, when many are out and nobody waits: under the lock |
//!
//! A child adds one to the word and learns from what was there which of the two holds: the first, and it goes on as everybody does (what
//! it has added says nothing there); the second, and that was all, and it touches nothing of this any more. So the counter in `state` is never too low, and zero
//! there is zero. It is too high while children are counted apart. Therefore everybody *gathers* first for whom that makes a difference:
//! who looks for zero, who is about to queue, who takes off, and a handle that is dropped, so that the references of children are given back. From then
//! on children end at once.
//!
//! Nothing begins to be counted apart while somebody is registered, and nobody registers before he has gathered, both under the lock. So while
//! children are counted apart nobody waits, and who gathers wakes nobody. (He may be a select that stands in other queues already, and
//! must call no [waker](crate::wait).) And who has the lock sees no counter that another who gathers has yet to take from; who looks without it is told by the
//! word that there is one ([`IN_HAND`]), and waits for the lock.
//!
//! (A program that takes off more than it has added may take off what children have yet to, who are counted apart. The counter then
//! stays at zero, and nobody is told.)

use crate::{
    label::Label,
    lock::SpinLock,
    primitives::{
        atomic::{AtomicU64, AtomicUsize, Ordering, fence},
        prefetch_to_write,
    },
    select::Occurs,
    wait::{End, Node, Status, Tells, Thing, WaitQueue},
};
use std::{mem::ManuallyDrop, ops::Deref, panic::Location, process, ptr::NonNull};

const ONE: u64 = 1 << 32;
const WAITERS: u64 = ONE - 1;
/// Of `ended`.
const AT_ONCE: u64 = 1 << 63;
/// Of `ended`, with the former: who gathers has yet to take off what he has found.
const IN_HAND: u64 = 1 << 62;
/// Children begin to be counted apart where the counter comes by a multiple of this.
const MANY: i32 = if cfg!(loom) { 2 } else { 64 };
/// More references than that are some that were forgotten.
const MOST_REFERENCES: usize = isize::MAX as usize;
/// Two lines: processors fetch them in pairs.
const APART: usize = 128;

fn counter(state: u64) -> i32 {
    (state >> 32) as i32
}

/// Why a call changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refused {
    OutOfRange,
    Negative,
    Misuse,
}

#[cold]
#[track_caller]
pub(super) fn out_of_range() -> ! {
    panic!("sync: WaitGroup counter out of range: it has 32 bits")
}

#[repr(C)]
pub(super) struct Counter {
    /// Counter in the high 32 bits (signed), registered waiters in the low 32.
    state: AtomicU64,
    /// Handles, and children of `go`.
    references: AtomicUsize,
    waiters: SpinLock<WaitQueue>,
    pub(super) label: Label,
    made: &'static Location<'static>,
    _before: [u8; APART],
    ended: AtomicU64,
    _after: [u8; APART / 2],
    /// loom tells of one that is never freed.
    #[cfg(loom)]
    _freed: loom::alloc::Track<()>,
}

/// Has loom check that every use of it came before its end.
#[cfg(loom)]
impl Drop for Counter {
    fn drop(&mut self) {
        self.state.with_mut(|_| ());
        self.ended.with_mut(|_| ());
        self.references.with_mut(|_| ());
    }
}

impl Counter {
    /// The new word.
    #[track_caller]
    pub(super) fn add(&self, delta: i32) -> u64 {
        if delta < 0 {
            self.gather();
        }
        let mut changed = self.change(delta);
        if changed == Err(Refused::OutOfRange) {
            self.gather();
            changed = self.change(delta);
        }
        match changed {
            Ok(state) => state,
            Err(Refused::OutOfRange) => out_of_range(),
            Err(Refused::Negative) => panic!("sync: negative WaitGroup counter"),
            Err(Refused::Misuse) => panic!("sync: WaitGroup misuse: Add called concurrently with Wait"),
        }
    }

    /// Compares before it exchanges, so that a call that is refused has changed nothing: with a plain addition others would see
    /// the bad sum, panic too, or wait for a zero that never comes. The new word.
    #[inline]
    fn change(&self, delta: i32) -> Result<u64, Refused> {
        prefetch_to_write(&self.state);
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            let now = counter(state).checked_add(delta).ok_or(Refused::OutOfRange)?;
            if now < 0 {
                return Err(Refused::Negative);
            }
            let waiters = state & WAITERS;
            if waiters != 0 && delta > 0 && now == delta {
                return Err(Refused::Misuse);
            }
            let sum = u64::from(now as u32) << 32 | waiters;
            match self.state.compare_exchange_weak(state, sum, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => {
                    if now == 0 && waiters != 0 {
                        self.release();
                    }
                    return Ok(sum);
                }
                Err(changed) => state = changed,
            }
        }
    }

    /// The counter is zero and somebody was registered: wakes everybody, as long as that is still so.
    fn release(&self) {
        // All are popped under one hold of the lock, so that nobody who registers for a next round is among them.
        let mut wakeups = Vec::new();
        let mut waiters = self.waiters.lock();
        let state = self.state.load(Ordering::Acquire);
        // Either the last waiter had given up meanwhile, and then somebody may have added again; or another release was
        // faster.
        if counter(state) != 0 || state & WAITERS == 0 {
            return;
        }
        // Nothing can come between: at zero with waiters no `add` has an effect, and waiters leave under the lock.
        self.state.store(0, Ordering::Release);
        while let Some(winner) = waiters.pop_winner() {
            wakeups.push(winner.complete(Status::Done));
        }
        drop(waiters);
        drop(wakeups);
    }

    pub(super) fn is_zero(&self) -> bool {
        let is_zero = || counter(self.state.load(Ordering::Acquire)) == 0;
        is_zero() || {
            self.gather();
            is_zero()
        }
    }

    /// As far as one can say without a change.
    pub(super) fn count(&self) -> i32 {
        let apart = match self.ended.load(Ordering::Relaxed) {
            ended if ended & AT_ONCE == 0 => ended as i32,
            _ => 0,
        };
        (counter(self.state.load(Ordering::Relaxed)) - apart).max(0)
    }

    pub(super) fn waiters(&self) -> u64 {
        self.state.load(Ordering::Acquire) & WAITERS
    }

    pub(super) fn check_reuse(&self) {
        if self.waiters() != 0 {
            panic!("sync: WaitGroup is reused before previous Wait has returned");
        }
    }

    fn is_apart(&self) -> bool {
        self.ended.load(Ordering::Acquire) & AT_ONCE == 0
    }

    /// Has children end at once from now on, and takes off those that have not, or waits for who does.
    ///
    /// The caller has a reference, and not the lock.
    fn gather(&self) {
        if self.ended.load(Ordering::Acquire) & (AT_ONCE | IN_HAND) != AT_ONCE {
            self.gather_under(&self.waiters.lock());
        }
    }

    /// As [`gather`](Self::gather), for who has the lock.
    fn gather_under(&self, waiters: &WaitQueue) {
        // Only under the lock does that change.
        if !self.is_apart() {
            return;
        }
        debug_assert!(
            waiters.is_empty() && self.waiters() == 0,
            "nobody waits while children are counted apart"
        );
        let ended = self.ended.swap(AT_ONCE | IN_HAND, Ordering::AcqRel);
        let before = self.references.fetch_sub(ended as usize, Ordering::Release);
        debug_assert!(before > ended as usize, "the caller has one");
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            // It is less only in a program that takes off too much. (There are no waiters in it.)
            let rest = (state >> 32).saturating_sub(ended) << 32;
            match self.state.compare_exchange_weak(state, rest, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => break,
                Err(changed) => state = changed,
            }
        }
        self.ended.fetch_and(!IN_HAND, Ordering::Release);
    }

    /// So many are out that it pays to count apart those that end.
    #[cold]
    fn begin_apart(&self) {
        if self.is_apart() {
            return;
        }
        let _waiters = self.waiters.lock();
        if self.waiters() == 0 && !self.is_apart() {
            self.ended.store(0, Ordering::Release);
        }
    }

    /// As it is in a handle, and in a child.
    #[cfg(not(loom))]
    fn word(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    #[cfg(loom)]
    fn word(&self) -> usize {
        0
    }

    pub(super) fn thing(&self, is_known: bool) -> Thing {
        // What is told of is a wait that is open, beside which nothing is counted apart.
        let handles = self.references.load(Ordering::Relaxed);
        let handles = End::Handles { count: self.count(), handles, word: self.word() };
        let end = if is_known { handles } else { End::Anybody };
        Thing { name: self.label.get(), made: Some(self.made), ..Thing::new("wait group", end) }
    }
}

/// Where only the counter is at hand.
impl Tells for Counter {
    fn tell(&self, things: &mut Vec<Thing>) {
        things.push(self.thing(false));
    }
}

// SAFETY: all of it is made for any thread; waiters are decided under the queue's lock, by `release`.
unsafe impl Occurs for Counter {
    fn has_occurred(&self) -> bool {
        self.is_zero()
    }

    unsafe fn queue(&self, node: &Node) -> bool {
        if counter(self.state.load(Ordering::Acquire)) == 0 {
            return false;
        }
        let mut waiters = self.waiters.lock();
        self.gather_under(&waiters);
        let mut state = self.state.load(Ordering::Acquire);
        loop {
            if counter(state) == 0 {
                return false;
            }
            match self.state.compare_exchange(state, state + 1, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => break,
                Err(changed) => state = changed,
            }
        }
        // SAFETY: passed on.
        unsafe { waiters.push(node) };
        true
    }

    unsafe fn leave(&self, node: &Node) {
        let mut waiters = self.waiters.lock();
        // SAFETY: passed on. A node that was still queued is still counted: `release` clears the count and empties the
        // queue in one go as far as nodes queued before it are concerned.
        if unsafe { waiters.remove(node) } && self.waiters() != 0 {
            self.state.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// A reference to a [`Counter`], which is freed with the last one: an `Arc` of which many can be given back at once.
pub(super) struct Handle(NonNull<Counter>);

// SAFETY: the counter is made for any thread, and so is the count of references to it.
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

impl Handle {
    #[track_caller]
    pub(super) fn new() -> Handle {
        let counter = Box::new(Counter {
            state: AtomicU64::new(0),
            references: AtomicUsize::new(1),
            waiters: SpinLock::new(WaitQueue::new()),
            label: Label::new(),
            made: Location::caller(),
            _before: [0; APART],
            ended: AtomicU64::new(AT_ONCE),
            _after: [0; APART / 2],
            #[cfg(loom)]
            _freed: loom::alloc::Track::new(()),
        });
        Handle(NonNull::from(Box::leak(counter)))
    }

    /// Gives the reference back.
    fn give_back(self) {
        let counter = ManuallyDrop::new(self).0;
        // SAFETY: the reference has not been given back before, so it is there.
        if unsafe { counter.as_ref() }.references.fetch_sub(1, Ordering::Release) == 1 {
            // Whatever others have done with it comes before its end.
            fence(Ordering::Acquire);
            // SAFETY: made by a box, and this was the last reference: each one that is not a handle's or a child's in being has been
            // given back by who has gathered it.
            drop(unsafe { Box::from_raw(counter.as_ptr()) });
        }
    }

    /// Counts a child, whose end the value counts when it is dropped.
    #[cfg_attr(loom, allow(dead_code, reason = "there are no goroutines"))]
    #[track_caller]
    pub(super) fn start_child(&self) -> Child {
        let handle = self.clone();
        let state = self.add(1);
        if counter(state) % MANY == 0 && state & WAITERS == 0 {
            self.begin_apart();
        }
        Child(ManuallyDrop::new(handle))
    }

    /// The end of a child whose reference this is.
    #[track_caller]
    fn end_at_once(self) {
        let changed = self.change(-1);
        self.give_back();
        assert!(changed.is_ok(), "sync: negative WaitGroup counter");
    }
}

impl Deref for Handle {
    type Target = Counter;

    #[inline(always)]
    fn deref(&self) -> &Counter {
        // SAFETY: a reference that has not been given back.
        unsafe { self.0.as_ref() }
    }
}

impl Clone for Handle {
    #[inline]
    fn clone(&self) -> Handle {
        // Who has one may make another; whatever passes it to another thread orders the rest.
        if self.references.fetch_add(1, Ordering::Relaxed) > MOST_REFERENCES {
            process::abort();
        }
        Handle(self.0)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // Or the references of children that have ended would be kept for ever, if this is the last handle.
        self.gather();
        Handle(self.0).give_back();
    }
}

/// What has been counted and has not ended.
pub(super) struct Child(ManuallyDrop<Handle>);

impl Drop for Child {
    fn drop(&mut self) {
        crate::wait::point();
        // SAFETY: nobody uses it afterwards.
        let handle = unsafe { ManuallyDrop::take(&mut self.0) };
        if handle.is_apart() {
            let counter = ManuallyDrop::new(handle);
            if counter.ended.fetch_add(1, Ordering::AcqRel) & AT_ONCE == 0 {
                // The reference is who gathers' now, and what it led to may be gone.
                return;
            }
            return ManuallyDrop::into_inner(counter).end_at_once();
        }
        handle.end_at_once();
    }
}
