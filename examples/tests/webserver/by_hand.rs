//! Bytes over a socket: what no client does by itself.

use super::*;
use server::{Wire, text};
use std::{
    io::Write,
    net::Shutdown,
    thread,
    time::{Duration, Instant},
};

#[test]
fn requests_that_come_at_once_are_answered_in_order() {
    let site = Site::new(&[]);
    let mut wire = Wire::to(site.addr);
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
    let post = "POST /api/echo HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello";
    wire.send([get("/hello.txt"), post.into(), get("/nothing"), get("/")].concat());
    let answers = [wire.answer(), wire.answer(), wire.answer(), wire.answer()];
    let texts = answers.map(|answer| (answer.status(), answer.text()));
    let expected = [(200, "hello, world\n"), (200, "hello"), (404, "no such file\n"), (200, "<p>index</p>")];
    assert_eq!(texts, expected.map(|(status, text)| (status, text.to_string())));
}

#[test]
fn a_client_that_has_ended_its_direction_gets_its_answer() {
    let site = Site::new(&[]);
    for path in ["/hello.txt", "/api/wait?ms=50", "/large.bin"] {
        let mut wire = Wire::to(site.addr);
        wire.send(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n"));
        wire.stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(wire.answer().status(), 200, "{path}");
        assert_eq!(wire.rest(), b"");
    }
}

#[test]
fn a_body_in_chunks_may_come_byte_by_byte() {
    let site = Site::new(&[]);
    let mut wire = Wire::to(site.addr);
    let request = "POST /api/echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nt: v\r\n\r\n";
    for byte in request.bytes() {
        wire.send([byte]);
    }
    assert_eq!(wire.answer().text(), "abc0123456789");
    assert_eq!(wire.get("/hello.txt").status(), 200);
}

#[test]
fn who_expects_to_continue_is_told_so_or_refused_at_once() {
    let site = Site::new(&["--max-body", "10"]);
    let mut wire = Wire::to(site.addr);
    let post = |len: usize| {
        format!(
            "POST /api/notes HTTP/1.1\r\nhost: x\r\ncontent-length: {len}\r\nexpect: 100-continue\r\n\r\n"
        )
    };
    wire.send(post(10));
    assert!(wire.head().starts_with("HTTP/1.1 100 "));
    wire.send("{\"text\":1}");
    assert_eq!(wire.answer().status(), 400);
    // One that is too large need not be sent.
    let mut wire = Wire::to(site.addr);
    wire.send(post(11));
    assert_eq!(wire.answer().status(), 413);
}

#[test]
fn a_request_has_its_time() {
    let site = Site::new(&["--request-timeout", "0.1"]);
    let mut wire = Wire::to(site.addr);
    let answer = wire.get("/api/wait?ms=60000");
    assert_eq!((answer.status(), answer.text()), (503, "{\"error\":\"context deadline exceeded\"}\n".into()));
    // A body that does not come is not waited for either.
    wire.send("POST /api/notes HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n{");
    assert_eq!(wire.answer().status(), 408);
}

#[test]
fn a_slow_head_and_an_idle_connection_are_ended() {
    // Long enough for a head that is sent at once.
    let site = Site::new(&["--header-timeout", "2"]);
    let began = Instant::now();
    let mut idle = Wire::to(site.addr);
    assert_eq!(idle.get("/hello.txt").status(), 200);
    // A byte now and then does not help.
    let mut slow = Wire::to(site.addr);
    for byte in b"GET / HTTP/1.1\r\nhost: x\r\nx: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy" {
        if slow.stream.write_all(&[*byte]).is_err() {
            break;
        }
        thread::sleep(Duration::from_millis(50));
    }
    slow.rest();
    idle.rest();
    assert!(began.elapsed() >= Duration::from_secs(2));
    assert_eq!(Wire::to(site.addr).get("/hello.txt").status(), 200);
}

#[test]
fn a_client_that_takes_nothing_is_dropped_and_told_as_broken() {
    let site = Site::new(&["--write-timeout", "0.1"]);
    let mut greedy = Wire::to(site.addr);
    greedy.send("GET /large.bin HTTP/1.1\r\nhost: x\r\n\r\n");
    let line = site.server.line_with("/large.bin");
    assert!(line.ends_with(" broken"), "{line}");
}

#[test]
fn clients_that_reset_leave_nothing_behind() {
    let site = Site::new(&[]);
    let mut wire = Wire::to(site.addr);
    assert_eq!(wire.get("/large.bin").body.len(), LARGE);
    site.server.line_with("/large.bin");
    let before = site.server.descriptors();
    for _ in 0..20 {
        let mut other = Wire::to(site.addr);
        other.send("GET /large.bin HTTP/1.1\r\nhost: x\r\n\r\n");
        other.head();
        // What has come and was not read makes the close a reset.
        drop(other);
        let line = site.server.line_with("/large.bin");
        assert!(line.ends_with(" broken"), "{line}");
    }
    // The one that is still open.
    assert_eq!(wire.get("/hello.txt").status(), 200);
    // Each of the workers opens some of its own when it first waits for a socket.
    let few = before + 8;
    let patience = Instant::now();
    while site.server.descriptors() > few && patience.elapsed() < server::PATIENCE {
        thread::sleep(Duration::from_millis(10));
    }
    assert!(site.server.descriptors() <= few);
}

#[test]
fn connections_beyond_the_limit_wait() {
    let site = Site::new(&["--max-connections", "2"]);
    let mut first = Wire::to(site.addr);
    let mut second = Wire::to(site.addr);
    assert_eq!(first.get("/hello.txt").status(), 200);
    assert_eq!(second.get("/hello.txt").status(), 200);
    let mut third = Wire::to(site.addr);
    third.send("GET /hello.txt HTTP/1.1\r\nhost: x\r\n\r\n");
    third.stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    third.stream.peek(&mut [0]).unwrap_err();
    third.stream.set_read_timeout(Some(server::PATIENCE)).unwrap();
    drop(first);
    assert_eq!(third.answer().status(), 200);
}

#[test]
fn without_descriptors_it_waits_and_goes_on() {
    // On a machine that stands still for a while none of them has been idle for too long, and makes room by that.
    let mut site = Site::limited("40", &["--header-timeout", "600"]);
    // More than it can accept; those that it can't take wait in the system's queue.
    let mut clients: Vec<Wire> = (0..60).map(|_| Wire::to(site.addr)).collect();
    for client in &mut clients {
        client.send("GET /api/health HTTP/1.1\r\nhost: x\r\n\r\n");
    }
    assert_eq!(clients[0].answer().status(), 200);
    let last = clients.pop().unwrap();
    last.stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    last.stream.peek(&mut [0]).unwrap_err();
    // A file can't be opened either, and that is an answer.
    assert_eq!(clients[0].get("/hello.txt").status(), 500);
    clients.clear();
    last.stream.set_read_timeout(Some(server::PATIENCE)).unwrap();
    let mut last = last;
    assert_eq!(last.answer().status(), 200);
    assert_eq!(last.get("/hello.txt").status(), 200);
    assert!(site.server.is_running());
}

#[test]
fn what_is_not_http_is_refused() {
    let site = Site::new(&[]);
    for nonsense in ["\0\r\n\r\n", "GET /\r\n\r\n", "GET / HTTP/1.1\r\nbad header\r\n\r\n"] {
        let mut wire = Wire::to(site.addr);
        wire.send(nonsense);
        let told = text(&wire.rest());
        assert!(told.starts_with("HTTP/1.1 400 "), "{nonsense:?}: {told}");
    }
    let mut wire = Wire::to(site.addr);
    let _ = wire.stream.write_all(format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(1 << 20)).as_bytes());
    let told = text(&wire.rest());
    assert!(told.is_empty() || told.starts_with("HTTP/1.1 431 "), "{told}");
}

#[test]
fn a_closed_http_1_0_connection_is_not_kept() {
    let site = Site::new(&[]);
    let mut wire = Wire::to(site.addr);
    wire.send("GET /hello.txt HTTP/1.0\r\n\r\n");
    let told = text(&wire.rest());
    assert!(told.starts_with("HTTP/1.0 200 ") && told.ends_with("hello, world\n"), "{told}");
}

#[test]
fn a_request_says_once_to_which_host_it_is() {
    let site = Site::new(&[]);
    for hosts in ["", "host: a\r\nhost: b\r\n", "host: a/b\r\n"] {
        let mut wire = Wire::to(site.addr);
        wire.send(format!("GET /hello.txt HTTP/1.1\r\n{hosts}\r\n"));
        assert_eq!(wire.answer().status(), 400, "{hosts:?}");
    }
}
