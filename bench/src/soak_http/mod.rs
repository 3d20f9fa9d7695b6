//! `bench soak-http`: an HTTP server and guests of all kinds, for as long as wanted, with an account of it.
//!
//! The server stays for all of it. The guests come in rounds; after each round all have gone, the server has nobody left, and it is looked
//! at whether descriptors and goroutines are as many as after the first. How the guests behave is chosen by the seed.

mod guests;
mod site;
mod wire;

use crate::soak::{clock_seed, vitals, vitals::Vitals, watch};
use guests::{Guest, KINDS, Tally};
use rendez::{Context, diag, go, scope, time};
use site::Site;
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

/// How long guests keep coming in a round, at most.
const ROUND: Duration = Duration::from_secs(6);
/// Rounds before things are compared: by then each worker has its poller, and each kind of guest has been there.
const WARM_UP: usize = 2;
/// Rounds below which nothing is said of memory.
const FEWEST: usize = 16;
/// Whoever was cut off has gone by then: a second.
const STAYS: u32 = 10;
/// Long after all should have come to rest.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, clap::Args)]
pub(crate) struct SoakHttp {
    /// For how many minutes; fractions will do
    #[arg(default_value_t = 10.0)]
    minutes: f64,
    /// Chooses what guests do, and how long they take [default: the time of day, which is printed]
    #[arg(long)]
    seed: Option<u64>,
    /// How many guests there are at once
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    guests: u32,
    /// Only guests of this kind
    #[arg(long)]
    kind: Option<String>,
    /// How many seconds the server waits for a head, and for a guest who takes nothing: short for a short run, long on a slow machine
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    limit: f64,
    /// Seconds between two lines about how it goes
    #[arg(long, default_value_t = 30.0)]
    every: f64,
}

/// What takes how long.
#[derive(Clone, Copy, Debug)]
struct Times {
    length: Duration,
    every: Duration,
    /// The server's patience.
    limit: Duration,
    /// Guests keep coming for so long in a round.
    round: Duration,
}

/// How things are when nobody is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rest {
    vitals: Vitals,
    goroutines: u64,
}

impl SoakHttp {
    pub(crate) fn run(&self) -> Result<(), String> {
        let length =
            Duration::try_from_secs_f64(self.minutes * 60.0).map_err(|error| format!("minutes: {error}"))?;
        let every = Duration::try_from_secs_f64(self.every).map_err(|error| format!("--every: {error}"))?;
        let limit = Duration::try_from_secs_f64(self.limit).map_err(|error| format!("--limit: {error}"))?;
        let times = Times { length, every, limit, round: ROUND.min(length / 8).max(limit / 2) };
        let chosen = |kind: &&'static guests::Kind| self.kind.as_ref().is_none_or(|name| name == kind.name);
        let kinds: Vec<&'static guests::Kind> = KINDS.iter().filter(chosen).collect();
        if kinds.is_empty() {
            let names: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
            return Err(format!("no such kind of guest; there are {}", names.join(", ")));
        }
        let seed = self.seed.unwrap_or_else(clock_seed);
        println!("soak-http: --seed {seed}, {} guests at once, {:.1} minutes", self.guests, self.minutes);
        rendez::run(|| self.play(seed, &kinds, &times))
    }

