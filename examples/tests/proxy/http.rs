//! Requests, before webservers.

use super::*;
use server::{fetched, is_there};
use std::{
    thread,
    time::{Duration, Instant},
};

#[test]
fn requests_go_to_the_upstreams_by_turns() {
    let upstreams = ["a", "b", "c"].map(Upstream::new);
    let proxy = proxy(&SELDOM, &upstreams.each_ref().map(|upstream| upstream.addr));
    let mut wire = Wire::to(proxy.addr());
    let turns: String = (0..6).map(|_| who(&mut wire)).collect();
    assert!(["abcabc", "bcabca", "cabcab"].contains(&turns.as_str()), "{turns}");
}

#[test]
fn connections_to_an_upstream_are_used_again() {
    let mut upstream = Upstream::new("a");
    let mut proxy = proxy(&SELDOM, &[upstream.addr]);
    let mut wire = Wire::to(proxy.addr());
    (0..20).for_each(|_| assert_eq!(who(&mut wire), "a"));
    assert_eq!(wire.ask("HEAD", "/who", "").header("content-length"), Some("1"));
    assert_eq!(wire.get("/large.bin").body.len(), LARGE);
    assert_eq!(who(&mut wire), "a");
    drop(wire);
    proxy.signal("TERM");
    assert_eq!(proxy.end().0.code(), Some(0));
    upstream.server.signal("TERM");
    let (_, told) = upstream.server.end();
    // One for the check at the beginning, one for all requests.
    assert!(told.contains("served 2 connections"), "{told}");
}

#[test]
fn curl_sees_no_difference() {
    if !is_there("curl") {
        return;
    }
    let upstream = Upstream::new("a");
    let proxy = proxy(&SELDOM, &[upstream.addr]);
    let url = |path: &str| format!("http://{}{path}", proxy.addr());
    let large = upstream.root.path().join("large.bin");
    let data = format!("@{}", large.display());
    assert!(fetched([url("/large.bin")]) == fs::read(&large).unwrap());
    assert_eq!(fetched(["-r", "5-14", &url("/large.bin")]), b"xxxxxxxxxx");
    for header in ["Expect: 100-continue", "Transfer-Encoding: chunked"] {
        let told = text(&fetched(["--data-binary", &data, "-H", header, &url("/api/digest")]));
        assert!(told.starts_with(&format!("{{\"bytes\":{LARGE},")), "{told}");
    }
    let echo = fetched(["--data-binary", &data, "-H", "Expect:", &url("/api/echo")]);
    assert!(echo == fs::read(&large).unwrap(), "{} bytes", echo.len());
    let created = text(&fetched(["-i", "-d", r#"{"text":"n"}"#, &url("/api/notes")]));
    assert!(
        created.starts_with("HTTP/1.1 201 ") && created.contains("\r\nvia: 1.1 rendez-proxy"),
        "{created}"
    );
    let gone = text(&fetched(["-X", "DELETE", "-w", "%{http_code}", &url("/api/notes/1")]));
    assert_eq!(gone, "204");
}

#[test]
fn an_upstream_that_goes_is_left_out_and_comes_back() {
    let (first, mut second) = (Upstream::new("a"), Upstream::new("b"));
    let settings = ["--health-path", "/api/health", "--health-interval", "0.05"];
    let proxy = proxy(&settings, &[first.addr, second.addr]);
    let mut wire = Wire::to(proxy.addr());
    // By turns; but one whose health is asked for on a slow machine may be left out for a moment.
    for name in ["a", "b", "a"] {
        answers(&mut wire, name);
    }

    second.server.signal("TERM");
    second.server.end();
    // From the first request on: those that can't be sent to it are sent to the other.
    (0..8).for_each(|_| assert_eq!(who(&mut wire), "a"));

    let _again = Upstream::at("b", &second.addr.to_string());
    answers(&mut wire, "b");
}

/// Asks until it is that one that answers.
fn answers(wire: &mut Wire, name: &str) {
    let began = Instant::now();
    while who(wire) != name {
        assert!(began.elapsed() < server::PATIENCE, "{name} does not answer");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn what_is_under_way_comes_to_its_end() {
    let upstream = Upstream::new("a");
    let mut proxy = proxy(&SELDOM, &[upstream.addr]);
    let mut idle = Wire::to(proxy.addr());
    assert_eq!(who(&mut idle), "a");
    let mut busy = Wire::to(proxy.addr());
    busy.send("POST /api/echo HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhe");
    assert!(busy.head().starts_with("HTTP/1.1 200 "));
    proxy.signal("TERM");
    assert_eq!(idle.rest(), b"");
    assert!(proxy.is_running());
    busy.send("llo");
    let rest = text(&busy.rest());
    assert!(rest.ends_with("0\r\n\r\n"), "{rest:?}");
    let (status, told) = proxy.end();
    assert_eq!(status.code(), Some(0), "{told}");
}
