//! A pipeline that runs, and how it ended.

use super::{
    launch::{Launch, Outcome, Stage},
    report::Report,
};
use crate::{
    Context, ContextError, JoinError, JoinHandle,
    chan::{Iter, Receiver},
    time::Instant,
};
use std::{any::Any, error::Error, fmt, io, panic::resume_unwind, sync::Arc};

/// A [`Pipeline`](super::Pipeline) that has been started: its output, its end and its report.
///
/// Read the output, by iterating over a reference to this or through [`output`](Self::output), and then [`finish`](Self::finish). Dropping it drops
/// the output, which ends every stage; what went wrong is not told then.
#[must_use = "the stages end when this is dropped"]
#[derive(Debug)]
pub struct Run<T> {
    output: Receiver<T>,
    stages: Stages,
}

/// All but the output.
#[derive(Debug)]
struct Stages {
    ctx: Context,
    started: Instant,
    outcome: Arc<Outcome>,
    list: Vec<Stage>,
    handles: Vec<JoinHandle<()>>,
}

/// How a pipeline failed. A panic of a stage is no error: it goes on in whoever finishes the pipeline.
///
/// It shows as the error in it, and `?` makes an [`io::Error`] of it: the stage's own, if that is one. For the type that a stage returned there
/// is `downcast`:
///
/// ```
/// use rendez::{Context, pattern::{Pipeline, PipelineError}};
/// use std::num::ParseIntError;
///
/// let failed = Pipeline::from(["1", "x"]).try_map(1, str::parse::<i32>).run(&Context::background()).collect();
/// match failed.unwrap_err() {
///     PipelineError::Failed(error) => assert!(error.downcast::<ParseIntError>().is_ok()),
///     other => panic!("{other}"),
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum PipelineError {
    /// The first error of a [`try_map`](super::Pipeline::try_map).
    Failed(Box<dyn Error + Send + Sync>),
    /// The context ended before the values did.
    Ended(ContextError),
}

impl fmt::Display for PipelineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PipelineError::Failed(error) => error.fmt(f),
            PipelineError::Ended(error) => error.fmt(f),
        }
    }
}

impl Error for PipelineError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            // The text is theirs, so what is behind it is what is behind them.
            PipelineError::Failed(error) => error.source(),
            PipelineError::Ended(error) => error.source(),
        }
    }
}

/// A stage's `io::Error` as it is, and else that around what [`PipelineError`] holds.
///
/// ```
/// use rendez::{Context, fs::File, pattern::Pipeline};
/// use std::io::{self, BufRead, BufReader};
///
/// /// The length of the longest line.
/// fn longest(path: &str) -> io::Result<usize> {
///     let lines = BufReader::new(File::open(path)?).lines();
///     let run = Pipeline::from(lines).try_map(4, |line| line.map(|line| line.len())).run(&Context::background());
///     let (lengths, _report) = run.collect()?;
///     Ok(lengths.into_iter().max().unwrap_or(0))
/// }
/// assert_eq!(longest("/no such file").unwrap_err().kind(), io::ErrorKind::NotFound);
/// assert_eq!(longest("/").unwrap_err().kind(), io::ErrorKind::IsADirectory); // of the first read, in the pipeline
/// ```
impl From<PipelineError> for io::Error {
    fn from(error: PipelineError) -> io::Error {
        match error {
            PipelineError::Failed(error) => match error.downcast::<io::Error>() {
                Ok(error) => *error,
                Err(error) => io::Error::other(error),
            },
            PipelineError::Ended(error) => error.into(),
        }
    }
}

impl<T> Run<T> {
    pub(super) fn new(ctx: &Context, launch: Launch, started: Instant, output: Receiver<T>) -> Run<T> {
        let stages = Stages {
            ctx: ctx.clone(),
            started,
            outcome: launch.outcome,
            list: launch.stages,
            handles: launch.handles,
        };
        Run { output, stages }
    }

    /// Where the values come out.
    pub fn output(&self) -> &Receiver<T> {
        &self.output
    }

    /// What the stages have done so far.
    pub fn report(&self) -> Report {
        self.stages.report()
    }

    /// Drops the output, waits for every stage to end, and says how it went. If the output has not been read to its end, that ends the
    /// stages early, which is no error.
    ///
    /// # Errors
    /// [`PipelineError::Failed`] with the first error of a stage, [`PipelineError::Ended`] if the context ended before the values did.
    ///
    /// # Panics
    /// With the payload of the first stage that panicked.
    ///
    /// # Blocking
    /// Parks the goroutine, or the OS thread. A task awaits [`finish_async`](Self::finish_async).
    ///
    /// # Examples
    /// ```
    /// use rendez::{Context, pattern::Pipeline};
    /// let run = Pipeline::from(["1", "2", "x", "4"]).try_map(1, str::parse::<i32>).run(&Context::background());
    /// assert_eq!(run.output().iter().collect::<Vec<_>>(), [1, 2]);
    /// assert_eq!(run.finish().unwrap_err().to_string(), "invalid digit found in string");
    /// ```
    pub fn finish(self) -> Result<Report, PipelineError> {
        let Run { output, mut stages } = self;
        drop(output);
        let ends: Vec<_> = std::mem::take(&mut stages.handles).into_iter().map(JoinHandle::join).collect();
        stages.result(ends)
    }

    /// As [`finish`](Self::finish), in an async task.
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    ///
    /// # Panics
    /// As [`finish`](Self::finish).
    ///
    /// # Cancellation
    /// Safe: the stages end, and nobody is told how.
    pub async fn finish_async(self) -> Result<Report, PipelineError> {
        let Run { output, mut stages } = self;
        drop(output);
        let mut ends = Vec::new();
        for handle in std::mem::take(&mut stages.handles) {
            ends.push(handle.await);
        }
        stages.result(ends)
    }

    /// Reads the output to its end, and [finishes](Self::finish).
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    ///
    /// # Panics
    /// As [`finish`](Self::finish).
    ///
    /// # Blocking
    /// Until all is done.
    pub fn collect(self) -> Result<(Vec<T>, Report), PipelineError> {
        let values = self.output.iter().collect();
        self.finish().map(|report| (values, report))
    }

    /// Calls `f` with each value, and [finishes](Self::finish).
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    ///
    /// # Panics
    /// As [`finish`](Self::finish). A panic in `f` ends the stages, too.
    ///
    /// # Blocking
    /// Until all is done.
    pub fn for_each(self, f: impl FnMut(T)) -> Result<Report, PipelineError> {
        self.output.iter().for_each(f);
        self.finish()
    }
}

impl Stages {
    fn report(&self) -> Report {
        Report::new(self.started.elapsed(), &self.list)
    }

    fn result(self, ends: Vec<Result<(), JoinError>>) -> Result<Report, PipelineError> {
        let panic: Option<Box<dyn Any + Send>> =
            ends.into_iter().filter_map(Result::err).find(JoinError::is_panic).map(JoinError::into_panic);
        if let Some(payload) = panic {
            resume_unwind(payload);
        }
        if let Some(error) = self.outcome.error() {
            return Err(PipelineError::Failed(error));
        }
        match self.ctx.err() {
            Some(error) if self.outcome.was_cut_short() => Err(PipelineError::Ended(error)),
            _ => Ok(self.report()),
        }
    }
}

/// The values, until the last one.
impl<'a, T> IntoIterator for &'a Run<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.output.iter()
    }
}
