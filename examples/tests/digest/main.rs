//! Drives the built `digest` from outside, beside the tools that it is to agree with: `find`, `sort`,
//! `sha256sum`.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

mod early;
mod output;
mod problems;

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// As many files as it takes for the walk to be far from its end when the window (4096) and the pipe are
/// full.
const MANY: usize = 20_000;

/// The size of a hole in a file that takes hours to read: a tebibyte.
const ENDLESS: u64 = 1 << 40;

/// Long after what is waited for should have come.
const PATIENCE: Duration = Duration::from_secs(60);

/// `digest`, with Ctrl-C not ignored even where the tests' own parent ignores it.
fn digest<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new("env");
    command.arg("--default-signal=INT").arg(env!("CARGO_BIN_EXE_digest")).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Output {
    Running::new(&mut digest(arguments)).output()
}

/// The output of a run that had nothing to complain of.
#[track_caller]
fn lines<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Vec<u8> {
    let output = run(arguments);
    assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""));
    output.stdout
}

/// A process that does not outlive its test.
struct Running(Child);

impl Running {
    fn new(command: &mut Command) -> Running {
        Running(command.spawn().unwrap())
    }

    /// Waits until what is measured of the process has not changed for a while.
    fn rest(&self, measure: impl Fn(&Running) -> u64) {
        let started = Instant::now();
        let mut before = None;
        loop {
            let now = Some(measure(self));
            if now == before {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "never comes to rest");
            before = now;
            thread::sleep(Duration::from_millis(700));
        }
    }

    /// What `/proc` tells of the process.
    fn proc(&self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.0.id())).unwrap()
    }

    /// CPU time so far, in ticks.
    fn time(&self) -> u64 {
        // After the name in parentheses: the times in user and system mode are the 12th and 13th field.
        let stat = self.proc("stat");
        let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }

    /// The most memory that was ever resident, in KiB.
    fn peak(&self) -> u64 {
        let status = self.proc("status");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Ctrl-C.
    fn interrupt(&self) {
        let kill = Command::new("kill").args(["-INT", &self.0.id().to_string()]).status().unwrap();
        assert!(kill.success());
    }

    fn wait(&mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            assert!(started.elapsed() < PATIENCE, "does not end");
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Reads on, and waits for the end.
    fn output(mut self) -> Output {
        let (stdout, stderr) = (reader(self.0.stdout.take()), reader(self.0.stderr.take()));
        let status = self.wait();
        Output { status, stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn reader(stream: Option<impl Read + Send + 'static>) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut all = Vec::new();
        if let Some(mut stream) = stream {
            stream.read_to_end(&mut all).unwrap();
        }
        all
    })
}

/// What the tools make of the same paths.
fn by_the_tools<A: AsRef<OsStr>>(paths: impl IntoIterator<Item = A>) -> Vec<u8> {
    let script = "command -v sha256sum >/dev/null || { echo 'no sha256sum to compare with' >&2; exit 1; }
        find -L \"$@\" -type f -print0 | LC_ALL=C sort -z | xargs -0 -r sha256sum";
    let output = Command::new("sh").args(["-c", script, "sh"]).args(paths).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    output.stdout
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Compares outputs too large for a failure to print whole.
#[track_caller]
fn assert_same(ours: &[u8], expected: &[u8]) {
    let (mut ours, mut expected) = (ours.split(|&byte| byte == b'\n'), expected.split(|&byte| byte == b'\n'));
    for number in 1.. {
        match (ours.next(), expected.next()) {
            (None, None) => return,
            (ours, expected) => assert_eq!(ours.map(text), expected.map(text), "line {number}"),
        }
    }
}

fn write(root: &Path, name: impl AsRef<OsStr>, content: &[u8]) {
    let path = root.join(name.as_ref());
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// A tree with a bit of everything that can be digested.
fn varied_tree() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let root_path = root.path();
    let names = [
        "a.txt",
        "a/x",
        "a/x.y",
        "a/x y",
        "a-",
        "a0",
        "A",
        "a /b",
        "b/a!/z",
        "b/a/z",
        "b/a\u{1}",
        "b/a0",
        "c/c/c/c",
        "c/c!",
        "-",
        "-n",
        "--help",
        "*",
        " ",
        "\t",
        "'",
        "\"",
        "é/ü",
        "new\nline",
        "new\nline.d/x",
        "return\r",
        "back\\slash",
        "\\n",
        "n\\\r\n",
    ];
    for name in names {
        write(root_path, name, name.as_bytes());
    }
    for name in [&b"\xff\xfe"[..], b"b/\x80.d/x", b"\xc3("] {
        write(root_path, OsStr::from_bytes(name), name);
    }
    // Around the size of a buffer; and empty.
    for size in [0, 1, 131_071, 131_072, 131_073, 400_000] {
        write(root_path, format!("sizes/{size}"), &(0..size).map(|i| (i % 251) as u8).collect::<Vec<_>>());
    }
    fs::create_dir(root_path.join("empty")).unwrap();
    symlink("a.txt", root_path.join("link")).unwrap();
    symlink("../a", root_path.join("b/a-link")).unwrap();
    root
}

/// `MANY` small files, spread over directories with `in_each`.
fn many_files(in_each: usize, directory: &str) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for number in 0..MANY {
        let path = root.path().join(format!("{directory}{:05}", number / in_each));
        if number % in_each == 0 {
            fs::create_dir_all(&path).unwrap();
        }
        fs::write(path.join(format!("{number:05}")), number.to_string()).unwrap();
    }
    root
}
