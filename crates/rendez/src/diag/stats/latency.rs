//! How long something took, many times: a histogram by powers of two.
#![forbid(unsafe_code)]

use crate::sched::counters::{BUCKETS, Tally};
use std::{fmt, time::Duration};

/// How long something took, each of many times, to within a factor of two.
///
/// Shown as `p50 < 256 ns, p90 < 1 us, p99 < 16 us, mean 420 ns (1000 samples)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Latency {
    /// The n-th: how many took less than 2^n nanoseconds, and no less than half of that.
    buckets: [u64; BUCKETS],
    sum: u64,
}

impl Latency {
    pub(super) fn of(tally: &Tally) -> Latency {
        Latency { buckets: tally.latency, sum: tally.latency_sum }
    }

    /// How many were measured.
    pub fn samples(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The time that a fraction of them did not reach: `quantile(0.99)` is the 99th percentile, rounded up to the next power of two of
    /// nanoseconds. `None` if there are no samples.
    ///
    /// # Panics
    /// If `fraction` is not from 0 to 1.
    ///
    /// # Examples
    /// ```
    /// let latency = rendez::diag::stats().wake_to_run;
    /// assert!(latency.quantile(0.5) <= latency.quantile(0.99));
    /// ```
    pub fn quantile(&self, fraction: f64) -> Option<Duration> {
        assert!((0.0..=1.0).contains(&fraction), "a fraction is from 0 to 1, not {fraction}");
        let samples = self.samples();
        let rank = ((samples as f64 * fraction).ceil() as u64).clamp(1, samples.max(1));
        let mut seen = 0;
        let bucket = self.buckets.iter().position(|n| {
            seen += n;
            seen >= rank
        })?;
        Some(limit(bucket))
    }

    /// The mean. `None` if there are no samples.
    pub fn mean(&self) -> Option<Duration> {
        self.sum.checked_div(self.samples()).map(Duration::from_nanos)
    }

    /// The buckets that are not empty, as the time that all in them are below, and how many they are.
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> {
        self.buckets.iter().enumerate().filter(|&(_, &n)| n > 0).map(|(bucket, &n)| (limit(bucket), n))
    }

    pub(super) fn since(&self, earlier: &Latency) -> Latency {
        Latency {
            buckets: std::array::from_fn(|i| self.buckets[i].saturating_sub(earlier.buckets[i])),
            sum: self.sum.saturating_sub(earlier.sum),
        }
    }
}

/// What all in a bucket are below.
fn limit(bucket: usize) -> Duration {
    Duration::from_nanos(1 << bucket)
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(mean) = self.mean() else { return f.write_str("no samples") };
        for (name, fraction) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)] {
            let time = self.quantile(fraction).expect("there are samples");
            write!(f, "{name} < {}, ", super::show::Time(time))?;
        }
        write!(f, "mean {} ({} samples)", super::show::Time(mean), self.samples())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_the_limits_of_the_buckets_that_hold_them() {
        let mut latency = Latency { buckets: [0; BUCKETS], sum: 100 * 90 + 5000 * 10 };
        assert_eq!((latency.quantile(0.5), latency.mean()), (None, None));
        assert_eq!(latency.to_string(), "no samples");
        latency.buckets[7] = 90;
        latency.buckets[13] = 10;
        assert_eq!(latency.quantile(0.0), Some(Duration::from_nanos(128)));
        assert_eq!(latency.quantile(0.9), Some(Duration::from_nanos(128)));
        assert_eq!(latency.quantile(0.91), Some(Duration::from_nanos(8192)));
        assert_eq!(latency.quantile(1.0), Some(Duration::from_nanos(8192)));
        let shown = latency.to_string();
        assert!(
            shown.starts_with("p50 < 128 ns, ") && shown.ends_with("mean 590 ns (100 samples)"),
            "{shown}"
        );
    }
}
