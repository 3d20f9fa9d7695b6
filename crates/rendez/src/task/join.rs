//! Handles: waiting for a goroutine and taking what it returned.

use super::header::{self, Header};
use crate::sched::harness::{ends_late, shown_id};
use std::{
    any::Any,
    error::Error,
    fmt,
    marker::PhantomData,
    panic::{RefUnwindSafe, UnwindSafe},
    ptr::NonNull,
};

/// Why a goroutine returned nothing: it panicked, or it was cancelled because its runtime shut down.
pub struct JoinError {
    id: u64,
    cause: Cause,
}

enum Cause {
    Panic(SyncPayload),
    Cancelled,
}

/// A panic's payload, which is `Send` but not `Sync`; it is reached by value only.
struct SyncPayload(Box<dyn Any + Send>);

// SAFETY: no method gives out a reference to the payload that is shared between threads: `message` takes `&str` out of
// the two types that are `Sync`, and all else consumes it.
unsafe impl Sync for SyncPayload {}

impl JoinError {
    pub(super) fn cancelled(header: *const Header) -> JoinError {
        // SAFETY: called while the task runs, or is being cancelled: the header is there.
        JoinError { id: shown_id(unsafe { (*header).id }), cause: Cause::Cancelled }
    }

    pub(super) fn panicked(header: *const Header, payload: Box<dyn Any + Send>) -> JoinError {
        // SAFETY: as above.
        JoinError { id: shown_id(unsafe { (*header).id }), cause: Cause::Panic(SyncPayload(payload)) }
    }

    pub(super) fn of_panic(id: u64, payload: Box<dyn Any + Send>) -> JoinError {
        JoinError { id, cause: Cause::Panic(SyncPayload(payload)) }
    }

    /// Whether the goroutine panicked.
    pub fn is_panic(&self) -> bool {
        matches!(self.cause, Cause::Panic(_))
    }

    /// Whether the goroutine was ended, or never started, because its runtime shut down.
    pub fn is_cancelled(&self) -> bool {
        matches!(self.cause, Cause::Cancelled)
    }

    /// The panic's payload, as [`std::panic::catch_unwind`] would give it; pass it to [`std::panic::resume_unwind`] to go
    /// on panicking.
    ///
    /// # Panics
    /// If the goroutine did not panic.
    pub fn into_panic(self) -> Box<dyn Any + Send> {
        match self.try_into_panic() {
            Ok(payload) => payload,
            Err(error) => panic!("into_panic called, but {error}"),
        }
    }

    pub(super) fn try_into_panic(self) -> Result<Box<dyn Any + Send>, JoinError> {
        match self.cause {
            Cause::Panic(payload) => Ok(payload.0),
            Cause::Cancelled => Err(self),
        }
    }

    fn message(&self) -> Option<&str> {
        let Cause::Panic(payload) = &self.cause else { return None };
        let text = payload.0.downcast_ref::<&'static str>().copied();
        text.or_else(|| payload.0.downcast_ref::<String>().map(String::as_str))
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::Cancelled => write!(f, "goroutine {} was cancelled: its runtime has shut down", self.id),
            Cause::Panic(_) => match self.message() {
                Some(message) => write!(f, "goroutine {} panicked: {message}", self.id),
                None => write!(f, "goroutine {} panicked", self.id),
            },
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::Cancelled => write!(f, "JoinError::Cancelled({})", self.id),
            Cause::Panic(_) => {
                write!(f, "JoinError::Panic({}, {:?})", self.id, self.message().unwrap_or(".."))
            }
        }
    }
}

impl Error for JoinError {}

/// The handle's reference to a task whose result is an `R`.
pub(super) struct RawHandle<R> {
    header: NonNull<Header>,
    _result: PhantomData<R>,
}

impl<R> RawHandle<R> {
    /// # Safety
    /// `header` is a task with result `R` whose handle reference the caller passes on.
    pub(super) unsafe fn new(header: NonNull<Header>) -> Self {
        RawHandle { header, _result: PhantomData }
    }

