//! The lock behind [`Mutex`](super::Mutex) and [`RwLock`](super::RwLock): a mutex is one that nobody reads.
//!
//! The rules are Go's (`internal/sync/mutex.go`, `sync/rwmutex.go`); its two locks are one word here.
//!
//! # The word
//!
//! | part | meaning |
//! | --- | --- |
//! | `LOCKED` | a writer holds the lock; or whoever has the queues passes it on and keeps others out meanwhile |
//! | `WOKEN` | one writer has been taken out of its queue, or spins, and will try next: nobody else needs to be woken |
//! | `STARVING` | a writer has waited too long: the lock goes from hand to hand, in order |
//! | `WRITERS` | writers are queued |
//! | `READERS` | readers are queued |
//! | the rest | how many readers hold it |
//!
//! The queues, and the setting of `WRITERS` and `READERS`, are under a lock of their own. Every change of the word is a
//! read-modify-write, so whoever takes the lock sees what all did who held it before.
//!
//! # Who may take it without having been handed it
//!
//! * A reader: while none of `LOCKED`, `WOKEN`, `STARVING`, `WRITERS` is set. So a waiting writer holds new readers back.
//! * A writer: while neither `LOCKED`, `STARVING` nor `READERS` is set and nobody reads. That is *barging*: it goes before those
//!   who are queued, and is what makes a lock fast that is taken often by those who are running already. The one to whom
//!   `WOKEN` belongs may take it before queued readers.
//!
//! # Passing it on
//!
//! Whoever leaves a lock for which somebody is queued calls [`settle`](RawLock::settle), as does whoever gives up what it was
//! waited for: a writer that leaves the queue as the last one, the owner of `WOKEN`. It decides under the queues' lock:
//!
//! 1. If somebody holds it, or `WOKEN` is set, nothing: they will settle in their turn.
//! 2. Queued readers are let in, all of them, if a writer has just left, or no writer is queued.
//! 3. Else, when nobody reads, the first writer's turn has come. After readers, and while `STARVING`, it is handed the lock
//!    (`LOCKED` is set for it). Otherwise it is woken to try (`WOKEN`), against those who barge; if it loses, it is queued
//!    in front, and if it has waited for [`PATIENCE`] by then, it sets `STARVING`.
//!
//! `STARVING` goes when the last writer leaves the queue, or when one gets the lock that has waited for less.
//!
//! # Why nobody is forgotten
//!
//! `WRITERS` and `READERS` are set by an exchange that sees the lock held, or `WOKEN`, or on its way to be settled; who holds it
//! sees them when it leaves. `STARVING` is set only together with `LOCKED`, by the owner of `WOKEN`, who clears that in the same
//! exchange; and `WOKEN` only while `STARVING` is not set: so they never meet. What settles takes the lock (or `WOKEN`) for
//! the first in the queue *before* it wins its waiter; if all have gone, it lets go of it again and looks anew.

use crate::{
    label::{Label, Made},
    lock::SpinLock,
    primitives::atomic::{AtomicU32, Ordering},
    time::Instant,
    wait::{End, Here, Node, Status, Thing, WaitQueue, Wakeup},
};
use std::{fmt, time::Duration};

const LOCKED: u32 = 1;
const WOKEN: u32 = 1 << 1;
const STARVING: u32 = 1 << 2;
const WRITERS: u32 = 1 << 3;
const READERS: u32 = 1 << 4;
const ONE_READER: u32 = 1 << 5;
/// Of readers that don't wait there may be as many as fill half of their part; the others are queued, and in memory.
const MOST_READERS: u32 = u32::MAX / ONE_READER / 2;

/// For how long a writer may wait before the lock is handed on in order.
pub(super) const PATIENCE: Duration = Duration::from_millis(1);

/// How often a writer looks whether the lock has been left before it is queued, and for how long each time.
#[cfg(not(loom))]
const SPINS: u32 = 4;
#[cfg(not(loom))]
const PAUSES: u32 = 30;

/// How often somebody lingers, at most.
#[cfg(not(loom))]
const LINGERS: u32 = 32;
/// What is "soon": 2^16 ns are 66 us.
#[cfg(not(loom))]
const MOMENT: u32 = 16;
#[cfg(not(loom))]
const HEAT_BITS: u32 = 6;
#[cfg(not(loom))]
const HOT: u32 = (1 << HEAT_BITS) - 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State(u32);

