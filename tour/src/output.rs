//! What a program says, shown and kept, so that its check can look at it.
//!
//! Lines come in the order in which [`Output::say`] is called, whichever goroutine calls it. Where that order is the
//! scheduler's to choose, the check compares with [`Output::expect_in_any_order`].

use std::fmt::{self, Display};
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a program returns: whether the things that it must show were seen.
pub(crate) type Check = Result<(), Failure>;

/// Why a check did not hold. Any error becomes one by `?`; for that, as in `anyhow`, it is no error itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure(String);

impl Failure {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// Fails with `reason` unless `condition` holds.
pub(crate) fn ensure(condition: bool, reason: impl Display) -> Check {
    if condition { Ok(()) } else { Err(Failure::new(reason.to_string())) }
}

/// Where a program's lines go. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    // The standard library's mutex is right here: it is held for one line, and never while a goroutine parks.
    lines: Arc<Mutex<Vec<String>>>,
    echo: bool,
}

impl Output {
    /// An output that also prints each line as it comes.
    pub(crate) fn shown() -> Self {
        Self { lines: Arc::default(), echo: true }
    }

    /// An output that only keeps its lines.
    #[cfg(test)]
    pub(crate) fn silent() -> Self {
        Self { lines: Arc::default(), echo: false }
    }

    /// Says one line.
    pub(crate) fn say(&self, line: impl Display) {
        let line = line.to_string();
        // Under the lock, so that what is shown has the order of what is kept.
        let mut lines = self.lock();
        if self.echo {
            print_line(format_args!("    {line}"));
        }
        lines.push(line);
    }

    /// All lines so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lock().clone()
    }

    /// Checks that exactly these lines were said, in this order.
    pub(crate) fn expect<L: Display>(&self, expected: impl IntoIterator<Item = L>) -> Check {
        same_lines(self.lines(), to_strings(expected), "in this order")
    }

    /// Checks that exactly these lines were said, in any order.
    pub(crate) fn expect_in_any_order<L: Display>(&self, expected: impl IntoIterator<Item = L>) -> Check {
        let (mut said, mut expected) = (self.lines(), to_strings(expected));
        said.sort_unstable();
        expected.sort_unstable();
        same_lines(said, expected, "in any order")
    }

    fn lock(&self) -> MutexGuard<'_, Vec<String>> {
        // A goroutine that panics while it prints leaves whole lines behind.
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn to_strings<L: Display>(lines: impl IntoIterator<Item = L>) -> Vec<String> {
    lines.into_iter().map(|line| line.to_string()).collect()
}

fn same_lines(said: Vec<String>, expected: Vec<String>, order: &str) -> Check {
    ensure(said == expected, format_args!("expected {order}: {expected:?}, but it said: {said:?}"))
}

/// Prints a line to the standard output. If nobody can read it any more, as after `| head`, the tour ends.
pub(crate) fn print_line(line: impl Display) {
    if writeln!(std::io::stdout(), "{line}").is_err() {
        std::process::exit(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(lines: &[&str]) -> Output {
        let out = Output::silent();
        for line in lines {
            out.say(line);
        }
        out
    }

    #[test]
    fn expect_minds_the_order_and_the_number() {
        let out = said(&["a", "b"]);
        assert_eq!(out.expect(["a", "b"]), Ok(()));
        assert!(out.expect(["b", "a"]).is_err());
        assert!(out.expect(["a"]).is_err());
        assert!(out.expect(["a", "b", "b"]).is_err());
    }

    #[test]
    fn expect_in_any_order_minds_the_number_only() {
        let out = said(&["a", "b", "a"]);
        assert_eq!(out.expect_in_any_order(["b", "a", "a"]), Ok(()));
        assert!(out.expect_in_any_order(["b", "a"]).is_err());
        assert!(out.expect_in_any_order(["b", "b", "a"]).is_err());
    }

    #[test]
    fn a_failure_tells_both_sides() {
        let failure = said(&["a"]).expect(["b"]).unwrap_err();
        assert_eq!(failure.to_string(), r#"expected in this order: ["b"], but it said: ["a"]"#);
    }
}
