//! The winner word. Its states and races are described at the head of [`wait`](super).

use super::{Awaited, blocker};
use crate::{
    lock::Backoff,
    primitives::{
        UnsafeCell,
        atomic::{AtomicUsize, Ordering},
        seldom,
    },
    time::Instant,
};
use std::{marker::PhantomPinned, mem::ManuallyDrop, ptr, task::Waker};

const WAITING: usize = 0;
const CLAIMED: usize = 1;
const TAKEN: usize = 2;
const DONE: usize = 3;
/// The state is in the low bits of the word, the code of `DONE` above it.
const STATE: usize = 0b11;
const CODE_SHIFT: u32 = 2;
const PROMISED: usize = TAKEN | 1 << CODE_SHIFT;
const CODE_TIMED_OUT: usize = 0;
const CODE_CANCELLED: usize = 1;
const CODE_FIRST_ARM: usize = 2;

/// How a wait was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A peer chose this arm; its node's status says what happened there.
    Arm(usize),
    /// The deadline passed first.
    TimedOut,
    /// The goroutine is being unwound by its runtime's shutdown: leave every queue, then call `sched::unwind_if`.
    Cancelled,
}

/// What became of an attempt to win a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    Won,
    Lost,
    /// Its owner is busy, and must not be waited for.
    Contended,
}

/// What a wait is won for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Win {
    /// To be completed at once.
    Now = TAKEN as isize,
    /// To be completed when somebody has brought the value, see [`Waiter::redeem`].
    Later = PROMISED as isize,
}

/// One blocking operation of one goroutine, thread or task.
#[derive(Debug)]
pub(crate) struct Waiter {
    word: AtomicUsize,
    /// Written by the owner before the waiter is queued and while `CLAIMED`, taken by the winner while `TAKEN`.
    blocker: UnsafeCell<Option<blocker::Blocker>>,
    /// As in [`Node`](super::Node).
    _shared: PhantomPinned,
}

// SAFETY: the word is atomic, and the blocker is touched only by whoever the word gives it to (see its field).
unsafe impl Sync for Waiter {}
// SAFETY: nothing in a waiter belongs to the thread that made it: a blocker is a handle that any thread may wake.
unsafe impl Send for Waiter {}

impl Waiter {
    /// A waiter of the calling goroutine or thread.
    #[inline]
    pub(crate) fn current() -> Waiter {
        Waiter {
            word: AtomicUsize::new(WAITING),
            blocker: UnsafeCell::new(Some(blocker::Blocker::current())),
            _shared: PhantomPinned,
        }
    }

    /// A waiter of the async task that `waker` wakes.
    pub(crate) fn task(waker: Waker) -> Waiter {
        Waiter {
            word: AtomicUsize::new(WAITING),
            blocker: UnsafeCell::new(Some(blocker::Blocker::task(waker))),
            _shared: PhantomPinned,
        }
    }

    /// Tries to win the wait. `true` obliges the caller to [`complete`](Self::complete) it, soon and without parking.
    #[inline]
    pub(crate) fn claim(&self) -> bool {
        match self.word.compare_exchange(WAITING, TAKEN, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => true,
            Err(CLAIMED) => self.claim_after_owner(),
            Err(_) => false,
        }
    }

    /// [`claim`](Self::claim), where nobody else can decide the wait meanwhile: see [`Node`](super::Node)'s.
    #[cfg(not(loom))]
    #[inline(always)]
    pub(crate) fn claim_here(&self) -> bool {
        let is_open = self.word.load(Ordering::Acquire) == WAITING;
        if is_open {
            self.word.store(TAKEN, Ordering::Relaxed);
        }
        is_open
    }

    #[cold]
    fn claim_after_owner(&self) -> bool {
        self.exchange_after_owner(WAITING, TAKEN)
    }

    /// Waits for a `CLAIMED` owner, who is about to let go.
    fn exchange_after_owner(&self, from: usize, to: usize) -> bool {
        let mut backoff = Backoff::new();
        loop {
            match self.word.compare_exchange(from, to, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(CLAIMED) => backoff.pause(),
                Err(_) => return false,
            }
        }
    }

    /// [`claim`](Self::claim), for now or later. If the claimant is a select that is itself `CLAIMED`, whose waiter is
    /// `beside`, a peer that is `CLAIMED` too is waited for only if it stands higher in memory; see the head of
    /// [`wait`](super).
    pub(crate) fn claim_for(&self, win: Win, beside: Option<&Waiter>) -> Claim {
        let mut backoff = Backoff::new();
        loop {
            match self.word.compare_exchange(WAITING, win as usize, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Claim::Won,
                Err(CLAIMED) if beside.is_none_or(|me| ptr::from_ref(me) < ptr::from_ref(self)) => {
                    backoff.pause();
                }
                Err(CLAIMED) => return Claim::Contended,
                Err(_) => return Claim::Lost,
            }
        }
    }

    /// The owner, which holds its own wait or has shown it to nobody yet, has promised it.
    pub(crate) fn promise(&self) {
        self.word.store(PROMISED, Ordering::Release);
    }

