//! What the process holds of the system, and whether that grows.

use crate::gauge;
use std::{fmt, fs};

pub(crate) const MIB: f64 = 1048576.0;

/// At one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Vitals {
    /// Bytes.
    pub(crate) resident: u64,
    pub(crate) mappings: u64,
    pub(crate) files: u64,
    pub(crate) threads: u64,
}

impl Vitals {
    pub(crate) fn now() -> Vitals {
        let entries = |path: &str| fs::read_dir(path).map_or(0, |folder| folder.count() as u64);
        Vitals {
            resident: gauge::resident(),
            mappings: fs::read_to_string("/proc/self/maps").map_or(0, |maps| maps.lines().count() as u64),
            files: entries("/proc/self/fd"),
            threads: entries("/proc/self/task"),
        }
    }
}

impl fmt::Display for Vitals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Vitals { resident, mappings, files, threads } = self;
        write!(f, "{:.1} MiB, {mappings} mappings, {threads} threads, {files} files", *resident as f64 / MIB)
    }
}

/// What has grown between the second quarter of the rounds, when everything has been used once, and the last. The least of
/// a quarter is what the process held whatever the rounds were. Of fewer rounds than `fewest` nothing is said.
pub(crate) fn growth(samples: &[Vitals], fewest: usize) -> Vec<String> {
    if samples.len() < fewest {
        return Vec::new();
    }
    let quarter = samples.len() / 4;
    let least = |part: &[Vitals], of: fn(&Vitals) -> u64| part.iter().map(of).min().unwrap_or(0);
    let (early, late) = (&samples[quarter..2 * quarter], &samples[samples.len() - quarter..]);
    let mut grown = Vec::new();
    // `noise` is how much more says nothing.
    let mut look = |name: &str, of: fn(&Vitals) -> u64, noise: u64| {
        let (before, after) = (least(early, of), least(late, of));
        if after > before + noise {
            grown.push(format!("{name} have grown from {before} to {after}"));
        }
    };
    look("resident bytes", |vitals| vitals.resident, 8 << 20);
    look("mappings", |vitals| vitals.mappings, 32);
    look("threads", |vitals| vitals.threads, 0);
    look("open files", |vitals| vitals.files, 0);
    grown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_threads_and_files() {
        let Vitals { resident, mappings, files, threads } = Vitals::now();
        assert!(resident > 0 && mappings > 10 && files >= 3 && threads >= 1);
    }

    #[test]
    fn growth_is_told_and_noise_is_not() {
        let vitals = |round: u64, leak: u64| Vitals {
            resident: (20 << 20) + (round % 7) * 1_000_000 + round * leak,
            mappings: 100 + round % 5,
            files: 5 + round * leak / 1_000_000,
            threads: 2,
        };
        let steady: Vec<Vitals> = (0..400).map(|round| vitals(round, 0)).collect();
        assert_eq!(growth(&steady, 64), Vec::<String>::new());
        let leaking: Vec<Vitals> = (0..400).map(|round| vitals(round, 100_000)).collect();
        assert_eq!(growth(&leaking, 64).len(), 2);
        assert!(growth(&leaking[..30], 64).is_empty());
    }
}
