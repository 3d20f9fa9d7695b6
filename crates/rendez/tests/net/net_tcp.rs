//! TCP against the standard library's sockets on threads of their own, from goroutines, OS threads and async tasks.
#![cfg(not(loom))]

use crate::{
    setup::{in_every_world, in_time, runtime},
    worlds::{Crew, Ops, drive},
};
use rendez::{
    Context, Event, chan, go, go_async,
    net::{FuturesIo, Shutdown, TcpListener, TcpStream},
    select,
    sync::WaitGroup,
    time::timer,
};
use std::{
    io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write},
    net,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

const SHORT: Duration = Duration::from_millis(20);

/// A listener of the standard library, whose connections `serve` gets one after another, on a thread of its own.
fn std_server(serve: impl Fn(net::TcpStream) + Send + 'static) -> net::SocketAddr {
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || listener.incoming().for_each(|stream| serve(stream.unwrap())));
    addr
}

/// Reads to the end and writes it back.
fn echo(mut stream: net::TcpStream) {
    thread::spawn(move || io::copy(&mut stream.try_clone().unwrap(), &mut stream));
}

/// Keeps the connection and says nothing.
fn silent() -> net::SocketAddr {
    let (keep, kept) = std::sync::mpsc::channel();
    thread::spawn(move || kept.iter().for_each(std::mem::forget));
    std_server(move |stream| keep.send(stream).unwrap())
}

fn pair() -> (TcpStream, net::TcpStream) {
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (ours, listener.accept().unwrap().0)
}

fn kind<T: std::fmt::Debug>(result: io::Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}

async fn read_exact(ops: Ops, stream: &TcpStream, mut buf: &mut [u8]) -> io::Result<()> {
    while !buf.is_empty() {
        let n = ops.event(stream.read_event(buf)).await?;
        if n == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        buf = &mut buf[n..];
    }
    Ok(())
}

async fn write_all(ops: Ops, stream: &TcpStream, mut buf: &[u8]) -> io::Result<()> {
    while !buf.is_empty() {
        buf = &buf[ops.event(stream.write_event(buf)).await?..];
    }
    Ok(())
}

#[test]
fn a_client_of_any_world_talks_to_a_server_of_the_standard_library() {
    crate::worlds::in_every_world(|crew: &Crew| {
        let addr = std_server(echo);
        let clients: Vec<_> = (0..4_u8)
            .map(|i| {
                crew.start(move |ops| async move {
                    let stream = ops.event(TcpStream::connect_event(addr)).await.unwrap();
                    let text = vec![i; 100_000];
                    // More than the buffers on the way hold, so both sides wait for each other.
                    for part in text.chunks(10_000) {
                        write_all(ops, &stream, part).await.unwrap();
                        let mut back = vec![0; part.len()];
                        read_exact(ops, &stream, &mut back).await.unwrap();
                        assert_eq!(back, part);
                    }
                    stream.shutdown(Shutdown::Write).unwrap();
                    assert_eq!(ops.event(stream.read_event(&mut [0; 1])).await.unwrap(), 0);
                })
            })
            .collect();
        clients.into_iter().for_each(|client| client.join());
    });
}

#[test]
fn a_server_of_any_world_serves_clients_of_the_standard_library() {
    crate::worlds::in_every_world(|crew: &Crew| {
        let listener = Arc::new(TcpListener::bind("127.0.0.1:0").unwrap());
        let addr = listener.local_addr().unwrap();
        let clients: Vec<_> = (0..4_u8)
            .map(|i| {
                thread::spawn(move || {
                    let mut stream = net::TcpStream::connect(addr).unwrap();
                    let mut back = Vec::new();
                    stream.write_all(&[i; 3000]).unwrap();
                    stream.shutdown(Shutdown::Write).unwrap();
                    stream.read_to_end(&mut back).unwrap();
                    assert_eq!(back, [i; 3000]);
                })
            })
            .collect();
        let servers: Vec<_> = (0..4)
            .map(|_| {
                let listener = listener.clone();
                crew.start(move |ops| async move {
                    let (stream, _) = ops.event(listener.accept_event()).await.unwrap();
                    let mut buf = [0; 1000];
                    loop {
                        let n = ops.event(stream.read_event(&mut buf)).await.unwrap();
                        if n == 0 {
                            return;
                        }
                        write_all(ops, &stream, &buf[..n]).await.unwrap();
                    }
                })
            })
            .collect();
        servers.into_iter().for_each(|server| server.join());
        clients.into_iter().for_each(|client| client.join().unwrap());
    });
}

