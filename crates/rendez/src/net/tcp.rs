//! TCP connections.

use super::{
    ConnectEvent, ToSocketAddrs,
    socket::socket,
    stream::{Endpoint, Readable, Writable, reads, writes},
};
use crate::{
    Event,
    fd::{Fd, IoEvent, Side, named},
    select::EventFuture,
};
use socket2::SockRef;
use std::{
    fmt,
    io::{self, Read, Write},
    net::{self, Shutdown, SocketAddr},
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
    sync::Arc,
    time::Duration,
};

/// A connection, and whom it is to.
#[derive(Debug)]
pub struct Tcp {
    io: net::TcpStream,
    /// Once it is broken, the system does not know any more.
    peer: Option<SocketAddr>,
}

impl Tcp {
    pub(super) fn to(io: net::TcpStream, peer: SocketAddr) -> Tcp {
        Tcp { io, peer: Some(peer) }
    }
}

impl AsFd for Tcp {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.as_fd()
    }
}

impl Endpoint for Tcp {
    fn named(&self, operation: &'static str, error: io::Error) -> io::Error {
        match self.peer {
            Some(peer) => named(operation, &peer, error),
            None => named(operation, "", error),
        }
    }
}

impl Readable for Tcp {
    const IS_SOCKET: bool = true;
    // Unless the stream has ended or has urgent data in it, which the poller tells.
    const SHORT_IS_EMPTY: bool = true;

    #[inline]
    fn source(&self) -> impl Read {
        &self.io
    }
}

impl Writable for Tcp {
    const IS_SOCKET: bool = true;

    #[inline]
    fn sink(&self) -> impl Write {
        &self.io
    }
}

/// A TCP connection: [`std::net::TcpStream`] that parks its goroutine. See the [module](super) for what differs.
///
/// It is closed when its last handle is dropped.
///
/// # Examples
/// ```
/// use rendez::{Context, Event, net::TcpStream};
/// use std::{io::ErrorKind, time::Duration};
/// # fn main() -> std::io::Result<()> {
/// // Somebody who accepts and then says nothing.
/// let silent = std::net::TcpListener::bind("127.0.0.1:0")?;
/// let stream = TcpStream::connect(silent.local_addr()?)?;
/// let mut buf = [0; 16];
///
/// // By a time-out of the stream,
/// stream.set_read_timeout(Some(Duration::from_millis(1)))?;
/// assert_eq!(stream.read_event(&mut buf).wait().unwrap_err().kind(), ErrorKind::TimedOut);
/// stream.set_read_timeout(None)?;
/// // or by a context.
/// let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(1));
/// assert!(ctx.bound(stream.read_event(&mut buf)).wait().is_err());
/// # Ok(())
/// # }
/// ```
pub struct TcpStream {
    inner: Arc<Fd<Tcp>>,
}

/// The event of `read_event`.
pub type ReadEvent<'a, S = Tcp> = IoEvent<'a, S, &'a mut [u8], usize>;
/// The event of `write_event`.
pub type WriteEvent<'a, S = Tcp> = IoEvent<'a, S, &'a [u8], usize>;

reads!(TcpStream, Tcp);
writes!(TcpStream, Tcp);

impl TcpStream {
    #[cfg(feature = "futures-io")]
    pub(super) fn fd(&self) -> &Fd<Tcp> {
        &self.inner
    }

    pub(super) fn of(fd: Fd<Tcp>) -> TcpStream {
        TcpStream { inner: Arc::new(fd) }
    }

    /// Of a connection that does not block.
    pub(super) fn accepted(io: net::TcpStream, peer: SocketAddr) -> TcpStream {
        TcpStream::of(Fd::new(Tcp::to(io, peer)))
    }

    fn io(&self) -> &net::TcpStream {
        &self.inner.io().io
    }

    fn named<R>(&self, operation: &'static str, result: io::Result<R>) -> io::Result<R> {
        result.map_err(|error| self.inner.io().named(operation, error))
    }

    /// Connects. A name is looked up off the workers; of several addresses the first that answers is taken, those of IPv4 and IPv6 by turns,
    /// each tried 250 ms after the one before, or when that has failed (RFC 8305).
    ///
    /// # Errors
    /// The first address's, named; or those of [`lookup_host`](super::lookup_host).
    ///
    /// # Blocking
    /// Parks the goroutine, or the OS thread, for as long as the system tries: minutes. See [`connect_timeout`](Self::connect_timeout), and
    /// [`connect_event`](Self::connect_event) for a context.
    ///
    /// # Cancellation
    /// A runtime's shutdown unwinds the goroutine, and the attempts are broken off.
    pub fn connect<A: ToSocketAddrs>(addr: A) -> io::Result<TcpStream> {
        Self::connect_event(addr).wait()
    }

