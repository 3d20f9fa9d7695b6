//! `Semaphore`: a number of permits, in weights (Go's `golang.org/x/sync/semaphore`).
//!
//! # Protocol
//!
//! One word holds the free permits and `QUEUED`: whether somebody waits. While it is not set, permits are taken by one
//! exchange; while it is, only whoever holds the queue's lock takes any, for the one at the head of the queue. Permits are
//! given back by an addition; who finds `QUEUED` set by that serves the queue. `QUEUED` is set under the queue's lock, by an
//! exchange that sees too few permits, so those that come back later are brought by somebody who sees it.
//!
//! The one at the head waits for all that it wants, and those behind it wait with it, so who wants much is not kept waiting
//! by those who want little. When it gives up, the others are served.

use super::source::{Request, SyncEvent};
#[cfg(not(loom))]
use crate::select::EventFuture;
use crate::{
    label::{Label, Made},
    lock::SpinLock,
    primitives::atomic::{AtomicUsize, Ordering},
    select::{self, Patience},
    wait::{self, End, Node, Reason, Status, Thing, WaitQueue, WakeBatch},
};
use std::{
    fmt,
    mem::ManuallyDrop,
    panic::{RefUnwindSafe, UnwindSafe},
    ptr,
    sync::Arc,
    time::Duration,
};

const QUEUED: usize = 1;
const ONE: usize = 2;

/// Some permits, of which each user takes as many as it needs and gives them back when it is done.
///
/// Who has to wait is served in order: also one who wants little waits behind one who wants much.
///
/// # Examples
/// ```
/// use rendez::{scope, sync::Semaphore};
/// let three_at_once = Semaphore::new(3);
/// scope(|s| {
///     for _ in 0..10 {
///         s.go(|| {
///             let _permit = three_at_once.acquire(1);
///             rendez::yield_now();
///         });
///     }
/// });
/// assert_eq!(three_at_once.available(), 3);
/// ```
pub struct Semaphore {
    word: AtomicUsize,
    total: usize,
    queue: SpinLock<WaitQueue>,
    label: Label,
    made: Made,
}

impl UnwindSafe for Semaphore {}
impl RefUnwindSafe for Semaphore {}

impl Semaphore {
    /// More permits than this can't be counted.
    pub(super) const MOST: usize = usize::MAX / ONE;

    /// One with `permits` permits.
    ///
    /// # Panics
    /// If `permits` is more than half of what a `usize` can say.
    #[cfg(not(loom))]
    #[track_caller]
    pub const fn new(permits: usize) -> Semaphore {
        assert!(permits <= Self::MOST, "sync: a Semaphore can't have that many permits");
        Semaphore {
            word: AtomicUsize::new(permits * ONE),
            total: permits,
            queue: SpinLock::new(WaitQueue::new()),
            label: Label::new(),
            made: Made::here(),
        }
    }

    /// One with `permits` permits.
    #[cfg(loom)]
    #[track_caller]
    pub fn new(permits: usize) -> Semaphore {
        assert!(permits <= Self::MOST, "sync: a Semaphore can't have that many permits");
        Semaphore {
            word: AtomicUsize::new(permits * ONE),
            total: permits,
            queue: SpinLock::new(WaitQueue::new()),
            label: Label::new(),
            made: Made::here(),
        }
    }

