//! Work that is started again when it fails.

use super::heartbeat::Pulse;
use crate::{Context, ContextError, Event, JoinHandle, go, select, time::Instant, time::timer};
use std::{any::Any, collections::VecDeque, error::Error, fmt, sync::Arc, time::Duration};

/// Starts work anew when it fails, panics or falls silent: with growing pauses, and not too often.
///
/// Work that returns `Ok` is done. By default there may be five failures within a minute, between which there are pauses from ten milliseconds to
/// five seconds, and silence is no failure.
///
/// # Examples
/// ```
/// use rendez::{Context, pattern::Supervisor};
/// use std::{sync::atomic::{AtomicU32, Ordering}, time::Duration};
/// let tries = AtomicU32::new(0);
/// let supervisor = Supervisor::new().back_off(Duration::from_millis(1), Duration::from_millis(8));
/// supervisor.run(&Context::background(), move |_ctx, _pulse| {
///     match tries.fetch_add(1, Ordering::Relaxed) {
///         0 => Err("the first try fails"),
///         1 => panic!("the second panics"),
///         _ => Ok(()),
///     }
/// }).unwrap();
/// ```
#[derive(Clone, Debug)]
#[must_use = "a supervisor does nothing until `run`"]
pub struct Supervisor {
    most: usize,
    within: Duration,
    shortest: Duration,
    longest: Duration,
    silence: Option<Duration>,
}

/// Why a run of supervised work did not do.
#[derive(Debug)]
pub enum Failure<E> {
    /// It returned this.
    Error(E),
    /// It panicked with this.
    Panic(Box<dyn Any + Send>),
    /// It gave no sign of life for too long. Its context was cancelled; it may still be there.
    Silent,
}

/// How supervision ended.
#[derive(Debug)]
pub enum SupervisorError<E> {
    /// The work failed too often; this is how it did last.
    GaveUp {
        /// How often it was started.
        starts: usize,
        /// Why the last run did not do.
        last: Failure<E>,
    },
    /// The context ended.
    Ended(ContextError),
}

impl<E: fmt::Display> fmt::Display for Failure<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Error(error) => error.fmt(f),
            Failure::Panic(payload) => {
                let text = payload.downcast_ref::<&str>().copied();
                match text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)) {
                    Some(text) => write!(f, "it panicked: {text}"),
                    None => f.write_str("it panicked"),
                }
            }
            Failure::Silent => f.write_str("it gave no sign of life"),
        }
    }
}

impl<E: fmt::Display> fmt::Display for SupervisorError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SupervisorError::GaveUp { starts, last } => write!(f, "given up after {starts} starts: {last}"),
            SupervisorError::Ended(error) => error.fmt(f),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> Error for SupervisorError<E> {}

impl Default for Supervisor {
    fn default() -> Self {
        Supervisor::new()
    }
}

impl Supervisor {
    /// A supervisor with the defaults.
    pub fn new() -> Supervisor {
        Supervisor {
            most: 5,
            within: Duration::from_secs(60),
            shortest: Duration::from_millis(10),
            longest: Duration::from_secs(5),
            silence: None,
        }
    }

    /// Gives up when there have been more than `failures` within this time.
    pub fn limit(mut self, failures: usize, within: Duration) -> Supervisor {
        (self.most, self.within) = (failures, within);
        self
    }

    /// The pause after the first failure; it doubles with every further one in the time of the [limit](Self::limit), up to `longest`.
    pub fn back_off(mut self, shortest: Duration, longest: Duration) -> Supervisor {
        (self.shortest, self.longest) = (shortest, longest);
        self
    }

    /// Takes it for a failure if the work's [`Pulse`] does not beat for so long. Its context is cancelled then; it is not waited for, since
    /// nobody can end a goroutine that does not heed that.
    pub fn silence(mut self, most: Duration) -> Supervisor {
        self.silence = Some(most);
        self
    }

    /// Runs `work` until it returns `Ok`, fails too often, or `ctx` ends. Each run is a goroutine of its own, with a context that ends with it.
    ///
    /// # Errors
    /// [`SupervisorError`].
    ///
    /// # Blocking
    /// As long as that takes: call it on a goroutine of its own. When `ctx` ends, this waits for the work to end; if there is a limit to its
    /// [silence](Self::silence), for no longer than that.
    #[track_caller]
    pub fn run<E, F>(&self, ctx: &Context, work: F) -> Result<(), SupervisorError<E>>
    where
        E: Send + 'static,
        F: Fn(&Context, &Pulse) -> Result<(), E> + Send + Sync + 'static,
    {
        let work = Arc::new(work);
        let (mut starts, mut failures) = (0, VecDeque::new());
        loop {
            starts += 1;
            let last = match self.run_once(ctx, &work)? {
                None => return Ok(()),
                Some(failure) => failure,
            };
            let now = Instant::now();
            failures.push_back(now);
            while failures.front().is_some_and(|&at: &Instant| now.duration_since(at) > self.within) {
                failures.pop_front();
            }
            if failures.len() > self.most {
                return Err(SupervisorError::GaveUp { starts, last });
            }
            let doubled = 1_u32.checked_shl(failures.len() as u32 - 1).unwrap_or(u32::MAX);
            let pause = self.shortest.saturating_mul(doubled).min(self.longest);
            ctx.bound(timer(pause)).wait().map_err(SupervisorError::Ended)?;
        }
    }

    /// One run, and how it failed.
    #[track_caller]
    fn run_once<E, F>(&self, ctx: &Context, work: &Arc<F>) -> Result<Option<Failure<E>>, SupervisorError<E>>
    where
        E: Send + 'static,
        F: Fn(&Context, &Pulse) -> Result<(), E> + Send + Sync + 'static,
    {
        if let Some(ended) = ctx.err() {
            return Err(SupervisorError::Ended(ended));
        }
        let ((own, cancel), (pulse, beats)) = (ctx.with_cancel(), Pulse::new());
        let handle = go({
            let work = work.clone();
            move || work(&own, &pulse)
        });
        loop {
            // Without a limit: beyond what the clock can say, so never.
            let silence = timer(self.silence.unwrap_or(Duration::MAX));
            select! {
                wait(&handle) -> () => break,
                // The pulse may be dropped before the work is done; then there is no more to be heard.
                recv(beats) -> beat => if beat.is_err() { break },
                wait(silence) -> _ => {
                    cancel.cancel();
                    return Ok(Some(Failure::Silent));
                },
                wait(ctx) -> ended => {
                    self.wait_for(&handle);
                    return Err(SupervisorError::Ended(ended));
                },
            }
        }
        Ok(match handle.join() {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(Failure::Error(error)),
            Err(error) if error.is_panic() => Some(Failure::Panic(error.into_panic())),
            // Its runtime has shut down, and that of whoever supervises it with it.
            Err(_) => None,
        })
    }

    fn wait_for<R>(&self, handle: &JoinHandle<R>) {
        match self.silence {
            Some(limit) => _ = handle.wait_timeout(limit),
            None => handle.wait(),
        }
    }
}
