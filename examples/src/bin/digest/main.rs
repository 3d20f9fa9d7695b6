//! `digest`: the digest of every regular file under some paths, sorted, in the format of `sha256sum`.
//!
//! ```text
//! cargo run --release -p examples --bin digest -- [--threads-of-work N] [--algorithm sha256|blake3] PATH...
//! ```
//!
//! # The pipeline
//! ```text
//!            jobs                   reports
//! walker ──────────> N digesters ──────────> printer ──> stdout, stderr
//!  ^  │                                       ^  │
//!  │  └──── reports of what can't be read ────┘  │
//!  └───────────── window: WINDOW units ──────────┘
//! ```
//! Every stage is a goroutine and every arrow a bounded channel. The code of a stage is straight-line
//! blocking code in its own module: [`walk`], [`hash`], [`mod@print`].
//!
//! # Sorted, in bounded memory
//! Sorting at the end would hold every line, so the order is made at the source: the walker visits files in
//! the order of their whole paths, byte by byte (how, is in [`walk`]), and numbers them. The digesters finish
//! in any order, so the printer puts the reports back by number. That alone is not bounded: behind one huge
//! file, the small ones that follow would pile up. Hence the window: a channel of `WINDOW` places used as a
//! counting semaphore. The walker puts a unit in before it hands out a number; the printer takes one out once
//! the report with the next number is written. No more than `WINDOW` files are ever between the two.
//!
//! So memory holds at most: `WINDOW` paths with their reports, a buffer for each digester, a buffer of output
//! lines, and the entries of the directories on the way from a PATH down to where the walker is. A directory
//! comes off the disk unsorted and has to be sorted whole: memory does grow with the largest directory, not
//! with the number of files.
//!
//! # No deadlock
//! Waits point one way. The printer waits for reports alone (a unit of the window is already there when it
//! takes one), so it always comes back to drain them; digesters wait for jobs or for room among the reports;
//! the walker waits for room among jobs and reports, or for the window, which the printer opens when it has
//! the report with the next number. That report never waits for the window itself: its number is the smallest
//! of those handed out, so it is with the digesters or on its way.
//!
//! # How it ends
//! Each stage owns its ends of the channels and drops them when it returns; with one exception nothing else
//! is needed.
//! - *Done*: the walker returns, the jobs run dry, the digesters return, the reports run dry, the printer
//!   returns.
//! - *Nobody reads our output* (`digest … | head -1`): the printer returns first; the digesters' sends fail,
//!   then the walker's.
//! - *Ctrl-C*: a flag is set; walker and digesters see it before the next file or the next 128 KiB, and
//!   return. A digester that leaves a file unfinished closes the reports, for that number will never come:
//!   the printer would wait for it, and a walker at a full window for the printer. The printer writes the
//!   whole lines that are in order, and returns; then all sends fail. A second Ctrl-C does not wait for any
//!   of that.
//!
//! | status | meaning |
//! | --- | --- |
//! | 0 | every file was digested |
//! | 1 | something could not be digested, or the output could not be written; a line on stderr says what |
//! | 2 | wrong usage |
//! | 130 | ended by Ctrl-C (128 + SIGINT) before the end |
//! | 141 | the reader of stdout went away (128 + SIGPIPE, as a shell tells of `sha256sum`); no word on stderr |
//!
//! # A goroutine that reads files
//! `read` of a regular file blocks the OS thread, and hashing keeps it busy; the walker and the printer may
//! live on the same worker as a digester. So a digester yields after each buffer: it costs nanoseconds beside
//! the work on 128 KiB, and the other stages wait for less than a millisecond at most, however large the
//! file.
#![forbid(unsafe_code)]

mod cli;
mod hash;
mod interrupt;
mod print;
mod progress;
mod report;
mod walk;

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use rendez::chan;

use cli::Cli;
use hash::Digester;
use interrupt::Stop;
use print::{Ended, Printer};
use progress::Progress;
use walk::Forest;

/// How many files the walker may be ahead of the printer.
///
/// Large enough that the other digesters have work for a while behind one large file; small enough that the
/// paths take well under a megabyte.
const WINDOW: usize = 4096;

/// How many jobs, and how many reports, may wait between two stages; more where there are many digesters.
///
/// A small file takes less time than waking a stage on another worker, and a stage that shares its worker
/// with the digester of a large file gets a turn for every 128 KiB of that. With room for a batch, a stage
/// gets much done in each turn: measured on 40,000 tiny files and two workers, 64 places take a quarter of
/// the time of 4.
const QUEUE: usize = 64;

/// 128 + the number of the signal: what a shell tells of a program which that signal ended.
const STATUS_SIGINT: u8 = 128 + 2;
const STATUS_SIGPIPE: u8 = 128 + 13;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let stop = Arc::new(Stop::default());
    if let Err(error) = interrupt::watch(Arc::clone(&stop)) {
        complain(&format!("can't catch Ctrl-C: {error}"));
    }
    rendez::run(|| digest(cli, &stop))
}

/// Builds the pipeline, waits for its end and tells the exit status.
fn digest(cli: Cli, stop: &Stop) -> ExitCode {
    let digesters = cli.threads_of_work.map_or_else(rendez::workers, usize::from);
    let progress = Progress::new();

    let (window_in, window_out) = chan::bounded(WINDOW);
    let (jobs_in, jobs_out) = chan::bounded(QUEUE.max(2 * digesters));
    let (reports_in, reports_out) = chan::bounded(QUEUE.max(2 * digesters));

    let (found, printed) = rendez::scope(|scope| {
        for _ in 0..digesters {
            let (jobs, reports) = (jobs_out.clone(), reports_in.clone());
            let digester = Digester::new(cli.algorithm, &progress, stop);
            scope.go(move || digester.run(&jobs, &reports));
        }
        drop(jobs_out);

        let forest = Forest::new(cli.paths);
        let walker = scope.go(move || walk::run(forest, &window_in, &jobs_in, &reports_in, stop));

        let printer = Printer::new(io::stdout(), io::stderr(), &progress);
        let printer = scope.go(move || printer.run(&reports_out, &window_out));

        let found = walker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
        let printed = printer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
        (found, printed)
    });
    progress.finish();

    // An interrupt that came too late to leave anything out is none.
    let whole = found == Some(printed.files + printed.problems);
    match printed.ended {
        _ if stop.is_set() && !whole => ExitCode::from(STATUS_SIGINT),
        Ended::OutputClosed => ExitCode::from(STATUS_SIGPIPE),
        Ended::OutputFailed(reason) => {
            complain(&format!("write error: {reason}"));
            ExitCode::FAILURE
        }
        Ended::ReportsClosed if printed.problems > 0 => ExitCode::FAILURE,
        Ended::ReportsClosed => ExitCode::SUCCESS,
    }
}

/// One line on stderr about something that is no path. A stderr that can't be written is nothing to end for.
fn complain(what: &str) {
    let _ = io::stderr().write_all(format!("digest: {what}\n").as_bytes());
}
