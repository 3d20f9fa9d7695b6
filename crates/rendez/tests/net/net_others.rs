//! UDP and Unix sockets against the standard library's.
#![cfg(not(loom))]

use crate::{
    setup::{in_every_world, in_time, runtime},
    worlds::Crew,
};
use rendez::{
    Event, go,
    net::{Shutdown, UdpSocket, UnixDatagram, UnixListener, UnixStream},
};
use std::{
    env, fs,
    io::{self, ErrorKind, Read, Write},
    net,
    os::unix::net as unix,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

const SHORT: Duration = Duration::from_millis(20);

/// A path of its own, that is removed in the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Scratch {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Scratch(env::temp_dir().join(format!("rendez-test-{}-{number}", std::process::id())))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn datagrams_go_to_and_fro_from_every_world() {
    crate::worlds::in_every_world(|crew: &Crew| {
        let server = net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let addr = server.local_addr().unwrap();
        let server = thread::spawn(move || {
            for _ in 0..40 {
                let mut buf = [0; 64];
                let (n, from) = server.recv_from(&mut buf).unwrap();
                server.send_to(&buf[..n], from).unwrap();
            }
        });
        let clients: Vec<_> = (0..4_u8)
            .map(|i| {
                crew.start(move |ops| async move {
                    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
                    let mut buf = [0; 64];
                    for k in 0..10 {
                        let text = [i, k];
                        assert_eq!(ops.event(socket.send_to_event(&text, addr)).await.unwrap(), 2);
                        let (n, from) = ops.event(socket.recv_from_event(&mut buf)).await.unwrap();
                        assert_eq!((&buf[..n], from), (&text[..], addr));
                    }
                })
            })
            .collect();
        clients.into_iter().for_each(|client| client.join());
        server.join().unwrap();
    });
}

#[test]
fn a_connected_datagram_socket_does_what_the_standard_library_s_does() {
    in_every_world(|| {
        let theirs = net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let ours = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
        ours.connect(theirs.local_addr().unwrap()).unwrap();
        theirs.connect(ours.local_addr().unwrap()).unwrap();
        assert_eq!(ours.peer_addr().unwrap(), theirs.local_addr().unwrap());
        ours.send(b"ping").unwrap();
        let mut buf = [0; 8];
        assert_eq!(theirs.recv(&mut buf).unwrap(), 4);
        // Several that are there at once are all got, though there was one edge.
        for word in [b"a", b"b", b"c"] {
            theirs.send(word).unwrap();
        }
        assert_eq!(ours.peek(&mut buf).unwrap(), 1);
        let got: Vec<u8> = (0..3).map(|_| (ours.recv(&mut buf).unwrap(), buf[0]).1).collect();
        assert_eq!(got, b"abc");
        ours.set_read_timeout(Some(SHORT)).unwrap();
        let error = ours.recv(&mut buf).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(error.to_string().starts_with("receive at 127.0.0.1:"), "{error}");
        // A port where nobody is any more tells so, and the socket goes on.
        drop(theirs);
        ours.send(b"x").unwrap();
        let error = ours.recv(&mut buf).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert_eq!(ours.recv(&mut buf).unwrap_err().kind(), ErrorKind::TimedOut);
    });
}

#[test]
fn closing_a_datagram_socket_wakes_whoever_receives() {
    in_time(|| {
        runtime(2).run(|| {
            let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").unwrap());
            let waiters: Vec<_> = (0..3)
                .map(|_| {
                    let socket = socket.clone();
                    go(move || socket.recv(&mut [0; 8]).unwrap_err().kind())
                })
                .collect();
            rendez::sleep(Duration::from_millis(2));
            socket.close();
            for waiter in waiters {
                assert_eq!(waiter.join().unwrap(), ErrorKind::NotConnected);
            }
        });
    });
}

