//! Which goroutines of a runtime there are.
//!
//! What is parked belongs to its worker, so each worker is asked, and answers when it next looks around (`maintain`): it
//! writes its list into the request. One that is kept by a long burst does not answer in time, and is left out. Async
//! goroutines are on the runtime's own list; those that have not started are in queues and are counted, not named.
//!
//! A worker that is just being started may run before it is counted among those that there are. It was not asked then, and must not
//! answer: its answer would pass for another one's. Workers that have ended don't answer, and are not waited for: they end when the runtime has said that
//! it is over (`exit`), which is asked after the question has been put, and those who find it over answer once more before they leave.
//!
//! Of goroutines that were created at one place and wait for the same kind of thing, the first few are told with the frames of
//! their stacks, some more by name, and the rest as a number: a million cost no more memory than a hundred.

use super::{given, runtime::Shared, worker::Worker};
use crate::{
    select::Event,
    sync::WaitGroup,
    task::{Header, fiber::Fiber, frames},
    wait::{Reason, Thing},
};
use std::{
    collections::HashMap,
    fmt,
    ops::Range,
    panic::Location,
    ptr,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    time::Duration,
};

/// For how long a worker is waited for.
const ANSWER: Duration = Duration::from_secs(1);
/// Of goroutines that are alike, each worker tells so many by name, and so does the runtime of async ones.
const NAMED: u64 = 100;
/// And of so many the frames.
const LOOKED_AT: u64 = 20;
/// Of so many that are alike each is told where that is asked for.
const EACH: u64 = 250_000;
/// Of so many in all, which takes some milliseconds, and a part of a stack that was not in memory for each.
const LOOKED_AT_IN_ALL: u64 = 2000;

/// See [`Inhabitant`].
pub(super) type Awaited = (&'static str, Option<&'static Location<'static>>);

/// A goroutine that has not ended, or a thread that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Inhabitant {
    pub(crate) id: u64,
    /// As `goroutine 7 "printer"`.
    pub(crate) title: String,
    /// What it waits for, in Go's words.
    pub(crate) state: &'static str,
    /// For how long it has, in seconds; about.
    pub(crate) seconds: u32,
    /// Where it was created; not of a thread.
    pub(crate) site: Option<&'static Location<'static>>,
    /// Of its closure.
    pub(crate) type_name: Option<&'static str>,
    /// Of its stack, the innermost first; none if they were not looked at.
    pub(crate) frames: Vec<usize>,
    /// How many more there are of the same site and state that are not told apart.
    pub(crate) alike: u64,
    /// Its number in this process, which `id` is not under test.
    pub(crate) key: u64,
    /// What it waits for, if it is parked and it is known.
    pub(crate) things: Vec<Thing>,
    /// Of an async goroutine, what it awaited last, in Go's words, and where the channel was made if it was one.
    pub(crate) awaited: Option<Awaited>,
    /// Whether it waits, without a time limit, and has not been woken.
    pub(crate) is_stuck: bool,
    /// Whether it has not run since somebody asked before for [`every_park`].
    pub(crate) is_seen: bool,
    /// Where its closure was when it was created.
    pub(super) closure: Range<usize>,
    /// What of that is waited for by somebody; see [`given`](super::given).
    pub(crate) given: Vec<usize>,
}

impl Inhabitant {
    /// As `goroutine 7 "printer" [chan receive, 2 minutes]:`.
    pub(crate) fn write_title(&self, f: &mut impl fmt::Write) -> fmt::Result {
        write!(f, "{} [{}", self.title, self.state)?;
        match self.seconds / 60 {
            0 => {}
            1 => f.write_str(", 1 minute")?,
            minutes => write!(f, ", {minutes} minutes")?,
        }
        f.write_str("]:")
    }

    /// A thread that waits, with a `key` that no goroutine has.
    pub(super) fn of_thread(title: String, key: u64, state: &'static str, things: Vec<Thing>) -> Inhabitant {
        Inhabitant {
            id: 0,
            title,
            state,
            seconds: 0,
            site: None,
            type_name: None,
            frames: Vec::new(),
            alike: 0,
            key,
            things,
            awaited: None,
            is_stuck: true,
            is_seen: false,
            closure: 0..0,
            given: Vec::new(),
        }
    }
}

impl fmt::Display for Inhabitant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_title(f)?;
        self.site.map_or(Ok(()), |site| write!(f, "\n\tcreated at {site}"))
    }
}

/// How many goroutines these are.
pub(crate) fn count(inhabitants: &[Inhabitant]) -> u64 {
    inhabitants.iter().map(|inhabitant| 1 + inhabitant.alike).sum()
}

/// How closely it is looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// A crowd is told as a number.
    Crowds,
    /// At each, up to [`EACH`], and for what it waits.
    Each,
}

