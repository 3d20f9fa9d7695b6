//! The monitor: a thread that finds goroutines which hold their worker for too long.
//!
//! It tells of them if somebody asks for that ([`on_stuck`](crate::diag::on_stuck), `RENDEZ_STUCK`), and calls
//! [spares](super::spares) where they are allowed; where neither is wanted there is no thread. It reads the number of each
//! worker's switches, which is odd while a goroutine runs; an odd number that has stood still for the runtime's limit is
//! one goroutine. To be told of it is looked at by a signal: see `diag::stuck`.
//!
//! # It rests when nothing goes on
//!
//! A look in each limit, or two where it is to be told, are some microseconds, or some dozens if the system has to be asked
//! whether a worker is blocked. An idle program is to have none, and one that is in a call which blocks for long next to
//! none. A look is *quiet* if every worker sleeps; or if nothing has run since the last one, and those that don't sleep are
//! stuck and blocked as they were, of which all has been told and done. After some quiet looks ([`QUIET`]) the monitor says
//! that it *rests*, looks once more, and if that is quiet, parks: until it is woken if all workers sleep; otherwise until
//! the first alarm becomes overdue, but not for longer than [`FIRST_REST`], and twice that after each quiet look, up to
//! [`LONGEST_REST`].
//!
//! Whoever changes what it has seen asks whether it rests, and unparks it:
//! * a worker that has slept; a runtime that starts;
//! * a worker that was stuck, when it looks around;
//! * who makes something to take, and finds nobody asleep who would: from outside of the workers (`offered`); or on a
//!   worker which does so in the midst of the burst by which it was stuck, or in one that it goes on with at once (`spawn`,
//!   `queue_async`, `alarm_set`, which find the monitor counted among the [`sleepers`](super::sleepers)).
//!
//! | | the monitor | the other |
//! | --- | --- | --- |
//! | 1 | stores `RESTS`, and counts itself among the sleepers | stores that it is awake, in its sleep word; or publishes what is to be taken |
//! | 2 | fence | fence, or both of its steps are sequentially consistent |
//! | 3 | reads the sleep words and the queues; parks if all is quiet | exchanges `RESTS` for false, and unparks |
//!
//! So at least one of the two sees what the other has done. A runtime's workers are seen from when it is registered, after
//! which whoever registers it does the step 3 of the other. Only what a worker does in the midst of a burst has no fence,
//! for spawns would pay for it: if it crosses with step 1 within some nanoseconds it is found after the rest, whose length
//! is bounded for that. So it is if a worker that was stuck goes on with a goroutine that blocks in its turn, and has not
//! looked around between: what there is to take is taken by then, or has to be made by somebody.
//!
//! # It is no reason to wait
//!
//! It wakes nobody who waits, so whoever looks for a deadlock counts it as a thread that waits. The program's hook may wake
//! somebody: it runs on another thread, and from before the goroutine is looked at until that thread is there this one is
//! none that waits.
#![forbid(unsafe_code)]

use super::{
    WorkerShared, deadlock,
    runtime::Shared,
    spares::{PROLIFIC, Sight},
    waiting::WaitingThread,
};
use crate::{diag::stuck, time};
use std::{
    io,
    mem::replace,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering, fence},
    },
    thread::{self, Thread},
    time::{Duration, Instant},
};

/// After so many quiet looks it rests: if all sleep; if some are kept, when what has been woken meanwhile has long been
/// seen to.
const QUIET: [u32; 2] = [3, 16];
const MOST_OFTEN: Duration = Duration::from_millis(1);
const LEAST_OFTEN: Duration = Duration::from_millis(100);
const FIRST_REST: Duration = Duration::from_millis(20);
const LONGEST_REST: Duration = Duration::from_millis(320);

static MONITOR: OnceLock<Thread> = OnceLock::new();
static RESTS: AtomicBool = AtomicBool::new(false);
/// Whether it is to be told of goroutines.
static REPORTS: AtomicBool = AtomicBool::new(false);

/// Starts it, if it is not there, and has it tell of what it finds.
pub(crate) fn start_reporting() -> io::Result<()> {
    stuck::prepare()?;
    start()?;
    REPORTS.store(true, Ordering::Release);
    wake();
    Ok(())
}

/// Starts it, if it is not there.
pub(crate) fn start() -> io::Result<()> {
    static STARTING: Mutex<()> = Mutex::new(());
    let _starting = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    if MONITOR.get().is_none() {
        let thread =
            thread::Builder::new().name("rendez-monitor".into()).spawn(|| Monitor::default().run())?;
        let _ = MONITOR.set(thread.thread().clone());
    }
    Ok(())
}

/// Something changes that it has seen, or may.
#[inline]
pub(super) fn wake() {
    if RESTS.load(Ordering::SeqCst)
        && RESTS.swap(false, Ordering::SeqCst)
        && let Some(monitor) = MONITOR.get()
    {
        monitor.unpark();
    }
}