impl State {
    #[inline(always)]
    fn has(self, parts: u32) -> bool {
        self.0 & parts != 0
    }

    #[inline(always)]
    fn readers(self) -> u32 {
        self.0 / ONE_READER
    }

    #[inline(always)]
    fn admits_reader(self) -> bool {
        !self.has(LOCKED | WOKEN | STARVING | WRITERS)
    }

    fn admits_writer(self, is_woken: bool) -> bool {
        !self.has(LOCKED | STARVING) && self.readers() == 0 && (is_woken || !self.has(READERS))
    }
}

/// Who holds it is no goroutine, or is not known; see `holder`.
#[cfg(not(loom))]
const NOBODY: u32 = 0;
/// (Goroutines begin at 1, and the one whose low bits these are is told as a thread.)
#[cfg(not(loom))]
pub(crate) const THREAD: u32 = u32::MAX;

/// Who has left the lock, or a queue.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    Writer,
    Reader,
}

struct Queues {
    writers: WaitQueue,
    readers: WaitQueue,
}

pub(super) struct RawLock {
    word: AtomicU32,
    /// The worker where the last writer took it, or 0: a hint for who thinks of spinning.
    #[cfg(not(loom))]
    home: AtomicU32,
    /// The last writer, for reports: the low bits of its number if it is a goroutine, [`THREAD`], or [`NOBODY`] while it is
    /// handed on. Written after the lock has been taken, so it may be late.
    #[cfg(not(loom))]
    holder: AtomicU32,
    label: Label,
    made: Made,
    /// A hint for who thinks of lingering: how often in a row somebody found it taken soon after the one before
    /// (`HEAT_BITS`), and when the last did (in units of 2^`MOMENT` ns).
    #[cfg(not(loom))]
    heat: AtomicU32,
    queues: SpinLock<Queues>,
}

#[cold]
fn too_many_readers() -> ! {
    panic!("sync: RwLock is read-locked too many times at once")
}

impl RawLock {
    #[cfg(not(loom))]
    #[track_caller]
    pub(super) const fn new() -> RawLock {
        RawLock {
            word: AtomicU32::new(0),
            home: AtomicU32::new(0),
            holder: AtomicU32::new(NOBODY),
            label: Label::new(),
            made: Made::here(),
            heat: AtomicU32::new(0),
            queues: SpinLock::new(Queues { writers: WaitQueue::new(), readers: WaitQueue::new() }),
        }
    }

    #[cfg(loom)]
    #[track_caller]
    pub(super) fn new() -> RawLock {
        RawLock {
            word: AtomicU32::new(0),
            label: Label::new(),
            made: Made::here(),
            queues: SpinLock::new(Queues { writers: WaitQueue::new(), readers: WaitQueue::new() }),
        }
    }

    #[inline(always)]
    fn state(&self) -> State {
        State(self.word.load(Ordering::Relaxed))
    }