    /// Takes `permits` permits, when they are there and nobody waits who came before.
    ///
    /// # Panics
    /// If it never has that many: that would be a wait for ever. (Go's waits for its context then.)
    ///
    /// # Blocking
    /// Parks the goroutine, or the OS thread. A task awaits [`acquire_async`](Self::acquire_async).
    ///
    /// # Cancellation
    /// A runtime's shutdown unwinds a parked goroutine.
    #[inline]
    #[track_caller]
    pub fn acquire(&self, permits: usize) -> Permit<'_> {
        wait::spend_budget();
        if self.take(permits) { self.permit(permits) } else { self.acquire_slowly(permits) }
    }

    #[cold]
    #[track_caller]
    fn acquire_slowly(&self, permits: usize) -> Permit<'_> {
        select::wait(self.acquire_event(permits), Patience::Endless)
            .unwrap_or_else(|| unreachable!("it waits without a limit"))
    }

    /// Takes `permits` permits if they are there and nobody waits.
    ///
    /// # Examples
    /// ```
    /// let semaphore = rendez::sync::Semaphore::new(3);
    /// let two = semaphore.try_acquire(2).unwrap();
    /// assert!(semaphore.try_acquire(2).is_none());
    /// drop(two);
    /// assert!(semaphore.try_acquire(2).is_some());
    /// ```
    #[inline]
    pub fn try_acquire(&self, permits: usize) -> Option<Permit<'_>> {
        wait::point();
        self.take(permits).then(|| self.permit(permits))
    }

    /// Takes `permits` permits, unless that takes longer than `limit`. With a limit of zero it is
    /// [`try_acquire`](Self::try_acquire).
    ///
    /// # Panics
    /// As [`acquire`](Self::acquire).
    ///
    /// # Blocking
    /// As [`acquire`](Self::acquire).
    ///
    /// # Cancellation
    /// As [`acquire`](Self::acquire).
    #[track_caller]
    pub fn acquire_timeout(&self, permits: usize, limit: Duration) -> Option<Permit<'_>> {
        match self.try_acquire(permits) {
            None => select::wait(self.acquire_event(permits), Patience::of(limit)),
            permit => permit,
        }
    }

    /// Takes `permits` permits, in an async task.
    ///
    /// # Panics
    /// As [`acquire`](Self::acquire).
    ///
    /// # Cancellation
    /// Safe: permits that had been given to a future that is dropped go back.
    ///
    /// # Examples
    /// ```
    /// use rendez::{block_on, sync::Semaphore};
    /// let semaphore = Semaphore::new(2);
    /// block_on(async {
    ///     let _both = semaphore.acquire_async(2).await;
    ///     assert_eq!(semaphore.available(), 0);
    /// });
    /// ```
    #[cfg(not(loom))]
    #[track_caller]
    pub fn acquire_async(&self, permits: usize) -> AcquireFuture<'_> {
        select::Event::wait_async(self.acquire_event(permits))
    }

    /// The [event](crate::Event) of taking `permits` permits, for `select!`. If another arm is chosen, none is taken.
    ///
    /// # Panics
    /// As [`acquire`](Self::acquire).
    ///
    /// # Examples
    /// ```
    /// use rendez::{select, sync::Semaphore};
    /// use std::time::Duration;
    /// let semaphore = Semaphore::new(1);
    /// let _all = semaphore.acquire(1);
    /// select! {
    ///     wait(semaphore.acquire_event(1)) -> _permit => unreachable!(),
    ///     default(Duration::from_millis(1)) => {}
    /// }
    /// ```
    #[track_caller]
    pub fn acquire_event(&self, permits: usize) -> AcquireEvent<'_> {
        if permits > self.total {
            panic!("sync: {permits} permits are wanted of a Semaphore that has {} in all", self.total);
        }
        SyncEvent::new(Acquire { semaphore: self, permits })
    }

    /// Names it, for reports: [`diag::dump`](crate::diag::dump), a deadlock. Another name it may have had is forgotten.
    ///
    /// # Examples
    /// ```
    /// let downloads = rendez::sync::Semaphore::new(3);
    /// downloads.set_name("downloads");
    /// ```
    pub fn set_name(&self, name: impl Into<String>) {
        self.label.set(name.into());
    }

    /// How many permits are free now.
    pub fn available(&self) -> usize {
        self.word.load(Ordering::Relaxed) / ONE
    }

    /// Takes permits if nobody waits.
    #[inline(always)]
    fn take(&self, permits: usize) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        while word & QUEUED == 0 && word / ONE >= permits {
            let less = word - permits * ONE;
            match self.word.compare_exchange_weak(word, less, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(changed) => word = changed,
            }
        }
        false
    }

    #[inline(always)]
    pub(super) fn release(&self, permits: usize) {
        wait::point();
        if self.word.fetch_add(permits * ONE, Ordering::Release) & QUEUED != 0 {
            self.serve();
        }
    }

    /// Gives the queue what there is for it.
    #[cold]
    fn serve(&self) {
        let mut wakeups = WakeBatch::new();
        loop {
            let mut queue = self.queue.lock();
            let is_served = self.serve_some(&mut queue, &mut wakeups);
            drop(queue);
            wakeups.wake_all();
            if is_served {
                return;
            }
        }
    }

    /// Whether there is no more to be done.
    fn serve_some(&self, queue: &mut WaitQueue, wakeups: &mut WakeBatch) -> bool {
        while !wakeups.is_full() {
            let Some(packet) = queue.front() else {
                self.word.fetch_and(!QUEUED, Ordering::AcqRel);
                return true;
            };
            let wanted = packet.addr() * ONE;
            if self.word.load(Ordering::Relaxed) < wanted {
                return true;
            }
            // Nobody else takes any: it is `QUEUED`, and we have the lock.
            self.word.fetch_sub(wanted, Ordering::AcqRel);
            match queue.pop_front() {
                Some(winner) => wakeups.push(winner.complete(Status::Done)),
                None => _ = self.word.fetch_add(wanted, Ordering::AcqRel),
            }
        }
        false
    }

    /// Only for whoever has taken them.
    #[inline(always)]
    fn permit(&self, permits: usize) -> Permit<'_> {
        Permit { semaphore: self, permits }
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore")
            .field("available", &self.available())
            .field("total", &self.total)
            .finish_non_exhaustive()
    }
}

