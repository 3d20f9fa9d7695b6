//! File descriptors that can be waited for: what sockets, pipes and child processes have in common.
//!
//! An [`Fd`] is the standard library's object (a socket, say), which does not block, and a [`Source`], where those wait who
//! have found that it would have to. Every operation is the same: try; if the answer is "it would block", wait for the
//! poller to tell that it is worth another try. [`Fd::run`] does so for goroutines and OS threads, [`IoEvent`] as an event.
//! What is tried is one call of the system that has happened or has not, so who loses or gives up in between has
//! had no effect.

mod error;
mod event;
mod flock;
#[cfg(feature = "futures-io")]
mod poll;
mod raw;
mod source;

pub(crate) use error::named;
pub use event::IoEvent;
pub(crate) use event::is_exhausted;
pub(crate) use flock::{Flock, flock};
#[cfg(feature = "futures-io")]
pub(crate) use poll::{Descriptor, Polled};
pub(crate) use source::{Queued, Readiness, Side, Source};

use crate::{
    sched::{self, harness},
    time::Instant,
    wait::{self, Outcome, Reason, Seat},
};
use std::{
    fmt, io,
    mem::ManuallyDrop,
    os::fd::{AsFd, BorrowedFd},
    ptr,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

/// Of a limit in nanoseconds: none.
const NO_LIMIT: u64 = 0;

/// A descriptor that does not block, and those who wait for it.
pub(crate) struct Fd<T: AsFd> {
    /// Given up before the source is, which is before it is closed.
    io: ManuallyDrop<T>,
    source: &'static Source,
    /// How long one operation may take, for each side; in nanoseconds.
    limits: [AtomicU64; 2],
    /// The user does not want to wait.
    nonblocking: AtomicBool,
}

impl<T: AsFd> Fd<T> {
    /// `io` must not block.
    pub(crate) fn new(io: T) -> Fd<T> {
        Fd {
            io: ManuallyDrop::new(io),
            source: Source::obtain(),
            limits: [AtomicU64::new(NO_LIMIT), AtomicU64::new(NO_LIMIT)],
            nonblocking: AtomicBool::new(false),
        }
    }

    #[inline]
    pub(crate) fn io(&self) -> &T {
        &self.io
    }

    pub(crate) fn source(&self) -> &'static Source {
        self.source
    }

    /// The object alone, which still does not block.
    pub(crate) fn into_io(self) -> T {
        let mut this = ManuallyDrop::new(self);
        this.source.give_back(this.io.as_fd());
        // SAFETY: taken once: `this` is neither used nor dropped after it.
        unsafe { ManuallyDrop::take(&mut this.io) }
    }

    pub(crate) fn set_nonblocking(&self, nonblocking: bool) {
        self.nonblocking.store(nonblocking, Ordering::Relaxed);
    }

    /// How long an operation of this side may take.
    pub(crate) fn limit(&self, side: Side) -> Option<Duration> {
        match self.limits[side as usize].load(Ordering::Relaxed) {
            NO_LIMIT => None,
            nanos => Some(Duration::from_nanos(nanos)),
        }
    }

    /// # Errors
    /// `InvalidInput` for a limit of zero, as from the standard library.
    pub(crate) fn set_limit(&self, side: Side, limit: Option<Duration>) -> io::Result<()> {
        if limit == Some(Duration::ZERO) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "cannot set a 0 duration timeout"));
        }
        let nanos = limit.map_or(NO_LIMIT, |limit| u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX));
        self.limits[side as usize].store(nanos, Ordering::Relaxed);
        Ok(())
    }

    /// When an operation that begins now has taken too long.
    fn deadline(&self, side: Side) -> Option<Instant> {
        self.limit(side).map(|limit| Instant::now().after(limit))
    }

    /// Wakes everybody who waits, with an error, and has all later operations fail. Whether it was this call that did.
    pub(crate) fn close(&self) -> bool {
        self.source.close()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.source.is_closed()
    }

    /// Carries out an operation, and waits if it would block: the goroutine parks, or the OS thread. `call` says
    /// beside its result whether less was got than there was room for, so that nothing is left.
    ///
    /// # Errors
    /// `call`'s; `TimedOut`; `NotConnected` if it is closed; those of registering with a poller.
    #[inline]
    pub(crate) fn run<R>(
        &self,
        side: Side,
        mut call: impl FnMut(&T) -> io::Result<(R, bool)>,
    ) -> io::Result<R> {
        self.run_told(side, |io, _| call(io))
    }

    /// As [`run`](Self::run); `call` is told whether it has been waited for, so that there is probably something for it.
    #[inline]
    pub(crate) fn run_told<R>(
        &self,
        side: Side,
        mut call: impl FnMut(&T, bool) -> io::Result<(R, bool)>,
    ) -> io::Result<R> {
        sched::spend_budget_on_call();
        match self.attempt(side, &mut |io| call(io, false)) {
            Some(result) => result,
            None => self.run_slowly(side, |io| call(io, true)),
        }
    }

    #[inline(never)]
    fn run_slowly<R>(&self, side: Side, mut call: impl FnMut(&T) -> io::Result<(R, bool)>) -> io::Result<R> {
        let deadline = self.deadline(side);
        loop {
            let late = match self.wait(side, deadline) {
                Ok(()) => None,
                // There may be room for a part, of which the system does not tell: see `poll::TRIES_AFTER`.
                Err(error) if side == Side::Write && error.kind() == io::ErrorKind::TimedOut => {
                    self.source.may_be_ready(side);
                    Some(error)
                }
                Err(error) => return Err(error),
            };
            if let Some(result) = self.attempt(side, &mut call) {
                return result;
            }
            if let Some(error) = late {
                return Err(error);
            }
        }
    }

    /// One attempt; `None` if it is to be waited for.
    #[inline]
    pub(crate) fn attempt<R>(
        &self,
        side: Side,
        call: &mut impl FnMut(&T) -> io::Result<(R, bool)>,
    ) -> Option<io::Result<R>> {
        loop {
            if self.source.is_closed() {
                return Some(Err(closed()));
            }
            let Some(seen) = self.source.look(side) else {
                return self.is_impatient().then(|| Err(io::ErrorKind::WouldBlock.into()));
            };
            match call(&self.io) {
                Ok((result, emptied)) => {
                    if emptied {
                        self.source.was_emptied(side, seen);
                    }
                    return Some(Ok(result));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.is_impatient() {
                        return Some(Err(error));
                    }
                    self.source.was_in_vain(side, seen);
                    return None;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // It may have been closed after the look, which is long ago if the call was put off.
                Err(error) => return Some(Err(if self.source.is_closed() { closed() } else { error })),
            }
        }
    }

    /// Whether whoever would have to wait is told so instead. (Then nothing is ever noted as not ready, since nobody would be
    /// told when it is: it may not be registered.)
    pub(crate) fn is_impatient(&self) -> bool {
        self.nonblocking.load(Ordering::Relaxed)
    }

    /// Parks until this side is worth an attempt.
    pub(crate) fn wait(&self, side: Side, deadline: Option<Instant>) -> io::Result<()> {
        // The clock of a runtime under test does not move while the world outside may bring something.
        let _hold = harness::hold();
        let seat = Seat::new(ptr::null_mut());
        seat.take();
        let Seat { node, waiter } = &seat;
        // SAFETY: node and waiter stay in this frame until the wait is decided and the node out of the queue; nothing in
        // between unwinds.
        if unsafe { self.source.queue(self.io.as_fd(), side, node)? } == Queued::Ready {
            return Ok(());
        }
        let outcome = waiter.wait(deadline, Reason::IoWait);
        if matches!(outcome, Outcome::Arm(_)) {
            return Ok(());
        }
        // SAFETY: queued on this side or nowhere.
        unsafe { self.source.leave(side, node) };
        if outcome == Outcome::Cancelled {
            wait::unwind_cancelled();
        }
        Err(timed_out())
    }
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "it has been closed")
}

fn timed_out() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "timed out")
}

impl<T: AsFd> Drop for Fd<T> {
    fn drop(&mut self) {
        // Out of the poller before it is closed: the description that is watched lives on if somebody has a duplicate.
        self.source.give_back(self.io.as_fd());
        // SAFETY: dropped once, here.
        unsafe { ManuallyDrop::drop(&mut self.io) };
    }
}

impl<T: AsFd> AsFd for Fd<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.as_fd()
    }
}

impl<T: AsFd + fmt::Debug> fmt::Debug for Fd<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.io.fmt(f)
    }
}
