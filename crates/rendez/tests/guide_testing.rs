//! The chapter "Testing" of the guide: its programs are these, its reports are what they print, and what it claims holds.

#![cfg(feature = "testing")]

use rendez::{
    chan::{self, Receiver, Sender},
    go, scope, select,
    sync::{Cond, Mutex},
    testing::{self, Config, Explored, Failure, Strategy},
};
use std::sync::Arc;

const CHAPTER: &str = include_str!("../../../docs/guide/src/testing.md");
const HERE: &str = include_str!("guide_testing.rs");

// program: dine
fn dine(philosophers: usize) {
    let forks: Vec<_> = (0..philosophers).map(|_| Mutex::new(())).collect();
    scope(|s| {
        for seat in 0..philosophers {
            let (left, right) = (&forks[seat], &forks[(seat + 1) % philosophers]);
            s.go(move || {
                let _left = left.lock();
                let _right = right.lock();
            });
        }
    });
}
// end

// program: dine_in_order
fn dine_in_order(philosophers: usize) {
    let forks: Vec<_> = (0..philosophers).map(|_| Mutex::new(())).collect();
    scope(|s| {
        for seat in 0..philosophers {
            let other = (seat + 1) % philosophers;
            let (lower, higher) = (&forks[seat.min(other)], &forks[seat.max(other)]);
            s.go(move || {
                let _lower = lower.lock();
                let _higher = higher.lock();
            });
        }
    });
}
// end

// program: Gate
#[derive(Default)]
struct Gate {
    is_open: Mutex<bool>,
    opened: Cond,
}

impl Gate {
    fn open(&self) {
        *self.is_open.lock() = true;
        self.opened.broadcast();
    }

    fn pass(&self) {
        let is_open = *self.is_open.lock();
        if !is_open {
            let mut guard = self.is_open.lock();
            self.opened.wait(&mut guard);
        }
    }
}
// end

impl Gate {
    // program: pass
    fn pass_surely(&self) {
        let mut guard = self.is_open.lock();
        self.opened.wait_while(&mut guard, |is_open| !*is_open);
    }
    // end
}

// program: Printer
struct Printer {
    strings: Receiver<String>,
    stop: (Sender<()>, Receiver<()>),
}

impl Printer {
    fn run(&self) {
        loop {
            select! {
                recv(self.strings) -> string => match string {
                    Ok(string) => println!("{string}"),
                    Err(_) => return,
                },
                recv(self.stop.1) -> _ => return,
            }
        }
    }

    fn stop(&self) {
        let _ = self.stop.0.try_send(());
    }
}
// end

impl Printer {
    // program: stop
    fn stop_surely(&self) {
        self.stop.0.close();
    }
    // end
}

/// Three are at the table.
fn table() {
    dine(3);
}

fn gate(pass: fn(&Gate)) {
    let gate = Gate::default();
    scope(|s| {
        s.go(|| pass(&gate));
        gate.open();
    });
}

fn printer(stop: fn(&Printer)) {
    let printer = Arc::new(Printer { strings: chan::never(), stop: chan::bounded(0) });
    go({
        let printer = printer.clone();
        move || printer.run()
    });
    stop(&printer);
}

fn seeded() -> Config {
    Config { seed: Some(1), ..Config::default() }
}

fn exhaustive() -> Config {
    Config { strategy: Strategy::Exhaustive { preemptions: None }, ..Config::default() }
}

/// That a failure is as the chapter shows it, but for what changes with every scheduling point that is added somewhere; and
/// that its schedule fails again each time it is replayed.
#[track_caller]
fn is_as_told(failure: &Failure, body: fn()) {
    println!("{failure}");
    assert!(failure.found_after() <= 100, "found by schedule {}", failure.found_after());
    let told = without_lines(&failure.message()).replace('\t', "    ");
    let (mut chapter, mut told) = (without_lines(CHAPTER), told);
    if !cfg!(debug_assertions) {
        // Where a lock was made is not kept in a release, where a channel was is.
        for text in [&mut chapter, &mut told] {
            *text = text.replace(", made at crates/rendez/tests/guide_testing.rs", "");
        }
    }
    assert!(chapter.contains(&told), "not in the chapter:\n{told}");
    for _ in 0..100 {
        let config = Config { strategy: Strategy::Replay(failure.schedule()), ..Config::default() };
        let again = testing::check(config, body).unwrap_err();
        assert_eq!(without_lines(&again.message()), without_lines(&failure.message()));
        assert_eq!(again.trace(), failure.trace());
    }
}

