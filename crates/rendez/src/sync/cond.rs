//! `Cond`: Go's condition variable (`sync/cond.go`).
//!
//! # Protocol
//!
//! A queue under a lock. Who waits is queued *before* it leaves the mutex, in the same step as far as anybody can tell who
//! holds the mutex, so no signal is missed that is given for what it has not seen yet. A signal wins the oldest waiter, under
//! the queue's lock; one that has given up by then, by its time limit or otherwise, can't be won, and the next one is. One that
//! is won and then does not come as far as having the mutex again, because its future is dropped or its goroutine unwound,
//! signals in its turn. So a signal is never lost on somebody who does not hear it, and nobody goes on without one. A broadcast
//! has reached all whom it concerns: it is not passed on, least of all to who came later.
//!
//! Leaving the mutex may call a waker, with the waiter's own node queued already: until that has returned, the waiter is not
//! woken (see "Wakers" at the head of [`wait`](crate::wait)).
//!
//! A wait that blocks has the mutex again when it ends, however it ends, also when it is unwound: its caller still has the
//! guard, and may look through it.

use super::{
    mutex::{Mutex, MutexGuard},
    source::{Request, SyncEvent},
};
use crate::{
    label::{Label, Made},
    lock::SpinLock,
    primitives::atomic::{AtomicBool, Ordering},
    select::{self, Patience},
    time::Instant,
    wait::{End, Node, Reason, Status, Thing, WaitQueue},
};
use std::{
    fmt, mem,
    panic::{RefUnwindSafe, UnwindSafe},
    time::Duration,
};
#[cfg(not(loom))]
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};
#[cfg(not(loom))]
use {
    super::mutex::LockFuture,
    crate::select::{Event, EventFuture},
};

/// What waits for a condition, and is told of its changes.
///
/// [`signal`](Self::signal) lets one go on, the one that has waited longest; [`broadcast`](Self::broadcast) all that wait. There
/// are no spurious wake-ups, as in Go; still, when the waiter has the mutex again, somebody else may have changed what it was
/// told of: use [`wait_while`](Self::wait_while), or a loop.
///
/// # Examples
/// A queue that holds no more than two:
/// ```
/// use rendez::{scope, sync::{Cond, Mutex}};
/// let (queue, room) = (Mutex::new(Vec::new()), Cond::new());
/// scope(|s| {
///     s.go(|| {
///         for i in 0..10 {
///             let mut queue = queue.lock();
///             room.wait_while(&mut queue, |queue| queue.len() == 2);
///             queue.push(i);
///         }
///     });
///     let mut taken = 0;
///     while taken < 10 {
///         taken += usize::from(queue.lock().pop().is_some());
///         room.signal();
///         rendez::yield_now();
///     }
/// });
/// ```
#[doc(alias("Condvar"))]
pub struct Cond {
    queue: SpinLock<WaitQueue>,
    /// Whether somebody is queued; changed under the lock.
    is_awaited: AtomicBool,
    label: Label,
    made: Made,
}

impl UnwindSafe for Cond {}
impl RefUnwindSafe for Cond {}

impl Cond {
    /// One for which nobody waits.
    #[cfg(not(loom))]
    #[track_caller]
    pub const fn new() -> Cond {
        Cond {
            queue: SpinLock::new(WaitQueue::new()),
            is_awaited: AtomicBool::new(false),
            label: Label::new(),
            made: Made::here(),
        }
    }

    /// One for which nobody waits.
    #[cfg(loom)]
    #[track_caller]
    pub fn new() -> Cond {
        Cond {
            queue: SpinLock::new(WaitQueue::new()),
            is_awaited: AtomicBool::new(false),
            label: Label::new(),
            made: Made::here(),
        }
    }

    /// Leaves the mutex, waits for a signal or a broadcast, and takes the mutex again.
    ///
    /// # Blocking
    /// Parks the goroutine, or the OS thread. A task awaits [`wait_async`](Self::wait_async).
    ///
    /// # Cancellation
    /// A runtime's shutdown unwinds a parked goroutine; it takes the mutex for that, and leaves it as the guard is dropped.
    pub fn wait<T: ?Sized>(&self, guard: &mut MutexGuard<'_, T>) {
        self.park(guard, Patience::Endless);
    }

