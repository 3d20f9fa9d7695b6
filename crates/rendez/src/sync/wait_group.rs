//! `WaitGroup`: Go's counter that can be waited for (`sync/waitgroup.go`).
//!
//! # Protocol
//!
//! One word holds the counter (high half) and the number of waiters (low half), so that `add` and `done` are one
//! compare-exchange while nobody waits, and a bad call changes nothing. Waiters register in the word by compare-exchange while the counter is not zero,
//! under the queue's lock, and are queued before that lock is left. Whoever brings the counter to zero with waiters
//! registered clears the word under the same lock and wakes them. So a waiter either sees zero, or is registered before
//! the word turns zero and then is found in the queue.

use crate::{
    label::Label,
    lock::SpinLock,
    primitives::{
        Arc,
        atomic::{AtomicU64, Ordering},
        prefetch_to_write,
    },
    select::{Event, Occurrence, Occurs, park_for},
    wait::{Awaited, End, Node, Reason, Status, Tells, Thing, WaitQueue, Waiter, word_of_arc},
};
use std::{
    fmt,
    future::Future,
    marker::PhantomPinned,
    panic::{Location, RefUnwindSafe, UnwindSafe},
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
    inner: Arc<Inner>,
}

// A panic leaves the word and the queue as they were or wholly changed, and no user code runs under the lock.
impl UnwindSafe for WaitGroup {}
impl RefUnwindSafe for WaitGroup {}

struct Inner {
    /// Counter in the high 32 bits (signed), registered waiters in the low 32.
    state: AtomicU64,
    waiters: SpinLock<WaitQueue>,
    label: Label,
    made: &'static Location<'static>,
}

const ONE: u64 = 1 << 32;
const WAITERS: u64 = ONE - 1;

fn counter(state: u64) -> i32 {
    (state >> 32) as i32
}

#[cold]
#[track_caller]
fn out_of_range() -> ! {
    panic!("sync: WaitGroup counter out of range: it has 32 bits")
}

impl Inner {
    /// Compares before it exchanges, so that a call that panics has changed nothing: with a plain addition others would see
    /// the bad sum, panic too, or wait for a zero that never comes.
    #[track_caller]
    fn add(&self, delta: i32) {
        prefetch_to_write(&self.state);
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            let Some(now) = counter(state).checked_add(delta) else { out_of_range() };
            if now < 0 {
                panic!("sync: negative WaitGroup counter");
            }
            let waiters = state & WAITERS;
            if waiters != 0 && delta > 0 && now == delta {
                panic!("sync: WaitGroup misuse: Add called concurrently with Wait");
            }
            let sum = u64::from(now as u32) << 32 | waiters;
            match self.state.compare_exchange_weak(state, sum, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) if now == 0 && waiters != 0 => return self.release(),
                Ok(_) => return,
                Err(changed) => state = changed,
            }
        }
    }

    /// The counter is zero and somebody was registered: wakes everybody, as long as that is still so.
    fn release(&self) {
        // All are popped under one hold of the lock, so that nobody who registers for a next round is among them.
        let mut wakeups = Vec::new();
        let mut waiters = self.waiters.lock();
        let state = self.state.load(Ordering::Acquire);
        // Either the last waiter had given up meanwhile, and then somebody may have added again; or another release was
        // faster.
        if counter(state) != 0 || state & WAITERS == 0 {
            return;
        }
        // Nothing can come between: at zero with waiters no `add` has an effect, and waiters leave under the lock.
        self.state.store(0, Ordering::Release);
        while let Some(winner) = waiters.pop_winner() {
            wakeups.push(winner.complete(Status::Done));
        }
        drop(waiters);
        drop(wakeups);
    }

    fn is_zero(&self) -> bool {
        counter(self.state.load(Ordering::Acquire)) == 0
    }

    fn check_reuse(&self) {
        if self.state.load(Ordering::Acquire) & WAITERS != 0 {
            panic!("sync: WaitGroup is reused before previous Wait has returned");
        }
    }
}