    #[inline(always)]
    fn exchange(&self, from: State, to: u32) -> bool {
        self.word.compare_exchange(from.0, to, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    // ---- writers ----

    /// Takes it if nobody has it or wants it.
    #[inline(always)]
    pub(super) fn take_unwanted(&self, here: Here) -> bool {
        let taken = self.word.compare_exchange(0, LOCKED, Ordering::Acquire, Ordering::Relaxed).is_ok();
        if taken {
            self.note_holder(here);
        }
        taken
    }

    /// Takes it if it is free, before those who are queued.
    pub(super) fn take(&self) -> bool {
        self.take_with(&mut false)
    }

    fn take_with(&self, woken: &mut bool) -> bool {
        loop {
            let state = self.state();
            if !state.admits_writer(*woken) {
                return false;
            }
            let rest = if *woken { state.0 & !WOKEN } else { state.0 };
            if self.exchange(state, rest | LOCKED) {
                *woken = false;
                self.note_holder(Here::now());
                return true;
            }
        }
    }

    /// Leaves it.
    #[inline(always)]
    pub(super) fn leave(&self) {
        if self.word.fetch_sub(LOCKED, Ordering::Release) != LOCKED {
            self.leave_to_others();
        }
    }

    #[cold]
    fn leave_to_others(&self) {
        let state = self.state();
        if state.has(WRITERS | READERS) && !state.has(LOCKED | WOKEN) {
            self.settle(After::Writer);
        }
    }

    // ---- readers ----

    /// Takes it for a reader, if no writer has it or waits for it.
    #[inline(always)]
    pub(super) fn take_shared(&self) -> bool {
        // Mostly nobody has it. (To look first makes a lock that nobody else reads a quarter slower, and one that somebody reads a tenth
        // faster; to threads that read it at once it is the same.)
        let mut state = match self.word.compare_exchange(0, ONE_READER, Ordering::Acquire, Ordering::Relaxed)
        {
            Ok(_) => return true,
            Err(state) => State(state),
        };
        while state.admits_reader() {
            if state.readers() >= MOST_READERS {
                too_many_readers();
            }
            let more = state.0 + ONE_READER;
            match self.word.compare_exchange_weak(state.0, more, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(changed) => state = State(changed),
            }
        }
        false
    }

    /// A reader leaves it.
    #[inline(always)]
    pub(super) fn leave_shared(&self) {
        let left = State(self.word.fetch_sub(ONE_READER, Ordering::Release) - ONE_READER);
        if left.0 != 0 && left.readers() == 0 {
            self.settle(After::Reader);
        }
    }

    // ---- waiting ----

    /// # Safety
    /// As for [`WaitQueue::push`].
    unsafe fn queue_writer(&self, node: &Node, woken: &mut bool, is_long: bool) -> bool {
        let mut queues = self.queues.lock();
        loop {
            let state = self.state();
            if state.admits_writer(*woken) {
                return false;
            }
            let mut next = state.0 | WRITERS;
            if *woken {
                next &= !WOKEN;
                if is_long && state.has(LOCKED) {
                    next |= STARVING;
                }
            }
            if self.exchange(state, next) {
                break;
            }
        }
        // SAFETY: passed on.
        unsafe {
            match std::mem::take(woken) {
                true => queues.writers.push_front(node),
                false => queues.writers.push(node),
            }
        }
        true
    }

    /// # Safety
    /// As for [`WaitQueue::push`].
    unsafe fn queue_reader(&self, node: &Node) -> bool {
        let mut queues = self.queues.lock();
        loop {
            let state = self.state();
            if state.admits_reader() {
                return false;
            }
            if self.exchange(state, state.0 | READERS) {
                break;
            }
        }
        // SAFETY: passed on.
        unsafe { queues.readers.push(node) };
        true
    }

    /// # Safety
    /// `node` is queued there or nowhere.
    unsafe fn unqueue_writer(&self, node: &Node) {
        let mut queues = self.queues.lock();
        // SAFETY: passed on.
        if unsafe { queues.writers.remove(node) } && queues.writers.is_empty() {
            let state = State(self.word.fetch_and(!(WRITERS | STARVING), Ordering::AcqRel));
            drop(queues);
            if state.has(READERS) {
                // They may have been held back by nothing but this.
                self.settle(After::Reader);
            }
        }
    }

    /// # Safety
    /// `node` is queued there or nowhere.
    unsafe fn unqueue_reader(&self, node: &Node) {
        let mut queues = self.queues.lock();
        // SAFETY: passed on.
        if unsafe { queues.readers.remove(node) } && queues.readers.is_empty() {
            self.word.fetch_and(!READERS, Ordering::AcqRel);
        }
    }

    /// The owner of `WOKEN` gives it up.
    fn decline(&self) {
        let state = State(self.word.fetch_and(!WOKEN, Ordering::AcqRel));
        if state.has(WRITERS | READERS) {
            self.settle(After::Reader);
        }
    }

    /// Passes on what nobody has; see the head of the module.
    #[cold]
    fn settle(&self, mut after: After) {
        let mut readers = Vec::new();
        let mut writer = None;
        let mut queues = self.queues.lock();
        loop {
            let state = self.state();
            if state.has(LOCKED | WOKEN) {
                break;
            }
            let is_idle = state.readers() == 0;
            if state.has(READERS) && (!state.has(WRITERS) || (after == After::Writer && is_idle)) {
                if self.exchange(state, state.0 | LOCKED) {
                    self.admit_readers(&mut queues.readers, &mut readers);
                    after = After::Reader;
                }
            } else if state.has(WRITERS) && is_idle {
                let is_handed = after == After::Reader || state.has(STARVING);
                let taken = if is_handed { LOCKED } else { WOKEN };
                if !self.exchange(state, state.0 | taken) {
                    continue;
                }
                if is_handed {
                    self.note_passing();
                }
                let winner = queues.writers.pop_winner();
                if queues.writers.is_empty() {
                    let alone = WRITERS | STARVING;
                    self.word.fetch_and(
                        if winner.is_some() { !alone } else { !(alone | taken) },
                        Ordering::AcqRel,
                    );
                }
                if let Some(winner) = winner {
                    writer = Some(winner.complete(if is_handed { Status::Done } else { Status::Retry }));
                    break;
                }
            } else {
                break;
            }
        }
        drop(queues);
        drop(readers);
        drop(writer);
    }

    /// Lets all queued readers in, for whom the caller keeps the lock meanwhile.
    fn admit_readers(&self, queue: &mut WaitQueue, wakeups: &mut Vec<Wakeup>) {
        // At one go: if they were let in by parts, a writer could come between.
        while let Some(winner) = queue.pop_winner() {
            self.word.fetch_add(ONE_READER, Ordering::AcqRel);
            wakeups.push(winner.complete(Status::Done));
        }
        self.word.fetch_and(!(LOCKED | READERS), Ordering::AcqRel);
    }

    // ---- spinning ----

    /// Waits for a writer that is about to leave, and takes the lock: for a time that is shorter than parking takes, and only
    /// if that writer may be running, on another thread, and this one has nothing else to do (Go's rule).
    #[cfg(not(loom))]
    pub(super) fn spin(&self) -> bool {
        for _ in 0..SPINS {
            let state = self.state();
            if state.admits_writer(false) {
                if self.take() {
                    return true;
                }
                continue;
            }
            let home = self.home.load(Ordering::Relaxed);
            let is_here = home != 0 && crate::lock::worker() == Some(home);
            if state.0 & (LOCKED | STARVING) != LOCKED || is_here || crate::sched::has_other_work() {
                return false;
            }
            for _ in 0..PAUSES {
                crate::primitives::hint::spin_loop();
            }
        }
        false
    }

    // ---- lingering ----

    /// At a lock that many find taken, again and again, waits a little for its turn, letting others of this worker run meanwhile.
    ///
    /// A lock for reading and writing in short sections is slow where everybody is queued at once: a writer that is queued
    /// keeps all readers out, who are queued in their turn, let in together, and hold up the next writer, so that everybody
    /// parks and is woken, often from another worker, for each use. Once that has begun it does not end by itself. Who comes
    /// a moment later instead finds the lock free. Who has lingered in vain is queued, and from then on all rules hold.
    #[cfg(not(loom))]
    pub(super) fn linger(&self) -> bool {
        self.is_hot() && self.linger_for(|state| state.admits_writer(false), Self::take)
    }

    /// As [`linger`](Self::linger), for a reader.
    #[cfg(not(loom))]
    pub(super) fn linger_shared(&self) -> bool {
        self.is_hot() && self.linger_for(State::admits_reader, Self::take_shared)
    }

    /// Counts one who finds the lock taken. Whether that has happened many times, each soon after the one before.
    #[cfg(not(loom))]
    fn is_hot(&self) -> bool {
        if crate::sched::harness::is_exploring() {
            // Who lingers yields: steps of a schedule that tell nothing.
            return false;
        }
        let now = (Instant::now().nanos() >> MOMENT) as u32 & u32::MAX >> HEAT_BITS;
        let heat = self.heat.load(Ordering::Relaxed);
        let (last, streak) = (heat >> HEAT_BITS, heat & HOT);
        let streak = if now.wrapping_sub(last) <= 1 { (streak + 1).min(HOT) } else { 0 };
        self.heat.store(now << HEAT_BITS | streak, Ordering::Relaxed);
        streak == HOT
    }

    #[cfg(not(loom))]
    fn linger_for(&self, is_free: impl Fn(State) -> bool, take: impl Fn(&Self) -> bool) -> bool {
        for _ in 0..LINGERS {
            let state = self.state();
            if is_free(state) {
                if take(self) {
                    return true;
                }
            } else if state.has(STARVING) {
                return false;
            } else if crate::sched::has_other_work() {
                crate::yield_now();
            } else {
                for _ in 0..PAUSES / 8 {
                    crate::primitives::hint::spin_loop();
                }
            }
        }
        false
    }

    /// The caller has taken it; see `home` and `holder`.
    #[inline(always)]
    fn note_holder(&self, here: Here) {
        #[cfg(loom)]
        let _ = here;
        #[cfg(not(loom))]
        {
            let (home, holder) = here.whereabouts();
            self.home.store(home, Ordering::Relaxed);
            self.holder.store(holder, Ordering::Relaxed);
        }
    }

    /// It has been taken for somebody who does not run yet.
    fn note_passing(&self) {
        #[cfg(not(loom))]
        self.holder.store(NOBODY, Ordering::Relaxed);
    }

    // ---- reports ----

    pub(super) fn set_name(&self, name: String) {
        self.label.set(name);
    }

    pub(super) fn describe(&self, what: &'static str, of: &'static str) -> Thing {
        #[cfg(not(loom))]
        let end = match (self.state(), self.holder.load(Ordering::Relaxed)) {
            (state, _) if !state.has(LOCKED) && state.readers() > 0 => End::Readers(state.readers()),
            (state, _) if !state.has(LOCKED) => End::Passing,
            (_, NOBODY) => End::Passing,
            (_, THREAD) => End::Thread,
            (_, holder) => End::Holder(holder),
        };
        #[cfg(loom)]
        let end = End::Anybody;
        Thing { of: Some(of), name: self.label.get(), made: self.made.get(), ..Thing::new(what, end) }
    }
}

impl fmt::Debug for RawLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("RawLock")
            .field("locked", &state.has(LOCKED))
            .field("readers", &state.readers())
            .field("starving", &state.has(STARVING))
            .finish_non_exhaustive()
    }
}

