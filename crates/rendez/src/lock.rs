//! The lock of channels and wait queues: short critical sections, no user code inside, never held across a park.
//!
//! Taking it is one read-modify-write, leaving it one plain store (an exchange at both ends would cost twice as much).
//! The price of the plain store is that a leaving holder cannot know of waiters, so they are not woken: they spin for a
//! bounded time, then give up the processor, then sleep for doubling, bounded times. Critical sections last tens of
//! nanoseconds, so a waiter gets past the spin only when the kernel has taken the processor away from the holder.
//!
//! | state | who may change it |
//! | --- | --- |
//! | free (`false`) | anyone, to held, by `swap` with acquire |
//! | held (`true`) | the holder alone, to free, by a store with release |

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
        if self.held.swap(true, Ordering::Acquire) {
            self.lock_contended();
        }
        SpinGuard { lock: self }
    }

    #[cold]
    fn lock_contended(&self) {
        let mut backoff = Backoff::new();
        loop {
            // Not under loom, which may have a plain load see the same old value for ever.
            let held = !cfg!(loom) && self.held.load(Ordering::Relaxed);
            if !held && !self.held.swap(true, Ordering::Acquire) {
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
        self.lock.held.store(false, Ordering::Release);
    }
}

/// Waits for something that another running thread is about to do: spins, then yields, then sleeps, each bounded.
#[derive(Debug)]
pub(crate) struct Backoff {
    step: u32,
}

impl Backoff {
    /// Doubling spins up to 2^6 pauses each: about 4 us in all.
    #[cfg(not(loom))]
    const SPINS: u32 = 7;
    /// Then this many times the processor is offered to another thread.
    #[cfg(not(loom))]
    const YIELDS: u32 = 8;

    pub(crate) fn new() -> Self {
        Backoff { step: 0 }
    }

    pub(crate) fn pause(&mut self) {
        #[cfg(loom)]
        crate::primitives::thread::yield_now();
        #[cfg(not(loom))]
        if self.step < Self::SPINS {
            for _ in 0..1u32 << self.step {
                crate::primitives::hint::spin_loop();
            }
        } else if self.step < Self::SPINS + Self::YIELDS {
            std::thread::yield_now();
        } else {
            let doublings = (self.step - Self::SPINS - Self::YIELDS).min(5);
            std::thread::sleep(std::time::Duration::from_micros(20 << doublings));
        }
        self.step = self.step.saturating_add(1);
    }
}
