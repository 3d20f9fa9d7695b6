//! Waiting in an async task: for an event, or with a `Select`.
//!
//! The futures hold waiter and operation, so awaiting allocates nothing by itself. A deadline among the arms is kept
//! by an [`Alarm`], which wakes the task; the task then ends the wait itself.

use super::{
    arm::{Arm, Operation},
    run::{self, Arms, Patience, Progress},
};
use crate::{
    sched::Alarm,
    time::Instant,
    wait::{self, Outcome, Waiter},
};
use std::{
    fmt,
    future::Future,
    marker::PhantomPinned,
    pin::Pin,
    task::{Context, Poll},
};

/// What a task's select needs while it waits.
pub(super) struct Registration {
    /// `Some` while the arms are registered.
    waiter: Option<Waiter>,
    alarm: Alarm,
}

impl Registration {
    pub(super) fn new() -> Self {
        Registration { waiter: None, alarm: Alarm::new() }
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.waiter.is_some()
    }

    /// One poll: which arm has been chosen.
    ///
    /// # Safety
    /// If the answer is `Pending`, neither the arms nor this may move or end before [`withdraw`](Self::withdraw), or a
    /// poll that is ready. The arms are the same at every poll.
    pub(super) unsafe fn poll<A: Arms + ?Sized>(&mut self, arms: &mut A, cx: &Context<'_>) -> Poll<usize> {
        match self.waiter {
            None if !wait::poll_budget(cx) => return Poll::Pending,
            None => {}
            // A peer may decide the wait right now.
            Some(_) => wait::point(),
        }
        loop {
            let mut chosen = None;
            if let Some(waiter) = &self.waiter {
                chosen = match waiter.poll(cx.waker()) {
                    Some(outcome) => self.conclude(arms, Some(outcome)),
                    None => match self.alarm.deadline() {
                        Some(deadline) if deadline <= Instant::now() => self.withdraw(arms),
                        Some(deadline) => {
                            // SAFETY: passed on: this is the owner, and it stays where it is.
                            unsafe { self.alarm.set(deadline, cx.waker()) };
                            return wait::pending(cx, run::reason(arms));
                        }
                        None => return wait::pending(cx, run::reason(arms)),
                    },
                };
            }
            if let Some(chosen) = chosen.or_else(|| run::attempt(arms, false)) {
                self.clear();
                return Poll::Ready(chosen);
            }
            let waiter = self.waiter.insert(Waiter::task(cx.waker().clone()));
            // SAFETY: passed on: they stay where they are until they have been withdrawn.
            match unsafe { run::register(arms, waiter) } {
                Progress::Waits => {
                    if waiter.outcome().is_none() {
                        // Asked now that they are queued: a timer that is set anew after this decides the wait.
                        match run::earliest(arms, Patience::Endless) {
                            // SAFETY: passed on: this is the owner, and it stays where it is.
                            Some(deadline) => unsafe { self.alarm.set(deadline, cx.waker()) },
                            None => self.clear(),
                        }
                        return wait::pending(cx, run::reason(arms));
                    }
                }
                Progress::Chosen(index) => {
                    self.conclude(arms, None);
                    self.clear();
                    return Poll::Ready(index);
                }
                Progress::Again => {
                    if let Some(chosen) = self.withdraw(arms) {
                        self.clear();
                        return Poll::Ready(chosen);
                    }
                }
            }
        }
    }

    fn clear(&mut self) {
        // SAFETY: this is the owner.
        unsafe { self.alarm.clear() };
    }

    /// Ends a wait; the arm that a peer had chosen before, if it is done by that.
    pub(super) fn withdraw<A: Arms + ?Sized>(&mut self, arms: &mut A) -> Option<usize> {
        let waiter = self.waiter.as_ref()?;
        wait::point();
        let outcome = waiter.end();
        self.conclude(arms, outcome)
    }

    fn conclude<A: Arms + ?Sized>(&mut self, arms: &mut A, outcome: Option<Outcome>) -> Option<usize> {
        // SAFETY: the wait has been decided.
        unsafe { run::withdraw(arms) };
        self.waiter = None;
        match outcome {
            Some(Outcome::Arm(leaf)) => run::conclude(arms, leaf),
            _ => None,
        }
    }
}

/// The arms of a single event.
struct One<O>(Option<O>);

impl<O: Operation> Arms for One<O> {
    fn len(&self) -> usize {
        1
    }

    fn arm(&mut self, _: usize) -> Option<&mut dyn Arm> {
        self.0.as_mut().map(|operation| operation as &mut dyn Arm)
    }

    fn look(&self, _: usize) -> Option<&dyn Arm> {
        self.0.as_ref().map(|operation| operation as &dyn Arm)
    }

    fn with_order<R>(&mut self, f: impl FnOnce(&mut Self, &mut [u32]) -> R) -> R {
        f(self, &mut [0])
    }
}

/// The future of [`Event::wait_async`](super::Event::wait_async).
#[must_use = "futures do nothing unless polled"]
pub struct EventFuture<O: Operation> {
    operation: One<O>,
    registration: Registration,
    _pinned: PhantomPinned,
}

impl<O: Operation> EventFuture<O> {
    pub(super) fn new(operation: O) -> Self {
        EventFuture {
            operation: One(Some(operation)),
            registration: Registration::new(),
            _pinned: PhantomPinned,
        }
    }
}

impl<O: Operation> Future for EventFuture<O> {
    type Output = O::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<O::Output> {
        // SAFETY: nothing is moved out while it is registered.
        let this = unsafe { self.get_unchecked_mut() };
        assert!(this.operation.0.is_some(), "`wait_async` polled after it was ready");
        // SAFETY: both are pinned in this future, whose drop withdraws them.
        match unsafe { this.registration.poll(&mut this.operation, cx) } {
            Poll::Ready(_) => {
                let mut operation = this.operation.0.take().expect("it is there");
                Poll::Ready(operation.finish())
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<O: Operation> Drop for EventFuture<O> {
    fn drop(&mut self) {
        if self.registration.withdraw(&mut self.operation).is_some()
            && let Some(operation) = &mut self.operation.0
        {
            operation.undo();
        }
    }
}

impl<O: Operation> fmt::Debug for EventFuture<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventFuture")
            .field("waiting", &self.registration.is_waiting())
            .finish_non_exhaustive()
    }
}