    /// Waits as long as `condition` holds of the value, which is asked at first, and then after each signal.
    ///
    /// # Blocking
    /// As [`wait`](Self::wait).
    ///
    /// # Cancellation
    /// As [`wait`](Self::wait).
    ///
    /// # Examples
    /// ```
    /// use rendez::{scope, sync::{Cond, Mutex}};
    /// let (ready, changed) = (Mutex::new(false), Cond::new());
    /// scope(|s| {
    ///     s.go(|| {
    ///         *ready.lock() = true;
    ///         changed.signal();
    ///     });
    ///     let mut ready = ready.lock();
    ///     changed.wait_while(&mut ready, |ready| !*ready);
    ///     assert!(*ready);
    /// });
    /// ```
    pub fn wait_while<T, F>(&self, guard: &mut MutexGuard<'_, T>, mut condition: F)
    where
        T: ?Sized,
        F: FnMut(&mut T) -> bool,
    {
        while condition(guard) {
            self.wait(guard);
        }
    }

    /// As [`wait`](Self::wait), for at most `limit`. `true`: it was signalled. Either way the mutex has been taken again, which
    /// may take longer.
    ///
    /// # Blocking
    /// As [`wait`](Self::wait).
    ///
    /// # Cancellation
    /// As [`wait`](Self::wait).
    ///
    /// # Examples
    /// ```
    /// use rendez::sync::{Cond, Mutex};
    /// use std::time::Duration;
    /// let (mutex, cond) = (Mutex::new(()), Cond::new());
    /// assert!(!cond.wait_timeout(&mut mutex.lock(), Duration::from_millis(1)), "nobody signals");
    /// ```
    #[must_use = "without it nobody knows whether there was a signal"]
    pub fn wait_timeout<T: ?Sized>(&self, guard: &mut MutexGuard<'_, T>, limit: Duration) -> bool {
        // With a limit of zero, too, the mutex is left for others.
        let patience = Instant::now().checked_add(limit).map_or(Patience::Endless, Patience::Until);
        self.park(guard, patience)
    }

    fn park<T: ?Sized>(&self, guard: &mut MutexGuard<'_, T>, patience: Patience) -> bool {
        select::wait(self.signal_event(Outside { mutex: guard.mutex(), left: false }), patience)
            .is_some_and(PassesOn::hear)
    }

    fn signal_event<P: Place>(&self, place: P) -> SyncEvent<Signal<'_, P>> {
        SyncEvent::new(Signal { cond: self, place, is_for_all: false })
    }

    /// As [`wait`](Self::wait), in an async task. The mutex is left when the future is polled for the first time, and the guard
    /// comes back.
    ///
    /// # Cancellation
    /// Safe: a future that is dropped does not hold the mutex, and a signal that it had been given goes to the next one.
    ///
    /// # Examples
    /// ```
    /// use rendez::{go_async, sync::{Cond, Mutex}};
    /// use std::sync::Arc;
    /// let shared = Arc::new((Mutex::new(false), Cond::new()));
    /// let waits = go_async({
    ///     let shared = shared.clone();
    ///     async move {
    ///         let (ready, changed) = &*shared;
    ///         let mut ready = ready.lock_async().await;
    ///         while !*ready {
    ///             ready = changed.wait_async(ready).await;
    ///         }
    ///     }
    /// });
    /// *shared.0.lock() = true;
    /// shared.1.signal();
    /// waits.join().unwrap();
    /// ```
    #[cfg(not(loom))]
    pub fn wait_async<'a, T: ?Sized>(&'a self, guard: MutexGuard<'a, T>) -> CondFuture<'a, T> {
        let mutex = guard.mutex();
        CondFuture { mutex, stage: Stage::Waiting(self.signal_event(Some(guard)).wait_async()) }
    }