#[test]
fn a_socket_is_used_by_goroutines_threads_and_tasks_by_turns() {
    in_time(|| {
        let addr = std_server(echo);
        let stream = Arc::new(TcpStream::connect(addr).unwrap());
        let ask = |i: u8| {
            let stream = stream.clone();
            move || {
                (&*stream).write_all(&[i]).unwrap();
                let mut back = [0];
                (&*stream).read_exact(&mut back).unwrap();
                assert_eq!(back, [i]);
            }
        };
        let (one, other) = (runtime(1), runtime(2));
        for i in 0..40 {
            match i % 5 {
                0 => thread::spawn(ask(i)).join().unwrap(),
                1 => one.spawn(ask(i)).join().unwrap(),
                2 => other.spawn(ask(i)).join().unwrap(),
                3 => go_async({
                    let stream = stream.clone();
                    async move {
                        stream.write_async(&[i]).await.unwrap();
                        let mut back = [0];
                        stream.read_async(&mut back).await.unwrap();
                        assert_eq!(back, [i]);
                    }
                })
                .join()
                .unwrap(),
                _ => drive(async {
                    stream.write_async(&[i]).await.unwrap();
                    let mut back = [0];
                    stream.read_async(&mut back).await.unwrap();
                    assert_eq!(back, [i]);
                }),
            }
        }
    });
}

#[test]
fn a_socket_goes_on_when_the_runtime_where_it_was_first_waited_for_has_ended() {
    in_time(|| {
        let addr = std_server(echo);
        let stream = Arc::new(TcpStream::connect(addr).unwrap());
        let ask = |stream: &TcpStream| {
            let mut stream = stream;
            stream.write_all(b"x").unwrap();
            stream.read_exact(&mut [0]).unwrap();
        };
        let first = runtime(1);
        first.run(|| ask(&stream));
        // Somebody waits while it ends.
        let reader = thread::spawn({
            let stream = stream.clone();
            move || (&*stream).read_exact(&mut [0]).unwrap()
        });
        thread::sleep(SHORT);
        drop(first);
        (&*stream).write_all(b"y").unwrap();
        reader.join().unwrap();
        // And after that, again in a runtime, which may have the poller of the other.
        runtime(2).run(|| (0..20).for_each(|_| ask(&stream)));
        ask(&stream);
    });
}

#[test]
fn reads_and_writes_do_what_the_standard_library_s_do() {
    in_every_world(|| {
        let (mut ours, mut theirs) = pair();
        assert_eq!(ours.peer_addr().unwrap(), theirs.local_addr().unwrap());
        assert_eq!(ours.local_addr().unwrap(), theirs.peer_addr().unwrap());
        theirs.write_all(b"abcdef").unwrap();
        let mut two = [0; 2];
        assert_eq!(ours.peek(&mut two).unwrap(), 2);
        let (mut a, mut b) = ([0; 2], [0; 4]);
        let mut n = ours.read_vectored(&mut [IoSliceMut::new(&mut a), IoSliceMut::new(&mut b)]).unwrap();
        while n < 6 {
            n += ours.read(&mut b[n - 2..]).unwrap();
        }
        assert_eq!((&two, &a, &b), (b"ab", b"ab", b"cdef"));
        assert_eq!(ours.write_vectored(&[IoSlice::new(b"gh"), IoSlice::new(b"i")]).unwrap(), 3);
        ours.flush().unwrap();
        let mut back = [0; 3];
        theirs.read_exact(&mut back).unwrap();
        assert_eq!(&back, b"ghi");
        ours.set_nodelay(true).unwrap();
        assert!(ours.nodelay().unwrap());
        ours.set_ttl(17).unwrap();
        assert_eq!(ours.ttl().unwrap(), 17);
        assert!(ours.take_error().unwrap().is_none());
        // Half-closed: they can still talk.
        ours.shutdown(Shutdown::Write).unwrap();
        assert_eq!(theirs.read(&mut back).unwrap(), 0);
        theirs.write_all(b"end").unwrap();
        drop(theirs);
        let mut rest = String::new();
        ours.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "end");
        assert_eq!(ours.read(&mut back).unwrap(), 0, "the end stays the end");
    });
}