    fn play(&self, seed: u64, kinds: &[&'static guests::Kind], times: &Times) -> Result<(), String> {
        let Times { length, every, limit, .. } = *times;
        let site = Site::open(limit).map_err(|error| error.to_string())?;
        let (begin, mut told) = (Instant::now(), Instant::now());
        let playing = Arc::new(AtomicU64::new(0));
        watch(seed, playing.clone());
        let (mut tally, mut rests) = (Tally::default(), Vec::<Rest>::new());
        // Until it is at rest for the first time, nobody can say how many goroutines that is.
        let mut at_rest = None;
        while begin.elapsed() < length || rests.len() <= WARM_UP {
            let round = rests.len() as u64;
            let played = self.round(seed, round, kinds, &site, times);
            let told_of = site.errors();
            tally += played.map_err(|what| {
                format!("round {round} (--seed {seed}): {what}\nthe server was told of {told_of}")
            })?;
            let rest = rest(&site, at_rest)?;
            at_rest = Some(rest.goroutines);
            rests.push(rest);
            playing.store(rests.len() as u64, SeqCst);
            if let Some(base) = rests.get(WARM_UP)
                && (rest.vitals.files > base.vitals.files || rest.goroutines > base.goroutines)
            {
                return Err(format!(
                    "round {round} (--seed {seed}): it began with {base:?} and left {rest:?}"
                ));
            }
            if told.elapsed() >= every {
                told = Instant::now();
                println!("{:>6.0} s: {tally}; {}", begin.elapsed().as_secs_f64(), rest.vitals);
            }
        }
        let (base, last) = (rests[WARM_UP], rests[rests.len() - 1]);
        println!("\n{} rounds in {:.0} s\n{tally}", rests.len(), begin.elapsed().as_secs_f64());
        println!("guests: {}", tally.by_kind(kinds));
        let (drained, errors) = site.close();
        println!(
            "server: {} connections served, {} cut; it was told of {errors}",
            drained.served, drained.cut
        );
        println!("at the beginning: {}, {} goroutines", base.vitals, base.goroutines);
        println!("at the end:       {}, {} goroutines", last.vitals, last.goroutines);
        if (drained.served, drained.cut) != (tally.connections, 0) {
            return Err(format!("guests made {} connections, and it says {drained:?}", tally.connections));
        }
        let samples: Vec<Vitals> = rests[WARM_UP..].iter().map(|rest| rest.vitals).collect();
        let grown = vitals::growth(&samples, FEWEST);
        if !grown.is_empty() {
            return Err(grown.join("; "));
        }
        println!("ok");
        Ok(())
    }

    /// Guests come for a while, and go.
    fn round(
        &self,
        seed: u64,
        number: u64,
        kinds: &[&'static guests::Kind],
        site: &Site,
        times: &Times,
    ) -> Result<Tally, String> {
        let mut rng = fastrand::Rng::with_seed(seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let (ctx, _cancel) = Context::background().with_timeout(times.round);
        let (tally, failure) = (Mutex::new(Tally::default()), Mutex::new(None));
        scope(|s| {
            for _ in 0..self.guests {
                let (mut rng, ctx) = (rng.fork(), &ctx);
                let (tally, failure) = (&tally, &failure);
                s.go(move || {
                    let mut guest = Guest::new(site.addr(), times.limit);
                    while ctx.err().is_none() {
                        let kind = guests::choose(kinds, &mut rng);
                        if let Err(error) = guest.visit(kind, &mut rng) {
                            let told = format!("a guest of the kind `{}`: {error}", kind.name);
                            failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(told);
                            break;
                        }
                        rendez::yield_now();
                    }
                    *tally.lock().unwrap_or_else(PoisonError::into_inner) += guest.into_tally();
                });
            }
        });
        match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(failure) => Err(failure),
            None => Ok(tally.into_inner().unwrap_or_else(PoisonError::into_inner)),
        }
    }
}

/// Waits until the server has nobody left, and no more goroutines are there than are known to be, then; if that is not known, until their
/// number stays for [`STAYS`] looks.
fn rest(site: &Site, goroutines: Option<u64>) -> Result<Rest, String> {
    let start = Instant::now();
    let (mut before, mut same) = (None, 0);
    loop {
        let now = Rest { vitals: Vitals::now(), goroutines: diag::stats().goroutines.all };
        let is_known = match goroutines {
            Some(known) => now.goroutines <= known,
            None => same >= STAYS,
        };
        if site.is_empty() && is_known {
            return Ok(now);
        }
        let seen = Some((now.goroutines, now.vitals.files));
        same = if before == seen { same + 1 } else { 0 };
        before = seen;
        if start.elapsed() > PATIENCE {
            let there = site.there();
            return Err(format!(
                "{there} connections are left, and {now:?}, of {goroutines:?}\n{}",
                diag::dump()
            ));
        }
        time::sleep(Duration::from_millis(100));
    }
}

/// Has `f` done beside the caller, and looks that it ends in time.
fn beside<R: Send + 'static>(f: impl FnOnce() -> R + Send + 'static) -> impl FnOnce() -> Result<R, String> {
    let handle = go(f);
    move || match time::timeout(PATIENCE, &handle) {
        Some(()) => handle.join().map_err(|error| error.to_string()),
        None => Err("it does not end".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soak(kind: Option<&str>) -> SoakHttp {
        let kind = kind.map(String::from);
        SoakHttp { minutes: 0.0, seed: Some(7), guests: 4, kind, limit: 0.5, every: 30.0 }
    }

    #[test]
    fn everybody_comes_and_goes_and_it_adds_up() {
        soak(None).run().unwrap();
    }

    #[test]
    fn a_kind_that_there_is_not_is_told_with_those_that_there_are() {
        assert!(soak(Some("ghosts")).run().unwrap_err().contains("pipelines"));
    }
}
