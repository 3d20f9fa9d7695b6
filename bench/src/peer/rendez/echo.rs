//! TCP over the loopback.

use crate::{gauge, peer::SETTLE};
use rendez::{
    blocking, go,
    net::{TcpListener, TcpStream},
    sleep,
};
use std::{
    io::{Read, Write},
    time::{Duration, Instant},
};

fn serve(mut stream: TcpStream) {
    stream.set_nodelay(true).expect("it is connected");
    let mut buf = [0; 4096];
    while let Ok(len @ 1..) = stream.read(&mut buf) {
        stream.write_all(&buf[..len]).expect("the other side reads");
    }
}

/// Bytes for each of `n` connections that are served and say nothing.
pub(super) fn memory_of_idle(n: u64) -> f64 {
    let n = gauge::connections(n);
    let gather = |n: u64| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let addr = listener.local_addr().expect("it has an address");
        let server = go(move || {
            for stream in listener.incoming().take(n as usize) {
                go(move || serve(stream.expect("a connection")));
            }
        });
        let connect = |_| std::net::TcpStream::connect(addr).expect("it listens");
        let ends: Vec<_> = blocking(|| (0..n).map(connect).collect());
        server.join().expect("it does not panic");
        sleep(SETTLE);
        ends
    };
    rendez::run(|| {
        // One batch before, which makes what is made once.
        drop(gather(100));
        sleep(SETTLE);
        let before = gauge::footprint();
        let ends = gather(n);
        let each = gauge::growth_each(before, gauge::footprint(), n);
        drop(ends);
        each
    })
}

/// `n` round trips over so many connections.
pub(super) fn round_trips(connections: u64, n: u64) -> Duration {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = listener.local_addr().expect("it has an address");
    let server = go(move || {
        for stream in listener.incoming().take(connections as usize) {
            go(move || serve(stream.expect("a connection")));
        }
    });
    let streams: Vec<_> =
        (0..connections).map(|_| TcpStream::connect(addr).expect("the server accepts")).collect();
    server.join().expect("it does not panic");
    let start = Instant::now();
    let clients: Vec<_> = streams
        .into_iter()
        .map(|mut stream| {
            go(move || {
                stream.set_nodelay(true).expect("it is connected");
                let mut buf = [7; 64];
                for _ in 0..n / connections {
                    stream.write_all(&buf).expect("the server reads");
                    stream.read_exact(&mut buf).expect("the server answers");
                }
            })
        })
        .collect();
    clients.into_iter().for_each(|client| client.join().expect("it does not panic"));
    start.elapsed()
}
