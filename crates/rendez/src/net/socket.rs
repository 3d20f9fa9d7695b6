//! What all sockets have in common: handles, time-outs, closing, the way from and to the standard library.

/// Inherent methods of `$type`, whose field `inner` is an `Arc<Fd<$fd>>`, and which has `io`.
macro_rules! socket {
    ($type:ident, $fd:ident, $std:ty) => {
        /// Another handle of the same socket, with the same time-outs.
        ///
        /// # Errors
        /// None; it is there to be like the standard library's.
        pub fn try_clone(&self) -> io::Result<$type> {
            Ok($type { inner: self.inner.clone() })
        }

        /// Ends it while others may use it: whoever waits for it, in either direction, is woken, and all operations fail
        /// from now on. Returns whether it was this call that did. (Dropping its last handle closes it too.)
        pub fn close(&self) -> bool {
            let first = self.inner.close();
            // The other side is to know now, and not when the last handle is dropped.
            let _ = socket2::SockRef::from(self.io()).shutdown(std::net::Shutdown::Both);
            first
        }

        /// Whether it has been [closed](Self::close).
        pub fn is_closed(&self) -> bool {
            self.inner.is_closed()
        }

        /// How long it may take to read or to receive, in whichever world; `None`, as at first: for ever.
        ///
        /// # Errors
        /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a time of zero.
        pub fn set_read_timeout(&self, limit: Option<std::time::Duration>) -> io::Result<()> {
            self.inner.set_limit(Side::Read, limit)
        }

        /// As [`set_read_timeout`](Self::set_read_timeout), for writing and sending. When the time is over it is looked once more whether there
        /// is room: the system tells of it late, when a third of a socket's buffer is free, and a peer may take long for that who reads slowly.
        ///
        /// # Errors
        /// The same.
        pub fn set_write_timeout(&self, limit: Option<std::time::Duration>) -> io::Result<()> {
            self.inner.set_limit(Side::Write, limit)
        }

        /// How long it may take to read or to receive.
        ///
        /// # Errors
        /// None; it is there to be like the standard library's.
        pub fn read_timeout(&self) -> io::Result<Option<std::time::Duration>> {
            Ok(self.inner.limit(Side::Read))
        }

        /// How long it may take to write or to send.
        ///
        /// # Errors
        /// None; it is there to be like the standard library's.
        pub fn write_timeout(&self) -> io::Result<Option<std::time::Duration>> {
            Ok(self.inner.limit(Side::Write))
        }

        /// The error that is pending (`SO_ERROR`), which is cleared.
        ///
        /// # Errors
        /// The system's.
        pub fn take_error(&self) -> io::Result<Option<io::Error>> {
            self.io().take_error()
        }

        /// Whether operations that would have to wait fail with [`WouldBlock`](io::ErrorKind::WouldBlock) instead.
        ///
        /// # Errors
        /// None; it is there to be like the standard library's.
        pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
            self.inner.set_nonblocking(nonblocking);
            Ok(())
        }
    };
}

/// Traits of `$type`, a `$std` inside an `$fd`, which `$wrap` makes; `$std` is its field `0`.
macro_rules! conversions {
    ($type:ident, $fd:ident, $std:ty, $wrap:expr) => {
        impl AsFd for $type {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.inner.as_fd()
            }
        }

        impl AsRawFd for $type {
            fn as_raw_fd(&self) -> RawFd {
                self.io().as_raw_fd()
            }
        }

        /// # Panics
        /// If the system refuses to make it non-blocking, which it does only if the descriptor is no socket.
        impl From<$std> for $type {
            fn from(io: $std) -> $type {
                io.set_nonblocking(true).expect("a socket can be made non-blocking");
                $type { inner: Arc::new(Fd::new($wrap(io))) }
            }
        }

        /// The socket, which blocks again; if there are other handles, a duplicate of its descriptor, and then they block with it.
        ///
        /// # Panics
        /// If there are other handles and the process is out of descriptors.
        impl From<$type> for $std {
            fn from(socket: $type) -> $std {
                let io = match Arc::try_unwrap(socket.inner) {
                    Ok(fd) => fd.into_io().0,
                    Err(shared) => shared.io().0.try_clone().expect("a duplicate of a descriptor"),
                };
                io.set_nonblocking(false).expect("a socket can be made blocking");
                io
            }
        }

        impl From<$type> for OwnedFd {
            fn from(socket: $type) -> OwnedFd {
                <$std>::from(socket).into()
            }
        }

        impl From<OwnedFd> for $type {
            fn from(fd: OwnedFd) -> $type {
                <$std>::from(fd).into()
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.io().fmt(f)
            }
        }
    };
}

pub(crate) use {conversions, socket};
