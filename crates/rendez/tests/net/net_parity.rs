//! What std's sockets can do beyond streams and plain datagrams, and that all that waits can be given up.
#![cfg(not(loom))]

use crate::setup::{in_every_world, in_time, runtime};
use rendez::{
    Context, ContextError, Event, go,
    net::{TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixStream, unix::SocketAddr},
};
use std::{
    env, fs,
    io::{ErrorKind, IoSlice, IoSliceMut, Read, Write},
    net::Ipv4Addr,
    os::{
        fd::{AsRawFd, FromRawFd, IntoRawFd},
        linux::net::SocketAddrExt,
    },
    path::PathBuf,
    thread,
    time::Duration,
};

const SHORT: Duration = Duration::from_millis(20);

/// A path of a test's own.
fn scratch(test: &str) -> PathBuf {
    let path = env::temp_dir().join(format!("rendez-parity-{}-{test}", std::process::id()));
    let _ = fs::remove_file(&path);
    path
}

/// A listener whose queue is full: who connects to it has to wait.
fn full(path: &PathBuf) -> (UnixListener, std::os::unix::net::UnixStream) {
    let listener = UnixListener::bind(path).unwrap();
    // SAFETY: no memory is passed.
    assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 0) }, 0);
    (listener, std::os::unix::net::UnixStream::connect(path).unwrap())
}

#[test]
fn connecting_to_a_unix_listener_without_room_waits_and_can_be_given_up() {
    in_every_world(|| {
        let path = scratch("full");
        let (listener, waiting) = full(&path);
        assert!(UnixStream::connect_event(&path).wait_timeout(SHORT).is_none(), "there is room");
        let (ctx, _cancel) = Context::background().with_timeout(SHORT);
        let ended = ctx.bound(UnixStream::connect_event(&path)).wait().unwrap_err();
        assert_eq!(ended, ContextError::DeadlineExceeded);
        let late = thread::spawn(move || {
            thread::sleep(SHORT);
            let got = listener.accept().unwrap();
            (listener, got)
        });
        let mut ours = UnixStream::connect(&path).unwrap();
        ours.write_all(b"x").unwrap();
        let (listener, _) = late.join().unwrap();
        let (mut theirs, _) = listener.accept().unwrap();
        theirs.read_exact(&mut [0]).unwrap();
        drop(waiting);
        let _ = fs::remove_file(&path);
    });
}

#[test]
fn a_shutdown_ends_who_waits_for_room_at_a_unix_listener() {
    in_time(|| {
        let path = scratch("shutdown");
        let (_listener, _waiting) = full(&path);
        let runtime = runtime(1);
        let connecting = runtime.spawn({
            let path = path.clone();
            move || UnixStream::connect(path).map(drop)
        });
        runtime.run(|| rendez::sleep(Duration::from_millis(2)));
        runtime.shutdown();
        assert!(connecting.join().unwrap_err().is_cancelled());
        let _ = fs::remove_file(&path);
    });
}

