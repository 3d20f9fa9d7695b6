//! Accepting beside goroutines that compute.
#![cfg(not(loom))]

mod setup;

use rendez::{Builder, Placement, chan, go, net::TcpListener};
use setup::{in_time, runtime};
use std::{
    hint,
    io::{Read, Write},
    net,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

/// Long after a connection that is accepted at all has been served.
const PATIENCE: Duration = Duration::from_secs(20);

/// Sends back a byte. On `!` it then computes until the other side has gone; whether that came in time.
fn serve(stream: rendez::net::TcpStream) -> bool {
    let mut byte = [0];
    if (&stream).read_exact(&mut byte).is_err() {
        return true;
    }
    (&stream).write_all(&byte).unwrap();
    if byte[0] != b'!' {
        return true;
    }
    // Without parking.
    let stream = net::TcpStream::from(stream);
    stream.set_nonblocking(true).unwrap();
    let start = Instant::now();
    while stream.peek(&mut byte).is_err() {
        hint::spin_loop();
        if start.elapsed() > PATIENCE {
            return false;
        }
    }
    true
}

fn ask(addr: net::SocketAddr, byte: u8) -> net::TcpStream {
    let mut stream = net::TcpStream::connect(addr).unwrap();
    stream.write_all(&[byte]).unwrap();
    let mut back = [0];
    stream.read_exact(&mut back).unwrap();
    assert_eq!(back, [byte]);
    stream
}

#[test]
fn with_a_loop_on_each_worker_connections_are_accepted_while_one_computes() {
    in_time(|| {
        runtime(2).run(|| {
            let listener = Arc::new(TcpListener::bind("127.0.0.1:0").unwrap());
            let addr = listener.local_addr().unwrap();
            let (tell, told) = chan::unbounded();
            for _ in 0..2 {
                let (listener, tell) = (listener.clone(), tell.clone());
                let accept = move || {
                    for stream in listener.incoming() {
                        let (stream, tell) = (stream.unwrap(), tell.clone());
                        go(move || tell.send(serve(stream)).unwrap());
                    }
                };
                Builder::new().placement(Placement::Spread).spawn(accept).unwrap();
            }
            drop(tell);
            // On a thread: this goroutine's worker may be the one that computes.
            let client = thread::spawn(move || {
                for _ in 0..20 {
                    let computing = ask(addr, b'!');
                    (0..10).for_each(|_| drop(ask(addr, b'x')));
                    drop(computing);
                }
            });
            rendez::blocking(|| client.join()).unwrap();
            listener.close();
            assert!(told.iter().all(|in_time| in_time), "others had to wait for one that computes");
        });
    });
}

/// However short their bursts are: a few clients of a server are to have all processors.
#[test]
fn what_serves_connections_is_spread_over_the_workers_from_the_first_on() {
    const CLIENTS: usize = 16;
    in_time(|| {
        runtime(2).run(|| {
            // By the second round it is known that they work little.
            let round = |_| {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                let addr = listener.local_addr().unwrap();
                let (tell, told) = chan::unbounded();
                let server = go(move || {
                    for stream in listener.incoming().take(CLIENTS) {
                        let (stream, tell) = (stream.unwrap(), tell.clone());
                        go(move || {
                            while let Ok(1..) = (&stream).read(&mut [0; 8]) {
                                (&stream).write_all(b"x").unwrap();
                            }
                            tell.send(thread::current().id()).unwrap();
                        });
                    }
                });
                let clients = thread::spawn(move || {
                    let mut clients: Vec<_> = (0..CLIENTS).map(|_| ask(addr, b'x')).collect();
                    for _ in 0..100 {
                        for client in &mut clients {
                            client.write_all(b"x").unwrap();
                            client.read_exact(&mut [0]).unwrap();
                        }
                    }
                });
                rendez::blocking(|| clients.join()).unwrap();
                server.join().unwrap();
                let mut threads: Vec<_> = told.iter().collect();
                assert_eq!(threads.len(), CLIENTS);
                let first = threads[0];
                threads.retain(|thread| *thread == first);
                threads.len().min(CLIENTS - threads.len())
            };
            let rounds: Vec<usize> = (0..4).map(round).collect();
            let fewest = rounds[3];
            assert!(fewest >= CLIENTS / 4, "{fewest} of {CLIENTS} on the other worker");
        });
    });
}