/// Permits of a [`Semaphore`], which go back when this is dropped.
#[must_use = "the permits go back as soon as this is dropped"]
pub struct Permit<'a> {
    semaphore: &'a Semaphore,
    permits: usize,
}

impl Permit<'_> {
    /// How many.
    pub fn permits(&self) -> usize {
        self.permits
    }

    /// The same permits, to be taken along: by the goroutine that serves a connection, say, when its semaphore is what limits their number. However
    /// they were acquired: by a call, in time, by an event, or awaited.
    ///
    /// # Panics
    /// If they are of another semaphore than `semaphore`. (They go back then.)
    ///
    /// # Examples
    /// ```
    /// use rendez::{go, sync::{Semaphore, WaitGroup}};
    /// use std::sync::Arc;
    /// let connections = Arc::new(Semaphore::new(3));
    /// let all = WaitGroup::new();
    /// for _ in 0..10 {
    ///     // Waits here, and not in a goroutine for each that waits.
    ///     let permit = connections.acquire(1).into_owned(&connections);
    ///     all.go(move || {
    ///         rendez::yield_now();
    ///         drop(permit);
    ///     });
    /// }
    /// all.wait();
    /// assert_eq!(connections.available(), 3);
    /// ```
    #[track_caller]
    pub fn into_owned(self, semaphore: &Arc<Semaphore>) -> OwnedPermit {
        assert!(
            ptr::eq(self.semaphore, &raw const **semaphore),
            "sync: a Permit is of another Semaphore than the one that into_owned was given"
        );
        let permits = ManuallyDrop::new(self).permits;
        OwnedPermit { semaphore: semaphore.clone(), permits }
    }
}

impl Drop for Permit<'_> {
    #[inline]
    fn drop(&mut self) {
        self.semaphore.release(self.permits);
    }
}

impl fmt::Debug for Permit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("permits", &self.permits).finish_non_exhaustive()
    }
}

/// Permits of a [`Semaphore`] that it keeps alive, from [`Permit::into_owned`]; they go back when this is dropped.
#[must_use = "the permits go back as soon as this is dropped"]
pub struct OwnedPermit {
    semaphore: Arc<Semaphore>,
    permits: usize,
}

impl OwnedPermit {
    /// How many.
    pub fn permits(&self) -> usize {
        self.permits
    }
}

impl Drop for OwnedPermit {
    #[inline]
    fn drop(&mut self) {
        self.semaphore.release(self.permits);
    }
}

impl fmt::Debug for OwnedPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedPermit").field("permits", &self.permits).finish_non_exhaustive()
    }
}

/// What [`AcquireEvent`] waits for.
#[derive(Debug)]
pub struct Acquire<'a> {
    semaphore: &'a Semaphore,
    permits: usize,
}

/// The event of [`Semaphore::acquire_event`].
pub type AcquireEvent<'a> = SyncEvent<Acquire<'a>>;

/// The future of [`Semaphore::acquire_async`].
#[cfg(not(loom))]
pub type AcquireFuture<'a> = EventFuture<AcquireEvent<'a>>;

impl<'a> Request for Acquire<'a> {
    type Output = Permit<'a>;

    fn reason(&self) -> Reason {
        Reason::Semacquire
    }

    fn tell(&self, things: &mut Vec<Thing>) {
        let Semaphore { word, total, label, made, .. } = self.semaphore;
        let free = word.load(Ordering::Relaxed) / ONE;
        let end = End::Permits { wanted: self.permits, free, total: *total };
        things.push(Thing { name: label.get(), made: made.get(), ..Thing::new("semaphore", end) });
    }

    fn attempt(&mut self) -> bool {
        self.semaphore.take(self.permits)
    }

    unsafe fn queue(&mut self, node: &Node) -> bool {
        let semaphore = self.semaphore;
        let mut queue = semaphore.queue.lock();
        let mut word = semaphore.word.load(Ordering::Relaxed);
        loop {
            if word & QUEUED == 0 && word / ONE >= self.permits {
                return false;
            }
            match semaphore.word.compare_exchange(word, word | QUEUED, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => break,
                Err(changed) => word = changed,
            }
        }
        node.carry(ptr::without_provenance_mut(self.permits));
        // SAFETY: passed on.
        unsafe { queue.push(node) };
        true
    }

    unsafe fn leave(&mut self, node: &Node) {
        let mut queue = self.semaphore.queue.lock();
        // SAFETY: passed on.
        if unsafe { queue.remove(node) } {
            drop(queue);
            // It may have been what the others waited behind.
            self.semaphore.serve();
        }
    }

    fn give_back(&mut self) {
        self.semaphore.release(self.permits);
    }

    fn finish(self) -> Permit<'a> {
        self.semaphore.permit(self.permits)
    }
}
