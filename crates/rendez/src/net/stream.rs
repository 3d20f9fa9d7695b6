//! Reading and writing: what all streams of bytes have in common.

use crate::{
    fd::{Fd, IoEvent, Side},
    sched,
};
use std::{
    io::{self, IoSlice, IoSliceMut, Read, Write},
    os::fd::AsFd,
};

/// What has a descriptor and a name for errors.
pub(crate) trait Endpoint: AsFd {
    /// Says what the operation was, and with whom.
    fn named(&self, operation: &'static str, error: io::Error) -> io::Error;
}

/// A descriptor to read from, which does not block.
pub(crate) trait Readable: Endpoint {
    /// Whether it is a socket.
    const IS_SOCKET: bool = false;
    /// Whether a read that got less than it had room for has left nothing.
    const SHORT_IS_EMPTY: bool = false;

    fn source(&self) -> impl Read;
}

/// A descriptor to write to, which does not block.
pub(crate) trait Writable: Endpoint {
    /// Whether it is a socket.
    const IS_SOCKET: bool = false;

    fn sink(&self) -> impl Write;
}

pub(crate) fn read_call<S: Readable>(stream: &S, buf: &mut &mut [u8]) -> io::Result<(usize, bool)> {
    took::<S>(stream.source().read(buf)?, buf.len())
}

/// What a read is to say that has got `len` bytes, and had room for so many.
#[inline]
fn took<S: Readable>(len: usize, room: usize) -> io::Result<(usize, bool)> {
    Ok((len, S::SHORT_IS_EMPTY && len > 0 && len < room))
}

pub(crate) fn write_call<S: Writable>(stream: &S, buf: &mut &[u8]) -> io::Result<(usize, bool)> {
    Ok((stream.sink().write(buf)?, false))
}

/// As [`write_call`], but maybe together with what others do: see [`sched::write_with_others`].
#[inline]
pub(crate) fn write_call_with_others<S: Writable>(
    stream: &S,
    buf: &mut &[u8],
    in_poll: bool,
) -> io::Result<(usize, bool)> {
    let result = if S::IS_SOCKET { sched::write_with_others(stream.as_fd(), buf, in_poll) } else { None };
    match result {
        Some(result) => Ok((result?, false)),
        None => write_call(stream, buf),
    }
}

pub(crate) fn read_vectored_call<S: Readable>(
    stream: &S,
    bufs: &mut &mut [IoSliceMut<'_>],
) -> io::Result<(usize, bool)> {
    Ok((stream.source().read_vectored(bufs)?, false))
}

pub(crate) fn write_vectored_call<S: Writable>(
    stream: &S,
    bufs: &mut &[IoSlice<'_>],
) -> io::Result<(usize, bool)> {
    Ok((stream.sink().write_vectored(bufs)?, false))
}

#[inline]
pub(crate) fn read<S: Readable>(fd: &Fd<S>, mut buf: &mut [u8]) -> io::Result<usize> {
    let call = |stream: &S, waited| match read_with_others(stream, buf, waited) {
        Some(result) => took::<S>(result?, buf.len()),
        None => read_call(stream, &mut buf),
    };
    fd.run_told(Side::Read, call).map_err(|error| fd.io().named("read", error))
}

/// See [`sched::read_with_others`], which a read is that has been waited for, for then there is something.
#[inline]
fn read_with_others<S: Readable>(stream: &S, buf: &mut [u8], waited: bool) -> Option<io::Result<usize>> {
    if S::IS_SOCKET && waited { sched::read_with_others(stream.as_fd(), buf) } else { None }
}

pub(crate) fn read_vectored<S: Readable>(fd: &Fd<S>, mut bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
    fd.run(Side::Read, |stream| read_vectored_call(stream, &mut bufs))
        .map_err(|error| fd.io().named("read", error))
}

#[inline]
pub(crate) fn write<S: Writable>(fd: &Fd<S>, mut buf: &[u8]) -> io::Result<usize> {
    let call = |stream: &S| write_call_with_others(stream, &mut buf, false);
    fd.run(Side::Write, call).map_err(|error| fd.io().named("write", error))
}

pub(crate) fn write_vectored<S: Writable>(fd: &Fd<S>, mut bufs: &[IoSlice<'_>]) -> io::Result<usize> {
    fd.run(Side::Write, |stream| write_vectored_call(stream, &mut bufs))
        .map_err(|error| fd.io().named("write", error))
}

pub(crate) fn read_event<'a, S: Readable>(
    fd: &'a Fd<S>,
    buf: &'a mut [u8],
) -> IoEvent<'a, S, &'a mut [u8], usize> {
    IoEvent::new(fd, Side::Read, |stream, _, error| stream.named("read", error), buf, read_call)
}

pub(crate) fn write_event<'a, S: Writable>(fd: &'a Fd<S>, buf: &'a [u8]) -> IoEvent<'a, S, &'a [u8], usize> {
    IoEvent::new(fd, Side::Write, |stream, _, error| stream.named("write", error), buf, write_call)
}

pub(crate) fn read_vectored_event<'a, 'b, S: Readable>(
    fd: &'a Fd<S>,
    bufs: &'a mut [IoSliceMut<'b>],
) -> IoEvent<'a, S, &'a mut [IoSliceMut<'b>], usize> {
    IoEvent::new(fd, Side::Read, |stream, _, error| stream.named("read", error), bufs, read_vectored_call)
}

pub(crate) fn write_vectored_event<'a, 'b, S: Writable>(
    fd: &'a Fd<S>,
    bufs: &'a [IoSlice<'b>],
) -> IoEvent<'a, S, &'a [IoSlice<'b>], usize> {
    IoEvent::new(fd, Side::Write, |stream, _, error| stream.named("write", error), bufs, write_vectored_call)
}

