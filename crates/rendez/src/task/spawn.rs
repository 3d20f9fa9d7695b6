//! Starting goroutines.

use super::{
    header::{self, PINNED},
    join::{JoinHandle, LocalJoinHandle, RawHandle},
    local::Locals,
};
use crate::{sched, stack::Stack};
use std::{
    cell::Cell,
    io,
    panic::Location,
    ptr,
    sync::atomic::{AtomicPtr, Ordering},
};

/// What only some goroutines have.
#[derive(Default)]
pub(crate) struct Extra {
    pub(crate) name: Option<Box<str>>,
    /// In which round the name was told to a [trace](crate::diag::trace). Touched by its worker while it does not run.
    pub(crate) told: Cell<u32>,
    pub(crate) placement: Placement,
    /// A stack of a size of its own, until the goroutine starts.
    pub(crate) stack: Cell<Option<Stack>>,
    /// The goroutine's own, while it runs.
    pub(super) locals: Locals,
}

/// A place for an [`Extra`], which only the goroutine's maker, before it is queued, and the goroutine itself, while it
/// runs, may fill; once.
pub(crate) struct ExtraCell(AtomicPtr<Extra>);

impl ExtraCell {
    pub(super) fn new(extra: Option<Box<Extra>>) -> Self {
        ExtraCell(AtomicPtr::new(extra.map_or(ptr::null_mut(), Box::into_raw)))
    }

    pub(crate) fn get(&self) -> Option<&Extra> {
        // SAFETY: what is there stays for as long as the cell.
        unsafe { self.0.load(Ordering::Acquire).as_ref() }
    }

    /// # Safety
    /// The caller is the goroutine itself.
    pub(super) unsafe fn get_or_make(&self) -> &Extra {
        if self.get().is_none() {
            // By contract nobody else does so meanwhile.
            self.0.store(Box::into_raw(Box::default()), Ordering::Release);
        }
        self.get().expect("just made")
    }
}

impl Drop for ExtraCell {
    fn drop(&mut self) {
        let extra = *self.0.get_mut();
        if !extra.is_null() {
            // SAFETY: it came from a box, and the cell is the only owner.
            drop(unsafe { Box::from_raw(extra) });
        }
    }
}

/// Where a goroutine starts. A started goroutine stays on its worker, so this decides for its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Placement {
    /// The runtime decides: beside its siblings while that keeps the workers evenly loaded; what is started right after an accept, to serve
    /// the connection, evenly over the workers.
    #[default]
    Auto,
    /// On the spawning worker: for goroutines that talk much and work little.
    Near,
    /// On the worker with the fewest goroutines: for goroutines that work much and talk little. Another one takes it only where that worker
    /// does not come to it for long (some 20 ms).
    Spread,
}

/// Starts `f` on a new goroutine and returns at once.
///
/// Inside a goroutine, the new one belongs to the same runtime; elsewhere, to the global runtime, which starts with the
/// first use. A goroutine that has not started may start on any worker; once started it stays on its OS thread to the end.
///
/// A future is not run by this: `go(|| async { .. })` compiles, and nothing of the block happens, for all that the closure does is to make
/// the future, and return it. [`go_async`](crate::go_async) runs one, and so does [`block_on`](crate::block_on) in the closure.
///
/// # Panics
/// If the global runtime can't be started (threads, memory, a bad `RENDEZ_WORKERS` or `RENDEZ_STACK_SIZE`). A panic in `f`
/// ends the goroutine and comes out of [`JoinHandle::join`]; if the handle has been dropped it is printed.
///
/// # Cancellation
/// When the runtime shuts down, a goroutine that has not started is dropped and one that is parked is unwound. On a
/// runtime that has shut down already nothing starts, and the handle says so.
///
/// # Examples
/// ```
/// let handles: Vec<_> = (0..3).map(|i| rendez::go(move || i * i)).collect();
/// let squares: Vec<i32> = handles.into_iter().map(|handle| handle.join().unwrap()).collect();
/// assert_eq!(squares, [0, 1, 4]);
/// ```
#[doc(alias("spawn"))]
#[track_caller]
pub fn go<F, R>(f: F) -> JoinHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    // SAFETY: closure and result are `Send` and `'static`.
    JoinHandle(unsafe { start(f, None) })
}

