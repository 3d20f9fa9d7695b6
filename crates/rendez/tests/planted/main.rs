//! Ten bugs, planted, and found: each in a program that somebody might write, with what is wrong said in a few lines, and
//! mended beside it.
//!
//! | bug | shows as | found by | within |
//! | --- | --- | --- | --- |
//! | [`lost_update`] | a panic: the balance is wrong | random | 50 schedules |
//! | [`lock_order`] | a deadlock | PCT, depth 2 | 300 |
//! | [`missed_signal`] | a deadlock | PCT, depth 2 | 50 |
//! | [`leak_on_error`] | a leak | random | 50 |
//! | [`double_close`] | a panic: released twice | random | 300 |
//! | [`aba_in_a_pool`] | a panic: one slot for two | random | 100 |
//! | [`select_starvation`] | no end within 2000 steps | random | 20 |
//! | [`timer_reset`] | a panic: used after it was closed | random | 50 |
//! | [`cancelled_before_use`] | a panic: the entry was not written | random | 20 |
//! | [`writer_starvation`] | a panic: passed by too many | PCT, depth 3 | 200 |
//!
//! That holds for each of the seeds below. What has been found happens again, a hundred times of a hundred, by its schedule,
//! by its seed, and in another process by the line that the report prints. The mended programs pass the same search,
//! ten times as long.

#![cfg(feature = "testing")]

mod aba_in_a_pool;
mod cancelled_before_use;
#[path = "../child/mod.rs"]
mod child;
mod double_close;
mod leak_on_error;
mod lock_order;
mod lost_update;
mod missed_signal;
mod select_starvation;
mod timer_reset;
mod writer_starvation;

use rendez::testing::{self, Config, Explored, Failure, Strategy};

/// A bug.
pub(crate) struct Planted {
    pub(crate) name: &'static str,
    pub(crate) broken: fn(),
    pub(crate) mended: fn(),
    pub(crate) strategy: Strategy,
    /// How many schedules are enough.
    pub(crate) within: usize,
    pub(crate) shows: fn(&Failure) -> bool,
    /// What the report says.
    pub(crate) says: &'static str,
}

const SEEDS: [u64; 5] = [1, 2, 3, 2000, 0xDEAD_BEEF];
/// What takes more steps than that is said not to end.
const MAX_STEPS: u64 = 2000;

static BUGS: [Planted; 10] = [
    lost_update::BUG,
    lock_order::BUG,
    missed_signal::BUG,
    leak_on_error::BUG,
    double_close::BUG,
    aba_in_a_pool::BUG,
    select_starvation::BUG,
    timer_reset::BUG,
    cancelled_before_use::BUG,
    writer_starvation::BUG,
];

/// All programs are run from this one place, which is what `RENDEZ_REPLAY` names.
fn look(program: fn(), config: Config) -> Result<Explored, Box<Failure>> {
    testing::check(Config { max_steps: MAX_STEPS, ..config }, program)
}

fn search(bug: &Planted, seed: u64, iterations: usize) -> Config {
    Config {
        strategy: bug.strategy.clone(),
        seed: Some(seed),
        iterations: Some(iterations),
        ..Config::default()
    }
}

fn found(bug: &Planted, seed: u64) -> Failure {
    let config = search(bug, seed, bug.within);
    *look(bug.broken, config).expect_err(&format!("{}, seed {seed}", bug.name))
}

#[test]
fn each_is_found_within_so_many_schedules() {
    for bug in &BUGS {
        let mut needed = Vec::new();
        for seed in SEEDS {
            let failure = found(bug, seed);
            assert!((bug.shows)(&failure), "{}: {failure}", bug.name);
            assert!(failure.message().contains(bug.says), "{}: {failure}", bug.name);
            needed.push(failure.found_after());
        }
        println!("{}: found after {needed:?} of {} schedules", bug.name, bug.within);
    }
}

#[test]
fn each_is_found_no_more_once_it_is_mended() {
    for bug in &BUGS {
        for seed in SEEDS {
            let config = search(bug, seed, 10 * bug.within);
            look(bug.mended, config).unwrap_or_else(|failure| panic!("{}, mended: {failure}", bug.name));
        }
    }
}

#[test]
fn each_happens_again_by_its_schedule() {
    for bug in &BUGS {
        let failure = found(bug, SEEDS[0]);
        let strategy = Strategy::Replay(failure.schedule());
        for _ in 0..100 {
            let config = Config { strategy: strategy.clone(), shrink: 0, ..Config::default() };
            let again = look(bug.broken, config).expect_err(bug.name);
            assert_eq!(again.found_after(), 1);
            assert_eq!(again.message(), failure.message(), "{}", bug.name);
            assert_eq!(again.trace(), failure.trace(), "{}", bug.name);
        }
    }
}

#[test]
fn each_happens_again_by_its_seed() {
    for bug in &BUGS {
        let failure = found(bug, SEEDS[0]);
        let mut first = None;
        for _ in 0..100 {
            let config = Config { shrink: 0, ..search(bug, failure.seed(), 1) };
            let again = look(bug.broken, config).expect_err(bug.name);
            assert_eq!((again.found_after(), again.seed()), (1, failure.seed()));
            let first = first.get_or_insert_with(|| again.clone());
            assert_eq!(again.message(), first.message(), "{}", bug.name);
            assert_eq!(again.trace(), first.trace(), "{}", bug.name);
            assert_eq!(again.schedule(), first.schedule(), "{}", bug.name);
        }
    }
}

/// Names the bug for the child.
const BUG: &str = "RENDEZ_TEST_BUG";

#[test]
fn each_happens_again_by_the_line_that_is_printed() {
    if child::is_child() {
        let name = std::env::var(BUG).expect("the parent names it");
        let bug = BUGS.iter().find(|bug| bug.name == name).expect("one of them");
        for _ in 0..100 {
            // The environment goes before this, which would not find anything.
            let config = Config { iterations: Some(0), shrink: 0, ..Config::default() };
            let failure = look(bug.broken, config).expect_err("the line says how");
            println!("trace: {}; {}", failure.trace(), failure.message().lines().next().unwrap_or_default());
        }
        return;
    }
    for bug in &BUGS {
        let failure = found(bug, SEEDS[0]);
        let report = failure.to_string();
        let line = report.lines().find_map(|line| line.split_once("RENDEZ_REPLAY=")).expect(&report).1;
        let test = "each_happens_again_by_the_line_that_is_printed";
        let settings = [(BUG, bug.name), ("RENDEZ_REPLAY", line)];
        let ended = child::end(child::start(test, &settings));
        assert!(ended.status.success(), "{}: {ended:?}", bug.name);
        let message = failure.message();
        let told = format!("trace: {}; {}", failure.trace(), message.lines().next().unwrap_or_default());
        assert_eq!(ended.out.matches(&told).count(), 100, "{}: {told}\n{ended:?}", bug.name);
    }
}
