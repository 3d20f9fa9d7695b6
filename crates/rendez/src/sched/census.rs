//! Which goroutines of a runtime there are.
//!
//! What is parked belongs to its worker, so each worker is asked, and answers when it next looks around (`maintain`): it
//! writes its list into the request. One that is kept by a long burst does not answer in time, and is left out. Async
//! goroutines are on the runtime's own list; those that have not started are in queues and are counted, not named.

use super::{runtime::Shared, worker::Worker};
use crate::{select::Event, sync::WaitGroup, task::Header, wait::Reason};
use std::{
    fmt,
    panic::Location,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    time::Duration,
};

/// For how long a worker is waited for.
const ANSWER: Duration = Duration::from_secs(1);

/// A goroutine that has not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Inhabitant {
    pub(crate) id: u64,
    /// As `goroutine 7 "printer"`.
    pub(crate) title: String,
    /// What it waits for, in Go's words.
    pub(crate) state: &'static str,
    pub(crate) site: &'static Location<'static>,
}

impl fmt::Display for Inhabitant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]:\n\tcreated at {}", self.title, self.state, self.site)
    }
}

/// A question to all workers of a runtime.
#[derive(Debug)]
pub(super) struct Request {
    found: Mutex<Vec<Inhabitant>>,
    unanswered: WaitGroup,
}

pub(super) fn describe(task: &Header, state: &'static str) -> Inhabitant {
    Inhabitant { id: super::harness::shown_id(task.id), title: task.title(), state, site: task.site }
}

impl Worker {
    /// What is parked here, and what runs.
    pub(super) fn own_census(&self, mut tell: impl FnMut(Inhabitant)) {
        // SAFETY: what runs, and what is parked here, has not ended, and this is its worker's thread.
        unsafe {
            if let Some(running) = self.goroutine() {
                tell(describe(running.0.as_ref(), "running"));
            }
            self.for_each_parked(|task, reason| {
                tell(describe(task, reason.map_or("runnable", Reason::text)))
            });
        }
    }

    /// Answers the question that has been asked, if there is one that this worker has not answered.
    #[cold]
    pub(super) fn answer_census(&self, asked: u32) {
        self.census_answered.set(asked);
        let request = self.runtime.census.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(request) = request else { return };
        let mut found = Vec::new();
        self.own_census(|inhabitant| found.push(inhabitant));
        request.found.lock().unwrap_or_else(PoisonError::into_inner).extend(found);
        request.unanswered.done();
    }
}

impl Shared {
    /// The goroutines that have started, or are async, and have not ended, by number.
    pub(super) fn census(&self) -> Vec<Inhabitant> {
        super::with_worker(|worker| self.census_from(worker))
    }

    /// As [`census`](Self::census), from a worker, which need not be in a goroutine.
    pub(super) fn census_from(&self, me: Option<&Worker>) -> Vec<Inhabitant> {
        let request = Arc::new(Request { found: Mutex::default(), unanswered: WaitGroup::new() });
        // One question at a time, and each to be answered by those who were there when it was asked.
        let asking = self.census_turn.lock();
        request.unanswered.add(self.started_workers() as i64);
        *self.census.lock().unwrap_or_else(PoisonError::into_inner) = Some(request.clone());
        let asked = self.census_asked.fetch_add(1, Ordering::SeqCst) + 1;
        if let Some(worker) = me.filter(|worker| std::ptr::eq(&*worker.runtime, self)) {
            worker.answer_census(asked);
        }
        self.wake_all();
        let _ = (&request.unanswered).wait_timeout(ANSWER);
        *self.census.lock().unwrap_or_else(PoisonError::into_inner) = None;
        drop(asking);
        let mut all = std::mem::take(&mut *request.found.lock().unwrap_or_else(PoisonError::into_inner));
        self.async_tasks.for_each(|task| all.push(describe(task, "await")));
        all.sort_by_key(|inhabitant| inhabitant.id);
        // An async goroutine that is parked in a poll comes twice.
        all.dedup_by_key(|inhabitant| inhabitant.id);
        all
    }
}

/// The goroutines of all runtimes, and how many have not started.
pub(crate) fn census_of_all() -> (Vec<Inhabitant>, u64) {
    let (mut all, mut unstarted) = (Vec::new(), 0);
    for runtime in super::deadlock::runtimes() {
        let some = runtime.census();
        unstarted += runtime.counts().1.saturating_sub(some.len() as u64);
        all.extend(some);
    }
    all.sort_by_key(|inhabitant| inhabitant.id);
    (all, unstarted)
}
