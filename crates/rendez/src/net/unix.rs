//! Sockets of the file system.

use super::{
    Shutdown,
    datagram::datagrams,
    retry::{RetryEvent, Tried},
    socket::{conversions, socket},
    stream::{Endpoint, Readable, Writable, reads, writes},
};
use crate::{
    Event,
    fd::{Fd, IoEvent, Side, is_exhausted, named},
    select::EventFuture,
};
use socket2::{Domain, SockAddr, Socket, Type};
pub use std::os::unix::net::SocketAddr;
use std::{
    ffi::OsStr,
    fmt,
    io::{self, Read, Write},
    iter::FusedIterator,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
        linux::net::SocketAddrExt,
        unix::{ffi::OsStrExt, net},
    },
    path::{Path, PathBuf},
    sync::Arc,
};

/// An address for errors; one that is not of the file system begins with `@`, as elsewhere.
fn text(addr: &SocketAddr) -> Option<String> {
    match addr.as_pathname() {
        Some(path) => Some(path.display().to_string()),
        None => Some(format!("@{}", addr.as_abstract_name()?.escape_ascii())),
    }
}

/// The address of a socket, for errors.
fn address(addr: io::Result<SocketAddr>) -> Option<String> {
    text(&addr.ok()?)
}

/// Whom one connects or sends to.
#[derive(Clone, Debug)]
pub(super) enum Place {
    Path(PathBuf),
    Addr(SocketAddr),
}

impl Place {
    fn addr(&self) -> io::Result<SocketAddr> {
        match self {
            Place::Path(path) => SocketAddr::from_pathname(path),
            Place::Addr(addr) => Ok(addr.clone()),
        }
    }

    /// As the call of the system wants it.
    fn sock_addr(&self) -> io::Result<SockAddr> {
        let addr = self.addr()?;
        match (addr.as_pathname(), addr.as_abstract_name()) {
            (Some(path), _) => SockAddr::unix(path),
            (None, Some(name)) => SockAddr::unix(OsStr::from_bytes(&[&[0], name].concat())),
            (None, None) => Err(io::Error::new(io::ErrorKind::InvalidInput, "an address without a name")),
        }
    }

    fn named(&self, operation: &'static str, error: io::Error) -> io::Error {
        match self {
            Place::Path(path) => named(operation, &path.display(), error),
            Place::Addr(addr) => named(operation, &text(addr).unwrap_or_else(|| "(unnamed)".into()), error),
        }
    }
}

macro_rules! endpoint {
    ($(#[$doc:meta])* $fd:ident, $std:ty, $address:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $fd($std);

        impl AsFd for $fd {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.0.as_fd()
            }
        }

        impl Endpoint for $fd {
            fn named(&self, operation: &'static str, error: io::Error) -> io::Error {
                let address: fn(&$std) -> Option<String> = $address;
                named(operation, &address(&self.0).unwrap_or_else(|| "(unnamed)".into()), error)
            }
        }
    };
}

endpoint!(
    /// A connection.
    Stream, net::UnixStream, |io| address(io.peer_addr()).or_else(|| address(io.local_addr()))
);
endpoint!(
    /// A socket that listens.
    Listening, net::UnixListener, |io| address(io.local_addr())
);
endpoint!(
    /// A socket for datagrams.
    Datagram, net::UnixDatagram, |io| address(io.peer_addr()).or_else(|| address(io.local_addr()))
);

// (A short read may have ended at a message that carries descriptors, so it says nothing of what is left.)
impl Readable for Stream {
    const IS_SOCKET: bool = true;

    #[inline]
    fn source(&self) -> impl Read {
        &self.0
    }
}

impl Writable for Stream {
    const IS_SOCKET: bool = true;

    #[inline]
    fn sink(&self) -> impl Write {
        &self.0
    }
}

/// A connection over a Unix socket: [`std::os::unix::net::UnixStream`] that parks its goroutine. See the [module](super) for what differs.
///
/// # Examples
/// ```
/// use rendez::{go, net::UnixStream};
/// use std::io::{Read, Write};
/// # fn main() -> std::io::Result<()> {
/// let (mut a, mut b) = UnixStream::pair()?;
/// let echo = go(move || std::io::copy(&mut b.try_clone().unwrap(), &mut b));
/// a.write_all(b"hello")?;
/// let mut back = [0; 5];
/// a.read_exact(&mut back)?;
/// assert_eq!(&back, b"hello");
/// # Ok(())
/// # }
/// ```
pub struct UnixStream {
    inner: Arc<Fd<Stream>>,
}

reads!(UnixStream, Stream);
writes!(UnixStream, Stream);
conversions!(UnixStream, Stream, net::UnixStream, Stream);

impl UnixStream {
    #[cfg(feature = "futures-io")]
    pub(super) fn fd(&self) -> &Fd<Stream> {
        &self.inner
    }

