//! Sockets with the standard library's names, in plain blocking style, that park the goroutine and not its thread.
//!
//! | | |
//! | --- | --- |
//! | [`TcpListener`], [`TcpStream`] | TCP; a name with several addresses is connected to by *happy eyeballs* |
//! | [`UdpSocket`] | UDP |
//! | [`UnixListener`], [`UnixStream`], [`UnixDatagram`] | Unix sockets |
//! | [`lookup_host`] | names to addresses, off the workers |
//!
//! What the standard library's types do, these do in the same way, with these differences:
//!
//! * An operation that has to wait parks its goroutine; on an OS thread it blocks the thread. With its `_async` twin async
//!   tasks wait, on any executor. All three may use the same socket.
//! * Each operation is an [event](crate::Event) as well (`accept_event`, `read_event`, ...), so it can be an arm of
//!   [`select!`](crate::select!), and be bounded by a [`Context`](crate::Context): `ctx.bound(stream.read_event(&mut buf)).wait()`. An operation that
//!   is not chosen has not happened.
//! * `close` ends a socket that others wait for: they are woken with an error.
//! * `try_clone` gives another handle of the same socket and not a duplicate of its descriptor.
//! * Errors name the operation and the address; the system's own is their [`source`](std::error::Error::source). A time-out that has passed is
//!   [`TimedOut`](std::io::ErrorKind::TimedOut), on all systems.
//! * Accepting waits a little when the process is out of descriptors, and tries again, before it gives that error.
//!
//! # Accepting beside what computes
//!
//! A goroutine stays on its thread, so a loop that accepts waits while another goroutine of its worker computes. Where handlers compute for long,
//! accept in an async goroutine ([`accept_async`](TcpListener::accept_async)), which moves to a worker that is free, or have a loop on each worker: several
//! goroutines may accept at one listener, and [`Placement::Spread`](crate::Placement::Spread) spreads them. The server of `rendez-hyper` does the former.
//!
//! # What it costs
//!
//! A socket is registered once with the poller of the worker on which it is first waited for. From then on an operation that
//! has to wait costs no system call of its own: its worker, when it has nothing else to do, asks for all that has
//! become ready at once.
//!
//! Where many goroutines of a worker are ready at the same time, as they are in a busy server, their small reads and writes (up to 16 KiB and 4 KiB) are given to the kernel
//! together, by `io_uring`: a goroutine that reads or writes then lets others run first, as it would if it had to wait. That takes a tenth to a fourth off the processor's
//! time for a message. It needs Linux 5.6 and a descriptor for each worker; where the kernel refuses, as it does in many containers, or it is not wanted
//! ([`RuntimeBuilder::io_uring`](crate::RuntimeBuilder::io_uring), `RENDEZ_IO_URING=0`), each is made alone. (And who blocks its thread, which
//! [`blocking`](crate::blocking()) is there to avoid, may by that keep back what others of its worker have just written.) Vectored calls, events and async tasks' always are (but see
//! `FuturesIo::suspend_to_write`). ([`diag::stats`](crate::diag::stats) counts those made together.)
//!
//! Memory: some 150 bytes a socket beside the kernel's, and the stack of whoever waits.
//!
//! # Examples
//! ```
//! use rendez::{go, net::{TcpListener, TcpStream}};
//! use std::io::{Read, Write};
//!
//! rendez::run(|| -> std::io::Result<()> {
//!     let listener = TcpListener::bind("127.0.0.1:0")?;
//!     let address = listener.local_addr()?;
//!     go(move || {
//!         for stream in listener.incoming() {
//!             let mut stream = stream.unwrap();
//!             go(move || std::io::copy(&mut stream.try_clone().unwrap(), &mut stream));
//!         }
//!     });
//!     let mut stream = TcpStream::connect(address)?;
//!     stream.write_all(b"hello")?;
//!     let mut echo = [0; 5];
//!     stream.read_exact(&mut echo)?;
//!     assert_eq!(&echo, b"hello");
//!     Ok(())
//! })
//! # .unwrap();
//! ```

mod addr;
mod connect;
mod datagram;
#[cfg(feature = "futures-io")]
mod futures;
mod listener;
mod retry;
mod socket;
pub(crate) mod stream;
mod tcp;
mod udp;
pub mod unix;

pub use crate::fd::IoEvent;
pub use addr::{LookupEvent, ToSocketAddrs, lookup_host, lookup_host_async, lookup_host_event};
pub use connect::ConnectEvent;
#[cfg(feature = "futures-io")]
pub use futures::FuturesIo;
pub use listener::{AcceptEvent, Incoming, TcpListener};
pub use retry::RetryEvent;
pub use std::net::{
    AddrParseError, IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, SocketAddrV4, SocketAddrV6,
};
pub use tcp::{ReadEvent, TcpStream, WriteEvent};
pub use udp::{SendToEvent, UdpSocket};
pub use unix::{UnixDatagram, UnixListener, UnixStream};