    /// Lets the one go on that has waited longest. The caller need not hold the mutex.
    pub fn signal(&self) {
        crate::wait::point();
        if !self.is_awaited.load(Ordering::Acquire) {
            return;
        }
        let mut queue = self.queue.lock();
        let winner = queue.pop_winner();
        self.note(&queue);
        let wakeup = winner.map(|winner| winner.complete(Status::Done));
        drop(queue);
        if let Some(wakeup) = wakeup {
            wakeup.wake();
        }
    }

    /// Lets all go on that wait by now. The caller need not hold the mutex.
    ///
    /// # Examples
    /// ```
    /// use rendez::{scope, sync::{Cond, Mutex}};
    /// let (clicks, clicked) = (Mutex::new(0), Cond::new());
    /// scope(|s| {
    ///     for _ in 0..3 {
    ///         s.go(|| clicked.wait_while(&mut clicks.lock(), |clicks| *clicks == 0));
    ///     }
    ///     *clicks.lock() += 1;
    ///     clicked.broadcast();
    /// });
    /// ```
    pub fn broadcast(&self) {
        crate::wait::point();
        if !self.is_awaited.load(Ordering::Acquire) {
            return;
        }
        // All are popped under one hold of the lock, so that nobody is among them who waits anew.
        let mut wakeups = Vec::new();
        let mut queue = self.queue.lock();
        while let Some(winner) = queue.pop_winner() {
            wakeups.push(winner.complete(Status::DoneForAll));
        }
        self.note(&queue);
        drop(queue);
        drop(wakeups);
    }

    /// Names it, for reports: [`diag::dump`](crate::diag::dump), a deadlock. Another name it may have had is forgotten.
    ///
    /// # Examples
    /// ```
    /// let room = rendez::sync::Cond::new();
    /// room.set_name("room");
    /// ```
    pub fn set_name(&self, name: impl Into<String>) {
        self.label.set(name.into());
    }

    fn note(&self, queue: &WaitQueue) {
        self.is_awaited.store(!queue.is_empty(), Ordering::Release);
    }
}

impl Default for Cond {
    #[track_caller]
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Cond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cond")
            .field("awaited", &self.is_awaited.load(Ordering::Relaxed))
            .finish_non_exhaustive()
    }
}

/// The wish for a signal, by somebody who leaves the mutex for it.
struct Signal<'a, P: Place> {
    cond: &'a Cond,
    place: P,
    /// It was a broadcast.
    is_for_all: bool,
}

/// Signals in its turn when it is dropped: of somebody who was signalled, and has yet to get the mutex.
struct PassesOn<'a>(Option<&'a Cond>);

impl Drop for PassesOn<'_> {
    fn drop(&mut self) {
        if let Some(cond) = self.0 {
            cond.signal();
        }
    }
}

impl PassesOn<'_> {
    /// Goes no further.
    fn hear(mut self) -> bool {
        self.0 = None;
        true
    }
}

impl<'a, P: Place> Signal<'a, P> {
    fn passes_on(&self) -> PassesOn<'a> {
        PassesOn((!self.is_for_all).then_some(self.cond))
    }
}

/// Where the mutex is, and how it is left.
trait Place {
    fn leave(&mut self);
}

impl<'a, P: Place> Request for Signal<'a, P> {
    /// For who has yet to take the mutex; else its work is done.
    type Output = PassesOn<'a>;

    fn reason(&self) -> Reason {
        Reason::CondWait
    }

    fn tell(&self, things: &mut Vec<Thing>) {
        let Cond { label, made, .. } = self.cond;
        things.push(Thing { name: label.get(), made: made.get(), ..Thing::new("condition", End::Anybody) });
    }

    fn attempt(&mut self) -> bool {
        false
    }

    unsafe fn queue(&mut self, node: &Node) -> bool {
        // Leaving the mutex may call the waker of whoever it is passed on to, and that may block.
        // SAFETY: the waiter has no other node, and this one is not queued yet.
        let withheld = unsafe { node.withhold() };
        let mut queue = self.cond.queue.lock();
        // SAFETY: passed on.
        unsafe { queue.push(node) };
        self.cond.note(&queue);
        drop(queue);
        self.place.leave();
        // SAFETY: this is the owner's call, and the waiter is there until the node has left the queue.
        unsafe { node.expect(withheld) };
        true
    }

