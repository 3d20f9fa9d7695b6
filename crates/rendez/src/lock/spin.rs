//! The lock itself; see the head of [`lock`](super).

use super::{Backoff, count_held};
use crate::primitives::{
    UnsafeCell,
    atomic::{AtomicBool, Ordering},
};
use std::ops::{Deref, DerefMut};

/// A value that is reached under a spin lock.
pub(crate) struct SpinLock<T> {
    held: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: the lock hands out one exclusive guard at a time, so sharing it moves `&mut T` between threads: `T: Send`.
unsafe impl<T: Send> Sync for SpinLock<T> {}
// SAFETY: owning the lock is owning the value.
unsafe impl<T: Send> Send for SpinLock<T> {}

impl<T> SpinLock<T> {
    #[cfg(not(loom))]
    pub(crate) const fn new(value: T) -> Self {
        SpinLock { held: AtomicBool::new(false), value: UnsafeCell::new(value) }
    }

    #[cfg(loom)]
    pub(crate) fn new(value: T) -> Self {
        SpinLock { held: AtomicBool::new(false), value: UnsafeCell::new(value) }
    }

    #[inline(always)]
    pub(crate) fn lock(&self) -> SpinGuard<'_, T> {
        if !self.try_hold() {
            self.lock_contended();
        }
        count_held(1);
        SpinGuard { lock: self }
    }

    /// `None` if somebody holds it.
    #[cfg(not(loom))]
    #[inline]
    pub(crate) fn try_lock(&self) -> Option<SpinGuard<'_, T>> {
        (!self.held.load(Ordering::Relaxed) && self.try_hold()).then(|| {
            count_held(1);
            SpinGuard { lock: self }
        })
    }

    #[cfg(not(loom))]
    #[inline(always)]
    fn try_hold(&self) -> bool {
        !self.held.swap(true, Ordering::Acquire)
    }

    /// An exchange that finds the lock held writes what was there. loom does not see that the holder's plain store comes
    /// after that write, though the exchange read the holder's own, and would have the lock stay held for ever.
    #[cfg(loom)]
    fn try_hold(&self) -> bool {
        self.held.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    #[cold]
    fn lock_contended(&self) {
        let mut backoff = Backoff::new();
        loop {
            if !self.held.load(Ordering::Relaxed) && self.try_hold() {
                return;
            }
            backoff.pause();
        }
    }
}

impl<T> std::fmt::Debug for SpinLock<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SpinLock").finish_non_exhaustive()
    }
}

/// Leaves the lock when dropped.
#[must_use]
pub(crate) struct SpinGuard<'a, T> {
    lock: &'a SpinLock<T>,
}

impl<T> Deref for SpinGuard<'_, T> {
    type Target = T;
    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: the guard is the proof that this thread holds the lock, so nobody else has a reference.
        self.lock.value.with(|value| unsafe { &*value })
    }
}

impl<T> DerefMut for SpinGuard<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`, and the guard is borrowed exclusively.
        self.lock.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T> Drop for SpinGuard<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        count_held(-1);
        self.lock.held.store(false, Ordering::Release);
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::SpinLock;
    use loom::{sync::Arc, thread};

    #[test]
    fn who_gets_the_lock_sees_what_the_last_holder_did() {
        loom::model(|| {
            let lock = Arc::new(SpinLock::new(0));
            let other = thread::spawn({
                let lock = lock.clone();
                move || *lock.lock() += 1
            });
            *lock.lock() += 1;
            other.join().unwrap();
            assert_eq!(*lock.lock(), 2);
        });
    }
}