#[test]
fn sockets_come_from_and_go_to_the_standard_library() {
    in_every_world(|| {
        let (ours, mut theirs) = pair();
        let clone = ours.try_clone().unwrap();
        (&clone).write_all(b"1").unwrap();
        drop(clone);
        // Waited for here first, so that it has to leave a poller.
        theirs.write_all(b"z").unwrap();
        (&ours).read_exact(&mut [0]).unwrap();
        let mut std: net::TcpStream = ours.into();
        std.write_all(b"2").unwrap();
        let mut ours = TcpStream::from(std);
        let mut got = [0; 2];
        theirs.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"12");
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(2));
            theirs.write_all(b"3").unwrap();
        });
        ours.read_exact(&mut got[..1]).unwrap();
        assert_eq!(got[0], b'3');
        let listener: net::TcpListener = TcpListener::bind("127.0.0.1:0").unwrap().into();
        let listener = TcpListener::from(listener);
        let addr = listener.local_addr().unwrap();
        let connected = thread::spawn(move || net::TcpStream::connect(addr).unwrap());
        assert_eq!(listener.accept().unwrap().1, connected.join().unwrap().local_addr().unwrap());
    });
}

#[test]
fn one_byte_at_a_time_is_enough() {
    in_every_world(|| {
        let addr = std_server(|mut stream| {
            stream.set_nodelay(true).unwrap();
            for byte in b"drop by drop" {
                stream.write_all(&[*byte]).unwrap();
                thread::sleep(Duration::from_micros(300));
            }
        });
        let mut text = String::new();
        TcpStream::connect(addr).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "drop by drop");
    });
}

