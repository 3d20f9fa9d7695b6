//! Operations as events.

use super::{Fd, Side, closed, source::Queued, timed_out};
use crate::{
    sched::harness::{self, Hold},
    select::{Arm, Event, Operation, Registered, Sealed, Waiting},
    time::Instant,
    wait::{Node, Reason, Status},
};
use std::{fmt, io, mem, os::fd::AsFd, ptr, time::Duration};

/// How long an operation that finds the process out of descriptors, or the system out of memory, waits before it tries again, at
/// first and at last; and how long it does so.
const BACKOFF_MIN: Duration = Duration::from_millis(2);
const BACKOFF_MAX: Duration = Duration::from_millis(200);
const BACKOFF_ALL: Duration = Duration::from_secs(1);

/// Whether it helps to wait until others have given something back.
pub(crate) fn is_exhausted(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM))
}

/// Patience with a system that has run out of something.
#[derive(Clone, Copy, Debug)]
struct Backoff {
    until: Instant,
    pause: Duration,
    gives_up: Instant,
}

/// What a call gives: its result, and whether less was got than there was room for.
type Call<T, A, R> = fn(&T, &mut A) -> io::Result<(R, bool)>;
/// Names operation and subject.
type Name<T, A> = fn(&T, &A, io::Error) -> io::Error;

/// A read, a write, an accept and the like that can be waited for: an [`Event`] that yields what the operation of that name returns.
///
/// It has happened if it is chosen, and only then. Time-outs of the object hold for it as well: if one passes, it yields
/// that error.
///
/// # Examples
/// ```
/// use rendez::{Event, chan, net::{TcpListener, TcpStream}, select};
/// # fn main() -> std::io::Result<()> {
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let (stop, stopped) = chan::bounded::<()>(1);
/// stop.send(()).unwrap();
/// select! {
///     wait(listener.accept_event()) -> connection => drop(connection?),
///     recv(stopped) -> _ => println!("nobody came"),
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "an event does nothing unless it is waited for"]
pub struct IoEvent<'a, T: AsFd, A, R> {
    fd: &'a Fd<T>,
    side: Side,
    call: Call<T, A, R>,
    name: Name<T, A>,
    arguments: A,
    stage: Stage<R>,
    node: Node,
    /// When it has taken too long; from the first attempt in vain on.
    deadline: Option<Instant>,
    began: bool,
    backoff: Option<Backoff>,
    /// The clock of a runtime under test stands while this is queued.
    hold: Option<Hold>,
}

enum Stage<R> {
    Idle,
    Queued,
    Done(io::Result<R>),
}

// SAFETY: the raw pointers in the node point to a waiter that is kept by whoever registers this arm, or are other nodes' that
// are only followed under the source's lock.
unsafe impl<T: AsFd + Sync, A: Send, R: Send> Send for IoEvent<'_, T, A, R> {}
// SAFETY: nothing can be done through a shared reference.
unsafe impl<T: AsFd + Sync, A: Send, R: Send> Sync for IoEvent<'_, T, A, R> {}

impl<'a, T: AsFd, A, R> IoEvent<'a, T, A, R> {
    pub(crate) fn new(
        fd: &'a Fd<T>,
        side: Side,
        name: Name<T, A>,
        arguments: A,
        call: Call<T, A, R>,
    ) -> Self {
        IoEvent {
            fd,
            side,
            call,
            name,
            arguments,
            stage: Stage::Idle,
            node: Node::new(ptr::null(), 0, ptr::null_mut()),
            deadline: None,
            began: false,
            backoff: None,
            hold: None,
        }
    }

    /// Says how it ended.
    fn done(&mut self, result: io::Result<R>) {
        self.stage = Stage::Done(result.map_err(|error| (self.name)(self.fd.io(), &self.arguments, error)));
    }

    fn try_now(&mut self) {
        if let Some(backoff) = self.backoff
            && Instant::now() < backoff.until
        {
            return;
        }
        let (call, arguments) = (self.call, &mut self.arguments);
        match self.fd.attempt(self.side, &mut |io: &T| call(io, arguments)) {
            Some(Err(error)) if is_exhausted(&error) && self.backs_off() => {}
            Some(result) => self.done(result),
            None => self.backoff = None,
        }
    }

