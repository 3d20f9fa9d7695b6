//! The contestants: rendez, Go and the Rust peers, a module each, and how each answers when asked for a case.

mod capacity;
mod crossbeam;
mod flume;
pub(crate) mod go;
mod kanal;
mod may;
mod on_tokio;
mod rayon;
mod rendez;
mod shuttle;
mod tokio;

use std::{fmt, time::Duration};

/// A program for one case.
pub(crate) enum Body {
    /// Runs so many operations and says how long they took; runs inside [`Peer::enter`].
    Timed(Box<dyn FnMut(u64) -> Duration + Send>),
    /// Gives a reading in the case's unit; sees to its own runtime and its own warming up.
    Value(Box<dyn FnMut(u64) -> f64 + Send>),
}

impl Body {
    /// A timed program.
    pub(crate) fn timed(run: impl FnMut(u64) -> Duration + Send + 'static) -> Body {
        Body::Timed(Box::new(run))
    }

    /// A program that gives a reading.
    pub(crate) fn value(read: impl FnMut(u64) -> f64 + Send + 'static) -> Body {
        Body::Value(Box::new(read))
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Body::Timed(_) => "Timed",
            Body::Value(_) => "Value",
        })
    }
}

/// What a peer answers when it is asked for a case.
#[derive(Debug)]
pub(crate) enum Answer {
    /// It does the case as defined.
    Does(Body),
    /// It does something close: what differs, and the program.
    Nearly(&'static str, Body),
    /// It can't: why.
    Cannot(&'static str),
    /// Its program is not in this process.
    Elsewhere,
}

impl Answer {
    /// The program.
    ///
    /// # Errors
    /// The reason why there is none.
    pub(crate) fn body(self) -> Result<Body, &'static str> {
        match self {
            Answer::Does(body) | Answer::Nearly(_, body) => Ok(body),
            Answer::Cannot(reason) => Err(reason),
            Answer::Elsewhere => Err("runs in a program of its own"),
        }
    }

    /// Whether there is a reading to be had.
    pub(crate) fn can(&self) -> bool {
        !matches!(self, Answer::Cannot(_))
    }

    /// What a reader has to know: why not, or what differs.
    pub(crate) fn note(&self) -> Option<&'static str> {
        match self {
            Answer::Nearly(note, _) | Answer::Cannot(note) => Some(note),
            _ => None,
        }
    }
}

/// How long the last of a crowd is given to park before its memory is read.
pub(crate) const SETTLE: Duration = Duration::from_millis(100);

/// Between two wake-ups that are timed. Not always the same, since the others compute for 20 us: if ten of their turns end just after
/// the sleep, nobody is late; if just before, everybody by a whole turn.
fn pause(number: u64) -> Duration {
    Duration::from_micros(200 + number * 7 % 20)
}

/// How long the sleeper of this number sleeps.
fn sleep_of(number: u64) -> Duration {
    Duration::from_micros(1000 + number % 1000)
}

/// What is done with an item of `ordered_20us` and `ordered_1us`.
fn ordered_item(item: u64, steps: u64) -> u64 {
    item ^ crate::gauge::work(steps)
}

/// The first candidate of `speedup_primes`.
const PRIMES_FROM: u64 = 100_001;

/// By trying every smaller number, as slowly as in the notes on Go.
fn is_prime(n: u64) -> bool {
    (2..n).all(|divisor| !n.is_multiple_of(divisor))
}

/// One contestant.
pub(crate) struct Peer {
    /// The name on the command line, in the table and in JSON.
    pub(crate) name: &'static str,
    /// How it is used here.
    pub(crate) about: &'static str,
    find: fn(&str) -> Answer,
    enter: fn(&mut (dyn FnMut() + Send)),
}

impl Peer {
    /// Its answer for a case.
    pub(crate) fn find(&self, case: &str) -> Answer {
        if case.starts_with("explore_") && !matches!(self.name, "rendez" | "shuttle") {
            return Answer::Cannot("it does not choose schedules");
        }
        (self.find)(case)
    }

    /// Runs `job` where its timed programs belong: in its main goroutine, if that is where it has one.
    pub(crate) fn enter(&self, job: &mut (dyn FnMut() + Send)) {
        (self.enter)(job);
    }

    /// Whether this is the one that the others are measured against.
    pub(crate) fn is_rendez(&self) -> bool {
        self.name == "rendez"
    }

    /// Whether this is Go, which has a program of its own.
    pub(crate) fn is_go(&self) -> bool {
        self.name == "go"
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer").field("name", &self.name).finish_non_exhaustive()
    }
}