    fn io(&self) -> &net::UnixStream {
        &self.inner.io().0
    }

    /// Connects to the listener at `path`.
    ///
    /// While that has no room for another connection, which the system does not tell the end of, it is tried again after pauses of at most 10 ms.
    ///
    /// # Errors
    /// The system's, named.
    ///
    /// # Blocking
    /// Parks the goroutine, or the OS thread, while the listener has no room for another connection.
    ///
    /// # Cancellation
    /// A runtime's shutdown unwinds the goroutine. By a context: [`connect_event`](Self::connect_event).
    pub fn connect<P: AsRef<Path>>(path: P) -> io::Result<UnixStream> {
        Self::connect_event(path).wait()
    }

    /// [`connect`](Self::connect) to an address, which may be one without a path.
    ///
    /// # Errors
    /// The system's, named.
    pub fn connect_addr(addr: &SocketAddr) -> io::Result<UnixStream> {
        Self::connect_addr_event(addr).wait()
    }

    /// [`connect`](Self::connect) as an event.
    ///
    /// # Examples
    /// ```
    /// use rendez::{Context, Event, net::{UnixListener, UnixStream}};
    /// use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let path = std::env::temp_dir().join(format!("rendez-connect-example-{}", std::process::id()));
    /// let listener = UnixListener::bind(&path)?;
    /// let (ctx, _cancel) = Context::background().with_timeout(Duration::from_secs(3));
    /// let stream = ctx.bound(UnixStream::connect_event(&path)).wait()??;
    /// # std::fs::remove_file(path)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn connect_event<P: AsRef<Path>>(path: P) -> UnixConnectEvent {
        connecting(Place::Path(path.as_ref().into()))
    }

    /// [`connect_addr`](Self::connect_addr) as an event.
    pub fn connect_addr_event(addr: &SocketAddr) -> UnixConnectEvent {
        connecting(Place::Addr(addr.clone()))
    }

    /// [`connect`](Self::connect)'s twin for async tasks.
    pub fn connect_async<P: AsRef<Path>>(path: P) -> EventFuture<UnixConnectEvent> {
        Self::connect_event(path).wait_async()
    }

    /// Two that are connected with each other.
    ///
    /// # Errors
    /// The system's.
    pub fn pair() -> io::Result<(UnixStream, UnixStream)> {
        let (a, b) = net::UnixStream::pair()?;
        Ok((a.into(), b.into()))
    }

    /// Ends one direction, or both. Reads then give the end of the stream, writes fail.
    ///
    /// # Errors
    /// The system's.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.io().shutdown(how).map_err(|error| self.inner.io().named("shutdown", error))
    }

    /// The address of this side.
    ///
    /// # Errors
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io().local_addr()
    }

    /// The address of the other side.
    ///
    /// # Errors
    /// If there is none any more.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io().peer_addr()
    }

    socket!(UnixStream, Stream, net::UnixStream);
}

/// The event of [`UnixStream::connect_event`].
pub type UnixConnectEvent = RetryEvent<Connecting, UnixStream>;

/// A connection to be, and to where.
#[derive(Debug)]
pub struct Connecting {
    to: Place,
    socket: Option<Socket>,
}

fn connecting(to: Place) -> UnixConnectEvent {
    let name = |connecting: &Connecting, error| connecting.to.named("connect", error);
    RetryEvent::new(None, name, Connecting { to, socket: None }, |connecting| connecting.attempt())
}

impl Connecting {
    fn attempt(&mut self) -> Tried<UnixStream> {
        match self.connect() {
            Ok(stream) => Some(Ok(stream)),
            // There is no room in the listener's queue.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(error) => Some(Err(error)),
        }
    }

    fn connect(&mut self) -> io::Result<UnixStream> {
        let addr = self.to.sock_addr()?;
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?,
        };
        loop {
            match socket.connect(&addr) {
                Ok(()) => return Ok(UnixStream { inner: Arc::new(Fd::new(Stream(socket.into()))) }),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.socket = Some(socket);
                    return Err(error);
                }
            }
        }
    }
}

/// Listens at a path: [`std::os::unix::net::UnixListener`] that parks its goroutine. See the [module](super) for what differs.
///
/// # Examples
/// ```
/// use rendez::{go, net::{UnixListener, UnixStream}};
/// use std::io::Write;
/// # fn main() -> std::io::Result<()> {
/// let path = std::env::temp_dir().join(format!("rendez-example-{}", std::process::id()));
/// let listener = UnixListener::bind(&path)?;
/// let server = go(move || listener.accept());
/// UnixStream::connect(&path)?.write_all(b"hello")?;
/// server.join().unwrap()?;
/// std::fs::remove_file(path)
/// # }
/// ```
pub struct UnixListener {
    inner: Arc<Fd<Listening>>,
}

