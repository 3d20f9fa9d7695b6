//! Sleeping.

use super::Instant;
use crate::{
    sched::{self, Alarm},
    wait::{self, Reason},
};
use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

/// Sleeps for `duration`: parks the goroutine, or blocks the OS thread. Zero returns at once.
///
/// # Cancellation
/// When the runtime shuts down, this unwinds the goroutine.
///
/// # Examples
/// ```
/// use rendez::time::{Instant, sleep};
/// use std::time::Duration;
/// let start = Instant::now();
/// sleep(Duration::from_millis(1));
/// assert!(start.elapsed() >= Duration::from_millis(1));
/// ```
pub fn sleep(duration: Duration) {
    if !duration.is_zero() {
        // Beyond what the clock can say is for ever.
        sched::sleep_until(Instant::now().checked_add(duration));
    }
}

/// Sleeps until `deadline`, otherwise as [`sleep`]. If that has passed, returns at once.
///
/// # Cancellation
/// When the runtime shuts down, this unwinds the goroutine.
///
/// # Examples
/// ```
/// use rendez::time::{Instant, sleep_until};
/// use std::time::Duration;
/// let mut next = Instant::now();
/// for _ in 0..3 {
///     next += Duration::from_millis(1);
///     sleep_until(next); // what is done in between does not add up
/// }
/// assert!(Instant::now() >= next);
/// ```
pub fn sleep_until(deadline: Instant) {
    if deadline > Instant::now() {
        sched::sleep_until(Some(deadline));
    }
}

/// Sleeps in an async task, on whatever executor: [`sleep`]'s twin. The time counts from this call.
///
/// # Cancellation
/// Safe: dropping the future takes its alarm back.
///
/// # Examples
/// ```
/// use rendez::{go_async, time};
/// use std::time::Duration;
/// let slept = go_async(async {
///     time::sleep_async(Duration::from_millis(1)).await;
///     "slept"
/// });
/// assert_eq!(slept.join().unwrap(), "slept");
/// ```
pub fn sleep_async(duration: Duration) -> SleepFuture {
    let deadline = if duration.is_zero() { None } else { Some(Instant::now().after(duration)) };
    SleepFuture { deadline, ask: false, alarm: Alarm::new() }
}

/// Sleeps until `deadline` in an async task: [`sleep_until`]'s twin.
///
/// # Cancellation
/// Safe: dropping the future takes its alarm back.
pub fn sleep_until_async(deadline: Instant) -> SleepFuture {
    SleepFuture { deadline: Some(deadline), ask: true, alarm: Alarm::new() }
}

/// The future of [`sleep_async`] and [`sleep_until_async`]. It allocates nothing.
#[must_use = "futures do nothing unless polled"]
pub struct SleepFuture {
    /// `None`: it is over, or no time at all.
    deadline: Option<Instant>,
    /// Whether the clock is to be asked at the next poll: not at the first, when it has just been asked.
    ask: bool,
    alarm: Alarm,
}

impl Future for SleepFuture {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // SAFETY: the alarm, which is what must not move, is not moved.
        let this = unsafe { self.get_unchecked_mut() };
        let Some(deadline) = this.deadline else { return Poll::Ready(()) };
        if this.alarm.has_fired() {
            this.deadline = None;
            return Poll::Ready(());
        }
        if this.ask && deadline <= Instant::now() {
            // One that did not have to wait: a loop of these must not keep the worker.
            if this.alarm.deadline().is_none() && !wait::poll_budget(cx) {
                return Poll::Pending;
            }
            this.deadline = None;
            // SAFETY: this is its owner.
            unsafe { this.alarm.clear() };
            return Poll::Ready(());
        }
        this.ask = true;
        // SAFETY: this is its owner, and it is pinned with the future, which clears it when it is dropped.
        unsafe { this.alarm.set(deadline, cx.waker()) };
        wait::pending(cx, Reason::Sleep)
    }
}

impl fmt::Debug for SleepFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SleepFuture").field("deadline", &self.deadline).finish()
    }
}
