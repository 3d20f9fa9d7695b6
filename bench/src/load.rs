//! A load of HTTP requests: connections that each send a request, wait for the whole response, and send the next.
//!
//! It runs as a process of its own, the same for all contestants (`bench load`), with as many threads as there are CPUs, of which each
//! sees to its share of the connections by epoll. There is nothing in it of what it measures.

use crate::{gauge, machine, wrk};
use clap::{Args, ValueEnum};
use std::{
    env,
    io::{self, ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    process::Command,
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

/// So many connections at once.
pub(crate) const CONNECTIONS: usize = 64;
/// The same load before what is measured, in ms.
const WARM_UP: u64 = 500;
/// Where Go's children find the program that makes the load.
pub(crate) const PROGRAM: &str = "BENCH_LOAD";

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";
const CONTENT_LENGTH: &[u8] = b"content-length:";
pub(crate) const BODY: &str = "Hello, World!";

/// What is told of a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Tell {
    /// Responses in a second.
    Rate,
    /// The time from a request to its response that half of them don't exceed, in microseconds.
    P50,
    /// The same for 99 of 100.
    P99,
    /// The same for 999 of 1000.
    P999,
    /// All responses, those while warming up included: by which the server divides the CPU time that it used.
    Cpu,
}

/// The arguments of `bench load`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Load {
    /// Where the server listens
    #[arg(long)]
    addr: SocketAddr,
    #[arg(long, default_value_t = CONNECTIONS)]
    connections: usize,
    /// How long, after warming up
    #[arg(long, value_name = "MS", default_value_t = 3000)]
    ms: u64,
    #[arg(long, value_enum, default_value = "rate")]
    tell: Tell,
}

/// Has a process of its own load the server at `addr`, which is in this one, and returns what that tells; or the CPU time of this process
/// for each request, in microseconds.
pub(crate) fn on(addr: SocketAddr, ms: u64, tell: Tell) -> f64 {
    let program = env::current_exe().expect("this program has a name");
    let name = tell.to_possible_value().expect("none is hidden");
    let (addr, ms) = (addr.to_string(), ms.to_string());
    let before = gauge::cpu_time();
    let mut command = Command::new(program);
    command.args(["load", "--addr", &addr, "--ms", &ms, "--tell", name.get_name()]);
    let out = command.output().expect("this program starts");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let told = String::from_utf8_lossy(&out.stdout).trim().parse().expect("it tells a number");
    match tell {
        Tell::Cpu => (gauge::cpu_time() - before).as_secs_f64() * 1e6 / told,
        _ => told,
    }
}

impl Load {
    /// Makes the load and prints the number.
    ///
    /// # Errors
    /// If the server does not answer as it should.
    pub(crate) fn run(&self) -> Result<(), String> {
        if let Some(program) = wrk::program() {
            println!("{}", wrk::load(&program, self.addr, self.connections, self.ms, self.tell)?);
            return Ok(());
        }
        let (all, times) = self.times().map_err(|error| error.to_string())?;
        match self.tell {
            Tell::Cpu => println!("{all}"),
            tell => println!("{}", told(tell, times, self.ms)),
        }
        Ok(())
    }

    /// How many were answered, and how long each took that was so in the time that counts, in nanoseconds.
    fn times(&self) -> io::Result<(u64, Vec<u32>)> {
        let threads = machine::cpus().min(self.connections);
        let ready = Barrier::new(threads);
        let times = thread::scope(|scope| {
            let share = |i| self.connections / threads + usize::from(i < self.connections % threads);
            let ready = &ready;
            let all: Vec<_> =
                (0..threads).map(|i| scope.spawn(move || self.thread(share(i), ready))).collect();
            all.into_iter().map(|one| one.join().expect("it does not panic")).collect::<io::Result<Vec<_>>>()
        })?;
        let (all, times): (Vec<u64>, Vec<_>) = times.into_iter().unzip();
        Ok((all.iter().sum(), times.concat()))
    }

    fn thread(&self, connections: usize, ready: &Barrier) -> io::Result<(u64, Vec<u32>)> {
        let connected = (0..connections).map(|_| Connection::to(self.addr)).collect::<io::Result<Vec<_>>>();
        ready.wait();
        let mut connections = connected?;
        let epoll = Epoll::new()?;
        for (index, connection) in connections.iter_mut().enumerate() {
            epoll.watch(&connection.stream, index)?;
            connection.send()?;
        }
        let from = Instant::now() + Duration::from_millis(WARM_UP);
        let until = from + Duration::from_millis(self.ms);
        let mut times = Vec::with_capacity(1 << 20);
        let mut all = 0;
        loop {
            let mut now = Instant::now();
            for index in epoll.wait()? {
                let connection = &mut connections[index];
                if connection.has_answered()? {
                    now = Instant::now();
                    all += 1;
                    if now >= from && now < until {
                        let nanos = now.duration_since(connection.sent).as_nanos();
                        times.push(u32::try_from(nanos).unwrap_or(u32::MAX));
                    }
                    connection.send()?;
                }
            }
            if now >= until {
                return Ok((all, times));
            }
        }
    }
}

fn told(tell: Tell, mut times: Vec<u32>, ms: u64) -> f64 {
    let within = |share: f64| {
        let index = (times.len() as f64 * share) as usize;
        let index = index.min(times.len().saturating_sub(1));
        move |times: &mut Vec<u32>| f64::from(*times.select_nth_unstable(index).1) / 1e3
    };
    if times.is_empty() {
        return f64::NAN;
    }
    match tell {
        Tell::Rate => times.len() as f64 * 1e3 / ms as f64,
        Tell::P50 => within(0.5)(&mut times),
        Tell::P99 => within(0.99)(&mut times),
        Tell::P999 => within(0.999)(&mut times),
        Tell::Cpu => unreachable!("it is no number of times"),
    }
}

