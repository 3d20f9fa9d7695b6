//! A context's end as an event, alone and as the bound of another event.

use super::{
    Context, ContextError,
    scope::{Never, Scope},
};
use crate::{
    select::{Arm, Event, Occurrence, Occurs, Operation, Registered, Sealed, Waiting},
    time::Instant,
    wait::{Reason, Thing},
};
use std::{fmt, future::poll_fn, pin::pin, task::Poll};

impl Context {
    /// The event that `event` happens, or this context ends before it has. If both are so, the context's end counts, as if it
    /// had been asked first.
    ///
    /// Every operation that blocks has an event, so this bounds them all; see the [module](crate::context).
    ///
    /// # Examples
    /// ```
    /// use rendez::{Context, Event, chan, context::ContextError};
    /// use std::time::Duration;
    /// let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(1));
    /// let (_tx, rx) = chan::bounded::<i32>(0);
    /// assert_eq!(ctx.bound(rx.recv_event()).wait(), Err(ContextError::DeadlineExceeded));
    /// ```
    pub fn bound<E: Event>(&self, event: E) -> Bound<'_, E> {
        Bound { ctx: self, event }
    }

    /// As [`bound`](Self::bound), for any future: what it comes to, or how this context ended before that. The future is dropped then.
    ///
    /// # Examples
    /// ```
    /// use rendez::{Context, ContextError, block_on};
    /// use std::{future::pending, time::Duration};
    /// let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(1));
    /// assert_eq!(block_on(ctx.within(pending::<()>())), Err(ContextError::DeadlineExceeded));
    /// assert_eq!(block_on(Context::background().within(async { 1 })), Ok(1));
    /// ```
    pub async fn within<F: Future>(&self, future: F) -> Result<F::Output, ContextError> {
        let (mut ended, mut future) = (pin!(self.wait_async()), pin!(future));
        poll_fn(|cx| match ended.as_mut().poll(cx) {
            Poll::Ready(ended) => Poll::Ready(Err(ended)),
            Poll::Pending => future.as_mut().poll(cx).map(Ok),
        })
        .await
    }

    fn operation(&self) -> ContextOperation<'_> {
        let source: &dyn Occurs = match self.repr.cancellable() {
            Some(node) => {
                let scope: &Scope = node.scope();
                scope
            }
            None => &Never,
        };
        ContextOperation { ctx: self, end: Occurrence::of(source) }
    }

    fn how_it_ended(&self) -> ContextError {
        self.err().expect("it has ended")
    }
}

/// Its end.
impl<'a> Event for &'a Context {
    type Output = ContextError;
    type Operation = ContextOperation<'a>;

    fn operation(self) -> ContextOperation<'a> {
        Context::operation(self)
    }
}

/// What a `&Context` becomes while it is waited for.
#[derive(Debug)]
pub struct ContextOperation<'a> {
    ctx: &'a Context,
    end: Occurrence<'a>,
}

impl Sealed for ContextOperation<'_> {}

impl Arm for ContextOperation<'_> {
    fn attempt(&mut self) -> bool {
        self.ctx.err().is_some()
    }

    unsafe fn register(&mut self, waiting: Waiting<'_>, first: usize) -> Registered {
        // SAFETY: passed on.
        unsafe { self.end.register(waiting, first) }
    }

    unsafe fn unregister(&mut self) {
        // SAFETY: passed on.
        unsafe { self.end.unregister() }
    }

    fn conclude(&mut self, leaf: usize) -> bool {
        self.end.conclude(leaf)
    }

    fn undo(&mut self) {}

    fn tell(&self, things: &mut Vec<Thing>) {
        self.end.tell(things);
    }

    fn reason(&self) -> Reason {
        Reason::ChanReceive
    }
}

impl Operation for ContextOperation<'_> {
    type Output = ContextError;

    fn finish(&mut self) -> ContextError {
        self.ctx.how_it_ended()
    }
}

/// The event of [`Context::bound`].
#[must_use = "an event does nothing unless it is waited for"]
pub struct Bound<'a, E> {
    ctx: &'a Context,
    event: E,
}

impl<'a, E: Event> Event for Bound<'a, E> {
    type Output = Result<E::Output, ContextError>;
    type Operation = BoundOperation<'a, E::Operation>;

    fn operation(self) -> Self::Operation {
        BoundOperation { end: self.ctx.operation(), inner: self.event.operation(), chosen: None }
    }
}

impl<E> fmt::Debug for Bound<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bound").field("ctx", &self.ctx).finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Which {
    End,
    Inner,
}

/// What a [`Bound`] becomes while it is waited for. The context's end is its first part.
pub struct BoundOperation<'a, O> {
    end: ContextOperation<'a>,
    inner: O,
    chosen: Option<Which>,
}

impl<O: Sealed> Sealed for BoundOperation<'_, O> {}

impl<O: Arm> Arm for BoundOperation<'_, O> {
    fn leaves(&self) -> usize {
        1 + self.inner.leaves()
    }

    fn attempt(&mut self) -> bool {
        if self.chosen.is_none() {
            self.chosen = if self.end.attempt() {
                Some(Which::End)
            } else {
                self.inner.attempt().then_some(Which::Inner)
            };
        }
        self.chosen.is_some()
    }

    unsafe fn register(&mut self, waiting: Waiting<'_>, first: usize) -> Registered {
        if self.chosen.is_some() {
            return waiting.choose();
        }
        // SAFETY: passed on: both parts are in this arm.
        match unsafe { self.end.register(waiting, first) } {
            Registered::Waits => {}
            Registered::Chosen => {
                self.chosen = Some(Which::End);
                return Registered::Chosen;
            }
            other => return other,
        }
        // SAFETY: as above.
        let registered = unsafe { self.inner.register(waiting, first + 1) };
        if registered == Registered::Chosen {
            self.chosen = Some(Which::Inner);
        }
        registered
    }

    unsafe fn unregister(&mut self) {
        // SAFETY: passed on.
        unsafe {
            self.end.unregister();
            self.inner.unregister();
        }
    }

    fn conclude(&mut self, leaf: usize) -> bool {
        if self.chosen.is_none() {
            self.chosen = match leaf {
                0 => self.end.conclude(0).then_some(Which::End),
                leaf => self.inner.conclude(leaf - 1).then_some(Which::Inner),
            };
        }
        self.chosen.is_some()
    }

    fn undo(&mut self) {
        if self.chosen.take() == Some(Which::Inner) {
            self.inner.undo();
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.inner.deadline()
    }

    fn tell(&self, things: &mut Vec<Thing>) {
        self.end.tell(things);
        self.inner.tell(things);
    }

    fn reason(&self) -> Reason {
        self.inner.reason()
    }
}

impl<O: Operation> Operation for BoundOperation<'_, O> {
    type Output = Result<O::Output, ContextError>;

    fn finish(&mut self) -> Self::Output {
        match self.chosen.take() {
            Some(Which::End) => Err(self.end.finish()),
            Some(Which::Inner) => Ok(self.inner.finish()),
            None => panic!("it was not chosen"),
        }
    }
}

impl<O> fmt::Debug for BoundOperation<'_, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundOperation").field("chosen", &self.chosen).finish_non_exhaustive()
    }
}
