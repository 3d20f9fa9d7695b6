//! Events: operations that can be waited for, as values (Reppy, *Concurrent Programming in ML*).

use super::{
    arm::{Arm, Operation, Registered, Sealed, Waiting},
    run::{self, Arms, Patience},
};
use crate::{
    time::Instant,
    wait::{Reason, Thing},
};
use std::{fmt, time::Duration};

/// Something that can be waited for: a receive, a send, the end of a goroutine, a moment, or a choice of these.
///
/// An event is a value. Making it has no effect; waiting for it carries the operation out; when it is one of
/// several alternatives, in [`select!`](crate::select!) or [`choose`], it has its effect only if it is chosen.
///
/// # Implementing it
/// A type of yours that blocks is an event if it can say by which event of rendez it blocks. What that becomes while it
/// is waited for, [`Operation`], can't be written outside of this crate: its answers are trusted with memory.
///
/// ```
/// use rendez::{Event, chan::{Receiver, RecvEvent, RecvError, bounded}};
///
/// /// A mailbox whose letters can be waited for.
/// struct Mailbox(Receiver<String>);
///
/// impl<'a> Event for &'a Mailbox {
///     type Output = Result<String, RecvError>;
///     type Operation = <RecvEvent<'a, String> as Event>::Operation;
///     fn operation(self) -> Self::Operation {
///         self.0.recv_event().operation()
///     }
/// }
///
/// let (tx, rx) = bounded(1);
/// let mailbox = Mailbox(rx);
/// tx.send("hello".to_string()).unwrap();
/// assert_eq!(mailbox.wait().unwrap(), "hello");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no event: it can't be waited for",
    label = "not an event",
    note = "of a handle, a wait group and a context it is the reference: `&handle`; of a channel's end, a lock or a socket one of its operations: `rx.recv_event()`",
    note = "a future is waited for by `block_on`, or as the handle of a `go_async`"
)]
pub trait Event: Sized {
    /// What waiting for it yields.
    type Output;
    /// What it becomes while it is waited for.
    type Operation: Operation<Output = Self::Output>;

    /// Makes ready to wait. Has no effect by itself.
    fn operation(self) -> Self::Operation;

    /// Waits for it.
    ///
    /// # Blocking
    /// Parks the goroutine, or the OS thread.
    ///
    /// # Cancellation
    /// A runtime's shutdown unwinds a parked goroutine; the operation then has no effect.
    ///
    /// # Examples
    /// ```
    /// use rendez::{Event, chan};
    /// let (tx, rx) = chan::bounded(1);
    /// assert_eq!(tx.send_event(1).wait(), Ok(()));
    /// assert_eq!(rx.recv_event().map(|v| v.unwrap() + 1).wait(), 2);
    /// ```
    fn wait(self) -> Self::Output {
        wait(self, Patience::Endless).unwrap_or_else(|| unreachable!("it waits without a limit"))
    }

    /// Waits for it for at most `limit`; `None` if that passes first, and then the operation has no effect.
    ///
    /// # Blocking
    /// As [`wait`](Self::wait). With a limit of zero it only looks.
    ///
    /// # Examples
    /// ```
    /// use rendez::{Event, chan};
    /// use std::time::Duration;
    /// let (_tx, rx) = chan::bounded::<i32>(1);
    /// assert_eq!(rx.recv_event().wait_timeout(Duration::from_millis(1)), None);
    /// ```
    fn wait_timeout(self, limit: Duration) -> Option<Self::Output> {
        wait(self, Patience::of(limit))
    }

    /// Waits for it in an async task.
    ///
    /// # Cancellation
    /// Safe: a future that is dropped before it is ready has had no effect. A value that had been handed to it goes back to
    /// its channel.
    ///
    /// # Examples
    /// ```
    /// use rendez::{Event, block_on, chan};
    /// let (tx, rx) = chan::bounded(1);
    /// rendez::go_async(async move { tx.send_event("hello").wait_async().await });
    /// assert_eq!(block_on(rx.recv_event().wait_async()), Ok("hello"));
    /// ```
    #[cfg(not(loom))]
    fn wait_async(self) -> super::EventFuture<Self::Operation> {
        super::EventFuture::new(self.operation())
    }

    /// The event that applies `f` to what this one yields. `f` runs only if the event is chosen, where it is waited for.
    ///
    /// # Examples
    /// ```
    /// use rendez::{Event, chan, choose};
    /// let (tx, words) = chan::bounded(1);
    /// let numbers = chan::never::<i32>();
    /// tx.send("a").unwrap();
    /// let either = choose([
    ///     choose([words.recv_event()]).map(|w| w.unwrap().len()).boxed(),
    ///     numbers.recv_event().map(|n| n.unwrap() as usize).boxed(),
    /// ]);
    /// assert_eq!(either.wait(), 1);
    /// ```
    fn map<U, F>(self, f: F) -> Map<Self, F>
    where
        F: FnOnce(Self::Output) -> U,
    {
        Map { event: self, f }
    }

