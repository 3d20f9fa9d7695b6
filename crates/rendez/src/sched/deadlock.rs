//! Nothing in the process can ever run again: found, told, and ended.
//!
//! The last worker that is awake in a runtime sleeps for a while and then wakes once more, to tidy up. There it asks:
//!
//! 1. Are there goroutines that have not ended, of this runtime, or threads that [wait](super::waiting); and of no runtime is a worker
//!    awake, or has a timer or an alarm set, or a queue that is not empty? (`published.timed` is stored before each sleep.)
//! 2. Does no poller have a source (whether or not somebody waits for it), and nobody wait for a call on the pool, or a signal?
//!    Is every OS thread of the process one that we know: a worker that sleeps, or one that waits, without a limit, for something of
//!    rendez (among them the thread of the alarms, with none set)? Any other may be about to send. One that has been woken does not wait any more, though it may not have
//!    run yet, and be kept from it for any time: whoever wakes it says so.
//! 3. Has nothing moved between the first look and the last?
//!
//! Who is asleep by 1 and 2 can be woken by nobody: a goroutine is woken by a running one, a thread, or a timer. So what is said is
//! final. Otherwise the question is asked again later, some times, in growing distances: a thread may end, and another worker may have
//! been awake only to ask the same.
//!
//! A thread that waits asks as well, after a while: there may be no worker that could, because no goroutine has ever been started, say, or it
//! may have asked already, when nobody waited, and sleep for good.
//!
//! How many threads there are is read from `/proc`; where there is none, nothing is ever said.

use super::{
    alarms, census::every_park_from, knots, monitor, poller, runtime::Shared, waiting, worker::Worker,
};
use crate::time::Instant;
use std::{
    io::Write,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

/// All runtimes that have been started and not dropped.
static RUNTIMES: Mutex<Vec<Weak<Shared>>> = Mutex::new(Vec::new());
/// What else may wake a goroutine some day, and is no thread that could be counted.
static OUTSIDE: AtomicUsize = AtomicUsize::new(0);

/// While there is one, something outside of the scheduler may still wake somebody: a file descriptor that is waited for, say.
#[derive(Debug)]
pub(crate) struct Outside(());

impl Outside {
    pub(crate) fn new() -> Outside {
        OUTSIDE.fetch_add(1, Ordering::SeqCst);
        Outside(())
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        OUTSIDE.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A runtime has been started.
pub(super) fn register(runtime: &Arc<Shared>) {
    let mut runtimes = RUNTIMES.lock().unwrap_or_else(PoisonError::into_inner);
    runtimes.retain(|other| other.strong_count() > 0);
    runtimes.push(Arc::downgrade(runtime));
    drop(runtimes);
    monitor::wake();
}

/// All runtimes that there are, also those that have ended and are kept.
pub(super) fn known_runtimes() -> Vec<Arc<Shared>> {
    let runtimes = RUNTIMES.lock().unwrap_or_else(PoisonError::into_inner);
    runtimes.iter().filter_map(Weak::upgrade).collect()
}

/// All runtimes that have workers.
pub(super) fn runtimes() -> Vec<Arc<Shared>> {
    let mut runtimes = known_runtimes();
    runtimes.retain(|runtime| !runtime.has_ended());
    runtimes
}

/// When it is asked, and asked again: in growing distances, some times.
#[derive(Debug, Default)]
pub(crate) struct Doubts(u32);

impl Doubts {
    /// Whether there has been none.
    pub(super) fn is_new(&self) -> bool {
        self.0 == 0
    }
}

impl Iterator for Doubts {
    type Item = Instant;

    fn next(&mut self) -> Option<Instant> {
        if self.0 >= MOST_DOUBTS {
            return None;
        }
        self.0 += 1;
        Instant::now().checked_add(DOUBT * (1 << self.0))
    }
}

/// What a look has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// Something may move by itself, or there are threads that we don't know.
    Alive,
    /// The first number changes when anything runs, the second when a thread begins to wait or is woken.
    Dead(u64, u64),
}

impl Worker {
    /// Whether it should be asked again, because there are goroutines, or threads that wait, and it was not certain that nothing will
    /// ever run. If it is, the process ends: in here, unless another thread is about to tell it.
    pub(super) fn check_deadlock(&self) -> bool {
        if self.harness.is_some() || self.runtime.is_stopping() {
            return false;
        }
        // A thread may wait for what nobody will do: there need be no goroutine for that.
        if self.runtime.is_quiescent() && !waiting::any_asked() {
            return false;
        }
        if is_dead(&runtimes(), Some(self)) {
            report(Some(self));
        }
        // Also if somebody else was awake, who may have been asking the same at the same moment.
        true
    }
}

/// The same, from a thread that has waited for a while. Whether it should be asked again.
pub(crate) fn check_from_thread() -> bool {
    let runtimes = runtimes();
    // A runtime under test finds its deadlocks itself.
    if runtimes.iter().any(|runtime| runtime.is_tested() && runtime.living_workers() > 0) {
        return false;
    }
    if is_dead(&runtimes, None) {
        report(None);
    }
    true
}

fn is_dead(runtimes: &[Arc<Shared>], me: Option<&Worker>) -> bool {
    match (look(runtimes, me), look(runtimes, me)) {
        // Whoever wakes a thread that has been counted as waiting, and ends before all are counted, makes the two counts agree while that
        // thread runs: the number of changes tells.
        (before @ Look::Dead(..), after) => before == after,
        _ => false,
    }
}

fn look(runtimes: &[Arc<Shared>], me: Option<&Worker>) -> Look {
    let (mut workers, mut progress) = (0, 0_u64);
    for runtime in runtimes {
        workers += runtime.living_workers();
        progress = progress.wrapping_add(runtime.progress());
        // One that shuts down leaves behind what does not end, after a while.
        if !runtime.seems_dead(me) || runtime.is_stopping() && runtime.living_workers() > 0 {
            return Look::Alive;
        }
    }
    // Threads are counted after it has been asked what may wake them: whoever has just done that is not waiting.
    if alarms::is_set_at_service()
        || OUTSIDE.load(Ordering::SeqCst) > 0
        || poller::has_sources(runtimes)
        || crate::signal::may_come()
    {
        return Look::Alive;
    }
    let (waiting, changes) = waiting::count();
    match threads() {
        Some(all) if all == workers + waiting => Look::Dead(progress, changes),
        _ => Look::Alive,
    }
}

/// How many threads the process has.
fn threads() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("Threads:"))?.trim().parse().ok()
}

