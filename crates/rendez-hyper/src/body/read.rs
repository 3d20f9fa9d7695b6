//! Reading a body in blocking style.

use bytes::{Buf, Bytes};
use hyper::body::Body;
use rendez::{Context, block_on};
use std::{
    error::Error,
    fmt,
    future::poll_fn,
    io::{self, BufRead, Read},
    pin::{Pin, pin},
    task::Poll,
};

/// A body that is read like a file: with the standard library's `Read` and `BufRead`.
///
/// # Errors
/// Of a read: [`QuotaExceeded`](io::ErrorKind::QuotaExceeded) around a [`BodyTooLarge`] beyond the [limit](Self::limit);
/// [`TimedOut`](io::ErrorKind::TimedOut) around a [`ContextError`](rendez::ContextError) when the [context](Self::context) has ended; any other is the
/// connection's.
///
/// # Blocking
/// A read parks the goroutine, or the OS thread, until the other side has sent something.
///
/// # Examples
/// ```
/// use rendez_hyper::{Body, BodyReader};
/// use std::io::Read;
/// # fn main() -> std::io::Result<()> {
/// let mut text = String::new();
/// BodyReader::new(Body::from("hello")).limit(1000).read_to_string(&mut text)?;
/// assert_eq!(text, "hello");
///
/// let refused = BodyReader::new(Body::from("hello")).limit(4).bytes_to_end().unwrap_err();
/// assert_eq!(refused.kind(), std::io::ErrorKind::QuotaExceeded);
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is read until it is asked to"]
pub struct BodyReader<B> {
    /// `None` once it has ended.
    body: Option<B>,
    piece: Bytes,
    left: Option<u64>,
    limit: u64,
    /// It was too large. A piece is lost, so nothing that follows may pass for what comes next.
    is_refused: bool,
    context: Option<Context>,
}

/// A body has more bytes than it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyTooLarge {
    /// How many it may have.
    pub limit: u64,
}

impl fmt::Display for BodyTooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the body has more than {} bytes", self.limit)
    }
}

impl Error for BodyTooLarge {}

impl<B> BodyReader<B>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Unpin,
{
    /// Reads `body`.
    pub fn new(body: B) -> BodyReader<B> {
        BodyReader {
            body: Some(body),
            piece: Bytes::new(),
            left: None,
            limit: 0,
            is_refused: false,
            context: None,
        }
    }

    /// The body may have so many bytes. If it says that it has more, not one is read.
    pub fn limit(mut self, limit: u64) -> BodyReader<B> {
        (self.left, self.limit) = (Some(limit), limit);
        self
    }

    /// Reads end with this context, also if there is something to be read. (What has been read ahead, into a buffer, is given out before.)
    pub fn context(mut self, context: &Context) -> BodyReader<B> {
        self.context = Some(context.clone());
        self
    }

    /// All of it; without a copy if it comes in one piece.
    ///
    /// # Errors
    /// As of a read.
    pub fn bytes_to_end(mut self) -> io::Result<Bytes> {
        self.fill()?;
        let first = std::mem::take(&mut self.piece);
        self.fill()?;
        if self.piece.is_empty() {
            return Ok(first);
        }
        let mut all = first.to_vec();
        self.read_to_end(&mut all)?;
        Ok(all.into())
    }

    /// Sees to it that there is a piece, unless it has ended.
    fn fill(&mut self) -> io::Result<()> {
        if self.is_refused {
            return Err(self.too_large());
        }
        let (Some(body), true) = (&mut self.body, self.piece.is_empty()) else { return Ok(()) };
        if let Some(left) = self.left
            && body.size_hint().lower() > left
        {
            return Err(self.too_large());
        }
        match block_on(next(Pin::new(body), self.context.as_ref()))? {
            Some(piece) => {
                if let Some(left) = &mut self.left {
                    match left.checked_sub(piece.len() as u64) {
                        Some(rest) => *left = rest,
                        None => return Err(self.too_large()),
                    }
                }
                self.piece = piece;
            }
            None => self.body = None,
        }
        Ok(())
    }

    fn too_large(&mut self) -> io::Error {
        self.is_refused = true;
        io::Error::new(io::ErrorKind::QuotaExceeded, BodyTooLarge { limit: self.limit })
    }
}

/// The next piece that has something in it, or the end, or that of the context; the latter first, for there may always be a piece.
async fn next<B>(mut body: Pin<&mut B>, context: Option<&Context>) -> io::Result<Option<Bytes>>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>>,
{
    let mut ended = pin!(async {
        match context {
            Some(context) => drop(context.done().recv_async().await),
            None => std::future::pending().await,
        }
    });
    poll_fn(|cx| {
        loop {
            if let Some(how) = context.and_then(Context::err) {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, how)));
            }
            return match body.as_mut().poll_frame(cx) {
                Poll::Ready(None) => Poll::Ready(Ok(None)),
                Poll::Ready(Some(Err(error))) => Poll::Ready(Err(io::Error::other(error))),
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(piece) if !piece.is_empty() => Poll::Ready(Ok(Some(piece))),
                    // Empty, or trailers.
                    _ => continue,
                },
                Poll::Pending => match ended.as_mut().poll(cx) {
                    Poll::Ready(()) => continue,
                    Poll::Pending => Poll::Pending,
                },
            };
        }
    })
    .await
}

impl<B> Read for BodyReader<B>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Unpin,
{
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        self.fill()?;
        let len = buf.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut buf[..len]);
        Ok(len)
    }
}

impl<B> BufRead for BodyReader<B>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Unpin,
{
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.fill()?;
        Ok(&self.piece)
    }

    fn consume(&mut self, amount: usize) {
        self.piece.advance(amount);
    }
}

impl<B> fmt::Debug for BodyReader<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyReader").field("ended", &self.body.is_none()).finish_non_exhaustive()
    }
}
