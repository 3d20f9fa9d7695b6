//! `Instant`: the standard library's arithmetic on the runtime's own clock, so that a test may bend it.

#[cfg(not(loom))]
use std::sync::OnceLock;
use std::{
    fmt,
    ops::{Add, AddAssign, Sub, SubAssign},
    time::Duration,
};

/// A moment of the runtime's monotonic clock. It has the arithmetic of [`std::time::Instant`], to and from which it
/// converts.
///
/// # Examples
/// ```
/// use rendez::time::Instant;
/// use std::time::Duration;
/// let start = Instant::now();
/// rendez::sleep(Duration::from_millis(2));
/// assert!(start.elapsed() >= Duration::from_millis(2));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(std::time::Instant);

impl Instant {
    /// The present moment: of the machine's clock, or, in virtual time (`testing::virtual_time`), of that.
    #[inline]
    pub fn now() -> Instant {
        #[cfg(not(loom))]
        if let Some(now) = crate::sched::harness::virtual_now() {
            return now;
        }
        Instant(std::time::Instant::now())
    }

    /// The time that has passed since this moment; zero if it lies ahead.
    pub fn elapsed(&self) -> Duration {
        Instant::now().duration_since(*self)
    }

    /// The time from `earlier` to this moment; zero if `earlier` is later.
    pub fn duration_since(&self, earlier: Instant) -> Duration {
        self.0.saturating_duration_since(earlier.0)
    }

    /// The time from `earlier` to this moment; zero if `earlier` is later.
    pub fn saturating_duration_since(&self, earlier: Instant) -> Duration {
        self.0.saturating_duration_since(earlier.0)
    }

    /// The time from `earlier` to this moment; `None` if `earlier` is later.
    pub fn checked_duration_since(&self, earlier: Instant) -> Option<Duration> {
        self.0.checked_duration_since(earlier.0)
    }

    /// This moment plus `duration`; `None` if the clock can't say it.
    pub fn checked_add(&self, duration: Duration) -> Option<Instant> {
        self.0.checked_add(duration).map(Instant)
    }

    /// This moment less `duration`; `None` if the clock can't say it.
    pub fn checked_sub(&self, duration: Duration) -> Option<Instant> {
        self.0.checked_sub(duration).map(Instant)
    }
}

/// What the scheduler's heaps count from.
#[cfg(not(loom))]
static EPOCH: OnceLock<std::time::Instant> = OnceLock::new();

#[cfg(not(loom))]
impl Instant {
    /// Further than anybody will wait: the limit of those who ask for more than the clock can say.
    const FAR: Duration = Duration::from_secs(100 * 366 * 24 * 3600);

    /// This moment plus `duration`, or a moment that is as good as never.
    pub(crate) fn after(self, duration: Duration) -> Instant {
        self.checked_add(duration).unwrap_or_else(|| self + Self::FAR)
    }

    /// The moment with that [number](Self::nanos).
    #[cfg(all(not(loom), feature = "testing"))]
    pub(crate) fn from_nanos(nanos: u64) -> Instant {
        Instant(*EPOCH.get_or_init(std::time::Instant::now) + Duration::from_nanos(nanos))
    }

    /// As a number that sorts as moments do: nanoseconds since about the first call. What lies before counts as then,
    /// and what lies 584 years ahead, or more, as that.
    #[inline]
    pub(crate) fn nanos(self) -> u64 {
        let epoch = *EPOCH.get_or_init(std::time::Instant::now);
        let since = self.0.saturating_duration_since(epoch);
        since.as_secs().saturating_mul(1_000_000_000).saturating_add(u64::from(since.subsec_nanos()))
    }
}

impl From<std::time::Instant> for Instant {
    fn from(instant: std::time::Instant) -> Self {
        Instant(instant)
    }
}

impl From<Instant> for std::time::Instant {
    fn from(instant: Instant) -> Self {
        instant.0
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;
    /// # Panics
    /// If the clock can't say the sum; see [`Instant::checked_add`].
    fn add(self, duration: Duration) -> Instant {
        Instant(self.0 + duration)
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, duration: Duration) {
        self.0 += duration;
    }
}

impl Sub<Duration> for Instant {
    type Output = Instant;
    fn sub(self, duration: Duration) -> Instant {
        Instant(self.0 - duration)
    }
}

impl SubAssign<Duration> for Instant {
    fn sub_assign(&mut self, duration: Duration) {
        self.0 -= duration;
    }
}

impl Sub<Instant> for Instant {
    type Output = Duration;
    fn sub(self, earlier: Instant) -> Duration {
        self.duration_since(earlier)
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
