//! Where a goroutine starts, which is where it stays: the price of never moving a started goroutine.
//!
//! Two kinds of program pull apart. *Chatty* goroutines (ping-pong, a sieve) hand over to each other every few hundred
//! nanoseconds and want one worker, where a hand-off is a switch and not a message between processors. *Working*
//! goroutines (stages of 20 us, prime finders) want a worker each, and must not end up on one because their first act was
//! to block. At the start neither is known, so the rules are:
//!
//! 1. **Unknown spawn site: in pairs.** The goroutines that one burst of a parent starts (a burst lasts until the parent
//!    parks) are taken two by two; a pair goes to the worker with the least load, to the starter on a tie or a lead of one.
//!    Two partners stay together, and eight stages are split four and four, with half of the hand-offs local. One whose
//!    siblings are known to be chatty goes where they went.
//! 2. **Chatty site** (measured bursts below [`CHATTY`], or full of [hand-overs](OFTEN)): stay, until this worker leads by [`SLACK`]; then the next
//!    run of goroutines goes to the least loaded worker until *that* leads by as much. Long chains are so cut into runs, and
//!    only every run's ends talk across workers. Where each is started by itself, after its parent has parked, as by who makes a chain longer while
//!    it is in use (the sieve), the lead may also be a [share](SHARE) of what is there: every value goes over every cut, and with runs that grow as the
//!    chain does there are a dozen of them in 2000 goroutines and not 30. (sieve .83 to .95 by that, where a message between processors is slow .8;
//!    for what is started in a heap, and then used, it would only be uneven: daisy 1.3 to 1.5.)
//!    But those that are started in a burst which has accepted a connection are placed as in 1, chatty or not: they talk to who is at its other end, and
//!    with each other seldom; and a server with a few dozen clients is to have all processors.
//! 3. **Working site**: one by one to the least loaded worker.
//!
//! *Load* counts the goroutines that have parked at least once, have not ended, and do not just wait for others to end
//! (`join`, `scope`, `WaitGroup`): one that has never parked costs nothing to keep, so a batch of short goroutines pays
//! for no bookkeeping. A worker writes its own load and reads the others' only when its own is not zero, and of many
//! workers only [`LOOKS`] at a time, by turns: each is a cache line that its worker has written lately, so a look at all of them would
//! cost a large machine more than the goroutine. Nearly the least of a few is nearly as even as the least of all (Azar, Broder, Karlin
//! and Upfal, *Balanced Allocations*, 1994).
//!
//! Bursts are sampled: every 64th switch of a worker is timed, and each of the next [`CURIOUS`] ones after it has placed a
//! goroutine of which little is known; the time goes to the goroutine's spawn site, in a process-wide table of
//! relaxed atomics (a lost update loses a sample). A goroutine's first burst does not count when it is short: chatty or
//! working, its first act is to wait for something. (Polls of async goroutines all count.) Rejected: timing every switch (24 ns for the clock against 8 for a
//! yield), and counting by goroutine (it has made its choice when its profile is known).
//!
//! A long burst counts by its length, up to [`WEIGHT`] short ones: who looks for primes is done with most numbers at once, and works with each sixth
//! for a hundred times as long. And a long one is none if it was [a hand-over after the other](OFTEN): with a buffer
//! between them, two that talk need not park for as long as both run. On two workers they never have to, so that they passed for working
//! because they were apart, and were put apart again for as long as the program ran. (What finds nothing and does not wait, as who looks now and then whether it is to end, is no hand-over. Locks are,
//! contended or not, and so are values that one goroutine keeps in a channel of its own: whoever does that every 300 ns is likely to share it. Who does not
//! pays for it: four goroutines that wait first and then lock a mutex of their own every 110 ns stay on one worker, and take 1.6 of the time that they take on two.
//! Not counted where it is uncontended, a shared lock that is taken every 20 ns or more would pass for work as soon as all who take it are together.)

use std::{
    panic::Location,
    sync::atomic::{AtomicI32, AtomicU32, AtomicUsize, Ordering},
    time::Duration,
};

