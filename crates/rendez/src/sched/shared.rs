//! What other threads see of a worker.

use super::{
    alarms::AlarmSet,
    clock::ThreadClock,
    counters::{Counters, Tally},
    poller::Poller,
    queue::{Chain, Inbox, Linked},
    sleep::Sleep,
};
use crate::{
    diag::trace::{self, Record, Ring},
    primitives::atomic::AtomicPtr,
    task::{Header, header::SPREAD},
    time::Instant,
};
use crossbeam_deque::{Injector, Steal};
use crossbeam_utils::CachePadded;
use std::{
    ptr::NonNull,
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

impl Linked for Header {
    #[inline(always)]
    fn link(&self) -> &AtomicPtr<Header> {
        &self.link
    }
}

/// Where a worker records.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RingOfWorker {
    pub(crate) ring: &'static Ring,
    pub(crate) worker: WorkerName,
}

/// Who a worker was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct WorkerName {
    /// The runtime's number, and the worker's place in it.
    pub(crate) runtime: u64,
    pub(crate) index: u64,
    /// Its thread, as the kernel numbers it.
    pub(crate) thread: u64,
}

/// By the numbers of what workers share: a ring is used again by who has that next.
static RINGS: Mutex<Vec<Option<RingOfWorker>>> = Mutex::new(Vec::new());
/// Those of another capacity than the last recording's, for one that wants theirs again. Taken with the lock of [`RINGS`] held.
static SPARE_RINGS: Mutex<Vec<&'static Ring>> = Mutex::new(Vec::new());

impl RingOfWorker {
    /// The ring for a worker that begins to record.
    pub(super) fn obtain(shared: &WorkerShared, runtime: u64, index: usize) -> &'static Ring {
        let worker = WorkerName { runtime, index: index as u64, thread: shared.clock.thread() };
        let capacity = trace::capacity();
        let mut rings = RINGS.lock().unwrap_or_else(PoisonError::into_inner);
        if rings.len() <= shared.number {
            rings.resize(shared.number + 1, None);
        }
        let mut spare = SPARE_RINGS.lock().unwrap_or_else(PoisonError::into_inner);
        spare.extend(rings[shared.number].map(|old| old.ring));
        let ring = match spare.iter().rposition(|ring| ring.capacity() == capacity) {
            Some(place) => spare.swap_remove(place),
            None => Box::leak(Box::new(Ring::new(capacity))),
        };
        ring.push(Record::Worker(worker));
        rings[shared.number] = Some(RingOfWorker { ring, worker });
        ring
    }
}

/// The rings of all workers that have recorded something.
pub(crate) fn rings() -> Vec<RingOfWorker> {
    RINGS.lock().unwrap_or_else(PoisonError::into_inner).iter().flatten().copied().collect()
}

/// A task that has not started, in a deque or an injector.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fresh(pub(super) NonNull<Header>);

// SAFETY: an unstarted task holds a `Send` closure (or one whose scope answers for it); tasks that must stay on a worker
// are never put into a deque.
unsafe impl Send for Fresh {}

impl Fresh {
    fn asks_to_be_spread(&self) -> bool {
        // SAFETY: unstarted, so it is there, and whoever has it is the only one.
        unsafe { self.0.as_ref() }.has_flag(SPREAD)
    }
}

/// What other threads see of a worker. It is never freed but used again by later workers, because a thread that has put a
/// wake-up into the inbox may look at the sleep word after the worker has ended.
#[derive(Debug)]
pub(crate) struct WorkerShared {
    /// Told from those of all other workers of the process that there are at the same time, and small. Whoever has a number
    /// sees what those did that had it before.
    pub(super) number: usize,
    pub(super) inbox: Inbox<Header>,
    pub(super) sleep: CachePadded<Sleep>,
    /// Written by the worker alone.
    pub(super) published: CachePadded<Published>,
    pub(super) clock: ThreadClock,
    pub(super) counters: CachePadded<Counters>,
    /// The [number](super::runtime::Shared::number) of the runtime whose worker has this; zero while none has. Changed under the lock of
    /// what has been counted by workers that have ended.
    owner: AtomicU64,
    /// Set by this worker; cleared, and when they are overdue fired, by others too.
    pub(super) alarms: CachePadded<AlarmSet>,
    /// Once somebody has waited for a file descriptor here.
    pub(super) poller: OnceLock<Poller>,
    /// Unstarted tasks that others have chosen this worker for. Thieves may take them when they lie there.
    pub(super) handed: Injector<Fresh>,
    /// What others look at who choose a worker, and nothing that changes more often.
    pub(super) burden: CachePadded<Burden>,
    /// How many of them have [asked](SPREAD) to be spread, about; and since when those have been there, or when the worker last came to
    /// what it was handed, in the clock's nanoseconds.
    spread: AtomicU32,
    came: AtomicU64,
    /// The number of the runtime in which the worker is stuck, as far as the monitor has seen, or zero. The monitor writes it; and the worker
    /// when it is not any more.
    stuck_in: AtomicU64,
}

