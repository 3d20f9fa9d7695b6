//! Under `panic = "abort"` nothing can be unwound. The test harness itself needs unwinding, so the cases are a program of
//! their own, in `panic_abort/`, which is built here as cargo would build it for anybody.
#![cfg(all(unix, not(any(loom, rendez_sanitize))))]

mod child;

use child::{Ended, wait};
use std::{
    env,
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{Command, Stdio},
    sync::OnceLock,
};

/// The program, built once.
fn program() -> &'static PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        // This program is in `target/PROFILE/deps`. A target directory of its own, since all is built anew.
        let target = env::current_exe().unwrap().ancestors().nth(3).unwrap().join("panic-abort");
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()));
        cargo.args(["build", "--quiet", "--package", "rendez-panic-abort", "--offline", "--locked"]);
        cargo.args(["--config", "profile.dev.panic=\"abort\"", "--target-dir"]).arg(&target);
        cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
        let output = cargo.output().expect("cargo");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        target.join("debug/rendez-panic-abort")
    })
}

fn ends(case: &str) -> Ended {
    let mut command = Command::new(program());
    command.arg(case).env("RUST_BACKTRACE", "0").stdout(Stdio::piped()).stderr(Stdio::piped());
    wait(command.spawn().unwrap())
}

fn must_succeed(case: &str) {
    let ended = ends(case);
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert_eq!((&ended.out[..], &ended.err[..]), ("done\n", ""));
}

#[test]
fn what_is_parked_is_left_where_it_is() {
    must_succeed("parked");
}

#[test]
fn what_runs_ends_at_its_next_wait() {
    must_succeed("running");
}

#[test]
fn what_has_no_stack_is_dropped() {
    must_succeed("dropped");
}

#[test]
fn a_process_is_fit_for_more_after_a_shutdown() {
    must_succeed("again");
}

#[test]
fn a_panic_ends_the_process() {
    let ended = ends("panic");
    assert_eq!(ended.status.signal(), Some(6), "{ended:?}");
    assert!(ended.err.contains("out of paper") && !ended.out.contains("went on"), "{ended:?}");
    // The message has the thread, which is a worker; whose it was is said as well.
    assert!(ended.err.contains("rendez: the process was aborted in goroutine "), "{ended:?}");
}
