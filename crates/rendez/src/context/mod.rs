//! `Context`: when to stop, until when, and what belongs to a request (Go's `context/context.go`).
//!
//! A [`Context`] is handed down through the functions that serve one request. Whoever starts something gives it a child with
//! [`with_cancel`](Context::with_cancel), [`with_timeout`](Context::with_timeout) or
//! [`with_deadline`](Context::with_deadline); when that ends, so do all that were made from it, and nothing above it.
//!
//! ```
//! use rendez::{Context, ContextError, chan, go, select};
//!
//! let (ctx, cancel) = Context::background().with_cancel();
//! let (tx, numbers) = chan::bounded(0);
//! let producer = go(move || {
//!     for n in 0.. {
//!         select! {
//!             wait(&ctx) -> err => return Err(err),
//!             send(tx, n) -> sent => if sent.is_err() { break }, // nobody listens any more
//!         }
//!     }
//!     Ok(())
//! });
//! assert_eq!((numbers.recv(), numbers.recv()), (Ok(0), Ok(1)));
//! cancel.cancel();
//! assert_eq!(producer.join().unwrap(), Err(ContextError::Canceled));
//! ```
//!
//! # Bounding what blocks
//!
//! `&Context` is an [`Event`](crate::Event): its end. [`Context::bound`] joins it with any other event, so whatever can be waited for
//! can be waited for until a context ends: `ctx.bound(rx.recv_event()).wait()`, `ctx.bound(&handle).wait_async().await`,
//! `ctx.bound(mutex.lock_event()).wait()`.
//!
//! # What it costs
//!
//! A context is one allocation (its `done` channel is made when somebody asks for it). A child that ends is out of its parent's
//! memory at once, so a parent may live for years. Trees may be of any depth and width; cancelling takes no
//! lock for longer than a few children.
//!

mod bound;
mod node;
mod scope;
#[cfg(test)]
mod tests;

pub use bound::{Bound, BoundOperation, ContextOperation};

use crate::{
    chan::{self, Receiver},
    lock::SpinLock,
    sched,
    time::Instant,
};
use node::{Kind, NodeRef, Repr};
use scope::{Cause, Func, Scope};
use std::{
    any::{Any, type_name},
    convert::Infallible,
    error::Error,
    fmt, io,
    panic::Location,
    sync::{Arc, LazyLock},
    time::Duration,
};

/// A signal to stop, a deadline, and values, for all that is done for one purpose; see the [module](self).
///
/// Clones are the same context. It may be used from anywhere.
#[doc(alias("CancellationToken"))]
#[derive(Clone)]
pub struct Context {
    repr: Repr,
}

/// How a [`Context`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContextError {
    /// Somebody cancelled it.
    Canceled,
    /// Its deadline passed.
    DeadlineExceeded,
}

impl ContextError {
    fn number(self) -> u8 {
        match self {
            ContextError::Canceled => 1,
            ContextError::DeadlineExceeded => 2,
        }
    }

    fn of(number: u8) -> Option<ContextError> {
        match number {
            1 => Some(ContextError::Canceled),
            2 => Some(ContextError::DeadlineExceeded),
            _ => None,
        }
    }
}

impl fmt::Display for ContextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ContextError::Canceled => "context canceled",
            ContextError::DeadlineExceeded => "context deadline exceeded",
        })
    }
}

impl Error for ContextError {}

/// For `?` where the rest is I/O: [`TimedOut`](io::ErrorKind::TimedOut) for a deadline, and [`Other`](io::ErrorKind::Other) else (not `Interrupted`, after which
/// the standard library tries again). The `ContextError` is inside.
///
/// ```
/// use rendez::{Context, Event, net::UnixStream};
/// use std::io;
///
/// fn read(ctx: &Context, stream: &UnixStream) -> io::Result<usize> {
///     ctx.bound(stream.read_event(&mut [0; 16])).wait()?
/// }
///
/// let (ctx, cancel) = Context::background().with_cancel();
/// let (stream, _other) = UnixStream::pair()?;
/// cancel.cancel();
/// assert_eq!(read(&ctx, &stream).unwrap_err().to_string(), "context canceled");
/// # Ok::<(), io::Error>(())
/// ```
impl From<ContextError> for io::Error {
    fn from(error: ContextError) -> io::Error {
        match error {
            ContextError::DeadlineExceeded => io::Error::new(io::ErrorKind::TimedOut, error),
            ContextError::Canceled => io::Error::other(error),
        }
    }
}