/// The event of [`UnixListener::accept_event`].
pub type UnixAcceptEvent<'a> = IoEvent<'a, Listening, (), (UnixStream, SocketAddr)>;

conversions!(UnixListener, Listening, net::UnixListener, Listening);

fn accept_call(listening: &Listening) -> io::Result<((UnixStream, SocketAddr), bool)> {
    let (stream, addr) = listening.0.accept()?;
    crate::sched::note_accepted();
    Ok(((stream.into(), addr), false))
}

impl UnixListener {
    fn io(&self) -> &net::UnixListener {
        &self.inner.io().0
    }

    /// Listens at `path`, where there must be nothing.
    ///
    /// # Errors
    /// The system's, named.
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<UnixListener> {
        let path = path.as_ref();
        net::UnixListener::bind(path)
            .map(UnixListener::from)
            .map_err(|error| named("listen", &path.display(), error))
    }

    /// Listens at an address, which may be one without a path.
    ///
    /// # Errors
    /// The system's, named.
    pub fn bind_addr(addr: &SocketAddr) -> io::Result<UnixListener> {
        net::UnixListener::bind_addr(addr)
            .map(UnixListener::from)
            .map_err(|error| Place::Addr(addr.clone()).named("listen", error))
    }

    /// Takes the next connection; as [`TcpListener::accept`](super::TcpListener::accept).
    ///
    /// # Errors
    /// The system's, named.
    ///
    /// # Blocking
    /// Parks the goroutine, or the OS thread, until there is one.
    pub fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        match self.inner.run(Side::Read, accept_call) {
            Err(error) if is_exhausted(&error) && !self.inner.is_impatient() => self.accept_event().wait(),
            result => result.map_err(|error| self.inner.io().named("accept", error)),
        }
    }

    /// [`accept`](Self::accept) as an event.
    pub fn accept_event(&self) -> UnixAcceptEvent<'_> {
        let name = |listening: &Listening, _: &(), error| listening.named("accept", error);
        IoEvent::new(&self.inner, Side::Read, name, (), |listening, ()| accept_call(listening))
    }

    /// [`accept`](Self::accept)'s twin for async tasks.
    ///
    /// # Cancellation
    /// Safe: a future that is dropped before it is ready has taken no connection.
    pub fn accept_async(&self) -> EventFuture<UnixAcceptEvent<'_>> {
        self.accept_event().wait_async()
    }

    /// The connections one after another. It ends when the listener is closed.
    pub fn incoming(&self) -> UnixIncoming<'_> {
        UnixIncoming { listener: self }
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io().local_addr()
    }

    socket!(UnixListener, Listening, net::UnixListener);
}

/// The iterator of [`UnixListener::incoming`].
#[derive(Debug)]
pub struct UnixIncoming<'a> {
    listener: &'a UnixListener,
}

impl Iterator for UnixIncoming<'_> {
    type Item = io::Result<UnixStream>;

    fn next(&mut self) -> Option<io::Result<UnixStream>> {
        let accepted = self.listener.accept();
        if accepted.is_err() && self.listener.is_closed() {
            return None;
        }
        Some(accepted.map(|(stream, _)| stream))
    }
}

impl FusedIterator for UnixIncoming<'_> {}

impl<'a> IntoIterator for &'a UnixListener {
    type Item = io::Result<UnixStream>;
    type IntoIter = UnixIncoming<'a>;

    fn into_iter(self) -> UnixIncoming<'a> {
        self.incoming()
    }
}

/// Datagrams over Unix sockets: [`std::os::unix::net::UnixDatagram`] that parks its goroutine. See the [module](super) for what differs.
///
/// # Examples
/// ```
/// use rendez::net::UnixDatagram;
/// # fn main() -> std::io::Result<()> {
/// let (a, b) = UnixDatagram::pair()?;
/// a.send(b"hello")?;
/// let mut buf = [0; 16];
/// let len = b.recv(&mut buf)?;
/// assert_eq!(&buf[..len], b"hello");
/// # Ok(())
/// # }
/// ```
pub struct UnixDatagram {
    inner: Arc<Fd<Datagram>>,
}

datagrams!(UnixDatagram, Datagram, net::UnixDatagram, SocketAddr);

impl UnixDatagram {
    /// A socket at `path`, where there must be nothing.
    ///
    /// # Errors
    /// The system's, named.
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<UnixDatagram> {
        let path = path.as_ref();
        net::UnixDatagram::bind(path)
            .map(UnixDatagram::from)
            .map_err(|error| named("bind", &path.display(), error))
    }

