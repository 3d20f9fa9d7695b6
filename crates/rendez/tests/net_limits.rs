//! Sockets at the limits of a process, which has to be one of its own: descriptors, processor time.
#![cfg(not(any(loom, rendez_sanitize)))]

mod child;
mod processor_time;

use child::must_succeed_in_a_child;
use processor_time::{must_rest, processor_time};
use rendez::{
    Runtime, blocking, fs, go, go_async,
    net::{TcpListener, TcpStream, UdpSocket, UnixStream},
    process::Command,
    sleep,
};
use std::{
    fs::File,
    io::{ErrorKind, Read, Write},
    net,
    sync::{Arc, Barrier},
    thread,
    time::{Duration, Instant},
};

/// How many descriptors are open.
fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn limit_descriptors(most: u64) {
    let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
    // SAFETY: a valid place.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }, 0);
}

/// As many as there may be.
fn use_up_descriptors() -> Vec<File> {
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

#[test]
fn an_accept_without_descriptors_backs_off_and_recovers() {
    must_succeed_in_a_child(|| {
        rendez::run(|| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let addr = listener.local_addr().unwrap();
            let mut client = net::TcpStream::connect(addr).unwrap();
            // The first one as usual, so that all else that needs descriptors has them.
            listener.accept().unwrap();
            let _second = net::TcpStream::connect(addr).unwrap();
            limit_descriptors(64);
            let mut all = use_up_descriptors();
            let before = processor_time();
            let start = Instant::now();
            let error = listener.accept().unwrap_err();
            assert_eq!(error.raw_os_error(), None, "it is named: {error}");
            assert!(error.to_string().starts_with(&format!("accept {addr}: Too many open files")), "{error}");
            assert!(start.elapsed() >= Duration::from_millis(900), "{:?}", start.elapsed());
            assert!(processor_time() - before < Duration::from_millis(200), "it burns the processor");
            // Others give some back while it tries.
            let giver = go(move || {
                sleep(Duration::from_millis(50));
                all.truncate(all.len() - 8);
                all
            });
            let (mut stream, _) = listener.accept().unwrap();
            drop(giver.join().unwrap());
            stream.write_all(b"!").unwrap();
            assert_eq!(client.read(&mut [0]).unwrap(), 0);
            // An async one as well.
            let all = use_up_descriptors();
            let waiting = go_async(async move { listener.accept_async().await.map(|_| ()) });
            sleep(Duration::from_millis(30));
            drop(all);
            let _third = net::TcpStream::connect(addr).unwrap();
            waiting.join().unwrap().unwrap();
        });
    });
}

/// That it is told for what no descriptor was left.
#[track_caller]
fn is_told<R>(what: &str, result: std::io::Result<R>) {
    let told = result.err().expect("there is no descriptor left").to_string();
    assert!(told.starts_with(what) && told.contains("Too many open files"), "{what}: {told}");
}

#[test]
fn what_finds_no_descriptor_says_for_what_and_works_again_when_there_is_one() {
    must_succeed_in_a_child(|| {
        rendez::run(|| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let addr = listener.local_addr().unwrap();
            limit_descriptors(64);
            let all = use_up_descriptors();
            is_told(&format!("connect {addr}: "), TcpStream::connect(addr));
            is_told("listen 127.0.0.1:0: ", TcpListener::bind("127.0.0.1:0"));
            is_told("bind 127.0.0.1:0: ", UdpSocket::bind("127.0.0.1:0"));
            is_told("open /dev/null: ", fs::File::open("/dev/null"));
            is_told("read directory /: ", fs::read_dir("/"));
            is_told("start true: ", Command::new("true").spawn());
            drop(all);
            let mut client = TcpStream::connect(addr).unwrap();
            listener.accept().unwrap().0.write_all(b"x").unwrap();
            client.read_exact(&mut [0]).unwrap();
            fs::File::open("/dev/null").unwrap();
            assert!(Command::new("true").status().unwrap().success());
        });
    });
}

#[test]
fn a_worker_that_finds_no_descriptor_for_its_poller_says_so_and_goes_on() {
    must_succeed_in_a_child(|| {
        let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        rendez::run(|| {
            let mut ours = UnixStream::from(ours);
            limit_descriptors(64);
            let all = use_up_descriptors();
            // It has to be waited for, and nobody has yet waited for anything here.
            is_told("read", ours.read(&mut [0]));
            drop(all);
            let reader = go(move || ours.read(&mut [0]).unwrap());
            sleep(Duration::from_millis(5));
            theirs.write_all(b"x").unwrap();
            assert_eq!(reader.join().unwrap(), 1);
        });
    });
}