/// The wish to write: a request without its guard.
#[derive(Debug)]
pub(super) struct WriteTurn<'a> {
    lock: &'a RawLock,
    /// `WOKEN` is this one's.
    woken: bool,
    /// Since when it waits.
    since: Option<Instant>,
}

impl<'a> WriteTurn<'a> {
    pub(super) fn new(lock: &'a RawLock) -> Self {
        WriteTurn { lock, woken: false, since: None }
    }

    pub(super) fn attempt(&mut self) -> bool {
        self.lock.take_with(&mut self.woken)
    }

    /// # Safety
    /// As for [`WaitQueue::push`].
    pub(super) unsafe fn queue(&mut self, node: &Node) -> bool {
        let is_long = self.woken && self.is_long();
        self.since.get_or_insert_with(Instant::now);
        // SAFETY: passed on.
        unsafe { self.lock.queue_writer(node, &mut self.woken, is_long) }
    }

    /// Under loom, which has no clock, always: so it tries all ways.
    fn is_long(&self) -> bool {
        cfg!(loom) || self.since.is_some_and(|since| since.elapsed() >= PATIENCE)
    }

    /// # Safety
    /// `node` is queued there or nowhere.
    pub(super) unsafe fn leave(&mut self, node: &Node) {
        // SAFETY: passed on.
        unsafe { self.lock.unqueue_writer(node) };
    }

