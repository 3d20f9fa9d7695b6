//! Runs the chosen cases: every contestant in a child process of its own, in turn, round after round.
//!
//! A round is A B C, not A A A B B B: what the machine does meanwhile happens to all of them alike, and a ratio is
//! taken between neighbours in time.

use crate::{
    cases::{Case, Scale, Size, Unit},
    child::Told,
    gauge, load, machine,
    peer::{Peer, go::Go},
    report::{Column, Row, median},
};
use indicatif::ProgressBar;
use std::{
    env,
    io::{self, Read},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

/// Smaller runs of a `Flat` case: each is over in milliseconds, so one alone says little.
const SMALL_RUNS: usize = 5;

/// How the cases are to be run.
#[derive(Debug)]
pub(crate) struct Settings<'a> {
    /// Who takes part.
    pub(crate) peers: &'a [&'static Peer],
    /// How often each runs each case.
    pub(crate) rounds: usize,
    /// Whether at the smaller size.
    pub(crate) quick: bool,
    /// A child that takes longer is ended.
    pub(crate) limit: Duration,
    /// Go, if there is one.
    pub(crate) go: &'a Go,
}

impl Settings<'_> {
    /// Runs one case and gives its row.
    pub(crate) fn case(&self, case: &'static Case, bar: &ProgressBar) -> Row {
        let mut columns: Vec<Column> =
            self.peers.iter().map(|peer| Column::new(peer.name, &peer.find(case.name))).collect();
        let mut cpus_given = Vec::new();
        for _ in 0..self.rounds {
            cpus_given.push(gauge::cpus_given(machine::cpus()));
            for (peer, column) in self.peers.iter().zip(&mut columns) {
                bar.set_message(format!("{} {}", case.name, peer.name));
                if column.is_open() {
                    match self.reading(peer, case) {
                        Ok(reading) => column.push(reading),
                        // The next round would fail as well, and may take as long to do so.
                        Err(reason) => column.fail(reason),
                    }
                }
                bar.inc(1);
            }
        }
        Row { case, columns, cpus_given }
    }

    /// One reading, from one child, or from several where the case compares sizes.
    fn reading(&self, peer: &Peer, case: &Case) -> Result<f64, String> {
        let large = self.child(peer, case, case.size.scale(self.quick))?;
        let Size::Flat { small, .. } = case.size else {
            return Ok(large.reading(case));
        };
        let each = |told| match told {
            Told::Timed { count, ns } => Unit::NsPerOp.of(count, Duration::from_nanos(ns)),
            Told::Value(value) => value,
        };
        let mut smalls = Vec::new();
        for _ in 0..SMALL_RUNS {
            smalls.push(each(self.child(peer, case, Scale::Once { count: small })?));
        }
        Ok(each(large) / median(&smalls))
    }

    /// Runs a child and reads the line that it tells.
    fn child(&self, peer: &Peer, case: &Case, scale: Scale) -> Result<Told, String> {
        let mut command = match (peer.is_go(), self.go) {
            (true, Go::Ready { program, .. }) => Command::new(program),
            (true, Go::Missing(reason)) => return Err(reason.clone()),
            (false, _) => Command::new(env::current_exe().map_err(|error| error.to_string())?),
        };
        command.env("GOMAXPROCS", machine::cpus().to_string()).env("RUST_BACKTRACE", "0");
        command.env(load::PROGRAM, env::current_exe().map_err(|error| error.to_string())?);
        command.args(["one", "--peer", peer.name, "--case", case.name, "--scale", &scale.to_string()]);
        let (ended, stdout, stderr) = bounded(command, self.limit)?;
        if !ended {
            return Err(format!("failed: {}", last_words(&stderr)));
        }
        serde_json::from_str(&stdout).map_err(|error| format!("failed: told `{}`: {error}", stdout.trim()))
    }
}

/// The last line of a child's complaints that says something of its own.
fn last_words(stderr: &str) -> &str {
    let telling = |line: &&str| !line.trim().is_empty() && !line.starts_with("note: ");
    stderr.lines().rev().find(telling).unwrap_or("no message")
}

/// Runs a command for no longer than `limit`: whether it succeeded, and what it wrote.
fn bounded(mut command: Command, limit: Duration) -> Result<(bool, String, String), String> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("does not start: {error}"))?;
    let (done, all) = mpsc::channel();
    let readers = [reader(child.stdout.take(), &done), reader(child.stderr.take(), &done)];
    drop(done);
    // Both readers have ended when the pipes have been closed, which is when the child has ended.
    if all.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
        return Err(end(&mut child).map_or_else(
            |error| format!("timed out, and does not end: {error}"),
            |()| format!("timed out after {} s", limit.as_secs()),
        ));
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    let [stdout, stderr] = readers.map(|reader| reader.join().unwrap_or_default());
    let stderr = if stderr.trim().is_empty() && !status.success() { status.to_string() } else { stderr };
    Ok((status.success(), stdout, stderr))
}

/// Reads a pipe to its end on a thread of its own; `done` is dropped with it.
fn reader(pipe: Option<impl Read + Send + 'static>, done: &mpsc::Sender<()>) -> thread::JoinHandle<String> {
    let done = done.clone();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut bytes);
        }
        drop(done);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn end(child: &mut Child) -> io::Result<()> {
    child.kill()?;
    child.wait().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cases, peer};
    use std::time::Instant;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_command_that_takes_too_long_is_ended() {
        let start = Instant::now();
        let told = bounded(shell("exec sleep 60"), Duration::from_millis(50)).unwrap_err();
        assert!(told.starts_with("timed out"), "{told}");
        assert!(start.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn the_last_words_are_not_the_hint_about_backtraces() {
        let stderr =
            "thread 'main' panicked at x.rs:1:\nlost messages\nnote: run with `RUST_BACKTRACE=1`\n\n";
        assert_eq!(last_words(stderr), "lost messages");
        assert_eq!(last_words("\n"), "no message");
    }

    #[test]
    fn both_outputs_and_the_outcome_are_told() {
        let limit = Duration::from_secs(30);
        let told = bounded(shell("echo out; echo err >&2; exit 3"), limit).unwrap();
        assert_eq!(told, (false, "out\n".into(), "err\n".into()));
        let (ended, _, stderr) = bounded(shell("exit 3"), limit).unwrap();
        assert!(!ended && stderr.contains('3'), "{stderr}");
        assert!(bounded(Command::new("/no/such/program"), limit).unwrap_err().starts_with("does not start"));
    }

    #[test]
    fn without_go_its_column_says_so_and_is_not_tried_again() {
        let go = Go::absent();
        let peers = peer::choose(&["go".into()]).unwrap();
        let settings =
            Settings { peers: &peers[1..], rounds: 3, quick: true, limit: Duration::from_secs(1), go: &go };
        let row = settings.case(cases::find("seq_1").unwrap(), &ProgressBar::hidden());
        assert_eq!(row.columns[0].why_not(), Some("not installed"));
        assert_eq!(row.median("go"), None);
    }
}
