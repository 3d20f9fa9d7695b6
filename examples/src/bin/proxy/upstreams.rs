//! The upstreams: whose turn it is, who is well, how often one may try again.

use rendez::{Context, Event, net::TcpStream, sync::Mutex, time::Ticker};
use std::{
    fmt,
    io::{self, Write},
    net::SocketAddr,
    sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
    time::Duration,
};

use crate::http::Link;

/// So many idle connections are kept for each upstream.
const IDLE: usize = 64;
/// The most retries that can have been saved up.
const SAVED: f64 = 10.0;

/// One of those to whom is passed on.
pub(crate) struct Upstream {
    pub(crate) addr: SocketAddr,
    is_up: AtomicBool,
    /// How many checks in a row have failed.
    failed: AtomicU32,
    /// Connections on which a request has been answered to its end, the last one last.
    idle: Mutex<Vec<Link>>,
}

impl Upstream {
    fn new(addr: SocketAddr) -> Upstream {
        Upstream {
            addr,
            is_up: AtomicBool::new(true),
            failed: AtomicU32::new(0),
            idle: Mutex::new(Vec::new()),
        }
    }

    /// A connection that was used before and, for all that is known, is still there.
    pub(crate) fn idle(&self) -> Option<Link> {
        let mut idle = self.idle.lock();
        while let Some(link) = idle.pop() {
            if !link.is_closed() {
                return Some(link);
            }
        }
        None
    }

    /// Keeps a connection for the next request.
    pub(crate) fn give_back(&self, link: Link) {
        let mut idle = self.idle.lock();
        if idle.len() < IDLE && !link.is_closed() {
            idle.push(link);
        }
    }

    fn told(&self, is_well: bool, fall: u32) {
        let failed = if is_well { 0 } else { self.failed.load(Ordering::Relaxed).saturating_add(1) };
        self.failed.store(failed, Ordering::Relaxed);
        let is_up = if is_well { true } else { failed < fall && self.is_up.load(Ordering::Relaxed) };
        if self.is_up.swap(is_up, Ordering::Relaxed) != is_up {
            eprintln!("proxy: {} is {}", self.addr, if is_up { "up" } else { "down" });
            if !is_up {
                self.idle.lock().clear();
            }
        }
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream")
            .field("addr", &self.addr)
            .field("is_up", &self.is_up)
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
pub(crate) struct Upstreams {
    all: Vec<Upstream>,
    turn: AtomicUsize,
    budget: Budget,
}

impl Upstreams {
    pub(crate) fn new(addrs: &[SocketAddr], share: f64) -> Upstreams {
        Upstreams {
            all: addrs.iter().copied().map(Upstream::new).collect(),
            turn: AtomicUsize::new(0),
            budget: Budget::new(share),
        }
    }

    /// A new request, which is to be sent somewhere.
    pub(crate) fn attempts(&self) -> Attempts<'_> {
        self.budget.pay_in();
        Attempts { upstreams: self, first: self.turn.fetch_add(1, Ordering::Relaxed), tried: Vec::new() }
    }

    pub(crate) fn all(&self) -> &[Upstream] {
        &self.all
    }
}

/// To whom one request is sent, one after another until one answers.
#[derive(Debug)]
pub(crate) struct Attempts<'a> {
    upstreams: &'a Upstreams,
    first: usize,
    tried: Vec<usize>,
}

impl<'a> Attempts<'a> {
    /// Who is to be tried next; nobody when all have been, or there have been too many retries.
    pub(crate) fn next(&mut self) -> Option<&'a Upstream> {
        let all = &self.upstreams.all;
        if self.tried.len() == all.len() || !self.tried.is_empty() && !self.upstreams.budget.take() {
            return None;
        }
        let in_turn = || (0..all.len()).map(|i| (self.first.wrapping_add(i)) % all.len());
        let mut left = in_turn().filter(|index| !self.tried.contains(index));
        let up = left.clone().find(|&index| all[index].is_up.load(Ordering::Relaxed));
        // If all that are left are down, that may be over by now.
        let index = up.or_else(|| left.next())?;
        self.tried.push(index);
        Some(&all[index])
    }
}

/// The account of retries.
#[derive(Debug)]
struct Budget {
    share: f64,
    saved: Mutex<f64>,
}

impl Budget {
    fn new(share: f64) -> Budget {
        Budget { share, saved: Mutex::new(if share > 0.0 { SAVED } else { 0.0 }) }
    }

    fn pay_in(&self) {
        let mut saved = self.saved.lock();
        *saved = (*saved + self.share).min(SAVED);
    }

