//! Streams as hyper wants them.

use futures_io::{AsyncRead, AsyncWrite};
use hyper::rt::{Read, ReadBufCursor, Write};
use rendez::net::{FuturesIo, TcpStream, UnixStream};
use std::{
    cell::Cell,
    io,
    pin::Pin,
    task::{Context, Poll},
};

/// So much is read at once, at most.
const ROOM: usize = 64 * 1024;

thread_local! {
    /// Where reads of this thread go first. hyper's buffers are not initialised, so that to read right into them would take either
    /// `unsafe` or zeroing what there is room for, which is mostly more than what is read and then copied.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A stream with hyper's `Read` and `Write`: one of rendez, or any with the `AsyncRead` and `AsyncWrite` of the `futures` crates, as a TLS
/// session over one.
///
/// # Examples
/// ```
/// use bytes::Bytes;
/// use http_body_util::{BodyExt, Empty};
/// use hyper::{Request, client::conn::http1};
/// use rendez::{block_on, go_async, net::TcpStream};
/// use rendez_hyper::Io;
/// # use rendez::net::TcpListener;
/// # use std::io::{Read, Write};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let listener = TcpListener::bind("127.0.0.1:0")?;
/// # let address = listener.local_addr()?;
/// # rendez::go(move || {
/// #     let (mut stream, _) = listener.accept().unwrap();
/// #     let _ = stream.read(&mut [0; 1000]);
/// #     stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").unwrap();
/// # });
/// let stream = TcpStream::connect(address)?;
/// let (mut sender, connection) = block_on(http1::handshake(Io::from(stream)))?;
/// go_async(connection);
/// let request = Request::get("/").header("host", "localhost").body(Empty::<Bytes>::new())?;
/// let response = block_on(sender.send_request(request))?;
/// assert_eq!(block_on(response.into_body().collect())?.to_bytes(), "hello");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Io<S> {
    stream: S,
}

impl<S> Io<S> {
    /// Around a stream.
    pub fn new(stream: S) -> Io<S> {
        Io { stream }
    }

    /// The stream.
    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    /// The stream.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// The stream alone.
    pub fn into_inner(self) -> S {
        self.stream
    }
}

impl From<TcpStream> for Io<FuturesIo<TcpStream>> {
    fn from(stream: TcpStream) -> Self {
        Io::new(FuturesIo::new(stream))
    }
}

impl From<UnixStream> for Io<FuturesIo<UnixStream>> {
    fn from(stream: UnixStream) -> Self {
        Io::new(FuturesIo::new(stream))
    }
}

impl<S: AsyncRead + Unpin> Read for Io<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        // It is taken out, not borrowed: the stream may be one that parks in here, or reads from another `Io`.
        let mut scratch = SCRATCH.take();
        if scratch.is_empty() {
            scratch = vec![0; ROOM];
        }
        let room = buf.remaining().min(ROOM);
        let read = Pin::new(&mut self.stream).poll_read(cx, &mut scratch[..room]);
        if let Poll::Ready(Ok(len)) = read {
            buf.put_slice(&scratch[..len]);
        }
        SCRATCH.set(scratch);
        read.map_ok(drop)
    }
}

impl<S: AsyncWrite + Unpin> Write for Io<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(cx)
    }
}
