//! Goroutines that borrow: `scope`, as `std::thread::scope`.
//!
//! Soundness rests on one thing: `scope` does not return, nor unwind out of its frame, before every goroutine started in
//! it has dropped its closure and its result has been stored or dropped. Each child carries a [`Running`] guard that is
//! dropped last; `scope` waits for the count of guards to reach zero also while it unwinds (a panic in `f`, or the
//! runtime's shutdown, which ends the children too).

use super::{
    join::{JoinError, RawHandle, describe},
    spawn,
};
use crate::{
    sync::WaitGroup,
    wait::{End, Tells, Thing, word_of_arc},
};
use std::{
    any::Any,
    fmt,
    marker::PhantomData,
    panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

/// Starts goroutines that may borrow from outside the [`scope`].
pub struct Scope<'scope, 'env: 'scope> {
    state: Arc<State>,
    /// Invariant in both lifetimes, as in `std::thread::Scope`.
    _scope: PhantomData<&'scope mut &'scope ()>,
    _env: PhantomData<&'env mut &'env ()>,
}

#[derive(Default)]
struct State {
    running: WaitGroup,
    /// The first panic of a child whose handle was dropped or never joined.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    /// Panics that no `join` has taken, also where the handle was forgotten and the payload with it.
    untaken: AtomicUsize,
    /// A child was ended, or never started, by a shutdown: what it should have done is not done.
    cancelled: AtomicBool,
}

/// Counts a child until it, its closure and its result in the making are gone.
struct Running {
    state: Arc<State>,
    completed: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.state.cancelled.fetch_or(!self.completed, Ordering::Relaxed);
        self.state.running.child_done();
    }
}

/// Runs `f` with a [`Scope`] whose goroutines may borrow what lives outside, and waits for them all.
///
/// # Panics
/// If `f` panics, or a goroutine of the scope panics that was not joined, the panic goes on here after all the others have
/// ended, with its own payload. If a goroutine of the scope was ended by the shutdown of a runtime that is not the caller's.
///
/// # Blocking
/// Parks the calling goroutine, or OS thread, until every goroutine of the scope has ended.
///
/// # Cancellation
/// When the runtime shuts down, the children are ended first; the scope waits for them even while it unwinds.
///
/// # Examples
/// ```
/// let mut words = vec!["a", "b"];
/// let mut longest = 0;
/// rendez::scope(|s| {
///     s.go(|| longest = words.iter().map(|w| w.len()).max().unwrap());
/// });
/// words.push("c");
/// assert_eq!(longest, 1);
/// ```
pub fn scope<'env, F, R>(f: F) -> R
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> R,
{
    /// Waits for the children however the scope is left.
    struct WaitForAll<'a>(&'a State);
    impl Drop for WaitForAll<'_> {
        fn drop(&mut self) {
            self.0.running.wait_for_children(self.0);
        }
    }
    let scope = Scope { state: Arc::default(), _scope: PhantomData, _env: PhantomData };
    let state = scope.state.clone();
    let result = {
        let _wait = WaitForAll(&state);
        catch_unwind(AssertUnwindSafe(|| f(&scope)))
    };
    match result {
        Err(payload) => resume_unwind(payload),
        Ok(result) => {
            let payload = state.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(payload) = payload {
                resume_unwind(payload);
            }
            assert!(state.untaken.load(Ordering::Relaxed) == 0, "a goroutine of the scope panicked");
            if state.cancelled.load(Ordering::Relaxed) && !crate::sched::is_unwinding() {
                if crate::sched::is_ending() {
                    super::unwind();
                }
                // It was another runtime's shutdown: whoever is here has to be told.
                panic!("rendez: a goroutine of the scope was ended by the shutdown of its runtime");
            }
            result
        }
    }
}

impl Tells for State {
    fn tell(&self, things: &mut Vec<Thing>) {
        let end = End::Children { count: self.running.count(), word: word_of_arc(self) };
        things.push(Thing::new("the goroutines of its scope", end));
    }
}

impl State {
    /// Keeps the first panic for the end of the scope.
    fn keep(&self, payload: Box<dyn Any + Send>) {
        let mut first = self.panic.lock().unwrap_or_else(PoisonError::into_inner);
        if first.is_none() {
            *first = Some(payload);
        } else {
            drop(first);
            if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
                std::mem::forget(again);
            }
        }
    }
}

