//! How the cost of an operation changes with how many there are: of goroutines, timers, channels, workers.
//!
//! A curve that is flat costs the same in a crowd as alone. What bends has a structure that grows worse with its size, or has left
//! a cache of the processor's; README.md says which is which.

mod picture;
mod programs;

use crate::{
    cases::{self, Scale},
    child::{self, Told},
    peer,
};
use std::{env, path::PathBuf, process::Command, time::Duration};

/// Settings.
#[derive(Debug, clap::Args)]
pub(crate) struct Curves {
    /// Only the curves that match, as `timers*`; may be given several times [default: all]
    #[arg(long = "curve", value_name = "GLOB")]
    curves: Vec<String>,
    /// How often each point is measured; the median counts
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Leave out what is above this
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    most: u64,
    /// Draw the curves as a picture
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
}

/// One point of a curve, in a process of its own.
#[derive(Debug, clap::Args)]
pub(crate) struct Point {
    #[arg(long)]
    curve: String,
    #[arg(long)]
    at: u64,
}

/// What is counted on the axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Axis {
    Goroutines,
    Timers,
    Channels,
    Workers,
}

impl Axis {
    const ALL: [Axis; 4] = [Axis::Goroutines, Axis::Timers, Axis::Channels, Axis::Workers];

    fn name(self) -> &'static str {
        match self {
            Axis::Goroutines => "goroutines",
            Axis::Timers => "timers",
            Axis::Channels => "channels",
            Axis::Workers => "workers",
        }
    }

    fn stops(self) -> &'static [u64] {
        match self {
            Axis::Goroutines => &[10, 100, 1000, 10_000, 100_000, 1_000_000],
            Axis::Timers => &[1, 10, 100, 1000, 10_000, 100_000, 1_000_000],
            Axis::Channels => &[2, 10, 100, 1000, 10_000],
            Axis::Workers => &[1, 2, 3, 4, 6, 8],
        }
    }
}

struct Curve {
    name: &'static str,
    axis: Axis,
    about: &'static str,
    work: Work,
}

enum Work {
    /// With so many of what the axis counts, so many operations.
    Program(fn(u64, u64) -> Duration),
    /// As many operations as there are of what the axis counts.
    Whole(fn(u64) -> Duration),
    /// The case of that name, on so many workers.
    Case(&'static str),
}

const CURVES: [Curve; 13] = [
    Curve {
        name: "spawn_park_end",
        axis: Axis::Goroutines,
        about: "started, parked in a receive on one channel, woken by its close, ended",
        work: Work::Whole(programs::cycle),
    },
    Curve {
        name: "yield",
        axis: Axis::Goroutines,
        about: "a yield, of goroutines that do nothing else",
        work: Work::Program(programs::yields),
    },
    Curve {
        name: "pairs",
        axis: Axis::Goroutines,
        about: "a round trip over two rendezvous channels, in half as many pairs, all at once",
        work: Work::Program(programs::pairs),
    },
    Curve {
        name: "among_parked",
        axis: Axis::Goroutines,
        about: "the round trip of a single pair among so many that are parked",
        work: Work::Program(programs::among_parked),
    },
    Curve {
        name: "timers_set",
        axis: Axis::Timers,
        about: "a timer set and stopped, among so many that are set for times spread over a day",
        work: Work::Program(programs::set_and_stop),
    },
    Curve {
        name: "timers_fire",
        axis: Axis::Timers,
        about: "set for times spread over 2 ms, waited for by a goroutine each; its time less those 2 ms",
        work: Work::Whole(programs::sleepers),
    },
    Curve {
        name: "chain",
        axis: Axis::Channels,
        about: "a message over one of so many rendezvous channels in a row",
        work: Work::Program(programs::chain),
    },
    Curve {
        name: "round_robin",
        axis: Axis::Channels,
        about: "a send to and a receive from one of so many buffered channels, by turns, by one goroutine",
        work: Work::Program(programs::round_robin),
    },
    on_workers("ping_pong"),
    on_workers("mpmc_128"),
    on_workers("mutex_8"),
    on_workers("pipeline_8"),
    on_workers("skynet"),
];

const fn on_workers(case: &'static str) -> Curve {
    Curve { name: case, axis: Axis::Workers, about: "the case of that name", work: Work::Case(case) }
}

/// Of a curve: where on the axis, and nanoseconds for an operation.
struct Measured {
    curve: &'static Curve,
    points: Vec<(u64, f64)>,
}

impl Curves {
    pub(crate) fn run(&self) -> Result<(), String> {
        let patterns: Result<Vec<_>, _> = self.curves.iter().map(|glob| glob::Pattern::new(glob)).collect();
        let patterns = patterns.map_err(|error| error.to_string())?;
        let asked =
            |curve: &Curve| patterns.is_empty() || patterns.iter().any(|pattern| pattern.matches(curve.name));
        let curves: Vec<_> = CURVES.iter().filter(|curve| asked(curve)).collect();
        if curves.is_empty() {
            let names: Vec<_> = CURVES.iter().map(|curve| curve.name).collect();
            return Err(format!("no curve is called so; there are {}", names.join(", ")));
        }
        let mut all = Vec::new();
        for axis in Axis::ALL {
            let stops: Vec<_> = axis.stops().iter().copied().filter(|&at| at <= self.most).collect();
            let here: Vec<_> = curves.iter().copied().filter(|curve| curve.axis == axis).collect();
            if here.is_empty() || stops.is_empty() {
                continue;
            }
            let mut head = format!("{:<16}", format!("ns/op by {}", axis.name()));
            stops.iter().for_each(|at| head += &format!("{at:>10}"));
            println!("{head}    most/least");
            for curve in here {
                let points: Result<Vec<_>, _> =
                    stops.iter().map(|&at| Ok::<_, String>((at, self.point(curve, at)?))).collect();
                let points = points?;
                let mut line = format!("{:<16}", curve.name);
                points.iter().for_each(|(_, ns)| line += &format!("{ns:>10.1}"));
                let of = |pick: fn(f64, f64) -> f64, from| points.iter().map(|&(_, ns)| ns).fold(from, pick);
                println!("{line}{:>14.2}", of(f64::max, 0.0) / of(f64::min, f64::MAX));
                all.push(Measured { curve, points });
            }
            println!();
        }
        for measured in &all {
            println!("{}: {}", measured.curve.name, measured.curve.about);
        }
        match &self.plot {
            Some(file) => picture::draw(&all, file),
            None => Ok(()),
        }
    }

