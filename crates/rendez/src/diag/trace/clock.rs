//! The time of a trace: the processor's time stamp counter, where it goes on steadily and alike on all processors, since that is
//! several times cheaper to read than the system's clock (measured: 14 ns against 44, on a virtual machine); else that.

use std::{
    sync::LazyLock,
    time::{Duration, Instant},
};

/// The present moment, in units of its own.
#[inline(always)]
pub(crate) fn ticks() -> u64 {
    #[cfg(target_arch = "x86_64")]
    if *COUNTS {
        // SAFETY: it reads a counter.
        return unsafe { std::arch::x86_64::_rdtsc() };
    }
    EPOCH.elapsed().as_nanos() as u64
}

static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Whether the counter can be used: the processor says that it is invariant, and Linux has found it to be the same everywhere.
#[cfg(target_arch = "x86_64")]
static COUNTS: LazyLock<bool> = LazyLock::new(|| {
    use std::arch::x86_64::__cpuid;
    const INVARIANT: u32 = 1 << 8;
    // SAFETY: every processor of x86-64 has the instruction, which only reads. (Newer compilers know that: there it is a safe function.)
    #[allow(unused_unsafe)]
    let (leaves, features) = unsafe { (__cpuid(0x8000_0000).eax, __cpuid(0x8000_0007).edx) };
    let is_invariant = leaves >= 0x8000_0007 && features & INVARIANT != 0;
    let source = std::fs::read_to_string("/sys/devices/system/clocksource/clocksource0/current_clocksource");
    is_invariant && source.is_ok_and(|source| source.trim() == "tsc")
});

/// One moment, in both times.
#[derive(Clone, Copy, Debug)]
pub(super) struct Anchor {
    pub(super) ticks: u64,
    /// Of the system's clock since it was started, which is Perfetto's.
    nanoseconds: u64,
}

impl Anchor {
    pub(super) fn now() -> Anchor {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let before = ticks();
        // SAFETY: a place for the answer.
        unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &mut time) };
        let nanoseconds = time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64;
        // Half-way.
        Anchor { ticks: before + ticks().saturating_sub(before) / 2, nanoseconds }
    }

    /// The scale that goes through both.
    pub(super) fn to(self, later: &Anchor) -> Scale {
        let ticks = later.ticks.saturating_sub(self.ticks).max(1);
        let nanoseconds = later.nanoseconds.saturating_sub(self.nanoseconds).max(1);
        Scale { origin: self, each: nanoseconds as f64 / ticks as f64 }
    }
}

/// From ticks to nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    origin: Anchor,
    each: f64,
}

impl Scale {
    pub(super) fn nanoseconds(&self, ticks: u64) -> u64 {
        let since = ticks.saturating_sub(self.origin.ticks);
        self.origin.nanoseconds + (since as f64 * self.each) as u64
    }

    /// The ticks at so much time before a moment.
    pub(super) fn ticks_before(&self, moment: &Anchor, time: Duration) -> u64 {
        moment.ticks.saturating_sub((time.as_nanos() as f64 / self.each) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_lie_between_their_anchors_and_in_order() {
        let first = Anchor::now();
        let start = Instant::now();
        let middle = ticks();
        while start.elapsed() < Duration::from_millis(20) {
            std::hint::spin_loop();
        }
        let last = Anchor::now();
        let scale = first.to(&last);
        let middle = scale.nanoseconds(middle);
        assert!(first.nanoseconds <= middle && middle < last.nanoseconds);
        // 20 ms, and what the machine did meanwhile.
        let length = scale.nanoseconds(last.ticks) - middle;
        assert!((19_000_000..20_000_000_000).contains(&length), "{length}");
        let before = scale.ticks_before(&last, Duration::from_millis(10));
        assert!(first.ticks < before && before < last.ticks);
    }
}
