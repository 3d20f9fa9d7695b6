//! `Select`: arms that are known only at run time.
//!
//! What is chosen is carried out by who asked for it, see [`selected`](super::selected).
//!
//! A future of `wait_async` only borrows the arms, and may be forgotten while they stand in queues. So what it waits with
//! lies beside them, in the `Select`, and whoever uses that next, or drops it, first ends the wait.

use super::{
    arm::Arm,
    future::Registration,
    run::{self, Arms, Patience},
    selected::{ArmBox, SelectedOperation},
};
use crate::{
    chan::{Receiver, Sender},
    time::Instant,
};
use std::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

/// A select whose arms are known only at run time. Waiting neither uses them up nor builds them anew.
///
/// # Examples
/// ```
/// use rendez::{Select, chan};
///
/// let channels: Vec<_> = (0..100).map(|_| chan::bounded(1)).collect();
/// let mut select = Select::new();
/// for (_, rx) in &channels {
///     select.recv(rx);
/// }
/// channels[42].0.send("here").unwrap();
///
/// let operation = select.wait();
/// let (_, rx) = &channels[operation.index()];
/// assert_eq!(operation.recv(rx), Ok("here"));
/// ```
#[derive(Default)]
pub struct Select<'a> {
    /// Where it is used, [`idle`](Self::idle) comes first.
    places: Places<'a>,
    /// What `wait_async` waits with. Boxed, as are the arms, because the `Select` may move.
    registration: Option<Box<Registration>>,
}

#[derive(Default)]
struct Places<'a> {
    /// Their numbers rise.
    list: Vec<ArmBox<'a>>,
    next: usize,
    order: Vec<u32>,
}

// SAFETY: the arms hold references to channels and, between being chosen and completed, a value on its way. They may be
// of types that are not `Send`; but no value is looked at, cloned or dropped here: it is moved to whoever completes the
// operation with a reference to the receiver, which for such types can't leave its thread, or else back to its channel.
unsafe impl Send for Select<'_> {}
// SAFETY: nothing can be done through a shared reference.
unsafe impl Sync for Select<'_> {}

impl<'a> Select<'a> {
    /// A select without arms.
    pub fn new() -> Self {
        Select::default()
    }

    /// Adds a receive, and returns its number. Numbers rise, and are not used again.
    pub fn recv<T>(&mut self, receiver: &'a Receiver<T>) -> usize {
        self.add(|number| ArmBox::recv(number, receiver))
    }

    /// Adds a send, whose value comes when it has been chosen, and returns its number.
    ///
    /// On a rendezvous channel it meets receivers that wait. Who only looks (`try_recv`, a select with `default`) finds
    /// nothing there, for there is no value yet.
    pub fn send<T>(&mut self, sender: &'a Sender<T>) -> usize {
        self.add(|number| ArmBox::send(number, sender))
    }

    fn add(&mut self, arm: impl FnOnce(usize) -> ArmBox<'a>) -> usize {
        let places = self.idle();
        let number = places.next;
        places.next += 1;
        places.order.push(places.list.len() as u32);
        places.list.push(arm(number));
        number
    }

    /// The arms, in no queue.
    fn idle(&mut self) -> &mut Places<'a> {
        if let Some(registration) = &mut self.registration
            && let Some(place) = registration.withdraw(&mut self.places)
        {
            self.places.list[place].undo();
        }
        &mut self.places
    }

    /// Takes the arm with this number out.
    ///
    /// # Panics
    /// If there is none, or no longer.
    pub fn remove(&mut self, index: usize) {
        let places = self.idle();
        let Ok(place) = places.list.binary_search_by_key(&index, |arm| arm.number()) else {
            panic!("rendez: there is no arm {index} in this `Select`: numbers come from `recv` and `send`");
        };
        drop(places.list.remove(place));
        let last = places.list.len() as u32;
        places.order.retain(|&place| place != last);
    }

    /// How many arms there are.
    pub fn len(&self) -> usize {
        self.places.list.len()
    }

    /// Whether there are no arms. Waiting then lasts for ever.
    pub fn is_empty(&self) -> bool {
        self.places.list.is_empty()
    }

    /// Waits until an arm is ready, at random if more are. Complete the operation with
    /// [`SelectedOperation::recv`] or [`SelectedOperation::send`].
    ///
    /// # Blocking
    /// Parks the goroutine, or the OS thread.
    ///
    /// # Cancellation
    /// A runtime's shutdown unwinds a parked goroutine.
    pub fn wait(&mut self) -> SelectedOperation<'a> {
        self.select(Patience::Endless).unwrap_or_else(|| unreachable!("it waits without a limit"))
    }

    /// The operation that is ready now, if there is one.
    pub fn try_wait(&mut self) -> Option<SelectedOperation<'a>> {
        self.select(Patience::None)
    }

    /// Waits for at most `limit`.
    ///
    /// # Blocking
    /// As [`wait`](Self::wait).
    pub fn wait_timeout(&mut self, limit: Duration) -> Option<SelectedOperation<'a>> {
        // Beyond what the clock can say is for ever.
        self.select(Instant::now().checked_add(limit).map_or(Patience::Endless, Patience::Until))
    }

    /// Waits until `deadline` at most.
    ///
    /// # Blocking
    /// As [`wait`](Self::wait).
    pub fn wait_deadline(&mut self, deadline: Instant) -> Option<SelectedOperation<'a>> {
        self.select(Patience::Until(deadline))
    }

    fn select(&mut self, patience: Patience) -> Option<SelectedOperation<'a>> {
        let places = self.idle();
        let chosen = run::run(places, false, patience)?;
        Some(places.list[chosen].leave())
    }

    /// Waits in an async task.
    ///
    /// # Cancellation
    /// Safe: a future that is dropped before it is ready has no effect.
    pub fn wait_async(&mut self) -> SelectFuture<'_, 'a> {
        self.idle();
        SelectFuture { select: self }
    }
}

impl Drop for Select<'_> {
    fn drop(&mut self) {
        self.idle();
    }
}

impl Arms for Places<'_> {
    fn len(&self) -> usize {
        self.list.len()
    }

    fn arm(&mut self, index: usize) -> Option<&mut dyn Arm> {
        Some(&mut *self.list[index])
    }

    fn look(&self, index: usize) -> Option<&dyn Arm> {
        Some(&*self.list[index])
    }

    fn with_order<R>(&mut self, f: impl FnOnce(&mut Self, &mut [u32]) -> R) -> R {
        let mut order = mem::take(&mut self.order);
        let result = f(self, &mut order);
        self.order = order;
        result
    }
}

/// The future of [`Select::wait_async`].
#[must_use = "futures do nothing unless polled"]
pub struct SelectFuture<'s, 'a> {
    select: &'s mut Select<'a>,
}

impl<'a> Future for SelectFuture<'_, 'a> {
    type Output = SelectedOperation<'a>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<SelectedOperation<'a>> {
        let Select { places, registration } = &mut *self.get_mut().select;
        let registration = registration.get_or_insert_with(|| Box::new(Registration::new()));
        // SAFETY: the arms and the registration lie each in a box of the `Select`. If this future is forgotten, they are
        // withdrawn before anything else is done with them, or they end: by `idle`.
        match unsafe { registration.poll(places, cx) } {
            Poll::Ready(place) => Poll::Ready(places.list[place].leave()),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl Drop for SelectFuture<'_, '_> {
    fn drop(&mut self) {
        self.select.idle();
    }
}

impl fmt::Debug for Select<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Select").field("arms", &self.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for SelectFuture<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SelectFuture").field("select", &self.select).finish_non_exhaustive()
    }
}
