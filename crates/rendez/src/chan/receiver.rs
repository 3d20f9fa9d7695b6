//! The receiving half.

use super::{
    Iter, RecvError, RecvEvent, RecvFuture, RecvStream, RecvTimeoutError, TryIter, TryRecvError,
    channel::Failure, end::RecvEnd,
};
use crate::{time::Instant, wait};
use std::{
    fmt,
    mem::MaybeUninit,
    panic::{RefUnwindSafe, UnwindSafe},
    time::Duration,
};

/// The receiving half of a channel. Clone it for more receivers, each value goes to one of them; the channel closes, and
/// drops what it holds, when the last one is dropped.
pub struct Receiver<T> {
    pub(super) channel: RecvEnd<T>,
}

// SAFETY: all that is reached through a handle is under the channel's lock, and moves values between threads by value
// alone: `T: Send`. (It would hold without saying so; said here, errors name this type and not what is inside.)
unsafe impl<T: Send> Send for Receiver<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Receiver<T> {}
// As `std::sync::mpsc`'s, whatever the values are: no user code runs under the lock, so a panic can't leave a channel
// half-changed, and values are only moved.
impl<T> UnwindSafe for Receiver<T> {}
impl<T> RefUnwindSafe for Receiver<T> {}

impl<T> Receiver<T> {
    /// Has the processor fetch the channel.
    #[cfg_attr(loom, allow(dead_code))]
    pub(crate) fn prefetch(&self) {
        self.channel.prefetch();
    }

    /// Who has waited for it longest, for the address alone.
    #[cfg_attr(loom, allow(dead_code))]
    pub(crate) fn oldest_waiter(&self) -> *const wait::Node {
        self.channel.oldest_receiver()
    }

