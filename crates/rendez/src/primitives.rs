//! One facade over the standard library's atomics, cells and threads, swapped for loom's under `--cfg loom`.
//!
//! The modules that hold a lock-free protocol (`wait`, `chan`, `sync`, the inbox and the sleep word of `sched`) use
//! only what is here, so that loom sees every access that another thread could race with.

#[cfg(loom)]
pub(crate) use loom::sync::{Arc, atomic};
#[cfg(not(loom))]
pub(crate) use std::{
    hint,
    sync::{Arc, atomic},
    thread,
};

/// A `Cell` whose accesses loom can check, to be used where other threads read it when they hold a lock.
#[cfg(loom)]
pub(crate) use loom::cell::Cell;
#[cfg(not(loom))]
pub(crate) use std::cell::Cell;

/// An `UnsafeCell` whose accesses loom can check: they go through closures that get the raw pointer.
#[cfg(loom)]
pub(crate) use loom::cell::UnsafeCell;

/// An `UnsafeCell` whose accesses loom can check: they go through closures that get the raw pointer.
#[cfg(not(loom))]
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct UnsafeCell<T: ?Sized>(std::cell::UnsafeCell<T>);

#[cfg(not(loom))]
impl<T> UnsafeCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        UnsafeCell(std::cell::UnsafeCell::new(value))
    }

    #[inline(always)]
    pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get())
    }

    #[inline(always)]
    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}

/// loom's threads with a parking of our own: loom's `unpark` also ends other waits of its thread, such as a `join`.
#[cfg(loom)]
pub(crate) mod thread {
    pub(crate) use loom::thread::yield_now;
    use std::sync::Arc;

    loom::thread_local! {
        static PARKER: Arc<loom::sync::Notify> = Arc::new(loom::sync::Notify::new());
    }

    #[derive(Clone, Debug)]
    pub(crate) struct Thread(Arc<loom::sync::Notify>);

    impl Thread {
        pub(crate) fn unpark(&self) {
            self.0.notify();
        }
    }

    pub(crate) fn current() -> Thread {
        PARKER.with(|parker| Thread(parker.clone()))
    }

    /// May return without an `unpark`, as the real one may: once in each interleaving.
    pub(crate) fn park() {
        PARKER.with(|parker| parker.wait());
    }
}
