//! HTTPS.

use super::*;
use server::{Wire, curl, fetched, is_there};
use std::process::Command;

#[test]
fn curl_speaks_https() {
    if !is_there("curl") {
        return;
    }
    let mut site = Site::new(&["--tls"]);
    let url = |path: &str| format!("https://{}{path}", site.addr);
    // Its certificate is nobody's.
    assert_eq!(curl([url("/hello.txt")]).status.code(), Some(60));
    let told = text(&fetched(["-k", "-i", &url("/hello.txt")]));
    assert!(told.starts_with("HTTP/1.1 200 OK\r\n") && told.ends_with("hello, world\n"), "{told}");
    assert!(fetched(["-k", &url("/large.bin")]) == large());
    let data = format!("@{}", site.root.path().join("site/large.bin").display());
    let echo = fetched(["-k", "--data-binary", &data, &url("/api/echo")]);
    assert!(echo == large(), "{} bytes", echo.len());
    for version in [&["--tlsv1.3"][..], &["--tls-max", "1.2"]] {
        let url = url("/hello.txt");
        let arguments = ["-k", &url].into_iter().chain(version.iter().copied());
        assert_eq!(text(&fetched(arguments)), "hello, world\n", "{version:?}");
    }
    site.server.signal("TERM");
    let (status, told) = site.server.end();
    assert_eq!(status.code(), Some(0), "{told}");
}

#[test]
fn who_does_not_speak_tls_holds_up_nobody() {
    let site = Site::new(&["--tls"]);
    // One that says nothing, and one that speaks HTTP.
    let _silent = Wire::to(site.addr);
    let mut plain = Wire::to(site.addr);
    plain.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    assert!(!text(&plain.rest()).contains("HTTP/1.1"));
    if !is_there("python3") {
        return;
    }
    let script = "import http.client, ssl, sys; host, port = sys.argv[1].split(':')
c = http.client.HTTPSConnection(host, int(port), context=ssl._create_unverified_context(), timeout=50)
for _ in range(3):
    c.request('GET', '/hello.txt'); assert c.getresponse().read() == b'hello, world\\n'";
    let out = Command::new("python3").args(["-I", "-c", script, &site.addr.to_string()]).output().unwrap();
    assert!(out.status.success(), "{}", text(&out.stderr));
}