    unsafe fn leave(&mut self, node: &Node) {
        let mut queue = self.cond.queue.lock();
        // SAFETY: passed on.
        unsafe { queue.remove(node) };
        self.cond.note(&queue);
    }

    fn granted_to_all(&mut self) {
        self.is_for_all = true;
    }

    fn give_back(&mut self) {
        drop(self.passes_on());
    }

    fn finish(self) -> PassesOn<'a> {
        let signalled = self.passes_on();
        // The mutex is taken here, if it was only lent. A shutdown may unwind this.
        drop(self.place);
        signalled
    }
}

/// Outside of a mutex whose guard is lent: on the way back in, it is locked.
struct Outside<'a, T: ?Sized> {
    mutex: &'a Mutex<T>,
    left: bool,
}

impl<T: ?Sized> Outside<'_, T> {
    fn enter(&self) {
        mem::forget(self.mutex.lock());
    }
}

impl<T: ?Sized> Place for Outside<'_, T> {
    fn leave(&mut self) {
        if !mem::replace(&mut self.left, true) {
            self.mutex.leave();
        }
    }
}

impl<T: ?Sized> Drop for Outside<'_, T> {
    fn drop(&mut self) {
        /// A shutdown may unwind the goroutine that waits for the mutex. Once it unwinds, nothing interrupts it.
        struct Unwound<'a, T: ?Sized>(&'a Outside<'a, T>);
        impl<T: ?Sized> Drop for Unwound<'_, T> {
            fn drop(&mut self) {
                self.0.enter();
            }
        }
        if self.left {
            let unwound = Unwound(self);
            self.enter();
            mem::forget(unwound);
        }
    }
}

/// A guard that has been given away: the mutex is left by dropping it.
#[cfg(not(loom))]
impl<T: ?Sized> Place for Option<MutexGuard<'_, T>> {
    fn leave(&mut self) {
        drop(self.take());
    }
}

/// The future of [`Cond::wait_async`].
#[cfg(not(loom))]
#[must_use = "futures do nothing unless polled"]
pub struct CondFuture<'a, T: ?Sized> {
    mutex: &'a Mutex<T>,
    stage: Stage<'a, T>,
}

#[cfg(not(loom))]
enum Stage<'a, T: ?Sized> {
    Waiting(EventFuture<SyncEvent<Signal<'a, Option<MutexGuard<'a, T>>>>>),
    Locking(LockFuture<'a, T>, PassesOn<'a>),
    Ended,
}

#[cfg(not(loom))]
impl<'a, T: ?Sized> Future for CondFuture<'a, T> {
    type Output = MutexGuard<'a, T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<MutexGuard<'a, T>> {
        // SAFETY: the stages' futures are not moved out; they are dropped where they are, by the assignments.
        let this = unsafe { self.get_unchecked_mut() };
        loop {
            match &mut this.stage {
                Stage::Waiting(signal) => {
                    // SAFETY: pinned in this future.
                    let signalled = ready!(unsafe { Pin::new_unchecked(signal) }.poll(cx));
                    this.stage = Stage::Locking(this.mutex.lock_async(), signalled);
                }
                Stage::Locking(lock, signalled) => {
                    // SAFETY: pinned in this future.
                    let guard = ready!(unsafe { Pin::new_unchecked(lock) }.poll(cx));
                    signalled.0 = None;
                    this.stage = Stage::Ended;
                    return Poll::Ready(guard);
                }
                Stage::Ended => panic!("`wait_async` polled after it was ready"),
            }
        }
    }
}

#[cfg(not(loom))]
impl<T: ?Sized> fmt::Debug for CondFuture<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.stage {
            Stage::Waiting(_) => "CondFuture(Waiting)",
            Stage::Locking(..) => "CondFuture(Locking)",
            Stage::Ended => "CondFuture(Ended)",
        })
    }
}
