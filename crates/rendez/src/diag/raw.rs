//! Writing to the standard error from a signal handler: no allocation, no lock.

use std::fmt;

/// The standard error, unbuffered.
pub(super) struct Raw;

impl fmt::Write for Raw {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            // SAFETY: what is pointed to is there.
            let wrote = unsafe { libc::write(libc::STDERR_FILENO, rest.as_ptr().cast(), rest.len()) };
            match usize::try_from(wrote) {
                Ok(wrote) => rest = &rest[wrote..],
                Err(_) if std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted => {}
                // Nobody reads it.
                Err(_) => return Ok(()),
            }
        }
        Ok(())
    }
}