#[derive(Debug, Default)]
pub(super) struct Published {
    pub(super) spawned: AtomicU64,
    pub(super) finished: AtomicU64,
    /// Twice the switches so far, plus one while a goroutine runs: who sees an odd number stand still knows that one
    /// goroutine has had the worker since.
    pub(super) switches: AtomicU32,
    /// Whether timers were set when the worker last went to sleep, or, in a shutdown, looked.
    pub(super) timed: AtomicBool,
    /// Whether tasks that must start here have no stack.
    pub(super) hungry: AtomicBool,
    /// Whether async goroutines that work for long at each poll run here, so that what has been woken lies behind them.
    pub(super) works: AtomicBool,
}

#[derive(Debug, Default)]
pub(super) struct Burden {
    /// How many goroutines of this worker have parked and not ended. Written by the worker alone.
    pub(super) load: AtomicU32,
    /// How many were handed to it and are still unstarted, about.
    pub(super) incoming: AtomicU32,
}

/// How many there are, retired or not.
static MADE: AtomicUsize = AtomicUsize::new(0);
static RETIRED: Mutex<Vec<&'static WorkerShared>> = Mutex::new(Vec::new());
/// What was counted by workers that have ended.
static COUNTED: Mutex<Tally> = Mutex::new(Tally::NOTHING);

