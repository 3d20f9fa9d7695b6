//! How the locks and their like wait: one mechanism for all of them, and for all ways of waiting.
//!
//! A [`Request`] says what is wanted of a source that keeps a queue: how to take it now, how to queue for it, how to leave the
//! queue, and how to give it back. [`SyncEvent`] makes the one [`Operation`] of it that is waited for by
//! `lock` and `lock_timeout`, by `select!`, and by `lock_async`. Each source has a fast path of its own before all this, which
//! builds nothing.
//!
//! # The life of a request
//!
//! ```text
//!              attempt: true
//!    idle ─────────────────────────────────▶ chosen ── finish: its result
//!     │ ▲ ▲                                   ▲  │
//!     │ │ └──────── give_back (undone) ───────┼──┘
//!     │ └── leave (lost) ──┐                  │
//!     ├─ queue: true ─▶ queued ─ status Done ─┘ granted
//!     │                   │
//!     └──────────────◀────┴─ status Retry: invited, to be tried again
//! ```
//!
//! Whoever grants wins the waiter under the source's lock first (see [`wait`](crate::wait)), so a grant never goes to
//! somebody who has given up. A request that has been invited, and is dropped without having been granted, passes the
//! invitation on: that is its own `Drop`.

use crate::{
    select::{Arm, Event, Operation, Registered, Sealed, Waiting},
    wait::{Node, Reason, Status, Thing},
};
use std::{fmt, mem, ptr};

/// What somebody wants of a source with a wait queue.
pub trait Request {
    /// What is got.
    type Output;

    /// Why one waits for it.
    fn reason(&self) -> Reason;

    /// Says for a report what is waited for.
    fn tell(&self, things: &mut Vec<Thing>);

    /// Takes it if it is there now.
    fn attempt(&mut self) -> bool;

    /// Queues `node`, or says (`false`) that it has become worth another attempt.
    ///
    /// # Safety
    /// As for [`WaitQueue::push`](crate::wait::WaitQueue::push).
    unsafe fn queue(&mut self, node: &Node) -> bool;

    /// Takes `node`, which was queued, out of the queue if it is still there.
    ///
    /// # Safety
    /// `node` is queued there or nowhere.
    unsafe fn leave(&mut self, node: &Node);

    /// It was granted while queued.
    fn granted(&mut self) {}

    /// It was granted while queued, and so it was to all who were.
    fn granted_to_all(&mut self) {}

    /// It was taken out of the queue to try again.
    fn invited(&mut self) {}

    /// It was granted, but is not wanted.
    fn give_back(&mut self);

    /// It was granted, and this is what has been got.
    fn finish(self) -> Self::Output;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Idle,
    Queued,
    Chosen,
}

/// What can be waited for at a lock or one of its like, as an [`Event`]; see `Mutex::lock_event` and others.
#[must_use = "an event does nothing unless it is waited for"]
pub struct SyncEvent<R: Request> {
    /// There until it is finished.
    request: Option<R>,
    stage: Stage,
    node: Node,
}

// SAFETY: the raw pointers in the node point to a waiter that is kept by whoever registers this arm, or are other nodes' that
// are only followed under the source's lock.
unsafe impl<R: Request + Send> Send for SyncEvent<R> {}
// SAFETY: nothing can be done through a shared reference.
unsafe impl<R: Request + Send> Sync for SyncEvent<R> {}

impl<R: Request> SyncEvent<R> {
    pub(super) fn new(request: R) -> Self {
        SyncEvent {
            request: Some(request),
            stage: Stage::Idle,
            node: Node::new(ptr::null(), 0, ptr::null_mut()),
        }
    }

    fn request(&mut self) -> &mut R {
        self.request.as_mut().expect("it goes only when it is finished")
    }
}

impl<R: Request> Sealed for SyncEvent<R> {}

impl<R: Request> Arm for SyncEvent<R> {
    fn attempt(&mut self) -> bool {
        if self.stage == Stage::Idle && self.request().attempt() {
            self.stage = Stage::Chosen;
        }
        self.stage == Stage::Chosen
    }

    unsafe fn register(&mut self, waiting: Waiting<'_>, first: usize) -> Registered {
        if self.stage == Stage::Chosen {
            return waiting.choose();
        }
        self.node.aim(waiting.waiter, first as u32, ptr::null_mut());
        let request = self.request.as_mut().expect("it goes only when it is finished");
        // SAFETY: passed on: the node is in this arm.
        if unsafe { request.queue(&self.node) } {
            self.stage = Stage::Queued;
            Registered::Waits
        } else {
            Registered::Again
        }
    }

    unsafe fn unregister(&mut self) {
        if self.stage == Stage::Queued {
            let request = self.request.as_mut().expect("it goes only when it is finished");
            // SAFETY: queued there by `register`.
            unsafe { request.leave(&self.node) };
            self.stage = Stage::Idle;
        }
    }

    fn conclude(&mut self, _: usize) -> bool {
        if self.stage == Stage::Idle {
            // What it says is used once.
            match self.node.take_status() {
                Status::Done => {
                    self.stage = Stage::Chosen;
                    self.request().granted();
                }
                Status::DoneForAll => {
                    self.stage = Stage::Chosen;
                    self.request().granted_to_all();
                }
                Status::Retry => self.request().invited(),
                _ => {}
            }
        }
        self.stage == Stage::Chosen
    }

    fn undo(&mut self) {
        if self.stage == Stage::Chosen {
            self.stage = Stage::Idle;
            self.request().give_back();
        }
    }

    fn tell(&self, things: &mut Vec<Thing>) {
        if let Some(request) = &self.request {
            request.tell(things);
        }
    }

    fn reason(&self) -> Reason {
        self.request.as_ref().map_or(Reason::Select, R::reason)
    }
}

impl<R: Request> Drop for SyncEvent<R> {
    fn drop(&mut self) {
        // Chosen and neither finished nor undone: only if something panicked in between.
        self.undo();
    }
}

impl<R: Request> Operation for SyncEvent<R> {
    type Output = R::Output;

    fn finish(&mut self) -> R::Output {
        assert!(mem::replace(&mut self.stage, Stage::Idle) == Stage::Chosen, "it was not chosen");
        self.request.take().expect("it goes only when it is finished").finish()
    }
}

impl<R: Request> Event for SyncEvent<R> {
    type Output = R::Output;
    type Operation = Self;

    fn operation(self) -> Self {
        self
    }
}

impl<R: Request> fmt::Debug for SyncEvent<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SyncEvent").field("stage", &self.stage).finish_non_exhaustive()
    }
}
