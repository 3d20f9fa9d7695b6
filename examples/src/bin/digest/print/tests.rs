use super::*;
use crate::report::{Digest, Problem};
use rendez::chan;

use std::path::PathBuf;

fn digested(number: u64) -> Report {
    Report { number, path: PathBuf::from(format!("f{number}")), outcome: Ok([number as u8; 32]) }
}

fn line(number: u64) -> String {
    let mut line = Vec::new();
    let digest: Digest = [number as u8; 32];
    write_digest(&mut line, &digest, PathBuf::from(format!("f{number}")).as_path());
    String::from_utf8(line).unwrap()
}

/// Prints `reports`, which are all sent before, to `out`; gives what came of it and stderr.
fn print(reports: impl IntoIterator<Item = Report>, out: impl Write) -> (Printed, String) {
    let (reports_in, reports_out) = chan::unbounded();
    let (window_in, window_out) = chan::unbounded();
    for report in reports {
        window_in.send(()).unwrap();
        reports_in.send(report).unwrap();
    }
    drop(reports_in);
    let mut err = Vec::new();
    let printed = Printer::new(out, &mut err, &Progress::new()).run(&reports_out, &window_out);
    (printed, String::from_utf8(err).unwrap())
}

#[test]
fn reports_are_printed_in_the_order_of_their_numbers() {
    let mut out = Vec::new();
    let (printed, err) = print([2, 0, 1, 4, 3].map(digested), &mut out);
    assert_eq!(String::from_utf8(out).unwrap(), (0..5).map(line).collect::<String>());
    assert_eq!((printed.files, printed.problems, err.as_str()), (5, 0, ""));
    assert!(matches!(printed.ended, Ended::ReportsClosed));
}

#[test]
fn a_problem_goes_to_stderr_and_is_counted() {
    let problem = Report { outcome: Err(Problem::special("a socket")), ..digested(1) };
    let mut out = Vec::new();
    let (printed, err) = print([digested(0), problem, digested(2)], &mut out);
    assert_eq!(String::from_utf8(out).unwrap(), line(0) + &line(2));
    assert_eq!(err, "digest: f1: not a regular file but a socket\n");
    assert_eq!((printed.files, printed.problems), (2, 1));
}

#[test]
fn what_comes_after_a_number_that_never_comes_is_not_printed() {
    let mut out = Vec::new();
    let (printed, _) = print([0, 1, 3, 4].map(digested), &mut out);
    assert_eq!(String::from_utf8(out).unwrap(), line(0) + &line(1));
    assert_eq!(printed.files, 2);
}

#[test]
fn the_window_gets_a_place_back_for_each_report_printed_and_for_no_other() {
    let (reports_in, reports_out) = chan::unbounded();
    let (window_in, window_out) = chan::unbounded();
    for number in [0, 1, 3] {
        window_in.send(()).unwrap();
        reports_in.send(digested(number)).unwrap();
    }
    drop(reports_in);
    Printer::new(io::sink(), io::sink(), &Progress::new()).run(&reports_out, &window_out);
    assert_eq!(window_out.len(), 1);
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
    let many = || (0..10_000).map(digested);
    let mut out = Failing { written: Vec::new(), room: 100_000, with: ErrorKind::BrokenPipe };
    let (printed, err) = print(many(), &mut out);
    assert!(matches!(printed.ended, Ended::OutputClosed));
    assert_eq!(err, "");
    assert!(out.written.len() >= FULL && out.written.ends_with(b"\n"));

    let (printed, _) = print(many(), Failing { with: ErrorKind::StorageFull, ..out });
    assert!(matches!(printed.ended, Ended::OutputFailed(reason) if reason == "no storage space"));
}

#[test]
fn reorder_holds_back_until_the_gap_is_filled() {
    let mut reorder = Reorder::default();
    reorder.put(2, 'c');
    reorder.put(1, 'b');
    assert_eq!(reorder.take(), None);
    reorder.put(0, 'a');
    assert_eq!(std::iter::from_fn(|| reorder.take()).collect::<String>(), "abc");
    reorder.put(3, 'd');
    assert_eq!(reorder.take(), Some('d'));
    assert_eq!(reorder.take(), None);
}