#[test]
fn a_stalled_peer_runs_into_the_time_out_and_can_be_read_from_later() {
    in_every_world(|| {
        let (mut ours, mut theirs) = pair();
        assert_eq!(kind(ours.set_read_timeout(Some(Duration::ZERO))), ErrorKind::InvalidInput);
        ours.set_read_timeout(Some(SHORT)).unwrap();
        assert_eq!(ours.read_timeout().unwrap(), Some(SHORT));
        let start = Instant::now();
        let error = ours.read(&mut [0; 8]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(start.elapsed() >= SHORT);
        let text = error.to_string();
        assert!(text.starts_with("read 127.0.0.1:"), "{text}");
        theirs.write_all(b"late").unwrap();
        let mut buf = [0; 4];
        ours.read_exact(&mut buf).unwrap();
        assert_eq!(&buf, b"late");
        // Nobody reads what is written.
        ours.set_write_timeout(Some(SHORT)).unwrap();
        let chunk = vec![0; 1 << 20];
        let error = loop {
            if let Err(error) = ours.write(&chunk) {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(error.to_string().starts_with("write 127.0.0.1:"), "{error}");
    });
}

/// Of what fills a connection's buffers. If it is read, the system has room, but tells nobody: it would when a third is free.
const PART: usize = 250_000;

/// A connection that has been found full, with a limit to writes, and of which a part has been read: so much.
fn hardly_read() -> (TcpStream, std::net::TcpStream, usize) {
    let (mut ours, mut theirs) = pair();
    // Otherwise the system makes it larger when it is read from, and all that is written has room there.
    socket2::SockRef::from(&theirs).set_recv_buffer_size(64 << 10).unwrap();
    ours.set_write_timeout(Some(SHORT)).unwrap();
    let chunk = vec![0; 1 << 20];
    let mut written = 0;
    while let Ok(len) = ours.write(&chunk) {
        written += len;
    }
    // Where the system's limits are low (`tcp_wmem`) no more may be there.
    let part = PART.min(written / 2);
    theirs.read_exact(&mut vec![0; part]).unwrap();
    (ours, theirs, part)
}

#[test]
fn a_write_whose_peer_reads_slowly_is_not_given_up() {
    in_every_world(|| {
        let (mut ours, _theirs, _) = hardly_read();
        assert!(ours.write(&[0; 1000]).unwrap() > 0);
    });
}

#[test]
fn a_write_as_an_event_whose_peer_reads_slowly_is_not_given_up() {
    in_every_world(|| {
        let (ours, _theirs, _) = hardly_read();
        assert!(ours.write_event(&[0; 1000]).wait().unwrap() > 0);
    });
}

#[test]
fn a_poll_of_a_write_that_has_waited_looks_whether_there_is_room_of_which_nobody_was_told() {
    use futures_util::AsyncWriteExt;
    in_time(|| {
        let (ours, mut theirs, part) = hardly_read();
        let mut ours = FuturesIo::new(ours);
        let chunk = vec![0; 1 << 20];
        // What has room goes out; then it waits.
        let is_full = |ours: &mut FuturesIo<TcpStream>| {
            crate::worlds::poll_once(std::pin::pin!(ours.write(&chunk))).is_none()
        };
        while !is_full(&mut ours) {}
        theirs.read_exact(&mut vec![0; part]).unwrap();
        while is_full(&mut ours) {
            thread::sleep(Duration::from_millis(1));
        }
    });
}

#[test]
fn a_reset_by_the_peer_is_an_error_that_names_the_address() {
    in_every_world(|| {
        let (mut ours, theirs) = pair();
        let addr = ours.peer_addr().unwrap();
        socket2::SockRef::from(&theirs).set_linger(Some(Duration::ZERO)).unwrap();
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(2));
            drop(theirs);
        });
        let error = ours.read(&mut [0; 8]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert!(error.to_string().starts_with(&format!("read {addr}: ")), "{error}");
        // After that: the end, or a broken pipe.
        assert_eq!(ours.read(&mut [0; 8]).unwrap(), 0);
        assert_eq!(kind(ours.write(b"x")), ErrorKind::BrokenPipe);
    });
}

#[test]
fn a_port_in_use_and_a_port_where_nobody_listens_are_named() {
    in_every_world(|| {
        let taken = net::TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = taken.local_addr().unwrap();
        let error = TcpListener::bind(addr).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        assert!(error.to_string().starts_with(&format!("listen {addr}: ")), "{error}");
        drop(taken);
        let error = TcpStream::connect(addr).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert!(error.to_string().starts_with(&format!("connect {addr}: ")), "{error}");
        let error = TcpStream::connect("no port here").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().starts_with("connect no port here: "), "{error}");
        let error = TcpStream::connect("a name that is none:80").unwrap_err();
        assert!(error.to_string().starts_with("connect a name that is none:80: "), "{error}");
    });
}

#[test]
fn of_several_addresses_the_first_that_answers_is_connected_to() {
    in_every_world(|| {
        let refused = net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let addr = std_server(echo);
        let stream = TcpStream::connect(&[refused, addr][..]).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), addr);
        let error = TcpStream::connect(&[refused, refused][..]).unwrap_err();
        assert!(error.to_string().starts_with(&format!("connect {refused}: ")), "{error}");
        // By name: a resolver that is asked on the pool.
        let stream = TcpStream::connect(("localhost", addr.port())).unwrap();
        assert_eq!(stream.peer_addr().unwrap().port(), addr.port());
    });
}

/// A listener whose backlog is full does not answer.
fn deaf() -> (net::TcpListener, Vec<socket2::Socket>) {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(0).unwrap();
    let listener: net::TcpListener = socket.into();
    let addr = listener.local_addr().unwrap();
    let fillers = (0..3)
        .map(|_| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            let _ = socket.connect(&addr.into());
            socket
        })
        .collect();
    (listener, fillers)
}

