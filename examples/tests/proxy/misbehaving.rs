//! Upstreams that break off, are silent, or not there.

use super::*;
use std::{
    io::{ErrorKind::ConnectionReset, Read, Write},
    net::{TcpListener, TcpStream},
    sync::mpsc::{self, Receiver},
    thread,
};

/// An upstream that does this with each connection, of which it first reads the head of a request, and passes that on.
fn upstream(then: impl Fn(&mut TcpStream) + Send + 'static) -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let (tx, heads) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                match stream.read(&mut byte) {
                    Ok(1..) => head.push(byte[0]),
                    // The check of its health.
                    _ => break,
                }
            }
            if head.ends_with(b"\r\n\r\n") {
                let _ = tx.send(text(&head));
                then(&mut stream);
            }
        }
    });
    (addr, heads)
}

fn says(response: &'static str) -> impl Fn(&mut TcpStream) {
    move |stream| stream.write_all(response.as_bytes()).unwrap()
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";

#[test]
fn an_upstream_is_told_for_whom_it_is_and_nothing_of_the_connection() {
    let (addr, heads) = upstream(says(OK));
    let proxy = proxy(&SELDOM, &[addr]);
    let headers = "connection: keep-alive, x-hop\r\nx-hop: 1\r\nte: trailers\r\nx-forwarded-for: 10.0.0.1\r\nx-kept: 2\r\n";
    let answer = Wire::to(proxy.addr()).ask("GET", "/path?query", headers);
    assert_eq!((answer.status(), answer.text()), (200, "ok".into()));
    assert_eq!(answer.header("connection"), None);
    let head = heads.recv().unwrap();
    assert!(head.starts_with("GET /path?query HTTP/1.1\r\n"), "{head}");
    for there in [
        "host: x",
        "x-kept: 2",
        "x-forwarded-for: 10.0.0.1, 127.0.0.1",
        "x-forwarded-proto: http",
        "via: 1.1 rendez-proxy",
    ] {
        assert!(head.contains(&format!("\r\n{there}\r\n")), "{there} in {head}");
    }
    assert!(!head.contains("x-hop") && !head.contains("te:"), "{head}");
}

#[test]
fn an_upstream_is_told_to_which_host_a_request_is() {
    let (addr, heads) = upstream(says(OK));
    let proxy = proxy(&SELDOM, &[addr]);
    for (request, host) in [
        ("GET http://there/ HTTP/1.1\r\nhost: here\r\n", "there".to_string()),
        ("GET / HTTP/1.0\r\n", addr.to_string()),
    ] {
        let mut wire = Wire::to(proxy.addr());
        wire.send(format!("{request}\r\n"));
        assert_eq!(wire.answer().status(), 200, "{request}");
        let head = heads.recv().unwrap();
        assert!(head.starts_with("GET / HTTP/1.1\r\n"), "{head}");
        assert!(head.contains(&format!("\r\nhost: {host}\r\n")), "{head}");
    }
    let mut wire = Wire::to(proxy.addr());
    wire.send("GET / HTTP/1.1\r\n\r\n");
    assert_eq!(wire.answer().status(), 400);
}

#[test]
fn what_may_be_repeated_is_and_nothing_else() {
    let (breaks, broken) = upstream(|_| {});
    let (answers, _) = upstream(says(OK));
    let proxy = proxy(&SELDOM, &[breaks, answers]);
    for _ in 0..2 {
        let mut wire = Wire::to(proxy.addr());
        assert_eq!(wire.get("/").text(), "ok");
    }
    assert!(broken.recv().unwrap().starts_with("GET / "));
    // A POST may have had its effect: of two, one meets the one that breaks off.
    let statuses: Vec<u16> = (0..2)
        .map(|_| {
            let mut wire = Wire::to(proxy.addr());
            wire.send("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nhi");
            wire.answer().status()
        })
        .collect();
    assert!(statuses.contains(&200) && statuses.contains(&502), "{statuses:?}");
    assert!(broken.recv().unwrap().starts_with("POST / "));
}

#[test]
fn what_could_not_be_sent_is_sent_to_the_next() {
    let (answers, _) = upstream(says(OK));
    let proxy = proxy(&SELDOM, &[nobody(), answers]);
    for _ in 0..4 {
        let mut wire = Wire::to(proxy.addr());
        wire.send("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nhi");
        assert_eq!(wire.answer().text(), "ok");
    }
}

#[test]
fn an_upstream_that_is_busy_is_passed_over_if_another_answers() {
    let busy = "HTTP/1.1 503 Busy\r\ncontent-length: 4\r\nconnection: close\r\n\r\nbusy";
    let (busy, _) = upstream(says(busy));
    let (answers, _) = upstream(says(OK));
    let both = proxy(&SELDOM, &[busy, answers]);
    (0..4).for_each(|_| assert_eq!(Wire::to(both.addr()).get("/").text(), "ok"));
    // If none does, it is told what one has said.
    let alone = proxy(&SELDOM, &[busy, nobody()]);
    let answer = Wire::to(alone.addr()).get("/");
    assert_eq!((answer.status(), answer.text()), (503, "busy".into()));
}

#[test]
fn retries_are_for_a_few() {
    let (first, _) = upstream(|_| {});
    let (second, heads) = upstream(|_| {});
    let proxy = proxy(&["--retry-budget", "0.1", "--health-interval", "1000"], &[first, second]);
    const REQUESTS: usize = 100;
    for _ in 0..REQUESTS {
        assert_eq!(Wire::to(proxy.addr()).get("/").status(), 502);
    }
    // Half of them begin here, and of all retries, 10 saved and a tenth, it gets no more than all.
    let here = heads.try_iter().count();
    assert!((REQUESTS / 2..=REQUESTS / 2 + 21).contains(&here), "{here}");
}

#[test]
fn without_an_upstream_it_is_a_bad_gateway() {
    let proxy = proxy(&SELDOM, &[nobody()]);
    let mut wire = Wire::to(proxy.addr());
    let answer = wire.get("/");
    assert_eq!((answer.status(), answer.text()), (502, "no upstream has answered\n".into()));
    assert_eq!(wire.get("/").status(), 502);
}

#[test]
fn an_upstream_that_is_silent_is_not_waited_for() {
    let (silent, _) = upstream(|stream| {
        let _ = stream.read(&mut [0]);
    });
    let proxy = proxy(&["--timeout", "0.1", "--health-interval", "1000"], &[silent]);
    assert_eq!(Wire::to(proxy.addr()).get("/").status(), 504);
}

#[test]
fn an_answer_that_breaks_off_is_broken_off() {
    let (half, _) = upstream(says("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"));
    let proxy = proxy(&SELDOM, &[half]);
    let mut wire = Wire::to(proxy.addr());
    wire.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    let all = text(&wire.rest());
    assert!(all.contains("content-length: 10\r\n") && all.ends_with("half"), "{all}");
}

#[test]
fn an_answer_of_which_nothing_more_comes_is_broken_off() {
    let (stalls, _) = upstream(|stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").unwrap();
        // Until the proxy has had enough of it.
        let _ = stream.read(&mut [0]);
    });
    let proxy = proxy(&["--timeout", "0.5", "--health-interval", "1000"], &[stalls]);
    let mut wire = Wire::to(proxy.addr());
    wire.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    let all = text(&wire.rest());
    assert!(all.contains("content-length: 10\r\n") && all.ends_with("half"), "{all}");
}