/// When nothing moves and it is not certain that nothing will, it is asked again after twice this, then four times, and so on.
const DOUBT: Duration = Duration::from_millis(200);
const MOST_DOUBTS: u32 = 10;

/// For how long a worker may look at its goroutines, of which there may be hundreds of thousands.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whether a deadlock is being told, and the process about to end.
static IS_TOLD: AtomicBool = AtomicBool::new(false);

/// Tells it and ends the process, unless another thread is about to. Two may find it out at the same moment: one sees the other
/// asleep, and before it has come to here the other has woken to ask. Who comes second returns, since a worker is asked by the
/// first for its goroutines, and has to answer.
fn report(me: Option<&Worker>) {
    if IS_TOLD.swap(true, Ordering::SeqCst) {
        return;
    }
    let mut text = String::from("fatal error: all goroutines are asleep - deadlock!\n\n");
    // Nobody runs who would be kept waiting.
    let mut all = every_park_from(me, PATIENCE);
    let mut rings = String::new();
    // Into a String, which takes all.
    let _ = crate::diag::write_rings(&mut rings, &all, &knots(&all, |_| true));
    all.extend(waiting::census());
    let _ = crate::diag::write_all(&mut text, &all);
    text.push_str(&rings);
    let _ = std::io::stderr().write_all(text.as_bytes());
    std::process::exit(2);
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::Runtime;

    #[test]
    fn who_finds_out_second_goes_on_and_answers_the_first() {
        // As if another thread were telling it. (Other tests of this process do not need to be told meanwhile.)
        IS_TOLD.store(true, Ordering::SeqCst);
        let (say, hear) = std::sync::mpsc::channel();
        let worker = std::thread::spawn(move || {
            Runtime::builder().workers(1).build().unwrap().run(move || {
                crate::sched::with_worker(report);
                say.send(()).unwrap();
            });
        });
        // If it does not come back in time, the flag stays: a worker that comes there later would tell a deadlock, and end all tests.
        hear.recv_timeout(Duration::from_secs(60)).unwrap();
        IS_TOLD.store(false, Ordering::SeqCst);
        worker.join().unwrap();
    }
}
