//! `Mutex`: Go's (`sync/mutex.go`), around the value that it protects. Its protocol is that of [`raw_lock`](super::raw_lock).

use super::{
    raw_lock::{RawLock, WriteTurn},
    source::{Request, SyncEvent},
};
#[cfg(not(loom))]
use crate::select::EventFuture;
use crate::{
    select::{self, Patience},
    wait::{self, Node, Reason, Thing},
};
use std::{
    any::type_name,
    cell::UnsafeCell,
    fmt,
    marker::PhantomData,
    ops::{Deref, DerefMut},
    panic::{RefUnwindSafe, UnwindSafe},
    time::Duration,
};

/// A value that one at a time may use: a goroutine, an OS thread or an async task.
///
/// Whoever finds it locked parks, and does not block its worker. It is never poisoned: a panic unlocks it as it drops the guard.
/// The guard may be held across a park and, being `Send`, across an await.
///
/// # Fairness
/// Go's rule (`internal/sync/mutex.go`). Who waits is served in order; but who comes at a moment when the mutex is free takes
/// it, before those who are being woken. When one has waited for a millisecond, the mutex is handed from one to
/// the next in order, until the last of them has it, or one that has waited for less.
///
/// # Examples
/// ```
/// use rendez::{scope, sync::Mutex};
/// let count = Mutex::new(0);
/// scope(|s| {
///     for _ in 0..5 {
///         s.go(|| *count.lock() += 1);
///         s.go(|| *count.lock() -= 1);
///     }
/// });
/// assert_eq!(count.into_inner(), 0);
/// ```
pub struct Mutex<T: ?Sized> {
    raw: RawLock,
    value: UnsafeCell<T>,
}

// SAFETY: the lock hands out one guard at a time, so sharing it moves `&mut T` between threads: `T: Send`.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}
// SAFETY: owning the mutex is owning the value.
unsafe impl<T: ?Sized + Send> Send for Mutex<T> {}

// As the standard library's, which says by poisoning what nobody says here: that the value may be half changed by a panic.
impl<T: ?Sized> UnwindSafe for Mutex<T> {}
impl<T: ?Sized> RefUnwindSafe for Mutex<T> {}

impl<T> Mutex<T> {
    /// An unlocked mutex.
    ///
    /// # Examples
    /// ```
    /// static NAMES: rendez::sync::Mutex<Vec<String>> = rendez::sync::Mutex::new(Vec::new());
    /// NAMES.lock().push("gopher".into());
    /// ```
    #[cfg(not(loom))]
    #[track_caller]
    pub const fn new(value: T) -> Self {
        Mutex { raw: RawLock::new(), value: UnsafeCell::new(value) }
    }

    /// An unlocked mutex.
    #[cfg(loom)]
    #[track_caller]
    pub fn new(value: T) -> Self {
        Mutex { raw: RawLock::new(), value: UnsafeCell::new(value) }
    }

    /// The value.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Locks it.
    ///
    /// Locking a mutex again that one holds waits for ever.
    ///
    /// # Blocking
    /// Parks the goroutine, or the OS thread, while somebody else holds it. A task awaits [`lock_async`](Self::lock_async).
    ///
    /// # Cancellation
    /// A runtime's shutdown unwinds a parked goroutine.
    #[inline]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        if self.raw.take_unwanted(wait::spend_budget_here()) { self.guard() } else { self.lock_slowly() }
    }

    #[cold]
    fn lock_slowly(&self) -> MutexGuard<'_, T> {
        #[cfg(not(loom))]
        if self.raw.spin() {
            return self.guard();
        }
        select::wait(self.lock_event(), Patience::Endless)
            .unwrap_or_else(|| unreachable!("it waits without a limit"))
    }

    /// Locks it if nobody holds it. `None` also while it is [handed on in order](Self#fairness).
    ///
    /// # Examples
    /// ```
    /// let mutex = rendez::sync::Mutex::new(1);
    /// let guard = mutex.try_lock().unwrap();
    /// assert!(mutex.try_lock().is_none());
    /// ```
    #[inline]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        wait::point();
        self.raw.take().then(|| self.guard())
    }

    /// Locks it, unless that takes longer than `limit`. With a limit of zero it is [`try_lock`](Self::try_lock).
    ///
    /// # Blocking
    /// As [`lock`](Self::lock).
    ///
    /// # Cancellation
    /// As [`lock`](Self::lock).
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// let mutex = rendez::sync::Mutex::new(1);
    /// let guard = mutex.lock();
    /// assert!(mutex.lock_timeout(Duration::from_millis(1)).is_none());
    /// ```
    pub fn lock_timeout(&self, limit: Duration) -> Option<MutexGuard<'_, T>> {
        match self.try_lock() {
            None if !limit.is_zero() => select::wait(self.lock_event(), Patience::of(limit)),
            guard => guard,
        }
    }

    /// Locks it, in an async task.
    ///
    /// # Cancellation
    /// Safe: if the future is dropped, it does not hold the mutex; one that had been handed on to it is unlocked.
    ///
    /// # Examples
    /// ```
    /// use rendez::{go_async, sync::Mutex};
    /// use std::sync::Arc;
    /// let log = Arc::new(Mutex::new(Vec::new()));
    /// let task = go_async({
    ///     let log = log.clone();
    ///     async move { log.lock_async().await.push("from a task") }
    /// });
    /// log.lock().push("from a thread");
    /// task.join().unwrap();
    /// assert_eq!(log.lock().len(), 2);
    /// ```
    #[cfg(not(loom))]
    pub fn lock_async(&self) -> LockFuture<'_, T> {
        select::Event::wait_async(self.lock_event())
    }

    /// The [event](crate::Event) of locking it, for `select!`. If another arm is chosen, it is not locked.
    ///
    /// # Examples
    /// ```
    /// use rendez::{select, sync::Mutex};
    /// use std::time::Duration;
    /// let mutex = Mutex::new(1);
    /// let _guard = mutex.lock();
    /// let locked = select! {
    ///     wait(mutex.lock_event()) -> guard => Some(*guard),
    ///     default(Duration::from_millis(1)) => None,
    /// };
    /// assert_eq!(locked, None);
    /// ```
    pub fn lock_event(&self) -> LockEvent<'_, T> {
        SyncEvent::new(Lock { mutex: self, turn: WriteTurn::new(&self.raw) })
    }

    /// Names it, for reports: [`diag::dump`](crate::diag::dump), a deadlock. Another name it may have had is forgotten.
    ///
    /// # Examples
    /// ```
    /// let accounts = rendez::sync::Mutex::new(vec![0; 8]);
    /// accounts.set_name("accounts");
    /// ```
    pub fn set_name(&self, name: impl Into<String>) {
        self.raw.set_name(name.into());
    }

    /// The value, without locking: there is nobody else.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    /// Unlocks it. Only for whoever has forgotten its guard, or keeps it from use until it is locked again.
    #[inline(always)]
    pub(super) fn leave(&self) {
        self.raw.leave();
    }

    /// Only for whoever has taken the lock.
    #[inline(always)]
    fn guard(&self) -> MutexGuard<'_, T> {
        MutexGuard { mutex: self, _value: PhantomData }
    }
}

