//! HTTP by hand, as guests speak it who do what no client does.

use super::site::pattern;
use rendez::net::{SocketAddr, TcpStream};
use std::{
    io::{BufRead, BufReader, Read, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// Long after an answer should have come.
const PATIENCE: Duration = Duration::from_secs(40);

pub(super) struct Wire {
    lines: BufReader<TcpStream>,
    /// When it was last done with something.
    last: Instant,
    /// The longest that it has let the server wait before it did the next thing, in ms.
    tardy: Arc<AtomicU64>,
}

/// A response, of which the body may be still to come.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: u16,
    length: Option<u64>,
    is_chunked: bool,
}

type Told<T> = Result<T, String>;

fn say(what: &str) -> impl Fn(std::io::Error) -> String {
    move |error| format!("{what}: {error}")
}

impl Wire {
    pub(super) fn to(addr: SocketAddr, tardy: Arc<AtomicU64>) -> Told<Wire> {
        let stream = TcpStream::connect_timeout(&addr, PATIENCE).map_err(say("connecting"))?;
        for set in [TcpStream::set_read_timeout, TcpStream::set_write_timeout] {
            set(&stream, Some(PATIENCE)).map_err(say("setting a time"))?;
        }
        stream.set_nodelay(true).map_err(say("setting no delay"))?;
        Ok(Wire { lines: BufReader::new(stream), last: Instant::now(), tardy })
    }

    pub(super) fn stream(&self) -> &TcpStream {
        self.lines.get_ref()
    }

    /// Does something with the stream, and notes how long the server has waited for that.
    fn now<R>(&mut self, does: impl FnOnce(&mut BufReader<TcpStream>) -> R) -> R {
        self.tardy.fetch_max(self.last.elapsed().as_millis() as u64, Relaxed);
        let done = does(&mut self.lines);
        self.last = Instant::now();
        done
    }

    pub(super) fn send(&mut self, bytes: impl AsRef<[u8]>) -> Told<()> {
        self.now(|lines| lines.get_mut().write_all(bytes.as_ref())).map_err(say("sending"))
    }

    pub(super) fn get(&mut self, path: &str) -> Told<()> {
        self.send(request("GET", path, ""))
    }

    fn line(&mut self) -> Told<String> {
        let mut line = String::new();
        match self.now(|lines| lines.read_line(&mut line)).map_err(say("reading a line"))? {
            0 => Err("the connection has ended where a line should be".into()),
            _ => Ok(line.trim_end().to_string()),
        }
    }

    pub(super) fn head(&mut self) -> Told<Head> {
        let first = self.line()?;
        let status = first.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
        let mut head =
            Head { status: status.ok_or(format!("no status: {first}"))?, length: None, is_chunked: false };
        loop {
            let line = self.line()?.to_lowercase();
            match line.split_once(": ") {
                None => return Ok(head),
                Some(("content-length", length)) => head.length = length.parse().ok(),
                Some(("transfer-encoding", "chunked")) => head.is_chunked = true,
                Some(_) => {}
            }
        }
    }

    /// The next response with status 200, whose body `each` gets piece by piece.
    pub(super) fn body(&mut self, each: &mut impl FnMut(&[u8]) -> Told<()>) -> Told<()> {
        let head = self.head()?;
        if head.status != 200 {
            return Err(format!("{head:?}"));
        }
        if !head.is_chunked {
            return self.take(head.length.ok_or("a body without a length")?, each);
        }
        loop {
            let line = self.line()?;
            let len =
                u64::from_str_radix(&line, 16).map_err(|_| format!("no length of a chunk: {line:?}"))?;
            self.take(len, each)?;
            self.line()?;
            if len == 0 {
                return Ok(());
            }
        }
    }

    /// So many bytes.
    fn take(&mut self, mut len: u64, each: &mut impl FnMut(&[u8]) -> Told<()>) -> Told<()> {
        let mut buf = vec![0; 16 * 1024];
        while len > 0 {
            let most = buf.len().min(len as usize);
            match self.now(|lines| lines.read(&mut buf[..most])).map_err(say("reading a body"))? {
                0 => return Err(format!("a body ends {len} bytes too early")),
                got => {
                    each(&buf[..got])?;
                    len -= got as u64;
                }
            }
        }
        Ok(())
    }

    pub(super) fn text(&mut self) -> Told<String> {
        let mut all = Vec::new();
        self.body(&mut |piece| {
            all.extend_from_slice(piece);
            Ok(())
        })?;
        Ok(String::from_utf8_lossy(&all).into_owned())
    }

    /// A body that is the pattern, of so many bytes.
    pub(super) fn pattern(&mut self, len: u64, pause: &mut impl FnMut()) -> Told<()> {
        let mut place = 0;
        self.body(&mut |piece| {
            if piece != pattern(place, piece.len()) {
                return Err(format!("other bytes after {place}"));
            }
            place += piece.len() as u64;
            pause();
            Ok(())
        })?;
        if place == len { Ok(()) } else { Err(format!("{place} bytes, not {len}")) }
    }

    /// Reads until the other side has ended the connection, or broken it off; how much came.
    pub(super) fn rest(&mut self) -> Told<u64> {
        let (mut all, mut buf) = (0, vec![0; 64 * 1024]);
        loop {
            match self.lines.read(&mut buf) {
                Ok(0) => return Ok(all),
                Ok(len) => all += len as u64,
                Err(error) if error.kind() == std::io::ErrorKind::TimedOut => {
                    return Err("the other side does not end it".into());
                }
                Err(_) => return Ok(all),
            }
        }
    }
}

pub(super) fn request(method: &str, path: &str, headers: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nhost: soak\r\n{headers}\r\n")
}