    /// As [`connect`](Self::connect) to one address, for at most `timeout`.
    ///
    /// # Errors
    /// Also [`TimedOut`](io::ErrorKind::TimedOut), and [`InvalidInput`](io::ErrorKind::InvalidInput) for a time of zero.
    pub fn connect_timeout(addr: &SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
        if timeout.is_zero() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "cannot set a 0 duration timeout"));
        }
        ConnectEvent::new(addr, Some(timeout)).wait()
    }

    /// [`connect`](Self::connect) as an event.
    ///
    /// # Examples
    /// ```
    /// use rendez::{Context, Event, net::TcpStream};
    /// use std::time::Duration;
    /// # fn f() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, _cancel) = Context::background().with_timeout(Duration::from_secs(3));
    /// let stream = ctx.bound(TcpStream::connect_event("example.com:80")).wait()??;
    /// # Ok(())
    /// # }
    /// ```
    pub fn connect_event<A: ToSocketAddrs>(addr: A) -> ConnectEvent {
        ConnectEvent::new(addr, None)
    }

    /// [`connect`](Self::connect)'s twin for async tasks.
    pub fn connect_async<A: ToSocketAddrs>(addr: A) -> EventFuture<ConnectEvent> {
        Self::connect_event(addr).wait_async()
    }

    socket!(TcpStream, Tcp, net::TcpStream);

    /// Ends one direction, or both. Reads then give the end of the stream, writes fail.
    ///
    /// # Errors
    /// The system's, as when it is not connected any more.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.named("shutdown", self.io().shutdown(how))
    }

    /// Reads without taking.
    ///
    /// # Blocking
    /// As a read.
    ///
    /// # Errors
    /// As a read.
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.named("peek", self.inner.run(Side::Read, |tcp| Ok((tcp.io.peek(buf)?, false))))
    }

    /// [`peek`](Self::peek) as an event.
    pub fn peek_event<'a>(&'a self, buf: &'a mut [u8]) -> ReadEvent<'a> {
        let name = |tcp: &Tcp, _: &&mut [u8], error| tcp.named("peek", error);
        IoEvent::new(&self.inner, Side::Read, name, buf, |tcp, buf| Ok((tcp.io.peek(buf)?, false)))
    }

    /// [`peek`](Self::peek)'s twin for async tasks.
    pub fn peek_async<'a>(&'a self, buf: &'a mut [u8]) -> EventFuture<ReadEvent<'a>> {
        self.peek_event(buf).wait_async()
    }

    /// The address of the other side.
    ///
    /// # Errors
    /// If there is none any more.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io().peer_addr()
    }

    /// The address of this side.
    ///
    /// # Errors
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io().local_addr()
    }

    /// Whether small writes are sent at once (`TCP_NODELAY`).
    ///
    /// # Errors
    /// The system's.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.io().set_nodelay(nodelay)
    }

    /// Whether small writes are sent at once.
    ///
    /// # Errors
    /// The system's.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.io().nodelay()
    }

    /// What becomes of data that has not been sent when it is closed (`SO_LINGER`): it is sent while the caller's last drop
    /// waits for that long; with a time of zero it is thrown away, and the other side sees a reset.
    ///
    /// # Errors
    /// The system's.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        SockRef::from(self.io()).set_linger(linger)
    }

    /// See [`set_linger`](Self::set_linger).
    ///
    /// # Errors
    /// The system's.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        SockRef::from(self.io()).linger()
    }

    /// The hops that its packets may take (`IP_TTL`).
    ///
    /// # Errors
    /// The system's.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.io().set_ttl(ttl)
    }

    /// See [`set_ttl`](Self::set_ttl).
    ///
    /// # Errors
    /// The system's.
    pub fn ttl(&self) -> io::Result<u32> {
        self.io().ttl()
    }
}

impl AsFd for TcpStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

impl AsRawFd for TcpStream {
    fn as_raw_fd(&self) -> RawFd {
        self.io().as_raw_fd()
    }
}

/// # Panics
/// If the system refuses to make it non-blocking, which it does only if the descriptor is no socket.
impl From<net::TcpStream> for TcpStream {
    fn from(io: net::TcpStream) -> TcpStream {
        io.set_nonblocking(true).expect("a socket can be made non-blocking");
        let peer = io.peer_addr().ok();
        TcpStream::of(Fd::new(Tcp { io, peer }))
    }
}

/// The socket, which blocks again; if there are other handles, a duplicate of its descriptor, and then they block with it.
///
/// # Panics
/// If there are other handles and the process is out of descriptors.
impl From<TcpStream> for net::TcpStream {
    fn from(stream: TcpStream) -> net::TcpStream {
        let io = match Arc::try_unwrap(stream.inner) {
            Ok(fd) => fd.into_io().io,
            Err(shared) => shared.io().io.try_clone().expect("a duplicate of a descriptor"),
        };
        io.set_nonblocking(false).expect("a socket can be made blocking");
        io
    }
}

impl From<TcpStream> for OwnedFd {
    fn from(stream: TcpStream) -> OwnedFd {
        net::TcpStream::from(stream).into()
    }
}

impl From<OwnedFd> for TcpStream {
    fn from(fd: OwnedFd) -> TcpStream {
        net::TcpStream::from(fd).into()
    }
}

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.io().fmt(f)
    }
}
