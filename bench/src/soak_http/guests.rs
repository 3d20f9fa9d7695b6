//! Guests: each kind does one thing to the server, with a connection or several, and looks at what it gets.

use super::{
    beside,
    site::pattern,
    wire::{Wire, request},
};
use rendez::{
    net::{Shutdown, SocketAddr},
    sleep,
};
use std::{
    fmt,
    io::{self, Read, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

type Rng = fastrand::Rng;
type Told = Result<(), String>;

pub(super) struct Kind {
    pub(super) name: &'static str,
    /// Beside the others'. Those who wait until they are given up come seldom: they would be most of those who are there.
    often: u32,
    visit: fn(&mut Guest, &mut Rng) -> Told,
}

pub(super) const KINDS: &[Kind] = &[
    Kind { name: "asks", often: 10, visit: asks },
    Kind { name: "pipelines", often: 10, visit: pipelines },
    Kind { name: "reads-slowly", often: 6, visit: reads_slowly },
    Kind { name: "writes-slowly", often: 6, visit: writes_slowly },
    Kind { name: "sends-and-reads-at-once", often: 6, visit: sends_and_reads_at_once },
    Kind { name: "half-closes", often: 8, visit: half_closes },
    Kind { name: "resets", often: 10, visit: resets },
    Kind { name: "goes-while-it-is-served", often: 10, visit: goes_while_it_is_served },
    Kind { name: "stalls-in-its-head", often: 1, visit: stalls_in_its_head },
    Kind { name: "stalls-in-its-body", often: 4, visit: stalls_in_its_body },
    Kind { name: "says-nothing", often: 1, visit: says_nothing },
    Kind { name: "takes-nothing", often: 1, visit: takes_nothing },
    Kind { name: "talks-nonsense", often: 6, visit: talks_nonsense },
];

/// One of them, as often as it comes.
pub(super) fn choose(kinds: &[&'static Kind], rng: &mut Rng) -> &'static Kind {
    let mut turn = rng.u32(..kinds.iter().map(|kind| kind.often).sum::<u32>());
    for kind in kinds {
        match turn.checked_sub(kind.often) {
            Some(left) => turn = left,
            None => return kind,
        }
    }
    unreachable!("it is less than all together")
}

/// What guests have done.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) connections: u64,
    /// Answers that were as they should be.
    answers: u64,
    /// Of their bodies.
    bytes: u64,
    visits: [u64; KINDS.len()],
    /// Of these, those that the server gave up with reason: the machine did not let the guest go on for so long.
    late: u64,
}

impl Tally {
    pub(super) fn by_kind(&self, kinds: &[&'static Kind]) -> String {
        let all = KINDS.iter().zip(self.visits);
        let chosen = all.filter(|(kind, _)| kinds.iter().any(|chosen| chosen.name == kind.name));
        chosen.map(|(kind, visits)| format!("{} {visits}", kind.name)).collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { connections, answers, bytes, late, .. } = self;
        write!(f, "{connections} connections, {answers} answers, {} MiB of bodies, {late} late", bytes >> 20)
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.connections += other.connections;
        self.answers += other.answers;
        self.bytes += other.bytes;
        self.late += other.late;
        self.visits.iter_mut().zip(other.visits).for_each(|(mine, theirs)| *mine += theirs);
    }
}

pub(super) struct Guest {
    addr: SocketAddr,
    /// The server's patience.
    limit: Duration,
    tally: Tally,
    /// See [`Wire`].
    tardy: Arc<AtomicU64>,
}

impl Guest {
    pub(super) fn new(addr: SocketAddr, limit: Duration) -> Guest {
        Guest { addr, limit, tally: Tally::default(), tardy: Arc::default() }
    }

    pub(super) fn into_tally(self) -> Tally {
        self.tally
    }

    /// Does what guests of this kind do, once.
    pub(super) fn visit(&mut self, kind: &'static Kind, rng: &mut Rng) -> Told {
        let index = KINDS.iter().position(|other| other.name == kind.name).expect("it is one of them");
        self.tally.visits[index] += 1;
        self.tardy.store(0, Relaxed);
        let visited = (kind.visit)(self, rng);
        if visited.is_err() && u128::from(self.tardy.load(Relaxed)) > self.limit.as_millis() / 2 {
            self.tally.late += 1;
            return Ok(());
        }
        visited
    }

    fn connect(&mut self) -> Result<Wire, String> {
        let wire = Wire::to(self.addr, self.tardy.clone())?;
        self.tally.connections += 1;
        Ok(wire)
    }

    fn is_answered(&mut self, bytes: u64) {
        self.tally.answers += 1;
        self.tally.bytes += bytes;
    }

    fn is_text(&mut self, wire: &mut Wire, expected: &str) -> Told {
        let text = wire.text()?;
        if text != expected {
            return Err(format!("{text:?}, not {expected:?}"));
        }
        self.is_answered(text.len() as u64);
        Ok(())
    }

    fn is_pattern(&mut self, wire: &mut Wire, len: u64, pause: &mut impl FnMut()) -> Told {
        wire.pattern(len, pause)?;
        self.is_answered(len);
        Ok(())
    }
}

/// A while of up to `most` milliseconds, mostly none.
fn moment(rng: &mut Rng, most: u64) {
    if rng.u32(..4) == 0 {
        sleep(Duration::from_micros(rng.u64(..most * 1000)));
    }
}

/// The lengths of pieces that are `len` together.
fn pieces(mut len: u64, most: usize) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let piece = most.min(len as usize);
        len -= piece as u64;
        (piece > 0).then_some(piece)
    })
}

/// Sends so many bytes of the pattern.
fn send_pattern(out: &mut impl FnMut(&[u8]) -> Told, len: u64) -> Told {
    let mut place = 0;
    for piece in pieces(len, 100_000) {
        out(pattern(place, piece))?;
        place += piece as u64;
    }
    Ok(())
}

/// One request after another.
fn asks(guest: &mut Guest, rng: &mut Rng) -> Told {
    let mut wire = guest.connect()?;
    for _ in 0..rng.u32(1..30) {
        let number = rng.u64(..200_000);
        match rng.u32(..5) {
            0 | 1 => {
                wire.get(&format!("/small?{number}"))?;
                guest.is_text(&mut wire, &format!("small {number}"))?;
            }
            2 => {
                wire.get(&format!("/large?{number}"))?;
                guest.is_pattern(&mut wire, number, &mut || ())?;
            }
            3 => {
                wire.get(&format!("/chunks?{number}"))?;
                guest.is_pattern(&mut wire, number, &mut || ())?;
            }
            _ => {
                wire.send(request("POST", "/count", &format!("content-length: {number}\r\n")))?;
                send_pattern(&mut |piece| wire.send(piece), number)?;
                guest.is_text(&mut wire, &number.to_string())?;
            }
        }
        moment(rng, 5);
    }
    Ok(())
}

/// All requests at once, and then all answers.
fn pipelines(guest: &mut Guest, rng: &mut Rng) -> Told {
    let mut wire = guest.connect()?;
    for _ in 0..rng.u32(1..4) {
        let numbers: Vec<u64> = (0..rng.u32(2..20)).map(|_| rng.u64(..5000)).collect();
        let mut all = Vec::new();
        for (i, number) in numbers.iter().enumerate() {
            match i % 3 {
                0 => all.extend(request("GET", &format!("/small?{number}"), "").into_bytes()),
                1 => all.extend(request("GET", &format!("/chunks?{number}"), "").into_bytes()),
                _ => {
                    let head = request("POST", "/count", &format!("content-length: {number}\r\n"));
                    all.extend(head.into_bytes());
                    all.extend(pattern(0, *number as usize));
                }
            }
        }
        wire.send(all)?;
        for (i, number) in numbers.into_iter().enumerate() {
            match i % 3 {
                0 => guest.is_text(&mut wire, &format!("small {number}"))?,
                1 => guest.is_pattern(&mut wire, number, &mut || ())?,
                _ => guest.is_text(&mut wire, &number.to_string())?,
            }
        }
    }
    Ok(())
}

/// Takes a large body with pauses, which are shorter than what the server allows.
fn reads_slowly(guest: &mut Guest, rng: &mut Rng) -> Told {
    let mut wire = guest.connect()?;
    let len = rng.u64(100_000..4_000_000);
    wire.get(&format!("/{}?{len}", if rng.bool() { "large" } else { "chunks" }))?;
    let mut pauses = 20;
    guest.is_pattern(&mut wire, len, &mut || {
        if pauses > 0 && rng.u32(..4) == 0 {
            pauses -= 1;
            sleep(Duration::from_millis(rng.u64(..60)));
        }
    })
}

/// A byte now and then: of the head, and of a body in chunks.
fn writes_slowly(guest: &mut Guest, rng: &mut Rng) -> Told {
    let mut wire = guest.connect()?;
    let head = request("POST", "/count", "transfer-encoding: chunked\r\n");
    let body = "1\r\nx\r\n".repeat(20) + "0\r\n\r\n";
    for byte in (head + &body).into_bytes() {
        wire.send([byte])?;
        // In all, the head has far less than its time.
        if rng.u32(..8) == 0 {
            sleep(Duration::from_millis(rng.u64(..4)));
        }
    }
    guest.is_text(&mut wire, "20")
}

/// A large body both ways.
fn sends_and_reads_at_once(guest: &mut Guest, rng: &mut Rng) -> Told {
    let mut wire = guest.connect()?;
    let len = rng.u64(500_000..3_000_000);
    let is_chunked = rng.bool();
    let length = format!("content-length: {len}\r\n");
    wire.send(request("POST", "/echo", if is_chunked { "transfer-encoding: chunked\r\n" } else { &length }))?;
    let mut out = wire.stream().try_clone().map_err(|error| error.to_string())?;
    let (mut theirs, most) = (rng.fork(), rng.usize(1000..100_000));
    let sent = beside(move || -> io::Result<()> {
        let mut place = 0;
        for piece in pieces(len, most) {
            let bytes = pattern(place, piece);
            match is_chunked {
                true => out.write_all(&[format!("{piece:x}\r\n").as_bytes(), bytes, b"\r\n"].concat())?,
                false => out.write_all(bytes)?,
            }
            place += piece as u64;
            moment(&mut theirs, 5);
        }
        if is_chunked { out.write_all(b"0\r\n\r\n") } else { Ok(()) }
    });
    let read = guest.is_pattern(&mut wire, len, &mut || ());
    let sent = sent()?;
    read?;
    sent.map_err(|error| format!("sending: {error}"))
}

/// Ends its direction after the request.
fn half_closes(guest: &mut Guest, rng: &mut Rng) -> Told {
    let mut wire = guest.connect()?;
    let number = rng.u64(..500_000);
    match rng.u32(..3) {
        0 => wire.get(&format!("/large?{number}"))?,
        1 => wire.get(&format!("/wait?{}", number % 50))?,
        _ => {
            wire.send(request("POST", "/count", &format!("content-length: {number}\r\n")))?;
            send_pattern(&mut |piece| wire.send(piece), number)?;
        }
    }
    wire.stream().shutdown(Shutdown::Write).map_err(|error| format!("ending a direction: {error}"))?;
    let mut bytes = 0;
    wire.body(&mut |piece| {
        bytes += piece.len() as u64;
        Ok(())
    })?;
    guest.is_answered(bytes);
    match wire.rest()? {
        0 => Ok(()),
        more => Err(format!("{more} bytes after the last answer")),
    }
}

/// Breaks the connection off, wherever it is.
fn resets(guest: &mut Guest, rng: &mut Rng) -> Told {
    let mut wire = guest.connect()?;
    let whole = [
        request("GET", "/large?3000000", ""),
        request("POST", "/echo", "content-length: 1000000\r\n") + &"x".repeat(5000),
        request("POST", "/count", "transfer-encoding: chunked\r\n") + "10\r\n0123",
        request("GET", "/wait?50", ""),
    ];
    let whole = whole[rng.usize(..whole.len())].as_bytes();
    // The server may have ended it already; who resets does not care.
    let _ = wire.send(&whole[..rng.usize(..=whole.len())]);
    moment(rng, 20);
    if rng.bool() {
        let _ = wire.stream().set_nonblocking(true);
        let _ = (&mut wire.stream()).read(&mut vec![0; rng.usize(1..200_000)]);
    }
    wire.stream().set_linger(Some(Duration::ZERO)).map_err(|error| format!("setting linger: {error}"))
}

/// Just goes, while the answer is on its way.
fn goes_while_it_is_served(guest: &mut Guest, rng: &mut Rng) -> Told {
    let mut wire = guest.connect()?;
    match rng.u32(..3) {
        0 => wire.get("/large?3000000")?,
        1 => wire.get("/wait?100")?,
        _ => wire.send(request("POST", "/echo", "content-length: 1000000\r\n") + &"x".repeat(100_000))?,
    }
    moment(rng, 10);
    Ok(())
}

/// Begins a head, and waits for what comes of it: the end.
fn stalls_in_its_head(guest: &mut Guest, rng: &mut Rng) -> Told {
    let mut wire = guest.connect()?;
    let head = request("GET", "/small?1", "x-more: y\r\n");
    wire.send(&head[..rng.usize(1..head.len() - 1)])?;
    wire.rest().map(drop)
}

/// Sends half of a body and goes later, without a word or by its half of the connection.
fn stalls_in_its_body(guest: &mut Guest, rng: &mut Rng) -> Told {
    let mut wire = guest.connect()?;
    wire.send(request("POST", ["/count", "/echo"][rng.usize(..2)], "content-length: 1000\r\n") + "half")?;
    sleep(Duration::from_millis(rng.u64(..500)));
    if rng.bool() {
        wire.stream().shutdown(Shutdown::Write).map_err(|error| format!("ending a direction: {error}"))?;
        wire.rest()?;
    }
    Ok(())
}

/// Connects, and waits for what comes of it: the end.
fn says_nothing(guest: &mut Guest, _: &mut Rng) -> Told {
    match guest.connect()?.rest()? {
        0 => Ok(()),
        bytes => Err(format!("{bytes} bytes, though nothing was asked")),
    }
}

/// Asks for more than fits into the buffers of the system, and takes nothing of it until it has been given up.
fn takes_nothing(guest: &mut Guest, rng: &mut Rng) -> Told {
    const LARGE: u64 = 60_000_000;
    let mut wire = guest.connect()?;
    wire.get(&format!("/large?{LARGE}"))?;
    sleep(guest.limit * 2 + Duration::from_millis(rng.u64(..500)));
    if rng.bool() {
        // Vanishes with all that it has not read.
        return Ok(());
    }
    let got = wire.rest()?;
    if got < LARGE {
        Ok(())
    } else {
        Err(format!("{got} bytes came, though it was not read for {:?} and more", guest.limit))
    }
}

/// Sends what is not HTTP.
fn talks_nonsense(guest: &mut Guest, rng: &mut Rng) -> Told {
    let mut wire = guest.connect()?;
    let bytes: Vec<u8> = (0..rng.usize(1..2000)).map(|_| rng.u8(..)).chain(*b"\r\n\r\n").collect();
    // It may be refused before the last byte has been sent.
    let _ = wire.send(bytes);
    wire.rest().map(drop)
}
