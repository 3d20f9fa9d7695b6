//! The reader of the pipeline: writes the reports.
//!
//! Output is gathered and written in whole lines, so that whatever ends the run, there is no half line on
//! stdout: when [`FULL`] bytes are there, when the first of them has waited for [`PATIENCE`], before a
//! message goes to stderr, and at the end.

use std::io::{self, ErrorKind, Write};
use std::time::{Duration, Instant};

use rendez::chan::{Receiver, RecvTimeoutError};

use crate::progress::Progress;
use crate::report::{Report, reason, write_digest, write_problem};

const FULL: usize = 64 * 1024;
const PATIENCE: Duration = Duration::from_millis(50);

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Printed {
    /// Lines on stderr.
    pub(crate) problems: u64,
    pub(crate) ended: Ended,
}

#[derive(Debug)]
pub(crate) enum Ended {
    /// There are no more reports: the work is done.
    Done,
    /// It was stopped before.
    Stopped,
    /// The reader of the output is gone.
    OutputClosed,
    /// The output can't be written, and why.
    OutputFailed(String),
}

/// The printer, with the streams that it writes to.
#[derive(Debug)]
pub(crate) struct Printer<'a, Out, Err> {
    out: Out,
    err: Err,
    progress: &'a Progress,
    /// Whole lines for `out`.
    lines: Vec<u8>,
    /// Since when there have been any.
    since: Instant,
    problems: u64,
}

impl<'a, Out: Write, Err: Write> Printer<'a, Out, Err> {
    pub(crate) fn new(out: Out, err: Err, progress: &'a Progress) -> Self {
        Printer { out, err, progress, lines: Vec::new(), since: Instant::now(), problems: 0 }
    }

    /// Writes until there are no more reports, or they can't be written. One that is missing says that the work was stopped there.
    pub(crate) fn run(mut self, reports: &Receiver<Option<Report>>) -> Printed {
        let ended = match self.print_all(reports) {
            Ok(ended) => ended,
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ended::OutputClosed,
            Err(error) => Ended::OutputFailed(reason(&error)),
        };
        Printed { problems: self.problems, ended }
    }

    fn print_all(&mut self, reports: &Receiver<Option<Report>>) -> io::Result<Ended> {
        let mut ended = Ended::Done;
        while let Some(report) = self.next(reports)? {
            let Some(report) = report else {
                ended = Ended::Stopped;
                break;
            };
            self.print(&report)?;
        }
        self.flush()?;
        Ok(ended)
    }

    /// The next report to come in. Lines that have waited long enough are written meanwhile.
    fn next(&mut self, reports: &Receiver<Option<Report>>) -> io::Result<Option<Option<Report>>> {
        if !self.lines.is_empty() {
            let patience = PATIENCE.saturating_sub(self.since.elapsed());
            let report = if patience.is_zero() {
                Err(RecvTimeoutError::Timeout)
            } else {
                reports.recv_timeout(patience)
            };
            match report {
                Ok(report) => return Ok(Some(report)),
                Err(RecvTimeoutError::Timeout) => self.flush()?,
                Err(RecvTimeoutError::Closed) => return Ok(None),
            }
        }
        Ok(reports.recv().ok())
    }

    fn print(&mut self, report: &Report) -> io::Result<()> {
        match &report.outcome {
            Ok(digest) => {
                if self.lines.is_empty() {
                    self.since = Instant::now();
                }
                write_digest(&mut self.lines, digest, &report.path);
                self.progress.file();
                if self.lines.len() >= FULL { self.flush() } else { Ok(()) }
            }
            Err(problem) => {
                self.flush()?;
                let mut line = Vec::new();
                write_problem(&mut line, problem, &report.path);
                self.problems += 1;
                // The exit status tells of the problem even if stderr can't.
                let _ = self.progress.around_stderr(|| self.err.write_all(&line));
                Ok(())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        let (out, lines) = (&mut self.out, &self.lines);
        self.progress.around_stdout(|| out.write_all(lines).and_then(|()| out.flush()))?;
        self.lines.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