impl Depth {
    /// So many that are alike are told apart.
    fn named(self) -> u64 {
        match self {
            Depth::Crowds => NAMED,
            Depth::Each => EACH,
        }
    }
}

/// A question to all workers of a runtime.
#[derive(Debug)]
pub(super) struct Request {
    depth: Depth,
    /// How many workers are asked: the first ones.
    workers: usize,
    found: Mutex<Vec<Inhabitant>>,
    unanswered: WaitGroup,
}

pub(super) fn describe(task: &Header, state: &'static str) -> Inhabitant {
    Inhabitant {
        id: super::harness::shown_id(task.id),
        title: task.title(),
        state,
        seconds: 0,
        site: Some(task.site),
        type_name: task.type_name(),
        frames: Vec::new(),
        alike: 0,
        key: task.id,
        things: Vec::new(),
        awaited: None,
        is_stuck: false,
        is_seen: false,
        closure: task.closure(),
        given: Vec::new(),
    }
}

/// As [`describe`], of an async goroutine, which as far as is known is not at work.
pub(super) fn describe_async(task: &Header, awaited: Option<Awaited>) -> Inhabitant {
    Inhabitant { awaited, ..describe(task, "await") }
}

fn state_of(fiber: &Fiber) -> &'static str {
    fiber.reason().map_or("runnable", Reason::text)
}

impl Worker {
    /// What is parked here, and what runs.
    #[cfg(feature = "testing")]
    pub(super) fn own_census(&self, mut tell: impl FnMut(Inhabitant)) {
        // SAFETY: what runs, and what is parked here, has not ended, and this is its worker's thread.
        unsafe {
            if let Some(running) = self.goroutine() {
                tell(describe(running.0.as_ref(), "running"));
            }
            self.for_each_parked(|fiber, task| {
                let mut inhabitant = describe(task, state_of(fiber));
                Self::tell_wait(fiber, &mut inhabitant);
                tell(inhabitant);
            });
        }
    }

    /// What runs here, and what is parked, with frames; those that are alike are taken together if they are many.
    fn bounded_census(&self, depth: Depth) -> Vec<Inhabitant> {
        let named = depth.named();
        let mut all: Vec<Inhabitant> = Vec::new();
        // By site and state: how many, and where the last is that was told.
        let mut groups: HashMap<(*const Location<'static>, &'static str), (u64, usize)> = HashMap::new();
        let mut looked_at = 0;
        // SAFETY: what runs, and what is parked here, has not ended, and this is its worker's thread. What is shown of the latter
        // has suspended, and does not run.
        unsafe {
            if let Some(running) = self.goroutine() {
                all.push(Inhabitant { frames: frames::here(), ..describe(running.0.as_ref(), "running") });
            }
            self.for_each_parked(|fiber, task| {
                let state = state_of(fiber);
                let (n, last) = groups.entry((&raw const *task.site, state)).or_default();
                *n += 1;
                if *n > named {
                    all[*last].alike += 1;
                    return;
                }
                let mut inhabitant = describe(task, state);
                if fiber.reason().is_some() {
                    inhabitant.seconds = self.parked_for(fiber);
                }
                let is_looked_at = *n <= LOOKED_AT && looked_at < LOOKED_AT_IN_ALL;
                if is_looked_at || depth == Depth::Each {
                    Self::tell_wait(fiber, &mut inhabitant);
                }
                if depth == Depth::Each {
                    inhabitant.is_seen = fiber.is_seen();
                    fiber.mark_seen();
                }
                if is_looked_at {
                    looked_at += 1;
                    inhabitant.frames = Fiber::frames(fiber);
                }
                *last = all.len();
                all.push(inhabitant);
            });
        }
        all
    }

    /// What the goroutine waits for that is parked on `fiber`.
    ///
    /// # Safety
    /// It is parked here, or queued, and this is its worker's thread.
    unsafe fn tell_wait(fiber: &Fiber, inhabitant: &mut Inhabitant) {
        // SAFETY: passed on.
        inhabitant.things = unsafe { fiber.things() };
        // Last: what was told is of a wait that was open, for once it has been woken its source may be in any state.
        // SAFETY: passed on.
        inhabitant.is_stuck = unsafe { fiber.is_waiting() } && !fiber.timer.is_set();
    }

    /// Whether there is a question that this worker has not answered.
    pub(super) fn is_asked(&self) -> bool {
        self.runtime.census_asked.load(Ordering::SeqCst) != self.census_answered.get()
    }

    /// Answers the question that has been asked, if there is one that this worker has not answered.
    #[cold]
    pub(super) fn answer_census(&self, asked: u32) {
        self.census_answered.set(asked);
        let request = self.runtime.census.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(request) = request.filter(|request| self.index < request.workers) else { return };
        let found = self.bounded_census(request.depth);
        request.found.lock().unwrap_or_else(PoisonError::into_inner).extend(found);
        request.unanswered.done();
    }
}

