//! Connecting: by name, to the first of several addresses that answers, for as long as one wants.
//!
//! *Happy eyeballs* (RFC 8305): the addresses of the two families take turns, the resolver's first one first. An attempt begins
//! when the one before has failed, or has not succeeded within [`NEXT_AFTER`]; it goes on beside it. The first connection
//! that is there is taken and the others are closed.

use super::{TcpStream, ToSocketAddrs, addr::Lookup, tcp::Tcp};
use crate::{
    Event,
    fd::{Fd, Queued, Side, named},
    sched::harness::{self, Hold},
    select::{Arm, Operation, Registered, Sealed, Waiting},
    time::Instant,
    wait::{Node, Reason},
};
use socket2::{Domain, SockRef, Socket, Type};
use std::{collections::VecDeque, fmt, io, mem, net::SocketAddr, os::fd::AsFd, ptr, time::Duration};

/// "Connection Attempt Delay" of RFC 8305.
const NEXT_AFTER: Duration = Duration::from_millis(250);

/// The event that a connection is there, or that there can be none; see [`TcpStream::connect_event`].
///
/// Attempts begin when it is first waited for; if it is given up they are broken off. So an event of this kind that is not chosen may
/// have been seen by the other side, as a connection that came and went.
#[must_use = "an event does nothing unless it is waited for"]
pub struct ConnectEvent {
    /// Until there are addresses.
    lookup: Option<Lookup>,
    left: VecDeque<SocketAddr>,
    racers: Vec<Racer>,
    /// When the next attempt begins if none has succeeded.
    next_at: Option<Instant>,
    limit: Option<Duration>,
    deadline: Option<Instant>,
    error: Option<io::Error>,
    result: Option<io::Result<TcpStream>>,
    hold: Option<Hold>,
}

/// One attempt.
struct Racer {
    fd: Fd<Tcp>,
    to: SocketAddr,
    node: Node,
    queued: bool,
    failed: Option<io::Error>,
}

// SAFETY: the raw pointers in the nodes point to a waiter that is kept by whoever registers this arm, or are other nodes' that
// are only followed under their source's lock.
unsafe impl Send for ConnectEvent {}
// SAFETY: nothing can be done through a shared reference.
unsafe impl Sync for ConnectEvent {}

impl ConnectEvent {
    pub(super) fn new(to: impl ToSocketAddrs, limit: Option<Duration>) -> ConnectEvent {
        ConnectEvent {
            lookup: Some(Lookup::new(to.target(), "connect")),
            left: VecDeque::new(),
            racers: Vec::new(),
            next_at: None,
            limit,
            deadline: None,
            error: None,
            result: None,
            hold: None,
        }
    }

    /// Whether there are addresses; if there never will be, that is the result.
    fn look_up(&mut self) -> bool {
        let Some(lookup) = &mut self.lookup else { return true };
        if !lookup.attempt() {
            return false;
        }
        match lookup.finish() {
            Ok(addrs) => self.left = by_turns(addrs),
            Err(error) => self.result = Some(Err(error)),
        }
        self.lookup = None;
        true
    }

    /// Looks after those that are under way, and begins what is to begin.
    fn race(&mut self) {
        let mut index = 0;
        while let Some(racer) = self.racers.get_mut(index) {
            match racer.arrived() {
                None => index += 1,
                Some(Ok(())) => {
                    let racer = self.racers.swap_remove(index);
                    return self.has_won(racer);
                }
                Some(Err(error)) => {
                    let racer = self.racers.swap_remove(index);
                    self.has_failed(racer.to, error);
                }
            }
        }
        while self.next_at.is_none_or(|at| at <= Instant::now()) {
            let Some(to) = self.left.pop_front() else { break };
            match Racer::start(to) {
                Ok((racer, true)) => return self.has_won(racer),
                Ok((racer, false)) => {
                    self.racers.push(racer);
                    self.next_at = Some(Instant::now() + NEXT_AFTER);
                }
                Err(error) => self.has_failed(to, error),
            }
        }
        if self.racers.is_empty() && self.left.is_empty() {
            self.result = Some(Err(self.error.take().expect("there was an address, and it failed")));
        }
    }

    fn has_won(&mut self, racer: Racer) {
        self.racers.clear();
        self.left.clear();
        self.result = Some(Ok(TcpStream::of(racer.fd)));
    }

    /// The first error is the one that is told: the address that is preferred.
    fn has_failed(&mut self, to: SocketAddr, error: io::Error) {
        self.error.get_or_insert_with(|| named("connect", &to, error));
        self.next_at = None;
    }

    fn has_taken_too_long(&self) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= Instant::now())
    }
}

/// The addresses of the two families by turns.
fn by_turns(addrs: Vec<SocketAddr>) -> VecDeque<SocketAddr> {
    let first_is_v6 = addrs.first().is_some_and(SocketAddr::is_ipv6);
    let (preferred, others): (Vec<_>, Vec<_>) =
        addrs.into_iter().partition(|addr| addr.is_ipv6() == first_is_v6);
    let mut others = others.into_iter();
    let mut order = VecDeque::new();
    for addr in preferred {
        order.push_back(addr);
        order.extend(others.next());
    }
    order.extend(others);
    order
}

