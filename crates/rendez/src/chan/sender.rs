//! The sending half.

use super::{
    SendError, SendEvent, SendFuture, SendTimeoutError, TrySendError, channel::Failure, end::SendEnd,
    state::Refusal,
};
use crate::{time::Instant, wait};
use std::{
    fmt,
    mem::MaybeUninit,
    panic::{RefUnwindSafe, UnwindSafe},
    time::Duration,
};

/// The sending half of a channel. Clone it for more senders; the channel closes when the last one is dropped.
pub struct Sender<T> {
    pub(super) channel: SendEnd<T>,
}

// SAFETY: all that is reached through a handle is under the channel's lock, and moves values between threads by value
// alone: `T: Send`. (It would hold without saying so; said here, errors name this type and not what is inside.)
unsafe impl<T: Send> Send for Sender<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Sender<T> {}
// As `std::sync::mpsc`'s, whatever the values are: no user code runs under the lock, so a panic can't leave a channel
// half-changed, and values are only moved.
impl<T> UnwindSafe for Sender<T> {}
impl<T> RefUnwindSafe for Sender<T> {}

impl<T> Sender<T> {
    /// Sends `value`, waiting for a receiver or a free slot.
    ///
    /// # Errors
    /// [`SendError`] with the value if the channel is closed, before or while this waits.
    ///
    /// # Blocking
    /// Parks the goroutine, or the OS thread, until the value is taken or the channel closes.
    ///
    /// # Cancellation
    /// A runtime's shutdown unwinds a parked goroutine; the value is then dropped.
    ///
    /// # Examples
    /// ```
    /// let (tx, rx) = rendez::chan::bounded(1);
    /// tx.send(7).unwrap();
    /// drop(rx);
    /// assert_eq!(tx.send(8).unwrap_err().into_inner(), 8);
    /// ```
    // Always inlined, with the wait in it: see `Waiter::wait_in_place`. And a buffered value goes from one register to another. (Measured on a Zen 4:
    // `spsc_0` .52 of the time before, `mpmc_0` .53, `ping_pong` .74, `mpmc_128` .63, `seq_1` .73.)
    // Not in a debug build, whose backtraces are to show it.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        wait::spend_budget();
        let mut value = MaybeUninit::new(value);
        // SAFETY: the value is there, and is the receiver's if the answer is `Ok`; else it still is ours.
        match unsafe { self.channel.send(value.as_mut_ptr(), None) } {
            Ok(()) => Ok(()),
            Err(_) => {
                wait::spent_in_vain();
                // SAFETY: as above.
                Err(SendError(unsafe { value.assume_init() }))
            }
        }
    }

    /// Sends `value` if that is possible without waiting: to a receiver that already waits, or into a free slot.
    ///
    /// # Errors
    /// [`TrySendError::Full`] or [`TrySendError::Closed`], with the value.
    #[inline]
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        wait::spend_budget();
        let value = MaybeUninit::new(value);
        // SAFETY: as in `send`.
        let Err(refusal) = (unsafe { self.channel.try_send(value.as_ptr()) }) else { return Ok(()) };
        wait::spent_in_vain();
        // SAFETY: as in `send`.
        let value = unsafe { value.assume_init() };
        Err(match refusal {
            Refusal::Closed => TrySendError::Closed(value),
            _ => TrySendError::Full(value),
        })
    }

    /// Sends `value`, waiting no longer than `timeout`.
    ///
    /// # Errors
    /// [`SendTimeoutError`] with the value.
    ///
    /// # Blocking
    /// As [`send`](Self::send), for at most `timeout`.
    pub fn send_timeout(&self, value: T, timeout: Duration) -> Result<(), SendTimeoutError<T>> {
        // A limit beyond what the clock can say is no limit.
        self.send_until(value, Instant::now().checked_add(timeout))
    }

    /// Sends `value`, waiting no longer than until `deadline`.
    ///
    /// # Errors
    /// [`SendTimeoutError`] with the value.
    ///
    /// # Blocking
    /// As [`send`](Self::send), until `deadline` at the latest. With a deadline that has passed it still sends what can be
    /// sent at once.
    pub fn send_deadline(&self, value: T, deadline: Instant) -> Result<(), SendTimeoutError<T>> {
        self.send_until(value, Some(deadline))
    }

    fn send_until(&self, value: T, deadline: Option<Instant>) -> Result<(), SendTimeoutError<T>> {
        wait::spend_budget();
        let mut value = MaybeUninit::new(value);
        // SAFETY: as in `send`.
        match unsafe { self.channel.send(value.as_mut_ptr(), deadline) } {
            Ok(()) => Ok(()),
            Err(Failure::Closed) => {
                wait::spent_in_vain();
                // SAFETY: as in `send`.
                Err(SendTimeoutError::Closed(unsafe { value.assume_init() }))
            }
            // SAFETY: as in `send`.
            Err(Failure::TimedOut) => Err(SendTimeoutError::Timeout(unsafe { value.assume_init() })),
        }
    }

    /// Sends `value` from an async task.
    ///
    /// # Errors
    /// [`SendError`] with the value if the channel is closed.
    ///
    /// # Cancellation
    /// Dropping the future before it is ready drops the value, unsent; nothing is sent twice.
    ///
    /// # Examples
    /// ```
    /// let (tx, rx) = rendez::chan::bounded(1);
    /// rendez::block_on(async { tx.send_async(5).await.unwrap() });
    /// assert_eq!(rx.recv(), Ok(5));
    /// ```
    pub fn send_async(&self, value: T) -> SendFuture<'_, T> {
        SendFuture::new(&self.channel, value)
    }

    /// The event of a send: one alternative of a choice. If another one is chosen, the value is dropped; to keep it, use
    /// `send(tx, take slot)` in [`select!`](crate::select!).
    ///
    /// # Examples
    /// ```
    /// use rendez::{Event, chan};
    /// let (tx, rx) = chan::bounded(1);
    /// assert_eq!(tx.send_event("hello").wait(), Ok(()));
    /// assert_eq!(rx.recv(), Ok("hello"));
    /// ```
    pub fn send_event(&self, value: T) -> SendEvent<'_, T> {
        SendEvent::new(Some(self), value)
    }

    /// What tells channels apart.
    #[cfg(not(loom))]
    pub(crate) fn address(&self) -> *const () {
        std::ptr::from_ref(&*self.channel).cast()
    }

    /// Closes the channel: sends fail from now on, receivers drain what is buffered and then see the end. Returns whether
    /// this call closed it.
    pub fn close(&self) -> bool {
        wait::point();
        self.channel.close()
    }

    /// As [`close`](Self::close), but leaves those who are last to be woken to the caller.
    #[cfg(not(loom))]
    pub(crate) fn close_with(&self, batch: &mut wait::WakeBatch) {
        wait::point();
        self.channel.close_with(batch);
    }

    /// Whether the channel is closed.
    pub fn is_closed(&self) -> bool {
        wait::point();
        self.channel.is_closed()
    }

    /// Names the channel, for reports: [`diag::dump`](crate::diag::dump), a deadlock. Another name it may have had is forgotten.
    ///
    /// # Examples
    /// ```
    /// let (tx, rx) = rendez::chan::bounded::<i32>(8);
    /// tx.set_name("jobs");
    /// # drop((tx, rx));
    /// ```
    pub fn set_name(&self, name: impl Into<String>) {
        self.channel.label.set(name.into());
    }

    /// Whether nothing is buffered.
    pub fn is_empty(&self) -> bool {
        wait::point();
        self.channel.len() == 0
    }

    /// Whether no slot is free; always true of a rendezvous channel.
    pub fn is_full(&self) -> bool {
        wait::point();
        self.channel.is_full()
    }

    /// How many values are buffered.
    pub fn len(&self) -> usize {
        wait::point();
        self.channel.len()
    }

    /// How many values can be buffered; `None` of an unbounded channel.
    pub fn capacity(&self) -> Option<usize> {
        self.channel.capacity()
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Sender { channel: self.channel.clone() }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.channel.describe("Sender", f)
    }
}