    fn take(&self) -> bool {
        let mut saved = self.saved.lock();
        let enough = *saved >= 1.0;
        if enough {
            *saved -= 1.0;
        }
        enough
    }
}

/// How health is checked.
#[derive(Clone, Debug)]
pub(crate) struct Checks {
    /// None: a connection is enough.
    pub(crate) path: Option<String>,
    pub(crate) interval: Duration,
    pub(crate) fall: u32,
}

impl Checks {
    /// Checks one upstream until `ctx` ends.
    pub(crate) fn watch(&self, ctx: &Context, upstream: &Upstream) {
        let ticker = Ticker::new(self.interval);
        loop {
            let (limited, _cancel) = ctx.with_timeout(self.interval);
            let is_well = self.check(&limited, upstream.addr).unwrap_or(false);
            if ctx.err().is_some() {
                return;
            }
            upstream.told(is_well, self.fall);
            if ctx.bound(ticker.c().recv_event()).wait().is_err() {
                return;
            }
        }
    }

    /// Whether it is well. Plain blocking code, each step of it bounded by the context.
    fn check(&self, ctx: &Context, addr: SocketAddr) -> io::Result<bool> {
        let too_late = |_| io::Error::from(io::ErrorKind::TimedOut);
        let mut stream = ctx.bound(TcpStream::connect_event(addr)).wait().map_err(too_late)??;
        let Some(path) = &self.path else { return Ok(true) };
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nhost: {addr}\r\nuser-agent: proxy-health\r\nconnection: close\r\n\r\n"
        )?;
        let mut line = Vec::new();
        let mut buf = [0; 512];
        while line.len() < b"HTTP/1.1 200".len() {
            match ctx.bound(stream.read_event(&mut buf)).wait().map_err(too_late)?? {
                0 => return Ok(false),
                len => line.extend_from_slice(&buf[..len]),
            }
        }
        let is_well = line.starts_with(b"HTTP/1.") && matches!(line[9], b'2' | b'3');
        // Read to the end: closing it before would reset it, and have the upstream log an error.
        while !matches!(ctx.bound(stream.read_event(&mut buf)).wait(), Err(_) | Ok(Ok(0) | Err(_))) {}
        Ok(is_well)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstreams(count: u16, share: f64) -> Upstreams {
        let addrs: Vec<SocketAddr> = (0..count).map(|i| ([127, 0, 0, 1], 1000 + i).into()).collect();
        Upstreams::new(&addrs, share)
    }

    fn next(attempts: &mut Attempts<'_>) -> Option<u16> {
        attempts.next().map(|upstream| upstream.addr.port() - 1000)
    }

    #[test]
    fn each_has_its_turn() {
        let three = upstreams(3, 1.0);
        let turns: Vec<_> = (0..6).map(|_| next(&mut three.attempts()).unwrap()).collect();
        assert_eq!(turns, [0, 1, 2, 0, 1, 2]);
    }

    #[test]
    fn a_request_tries_each_once() {
        let three = upstreams(3, 1.0);
        next(&mut three.attempts());
        let mut attempts = three.attempts();
        let tried: Vec<_> = std::iter::from_fn(|| next(&mut attempts)).collect();
        assert_eq!(tried, [1, 2, 0]);
    }

    #[test]
    fn those_that_are_down_are_left_out_until_nobody_else_is_left() {
        let three = upstreams(3, 1.0);
        three.all[0].told(false, 1);
        three.all[1].told(false, 2);
        let mut attempts = three.attempts();
        let tried: Vec<_> = std::iter::from_fn(|| next(&mut attempts)).collect();
        assert_eq!(tried, [1, 2, 0]);
        // The second failure in a row counts for it; one success brings it up.
        three.all[1].told(false, 2);
        three.all[0].told(true, 1);
        let turns: Vec<_> = (0..3).map(|_| next(&mut three.attempts()).unwrap()).collect();
        assert!(!turns.contains(&1), "{turns:?}");
    }

    #[test]
    fn retries_are_a_share_of_the_requests() {
        let two = upstreams(2, 0.25);
        let retried = |requests: usize| {
            (0..requests)
                .filter(|_| {
                    let mut attempts = two.attempts();
                    next(&mut attempts);
                    next(&mut attempts).is_some()
                })
                .count()
        };
        // What had been saved, and then a quarter.
        let at_first = retried(100);
        assert!((30..=35).contains(&at_first), "{at_first}");
        assert_eq!(retried(400), 100);
        assert!(!upstreams(2, 0.0).attempts().upstreams.budget.take());
    }
}
