//! Operations by polls, for the traits of the `futures` crates: between two polls of one side its wait is kept here.
//!
//! A poll of a wait that is still open attempts nothing, but for a write that has waited for [`TRIES_AFTER`]: see there.

use super::{Fd, Queued, Side, Source};
use crate::{
    sched::harness::{self, Hold},
    wait::{self, Node, Reason, Waiter},
};
use std::{
    io,
    marker::PhantomPinned,
    os::fd::AsFd,
    pin::Pin,
    ptr,
    task::{Context, Poll},
    time::{Duration, Instant},
};

/// A write that has waited for so long and is polled for whatever reason is attempted anew. Linux tells that a socket can be written to when
/// a third of what its buffer may hold is free (`sk_stream_is_writeable`), which may be a megabyte: a peer that reads slowly takes a long
/// time for that, and a caller with a limit to how long *nothing* is taken could not tell it from one that is gone.
const TRIES_AFTER: Duration = Duration::from_millis(10);

/// What has a descriptor to wait for.
pub(crate) trait Descriptor {
    /// The object inside.
    type Io: AsFd;

    /// Its descriptor.
    fn descriptor(&self) -> &Fd<Self::Io>;
}

/// One side of a descriptor, and who waits for it.
pub(crate) struct Polled {
    side: Side,
    slot: Option<Pin<Box<Slot>>>,
}

struct Slot {
    source: &'static Source,
    /// While the node is queued.
    waiter: Option<Waiter>,
    node: Node,
    /// When it was queued last, to write.
    since: Instant,
    /// The clock of a runtime under test stands while the node is queued.
    hold: Option<Hold>,
    _pinned: PhantomPinned,
}

// SAFETY: the raw pointers in the node point into the same box, or are other nodes' that are only followed under the source's
// lock.
unsafe impl Send for Polled {}
// SAFETY: nothing can be done through a shared reference.
unsafe impl Sync for Polled {}

impl Polled {
    pub(crate) const fn new(side: Side) -> Polled {
        Polled { side, slot: None }
    }

    /// Whether a wait is open that is to be kept, whose waker is now that of `cx`.
    fn is_waiting(&mut self, cx: &Context<'_>) -> bool {
        let Some(slot) = &self.slot else { return false };
        let Some(waiter) = &slot.waiter else { return false };
        let waits = waiter.poll(cx.waker()).is_none();
        if waits && !(self.side == Side::Write && slot.since.elapsed() >= TRIES_AFTER) {
            return true;
        }
        let source = slot.source;
        self.leave();
        if waits {
            source.may_be_ready(self.side);
        }
        false
    }

    /// Ends the wait, if there is one.
    fn leave(&mut self) {
        let Some(slot) = &mut self.slot else { return };
        // SAFETY: nothing is moved but the waiter, when the node has left its queue.
        let slot = unsafe { slot.as_mut().get_unchecked_mut() };
        if let Some(waiter) = &slot.waiter {
            waiter.end();
            // SAFETY: queued on this side or nowhere.
            unsafe { slot.source.leave(self.side, &slot.node) };
            slot.waiter = None;
            slot.hold = None;
        }
    }

    /// One poll of an operation on `fd`, which is always the same.
    pub(crate) fn poll<T: AsFd, R>(
        &mut self,
        fd: &Fd<T>,
        cx: &Context<'_>,
        mut call: impl FnMut(&T) -> io::Result<(R, bool)>,
    ) -> Poll<io::Result<R>> {
        if self.is_waiting(cx) {
            return wait::pending(cx, Reason::IoWait);
        }
        if !wait::poll_budget(cx) {
            return Poll::Pending;
        }
        loop {
            if let Some(result) = fd.attempt(self.side, &mut call) {
                return Poll::Ready(result);
            }
            let source = fd.source();
            let slot = self.slot.get_or_insert_with(|| {
                let node = Node::new(ptr::null(), 0, ptr::null_mut());
                Box::pin(Slot {
                    source,
                    waiter: None,
                    node,
                    since: Instant::now(),
                    hold: None,
                    _pinned: PhantomPinned,
                })
            });
            // SAFETY: nothing is moved that is queued.
            let slot = unsafe { slot.as_mut().get_unchecked_mut() };
            debug_assert!(ptr::eq(slot.source, source), "a side is polled for one descriptor");
            let waiter: *const Waiter = slot.waiter.insert(Waiter::task(cx.waker().clone()));
            slot.node.aim(waiter, 0, ptr::null_mut());
            // SAFETY: node and waiter are pinned in their box, and leave the queue before it ends.
            match unsafe { source.queue(fd.as_fd(), self.side, &slot.node) } {
                Ok(Queued::Waits) => {
                    if self.side == Side::Write {
                        slot.since = Instant::now();
                    }
                    slot.hold = harness::hold();
                    return wait::pending(cx, Reason::IoWait);
                }
                Ok(Queued::Ready) => slot.waiter = None,
                Err(error) => {
                    slot.waiter = None;
                    return Poll::Ready(Err(error));
                }
            }
        }
    }
}

impl Drop for Polled {
    fn drop(&mut self) {
        self.leave();
    }
}
