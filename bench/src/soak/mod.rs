//! `bench soak`: everything at once, for as long as wanted, with an account of it.
//!
//! A round is a runtime with some scenes on it at once. Its seed is the soak's and its number, so that a round can be had again
//! by `--seed` and `--first`; what the kernel's scheduler makes of it can't.

mod ledger;
mod memory;
mod scenes;
mod stage;
pub(crate) mod vitals;

use ledger::{Ledger, Sums};
use memory::Steps;
use rendez::{Context, Runtime, diag};
use scenes::SCENES;
use stage::{Rng, Stage};
use std::{
    any::Any,
    panic,
    process::exit,
    sync::{
        Arc, Mutex, Once, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};
use vitals::Vitals;

/// How often a round is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// Longer than any round takes on a machine that has anything else to do.
const STUCK: Duration = Duration::from_secs(120);
/// Rounds below which nothing can be said about growth.
const FEWEST: usize = 64;
/// For what ends a little after the round: a timer's waker, a thread's locals.
const PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 10 });

#[derive(Debug, clap::Args)]
pub(crate) struct Soak {
    /// For how many minutes; fractions will do
    #[arg(default_value_t = 1.0)]
    minutes: f64,
    /// Chooses scenes, sizes and moments [default: the time of day, which is printed]
    #[arg(long)]
    seed: Option<u64>,
    /// The number of the first round: with the seed, to have a round again
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Only this scene
    #[arg(long)]
    scene: Option<String>,
    /// Seconds between two lines about how it goes
    #[arg(long, default_value_t = 5.0)]
    every: f64,
}

/// What a panic carries that is part of the play.
#[derive(Debug)]
pub(crate) struct Planned;

/// The first panic that is not. Roles are detached, and what is wrong in them nobody else would ask about.
static AMISS: Mutex<Option<String>> = Mutex::new(None);

/// What a round was.
struct Played {
    /// By their places among the scenes.
    scenes: Vec<usize>,
    /// Whether the runtime was shut down amid it.
    cut: bool,
}

impl Soak {
    pub(crate) fn run(&self) -> Result<(), String> {
        let length =
            Duration::try_from_secs_f64(self.minutes * 60.0).map_err(|error| format!("minutes: {error}"))?;
        let every = Duration::try_from_secs_f64(self.every).map_err(|error| format!("--every: {error}"))?;
        let chosen =
            |scene: &&'static scenes::Scene| self.scene.as_ref().is_none_or(|name| name == scene.name);
        let scenes: Vec<&'static scenes::Scene> = SCENES.iter().filter(chosen).collect();
        if scenes.is_empty() {
            let names: Vec<&str> = SCENES.iter().map(|scene| scene.name).collect();
            return Err(format!("no such scene; there are {}", names.join(", ")));
        }
        let seed = self.seed.unwrap_or_else(clock_seed);
        println!("soak: --seed {seed}, {} scenes, {:.1} minutes", scenes.len(), self.minutes);
        quieten();
        let round = Arc::new(AtomicU64::new(self.first));
        watch(seed, round.clone());
        let begin = Instant::now();
        let (mut totals, mut samples, mut told) = (Sums::default(), Vec::new(), begin);
        let mut plays = vec![0_u64; scenes.len()];
        let mut steps = Steps::new(Vitals::now().resident);
        while begin.elapsed() < length {
            let number = round.load(SeqCst);
            let round_is = format!("round {number} (--seed {seed} --first {number})");
            let played = play_round(seed, number, &scenes, &mut totals)
                .map_err(|what| format!("{round_is}: {what}"))?;
            played.scenes.iter().for_each(|&scene| plays[scene] += 1);
            let vitals = Vitals::now();
            samples.push(vitals);
            if let Some(step) = steps.look(vitals.resident) {
                let names: Vec<&str> = played.scenes.iter().map(|&scene| scenes[scene].name).collect();
                let cut = if played.cut { "; cut short" } else { "" };
                println!("{round_is}: {step}\n  scenes: {}{cut}", names.join(", "));
            }
            round.store(number + 1, SeqCst);
            if told.elapsed() >= every {
                told = Instant::now();
                steps.note();
                println!(
                    "{:>6.0} s: {} rounds, {} values, {} goroutines, tasks and threads; {}",
                    begin.elapsed().as_secs_f64(),
                    samples.len(),
                    totals.made,
                    totals.started,
                    vitals
                );
            }
        }
        let Sums { made, received, returned, lost, started, ended } = totals;
        println!("\n{} rounds in {:.0} s", samples.len(), begin.elapsed().as_secs_f64());
        println!(
            "values: {made} made = {received} received + {returned} returned + {lost} dropped where they may be"
        );
        println!("goroutines, tasks and threads: {started} started, {ended} ended");
        let plays: Vec<String> =
            scenes.iter().zip(plays).map(|(scene, count)| format!("{} {count}", scene.name)).collect();
        println!("scenes played: {}", plays.join(", "));
        if let (Some(first), Some(last)) = (samples.first(), samples.last()) {
            println!("after the first round: {first}\nafter the last round:  {last}");
        }
        let grown = vitals::growth(&samples, FEWEST);
        if !grown.is_empty() {
            return Err(grown.join("; "));
        }
        println!("ok");
        Ok(())
    }
}

/// A seed for who has none: the time of day.
pub(crate) fn clock_seed() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    now.as_nanos() as u64 & 0xFFFF_FFFF
}

/// Panics that are part of the play are not told; others are noted besides.
fn quieten() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let tell = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !info.payload().is::<Planned>() && !is_of_a_shutdown(info.payload()) {
                let mut amiss = AMISS.lock().unwrap_or_else(PoisonError::into_inner);
                amiss.get_or_insert_with(|| info.to_string());
                drop(amiss);
                tell(info);
            }
        }));
    });
}