impl Context {
    /// The root of contexts: it never ends, and has no deadline and no values.
    ///
    /// # Examples
    /// ```
    /// let ctx = rendez::Context::background();
    /// assert_eq!((ctx.err(), ctx.deadline()), (None, None));
    /// ```
    pub const fn background() -> Context {
        Context { repr: Repr::Background }
    }

    /// As [`background`](Self::background), for where it is not clear yet which context is the right one.
    pub const fn todo() -> Context {
        Context { repr: Repr::Todo }
    }

    fn make(&self, kind: Kind) -> NodeRef {
        NodeRef::new(self.repr.clone(), kind)
    }

    fn child(&self, deadline: Option<Instant>) -> (Context, CancelFunc) {
        crate::wait::point();
        let above = self.deadline();
        let is_own = deadline.is_some_and(|deadline| above.is_none_or(|above| deadline < above));
        let node = self.make(Kind::Cancel(Scope::new(if is_own { deadline } else { above }, is_own)));
        scope::start(&node);
        (Context { repr: Repr::Made(node.clone()) }, CancelFunc { node: Some(node) })
    }

    /// A child that ends when its [`CancelFunc`] is called or dropped, or when this one ends.
    ///
    /// # Examples
    /// ```
    /// use rendez::{Context, context::ContextError};
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// assert_eq!(ctx.err(), None);
    /// cancel.cancel();
    /// assert_eq!(ctx.err(), Some(ContextError::Canceled));
    /// assert!(ctx.done().recv().is_err(), "it is closed");
    /// ```
    #[must_use = "a context is cancelled as its CancelFunc is dropped"]
    pub fn with_cancel(&self) -> (Context, CancelFunc) {
        self.child(None)
    }

    /// As [`with_cancel`](Self::with_cancel); Go has another function for those that are cancelled with a cause, here it
    /// is the same: see [`CancelFunc::cancel_with`].
    ///
    /// # Examples
    /// ```
    /// let (ctx, cancel) = rendez::Context::background().with_cancel_cause();
    /// cancel.cancel_with("the client has gone");
    /// assert_eq!(ctx.err().unwrap().to_string(), "context canceled");
    /// assert_eq!(ctx.cause().unwrap().to_string(), "the client has gone");
    /// ```
    #[must_use = "a context is cancelled as its CancelFunc is dropped"]
    pub fn with_cancel_cause(&self) -> (Context, CancelFunc) {
        self.child(None)
    }

    /// A child that ends also when `limit` has passed.
    ///
    /// # Examples
    /// ```
    /// use rendez::{Context, context::ContextError};
    /// use std::time::Duration;
    /// let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(1));
    /// assert!(ctx.done().recv().is_err());
    /// assert_eq!(ctx.err(), Some(ContextError::DeadlineExceeded));
    /// ```
    #[must_use = "a context is cancelled as its CancelFunc is dropped"]
    pub fn with_timeout(&self, limit: Duration) -> (Context, CancelFunc) {
        // Beyond what the clock can say is for ever.
        self.child(Instant::now().checked_add(limit))
    }

    /// A child that ends also at `deadline`: at once if that has passed. If this one's own deadline is earlier, that holds.
    ///
    /// # Examples
    /// ```
    /// use rendez::{Context, time::Instant};
    /// use std::time::Duration;
    /// let (outer, _cancel) = Context::background().with_timeout(Duration::from_secs(1));
    /// let (inner, _cancel) = outer.with_deadline(Instant::now() + Duration::from_secs(60));
    /// assert_eq!(inner.deadline(), outer.deadline());
    /// ```
    #[must_use = "a context is cancelled as its CancelFunc is dropped"]
    pub fn with_deadline(&self, deadline: Instant) -> (Context, CancelFunc) {
        self.child(Some(deadline))
    }

    /// A child with a value, which hides one of the same type that this one has.
    ///
    /// The key is the value's type, so give it one of its own: `struct UserId(u64)`, not a `u64`. Contexts are for what
    /// belongs to a request and passes through interfaces, not for optional arguments.
    ///
    /// # Examples
    /// ```
    /// use rendez::Context;
    /// struct UserId(&'static str);
    /// struct Token(&'static str);
    /// let ctx = Context::background().with_value(UserId("jane")).with_value(Token("abc"));
    /// assert_eq!(ctx.value::<UserId>().unwrap().0, "jane");
    /// assert!(ctx.value::<u64>().is_none());
    /// ```
    #[must_use]
    pub fn with_value<V: Any + Send + Sync>(&self, value: V) -> Context {
        let kind = Kind::Value { value: Box::new(value), type_name: type_name::<V>() };
        Context { repr: Repr::Made(self.make(kind)) }
    }

