//! Programs made of `rendez::pattern`.

use super::runtime;
use crate::{
    gauge,
    peer::{Body, PRIMES_FROM, is_prime, ordered_item},
};
use rendez::{Context, pattern};
use std::time::{Duration, Instant};

/// Numbers through one stage that adds one, all under a context that could be cancelled.
pub(super) fn stage(n: u64) -> Duration {
    let (ctx, _cancel) = Context::background().with_cancel();
    let start = Instant::now();
    let numbers = pattern::generator(&ctx, 0..n);
    let more = pattern::map(&ctx, numbers, |i| i + 1);
    let sum: u64 = more.iter().sum();
    let elapsed = start.elapsed();
    assert_eq!(sum, n * (n + 1) / 2);
    elapsed
}

pub(super) fn ordered(us: u64) -> Body {
    let steps = us * gauge::steps_per_us();
    Body::timed(move |n| {
        let ctx = Context::background();
        let start = Instant::now();
        let items = pattern::generator(&ctx, 0..n);
        let results: Vec<u64> =
            pattern::ordered_map(&ctx, items, rendez::workers(), move |i| ordered_item(i, steps))
                .iter()
                .collect();
        let elapsed = start.elapsed();
        assert_eq!(results.len() as u64, n);
        elapsed
    })
}

/// As many finders as workers.
pub(super) fn speedup_primes(n: u64) -> f64 {
    gauge::speedup(|workers| runtime(workers).run(|| primes(workers, n)))
}

fn primes(finders: usize, n: u64) -> Duration {
    let ctx = Context::background();
    let start = Instant::now();
    let candidates = pattern::generator(&ctx, (0..n).map(|i| PRIMES_FROM + 2 * i));
    let found = (0..finders).map(|_| pattern::filter(&ctx, candidates.clone(), |&n| is_prime(n)));
    assert!(pattern::fan_in(&ctx, found).iter().count() > 0);
    start.elapsed()
}
