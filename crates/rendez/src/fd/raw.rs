//! The standard library's traits of raw descriptors, for all that comes from a descriptor or can be made one.

use crate::{
    fs::File,
    net::{TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixStream},
    process::{ChildStderr, ChildStdin, ChildStdout},
};
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd, RawFd};

macro_rules! from_raw {
    ($($type:ty),*) => {
        $(
            /// As from an [`OwnedFd`].
            impl FromRawFd for $type {
                unsafe fn from_raw_fd(fd: RawFd) -> $type {
                    // SAFETY: passed on.
                    unsafe { OwnedFd::from_raw_fd(fd) }.into()
                }
            }
        )*
    };
}

macro_rules! into_raw {
    ($($type:ty),*) => {
        $(
            /// As into an [`OwnedFd`].
            impl IntoRawFd for $type {
                fn into_raw_fd(self) -> RawFd {
                    OwnedFd::from(self).into_raw_fd()
                }
            }
        )*
    };
}

from_raw!(File, TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixStream);
into_raw!(File, TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixStream);
into_raw!(ChildStderr, ChildStdin, ChildStdout);
