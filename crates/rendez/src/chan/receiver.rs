//! The receiving half.

use super::{
    Iter, RecvError, RecvFuture, RecvStream, RecvTimeoutError, TryIter, TryRecvError,
    channel::{Channel, Side},
};
use crate::{primitives::Arc, time::Instant};
use std::{
    fmt,
    panic::{RefUnwindSafe, UnwindSafe},
    time::Duration,
};

/// The receiving half of a channel. Clone it for more receivers, each value goes to one of them; the channel closes, and
/// drops what it holds, when the last one is dropped.
pub struct Receiver<T> {
    pub(super) channel: Arc<Channel<T>>,
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
    #[inline]
    pub fn recv(&self) -> Result<T, RecvError> {
        self.channel.recv(None).map_err(|_| RecvError)
    }

    /// Receives a value if there is one without waiting: buffered, or from a sender that already waits.
    ///
    /// # Errors
    /// [`TryRecvError::Empty`] or [`TryRecvError::Closed`].
    #[inline]
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.channel.try_recv()
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
        self.channel.recv(Instant::now().checked_add(timeout))
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
        self.channel.recv(Some(deadline))
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
    /// this call closed it.
    pub fn close(&self) -> bool {
        self.channel.close()
    }

    /// Whether the channel is closed (values may still be buffered).
    pub fn is_closed(&self) -> bool {
        self.channel.is_closed()
    }

    /// Whether nothing is buffered.
    pub fn is_empty(&self) -> bool {
        self.channel.len() == 0
    }

    /// Whether no slot is free; always true of a rendezvous channel.
    pub fn is_full(&self) -> bool {
        self.channel.is_full()
    }

    /// How many values are buffered.
    pub fn len(&self) -> usize {
        self.channel.len()
    }

    /// How many values can be buffered; `None` of an unbounded channel.
    pub fn capacity(&self) -> Option<usize> {
        self.channel.capacity()
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.channel.add(Side::Receivers);
        Receiver { channel: self.channel.clone() }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.channel.subtract(Side::Receivers);
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.channel.describe("Receiver", f)
    }
}