impl Racer {
    /// Begins an attempt; whether it has succeeded already.
    fn start(to: SocketAddr) -> io::Result<(Racer, bool)> {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM.nonblocking(), None)?;
        let connected = match socket.connect(&to.into()) {
            Ok(()) => true,
            Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => false,
            Err(error) => return Err(error),
        };
        let fd = Fd::new(Tcp::to(socket.into(), to));
        let node = Node::new(ptr::null(), 0, ptr::null_mut());
        Ok((Racer { fd, to, node, queued: false, failed: None }, connected))
    }

    fn arrived(&mut self) -> Option<io::Result<()>> {
        if let Some(error) = self.failed.take() {
            return Some(Err(error));
        }
        let seen = self.fd.source().look(Side::Write)?;
        let socket = SockRef::from(self.fd.io());
        match socket.take_error() {
            Ok(None) => match socket.peer_addr() {
                Ok(_) => Some(Ok(())),
                Err(error) if error.kind() == io::ErrorKind::NotConnected => {
                    self.fd.source().was_in_vain(Side::Write, seen);
                    None
                }
                Err(error) => Some(Err(error)),
            },
            Ok(Some(error)) | Err(error) => Some(Err(error)),
        }
    }
}

impl Sealed for ConnectEvent {}

impl Arm for ConnectEvent {
    fn attempt(&mut self) -> bool {
        if self.result.is_none() {
            if self.deadline.is_none() {
                self.deadline = self.limit.map(|limit| Instant::now().after(limit));
            }
            if self.look_up() && self.result.is_none() {
                self.race();
            }
            if self.result.is_none() && self.has_taken_too_long() {
                let error = io::Error::new(io::ErrorKind::TimedOut, "timed out");
                self.result = Some(Err(match (&self.lookup, self.racers.first()) {
                    (Some(lookup), _) => named("connect", lookup.target(), error),
                    (None, Some(racer)) => named("connect", &racer.to, error),
                    (None, None) => error,
                }));
                self.racers.clear();
            }
        }
        self.result.is_some()
    }

    /// All its nodes have one number: which of them was first is found out by the next attempt.
    unsafe fn register(&mut self, waiting: Waiting<'_>, first: usize) -> Registered {
        if self.result.is_some() {
            return waiting.choose();
        }
        self.hold = harness::hold();
        if let Some(lookup) = &mut self.lookup {
            // SAFETY: passed on.
            return unsafe { lookup.register(waiting, first) };
        }
        for racer in &mut self.racers {
            racer.node.aim(waiting.waiter, first as u32, ptr::null_mut());
            // SAFETY: passed on: the node is in this arm, whose list of racers does not change while it is registered.
            match unsafe { racer.fd.source().queue(racer.fd.as_fd(), Side::Write, &racer.node) } {
                Ok(Queued::Waits) => racer.queued = true,
                Ok(Queued::Ready) => return Registered::Again,
                Err(error) => {
                    racer.failed = Some(error);
                    return Registered::Again;
                }
            }
        }
        Registered::Waits
    }

    unsafe fn unregister(&mut self) {
        if let Some(lookup) = &mut self.lookup {
            // SAFETY: passed on.
            unsafe { lookup.unregister() };
        }
        for racer in &mut self.racers {
            if mem::take(&mut racer.queued) {
                // SAFETY: queued there by `register`.
                unsafe { racer.fd.source().leave(Side::Write, &racer.node) };
            }
        }
        self.hold = None;
    }

    fn conclude(&mut self, _: usize) -> bool {
        // It is tried again, from the beginning.
        self.result.is_some()
    }

    fn undo(&mut self) {
        self.result = None;
    }

    fn deadline(&self) -> Option<Instant> {
        let next_at = self.next_at.filter(|_| !self.left.is_empty());
        [self.deadline, next_at].into_iter().flatten().min()
    }

    fn reason(&self) -> Reason {
        Reason::IoWait
    }
}

impl Operation for ConnectEvent {
    type Output = io::Result<TcpStream>;

    fn finish(&mut self) -> Self::Output {
        self.result.take().expect("it was chosen")
    }
}

impl Event for ConnectEvent {
    type Output = io::Result<TcpStream>;
    type Operation = Self;

    fn operation(self) -> Self {
        self
    }
}

impl fmt::Debug for ConnectEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectEvent")
            .field("attempts", &self.racers.iter().map(|racer| racer.to).collect::<Vec<_>>())
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_families_take_turns_and_the_first_address_stays_the_first() {
        let [a, b, c] = [1, 2, 3].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let [x, y] = [1, 2].map(|port| SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], port)));
        assert_eq!(by_turns(vec![a, b, c, x, y]), [a, x, b, y, c]);
        assert_eq!(by_turns(vec![x, a, b]), [x, a, b]);
        assert_eq!(by_turns(vec![a, b]), [a, b]);
        assert_eq!(by_turns(vec![]), []);
    }
}