/// The upstream takes a body of ten bytes, and says so.
fn takes_ten(stream: &mut TcpStream) {
    if stream.read_exact(&mut [0; 10]).is_ok() {
        let _ = stream.write_all(OK.as_bytes());
    }
}

#[test]
fn the_upstream_s_time_begins_when_it_has_the_request() {
    let (takes, _) = upstream(takes_ten);
    let proxy = proxy(&["--timeout", "1.5", "--health-interval", "1000"], &[takes]);
    let mut wire = Wire::to(proxy.addr());
    wire.send("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n");
    for _ in 0..10 {
        thread::sleep(std::time::Duration::from_millis(200));
        wire.send("x");
    }
    assert_eq!(wire.answer().text(), "ok");
}

#[test]
fn a_client_that_does_not_send_what_it_has_announced_is_not_waited_for() {
    let (takes, _) = upstream(takes_ten);
    for limit in [["--timeout", "0.5"], ["--body-timeout", "0.5"]] {
        let proxy = proxy(&[&limit[..], &SELDOM].concat(), &[takes]);
        let mut wire = Wire::to(proxy.addr());
        wire.send("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nx");
        assert_eq!(wire.answer().status(), 408, "{limit:?}");
    }
}

#[test]
fn a_connection_that_was_kept_and_is_gone_costs_no_answer() {
    // It keeps the connection up, and then ends it when the next request comes over it.
    let (fickle, heads) = upstream(|stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").unwrap();
        let _ = stream.read(&mut [0]);
    });
    // No retries: there is one upstream, and nothing was wrong with it.
    let proxy = proxy(&["--retry-budget", "0", "--health-interval", "1000"], &[fickle]);
    let mut wire = Wire::to(proxy.addr());
    for _ in 0..4 {
        assert_eq!(wire.get("/").text(), "ok");
    }
    assert_eq!(heads.try_iter().count(), 4);
}

