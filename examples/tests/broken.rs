//! What the programs of the gallery print is what its README shows. `BROKEN_OVERWRITE=1` writes the README anew; read it before
//! you commit.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

use std::{
    collections::HashMap,
    fmt::Write,
    fs,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The names of the programs, and how each ends.
const PROGRAMS: &[(&str, Ends)] = &[
    ("self-deadlock", Ends::With(2)),
    ("lock-order", Ends::With(2)),
    ("nil-channel", Ends::With(2)),
    ("forgotten-close", Ends::With(2)),
    ("partial-deadlock", Ends::With(0)),
    ("leak", Ends::With(101)),
    ("stuck-loop", Ends::With(3)),
    ("overflow", Ends::ByAbort),
    ("panic-detached", Ends::With(0)),
    ("double-panic", Ends::ByAbort),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ends {
    With(i32),
    ByAbort,
}

const SIGABRT: i32 = 6;

fn examples() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn readme() -> PathBuf {
    examples().join("broken/README.md")
}

/// What a program prints, as the README shows it.
fn output_of(name: &str, ends: Ends) -> String {
    // One that does not find out that it is broken is ended by this.
    let mut command = Command::new("timeout");
    command.args(["60", env!("CARGO_BIN_EXE_broken"), name]).stdin(Stdio::null());
    // Two workers on any machine; and no second backtrace after that of a panic.
    if name == "stuck-loop" {
        // Longer than a busy machine takes for what is not. (Others it would have watched.)
        command.env("RENDEZ_STUCK", "300");
    }
    command.env("RENDEZ_WORKERS", "2").env_remove("RUST_BACKTRACE").env_remove("RUST_LIB_BACKTRACE");
    // What a program that ends so has not freed is no leak.
    command.env("ASAN_OPTIONS", "detect_leaks=0");
    let output = command.output().unwrap();
    let [out, err] =
        [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    // `timeout` passes a signal on to itself, or says 128 and its number.
    let aborted = output.status.signal() == Some(SIGABRT) || output.status.code() == Some(128 + SIGABRT);
    let as_expected = match ends {
        Ends::With(code) => output.status.code() == Some(code),
        Ends::ByAbort => aborted,
    };
    assert!(as_expected, "{name}: {}\n{out}{err}", output.status);
    normal(&format!("{out}{err}"))
}

/// Without what differs from run to run, from machine to machine, or with each change of the library.
fn normal(text: &str) -> String {
    let root = examples().parent().unwrap().to_str().unwrap();
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let line = line.replace(&format!("{root}/"), "").replace("at ./", "at ");
        if line.starts_with("timeout: ") {
            // It says of some that they left a core.
            continue;
        }
        if line.trim_start().starts_with("at /rustc/") && line.starts_with("\t\t") {
            // A call within the standard library.
            lines.pop();
            continue;
        }
        let line = match line.split_once("/rustc/") {
            Some((before, after)) => {
                format!("{before}/rustc/{}", after.split_once('/').map_or(after, |(_, path)| path))
            }
            None => line,
        };
        lines.push(times(&line_numbers(&line)));
    }
    // The frames of an endless recursion: the first few say it all. Those that Rust tells of itself go down to the
    // first call of the process, and are full of addresses.
    let mut kept: Vec<String> = Vec::new();
    let mut left = 0;
    for line in lines {
        let is_frame = line.trim_start().split_once(": ").is_some_and(|(n, _)| n.parse::<u32>().is_ok());
        if line.ends_with("its stack:") || line == "stack backtrace:" {
            left = if line == "stack backtrace:" { 0 } else { MOST_FRAMES };
        } else if is_frame && left == 0 {
            if kept.last().is_some_and(|last| last != "  ...") {
                kept.push("  ...".into());
            }
            continue;
        } else if is_frame {
            left -= 1;
        } else if line.starts_with("      ") && kept.last().is_some_and(|last| last == "  ...") {
            continue;
        }
        kept.push(line);
    }
    let text = numbers(&(kept.join("\n") + "\n"));
    text.trim().to_owned() + "\n"
}

const MOST_FRAMES: u32 = 3;

/// Without the lines and columns of what is not the gallery's.
fn line_numbers(line: &str) -> String {
    let is_others = |path: &str| path.contains("crates/rendez/") || path.contains("/rustc/");
    let Some(at) = line.find(".rs:").map(|dot| dot + ".rs".len()).filter(|&at| is_others(&line[..at])) else {
        return line.to_owned();
    };
    let rest = line[at..].trim_start_matches(|c: char| c == ':' || c.is_ascii_digit());
    let colon = if line[at..].ends_with(':') { ":" } else { "" };
    format!("{}{rest}{colon}", &line[..at])
}

/// Without how long it was, and where, that somebody held a worker.
fn times(line: &str) -> String {
    let Some((before, rest)) = line.split_once(" has held worker ") else { return line.to_owned() };
    let Some((_, after)) = rest.rsplit_once(" of it:") else { return line.to_owned() };
    format!("{before} has held worker N for N ms, and computed for N ms of it:{after}")
}

/// With goroutines and threads numbered as they appear.
fn numbers(text: &str) -> String {
    let mut known: HashMap<String, usize> = HashMap::new();
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) =
        ["goroutine ", "thread 'rendez-"].iter().filter_map(|word| Some((rest.find(word)?, word.len()))).min()
    {
        let (before, after) = rest.split_at(at.0 + at.1);
        out.push_str(before);
        let digits = after.len() - after.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, after) = after.split_at(digits);
        if before.ends_with("thread 'rendez-") {
            // The worker, and the number that the system gave it.
            let close = after.find(") panicked").map_or(0, |close| close + 1);
            out.push_str("N' (N)");
            rest = &after[close..];
        } else {
            if !number.is_empty() {
                let next = known.len() + 1;
                let _ = write!(out, "{}", known.entry(number.to_owned()).or_insert(next));
            }
            rest = after;
        }
    }
    out + rest
}