/// What was seen of a worker.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// The number of the runtime: what workers share is used again, and each worker counts its switches from zero.
    runtime: u64,
    switches: u32,
    since: Instant,
    /// The processor time that its thread had used by then.
    processor: Duration,
    /// The same of the last look.
    looked: Instant,
    processor_then: Duration,
    was_blocked: bool,
    told: bool,
    /// How many goroutines had been started there when it was last seen to have started some, and when that was.
    spawned: u64,
    barren_since: Instant,
}

/// A goroutine that has its worker.
#[derive(Clone, Copy, Debug)]
struct Held {
    /// For how long, as far as has been seen, and how much of that it has computed.
    time: Duration,
    busy: Duration,
    /// The same since the last look.
    lately: Duration,
    busy_lately: Duration,
    /// Whether it was blocked then.
    was_blocked: bool,
    /// For how long it has started no other.
    barren: Duration,
}

impl Held {
    /// Whether it waits for the system. That is asked if it is likely, and not again as long as the worker has not run at all.
    fn is_blocked(self, shared: &WorkerShared) -> bool {
        self.was_blocked && self.busy_lately.is_zero()
            || self.busy_lately < self.lately / 2 && !shared.clock.is_runnable()
    }
}

#[derive(Debug, Default)]
struct Monitor {
    /// By the numbers of workers.
    seen: Vec<Option<Seen>>,
    /// What all runtimes had done at the last look.
    progress: u64,
}

/// What a look has found, in all runtimes.
#[derive(Clone, Copy, Debug)]
struct Look {
    any_awake: bool,
    is_quiet: bool,
    /// The shortest limit.
    limit: Duration,
}

impl Monitor {
    fn run(&mut self) {
        let mut waits = Some(WaitingThread::new());
        let (mut quiet, mut rests, mut rest) = (0, false, FIRST_REST);
        loop {
            let look = self.look(&mut waits);
            quiet = if look.is_quiet { quiet + 1 } else { 0 };
            let enough = QUIET[usize::from(look.any_awake)];
            if rests && quiet > enough {
                // The look that has just been made came after it was said.
                rest = match sleep_until_woken(look.any_awake.then(|| until_overdue().min(rest))) {
                    true => {
                        quiet = 0;
                        FIRST_REST
                    }
                    false => (rest * 2).min(LONGEST_REST),
                };
            } else if quiet > enough {
                say_that_it_rests(true, look.any_awake);
                rests = true;
            } else {
                if rests {
                    say_that_it_rests(false, false);
                    (rests, rest) = (false, FIRST_REST);
                }
                let period = if REPORTS.load(Ordering::Relaxed) { look.limit / 2 } else { look.limit };
                thread::sleep(period.clamp(MOST_OFTEN, LEAST_OFTEN));
            }
        }
    }

    /// Looks at all workers.
    fn look(&mut self, waits: &mut Option<WaitingThread>) -> Look {
        let mut look = Look { any_awake: false, is_quiet: true, limit: LEAST_OFTEN * 2 };
        let (mut progress, reports) = (0_u64, REPORTS.load(Ordering::Acquire));
        for runtime in deadlock::runtimes() {
            let Some(limit) = runtime.stuck_after() else { continue };
            look.limit = look.limit.min(limit);
            progress = progress.wrapping_add(runtime.progress());
            let (active, mut sight) = (runtime.active_workers(), Sight::default());
            for index in 0..runtime.started_workers() {
                let Some(shared) = runtime.worker(index) else { continue };
                let asleep = shared.sleep.looks_asleep();
                let held = self.held(runtime.number, shared, asleep).filter(|held| held.time >= limit);
                let is_blocked = held.is_some_and(|held| held.is_blocked(shared));
                let is_stuck = held.is_some_and(|held| {
                    (is_blocked || held.busy >= limit)
                        && (held.barren >= limit || held.time >= limit.saturating_mul(PROLIFIC))
                });
                shared.note_stuck(runtime.number, is_stuck);
                if index < active {
                    sight.any_asleep |= asleep;
                    sight.stuck += usize::from(is_stuck);
                    sight.blocked += usize::from(is_stuck && is_blocked);
                }
                look.any_awake |= !asleep;
                look.is_quiet &= asleep || is_stuck && is_blocked;
                if let Some(Held { time, busy, .. }) = held
                    && let Some(seen) = &mut self.seen[shared.number]
                {
                    seen.was_blocked = is_blocked;
                    if reports && !seen.told {
                        seen.told = report(&runtime, index, shared, seen.switches, time, busy, waits);
                        look.is_quiet &= seen.told;
                    }
                }
            }
            look.is_quiet &= !runtime.heed(sight);
        }
        look.is_quiet &= !look.any_awake || self.progress == progress;
        self.progress = progress;
        look
    }

