//! Goroutines that are left over.

use super::failure::{leak_text, write_inhabitants};
use crate::sched::{self, harness};
use std::time::Duration;

/// Panics if goroutines are left that don't end: with each one's spawn site and what it waits for.
///
/// It looks at the caller's runtime (outside a goroutine: at the global one), in which the caller may be the only one left.
/// It gives the others time to end first. Under [`virtual_time`](super::virtual_time) and [`explore`](super::explore) it
/// waits until all have ended or wait for ever, whatever the virtual time that takes. Elsewhere it waits until nothing has
/// moved for 200 ms, and for 10 s at most: a goroutine that sleeps for longer than that counts as left.
///
/// `#[rendez::test]` does this at the end of each test, and `explore` after each schedule.
///
/// # Panics
/// If there are such goroutines.
///
/// # Blocking
/// As said.
///
/// # Cancellation
/// A runtime's shutdown unwinds a goroutine that waits here.
///
/// # Examples
/// ```should_panic
/// use rendez::{chan, testing};
/// testing::virtual_time(|| {
///     let (tx, rx) = chan::bounded::<i32>(0);
///     rendez::go(move || tx.send(1)); // nobody will take it ...
///     std::mem::forget(rx); // ... or close the channel
///     testing::check_leaks();
/// });
/// ```
#[track_caller]
pub fn check_leaks() {
    if let Some(text) = leaked() {
        panic!("{text}");
    }
}

/// What [`check_leaks`] says.
pub(super) fn leaked() -> Option<String> {
    let (left, unnamed) = match harness::wait_for_rest() {
        Some(left) => (left, 0),
        None => sched::left_over(PATIENCE, LIMIT),
    };
    if left.is_empty() && unnamed == 0 {
        return None;
    }
    let mut text = leak_text(left.len() + unnamed as usize);
    write_inhabitants(&mut text, &left).expect("a String takes all");
    if unnamed > 0 {
        text.push_str(&format!("\n\n{unnamed} that have not started, or don't stop running"));
    }
    Some(text)
}

/// For how long nothing has to move until it is said that nothing will.
const PATIENCE: Duration = Duration::from_millis(200);
/// For how long, at most, that is awaited.
const LIMIT: Duration = Duration::from_secs(10);

/// Keeps the clock of [`virtual_time`](super::virtual_time) where it is, as long as it exists, and no wait from being
/// taken for endless: something that rendez can't see, such as an OS thread, may still bring work.
///
/// # Examples
/// ```
/// use rendez::{chan, testing::{self, ClockHold}};
/// use std::time::Duration;
/// testing::virtual_time(|| {
///     let (tx, rx) = chan::bounded(1);
///     let hold = ClockHold::new();
///     std::thread::spawn(move || {
///         tx.send(6 * 7).unwrap();
///         drop(hold);
///     });
///     // However long the thread takes, no virtual time passes.
///     assert_eq!(rx.recv_timeout(Duration::from_millis(1)), Ok(42));
/// });
/// ```
#[derive(Debug)]
#[must_use = "the clock goes on when it is dropped"]
pub struct ClockHold {
    _hold: Option<harness::Hold>,
}

impl ClockHold {
    /// Holds the clock of the runtime whose goroutine calls this. Elsewhere, where the clock is the machine's, it does
    /// nothing.
    pub fn new() -> ClockHold {
        ClockHold { _hold: harness::hold() }
    }
}

impl Default for ClockHold {
    fn default() -> Self {
        ClockHold::new()
    }
}
