//! Bodies for code that blocks: [`BodyReader`] reads a request's, [`Body`] is a response's, which [`BodyWriter`] writes piece by piece.

mod read;
mod write;

pub use read::{BodyReader, BodyTooLarge};
pub use write::BodyWriter;

use bytes::Bytes;
use hyper::body::{self, Frame, SizeHint};
use rendez::chan::{self, Receiver, RecvError};
use std::{
    fmt,
    io::{self, Read},
    pin::Pin,
    task::{Context, Poll, ready},
};

/// So much is read from a reader at once.
const CHUNK: usize = 64 * 1024;

/// A body to send, of which the whole is there, or which is read or written while it is sent.
///
/// # Examples
/// ```
/// use hyper::body::Body as _;
/// use rendez_hyper::Body;
/// assert_eq!(Body::from("hello").size_hint().exact(), Some(5));
/// assert!(Body::empty().is_end_stream());
/// // A file would be one that reads while it is sent.
/// let file = Body::from_reader(std::io::repeat(b'x'), Some(1 << 20));
/// assert_eq!(file.size_hint().exact(), Some(1 << 20));
/// ```
#[derive(Default)]
pub struct Body(Kind);

enum Kind {
    Whole(Bytes),
    Reader {
        reader: Box<dyn Read + Send>,
        /// How much is left, if that was told.
        left: Option<u64>,
        ended: bool,
    },
    Written {
        /// The next piece, and where the others come from.
        next: Next,
        /// Takes the end, as the writer told it.
        end: Receiver<()>,
        ended: bool,
    },
}

type Next = Pin<Box<dyn Future<Output = (Result<Bytes, RecvError>, Receiver<Bytes>)> + Send>>;

/// (A receive that is awaited stays in its queue between polls, so it has to be kept.)
fn next(pieces: Receiver<Bytes>) -> Next {
    Box::pin(async {
        let piece = pieces.recv_async().await;
        (piece, pieces)
    })
}

/// Reads some of a reader of which so much is left.
fn read_piece(reader: &mut dyn Read, left: &mut Option<u64>) -> io::Result<Option<Bytes>> {
    let room = left.map_or(CHUNK, |left| CHUNK.min(usize::try_from(left).unwrap_or(CHUNK)));
    let mut piece = vec![0; room];
    let len = loop {
        match reader.read(&mut piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => break result?,
        }
    };
    piece.truncate(len);
    match left {
        Some(left) if len == 0 && *left > 0 => {
            let what = format!("it ended {left} bytes too early");
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, what));
        }
        Some(left) => *left -= len as u64,
        None => {}
    }
    Ok((len > 0).then(|| piece.into()))
}

impl Default for Kind {
    fn default() -> Kind {
        Kind::Whole(Bytes::new())
    }
}

impl Body {
    /// Nothing.
    pub fn empty() -> Body {
        Body::default()
    }

    /// What `reader` gives, read while it is sent; `len` of it, if that is known, which then is told to the other side.
    ///
    /// An error of the reader, and an end before `len` bytes, break the connection, so that the other side knows. What comes after `len` bytes
    /// is not read.
    ///
    /// # Blocking
    /// The reader may block: it parks the goroutine that sees to the connection, and no other.
    pub fn from_reader(reader: impl Read + Send + 'static, len: Option<u64>) -> Body {
        let ended = len == Some(0);
        Body(Kind::Reader { reader: Box::new(reader), left: len, ended })
    }

    /// A body of unknown length that is written while it is sent; so many pieces may wait to be sent.
    ///
    /// # Examples
    /// ```
    /// use http_body_util::BodyExt;
    /// use rendez_hyper::Body;
    /// use std::io::Write;
    /// # fn main() -> std::io::Result<()> {
    /// let (mut writer, body) = Body::channel(1);
    /// rendez::go(move || -> std::io::Result<()> {
    ///     for n in 1..=3 {
    ///         writeln!(writer, "{n}")?;
    ///     }
    ///     writer.finish()
    /// });
    /// assert_eq!(rendez::block_on(body.collect())?.to_bytes(), "1\n2\n3\n");
    /// # Ok(())
    /// # }
    /// ```
    pub fn channel(capacity: usize) -> (BodyWriter, Body) {
        let (tx, pieces) = chan::bounded(capacity);
        let (finish, end) = chan::bounded(1);
        (BodyWriter::new(tx, finish), Body(Kind::Written { next: next(pieces), end, ended: false }))
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Body {
        Body(Kind::Whole(bytes))
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Body {
        Bytes::from(bytes).into()
    }
}

impl From<String> for Body {
    fn from(text: String) -> Body {
        Bytes::from(text).into()
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Body {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl From<&'static [u8]> for Body {
    fn from(bytes: &'static [u8]) -> Body {
        Bytes::from_static(bytes).into()
    }
}

impl body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut self.0 {
            Kind::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Kind::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Kind::Reader { ended: true, .. } | Kind::Written { ended: true, .. } => Poll::Ready(None),
            Kind::Reader { reader, left, ended } => {
                let piece = read_piece(reader, left);
                *ended = !matches!(piece, Ok(Some(_))) || *left == Some(0);
                Poll::Ready(piece.transpose().map(|piece| piece.map(Frame::data)))
            }
            Kind::Written { next, end, ended } => {
                let (piece, pieces) = ready!(next.as_mut().poll(cx));
                *ended = piece.is_err();
                Poll::Ready(match piece {
                    Ok(piece) => {
                        *next = self::next(pieces);
                        Some(Ok(Frame::data(piece)))
                    }
                    Err(_) if end.try_recv().is_ok() => None,
                    Err(_) => Some(Err(io::Error::other("the writer of the body gave up"))),
                })
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(bytes) => bytes.is_empty(),
            Kind::Reader { ended, .. } | Kind::Written { ended, .. } => *ended,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Reader { left: Some(left), .. } => SizeHint::with_exact(*left),
            Kind::Reader { .. } | Kind::Written { .. } => SizeHint::default(),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.0 {
            Kind::Whole(_) => "Whole",
            Kind::Reader { .. } => "Reader",
            Kind::Written { .. } => "Written",
        };
        f.debug_struct("Body").field("kind", &kind).field("size", &body::Body::size_hint(self)).finish()
    }
}
