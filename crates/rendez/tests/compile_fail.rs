//! What must not compile, and what the compiler says to whoever writes it.
//!
//! Each file of `compile_fail/` is a program with one mistake, and the `.stderr` file beside it is the message, which is
//! part of the library's interface. After a change, look at the new messages with
//! `TRYBUILD=overwrite cargo test -p rendez --test compile_fail`, and read them before committing them.

// Not under loom, where the library has no goroutines, nor under a sanitizer, which trybuild knows nothing of.
#![cfg(not(any(loom, rendez_sanitize)))]

use std::process::Command;

/// Compilers word their messages anew from time to time: the snapshots are compared under this one only.
const SNAPSHOTS_ARE_OF: &str = "rustc 1.95.";

#[test]
fn misuse_does_not_compile() {
    let found = compiler();
    if !found.starts_with(SNAPSHOTS_ARE_OF) {
        eprintln!("SKIPPED: the messages were recorded with {SNAPSHOTS_ARE_OF}x, and this is {found}");
        return;
    }
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}

/// The version of the compiler that trybuild will use.
fn compiler() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output =
        Command::new(rustc).arg("--version").output().expect("the compiler that built this can be run");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
