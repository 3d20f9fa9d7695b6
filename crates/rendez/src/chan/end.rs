//! A channel in memory: one block, which its ends keep.
//!
//! # Protocol
//!
//! | word | who may change it |
//! | --- | --- |
//! | `senders`, `receivers`: the ends of a side | up: who has an end of that side; down: who gives one up |
//! | `refs`: one for each side that has ends, one for each waker of a timer's alarm | up: who has such a reference, or an end; down: who gives one up |
//!
//! *None of them is raised from zero*, as who raises it has one. So an end that finds itself the only one of its side, or a reference that finds itself the only one, need not count itself
//! down: nobody else can come to have one. That spares a channel with one sender and one receiver three of four read-modify-writes of its
//! end.
//!
//! The last end of a side closes the channel, drops what is buffered if it is a receiver's, and only *then* gives up the side's reference:
//! meanwhile the other side may go as well, and the memory is there. Whoever gives up the last reference frees it, and sees by the
//! acquiring load what all others did.
//!
//! (`Arc`s, each beside a count of its side, cost every clone and every drop of an end a second read-modify-write, and the general allocator is
//! at its worst with what one thread makes and another one frees: see [`heap`](crate::task::heap).)

use super::channel::{Channel, Side};
use crate::{
    primitives::atomic::{AtomicUsize, Ordering},
    wait,
};
use std::{ops::Deref, ptr::NonNull};

/// An end of a channel, which keeps it: a sender's or a receiver's.
pub(super) struct End<T, const SENDS: bool>(NonNull<Channel<T>>);

pub(super) type SendEnd<T> = End<T, true>;
pub(super) type RecvEnd<T> = End<T, false>;

impl<T> Channel<T> {
    /// A channel made by `make`, which is told where it will be, with one end of each side.
    pub(super) fn with_ends(make: impl FnOnce() -> Self) -> (SendEnd<T>, RecvEnd<T>) {
        let channel = Self::place(|_| make(), 2);
        (End(channel), End(channel))
    }

    /// A channel that has no senders, only time.
    pub(super) fn with_receiver(make: impl FnOnce(NonNull<Self>) -> Self) -> RecvEnd<T> {
        End(Self::place(make, 1))
    }

    fn place(make: impl FnOnce(NonNull<Self>) -> Self, sides: usize) -> NonNull<Self> {
        let place = memory::allocate::<Self>();
        let mut channel = make(place);
        channel.refs = AtomicUsize::new(sides);
        // SAFETY: the memory is made for it, and ours.
        unsafe { place.write(channel) };
        place
    }
}

impl<T, const SENDS: bool> End<T, SENDS> {
    const SIDE: Side = if SENDS { Side::Senders } else { Side::Receivers };

    /// Whether there is another end of this side.
    #[cfg_attr(loom, allow(dead_code))]
    pub(super) fn is_shared(&self) -> bool {
        self.count(Self::SIDE).load(Ordering::Acquire) > 1
    }
}

impl<T, const SENDS: bool> Deref for End<T, SENDS> {
    type Target = Channel<T>;

    #[inline(always)]
    fn deref(&self) -> &Channel<T> {
        // SAFETY: an end is counted by its side, and that keeps the channel.
        unsafe { self.0.as_ref() }
    }
}

impl<T, const SENDS: bool> Clone for End<T, SENDS> {
    #[inline]
    fn clone(&self) -> Self {
        let count = self.count(Self::SIDE).fetch_add(1, Ordering::Relaxed);
        // Ends can be forgotten, so their number must not be trusted to the memory that they take.
        if count > usize::MAX / 2 {
            too_many(self.count(Self::SIDE));
        }
        End(self.0)
    }
}

#[cold]
fn too_many(count: &AtomicUsize) -> ! {
    count.fetch_sub(1, Ordering::Relaxed);
    panic!("too many endpoints of one channel");
}

