//! Operations of which the system does not tell when they are worth another try, as it tells of sockets that can be read: connecting to a Unix
//! listener whose queue is full, and sending to a Unix socket that has no room. Time has to tell: they are tried again after pauses that grow.

use crate::{
    Event,
    select::{Arm, Operation, Registered, Sealed, Waiting},
    time::Instant,
    wait::Reason,
};
use std::{fmt, io, time::Duration};

/// How long the pauses are, at first and at last.
const PAUSE_MIN: Duration = Duration::from_micros(100);
const PAUSE_MAX: Duration = Duration::from_millis(10);

/// What a try gives: nothing, if it is to be tried again.
pub(super) type Tried<R> = Option<io::Result<R>>;

/// An operation that is tried until it succeeds, fails, or has taken too long. It has happened if it is chosen, and only then.
#[must_use = "an event does nothing unless it is waited for"]
pub struct RetryEvent<A, R> {
    arguments: A,
    call: fn(&mut A) -> Tried<R>,
    /// Names operation and subject.
    name: fn(&A, io::Error) -> io::Error,
    limit: Option<Duration>,
    /// When it has taken too long; from the first attempt on.
    deadline: Option<Instant>,
    /// When it is tried again, and the pause before that; none before the first attempt.
    next: Option<(Instant, Duration)>,
    result: Option<io::Result<R>>,
}

impl<A, R> RetryEvent<A, R> {
    pub(super) fn new(
        limit: Option<Duration>,
        name: fn(&A, io::Error) -> io::Error,
        arguments: A,
        call: fn(&mut A) -> Tried<R>,
    ) -> Self {
        RetryEvent { arguments, call, name, limit, deadline: None, next: None, result: None }
    }

    fn done(&mut self, result: io::Result<R>) {
        self.result = Some(result.map_err(|error| (self.name)(&self.arguments, error)));
    }

    fn try_now(&mut self) {
        let now = Instant::now();
        if self.next.is_none_or(|(at, _)| at <= now) {
            if let Some(result) = (self.call)(&mut self.arguments) {
                return self.done(result);
            }
            let pause = match self.next {
                Some((_, pause)) => (pause * 2).min(PAUSE_MAX),
                None => {
                    self.deadline = self.limit.map(|limit| now.after(limit));
                    PAUSE_MIN
                }
            };
            self.next = Some((now + pause, pause));
        }
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.done(Err(io::Error::new(io::ErrorKind::TimedOut, "timed out")));
        }
    }
}

impl<A, R> Sealed for RetryEvent<A, R> {}

impl<A, R> Arm for RetryEvent<A, R> {
    fn attempt(&mut self) -> bool {
        if self.result.is_none() {
            self.try_now();
        }
        self.result.is_some()
    }

    /// It stands in no queue: it is `deadline` that brings it back.
    unsafe fn register(&mut self, waiting: Waiting<'_>, _: usize) -> Registered {
        if self.result.is_some() { waiting.choose() } else { Registered::Waits }
    }

    unsafe fn unregister(&mut self) {}

    fn conclude(&mut self, _: usize) -> bool {
        self.result.is_some()
    }

    fn undo(&mut self) {
        self.result = None;
    }

    fn deadline(&self) -> Option<Instant> {
        [self.deadline, self.next.map(|(at, _)| at)].into_iter().flatten().min()
    }

    fn reason(&self) -> Reason {
        Reason::IoWait
    }
}

impl<A, R> Operation for RetryEvent<A, R> {
    type Output = io::Result<R>;

    fn finish(&mut self) -> io::Result<R> {
        self.result.take().expect("it was chosen")
    }
}

impl<A, R> Event for RetryEvent<A, R> {
    type Output = io::Result<R>;
    type Operation = Self;

    fn operation(self) -> Self {
        self
    }
}

impl<A, R> fmt::Debug for RetryEvent<A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryEvent").field("done", &self.result.is_some()).finish_non_exhaustive()
    }
}
