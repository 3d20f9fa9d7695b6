//! The child process: one contestant runs one case and tells its reading as one line of JSON.

use crate::{
    cases::{Case, Scale},
    peer::{Body, Peer},
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What a child tells. Go's children write the same.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Told {
    /// So many operations took so many nanoseconds.
    Timed {
        /// Operations.
        count: u64,
        /// Nanoseconds.
        ns: u64,
    },
    /// A reading that is in the case's unit already.
    Value(f64),
}

impl Told {
    /// The reading in the case's unit.
    pub(crate) fn reading(self, case: &Case) -> f64 {
        match self {
            Told::Timed { count, ns } => case.unit.of(count, Duration::from_nanos(ns)),
            Told::Value(value) => value,
        }
    }
}

/// Runs the case in this process. Each run, warm-ups too, goes through `around`, with the number of its operations.
///
/// # Errors
/// The reason why the peer cannot.
pub(crate) fn one(
    peer: &Peer,
    case: &Case,
    scale: Scale,
    mut around: impl FnMut(u64, &mut dyn FnMut()) + Send,
) -> Result<Told, String> {
    match peer.find(case.name).body()? {
        Body::Value(mut read) => match scale {
            Scale::Once { count } => {
                let mut value = f64::NAN;
                around(count, &mut || value = read(count));
                Ok(Told::Value(value))
            }
            other => Err(format!("`{other}`: this case runs once")),
        },
        Body::Timed(mut run) => {
            let mut told = None;
            let mut run = |count| {
                let mut took = Duration::ZERO;
                around(count, &mut || took = run(count));
                took
            };
            peer.enter(&mut || told = Some(timed(scale, &mut run)));
            told.ok_or_else(|| "the peer's runtime did not run the case".into())
        }
    }
}

/// Streams are counted in multiples of this, so that every number of senders and goroutines divides them.
const GRAIN: u64 = 8000;
/// A case is run at most this often.
const MOST_REPEATS: u64 = 10;

/// Warms up and runs, as the scale says. `go/main.go` does the same.
fn timed(scale: Scale, run: &mut dyn FnMut(u64) -> Duration) -> Told {
    let (count, ns) = match scale {
        Scale::Steady { target_ms } => {
            let target = target_ms as f64 * 1e6;
            let mut count = GRAIN;
            let mut ns = run(count).as_nanos();
            // A run that is over far too soon was planned by a slow one before it: it is a warm-up as well.
            for _ in 0..MOST_REPEATS {
                let factor = (target / ns.max(1) as f64).clamp(1.0, 16.0);
                count = ((count as f64 * factor) as u64).div_ceil(GRAIN) * GRAIN;
                ns = run(count).as_nanos();
                if ns as f64 >= target / 2.0 {
                    break;
                }
            }
            (count, ns)
        }
        Scale::Repeat { count, target_ms } => {
            run((count / 10).max(1));
            let (mut repeats, mut sum) = (0, Duration::ZERO);
            while repeats == 0 || (repeats < MOST_REPEATS && sum.as_millis() < u128::from(target_ms)) {
                sum += run(count);
                repeats += 1;
            }
            (count, sum.as_nanos() / u128::from(repeats))
        }
        Scale::Once { count } => {
            run(10);
            (count, run(count).as_nanos())
        }
    };
    Told::Timed { count, ns: ns as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_case_runs_as_many_operations_as_fill_the_time() {
        let mut runs = Vec::new();
        let told = timed(Scale::Steady { target_ms: 100 }, &mut |count| {
            runs.push(count);
            Duration::from_nanos(count * 50)
        });
        assert_eq!(runs, [8000, 128_000, 2_000_000]);
        assert_eq!(told, Told::Timed { count: 2_000_000, ns: 100_000_000 });
    }

    #[test]
    fn a_slow_steady_case_is_run_twice_at_the_least_size() {
        let mut runs = Vec::new();
        let told = timed(Scale::Steady { target_ms: 100 }, &mut |count| {
            runs.push(count);
            Duration::from_micros(count * 25)
        });
        assert_eq!(runs, [GRAIN, GRAIN]);
        assert_eq!(told, Told::Timed { count: GRAIN, ns: GRAIN * 25_000 });
    }

    #[test]
    fn a_slow_start_does_not_make_the_timed_run_too_short() {
        let mut runs = 0;
        let told = timed(Scale::Steady { target_ms: 100 }, &mut |count| {
            runs += 1;
            Duration::from_nanos(count * if runs == 1 { 20_000 } else { 50 })
        });
        assert!(matches!(told, Told::Timed { ns: 50_000_000.., .. }), "{told:?}");
    }

    #[test]
    fn a_repeated_case_is_averaged_after_a_tenth_for_warming_up() {
        let mut runs = Vec::new();
        let told = timed(Scale::Repeat { count: 1000, target_ms: 5 }, &mut |count| {
            runs.push(count);
            Duration::from_millis(runs.len() as u64)
        });
        assert_eq!(runs, [100, 1000, 1000]);
        assert_eq!(told, Told::Timed { count: 1000, ns: 2_500_000 });
    }

    #[test]
    fn what_a_child_tells_has_this_shape() {
        let line = |told| serde_json::to_string(&told).unwrap();
        assert_eq!(line(Told::Timed { count: 8, ns: 80 }), r#"{"timed":{"count":8,"ns":80}}"#);
        assert_eq!(line(Told::Value(1.5)), r#"{"value":1.5}"#);
    }
}