impl<T, const SENDS: bool> Drop for End<T, SENDS> {
    #[inline]
    fn drop(&mut self) {
        let count = self.count(Self::SIDE);
        // Acquire: what the others did before they gave theirs up is seen.
        if count.load(Ordering::Acquire) != 1 && count.fetch_sub(1, Ordering::AcqRel) != 1 {
            return;
        }
        // The side's reference goes when this frame is left, also by a panic of a value's destructor.
        let _side = Ref(self.0);
        wait::point();
        self.end_of(Self::SIDE);
    }
}

/// A reference that is not an end.
pub(super) struct Ref<T>(NonNull<Channel<T>>);

impl<T> Ref<T> {
    /// One more.
    ///
    /// # Safety
    /// The channel is there: somebody has an end of it, or a reference.
    #[cfg(not(loom))]
    pub(super) unsafe fn to(channel: NonNull<Channel<T>>) -> Ref<T> {
        // SAFETY: by contract. (Not too many: an alarm has one waker, and whoever makes it go off a clone for a moment.)
        unsafe { channel.as_ref() }.refs.fetch_add(1, Ordering::Relaxed);
        Ref(channel)
    }

    /// To be given back to [`from_raw`](Self::from_raw).
    #[cfg(not(loom))]
    pub(super) fn into_raw(self) -> *const () {
        let channel = self.0.as_ptr();
        std::mem::forget(self);
        channel.cast()
    }

    /// # Safety
    /// `raw` is from [`into_raw`](Self::into_raw), and not used again.
    #[cfg(not(loom))]
    pub(super) unsafe fn from_raw(raw: *const ()) -> Ref<T> {
        // SAFETY: it is no null pointer, being from `into_raw`.
        Ref(unsafe { NonNull::new_unchecked(raw.cast_mut().cast()) })
    }

    #[cfg(not(loom))]
    pub(super) fn place(&self) -> NonNull<Channel<T>> {
        self.0
    }

    #[cfg(not(loom))]
    pub(super) fn get(&self) -> &Channel<T> {
        // SAFETY: this keeps it.
        unsafe { self.0.as_ref() }
    }
}

impl<T> Drop for Ref<T> {
    #[inline]
    fn drop(&mut self) {
        {
            // SAFETY: this keeps it, until it is counted down. (No reference to more than the count is there when it may be freed.)
            let refs = unsafe { &(*self.0.as_ptr()).refs };
            if refs.load(Ordering::Acquire) != 1 && refs.fetch_sub(1, Ordering::AcqRel) != 1 {
                return;
            }
        }
        // SAFETY: there is no end and no reference any more, nor can there be one.
        unsafe {
            self.0.as_mut().last_look();
            memory::free(self.0);
        }
    }
}

#[cfg(not(loom))]
mod memory {
    use crate::task::heap;
    use std::{alloc::Layout, ptr::NonNull};

    #[inline]
    pub(super) fn allocate<C>() -> NonNull<C> {
        heap::allocate(Layout::new::<C>()).cast()
    }

    /// Drops what is there and frees it.
    ///
    /// # Safety
    /// It is from `allocate`, has been written, and nobody uses it any more.
    #[inline]
    pub(super) unsafe fn free<C>(place: NonNull<C>) {
        /// Goes also if the destructor panics.
        struct Block<C>(NonNull<C>);
        impl<C> Drop for Block<C> {
            fn drop(&mut self) {
                // SAFETY: by the contract of `free`.
                unsafe { heap::free(self.0.cast(), Layout::new::<C>()) };
            }
        }
        let block = Block(place);
        // SAFETY: as above.
        unsafe { block.0.drop_in_place() };
    }
}

/// Loom has no eyes for our own heap.
#[cfg(loom)]
mod memory {
    use std::{mem::MaybeUninit, ptr::NonNull};

    pub(super) fn allocate<C>() -> NonNull<C> {
        NonNull::from(Box::leak(Box::new(MaybeUninit::<C>::uninit()))).cast()
    }

    /// # Safety
    /// As its twin's.
    pub(super) unsafe fn free<C>(place: NonNull<C>) {
        // SAFETY: it was made from a box of this layout, and is written by now.
        drop(unsafe { Box::from_raw(place.as_ptr()) });
    }
}