/// Looks at what has been counted by workers that have ended; meanwhile none ends.
pub(super) fn with_counted<R>(f: impl FnOnce(&mut Tally) -> R) -> R {
    f(&mut COUNTED.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Whether there is one among those that no worker has.
pub(super) fn any_retired(f: impl FnMut(&'static WorkerShared) -> bool) -> bool {
    RETIRED.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().any(f)
}

impl WorkerShared {
    /// For a worker of the runtime of this number.
    pub(super) fn obtain(owner: u64) -> &'static WorkerShared {
        let retired = RETIRED.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let shared = retired.unwrap_or_else(|| {
            Box::leak(Box::new(WorkerShared {
                number: MADE.fetch_add(1, Ordering::Relaxed),
                inbox: Inbox::new(),
                sleep: CachePadded::new(Sleep::new()),
                published: CachePadded::default(),
                clock: ThreadClock::new(),
                counters: CachePadded::default(),
                owner: AtomicU64::new(0),
                alarms: CachePadded::new(AlarmSet::new()),
                poller: OnceLock::new(),
                handed: Injector::new(),
                burden: CachePadded::default(),
                spread: AtomicU32::new(0),
                came: AtomicU64::new(0),
                stuck_in: AtomicU64::new(0),
            }))
        });
        shared.owner.store(owner, Ordering::Relaxed);
        shared
    }

    /// Whether it is, or is about to be, that of a worker of the runtime of this number. When such a worker has ended it never is again.
    pub(crate) fn is_of(&self, owner: u64) -> bool {
        self.owner.load(Ordering::Relaxed) == owner
    }

    /// What its worker has counted, if that is one of the runtime of this number, and has not ended.
    pub(super) fn tally_of(&self, owner: u64) -> Option<Tally> {
        self.is_of(owner).then(|| self.tally())
    }

    fn tally(&self) -> Tally {
        let ended = self.published.finished.load(Ordering::Acquire);
        Tally { ended, spawned: self.published.spawned.load(Ordering::Relaxed), ..self.counters.read() }
    }

    /// No worker has this any more, nor does anybody look for one here.
    pub(super) fn retire(&'static self) {
        with_counted(|counted| {
            *counted = counted.plus(&self.tally());
            self.owner.store(0, Ordering::Relaxed);
            self.published.spawned.store(0, Ordering::Relaxed);
            self.published.finished.store(0, Ordering::Relaxed);
            self.counters.reset();
        });
        self.burden.load.store(0, Ordering::Relaxed);
        self.burden.incoming.store(0, Ordering::Relaxed);
        self.orphan_poller();
        RETIRED.lock().unwrap_or_else(PoisonError::into_inner).push(self);
    }

    /// Hands over a task from another thread. Returns the time that it took to wake the worker, if that was needed.
    ///
    /// # Safety
    /// As for [`Inbox::push`]; `task` is a parked goroutine of this worker, or unstarted.
    pub(super) unsafe fn push(&self, task: *mut Header) -> Option<Duration> {
        // SAFETY: passed on.
        unsafe { self.inbox.push(task) };
        self.notify()
    }

    /// As [`push`](Self::push), of several.
    ///
    /// # Safety
    /// As for [`Inbox::push_chain`], and as for `push` of each.
    pub(super) unsafe fn push_chain(&self, chain: Chain<Header>) -> Option<Duration> {
        // SAFETY: passed on.
        unsafe { self.inbox.push_chain(chain) };
        self.notify()
    }

    /// Wakes the worker if it sleeps, or is about to. Returns the time that this took the caller, if it did.
    #[inline]
    pub(super) fn notify(&self) -> Option<Duration> {
        let took = self.sleep.notify();
        if took.is_some() {
            self.counters.note_notified();
        }
        took
    }

    /// Sends a signal to its worker's thread.
    pub(crate) fn signal(&self, signal: i32) {
        self.clock.signal(signal);
    }

    /// The monitor says whether the worker, one of the runtime of this number, is stuck.
    pub(super) fn note_stuck(&self, runtime: u64, is_stuck: bool) {
        let number = if is_stuck { runtime } else { 0 };
        if self.stuck_in.load(Ordering::Relaxed) != number {
            self.stuck_in.store(number, Ordering::Relaxed);
        }
    }

    /// Whether the monitor has seen the worker stuck in the runtime of this number. (What it says late, of a worker that has ended, is of
    /// another runtime.)
    pub(super) fn is_stuck(&self, runtime: u64) -> bool {
        self.stuck_in.load(Ordering::Relaxed) == runtime
    }

    /// The worker looks around: takes the mark off; whether there was one.
    #[inline(always)]
    pub(super) fn unmark_stuck(&self) -> bool {
        let was_stuck = self.stuck_in.load(Ordering::Relaxed) != 0;
        if was_stuck {
            self.stuck_in.store(0, Ordering::Relaxed);
        }
        was_stuck
    }

    pub(super) fn is_running(&self) -> bool {
        self.published.switches.load(Ordering::Relaxed) % 2 == 1
    }

    /// Whether nothing is to be done here, now or at some time.
    pub(super) fn seems_dead(&self) -> bool {
        !self.published.hungry.load(Ordering::SeqCst)
            && !self.is_timed()
            && self.inbox.is_empty()
            && self.burden.incoming.load(Ordering::SeqCst) == 0
            && self.alarms.next_deadline().is_none()
    }

    pub(super) fn is_timed(&self) -> bool {
        self.published.timed.load(Ordering::Relaxed)
    }

    /// Chooses this worker for a task. (The caller tells it.)
    pub(super) fn hand(&self, task: Fresh) {
        // Counted first, so that a count of zero means that nothing has been there for long.
        self.burden.incoming.fetch_add(1, Ordering::SeqCst);
        if task.asks_to_be_spread() {
            if !self.has_spread() {
                self.note_came();
            }
            // Who sees that there is one sees since when.
            self.spread.fetch_add(1, Ordering::Release);
        }
        self.handed.push(task);
    }

    fn note_came(&self) {
        self.came.store(Instant::now().nanos(), Ordering::Relaxed);
    }

    /// Whether some of those that were handed to this worker have asked for it.
    pub(super) fn has_spread(&self) -> bool {
        self.spread.load(Ordering::Acquire) > 0
    }

    /// Whether the worker has not come to them for so long, be it kept by one goroutine or by many.
    pub(super) fn spread_waits_for(&self, time: Duration) -> bool {
        self.has_spread() && {
            let came = Duration::from_nanos(self.came.load(Ordering::Relaxed));
            Duration::from_nanos(Instant::now().nanos()).saturating_sub(came) >= time
        }
    }

    /// The worker comes to what it was handed.
    pub(super) fn come_to_handed(&self) -> Option<Fresh> {
        let task = self.take_handed()?;
        if self.has_spread() {
            self.note_came();
        }
        Some(task)
    }

    /// Takes back a task that was handed to this worker.
    pub(super) fn take_handed(&self) -> Option<Fresh> {
        if self.burden.incoming.load(Ordering::Relaxed) == 0 {
            return None;
        }
        loop {
            match self.handed.steal() {
                Steal::Success(task) => {
                    self.burden.incoming.fetch_sub(1, Ordering::Relaxed);
                    if task.asks_to_be_spread() {
                        self.spread.fetch_sub(1, Ordering::Relaxed);
                    }
                    return Some(task);
                }
                Steal::Empty => return None,
                Steal::Retry => {}
            }
        }
    }

    pub(super) fn load(&self) -> u32 {
        self.burden.load.load(Ordering::Relaxed) + self.burden.incoming.load(Ordering::Relaxed)
    }
}
