//! Where connections come from.

use futures_io::{AsyncRead, AsyncWrite};
use rendez::{
    Event,
    net::{FuturesIo, SocketAddr, TcpListener, TcpStream, UnixListener, UnixStream, unix},
};
use std::{io, sync::Arc};

/// What a [`Server`](super::Server) takes connections from: a listener of [`rendez::net`], a shared one (`Arc`), or your own.
pub trait Listen {
    /// A connection.
    type Stream: Send + 'static;
    /// The address of its other side.
    type Addr: Send + Sync + 'static;

    /// The next connection, as an event.
    fn next(&self) -> impl Event<Output = io::Result<(Self::Stream, Self::Addr)>, Operation: Send> + Send;

    /// Whether there will be none any more.
    fn is_closed(&self) -> bool;
}

/// A connection that hyper can use as it is.
pub trait Plain: Send + 'static {
    /// What it becomes.
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Makes it ready for use: with TCP, small writes are sent at once.
    ///
    /// # Errors
    /// The system's, if it has been broken already.
    fn into_io(self) -> io::Result<Self::Io>;

    /// As [`into_io`](Self::into_io), for a server that holds no lock and has nothing set for its thread while it writes, as [`Server`](super::Server) is: small
    /// writes of several connections may be [made together](FuturesIo::suspend_to_write).
    ///
    /// # Errors
    /// As there.
    fn into_served(self) -> io::Result<Self::Io>
    where
        Self: Sized,
    {
        self.into_io()
    }
}

impl Plain for TcpStream {
    type Io = FuturesIo<TcpStream>;

    fn into_io(self) -> io::Result<FuturesIo<TcpStream>> {
        self.set_nodelay(true)?;
        Ok(FuturesIo::new(self))
    }

    fn into_served(self) -> io::Result<FuturesIo<TcpStream>> {
        Ok(self.into_io()?.suspend_to_write())
    }
}

impl Plain for UnixStream {
    type Io = FuturesIo<UnixStream>;

    fn into_io(self) -> io::Result<FuturesIo<UnixStream>> {
        Ok(FuturesIo::new(self))
    }

    fn into_served(self) -> io::Result<FuturesIo<UnixStream>> {
        Ok(self.into_io()?.suspend_to_write())
    }
}

impl Listen for TcpListener {
    type Stream = TcpStream;
    type Addr = SocketAddr;

    fn next(&self) -> impl Event<Output = io::Result<(TcpStream, SocketAddr)>, Operation: Send> + Send {
        self.accept_event()
    }

    fn is_closed(&self) -> bool {
        TcpListener::is_closed(self)
    }
}

impl Listen for UnixListener {
    type Stream = UnixStream;
    type Addr = unix::SocketAddr;

    fn next(
        &self,
    ) -> impl Event<Output = io::Result<(UnixStream, unix::SocketAddr)>, Operation: Send> + Send {
        self.accept_event()
    }

    fn is_closed(&self) -> bool {
        UnixListener::is_closed(self)
    }
}

impl<L: Listen> Listen for Arc<L> {
    type Stream = L::Stream;
    type Addr = L::Addr;

    fn next(&self) -> impl Event<Output = io::Result<(L::Stream, L::Addr)>, Operation: Send> + Send {
        (**self).next()
    }

    fn is_closed(&self) -> bool {
        (**self).is_closed()
    }
}
