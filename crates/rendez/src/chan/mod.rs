//! Channels: typed, first in first out on both sides, for goroutines, OS threads and async tasks at once.
//!
//! | made by | a send |
//! | --- | --- |
//! | [`bounded(0)`](bounded) | a rendezvous: completes when a receiver takes the value |
//! | [`bounded(n)`](bounded) | completes when a receiver or a free slot takes the value |
//! | [`unbounded()`] | always completes at once |
//! | [`never()`] | there is no sender, and no end: Go's nil channel |
//! | [`after`], [`at`], [`tick`] | there is no sender but time |
//!
//! A channel ends by [`Sender::close`] or [`Receiver::close`], or when the last handle of a side is dropped. Receivers
//! drain what is buffered before they see the end. Where Go panics (a send on a closed channel), the value comes back in
//! the error.
//!
//! ```
//! use rendez::chan;
//!
//! let (tx, rx) = chan::bounded(0);
//! rendez::go(move || {
//!     for i in 1..5 {
//!         if tx.send(i).is_err() {
//!             return; // nobody listens any more
//!         }
//!     }
//! });
//! assert_eq!(rx.iter().collect::<Vec<i32>>(), [1, 2, 3, 4]);
//! ```
//!
//! A channel whose buffer holds, directly or through others, its own endpoints keeps itself alive, as any cycle of
//! reference-counted values does: close it or receive from it to break the cycle.
//!
//! The rules are Go's (`runtime/chan.go`); the differences are in `docs/semantics.md`.

#[cfg_attr(loom, allow(dead_code))]
mod arm;
mod channel;
#[cfg_attr(loom, allow(dead_code))]
mod clock;
#[cfg(not(loom))]
mod closed;
mod end;
mod error;
#[cfg_attr(
    loom,
    allow(dead_code, unreachable_pub, reason = "the macro and `Select`, which use the rest, are not there")
)]
mod event;
mod future;
mod iter;
mod receiver;
mod ring;
mod sender;
#[cfg(feature = "sink")]
mod sink;
mod state;

#[cfg(not(loom))]
pub use closed::ClosedEvent;
pub use error::{RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError};
#[cfg(any(not(loom), test))]
pub(crate) use event::Offer;
#[cfg(not(loom))]
pub(crate) use event::SendTakeEvent;
pub use event::{RecvEvent, SendEvent};
pub use future::{RecvFuture, RecvStream, SendFuture};
pub use iter::{IntoIter, Iter, TryIter};
pub use receiver::Receiver;
pub use sender::Sender;
#[cfg(feature = "sink")]
pub use sink::SendSink;

use channel::Channel;
#[cfg(not(loom))]
use {
    crate::time::Instant,
    std::{convert::Infallible, time::Duration},
};

/// Makes a channel that buffers up to `capacity` values; with 0 every send is a rendezvous with a receive.
///
/// The buffer grows as it is used, so a large capacity costs nothing until it is needed.
///
/// # Examples
/// ```
/// let (tx, rx) = rendez::chan::bounded(2);
/// tx.send("a").unwrap();
/// tx.send("b").unwrap();
/// assert!(tx.try_send("c").is_err());
/// assert_eq!(rx.recv(), Ok("a"));
/// ```
#[doc(alias("channel", "make", "mpsc", "sync_channel"))]
#[track_caller]
pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    Channel::pair(Some(capacity))
}

/// Makes a channel whose sends never block; it holds whatever has not been received yet.
///
/// # Examples
/// ```
/// let (tx, rx) = rendez::chan::unbounded();
/// (0..1000).for_each(|i| tx.send(i).unwrap());
/// assert_eq!(rx.len(), 1000);
/// ```
#[doc(alias("channel", "unbounded_channel"))]
#[track_caller]
pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    Channel::pair(None)
}

/// A channel through which nothing comes, and that only its sender closes.
#[cfg(not(loom))]
#[track_caller]
pub(crate) fn ended_by_its_sender() -> (Sender<Infallible>, Receiver<Infallible>) {
    Channel::ended_by_its_sender()
}

/// Makes a receiver that never receives and never ends: Go's nil channel. Closing it does nothing.
///
/// # Examples
/// ```
/// use rendez::chan::{self, TryRecvError};
/// let rx = chan::never::<i32>();
/// assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
/// ```
#[doc(alias("nil"))]
#[track_caller]
pub fn never<T>() -> Receiver<T> {
    Channel::never()
}

/// Makes a receiver on which, once `duration` has passed, one value comes: the moment when that was. The channel does not
/// close.
///
/// It is Go's `time.After`. Nothing runs, and nothing is set anywhere, while nobody receives (see [`time`](crate::time)), so it may be
/// forgotten at any time. Several that receive from it share the one value.
///
/// # Examples
/// ```
/// use rendez::{chan, select};
/// use std::time::Duration;
/// let (_tx, rx) = chan::bounded::<i32>(0);
/// let timed_out = select! {
///     recv(rx) -> _ => false,
///     recv(chan::after(Duration::from_millis(5))) -> _ => true,
/// };
/// assert!(timed_out);
/// ```
#[cfg(not(loom))]
#[track_caller]
pub fn after(duration: Duration) -> Receiver<Instant> {
    at(Instant::now().after(duration))
}

/// Makes a receiver on which one value comes at `deadline`: that moment. Otherwise as [`after`]. If it has passed, the value
/// is there at once.
///
/// # Examples
/// ```
/// use rendez::{chan, time::Instant};
/// use std::time::Duration;
/// let deadline = Instant::now() + Duration::from_millis(5);
/// assert_eq!(chan::at(deadline).recv(), Ok(deadline));
/// ```
#[cfg(not(loom))]
#[track_caller]
pub fn at(deadline: Instant) -> Receiver<Instant> {
    Channel::timed(deadline, None)
}

/// Makes a receiver on which a value comes every `period`, for ever: the moment when it was due. The first comes one period from now.
///
/// A receiver that is slow misses ticks: it gets one for all those that have passed, and the next one when that is due. To
/// change the period, or to stop, use a [`Ticker`](crate::time::Ticker).
///
/// # Panics
/// `non-positive interval for NewTicker` if `period` is zero. (Go's `time.Tick` returns a nil channel then, on
/// which a program waits for ever; its `NewTicker` panics.)
///
/// # Examples
/// ```
/// use rendez::chan;
/// use std::time::Duration;
/// let ticks = chan::tick(Duration::from_millis(2));
/// let first = ticks.recv().unwrap();
/// assert!(ticks.recv().unwrap() - first >= Duration::from_millis(2)); // more, if this was late for one
/// ```
#[cfg(not(loom))]
#[track_caller]
pub fn tick(period: Duration) -> Receiver<Instant> {
    assert!(!period.is_zero(), "non-positive interval for NewTicker");
    Channel::timed(Instant::now().after(period), Some(period))
}