/// Bursts shorter than this make a chatty site: what a hand-off
/// between two workers costs when one of them has to be woken first, as it often has.
pub(super) const CHATTY: Duration = Duration::from_micros(10);
/// A burst that hands over as often as this, or more often, is a chatty one, however long it is. From one worker to the other
/// each costs some 100 to 200 ns: who works for less than that between two of them is done sooner beside his partner than apart from him. (If he has one: see the
/// head for what locks cost those who share them with nobody.)
const OFTEN: Duration = Duration::from_nanos(300);
/// As so many short bursts a long one counts, at most; and as one more for so many samples of its site: the first bursts may be long for what they
/// touch for the first time.
const WEIGHT: u32 = 8;
const SAMPLES_FOR_EACH: u32 = 8;
/// How far a worker may lead with chatty goroutines.
pub(super) const SLACK: u32 = 32;
/// As one part in so many of its load it may lead, where they are started one by one.
const SHARE: u32 = 4;
/// How many workers are looked at for the least loaded one.
const LOOKS: usize = 8;
/// From this score on a site counts as known.
const KNOWN: i32 = 3;
/// The score goes no further, so that a site whose goroutines change is found out soon.
const SURE: i32 = 12;
/// After the placement of a goroutine of which little is known, so many switches are timed one by one.
pub(super) const CURIOUS: u32 = 32;
/// With so many samples a site is left to the ordinary sampling, known or not.
const ENOUGH: u32 = 64;

/// What is known of a spawn site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Unknown,
    Chatty,
    Working,
}

struct Site {
    /// The address of the `Location`; 0 while free. It never changes once set.
    key: AtomicUsize,
    /// Up for every long burst, by its [weight](WEIGHT), and down for every short one, within [`SURE`] of zero: the sign tells the kind. An average
    /// would not do: one burst in which the kernel took the processor away for some milliseconds would outweigh a thousand others. (Here it takes two such
    /// close to each other to turn a sure score, and seven short ones undo it.)
    score: AtomicI32,
    /// How often it has been sampled, up to [`ENOUGH`].
    samples: AtomicU32,
}

const SITES: usize = 1024;
const PROBES: usize = 8;

static TABLE: [Site; SITES] =
    [const { Site { key: AtomicUsize::new(0), score: AtomicI32::new(0), samples: AtomicU32::new(0) } };
        SITES];

/// The site's place in the table: found, or taken if `insert`. A full neighbourhood leaves the site unknown.
fn find(location: &'static Location<'static>, insert: bool) -> Option<&'static Site> {
    let key = std::ptr::from_ref(location).addr();
    let hash = (key >> 3).wrapping_mul(0x9E37_79B9_7F4A_7C15_u64 as usize) >> 16;
    for probe in 0..PROBES {
        let site = &TABLE[(hash + probe) % SITES];
        let found = site.key.load(Ordering::Relaxed);
        if found == key {
            return Some(site);
        }
        if found == 0 {
            if !insert {
                return None;
            }
            match site.key.compare_exchange(0, key, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Some(site),
                Err(other) if other == key => return Some(site),
                Err(_) => {}
            }
        }
    }
    None
}

/// A timed burst.
#[derive(Clone, Copy, Debug)]
pub(super) struct Burst {
    pub(super) lasted: Duration,
    /// The same without what its calls of the system may have taken.
    pub(super) work: Duration,
    pub(super) hand_overs: u32,
}

/// Learns from one burst of a goroutine that was spawned at `location`.
pub(super) fn learn(location: &'static Location<'static>, burst: Burst) {
    let Some(site) = find(location, true) else { return };
    let samples = site.samples.load(Ordering::Relaxed);
    let score = score_after(site.score.load(Ordering::Relaxed), samples, burst);
    site.score.store(score, Ordering::Relaxed);
    if samples < ENOUGH {
        site.samples.store(samples + 1, Ordering::Relaxed);
    }
}

/// The score after one burst more than so many `samples`.
fn score_after(score: i32, samples: u32, burst: Burst) -> i32 {
    if burst.lasted < CHATTY || burst.lasted <= OFTEN.saturating_mul(burst.hand_overs) {
        return (score - 1).max(-SURE);
    }
    let most = WEIGHT.min(1 + samples / SAMPLES_FOR_EACH);
    let weight = (burst.work.as_nanos() / CHATTY.as_nanos()).clamp(1, u128::from(most));
    (score + weight as i32).min(SURE)
}

/// What is known of the site, and whether more samples are wanted.
pub(super) fn kind(location: &'static Location<'static>) -> (Kind, bool) {
    let Some(site) = find(location, false) else { return (Kind::Unknown, true) };
    let kind = match site.score.load(Ordering::Relaxed) {
        score if score <= -KNOWN => Kind::Chatty,
        score if score >= KNOWN => Kind::Working,
        _ => Kind::Unknown,
    };
    (kind, site.samples.load(Ordering::Relaxed) < ENOUGH)
}

/// A worker's memory of its last decisions.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Placer {
    /// The last pair: its parent's burst and its place in it.
    pair: Option<(u32, u16)>,
    /// Where that pair went.
    pair_target: usize,
    /// Where chatty goroutines go until the lead is too large.
    run_target: usize,
    /// The burst of the last one of them.
    chatty_family: Option<u32>,
    /// Where the next look at the workers begins.
    first: usize,
}

