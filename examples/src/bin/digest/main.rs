//! `digest`: the digest of every regular file under some paths, sorted, in the format of `sha256sum`.
//!
//! ```text
//! cargo run --release -p examples --bin digest -- [--threads-of-work N] [--algorithm sha256|blake3] PATH...
//! ```
//!
//! # The pipeline
//! ```text
//! walker ──> N digesters, in order ──> printer ──> stdout, stderr
//! ```
//! It is a [`Pipeline`] of rendez: the walker is an iterator, a digester a closure with a buffer of its own, and the printer reads what comes
//! out. The code of each is straight-line blocking code in its own module: [`walk`], [`hash`], [`mod@print`].
//!
//! # Sorted, in bounded memory
//! Sorting at the end would hold every line, so the order is made at the source: the walker visits files in
//! the order of their whole paths, byte by byte (how, is in [`walk`]). The digesters work on several at a time, and the pipeline keeps the order:
//! behind one huge file, the small ones that follow are digested and wait, [`AHEAD`] of them and no more.
//!
//! So memory holds at most: some thousands of paths with their reports, a buffer for each digester, a buffer of output
//! lines, and the entries of the directories on the way from a PATH down to where the walker is. A directory
//! comes off the disk unsorted and has to be sorted whole: memory does grow with the largest directory, not
//! with the number of files.
//!
//! # How it ends
//! - *Done*: the walker comes to its end, and one stage after the other to its own.
//! - *Nobody reads our output* (`digest … | head -1`): the printer returns, and with the pipeline's output the pipeline ends.
//! - *Ctrl-C*: a flag is set; the walker sees it before the next file and a digester before the next 128 KiB, and each says so with a
//!   report that is missing. The printer writes the whole lines that come before the first of these, and returns. A second Ctrl-C does
//!   not wait for any of that.
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
//! be on the same worker as a digester. So a digester yields after each buffer: it costs nanoseconds beside
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
use rendez::Context;
use rendez::pattern::Pipeline;

use cli::Cli;
use hash::Digester;
use interrupt::Stop;
use print::{Ended, Printer};
use progress::Progress;
use walk::Forest;

/// How many files may be digested behind one that takes long.
///
/// Large enough that the other digesters have work for a while behind one large file; small enough that the
/// paths take few megabytes.
const AHEAD: usize = 2048;

/// How many paths may wait for a digester.
///
/// A small file takes less time than waking a stage on another worker, and a stage that shares its worker
/// with the digester of a large file gets a turn for every 128 KiB of that. With room for a batch, a stage
/// gets much done in each turn.
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
fn digest(cli: Cli, stop: &Arc<Stop>) -> ExitCode {
    let digesters = cli.threads_of_work.map_or_else(rendez::workers, usize::from);
    let progress = Progress::new();

    let found = {
        let stop = Arc::clone(stop);
        Forest::new(cli.paths).map(move |found| if stop.is_set() { None } else { Some(found) })
    };
    let digester = {
        let (progress, stop) = (progress.clone(), Arc::clone(stop));
        move || Digester::new(cli.algorithm, progress.clone(), Arc::clone(&stop))
    };
    let run = Pipeline::from(found)
        .buffer(QUEUE)
        .map_with(digesters, digester, |digester, found| digester.report(found?))
        .buffer(AHEAD)
        .run(&Context::background());
    let printed = Printer::new(io::stdout(), io::stderr(), &progress).run(run.output());
    let _ = run.finish(); // it has no errors of its own, and a panic goes on here
    progress.finish();

    match printed.ended {
        Ended::Stopped => ExitCode::from(STATUS_SIGINT),
        Ended::OutputClosed => ExitCode::from(STATUS_SIGPIPE),
        Ended::OutputFailed(reason) => {
            complain(&format!("write error: {reason}"));
            ExitCode::FAILURE
        }
        Ended::Done if printed.problems > 0 => ExitCode::FAILURE,
        Ended::Done => ExitCode::SUCCESS,
    }
}

/// One line on stderr about something that is no path. A stderr that can't be written is nothing to end for.
fn complain(what: &str) {
    let _ = io::stderr().write_all(format!("digest: {what}\n").as_bytes());
}
