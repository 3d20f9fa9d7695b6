//! Runs the built `crawler` against the built `webserver`, over the loopback.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

#[path = "../server/mod.rs"]
mod server;

use server::{PATIENCE, Running, text};
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    path::Path,
    process::{Command, Output, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// A site of some pages, served.
struct Site {
    server: Running,
    _root: TempDir,
}

impl Site {
    fn new(pages: &[(&str, &str)]) -> Site {
        let root = TempDir::new().unwrap();
        for (name, content) in pages {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).unwrap();
            fs::write(path, content).unwrap();
        }
        let arguments = ["--listen".into(), "127.0.0.1:0".into(), root.path().into()];
        Site { server: Running::listening(env!("CARGO_BIN_EXE_webserver"), arguments), _root: root }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.addr())
    }

    /// The paths that have been asked for, in order.
    fn asked(mut self) -> Vec<String> {
        self.server.signal("TERM");
        let mut paths = Vec::new();
        while let Some(line) = self.server.next_line() {
            let request = line.split('"').nth(1).expect("a request in the log");
            paths.push(request.split(' ').nth(1).unwrap().to_string());
        }
        self.server.end();
        paths
    }
}

fn crawl(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_crawler")).args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// Lines without the milliseconds, which differ, in order of their addresses, which hosts may change.
fn told(output: &Output) -> Vec<String> {
    let mut lines: Vec<String> = text(&output.stdout)
        .lines()
        .map(|line| {
            let words: Vec<_> = line.splitn(4, ' ').collect();
            [words[0], words[1], words[3]].join(" ")
        })
        .collect();
    lines.sort();
    lines
}

#[test]
fn each_page_that_may_be_fetched_is_fetched_once_and_missing_ones_are_told() {
    let site = Site::new(&[
        ("robots.txt", "User-agent: *\nDisallow: /private/\nUser-agent: rude\nDisallow:\n"),
        (
            "index.html",
            "<a href=a.html><a href='sub/#top'><a href=/a.html#x><a href=gone.html><a href=http://other.invalid/>",
        ),
        ("a.html", "<a href=/><a href=private/x.html><a href=plain.txt>"),
        ("sub/index.html", "<a href=../a.html>back</a>"),
        ("private/x.html", "<a href=/secret.html>"),
        ("plain.txt", "<a href=/no-link.html>"),
    ]);
    let output = crawl(&["--delay", "0", &site.url("/")]);
    let at = |path: &str| site.url(path);
    let mut expected = [
        format!("200 100 {}", at("/")),
        format!("200 51 {}", at("/a.html")),
        format!("200 22 {}", at("/plain.txt")),
        format!("200 26 {}", at("/sub/")),
        format!("404 {} (linked to by {})", at("/gone.html"), at("/")),
        format!("robots 0 {}", at("/private/x.html")),
    ];
    expected.sort();
    let mut told = told(&output);
    // How long the text of an error is, is the server's matter.
    for line in told.iter_mut().filter(|line| line.starts_with("404 ")) {
        let words: Vec<_> = line.splitn(3, ' ').collect();
        *line = format!("404 {}", words[2]);
    }
    told.sort();
    assert_eq!(told, expected, "{}", text(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "one was missing");
    assert!(text(&output.stderr).contains("5 pages"), "{}", text(&output.stderr));
    let mut asked = site.asked();
    assert_eq!(asked.remove(0), "/robots.txt");
    asked.sort();
    assert_eq!(asked, ["/", "/a.html", "/gone.html", "/plain.txt", "/sub/"]);
}

/// A host that answers each request by what `answer` makes of its path, and what it has been asked for.
fn host(answer: impl Fn(&str) -> Option<String> + Send + 'static) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (tx, asked) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = String::new();
            let mut lines = BufReader::new(stream.try_clone().unwrap());
            while !head.ends_with("\r\n\r\n") && lines.read_line(&mut head).is_ok_and(|len| len > 0) {}
            let path = head.split(' ').nth(1).unwrap_or_default().to_string();
            // Without an answer the connection is broken off.
            if let Some(answer) = answer(&path) {
                let _ = write!(stream, "HTTP/1.1 {answer}");
            }
            let _ = tx.send(path);
        }
    });
    (url, asked)
}

