//! The engine of [`explore`](super::explore): it runs the program once for each schedule, asks the strategy at each
//! decision, keeps what was decided, and tells how it ended. It belongs to the worker that runs the program, see
//! [`harness`](crate::sched::Harness), and goes back to who asked when there is something to tell.
//!
//! | what happens | what comes of it |
//! | --- | --- |
//! | the body has returned and all goroutines have ended | the next schedule, on the same worker, or [`Verdict::Finished`] |
//! | the same, but timers are still set | [`Verdict::Renew`]: the next schedule wants a new runtime |
//! | a panic of the body, or of one that nobody joins; all wait for ever; too many steps | [`Verdict::Failed`], and a shutdown |

use super::{
    failure::Kind,
    strategy::{Options, Strategy},
};
use std::{fmt, panic::Location, sync::Arc};

/// The program.
pub(super) type Body = Arc<dyn Fn() + Send + Sync>;

/// Why the engine comes back.
#[derive(Debug)]
pub(super) enum Verdict {
    /// There is no other schedule to try, or there have been enough.
    Finished,
    /// Goes on, in another runtime.
    Renew,
    Failed(Kind),
}

pub(crate) struct Explorer {
    body: Body,
    /// Where it was given.
    site: &'static Location<'static>,
    strategy: Box<dyn Strategy>,
    /// How many schedules to run at most.
    budget: u64,
    max_steps: u64,
    early_timers: bool,
    /// The seed of this schedule.
    seed: u64,
    /// How many schedules have been begun.
    begun: u64,
    /// Of this schedule: what was decided, and how many steps it took.
    decisions: Vec<u32>,
    steps: u64,
    /// Who went on at each step, if that is to be kept.
    trace: Option<Vec<u64>>,
    total_steps: u64,
    verdict: Option<Verdict>,
}

impl Explorer {
    pub(super) fn new(
        body: Body,
        site: &'static Location<'static>,
        strategy: Box<dyn Strategy>,
        seed: u64,
        budget: u64,
    ) -> Self {
        Explorer {
            body,
            site,
            strategy,
            budget,
            max_steps: u64::MAX,
            early_timers: false,
            seed,
            begun: 0,
            decisions: Vec::new(),
            steps: 0,
            trace: None,
            total_steps: 0,
            verdict: None,
        }
    }

    pub(super) fn limits(mut self, max_steps: u64, early_timers: bool) -> Self {
        self.max_steps = max_steps;
        self.early_timers = early_timers;
        self
    }

    pub(super) fn keep_trace(mut self) -> Self {
        self.trace = Some(Vec::new());
        self
    }

    // ---- for who asked ----

    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    /// How many, not counting one that only measures, unless it is that which failed.
    pub(super) fn schedules(&self) -> u64 {
        self.begun.max(1)
    }

    pub(super) fn steps(&self) -> u64 {
        self.total_steps + self.steps
    }

    pub(super) fn take_decisions(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.decisions)
    }

    pub(super) fn take_trace(&mut self) -> Vec<u64> {
        self.trace.take().unwrap_or_default()
    }

    pub(super) fn take_verdict(&mut self) -> Option<Verdict> {
        self.verdict.take()
    }

    pub(super) fn is_seeded(&self) -> bool {
        self.strategy.is_seeded()
    }

    // ---- for the harness ----

    /// A schedule begins: the program, and whence it is.
    pub(crate) fn begin(&mut self) -> (Body, &'static Location<'static>) {
        if self.begun > 0 {
            self.seed = next_seed(self.seed);
        }
        self.begun += u64::from(!self.strategy.measures());
        self.decisions.clear();
        self.total_steps += self.steps;
        self.steps = 0;
        if let Some(trace) = &mut self.trace {
            trace.clear();
        }
        self.strategy.begin(self.seed);
        (self.body.clone(), self.site)
    }

    /// Which of the goroutines goes on. `None`: this has been going on for too long.
    pub(crate) fn schedule(&mut self, options: &Options<'_>) -> Option<usize> {
        self.steps += 1;
        if self.steps > self.max_steps {
            return None;
        }
        let chosen = match options.len() {
            1 => 0,
            len => {
                let chosen = self.strategy.schedule(options);
                debug_assert!(chosen < len);
                self.decisions.push(chosen as u32);
                chosen
            }
        };
        if let Some(trace) = &mut self.trace {
            trace.push(options.id(chosen));
        }
        Some(chosen)
    }

    /// A number below `n` that the program draws.
    pub(crate) fn pick(&mut self, n: usize) -> usize {
        if n < 2 {
            return 0;
        }
        let chosen = self.strategy.pick(n);
        self.decisions.push(chosen as u32);
        chosen
    }

    /// Whether the clock may strike while somebody runs.
    pub(crate) fn has_early_timers(&self) -> bool {
        self.early_timers
    }

    pub(crate) fn max_steps(&self) -> u64 {
        self.max_steps
    }

    /// All goroutines have ended. `false`: that was the last schedule.
    pub(crate) fn has_next(&mut self) -> bool {
        let more = self.strategy.end() && self.begun < self.budget;
        if !more {
            self.verdict = Some(Verdict::Finished);
        }
        more
    }

    pub(crate) fn renew(&mut self) {
        self.verdict = Some(Verdict::Renew);
    }

    pub(crate) fn fail(&mut self, kind: Kind) {
        self.verdict = Some(Verdict::Failed(kind));
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.verdict.is_some()
    }
}

/// The seed of the schedule after that of `seed` (Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
/// OOPSLA 2014: one step of SplitMix64). So a schedule's seed, given as the first, makes the same schedule the first.
fn next_seed(seed: u64) -> u64 {
    let z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl fmt::Debug for Explorer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Explorer")
            .field("seed", &self.seed)
            .field("schedules", &self.begun)
            .field("steps", &self.steps)
            .finish_non_exhaustive()
    }
}