    pub(super) fn header(&self) -> &Header {
        // SAFETY: the handle's reference keeps the header.
        unsafe { self.header.as_ref() }
    }

    pub(super) fn join(self) -> Result<R, JoinError> {
        self.header().wait_done();
        let header = self.header.as_ptr();
        std::mem::forget(self);
        // SAFETY: `DONE` has been seen, so the result is there; it is moved out once, and the reference given up.
        unsafe {
            let output = header::take_output(header);
            header::release_handle(header, true);
            output
        }
    }

    pub(super) fn is_finished(&self) -> bool {
        crate::wait::point();
        self.header().is_done() && !ends_late(self.header())
    }

    pub(super) fn id(&self) -> u64 {
        shown_id(self.header().id)
    }
}

impl<R> Drop for RawHandle<R> {
    fn drop(&mut self) {
        // SAFETY: the reference is given up once, here or in `join`.
        unsafe { header::release_handle(self.header.as_ptr(), false) };
    }
}

/// Waits for a goroutine and takes what it returned. Dropping it lets the goroutine go on, detached.
///
/// [`join`](Self::join) blocks; in an async task `handle.await` does the same without blocking: see
/// [`JoinFuture`](crate::JoinFuture).
pub struct JoinHandle<R>(pub(super) RawHandle<R>);

// SAFETY: the handle moves an `R` made on another thread to this one; everything else in the header is made for sharing.
unsafe impl<R: Send> Send for JoinHandle<R> {}
// SAFETY: a shared handle only waits and reads the state word and the number.
unsafe impl<R: Send> Sync for JoinHandle<R> {}

// A caught panic can't leave a handle half-changed: all that it holds is the state word.
impl<R> UnwindSafe for RawHandle<R> {}
impl<R> RefUnwindSafe for RawHandle<R> {}

impl<R> JoinHandle<R> {
    /// Waits for the goroutine to end.
    ///
    /// # Errors
    /// [`JoinError`] if it panicked, or was cancelled because its runtime shut down.
    ///
    /// # Blocking
    /// Parks the calling goroutine, or OS thread.
    ///
    /// # Examples
    /// ```
    /// let handle = rendez::go(|| 6 * 7);
    /// assert_eq!(handle.join().unwrap(), 42);
    ///
    /// let error = rendez::go(|| -> i32 { std::panic::panic_any("gone") }).join().unwrap_err();
    /// assert_eq!(*error.into_panic().downcast::<&str>().unwrap(), "gone");
    /// ```
    pub fn join(self) -> Result<R, JoinError> {
        self.0.join()
    }

    /// Whether the goroutine has ended, so that [`join`](Self::join) will not wait.
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }

    /// The goroutine's number, unique in the process.
    pub fn id(&self) -> u64 {
        self.0.id()
    }
}

impl<R> fmt::Debug for JoinHandle<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        describe("JoinHandle", &self.0, f)
    }
}

/// The handle of a goroutine that stays beside its parent; see [`go_local`](crate::go_local). It can't leave the thread.
pub struct LocalJoinHandle<R>(pub(super) RawHandle<R>);

impl<R> LocalJoinHandle<R> {
    /// Waits for the goroutine to end.
    ///
    /// # Errors
    /// [`JoinError`] if it panicked, or was cancelled because its runtime shut down.
    ///
    /// # Blocking
    /// Parks the calling goroutine.
    pub fn join(self) -> Result<R, JoinError> {
        self.0.join()
    }

    /// Whether the goroutine has ended.
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }

    /// The goroutine's number, unique in the process.
    pub fn id(&self) -> u64 {
        self.0.id()
    }
}

impl<R> fmt::Debug for LocalJoinHandle<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        describe("LocalJoinHandle", &self.0, f)
    }
}

pub(super) fn describe<R>(name: &str, handle: &RawHandle<R>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.debug_struct(name).field("id", &handle.id()).field("finished", &handle.header().is_done()).finish()
}