#[test]
fn a_connection_attempt_that_nobody_answers_is_given_up_in_time_or_passed_by() {
    in_every_world(|| {
        let (deaf, _fillers) = deaf();
        let addr = deaf.local_addr().unwrap();
        let error = TcpStream::connect_timeout(&addr, SHORT).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(error.to_string().starts_with(&format!("connect {addr}: ")), "{error}");
        // By a context, and beside other arms.
        let (ctx, _cancel) = Context::background().with_timeout(SHORT);
        assert!(ctx.bound(TcpStream::connect_event(addr)).wait().is_err());
        let connected = select! {
            wait(TcpStream::connect_event(addr)) -> _ => true,
            wait(timer(SHORT)) -> _ => false,
        };
        assert!(!connected);
        // The next address is tried beside it.
        let other = std_server(echo);
        let start = Instant::now();
        assert_eq!(TcpStream::connect(&[addr, other][..]).unwrap().peer_addr().unwrap(), other);
        assert!(start.elapsed() >= Duration::from_millis(250));
    });
}

#[test]
fn an_arm_that_loses_reads_nothing() {
    in_every_world(|| {
        let (ours, mut theirs) = pair();
        let (tx, rx) = chan::bounded(1);
        let mut buf = [0; 4];
        for round in 0..20_u8 {
            tx.send(round).unwrap();
            select! {
                recv(rx) -> value => assert_eq!(value, Ok(round)),
                wait(ours.read_event(&mut buf)) -> _ => panic!("there is nothing to read"),
            }
        }
        theirs.write_all(b"data").unwrap();
        // Ready both: one is taken, and the other is still there.
        tx.send(99).unwrap();
        let mut read = 0;
        let mut received = false;
        while read < 4 || !received {
            let mut buf = [0; 4];
            select! {
                recv(rx) -> value => received = value == Ok(99),
                wait(ours.read_event(&mut buf)) -> n => {
                    let n = n.unwrap();
                    assert_eq!(&buf[..n], &b"data"[read..read + n]);
                    read += n;
                }
            }
        }
        assert!(ours.read_event(&mut buf).wait_timeout(Duration::ZERO).is_none());
        theirs.write_all(b"more").unwrap();
        loop {
            // Only looked at, never waited for: it becomes ready all the same.
            if let Some(n) = ours.read_event(&mut buf).wait_timeout(Duration::ZERO) {
                break assert!(n.unwrap() > 0);
            }
        }
    });
}

#[test]
fn a_read_that_is_cancelled_by_its_context_leaves_the_data_for_the_next() {
    in_every_world(|| {
        let (ours, mut theirs) = pair();
        let (ctx, cancel) = Context::background().with_cancel();
        let canceller = thread::spawn(move || {
            thread::sleep(SHORT);
            cancel.cancel();
        });
        let mut buf = [0; 8];
        assert!(ctx.bound(ours.read_event(&mut buf)).wait().is_err());
        canceller.join().unwrap();
        theirs.write_all(b"x").unwrap();
        assert!(ctx.bound(ours.read_event(&mut buf)).wait().is_err(), "an ended context comes first");
        assert_eq!((&ours).read(&mut buf).unwrap(), 1);
    });
}

#[test]
fn closing_a_socket_wakes_whoever_waits_for_it() {
    crate::worlds::in_every_world(|crew: &Crew| {
        let listener = Arc::new(TcpListener::bind("127.0.0.1:0").unwrap());
        let stream = Arc::new(TcpStream::connect(silent()).unwrap());
        let waiters: Vec<_> = (0..8)
            .map(|i| {
                let (listener, stream) = (listener.clone(), stream.clone());
                crew.start(move |ops| async move {
                    match i % 2 {
                        0 => ops.event(listener.accept_event()).await.map(|_| ()).unwrap_err(),
                        _ => ops.event(stream.read_event(&mut [0; 8])).await.unwrap_err(),
                    }
                })
            })
            .collect();
        thread::sleep(Duration::from_millis(5));
        assert!(listener.close() && !listener.close());
        assert!(stream.close() && !stream.close());
        for waiter in waiters {
            assert_eq!(waiter.join().kind(), ErrorKind::NotConnected);
        }
        assert_eq!(kind((&*stream).write(b"x")), ErrorKind::NotConnected);
        assert_eq!(listener.incoming().count(), 0);
        assert!(net::TcpStream::connect(listener.local_addr().unwrap()).is_err());
    });
}

