use super::*;
use crate::report::{Digest, Problem};
use rendez::chan;

use std::path::PathBuf;

fn digested(number: u64) -> Report {
    Report { path: PathBuf::from(format!("f{number}")), outcome: Ok([number as u8; 32]) }
}

fn line(number: u64) -> String {
    let mut line = Vec::new();
    let digest: Digest = [number as u8; 32];
    write_digest(&mut line, &digest, PathBuf::from(format!("f{number}")).as_path());
    String::from_utf8(line).unwrap()
}

/// Prints `reports`, which are all sent before, to `out`; gives what came of it and stderr.
fn print(reports: impl IntoIterator<Item = Option<Report>>, out: impl Write) -> (Printed, String) {
    let (reports_in, reports_out) = chan::unbounded();
    for report in reports {
        reports_in.send(report).unwrap();
    }
    drop(reports_in);
    let mut err = Vec::new();
    let printed = Printer::new(out, &mut err, &Progress::new()).run(&reports_out);
    (printed, String::from_utf8(err).unwrap())
}

#[test]
fn reports_are_printed_as_they_come() {
    let mut out = Vec::new();
    let (printed, err) = print((0..5).map(digested).map(Some), &mut out);
    assert_eq!(String::from_utf8(out).unwrap(), (0..5).map(line).collect::<String>());
    assert_eq!((printed.problems, err.as_str()), (0, ""));
    assert!(matches!(printed.ended, Ended::Done));
}

#[test]
fn a_problem_goes_to_stderr_and_is_counted() {
    let problem = Report { outcome: Err(Problem::special("a socket")), ..digested(1) };
    let mut out = Vec::new();
    let (printed, err) = print([digested(0), problem, digested(2)].map(Some), &mut out);
    assert_eq!(String::from_utf8(out).unwrap(), line(0) + &line(2));
    assert_eq!(err, "digest: f1: not a regular file but a socket\n");
    assert_eq!(printed.problems, 1);
}

#[test]
fn what_comes_after_the_stop_is_not_printed() {
    let mut out = Vec::new();
    let (printed, _) = print([Some(digested(0)), Some(digested(1)), None, Some(digested(3))], &mut out);
    assert_eq!(String::from_utf8(out).unwrap(), line(0) + &line(1));
    assert!(matches!(printed.ended, Ended::Stopped));
}

/// Takes whole writes until it has `room` for no more, then fails.
struct Failing {
    written: Vec<u8>,
    room: usize,
    with: ErrorKind,
}

impl Write for Failing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.written.len() + bytes.len() > self.room {
            return Err(self.with.into());
        }
        self.written.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_failing_output_ends_the_run_and_every_write_is_of_whole_lines() {
    let many = || (0..10_000).map(digested).map(Some);
    let mut out = Failing { written: Vec::new(), room: 100_000, with: ErrorKind::BrokenPipe };
    let (printed, err) = print(many(), &mut out);
    assert!(matches!(printed.ended, Ended::OutputClosed));
    assert_eq!(err, "");
    assert!(out.written.len() >= FULL && out.written.ends_with(b"\n"));

    let (printed, _) = print(many(), Failing { with: ErrorKind::StorageFull, ..out });
    assert!(matches!(printed.ended, Ended::OutputFailed(reason) if reason == "no storage space"));
}
