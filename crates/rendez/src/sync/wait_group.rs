//! `WaitGroup`: Go's counter that can be waited for (`sync/waitgroup.go`). How it counts: see [`counter`].

mod counter;
#[cfg(all(test, loom))]
mod loom_tests;

use self::counter::{Counter, Handle, out_of_range};

use crate::{
    select::{Event, Occurrence, Occurs, park_for},
    wait::{self, Awaited, Node, Reason, Tells, Thing, Waiter},
};
use std::{
    fmt,
    future::Future,
    marker::PhantomPinned,
    panic::{RefUnwindSafe, UnwindSafe},
    pin::Pin,
    ptr,
    task::{Context, Poll},
};

/// Waits for a set of goroutines to finish. Clones share the counter.
///
/// Call [`add`](Self::add) before the goroutine starts, [`done`](Self::done) when it ends, and [`wait`](Self::wait) for
/// the counter to reach zero; or let [`go`](Self::go) do the first two.
///
/// # Examples
/// ```
/// let wg = rendez::sync::WaitGroup::new();
/// let (tx, rx) = rendez::chan::unbounded();
/// for i in 0..3 {
///     let tx = tx.clone();
///     wg.go(move || tx.send(i).unwrap());
/// }
/// wg.wait();
/// assert_eq!(rx.len(), 3);
/// ```
#[derive(Clone)]
pub struct WaitGroup {
    inner: Handle,
}

// A panic leaves the word and the queue as they were or wholly changed, and no user code runs under the lock.
impl UnwindSafe for WaitGroup {}
impl RefUnwindSafe for WaitGroup {}

impl Tells for WaitGroup {
    fn tell(&self, things: &mut Vec<Thing>) {
        things.push(self.inner.thing(true));
    }
}

impl WaitGroup {
    /// A group whose counter is zero.
    #[track_caller]
    pub fn new() -> Self {
        WaitGroup { inner: Handle::new() }
    }

    /// Adds `delta`, which may be negative, to the counter. At zero everybody who waits goes on.
    ///
    /// Calls that raise the counter from zero must happen before the [`wait`](Self::wait) that is to see them: before the
    /// goroutine starts, not inside it.
    ///
    /// # Panics
    /// `sync: negative WaitGroup counter`; `sync: WaitGroup misuse: Add called concurrently with Wait` when the counter is
    /// raised from zero while somebody waits; or if `delta` or the sum is beyond 32 bits. A call that panics leaves the
    /// counter as it was, so that the others may go on with the group (Go's is left changed).
    #[track_caller]
    pub fn add(&self, delta: i64) {
        wait::point();
        match i32::try_from(delta) {
            Ok(delta) => _ = self.inner.add(delta),
            Err(_) => out_of_range(),
        }
    }

    /// Takes one off the counter.
    ///
    /// # Panics
    /// `sync: negative WaitGroup counter`. The counter stays at zero.
    #[track_caller]
    pub fn done(&self) {
        wait::point();
        self.inner.add(-1);
    }

    /// Waits until the counter is zero.
    ///
    /// # Panics
    /// `sync: WaitGroup is reused before previous Wait has returned` if others already wait for a next round, who are not
    /// disturbed.
    ///
    /// # Blocking
    /// Parks the goroutine, or the OS thread.
    ///
    /// # Cancellation
    /// A runtime's shutdown unwinds a parked goroutine.
    pub fn wait(&self) {
        wait::point();
        self.wait_for(Awaited::of(Reason::WaitGroup, self));
    }

    /// The end of a `scope`, which no shutdown interrupts: the children borrow from the caller's frame.
    #[cfg(not(loom))]
    pub(crate) fn wait_for_children(&self, scope: &impl Tells) {
        self.wait_for(Awaited::of(Reason::Scope, scope));
    }

    /// The same, of whatever children, until `deadline` at most; whether they have ended.
    #[cfg(not(loom))]
    pub(crate) fn wait_for_children_until(&self, deadline: crate::time::Instant) -> bool {
        let awaited = Awaited::of(Reason::Scope, &());
        self.inner.is_zero() || crate::select::park_until(&*self.inner, Some(deadline), awaited).is_some()
    }

    /// The counter.
    #[cfg(not(loom))]
    pub(crate) fn count(&self) -> i32 {
        self.inner.count()
    }

    /// [`done`](Self::done), of a child for which only [`wait_for_children`](Self::wait_for_children) waits: nobody can see when
    /// that is but by waiting, so no schedule is told from another by it.
    #[cfg(not(loom))]
    pub(crate) fn child_done(&self) {
        self.inner.add(-1);
    }