const PAGE: &str = "200 OK\r\ncontent-type: text/html\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi";

#[test]
fn robots_txt_is_heeded_where_it_has_moved_to() {
    let (url, asked) = host(|path| {
        Some(match path {
            "/robots.txt" => {
                "301 Moved\r\nlocation: /rules\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".into()
            }
            "/rules" => {
                let text = "User-agent: *\nDisallow: /\n";
                format!("200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}", text.len())
            }
            _ => PAGE.into(),
        })
    });
    let output = crawl(&["--delay", "0", &url]);
    assert_eq!(told(&output), [format!("robots 0 {url}")]);
    assert_eq!(asked.try_iter().collect::<Vec<_>>(), ["/robots.txt", "/rules"]);
}

#[test]
fn where_robots_txt_can_not_be_had_nothing_is_fetched() {
    let (url, asked) = host(|path| (path != "/robots.txt").then(|| PAGE.into()));
    let output = crawl(&["--delay", "0", &url]);
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stdout);
    assert!(told.starts_with("error 0 ") && told.contains(&format!("{url}: robots.txt: ")), "{told}");
    assert!(asked.try_iter().all(|path| path == "/robots.txt"));
}

#[test]
fn depth_and_number_of_pages_are_bounded() {
    let chain: Vec<(String, String)> =
        (0..20).map(|n| (format!("{n}.html"), format!("<a href={}.html>", n + 1))).collect();
    let pages: Vec<(&str, &str)> = chain.iter().map(|(name, page)| (&**name, &**page)).collect();
    let site = Site::new(&pages);
    let first = site.url("/0.html");
    for limits in [["--depth", "4"], ["--max-pages", "5"]] {
        let output = crawl(&[limits[0], limits[1], "--delay", "0", &first]);
        assert_eq!(told(&output).len(), 5, "{limits:?}");
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
}

#[test]
fn between_two_fetches_from_a_host_it_waits() {
    let site = Site::new(&[("index.html", "<a href=a.html><a href=b.html>"), ("a.html", ""), ("b.html", "")]);
    let started = Instant::now();
    let output = crawl(&["--delay", "0.1", &site.url("/")]);
    // robots.txt and three pages, which is three times to wait; by the crawler's clock, and so by any.
    assert!(started.elapsed() >= Duration::from_millis(300), "{:?}", started.elapsed());
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn hosts_do_not_wait_for_each_other_and_one_that_can_not_be_reached_is_told() {
    let sites = [(); 3].map(|()| Site::new(&[("index.html", "<a href=x.html>"), ("x.html", "")]));
    // Nobody listens there any more.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let closed = format!("http://{closed}/");
    let urls: Vec<String> = sites.iter().map(|site| site.url("/")).chain([closed.clone()]).collect();
    let mut arguments = vec!["--delay", "0.05", "--connections", "2"];
    arguments.extend(urls.iter().map(String::as_str));
    let output = crawl(&arguments);
    let told = told(&output);
    assert_eq!(told.iter().filter(|line| line.starts_with("200 ")).count(), 6, "{told:?}");
    let error = told.iter().find(|line| line.starts_with("error ")).expect("one was not there");
    assert!(error.contains(&closed) && error.contains("refused"), "{error}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_page_that_takes_too_long_is_an_error_and_an_interrupt_ends_it_all() {
    let site = Site::new(&[("index.html", "<a href=/api/wait?ms=25000>")]);
    let output = crawl(&["--delay", "0", "--timeout", "0.2", &site.url("/")]);
    assert!(told(&output).iter().any(|line| line.contains("it took too long")), "{}", text(&output.stdout));
    let mut child = Command::new("env")
        .args(["--default-signal=INT", env!("CARGO_BIN_EXE_crawler"), "--delay", "0", &site.url("/")])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The first page has been told of, and the second is waited for.
    let mut first = [0; 4];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut first).unwrap();
    assert_eq!(&first, b"200 ");
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let started = Instant::now();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("interrupted"), "{}", text(&output.stderr));
    assert!(started.elapsed() < PATIENCE);
}
