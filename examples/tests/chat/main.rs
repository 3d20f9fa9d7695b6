//! Drives the built `chat` over the loopback, with plain sockets and with `nc`.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

#[path = "../server/mod.rs"]
mod server;

use server::{PATIENCE, Running};
use std::{
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

fn chat(arguments: &[&str]) -> Running {
    let all = ["--listen", "127.0.0.1:0"].iter().chain(arguments);
    Running::listening(env!("CARGO_BIN_EXE_chat"), all.copied().map(Into::into))
}

struct Guest {
    lines: BufReader<TcpStream>,
}

impl Guest {
    /// Connected, and asked for the name.
    fn unnamed(addr: SocketAddr) -> Guest {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut guest = Guest { lines: BufReader::new(stream) };
        guest.hears("* what is your name?");
        guest
    }

    /// In the lobby.
    fn named(addr: SocketAddr, name: &str) -> Guest {
        let mut guest = Guest::unnamed(addr);
        guest.says(name);
        guest.hears("* welcome; /help tells what you can do");
        guest.hears(&format!("* {name} is in lobby"));
        guest
    }

    fn says(&mut self, line: &str) {
        self.lines.get_mut().write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    fn next(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line.trim_end().into()
    }

    #[track_caller]
    fn hears(&mut self, line: &str) {
        assert_eq!(self.next(), line);
    }

    #[track_caller]
    fn hears_the_end(&mut self) {
        let mut rest = String::new();
        match self.lines.read_to_string(&mut rest) {
            Ok(_) => assert_eq!(rest, ""),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
    }
}

#[test]
fn what_is_said_in_a_room_is_heard_there_and_nowhere_else() {
    let server = chat(&[]);
    let mut ann = Guest::named(server.addr(), "ann");
    let mut bob = Guest::named(server.addr(), "bob");
    ann.hears("* bob is in lobby");
    ann.says("hello\x07");
    bob.hears("<ann> hello");
    bob.says("/join den");
    bob.hears("* bob is in den");
    ann.hears("* bob has gone to another room");
    let mut cid = Guest::named(server.addr(), "cid");
    ann.hears("* cid is in lobby");
    bob.says("is anybody here?");
    cid.says("/rooms");
    cid.hears("* den (1), lobby (2)");
    cid.says("/who");
    cid.hears("* in lobby: ann, cid");
    cid.says("/msg bob over here");
    bob.hears("<cid, to you> over here");
    cid.says("/msg dan are you there");
    cid.hears("! there is no dan here");
    cid.says("/dance");
    cid.hears("! there is no /dance; /help tells what there is");
    bob.says("/quit");
    bob.hears_the_end();
    cid.says("/rooms");
    cid.hears("* lobby (2)");
    // One who just goes is missed as well.
    drop(cid);
    ann.hears("* cid has left");
}

#[test]
fn names_are_plain_and_each_is_there_once() {
    let server = chat(&[]);
    let _ann = Guest::named(server.addr(), "ann");
    let mut other = Guest::unnamed(server.addr());
    other.says("ann");
    other.hears("! ann is there already: what else are you called?");
    other.says("an n");
    other.hears("! names are made of letters, digits, `-` and `_`");
}

#[test]
fn one_who_says_no_name_for_too_long_is_sent_away() {
    let server = chat(&["--name-timeout", "0.4"]);
    let mut silent = Guest::unnamed(server.addr());
    silent.hears("! you have said nothing for too long");
    silent.hears_the_end();
    // The time begins anew with each name that can't be had. A machine that is so slow that the guest is late lets him try again.
    let (pause, limit) = (Duration::from_millis(150), Duration::from_millis(350));
    let keeps_on = || {
        let mut last = Instant::now();
        let mut guest = Guest::unnamed(server.addr());
        for _ in 0..6 {
            thread::sleep(pause);
            let is_late = guest.lines.get_mut().write_all(b"n o\n").is_err() || last.elapsed() > limit;
            if is_late {
                return false;
            }
            last = Instant::now();
            guest.hears("! names are made of letters, digits, `-` and `_`");
        }
        guest.hears("! you have said nothing for too long");
        true
    };
    let started = Instant::now();
    while !keeps_on() {
        assert!(started.elapsed() < PATIENCE, "he is always late");
    }
}

#[test]
fn one_who_reads_is_not_sent_away_however_fast_others_talk() {
    let server = chat(&["--queue", "1", "--rate", "1000000"]);
    let mut ann = Guest::named(server.addr(), "ann");
    let mut bob = Guest::named(server.addr(), "bob");
    ann.hears("* bob is in lobby");
    // All at once.
    let flood: String = (0..2000).map(|i| format!("{i}\n")).collect();
    ann.lines.get_mut().write_all(flood.as_bytes()).unwrap();
    (0..2000).for_each(|i| bob.hears(&format!("<ann> {i}")));
    bob.says("all of it");
    ann.hears("<bob> all of it");
}

#[test]
fn one_who_tries_names_in_a_flood_is_read_slowly() {
    let server = chat(&["--rate", "5", "--queue", "1000000"]);
    let mut guest = Guest::unnamed(server.addr());
    let flood = "n o\n".repeat(1000);
    let started = Instant::now();
    guest.lines.get_mut().write_all(flood.as_bytes()).unwrap();
    // Five at once, and then one each fifth of a second.
    for _ in 0..8 {
        guest.hears("! names are made of letters, digits, `-` and `_`");
    }
    assert!(started.elapsed() >= Duration::from_millis(550), "{:?}", started.elapsed());
}

#[test]
fn what_one_who_has_gone_has_said_in_a_flood_keeps_no_place() {
    let server = chat(&["--max-clients", "1", "--rate", "5"]);
    let mut guest = Guest::unnamed(server.addr());
    guest.lines.get_mut().write_all("n o\n".repeat(100_000).as_bytes()).unwrap();
    guest.hears("! names are made of letters, digits, `-` and `_`");
    // There is more to hear, so that he is missed.
    drop(guest);
    let started = Instant::now();
    loop {
        let mut lines = BufReader::new(TcpStream::connect(server.addr()).unwrap());
        let mut line = String::new();
        if lines.read_line(&mut line).is_ok() && line.contains("what is your name?") {
            break;
        }
        assert!(started.elapsed() < PATIENCE, "there is no room: {line}");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn one_who_does_not_read_is_sent_away_and_nobody_waits_for_him() {
    let server = chat(&["--queue", "64", "--rate", "1000000", "--max-line", "1000"]);
    let mut ann = Guest::named(server.addr(), "ann");
    let mut bob = Guest::named(server.addr(), "bob");
    ann.hears("* bob is in lobby");
    // He hears nothing from now on, while some megabytes are said: more than fits into the buffers of the system.
    let deaf = Guest::named(server.addr(), "deaf");
    ann.hears("* deaf is in lobby");
    bob.hears("* deaf is in lobby");
    let text = "x".repeat(900);
    let mut said = 0;
    // Each line is heard before the next is said, so that those who read keep up.
    loop {
        ann.says(&text);
        said += 1;
        match bob.next().as_str() {
            "* deaf did not keep up, and was sent away" => break,
            line => assert_eq!(line, format!("<ann> {text}")),
        }
        assert!(said < 100_000, "he is still there");
    }
    ann.hears("* deaf did not keep up, and was sent away");
    ann.says("/who");
    ann.hears("* in lobby: ann, bob");
    drop(deaf);
}

#[test]
fn greedy_clients_are_bounded() {
    let server = chat(&["--max-clients", "2", "--max-line", "20"]);
    let mut ann = Guest::named(server.addr(), "ann");
    let mut bob = Guest::named(server.addr(), "bob");
    ann.hears("* bob is in lobby");
    let mut third = TcpStream::connect(server.addr()).unwrap();
    let mut told = String::new();
    third.read_to_string(&mut told).unwrap();
    assert_eq!(told, "! there is no room for more: come back later\n");
    bob.lines.get_mut().write_all(&[b'x'; 30]).unwrap();
    bob.hears("! a line of over 20 bytes");
    bob.hears_the_end();
    ann.hears("* bob has left");
    // His place is free.
    loop {
        let stream = TcpStream::connect(server.addr()).unwrap();
        let mut first = String::new();
        BufReader::new(stream).read_line(&mut first).unwrap();
        if first == "* what is your name?\n" {
            break;
        }
    }
}

#[test]
fn at_the_end_everybody_is_told_and_hears_what_was_said_before() {
    let mut server = chat(&[]);
    let mut ann = Guest::named(server.addr(), "ann");
    let mut bob = Guest::named(server.addr(), "bob");
    ann.hears("* bob is in lobby");
    ann.says("the last word");
    bob.hears("<ann> the last word");
    let mut unnamed = Guest::unnamed(server.addr());
    server.signal("TERM");
    ann.hears("* the server is closing: goodbye");
    bob.hears("* the server is closing: goodbye");
    for guest in [&mut ann, &mut bob] {
        // Whoever leaves first is seen by the other, who may have left as well.
        let mut rest = String::new();
        let _ = guest.lines.read_to_string(&mut rest);
        assert!(rest.lines().all(|line| line.ends_with("has left")), "{rest}");
    }
    unnamed.hears_the_end();
    let (status, stderr) = server.end();
    assert!(status.success(), "{stderr}");
    assert!(stderr.contains("closing, with 3 here") && stderr.contains("all have been told"), "{stderr}");
}

#[test]
fn one_who_half_closes_still_hears_the_answer_and_nothing_is_left() {
    let server = chat(&[]);
    let mut ann = Guest::named(server.addr(), "ann");
    ann.says("/who");
    ann.hears("* in lobby: ann");
    let before = server.descriptors();
    for i in 0..50 {
        let mut guest = Guest::named(server.addr(), &format!("g{i}"));
        ann.hears(&format!("* g{i} is in lobby"));
        guest.says("/rooms");
        guest.lines.get_ref().shutdown(Shutdown::Write).unwrap();
        guest.hears("* lobby (2)");
        guest.hears_the_end();
        ann.hears(&format!("* g{i} has left"));
    }
    // The socket goes a moment after its end has been said. (A worker opens a few when it first waits for a socket, which stay.)
    let started = Instant::now();
    while server.descriptors() > before + 16 {
        assert!(started.elapsed() < PATIENCE, "{} are open, of {before} before", server.descriptors());
        thread::yield_now();
    }
}

#[test]
fn netcat_can_chat() {
    let is_there = Command::new("nc").arg("-h").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !is_there {
        println!("SKIPPED: nc is not installed");
        return;
    }
    let server = chat(&[]);
    let mut nc = Command::new("nc")
        .args([server.addr().ip().to_string(), server.addr().port().to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    nc.stdin.as_mut().unwrap().write_all(b"ned\n/who\n/quit\n").unwrap();
    let output = nc.wait_with_output().unwrap();
    let heard = String::from_utf8(output.stdout).unwrap();
    assert!(heard.ends_with("* ned is in lobby\n* in lobby: ned\n"), "{heard}");
}
