//! Sockets of the file system.

use super::{
    Shutdown,
    datagram::datagrams,
    socket::{conversions, socket},
    stream::{Endpoint, Readable, Writable, reads, writes},
};
use crate::{
    Event,
    fd::{Fd, IoEvent, Side, is_exhausted, named},
    select::EventFuture,
    time::Instant,
};
pub use std::os::unix::net::SocketAddr;
use std::{
    fmt,
    io::{self, Read, Write},
    iter::FusedIterator,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
        unix::net,
    },
    path::Path,
    sync::Arc,
    time::Duration,
};

/// How often a datagram is sent again to a receiver that has no room for it, at first and at last.
const PAUSE_MIN: Duration = Duration::from_micros(100);
const PAUSE_MAX: Duration = Duration::from_millis(10);

/// The address of a socket, for errors.
fn address(addr: io::Result<SocketAddr>) -> Option<String> {
    Some(addr.ok()?.as_pathname()?.display().to_string())
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
    #[inline]
    fn source(&self) -> impl Read {
        &self.0
    }
}

impl Writable for Stream {
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
    /// # Errors
    /// The system's, named.
    ///
    /// # Blocking
    /// Parks the goroutine while the listener has no room for another connection; on an OS thread it blocks.
    ///
    /// # Cancellation
    /// As of [`blocking`](crate::blocking()): none.
    pub fn connect<P: AsRef<Path>>(path: P) -> io::Result<UnixStream> {
        let path = path.as_ref();
        // The system knows no way to be told when there is room: it blocks, so it is not done here.
        crate::blocking(|| net::UnixStream::connect(path))
            .map(UnixStream::from)
            .map_err(|error| named("connect", &path.display(), error))
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
        let name = |listening: &Listening, error| listening.named("accept", error);
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

    /// Sends a datagram to the socket at `path`.
    ///
    /// # Errors
    /// The system's, named.
    ///
    /// # Blocking
    /// Parks the goroutine, or the OS thread, until there is room for it.
    pub fn send_to<P: AsRef<Path>>(&self, buf: &[u8], path: P) -> io::Result<usize> {
        let path = path.as_ref();
        let deadline = self.write_timeout()?.map(|limit| Instant::now().after(limit));
        let mut pause = PAUSE_MIN;
        loop {
            // The system tells when this socket has room, not when that of a receiver has, to which it is not connected: so time
            // has to tell, and the source is not to be told that the attempt was in vain.
            let error = match self.io().send_to(buf, path) {
                _ if self.is_closed() => io::ErrorKind::NotConnected.into(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && !self.inner.is_impatient() => {
                    if deadline.is_none_or(|deadline| Instant::now() < deadline) {
                        crate::sleep(pause);
                        pause = (pause * 2).min(PAUSE_MAX);
                        continue;
                    }
                    io::ErrorKind::TimedOut.into()
                }
                Err(error) => error,
                Ok(len) => return Ok(len),
            };
            return Err(named("send to", &path.display(), error));
        }
    }

    /// Ends one direction, or both.
    ///
    /// # Errors
    /// The system's.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.io().shutdown(how).map_err(|error| self.inner.io().named("shutdown", error))
    }
}
