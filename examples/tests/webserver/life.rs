//! How it starts and ends.

use super::*;
use server::Wire;
use std::process::Command;

#[test]
fn a_signal_drains_it() {
    for signal in ["TERM", "INT"] {
        let mut site = Site::new(&[]);
        let mut idle = Wire::to(site.addr);
        assert_eq!(idle.get("/hello.txt").status(), 200);
        let mut busy = Wire::to(site.addr);
        busy.send("POST /api/echo HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhe");
        assert!(busy.head().starts_with("HTTP/1.1 200 "));
        site.server.signal(signal);
        // The idle one is closed; the other may come to its end.
        assert_eq!(idle.rest(), b"");
        assert!(site.server.is_running());
        busy.send("llo");
        let rest = text(&busy.rest());
        assert!(rest.contains("he") && rest.ends_with("0\r\n\r\n"), "{rest:?}");
        let (status, stderr) = site.server.end();
        assert_eq!(status.code(), Some(0), "{stderr}");
        assert!(stderr.ends_with("served 2 connections, cut 0\n"), "{stderr}");
        assert!(site.server.line_with("/api/echo").ends_with(" ok"));
    }
}

#[test]
fn a_drain_has_its_time() {
    let mut site = Site::new(&["--drain", "0.1"]);
    let mut busy = Wire::to(site.addr);
    busy.send("POST /api/echo HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhe");
    busy.head();
    site.server.signal("TERM");
    let (status, stderr) = site.server.end();
    assert_eq!(status.code(), Some(1), "{stderr}");
    assert!(stderr.ends_with("cut 1\n"), "{stderr}");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut site = Site::new(&[]);
    let mut busy = Wire::to(site.addr);
    busy.send("POST /api/echo HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhe");
    busy.head();
    let mut idle = Wire::to(site.addr);
    assert_eq!(idle.get("/hello.txt").status(), 200);
    site.server.signal("TERM");
    idle.rest();
    site.server.signal("TERM");
    let (status, _) = site.server.end();
    use std::os::unix::process::ExitStatusExt;
    assert_eq!(status.signal(), Some(15));
}

#[test]
fn a_port_that_is_taken_is_named() {
    let site = Site::new(&[]);
    let addr = site.addr.to_string();
    let out = Command::new(env!("CARGO_BIN_EXE_webserver")).args(["--listen", &addr]).output().unwrap();
    assert_eq!(out.status.code(), Some(1));
    let told = text(&out.stderr);
    assert!(told.contains(&addr) && told.contains("in use"), "{told}");
}

#[test]
fn a_root_that_is_not_there_is_named_and_help_is_given() {
    let out = Command::new(env!("CARGO_BIN_EXE_webserver")).arg("/no/such/place").output().unwrap();
    assert_eq!(out.status.code(), Some(1));
    assert!(text(&out.stderr).contains("/no/such/place"));
    let help = Command::new(env!("CARGO_BIN_EXE_webserver")).arg("--help").output().unwrap();
    assert!(help.status.success() && text(&help.stdout).contains("/api/notes"));
}