    /// The holder of a promise comes with the value, or gives up: takes the wait for good. `false` if the owner could not
    /// wait so long.
    pub(crate) fn redeem(&self) -> bool {
        self.exchange_after_owner(PROMISED, TAKEN)
    }

    /// The owner takes its own wait, so that no peer can win it. `false` if one has.
    pub(crate) fn hold(&self) -> bool {
        self.word.compare_exchange(WAITING, CLAIMED, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// The owner lets go of its own wait, which is open again.
    pub(crate) fn release(&self) {
        self.word.store(WAITING, Ordering::Release);
    }

    /// The owner, which [holds](Self::hold) its own wait, has matched an arm by itself.
    pub(crate) fn settle(&self) {
        self.word.store(DONE | CODE_FIRST_ARM << CODE_SHIFT, Ordering::Release);
    }

    /// The owner, an async task, ends the wait: how a peer has decided it, or `None` if none has.
    pub(crate) fn end(&self) -> Option<Outcome> {
        let mut backoff = Backoff::new();
        while !self.cancel() {
            if let Some(outcome) = self.outcome() {
                return Some(outcome);
            }
            // `TAKEN`: for a few instructions.
            backoff.pause();
        }
        None
    }

    /// As [`end`](Self::end), of a wait of the calling goroutine or thread. A peer that was first wakes the owner, who
    /// has to take that wake-up: a goroutine that went on without it would be resumed by it in the middle of another wait.
    pub(crate) fn end_here<'a>(&self, awaited: impl Into<Awaited<'a>>) -> Option<Outcome> {
        if self.cancel() { None } else { Some(self.wait(None, awaited)) }
    }

    /// Decides a wait that [`claim`](Self::claim) has won in favour of `arm`.
    ///
    /// # Safety
    /// The caller's `claim` returned `true`, and this is the one completion that follows it. After this call the waiter's
    /// frame may end at any moment.
    #[inline]
    pub(crate) unsafe fn complete(&self, arm: usize) -> Wakeup {
        // SAFETY: passed on.
        unsafe { self.finish(CODE_FIRST_ARM + arm) }
    }

    /// # Safety
    /// As for [`complete`](Self::complete).
    #[inline]
    unsafe fn finish(&self, code: usize) -> Wakeup {
        // SAFETY: the word is `TAKEN` by the caller, which gives it the blocker; the owner put it there before it queued.
        let blocker = self.blocker.with_mut(|blocker| unsafe { (*blocker).take() });
        self.word.store(DONE | code << CODE_SHIFT, Ordering::Release);
        Wakeup(blocker)
    }

    /// The owner's deadline has passed: decides the wait if nobody else has. The owner itself, or its worker, calls this
    /// and goes on by itself, so nobody is woken.
    pub(crate) fn time_out(&self) -> bool {
        self.decide(CODE_TIMED_OUT)
    }

    /// As [`time_out`](Self::time_out), for an owner that is being ended or gives up.
    pub(crate) fn cancel(&self) -> bool {
        self.decide(CODE_CANCELLED)
    }

    fn decide(&self, code: usize) -> bool {
        // A wait may be promised between the two, but never becomes open again but by its owner, who is here.
        [WAITING, PROMISED].into_iter().any(|open| {
            let decided = DONE | code << CODE_SHIFT;
            self.word.compare_exchange(open, decided, Ordering::AcqRel, Ordering::Acquire).is_ok()
        })
    }

    /// Whether nobody has decided it, or is about to.
    #[cfg(not(loom))]
    pub(crate) fn is_open(&self) -> bool {
        self.word.load(Ordering::Acquire) == WAITING
    }

    /// How the wait was decided, if it has been.
    #[inline]
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        Self::decode(self.word.load(Ordering::Acquire))
    }

    #[inline]
    fn decode(word: usize) -> Option<Outcome> {
        if word & STATE != DONE {
            return None;
        }
        Some(match word >> CODE_SHIFT {
            CODE_TIMED_OUT => Outcome::TimedOut,
            CODE_CANCELLED => Outcome::Cancelled,
            arm => Outcome::Arm(arm - CODE_FIRST_ARM),
        })
    }