impl Placer {
    pub(super) fn new(me: usize) -> Placer {
        Placer { pair: None, pair_target: me, run_target: me, chatty_family: None, first: 0 }
    }

    /// The worker on which to start a goroutine. `load` tells a worker's load, `me` is the caller's index among
    /// `workers`.
    pub(super) fn choose(
        &mut self,
        kind: Kind,
        family: u32,
        sibling: u16,
        me: usize,
        workers: usize,
        load: impl Fn(usize) -> u32,
    ) -> usize {
        match kind {
            // Its siblings are chatty, so it is they that it will talk to.
            Kind::Unknown if self.chatty_family == Some(family) && self.run_target < workers => {
                self.run_target
            }
            Kind::Unknown => {
                let pair = (family, sibling / 2);
                if self.pair != Some(pair) || self.pair_target >= workers {
                    self.pair = Some(pair);
                    self.pair_target = self.least(me, workers, &load, 1);
                }
                self.pair_target
            }
            Kind::Chatty => {
                if self.run_target >= workers {
                    self.run_target = me;
                }
                let slack = match sibling {
                    0 => SLACK.max(load(self.run_target) / SHARE),
                    _ => SLACK,
                };
                self.run_target = self.least(self.run_target, workers, &load, slack);
                self.chatty_family = Some(family);
                self.run_target
            }
            Kind::Working => self.least(me, workers, &load, 0),
        }
    }

