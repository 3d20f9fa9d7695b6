//! `Once`: a function that is called once, however many callers there are (Go's `sync/once.go`).
//!
//! # Protocol
//!
//! | word | meaning | who may leave it, and to what |
//! | --- | --- | --- |
//! | `NEW` | nobody has called | any caller, by compare-exchange, to its own number; it then runs its function |
//! | a number | the caller of that number runs its function | it, to `DONE`, when the function returns or unwinds |
//! | `DONE` | over | nobody |
//!
//! The word turns `DONE` under the lock of the queue, and a waiter is queued under the same lock only while the word is
//! not `DONE`: so it either is found in the queue or sees that there is nothing to wait for. Nobody is queued once the
//! word is `DONE`, so the waiters may be woken in batches between which the lock is left.
//!
//! A caller that finds its own number would wait for itself, and panics instead. The number is compared by the one
//! goroutine or thread that may have written it, so no order between threads is asked of that.

use super::caller::{self, caller};
use crate::{
    lock::SpinLock,
    primitives::atomic::{AtomicU64, Ordering},
    select::{Event, Occurrence, Occurs, park},
    wait::{End, Node, Reason, Status, Tells, Thing, WaitQueue, WakeBatch},
};
use std::{
    fmt,
    panic::{RefUnwindSafe, UnwindSafe},
};

const NEW: u64 = 0;
const DONE: u64 = 1;
const _: () = assert!(DONE < caller::FIRST);

/// Calls a function once. Whoever calls meanwhile waits for it; whoever calls later returns at once, after one load.
///
/// It is the calls that are counted, not the functions: of two different functions only the first is called. For a value that
/// is made once, see [`OnceValue`](super::OnceValue).
///
/// `&Once` is an [`Event`] that happens when the call has ended.
///
/// # Examples
/// ```
/// use rendez::sync::{Once, WaitGroup};
/// use std::sync::atomic::{AtomicU32, Ordering};
///
/// static ONCE: Once = Once::new();
/// static COUNT: AtomicU32 = AtomicU32::new(0);
///
/// let group = WaitGroup::new();
/// for _ in 0..100 {
///     group.go(|| ONCE.call_once(|| _ = COUNT.fetch_add(1, Ordering::Relaxed)));
/// }
/// group.wait();
/// assert_eq!(COUNT.load(Ordering::Relaxed), 1);
/// ```
pub struct Once {
    word: AtomicU64,
    waiters: SpinLock<WaitQueue>,
}

// A panic leaves the word and the queue as they were or wholly changed, and no user code runs under the lock.
impl UnwindSafe for Once {}
impl RefUnwindSafe for Once {}

/// Ends the call, also when it unwinds.
struct Completion<'a>(&'a Once);

impl Drop for Completion<'_> {
    fn drop(&mut self) {
        self.0.complete();
    }
}

#[cold]
#[track_caller]
fn recursion(what: &str) -> ! {
    panic!("sync: {what} is used by its own function, which would wait for itself")
}

impl Once {
    /// One that has not been called.
    #[cfg(not(loom))]
    pub const fn new() -> Once {
        Once { word: AtomicU64::new(NEW), waiters: SpinLock::new(WaitQueue::new()) }
    }

    /// One that has not been called.
    #[cfg(loom)]
    pub fn new() -> Once {
        Once { word: AtomicU64::new(NEW), waiters: SpinLock::new(WaitQueue::new()) }
    }

    /// Calls `f` if this is the first call, else waits until the first call has ended. Either way, what the first call did is
    /// seen afterwards.
    ///
    /// A call that panics has ended: the panic goes on in its caller, everybody else returns, and `f` is not called again
    /// (Go's rule; the standard library's `Once` is poisoned instead). So has one that is unwound by a shutdown.
    ///
    /// # Panics
    /// If `f` calls it again, on the same goroutine, thread or poll of a task, instead of waiting for itself for ever.
    ///
    /// # Blocking
    /// Parks the goroutine, or the OS thread, while another caller's function runs. A task can await
    /// [`wait_async`](Self::wait_async).
    ///
    /// # Cancellation
    /// A runtime's shutdown unwinds a parked goroutine.
    #[inline]
    #[track_caller]
    pub fn call_once<F: FnOnce()>(&self, f: F) {
        if !self.is_done() {
            self.call("Once", f);
        }
    }

    #[cold]
    #[track_caller]
    pub(super) fn call<F: FnOnce()>(&self, what: &str, f: F) {
        crate::wait::point();
        let me = caller();
        match self.word.compare_exchange(NEW, me, Ordering::Acquire, Ordering::Acquire) {
            Ok(_) => {
                let _completion = Completion(self);
                f();
            }
            Err(DONE) => {}
            Err(runner) if runner == me => recursion(what),
            Err(_) => self.park(Reason::Once),
        }
    }

    /// Whether the call has ended. If so, what it did is seen.
    #[inline]
    pub fn is_completed(&self) -> bool {
        // (Once it has ended it stays so: then nobody can come between.)
        self.is_done() || {
            crate::wait::point();
            self.is_done()
        }
    }

    #[inline]
    fn is_done(&self) -> bool {
        self.word.load(Ordering::Acquire) == DONE
    }

    /// Waits until somebody's call has ended.
    ///
    /// # Panics
    /// If the function that is called waits for its own end.
    ///
    /// # Blocking
    /// Parks the goroutine, or the OS thread.
    ///
    /// # Cancellation
    /// A runtime's shutdown unwinds a parked goroutine.
    ///
    /// # Examples
    /// ```
    /// use rendez::{go, sync::Once};
    /// static READY: Once = Once::new();
    /// go(|| READY.call_once(|| println!("ready")));
    /// READY.wait();
    /// assert!(READY.is_completed());
    /// ```
    #[track_caller]
    pub fn wait(&self) {
        match self.word.load(Ordering::Acquire) {
            DONE => {}
            runner if runner == caller() => recursion("Once"),
            _ => self.park(Reason::Once),
        }
    }

