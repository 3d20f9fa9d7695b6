//! The same request to several, of whom the first to answer is heard.

use crate::{Context, ContextError, Event, JoinError, JoinHandle, block_on, chan, go};
use std::{error::Error, fmt, panic::resume_unwind, sync::Arc};

/// Makes a request `copies` times at once and returns the first answer that is no error. The others' context is cancelled by that.
///
/// `request` is called with that context and the number of the copy, from zero, on a goroutine for each copy. Those that were not first are not waited for: they end
/// as soon as they heed their context.
///
/// # Errors
/// [`ReplicateError::Failed`] with all errors if there is no answer, and [`ReplicateError::Ended`] if `ctx` ends before the first one.
///
/// # Panics
/// If there is no answer and one of the copies panicked, with its payload.
///
/// # Blocking
/// Until there is an answer. A task awaits [`replicate_async`].
///
/// # Examples
/// ```
/// use rendez::{Context, Event, pattern, time::timer};
/// use std::time::Duration;
/// let fastest = pattern::replicate(&Context::background(), 3, |ctx, copy| {
///     ctx.bound(timer(Duration::from_millis([500, 1, 500][copy]))).wait()?;
///     Ok::<usize, rendez::ContextError>(copy)
/// });
/// assert_eq!(fastest.unwrap(), 1);
/// ```
#[track_caller]
pub fn replicate<T, E, F>(ctx: &Context, copies: usize, request: F) -> Result<T, ReplicateError<E>>
where
    T: Send + 'static,
    E: Send + 'static,
    F: Fn(&Context, usize) -> Result<T, E> + Send + Sync + 'static,
{
    block_on(Replicas::start(ctx, copies, request).first(ctx))
}

/// As [`replicate`], in an async task. The copies are started by this call.
///
/// # Errors
/// As [`replicate`].
///
/// # Panics
/// As [`replicate`].
///
/// # Cancellation
/// Safe: dropping the future cancels all copies.
#[track_caller]
pub fn replicate_async<T, E, F>(
    ctx: &Context,
    copies: usize,
    request: F,
) -> impl Future<Output = Result<T, ReplicateError<E>>> + Send + use<T, E, F>
where
    T: Send + 'static,
    E: Send + 'static,
    F: Fn(&Context, usize) -> Result<T, E> + Send + Sync + 'static,
{
    let (ctx, replicas) = (ctx.clone(), Replicas::start(ctx, copies, request));
    async move { replicas.first(&ctx).await }
}

struct Replicas<T, E> {
    answers: chan::Receiver<Result<T, E>>,
    handles: Vec<JoinHandle<()>>,
    /// Cancels those that are left when it is dropped.
    _cancel: crate::CancelFunc,
}

impl<T: Send + 'static, E: Send + 'static> Replicas<T, E> {
    #[track_caller]
    fn start<F>(ctx: &Context, copies: usize, request: F) -> Self
    where
        F: Fn(&Context, usize) -> Result<T, E> + Send + Sync + 'static,
    {
        let (ctx, cancel) = ctx.with_cancel();
        // Room for all: nobody waits to say what nobody hears.
        let ((tx, answers), request) = (chan::bounded(copies), Arc::new(request));
        let mut handles = Vec::with_capacity(copies);
        for copy in 0..copies {
            let (ctx, tx, request) = (ctx.clone(), tx.clone(), request.clone());
            handles.push(go(move || {
                _ = tx.send(request(&ctx, copy));
            }));
        }
        Replicas { answers, handles, _cancel: cancel }
    }

    async fn first(self, ctx: &Context) -> Result<T, ReplicateError<E>> {
        let mut errors = Vec::new();
        loop {
            match ctx.bound(self.answers.recv_event()).wait_async().await {
                Err(ended) => return Err(ReplicateError::Ended(ended)),
                Ok(Ok(Ok(answer))) => return Ok(answer),
                Ok(Ok(Err(error))) => errors.push(error),
                Ok(Err(_)) => break,
            }
        }
        if errors.len() < self.handles.len() {
            for handle in self.handles {
                if let Some(panic) = handle.await.err().filter(JoinError::is_panic) {
                    resume_unwind(panic.into_panic());
                }
            }
        }
        Err(ReplicateError::Failed(errors))
    }
}

/// Why [`replicate`] has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplicateError<E> {
    /// All copies failed; these are their errors, as they came.
    Failed(Vec<E>),
    /// The context ended before there was an answer.
    Ended(ContextError),
}

impl<E: fmt::Display> fmt::Display for ReplicateError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReplicateError::Failed(errors) => {
                write!(f, "no answer from any of {}", errors.len())?;
                errors.last().map_or(Ok(()), |error| write!(f, ": {error}"))
            }
            ReplicateError::Ended(error) => error.fmt(f),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> Error for ReplicateError<E> {}
