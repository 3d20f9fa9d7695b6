//! `Group`: goroutines that work on one thing, and the first error of theirs (Go's `golang.org/x/sync/errgroup`).

use super::{Semaphore, WaitGroup};
use crate::{CancelFunc, Context, lock::SpinLock, sched, wait};
use std::{
    any::Any,
    fmt, mem,
    panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Goroutines that work on parts of one task: waits for all, tells the first error, and can have that end the others.
///
/// # Panics in them
/// The first panic is what [`wait`](Self::wait) panics with, once all have ended, and it cancels as an error does. If nobody
/// waits, it has been told where it happened, and no more.
///
/// # A shutdown
/// A function that a shutdown of its runtime unwinds, or keeps from starting, has not been done. This is no error of its own, but
/// `wait` must not say that all went well: unless there is an error or a panic to tell, it panics and says why. (If the caller's runtime
/// is shutting down as well, the caller is unwound.)
///
/// # Dropping
/// Goroutines of a group that is dropped go on. Its context ends with the last of them.
///
/// # Examples
/// ```
/// use rendez::sync::Group;
/// let group = Group::new();
/// for i in 1..=3 {
///     group.go(move || if i == 2 { Err(format!("no {i}")) } else { Ok(()) });
/// }
/// assert_eq!(group.wait(), Err("no 2".to_string()));
/// ```
#[doc(alias("errgroup", "JoinSet"))]
pub struct Group<E> {
    inner: Arc<Inner<E>>,
}

struct Inner<E> {
    all: WaitGroup,
    running: AtomicUsize,
    /// `None`: as many as there are.
    limit: SpinLock<Option<Arc<Limit>>>,
    first: SpinLock<First<E>>,
    cancel: Option<CancelFunc>,
}

struct First<E> {
    error: Option<E>,
    panic: Option<Box<dyn Any + Send>>,
    /// A function has been cut short, or not been run.
    is_undone: bool,
}

struct Limit {
    most: usize,
    places: Semaphore,
}

/// Clones are the same group: for members that start others.
impl<E> Clone for Group<E> {
    fn clone(&self) -> Self {
        Group { inner: self.inner.clone() }
    }
}

impl<E> UnwindSafe for Group<E> {}
impl<E> RefUnwindSafe for Group<E> {}

impl<E> Group<E> {
    /// A group of nobody yet.
    #[track_caller]
    pub fn new() -> Group<E> {
        Group::make(None)
    }

    /// A group, and a context made from `ctx` that ends with the first error or panic of a goroutine, or when
    /// [`wait`](Self::wait) returns. (Its cause is not the error, as in Go: an `E` need not be one that can be shared.)
    ///
    /// # Examples
    /// ```
    /// use rendez::{Context, sync::Group};
    /// let (group, ctx) = Group::with_context(&Context::background());
    /// group.go(|| Err("broken"));
    /// group.go(move || {
    ///     _ = ctx.done().recv(); // would wait for ever without the error
    ///     Ok(())
    /// });
    /// assert_eq!(group.wait(), Err("broken"));
    /// ```
    #[track_caller]
    pub fn with_context(ctx: &Context) -> (Group<E>, Context) {
        let (ctx, cancel) = ctx.with_cancel();
        (Group::make(Some(cancel)), ctx)
    }

    /// Reports say that its wait group was made where the caller is, not in here.
    #[track_caller]
    fn make(cancel: Option<CancelFunc>) -> Group<E> {
        Group {
            inner: Arc::new(Inner {
                all: WaitGroup::new(),
                running: AtomicUsize::new(0),
                limit: SpinLock::new(None),
                first: SpinLock::new(First { error: None, panic: None, is_undone: false }),
                cancel,
            }),
        }
    }

    /// From now on no more than `most` at a time: [`go`](Self::go) waits for a place. (A number that no [`Semaphore`] can have is no
    /// limit, as a negative one is in Go.)
    ///
    /// # Panics
    /// While goroutines of the group are running: `errgroup: modify limit while N goroutines in the group are still active`.
    #[track_caller]
    pub fn limit(&self, most: usize) {
        crate::wait::point();
        let mut limit = self.inner.limit.lock();
        let running = self.inner.running.load(Ordering::SeqCst);
        if running != 0 {
            drop(limit);
            panic!("errgroup: modify limit while {running} goroutines in the group are still active");
        }
        // Not by a closure, whose caller would be the standard library: reports say where the places were made.
        *limit = if most <= Semaphore::MOST {
            Some(Arc::new(Limit { most, places: Semaphore::new(most) }))
        } else {
            None
        };
    }
}

impl<E: Send + 'static> Group<E> {
    /// Runs `f` on a goroutine of its own.
    ///
    /// # Panics
    /// If the limit is zero: it would wait for ever. If there is no runtime, and the global one can't be started.
    ///
    /// # Blocking
    /// While as many are running as the [limit](Self::limit) allows. A task awaits [`go_async`](Self::go_async).
    ///
    /// # Cancellation
    /// A runtime's shutdown unwinds a goroutine that waits for a place.
    #[track_caller]
    pub fn go<F>(&self, f: F)
    where
        F: FnOnce() -> Result<(), E> + Send + 'static,
    {
        let place = Place::of(&self.inner);
        place.require_any();
        if let Some(limit) = &place.limit {
            mem::forget(limit.places.acquire(1));
        }
        self.start(place.taken(), f);
    }

    /// As [`go`](Self::go), in an async task.
    ///
    /// # Cancellation
    /// Safe: if the future is dropped while it waits for a place, `f` is dropped.
    ///
    /// # Panics
    /// As [`go`](Self::go).
    pub async fn go_async<F>(&self, f: F)
    where
        F: FnOnce() -> Result<(), E> + Send + 'static,
    {
        let place = Place::of(&self.inner);
        place.require_any();
        if let Some(limit) = &place.limit {
            mem::forget(limit.places.acquire_async(1).await);
        }
        self.start(place.taken(), f);
    }

    /// Runs `f` on a goroutine of its own if there is a place for it now, else drops it and returns `false`.
    ///
    /// # Examples
    /// ```
    /// use rendez::{chan, sync::Group};
    /// let (group, (tx, rx)) = (Group::<()>::new(), chan::bounded::<()>(0));
    /// group.limit(1);
    /// assert!(group.try_go(move || { _ = rx.recv(); Ok(()) }));
    /// assert!(!group.try_go(|| Ok(())));
    /// drop(tx);
    /// group.wait().unwrap();
    /// ```
    #[track_caller]
    pub fn try_go<F>(&self, f: F) -> bool
    where
        F: FnOnce() -> Result<(), E> + Send + 'static,
    {
        let place = Place::of(&self.inner);
        if let Some(limit) = &place.limit {
            match limit.places.try_acquire(1) {
                Some(permit) => mem::forget(permit),
                None => return false,
            }
        }
        self.start(place.taken(), f);
        true
    }

    #[track_caller]
    fn start<F>(&self, place: Place<E>, f: F)
    where
        F: FnOnce() -> Result<(), E> + Send + 'static,
    {
        self.inner.all.add(1);
        // Counts it done when it has ended, or will never run.
        let member = Member { inner: place.inner.clone(), place: Some(place), is_done: false };
        drop(crate::go(move || {
            let mut member = member;
            match catch_unwind(AssertUnwindSafe(f)) {
                Ok(Ok(())) => member.is_done = true,
                Ok(Err(error)) => {
                    member.is_done = true;
                    member.inner.fail(error, |first| &mut first.error);
                }
                Err(payload) => {
                    crate::task::forget_unwound_frames();
                    if payload.is::<crate::task::ForcedUnwind>() {
                        // The shutdown of its runtime, which is no failure of `f`.
                        resume_unwind(payload);
                    }
                    member.is_done = true;
                    member.inner.fail(payload, |first| &mut first.panic);
                }
            }
        }));
    }

    /// Waits until all have ended, and gives the first error.
    ///
    /// # Panics
    /// With the payload of the first panic in one of them. If the [shutdown](Self#a-shutdown) of its runtime ended one of them, and none has
    /// failed.
    ///
    /// # Blocking
    /// Parks the goroutine, or the OS thread. A task awaits [`wait_async`](Self::wait_async).
    ///
    /// # Errors
    /// The first error that one of the functions returned.
    ///
    /// # Cancellation
    /// A runtime's shutdown unwinds a parked goroutine.
    pub fn wait(self) -> Result<(), E> {
        self.inner.all.wait();
        self.result()
    }

    /// As [`wait`](Self::wait), in an async task.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    ///
    /// # Panics
    /// As [`wait`](Self::wait).
    ///
    /// # Cancellation
    /// Safe: the goroutines of a future that is dropped go on.
    pub async fn wait_async(self) -> Result<(), E> {
        self.inner.all.wait_async().await;
        self.result()
    }

    fn result(self) -> Result<(), E> {
        self.inner.cancel();
        let mut first = self.inner.first.lock();
        let (panic, error, is_undone) = (first.panic.take(), first.error.take(), first.is_undone);
        drop(first);
        match (panic, error) {
            (Some(payload), _) => resume_unwind(payload),
            (None, Some(error)) => Err(error),
            // (Who unwinds has a reason already.)
            (None, None) if is_undone && !sched::is_unwinding() => {
                if sched::is_ending() {
                    wait::unwind_cancelled();
                }
                panic!("sync: a goroutine of this Group was ended by the shutdown of its runtime")
            }
            (None, _) => Ok(()),
        }
    }
}

