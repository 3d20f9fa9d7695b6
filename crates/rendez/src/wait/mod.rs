//! The one wait protocol: everything in rendez that blocks, blocks through here.
//!
//! # Parts
//!
//! * A [`Waiter`] stands for one blocking operation of one goroutine, OS thread or async task. It lives in the waiting
//!   frame (or future) and holds the *winner word* and the way to wake its owner.
//! * A [`Node`] puts a waiter into one [`WaitQueue`] of one *source* (a side of a channel, a join, a wait group). A plain
//!   operation has one node; a `select!` has one for each arm, all of the same waiter.
//! * A source keeps its queues under a lock of its own. **Whoever touches a node's links, packet or status holds the lock
//!   of the source that it is queued at**; the owner may touch them without the lock only before it queues the node and
//!   after it has seen the word become `DONE` *and* the node is out of its queue.
//! * A [`Wakeup`] is what completing a waiter yields: the duty to wake its owner, carried out after the source's lock has
//!   been left (it wakes when dropped, so it can't be forgotten).
//!
//! # The winner word
//!
//! | state | meaning | who may leave it, and to what |
//! | --- | --- | --- |
//! | `WAITING` | open: the first to exchange it decides the wait | a peer to `TAKEN` or `PROMISED`; a timer or a shutdown, on the owner's own thread, to `DONE`; the owner to `CLAIMED` |
//! | `CLAIMED` | the owner is busy with its own wait for a few instructions (a task changes its waker, a thread is about to park, a select matches an arm) | the owner, back to what it was, or on to `DONE` or `PROMISED` |
//! | `TAKEN` | somebody has won and is carrying the value over | the winner, to `DONE` |
//! | `PROMISED` | a `Select` has won that has yet to be given the value | it, to `TAKEN`; a timer, a shutdown or the owner as from `WAITING` |
//! | `DONE(code)` | decided: `TIMEOUT`, `CANCELLED` or the number of the arm that was chosen | nobody |
//!
//! One compare-exchange from `WAITING` decides; all losers see a word that is not `WAITING` and leave the node alone, so
//! an arm that loses has no effect. A peer that meets `CLAIMED` waits for it to pass: the owner holds it for a bounded
//! number of instructions and never parks in it. It must not skip the waiter instead, because the owner may be about to
//! park, and then both sides would sleep with a match between them.
//!
//! **Promises.** `Select` chooses a send before its caller says with which value: the receiver is *promised* to it
//! until then. That is the caller's code, which may take any time, so a promised wait ends by time-out, shutdown or
//! drop as an open one does. The two nodes, which stand in no queue, are linked; **the link is followed and cut only under
//! the source's lock**. Whoever's frame ends, or who comes with the value, cuts it; so the holder knows under the
//! lock whether its receiver's frame is still there, and if it is not, the value goes to the channel.
//!
//! **Two selects.** A select first tries its arms without being queued anywhere; it then has no claim on itself and may
//! wait for any `CLAIMED` peer. When it queues its nodes, an arm may have become ready meanwhile: it then claims itself
//! before it claims the peer, so that it cannot be won from both ends. Two selects that do this to each other would wait
//! for each other, so a select that is `CLAIMED` waits for a `CLAIMED` peer only when its own waiter's address is the
//! lower one; the other goes back to `WAITING`, leaves the lock and tries again. Waiting then follows rising addresses
//! and cannot close a circle. `default` is chosen by the exchange from `WAITING` to `DONE` after every arm has been
//! queued: had any arm been ready at that instant, its peer would have exchanged the word before.
//!
//! # What each race does
//!
//! * *Hand-off against time-out or shutdown*: both exchange the word; the loser does nothing. A peer finds a lost waiter's
//!   node still queued: it drops it from the queue and goes on to the next. An owner that timed out takes the source's
//!   lock and removes its node if it is still there; after that nobody can reach the frame.
//! * *Wake before sleep*: the owner's park re-reads the word. A goroutine is resumed by its own worker alone, in the loop
//!   that it has to switch to first, so its wake-up can't overtake the switch; a thread's unpark leaves a token; a task's
//!   waker is in place before the node is queued.
//! * *The frame ends while a winner is at work*: a waiter's frame never ends between `TAKEN` and `DONE`. The winner moves
//!   the blocker out before it stores `DONE` and does not touch the waiter afterwards.
//! * *A future is dropped after it has been handed a value*: the drop sees `DONE` under the source's lock and gives the
//!   value back to the source (see `chan`).
//!
//! **Wakers.** A waker is somebody's code, and may block. A goroutine that does so while another wait of its own is open
//! would be resumed by that one's peer in the middle of the waker's. So nobody calls a waker between queueing a node of its
//! own and going to sleep, with two exceptions. Who promises itself has to: the other side is decided by that, and nobody else
//! will wake it. Who waits for a condition has to: it leaves the mutex after it has queued, so that no signal is missed, and
//! that may wake somebody. Their blocker is [withheld](Waiter::withhold) meanwhile.
//!
//! Every resumption of a parked goroutine follows exactly one successful exchange, so there are no spurious wake-ups and
//! a goroutine is in at most one run queue or inbox at any time.

