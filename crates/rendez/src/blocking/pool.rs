//! The threads.
//!
//! Under one lock: jobs in the order of their coming, how many threads there are, how many of them wait for a job, and how
//! many of those have been called. Who brings a job calls a thread that waits, or else starts one, or else (there are
//! [`MOST`]) leaves the job to those that work. A thread that has been called looks for a job; one that has waited for [`KEPT`]
//! and has not been called ends.
//!
//! Lookups of names may take very long when no server answers, all of them at once, and nobody can end one. So that they never have all threads,
//! no more than [`MOST_LOOKUPS`] are among the jobs or carried out; others stand in a line of their own, of which the first comes to the
//! jobs when one has ended.

use crate::sched::waiting::WaitingThread;
use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// As many threads as there may be.
const MOST: usize = 512;
/// As many of them as may look up names.
const MOST_LOOKUPS: usize = MOST / 2;
/// How long a thread waits for something to do.
const KEPT: Duration = Duration::from_secs(5);

/// Something to run, once.
pub(super) struct Job {
    pub(super) run: unsafe fn(*mut ()),
    pub(super) call: *mut (),
    pub(super) kind: Kind,
}

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Whatever a program wants.
    Call,
    /// Asks the system's resolver.
    Lookup,
}

// SAFETY: who submits it says that it may be run by any thread.
unsafe impl Send for Job {}

struct State {
    jobs: VecDeque<Job>,
    /// Lookups beyond those that may be among the jobs, and how many of these there are, or are carried out.
    lookups: VecDeque<Job>,
    looking: usize,
    threads: usize,
    waiting: usize,
    called: usize,
    started: usize,
}

static STATE: Mutex<State> = Mutex::new(State {
    jobs: VecDeque::new(),
    lookups: VecDeque::new(),
    looking: 0,
    threads: 0,
    waiting: 0,
    called: 0,
    started: 0,
});
static CALL: Condvar = Condvar::new();

fn lock() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has `job` run by a thread of the pool, or, if there can't be any, here and now.
///
/// # Safety
/// `job.run` may be called with `job.call` once, on any thread, at any time from now on, and does not unwind.
pub(super) unsafe fn submit(job: Job) {
    let mut state = lock();
    if job.kind == Kind::Lookup {
        if state.looking == MOST_LOOKUPS {
            return state.lookups.push_back(job);
        }
        state.looking += 1;
    }
    state.jobs.push_back(job);
    if state.waiting > 0 {
        state.waiting -= 1;
        state.called += 1;
        drop(state);
        return CALL.notify_one();
    }
    if state.threads == MOST {
        return;
    }
    state.threads += 1;
    state.started += 1;
    let name = format!("rendez-blocking-{}", state.started);
    drop(state);
    if thread::Builder::new().name(name).spawn(work).is_err() {
        let mut state = lock();
        state.threads -= 1;
        // The others will come to it; if there are none, nobody would.
        while state.threads == 0
            && let Some(job) = state.jobs.pop_front()
        {
            state = carry_out(job, state);
        }
    }
}

/// Runs a job, without the lock.
fn carry_out(job: Job, state: MutexGuard<'static, State>) -> MutexGuard<'static, State> {
    drop(state);
    // SAFETY: by the contract of `submit`, under which it came; it has been taken out, so this is the one time.
    unsafe { (job.run)(job.call) };
    let mut state = lock();
    if job.kind == Kind::Lookup {
        match state.lookups.pop_front() {
            Some(next) => state.jobs.push_back(next),
            None => state.looking -= 1,
        }
    }
    state
}

fn work() {
    let mut state = lock();
    loop {
        while let Some(job) = state.jobs.pop_front() {
            state = carry_out(job, state);
        }
        state.waiting += 1;
        let _waiting = WaitingThread::new();
        let until = Instant::now() + KEPT;
        while state.called == 0 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                state.waiting -= 1;
                state.threads -= 1;
                return;
            }
            state = CALL.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.called -= 1;
    }
}

/// What the pool is like at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PoolFigures {
    /// Threads, and of these those that wait for something to do.
    pub(crate) threads: u64,
    pub(crate) waiting: u64,
    /// Calls that no thread has begun.
    pub(crate) queued: u64,
}

pub(crate) fn figures() -> PoolFigures {
    let state = lock();
    PoolFigures {
        threads: state.threads as u64,
        waiting: state.waiting as u64,
        queued: (state.jobs.len() + state.lookups.len()) as u64,
    }
}

/// How many threads there are.
#[cfg(test)]
fn threads() -> usize {
    lock().threads
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn the_pool_grows_with_what_blocks_and_shrinks_when_there_is_nothing() {
        let runtime = crate::Runtime::builder().workers(1).build().unwrap();
        let (release, released) = mpsc::channel::<()>();
        let released = Mutex::new(released);
        runtime.run(|| {
            crate::scope(|s| {
                let arrived = crate::sync::WaitGroup::new();
                for _ in 0..20 {
                    arrived.add(1);
                    let (arrived, released) = (arrived.clone(), &released);
                    s.go(move || {
                        crate::blocking(|| {
                            arrived.done();
                            while released.lock().unwrap().try_recv().is_err() {
                                thread::sleep(Duration::from_millis(1));
                            }
                        });
                    });
                }
                // All at the same time, though there is one worker.
                arrived.wait();
                assert!(threads() >= 20, "{}", threads());
                (0..20).for_each(|_| release.send(()).unwrap());
            });
        });
        let since = Instant::now();
        while threads() > 0 {
            assert!(since.elapsed() < KEPT * 6, "threads are kept: {}", threads());
            thread::sleep(Duration::from_millis(50));
        }
    }
}
