//! A server that is driven from outside, the tools it is driven with, and a client that speaks by hand.
#![allow(dead_code, reason = "each test uses its own part of this")]

use std::{
    ffi::{OsStr, OsString},
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

/// Long after what is waited for should have come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A server that does not outlive its test.
pub(crate) struct Running {
    child: Child,
    /// What it says on stdout, line by line.
    lines: Receiver<String>,
    stderr: Option<thread::JoinHandle<Vec<u8>>>,
    addr: SocketAddr,
}

impl Running {
    /// Starts it, and waits until it says where it listens.
    pub(crate) fn listening(program: &str, arguments: impl IntoIterator<Item = OsString>) -> Running {
        Running::limited("unlimited", program, arguments)
    }

    /// The same, with no more than so many open file descriptors.
    pub(crate) fn limited(
        descriptors: &str,
        program: &str,
        arguments: impl IntoIterator<Item = OsString>,
    ) -> Running {
        // Signals are not ignored, even where the tests' own parent ignores them.
        let mut command = Command::new("env");
        let limit = match descriptors {
            "unlimited" => "exec \"$@\"".to_string(),
            some => format!("ulimit -n {some} && exec \"$@\""),
        };
        command.args(["--default-signal=INT,TERM", "sh", "-c", &limit, "sh", program]).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (tx, lines) = mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| tx.send(line)));
        let mut stderr = child.stderr.take().unwrap();
        let stderr = thread::spawn(move || {
            let mut all = Vec::new();
            let _ = stderr.read_to_end(&mut all);
            all
        });
        let first = lines.recv_timeout(PATIENCE).expect("it says where it listens");
        let addr = first.rsplit_once("://").expect("an address").1.parse().unwrap();
        Running { child, lines, stderr: Some(stderr), addr }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The next line on stdout.
    pub(crate) fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("another line")
    }

    /// The next line on stdout, or its end.
    pub(crate) fn next_line(&self) -> Option<String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("neither another line nor the end"),
        }
    }

    /// The next line for which that holds.
    pub(crate) fn line_with(&self, what: &str) -> String {
        loop {
            let line = self.line();
            if line.contains(what) {
                return line;
            }
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        let kill = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(kill.unwrap().success());
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end: how it ended, and what it said on stderr.
    pub(crate) fn end(&mut self) -> (ExitStatus, String) {
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(started.elapsed() < PATIENCE, "does not end");
            thread::sleep(Duration::from_millis(2));
        };
        let stderr = self.stderr.take().expect("once").join().unwrap();
        (status, text(&stderr))
    }

    /// Open file descriptors, as the system tells.
    pub(crate) fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(stderr) = self.stderr.take()
            && thread::panicking()
        {
            eprintln!("its stderr:\n{}", text(&stderr.join().unwrap_or_default()));
        }
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Where to listen, and, unless the test is about that, patience with what a slow machine has the clients be slow at.
pub(crate) fn listen(arguments: &[&str]) -> &'static [&'static str] {
    let all = &["--listen", "127.0.0.1:0", "--header-timeout", "60"];
    if arguments.contains(&all[2]) { &all[..2] } else { all }
}

/// Whether a tool is there; where it is not, the test says that it was skipped.
pub(crate) fn is_there(tool: &str) -> bool {
    let there = Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let there = there.is_ok_and(|status| status.success());
    if !there {
        println!("SKIPPED: {tool} is not installed");
    }
    there
}

/// Runs curl; `-q` first, so that nobody's settings count.
pub(crate) fn curl<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Output {
    let mut command = Command::new("curl");
    command.args(["-q", "--silent", "--show-error", "--noproxy", "*", "--max-time", "50"]).args(arguments);
    command.output().unwrap()
}

/// What curl gets, which is to succeed.
#[track_caller]
pub(crate) fn fetched<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Vec<u8> {
    let output = curl(arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    output.stdout
}

/// A connection on which HTTP is spoken by hand.
pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
    ahead: Vec<u8>,
}

/// A response as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// A header's value; names are in lower case, as hyper writes them.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    pub(crate) fn text(&self) -> String {
        text(&self.body)
    }
}

impl Wire {
    pub(crate) fn to(addr: SocketAddr) -> Wire {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Wire { stream, ahead: Vec::new() }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Asks without a body.
    pub(crate) fn ask(&mut self, method: &str, path: &str, headers: &str) -> Answer {
        self.send(format!("{method} {path} HTTP/1.1\r\nhost: x\r\n{headers}\r\n"));
        self.answer_to(method)
    }

    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.ask("GET", path, "")
    }

    fn more(&mut self) {
        let mut buf = [0; 64 * 1024];
        let len = self.stream.read(&mut buf).unwrap();
        assert!(len > 0, "ended after {:?}", text(&self.ahead));
        self.ahead.extend_from_slice(&buf[..len]);
    }

    fn take(&mut self, len: usize) -> Vec<u8> {
        while self.ahead.len() < len {
            self.more();
        }
        self.ahead.drain(..len).collect()
    }

    fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.ahead.windows(2).position(|two| two == b"\r\n") {
                let line = self.take(end + 2);
                return text(&line[..end]);
            }
            self.more();
        }
    }

    /// The next head, without the empty line.
    pub(crate) fn head(&mut self) -> String {
        let mut head = String::new();
        loop {
            match self.line() {
                line if line.is_empty() => return head,
                line => head = head + &line + "\n",
            }
        }
    }

    /// The next response, to a request of that method.
    pub(crate) fn answer_to(&mut self, method: &str) -> Answer {
        let mut answer = Answer { head: self.head(), body: Vec::new() };
        let status = answer.status();
        if method == "HEAD" || status == 204 || status == 304 {
            return answer;
        }
        if answer.header("transfer-encoding") == Some("chunked") {
            loop {
                let len = usize::from_str_radix(&self.line(), 16).unwrap();
                let piece = self.take(len);
                assert_eq!(self.line(), "");
                if piece.is_empty() {
                    return answer;
                }
                answer.body.extend(piece);
            }
        }
        let len = answer.header("content-length").expect("a length").parse().unwrap();
        answer.body = self.take(len);
        answer
    }

    pub(crate) fn answer(&mut self) -> Answer {
        self.answer_to("GET")
    }

    /// Whatever comes until the other side ends the connection, or breaks it off.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut all = std::mem::take(&mut self.ahead);
        let _ = self.stream.read_to_end(&mut all);
        all
    }
}