impl Tells for WaitGroup {
    fn tell(&self, things: &mut Vec<Thing>) {
        let inner = &*self.inner;
        let count = counter(inner.state.load(Ordering::Relaxed));
        let end = End::Handles { count, handles: Arc::strong_count(&self.inner), word: word_of_arc(inner) };
        things.push(Thing {
            name: inner.label.get(),
            made: Some(inner.made),
            ..Thing::new("wait group", end)
        });
    }
}

/// Where only the counter is at hand.
impl Tells for Inner {
    fn tell(&self, things: &mut Vec<Thing>) {
        things.push(Thing {
            name: self.label.get(),
            made: Some(self.made),
            ..Thing::new("wait group", End::Anybody)
        });
    }
}

// SAFETY: all of it is made for any thread; waiters are decided under the queue's lock, by `release`.
unsafe impl Occurs for Inner {
    fn has_occurred(&self) -> bool {
        self.is_zero()
    }

    unsafe fn queue(&self, node: &Node) -> bool {
        if counter(self.state.load(Ordering::Acquire)) == 0 {
            return false;
        }
        let mut waiters = self.waiters.lock();
        let mut state = self.state.load(Ordering::Acquire);
        loop {
            if counter(state) == 0 {
                return false;
            }
            match self.state.compare_exchange(state, state + 1, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => break,
                Err(changed) => state = changed,
            }
        }
        // SAFETY: passed on.
        unsafe { waiters.push(node) };
        true
    }

    unsafe fn leave(&self, node: &Node) {
        let mut waiters = self.waiters.lock();
        // SAFETY: passed on. A node that was still queued is still counted: `release` clears the count and empties the
        // queue in one go as far as nodes queued before it are concerned.
        if unsafe { waiters.remove(node) } && self.state.load(Ordering::Acquire) & WAITERS != 0 {
            self.state.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl WaitGroup {
    /// A group whose counter is zero.
    #[track_caller]
    pub fn new() -> Self {
        WaitGroup {
            inner: Arc::new(Inner {
                state: AtomicU64::new(0),
                waiters: SpinLock::new(WaitQueue::new()),
                label: Label::new(),
                made: Location::caller(),
            }),
        }
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
        crate::wait::point();
        match i32::try_from(delta) {
            Ok(delta) => self.inner.add(delta),
            Err(_) => out_of_range(),
        }
    }

    /// Takes one off the counter.
    ///
    /// # Panics
    /// `sync: negative WaitGroup counter`. The counter stays at zero.
    #[track_caller]
    pub fn done(&self) {
        crate::wait::point();
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
        crate::wait::point();
        self.wait_for(Awaited::of(Reason::WaitGroup, self));
    }

    /// The end of a `scope`, which no shutdown interrupts: the children borrow from the caller's frame.
    #[cfg(not(loom))]
    pub(crate) fn wait_for_children(&self, scope: &impl Tells) {
        self.wait_for(Awaited::of(Reason::Scope, scope));
    }

    /// The counter.
    #[cfg(not(loom))]
    pub(crate) fn count(&self) -> i32 {
        counter(self.inner.state.load(Ordering::Relaxed))
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
        struct Done(WaitGroup);
        impl Drop for Done {
            fn drop(&mut self) {
                self.0.done();
            }
        }
        let handle = self.clone();
        self.add(1);
        let done = Done(handle);
        drop(crate::go(move || {
            let _done = done;
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
        let state = self.inner.state.load(Ordering::Relaxed);
        f.debug_struct("WaitGroup")
            .field("counter", &counter(state))
            .field("waiters", &(state & WAITERS))
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
    inner: &'a Inner,
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
                crate::wait::point();
                let waiter: *const Waiter = this.waiter.insert(Waiter::task(cx.waker().clone()));
                this.node.aim(waiter, 0, ptr::null_mut());
                // SAFETY: node and waiter are pinned in this future, and its drop leaves the queue.
                if unsafe { this.inner.queue(&this.node) } {
                    return Poll::Pending;
                }
            }
            Some(waiter) => {
                crate::wait::point();
                if waiter.poll(cx.waker()).is_none() {
                    return Poll::Pending;
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