    /// The value of this type, of the nearest from this one upwards that has one.
    pub fn value<V: Any>(&self) -> Option<&V> {
        let mut at = &self.repr;
        while let Some(node) = at.node() {
            if let Kind::Value { value, .. } = node.kind()
                && let Some(value) = value.downcast_ref()
            {
                return Some(value);
            }
            at = node.parent();
        }
        None
    }

    /// A child that has this one's values but neither its end nor its deadline: for work that is to be finished all the same.
    ///
    /// # Examples
    /// ```
    /// let (ctx, cancel) = rendez::Context::background().with_value(7_u32).with_cancel();
    /// let rollback = ctx.without_cancel();
    /// cancel.cancel();
    /// assert_eq!((rollback.err(), rollback.value::<u32>()), (None, Some(&7)));
    /// ```
    #[must_use]
    pub fn without_cancel(&self) -> Context {
        Context { repr: Repr::Made(self.make(Kind::WithoutCancel)) }
    }

    /// Has `f` run on a goroutine of its own when this context ends, at once if it has ended. The goroutine is one of the caller's
    /// runtime or, called outside of one, of the global runtime; if that has shut down by then, `f` is dropped.
    ///
    /// [`StopFunc::stop`] prevents it. Dropping the `StopFunc` does not.
    ///
    /// # Panics
    /// If the global runtime is needed and can't be started. A panic in `f` is told as any detached goroutine's.
    ///
    /// # Examples
    /// ```
    /// use rendez::{Context, chan};
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// let (tx, rx) = chan::bounded(1);
    /// let stop = ctx.after_func(move || tx.send("cleaned up").unwrap());
    /// cancel.cancel();
    /// assert_eq!(rx.recv(), Ok("cleaned up"));
    /// assert!(!stop.stop()); // too late
    /// ```
    #[track_caller]
    pub fn after_func<F>(&self, f: F) -> StopFunc
    where
        F: FnOnce() + Send + 'static,
    {
        crate::wait::point();
        let f: Box<dyn FnOnce() + Send> = Box::new(f);
        let Some(node) = self.repr.cancellable() else {
            return StopFunc { what: Stop::Never(SpinLock::new(Some(f))) };
        };
        // What can still end by itself, or through what is above it, has to be there then. Otherwise only its handles can end
        // it, and keep it.
        let can_end = node.above().is_some() || node.scope().has_own_deadline();
        let func = Func {
            f,
            runtime: Arc::downgrade(&sched::current_runtime()),
            site: Location::caller(),
            _keeps: can_end.then(|| node.to_ref()),
        };
        let what = match node.scope().add_func(func) {
            Some(number) => Stop::Waits(node.to_ref(), number),
            None => Stop::Started,
        };
        StopFunc { what }
    }

    /// A channel that closes when this context ends: for `select!` and for whatever else waits for channels. It is made when it
    /// is first asked for. Of a context that can't end it never closes. Nobody else can close it: its
    /// [`close`](Receiver::close) does nothing and returns `false`.
    ///
    /// A clone of it may outlive all handles of the context, and closes when that ends: with its parent, or at its deadline. If
    /// it has neither, and was [detached](CancelFunc::detach), it closes with the last handle: nobody could cancel it any more.
    /// (A detached one with a parent stays in memory until that ends if a clone, or a child, outlives its last handle.)
    #[track_caller]
    pub fn done(&self) -> &Receiver<Infallible> {
        static NEVER: LazyLock<Receiver<Infallible>> = LazyLock::new(|| {
            let never = chan::never();
            never.set_name("the end of a context that can't end");
            never
        });
        match self.repr.cancellable() {
            Some(node) => node.scope().done(node),
            None => &NEVER,
        }
    }

    /// How this context ended, if it has. Then [`done`](Self::done) is closed, and stays so.
    ///
    /// It costs a load; with a deadline, also a look at the clock, so that a loop that asks ends in time even if it never lets
    /// its worker see to timers.
    #[inline]
    pub fn err(&self) -> Option<ContextError> {
        let node = self.repr.cancellable()?;
        crate::wait::point();
        let scope = node.scope();
        scope.ended().or_else(|| {
            scope.deadline().filter(|&deadline| deadline <= Instant::now())?;
            scope::check_deadline(node);
            scope.ended()
        })
    }

