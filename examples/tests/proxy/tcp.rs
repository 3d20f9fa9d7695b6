//! Connections.

use super::*;
use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    thread,
    time::Duration,
};

const TCP: [&str; 4] = ["--mode", "tcp", "--health-interval", "1000"];

/// Sends back what it gets, and says at the end how much that was.
fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let len = std::io::copy(&mut stream.try_clone().unwrap(), &mut stream).unwrap_or(0);
                let _ = write!(stream, " {len}");
            });
        }
    });
    addr
}

#[test]
fn bytes_and_ends_go_both_ways() {
    let proxy = proxy(&TCP, &[echo()]);
    let mut client = TcpStream::connect(proxy.addr()).unwrap();
    client.set_read_timeout(Some(server::PATIENCE)).unwrap();
    let mut sender = client.try_clone().unwrap();
    let sent = thread::spawn(move || {
        sender.write_all(&vec![b'x'; LARGE]).unwrap();
        // The other direction goes on.
        sender.shutdown(Shutdown::Write).unwrap();
    });
    let mut all = Vec::new();
    client.read_to_end(&mut all).unwrap();
    sent.join().unwrap();
    assert_eq!(text(&all[LARGE..]), format!(" {LARGE}"));
}

#[test]
fn a_connection_goes_to_whom_can_be_reached() {
    let proxy = proxy(&TCP, &[nobody(), echo()]);
    for _ in 0..4 {
        let mut client = TcpStream::connect(proxy.addr()).unwrap();
        client.write_all(b"hello").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut all = String::new();
        client.read_to_string(&mut all).unwrap();
        assert_eq!(all, "hello 5");
    }
}

#[test]
fn http_may_go_through_as_well() {
    let upstream = Upstream::new("a");
    let proxy = proxy(&TCP, &[upstream.addr]);
    let mut wire = Wire::to(proxy.addr());
    assert_eq!([who(&mut wire), who(&mut wire)], ["a", "a"]);
}

#[test]
fn a_connection_on_which_nothing_comes_is_closed() {
    // Long enough for what is to be sent before.
    let proxy = proxy(&["--mode", "tcp", "--health-interval", "1000", "--timeout", "2"], &[echo()]);
    let mut wire = Wire::to(proxy.addr());
    wire.send("hello");
    let all = text(&wire.rest());
    assert!(all.starts_with("hello"), "{all}");
}

#[test]
fn a_connection_on_which_something_comes_in_one_direction_stays() {
    let proxy = proxy(&["--mode", "tcp", "--health-interval", "1000", "--timeout", "1.5"], &[drips()]);
    let mut client = TcpStream::connect(proxy.addr()).unwrap();
    let mut all = Vec::new();
    // It says nothing all the while.
    client.read_to_end(&mut all).unwrap();
    assert_eq!(all.len(), 12);
}

/// Sends a byte now and then, for longer than it may say nothing.
fn drips() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                for _ in 0..12 {
                    stream.write_all(b"x")?;
                    thread::sleep(Duration::from_millis(250));
                }
                stream.shutdown(Shutdown::Write)?;
                // Until the other side has gone as well.
                stream.read(&mut [0])
            });
        }
    });
    addr
}

#[test]
fn a_drain_lets_connections_come_to_their_end_or_cuts_them() {
    let upstream = echo();
    for (drain, cut) in [("50", 0), ("0.1", 1)] {
        let mut proxy = proxy(&[&TCP[..], &["--drain", drain]].concat(), &[upstream]);
        let mut client = TcpStream::connect(proxy.addr()).unwrap();
        client.set_read_timeout(Some(server::PATIENCE)).unwrap();
        client.write_all(b"hello").unwrap();
        client.read_exact(&mut [0; 5]).unwrap();
        proxy.signal("TERM");
        while TcpStream::connect(proxy.addr()).is_ok() {
            thread::sleep(Duration::from_millis(1));
        }
        let mut rest = Vec::new();
        if cut == 0 {
            client.write_all(b" you").unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            client.read_to_end(&mut rest).unwrap();
            assert_eq!(text(&rest), " you 9");
        } else {
            let _ = client.read_to_end(&mut rest);
        }
        let (status, told) = proxy.end();
        assert_eq!(status.code(), Some(cut), "{told}");
        assert!(told.ends_with(&format!("cut {cut}\n")), "{told}");
    }
}
