//! UDP.

use super::{SocketAddr, ToSocketAddrs, datagram::datagrams, lookup_host, stream::Endpoint};
use crate::{
    Event,
    fd::{Fd, IoEvent, Side, named},
    select::EventFuture,
};
use std::{
    fmt, io,
    net::{self, Ipv4Addr, Ipv6Addr},
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
    sync::Arc,
};

/// A socket for datagrams.
#[derive(Debug)]
pub struct Udp(net::UdpSocket);

impl AsFd for Udp {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Endpoint for Udp {
    fn named(&self, operation: &'static str, error: io::Error) -> io::Error {
        match self.0.peer_addr().or_else(|_| self.0.local_addr()) {
            Ok(addr) => named(operation, &addr, error),
            Err(_) => named(operation, "", error),
        }
    }
}

/// UDP: [`std::net::UdpSocket`] that parks its goroutine. See the [module](super) for what differs.
///
/// # Examples
/// ```
/// use rendez::net::UdpSocket;
/// # fn main() -> std::io::Result<()> {
/// let (a, b) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
/// a.send_to(b"hello", b.local_addr()?)?;
/// let mut buf = [0; 16];
/// let (len, from) = b.recv_from(&mut buf)?;
/// assert_eq!((&buf[..len], from), (&b"hello"[..], a.local_addr()?));
/// # Ok(())
/// # }
/// ```
pub struct UdpSocket {
    inner: Arc<Fd<Udp>>,
}

datagrams!(UdpSocket, Udp, net::UdpSocket, SocketAddr);

/// The event of [`UdpSocket::send_to_event`].
pub type SendToEvent<'a> = IoEvent<'a, Udp, (&'a [u8], SocketAddr), usize>;

impl UdpSocket {
    /// A socket at an address; of several, at the first that can be had. Port 0 has the system choose one.
    ///
    /// # Errors
    /// The last address's, named; or those of [`lookup_host`].
    ///
    /// # Blocking
    /// Only if a name has to be looked up.
    pub fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<UdpSocket> {
        let mut last = None;
        for addr in lookup_host(addr)? {
            match net::UdpSocket::bind(addr) {
                Ok(io) => return Ok(io.into()),
                Err(error) => last = Some(named("bind", &addr, error)),
            }
        }
        Err(last.expect("there is an address, or an error"))
    }

    /// Has [`send`](Self::send) and [`recv`](Self::recv) deal with this address alone; of several, with the first that can be had.
    ///
    /// # Errors
    /// The last address's, named; or those of [`lookup_host`].
    ///
    /// # Blocking
    /// Only if a name has to be looked up.
    pub fn connect<A: ToSocketAddrs>(&self, addr: A) -> io::Result<()> {
        let mut last = None;
        for addr in lookup_host(addr)? {
            match self.io().connect(addr) {
                Ok(()) => return Ok(()),
                Err(error) => last = Some(named("connect", &addr, error)),
            }
        }
        Err(last.expect("there is an address, or an error"))
    }

    /// Sends a datagram to the first of the addresses.
    ///
    /// # Errors
    /// The system's, named; or those of [`lookup_host`].
    ///
    /// # Blocking
    /// Parks the goroutine, or the OS thread, until there is room for it.
    pub fn send_to<A: ToSocketAddrs>(&self, buf: &[u8], addr: A) -> io::Result<usize> {
        let addr = lookup_host(addr)?.next().expect("there is an address, or an error");
        self.inner
            .run(Side::Write, |udp| Ok((udp.0.send_to(buf, addr)?, false)))
            .map_err(|error| named("send to", &addr, error))
    }

    /// [`send_to`](Self::send_to), to one address, as an event.
    pub fn send_to_event<'a>(&'a self, buf: &'a [u8], addr: SocketAddr) -> SendToEvent<'a> {
        let name = |_: &Udp, (_, addr): &(&[u8], SocketAddr), error| named("send to", addr, error);
        IoEvent::new(&self.inner, Side::Write, name, (buf, addr), |udp, (buf, addr)| {
            Ok((udp.0.send_to(buf, *addr)?, false))
        })
    }

    /// [`send_to`](Self::send_to)'s twin for async tasks.
    pub fn send_to_async<'a>(&'a self, buf: &'a [u8], addr: SocketAddr) -> EventFuture<SendToEvent<'a>> {
        self.send_to_event(buf, addr).wait_async()
    }

    /// Receives without taking: the length, and where it came from.
    ///
    /// # Errors
    /// As `recv_from`.
    ///
    /// # Blocking
    /// As `recv_from`.
    pub fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.named("peek at", self.inner.run(Side::Read, |udp| Ok((udp.0.peek_from(buf)?, false))))
    }

    /// [`peek_from`](Self::peek_from) as an event.
    pub fn peek_from_event<'a>(
        &'a self,
        buf: &'a mut [u8],
    ) -> IoEvent<'a, Udp, &'a mut [u8], (usize, SocketAddr)> {
        let name = |udp: &Udp, _: &&mut [u8], error| udp.named("peek at", error);
        IoEvent::new(&self.inner, Side::Read, name, buf, |udp, buf| Ok((udp.0.peek_from(buf)?, false)))
    }