impl<T: Default> Default for Mutex<T> {
    #[track_caller]
    fn default() -> Self {
        Mutex::new(T::default())
    }
}

impl<T> From<T> for Mutex<T> {
    #[track_caller]
    fn from(value: T) -> Self {
        Mutex::new(value)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.try_lock() {
            Some(guard) => f.debug_struct("Mutex").field("data", &&*guard).finish(),
            None => f.debug_struct("Mutex").field("data", &format_args!("<locked>")).finish(),
        }
    }
}

/// The lock of a [`Mutex`], which goes when this is dropped.
///
/// It may go to another thread, if the value may: the lock is not the thread's. So an async goroutine, which may be moved at an
/// await, can hold it there.
#[must_use = "the mutex is unlocked as soon as the guard is dropped"]
pub struct MutexGuard<'a, T: ?Sized> {
    mutex: &'a Mutex<T>,
    /// A shared guard shares the value: `Sync` only if that is.
    _value: PhantomData<&'a mut T>,
}

impl<T: ?Sized> UnwindSafe for MutexGuard<'_, T> {}
impl<T: ?Sized> RefUnwindSafe for MutexGuard<'_, T> {}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    pub(super) fn mutex(&self) -> &'a Mutex<T> {
        self.mutex
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard is the proof that the lock is held, so nobody else has a reference.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`, and the guard is borrowed exclusively.
        unsafe { &mut *self.mutex.value.get() }
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        wait::point();
        self.mutex.leave();
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// What [`LockEvent`] waits for.
#[derive(Debug)]
pub struct Lock<'a, T: ?Sized> {
    mutex: &'a Mutex<T>,
    turn: WriteTurn<'a>,
}

/// The event of [`Mutex::lock_event`].
pub type LockEvent<'a, T> = SyncEvent<Lock<'a, T>>;

/// The future of [`Mutex::lock_async`].
#[cfg(not(loom))]
pub type LockFuture<'a, T> = EventFuture<LockEvent<'a, T>>;

impl<'a, T: ?Sized> Request for Lock<'a, T> {
    type Output = MutexGuard<'a, T>;

    fn reason(&self) -> Reason {
        Reason::MutexLock
    }

    fn tell(&self, things: &mut Vec<Thing>) {
        things.push(self.mutex.raw.describe("mutex", type_name::<T>()));
    }

    fn attempt(&mut self) -> bool {
        self.turn.attempt()
    }

    unsafe fn queue(&mut self, node: &Node) -> bool {
        // SAFETY: passed on.
        unsafe { self.turn.queue(node) }
    }

    unsafe fn leave(&mut self, node: &Node) {
        // SAFETY: passed on.
        unsafe { self.turn.leave(node) };
    }

    fn granted(&mut self) {
        self.turn.granted();
    }

    fn invited(&mut self) {
        self.turn.invited();
    }

    fn give_back(&mut self) {
        drop(self.mutex.guard());
    }

    fn finish(self) -> MutexGuard<'a, T> {
        self.mutex.guard()
    }
}
