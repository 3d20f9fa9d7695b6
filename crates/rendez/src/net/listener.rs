//! Listening for TCP connections.

use super::{
    TcpStream, ToSocketAddrs, lookup_host,
    socket::{conversions, socket},
    stream::Endpoint,
};
use crate::{
    Event,
    fd::{Fd, IoEvent, Side, is_exhausted, named},
    select::EventFuture,
};
use socket2::SockAddr;
use std::{
    fmt, io,
    iter::FusedIterator,
    net::{self, SocketAddr},
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
    sync::Arc,
};

/// A socket that listens.
#[derive(Debug)]
pub struct Listening(net::TcpListener);

impl AsFd for Listening {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Endpoint for Listening {
    fn named(&self, operation: &'static str, error: io::Error) -> io::Error {
        match self.0.local_addr() {
            Ok(addr) => named(operation, &addr, error),
            Err(_) => named(operation, "", error),
        }
    }
}

/// Listens for TCP connections: [`std::net::TcpListener`] that parks its goroutine. See the [module](super) for what differs.
///
/// # Examples
/// ```
/// use rendez::{chan, go, net::{TcpListener, TcpStream}};
/// # fn main() -> std::io::Result<()> {
/// let listener = std::sync::Arc::new(TcpListener::bind("127.0.0.1:0")?);
/// let (tx, served) = chan::bounded(1);
/// let server = go({
///     let listener = listener.clone();
///     move || listener.incoming().map_while(Result::ok).for_each(|stream| tx.send(stream).unwrap())
/// });
/// let client = TcpStream::connect(listener.local_addr()?)?;
/// assert_eq!(served.recv().unwrap().peer_addr()?, client.local_addr()?);
/// // The server's loop ends with an error.
/// listener.close();
/// server.join().unwrap();
/// # Ok(())
/// # }
/// ```
pub struct TcpListener {
    inner: Arc<Fd<Listening>>,
}

/// The event of [`TcpListener::accept_event`].
pub type AcceptEvent<'a> = IoEvent<'a, Listening, (), (TcpStream, SocketAddr)>;

/// Takes a connection, which does not block, in one call of the system.
fn accept_call(listening: &Listening) -> io::Result<((TcpStream, SocketAddr), bool)> {
    // SAFETY: storage and length are valid for the call, which fills them in.
    let (fd, addr) = unsafe {
        SockAddr::try_init(|storage, len| {
            let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
            match libc::accept4(listening.0.as_raw_fd(), storage.cast(), len, flags) {
                fd if fd >= 0 => Ok(OwnedFd::from_raw_fd(fd)),
                _ => Err(io::Error::last_os_error()),
            }
        })?
    };
    crate::sched::note_accepted();
    let peer = addr.as_socket().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
    Ok(((TcpStream::accepted(fd.into(), peer), peer), false))
}

impl TcpListener {
    /// Listens at an address; of several, at the first that can be had. Port 0 has the system choose one.
    ///
    /// # Errors
    /// The last address's, named; or those of [`lookup_host`].
    ///
    /// # Blocking
    /// Only if a name has to be looked up.
    pub fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<TcpListener> {
        let mut last = None;
        for addr in lookup_host(addr)? {
            match net::TcpListener::bind(addr) {
                Ok(io) => return Ok(io.into()),
                Err(error) => last = Some(named("listen", &addr, error)),
            }
        }
        Err(last.expect("there is an address, or an error"))
    }

    fn io(&self) -> &net::TcpListener {
        &self.inner.io().0
    }

    /// Takes the next connection.
    ///
    /// # Errors
    /// The system's. Most concern one connection alone (it was broken before it was taken), and the next call may succeed. When
    /// the process is out of descriptors, it tries again and again for a second, which others may use to close some, before it says so:
    /// a server whose loop goes on after an error does not burn the processor.
    ///
    /// # Blocking
    /// Parks the goroutine, or the OS thread, until there is one.
    ///
    /// # Cancellation
    /// A runtime's shutdown unwinds the goroutine; [`close`](Self::close) makes it an error.
    pub fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        match self.inner.run(Side::Read, accept_call) {
            Err(error) if is_exhausted(&error) && !self.inner.is_impatient() => self.accept_event().wait(),
            result => result.map_err(|error| self.inner.io().named("accept", error)),
        }
    }

    /// [`accept`](Self::accept) as an event.
    pub fn accept_event(&self) -> AcceptEvent<'_> {
        let name = |listening: &Listening, _: &(), error| listening.named("accept", error);
        IoEvent::new(&self.inner, Side::Read, name, (), |listening, ()| accept_call(listening))
    }

    /// [`accept`](Self::accept)'s twin for async tasks.
    ///
    /// # Cancellation
    /// Safe: a future that is dropped before it is ready has taken no connection.
    pub fn accept_async(&self) -> EventFuture<AcceptEvent<'_>> {
        self.accept_event().wait_async()
    }

    socket!(TcpListener, Listening, net::TcpListener);

    /// The connections one after another. It ends when the listener is closed.
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming { listener: self }
    }

    /// The address where it listens.
    ///
    /// # Errors
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io().local_addr()
    }

    /// The hops that packets of its connections may take (`IP_TTL`).
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

/// The iterator of [`TcpListener::incoming`].
#[derive(Debug)]
pub struct Incoming<'a> {
    listener: &'a TcpListener,
}

impl Iterator for Incoming<'_> {
    type Item = io::Result<TcpStream>;

    fn next(&mut self) -> Option<io::Result<TcpStream>> {
        let accepted = self.listener.accept();
        if accepted.is_err() && self.listener.is_closed() {
            return None;
        }
        Some(accepted.map(|(stream, _)| stream))
    }
}

impl FusedIterator for Incoming<'_> {}

conversions!(TcpListener, Listening, net::TcpListener, Listening);