    /// Receives a value, waiting for one.
    ///
    /// # Errors
    /// [`RecvError`] when the channel is closed and drained: at once, and at every call from then on.
    ///
    /// # Blocking
    /// Parks the goroutine, or the OS thread, until there is a value or the channel closes.
    ///
    /// # Cancellation
    /// A runtime's shutdown unwinds a parked goroutine; no value is lost by that.
    ///
    /// # Examples
    /// ```
    /// let (tx, rx) = rendez::chan::unbounded();
    /// tx.send(1).unwrap();
    /// drop(tx);
    /// assert_eq!(rx.recv(), Ok(1));
    /// assert!(rx.recv().is_err());
    /// ```
    // Always inlined, with the wait in it: see `Waiter::wait_in_place`. And a buffered value goes from one register to another. (Measured on a Zen 4:
    // `spsc_0` .52 of the time before, `mpmc_0` .53, `ping_pong` .74, `mpmc_128` .63, `seq_1` .73.)
    // Not in a debug build, whose backtraces are to show it.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub fn recv(&self) -> Result<T, RecvError> {
        // Before the value is taken: spending may yield, and a shutdown may end the goroutine there.
        wait::spend_budget();
        let mut value = MaybeUninit::uninit();
        // SAFETY: it can be written, and has been if the answer is `Ok`.
        match unsafe { self.channel.recv(value.as_mut_ptr(), None) } {
            // SAFETY: as above.
            Ok(()) => Ok(unsafe { value.assume_init() }),
            Err(_) => {
                wait::spent_in_vain();
                Err(RecvError)
            }
        }
    }

    /// Receives a value if there is one without waiting: buffered, or from a sender that already waits.
    ///
    /// # Errors
    /// [`TryRecvError::Empty`] or [`TryRecvError::Closed`].
    #[inline]
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        wait::spend_budget();
        let mut value = MaybeUninit::uninit();
        // SAFETY: as in `recv`.
        let received = unsafe { self.channel.try_recv(value.as_mut_ptr()).map(|()| value.assume_init()) };
        if received.is_err() {
            wait::spent_in_vain();
        }
        received
    }

    /// Receives a value, waiting no longer than `timeout`.
    ///
    /// # Errors
    /// [`RecvTimeoutError`].
    ///
    /// # Blocking
    /// As [`recv`](Self::recv), for at most `timeout`.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        // A limit beyond what the clock can say is no limit.
        self.recv_until(Instant::now().checked_add(timeout))
    }

    /// Receives a value, waiting no longer than until `deadline`.
    ///
    /// # Errors
    /// [`RecvTimeoutError`].
    ///
    /// # Blocking
    /// As [`recv`](Self::recv), until `deadline` at the latest. With a deadline that has passed it still takes what is
    /// there.
    pub fn recv_deadline(&self, deadline: Instant) -> Result<T, RecvTimeoutError> {
        self.recv_until(Some(deadline))
    }

    fn recv_until(&self, deadline: Option<Instant>) -> Result<T, RecvTimeoutError> {
        wait::spend_budget();
        let mut value = MaybeUninit::uninit();
        // SAFETY: as in `recv`.
        match unsafe { self.channel.recv(value.as_mut_ptr(), deadline) } {
            // SAFETY: as in `recv`.
            Ok(()) => Ok(unsafe { value.assume_init() }),
            Err(Failure::Closed) => {
                wait::spent_in_vain();
                Err(RecvTimeoutError::Closed)
            }
            Err(Failure::TimedOut) => Err(RecvTimeoutError::Timeout),
        }
    }

    /// Receives a value in an async task.
    ///
    /// # Errors
    /// [`RecvError`] when the channel is closed and drained.
    ///
    /// # Cancellation
    /// Safe: a value that was handed to a future which is dropped goes to the next receiver, or back to the front of the
    /// channel.
    pub fn recv_async(&self) -> RecvFuture<'_, T> {
        RecvFuture::new(&self.channel)
    }

    /// The event of a receive: one alternative of a choice.
    ///
    /// # Examples
    /// ```
    /// use rendez::{Event, chan};
    /// let (tx, rx) = chan::bounded(1);
    /// tx.send(20).unwrap();
    /// assert_eq!(rx.recv_event().map(|v| v.unwrap() + 1).wait(), 21);
    /// ```
    pub fn recv_event(&self) -> RecvEvent<'_, T> {
        RecvEvent::new(Some(self))
    }

    /// What tells channels apart.
    #[cfg(not(loom))]
    pub(crate) fn address(&self) -> *const () {
        std::ptr::from_ref(&*self.channel).cast()
    }

    /// Iterates over the values, waiting for each, until the channel is closed and drained.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { receiver: self }
    }

    /// Iterates over the values that are there without waiting.
    pub fn try_iter(&self) -> TryIter<'_, T> {
        TryIter { receiver: self }
    }

    /// The values as a stream for async code, until the channel is closed and drained.
    pub fn stream(&self) -> RecvStream<'_, T> {
        RecvStream::new(&self.channel)
    }

    /// Closes the channel: sends fail from now on, receivers drain what is buffered and then see the end. Returns whether
    /// this call closed it: never of a context's [`done`](crate::Context::done), which is the context's to close.
    pub fn close(&self) -> bool {
        wait::point();
        self.channel.close_by_receiver()
    }

    /// Whether there is another receiver of this channel.
    #[cfg_attr(loom, allow(dead_code))]
    pub(crate) fn is_shared(&self) -> bool {
        self.channel.is_shared()
    }

    /// Whether the channel is closed (values may still be buffered).
    pub fn is_closed(&self) -> bool {
        wait::point();
        self.channel.is_closed()
    }

    /// Names the channel, for reports: [`diag::dump`](crate::diag::dump), a deadlock. Another name it may have had is forgotten.
    ///
    /// # Examples
    /// ```
    /// let (tx, rx) = rendez::chan::bounded::<i32>(8);
    /// rx.set_name("jobs");
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

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Receiver { channel: self.channel.clone() }
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.channel.describe("Receiver", f)
    }
}
