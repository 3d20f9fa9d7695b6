//! Which goroutines of a runtime there are.
//!
//! What is parked belongs to its worker, so each worker is asked, and answers when it next looks around (`maintain`): it
//! writes its list into the request. One that is kept by a long burst does not answer in time, and is left out. Async
//! goroutines are on the runtime's own list; those that have not started are in queues and are counted, not named.

use super::{runtime::Shared, worker::Worker};
use crate::{
    select::Event,
    sync::WaitGroup,
    task::Header,
    testing::Inhabitant,
    time::{Instant, sleep},
    wait::Reason,
};
use std::{
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    time::Duration,
};

/// For how long a worker is waited for.
const ANSWER: Duration = Duration::from_secs(1);
/// How often somebody who waits for goroutines to end looks again, at first and at last.
const LOOK_MIN: Duration = Duration::from_micros(100);
const LOOK_MAX: Duration = Duration::from_millis(10);

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

/// The goroutines besides the caller that are left in its runtime when for `patience` none has ended and none runs, or when
/// `limit` is over; and how many more there are, which have not started or can't be asked.
pub(crate) fn left_over(patience: Duration, limit: Duration) -> (Vec<Inhabitant>, u64) {
    let runtime = super::current_runtime();
    let me = super::current_id();
    let alone = u64::from(me.is_some());
    let begin = Instant::now();
    let (mut since, mut seen, mut look) = (begin, 0, LOOK_MIN);
    loop {
        let (finished, left) = runtime.counts();
        if left <= alone {
            return (Vec::new(), 0);
        }
        if begin.elapsed() >= limit {
            break;
        }
        if finished != seen || runtime.runs_besides(super::worker_number()) {
            (since, seen, look) = (Instant::now(), finished, LOOK_MIN);
        } else if since.elapsed() >= patience {
            break;
        }
        sleep(look);
        look = (look * 2).min(LOOK_MAX);
    }
    let named: Vec<Inhabitant> = runtime.census().into_iter().filter(|other| Some(other.id) != me).collect();
    // Some may have ended meanwhile.
    let left = runtime.counts().1.saturating_sub(alone);
    let unnamed = left.saturating_sub(named.len() as u64);
    (named, unnamed)
}
