//! Moments as events.

use super::Instant;
use crate::select::{Arm, Event, Operation, Registered, Sealed, Waiting};
use std::time::Duration;

/// The event that happens once `duration` has passed since this call. It yields the moment for which it was set.
///
/// It costs nothing while nobody waits for it.
///
/// # Examples
/// ```
/// use rendez::{Event, chan, select, time};
/// use std::time::Duration;
/// let (_tx, rx) = chan::bounded::<i32>(0);
/// let timed_out = select! {
///     recv(rx) -> _ => false,
///     wait(time::timer(Duration::from_millis(5))) -> _ => true,
/// };
/// assert!(timed_out);
/// ```
pub fn timer(duration: Duration) -> TimerEvent {
    TimerEvent { deadline: Instant::now().checked_add(duration) }
}

/// Waits for `event`, for at most `limit`: [`Event::wait_timeout`] as a function.
///
/// # Examples
/// ```
/// use rendez::{chan, time};
/// use std::time::Duration;
/// let (tx, rx) = chan::bounded(1);
/// tx.send(7).unwrap();
/// assert_eq!(time::timeout(Duration::from_secs(1), rx.recv_event()), Some(Ok(7)));
/// ```
pub fn timeout<E: Event>(limit: Duration, event: E) -> Option<E::Output> {
    event.wait_timeout(limit)
}

/// The event of [`timer`].
#[must_use = "an event does nothing unless it is waited for"]
#[derive(Clone, Copy, Debug)]
pub struct TimerEvent {
    /// `None`: beyond what the clock can say, so never.
    deadline: Option<Instant>,
}

impl Sealed for TimerEvent {}

impl Arm for TimerEvent {
    fn leaves(&self) -> usize {
        0
    }

    fn attempt(&mut self) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= Instant::now())
    }

    /// Whoever waits asks for the deadline and tries again when it has come.
    unsafe fn register(&mut self, _: Waiting<'_>, _: usize) -> Registered {
        Registered::Waits
    }

    unsafe fn unregister(&mut self) {}

    fn conclude(&mut self, _: usize) -> bool {
        unreachable!("a timer stands in no queue")
    }

    fn undo(&mut self) {}

    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }
}

impl Operation for TimerEvent {
    type Output = Instant;

    fn finish(&mut self) -> Instant {
        self.deadline.expect("the moment has come")
    }
}

impl Event for TimerEvent {
    type Output = Instant;
    type Operation = Self;

    fn operation(self) -> Self {
        self
    }
}