mod awaited;
mod batch;
mod blocker;
#[cfg(all(test, loom))]
mod loom_tests;
mod noted;
mod queue;
#[cfg(all(test, not(loom)))]
mod tests;
mod waiter;

#[cfg(not(loom))]
pub(crate) use crate::sched::Here;
use std::task::{Context, Poll, Waker};

/// Loom has no workers.
#[cfg(loom)]
#[derive(Clone, Copy)]
pub(crate) struct Here;

#[cfg(loom)]
impl Here {
    pub(crate) fn now() -> Here {
        Here
    }
}

pub(crate) use awaited::{Awaited, End, Tells, Thing};
#[cfg(not(loom))]
pub(crate) use awaited::{Kind, word_of_arc};
pub(crate) use batch::WakeBatch;
pub(crate) use noted::Note;
#[cfg(not(loom))]
pub(crate) use noted::Noted;
pub(crate) use queue::{Contended, Node, Searcher, Seat, Status, WaitQueue, Wanted};
pub(crate) use waiter::{Outcome, Waiter, Wakeup};

/// Counts one blocking operation that did not have to block against the goroutine's budget, and yields when that is used
/// up, so that two goroutines that always find each other ready don't starve the rest of their worker.
#[inline(always)]
pub(crate) fn spend_budget() {
    #[cfg(not(loom))]
    crate::sched::spend_budget();
}

/// The operation that has just spent budget has handed nothing over: it found nothing, or an end, and does not wait. (If that was the last of the budget, the
/// goroutine has let others run meanwhile, and it is noted in the next burst: one operation in a few hundred.)
#[inline(always)]
pub(crate) fn spent_in_vain() {
    #[cfg(not(loom))]
    crate::sched::spent_in_vain();
}

/// As [`spend_budget`], and says where that was.
#[inline(always)]
pub(crate) fn spend_budget_here() -> Here {
    let here = Here::now();
    #[cfg(not(loom))]
    here.spend_budget();
    here
}

/// An operation that never waits, and so spends no budget, begins: under a chosen schedule somebody else may go first.
#[inline(always)]
pub(crate) fn point() {
    #[cfg(all(not(loom), feature = "testing"))]
    crate::sched::point();
}

/// As [`spend_budget`], for the first poll of an async operation. `false` says that the async goroutine has used up its
/// budget: the waker has been called, and the operation is to return `Pending`, unchanged.
#[inline]
pub(crate) fn poll_budget(cx: &Context<'_>) -> bool {
    #[cfg(not(loom))]
    if !crate::sched::poll_budget() {
        cx.waker().wake_by_ref();
        return false;
    }
    let _ = cx;
    true
}

/// Whether the waker is an async goroutine's: then cloning it is a step on a counter, and runs nobody's code.
#[inline]
pub(crate) fn is_own(waker: &Waker) -> bool {
    #[cfg(not(loom))]
    return crate::task::is_waker(waker);
    #[cfg(loom)]
    return std::ptr::eq(waker, Waker::noop());
}

/// What the poll of a future answers that waits. An async goroutine that polls it has a note of what for: see [`noted`].
#[inline(always)]
pub(crate) fn pending<T>(cx: &Context<'_>, note: impl Into<Note>) -> Poll<T> {
    #[cfg(not(loom))]
    crate::task::note_await(cx.waker(), note.into());
    #[cfg(loom)]
    let _ = (cx, note.into());
    Poll::Pending
}