impl<'scope> Scope<'scope, '_> {
    /// Starts `f` on a new goroutine, which may borrow whatever outlives the scope.
    ///
    /// # Panics
    /// A panic in `f` comes out of [`ScopedJoinHandle::join`], or else out of [`scope`].
    #[track_caller]
    pub fn go<F, R>(&'scope self, f: F) -> ScopedJoinHandle<'scope, R>
    where
        F: FnOnce() -> R + Send + 'scope,
        R: Send + 'scope,
    {
        self.state.running.add_child();
        let slot = Arc::new(Slot { result: Mutex::new(None), state: self.state.clone() });
        let child =
            Child { f, slot: slot.clone(), running: Running { state: self.state.clone(), completed: false } };
        // SAFETY: what the closure borrows outlives `'scope`, and `scope` waits until `Running` is dropped, which is
        // after the closure and everything that it owned. The task's own result is `()`.
        let task = unsafe { spawn::start(move || child.run(), None) };
        ScopedJoinHandle { task, slot, _scope: PhantomData }
    }
}

/// Where a child leaves its result. It is emptied before the child is counted as ended unless the handle still exists,
/// and the handle can't outlive the scope.
struct Slot<R> {
    result: Mutex<Option<Result<R, Box<dyn Any + Send>>>>,
    state: Arc<State>,
}

struct Child<F, R> {
    f: F,
    slot: Arc<Slot<R>>,
    /// The last field: dropped last if the child is dropped unstarted.
    running: Running,
}

impl<F: FnOnce() -> R, R> Child<F, R> {
    fn run(self) {
        let Child { f, slot, running } = self;
        // Dropped last, whatever unwinds.
        let mut running = running;
        let result = catch_unwind(AssertUnwindSafe(f));
        running.completed = !matches!(&result, Err(payload) if payload.is::<super::ForcedUnwind>());
        match result {
            Ok(value) => slot.put(Ok(value)),
            // A shutdown is not a panic: it goes on to the task's own boundary.
            Err(payload) if payload.is::<super::ForcedUnwind>() => {
                drop(slot);
                resume_unwind(payload)
            }
            Err(payload) => slot.put(Err(payload)),
        }
    }
}

impl<R> Slot<R> {
    /// Stores the result; drops it at once, on this side, if the handle has gone.
    fn put(self: Arc<Self>, result: Result<R, Box<dyn Any + Send>>) {
        if result.is_err() {
            self.state.untaken.fetch_add(1, Ordering::Relaxed);
        }
        *self.result.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        // If the handle has gone, this is the last reference and the slot's own drop tells the scope of a panic.
        let state = self.state.clone();
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(self)))
            // (A destructor of the result that waited when the runtime shut down: nothing went wrong.)
            && !payload.is::<super::ForcedUnwind>()
        {
            state.keep(payload);
        }
    }
}

impl<R> Drop for Slot<R> {
    fn drop(&mut self) {
        let result = self.result.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Err(payload)) = result {
            self.state.keep(payload);
        }
    }
}

/// The handle of a goroutine of a [`Scope`].
pub struct ScopedJoinHandle<'scope, R> {
    task: RawHandle<()>,
    slot: Arc<Slot<R>>,
    _scope: PhantomData<&'scope ()>,
}

// As a `JoinHandle`: the slot is under a mutex whose poisoning is ignored on purpose.
impl<R> UnwindSafe for ScopedJoinHandle<'_, R> {}
impl<R> RefUnwindSafe for ScopedJoinHandle<'_, R> {}
// SAFETY: as for `JoinHandle`: it moves an `R` from another thread, and the rest is made for sharing.
unsafe impl<R: Send> Send for ScopedJoinHandle<'_, R> {}
// SAFETY: a shared handle only waits and reads the state word and the number.
unsafe impl<R: Send> Sync for ScopedJoinHandle<'_, R> {}

impl<R> ScopedJoinHandle<'_, R> {
    pub(super) fn header(&self) -> &super::Header {
        self.task.header()
    }

    /// Waits for the goroutine to end.
    ///
    /// # Errors
    /// [`JoinError`] if it panicked (the scope then does not panic on its account), or was cancelled because its runtime
    /// shut down.
    ///
    /// # Blocking
    /// Parks the calling goroutine, or OS thread.
    pub fn join(self) -> Result<R, JoinError> {
        let id = self.task.id();
        self.task.join()?;
        let result = self.slot.result.lock().unwrap_or_else(PoisonError::into_inner).take();
        match result.expect("a goroutine that ended has left its result") {
            Ok(value) => Ok(value),
            Err(payload) => {
                self.slot.state.untaken.fetch_sub(1, Ordering::Relaxed);
                Err(JoinError::of_panic(id, payload))
            }
        }
    }

    /// Whether the goroutine has ended.
    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }

    /// The goroutine's number, unique in the process.
    pub fn id(&self) -> u64 {
        self.task.id()
    }
}

impl<R> fmt::Debug for ScopedJoinHandle<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        describe("ScopedJoinHandle", &self.task, f)
    }
}

impl fmt::Debug for Scope<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("running", &self.state.running).finish_non_exhaustive()
    }
}
