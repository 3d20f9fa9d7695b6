//! Hands the compiler's and the peers' versions to the program, which prints them beside its readings.

use std::{env, fs, path::Path, process::Command};

/// Packages whose versions a reader of the readings wants to know.
const TOLD: &[&str] =
    &["crossbeam-channel", "flume", "hyper", "kanal", "may", "may_minihttp", "rayon", "tokio"];

fn main() {
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let version = Command::new(rustc).arg("--version").output().ok();
    let version = version.map(|out| String::from_utf8_lossy(&out.stdout).trim().to_owned());
    println!("cargo::rustc-env=BENCH_RUSTC={}", version.unwrap_or_else(|| "unknown".into()));

    let manifest = env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    let lock = Path::new(&manifest).join("../Cargo.lock");
    println!("cargo::rerun-if-changed={}", lock.display());
    println!("cargo::rerun-if-changed=build.rs");
    let text = fs::read_to_string(lock).unwrap_or_default();
    let told: Vec<String> =
        TOLD.iter().filter_map(|name| Some(format!("{name}={}", locked(&text, name)?))).collect();
    println!("cargo::rustc-env=BENCH_PEERS={}", told.join(";"));
}

/// The version that the lock file gives a package.
fn locked<'a>(lock: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = lock.lines().skip_while(|line| *line != format!("name = \"{name}\"")).skip(1);
    lines.next()?.strip_prefix("version = \"")?.strip_suffix('"')
}
