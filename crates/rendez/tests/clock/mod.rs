//! The clock of a test that is to hold in virtual time and by the machine's clock: it asks for the exact moment where that
//! can be foretold, else for that moment or a later one. No such test fails because a machine is slow.
#![allow(dead_code, reason = "each test file uses its own part of this")]

use rendez::time::Instant;
use std::time::Duration;

/// Whose time it is that passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clock {
    Virtual,
    Machine,
}

impl Clock {
    /// Whether a moment can be foretold.
    pub(crate) fn is_virtual(self) -> bool {
        self == Clock::Virtual
    }

    /// That `moment` is the one that was expected; by the machine's clock it may be later.
    #[track_caller]
    pub(crate) fn meets(self, moment: Instant, expected: Instant) {
        match self {
            Clock::Virtual => assert_eq!(moment, expected),
            Clock::Machine => assert!(moment >= expected, "{:?} too early", expected - moment),
        }
    }

    /// That so much time has passed since `start`; by the machine's clock it may be more.
    #[track_caller]
    pub(crate) fn has_passed(self, start: Instant, time: Duration) {
        self.meets(Instant::now(), start + time);
    }
}
