//! Statistics as a table.
#![forbid(unsafe_code)]

use super::{Counts, Goroutines, Stats};
use std::{
    fmt::{self, Write},
    time::Duration,
};

/// Of so many spawn sites it is told how deep their stacks were.
const MOST_SITES: usize = 10;

/// A time with its unit, to three figures.
pub(super) struct Time(pub(super) Duration);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ns = self.0.as_nanos() as f64;
        let (value, unit) = match ns {
            ..1e3 => (ns, "ns"),
            1e3..1e6 => (ns / 1e3, "us"),
            1e6..1e9 => (ns / 1e6, "ms"),
            _ => (ns / 1e9, "s"),
        };
        let digits = match value {
            _ if value.fract() == 0.0 => 0,
            ..10.0 => 2,
            10.0..100.0 => 1,
            _ => 0,
        };
        write!(f, "{value:.digits$} {unit}")
    }
}

/// As `3 (chan receive 2, select 1)`.
fn write_by_reason(f: &mut fmt::Formatter<'_>, all: u64, by_reason: &[(&str, u64)]) -> fmt::Result {
    write!(f, "{all}")?;
    for (i, (reason, n)) in by_reason.iter().enumerate() {
        write!(f, "{}{reason} {n}", if i == 0 { " (" } else { ", " })?;
    }
    if by_reason.is_empty() { Ok(()) } else { f.write_char(')') }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "spawned      {}, ended {}", self.spawned, self.ended)?;
        f.write_str("parks        ")?;
        write_by_reason(f, self.parks, &self.parks_by_reason)?;
        writeln!(f, "; yields {}", self.yields)?;
        writeln!(
            f,
            "wakes        {} local, {} remote, {} by time, {} by a shutdown; async: {}, and {} polls",
            self.local_wakes,
            self.remote_wakes,
            self.timeouts,
            self.cancelled,
            self.async_wakes,
            self.async_polls
        )?;
        writeln!(
            f,
            "workers      {} sleeps ({}), {} notifies, {} steals, {} looks at pollers, {} calls together",
            self.sleeps,
            Time(self.asleep),
            self.notifies,
            self.steals,
            self.poller_looks,
            self.calls_together
        )
    }
}

impl fmt::Display for Goroutines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} running, {} runnable, {} unstarted, waiting: ",
            self.all, self.running, self.runnable, self.unstarted
        )?;
        write_by_reason(f, self.waiting.iter().map(|(_, n)| n).sum(), &self.waiting)
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "goroutines   {}", self.goroutines)?;
        write!(f, "{}", self.counts)?;
        writeln!(f, "wake to run  {}", self.wake_to_run)?;
        for runtime in &self.runtimes {
            write!(f, "runtime {:<4} {} queued for all", runtime.number, runtime.queued)?;
            if runtime.spares > 0 {
                write!(f, ", {} spares", runtime.spares)?;
            }
            writeln!(f)?;
            for worker in &runtime.workers {
                writeln!(
                    f,
                    "  worker {:<3} busy {}, {}, {} queued, {} parks, {} sleeps, {} steals",
                    worker.index,
                    Time(worker.busy),
                    if worker.running { "running" } else { "idle" },
                    worker.queued,
                    worker.counts.parks,
                    worker.counts.sleeps,
                    worker.counts.steals
                )?;
            }
        }
        for stacks in &self.stacks {
            writeln!(
                f,
                "stacks       of {} KiB: {} in use, {} cached, {} mapped",
                stacks.size / 1024,
                stacks.in_use,
                stacks.cached,
                stacks.mapped
            )?;
        }
        for high in self.high_water.iter().take(MOST_SITES) {
            writeln!(
                f,
                "high water   {} of {} KiB used at most by those created at {} ({} measured)",
                high.deepest.div_ceil(1024),
                high.size / 1024,
                high.site,
                high.measured
            )?;
        }
        if self.high_water.len() > MOST_SITES {
            writeln!(f, "high water   less at {} other places", self.high_water.len() - MOST_SITES)?;
        }
        let (timers, pool) = (self.timers, self.blocking);
        writeln!(f, "timers       {timers} set")?;
        writeln!(f, "blocking     {} threads, {} idle, {} calls queued", pool.threads, pool.idle, pool.queued)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_unit_that_fits() {
        let shown = |ns| Time(Duration::from_nanos(ns)).to_string();
        assert_eq!([shown(0), shown(999), shown(1024)], ["0 ns", "999 ns", "1.02 us"]);
        assert_eq!([shown(65_536), shown(8_388_608), shown(2_000_000_000)], ["65.5 us", "8.39 ms", "2 s"]);
    }
}
