//! Awaiting a handle.

use super::join::{JoinError, JoinHandle, RawHandle, describe};
use crate::select::Occurs;
use crate::wait::{self, Node, Reason, Waiter};
use std::{
    fmt,
    future::{Future, IntoFuture},
    marker::PhantomPinned,
    panic::{RefUnwindSafe, UnwindSafe},
    pin::Pin,
    ptr,
    task::{Context, Poll},
};

/// Awaits the end of a goroutine: what [`JoinHandle::join`] waits for, in an async task of any executor.
///
/// # Errors
/// [`JoinError`] if the goroutine panicked, or was cancelled because its runtime shut down.
///
/// # Panics
/// If it is polled after it was ready.
///
/// # Cancellation
/// Safe: dropping it, polled or not, lets the goroutine go on, detached, as dropping the handle does.
///
/// # Examples
/// ```
/// let sum = rendez::go_async(async {
///     let parts = [rendez::go(|| 1), rendez::go_async(async { 2 })];
///     let mut sum = 0;
///     for part in parts {
///         sum += part.await.unwrap();
///     }
///     sum
/// });
/// assert_eq!(rendez::block_on(sum.into_future()).unwrap(), 3);
/// ```
#[must_use = "futures do nothing unless polled"]
pub struct JoinFuture<R> {
    /// `None` once the result has been taken.
    handle: Option<RawHandle<R>>,
    /// Where it waits, from the first poll on.
    waiter: Option<Waiter>,
    node: Node,
    _pinned: PhantomPinned,
}

// SAFETY: as for a `JoinHandle`; the raw pointers in the node point into this very value, or are other nodes' that are only
// followed under the lock of the task's joiners.
unsafe impl<R: Send> Send for JoinFuture<R> {}
// SAFETY: a shared one tells the state word and the number.
unsafe impl<R: Send> Sync for JoinFuture<R> {}

// As a handle: a caught panic can't leave it half-changed.
impl<R> UnwindSafe for JoinFuture<R> {}
impl<R> RefUnwindSafe for JoinFuture<R> {}

impl<R> IntoFuture for JoinHandle<R> {
    type Output = Result<R, JoinError>;
    type IntoFuture = JoinFuture<R>;

    fn into_future(self) -> JoinFuture<R> {
        JoinFuture {
            handle: Some(self.0),
            waiter: None,
            node: Node::new(ptr::null(), 0, ptr::null_mut()),
            _pinned: PhantomPinned,
        }
    }
}

impl<R> Future for JoinFuture<R> {
    type Output = Result<R, JoinError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: nothing that is pinned (waiter and node) is moved.
        let this = unsafe { self.get_unchecked_mut() };
        let handle = this.handle.as_ref().expect("a handle polled after it was ready");
        match &this.waiter {
            None => {
                if !handle.header().is_done() {
                    let waiter: *const Waiter = this.waiter.insert(Waiter::task(cx.waker().clone()));
                    this.node.aim(waiter, 0, ptr::null_mut());
                    // SAFETY: node and waiter are pinned in this future, and its drop leaves the queue.
                    if unsafe { handle.header().queue(&this.node) } {
                        return wait::pending(cx, Reason::Join);
                    }
                }
            }
            Some(waiter) => {
                wait::point();
                if waiter.poll(cx.waker()).is_none() {
                    return wait::pending(cx, Reason::Join);
                }
            }
        }
        // Decided by the task that has ended, which has taken the node out of its queue; or never queued.
        let handle = this.handle.take().expect("seen above");
        Poll::Ready(handle.join())
    }
}

impl<R> Drop for JoinFuture<R> {
    fn drop(&mut self) {
        if let Some(handle) = &self.handle
            && self.waiter.is_some()
        {
            // SAFETY: this node is queued there or nowhere. Under the lock a wait is either open or wholly decided, so nobody
            // reaches the waiter afterwards; and the handle, which keeps the queue, is dropped after this.
            unsafe { handle.header().leave(&self.node) };
        }
    }
}

impl<R> fmt::Debug for JoinFuture<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.handle {
            Some(handle) => describe("JoinFuture", handle, f),
            None => f.write_str("JoinFuture(taken)"),
        }
    }
}
