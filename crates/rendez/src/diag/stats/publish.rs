//! Statistics for the recorder of the `metrics` crate.
#![forbid(unsafe_code)]

use super::{Counts, Stats, stats};
use metrics::{Label, counter, gauge};

/// What stats are called there, and what they are.
const DESCRIBED: [(&str, &str); 10] = [
    ("rendez_goroutines", "goroutines that have not ended, by state"),
    ("rendez_spawned_total", "goroutines started"),
    ("rendez_parks_total", "waits for which a goroutine gave up its worker, by what was waited for"),
    ("rendez_wakes_total", "wake-ups of parked goroutines, by where they came from"),
    (
        "rendez_wake_to_run_seconds",
        "how long goroutines that were woken have waited for their turn, by quantile",
    ),
    ("rendez_worker_busy_seconds_total", "processor time of workers"),
    ("rendez_stacks", "stacks of goroutines, by size and state"),
    ("rendez_stack_used_bytes", "the most of a stack that a goroutine has used, by spawn site"),
    (
        "rendez_spares_total",
        "times that a spare worker was called in place of one that was kept by a goroutine",
    ),
    ("rendez_stuck_total", "goroutines that were found to hold their worker for too long"),
];

/// Tells the recorder of the `metrics` crate (the feature `metrics`) how things stand: counters and gauges whose names begin with
/// `rendez_`. For a page that is scraped, call it before each scrape; or every few seconds, by a goroutine with a ticker.
///
/// | metric | kind | labels |
/// | --- | --- | --- |
/// | `rendez_goroutines` | gauge | `state`: running, runnable, unstarted, or what is waited for |
/// | `rendez_spawned_total`, `rendez_ended_total`, `rendez_yields_total`, `rendez_steals_total`, `rendez_sleeps_total`, `rendez_notifies_total`, `rendez_poller_looks_total`, `rendez_calls_together_total`, `rendez_spares_total`, `rendez_stuck_total` | counter | |
/// | `rendez_parks_total` | counter | `reason` |
/// | `rendez_wakes_total` | counter | `from`: local, remote, time, shutdown, async |
/// | `rendez_wake_to_run_seconds` | gauge | `quantile`: 0.5, 0.9, 0.99 |
/// | `rendez_worker_busy_seconds_total` | gauge | `runtime`, `worker` |
/// | `rendez_stacks` | gauge | `size`, `state`: in use, cached, mapped |
/// | `rendez_stack_used_bytes` | gauge | `site`: where the goroutines were created of which one has used so much |
/// | `rendez_timers`, `rendez_blocking_threads` | gauge | |
///
/// # Examples
/// ```
/// rendez::run(|| {
///     // Without a recorder, they go nowhere.
///     rendez::diag::publish_metrics();
/// });
/// ```
pub fn publish_metrics() {
    static DESCRIBE: std::sync::Once = std::sync::Once::new();
    DESCRIBE.call_once(|| {
        for (name, what) in DESCRIBED {
            let is_counter = name.ends_with("_total") && !name.contains("busy");
            match is_counter {
                true => metrics::describe_counter!(name, what),
                false => metrics::describe_gauge!(name, what),
            }
        }
    });
    publish(&stats());
}

fn publish(stats: &Stats) {
    let goroutines = &stats.goroutines;
    let states = [
        ("running", goroutines.running),
        ("runnable", goroutines.runnable),
        ("unstarted", goroutines.unstarted),
    ];
    // A state that nobody is in any more has to be told as zero, too.
    for reason in crate::wait::Reason::ALL {
        let n = goroutines.waiting.iter().find(|(name, _)| *name == reason.text()).map_or(0, |&(_, n)| n);
        gauge!("rendez_goroutines", "state" => reason.text()).set(n as f64);
    }
    for (state, n) in states {
        gauge!("rendez_goroutines", "state" => state).set(n as f64);
    }
    publish_counts(&stats.counts);
    for (fraction, name) in [(0.5, "0.5"), (0.9, "0.9"), (0.99, "0.99")] {
        if let Some(time) = stats.wake_to_run.quantile(fraction) {
            gauge!("rendez_wake_to_run_seconds", "quantile" => name).set(time.as_secs_f64());
        }
    }
    for runtime in &stats.runtimes {
        for worker in &runtime.workers {
            let labels = vec![
                Label::new("runtime", runtime.number.to_string()),
                Label::new("worker", worker.index.to_string()),
            ];
            gauge!("rendez_worker_busy_seconds_total", labels).set(worker.busy.as_secs_f64());
        }
    }
    for stacks in &stats.stacks {
        for (state, n) in [("in use", stacks.in_use), ("cached", stacks.cached), ("mapped", stacks.mapped)] {
            let labels = vec![Label::new("size", stacks.size.to_string()), Label::new("state", state)];
            gauge!("rendez_stacks", labels).set(n as f64);
        }
    }
    for high in &stats.high_water {
        let site = Label::new("site", high.site.to_string());
        gauge!("rendez_stack_used_bytes", vec![site]).set(high.deepest as f64);
    }
    gauge!("rendez_timers").set(stats.timers as f64);
    gauge!("rendez_blocking_threads").set(stats.blocking.threads as f64);
}

fn publish_counts(counts: &Counts) {
    counter!("rendez_spawned_total").absolute(counts.spawned);
    counter!("rendez_ended_total").absolute(counts.ended);
    counter!("rendez_yields_total").absolute(counts.yields);
    counter!("rendez_steals_total").absolute(counts.steals);
    counter!("rendez_sleeps_total").absolute(counts.sleeps);
    counter!("rendez_notifies_total").absolute(counts.notifies);
    counter!("rendez_poller_looks_total").absolute(counts.poller_looks);
    counter!("rendez_calls_together_total").absolute(counts.calls_together);
    counter!("rendez_spares_total").absolute(counts.spares);
    counter!("rendez_stuck_total").absolute(counts.stuck);
    for &(reason, n) in &counts.parks_by_reason {
        counter!("rendez_parks_total", "reason" => reason).absolute(n);
    }
    let wakes = [
        ("local", counts.local_wakes),
        ("remote", counts.remote_wakes),
        ("time", counts.timeouts),
        ("shutdown", counts.cancelled),
        ("async", counts.async_wakes),
    ];
    for (from, n) in wakes {
        counter!("rendez_wakes_total", "from" => from).absolute(n);
    }
}