/// The parts of the README: what is before the output of a program, that output, and so on.
fn blocks(readme: &str) -> HashMap<String, (usize, usize)> {
    let mut blocks = HashMap::new();
    let mut name = None;
    let mut start = None;
    let mut at = 0;
    for line in readme.split_inclusive('\n') {
        let next = at + line.len();
        match (line.trim_end(), start) {
            ("```text", None) => start = Some(next),
            ("```", Some(start_of)) => {
                blocks.extend(name.take().map(|name| (name, (start_of, at))));
                start = None;
            }
            (line, None) if line.starts_with("## `") => {
                name = Some(line.trim_start_matches("## `").trim_end_matches('`').to_owned());
            }
            _ => {}
        }
        at = next;
    }
    blocks
}

/// With the last part of each call's name, and nothing of types: how much a name says is a matter of how much the build keeps for debuggers.
fn loose(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut out = String::new();
    for (index, line) in lines.iter().enumerate() {
        let is_name = lines.get(index + 1).is_some_and(|next| next.trim_start().starts_with("at "));
        let (before, name) = match line.split_once(": ") {
            Some((number, name)) if number.trim().parse::<u32>().is_ok() => (number, name),
            _ => ("", *line),
        };
        // Where in the innermost function the stack ended is a matter of some bytes.
        let is_innermost = index.checked_sub(1).is_some_and(|before| lines[before].starts_with("   0: "));
        let line = if is_innermost { line.rsplit_once(':').map_or(*line, |(place, _)| place) } else { line };
        out.push_str(if is_name { before } else { line });
        out.push_str(if is_name { last_part(name) } else { "" });
        out.push('\n');
    }
    out
}

/// `lock` of `rendez::sync::mutex::Mutex<T>::lock` and of `lock<i64>`.
fn last_part(name: &str) -> &str {
    let name = name.trim();
    // The first `<` may be that of `<T as Trait>::name`.
    let name = match name.rsplit_once(">::") {
        Some((_, last)) => last,
        None => name.split('<').next().unwrap_or(name),
    };
    match name.rsplit("::").next().unwrap_or(name) {
        closure if closure.contains("closure") => "closure",
        last => last,
    }
}

/// What is the same in any build: an optimised one has fewer calls on the stack, and does not say where locks were made.
fn bare(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        if line.starts_with("\t\tat ") {
            lines.pop();
        } else {
            lines.push(match line.split_once(", made at ") {
                Some((before, after)) if before.contains("mutex") => {
                    let rest = after.find(", ").map_or("", |comma| &after[comma..]);
                    format!("{before}{rest}")
                }
                _ => line.to_owned(),
            });
        }
    }
    // Of frames with numbers nothing is the same but that there are some.
    lines.retain(|line| !line.trim_start().starts_with(|c: char| c.is_ascii_digit()));
    lines.retain(|line| line != "  ..." && !line.starts_with("      "));
    lines.join("\n")
}

#[test]
fn each_program_prints_what_the_readme_shows() {
    let mut text = fs::read_to_string(readme()).unwrap();
    let mut wrong = String::new();
    for &(name, ends) in PROGRAMS {
        let printed = output_of(name, ends);
        let known = blocks(&text);
        let &(start, end) = known.get(name).unwrap_or_else(|| panic!("the README does not show {name}"));
        let shown = &text[start..end];
        let is_same = {
            let same = if cfg!(debug_assertions) { loose } else { bare };
            same(shown) == same(&printed)
        };
        if !is_same && std::env::var_os("BROKEN_OVERWRITE").is_some() && cfg!(debug_assertions) {
            text.replace_range(start..end, &printed);
        } else if !is_same {
            let _ = writeln!(wrong, "=== {name} printed\n{printed}=== and not\n{shown}");
        }
    }
    if std::env::var_os("BROKEN_OVERWRITE").is_some() {
        fs::write(readme(), text).unwrap();
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn the_readme_shows_every_program_and_no_other() {
    let usage = Command::new(env!("CARGO_BIN_EXE_broken")).output().unwrap();
    let usage = String::from_utf8(usage.stderr).unwrap();
    let mut there: Vec<&str> = usage.trim_start_matches("usage: broken ").trim_end().split('|').collect();
    let mut tested: Vec<&str> = PROGRAMS.iter().map(|(name, _)| *name).collect();
    let known = blocks(&fs::read_to_string(readme()).unwrap());
    let mut shown: Vec<&str> = known.keys().map(String::as_str).collect();
    for list in [&mut there, &mut tested, &mut shown] {
        list.sort_unstable();
    }
    assert_eq!(there, tested);
    assert_eq!(there, shown);
}