    /// [`add`](Self::add), of children as above.
    #[cfg(not(loom))]
    pub(crate) fn add_child(&self) {
        self.inner.add(1);
    }

    fn wait_for(&self, awaited: Awaited<'_>) {
        if !self.inner.is_zero() && park_for(&*self.inner, awaited) {
            self.inner.check_reuse();
        }
    }

    /// Names it, for reports: [`diag::dump`](crate::diag::dump), a deadlock. Another name it may have had is forgotten.
    ///
    /// # Examples
    /// ```
    /// let uploads = rendez::sync::WaitGroup::new();
    /// uploads.set_name("uploads");
    /// ```
    pub fn set_name(&self, name: impl Into<String>) {
        self.inner.label.set(name.into());
    }

    /// Waits, in an async task, until the counter is zero.
    ///
    /// # Cancellation
    /// Safe: dropping the future has no effect on the group.
    pub fn wait_async(&self) -> WaitGroupFuture<'_> {
        WaitGroupFuture {
            inner: &self.inner,
            waiter: None,
            node: Node::new(ptr::null(), 0, ptr::null_mut()),
            finished: false,
            _pinned: PhantomPinned,
        }
    }

    /// Counts one up, runs `f` on a new goroutine and counts one down when it ends, also by a panic, which is told as a
    /// detached goroutine's.
    #[cfg(not(loom))]
    #[track_caller]
    pub fn go<F>(&self, f: F)
    where
        F: FnOnce() + Send + 'static,
    {
        wait::point();
        let child = self.inner.start_child();
        drop(crate::go(move || {
            let _counted = child;
            f();
        }));
    }
}

impl Default for WaitGroup {
    #[track_caller]
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for WaitGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitGroup")
            .field("counter", &self.inner.count())
            .field("waiters", &self.inner.waiters())
            .finish()
    }
}

/// Happens when the counter is zero.
///
/// # Examples
/// ```
/// use rendez::{select, sync::WaitGroup};
/// use std::time::Duration;
/// let wg = WaitGroup::new();
/// wg.go(|| rendez::sleep(Duration::from_millis(2)));
/// let in_time = select! {
///     wait(&wg) -> () => true,
///     default(Duration::from_secs(60)) => false,
/// };
/// assert!(in_time);
/// ```
impl<'a> Event for &'a WaitGroup {
    type Output = ();
    type Operation = Occurrence<'a>;

    fn operation(self) -> Occurrence<'a> {
        Occurrence::of(&*self.inner)
    }
}

/// The future of [`WaitGroup::wait_async`].
#[must_use = "futures do nothing unless polled"]
pub struct WaitGroupFuture<'a> {
    inner: &'a Counter,
    waiter: Option<Waiter>,
    node: Node,
    finished: bool,
    _pinned: PhantomPinned,
}

// SAFETY: the raw pointers in the node point into this very value, or are other nodes' that are only followed under the
// group's lock.
unsafe impl Send for WaitGroupFuture<'_> {}
// SAFETY: nothing can be done through a shared reference.
unsafe impl Sync for WaitGroupFuture<'_> {}

impl Future for WaitGroupFuture<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // SAFETY: nothing is moved out.
        let this = unsafe { self.get_unchecked_mut() };
        assert!(!this.finished, "`wait_async` polled after it was ready");
        match &this.waiter {
            None => {
                wait::point();
                let waiter: *const Waiter = this.waiter.insert(Waiter::task(cx.waker().clone()));
                this.node.aim(waiter, 0, ptr::null_mut());
                // SAFETY: node and waiter are pinned in this future, and its drop leaves the queue.
                if unsafe { this.inner.queue(&this.node) } {
                    return wait::pending(cx, Reason::WaitGroup);
                }
            }
            Some(waiter) => {
                wait::point();
                if waiter.poll(cx.waker()).is_none() {
                    return wait::pending(cx, Reason::WaitGroup);
                }
                this.inner.check_reuse();
            }
        }
        this.finished = true;
        Poll::Ready(())
    }
}

impl Drop for WaitGroupFuture<'_> {
    fn drop(&mut self) {
        if let Some(waiter) = &self.waiter
            && !self.finished
        {
            // Under the queue's lock a wait is either open or wholly decided.
            // SAFETY: this node is queued here or nowhere.
            unsafe { self.inner.leave(&self.node) };
            waiter.cancel();
        }
    }
}

impl fmt::Debug for WaitGroupFuture<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitGroupFuture").field("finished", &self.finished).finish_non_exhaustive()
    }
}