#[test]
fn an_upstream_is_to_blame_that_has_a_request_in_chunks_and_does_not_answer() {
    let (silent, _) = upstream(|stream| {
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let proxy = proxy(&["--timeout", "0.5", "--health-interval", "1000"], &[silent]);
    for trailers in ["", "x-sum: 1\r\n"] {
        let mut wire = Wire::to(proxy.addr());
        wire.send(format!(
            "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n{trailers}\r\n"
        ));
        assert_eq!(wire.answer().status(), 504, "{trailers}");
    }
}

#[test]
fn an_upstream_is_to_blame_that_does_not_take_what_the_client_sends() {
    let (done, wait) = mpsc::channel::<()>();
    let (deaf, _) = upstream(move |_| _ = wait.recv());
    let proxy = proxy(&["--timeout", "0.5", "--health-interval", "1000"], &[deaf]);
    let mut wire = TcpStream::connect(proxy.addr()).unwrap();
    wire.write_all(format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {LARGE}\r\n\r\n").as_bytes())
        .unwrap();
    let mut body = wire.try_clone().unwrap();
    thread::spawn(move || body.write_all(&vec![b'x'; LARGE]));
    let mut status = [0; 12];
    wire.read_exact(&mut status).unwrap();
    assert_eq!(text(&status), "HTTP/1.1 504");
    drop(done);
}

#[test]
fn a_connection_is_used_again_after_an_answer_in_chunks() {
    let (addr, _) = upstream(|stream| {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n0\r\n\r\n")
            .unwrap();
        if stream.read(&mut [0; 1024]).is_ok_and(|len| len > 0) {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecond").unwrap();
        }
    });
    let proxy = proxy(&SELDOM, &[addr]);
    let mut wire = Wire::to(proxy.addr());
    assert_eq!(wire.get("/").text(), "first");
    assert_eq!(wire.get("/").text(), "second");
}

/// One that answers before it has the whole request, and reads on.
fn hasty_upstream() -> SocketAddr {
    let (addr, _) = upstream(|stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").unwrap();
        let mut stream = stream.try_clone().unwrap();
        thread::spawn(move || stream.read_to_end(&mut Vec::new()));
    });
    addr
}

#[test]
fn a_connection_that_still_takes_a_request_is_not_used_for_another_one() {
    let hasty = hasty_upstream();
    let proxy = proxy(&SELDOM, &[hasty]);
    let mut slow = Wire::to(proxy.addr());
    slow.send("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nx");
    assert_eq!(slow.answer().text(), "ok");
    assert_eq!(Wire::to(proxy.addr()).get("/").text(), "ok");
    drop(slow);
}

#[test]
fn a_client_that_has_its_answer_and_still_sends_is_not_waited_for() {
    let hasty = hasty_upstream();
    let proxy = proxy(&["--timeout", "0.5", "--body-timeout", "0.5", "--health-interval", "1000"], &[hasty]);
    let mut wire = Wire::to(proxy.addr());
    wire.send("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nx");
    assert_eq!(wire.answer().text(), "ok");
    let ended = wire.stream.read(&mut [0]);
    assert!(matches!(&ended, Ok(0)) || ended.is_err_and(|error| error.kind() == ConnectionReset));
}

#[test]
fn there_are_no_tunnels() {
    let (addr, heads) = upstream(says(OK));
    let proxy = proxy(&SELDOM, &[addr]);
    let mut wire = Wire::to(proxy.addr());
    wire.send("CONNECT there:80 HTTP/1.1\r\nhost: there:80\r\n\r\n");
    assert_eq!(wire.answer().status(), 501);
    assert_eq!(heads.try_iter().count(), 0);
}
