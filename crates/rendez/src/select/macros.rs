//! What `select!` expands to calls of. Not for use by hand.

use super::{
    arm::{Arm, Operation},
    event::Event,
    run::{Patience, run},
};
use crate::{
    chan::{Receiver, RecvEvent, SendEvent, SendTakeEvent, Sender},
    wait::{Outcome, Reason, Waiter, unwind_cancelled},
};
use std::time::Duration;

/// What may stand for a receiver: one, a reference to one, or an `Option` of either, whose `None` is Go's nil channel.
pub trait RecvFrom {
    /// What is received.
    type Item;
    /// The receiver.
    fn receiver(&self) -> Option<&Receiver<Self::Item>>;
}

/// What may stand for a sender; see [`RecvFrom`].
pub trait SendTo {
    /// What is sent.
    type Item;
    /// The sender.
    fn sender(&self) -> Option<&Sender<Self::Item>>;
}

impl<T> RecvFrom for Receiver<T> {
    type Item = T;
    fn receiver(&self) -> Option<&Receiver<T>> {
        Some(self)
    }
}

impl<T> SendTo for Sender<T> {
    type Item = T;
    fn sender(&self) -> Option<&Sender<T>> {
        Some(self)
    }
}

impl<R: RecvFrom + ?Sized> RecvFrom for &R {
    type Item = R::Item;
    fn receiver(&self) -> Option<&Receiver<R::Item>> {
        (**self).receiver()
    }
}

impl<S: SendTo + ?Sized> SendTo for &S {
    type Item = S::Item;
    fn sender(&self) -> Option<&Sender<S::Item>> {
        (**self).sender()
    }
}

impl<R: RecvFrom + ?Sized> RecvFrom for &mut R {
    type Item = R::Item;
    fn receiver(&self) -> Option<&Receiver<R::Item>> {
        (**self).receiver()
    }
}

impl<S: SendTo + ?Sized> SendTo for &mut S {
    type Item = S::Item;
    fn sender(&self) -> Option<&Sender<S::Item>> {
        (**self).sender()
    }
}

impl<R: RecvFrom> RecvFrom for Option<R> {
    type Item = R::Item;
    fn receiver(&self) -> Option<&Receiver<R::Item>> {
        self.as_ref()?.receiver()
    }
}

impl<S: SendTo> SendTo for Option<S> {
    type Item = S::Item;
    fn sender(&self) -> Option<&Sender<S::Item>> {
        self.as_ref()?.sender()
    }
}

/// `recv(rx)`
#[inline]
pub fn recv<R: RecvFrom + ?Sized>(receiver: &R) -> RecvEvent<'_, R::Item> {
    RecvEvent::new(receiver.receiver())
}

/// `send(tx, value)`
#[inline]
pub fn send<S: SendTo + ?Sized>(sender: &S, value: S::Item) -> SendEvent<'_, S::Item> {
    SendEvent::new(sender.sender(), value)
}

/// `send(tx, take slot)`
#[inline]
pub fn send_take<'a, S: SendTo + ?Sized>(
    sender: &'a S,
    slot: &'a mut Option<S::Item>,
) -> SendTakeEvent<'a, S::Item> {
    SendTakeEvent::new(sender.sender(), slot)
}

/// `wait(event)`
#[inline]
pub fn wait<E: Event>(event: E) -> E::Operation {
    event.operation()
}

/// The result of the chosen arm.
#[inline]
pub fn finish<O: Operation>(operation: &mut O) -> O::Output {
    operation.finish()
}

/// Without a default: the chosen arm.
pub fn block(arms: &mut [&mut dyn Arm], biased: bool) -> usize {
    run(arms, biased, Patience::Endless).unwrap_or_else(|| unreachable!("it waits without a limit"))
}

/// With `default`: the chosen arm, or `None` for the default.
pub fn try_now(arms: &mut [&mut dyn Arm], biased: bool) -> Option<usize> {
    run(arms, biased, Patience::None)
}

/// With `default(limit)`: the chosen arm, or `None` for the default.
pub fn block_for(arms: &mut [&mut dyn Arm], biased: bool, limit: Duration) -> Option<usize> {
    run(arms, biased, Patience::of(limit))
}

/// Without arms.
pub fn forever() -> ! {
    loop {
        let waiter = Waiter::current();
        if waiter.wait(None, Reason::Select) == Outcome::Cancelled {
            unwind_cancelled();
        }
    }
}