#[test]
fn who_does_not_want_to_wait_is_told_so() {
    in_every_world(|| {
        let (mut ours, mut theirs) = pair();
        ours.set_nonblocking(true).unwrap();
        assert_eq!(kind(ours.read(&mut [0])), ErrorKind::WouldBlock);
        theirs.write_all(b"x").unwrap();
        let start = Instant::now();
        while let Err(error) = ours.read(&mut [0]) {
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
            assert!(start.elapsed() < Duration::from_secs(10));
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        assert_eq!(kind(listener.accept()), ErrorKind::WouldBlock);
    });
}

#[test]
fn several_that_accept_at_one_listener_each_get_their_connections() {
    in_time(|| {
        for workers in [1, 2, 8] {
            runtime(workers).run(|| {
                let listener = Arc::new(TcpListener::bind("127.0.0.1:0").unwrap());
                let addr = listener.local_addr().unwrap();
                let served = WaitGroup::new();
                served.add(200);
                for _ in 0..8 {
                    let (listener, served) = (listener.clone(), served.clone());
                    go(move || {
                        listener.incoming().for_each(|stream| {
                            stream.unwrap().write_all(b"!").unwrap();
                            served.done();
                        })
                    });
                }
                let client = thread::spawn(move || {
                    for _ in 0..200 {
                        net::TcpStream::connect(addr).unwrap().read_exact(&mut [0]).unwrap();
                    }
                });
                served.wait();
                client.join().unwrap();
                listener.close();
            });
        }
    });
}

/// As many connections, with both ends in this process, as its limit of descriptors allows, up to a thousand.
fn a_thousand() -> usize {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both are given a valid place.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit), 0);
        limit.rlim_cur = limit.rlim_max;
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit), 0);
    }
    1000.min((limit.rlim_cur as usize).saturating_sub(500) / 2)
}

#[test]
fn a_thousand_connections_talk_at_the_same_time() {
    let many = a_thousand();
    in_time(move || {
        for workers in [1, 2, 8] {
            runtime(workers).run(move || {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                let addr = listener.local_addr().unwrap();
                let server = go(move || {
                    for _ in 0..many {
                        let (stream, _) = listener.accept().unwrap();
                        go(move || io::copy(&mut &stream, &mut &stream).unwrap());
                    }
                });
                let connected = WaitGroup::new();
                connected.add(many as i64);
                let clients: Vec<_> = (0..many)
                    .map(|i| {
                        let connected = connected.clone();
                        go(move || {
                            let mut stream = TcpStream::connect(addr).unwrap();
                            connected.done();
                            // All are there before the first says anything.
                            connected.wait();
                            let text = (i as u64).to_ne_bytes();
                            for _ in 0..5 {
                                stream.write_all(&text).unwrap();
                                let mut back = [0; 8];
                                stream.read_exact(&mut back).unwrap();
                                assert_eq!(back, text);
                            }
                        })
                    })
                    .collect();
                clients.into_iter().for_each(|client| client.join().unwrap());
                server.join().unwrap();
            });
        }
    });
}