#[test]
fn a_worker_that_finds_no_descriptor_for_its_poller_waits_at_another_one_s() {
    must_succeed_in_a_child(|| {
        let runtime = Runtime::builder().workers(2).build().unwrap();
        let (mut pairs, mut theirs): (Vec<_>, Vec<_>) =
            (0..4).map(|_| std::os::unix::net::UnixStream::pair().unwrap()).unzip();
        // Waits there all the time.
        let waits = UnixStream::from(pairs.pop().unwrap());
        let other = theirs.pop().unwrap();
        let waiting = runtime.spawn(move || (&waits).read(&mut [0]).unwrap());
        let first = UnixStream::from(pairs.pop().unwrap());
        let reader = runtime.spawn(move || (&first).read(&mut [0]).unwrap());
        sleep(Duration::from_millis(5));
        theirs.pop().unwrap().write_all(b"x").unwrap();
        // One worker has its poller now, or both have.
        assert_eq!(reader.join().unwrap(), 1);
        limit_descriptors(64);
        let all = use_up_descriptors();
        // Each holds its worker until the other one has the other.
        let both = Arc::new(Barrier::new(2));
        let readers: Vec<_> = pairs
            .into_iter()
            .map(|ours| {
                let both = both.clone();
                runtime.spawn(move || {
                    both.wait();
                    UnixStream::from(ours).read(&mut [0]).unwrap()
                })
            })
            .collect();
        sleep(Duration::from_millis(5));
        theirs.iter_mut().for_each(|stream| stream.write_all(b"x").unwrap());
        readers.into_iter().for_each(|reader| assert_eq!(reader.join().unwrap(), 1));
        drop((all, other));
        assert_eq!(waiting.join().unwrap(), 0);
    });
}

#[test]
fn an_idle_server_uses_no_processor() {
    must_succeed_in_a_child(|| {
        rendez::run(|| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let addr = listener.local_addr().unwrap();
            let clients: Vec<_> = (0..50)
                .map(|_| {
                    let mut client = net::TcpStream::connect(addr).unwrap();
                    let (mut stream, _) = listener.accept().unwrap();
                    go(move || std::io::copy(&mut stream.try_clone().unwrap(), &mut stream));
                    client.write_all(b"x").unwrap();
                    // The answer may have to come from this worker.
                    blocking(|| client.read_exact(&mut [0])).unwrap();
                    client
                })
                .collect();
            go(move || listener.accept().map(|_| ()));
            let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
            go_async(async move { udp.recv_async(&mut [0; 8]).await.map(|_| ()) });
            let stream = TcpStream::from(net::TcpStream::connect(addr).unwrap());
            thread::spawn(move || (&stream).read(&mut [0; 8]).map(|_| ()));
            // Until all have come to rest.
            sleep(Duration::from_millis(500));
            must_rest(Duration::from_millis(10), || sleep(Duration::from_secs(1)));
            drop(clients);
        });
    });
}

#[test]
fn ten_thousand_connections_leave_no_descriptor_behind() {
    must_succeed_in_a_child(|| {
        rendez::run(|| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let addr = listener.local_addr().unwrap();
            let server = go(move || {
                for stream in listener.incoming() {
                    let mut stream = stream.unwrap();
                    go(move || {
                        let mut byte = [0];
                        if stream.read(&mut byte).unwrap_or(0) > 0 && byte[0] == b'!' {
                            let _ = stream.write_all(b"?");
                        }
                        byte[0]
                    });
                }
            });
            let talk = |i: usize| {
                let mut stream = TcpStream::connect(addr).unwrap();
                match i % 4 {
                    0 => drop(stream.write_all(b"!").and_then(|()| stream.read_exact(&mut [0]))),
                    1 => stream.set_linger(Some(Duration::ZERO)).unwrap(),
                    2 => {
                        stream.set_read_timeout(Some(Duration::from_micros(50))).unwrap();
                        assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::TimedOut);
                    }
                    _ => drop(stream.close()),
                }
            };
            (0..500).for_each(talk);
            sleep(Duration::from_millis(50));
            // A worker that has had no socket yet will make its poller and the bell.
            let most = descriptors() + 2 * rendez::workers();
            rendez::scope(|s| {
                for worker in 0..10 {
                    s.go(move || (0..1000).for_each(|i| talk(worker * 1000 + i)));
                }
            });
            let start = Instant::now();
            while descriptors() > most {
                assert!(start.elapsed() < Duration::from_secs(10), "{} of {most}", descriptors());
                sleep(Duration::from_millis(10));
            }
            drop(server);
        });
    });
}
