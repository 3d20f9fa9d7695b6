//! Errors that say what was to be done, and to what.

use std::{error::Error, fmt, io};

/// An error with what it belongs to. The kind stays what it was; the system's own is its source.
struct Named {
    operation: &'static str,
    subject: String,
    error: io::Error,
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Named { operation, subject, error } = self;
        if subject.is_empty() {
            write!(f, "{operation}: {error}")
        } else {
            write!(f, "{operation} {subject}: {error}")
        }
    }
}

/// The text: what is seen is mostly the `Debug` of the `io::Error` around it, as `unwrap` and a `main` that returns it print that.
impl fmt::Debug for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_string(), f)
    }
}

impl Error for Named {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}

/// What an operation is for: an address, a path. Asked only when there is an error.
pub(crate) trait Subject {
    fn text(&self) -> String;
}

impl<D: fmt::Display + ?Sized> Subject for D {
    fn text(&self) -> String {
        self.to_string()
    }
}

/// Names operation and subject in an error. One that says that it would block is left as it is: it is asked for, and often.
#[cold]
pub(crate) fn named(
    operation: &'static str,
    subject: &(impl Subject + ?Sized),
    error: io::Error,
) -> io::Error {
    if error.kind() == io::ErrorKind::WouldBlock {
        return error;
    }
    io::Error::new(error.kind(), Named { operation, subject: subject.text(), error })
}
