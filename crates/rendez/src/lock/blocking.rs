//! What stands for the lock in loom's models of everything else: two threads that spin by turns are endless to loom.

use loom::{
    cell::UnsafeCell,
    sync::{Mutex, MutexGuard},
};
use std::ops::{Deref, DerefMut};

#[derive(Debug)]
pub(crate) struct SpinLock<T> {
    value: Mutex<T>,
    /// Touched by whoever has the lock: what loom can check against a use without it.
    trace: UnsafeCell<()>,
}

// SAFETY: the trace is touched under the lock, or exclusively.
unsafe impl<T: Send> Sync for SpinLock<T> {}

#[must_use]
#[derive(Debug)]
pub(crate) struct SpinGuard<'a, T>(MutexGuard<'a, T>);

impl<T> SpinLock<T> {
    pub(crate) fn new(value: T) -> Self {
        SpinLock { value: Mutex::new(value), trace: UnsafeCell::new(()) }
    }

    pub(crate) fn lock(&self) -> SpinGuard<'_, T> {
        let guard = self.value.lock().expect("nothing panics under it");
        self.trace.with_mut(|_| ());
        SpinGuard(guard)
    }

    /// As of the one that may be biased: always.
    pub(crate) fn lock_if_biased(&self) -> Option<SpinGuard<'_, T>> {
        Some(self.lock())
    }

    #[cfg_attr(not(test), allow(dead_code, reason = "its user is a model"))]
    pub(crate) fn try_lock(&self) -> Option<SpinGuard<'_, T>> {
        let guard = self.value.try_lock().ok()?;
        self.trace.with_mut(|_| ());
        Some(SpinGuard(guard))
    }

    /// Has loom check that all that was done under the lock was done before this, which takes it not.
    pub(crate) fn check_exclusive(&mut self) {
        self.trace.with_mut(|_| ());
    }
}

impl<T> Deref for SpinGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for SpinGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}
