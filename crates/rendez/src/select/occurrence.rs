//! What happens and then is so, and takes nothing from anybody by being waited for: a goroutine has ended, a counter is zero, a
//! function has been called. One way to wait for them all.

use super::arm::{Arm, Operation, Registered, Sealed, Waiting};
use crate::time::Instant;
use crate::wait::{self, Awaited, Node, Outcome, Reason, Seat, Tells, Thing};
use std::{fmt, mem, ptr};

/// A source of occurrences, with a queue of those who wait.
///
/// # Safety
/// Its methods may be called on any thread, whatever it is part of. A node that has been queued is decided, by whoever makes it
/// happen, under the same lock under which nodes are queued and leave.
pub(crate) unsafe trait Occurs: Tells {
    /// Whether it has happened. If so, what came before it is seen.
    fn has_occurred(&self) -> bool;

    /// Queues `node`, or says (`false`) that it has happened.
    ///
    /// # Safety
    /// As for [`WaitQueue::push`](crate::wait::WaitQueue::push).
    unsafe fn queue(&self, node: &Node) -> bool;

    /// Takes `node` out of the queue if it is still there. Afterwards its wait is open or wholly decided.
    ///
    /// # Safety
    /// `node` is queued here or nowhere.
    unsafe fn leave(&self, node: &Node);
}

/// Parks the goroutine, or the OS thread, until it has happened; `false` if it had already. A shutdown unwinds, unless
/// the reason forbids it.
pub(crate) fn park(source: &impl Occurs, reason: Reason) -> bool {
    park_for(source, Awaited::of(reason, source))
}

/// As [`park`], and what is told of it is something else.
pub(crate) fn park_for(source: &impl Occurs, awaited: Awaited<'_>) -> bool {
    park_until(source, None, awaited).unwrap_or_else(|| unreachable!("it waits without a limit"))
}

/// As [`park_for`], until `deadline` at most: then `None`.
pub(crate) fn park_until(
    source: &impl Occurs,
    deadline: Option<Instant>,
    awaited: Awaited<'_>,
) -> Option<bool> {
    let seat = Seat::new(ptr::null_mut());
    seat.take();
    let Seat { node, waiter } = &seat;
    // SAFETY: node and waiter stay in this frame until the wait is decided and the node out of the queue; nothing in
    // between unwinds.
    if !unsafe { source.queue(node) } {
        return Some(false);
    }
    let outcome = waiter.wait(deadline, awaited);
    if matches!(outcome, Outcome::Arm(_)) {
        return Some(true);
    }
    // SAFETY: this node is queued here or nowhere.
    unsafe { source.leave(node) };
    if outcome == Outcome::Cancelled {
        wait::unwind_cancelled();
    }
    None
}

/// What a handle, a group and the like become while they are waited for as an [`Event`](super::Event).
pub struct Occurrence<'a> {
    source: &'a dyn Occurs,
    registered: bool,
    node: Node,
}

// SAFETY: the raw pointers in the node point to a waiter that is kept by whoever registers this arm, or are other nodes' that
// are only followed under the source's lock; the source may be asked on any thread.
unsafe impl Send for Occurrence<'_> {}
// SAFETY: nothing can be done through a shared reference.
unsafe impl Sync for Occurrence<'_> {}

impl<'a> Occurrence<'a> {
    pub(crate) fn of(source: &'a dyn Occurs) -> Self {
        Occurrence { source, registered: false, node: Node::new(ptr::null(), 0, ptr::null_mut()) }
    }
}

impl Sealed for Occurrence<'_> {}

impl Arm for Occurrence<'_> {
    fn attempt(&mut self) -> bool {
        self.source.has_occurred()
    }

    unsafe fn register(&mut self, waiting: Waiting<'_>, first: usize) -> Registered {
        self.node.aim(waiting.waiter, first as u32, ptr::null_mut());
        // SAFETY: passed on: the node is in this arm, which borrows the source.
        self.registered = unsafe { self.source.queue(&self.node) };
        match self.registered {
            true => Registered::Waits,
            false => waiting.choose(),
        }
    }

    unsafe fn unregister(&mut self) {
        if mem::take(&mut self.registered) {
            // SAFETY: queued there by `register`.
            unsafe { self.source.leave(&self.node) };
        }
    }

    fn conclude(&mut self, _: usize) -> bool {
        true
    }

    fn undo(&mut self) {}

    fn tell(&self, things: &mut Vec<Thing>) {
        self.source.tell(things);
    }
}

impl Operation for Occurrence<'_> {
    type Output = ();

    fn finish(&mut self) {}
}

impl fmt::Debug for Occurrence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Occurrence").field("registered", &self.registered).finish_non_exhaustive()
    }
}