/// Ends a goroutine whose wait came back [`Cancelled`](Outcome::Cancelled), after it has left its queues.
pub(crate) fn unwind_cancelled() -> ! {
    #[cfg(not(loom))]
    crate::task::unwind();
    #[cfg(loom)]
    unreachable!("only goroutines are cancelled")
}

/// Why somebody waits; told by dumps and dead-lock reports in Go's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// In a send on a channel.
    ChanSend,
    /// In a receive from a channel.
    ChanReceive,
    /// In a `join`.
    #[cfg_attr(loom, allow(dead_code))]
    Join,
    /// At the end of a `scope`, for its goroutines. A shutdown does not interrupt this wait: it ends the children, and
    /// that ends the wait.
    #[cfg_attr(loom, allow(dead_code))]
    Scope,
    /// In `WaitGroup::wait`.
    WaitGroup,
    /// In `Once` or `OnceValue`, for another caller's function.
    Once,
    /// In `SingleFlight::run`, for another caller's function.
    #[cfg_attr(loom, allow(dead_code))]
    SingleFlight,
    /// For a mutex: `sync.Mutex.Lock`.
    MutexLock,
    /// For a read lock: `sync.RWMutex.RLock`.
    RwLockRead,
    /// For a write lock: `sync.RWMutex.Lock`.
    RwLockWrite,
    /// In `Cond::wait`, for a signal: `sync.Cond.Wait`.
    CondWait,
    /// For permits of a semaphore: `semacquire`.
    Semacquire,
    /// At a barrier, for the others.
    Barrier,
    /// In a `select!`, a `Select` or a chosen event.
    Select,
    /// In `sleep`.
    #[cfg_attr(loom, allow(dead_code))]
    Sleep,
    /// In `block_on`, for a future's waker.
    #[cfg_attr(loom, allow(dead_code))]
    Future,
    /// For a file descriptor: a socket, a pipe, a process.
    #[cfg_attr(loom, allow(dead_code))]
    IoWait,
    /// In `blocking`, for the function to return. A shutdown does not interrupt this wait: the function may borrow.
    #[cfg_attr(loom, allow(dead_code))]
    Blocking,
    /// In a test, for the other goroutines to end.
    #[cfg_attr(any(loom, not(feature = "testing")), allow(dead_code))]
    Rest,
}

impl Reason {
    /// All of them, in their order.
    pub(crate) const ALL: [Reason; Reason::Rest as usize + 1] = [
        Reason::ChanSend,
        Reason::ChanReceive,
        Reason::Join,
        Reason::Scope,
        Reason::WaitGroup,
        Reason::Once,
        Reason::SingleFlight,
        Reason::MutexLock,
        Reason::RwLockRead,
        Reason::RwLockWrite,
        Reason::CondWait,
        Reason::Semacquire,
        Reason::Barrier,
        Reason::Select,
        Reason::Sleep,
        Reason::Future,
        Reason::IoWait,
        Reason::Blocking,
        Reason::Rest,
    ];

    /// In Go's words, where Go has any (runtime/runtime2.go, `waitReasonStrings`).
    #[cfg(not(loom))]
    pub(crate) fn text(self) -> &'static str {
        match self {
            Reason::ChanSend => "chan send",
            Reason::ChanReceive => "chan receive",
            Reason::Join => "join",
            Reason::Scope => "scope",
            Reason::WaitGroup => "sync.WaitGroup.Wait",
            Reason::Once => "sync.Once.Do",
            Reason::SingleFlight => "single flight",
            Reason::MutexLock => "sync.Mutex.Lock",
            Reason::RwLockRead => "sync.RWMutex.RLock",
            Reason::RwLockWrite => "sync.RWMutex.Lock",
            Reason::CondWait => "sync.Cond.Wait",
            Reason::Semacquire => "semacquire",
            Reason::Barrier => "barrier",
            Reason::Select => "select",
            Reason::Sleep => "sleep",
            Reason::Future => "await",
            Reason::IoWait => "IO wait",
            Reason::Blocking => "blocking call",
            Reason::Rest => "check leaks",
        }
    }

    /// Whether a shutdown ends the wait before its time.
    #[inline]
    #[cfg_attr(loom, allow(dead_code, reason = "there are no shutdowns"))]
    pub(crate) fn is_interruptible(self) -> bool {
        !matches!(self, Reason::Scope | Reason::Blocking)
    }
}
