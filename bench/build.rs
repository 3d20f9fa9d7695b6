//! Hands the versions of the compiler, of the peers and of rendez to the program, which prints them beside its readings.

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

    // What is built, and not what may be checked out when it runs.
    if let Some(commit) = commit(&manifest) {
        println!("cargo::rustc-env=BENCH_COMMIT={commit}");
    }
    for built in ["src", "go", "Cargo.toml", "../crates", "../Cargo.toml"] {
        println!("cargo::rerun-if-changed={built}");
    }
    for moved in ["HEAD", "logs/HEAD"] {
        if let Some(file) = git(&manifest, &["rev-parse", "--path-format=absolute", "--git-path", moved])
            && Path::new(&file).exists()
        {
            println!("cargo::rerun-if-changed={file}");
        }
    }
}

/// The commit that is checked out, with a `+` when there are changes on top of it.
fn commit(manifest: &str) -> Option<String> {
    // Unpacked within the clone of something else, it is not that one's commit.
    git(manifest, &["ls-files", "--error-unmatch", "Cargo.toml"])?;
    let commit = git(manifest, &["rev-parse", "--short=12", "HEAD"])?;
    let changes = git(manifest, &["status", "--porcelain"])?;
    Some(if changes.is_empty() { commit } else { commit + "+" })
}

/// What git says, if it is there and this is a clone. It takes no lock: an editor builds whenever a file is saved, also while somebody commits.
fn git(manifest: &str, args: &[&str]) -> Option<String> {
    let out = Command::new("git").args(["--no-optional-locks", "-C", manifest]).args(args).output().ok()?;
    out.status.success().then(|| String::from_utf8_lossy(&out.stdout).trim().to_owned())
}

/// The version that the lock file gives a package.
fn locked<'a>(lock: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = lock.lines().skip_while(|line| *line != format!("name = \"{name}\"")).skip(1);
    lines.next()?.strip_prefix("version = \"")?.strip_suffix('"')
}
