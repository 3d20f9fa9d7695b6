//! Whether what was measured repeats: several runs' results side by side.

use crate::cases::{CASES, Case};
use serde::Deserialize;
use std::{fs, path::PathBuf};

/// What differs by no more than this, largest over least, repeats.
const REPEATS: f64 = 1.1;

#[derive(Debug, clap::Args)]
pub(crate) struct Compare {
    /// What `run --json` has written, two runs or more
    #[arg(value_name = "FILE.json", required = true, num_args = 2..)]
    files: Vec<PathBuf>,
}

/// A run's result, as far as it is looked at here.
#[derive(Debug, Deserialize)]
struct Told {
    date: String,
    versions: Versions,
    quick: bool,
    cases: Vec<ToldCase>,
}

#[derive(Debug, Deserialize)]
struct Versions {
    rendez: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct ToldCase {
    case: String,
    rendez: Option<f64>,
    ratio_to_go: Option<f64>,
    ratio_to_best_peer: Option<f64>,
}

impl Compare {
    pub(crate) fn run(&self) -> Result<(), String> {
        let runs = self.files.iter().map(read).collect::<Result<Vec<Told>, String>>()?;
        if runs.iter().any(|run| run.quick != runs[0].quick) {
            return Err("some of these runs were quick ones, and others were not".into());
        }
        for (number, run) in runs.iter().enumerate() {
            let version = run.versions.rendez.as_deref().unwrap_or("of an unknown version");
            println!("run {}: rendez {version}, {}", number + 1, run.date);
        }
        println!();
        print!("{}", text(&runs));
        Ok(())
    }
}

fn read(file: &PathBuf) -> Result<Told, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    serde_json::from_str(&text)
        .map_err(|error| format!("{} is not what `run --json` writes: {error}", file.display()))
}

/// What is compared of each case, under a heading; and what it is compared as, if the case says so.
struct Figure {
    heading: &'static str,
    of: fn(&ToldCase) -> Option<f64>,
    as_compared: fn(&Case, f64) -> f64,
}

const FIGURES: [Figure; 3] = [
    // What is below the floor is noise.
    Figure {
        heading: "rendez's readings",
        of: |told| told.rendez,
        as_compared: |case, value| value.max(case.floor()),
    },
    Figure { heading: "ratios to Go", of: |told| told.ratio_to_go, as_compared: |_, value| value },
    Figure {
        heading: "ratios to the best Rust peer",
        of: |told| told.ratio_to_best_peer,
        as_compared: |_, value| value,
    },
];

/// For each figure how many cases repeat, and those that don't, the worst first.
fn text(runs: &[Told]) -> String {
    let mut text = String::new();
    for Figure { heading, of, as_compared } in FIGURES {
        let mut spreads: Vec<(f64, &str, Vec<f64>)> = Vec::new();
        for case in CASES {
            let values: Option<Vec<f64>> = runs.iter().map(|run| of(run.find(case.name)?)).collect();
            if let Some(values) = values {
                let compared: Vec<f64> = values.iter().map(|&value| as_compared(case, value)).collect();
                spreads.push((spread(&compared), case.name, values));
            }
        }
        let all = spreads.len();
        spreads.retain(|(spread, ..)| *spread > REPEATS);
        spreads.sort_by(|(a, ..), (b, ..)| b.total_cmp(a));
        text += &format!("{heading}: {} of {all} repeat within 10 percent\n", all - spreads.len());
        for (spread, name, values) in spreads {
            let values: String = values.iter().map(|value| format!("{value:>12}")).collect();
            text += &format!("    {name:<23}{values}   {spread:.2} times\n");
        }
    }
    text
}

impl Told {
    fn find(&self, name: &str) -> Option<&ToldCase> {
        self.cases.iter().find(|case| case.case == name)
    }
}

/// The largest over the least. Of nothing but zeros it is one.
fn spread(values: &[f64]) -> f64 {
    let largest = values.iter().copied().fold(f64::MIN, f64::max);
    let least = values.iter().copied().fold(f64::MAX, f64::min);
    if largest == least { 1.0 } else { largest / least }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(cases: &[(&str, f64, Option<f64>)]) -> Told {
        let cases = cases.iter().map(|&(case, rendez, ratio_to_go)| ToldCase {
            case: case.into(),
            rendez: Some(rendez),
            ratio_to_go,
            ratio_to_best_peer: None,
        });
        Told {
            date: String::new(),
            versions: Versions { rendez: None },
            quick: false,
            cases: cases.collect(),
        }
    }

    #[test]
    fn what_differs_by_more_than_a_tenth_is_told_and_counted() {
        let told = text(&[
            run(&[("spsc_0", 100.0, Some(0.5)), ("sieve", 10.0, Some(0.3)), ("echo_1", 1.0, None)]),
            run(&[("spsc_0", 109.0, Some(0.6)), ("sieve", 20.0, Some(0.3)), ("echo_1", 1.0, None)]),
        ]);
        assert!(told.contains("rendez's readings: 2 of 3 repeat"), "{told}");
        assert!(told.contains("ratios to Go: 1 of 2 repeat"), "{told}");
        assert!(
            told.contains("sieve") && told.contains("2.00 times") && told.contains("1.20 times"),
            "{told}"
        );
        assert!(!told.contains("echo_1"), "{told}");
    }

    #[test]
    fn a_case_that_is_not_in_every_run_is_left_out() {
        let told = text(&[run(&[("spsc_0", 1.0, None), ("sieve", 1.0, None)]), run(&[("sieve", 1.0, None)])]);
        assert!(told.contains("rendez's readings: 1 of 1 repeat"), "{told}");
    }

    #[test]
    fn what_is_noise_in_ratios_is_noise_here() {
        let told = text(&[run(&[("idle_cpu", 0.2, Some(1.0))]), run(&[("idle_cpu", 0.7, Some(1.0))])]);
        assert!(told.contains("rendez's readings: 1 of 1 repeat"), "{told}");
    }

    #[test]
    fn what_run_writes_is_read() {
        let text = r#"{"machine": {}, "versions": {"rendez": "1", "go": "2"}, "date": "today", "quick": true,
            "cases": [{"case": "seq_1", "unit": "ns/op", "rendez": 5.2, "go": null, "ratio_to_go": null,
            "ratio_to_best_peer": 1.06, "rounds": 3}]}"#;
        let told: Told = serde_json::from_str(text).unwrap();
        assert_eq!((told.cases[0].rendez, told.cases[0].ratio_to_go), (Some(5.2), None));
        assert!(serde_json::from_str::<Told>("{}").is_err());
    }
}
