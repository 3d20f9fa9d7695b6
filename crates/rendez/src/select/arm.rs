//! What a select waits with: one alternative, tried, queued, withdrawn, taken.
//!
//! # The life of an arm
//!
//! ```text
//!            attempt: true                                     finish (its result)
//!   idle ────────────────────────────────────────────▶ chosen ──────────────▶
//!    │ ▲                                                ▲  │ undo: nobody wants the result
//!    │ └───── unregister (lost, or to try again) ─────┐ │  ▼
//!    └─ register ─▶ registered ── a peer decides ─────┴─┘ idle
//!                                 conclude: true
//! ```
//!
//! An arm has an effect only when it is chosen. Between `register` and `unregister` it stands in queues of its source and
//! must not move; whoever registers it sees to that.

use crate::{
    time::Instant,
    wait::{End, Reason, Thing, Waiter},
};

/// A select's wait, to be queued with.
#[derive(Clone, Copy, Debug)]
pub struct Waiting<'a> {
    pub(crate) waiter: &'a Waiter,
}

impl Waiting<'_> {
    /// Decides the wait in favour of an arm that is ready, and takes nothing from anybody by being so.
    pub(crate) fn choose(self) -> Registered {
        if self.waiter.hold() {
            self.waiter.settle();
            Registered::Chosen
        } else {
            Registered::Decided
        }
    }
}

/// What became of an arm that was to be registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registered {
    /// It stands in its queues.
    Waits,
    /// It was ready, is chosen now, and has decided the wait.
    Chosen,
    /// Another arm's peer has decided the wait; this arm stands in no queue that it would not have to leave.
    Decided,
    /// Something has happened that makes another attempt worth while; the wait is open.
    Again,
}

/// One alternative of a select. It can't be implemented outside of this crate, because a wrong answer would break memory
/// safety; own events are made from those that are here, see [`Event`](super::Event).
///
/// Anybody can call its safe methods, through [`Event::Operation`](super::Event::Operation), in any order: they must keep
/// memory safe in each state. So an arm that is chosen stays so, whatever it is asked, until it is finished or undone.
pub trait Arm: Sealed {
    /// How many numbers its queued parts take.
    fn leaves(&self) -> usize {
        1
    }

    /// Does it now if it can be done without waiting.
    fn attempt(&mut self) -> bool;

    /// A look for who has many: `true` says that at this moment an attempt would come to nothing. It may say `false` without looking.
    #[doc(hidden)]
    fn would_wait(&self) -> bool {
        false
    }

    /// Queues it, its parts numbered from `first`.
    ///
    /// # Safety
    /// Neither the arm nor the waiter moves or ends before [`unregister`](Self::unregister).
    unsafe fn register(&mut self, waiting: Waiting<'_>, first: usize) -> Registered;

    /// Leaves every queue. The wait has been decided, so no peer is at work on it afterwards.
    ///
    /// # Safety
    /// Only after the wait has been decided.
    unsafe fn unregister(&mut self);

    /// A peer has decided the wait in favour of the part `leaf`, counted from this arm's first: whether it is done
    /// by that (else it has to be tried again). Asked after [`unregister`](Self::unregister).
    fn conclude(&mut self, leaf: usize) -> bool;

    /// It was chosen, but its result is not wanted: gives back what it took.
    fn undo(&mut self);

    /// When it becomes ready by itself.
    fn deadline(&self) -> Option<Instant> {
        None
    }

    /// Says for a report what is waited for.
    #[doc(hidden)]
    fn tell(&self, things: &mut Vec<Thing>) {
        things.push(Thing::new("an event", End::Anybody));
    }

    /// Why somebody waits who waits for it alone.
    #[doc(hidden)]
    fn reason(&self) -> Reason {
        Reason::Select
    }
}

/// An arm with a result.
pub trait Operation: Arm {
    /// What it yields.
    type Output;

    /// The result. It has been chosen, and is only dropped afterwards.
    ///
    /// (Where it lies: to be moved first, what the select has just written byte by byte would be read as whole words, for which the
    /// processor waits.)
    fn finish(&mut self) -> Self::Output;
}

/// Seals [`Arm`]. It is public because `Arm` is, and has no public name.
pub trait Sealed {}