    /// [`peek_from`](Self::peek_from)'s twin for async tasks.
    pub fn peek_from_async<'a>(
        &'a self,
        buf: &'a mut [u8],
    ) -> EventFuture<IoEvent<'a, Udp, &'a mut [u8], (usize, SocketAddr)>> {
        self.peek_from_event(buf).wait_async()
    }

    /// Whether it may send to broadcast addresses.
    ///
    /// # Errors
    /// The system's.
    pub fn set_broadcast(&self, broadcast: bool) -> io::Result<()> {
        self.io().set_broadcast(broadcast)
    }

    /// Whether it may send to broadcast addresses.
    ///
    /// # Errors
    /// The system's.
    pub fn broadcast(&self) -> io::Result<bool> {
        self.io().broadcast()
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

    /// Receives what is sent to a group.
    ///
    /// # Errors
    /// The system's.
    pub fn join_multicast_v4(&self, group: &Ipv4Addr, interface: &Ipv4Addr) -> io::Result<()> {
        self.io().join_multicast_v4(group, interface)
    }

    /// As [`join_multicast_v4`](Self::join_multicast_v4).
    ///
    /// # Errors
    /// The system's.
    pub fn join_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.io().join_multicast_v6(group, interface)
    }

    /// Undoes [`join_multicast_v4`](Self::join_multicast_v4).
    ///
    /// # Errors
    /// The system's.
    pub fn leave_multicast_v4(&self, group: &Ipv4Addr, interface: &Ipv4Addr) -> io::Result<()> {
        self.io().leave_multicast_v4(group, interface)
    }

    /// Undoes [`join_multicast_v6`](Self::join_multicast_v6).
    ///
    /// # Errors
    /// The system's.
    pub fn leave_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.io().leave_multicast_v6(group, interface)
    }

    /// Whether what it sends to a group comes back to this machine.
    ///
    /// # Errors
    /// The system's.
    pub fn set_multicast_loop_v4(&self, comes_back: bool) -> io::Result<()> {
        self.io().set_multicast_loop_v4(comes_back)
    }

    /// See [`set_multicast_loop_v4`](Self::set_multicast_loop_v4).
    ///
    /// # Errors
    /// The system's.
    pub fn multicast_loop_v4(&self) -> io::Result<bool> {
        self.io().multicast_loop_v4()
    }

    /// As [`set_multicast_loop_v4`](Self::set_multicast_loop_v4).
    ///
    /// # Errors
    /// The system's.
    pub fn set_multicast_loop_v6(&self, comes_back: bool) -> io::Result<()> {
        self.io().set_multicast_loop_v6(comes_back)
    }

    /// See [`set_multicast_loop_v4`](Self::set_multicast_loop_v4).
    ///
    /// # Errors
    /// The system's.
    pub fn multicast_loop_v6(&self) -> io::Result<bool> {
        self.io().multicast_loop_v6()
    }

    /// The hops that packets to groups may take.
    ///
    /// # Errors
    /// The system's.
    pub fn set_multicast_ttl_v4(&self, ttl: u32) -> io::Result<()> {
        self.io().set_multicast_ttl_v4(ttl)
    }

    /// See [`set_multicast_ttl_v4`](Self::set_multicast_ttl_v4).
    ///
    /// # Errors
    /// The system's.
    pub fn multicast_ttl_v4(&self) -> io::Result<u32> {
        self.io().multicast_ttl_v4()
    }
}
