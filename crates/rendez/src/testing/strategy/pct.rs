//! Probabilistic concurrency testing: Burckhardt, Kothari, Musuvathi and Nagarakatte, "A randomized scheduler with
//! probabilistic guarantees of finding bugs", ASPLOS 2010.
//!
//! Every goroutine gets a priority at random, and of those that can, the highest goes on. At `depth - 1` steps, drawn
//! beforehand from all `k` of the program, the running goroutine falls below all others. A bug of depth `d`, that is one
//! which shows whenever `d` things happen in a certain order, is hit by one schedule with a probability of at least
//! 1 / (n * k^(d - 1)), with `n` goroutines.
//!
//! `k` is counted in a first schedule, by the habits, which is the same for every seed; schedules that take longer have no
//! change of priority later on. A goroutine that yields falls below the others too, as a change point that costs none: a
//! loop that yields until another has done something would otherwise go on for ever.

use super::{CLOCK, Options, Running, Strategy};

#[derive(Debug)]
pub(in crate::testing) struct Pct {
    depth: usize,
    random: fastrand::Rng,
    /// The steps of the first schedule; `None` while that runs.
    steps: Option<u64>,
    step: u64,
    /// Where the priorities change, the last one first.
    changes: Vec<u64>,
    /// By goroutines' numbers, which are small. Zero: none yet.
    priorities: Vec<u64>,
    /// The next priority below all others.
    lowest: u64,
}

/// Priorities drawn at first lie above, those of whoever fell below.
const FALLEN: u64 = 1 << 32;

impl Pct {
    pub(in crate::testing) fn new(depth: usize) -> Self {
        Pct {
            depth: depth.max(1),
            random: fastrand::Rng::with_seed(0),
            steps: None,
            step: 0,
            changes: Vec::new(),
            priorities: Vec::new(),
            lowest: 0,
        }
    }

    fn priority(&mut self, id: u64) -> &mut u64 {
        // The clock's is the first.
        let place = if id == CLOCK { 0 } else { id as usize };
        if place >= self.priorities.len() {
            self.priorities.resize(place + 1, 0);
        }
        let priority = &mut self.priorities[place];
        if *priority == 0 {
            *priority = self.random.u64(FALLEN..);
        }
        priority
    }

    fn fall(&mut self, id: u64) {
        self.lowest -= 1;
        *self.priority(id) = self.lowest;
    }
}

impl Strategy for Pct {
    fn begin(&mut self, seed: u64) {
        self.random = fastrand::Rng::with_seed(if self.measures() { 0 } else { seed });
        self.step = 0;
        self.priorities.clear();
        self.lowest = FALLEN;
        self.changes.clear();
        if let Some(steps) = self.steps {
            let random = &mut self.random;
            self.changes.extend((1..self.depth).map(|_| random.u64(0..steps.max(1))));
            self.changes.sort_unstable_by(|a, b| b.cmp(a));
        }
    }

    fn schedule(&mut self, options: &Options<'_>) -> usize {
        let step = self.step;
        self.step += 1;
        if self.steps.is_none() {
            return 0;
        }
        if let Running::Yields(id) = options.running {
            self.fall(id);
        }
        let best = |this: &mut Self| {
            (0..options.len()).max_by_key(|&index| *this.priority(options.id(index))).unwrap_or(0)
        };
        let mut chosen = best(self);
        while self.changes.last().is_some_and(|&at| at <= step) {
            self.changes.pop();
            self.fall(options.id(chosen));
            chosen = best(self);
        }
        chosen
    }

    fn pick(&mut self, n: usize) -> usize {
        // Also while the program is measured: it may count on a select that does not take the same arm for ever.
        self.random.usize(..n)
    }

    fn measures(&self) -> bool {
        self.steps.is_none()
    }

    fn end(&mut self) -> bool {
        self.steps.get_or_insert(self.step);
        true
    }
}