    /// The event behind a pointer, so that events of different types can be chosen among, also in an async goroutine.
    ///
    /// # Examples
    /// ```
    /// use rendez::{Event, block_on, chan, choose, go_async, time};
    /// use std::time::Duration;
    /// let (tx, rx) = chan::bounded(1);
    /// tx.send(7).unwrap();
    /// let received = go_async(async move {
    ///     let value = rx.recv_event().map(Result::ok).boxed();
    ///     let limit = time::timer(Duration::from_secs(60)).map(|_| None).boxed();
    ///     choose([value, limit]).wait_async().await
    /// });
    /// assert_eq!(received.join().unwrap(), Some(7));
    /// ```
    fn boxed<'a>(self) -> Boxed<'a, Self::Output>
    where
        Self::Operation: Send + 'a,
        Self::Output: 'a,
    {
        Boxed(Box::new(self.operation()))
    }

    /// As [`boxed`](Self::boxed), for what may not leave its thread.
    fn boxed_local<'a>(self) -> BoxedLocal<'a, Self::Output>
    where
        Self::Operation: 'a,
        Self::Output: 'a,
    {
        BoxedLocal(Box::new(self.operation()))
    }
}

/// Waits for one event.
pub(crate) fn wait<E: Event>(event: E, patience: Patience) -> Option<E::Output> {
    let mut operation = event.operation();
    run::run(&mut Alone(&mut operation), false, patience).map(|_| operation.finish())
}

/// A single arm, of a type that is known: what a report may look at while it waits is its own, not a table of arms, through which
/// the calls would go that are made of it afterwards. (Measured: some 40 instructions of each lock that has to wait.)
struct Alone<'a, O>(&'a mut O);

impl<O: Arm> Arms for Alone<'_, O> {
    #[inline(always)]
    fn len(&self) -> usize {
        1
    }

    #[inline(always)]
    fn arm(&mut self, _: usize) -> Option<&mut dyn Arm> {
        Some(&mut *self.0)
    }

    fn look(&self, _: usize) -> Option<&dyn Arm> {
        Some(&*self.0)
    }

    fn with_order<R>(&mut self, f: impl FnOnce(&mut Self, &mut [u32]) -> R) -> R {
        f(self, &mut [0])
    }
}

/// The methods of an arm that is another one with something around it.
macro_rules! delegate {
    ($($inner:tt)+) => {
        fn leaves(&self) -> usize {
            self.$($inner)+.leaves()
        }

        fn attempt(&mut self) -> bool {
            self.$($inner)+.attempt()
        }

        #[inline]
        fn would_wait(&self) -> bool {
            self.$($inner)+.would_wait()
        }

        unsafe fn register(&mut self, waiting: Waiting<'_>, first: usize) -> Registered {
            // SAFETY: passed on: the inner arm moves and ends with this one.
            unsafe { self.$($inner)+.register(waiting, first) }
        }

        unsafe fn unregister(&mut self) {
            // SAFETY: passed on.
            unsafe { self.$($inner)+.unregister() }
        }

        fn conclude(&mut self, leaf: usize) -> bool {
            self.$($inner)+.conclude(leaf)
        }

        fn undo(&mut self) {
            self.$($inner)+.undo();
        }

        fn deadline(&self) -> Option<Instant> {
            self.$($inner)+.deadline()
        }

        fn tell(&self, things: &mut Vec<Thing>) {
            self.$($inner)+.tell(things);
        }

        fn reason(&self) -> Reason {
            self.$($inner)+.reason()
        }
    };
}
#[cfg(not(loom))]
pub(super) use delegate;

/// An event whose result goes through a function; see [`Event::map`].
#[must_use = "an event does nothing unless it is waited for"]
pub struct Map<E, F> {
    event: E,
    f: F,
}

impl<E: Event, U, F: FnOnce(E::Output) -> U> Event for Map<E, F> {
    type Output = U;
    type Operation = MapOperation<E::Operation, F>;

    fn operation(self) -> Self::Operation {
        MapOperation { operation: self.event.operation(), f: Some(self.f) }
    }
}

/// The operation of [`Map`].
pub struct MapOperation<O, F> {
    operation: O,
    /// There until it is finished.
    f: Option<F>,
}

impl<O: Sealed, F> Sealed for MapOperation<O, F> {}

impl<O: Arm, F> Arm for MapOperation<O, F> {
    delegate!(operation);
}

impl<O: Operation, U, F: FnOnce(O::Output) -> U> Operation for MapOperation<O, F> {
    type Output = U;

    fn finish(&mut self) -> U {
        let f = self.f.take().expect("an operation is finished once");
        f(self.operation.finish())
    }
}

/// An event of any type with this result; see [`Event::boxed`].
#[must_use = "an event does nothing unless it is waited for"]
pub struct Boxed<'a, R>(Box<dyn BoxedOperation<R> + Send + 'a>);

/// As [`Boxed`], of an event that may not leave its thread; see [`Event::boxed_local`].
#[must_use = "an event does nothing unless it is waited for"]
pub struct BoxedLocal<'a, R>(Box<dyn BoxedOperation<R> + 'a>);