    /// A socket at an address, which may be one without a path.
    ///
    /// # Errors
    /// The system's, named.
    pub fn bind_addr(addr: &SocketAddr) -> io::Result<UnixDatagram> {
        net::UnixDatagram::bind_addr(addr)
            .map(UnixDatagram::from)
            .map_err(|error| Place::Addr(addr.clone()).named("bind", error))
    }

    /// A socket without an address.
    ///
    /// # Errors
    /// The system's.
    pub fn unbound() -> io::Result<UnixDatagram> {
        net::UnixDatagram::unbound().map(UnixDatagram::from)
    }

    /// Two that are connected with each other.
    ///
    /// # Errors
    /// The system's.
    pub fn pair() -> io::Result<(UnixDatagram, UnixDatagram)> {
        let (a, b) = net::UnixDatagram::pair()?;
        Ok((a.into(), b.into()))
    }

    /// Has `send` and `recv` deal with the socket at `path` alone.
    ///
    /// # Errors
    /// The system's, named.
    pub fn connect<P: AsRef<Path>>(&self, path: P) -> io::Result<()> {
        let path = path.as_ref();
        self.io().connect(path).map_err(|error| named("connect", &path.display(), error))
    }

    /// [`connect`](Self::connect) to an address, which may be one without a path.
    ///
    /// # Errors
    /// The system's, named.
    pub fn connect_addr(&self, addr: &SocketAddr) -> io::Result<()> {
        self.io().connect_addr(addr).map_err(|error| Place::Addr(addr.clone()).named("connect", error))
    }

    /// Sends a datagram to the socket at `path`.
    ///
    /// While that has no room for it, which the system does not tell the end of, it is tried again after pauses of at most 10 ms.
    ///
    /// # Errors
    /// The system's, named.
    ///
    /// # Blocking
    /// Parks the goroutine, or the OS thread, until there is room for it.
    pub fn send_to<P: AsRef<Path>>(&self, buf: &[u8], path: P) -> io::Result<usize> {
        self.send_to_event(buf, path).wait()
    }

    /// [`send_to`](Self::send_to) an address, which may be one without a path.
    ///
    /// # Errors
    /// The system's, named.
    ///
    /// # Blocking
    /// As [`send_to`](Self::send_to).
    pub fn send_to_addr(&self, buf: &[u8], addr: &SocketAddr) -> io::Result<usize> {
        self.send_to_addr_event(buf, addr).wait()
    }

    /// [`send_to`](Self::send_to) as an event.
    pub fn send_to_event<'a, P: AsRef<Path>>(&'a self, buf: &'a [u8], path: P) -> UnixSendToEvent<'a> {
        self.sending(buf, Place::Path(path.as_ref().into()))
    }

    /// [`send_to_addr`](Self::send_to_addr) as an event.
    pub fn send_to_addr_event<'a>(&'a self, buf: &'a [u8], addr: &SocketAddr) -> UnixSendToEvent<'a> {
        self.sending(buf, Place::Addr(addr.clone()))
    }

    /// [`send_to`](Self::send_to)'s twin for async tasks.
    ///
    /// # Cancellation
    /// Safe: a future that is dropped before it is ready has sent nothing.
    pub fn send_to_async<'a, P: AsRef<Path>>(
        &'a self,
        buf: &'a [u8],
        path: P,
    ) -> EventFuture<UnixSendToEvent<'a>> {
        self.send_to_event(buf, path).wait_async()
    }

    fn sending<'a>(&'a self, buf: &'a [u8], to: Place) -> UnixSendToEvent<'a> {
        let name = |sending: &Sending<'_>, error| sending.to.named("send to", error);
        let limit = self.inner.limit(Side::Write);
        RetryEvent::new(limit, name, Sending { socket: self, buf, to }, |sending| sending.attempt())
    }

    /// Ends one direction, or both.
    ///
    /// # Errors
    /// The system's.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.io().shutdown(how).map_err(|error| self.inner.io().named("shutdown", error))
    }
}

/// The event of [`UnixDatagram::send_to_event`].
pub type UnixSendToEvent<'a> = RetryEvent<Sending<'a>, usize>;

/// A datagram to be sent, and to where.
#[derive(Debug)]
pub struct Sending<'a> {
    socket: &'a UnixDatagram,
    buf: &'a [u8],
    to: Place,
}

impl Sending<'_> {
    fn attempt(&mut self) -> Tried<usize> {
        if self.socket.is_closed() {
            return Some(Err(io::Error::new(io::ErrorKind::NotConnected, "it has been closed")));
        }
        loop {
            // Not by way of the source: that is told by the system when this socket has room, not when that of the receiver has.
            match self.to.addr().and_then(|addr| self.socket.io().send_to_addr(self.buf, &addr)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error)
                    if error.kind() == io::ErrorKind::WouldBlock && !self.socket.inner.is_impatient() =>
                {
                    return None;
                }
                result => return Some(result),
            }
        }
    }
}
