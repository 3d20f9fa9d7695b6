//! Writing a body while it is sent.

use bytes::Bytes;
use rendez::chan::Sender;
use std::{
    fmt,
    io::{self, Write},
};

/// Pieces smaller than this are gathered.
const PIECE: usize = 16 * 1024;

/// Writes the body with which it was made by [`Body::channel`](super::Body::channel).
///
/// What is written is gathered into pieces of some kilobytes, unless it is [flushed](Write::flush). One that is dropped without
/// [`finish`](Self::finish), as by a panic, breaks the body off, so that the other side knows that it is not whole.
///
/// # Errors
/// [`BrokenPipe`](io::ErrorKind::BrokenPipe) once nobody takes the body any more.
///
/// # Blocking
/// A write parks the goroutine, or the OS thread, while as many pieces wait as may.
pub struct BodyWriter {
    pieces: Sender<Bytes>,
    finish: Sender<()>,
    gathered: Vec<u8>,
}

impl BodyWriter {
    pub(super) fn new(pieces: Sender<Bytes>, finish: Sender<()>) -> BodyWriter {
        BodyWriter { pieces, finish, gathered: Vec::new() }
    }

    /// Sends a piece as it is, after what has been gathered.
    ///
    /// # Errors
    /// As of a write.
    pub fn send(&mut self, piece: impl Into<Bytes>) -> io::Result<()> {
        self.flush()?;
        self.pass_on(piece.into())
    }

    /// Sends what has been gathered and ends the body.
    ///
    /// # Errors
    /// As of a write.
    pub fn finish(mut self) -> io::Result<()> {
        self.flush()?;
        // There is room for this one, and it is there before the pieces end.
        self.finish.try_send(()).map_err(|_| gone())
    }

    fn pass_on(&mut self, piece: Bytes) -> io::Result<()> {
        // An empty one would count as the end.
        if piece.is_empty() { Ok(()) } else { self.pieces.send(piece).map_err(|_| gone()) }
    }
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "nobody takes the body any more")
}

impl Write for BodyWriter {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.gathered.extend_from_slice(buf);
        if self.gathered.len() >= PIECE {
            self.flush()?;
        }
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let piece = std::mem::take(&mut self.gathered);
        self.pass_on(piece.into())
    }
}

impl fmt::Debug for BodyWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyWriter").field("gathered", &self.gathered.len()).finish_non_exhaustive()
    }
}