#[test]
fn sending_to_a_unix_socket_without_room_can_be_given_up() {
    in_every_world(|| {
        let path = scratch("datagrams");
        let theirs = UnixDatagram::bind(&path).unwrap();
        let ours = UnixDatagram::unbound().unwrap();
        while ours.send_to_event(b"x", &path).wait_timeout(SHORT).is_some() {}
        ours.set_write_timeout(Some(SHORT)).unwrap();
        let error = ours.send_to(b"x", &path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert_eq!(error.to_string(), format!("send to {}: timed out", path.display()));
        ours.set_write_timeout(None).unwrap();
        theirs.recv(&mut [0]).unwrap();
        ours.send_to(b"y", &path).unwrap();
        ours.set_nonblocking(true).unwrap();
        assert_eq!(ours.send_to(b"z", &path).unwrap_err().kind(), ErrorKind::WouldBlock);
        ours.close();
        assert_eq!(ours.send_to(b"z", &path).unwrap_err().kind(), ErrorKind::NotConnected);
        let _ = fs::remove_file(&path);
    });
}

#[test]
fn addresses_without_a_path_will_do() {
    in_time(|| {
        runtime(1).run(|| {
            let name = |what| {
                SocketAddr::from_abstract_name(format!("rendez-{}-{what}", std::process::id())).unwrap()
            };
            let addr = name("stream");
            let listener = UnixListener::bind_addr(&addr).unwrap();
            let error = UnixListener::bind_addr(&addr).unwrap_err();
            let prefix = format!("listen @rendez-{}-stream: ", std::process::id());
            assert!(error.to_string().starts_with(&prefix), "{error}");
            let client = go(move || UnixStream::connect_addr(&addr).unwrap().write_all(b"hello"));
            let mut text = String::new();
            let mut first = (&listener).into_iter().next().unwrap().unwrap();
            first.read_to_string(&mut text).unwrap();
            assert_eq!(text, "hello");
            client.join().unwrap().unwrap();

            let addr = name("datagram");
            let (ours, theirs) = (UnixDatagram::unbound().unwrap(), UnixDatagram::bind_addr(&addr).unwrap());
            ours.send_to_addr(b"one", &addr).unwrap();
            ours.connect_addr(&addr).unwrap();
            ours.send(b"two").unwrap();
            let mut buf = [0; 8];
            assert_eq!(theirs.peek_event(&mut buf).wait().unwrap(), 3);
            assert_eq!(theirs.recv(&mut buf).unwrap(), 3);
            assert_eq!(&buf[..3], b"one");
            assert_eq!(theirs.recv(&mut buf).unwrap(), 3);
            let error = UnixStream::connect_addr(&name("nobody")).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
            assert!(error.to_string().starts_with("connect @rendez-"), "{error}");
            assert!(UnixStream::connect("x".repeat(200)).is_err());
        });
    });
}

#[test]
fn a_look_at_a_datagram_takes_nothing_and_can_be_given_up() {
    in_every_world(|| {
        let (ours, theirs) =
            (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        let mut buf = [0; 8];
        assert!(theirs.peek_from_event(&mut buf).wait_timeout(SHORT).is_none());
        ours.send_to(b"abc", theirs.local_addr().unwrap()).unwrap();
        let from = ours.local_addr().unwrap();
        assert_eq!(theirs.peek_from(&mut buf).unwrap(), (3, from));
        assert_eq!(theirs.peek_event(&mut buf).wait().unwrap(), 3);
        assert_eq!(theirs.recv_from(&mut buf).unwrap(), (3, from));
        ours.set_multicast_loop_v4(false).unwrap();
        assert!(!ours.multicast_loop_v4().unwrap());
        ours.set_multicast_ttl_v4(3).unwrap();
        assert_eq!(ours.multicast_ttl_v4().unwrap(), 3);
    });
}

#[test]
fn a_datagram_that_can_not_be_sent_is_told_with_whom_it_was_for() {
    in_time(|| {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let large = vec![0; 70_000];
        let to = "127.0.0.1:9".parse().unwrap();
        for error in
            [socket.send_to(&large, to).unwrap_err(), socket.send_to_event(&large, to).wait().unwrap_err()]
        {
            assert!(error.to_string().starts_with("send to 127.0.0.1:9: "), "{error}");
        }
    });
}

#[test]
fn vectored_reads_and_writes_are_events_too() {
    in_every_world(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (theirs, _) = listener.accept().unwrap();
        let (mut a, mut b) = ([0; 2], [0; 8]);
        let mut bufs = [IoSliceMut::new(&mut a), IoSliceMut::new(&mut b)];
        assert!(theirs.read_vectored_event(&mut bufs).wait_timeout(SHORT).is_none());
        let sent = ours.write_vectored_event(&[IoSlice::new(b"one"), IoSlice::new(b"two")]).wait().unwrap();
        assert_eq!(sent, 6);
        assert_eq!(theirs.read_vectored_event(&mut bufs).wait().unwrap(), 6);
        assert_eq!((&a[..], &b[..4]), (&b"on"[..], &b"etwo"[..]));
    });
}

#[test]
fn sockets_and_files_go_through_raw_descriptors() {
    in_every_world(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        // SAFETY: each descriptor was just given away.
        let listener = unsafe { TcpListener::from_raw_fd(listener.into_raw_fd()) };
        let client = go(move || {
            let stream = TcpStream::connect(addr).unwrap();
            // SAFETY: as above.
            unsafe { TcpStream::from_raw_fd(stream.into_raw_fd()) }.write_all(b"hello")
        });
        let mut text = String::new();
        listener.accept().unwrap().0.read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello");
        client.join().unwrap().unwrap();

        let (a, b) = UnixStream::pair().unwrap();
        // SAFETY: as above.
        let (mut a, mut b) = unsafe {
            let b = std::os::unix::net::UnixStream::from_raw_fd(b.into_raw_fd());
            (UnixStream::from_raw_fd(a.into_raw_fd()), b)
        };
        // It blocks, as the standard library's do.
        let late = go(move || a.write_all(b"late"));
        let mut text = [0; 4];
        rendez::blocking(|| b.read_exact(&mut text)).unwrap();
        late.join().unwrap().unwrap();

        let null = rendez::fs::File::open("/dev/null").unwrap();
        // SAFETY: as above.
        let mut null = unsafe { rendez::fs::File::from_raw_fd(null.into_raw_fd()) };
        assert_eq!(null.read(&mut text).unwrap(), 0);
    });
}