trait BoxedOperation<R>: Arm {
    /// As [`Operation::finish`].
    fn finish_boxed(&mut self) -> R;
}

impl<O: Operation> BoxedOperation<O::Output> for O {
    fn finish_boxed(&mut self) -> O::Output {
        self.finish()
    }
}

macro_rules! boxed {
    ($boxed:ident) => {
        impl<R> Sealed for $boxed<'_, R> {}

        impl<R> Arm for $boxed<'_, R> {
            delegate!(0);
        }

        impl<R> Operation for $boxed<'_, R> {
            type Output = R;

            fn finish(&mut self) -> R {
                self.0.finish_boxed()
            }
        }

        impl<R> Event for $boxed<'_, R> {
            type Output = R;
            type Operation = Self;

            fn operation(self) -> Self {
                self
            }
        }

        impl<R> fmt::Debug for $boxed<'_, R> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($boxed))
            }
        }
    };
}

boxed!(Boxed);
boxed!(BoxedLocal);

/// The event that is one of several, whichever is ready, at random if more are. Without any it is never ready.
///
/// # Examples
/// ```
/// use rendez::{Event, chan, choose};
/// let channels: Vec<_> = (0..3).map(|_| chan::bounded(1)).collect();
/// channels[1].0.send("hello").unwrap();
/// let first = choose(channels.iter().map(|(_, rx)| rx.recv_event()));
/// assert_eq!(first.wait(), Ok("hello"));
/// ```
pub fn choose<E: Event>(events: impl IntoIterator<Item = E>) -> Choose<E> {
    Choose { operations: events.into_iter().map(Event::operation).collect(), order: Vec::new(), chosen: None }
}

/// The event of [`choose`].
#[must_use = "an event does nothing unless it is waited for"]
pub struct Choose<E: Event> {
    operations: Vec<E::Operation>,
    order: Vec<u32>,
    chosen: Option<usize>,
}

impl<E: Event> Arms for Choose<E> {
    fn len(&self) -> usize {
        self.operations.len()
    }

    fn arm(&mut self, index: usize) -> Option<&mut dyn Arm> {
        Some(&mut self.operations[index])
    }

    fn look(&self, index: usize) -> Option<&dyn Arm> {
        Some(&self.operations[index])
    }

    fn with_order<R>(&mut self, f: impl FnOnce(&mut Self, &mut [u32]) -> R) -> R {
        let mut order = std::mem::take(&mut self.order);
        if order.len() != self.operations.len() {
            order = (0..self.operations.len() as u32).collect();
        }
        let result = f(self, &mut order);
        self.order = order;
        result
    }
}

impl<E: Event> Sealed for Choose<E> {}

impl<E: Event> Arm for Choose<E> {
    fn leaves(&self) -> usize {
        self.operations.iter().map(Arm::leaves).sum()
    }

    fn attempt(&mut self) -> bool {
        if self.chosen.is_none() {
            self.chosen = run::attempt(self, false);
        }
        self.chosen.is_some()
    }

    unsafe fn register(&mut self, waiting: Waiting<'_>, mut first: usize) -> Registered {
        if self.chosen.is_some() {
            return waiting.choose();
        }
        for (index, operation) in self.operations.iter_mut().enumerate() {
            // SAFETY: passed on: the operations are in a vector that does not change meanwhile.
            match unsafe { operation.register(waiting, first) } {
                Registered::Waits => first += operation.leaves(),
                Registered::Chosen => {
                    self.chosen = Some(index);
                    return Registered::Chosen;
                }
                other => return other,
            }
        }
        Registered::Waits
    }

    unsafe fn unregister(&mut self) {
        // SAFETY: passed on.
        unsafe { run::withdraw(self) }
    }

    fn conclude(&mut self, leaf: usize) -> bool {
        if self.chosen.is_none() {
            self.chosen = run::conclude(self, leaf);
        }
        self.chosen.is_some()
    }

    fn undo(&mut self) {
        if let Some(index) = self.chosen.take() {
            self.operations[index].undo();
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.operations.iter().filter_map(Arm::deadline).min()
    }

    fn tell(&self, things: &mut Vec<Thing>) {
        Arms::tell(self, things);
    }
}

impl<E: Event> Operation for Choose<E> {
    type Output = E::Output;

    fn finish(&mut self) -> E::Output {
        let index = self.chosen.take().expect("one of the events was chosen");
        let mut chosen = self.operations.swap_remove(index);
        // Before the chosen one: if a losing value panics as it is dropped, what was received goes back.
        self.operations = Vec::new();
        chosen.finish()
    }
}

impl<E: Event> Event for Choose<E> {
    type Output = E::Output;
    type Operation = Self;

    fn operation(self) -> Self {
        self
    }
}

impl<E: fmt::Debug, F> fmt::Debug for Map<E, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Map").field(&self.event).finish()
    }
}

impl<O, F> fmt::Debug for MapOperation<O, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MapOperation")
    }
}

impl<E: Event> fmt::Debug for Choose<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Choose").field("events", &self.operations.len()).finish_non_exhaustive()
    }
}
