//! What a pipeline is while it is being started, and what its stages share.

use super::super::meter::Lanes;
use crate::{CancelFunc, Context, JoinHandle, chan::Receiver, go_async};
use std::{
    error::Error,
    fmt,
    future::Future,
    mem,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// A stage as the report knows it.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    pub(super) name: String,
    pub(super) lanes: Lanes,
}

/// What all stages share: how the whole ends.
pub(super) struct Outcome {
    cancel: CancelFunc,
    error: Mutex<Option<Box<dyn Error + Send + Sync>>>,
    /// A stage ended because the context did.
    cut_short: AtomicBool,
}

impl Outcome {
    /// Keeps the first error, and ends every stage.
    pub(super) fn fail(&self, error: Box<dyn Error + Send + Sync>) {
        let mut first = self.error.lock().unwrap_or_else(PoisonError::into_inner);
        let late = if first.is_some() { Some(error) } else { first.replace(error) };
        drop(first);
        self.cancel.cancel();
        drop(late);
    }

    pub(super) fn error(&self) -> Option<Box<dyn Error + Send + Sync>> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(super) fn was_cut_short(&self) -> bool {
        self.cut_short.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outcome").field("cut_short", &self.cut_short).finish_non_exhaustive()
    }
}

/// Starts the stages, the first one first.
pub(super) struct Launch {
    /// Ends also when a stage fails.
    pub(super) ctx: Context,
    pub(super) outcome: Arc<Outcome>,
    pub(super) stages: Vec<Stage>,
    pub(super) handles: Vec<JoinHandle<()>>,
}

impl Launch {
    pub(super) fn new(ctx: &Context) -> Launch {
        let (ctx, cancel) = ctx.with_cancel();
        let outcome = Outcome { cancel, error: Mutex::new(None), cut_short: AtomicBool::new(false) };
        Launch { ctx, outcome: Arc::new(outcome), stages: Vec::new(), handles: Vec::new() }
    }

    pub(super) fn stage(&mut self, name: &str, workers: usize) -> Lanes {
        let lanes = Lanes::new(workers);
        self.stages.push(Stage { name: name.to_owned(), lanes: lanes.clone() });
        lanes
    }

    /// Names what the last stage sends to: where it was made is in here, which tells nobody anything who reads that a stage waits for it.
    pub(super) fn tell<T>(&self, output: &Receiver<T>) {
        if let Some(stage) = self.stages.last() {
            output.set_name(format!("from {}, stage {} of a pipeline", stage.name, self.stages.len()));
        }
    }

    /// Starts a worker of a stage: `work` says whether it came to the end of its input.
    pub(super) fn start(&mut self, work: impl Future<Output = Option<()>> + Send + 'static) {
        let (ctx, outcome) = (self.ctx.clone(), self.outcome.clone());
        self.handles.push(go_async(async move {
            let panicked = Panicked(&outcome);
            let at_end = work.await.is_some();
            mem::forget(panicked);
            if !at_end && ctx.err().is_some() {
                outcome.cut_short.store(true, Ordering::Relaxed);
            }
        }));
    }
}

/// Ends all other stages if a worker ends without saying how.
struct Panicked<'a>(&'a Outcome);

impl Drop for Panicked<'_> {
    fn drop(&mut self) {
        self.0.cancel.cancel();
    }
}