/// As [`go`], for closures that borrow or that the caller answers for otherwise.
///
/// # Safety
/// The closure, its captures and its result may be used and dropped on another thread until the task has completed (and,
/// for the result, the handle is gone).
#[track_caller]
pub(super) unsafe fn start<F, R>(f: F, extra: Option<Box<Extra>>) -> RawHandle<R>
where
    F: FnOnce() -> R,
{
    // First, since it may panic: then `f` is dropped, and what it carries with it.
    sched::require_runtime();
    let header = header::allocate::<F, R>(f, sched::next_id(), Location::caller(), extra, 0);
    sched::spawn(header);
    // SAFETY: the handle's reference of a task that returns `R`.
    unsafe { RawHandle::new(header) }
}

/// As [`go`], on a given runtime.
#[track_caller]
pub(crate) fn start_on<F, R>(runtime: &sched::Shared, f: F) -> JoinHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    let header = header::allocate::<F, R>(f, sched::next_id(), Location::caller(), None, 0);
    sched::spawn_on(runtime, header);
    // SAFETY: the handle's reference of a task that returns `R`.
    JoinHandle(unsafe { RawHandle::new(header) })
}

/// Starts `f` on a new goroutine of `runtime` that nobody will join; `site` is where reports say that it was created.
pub(crate) fn start_detached<F>(runtime: &sched::Shared, site: &'static Location<'static>, f: F)
where
    F: FnOnce() + Send + 'static,
{
    let header = header::allocate::<F, ()>(f, sched::next_id(), site, None, 0);
    sched::spawn_on(runtime, header);
    // SAFETY: the handle's reference of a task that returns nothing.
    drop(JoinHandle(unsafe { RawHandle::<()>::new(header) }));
}

/// Starts `f` on a new goroutine beside its parent, on the same worker, which is why nothing needs to be `Send`.
///
/// # Panics
/// Outside a goroutine: there is no worker to stay on.
///
/// # Examples
/// ```
/// use std::{cell::Cell, rc::Rc};
/// rendez::run(|| {
///     let count = Rc::new(Cell::new(0));
///     let theirs = count.clone();
///     rendez::go_local(move || theirs.set(5)).join().unwrap();
///     assert_eq!(count.get(), 5);
/// });
/// ```
#[track_caller]
pub fn go_local<F, R>(f: F) -> LocalJoinHandle<R>
where
    F: FnOnce() -> R + 'static,
    R: 'static,
{
    assert!(
        sched::current_goroutine().is_some(),
        "go_local called outside a goroutine: there is no worker to stay on; use rendez::go, or call it inside rendez::run"
    );
    let header = header::allocate::<F, R>(f, sched::next_id(), Location::caller(), None, PINNED);
    sched::spawn(header);
    // SAFETY: the handle's reference of a task that returns `R`. It can't leave this thread, and the task is pinned to it.
    LocalJoinHandle(unsafe { RawHandle::new(header) })
}

/// Starts a goroutine with a name, a stack size or a placement of its own.
///
/// # Examples
/// ```
/// use rendez::{Builder, Placement};
/// let handle = Builder::new()
///     .name("printer")
///     .stack_size(1 << 20)
///     .placement(Placement::Spread)
///     .spawn(|| "done")?;
/// assert_eq!(handle.join().unwrap(), "done");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until `spawn`"]
pub struct Builder {
    name: Option<String>,
    stack_size: Option<usize>,
    placement: Placement,
}

impl Builder {
    /// A builder with the defaults of [`go`].
    pub fn new() -> Self {
        Self::default()
    }

    /// The goroutine's name, for reports.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The size of the goroutine's stack in bytes of address space, rounded up to whole pages; memory is used only as far
    /// as the stack is. From 16 KiB to 1 GiB.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    /// Where the goroutine starts.
    pub fn placement(mut self, placement: Placement) -> Self {
        self.placement = placement;
        self
    }

    /// Starts `f`; otherwise as [`go`].
    ///
    /// # Errors
    /// If the stack size is out of range ([`io::ErrorKind::InvalidInput`]), or a stack of that size can't be had.
    ///
    /// # Panics
    /// As [`go`].
    #[track_caller]
    pub fn spawn<F, R>(self, f: F) -> io::Result<JoinHandle<R>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let stack = match self.stack_size {
            None => None,
            Some(size) => Some(crate::stack::pool(size)?.allocate()?),
        };
        let extra = Extra {
            name: self.name.map(String::into_boxed_str),
            told: Cell::new(0),
            placement: self.placement,
            stack: Cell::new(stack),
            locals: Locals::default(),
        };
        // SAFETY: closure and result are `Send` and `'static`.
        Ok(JoinHandle(unsafe { start(f, Some(Box::new(extra))) }))
    }
}
