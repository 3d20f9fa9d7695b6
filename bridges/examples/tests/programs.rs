//! Drives the built programs.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    path::Path,
    process::{Command, Output, Stdio},
    thread,
};
use tempfile::TempDir;

const FETCH: &str = env!("CARGO_BIN_EXE_fetch");
const WORDS: &str = env!("CARGO_BIN_EXE_words");

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// As [`run`]: the exit status and what was said on stdout.
fn said(program: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let output = run(program, arguments);
    (output.status.code(), text(&output.stdout))
}

/// Answers each request for `/well`, says 404 to others, and nothing to `/never`. Returns where it listens.
fn server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || {
                let mut stream = stream.unwrap();
                let mut lines = BufReader::new(stream.try_clone().unwrap());
                let mut first = String::new();
                while lines.read_line(&mut first).unwrap() > 0 {
                    let mut line = String::new();
                    while lines.read_line(&mut line).unwrap() > 2 {
                        line.clear();
                    }
                    let (status, body) = match first.split(' ').nth(1).unwrap() {
                        "/well" => ("200 OK", "it is well"),
                        "/never" => {
                            let _ = stream.read(&mut [0]);
                            return;
                        }
                        _ => ("404 Not Found", "no"),
                    };
                    write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
                        .unwrap();
                    first.clear();
                }
            });
        }
    });
    format!("http://{addr}")
}

#[test]
fn both_tell_what_they_do() {
    for (program, word) in [(FETCH, "Exit status:"), (WORDS, "Exit status:")] {
        let (status, told) = said(program, &["--help"]);
        assert!(status == Some(0) && told.contains(word), "{told}");
        assert_eq!(run(program, &["--nonsense"]).status.code(), Some(2));
    }
}

#[test]
fn fetch_gets_many_and_tells_of_each() {
    let site = server();
    let well = format!("{site}/well");
    let (status, told) = said(FETCH, &vec![well.as_str(); 50]);
    assert_eq!((status, told.lines().count()), (Some(0), 50), "{told}");
    assert!(told.lines().all(|line| line.starts_with("200 10 ") && line.ends_with(&well)), "{told}");
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (status, told) = said(FETCH, &[&well, &format!("{site}/none"), &format!("http://{nobody}/")]);
    let mut lines: Vec<&str> = told.lines().collect();
    lines.sort();
    assert_eq!(status, Some(1));
    assert!(lines[0].starts_with("200 10 ") && lines[1].starts_with("404 2 "), "{told}");
    assert!(lines[2].starts_with("error 0 ") && lines[2].contains("refused"), "{told}");
}

#[test]
fn fetch_gives_up_in_time_and_when_it_is_told_to() {
    let site = server();
    let never = format!("{site}/never");
    let (status, told) = said(FETCH, &["--timeout", "0.2", &never]);
    assert!(status == Some(1) && told.ends_with(": it took too long\n"), "{told}");
    // Signals are not ignored, even where the tests' own parent ignores them.
    let mut command = Command::new("env");
    command.args([
        "--default-signal=INT,TERM",
        FETCH,
        "--connections",
        "2",
        &never,
        &never,
        &format!("{site}/well"),
    ]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    // It can be told once it listens to that: again and again, for as long as it runs.
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if fs::read_to_string(format!("/proc/{}/status", child.id())).is_ok_and(|status| catches(&status, 15))
        {
            Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
            break child.wait().unwrap();
        }
        thread::yield_now();
    };
    assert_eq!(status.code(), Some(130));
}

/// Whether a process catches a signal, as the system tells of it.
fn catches(status: &str, signal: u32) -> bool {
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    u64::from_str_radix(caught.trim(), 16).unwrap() & 1 << (signal - 1) != 0
}

fn write(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_string()
}

#[test]
fn words_finds_what_it_has_indexed() {
    let dir = TempDir::new().unwrap();
    let database = dir.path().join("words.db");
    let database = database.to_str().unwrap();
    let files: Vec<String> =
        (0..40).map(|i| write(dir.path(), &format!("{i}.txt"), &"Go and go. ".repeat(i + 1))).collect();
    let index: Vec<&str> = ["index", database].into_iter().chain(files.iter().map(String::as_str)).collect();
    // A second time changes nothing.
    for _ in 0..2 {
        assert_eq!(said(WORDS, &index), (Some(0), String::new()));
    }
    let (status, told) = said(WORDS, &["find", database, "GO"]);
    assert_eq!((status, told.lines().count()), (Some(0), 40), "{told}");
    assert_eq!(told.lines().next().unwrap().trim(), format!("80 {}", files[39]));
    assert_eq!(said(WORDS, &["find", database, "rust"]), (Some(1), String::new()));
    let (_, told) = said(WORDS, &["top", database, "1"]);
    assert_eq!(told.trim(), "1640 go");
    // A file that has changed is in it as it is now.
    let changed = write(dir.path(), "0.txt", "rust");
    assert_eq!(said(WORDS, &["index", database, &changed]).0, Some(0));
    let (_, told) = said(WORDS, &["find", database, "rust"]);
    assert_eq!(told.trim(), format!("1 {changed}"));
}

#[test]
fn words_tells_what_it_could_not_read() {
    let dir = TempDir::new().unwrap();
    let database = dir.path().join("words.db");
    let there = write(dir.path(), "there", "word");
    let output = run(WORDS, &["index", database.to_str().unwrap(), "/there/is/none", &there]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("read /there/is/none: "), "{}", text(&output.stderr));
    assert_eq!(said(WORDS, &["find", database.to_str().unwrap(), "word"]).0, Some(0));
    let output = run(WORDS, &["find", "/there/is/none", "word"]);
    assert!(text(&output.stderr).starts_with("words: /there/is/none: "), "{}", text(&output.stderr));
}
