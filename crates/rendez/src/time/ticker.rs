//! Tickers (`time/tick.go`).

use super::Instant;
use crate::chan::{self, Receiver};
use std::{fmt, time::Duration};

/// Sends the moment at every tick, on a channel, until it is stopped: Go's `time.Ticker`.
///
/// A receiver that is slow misses ticks: it gets one for all those that have passed, and the next one when that is due, so that ticks
/// never come bunched up. The ticks keep to their times and do not drift. `len` and `capacity` of the channel are 0.
///
/// A ticker costs nothing while nobody receives, and need not be stopped to be dropped.
///
/// # Examples
/// ```
/// use rendez::{chan, select, time::Ticker};
/// use std::time::Duration;
/// let ticker = Ticker::new(Duration::from_millis(1));
/// let done = chan::after(Duration::from_millis(20));
/// let mut ticks = 0;
/// loop {
///     select! {
///         recv(ticker.c()) -> _ => ticks += 1,
///         recv(done) -> _ => break,
///     }
/// }
/// assert!((1..=20).contains(&ticks));
/// ```
pub struct Ticker {
    receiver: Receiver<Instant>,
}

impl Ticker {
    /// A ticker whose first tick comes one `period` from now.
    ///
    /// # Panics
    /// `non-positive interval for NewTicker` if `period` is zero.
    #[track_caller]
    pub fn new(period: Duration) -> Ticker {
        Ticker { receiver: chan::tick(period) }
    }

    /// Where the ticks come. Clone it for receivers that outlive the ticker, which go on.
    pub fn c(&self) -> &Receiver<Instant> {
        &self.receiver
    }

    /// Stops it. No tick comes after this returns, not even one that was due; the channel stays open, so that nobody takes
    /// its end for a tick. [`reset`](Self::reset) starts it again.
    pub fn stop(&self) {
        crate::wait::point();
        self.receiver.stop_clock();
    }

    /// Starts it anew, with another `period`: the next tick comes one period from now, and none of before.
    ///
    /// # Panics
    /// `non-positive interval for Ticker.Reset` if `period` is zero.
    #[track_caller]
    pub fn reset(&self, period: Duration) {
        assert!(!period.is_zero(), "non-positive interval for Ticker.Reset");
        crate::wait::point();
        self.receiver.set_clock(Instant::now().after(period), Some(period));
    }
}

impl fmt::Debug for Ticker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticker").finish_non_exhaustive()
    }
}
