//! What the readings were taken with: the machine, the versions, the day.

use crate::peer::go::Go;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    fmt, fs,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

/// CPUs that this process may use: the number of workers of every contestant.
pub(crate) fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The machine.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Machine {
    /// The model's name as the kernel tells it, and its numbers: a virtual machine's name may say no more than the maker.
    pub(crate) cpu: String,
    /// What its caches hold, as `L1 32K, L2 512K, L3 32768K`, instructions' left out. Empty if the kernel does not tell.
    pub(crate) caches: String,
    /// How many of them the process may use.
    pub(crate) cpus: usize,
    /// Name and release of the kernel.
    pub(crate) kernel: String,
}

impl Machine {
    /// This one.
    pub(crate) fn this() -> Machine {
        let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let kernel = format!("{} {}", std::env::consts::OS, release.trim());
        let caches = caches(Path::new("/sys/devices/system/cpu/cpu0/cache"));
        Machine { cpu: cpu_model(&info), caches, cpus: cpus(), kernel: kernel.trim().into() }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Machine { cpu, caches, cpus, kernel } = self;
        write!(f, "{cpu}, ")?;
        if !caches.is_empty() {
            write!(f, "{caches}, ")?;
        }
        write!(f, "{cpus} CPUs, {kernel}")
    }
}

fn cpu_model(info: &str) -> String {
    let field = |name: &str| {
        let named = info.lines().filter_map(|line| line.split_once(':')).find(|(is, _)| is.trim() == name)?;
        Some(named.1.trim())
    };
    let model = field("model name").or_else(|| field("Model")).or_else(|| field("CPU part"));
    let model = model.unwrap_or(std::env::consts::ARCH);
    match (field("cpu family"), field("model")) {
        (Some(family), Some(number)) => format!("{model} (family {family}, model {number})"),
        _ => model.into(),
    }
}

/// What the first processor's caches hold, from the kernel's folder of them.
fn caches(folder: &Path) -> String {
    let told = (0..).map_while(|i| {
        let read = |what: &str| {
            let text = fs::read_to_string(folder.join(format!("index{i}")).join(what)).ok()?;
            Some(text.trim().to_owned())
        };
        Some((read("level")?, read("type")?, read("size")?))
    });
    let told =
        told.filter(|(_, kind, _)| kind != "Instruction").map(|(level, _, size)| format!("L{level} {size}"));
    told.collect::<Vec<_>>().join(", ")
}

/// Versions of the compiler, of Go, of every peer and of rendez.
pub(crate) fn versions(go: &Go) -> BTreeMap<String, String> {
    let mut versions: BTreeMap<String, String> = env!("BENCH_PEERS")
        .split(';')
        .filter_map(|told| told.split_once('='))
        .map(|(name, version)| (name.to_owned(), version.to_owned()))
        .collect();
    versions.insert("rustc".into(), env!("BENCH_RUSTC").trim_start_matches("rustc ").into());
    versions.insert("go".into(), go.version().into());
    versions.insert("rendez".into(), option_env!("BENCH_COMMIT").unwrap_or(env!("CARGO_PKG_VERSION")).into());
    versions
}

/// The day, in UTC, as `2026-11-23`.
pub(crate) fn date() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    civil(seconds / 86_400)
}

/// The date of a day counted from 1970-01-01, by Howard Hinnant's `civil_from_days`.
fn civil(days: u64) -> String {
    let shifted = days + 719_468; // from 0000-03-01
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_dates() {
        assert_eq!(civil(0), "1970-01-01");
        assert_eq!(civil(11_016), "2000-02-29");
        assert_eq!(civil(20_780), "2026-11-23");
    }

    #[test]
    fn the_cpu_s_name_is_found_or_replaced_by_the_architecture() {
        assert_eq!(cpu_model("processor : 0\nmodel name\t: Fast One @ 3GHz\n"), "Fast One @ 3GHz");
        assert_eq!(
            cpu_model("model\t: 1\ncpu family\t: 25\nmodel name\t: Some\n"),
            "Some (family 25, model 1)"
        );
        assert_eq!(cpu_model(""), std::env::consts::ARCH);
    }

    #[test]
    fn caches_are_told_up_to_the_first_that_is_not_there() {
        let folder = std::env::temp_dir().join(format!("bench-caches-{}", std::process::id()));
        for (i, level, kind, size) in
            [(0, 1, "Data", "32K"), (1, 1, "Instruction", "32K"), (2, 2, "Unified", "512K")]
        {
            let index = folder.join(format!("index{i}"));
            fs::create_dir_all(&index).unwrap();
            for (what, text) in [
                ("level", format!("{level}\n")),
                ("type", format!("{kind}\n")),
                ("size", format!("{size}\n")),
            ] {
                fs::write(index.join(what), text).unwrap();
            }
        }
        assert_eq!(caches(&folder), "L1 32K, L2 512K");
        let machine =
            Machine { cpu: "Some".into(), caches: caches(&folder), cpus: 2, kernel: "linux".into() };
        assert_eq!(machine.to_string(), "Some, L1 32K, L2 512K, 2 CPUs, linux");
        assert_eq!(caches(&folder.join("none")), "");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn every_peer_s_version_is_known() {
        let versions = versions(&Go::absent());
        for name in ["rustc", "go", "rendez", "tokio", "kanal", "flume", "crossbeam-channel", "may"] {
            assert!(versions.get(name).is_some_and(|version| !version.is_empty()), "{name}");
        }
        assert_eq!(versions["go"], "not installed");
    }
}
