//! Timers (`time/sleep.go`).

use super::{Instant, after_func::Func};
use crate::chan::{self, Receiver};
use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

/// One moment to come, that can be stopped and set anew: Go's `time.Timer`.
///
/// [`Timer::new`] sends the moment on a channel; [`after_func`](super::after_func()) runs a function. The rules are those since Go 1.23: after
/// [`stop`](Self::stop) or [`reset`](Self::reset) has returned, no value of before can be received, so there is nothing to drain; `len` and
/// `capacity` of the channel are 0.
///
/// It costs nothing while nobody receives, and need not be stopped to be dropped. Dropping the timer of an `after_func` does not stop
/// it.
///
/// # Examples
/// ```
/// use rendez::time::Timer;
/// use std::time::Duration;
/// let timer = Timer::new(Duration::from_secs(3600));
/// assert!(timer.reset(Duration::from_millis(1)));
/// assert!(timer.c().recv().is_ok());
/// assert!(!timer.stop());
/// ```
pub struct Timer {
    kind: Kind,
}

enum Kind {
    Channel(Receiver<Instant>),
    Func(Arc<Func>),
}

impl Timer {
    /// A timer on whose channel one value comes once `duration` has passed.
    #[track_caller]
    pub fn new(duration: Duration) -> Timer {
        Timer { kind: Kind::Channel(chan::after(duration)) }
    }

    pub(super) fn of_func(func: Arc<Func>) -> Timer {
        Timer { kind: Kind::Func(func) }
    }

    /// Where the value comes. On that of an [`after_func`](super::after_func()) none ever does. Several that receive share the one value.
    pub fn c(&self) -> &Receiver<Instant> {
        static NEVER: OnceLock<Receiver<Instant>> = OnceLock::new();
        match &self.kind {
            Kind::Channel(receiver) => receiver,
            Kind::Func(_) => NEVER.get_or_init(|| {
                let never = chan::never();
                // (One for all: it is not the place where it was made that a report is to tell.)
                never.set_name("of an after_func, where nothing ever comes");
                never
            }),
        }
    }

    /// Stops it. Returns whether it was set and its value had not been received; of an `after_func`, whether this call has
    /// prevented a run. (One that has been started goes on: this does not wait for it.)
    pub fn stop(&self) -> bool {
        crate::wait::point();
        match &self.kind {
            Kind::Channel(receiver) => receiver.stop_clock(),
            Kind::Func(func) => func.set(None),
        }
    }

    /// Sets it anew, whatever it was: once `duration` has passed from now, the value comes, or the function runs. Returns what
    /// [`stop`](Self::stop) would have.
    pub fn reset(&self, duration: Duration) -> bool {
        crate::wait::point();
        let deadline = Instant::now().after(duration);
        match &self.kind {
            Kind::Channel(receiver) => receiver.set_clock(deadline, None),
            Kind::Func(func) => func.set(Some(deadline)),
        }
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer").finish_non_exhaustive()
    }
}