/// `text` with places in this file told without line and column.
fn without_lines(text: &str) -> String {
    let mut parts = text.split("guide_testing.rs:");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str("guide_testing.rs");
        out.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit() || c == ':'));
    }
    out
}

/// That no schedule is left, and that there were about as many as the chapter says.
#[track_caller]
fn complete(explored: Result<Explored, Box<Failure>>, about: u64) {
    let explored = explored.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(explored.complete);
    assert!((about / 3..about * 3).contains(&explored.schedules), "{} schedules", explored.schedules);
}

#[test]
fn the_chapter_shows_these_programs() {
    let mut programs = 0;
    for part in HERE.split(concat!("// ", "program: ")).skip(1) {
        let (program, _) = part.split_once("// end").unwrap();
        let (name, source) = program.split_once('\n').unwrap();
        // Methods are shown without what is around them, and under the name of what they are put in place of.
        let shown: Vec<&str> =
            source.trim_end().lines().map(|line| line.strip_prefix("    ").unwrap_or(line)).collect();
        let method = shown.join("\n").replace("_surely", "");
        assert!(
            CHAPTER.contains(source.trim_end()) || CHAPTER.contains(&method),
            "{name} is not in the chapter"
        );
        programs += 1;
    }
    assert_eq!(programs, 6);
}

#[test]
fn philosophers_who_take_the_left_fork_first_starve() {
    let failure = testing::check(seeded(), table).unwrap_err();
    assert!(failure.is_deadlock());
    is_as_told(&failure, table);
}

#[test]
fn forks_taken_in_order_starve_nobody() {
    complete(testing::check(exhaustive(), || dine_in_order(2)), 80);
    let bounded = Config { strategy: Strategy::Exhaustive { preemptions: Some(3) }, ..exhaustive() };
    complete(testing::check(bounded, || dine_in_order(3)), 4000);
    testing::explore(Config { iterations: Some(10_000), ..seeded() }, || dine_in_order(5));
}

#[test]
fn a_signal_between_look_and_wait_is_lost() {
    let body = || gate(Gate::pass);
    let failure = testing::check(seeded(), body).unwrap_err();
    assert!(failure.is_deadlock());
    is_as_told(&failure, body);
}

#[test]
fn a_signal_is_not_lost_on_who_looks_and_waits_in_one() {
    complete(testing::check(exhaustive(), || gate(Gate::pass_surely)), 25);
}

#[test]
fn who_is_not_listening_is_not_told_to_stop() {
    let body = || printer(Printer::stop);
    let failure = testing::check(seeded(), body).unwrap_err();
    assert!(failure.is_leak());
    is_as_told(&failure, body);
}

#[test]
fn a_closed_channel_tells_whoever_comes() {
    complete(testing::check(exhaustive(), || printer(Printer::stop_surely)), 6);
}

#[test]
fn plain_atomics_between_two_points_are_not_divided() {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    let lost = |pause: fn()| {
        testing::check(exhaustive(), move || {
            let count = AtomicUsize::new(0);
            scope(|s| {
                for _ in 0..2 {
                    s.go(|| {
                        let seen = count.load(SeqCst);
                        pause();
                        count.store(seen + 1, SeqCst);
                    });
                }
            });
            assert_eq!(count.load(SeqCst), 2);
        })
    };
    complete(lost(|| {}), 2);
    assert!(lost(rendez::yield_now).unwrap_err().is_panic());
}
