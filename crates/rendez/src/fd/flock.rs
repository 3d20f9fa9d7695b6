//! Locks of whole files.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
};

/// What is asked of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flock {
    /// `shared`: with others that are.
    Lock {
        shared: bool,
        waits: bool,
    },
    Unlock,
}

/// Locks or unlocks the open file behind a descriptor (`flock`), as the standard library's `File::lock` does.
pub(crate) fn flock(fd: BorrowedFd<'_>, what: Flock) -> io::Result<()> {
    let operation = match what {
        Flock::Lock { shared, waits } => {
            (if shared { libc::LOCK_SH } else { libc::LOCK_EX }) | (if waits { 0 } else { libc::LOCK_NB })
        }
        Flock::Unlock => libc::LOCK_UN,
    };
    // SAFETY: the descriptor is open, and no memory is passed.
    match unsafe { libc::flock(fd.as_raw_fd(), operation) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