    /// Why this context ended, if it has: what was said to [`CancelFunc::cancel_with`] by the first who cancelled it or
    /// one of its ancestors, otherwise [`err`](Self::err).
    pub fn cause(&self) -> Option<Arc<dyn Error + Send + Sync>> {
        let err = self.err()?;
        let cause = self.repr.cancellable()?.scope().cause().cloned();
        Some(cause.unwrap_or_else(|| Arc::new(err)))
    }

    /// When this context ends at the latest.
    pub fn deadline(&self) -> Option<Instant> {
        self.repr.cancellable()?.scope().deadline()
    }
}

impl Default for Context {
    fn default() -> Self {
        Context::background()
    }
}

/// How it was made: `context.Background.WithCancel.WithValue(type my::UserId)`.
impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut chain, mut at) = (Vec::new(), &self.repr);
        while let Some(node) = at.node() {
            chain.push(node);
            at = node.parent();
        }
        f.write_str(if matches!(at, Repr::Todo) { "context.TODO" } else { "context.Background" })?;
        chain.into_iter().rev().try_for_each(|node| match node.kind() {
            Kind::Value { type_name, .. } => write!(f, ".WithValue(type {type_name})"),
            Kind::WithoutCancel => f.write_str(".WithoutCancel"),
            Kind::Cancel(scope) => match scope.deadline().filter(|_| scope.has_own_deadline()) {
                None => f.write_str(".WithCancel"),
                Some(deadline) => match deadline.checked_duration_since(Instant::now()) {
                    Some(left) => write!(f, ".WithDeadline(in {left:?})"),
                    None => write!(f, ".WithDeadline({:?} ago)", deadline.elapsed()),
                },
            },
        })
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("made", &format_args!("{self}")).field("err", &self.err()).finish()
    }
}

/// Ends a context; see [`Context::with_cancel`]. It does so when it is dropped, too: a cancel that is forgotten leaks
/// nothing.
#[must_use = "the context is cancelled as this is dropped"]
pub struct CancelFunc {
    /// There until it is detached.
    node: Option<NodeRef>,
}

impl CancelFunc {
    /// Ends the context, and all that were made from it, with [`ContextError::Canceled`]. If it has ended, nothing happens.
    ///
    /// When this returns, all below have ended; or if somebody else had begun to cancel this or something below at the same moment,
    /// what is below that is being ended by them. (In Go this waits for them; here it may be called by a waker that they wait for.)
    ///
    /// # Blocking
    /// Never; it takes time with the number of contexts below.
    pub fn cancel(&self) {
        self.cancel_because(None);
    }

    /// As [`cancel`](Self::cancel), and says why: [`Context::cause`] of the context and of all that end by this.
    pub fn cancel_with(&self, cause: impl Into<Box<dyn Error + Send + Sync>>) {
        self.cancel_because(Some(Arc::from(cause.into())));
    }

    fn cancel_because(&self, cause: Option<Cause>) {
        if let Some(node) = &self.node {
            crate::wait::point();
            scope::cancel(node.get(), ContextError::Canceled, cause);
        }
    }

    /// Gives up the right to cancel: the context ends with its parent, by its deadline, or not at all.
    pub fn detach(mut self) {
        self.node = None;
    }
}

impl Drop for CancelFunc {
    fn drop(&mut self) {
        self.cancel();
    }
}

impl fmt::Debug for CancelFunc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelFunc").finish_non_exhaustive()
    }
}

/// Stops what [`Context::after_func`] has set. Dropping it does not.
pub struct StopFunc {
    what: Stop,
}

enum Stop {
    Waits(NodeRef, u64),
    /// The context had ended.
    Started,
    /// The context never ends.
    Never(SpinLock<Option<Box<dyn FnOnce() + Send>>>),
}

impl StopFunc {
    /// Prevents the function from being run. `false` if that is too late: it has been started, or stopped before.
    ///
    /// It does not wait for a function that has been started.
    pub fn stop(&self) -> bool {
        crate::wait::point();
        match &self.what {
            // What is stopped is dropped after the lock.
            Stop::Waits(node, number) => node.get().scope().remove_func(*number).is_some(),
            Stop::Started => false,
            Stop::Never(f) => {
                let f = f.lock().take();
                f.is_some()
            }
        }
    }
}

impl fmt::Debug for StopFunc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StopFunc").finish_non_exhaustive()
    }
}

impl std::panic::UnwindSafe for StopFunc {}
impl std::panic::RefUnwindSafe for StopFunc {}
