//! A schedule, written down: the decisions that differ from the habit (see [`strategy`](super::strategy)).
//!
//! `4.1-0.2x3-17.1` says: four decisions by the habit, then option 1; then at once option 2, three times in a row; then
//! seventeen by the habit, and option 1; from then on the habit.

use std::{fmt, str::FromStr};

/// The decisions of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Schedule(Vec<u32>);

impl Schedule {
    pub(super) fn new(decisions: Vec<u32>) -> Self {
        let mut decisions = decisions;
        let len = decisions.iter().rposition(|&taken| taken != 0).map_or(0, |last| last + 1);
        decisions.truncate(len);
        Schedule(decisions)
    }

    pub(super) fn decision(&self, at: usize) -> usize {
        self.0.get(at).map_or(0, |&taken| taken as usize)
    }

    /// How many decisions differ from the habit.
    pub(super) fn weight(&self) -> usize {
        self.0.iter().filter(|&&taken| taken != 0).count()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// With the decisions in `range` taken by the habit.
    pub(super) fn without(&self, range: std::ops::Range<usize>) -> Schedule {
        let mut decisions = self.0.clone();
        for taken in &mut decisions[range] {
            *taken = 0;
        }
        Schedule::new(decisions)
    }

    pub(super) fn has_any(&self, range: std::ops::Range<usize>) -> bool {
        self.0[range].iter().any(|&taken| taken != 0)
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("0");
        }
        let mut separator = "";
        let mut at = 0;
        while at < self.0.len() {
            let habits = self.0[at..].iter().take_while(|&&taken| taken == 0).count();
            at += habits;
            let taken = self.0[at];
            let times = self.0[at..].iter().take_while(|&&next| next == taken).count();
            at += times;
            write!(f, "{separator}{habits}.{taken}")?;
            if times > 1 {
                write!(f, "x{times}")?;
            }
            separator = "-";
        }
        Ok(())
    }
}

/// Longer schedules are a mistake, or an attack.
const LONGEST: usize = 10_000_000;

impl FromStr for Schedule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "0" {
            return Ok(Schedule::default());
        }
        let mut decisions = Vec::new();
        for part in text.split('-') {
            let parsed = part.split_once('.').and_then(|(habits, rest)| {
                let (taken, times) = rest.split_once('x').unwrap_or((rest, "1"));
                Some((
                    habits.parse::<usize>().ok()?,
                    taken.parse::<u32>().ok()?,
                    times.parse::<usize>().ok()?,
                ))
            });
            let Some((habits, taken, times)) = parsed else {
                return Err(format!("{part:?} is no part of a schedule, which is written like 4.1-0.2x3"));
            };
            if habits.saturating_add(times).saturating_add(decisions.len()) > LONGEST {
                return Err(format!("a schedule of more than {LONGEST} decisions"));
            }
            decisions.resize(decisions.len() + habits, 0);
            decisions.resize(decisions.len() + times, taken);
        }
        Ok(Schedule::new(decisions))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_as_it_was() {
        for decisions in [vec![], vec![0, 0], vec![1], vec![0, 0, 3, 3, 3, 0, 1, 2, 0], vec![7; 1000]] {
            let schedule = Schedule::new(decisions);
            assert_eq!(schedule.to_string().parse::<Schedule>().unwrap(), schedule);
        }
        assert_eq!(Schedule::new(vec![0, 0, 0, 0, 1, 2, 2, 2]).to_string(), "4.1-0.2x3");
    }

    #[test]
    fn nonsense_is_refused_with_the_part_that_is_wrong() {
        assert!("4.1-frog".parse::<Schedule>().unwrap_err().contains("frog"));
        assert!("0.1x99999999999".parse::<Schedule>().is_err());
    }
}
