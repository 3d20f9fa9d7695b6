//! One facade over the standard library's atomics, cells and threads, swapped for loom's under `--cfg loom`.
//!
//! The modules that hold a lock-free protocol (`wait`, `chan`, `sync`, the inbox and the sleep word of `sched`) use
//! only what is here, so that loom sees every access that another thread could race with.

#[cfg(all(loom, test))]
pub(crate) use loom::sync::Arc;
#[cfg(loom)]
pub(crate) use loom::sync::atomic;
/// The same atomics, for protocols that need the one order of all sequentially consistent accesses.
#[cfg(not(loom))]
pub(crate) use std::sync::{Condvar, Mutex, atomic as total_order};
#[cfg(not(loom))]
pub(crate) use std::{hint, sync::atomic, thread};

/// Has the processor fetch a line that will be wanted soon.
#[inline(always)]
pub(crate) fn prefetch<T>(at: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint, which may be given for any address.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(at.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

/// The same, to be written: who only reads a line first that another processor has just written to asks for it twice, for a copy and
/// then for the line itself.
#[inline(always)]
pub(crate) fn prefetch_to_write<T>(at: *const T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: a hint, which may be given for any address, and which processors of before 2014 take for nothing.
    unsafe {
        std::arch::asm!("prefetchw byte ptr [{}]", in(reg) at, options(nostack, preserves_flags));
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = at;
}

/// Says that one seldom comes here, for the compiler to lay out what follows apart: what runs most often runs straight on. (Each jump that is
/// taken ends what a processor fetches of the code at a time, and in a hand-over there are more of these than of anything else.)
#[cold]
#[inline]
pub(crate) fn seldom() {}

/// Says that it is seldom so: see [`seldom`].
#[inline(always)]
pub(crate) fn rarely(so: bool) -> bool {
    if so {
        seldom();
    }
    so
}

/// Of a cache.
pub(crate) const LINE: usize = 64;

/// Has the processor fetch all lines of a value; null is as good.
#[inline(always)]
pub(crate) fn prefetch_whole<T>(value: *const T) {
    for at in (0..size_of::<T>()).step_by(LINE) {
        prefetch(value.cast::<u8>().wrapping_add(at));
    }
}

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

/// loom takes sequentially consistent accesses for acquire-release ones, and would report what their one order forbids: a
/// load that sees an old value; a store that comes, in the word's own order, between what an exchange read and what it
/// wrote. An exchange meets the newest value, so here one that fails stands in for such loads, and one that can't fail for
/// such stores. They order no other accesses, as fences would: where one is missing beside them, loom still finds it.
#[cfg(all(loom, test))]
pub(crate) mod total_order {
    pub(crate) use loom::sync::atomic::{Ordering, fence};
    use std::ptr;

    const NOBODYS: u32 = u32::MAX;

    #[derive(Debug)]
    pub(crate) struct AtomicU32(loom::sync::atomic::AtomicU32);

    impl AtomicU32 {
        pub(crate) fn new(value: u32) -> Self {
            AtomicU32(loom::sync::atomic::AtomicU32::new(value))
        }

        pub(crate) fn load(&self, order: Ordering) -> u32 {
            match order {
                Ordering::SeqCst => match self.0.compare_exchange(NOBODYS, NOBODYS, order, Ordering::Acquire)
                {
                    Ok(_) => unreachable!("no protocol has this value"),
                    Err(newest) => newest,
                },
                _ => self.0.load(order),
            }
        }

        pub(crate) fn store(&self, value: u32, order: Ordering) {
            match order {
                Ordering::SeqCst => _ = self.0.swap(value, Ordering::Release),
                _ => self.0.store(value, order),
            }
        }
    }

    impl std::ops::Deref for AtomicU32 {
        type Target = loom::sync::atomic::AtomicU32;

        fn deref(&self) -> &Self::Target {
            &self.0
        }
    }

    #[derive(Debug)]
    pub(crate) struct AtomicPtr<T>(loom::sync::atomic::AtomicPtr<T>);

    impl<T> AtomicPtr<T> {
        pub(crate) fn new(pointer: *mut T) -> Self {
            AtomicPtr(loom::sync::atomic::AtomicPtr::new(pointer))
        }

        pub(crate) fn load(&self, order: Ordering) -> *mut T {
            let nobodys = ptr::without_provenance_mut(NOBODYS as usize);
            match order {
                Ordering::SeqCst => match self.0.compare_exchange(nobodys, nobodys, order, Ordering::Acquire)
                {
                    Ok(_) => unreachable!("no protocol has this value"),
                    Err(newest) => newest,
                },
                _ => self.0.load(order),
            }
        }
    }

    impl<T> std::ops::Deref for AtomicPtr<T> {
        type Target = loom::sync::atomic::AtomicPtr<T>;

        fn deref(&self) -> &Self::Target {
            &self.0
        }
    }
}

#[cfg(all(loom, test))]
pub(crate) use loom::sync::Mutex;

/// loom's condition variable, whose time limits may pass at any moment, whatever they say.
#[cfg(all(loom, test))]
#[derive(Debug)]
pub(crate) struct Condvar(loom::sync::Condvar);

#[cfg(all(loom, test))]
impl Condvar {
    pub(crate) fn new() -> Self {
        Condvar(loom::sync::Condvar::new())
    }

    pub(crate) fn wait<'a, T>(
        &self,
        guard: loom::sync::MutexGuard<'a, T>,
    ) -> loom::sync::LockResult<loom::sync::MutexGuard<'a, T>> {
        self.0.wait(guard)
    }

    /// Leaves the mutex; the others can go on from there, and how far they come before the limit has passed is for loom
    /// to vary.
    pub(crate) fn wait_timeout<T>(&self, guard: loom::sync::MutexGuard<'_, T>, _: std::time::Duration) {
        drop(guard);
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
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
