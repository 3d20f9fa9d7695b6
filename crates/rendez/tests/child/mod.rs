//! Tests that run themselves again as a child process: to see what it prints and how it ends, or to set limits and an
//! environment of its own.
#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::{
    any::type_name,
    env,
    io::Read,
    process::{self, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

const CHILD: &str = "RENDEZ_TEST_CHILD";
/// A child that takes longer is killed.
const LIMIT: Duration = Duration::from_secs(30);

/// Whether this process is the child.
pub(crate) fn is_child() -> bool {
    env::var_os(CHILD).is_some()
}

/// How a child ended, and what it wrote.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Starts `test` of this file again as a child process.
pub(crate) fn start(test: &str, settings: &[(&str, &str)]) -> process::Child {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]);
    command.env(CHILD, "1").env("RUST_BACKTRACE", "0").envs(settings.iter().copied());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// As [`start`], by a program that starts another: its name and its arguments.
pub(crate) fn start_by(launcher: &[&str], test: &str) -> process::Child {
    let mut command = Command::new(launcher[0]);
    command.args(&launcher[1..]).arg(env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]);
    command.env(CHILD, "1").env("RUST_BACKTRACE", "0");
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Starts an ignored test of this file as a child process, with its output captured as usual.
pub(crate) fn start_ignored(test: &str, settings: &[(&str, &str)]) -> process::Child {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args([test, "--exact", "--ignored", "--color=never"]);
    command.env_remove("RENDEZ_REPLAY").env("RUST_BACKTRACE", "0").envs(settings.iter().copied());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits for a child that was started by [`start`] or [`start_ignored`].
pub(crate) fn end(child: process::Child) -> Ended {
    let ended = wait(child);
    assert!(ended.out.contains("running 1 test"), "the child has not found its test: {ended:?}");
    ended
}

/// Waits for any child; a pipe that the caller has taken is not read.
pub(crate) fn wait(mut child: process::Child) -> Ended {
    fn reader(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
        thread::spawn(move || {
            let mut text = String::new();
            if let Some(mut pipe) = pipe {
                pipe.read_to_string(&mut text).unwrap();
            }
            text
        })
    }
    let (out, err) = (reader(child.stdout.take()), reader(child.stderr.take()));
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if start.elapsed() > LIMIT {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("it hangs: {}{}", out.join().unwrap(), err.join().unwrap());
        }
        thread::sleep(Duration::from_millis(5));
    };
    Ended { status, out: out.join().unwrap(), err: err.join().unwrap() }
}

/// The test that calls this runs again as a child process, once, and how that ended is returned; in the child, `body`
/// runs, and `None` is returned.
pub(crate) fn in_a_child(body: impl FnOnce()) -> Option<Ended> {
    if is_child() {
        body();
        return None;
    }
    Some(end(start(test_around(&body), &[])))
}

/// As [`in_a_child`]; the child must succeed.
pub(crate) fn must_succeed_in_a_child(body: impl FnOnce()) {
    if let Some(ended) = in_a_child(body) {
        assert!(ended.status.success(), "{ended:?}");
    }
}

/// The name of the test in whose body `inner` is: a function or closure of the test's own.
pub(crate) fn test_around<F>(_inner: &F) -> &'static str {
    // `file::test::inner`. (The name of the thread would not do: without parallelism it is the harness's own.)
    type_name::<F>().split("::").nth(1).expect("a function inside a test")
}
