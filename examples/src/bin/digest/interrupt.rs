//! Ctrl-C.
//!
//! The handler runs on a thread of the `ctrlc` crate, not in the signal handler proper, and does no more than
//! set a flag: the stages look at it where they are between two pieces of work, and end by dropping their
//! ends of the channels. Nothing has to be woken: a stage that waits, waits for another stage, and those at
//! work see the flag.
//!
//! A stage inside a system call that does not come back (a dead network mount, a full pipe which nobody
//! reads) sees no flag. That is what the second Ctrl-C is for.

use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Whether the user asked for the end.
#[derive(Debug, Default)]
pub(crate) struct Stop(AtomicBool);

impl Stop {
    pub(crate) fn is_set(&self) -> bool {
        // Relaxed: no data is published with the flag, and it is looked at often.
        self.0.load(Relaxed)
    }

    /// Asks for the end, and tells whether that had been done before.
    pub(crate) fn set(&self) -> bool {
        self.0.swap(true, Relaxed)
    }
}

/// From now on the first Ctrl-C sets `stop` and the second ends the process.
///
/// A process that was started with the interrupt signal ignored, as a shell does for `digest … &` in a
/// script, goes on ignoring it.
///
/// # Errors
/// When the system refuses the handler.
pub(crate) fn watch(stop: Arc<Stop>) -> Result<(), ctrlc::Error> {
    let handler = move || {
        if stop.set() {
            process::exit(super::STATUS_SIGINT.into());
        }
    };
    match ctrlc::try_set_handler(handler) {
        Err(ctrlc::Error::MultipleHandlers) => Ok(()),
        result => result,
    }
}
