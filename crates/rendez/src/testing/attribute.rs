//! What `#[rendez::test]` expands to calls of. Not for use by hand.
//!
//! The macro makes one [`Test`], sets what its options say, and calls the method that runs the body in its mode. Those are
//! `#[track_caller]`, and the call has the place of the user's function: that is where failures are said to be, and what the
//! `RENDEZ_REPLAY` of an exploration names.
//!
//! A test fails by one panic. That of the body goes on as it is, and was printed where it happened; what is found when the
//! body has returned is told by a panic of the test's own thread, which test runners know.

use super::{Config, Strategy, leaks, virtual_time};
use crate::{Runtime, RuntimeBuilder, sched::Shared};
use std::{convert::Infallible, fmt::Debug, process::ExitCode};

/// What a test may return.
#[diagnostic::on_unimplemented(
    message = "a test can't return `{Self}`",
    label = "expected `()`, `Result<(), impl Debug>`, `ExitCode` or `!`"
)]
pub trait TestResult {
    /// What to say if the test has failed.
    fn failure(self) -> Option<String>;
}

impl TestResult for () {
    fn failure(self) -> Option<String> {
        None
    }
}

impl TestResult for Infallible {
    fn failure(self) -> Option<String> {
        match self {}
    }
}

impl TestResult for ExitCode {
    fn failure(self) -> Option<String> {
        (self != ExitCode::SUCCESS).then(|| format!("the test returned a status of failure: {self:?}"))
    }
}

impl<T: TestResult, E: Debug> TestResult for Result<T, E> {
    fn failure(self) -> Option<String> {
        match self {
            Ok(value) => value.failure(),
            Err(error) => Some(format!("the test returned an error: {error:?}")),
        }
    }
}

/// Panics if that is a failure.
#[track_caller]
pub fn succeed<R: TestResult>(result: R) {
    if let Some(text) = result.failure() {
        panic!("{text}");
    }
}

/// One test: its settings, and then how it is run.
#[derive(Debug, Default)]
#[must_use = "it has to be run"]
pub struct Test {
    runtime: RuntimeBuilder,
    config: Config,
    leaks_allowed: bool,
    panics_allowed: bool,
}

impl Test {
    /// With nothing set.
    pub fn new() -> Test {
        Test::default()
    }

    /// See [`RuntimeBuilder::workers`].
    pub fn workers(mut self, workers: usize) -> Test {
        self.runtime = self.runtime.workers(workers);
        self
    }

    /// See [`RuntimeBuilder::stack_size`].
    pub fn stack_size(mut self, bytes: usize) -> Test {
        self.runtime = self.runtime.stack_size(bytes);
        self
    }

    /// See [`RuntimeBuilder::seed`] and [`Config::seed`].
    pub fn seed(mut self, seed: u64) -> Test {
        self.runtime = self.runtime.seed(seed);
        self.config.seed = Some(seed);
        self
    }

    /// Goroutines that are left are unwound, and that is all.
    pub fn allow_leaks(mut self) -> Test {
        self.leaks_allowed = true;
        self
    }

    /// A panic of a goroutine that nobody joins is printed, and that is all.
    pub fn allow_panics(mut self) -> Test {
        self.panics_allowed = true;
        self
    }

    /// See [`Config::iterations`].
    pub fn iterations(mut self, iterations: usize) -> Test {
        self.config.iterations = Some(iterations);
        self
    }

    /// See [`Config::strategy`].
    pub fn strategy(mut self, strategy: Strategy) -> Test {
        self.config.strategy = strategy;
        self
    }

    /// See [`Config::max_steps`].
    pub fn max_steps(mut self, steps: u64) -> Test {
        self.config.max_steps = steps;
        self
    }

    /// See [`Config::shrink`].
    pub fn shrink(mut self, schedules: usize) -> Test {
        self.config.shrink = schedules;
        self
    }

    /// See [`Config::early_timers`].
    pub fn early_timers(mut self) -> Test {
        self.config.early_timers = true;
        self
    }

    /// On workers of its own.
    #[track_caller]
    pub fn run(self, body: impl FnOnce() + Send) {
        let runtime: Runtime = match self.runtime.clone().build() {
            Ok(runtime) => runtime,
            Err(error) => panic!("the runtime of the test could not be started: {error}"),
        };
        // If it panics, dropping the runtime shuts it down.
        let leaked = runtime.run(|| self.run_body(body));
        runtime.shutdown();
        self.judge(leaked, runtime.shared());
    }

    /// Under [`virtual_time`](super::virtual_time).
    #[track_caller]
    pub fn run_in_virtual_time(self, body: impl FnOnce() + Send) {
        let (leaked, runtime) = virtual_time::run(|| self.run_body(body));
        self.judge(leaked, &runtime);
    }

    /// Under [`explore`](super::explore), which finds what is left itself.
    #[track_caller]
    pub fn explore(self, body: impl Fn() + Send + Sync + 'static) {
        assert!(self.config.iterations != Some(0), "`explore = 0` explores nothing: expected 1 or more");
        super::explore(self.config, body);
    }

    /// The body, and then what has leaked.
    fn run_body(&self, body: impl FnOnce()) -> Option<String> {
        body();
        if self.leaks_allowed { None } else { leaks::leaked() }
    }

    /// The body has returned, and the runtime has been shut down.
    #[track_caller]
    fn judge(&self, leaked: Option<String>, runtime: &Shared) {
        // What was to end the others may have panicked: that comes first.
        let panicked = if self.panics_allowed { None } else { runtime.detached_panic() };
        match (panicked, leaked) {
            (None, None) => {}
            (Some(one), None) => panic!("{one}"),
            (None, Some(other)) => panic!("{other}"),
            (Some(one), Some(other)) => panic!("{one}\n\n{other}"),
        }
    }
}
