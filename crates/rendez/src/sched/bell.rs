//! What wakes a poller: a counter of the kernel's (`eventfd`) that it watches like any other source.

use std::{
    fs::File,
    io::{self, Write},
    os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd},
};

/// Rung by any thread. The poller watches its edges, so it need not be read: each ring is told once.
#[derive(Debug)]
pub(super) struct Bell(File);

impl Bell {
    pub(super) fn new() -> io::Result<Bell> {
        // SAFETY: no memory is passed.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: just made, and nobody else's.
        Ok(Bell(File::from(unsafe { OwnedFd::from_raw_fd(fd) })))
    }

    pub(super) fn ring(&self) {
        // It fails only when it has been rung 2^64 times.
        let _ = (&self.0).write(&1_u64.to_ne_bytes());
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
