//! Datagrams: what UDP's sockets and those of Unix have in common.

use std::{io, mem::MaybeUninit, os::fd::AsFd, slice};

/// Receives without taking.
pub(super) fn peek(socket: &impl AsFd, buf: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the bytes are there, and nothing but bytes is written to them: what the system has received.
    let buf = unsafe { slice::from_raw_parts_mut(buf.as_mut_ptr().cast::<MaybeUninit<u8>>(), buf.len()) };
    socket2::SockRef::from(socket).recv_with_flags(buf, libc::MSG_PEEK)
}

/// The parts of `$type`, whose field `inner` leads to an `Fd<$fd>` around a `$std`, with addresses of type `$addr`.
macro_rules! datagrams {
    ($type:ident, $fd:ident, $std:ty, $addr:ty) => {
        impl $type {
            fn io(&self) -> &$std {
                &self.inner.io().0
            }

            fn named<R>(&self, operation: &'static str, result: io::Result<R>) -> io::Result<R> {
                result.map_err(|error| self.inner.io().named(operation, error))
            }

            /// Receives a datagram; what does not fit into `buf` is lost. Its length, and where it came from.
            ///
            /// # Errors
            /// The system's, named.
            ///
            /// # Blocking
            /// Parks the goroutine, or the OS thread, until there is one.
            pub fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, $addr)> {
                self.named(
                    "receive at",
                    self.inner.run(Side::Read, |socket| Ok((socket.0.recv_from(buf)?, false))),
                )
            }

            /// `recv_from` as an event.
            pub fn recv_from_event<'a>(
                &'a self,
                buf: &'a mut [u8],
            ) -> IoEvent<'a, $fd, &'a mut [u8], (usize, $addr)> {
                let name = |socket: &$fd, _: &&mut [u8], error| socket.named("receive at", error);
                IoEvent::new(&self.inner, Side::Read, name, buf, |socket, buf| {
                    Ok((socket.0.recv_from(buf)?, false))
                })
            }

            /// `recv_from`'s twin for async tasks.
            ///
            /// # Cancellation
            /// Safe: a future that is dropped before it is ready has received nothing.
            pub fn recv_from_async<'a>(
                &'a self,
                buf: &'a mut [u8],
            ) -> EventFuture<IoEvent<'a, $fd, &'a mut [u8], (usize, $addr)>> {
                self.recv_from_event(buf).wait_async()
            }

            /// Receives a datagram from the address that it is connected to, or from any if it is not.
            ///
            /// # Errors
            /// The system's, named: also that of an earlier send that nobody took.
            ///
            /// # Blocking
            /// Parks the goroutine, or the OS thread, until there is one.
            pub fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
                self.named(
                    "receive at",
                    self.inner.run(Side::Read, |socket| Ok((socket.0.recv(buf)?, false))),
                )
            }

            /// `recv` as an event.
            pub fn recv_event<'a>(&'a self, buf: &'a mut [u8]) -> IoEvent<'a, $fd, &'a mut [u8], usize> {
                let name = |socket: &$fd, _: &&mut [u8], error| socket.named("receive at", error);
                IoEvent::new(&self.inner, Side::Read, name, buf, |socket, buf| {
                    Ok((socket.0.recv(buf)?, false))
                })
            }

            /// `recv`'s twin for async tasks.
            ///
            /// # Cancellation
            /// Safe: a future that is dropped before it is ready has received nothing.
            pub fn recv_async<'a>(
                &'a self,
                buf: &'a mut [u8],
            ) -> EventFuture<IoEvent<'a, $fd, &'a mut [u8], usize>> {
                self.recv_event(buf).wait_async()
            }

            /// Sends a datagram to the address that it is connected to.
            ///
            /// # Errors
            /// The system's, named: also that it is not connected.
            ///
            /// # Blocking
            /// Parks the goroutine, or the OS thread, until there is room for it.
            pub fn send(&self, buf: &[u8]) -> io::Result<usize> {
                self.named("send to", self.inner.run(Side::Write, |socket| Ok((socket.0.send(buf)?, false))))
            }

            /// `send` as an event.
            pub fn send_event<'a>(&'a self, buf: &'a [u8]) -> IoEvent<'a, $fd, &'a [u8], usize> {
                let name = |socket: &$fd, _: &&[u8], error| socket.named("send to", error);
                IoEvent::new(&self.inner, Side::Write, name, buf, |socket, buf| {
                    Ok((socket.0.send(buf)?, false))
                })
            }

            /// `send`'s twin for async tasks.
            pub fn send_async<'a>(&'a self, buf: &'a [u8]) -> EventFuture<IoEvent<'a, $fd, &'a [u8], usize>> {
                self.send_event(buf).wait_async()
            }

            /// Receives without taking.
            ///
            /// # Errors
            /// As `recv`.
            ///
            /// # Blocking
            /// As `recv`.
            pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
                let peek = |socket: &$fd| Ok(($crate::net::datagram::peek(socket, buf)?, false));
                self.named("peek at", self.inner.run(Side::Read, peek))
            }

            /// `peek` as an event.
            pub fn peek_event<'a>(&'a self, buf: &'a mut [u8]) -> IoEvent<'a, $fd, &'a mut [u8], usize> {
                let name = |socket: &$fd, _: &&mut [u8], error| socket.named("peek at", error);
                IoEvent::new(&self.inner, Side::Read, name, buf, |socket, buf| {
                    Ok(($crate::net::datagram::peek(socket, buf)?, false))
                })
            }

            /// `peek`'s twin for async tasks.
            pub fn peek_async<'a>(
                &'a self,
                buf: &'a mut [u8],
            ) -> EventFuture<IoEvent<'a, $fd, &'a mut [u8], usize>> {
                self.peek_event(buf).wait_async()
            }

            $crate::net::socket::socket!($type, $fd, $std);
        }

        $crate::net::socket::conversions!($type, $fd, $std, $fd);

        impl $type {
            /// Where it is.
            ///
            /// # Errors
            /// The system's.
            pub fn local_addr(&self) -> io::Result<$addr> {
                self.io().local_addr()
            }

            /// Whom it is connected to.
            ///
            /// # Errors
            /// If it is not.
            pub fn peer_addr(&self) -> io::Result<$addr> {
                self.io().peer_addr()
            }
        }
    };
}

pub(crate) use datagrams;
