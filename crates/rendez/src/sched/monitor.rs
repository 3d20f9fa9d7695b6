//! The monitor: a thread that finds goroutines which hold their worker for too long.
//!
//! It tells of them if somebody asks for that ([`on_stuck`](crate::diag::on_stuck), `RENDEZ_STUCK`), and calls [spares](super::spares) where
//! they are allowed; where neither is wanted there is no thread. It reads the number of each worker's switches, which is odd while a goroutine runs; an odd number that has stood still
//! for the runtime's limit is one goroutine. To be told it is looked at by a signal: see `diag::stuck`.
//!
//! # It sleeps when all sleep
//!
//! A look in each limit, or two where it is to be told, are some microseconds; an idle program is to have none. After [`QUIET`] looks at which every
//! worker slept it says that it is *dormant*, looks once more, and parks. A worker that has slept, and a runtime that starts, ask
//! whether it is dormant, and unpark it.
//!
//! | | the monitor | a worker |
//! | --- | --- | --- |
//! | 1 | stores `DORMANT` | stores that it is awake, in its sleep word |
//! | 2 | fence | (both of its steps are sequentially consistent) |
//! | 3 | reads the sleep words; parks if all sleep | exchanges `DORMANT` for false, and unparks |
//!
//! So at least one of the two sees what the other has done. A runtime's workers are seen from when it is registered, after which
//! whoever registers it does the step 3 of a worker.
//!
//! # It is no reason to wait
//!
//! It wakes nobody, so whoever looks for a deadlock counts it as a thread that waits. The program's hook may wake somebody: it runs on another
//! thread, and from before the goroutine is looked at until that thread is there this one is none that waits.
#![forbid(unsafe_code)]

use super::{
    WorkerShared,
    deadlock::{self, WaitingThread},
    runtime::Shared,
    spares::Sight,
};
use crate::diag::stuck;
use std::{
    io,
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering, fence},
    },
    thread::{self, Thread},
    time::{Duration, Instant},
};

/// After so many looks at which all slept it sleeps too.
const QUIET: u32 = 16;
const MOST_OFTEN: Duration = Duration::from_millis(1);
const LEAST_OFTEN: Duration = Duration::from_millis(100);

static MONITOR: OnceLock<Thread> = OnceLock::new();
static DORMANT: AtomicBool = AtomicBool::new(false);
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

/// Somebody goes to work, or may.
#[inline]
pub(super) fn wake() {
    if DORMANT.load(Ordering::SeqCst)
        && DORMANT.swap(false, Ordering::SeqCst)
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
    /// The processor time that its thread had used.
    processor: Duration,
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
    /// For how long it has started no other.
    barren: Duration,
}

#[derive(Debug, Default)]
struct Monitor {
    /// By the numbers of workers.
    seen: Vec<Option<Seen>>,
}

impl Monitor {
    fn run(&mut self) {
        let mut waits = Some(WaitingThread::new());
        let mut quiet = 0;
        loop {
            let (awake, limit) = self.look(&mut waits);
            quiet = if awake { 0 } else { quiet + 1 };
            if quiet > QUIET {
                quiet = 0;
                doze();
            } else {
                let period = if REPORTS.load(Ordering::Relaxed) { limit / 2 } else { limit };
                thread::sleep(period.clamp(MOST_OFTEN, LEAST_OFTEN));
            }
        }
    }

    /// Looks at all workers. Whether one is awake, and the shortest limit.
    fn look(&mut self, waits: &mut Option<WaitingThread>) -> (bool, Duration) {
        let (mut any_awake, mut shortest) = (false, LEAST_OFTEN * 2);
        for runtime in deadlock::runtimes() {
            let Some(limit) = runtime.stuck_after() else { continue };
            shortest = shortest.min(limit);
            let (active, mut sight) = (runtime.active_workers(), Sight::default());
            for index in 0..runtime.started_workers() {
                let Some(shared) = runtime.worker(index) else { continue };
                let asleep = shared.sleep.looks_asleep();
                any_awake |= !asleep;
                let held = self.held(runtime.number, shared, asleep).filter(|held| held.time >= limit);
                let stuck = held.filter(|held| held.barren >= limit);
                shared.note_stuck(runtime.number, stuck.is_some());
                if index < active {
                    // Asked of the system, so only where it matters.
                    let is_blocked = |held: Held| {
                        runtime.most_spares > 0 && held.busy < held.time / 2 && !shared.clock.is_runnable()
                    };
                    sight.any_asleep |= asleep;
                    sight.stuck += usize::from(stuck.is_some());
                    sight.blocked += usize::from(stuck.is_some_and(is_blocked));
                }
                if let Some(Held { time, busy, .. }) = held
                    && REPORTS.load(Ordering::Acquire)
                    && let Some(seen) = &mut self.seen[shared.number]
                    && !seen.told
                {
                    seen.told = report(&runtime, index, shared, time, busy, waits);
                }
            }
            runtime.heed(sight);
        }
        (any_awake, shortest)
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
                Some(Held {
                    time: now - seen.since,
                    busy: shared.clock.now().saturating_sub(seen.processor),
                    barren: now - seen.barren_since,
                })
            }
            _ => {
                *seen = Some(Seen {
                    runtime,
                    switches,
                    since: now,
                    processor: shared.clock.now(),
                    told: false,
                    spawned,
                    barren_since: now,
                });
                None
            }
        }
    }
}

/// Looks at the goroutine, and tells of it if it still runs; whether it has. (A thread that the system does not let run does not answer
/// in time, and is asked again at the next look.)
fn report(
    runtime: &Shared,
    index: usize,
    shared: &'static WorkerShared,
    held: Duration,
    busy: Duration,
    waits: &mut Option<WaitingThread>,
) -> bool {
    *waits = None;
    let snapshot = stuck::look_at(shared);
    let is_told = snapshot.is_some();
    if let Some(snapshot) = snapshot {
        shared.counters.note_stuck();
        stuck::tell(snapshot.into_report(runtime.number, index, held, busy));
    }
    *waits = Some(WaitingThread::new());
    is_told
}

/// Sleeps until somebody goes to work.
fn doze() {
    DORMANT.store(true, Ordering::SeqCst);
    fence(Ordering::SeqCst);
    let is_awake = |runtime: &Shared| {
        (0..runtime.started_workers())
            .filter_map(|index| runtime.worker(index))
            .any(|shared| !shared.sleep.looks_asleep())
    };
    let watched = |runtime: &Shared| runtime.stuck_after().is_some();
    if deadlock::runtimes().iter().any(|runtime| watched(runtime) && is_awake(runtime)) {
        DORMANT.store(false, Ordering::SeqCst);
    }
    while DORMANT.load(Ordering::SeqCst) {
        thread::park();
    }
}
