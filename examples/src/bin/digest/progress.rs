//! The progress bar: on stderr, where that is a terminal.
//!
//! The walker is only a window ahead, so nobody knows how much is left: the bar tells how much is done, and
//! how fast.

use std::fmt::Write;
use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

/// Shared by the stages: digesters count bytes, the printer counts files. Clones are the same bar.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    /// Its position is the number of bytes digested. Hidden, and then nearly free, where stderr is no
    /// terminal.
    bar: ProgressBar,
    files: Arc<AtomicU64>,
    stdout_is_terminal: bool,
}

impl Progress {
    pub(crate) fn new() -> Progress {
        let files = Arc::new(AtomicU64::new(0));
        let shown = Arc::clone(&files);
        let style =
            ProgressStyle::with_template("{spinner} {files} files, {bytes}, {bytes_per_sec}, {elapsed}")
                .expect("the template is well-formed")
                .with_key("files", move |_: &ProgressState, out: &mut dyn Write| {
                    let _ = write!(out, "{}", shown.load(Relaxed));
                });
        let bar = ProgressBar::no_length().with_style(style);
        Progress { bar, files, stdout_is_terminal: io::stdout().is_terminal() }
    }

    /// `count` more bytes were digested.
    pub(crate) fn bytes(&self, count: usize) {
        self.bar.inc(count as u64);
    }

    /// One more file was printed.
    pub(crate) fn file(&self) {
        self.files.fetch_add(1, Relaxed);
    }

    /// Runs `write`, which writes to stderr, with the bar out of the way.
    pub(crate) fn around_stderr<R>(&self, write: impl FnOnce() -> R) -> R {
        self.bar.suspend(write)
    }

    /// Runs `write`, which writes to stdout, with the bar out of the way if the two share a terminal.
    pub(crate) fn around_stdout<R>(&self, write: impl FnOnce() -> R) -> R {
        // The bar is locked meanwhile. A pipe may keep the writer waiting; the digesters, who move the bar,
        // must not.
        if self.stdout_is_terminal { self.bar.suspend(write) } else { write() }
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