    /// The least loaded worker of those whose turn it is, or `preferred` if that leads it by no more than `slack`.
    fn least(&mut self, preferred: usize, workers: usize, load: &impl Fn(usize) -> u32, slack: u32) -> usize {
        let mine = load(preferred);
        if mine <= slack {
            return preferred;
        }
        let first = if workers > LOOKS { self.first % workers } else { 0 };
        self.first = first + LOOKS;
        let looked_at = (first..first + LOOKS.min(workers)).map(|index| index % workers);
        let best = looked_at.min_by_key(|&worker| load(worker)).unwrap_or(preferred);
        if mine > load(best) + slack { best } else { preferred }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    /// Places `n` goroutines of one burst, newest first, as a worker takes them; every one of them stays.
    fn place(kind: Kind, workers: usize, main: u32, n: u16) -> Vec<usize> {
        place_all(kind, workers, main, (0..n).rev().map(|sibling| (1, sibling)))
    }

    /// Places goroutines, of which the families and their places in them are told; every one of them stays.
    fn place_all(kind: Kind, workers: usize, main: u32, all: impl Iterator<Item = (u32, u16)>) -> Vec<usize> {
        let loads = RefCell::new(vec![0; workers]);
        loads.borrow_mut()[0] = main;
        let mut placer = Placer::new(0);
        let place_one = |(family, sibling)| {
            let target = placer.choose(kind, family, sibling, 0, workers, |i| loads.borrow()[i]);
            loads.borrow_mut()[target] += 1;
            target
        };
        all.map(place_one).collect()
    }

    fn cuts(targets: &[usize]) -> usize {
        targets.windows(2).filter(|pair| pair[0] != pair[1]).count()
    }

    fn count(targets: &[usize], worker: usize) -> usize {
        targets.iter().filter(|&&target| target == worker).count()
    }

    #[test]
    fn two_unknown_partners_stay_together() {
        assert_eq!(place(Kind::Unknown, 2, 0, 2), [0, 0]);
        assert_eq!(place(Kind::Unknown, 2, 1, 2), [0, 0]);
    }

    #[test]
    fn eight_unknown_stages_are_split_evenly_whatever_their_parent_weighs() {
        for main in 0..2 {
            let targets = place(Kind::Unknown, 2, main, 8);
            assert_eq!(count(&targets, 0), 4, "{targets:?}");
        }
    }

    #[test]
    fn working_goroutines_spread_one_by_one() {
        let targets = place(Kind::Working, 4, 0, 8);
        for worker in 0..4 {
            assert_eq!(count(&targets, worker), 2, "{targets:?}");
        }
    }

    #[test]
    fn many_workers_are_filled_evenly_with_a_few_looks_for_each() {
        let loads = RefCell::new(vec![0; 64]);
        let (mut placer, looks) = (Placer::new(0), std::cell::Cell::new(0));
        for sibling in 0..6400 {
            let load = |i: usize| {
                looks.set(looks.get() + 1);
                loads.borrow()[i]
            };
            let target = placer.choose(Kind::Working, 1, sibling, 0, 64, load);
            loads.borrow_mut()[target] += 1;
        }
        assert!(loads.borrow().iter().all(|load| (90..=110).contains(load)), "{loads:?}");
        assert!(looks.get() <= 6400 * (LOOKS + 3), "{looks:?}");
    }

    #[test]
    fn chatty_goroutines_stay_up_to_the_slack_and_then_go_in_runs() {
        assert_eq!(count(&place(Kind::Chatty, 2, 0, 30), 0), 30);
        let targets = place(Kind::Chatty, 2, 0, 2000);
        let cuts = cuts(&targets);
        assert!((20..=2000 / SLACK as usize).contains(&cuts), "{cuts} cuts");
        assert!((950..=1050).contains(&count(&targets, 0)));
    }

    #[test]
    fn of_a_chain_that_grows_one_by_one_the_runs_grow_too() {
        let targets = place_all(Kind::Chatty, 2, 0, (0..2000).map(|family| (family, 0)));
        let cuts = cuts(&targets);
        assert!(cuts <= 14, "{cuts} cuts");
        // At no time has one much more than the other.
        for n in (200..=2000).step_by(10) {
            let share = count(&targets[..n], 0) as f64 / n as f64;
            assert!((0.42..=0.58).contains(&share), "{share} of {n}");
        }
    }

    #[test]
    fn an_unknown_sibling_of_chatty_goroutines_goes_with_them() {
        let mut placer = Placer::new(0);
        let loads = [9, 0];
        assert_eq!(placer.choose(Kind::Chatty, 1, 3, 0, 2, |i| loads[i]), 0);
        assert_eq!(placer.choose(Kind::Unknown, 1, 0, 0, 2, |i| loads[i]), 0);
        assert_eq!(placer.choose(Kind::Unknown, 2, 0, 0, 2, |i| loads[i]), 1, "another family");
    }

    /// Of so many microseconds, without calls of the system.
    fn burst(us: u64, hand_overs: u32) -> Burst {
        let lasted = Duration::from_micros(us);
        Burst { lasted, work: lasted, hand_overs }
    }

    #[test]
    fn a_site_is_known_after_a_few_samples() {
        let location = Location::caller();
        assert_eq!(kind(location).0, Kind::Unknown);
        (0..KNOWN).for_each(|_| learn(location, burst(0, 1)));
        assert_eq!(kind(location).0, Kind::Chatty);
        (0..SURE).for_each(|_| learn(location, burst(0, 1)));
        learn(location, burst(20_000, 1));
        assert_eq!(kind(location).0, Kind::Chatty, "one outlier changes nothing");
        (0..20).for_each(|_| learn(location, burst(20, 2)));
        assert_eq!(kind(location).0, Kind::Working);
    }

    /// The scores that bursts of so many microseconds and hand-overs make, one after the other, from `score` and so many `samples` on.
    fn scores(score: i32, samples: u32, bursts: impl IntoIterator<Item = (u64, u32)>) -> Vec<i32> {
        let mut known = (score, samples);
        let after = |(us, hand_overs)| {
            known = (score_after(known.0, known.1, burst(us, hand_overs)), known.1 + 1);
            known.0
        };
        bursts.into_iter().map(after).collect()
    }

    #[test]
    fn who_is_done_with_most_at_once_and_works_for_long_with_the_rest_is_working() {
        let primes = (0..600).map(|i| if i % 6 == 0 { (150, 2) } else { (1, 2) });
        let scores = scores(-SURE, 0, primes);
        assert!(scores[120..].iter().all(|&score| score >= KNOWN), "{scores:?}");
    }

    #[test]
    fn one_long_burst_does_not_make_a_working_site() {
        assert_eq!(scores(0, 0, [(20_000, 1), (1, 1)]), [1, 0]);
        assert_eq!(scores(-SURE, ENOUGH, [(20_000, 1), (1, 1), (1, 1)]), [-4, -5, -6]);
        let undone = scores(-SURE, ENOUGH, [(20_000, 1); 2].into_iter().chain([(1, 1); 8]));
        assert_eq!(
            (undone[1], undone[9]),
            (4, -4),
            "two close to each other do, for seven or eight short ones"
        );
    }

    #[test]
    fn calls_of_the_system_do_not_weigh() {
        let (lasted, work) = (Duration::from_micros(80), Duration::from_micros(30));
        assert_eq!(score_after(0, ENOUGH, Burst { lasted, work, hand_overs: 0 }), 3);
        assert_eq!(score_after(0, ENOUGH, Burst { lasted, work: Duration::ZERO, hand_overs: 0 }), 1);
    }

    #[test]
    fn a_long_burst_of_many_hand_overs_is_chatty() {
        assert_eq!(scores(0, ENOUGH, [(60, 512), (60, 200)]), [-1, -2]);
        assert_eq!(scores(0, ENOUGH, [(60, 199), (60, 2)]), [6, 12]);
    }
}
