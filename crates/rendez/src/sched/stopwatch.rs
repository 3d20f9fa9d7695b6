//! How long bursts take, by what [`ticks`] counts: reading the system's clock twice for every 64th burst was a tenth of what a goroutine pays
//! that does nothing but yield (Zen 4: 20 ns each, the processor's counter 6).
//!
//! How long a tick is, is found out from two moments that lie [`ENOUGH`] apart; until then each reading is weighed by what is known at that
//! moment. It is found out [again](adjust) every second or so, from that second alone: a machine may be suspended, or moved to another one,
//! and while it is, the two clocks do not go alike, or the counter begins anew. That is to be over soon, and not to last for ever.
//!
//! Under a tool that carries out a program's instructions one by one, as valgrind does, bursts are some fifty times longer than they would be:
//! those of goroutines that talk pass for work, and are placed, and looked at, as such. [`slow_down`] takes that out.
#![forbid(unsafe_code)]

use crate::diag::trace::ticks;
use std::{
    sync::{
        Mutex,
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
/// A tick is taken to be so many times shorter than it is.
static SLOWDOWN: AtomicU64 = AtomicU64::new(1);
/// The moment from which on a tick's length is to be found out. It is only tried: who finds it locked does without.
static FROM: Mutex<Option<(u64, Instant)>> = Mutex::new(None);

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

/// What is measured is taken to be so many `times` shorter (at least one), from when the length of a tick is found out next.
pub(super) fn slow_down(times: u64) {
    SLOWDOWN.store(times, Relaxed);
}

/// Sees to it that there is a first moment, some time before the first reading.
pub(super) fn wind_up() {
    if let Ok(mut from) = FROM.try_lock() {
        from.get_or_insert_with(moment);
    }
}

/// Finds out anew how long a tick is, from the moment when that was last done to now.
#[cold]
pub(super) fn adjust() {
    if let Ok(mut from) = FROM.try_lock() {
        adjust_from(&mut from, moment(), &EACH);
    }
}

fn adjust_from(from: &mut Option<(u64, Instant)>, now: (u64, Instant), each: &AtomicU64) {
    if let Some(from) = *from {
        if now.1.duration_since(from.1) < ENOUGH {
            return;
        }
        // What was known is better than nothing.
        if let Some(found) = length(from, now, SLOWDOWN.load(Relaxed)) {
            each.store(found, Relaxed);
        }
    }
    *from = Some(now);
}

/// The present moment, for [`between`].
#[inline(always)]
pub(super) fn now() -> u64 {
    ticks()
}

/// The time from `start` to `end`; zero if the thread had meanwhile come to a processor that is behind.
#[inline(always)]
pub(super) fn between(start: u64, end: u64) -> Duration {
    let ticks = end.saturating_sub(start);
    let each = match EACH.load(Relaxed) {
        0 => find_out(),
        each => each,
    };
    Duration::from_nanos(((u128::from(ticks) * u128::from(each)) >> FRACTION) as u64)
}

/// A tick's nanoseconds, as far as that is known. If nothing is, zero: then no time has passed.
#[cold]
fn find_out() -> u64 {
    let Some(from) = FROM.try_lock().ok().and_then(|from| *from) else { return 0 };
    let now = moment();
    let each = length(from, now, SLOWDOWN.load(Relaxed)).unwrap_or(0);
    if now.1.duration_since(from.1) >= ENOUGH {
        EACH.store(each, Relaxed);
    }
    each
}

/// The nanoseconds of each tick between the two moments, so many `times` shorter, unless the counter has gone back.
fn length((first, since): (u64, Instant), (last, at): (u64, Instant), times: u64) -> Option<u64> {
    let ticks = last.checked_sub(first).filter(|&ticks| ticks > 0)?;
    let each = (at.duration_since(since).as_nanos() << FRACTION) / (u128::from(ticks) * u128::from(times));
    Some(each.clamp(1, u128::from(u64::MAX)) as u64)
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
        let shorter = between(inner, now());
        let (time, longer) = (begin.elapsed(), between(outer, now()));
        assert!(longer.as_secs_f64() >= 0.98 * time.as_secs_f64(), "{longer:?} {time:?}");
        assert!(shorter.as_secs_f64() <= 1.02 * time.as_secs_f64(), "{shorter:?} {time:?}");
        assert!(EACH.load(Relaxed) > 0);
    }

    #[test]
    fn what_lies_ahead_is_no_time_away() {
        wind_up();
        assert_eq!(between(now() + (1 << 40), now()), Duration::ZERO);
    }

    #[test]
    fn under_a_tool_that_slows_all_down_ticks_are_so_many_times_shorter() {
        let start = Instant::now();
        let (from, to) = ((1_000, start), (21_000, start + Duration::from_micros(20)));
        assert_eq!(length(from, to, 1), Some(1 << FRACTION));
        assert_eq!(length(from, to, 64), Some(1 << (FRACTION - 6)));
    }

    #[test]
    fn a_machine_that_was_suspended_is_forgotten_in_a_second() {
        let (start, each) = (Instant::now(), AtomicU64::new(0));
        // Two ticks are a nanosecond.
        let at = |ticks, seconds| (ticks, start + Duration::from_secs(seconds));
        let mut from = Some(at(5_000_000_000, 0));
        let mut adjusted = |ticks, seconds| {
            adjust_from(&mut from, at(ticks, seconds), &each);
            each.load(Relaxed)
        };
        const HALF: u64 = 1 << (FRACTION - 1);
        assert_eq!(adjusted(7_000_000_000, 1), HALF);
        // The one clock stood for an hour, the other went on.
        assert!(adjusted(7_209_000_000_000, 2) < HALF / 1000);
        assert_eq!(adjusted(7_211_000_000_000, 3), HALF);
        // The counter begins anew.
        assert_eq!(adjusted(1_000, 4), HALF);
        assert_eq!(adjusted(4_000_001_000, 6), HALF);
        // Another worker has just done it.
        assert_eq!(adjusted(9_000_000_000, 6), HALF);
    }
}