/// Whether it tells a thread outside of the runtime that a `OnceValue` will never be there. (Of goroutines nobody is told.)
fn is_of_a_shutdown(payload: &dyn Any) -> bool {
    payload.downcast_ref::<String>().is_some_and(|text| text.contains("ended by the shutdown"))
}

/// Ends the process if a round does not.
pub(crate) fn watch(seed: u64, round: Arc<AtomicU64>) {
    thread::spawn(move || {
        loop {
            let (number, mut looks) = (round.load(SeqCst), 0);
            while round.load(SeqCst) == number {
                // Looks are counted, and not the time: the process may be stopped for long.
                thread::sleep(LOOK);
                looks += 1;
                if LOOK * looks > STUCK {
                    eprintln!(
                        "error: round {number} (--seed {seed} --first {number}) does not end\n{}",
                        diag::dump()
                    );
                    exit(1);
                }
            }
        }
    });
}

fn play_round(
    seed: u64,
    number: u64,
    scenes: &[&'static scenes::Scene],
    totals: &mut Sums,
) -> Result<Played, String> {
    // Far apart for neighbouring numbers.
    let mut rng = Rng::with_seed(seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let runtime = Runtime::builder().workers(rng.usize(1..=4)).seed(rng.u64(..)).build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let (ctx, cancel) = Context::background().with_timeout(Duration::from_millis(rng.u64(5..120)));
    let cut = rng.u32(..4) == 0;
    let (is_cut, threads) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
    let (mut cast, mut played) = (Vec::new(), Played { scenes: Vec::new(), cut });
    for _ in 0..rng.usize(2..=6) {
        let index = rng.usize(..scenes.len());
        let stage = Stage::new(rng.u64(..), ctx.clone(), is_cut.clone(), threads.clone());
        let (ledger, scene) = (stage.ledger.clone(), scenes[index]);
        if cut {
            // Who is ended goes with what it has in hand.
            ledger.allow_loss();
        }
        played.scenes.push(index);
        cast.push((scene.name, ledger, runtime.spawn(move || (scene.play)(&stage))));
    }
    if cut {
        thread::sleep(Duration::from_micros(rng.u64(..30_000)));
        is_cut.store(true, SeqCst);
        runtime.shutdown();
    }
    let mut ledgers: Vec<(&str, Arc<Ledger>)> = Vec::new();
    for (name, ledger, scene) in cast {
        match scene.join() {
            Ok(()) => {}
            Err(error) if error.is_cancelled() && cut => {}
            Err(error) => return Err(format!("scene {name}: {error}")),
        }
        ledgers.push((name, ledger));
    }
    drop(cancel);
    drop(runtime);
    // A thread may have started another meanwhile.
    while let Some(thread) = { threads.lock().unwrap_or_else(PoisonError::into_inner).pop() } {
        let joined: Result<(), Box<dyn Any + Send>> = thread.join();
        joined.map_err(|_| "a thread panicked: see above".to_string())?;
    }
    let patience = Instant::now() + PATIENCE;
    for (name, ledger) in ledgers {
        while let Some(mismatch) = ledger.mismatch() {
            if Instant::now() > patience {
                return Err(format!("scene {name}{}: {mismatch}", if cut { ", cut short" } else { "" }));
            }
            thread::sleep(Duration::from_millis(1));
        }
        *totals += ledger.sums();
    }
    match AMISS.lock().unwrap_or_else(PoisonError::into_inner).take() {
        Some(what) => Err(what),
        None => Ok(played),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A panic is noted by whichever round ends next.
    static TURN: Mutex<()> = Mutex::new(());

    fn soak(scene: Option<&str>) -> Soak {
        Soak { minutes: 0.3 / 60.0, seed: Some(7), first: 0, scene: scene.map(String::from), every: 5.0 }
    }

    #[test]
    fn each_scene_plays_and_adds_up() {
        let _turn = TURN.lock();
        for scene in SCENES {
            soak(Some(scene.name)).run().unwrap();
        }
    }

    #[test]
    fn a_scene_that_there_is_not_is_told_with_those_that_there_are() {
        assert!(soak(Some("intermission")).run().unwrap_err().contains("channels"));
    }

    #[test]
    fn a_mismatch_is_told_with_what_has_the_round_again() {
        let _turn = TURN.lock();
        static LEAKS: scenes::Scene =
            scenes::Scene { name: "leaks", play: |stage| std::mem::forget(stage.ledger.make()) };
        let told = play_round(1, 1, &[&LEAKS], &mut Sums::default()).err().unwrap();
        assert!(told.contains("scene leaks") && told.contains("values were made"), "{told}");
    }

    #[test]
    fn a_panic_of_a_detached_role_is_told_and_a_planned_one_is_not() {
        fn fail(stage: &Stage) {
            stage.go(|| assert_eq!(1 + 1, 3, "as it must"));
            stage.wait();
        }
        fn play(stage: &Stage) {
            stage.go(|| panic::panic_any(Planned));
            stage.wait();
        }
        static FAILS: scenes::Scene = scenes::Scene { name: "fails", play: fail };
        static PLAYS: scenes::Scene = scenes::Scene { name: "plays", play };
        let _turn = TURN.lock();
        quieten();
        // Some rounds are cut short before it runs.
        let mut rounds = (0..16).map(|number| play_round(1, number, &[&FAILS], &mut Sums::default()));
        let told = rounds.find_map(Result::err).unwrap();
        assert!(told.contains("as it must"), "{told}");
        let mut rounds = (0..16).map(|number| play_round(1, number, &[&PLAYS], &mut Sums::default()));
        assert!(rounds.all(|round| round.is_ok()));
    }
}