    /// Blocks the caller, whose waiter this must be, until the wait is decided. Without a deadline it is never
    /// `TimedOut`. What is awaited is for reports.
    #[inline]
    pub(crate) fn wait<'a>(&self, deadline: Option<Instant>, awaited: impl Into<Awaited<'a>>) -> Outcome {
        blocker::block(self, deadline, awaited.into())
    }

    /// As [`wait`](Self::wait); a goroutine leaves its stack in the caller's own code, and not some calls further down. Each call between
    /// that and the program's code is one whose return the processor guesses wrong when the goroutine goes on, if others have been in
    /// other functions meanwhile: some 20 cycles (see `task::switch`). For what is waited for most.
    #[inline(always)]
    pub(crate) fn wait_in_place<'a>(
        &self,
        deadline: Option<Instant>,
        awaited: impl Into<Awaited<'a>>,
    ) -> Outcome {
        blocker::block_in_place(self, deadline, awaited.into())
    }

    /// Polls the wait of an async task: the outcome, or `None` with `waker` in place for the moment it is decided. Only
    /// the owner calls this.
    pub(crate) fn poll(&self, waker: &Waker) -> Option<Outcome> {
        if let Some(outcome) = self.outcome() {
            return Some(outcome);
        }
        // Cloning and dropping a waker run user code, which may itself use the source: not inside the claim.
        self.install(blocker::Blocker::task(waker.clone()))
    }

    /// The owner, a thread, is about to park, and puts a handle in place that says so. How the wait was decided, if it has been: then
    /// whoever did it has the handle that was there before, and uses it.
    #[cfg(not(loom))]
    pub(super) fn rest(&self, blocker: blocker::Blocker) -> Option<Outcome> {
        self.install(blocker)
    }

    /// Puts another blocker in place of the one that is there, if the wait is still open; else returns how it was decided.
    fn install(&self, fresh: blocker::Blocker) -> Option<Outcome> {
        let open = match self.claim_open() {
            Ok(open) => open,
            Err(outcome) => return Some(outcome),
        };
        // SAFETY: `CLAIMED` gives the blocker to the owner; nobody else touches it until the word is as it was again.
        let before = self.blocker.with_mut(|blocker| unsafe { (*blocker).replace(fresh) });
        self.word.store(open, Ordering::Release);
        drop(before);
        None
    }

    /// The owner claims the wait if it is still open, and is to store the word that is returned soon; else, how it was decided.
    fn claim_open(&self) -> Result<usize, Outcome> {
        let mut backoff = Backoff::new();
        let mut open = WAITING;
        loop {
            match self.word.compare_exchange(open, CLAIMED, Ordering::Acquire, Ordering::Acquire) {
                Ok(_) => return Ok(open),
                Err(now @ (WAITING | PROMISED)) => open = now,
                Err(word) => match Self::decode(word) {
                    Some(outcome) => return Err(outcome),
                    // `TAKEN`: the winner stores `DONE` within a few instructions.
                    None => backoff.pause(),
                },
            }
        }
    }

    /// The owner has promised its wait, or is about to queue, and will have to call a waker before it goes to sleep: until
    /// [`expect`](Self::expect) nobody wakes it who decides the wait. See the head of [`wait`](super).
    ///
    /// # Safety
    /// The owner calls this before any of the waiter's nodes has been queued, or else under the lock under which the wait was
    /// promised, which has not been left since.
    pub(crate) unsafe fn withhold(&self) -> Withheld {
        // SAFETY: what is not queued nobody else knows of; and of a promised wait only the holder of the promise takes the
        // blocker, under that lock.
        Withheld(self.blocker.with_mut(|blocker| unsafe { (*blocker).take() }))
    }

    /// The owner may be woken again. If the wait has been decided meanwhile, that is done now.
    pub(crate) fn expect(&self, withheld: Withheld) {
        let Withheld(blocker) = withheld;
        match self.claim_open() {
            Ok(open) => {
                // SAFETY: as in `install`. The place is empty: what was there has been withheld.
                self.blocker.with_mut(|place| unsafe { place.write(blocker) });
                self.word.store(open, Ordering::Release);
            }
            Err(_) => Wakeup(blocker).wake(),
        }
    }
}

/// How to wake the owner of a wait who does not want to be woken yet.
#[must_use = "the owner sleeps for ever unless it is given back"]
#[derive(Debug)]
pub(crate) struct Withheld(Option<blocker::Blocker>);

/// The duty to wake the owner of a wait that has been decided. Wakes when dropped; drop it after the source's lock.
#[must_use = "hold it until the source's lock has been left, then drop it to wake the owner"]
#[derive(Debug)]
pub(crate) struct Wakeup(Option<blocker::Blocker>);

impl Wakeup {
    /// Wakes the owner now.
    // Not by `drop`, which is a call, for which what is in registers has to be put together in memory first: then the processor waits for it.
    #[inline(always)]
    pub(crate) fn wake(self) {
        if let Some(blocker) = self.into_blocker() {
            blocker.wake();
        } else {
            seldom();
        }
    }

    /// Has the processor fetch what waking a goroutine touches, which may have been parked for long.
    #[inline(always)]
    pub(super) fn prefetch(&self) {
        #[cfg(not(loom))]
        if let Some(goroutine) = self.0.as_ref().and_then(blocker::Blocker::goroutine) {
            goroutine.prefetch();
        }
    }

    /// The duty, for whoever has several.
    #[inline(always)]
    pub(super) fn into_blocker(self) -> Option<blocker::Blocker> {
        let this = ManuallyDrop::new(self);
        // SAFETY: `this` is not dropped, so this is the one use of it.
        unsafe { ptr::read(&raw const this.0) }
    }

    pub(super) fn of(blocker: blocker::Blocker) -> Wakeup {
        Wakeup(Some(blocker))
    }
}

impl Drop for Wakeup {
    #[inline]
    fn drop(&mut self) {
        if let Some(blocker) = self.0.take() {
            blocker.wake();
        }
    }
}