    /// Waits, in an async task, until somebody's call has ended.
    ///
    /// # Cancellation
    /// Safe: dropping the future has no effect.
    #[cfg(not(loom))]
    pub fn wait_async(&self) -> crate::select::EventFuture<Occurrence<'_>> {
        Event::wait_async(self)
    }

    pub(super) fn park(&self, reason: Reason) {
        park(self, reason);
    }

    pub(super) fn complete(&self) {
        crate::wait::point();
        let mut wakeups = WakeBatch::new();
        let mut waiters = self.waiters.lock();
        self.word.store(DONE, Ordering::Release);
        loop {
            while !wakeups.is_full()
                && let Some(winner) = waiters.pop_winner()
            {
                wakeups.push(winner.complete(Status::Done));
            }
            let more = !waiters.is_empty();
            drop(waiters);
            wakeups.wake_all();
            if !more {
                return;
            }
            waiters = self.waiters.lock();
        }
    }
}

// SAFETY: all of it is made for any thread; waiters are decided under the queue's lock, by `complete`.
unsafe impl Occurs for Once {
    fn has_occurred(&self) -> bool {
        self.is_done()
    }

    unsafe fn queue(&self, node: &Node) -> bool {
        let mut waiters = self.waiters.lock();
        if self.is_done() {
            return false;
        }
        // SAFETY: passed on.
        unsafe { waiters.push(node) };
        true
    }

    unsafe fn leave(&self, node: &Node) {
        // SAFETY: passed on.
        unsafe { self.waiters.lock().remove(node) };
    }
}

impl Tells for Once {
    fn tell(&self, things: &mut Vec<Thing>) {
        let end = match self.word.load(Ordering::Relaxed) {
            NEW | DONE => End::Anybody,
            runner => caller::goroutine(runner).map_or(End::Anybody, End::Caller),
        };
        things.push(Thing::new("a function that is called once", end));
    }
}

impl Default for Once {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Once").field("completed", &self.is_done()).finish_non_exhaustive()
    }
}

/// Happens when the call has ended.
///
/// # Examples
/// ```
/// use rendez::{select, sync::Once};
/// use std::time::Duration;
/// let once = Once::new();
/// let in_time = select! {
///     wait(&once) -> () => true,
///     default(Duration::from_millis(1)) => false,
/// };
/// assert!(!in_time, "nobody has called");
/// ```
impl<'a> Event for &'a Once {
    type Output = ();
    type Operation = Occurrence<'a>;

    fn operation(self) -> Occurrence<'a> {
        Occurrence::of(self)
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use loom::{cell::UnsafeCell, sync::Arc, thread};
    use std::panic::{AssertUnwindSafe, catch_unwind};

    /// What the function writes without any synchronisation of its own: loom tells of a race.
    struct Shared {
        once: Once,
        value: UnsafeCell<u32>,
    }

    impl Shared {
        fn new() -> Arc<Shared> {
            Arc::new(Shared { once: Once::new(), value: UnsafeCell::new(0) })
        }

        fn call(&self) {
            // SAFETY: loom checks it.
            self.once.call_once(|| self.value.with_mut(|value| unsafe { *value += 1 }));
            self.see();
        }

        fn see(&self) {
            // SAFETY: loom checks it.
            assert_eq!(self.value.with(|value| unsafe { *value }), 1);
        }
    }

    // SAFETY: that it is so is what the models check.
    unsafe impl Sync for Shared {}

    #[test]
    fn every_caller_returns_after_the_one_call() {
        loom::model(|| {
            let shared = Shared::new();
            let others: Vec<_> = (0..2)
                .map(|_| {
                    let shared = shared.clone();
                    thread::spawn(move || shared.call())
                })
                .collect();
            shared.call();
            others.into_iter().for_each(|other| other.join().unwrap());
        });
    }

    #[test]
    fn who_waits_goes_on_after_the_call() {
        loom::model(|| {
            let shared = Shared::new();
            let waits = thread::spawn({
                let shared = shared.clone();
                move || {
                    shared.once.wait();
                    shared.see();
                }
            });
            let chooses = thread::spawn({
                let shared = shared.clone();
                move || {
                    Event::wait(&shared.once);
                    shared.see();
                }
            });
            shared.call();
            waits.join().unwrap();
            chooses.join().unwrap();
        });
    }

    #[test]
    fn who_gives_up_leaves_the_queue() {
        loom::model(|| {
            let shared = Shared::new();
            let other = thread::spawn({
                let shared = shared.clone();
                move || {
                    if (&shared.once).wait_timeout(std::time::Duration::from_secs(1)).is_some() {
                        shared.see();
                    }
                }
            });
            shared.call();
            other.join().unwrap();
        });
    }

    #[test]
    fn a_panic_ends_the_call_for_all() {
        loom::model(|| {
            let once = Arc::new(Once::new());
            let other = thread::spawn({
                let once = once.clone();
                move || {
                    let call = || once.call_once(|| std::panic::resume_unwind(Box::new(())));
                    catch_unwind(AssertUnwindSafe(call)).is_err()
                }
            });
            let call = || once.call_once(|| std::panic::resume_unwind(Box::new(())));
            let panicked = catch_unwind(AssertUnwindSafe(call)).is_err();
            assert!(panicked != other.join().unwrap(), "one of the two");
            assert!(once.is_completed());
        });
    }
}