    /// The median of the rounds.
    fn point(&self, curve: &Curve, at: u64) -> Result<f64, String> {
        let mut readings: Vec<f64> = (0..self.rounds).map(|_| read(curve, at)).collect::<Result<_, _>>()?;
        readings.sort_by(f64::total_cmp);
        Ok(readings[readings.len() / 2])
    }
}

fn read(curve: &Curve, at: u64) -> Result<f64, String> {
    let program = env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    if curve.axis == Axis::Workers {
        command.env("RENDEZ_WORKERS", at.to_string());
    }
    let at = at.to_string();
    let out = command.args(["point", "--curve", curve.name, "--at", &at]).output();
    let out = out.map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&out.stdout);
    match text.trim().parse() {
        Ok(ns) if out.status.success() => Ok(ns),
        _ => Err(format!("{} at {at}: {}\n{}", curve.name, out.status, String::from_utf8_lossy(&out.stderr))),
    }
}

impl Point {
    /// Measures it in this process and prints it.
    pub(crate) fn run(&self) -> Result<(), String> {
        let curve = CURVES.iter().find(|curve| curve.name == self.curve);
        let curve = curve.ok_or_else(|| format!("no curve is called `{}`", self.curve))?;
        println!("{}", curve.ns(self.at)?);
        Ok(())
    }
}

impl Curve {
    fn ns(&self, at: u64) -> Result<f64, String> {
        let each = |(count, ns): (u64, u64)| ns as f64 / count as f64;
        match self.work {
            Work::Program(program) => Ok(each(rendez::run(|| steady(|n| program(at, n))))),
            Work::Whole(program) => Ok(each(rendez::run(|| repeated(at, || program(at))))),
            Work::Case(name) => {
                let case = cases::find(name).ok_or_else(|| format!("no case is called `{name}`"))?;
                let rendez = peer::find("rendez").ok_or("rendez is there")?;
                let scale: Scale = case.size.scale(true);
                match child::one(rendez, case, scale, |_, run| run())? {
                    Told::Timed { count, ns } => Ok(each((count, ns))),
                    Told::Value(value) => Ok(value),
                }
            }
        }
    }
}

const ENOUGH: Duration = Duration::from_millis(200);

/// More and more operations, until they take long enough.
fn steady(mut run: impl FnMut(u64) -> Duration) -> (u64, u64) {
    let mut count = 1000;
    loop {
        let took = run(count);
        if took >= ENOUGH / 2 {
            return (count, took.as_nanos() as u64);
        }
        let factor = ENOUGH.as_secs_f64() / took.as_secs_f64().max(1e-6);
        count = (count as f64 * factor.clamp(1.5, 20.0)) as u64;
    }
}

/// The same `count` operations, once to warm up, and then until they have taken long enough.
fn repeated(count: u64, mut run: impl FnMut() -> Duration) -> (u64, u64) {
    run();
    let (mut all, mut ns) = (0, 0);
    while ns < ENOUGH.as_nanos() as u64 {
        ns += run().as_nanos() as u64;
        all += count;
    }
    (all, ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_curve_has_a_point_at_its_beginning() {
        for curve in &CURVES {
            let at = curve.axis.stops()[1];
            let ns = curve.ns(at).unwrap();
            assert!(ns.is_finite() && ns >= 0.0, "{}: {ns}", curve.name);
        }
    }

    #[test]
    fn what_is_over_too_soon_is_run_with_more() {
        let mut runs = Vec::new();
        let (count, ns) = steady(|count| {
            runs.push(count);
            Duration::from_micros(count)
        });
        assert_eq!((count, ns), (200_000, 200_000_000));
        assert_eq!(runs, [1000, 20_000, 200_000]);
    }

    #[test]
    fn the_picture_names_every_curve() {
        let all: Vec<_> = CURVES
            .iter()
            .map(|curve| Measured {
                curve,
                points: curve.axis.stops().iter().map(|&at| (at, 50.0 + at as f64)).collect(),
            })
            .collect();
        let file = env::temp_dir().join(format!("rendez-bench-curves-{}.svg", std::process::id()));
        picture::draw(&all, &file).unwrap();
        let svg = std::fs::read_to_string(&file).unwrap();
        std::fs::remove_file(file).unwrap();
        for curve in &CURVES {
            assert!(svg.contains(curve.name), "{}", curve.name);
        }
    }
}
