//! 27. Fan-out, fan-in: the slow prime finder.
//!
//! **The notes:** a stage that takes long, and does not depend on what it did before, may be started several times over, all copies
//! reading from one channel (fan-out); their outputs are then made one (fan-in). The example looks for primes in the most
//! naive way, with one finder and with as many as there are processors.
//!
//! **In Rust** any stage is started several times over by giving each copy a clone of the input; for a `map`, [`pattern::fan_out`] does that. What
//! the copies share has to be `Sync`, which the compiler sees to. [`pattern::fan_in`] joins the outputs. There is no `WaitGroup` and no goroutine that
//! waits for all to close the joint channel: each stage holds a sender, and the last one to drop its own closes it.
//!
//! Where results are wanted in the order of the input, both together are [`pattern::ordered_map`]. How much faster many are depends on
//! the machine and on who else is using it, so that is shown and not checked.

use std::time::{Duration, Instant};

use rendez::chan::Receiver;
use rendez::{Context, pattern, workers};

use crate::output::{Check, Output, ensure};

const CANDIDATES: usize = 400;

pub(crate) fn run(out: &Output) -> Check {
    let ctx = Context::background();

    let (alone, took_alone) = timed(|| {
        let primes = pattern::filter(&ctx, candidates(&ctx), |&n| is_prime(n));
        sorted(primes)
    });
    out.say(format_args!("1 finder: {} primes in {took_alone:.1?}", alone.len()));

    let finders = workers();
    let (together, took_together) = timed(|| {
        let candidates = candidates(&ctx);
        let found = (0..finders).map(|_| pattern::filter(&ctx, candidates.clone(), |&n| is_prime(n)));
        sorted(pattern::fan_in(&ctx, found))
    });
    let faster = took_alone.as_secs_f64() / took_together.as_secs_f64();
    out.say(format_args!(
        "{finders} finders: {} primes in {took_together:.1?}, {faster:.2} times as fast",
        together.len()
    ));

    let (in_order, took_in_order) = timed(|| {
        let found = pattern::ordered_map(&ctx, candidates(&ctx), finders, |n| is_prime(n).then_some(n));
        found.iter().flatten().collect::<Vec<u64>>()
    });
    out.say(format_args!("{finders} finders, in order: {} primes in {took_in_order:.1?}", in_order.len()));

    ensure(alone == together, "one finder and many find the same primes")?;
    let expected: Vec<u64> = random().take(CANDIDATES).filter(|&n| is_prime(n)).collect();
    ensure(!expected.is_empty() && in_order == expected, "in the order of the candidates")
}

fn candidates(ctx: &Context) -> Receiver<u64> {
    pattern::take(ctx, pattern::generator(ctx, random()), CANDIDATES)
}

/// The same odd numbers in every run.
fn random() -> impl Iterator<Item = u64> {
    let next = |state: &u64| Some(state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407));
    std::iter::successors(Some(1_u64), next).map(|state| (state >> 40) % 500_000 * 2 + 500_001)
}

/// By trying every smaller number, as slowly as in the notes.
fn is_prime(n: u64) -> bool {
    (2..n).all(|divisor| !n.is_multiple_of(divisor))
}

fn sorted(numbers: impl IntoIterator<Item = u64>) -> Vec<u64> {
    let mut numbers: Vec<u64> = numbers.into_iter().collect();
    numbers.sort_unstable();
    numbers
}

fn timed<R>(f: impl FnOnce() -> R) -> (R, Duration) {
    let start = Instant::now();
    (f(), start.elapsed())
}
