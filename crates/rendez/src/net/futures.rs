//! The traits of the `futures` crates.

use super::{
    TcpStream, UnixStream,
    stream::{
        Endpoint, Readable, Writable, read_call, read_vectored_call, write_call, write_call_with_others,
        write_vectored_call,
    },
    tcp::Tcp,
    unix,
};
use crate::{
    fd::{Descriptor, Fd, Polled, Side},
    process::{ChildStderr, ChildStdin, ChildStdout, Pipe},
};
use futures_io::{AsyncRead, AsyncWrite};
use std::{
    fmt,
    io::{self, IoSlice, IoSliceMut},
    pin::Pin,
    task::{Context, Poll},
};

/// A stream with the `AsyncRead` and `AsyncWrite` of the `futures` crates, to be used on any executor. Behind the feature
/// `futures-io`.
///
/// Time-outs of the stream don't count here. Who has one of his own for writes polls the write once more when it is over: one that has waited for
/// 10 ms looks then whether there is room, of which the system tells late (when a third of a socket's buffer is free). Closing it (`poll_close`) ends the direction in which it writes; but what a process reads ends
/// when the pipe to it is dropped.
///
/// # Examples
/// ```
/// use futures_util::{AsyncReadExt, AsyncWriteExt};
/// use rendez::{block_on, net::{FuturesIo, UnixStream}};
/// # fn main() -> std::io::Result<()> {
/// let (a, b) = UnixStream::pair()?;
/// let (mut a, mut b) = (FuturesIo::new(a), FuturesIo::new(b));
/// block_on(async {
///     a.write_all(b"hello").await?;
///     a.close().await?;
///     let mut text = String::new();
///     b.read_to_string(&mut text).await?;
///     assert_eq!(text, "hello");
///     Ok(())
/// })
/// # }
/// ```
pub struct FuturesIo<S> {
    /// They leave the queues before the stream goes.
    reader: Polled,
    writer: Polled,
    /// See `suspend_to_write`.
    suspends: bool,
    stream: S,
}

impl<S> FuturesIo<S> {
    /// Around a stream.
    pub fn new(stream: S) -> FuturesIo<S> {
        FuturesIo {
            reader: Polled::new(Side::Read),
            writer: Polled::new(Side::Write),
            suspends: false,
            stream,
        }
    }

    /// Lets writes of at most 4 KiB to a socket (not vectored ones) be made together with what others of the worker read and write, where several are ready (see
    /// [`net`](crate::net#what-it-costs)): the poll that writes is then suspended for a moment, as it would be by a call that blocks, with a stack of its own, and others
    /// run on its thread. A server with many connections takes a fifth less of the processor's time by that.
    ///
    /// Not where something is set or held for just as long as a poll lasts. Of what is the thread's (the guard of a `tracing` span, the context of another runtime) others
    /// would find what was set here; and who wants a lock that blocks the thread, while this poll holds it, would wait for ever (`tokio::io::split` has one).
    #[must_use]
    pub fn suspend_to_write(mut self) -> FuturesIo<S> {
        self.suspends = true;
        self
    }

    /// The stream.
    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    /// The stream alone.
    pub fn into_inner(self) -> S {
        self.stream
    }
}

// Nothing in it points into it: what is queued is in boxes.
impl<S> Unpin for FuturesIo<S> {}

/// Ends the direction in which a stream writes.
pub(crate) trait CloseWrite {
    /// Ends it.
    fn close_write(&mut self) -> io::Result<()>;
}

impl<S: Descriptor<Io: Readable>> AsyncRead for FuturesIo<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let fd = this.stream.descriptor();
        let read = this.reader.poll(fd, cx, |stream| read_call(stream, &mut buf));
        read.map_err(|error| fd.io().named("read", error))
    }

    fn poll_read_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let fd = this.stream.descriptor();
        let read = this.reader.poll(fd, cx, |stream| read_vectored_call(stream, &mut bufs));
        read.map_err(|error| fd.io().named("read", error))
    }
}

impl<S: Descriptor<Io: Writable> + CloseWrite> AsyncWrite for FuturesIo<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, mut buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let fd = this.stream.descriptor();
        let call = |stream: &S::Io| match this.suspends {
            true => write_call_with_others(stream, &mut buf, true),
            false => write_call(stream, &mut buf),
        };
        let written = this.writer.poll(fd, cx, call);
        written.map_err(|error| fd.io().named("write", error))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let fd = this.stream.descriptor();
        let written = this.writer.poll(fd, cx, |stream| write_vectored_call(stream, &mut bufs));
        written.map_err(|error| fd.io().named("write", error))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.stream.close_write())
    }
}

macro_rules! descriptors {
    ($($type:ty: $io:ty;)*) => {
        $(
            impl Descriptor for $type {
                type Io = $io;

                fn descriptor(&self) -> &Fd<$io> {
                    self.fd()
                }
            }
        )*
    };
}

descriptors! {
    TcpStream: Tcp;
    UnixStream: unix::Stream;
    ChildStdin: Pipe;
    ChildStdout: Pipe;
    ChildStderr: Pipe;
}

impl CloseWrite for TcpStream {
    fn close_write(&mut self) -> io::Result<()> {
        self.shutdown(super::Shutdown::Write)
    }
}

impl CloseWrite for UnixStream {
    fn close_write(&mut self) -> io::Result<()> {
        self.shutdown(super::Shutdown::Write)
    }
}

/// A pipe is closed when it is dropped.
impl CloseWrite for ChildStdin {
    fn close_write(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<S: fmt::Debug> fmt::Debug for FuturesIo<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FuturesIo").field(&self.stream).finish()
    }
}