/// For peers whose timed programs enter a runtime on their own.
fn here(job: &mut (dyn FnMut() + Send)) {
    job();
}

/// Everyone, in the order of the table's columns.
pub(crate) static PEERS: [Peer; 9] = [
    Peer {
        name: "rendez",
        about: "goroutines and channels as a user would write them, default settings",
        find: rendez::find,
        enter: rendez::enter,
    },
    Peer { name: "go", about: "the program in bench/go, built with `go build`", find: go::find, enter: here },
    Peer {
        name: "tokio",
        about: "async tasks on the multi-thread runtime, tokio::sync::mpsc",
        find: tokio::find,
        enter: here,
    },
    Peer {
        name: "kanal",
        about: "kanal's async channels between tokio tasks",
        find: kanal::find,
        enter: here,
    },
    Peer {
        name: "flume",
        about: "flume's async channels between tokio tasks",
        find: flume::find,
        enter: here,
    },
    Peer {
        name: "crossbeam",
        about: "crossbeam-channel between OS threads",
        find: crossbeam::find,
        enter: here,
    },
    Peer {
        name: "may",
        about: "stackful coroutines that move between threads, may::sync's unbounded channels",
        find: may::find,
        enter: may::enter,
    },
    Peer {
        name: "rayon",
        about: "parallel iterators, for what has an order to keep",
        find: rayon::find,
        enter: here,
    },
    Peer {
        name: "shuttle",
        about: "runs a program under schedules that it chooses",
        find: shuttle::find,
        enter: here,
    },
];

/// The contestant of that name.
pub(crate) fn find(name: &str) -> Option<&'static Peer> {
    PEERS.iter().find(|peer| peer.name == name)
}

/// The contestants named, rendez always among them; all of them when none is named.
///
/// # Errors
/// Says which name is unknown and lists what there is.
pub(crate) fn choose(names: &[String]) -> Result<Vec<&'static Peer>, String> {
    if let Some(unknown) = names.iter().find(|name| find(name).is_none()) {
        let all: Vec<_> = PEERS.iter().map(|peer| peer.name).collect();
        return Err(format!("no peer is called `{unknown}`; there are: {}", all.join(", ")));
    }
    let wanted = |peer: &&Peer| names.is_empty() || peer.is_rendez() || names.iter().any(|n| n == peer.name);
    Ok(PEERS.iter().filter(wanted).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::CASES;

    #[test]
    fn rendez_always_takes_part() {
        let names =
            |chosen: &[String]| -> Vec<_> { choose(chosen).unwrap().iter().map(|p| p.name).collect() };
        assert_eq!(names(&["may".into(), "go".into()]), ["rendez", "go", "may"]);
        assert_eq!(names(&["rendez".into()]), ["rendez"]);
        assert_eq!(names(&[]).len(), PEERS.len());
    }

    #[test]
    fn an_unknown_peer_is_told_with_who_there_is() {
        let told = choose(&["erlang".into()]).unwrap_err();
        assert!(told.contains("erlang") && told.contains("rendez, go, tokio"), "{told}");
    }

    #[test]
    fn rendez_does_every_case_as_defined() {
        let built =
            |case: &&crate::cases::Case| cfg!(feature = "testing") || !case.name.starts_with("explore_");
        for case in CASES.iter().filter(built) {
            assert!(matches!(PEERS[0].find(case.name), Answer::Does(_)), "{}", case.name);
        }
    }

    #[test]
    fn tokio_says_where_capacity_1_stands_in_for_a_rendezvous() {
        let tokio = PEERS.iter().find(|peer| peer.name == "tokio").unwrap();
        for case in ["ping_pong", "spsc_0", "async_spsc_0", "mpsc_0", "select_0", "sieve", "pipeline_8"] {
            assert!(matches!(tokio.find(case), Answer::Nearly(..)), "{case}");
        }
        for case in ["spsc_1", "async_spsc_128", "mpsc_n", "seq_1", "seq_n", "select_1", "spsc_unbounded"] {
            assert!(matches!(tokio.find(case), Answer::Does(_)), "{case}");
        }
    }

    #[test]
    fn every_peer_answers_for_every_case_and_gives_its_reasons() {
        for peer in &PEERS {
            for case in CASES {
                let answer = peer.find(case.name);
                assert!(answer.note().is_none_or(|note| !note.is_empty()), "{} {}", peer.name, case.name);
            }
            assert!(!peer.find("no_such_case").can(), "{}", peer.name);
        }
    }
}
