//! `RwLock`: Go's `RWMutex` (`sync/rwmutex.go`), around the value that it protects. Its protocol is that of
//! [`raw_lock`](super::raw_lock).

use super::{
    raw_lock::{RawLock, ReadTurn, WriteTurn},
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

/// A value that many at a time may read, or one may change: goroutines, OS threads or async tasks.
///
/// Whoever has to wait parks, and does not block its worker. It is never poisoned: a panic unlocks it as it drops the guard.
/// Guards may be held across a park and an await.
///
/// # Fairness
/// Go's rules (`sync/rwmutex.go`). A writer that waits holds new readers back, so readers can't keep it out. A writer that leaves
/// lets those readers in first that are waiting by then, so writers can't keep them out. So **a reader that reads again
/// what it is reading may wait for ever**: for a writer that waits for it. There is no way from a read lock to a write
/// lock but to leave the one and take the other. Among themselves, writers are served like those of a
/// [`Mutex`](super::Mutex#fairness).
///
/// # Examples
/// ```
/// use rendez::{scope, sync::RwLock};
/// let words = RwLock::new(vec!["hello"]);
/// scope(|s| {
///     s.go(|| words.write().push("greetings"));
///     for _ in 0..4 {
///         s.go(|| assert!(words.read().contains(&"hello")));
///     }
/// });
/// assert_eq!(words.into_inner(), ["hello", "greetings"]);
/// ```
pub struct RwLock<T: ?Sized> {
    raw: RawLock,
    value: UnsafeCell<T>,
}

// SAFETY: the lock hands out one writer's guard (`&mut T` goes to another thread: `T: Send`) or several readers' (`&T` does:
// `T: Sync`).
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLock<T> {}
// SAFETY: owning the lock is owning the value.
unsafe impl<T: ?Sized + Send> Send for RwLock<T> {}

// As the standard library's; see `Mutex`.
impl<T: ?Sized> UnwindSafe for RwLock<T> {}
impl<T: ?Sized> RefUnwindSafe for RwLock<T> {}

impl<T> RwLock<T> {
    /// An unlocked one.
    #[cfg(not(loom))]
    #[track_caller]
    pub const fn new(value: T) -> Self {
        RwLock { raw: RawLock::new(), value: UnsafeCell::new(value) }
    }

    /// An unlocked one.
    #[cfg(loom)]
    #[track_caller]
    pub fn new(value: T) -> Self {
        RwLock { raw: RawLock::new(), value: UnsafeCell::new(value) }
    }

    /// The value.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Locks it for reading, together with other readers.
    ///
    /// # Panics
    /// If it is read-locked some 67 million times at once, by guards that were forgotten, say.
    ///
    /// # Blocking
    /// Parks the goroutine, or the OS thread, while a writer holds it or waits for it. A task awaits
    /// [`read_async`](Self::read_async).
    ///
    /// # Cancellation
    /// A runtime's shutdown unwinds a parked goroutine.
    #[inline]
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        wait::spend_budget();
        if self.raw.take_shared() { self.read_guard() } else { self.read_slowly() }
    }

    #[cold]
    fn read_slowly(&self) -> RwLockReadGuard<'_, T> {
        #[cfg(not(loom))]
        if self.raw.linger_shared() {
            return self.read_guard();
        }
        select::wait(self.read_event(), Patience::Endless)
            .unwrap_or_else(|| unreachable!("it waits without a limit"))
    }

    /// Locks it for writing, alone.
    ///
    /// # Blocking
    /// Parks the goroutine, or the OS thread, while somebody else holds it. A task awaits
    /// [`write_async`](Self::write_async).
    ///
    /// # Cancellation
    /// A runtime's shutdown unwinds a parked goroutine.
    #[inline]
    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        if self.raw.take_unwanted(wait::spend_budget_here()) {
            self.write_guard()
        } else {
            self.write_slowly()
        }
    }

    #[cold]
    fn write_slowly(&self) -> RwLockWriteGuard<'_, T> {
        #[cfg(not(loom))]
        if self.raw.spin() || self.raw.linger() {
            return self.write_guard();
        }
        select::wait(self.write_event(), Patience::Endless)
            .unwrap_or_else(|| unreachable!("it waits without a limit"))
    }

    /// Locks it for reading, if no writer holds it or waits for it.
    ///
    /// # Panics
    /// As [`read`](Self::read).
    ///
    /// # Examples
    /// ```
    /// let lock = rendez::sync::RwLock::new(1);
    /// let one = lock.try_read().unwrap();
    /// let other = lock.try_read().unwrap();
    /// assert!(lock.try_write().is_none());
    /// assert_eq!(*one, *other);
    /// ```
    #[inline]
    pub fn try_read(&self) -> Option<RwLockReadGuard<'_, T>> {
        wait::point();
        self.raw.take_shared().then(|| self.read_guard())
    }

    /// Locks it for writing, if nobody holds it. `None` also while it is [handed on in order](super::Mutex#fairness).
    #[inline]
    pub fn try_write(&self) -> Option<RwLockWriteGuard<'_, T>> {
        wait::point();
        self.raw.take().then(|| self.write_guard())
    }

    /// Locks it for reading, unless that takes longer than `limit`. With a limit of zero it is [`try_read`](Self::try_read).
    ///
    /// # Panics
    /// As [`read`](Self::read).
    ///
    /// # Blocking
    /// As [`read`](Self::read).
    ///
    /// # Cancellation
    /// As [`read`](Self::read).
    pub fn read_timeout(&self, limit: Duration) -> Option<RwLockReadGuard<'_, T>> {
        match self.try_read() {
            None if !limit.is_zero() => select::wait(self.read_event(), Patience::of(limit)),
            guard => guard,
        }
    }

    /// Locks it for writing, unless that takes longer than `limit`. With a limit of zero it is
    /// [`try_write`](Self::try_write). A writer that gives up holds nobody back any more.
    ///
    /// # Blocking
    /// As [`write`](Self::write).
    ///
    /// # Cancellation
    /// As [`write`](Self::write).
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// let lock = rendez::sync::RwLock::new(1);
    /// let _reader = lock.read();
    /// assert!(lock.write_timeout(Duration::from_millis(1)).is_none());
    /// assert!(lock.try_read().is_some());
    /// ```
    pub fn write_timeout(&self, limit: Duration) -> Option<RwLockWriteGuard<'_, T>> {
        match self.try_write() {
            None if !limit.is_zero() => select::wait(self.write_event(), Patience::of(limit)),
            guard => guard,
        }
    }

    /// Locks it for reading, in an async task.
    ///
    /// # Panics
    /// As [`read`](Self::read).
    ///
    /// # Cancellation
    /// Safe: if the future is dropped, it does not hold the lock.
    #[cfg(not(loom))]
    pub fn read_async(&self) -> ReadFuture<'_, T> {
        select::Event::wait_async(self.read_event())
    }

    /// Locks it for writing, in an async task.
    ///
    /// # Cancellation
    /// Safe: if the future is dropped, it does not hold the lock, and holds nobody back.
    ///
    /// # Examples
    /// ```
    /// use rendez::{block_on, sync::RwLock};
    /// let lock = RwLock::new(1);
    /// block_on(async {
    ///     *lock.write_async().await += 1;
    ///     assert_eq!(*lock.read_async().await, 2);
    /// });
    /// ```
    #[cfg(not(loom))]
    pub fn write_async(&self) -> WriteFuture<'_, T> {
        select::Event::wait_async(self.write_event())
    }

    /// The [event](crate::Event) of locking it for reading, for `select!`. If another arm is chosen, it is not locked.
    pub fn read_event(&self) -> ReadEvent<'_, T> {
        SyncEvent::new(Read { lock: self, turn: ReadTurn::new(&self.raw) })
    }

    /// The [event](crate::Event) of locking it for writing, for `select!`. If another arm is chosen, it is not locked.
    ///
    /// # Examples
    /// ```
    /// use rendez::{select, sync::RwLock};
    /// let lock = RwLock::new(1);
    /// let value = select! {
    ///     wait(lock.write_event()) -> mut guard => { *guard += 1; *guard }
    ///     default => unreachable!(),
    /// };
    /// assert_eq!(value, 2);
    /// ```
    pub fn write_event(&self) -> WriteEvent<'_, T> {
        SyncEvent::new(Write { lock: self, turn: WriteTurn::new(&self.raw) })
    }

    /// Names it, for reports: [`diag::dump`](crate::diag::dump), a deadlock. Another name it may have had is forgotten.
    ///
    /// # Examples
    /// ```
    /// let accounts = rendez::sync::RwLock::new(vec![0; 8]);
    /// accounts.set_name("accounts");
    /// ```
    pub fn set_name(&self, name: impl Into<String>) {
        self.raw.set_name(name.into());
    }

    /// The value, without locking: there is nobody else.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    /// Only for whoever has taken the lock for reading.
    #[inline(always)]
    fn read_guard(&self) -> RwLockReadGuard<'_, T> {
        RwLockReadGuard { lock: self }
    }

    /// Only for whoever has taken the lock for writing.
    #[inline(always)]
    fn write_guard(&self) -> RwLockWriteGuard<'_, T> {
        RwLockWriteGuard { lock: self, _value: PhantomData }
    }
}