#[test]
fn unix_streams_talk_to_the_standard_library_s() {
    in_every_world(|| {
        let path = Scratch::new();
        let listener = UnixListener::bind(&path.0).unwrap();
        let error = UnixListener::bind(&path.0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        assert!(error.to_string().starts_with(&format!("listen {}: ", path.0.display())), "{error}");
        let client = thread::spawn({
            let path = path.0.clone();
            move || {
                let mut stream = unix::UnixStream::connect(path).unwrap();
                let mut buf = vec![0; 300_000];
                stream.write_all(&buf[..10]).unwrap();
                thread::sleep(Duration::from_millis(1));
                stream.write_all(&buf[10..]).unwrap();
                stream.shutdown(net::Shutdown::Write).unwrap();
                buf.clear();
                stream.read_to_end(&mut buf).unwrap();
                buf.len()
            }
        });
        let (mut stream, _) = listener.accept().unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        assert_eq!(all.len(), 300_000);
        stream.write_all(&all).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(client.join().unwrap(), 300_000);
        // The other way round.
        let mut ours = UnixStream::connect(&path.0).unwrap();
        let mut theirs: unix::UnixStream = listener.accept().unwrap().0.into();
        theirs.write_all(b"x").unwrap();
        ours.read_exact(&mut [0]).unwrap();
        listener.close();
        assert_eq!(listener.incoming().count(), 0);
        drop(theirs);
        assert_eq!(ours.read(&mut [0]).unwrap(), 0);
        let error = UnixStream::connect("/there/is/none").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().starts_with("connect /there/is/none: "), "{error}");
    });
}

#[test]
fn a_short_read_from_a_unix_socket_does_not_hide_what_comes_after_it() {
    in_time(|| {
        runtime(1).run(|| {
            let (a, mut b) = UnixStream::pair().unwrap();
            let mut buf = [0; 100];
            // Registered, and known to be empty.
            assert!(b.read_event(&mut buf).wait_timeout(Duration::from_millis(1)).is_none());
            // A message with a descriptor in it ends a read.
            send_descriptor(&a);
            (&a).write_all(b"rest").unwrap();
            let mut got = 0;
            while got < 5 {
                got += b.read(&mut buf).unwrap();
            }
        });
    });
}

/// Sends one byte and a descriptor with it.
fn send_descriptor(socket: &UnixStream) {
    use std::os::fd::AsRawFd;
    let mut byte = *b"d";
    let mut data = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    let mut control = [0_u64; 8];
    // SAFETY: all that the message points to is there during the call, and its control part has room for one descriptor.
    unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &raw mut data;
        message.msg_iovlen = 1;
        message.msg_control = (&raw mut control).cast();
        message.msg_controllen = libc::CMSG_SPACE(4) as _;
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(4) as _;
        libc::CMSG_DATA(header).cast::<i32>().write_unaligned(0);
        assert_eq!(libc::sendmsg(socket.as_raw_fd(), &raw const message, 0), 1);
    }
}

#[test]
fn unix_datagrams_wait_for_room_at_the_receiver() {
    in_every_world(|| {
        let path = Scratch::new();
        let theirs = unix::UnixDatagram::bind(&path.0).unwrap();
        let reader = thread::spawn(move || {
            thread::sleep(Duration::from_millis(3));
            (0..500).filter(|_| theirs.recv(&mut [0; 64]).unwrap() == 64).count()
        });
        let (named, connected) = (UnixDatagram::unbound().unwrap(), UnixDatagram::unbound().unwrap());
        connected.connect(&path.0).unwrap();
        for i in 0..500 {
            let sent = if i % 2 == 0 { named.send_to(&[0; 64], &path.0) } else { connected.send(&[0; 64]) };
            assert_eq!(sent.unwrap(), 64);
        }
        assert_eq!(reader.join().unwrap(), 500);
        let (a, b) = UnixDatagram::pair().unwrap();
        a.send(b"pair").unwrap();
        assert_eq!(b.recv_event(&mut [0; 8]).wait().unwrap(), 4);
        let missing = named.send_to(b"x", "/there/is/none").unwrap_err();
        assert!(missing.to_string().starts_with("send to /there/is/none: "), "{missing}");
        let _: io::Result<()> = a.shutdown(Shutdown::Both);
    });
}
