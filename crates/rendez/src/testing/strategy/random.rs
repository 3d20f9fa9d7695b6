//! Uniformly at random at each decision.

use super::{Options, Strategy};

#[derive(Debug)]
pub(in crate::testing) struct Random(fastrand::Rng);

impl Random {
    pub(in crate::testing) fn new() -> Self {
        Random(fastrand::Rng::with_seed(0))
    }
}

impl Strategy for Random {
    fn begin(&mut self, seed: u64) {
        self.0 = fastrand::Rng::with_seed(seed);
    }

    fn schedule(&mut self, options: &Options<'_>) -> usize {
        self.0.usize(..options.len())
    }

    fn pick(&mut self, n: usize) -> usize {
        self.0.usize(..n)
    }

    fn end(&mut self) -> bool {
        true
    }
}