impl<E> Inner<E> {
    fn cancel(&self) {
        if let Some(cancel) = &self.cancel {
            cancel.cancel();
        }
    }

    /// Keeps a failure, if it is the first of its kind.
    fn fail<F>(&self, failure: F, slot: impl FnOnce(&mut First<E>) -> &mut Option<F>) {
        let mut first = self.first.lock();
        let slot = slot(&mut first);
        let late = match slot {
            Some(_) => Some(failure),
            None => slot.replace(failure),
        };
        drop(first);
        self.cancel();
        drop(late);
    }
}

/// A place in a group: one of those that the limit leaves, once it is taken.
struct Place<E> {
    inner: Arc<Inner<E>>,
    limit: Option<Arc<Limit>>,
    taken: bool,
}

impl<E> Place<E> {
    fn of(inner: &Arc<Inner<E>>) -> Place<E> {
        crate::wait::point();
        let limit = inner.limit.lock();
        // Before the lock goes: whoever sets a limit sees it.
        inner.running.fetch_add(1, Ordering::SeqCst);
        Place { inner: inner.clone(), limit: limit.clone(), taken: false }
    }

    #[track_caller]
    fn require_any(&self) {
        if self.limit.as_ref().is_some_and(|limit| limit.most == 0) {
            panic!("sync: the limit of this Group is zero, so nothing can be started in it");
        }
    }

    fn taken(mut self) -> Place<E> {
        self.taken = true;
        self
    }
}

impl<E> Drop for Place<E> {
    fn drop(&mut self) {
        if let Some(limit) = self.limit.as_ref().filter(|_| self.taken) {
            limit.places.release(1);
        }
        self.inner.running.fetch_sub(1, Ordering::SeqCst);
    }
}

/// One goroutine of a group.
struct Member<E> {
    /// There until it is dropped.
    place: Option<Place<E>>,
    inner: Arc<Inner<E>>,
    /// Its function has returned or panicked.
    is_done: bool,
}

impl<E> Drop for Member<E> {
    fn drop(&mut self) {
        if !self.is_done {
            self.inner.first.lock().is_undone = true;
            self.inner.cancel();
        }
        // Before it is counted done, so that whoever has waited finds the place free.
        self.place = None;
        self.inner.all.done();
    }
}

impl<E: Send + 'static> Default for Group<E> {
    #[track_caller]
    fn default() -> Self {
        Self::new()
    }
}

impl<E> fmt::Debug for Group<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group")
            .field("running", &self.inner.running.load(Ordering::Relaxed))
            .finish_non_exhaustive()
    }
}