impl<T: Default> Default for RwLock<T> {
    #[track_caller]
    fn default() -> Self {
        RwLock::new(T::default())
    }
}

impl<T> From<T> for RwLock<T> {
    #[track_caller]
    fn from(value: T) -> Self {
        RwLock::new(value)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.try_read() {
            Some(guard) => f.debug_struct("RwLock").field("data", &&*guard).finish(),
            None => f.debug_struct("RwLock").field("data", &format_args!("<locked>")).finish(),
        }
    }
}

/// A reader's lock of an [`RwLock`], which goes when this is dropped.
#[must_use = "the lock goes as soon as the guard is dropped"]
pub struct RwLockReadGuard<'a, T: ?Sized> {
    lock: &'a RwLock<T>,
}

/// A writer's lock of an [`RwLock`], which goes when this is dropped.
#[must_use = "the lock goes as soon as the guard is dropped"]
pub struct RwLockWriteGuard<'a, T: ?Sized> {
    lock: &'a RwLock<T>,
    _value: PhantomData<&'a mut T>,
}

impl<T: ?Sized> UnwindSafe for RwLockWriteGuard<'_, T> {}
impl<T: ?Sized> RefUnwindSafe for RwLockWriteGuard<'_, T> {}

impl<T: ?Sized> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard is the proof that the lock is held for reading, so nobody has a `&mut`.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: ?Sized> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard is the proof that the lock is held for writing, so nobody else has a reference.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: ?Sized> DerefMut for RwLockWriteGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`, and the guard is borrowed exclusively.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T: ?Sized> Drop for RwLockReadGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        wait::point();
        self.lock.raw.leave_shared();
    }
}

impl<T: ?Sized> Drop for RwLockWriteGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        wait::point();
        self.lock.raw.leave();
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// What [`ReadEvent`] waits for.
#[derive(Debug)]
pub struct Read<'a, T: ?Sized> {
    lock: &'a RwLock<T>,
    turn: ReadTurn<'a>,
}

/// What [`WriteEvent`] waits for.
#[derive(Debug)]
pub struct Write<'a, T: ?Sized> {
    lock: &'a RwLock<T>,
    turn: WriteTurn<'a>,
}

/// The event of [`RwLock::read_event`].
pub type ReadEvent<'a, T> = SyncEvent<Read<'a, T>>;

/// The event of [`RwLock::write_event`].
pub type WriteEvent<'a, T> = SyncEvent<Write<'a, T>>;

/// The future of [`RwLock::read_async`].
#[cfg(not(loom))]
pub type ReadFuture<'a, T> = EventFuture<ReadEvent<'a, T>>;

/// The future of [`RwLock::write_async`].
#[cfg(not(loom))]
pub type WriteFuture<'a, T> = EventFuture<WriteEvent<'a, T>>;

impl<'a, T: ?Sized> Request for Read<'a, T> {
    type Output = RwLockReadGuard<'a, T>;

    fn reason(&self) -> Reason {
        Reason::RwLockRead
    }

    fn tell(&self, things: &mut Vec<Thing>) {
        things.push(self.lock.raw.describe("lock", type_name::<T>()));
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

    fn give_back(&mut self) {
        drop(self.lock.read_guard());
    }

    fn finish(self) -> RwLockReadGuard<'a, T> {
        self.lock.read_guard()
    }
}

impl<'a, T: ?Sized> Request for Write<'a, T> {
    type Output = RwLockWriteGuard<'a, T>;

    fn reason(&self) -> Reason {
        Reason::RwLockWrite
    }

    fn tell(&self, things: &mut Vec<Thing>) {
        things.push(self.lock.raw.describe("lock", type_name::<T>()));
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
        drop(self.lock.write_guard());
    }

    fn finish(self) -> RwLockWriteGuard<'a, T> {
        self.lock.write_guard()
    }
}