impl Shared {
    /// The goroutines that have started, or are async, and have not ended, by number.
    #[cfg(feature = "testing")]
    pub(super) fn census(&self) -> Vec<Inhabitant> {
        self.census_and_whether_whole().0
    }

    /// The goroutines that have started, or are async, and have not ended, by number; and whether all workers have answered.
    fn census_and_whether_whole(&self) -> (Vec<Inhabitant>, bool) {
        let (mut all, is_whole) =
            super::with_worker(|worker| self.census_from(worker, Depth::Crowds, ANSWER));
        given::note(&mut all);
        (all, is_whole)
    }

    /// As [`census`](Self::census), from a worker, which need not be in a goroutine; and whether all have answered.
    pub(super) fn census_from(
        &self,
        me: Option<&Worker>,
        depth: Depth,
        patience: Duration,
    ) -> (Vec<Inhabitant>, bool) {
        // One question at a time, and each to be answered by those who were there when it was asked.
        let asking = self.census_turn.lock();
        let workers = self.started_workers();
        let request =
            Arc::new(Request { depth, workers, found: Mutex::default(), unanswered: WaitGroup::new() });
        request.unanswered.add(workers as i64);
        *self.census.lock().unwrap_or_else(PoisonError::into_inner) = Some(request.clone());
        let asked = self.census_asked.fetch_add(1, Ordering::SeqCst) + 1;
        if let Some(worker) = me.filter(|worker| std::ptr::eq(&*worker.runtime, self)) {
            worker.answer_census(asked);
        }
        self.wake_all();
        // (A runtime that ends asks nobody any more.)
        let is_whole =
            self.exit.load(Ordering::SeqCst) || (&request.unanswered).wait_timeout(patience).is_some();
        *self.census.lock().unwrap_or_else(PoisonError::into_inner) = None;
        drop(asking);
        let mut all = std::mem::take(&mut *request.found.lock().unwrap_or_else(PoisonError::into_inner));
        self.async_census(depth, &mut all);
        all.sort_by_key(|inhabitant| inhabitant.id);
        // An async goroutine that is parked in a poll comes twice, unless it is one of a crowd.
        all.dedup_by_key(|inhabitant| inhabitant.id);
        (all, is_whole)
    }
}

impl Shared {
    /// Adds the async goroutines, as [`bounded_census`](Worker::bounded_census) does others. (Each list of them is locked meanwhile.)
    fn async_census(&self, depth: Depth, all: &mut Vec<Inhabitant>) {
        let mut groups: HashMap<_, (u64, usize)> = HashMap::new();
        self.async_tasks.for_each(|task, noted| {
            let awaited = noted.read();
            // By addresses, for there may be a million.
            let of_awaited = awaited.map(|(why, made)| (why.as_ptr(), made.map(ptr::from_ref)));
            let (n, last) = groups.entry((&raw const *task.site, of_awaited)).or_default();
            *n += 1;
            if *n > depth.named() {
                all[*last].alike += 1;
                return;
            }
            *last = all.len();
            all.push(describe_async(task, awaited));
        });
    }
}

/// All goroutines of all runtimes that are parked, and others, each with what it waits for: those that have been parked since before this
/// was asked the last time are marked as seen.
pub(crate) fn every_park() -> Vec<Inhabitant> {
    super::with_worker(|worker| every_park_from(worker, ANSWER))
}

/// As [`every_park`], from a worker, which need not be in a goroutine; each is waited for so long.
pub(super) fn every_park_from(me: Option<&Worker>, patience: Duration) -> Vec<Inhabitant> {
    let runtimes = super::deadlock::runtimes();
    let each = runtimes.iter().flat_map(|runtime| runtime.census_from(me, Depth::Each, patience).0);
    let mut all: Vec<Inhabitant> = each.collect();
    given::note(&mut all);
    all
}

/// The goroutines of all runtimes.
pub(crate) struct Everybody {
    pub(crate) all: Vec<Inhabitant>,
    pub(crate) unstarted: u64,
    /// Those that run or wait on workers that have not answered, about.
    pub(crate) unseen: u64,
}

pub(crate) fn census_of_all() -> Everybody {
    let mut everybody = Everybody { all: Vec::new(), unstarted: 0, unseen: 0 };
    for runtime in super::deadlock::runtimes() {
        let (some, is_whole) = runtime.census_and_whether_whole();
        let others = runtime.counts().1.saturating_sub(count(&some));
        // Of those that did not answer only the queues are known.
        let unstarted = if is_whole { others } else { others.min(runtime.queued_unstarted()) };
        everybody.unstarted += unstarted;
        everybody.unseen += others - unstarted;
        everybody.all.extend(some);
    }
    everybody.all.sort_by_key(|inhabitant| inhabitant.id);
    everybody
}