#[test]
fn a_shutdown_unwinds_those_who_read_accept_and_connect() {
    struct Gone(chan::Sender<()>);
    impl Drop for Gone {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    in_time(|| {
        for workers in [1, 2, 8] {
            let (deaf, _fillers) = deaf();
            let (deaf, silent) = (deaf.local_addr().unwrap(), silent());
            let (tx, gone) = chan::unbounded();
            let runtime = runtime(workers);
            for i in 0..30 {
                // One that has not begun is dropped with what it holds.
                let gone = Gone(tx.clone());
                let body = move || {
                    let _gone = gone;
                    match i % 3 {
                        0 => drop(TcpStream::connect(silent).unwrap().read(&mut [0; 8])),
                        1 => drop(TcpListener::bind("127.0.0.1:0").unwrap().accept()),
                        _ => drop(TcpStream::connect(deaf)),
                    }
                    panic!("it goes on");
                };
                runtime.spawn(body);
            }
            thread::sleep(Duration::from_millis(5));
            runtime.shutdown();
            assert_eq!(gone.len(), 30);
        }
    });
}

#[test]
fn futures_that_are_dropped_while_they_wait_lose_nothing() {
    in_time(|| {
        let (ours, mut theirs) = pair();
        for _ in 0..10 {
            let mut buf = [0; 4];
            let mut read = Box::pin(ours.read_async(&mut buf));
            assert!(crate::worlds::poll_once(read.as_mut()).is_none());
        }
        theirs.write_all(b"abcd").unwrap();
        let mut buf = [0; 4];
        assert_eq!(drive(ours.read_async(&mut buf)).unwrap(), 4);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        {
            let mut accept = Box::pin(listener.accept_async());
            assert!(crate::worlds::poll_once(accept.as_mut()).is_none());
            let _there = net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        }
        assert!(drive(listener.accept_async()).is_ok());
    });
}

#[test]
fn the_futures_crates_traits_read_and_write_in_both_directions_at_once() {
    use futures_util::{AsyncReadExt, AsyncWriteExt, future::join, io::copy};
    in_time(|| {
        let addr = std_server(echo);
        let talk = move || async move {
            let stream = FuturesIo::new(TcpStream::connect_async(addr).await.unwrap());
            let (mut reader, mut writer) = stream.split();
            // More than the buffers hold, so both wait.
            let text = vec![5; 3_000_000];
            let write = async {
                writer.write_all(&text).await.unwrap();
                writer.close().await.unwrap();
            };
            let read = async {
                let mut all = futures_util::io::Cursor::new(Vec::new());
                copy(&mut reader, &mut all).await.unwrap()
            };
            assert_eq!(join(read, write).await.0, 3_000_000);
        };
        drive(talk());
        for workers in [1, 2, 8] {
            runtime(workers).run(move || go_async(talk()).join().unwrap());
        }
        // One that is dropped while it waits, and one that is polled by one task and then by another.
        let (ours, mut theirs) = pair();
        let mut ours = FuturesIo::new(ours);
        let mut buf = [0; 4];
        assert!(crate::worlds::poll_once(std::pin::pin!(ours.read(&mut buf))).is_none());
        theirs.write_all(b"abcd").unwrap();
        assert_eq!(drive(ours.read(&mut buf)).unwrap(), 4);
        assert!(crate::worlds::poll_once(std::pin::pin!(ours.read(&mut buf))).is_none());
        drop(ours);
        assert_eq!(theirs.read(&mut buf).unwrap(), 0);
    });
}

#[cfg(feature = "testing")]
#[test]
fn the_clock_of_a_test_stands_while_a_socket_is_waited_for() {
    in_time(|| {
        let addr = std_server(|mut stream| {
            thread::sleep(SHORT);
            stream.write_all(b"x").unwrap();
        });
        rendez::testing::virtual_time(move || {
            let start = rendez::time::Instant::now();
            let sleeper = go(|| rendez::sleep(Duration::from_secs(3600)));
            let stream = TcpStream::connect(addr).unwrap();
            (&stream).read_exact(&mut [0]).unwrap();
            // As an event as well.
            let other = TcpStream::connect(addr).unwrap();
            assert_eq!(other.read_event(&mut [0]).wait().unwrap(), 1);
            // And by polls.
            let another = go_async(async move {
                let stream = TcpStream::connect_async(addr).await.unwrap();
                futures_util::AsyncReadExt::read(&mut FuturesIo::new(stream), &mut [0; 4]).await.unwrap()
            });
            assert_eq!(another.join().unwrap(), 1);
            assert_eq!(start.elapsed(), Duration::ZERO);
            sleeper.join().unwrap();
        });
    });
}