    /// What has been seen of this worker's goroutine, if it had it at the last look.
    fn held(&mut self, runtime: u64, shared: &WorkerShared, asleep: bool) -> Option<Held> {
        if self.seen.len() <= shared.number {
            self.seen.resize(shared.number + 1, None);
        }
        let (seen, switches) = (&mut self.seen[shared.number], shared.switches());
        if asleep || switches.is_multiple_of(2) {
            *seen = None;
            return None;
        }
        let (now, spawned) = (Instant::now(), shared.published.spawned.load(Ordering::Relaxed));
        match seen {
            Some(seen) if (seen.runtime, seen.switches) == (runtime, switches) => {
                if seen.spawned != spawned {
                    (seen.spawned, seen.barren_since) = (spawned, now);
                }
                let processor = shared.clock.now();
                let (looked, processor_then) =
                    (replace(&mut seen.looked, now), replace(&mut seen.processor_then, processor));
                Some(Held {
                    time: now - seen.since,
                    busy: processor.saturating_sub(seen.processor),
                    lately: now - looked,
                    busy_lately: processor.saturating_sub(processor_then),
                    was_blocked: seen.was_blocked,
                    barren: now - seen.barren_since,
                })
            }
            _ => {
                let processor = shared.clock.now();
                *seen = Some(Seen {
                    runtime,
                    switches,
                    since: now,
                    processor,
                    looked: now,
                    processor_then: processor,
                    was_blocked: false,
                    told: false,
                    spawned,
                    barren_since: now,
                });
                None
            }
        }
    }
}

/// Looks at the goroutine that has run since the number of `switches` was that, and tells of it if it still does; whether it has.
/// (A thread that the system does not let run does not answer in time, and is asked again at the next look.)
fn report(
    runtime: &Shared,
    index: usize,
    shared: &'static WorkerShared,
    switches: u32,
    held: Duration,
    busy: Duration,
    waits: &mut Option<WaitingThread>,
) -> bool {
    *waits = None;
    let snapshot = stuck::look_at(shared, runtime.number, switches);
    let is_told = snapshot.is_some();
    if let Some(snapshot) = snapshot {
        shared.counters.note_stuck();
        stuck::tell(snapshot.into_report(runtime.number, index, held, busy));
    }
    *waits = Some(WaitingThread::new());
    is_told
}

/// The runtimes at whose workers it looks.
fn watched() -> impl Iterator<Item = Arc<Shared>> {
    deadlock::runtimes().into_iter().filter(|runtime| runtime.stuck_after().is_some())
}

/// Says that it rests, to those who may wake it, or that it does not any more; on workers they ask for that only if some
/// `are_kept`.
fn say_that_it_rests(rests: bool, are_kept: bool) {
    RESTS.store(rests, Ordering::SeqCst);
    watched().for_each(|runtime| runtime.sleepers.set_monitor(are_kept));
    fence(Ordering::SeqCst);
}

/// In how long the first alarm becomes overdue.
fn until_overdue() -> Duration {
    let now = time::Instant::now().nanos();
    let first = watched().filter_map(|runtime| runtime.next_overdue()).min();
    first.map_or(Duration::MAX, |at| Duration::from_nanos(at.saturating_sub(now)))
}

/// Sleeps until it is woken, or for `limit`; whether it was woken.
fn sleep_until_woken(limit: Option<Duration>) -> bool {
    let end = limit.map(|limit| Instant::now() + limit);
    while RESTS.load(Ordering::SeqCst) {
        match end.map(|end| end.saturating_duration_since(Instant::now())) {
            None => thread::park(),
            Some(Duration::ZERO) => return false,
            Some(left) => thread::park_timeout(left),
        }
    }
    true
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::{Runtime, sched::with_worker};
    use std::sync::{atomic::AtomicBool, mpsc};

    #[test]
    fn a_goroutine_that_runs_instead_of_the_one_that_is_meant_is_not_told_of() {
        static IS_LOOKED_AT: AtomicBool = AtomicBool::new(false);
        stuck::prepare().unwrap();
        let (tell, told) = mpsc::channel();
        let runtime = Runtime::builder().workers(1).build().unwrap();
        let busy = runtime.spawn(move || {
            let here = with_worker(|worker| worker.map(|worker| (worker.shared, worker.runtime.number)));
            tell.send(here.unwrap()).unwrap();
            while !IS_LOOKED_AT.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        let (shared, number) = told.recv().unwrap();
        let switches = shared.switches();
        assert!(!switches.is_multiple_of(2));
        // A machine that is busy may not let the thread answer in time.
        while stuck::look_at(shared, number, switches).is_none() {}
        let another = stuck::look_at(shared, number, switches.wrapping_sub(2));
        // As if what the worker shares had been that runtime's when it was found to be stuck.
        let elsewhere = stuck::look_at(shared, number - 1, switches);
        IS_LOOKED_AT.store(true, Ordering::Relaxed);
        busy.join().unwrap();
        assert!(another.is_none() && elsewhere.is_none());
    }
}
