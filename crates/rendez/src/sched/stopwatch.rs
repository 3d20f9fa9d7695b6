//! How long bursts take, by what [`ticks`] counts: reading the system's clock twice for every 64th burst was a tenth of what a goroutine pays
//! that does nothing but yield (Zen 4: 20 ns each, the processor's counter 6).
//!
//! How long a tick is, is found out once for the process: from its first moment here and the first one that lies [`ENOUGH`] later. Until
//! then each reading is weighed by what is known at that moment.
#![forbid(unsafe_code)]

use crate::diag::trace::ticks;
use std::{
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// After so much time the two clocks are read far enough apart: what the reading itself takes is less than a hundredth of it.
const ENOUGH: Duration = Duration::from_micros(200);
/// Of a tick's nanoseconds, so many bits are behind the point.
const FRACTION: u32 = 32;

/// Of so many readings of both clocks the best counts.
const READINGS: usize = 4;

/// A tick's nanoseconds; zero while that is not known.
static EACH: AtomicU64 = AtomicU64::new(0);
/// The first moment.
static FIRST: LazyLock<(u64, Instant)> = LazyLock::new(moment);

/// A moment by both clocks: of some readings the one that took least, so that it does not matter if the thread is kept from running
/// between the two.
fn moment() -> (u64, Instant) {
    let read = || {
        let (before, time, after) = (ticks(), Instant::now(), ticks());
        let took = after.saturating_sub(before);
        (took, (before + took / 2, time))
    };
    let readings = [(); READINGS].map(|()| read());
    let best = readings.into_iter().min_by_key(|&(took, _)| took);
    best.map_or_else(|| read().1, |(_, moment)| moment)
}

/// Sees to it that there is a first moment, some time before the first reading.
pub(super) fn wind_up() {
    LazyLock::force(&FIRST);
}

/// The present moment, for [`since`].
#[inline(always)]
pub(super) fn now() -> u64 {
    ticks()
}

/// The time since `start`; zero if the thread has meanwhile come to a processor that is behind.
#[inline(always)]
pub(super) fn since(start: u64) -> Duration {
    let ticks = ticks().saturating_sub(start);
    let each = match EACH.load(Relaxed) {
        0 => find_out(),
        each => each,
    };
    Duration::from_nanos(((u128::from(ticks) * u128::from(each)) >> FRACTION) as u64)
}

/// A tick's nanoseconds, as far as that is known.
#[cold]
fn find_out() -> u64 {
    let ((first, since), (now, at)) = (*FIRST, moment());
    let (ticks, time) = (now.saturating_sub(first).max(1), at.duration_since(since));
    let each = ((time.as_nanos() << FRACTION) / u128::from(ticks)).clamp(1, u128::from(u64::MAX)) as u64;
    if time >= ENOUGH {
        EACH.store(each, Relaxed);
    }
    each
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_like_the_clock() {
        wind_up();
        // Two bounds: the clock is read outside of the one stretch, and inside of the other.
        let (outer, begin) = (now(), Instant::now());
        let inner = now();
        while begin.elapsed() < Duration::from_millis(20) {
            std::hint::spin_loop();
        }
        let shorter = since(inner);
        let (time, longer) = (begin.elapsed(), since(outer));
        assert!(longer.as_secs_f64() >= 0.98 * time.as_secs_f64(), "{longer:?} {time:?}");
        assert!(shorter.as_secs_f64() <= 1.02 * time.as_secs_f64(), "{shorter:?} {time:?}");
        assert!(EACH.load(Relaxed) > 0);
    }

    #[test]
    fn what_lies_ahead_is_no_time_away() {
        wind_up();
        assert_eq!(since(now() + (1 << 40)), Duration::ZERO);
    }
}
