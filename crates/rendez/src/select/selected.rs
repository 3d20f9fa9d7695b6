//! What a [`Select`](super::Select) has chosen, until it is carried out or undone.
//!
//! The select is decided before the caller says with which values: a receive has its value by then; a send has *reserved* what it
//! needs, a slot of the buffer or a waiting receiver, and sends when it is given the value. (A select that offers a send and finds
//! nobody there queues up without a value, and is promised the receiver, or kept the slot, that comes by; see `chan::channel`.) So the arm
//! leaves the `Select` with what it holds, and another of its kind takes its place.
//!
//! That is one block of memory for each operation, which comes from the thread's list of free ones (`task::heap`), and an operation is one
//! pointer, with that of its arm's methods: it goes through registers. (To keep a small value in the operation itself takes
//! fewer instructions and no less time: it is copied twice, by larger pieces than it was written in, and a processor waits for that.)

use super::{
    arm::{Arm, Registered, Sealed, Waiting},
    event::delegate,
};
use crate::{
    chan::{Offer, Receiver, RecvError, RecvEvent, SendError, Sender},
    task::heap,
    time::Instant,
    wait::{Reason, Thing},
};
use std::{
    alloc::Layout,
    fmt, mem,
    ops::{Deref, DerefMut},
    ptr::{self, NonNull},
};

/// An arm, with what is needed to find out whose it is.
pub(super) trait DynArm<'a>: Arm {
    /// Its number in the `Select`.
    fn number(&self) -> usize;
    /// The same alternative, idle.
    fn renewed(&self) -> ArmBox<'a>;
    /// What it does, and with the channel at which address.
    fn kind(&self) -> (Kind, *const ());
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Recv,
    Send,
}

struct RecvArm<'a, T> {
    number: usize,
    receiver: &'a Receiver<T>,
    event: RecvEvent<'a, T>,
}

impl<T> Sealed for RecvArm<'_, T> {}

impl<T> Arm for RecvArm<'_, T> {
    delegate!(event);
}

impl<'a, T> DynArm<'a> for RecvArm<'a, T> {
    fn number(&self) -> usize {
        self.number
    }

    fn renewed(&self) -> ArmBox<'a> {
        ArmBox::recv(self.number, self.receiver)
    }

    fn kind(&self) -> (Kind, *const ()) {
        (Kind::Recv, self.receiver.address())
    }
}

struct SendArm<'a, T> {
    number: usize,
    offer: Offer<'a, T>,
}

impl<T> Sealed for SendArm<'_, T> {}

impl<T> Arm for SendArm<'_, T> {
    delegate!(offer);
}

impl<'a, T> DynArm<'a> for SendArm<'a, T> {
    fn number(&self) -> usize {
        self.number
    }

    fn renewed(&self) -> ArmBox<'a> {
        ArmBox::send(self.number, self.offer.sender())
    }

    fn kind(&self) -> (Kind, *const ()) {
        (Kind::Send, self.offer.sender().address())
    }
}

/// An arm at a place where it stays.
pub(super) struct ArmBox<'a>(NonNull<dyn DynArm<'a> + 'a>);

impl<'a> ArmBox<'a> {
    pub(super) fn recv<T>(number: usize, receiver: &'a Receiver<T>) -> Self {
        Self::new(RecvArm { number, receiver, event: RecvEvent::new(Some(receiver)) })
    }

    pub(super) fn send<T>(number: usize, sender: &'a Sender<T>) -> Self {
        // SAFETY: from here on it stays where it is put.
        Self::new(SendArm { number, offer: unsafe { Offer::new(sender) } })
    }

    fn new<A: DynArm<'a> + 'a>(arm: A) -> Self {
        let place = heap::allocate(Layout::new::<A>()).cast::<A>();
        // SAFETY: new memory of that layout.
        unsafe { place.write(arm) };
        ArmBox(place)
    }

    /// Leaves with what it holds; an idle one takes its place.
    pub(super) fn leave(&mut self) -> SelectedOperation<'a> {
        let idle = self.renewed();
        SelectedOperation { chosen: mem::replace(self, idle) }
    }
}

impl<'a> Deref for ArmBox<'a> {
    type Target = dyn DynArm<'a> + 'a;

    #[inline]
    fn deref(&self) -> &Self::Target {
        // SAFETY: it is this box's own.
        unsafe { self.0.as_ref() }
    }
}

impl DerefMut for ArmBox<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Self::Target {
        // SAFETY: it is this box's own.
        unsafe { self.0.as_mut() }
    }
}

impl Drop for ArmBox<'_> {
    #[inline]
    fn drop(&mut self) {
        let layout = Layout::for_value(&**self);
        // SAFETY: it is this box's own, allocated with the layout that its type tells, and not used again.
        unsafe {
            ptr::drop_in_place(self.0.as_ptr());
            heap::free(self.0.cast(), layout);
        }
    }
}

/// An operation that a [`Select`](super::Select) has chosen. Complete it soon: somebody may be waiting at the other side.
///
/// Dropping it undoes it: a value that was received goes back to the front of its channel, and a send does not
/// take place.
///
/// A receiver that waits for it may time out, be dropped or be ended meanwhile. The value then stays in the channel, even
/// one without a buffer, for the next receiver.
#[must_use = "complete it with `recv` or `send`"]
pub struct SelectedOperation<'a> {
    chosen: ArmBox<'a>,
}

// SAFETY: as for `Select`.
unsafe impl Send for SelectedOperation<'_> {}
// SAFETY: as for `Select`.
unsafe impl Sync for SelectedOperation<'_> {}

impl SelectedOperation<'_> {
    /// The number of its arm.
    pub fn index(&self) -> usize {
        self.chosen.number()
    }

    /// Completes a receive.
    ///
    /// # Errors
    /// [`RecvError`] if the channel is closed and drained.
    ///
    /// # Panics
    /// If the arm is not a receive from this receiver's channel.
    #[track_caller]
    pub fn recv<T>(self, receiver: &Receiver<T>) -> Result<T, RecvError> {
        crate::wait::point();
        let is_same = self.chosen.kind() == (Kind::Recv, receiver.address());
        assert!(
            is_same,
            "rendez: `recv` with a receiver that is not the one of the selected arm {}",
            self.index()
        );
        let arm = self.chosen.0.cast::<RecvArm<'_, T>>().as_ptr();
        // SAFETY: the arm receives from the very channel of `receiver`, which is of `T`: so it is what it is taken for.
        unsafe { (*arm).event.take() }
    }

    /// Completes a send.
    ///
    /// # Errors
    /// [`SendError`] gives the value back if the channel is closed.
    ///
    /// # Panics
    /// If the arm is not a send to this sender's channel.
    #[track_caller]
    pub fn send<T>(self, sender: &Sender<T>, value: T) -> Result<(), SendError<T>> {
        crate::wait::point();
        let is_same = self.chosen.kind() == (Kind::Send, sender.address());
        assert!(
            is_same,
            "rendez: `send` with a sender that is not the one of the selected arm {}",
            self.index()
        );
        let arm = self.chosen.0.cast::<SendArm<'_, T>>().as_ptr();
        // SAFETY: the arm sends to the very channel of `sender`, which is of `T`: so it is what it is taken for.
        unsafe { (*arm).offer.send(value) }
    }
}

impl fmt::Debug for SelectedOperation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SelectedOperation").field("index", &self.index()).finish_non_exhaustive()
    }
}