    pub(super) fn granted(&mut self) {
        self.lock.note_holder(Here::now());
        if self.lock.state().has(STARVING) && !self.is_long() {
            self.lock.word.fetch_and(!STARVING, Ordering::AcqRel);
        }
    }

    pub(super) fn invited(&mut self) {
        self.woken = true;
    }
}

impl Drop for WriteTurn<'_> {
    fn drop(&mut self) {
        if self.woken {
            self.lock.decline();
        }
    }
}

/// The wish to read: a request without its guard.
#[derive(Debug)]
pub(super) struct ReadTurn<'a> {
    lock: &'a RawLock,
}

impl<'a> ReadTurn<'a> {
    pub(super) fn new(lock: &'a RawLock) -> Self {
        ReadTurn { lock }
    }

    pub(super) fn attempt(&mut self) -> bool {
        self.lock.take_shared()
    }

    /// # Safety
    /// As for [`WaitQueue::push`].
    pub(super) unsafe fn queue(&mut self, node: &Node) -> bool {
        // SAFETY: passed on.
        unsafe { self.lock.queue_reader(node) }
    }

    /// # Safety
    /// `node` is queued there or nowhere.
    pub(super) unsafe fn leave(&mut self, node: &Node) {
        // SAFETY: passed on.
        unsafe { self.lock.unqueue_reader(node) };
    }
}
