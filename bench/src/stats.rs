//! What rendez does for each operation of a case: for who looks for what a reading is made of.

use crate::{
    cases::{self, Case, Scale},
    child, peer,
};
use rendez::diag;
use std::{env, process::Command};

/// Settings.
#[derive(Debug, clap::Args)]
pub(crate) struct Stats {
    /// Only the cases that match, as `spawn_*`; may be given several times [default: all]
    #[arg(long = "case", value_name = "GLOB")]
    cases: Vec<String>,
    /// Smaller sizes and shorter runs
    #[arg(long)]
    quick: bool,
}

/// The columns: what is counted for an operation.
const COLUMNS: [&str; 11] = [
    "spawns", "parks", "yields", "local", "remote", "timeouts", "polls", "steals", "sleeps", "futex", "epoll",
];

impl Stats {
    pub(crate) fn run(&self) -> Result<(), String> {
        println!(
            "per operation: goroutines started, parks, yields, wake-ups from the same worker, from others and by time, polls of"
        );
        println!(
            "async goroutines; and of the workers: steals, sleeps, futex calls to sleep and wake, looks at pollers; then how long"
        );
        println!(
            "from wake to run, half of them and all but one in a hundred; and how many operations there were\n"
        );
        println!("{}", row("case", &COLUMNS.map(String::from), "p50 / p99"));
        let program = env::current_exe().map_err(|error| error.to_string())?;
        for case in cases::choose(&self.cases)? {
            let scale = case.size.scale(self.quick).to_string();
            let arguments = ["one", "--stats", "--peer", "rendez", "--case", case.name, "--scale", &scale];
            let ended = Command::new(&program).args(arguments).status().map_err(|error| error.to_string())?;
            if !ended.success() {
                return Err(format!("{}: {ended}", case.name));
            }
        }
        Ok(())
    }
}

fn row(case: &str, numbers: &[String], rest: &str) -> String {
    let mut line = format!("{case:<18}");
    for number in numbers {
        line += &format!("{number:>10}");
    }
    line + "  " + rest
}

/// Runs the case in this process, and tells of its last run, which is the one that is timed.
///
/// # Errors
/// As [`child::one`].
pub(crate) fn line(peer: &peer::Peer, case: &Case, scale: Scale) -> Result<String, String> {
    let mut last = None;
    child::one(peer, case, scale, |count, run| {
        let before = diag::stats();
        run();
        last = Some((count, diag::stats().since(&before)));
    })?;
    let (count, stats) = last.ok_or("it did not run")?;
    let each = |n: u64| match n as f64 / count.max(1) as f64 {
        0.0 => "0".into(),
        small if small < 0.001 => format!("{small:.0e}"),
        n if n < 100.0 => format!("{n:.3}"),
        n => format!("{n:.0}"),
    };
    let counts = &stats.counts;
    let numbers = [
        counts.spawned,
        counts.parks,
        counts.yields,
        counts.local_wakes,
        counts.remote_wakes,
        counts.timeouts,
        counts.async_polls,
        counts.steals,
        counts.sleeps,
        counts.futex_calls(),
        counts.poller_looks,
    ];
    let latency = &stats.wake_to_run;
    let rest = match (latency.quantile(0.5), latency.quantile(0.99)) {
        (Some(half), Some(most)) => format!("{half:?} / {most:?}, {count} ops"),
        _ => format!("no samples, {count} ops"),
    };
    Ok(row(case.name, &numbers.map(each), &rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_told_with_what_it_does_for_each_operation() {
        let (rendez, case) = (peer::find("rendez").unwrap(), cases::find("ping_pong").unwrap());
        let line = line(rendez, case, Scale::Once { count: 1000 }).unwrap();
        assert!(line.starts_with("ping_pong ") && line.ends_with(", 1000 ops"), "{line}");
        let parks: f64 = line.split_whitespace().nth(2).unwrap().parse().unwrap();
        assert!((1.5..2.5).contains(&parks), "{line}");
    }
}
