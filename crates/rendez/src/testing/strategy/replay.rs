//! One schedule, as it was written down.

use super::{Options, Strategy};
use crate::testing::schedule::Schedule;

#[derive(Debug)]
pub(in crate::testing) struct Replay {
    schedule: Schedule,
    at: usize,
}

impl Replay {
    pub(in crate::testing) fn new(schedule: Schedule) -> Self {
        Replay { schedule, at: 0 }
    }

    /// After the end of what is written, by the habits; and where there are fewer options than there were.
    fn decide(&mut self, of: usize) -> usize {
        let taken = self.schedule.decision(self.at);
        self.at += 1;
        if taken < of { taken } else { 0 }
    }
}

impl Strategy for Replay {
    fn begin(&mut self, _seed: u64) {
        self.at = 0;
    }

    fn schedule(&mut self, options: &Options<'_>) -> usize {
        self.decide(options.len())
    }

    fn pick(&mut self, n: usize) -> usize {
        self.decide(n)
    }

    fn end(&mut self) -> bool {
        false
    }

    fn is_seeded(&self) -> bool {
        false
    }
}
