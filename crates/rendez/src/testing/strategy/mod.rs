//! Who runs next: the strategies, apart from the [engine](super::explorer) that asks them.
//!
//! A schedule is a sequence of decisions. Each offers `n` options, numbered from 0, and a strategy takes one. There are two
//! kinds: which goroutine goes on ([`Strategy::schedule`]), and a number that the program draws, such as the order in which
//! a select tries its arms ([`Strategy::pick`]). Where there is one option, nobody is asked.
//!
//! Option 0 is always the *habit*: the goroutine that runs goes on, or, if it can't (it waits, has ended, or yields),
//! the next one by number, round robin. So a schedule that differs from the habits in few places is short to write down, and
//! a goroutine that spins on `yield_now` under the habits lets all others run.

mod exhaustive;
mod pct;
mod random;
mod replay;

pub(super) use exhaustive::Exhaustive;
pub(super) use pct::Pct;
pub(super) use random::Random;
pub(super) use replay::Replay;

/// What [`Options`] are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Running {
    /// The goroutine with this number runs and may go on: option 0.
    GoesOn(u64),
    /// It lets others run, and is the last option.
    Yields(u64),
    /// Nobody runs.
    Nobody,
}

/// The goroutines that may go on now.
#[derive(Debug)]
pub(crate) struct Options<'a> {
    /// Their numbers but for the running one's, rising.
    pub(crate) others: &'a [u64],
    pub(crate) running: Running,
    /// Where in `others` the round begins.
    pub(crate) first: usize,
}

/// The number that stands for the clock among the options, where it may strike before everybody waits.
pub(crate) const CLOCK: u64 = u64::MAX;

/// `at`, in a round of `len` places that it may have gone past once.
#[inline]
pub(crate) fn wrapped(at: usize, len: usize) -> usize {
    if at < len { at } else { at - len }
}

impl Options<'_> {
    pub(crate) fn len(&self) -> usize {
        self.others.len() + usize::from(self.running != Running::Nobody)
    }

    /// The number of the goroutine that option `index` lets run.
    pub(super) fn id(&self, index: usize) -> u64 {
        let other = match self.running {
            Running::GoesOn(id) if index == 0 => return id,
            Running::GoesOn(_) => index - 1,
            Running::Yields(id) if index == self.others.len() => return id,
            Running::Yields(_) | Running::Nobody => index,
        };
        self.others[wrapped(self.first + other, self.others.len())]
    }

    /// Whether the option takes the processor from a goroutine that could go on, or breaks the round of those that yield.
    pub(super) fn preempts(&self, index: usize) -> bool {
        self.running != Running::Nobody && index != 0
    }
}

/// Chooses schedules, one after another.
pub(super) trait Strategy: Send {
    /// A schedule begins. What is drawn at random comes from `seed` alone.
    fn begin(&mut self, seed: u64);

    /// Which of several goroutines goes on.
    fn schedule(&mut self, options: &Options<'_>) -> usize;

    /// A number below `n`, which is at least 2.
    fn pick(&mut self, n: usize) -> usize;

    /// A schedule has ended, after so many decisions. Whether there is another one to try.
    fn end(&mut self) -> bool;

    /// Whether the next schedule is one that only measures the program, and is the same for every seed.
    fn measures(&self) -> bool {
        false
    }

    /// Whether schedules depend on their seeds.
    fn is_seeded(&self) -> bool {
        true
    }
}
