//! The exhaustive search, against a model that knows nothing of it: which schedules two senders and two receivers have that
//! meet on a channel without a buffer, and that each is visited once.
//!
//! # The model
//!
//! Four goroutines, each of which does one thing: it sends, or receives. It begins, and comes to the one scheduling point
//! that it has, at the beginning of its operation; whoever is chosen there goes on. If somebody of the other kind waits,
//! the one that has waited longest is woken, and the operation is done; otherwise the goroutine waits. Once it is done it ends,
//! without another point: only who waits for the end could tell when that was. The main goroutine waits for all from the
//! beginning.
//!
//! So a state is where each of the four stands and who waits in which order, and a schedule is a path through the states: at each
//! fork (a point, a wait or an end, with more than one goroutine that could go on) it says who does. How many paths there
//! are is counted by walking them all.

use super::{
    Config,
    explore::Session,
    strategy::{self, Exhaustive, Options, Running},
};
use crate::{chan, scope};
use std::{
    panic::Location,
    sync::{Arc, Mutex},
};

/// Who could go on, by number, and who did.
type Fork = (Vec<u64>, u64);
type Path = Vec<Fork>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Begin,
    Point,
    Waits,
    Woken,
    Ended,
}

#[derive(Clone)]
struct Model {
    /// By number, of which the first is 2: the main one is 1.
    at: Vec<At>,
    sends: Vec<bool>,
    /// The oldest first. All are of one kind: others would have met.
    waiting: Vec<usize>,
}

const FIRST: u64 = 2;

impl Model {
    fn new(senders: usize, receivers: usize) -> Model {
        let sends: Vec<bool> = (0..senders + receivers).map(|goroutine| goroutine < senders).collect();
        Model { at: vec![At::Begin; sends.len()], sends, waiting: Vec::new() }
    }

    fn ready(&self) -> Vec<usize> {
        (0..self.at.len()).filter(|&g| !matches!(self.at[g], At::Waits | At::Ended)).collect()
    }

    /// `goroutine` goes on until the next fork.
    fn go_on(&mut self, goroutine: usize) {
        self.at[goroutine] = match self.at[goroutine] {
            At::Begin => At::Point,
            At::Point => match self.waiting.first() {
                Some(&other) if self.sends[other] != self.sends[goroutine] => {
                    self.waiting.remove(0);
                    self.at[other] = At::Woken;
                    At::Ended
                }
                _ => {
                    self.waiting.push(goroutine);
                    At::Waits
                }
            },
            At::Woken => At::Ended,
            At::Waits | At::Ended => unreachable!("it can't go on"),
        };
    }

    fn walk(&self, path: &mut Path, paths: &mut Vec<Path>) {
        let ready = self.ready();
        if ready.is_empty() {
            assert!(self.at.iter().all(|&at| at == At::Ended), "nobody is left");
            return paths.push(path.clone());
        }
        for &goroutine in &ready {
            let mut next = self.clone();
            next.go_on(goroutine);
            if ready.len() > 1 {
                let options = ready.iter().map(|&g| g as u64 + FIRST).collect();
                path.push((options, goroutine as u64 + FIRST));
            }
            next.walk(path, paths);
            if ready.len() > 1 {
                path.pop();
            }
        }
    }

    fn paths(&self) -> Vec<Path> {
        let mut paths = Vec::new();
        self.walk(&mut Vec::new(), &mut paths);
        paths
    }
}

/// The exhaustive search, and what it was offered and took.
struct Recorded {
    search: Exhaustive,
    path: Path,
    paths: Arc<Mutex<Vec<Path>>>,
}

impl strategy::Strategy for Recorded {
    fn begin(&mut self, seed: u64) {
        self.search.begin(seed);
    }

    fn schedule(&mut self, options: &Options<'_>) -> usize {
        let taken = self.search.schedule(options);
        let mut numbers: Vec<u64> = (0..options.len()).map(|index| options.id(index)).collect();
        numbers.sort_unstable();
        self.path.push((numbers, options.id(taken)));
        taken
    }

    fn pick(&mut self, _: usize) -> usize {
        unreachable!("the program draws nothing")
    }

    fn end(&mut self) -> bool {
        self.paths.lock().unwrap().push(std::mem::take(&mut self.path));
        self.search.end()
    }

    fn is_seeded(&self) -> bool {
        false
    }
}

/// All schedules of the program, as the engine visits them.
fn visited(senders: usize, receivers: usize) -> Vec<Path> {
    let config = Config::default();
    let body = move || {
        let (tx, rx) = chan::bounded(0);
        let (tx, rx) = (&tx, &rx);
        scope(|s| {
            (0..senders).for_each(|value| drop(s.go(move || tx.send(value).unwrap())));
            (0..receivers).for_each(|_| drop(s.go(|| rx.recv().unwrap())));
        });
    };
    let session = Session { config: &config, body: Arc::new(body), site: Location::caller(), replays: false };
    let paths = Arc::new(Mutex::new(Vec::new()));
    let recorded = Recorded { search: Exhaustive::new(None), path: Path::new(), paths: paths.clone() };
    let (_, failed) = session.run(Box::new(session.explorer(Box::new(recorded), 0, u64::MAX)));
    assert!(failed.is_none(), "{failed:?}");
    std::mem::take(&mut *paths.lock().unwrap())
}

/// Compares, and says how many there are.
fn compare(senders: usize, receivers: usize) -> usize {
    let mut seen = visited(senders, receivers);
    let count = seen.len();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), count, "no schedule is visited twice");
    let mut expected = Model::new(senders, receivers).paths();
    expected.sort_unstable();
    assert!(seen == expected, "{count} schedules were visited, and there are {}", expected.len());
    count
}

#[test]
fn a_rendezvous_of_two_has_six_schedules() {
    // By hand: S or R begins (2). Say S. At its point, S goes on and waits, so that R begins, meets it, ends, and S ends: one way;
    // or R begins first. At R's point both could go on: whoever does waits, and the other one meets it: two ways.
    // 2 * (1 + 2) = 6.
    assert_eq!(compare(1, 1), 6);
}

#[test]
fn the_rendezvous_of_two_senders_and_two_receivers_is_visited_in_every_order_once() {
    assert_eq!(compare(2, 2), 10_224);
}

#[test]
fn options_name_who_goes_on() {
    let options = Options { others: &[3, 5, 9], running: Running::GoesOn(4), first: 1 };
    let names: Vec<u64> = (0..options.len()).map(|index| options.id(index)).collect();
    assert_eq!(names, [4, 5, 9, 3]);
    let options = Options { others: &[3, 5, 9], running: Running::Yields(4), first: 1 };
    let names: Vec<u64> = (0..options.len()).map(|index| options.id(index)).collect();
    assert_eq!(names, [5, 9, 3, 4]);
}
