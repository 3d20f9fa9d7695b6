//! curl.

use super::*;
use server::{curl, fetched, is_there};
use std::process::Command;

#[test]
fn curl_gets_a_file_and_what_is_told_of_it() {
    if !is_there("curl") {
        return;
    }
    let site = Site::new(&[]);
    let told = text(&fetched(["-i", &site.url("/hello.txt")]));
    assert!(told.starts_with("HTTP/1.1 200 OK\r\n") && told.ends_with("\r\n\r\nhello, world\n"), "{told}");
    for header in [
        "content-type: text/plain; charset=utf-8",
        "content-length: 13",
        "accept-ranges: bytes",
        "etag: \"",
        "last-modified: ",
        "x-request-id: ",
    ] {
        assert!(told.contains(&format!("\r\n{header}")), "{header} in {told}");
    }
    assert_eq!(text(&fetched([site.url("/")])), "<p>index</p>");
    assert_eq!(text(&fetched(["-L", &site.url("/sub%20dir")])), "<p>below</p>");
    assert_eq!(text(&fetched([site.url("/alias.txt")])), "hello, world\n");
    let head = text(&fetched(["-I", &site.url("/large.bin")]));
    assert!(head.contains(&format!("content-length: {LARGE}\r\n")), "{head}");
}

#[test]
fn curl_gets_many_files_over_one_connection() {
    if !is_there("curl") {
        return;
    }
    let site = Site::new(&[]);
    let urls: Vec<String> = (0..20).map(|_| site.url("/hello.txt")).collect();
    let mut arguments = vec!["-w".to_string(), "%{num_connects}\n".into()];
    arguments.extend(urls);
    let told = text(&fetched(arguments));
    assert_eq!(told.matches("hello, world\n").count(), 20);
    assert_eq!(told.lines().filter(|line| *line == "1").count(), 1, "{told}");
    assert_eq!(told.lines().filter(|line| *line == "0").count(), 19, "{told}");
}

#[test]
fn curl_goes_on_with_a_download_where_it_was() {
    if !is_there("curl") {
        return;
    }
    let site = Site::new(&[]);
    let out = site.root.path().join("out");
    let original = fs::read(site.root.path().join("site/large.bin")).unwrap();
    fs::write(&out, &original[..LARGE / 3]).unwrap();
    fetched(["-C", "-", "-o", out.to_str().unwrap(), &site.url("/large.bin")]);
    assert!(fs::read(&out).unwrap() == original);
    let tail = fetched(["-r", "-100", &site.url("/large.bin")]);
    assert_eq!(tail, original[LARGE - 100..]);
}

#[test]
fn curl_is_told_that_it_has_a_file_already() {
    if !is_there("curl") {
        return;
    }
    let site = Site::new(&[]);
    let tag = site.root.path().join("tag");
    let tag = tag.to_str().unwrap();
    let url = site.url("/hello.txt");
    let status = ["-o", "/dev/null", "-w", "%{http_code}"];
    let of = |more: &[&str]| text(&fetched(status.iter().chain(more).chain([&url.as_str()])));
    assert_eq!(of(&["--etag-save", tag]), "200");
    assert_eq!(of(&["--etag-compare", tag]), "304");
    fs::write(site.root.path().join("site/hello.txt"), "changed").unwrap();
    assert_eq!(of(&["--etag-compare", tag]), "200");
}

#[test]
fn curl_sends_large_bodies_and_waits_to_be_told_to_continue() {
    if !is_there("curl") {
        return;
    }
    let site = Site::new(&[]);
    let file = site.root.path().join("site/large.bin");
    let data = format!("@{}", file.display());
    let out = Command::new("sha256sum").arg(&file).output().unwrap();
    let expected = text(&out.stdout);
    let expected = expected.split(' ').next().unwrap();
    // With a length and `Expect: 100-continue`, and in chunks.
    for header in ["Expect: 100-continue", "Transfer-Encoding: chunked"] {
        let told = fetched(["--data-binary", &data, "-H", header, &site.url("/api/digest")]);
        assert_eq!(text(&told), format!("{{\"bytes\":{LARGE},\"sha256\":\"{expected}\"}}\n"));
    }
    let echo = fetched(["--data-binary", &data, "-H", "Expect:", &site.url("/api/echo")]);
    assert!(echo == fs::read(&file).unwrap(), "{} bytes", echo.len());
}

#[test]
fn what_lies_outside_is_not_served() {
    if !is_there("curl") {
        return;
    }
    let site = Site::new(&[]);
    for path in [
        "/../secret",
        "/%2e%2e/secret",
        "/sub%20dir/../../secret",
        "/..%2fsecret",
        "/leak",
        "/nothing",
        "/hello.txt/",
        "/hello.txt/x",
        "/%00",
        "/%ff",
    ] {
        let out = curl(["--path-as-is", "-w", "%{http_code}", &site.url(path)]);
        let told = text(&out.stdout);
        assert!(told.ends_with("404") && !told.contains("secret"), "{path}: {told}");
    }
}

#[test]
fn notes_are_made_changed_and_taken_away() {
    if !is_there("curl") {
        return;
    }
    let site = Site::new(&["--max-body", "100"]);
    let call = |method: &str, path: &str, data: &str| {
        let data: &[&str] = if data.is_empty() { &[] } else { &["-d", data] };
        let url = site.url(path);
        let arguments = ["-X", method, "-w", "%{http_code}", &url].into_iter().chain(data.iter().copied());
        text(&fetched(arguments))
    };
    assert_eq!(call("GET", "/api/notes", ""), "[]\n200");
    assert_eq!(
        call("POST", "/api/notes", r#"{"text":"a \"b\""}"#),
        "{\"id\":1,\"text\":\"a \\\"b\\\"\"}\n201"
    );
    assert_eq!(call("PUT", "/api/notes/1", r#"{"text":"c"}"#), "{\"id\":1,\"text\":\"c\"}\n200");
    assert_eq!(call("GET", "/api/notes", ""), "[{\"id\":1,\"text\":\"c\"}]\n200");
    assert_eq!(call("DELETE", "/api/notes/1", ""), "204");
    assert!(call("GET", "/api/notes/1", "").ends_with("404"));
    assert!(call("POST", "/api/notes", "{").ends_with("400"));
    assert!(call("POST", "/api/notes", r#"{"texts":""}"#).ends_with("400"));
    assert!(call("POST", "/api/notes", &format!("{{\"text\":\"{}\"}}", "x".repeat(100))).ends_with("413"));
    assert!(call("PATCH", "/api/notes", "").ends_with("405"));
    assert!(call("DELETE", "/hello.txt", "").ends_with("405"));
    assert!(call("GET", "/api/nothing", "").ends_with("404"));
}