    /// The time is over.
    #[cold]
    fn try_last(&mut self) {
        if self.side == Side::Write {
            // As in `Fd::run_slowly`.
            self.fd.source.may_be_ready(self.side);
            self.try_now();
        }
        if matches!(self.stage, Stage::Idle) {
            self.done(Err(timed_out()));
        }
    }

    /// Whether it tries again after a while.
    #[cold]
    fn backs_off(&mut self) -> bool {
        let now = Instant::now();
        let (pause, gives_up) = match self.backoff {
            Some(backoff) => ((backoff.pause * 2).min(BACKOFF_MAX), backoff.gives_up),
            None => (BACKOFF_MIN, now + BACKOFF_ALL),
        };
        self.backoff = Some(Backoff { until: now + pause, pause, gives_up });
        now < gives_up
    }
}

impl<T: AsFd, A, R> Sealed for IoEvent<'_, T, A, R> {}

impl<T: AsFd, A, R> Arm for IoEvent<'_, T, A, R> {
    fn attempt(&mut self) -> bool {
        if matches!(self.stage, Stage::Idle) {
            self.try_now();
            if matches!(self.stage, Stage::Idle) {
                if !mem::replace(&mut self.began, true) {
                    self.deadline = self.fd.deadline(self.side);
                } else if self.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                    self.try_last();
                }
            }
        }
        matches!(self.stage, Stage::Done(_))
    }

    unsafe fn register(&mut self, waiting: Waiting<'_>, first: usize) -> Registered {
        if matches!(self.stage, Stage::Done(_)) {
            return waiting.choose();
        }
        if self.backoff.is_some() {
            // It is ready as ever, but for what it needs: time will tell.
            return if self.fd.is_closed() { self.fail(closed(), waiting) } else { Registered::Waits };
        }
        self.node.aim(waiting.waiter, first as u32, ptr::null_mut());
        // SAFETY: passed on: the node is in this arm.
        match unsafe { self.fd.source.queue(self.fd.as_fd(), self.side, &self.node) } {
            Ok(Queued::Waits) => {
                self.stage = Stage::Queued;
                self.hold = harness::hold();
                Registered::Waits
            }
            Ok(Queued::Ready) => Registered::Again,
            Err(error) => self.fail(error, waiting),
        }
    }

    unsafe fn unregister(&mut self) {
        if matches!(self.stage, Stage::Queued) {
            // SAFETY: queued there by `register`.
            unsafe { self.fd.source.leave(self.side, &self.node) };
            self.stage = Stage::Idle;
            self.hold = None;
        }
    }

    fn conclude(&mut self, _: usize) -> bool {
        // Whoever wakes it tells it to try again.
        debug_assert!(self.node.status() != Status::Done);
        matches!(self.stage, Stage::Done(_))
    }

    /// Chosen and not wanted after all, which takes a panic or a misuse in between: as when a read's result is ignored.
    fn undo(&mut self) {
        if matches!(self.stage, Stage::Done(_)) {
            self.stage = Stage::Idle;
        }
    }

    fn deadline(&self) -> Option<Instant> {
        [self.deadline, self.backoff.map(|backoff| backoff.until)].into_iter().flatten().min()
    }

    fn reason(&self) -> Reason {
        Reason::IoWait
    }
}

impl<T: AsFd, A, R> IoEvent<'_, T, A, R> {
    fn fail(&mut self, error: io::Error, waiting: Waiting<'_>) -> Registered {
        let registered = waiting.choose();
        if registered == Registered::Chosen {
            self.done(Err(error));
        }
        registered
    }
}

impl<T: AsFd, A, R> Operation for IoEvent<'_, T, A, R> {
    type Output = io::Result<R>;

    fn finish(&mut self) -> Self::Output {
        match mem::replace(&mut self.stage, Stage::Idle) {
            Stage::Done(result) => result,
            Stage::Idle | Stage::Queued => panic!("it was not chosen"),
        }
    }
}

impl<T: AsFd, A, R> Event for IoEvent<'_, T, A, R> {
    type Output = io::Result<R>;
    type Operation = Self;

    fn operation(self) -> Self {
        self
    }
}

impl<T: AsFd, A, R> fmt::Debug for IoEvent<'_, T, A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match self.stage {
            Stage::Idle => "Idle",
            Stage::Queued => "Queued",
            Stage::Done(_) => "Done",
        };
        f.debug_struct("IoEvent").field("side", &self.side).field("stage", &stage).finish_non_exhaustive()
    }
}
