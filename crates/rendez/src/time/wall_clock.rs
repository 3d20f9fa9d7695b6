//! The time of day.

use crate::sched::harness;
use std::time::{Duration, SystemTime};

/// Midnight of 2000-01-01 UTC, since 1970: where virtual time begins, as in Go's `testing/synctest`.
const BEGINNING: Duration = Duration::from_secs(946_684_800);

/// The time of day: [`SystemTime::now`], or, in virtual time (`testing::virtual_time`), midnight of 2000-01-01 UTC and what has passed since.
///
/// # Examples
/// ```
/// # #[cfg(feature = "testing")] {
/// use rendez::{testing, time};
/// use std::time::{Duration, UNIX_EPOCH};
/// let day = Duration::from_secs(24 * 3600);
/// let now = testing::virtual_time(move || {
///     time::sleep(day);
///     time::wall_clock()
/// });
/// assert_eq!(now.duration_since(UNIX_EPOCH).unwrap(), 10_957 * day + day);
/// # }
/// ```
pub fn wall_clock() -> SystemTime {
    match harness::virtual_elapsed() {
        Some(elapsed) => SystemTime::UNIX_EPOCH + BEGINNING + elapsed,
        None => SystemTime::now(),
    }
}