/// One connection, of which one request is under way.
struct Connection {
    stream: TcpStream,
    buf: Vec<u8>,
    /// How much of the response is there, and how long it is, once its head is there.
    got: usize,
    len: Option<usize>,
    sent: Instant,
}

impl Connection {
    fn to(addr: SocketAddr) -> io::Result<Connection> {
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Connection { stream, buf: vec![0; 4096], got: 0, len: None, sent: Instant::now() })
    }

    fn send(&mut self) -> io::Result<()> {
        self.sent = Instant::now();
        (self.got, self.len) = (0, None);
        self.stream.write_all(REQUEST)
    }

    /// Reads what there is; whether that is all of the response.
    fn has_answered(&mut self) -> io::Result<bool> {
        match self.stream.read(&mut self.buf[self.got..]) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(len) => self.got += len,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
        let got = &self.buf[..self.got];
        if self.len.is_none() {
            self.len = length(got);
        }
        match self.len {
            Some(len) if len == self.got => {
                if !got.starts_with(b"HTTP/1.1 200 ") || !got.ends_with(BODY.as_bytes()) {
                    return Err(io::Error::new(ErrorKind::InvalidData, "not the response that was expected"));
                }
                Ok(true)
            }
            Some(len) if len < self.got => {
                Err(io::Error::new(ErrorKind::InvalidData, "more than the response"))
            }
            _ => Ok(false),
        }
    }
}

/// How long the response is that begins so: its head and the `Content-Length`.
fn length(got: &[u8]) -> Option<usize> {
    let head = got.windows(4).position(|end| end == b"\r\n\r\n")?;
    let value = got[..head].split(|&byte| byte == b'\n').find_map(|line| {
        let (name, value) = line.split_at_checked(CONTENT_LENGTH.len())?;
        name.eq_ignore_ascii_case(CONTENT_LENGTH).then_some(value)
    })?;
    let value = str::from_utf8(value).ok()?;
    Some(head + 4 + value.trim().parse::<usize>().ok()?)
}

struct Epoll(OwnedFd);

impl Epoll {
    fn new() -> io::Result<Epoll> {
        // SAFETY: no memory is passed.
        match unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) } {
            // SAFETY: just made, and nobody else's.
            fd if fd >= 0 => Ok(Epoll(unsafe { OwnedFd::from_raw_fd(fd) })),
            _ => Err(io::Error::last_os_error()),
        }
    }

    fn watch(&self, stream: &TcpStream, index: usize) -> io::Result<()> {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: index as u64 };
        let (epoll, fd) = (self.0.as_raw_fd(), stream.as_raw_fd());
        // SAFETY: the event is read during the call alone.
        match unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &raw mut event) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Those that have something to read; none after a while.
    fn wait(&self) -> io::Result<impl Iterator<Item = usize> + use<>> {
        const EVENTS: usize = 64;
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; EVENTS];
        // SAFETY: there is room for so many.
        let len =
            unsafe { libc::epoll_wait(self.0.as_raw_fd(), events.as_mut_ptr(), EVENTS as libc::c_int, 100) };
        match usize::try_from(len) {
            Ok(len) => Ok(events.into_iter().take(len).map(|event| event.u64 as usize)),
            Err(_) => Err(io::Error::last_os_error()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 13\r\n\r\nHello, World!";

    #[test]
    fn the_length_of_a_response_is_known_once_its_head_is_there() {
        assert_eq!(length(RESPONSE), Some(RESPONSE.len()));
        assert_eq!(length(&RESPONSE[..RESPONSE.len() - 14]), None);
        assert_eq!(length(b"HTTP/1.1 200 OK\r\n\r\n"), None);
    }

    #[test]
    fn percentiles_are_those_of_the_times() {
        let times: Vec<u32> = (1..=1000).rev().map(|i| i * 1000).collect();
        let of = |tell| told(tell, times.clone(), 500);
        assert_eq!([of(Tell::P50), of(Tell::P99), of(Tell::P999)], [501.0, 991.0, 1000.0]);
        assert_eq!(of(Tell::Rate), 2000.0);
    }

    /// A server that answers `answers` times on each connection, in pieces.
    fn server(connections: usize, response: &'static [u8]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming().take(connections) {
                let mut stream = stream.unwrap();
                thread::spawn(move || {
                    let mut buf = [0; REQUEST.len()];
                    while stream.read_exact(&mut buf).is_ok() {
                        let (start, end) = response.split_at(7);
                        if stream.write_all(start).and_then(|()| stream.write_all(end)).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        addr
    }

    #[test]
    fn every_response_counts_once_it_is_whole() {
        let load = Load { addr: server(3, RESPONSE), connections: 3, ms: 50, tell: Tell::Rate };
        let (all, times) = load.times().unwrap();
        assert!(!times.is_empty() && times.len() as u64 <= all);
    }

    #[test]
    fn another_response_is_an_error() {
        let wrong = b"HTTP/1.1 500 No\r\nContent-Length: 13\r\n\r\nHello, World!";
        let load = Load { addr: server(3, wrong), connections: 3, ms: 50, tell: Tell::Rate };
        assert_eq!(load.times().unwrap_err().kind(), ErrorKind::InvalidData);
    }
}
