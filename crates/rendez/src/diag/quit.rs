//! A dump when the system asks for one: `SIGQUIT`, Ctrl-\\ on a terminal.
#![forbid(unsafe_code)]

use super::dump;
use crate::signal;
use std::{
    io::{self, Write},
    sync::atomic::{AtomicBool, Ordering},
};

/// What happens after a dump that `SIGQUIT` has asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AfterDump {
    /// The program goes on: one that hangs, or is slow, can be looked at several times.
    #[default]
    GoOn,
    /// The process exits with status 2, as Go's does.
    Exit,
}

static EXITS: AtomicBool = AtomicBool::new(false);

/// From now on `SIGQUIT` (Ctrl-\\ on a terminal, `kill -QUIT`) has a [`dump`] and the [statistics](super::stats) printed to the standard error, and
/// does not end the process, unless `then` says so. Whoever has asked for that signal by [`signal::notify`] gets it as well. May be called again, for
/// the other.
///
/// It is not so by default, as it is in Go: there the signal belongs to the runtime, here to the program.
///
/// A thread of the process waits for signals, the same that [`signal::notify`] has. Deadlocks are told all the same.
///
/// # Errors
/// The system's, if the signal can't be caught or the thread not started.
///
/// # Examples
/// ```
/// use rendez::diag::{self, AfterDump};
/// diag::dump_on_quit(AfterDump::GoOn)?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn dump_on_quit(then: AfterDump) -> io::Result<()> {
    EXITS.store(then == AfterDump::Exit, Ordering::Relaxed);
    signal::on_quit(|| {
        // In one piece; and if nobody reads it, there is nobody to tell.
        let text = format!("SIGQUIT: dump of all goroutines\n\n{}\n{}", dump(), super::stats());
        let _ = io::stderr().write_all(text.as_bytes());
        if EXITS.load(Ordering::Relaxed) {
            std::process::exit(2);
        }
    })
}