/// Reading from `$type`, whose field `inner` leads to an `Fd<$fd>`, in all ways that there are.
macro_rules! reads {
    ($type:ident, $fd:ty) => {
        impl $type {
            /// A read as an event, which yields what [`Read::read`](std::io::Read::read) returns.
            pub fn read_event<'a>(
                &'a self,
                buf: &'a mut [u8],
            ) -> $crate::fd::IoEvent<'a, $fd, &'a mut [u8], usize> {
                $crate::net::stream::read_event(&self.inner, buf)
            }

            /// A vectored read as an event.
            pub fn read_vectored_event<'a, 'b>(
                &'a self,
                bufs: &'a mut [std::io::IoSliceMut<'b>],
            ) -> $crate::fd::IoEvent<'a, $fd, &'a mut [std::io::IoSliceMut<'b>], usize> {
                $crate::net::stream::read_vectored_event(&self.inner, bufs)
            }

            /// Reads in an async task.
            ///
            /// # Cancellation
            /// Safe: a future that is dropped before it is ready has read nothing.
            pub fn read_async<'a>(
                &'a self,
                buf: &'a mut [u8],
            ) -> $crate::select::EventFuture<$crate::fd::IoEvent<'a, $fd, &'a mut [u8], usize>> {
                $crate::Event::wait_async(self.read_event(buf))
            }
        }

        impl std::io::Read for &$type {
            #[inline]
            fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
                $crate::net::stream::read(&self.inner, buf)
            }

            fn read_vectored(&mut self, bufs: &mut [std::io::IoSliceMut<'_>]) -> std::io::Result<usize> {
                $crate::net::stream::read_vectored(&self.inner, bufs)
            }
        }

        impl std::io::Read for $type {
            #[inline]
            fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
                (&*self).read(buf)
            }

            fn read_vectored(&mut self, bufs: &mut [std::io::IoSliceMut<'_>]) -> std::io::Result<usize> {
                (&*self).read_vectored(bufs)
            }
        }
    };
}

/// Writing to `$type`, as [`reads`].
macro_rules! writes {
    ($type:ident, $fd:ty) => {
        impl $type {
            /// A write as an event, which yields what [`Write::write`](std::io::Write::write) returns.
            pub fn write_event<'a>(&'a self, buf: &'a [u8]) -> $crate::fd::IoEvent<'a, $fd, &'a [u8], usize> {
                $crate::net::stream::write_event(&self.inner, buf)
            }

            /// A vectored write as an event.
            pub fn write_vectored_event<'a, 'b>(
                &'a self,
                bufs: &'a [std::io::IoSlice<'b>],
            ) -> $crate::fd::IoEvent<'a, $fd, &'a [std::io::IoSlice<'b>], usize> {
                $crate::net::stream::write_vectored_event(&self.inner, bufs)
            }

            /// Writes in an async task.
            ///
            /// # Cancellation
            /// Safe: a future that is dropped before it is ready has written nothing.
            pub fn write_async<'a>(
                &'a self,
                buf: &'a [u8],
            ) -> $crate::select::EventFuture<$crate::fd::IoEvent<'a, $fd, &'a [u8], usize>> {
                $crate::Event::wait_async(self.write_event(buf))
            }
        }

        impl std::io::Write for &$type {
            #[inline]
            fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
                $crate::net::stream::write(&self.inner, buf)
            }

            fn write_vectored(&mut self, bufs: &[std::io::IoSlice<'_>]) -> std::io::Result<usize> {
                $crate::net::stream::write_vectored(&self.inner, bufs)
            }

            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }

        impl std::io::Write for $type {
            #[inline]
            fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
                (&*self).write(buf)
            }

            fn write_vectored(&mut self, bufs: &[std::io::IoSlice<'_>]) -> std::io::Result<usize> {
                (&*self).write_vectored(bufs)
            }

            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
    };
}

pub(crate) use {reads, writes};
