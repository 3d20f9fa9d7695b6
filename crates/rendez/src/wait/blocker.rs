//! The three worlds: how the owner of a wait is put to sleep and woken.

use super::{Awaited, Outcome, Waiter};
use crate::primitives::{
    seldom,
    thread::{self, Thread},
};
use crate::time::Instant;
#[cfg(not(loom))]
use crate::{
    sched::{
        self, deadlock,
        waiting::{Place, WaitingThread},
    },
    task::Goroutine,
};
use std::{
    mem::ManuallyDrop,
    panic::{AssertUnwindSafe, catch_unwind},
    ptr::{self, NonNull},
    sync::Arc,
    task::{RawWakerVTable, Waker},
};

/// The handle that wakes the owner of a wait: in effect an enum of what [`open`](Self::open) returns, in two words.
///
/// An enum would be three, a waker being two: too many for a value that is handed on in registers. In memory it would be written word by
/// word, and read as a whole soon after, for which the processor waits until the writes have gone to the cache: a quarter of the time that a
/// rendezvous took (Zen 4: `spsc_0` 23 ns, 18 with two words).
pub(super) struct Blocker {
    /// A goroutine's header, a shared thread, or what a waker has with its table.
    data: *const (),
    /// Which of these, as a number below; or the waker's table, whose address is none of them since it is aligned.
    kind: NonNull<()>,
}

/// What a [`Blocker`] is of.
enum Open {
    /// A goroutine: made ready on its own worker, in [`wake`](Blocker::wake).
    #[cfg(not(loom))]
    Goroutine,
    /// An OS thread: unparked.
    Thread(Arc<Thread>),
    /// One that waits for this alone, which is over with whoever wakes it, and not only when the system has let it run.
    #[cfg(not(loom))]
    RestingThread(Arc<Thread>, WaitingThread),
    /// An async task: its waker is called.
    Task(Waker),
}

#[cfg(not(loom))]
const GOROUTINE: usize = 1;
const THREAD: usize = 2;
#[cfg(not(loom))]
const RESTING_THREAD: usize = 3;

#[cfg(not(loom))]
const OF_GOROUTINE: NonNull<()> = number(GOROUTINE);
const OF_THREAD: NonNull<()> = number(THREAD);
#[cfg(not(loom))]
const OF_RESTING_THREAD: NonNull<()> = number(RESTING_THREAD);

/// From here on it is a waker's table.
const TABLES: usize = align_of::<RawWakerVTable>();
const _: () = assert!(TABLES > 3);

const fn number(kind: usize) -> NonNull<()> {
    NonNull::new(ptr::without_provenance_mut(kind)).expect("not zero")
}

// SAFETY: all that it can be of may be sent: a goroutine's handle, a thread's, and a waker.
unsafe impl Send for Blocker {}

impl Blocker {
    /// The handle of whoever is calling: the current goroutine, or else the thread.
    #[inline]
    pub(super) fn current() -> Blocker {
        #[cfg(not(loom))]
        if let Some(Goroutine(task)) = sched::current_goroutine() {
            return Blocker { data: task.as_ptr().cast_const().cast(), kind: OF_GOROUTINE };
        }
        seldom();
        Blocker::current_thread()
    }

    #[cold]
    fn current_thread() -> Blocker {
        Blocker { data: Arc::into_raw(this_thread()).cast(), kind: OF_THREAD }
    }

    #[cfg(not(loom))]
    fn resting_thread() -> Blocker {
        // Taken back by `open`.
        std::mem::forget(WaitingThread::new());
        Blocker { data: Arc::into_raw(this_thread()).cast(), kind: OF_RESTING_THREAD }
    }

    pub(super) fn task(waker: Waker) -> Blocker {
        let waker = ManuallyDrop::new(waker);
        Blocker { data: waker.data(), kind: NonNull::from(waker.vtable()).cast() }
    }

    #[inline(always)]
    fn kind(&self) -> usize {
        self.kind.addr().get()
    }

    /// The goroutine, if it is of one.
    #[cfg(not(loom))]
    #[inline(always)]
    pub(super) fn goroutine(&self) -> Option<Goroutine> {
        // SAFETY: `current` has made it of one.
        (self.kind() == GOROUTINE)
            .then(|| Goroutine(unsafe { NonNull::new_unchecked(self.data.cast_mut().cast()) }))
    }

    pub(super) fn is_task(&self) -> bool {
        self.kind() >= TABLES
    }

    fn open(self) -> Open {
        let this = ManuallyDrop::new(self);
        let data = this.data;
        // SAFETY: the one that has been made of what `kind` says is gone with this, so what it was made of is ours again.
        unsafe {
            match this.kind() {
                #[cfg(not(loom))]
                GOROUTINE => Open::Goroutine,
                THREAD => Open::Thread(Arc::from_raw(data.cast())),
                #[cfg(not(loom))]
                RESTING_THREAD => {
                    Open::RestingThread(Arc::from_raw(data.cast()), WaitingThread::taken_back())
                }
                _ => Open::Task(Waker::new(data, this.kind.cast::<RawWakerVTable>().as_ref())),
            }
        }
    }

    // A goroutine is woken where this is called: a few instructions, where it is of the caller's worker.
    #[inline(always)]
    pub(super) fn wake(self) {
        #[cfg(not(loom))]
        if let Some(goroutine) = self.goroutine() {
            std::mem::forget(self);
            // SAFETY: a `Blocker` leaves its waiter only with the one exchange that decides the wait, so this is the one
            // wake-up that the parked goroutine gets.
            return unsafe { sched::ready(goroutine) };
        }
        self.wake_other();
    }

    /// As [`wake`](Self::wake), of what is no goroutine.
    #[inline(never)]
    fn wake_other(self) {
        match self.open() {
            #[cfg(not(loom))]
            Open::Goroutine => unreachable!("its caller has woken it"),
            Open::Thread(thread) => thread.unpark(),
            #[cfg(not(loom))]
            Open::RestingThread(thread, waits) => {
                drop(waits);
                thread.unpark();
            }
            // A waker is user code, called in the middle of somebody else's operation. If it panics, the panic hook has told
            // so, and the operation goes on: others wait for their wake-ups behind this one.
            Open::Task(waker) => {
                if let Err(payload) = catch_unwind(AssertUnwindSafe(|| waker.wake()))
                    && let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload)))
                {
                    std::mem::forget(again);
                }
            }
        }
    }

    #[inline(never)]
    fn drop_other(&mut self) {
        // SAFETY: it is being dropped, and not used afterwards.
        drop(unsafe { ptr::read(self) }.open());
    }
}

impl Drop for Blocker {
    #[inline(always)]
    fn drop(&mut self) {
        #[cfg(not(loom))]
        if self.kind() == GOROUTINE {
            return;
        }
        seldom();
        self.drop_other();
    }
}

impl std::fmt::Debug for Blocker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.kind() {
            #[cfg(not(loom))]
            GOROUTINE => "Goroutine",
            THREAD => "Thread",
            #[cfg(not(loom))]
            RESTING_THREAD => "RestingThread",
            _ => "Task",
        })
    }
}

/// The calling thread's handle, in a place that all of its waits share, so that none of them allocates.
fn this_thread() -> Arc<Thread> {
    #[cfg(not(loom))]
    {
        std::thread_local! {
            static HANDLE: Arc<Thread> = Arc::new(thread::current());
        }
        if let Ok(handle) = HANDLE.try_with(Arc::clone) {
            return handle;
        }
        // The thread is ending, and waits in a destructor.
    }
    Arc::new(thread::current())
}

/// Blocks the calling goroutine or thread, whose waiter this is, until the wait is decided.
#[inline(never)]
pub(super) fn block(waiter: &Waiter, deadline: Option<Instant>, awaited: Awaited<'_>) -> Outcome {
    block_in_place(waiter, deadline, awaited)
}

/// As [`block`], in the function that calls this.
#[inline(always)]
pub(super) fn block_in_place(waiter: &Waiter, deadline: Option<Instant>, awaited: Awaited<'_>) -> Outcome {
    #[cfg(not(loom))]
    if sched::current_goroutine().is_some() {
        sched::park(waiter, deadline, awaited);
        return waiter.outcome().expect("a parked goroutine is resumed only when its wait is decided");
    }
    block_thread(waiter, deadline, awaited)
}

/// How often a thread looks at the word before it parks: a few microseconds, against the tens of microseconds that waking
/// a parked thread takes.
#[cfg(not(loom))]
const SPINS: u32 = 200;

#[cfg(not(loom))]
#[cold]
fn block_thread(waiter: &Waiter, deadline: Option<Instant>, awaited: Awaited<'_>) -> Outcome {
    for _ in 0..SPINS {
        if let Some(outcome) = waiter.outcome() {
            return outcome;
        }
        std::hint::spin_loop();
    }
    match deadline {
        None => rest_thread(waiter, awaited),
        Some(deadline) => rest_thread_until(waiter, deadline),
    }
}

#[cfg(not(loom))]
fn rest_thread(waiter: &Waiter, awaited: Awaited<'_>) -> Outcome {
    // SAFETY: it is dropped at the end of this function.
    let _place = unsafe { Place::of(awaited) };
    // Whoever decides the wait takes the handle, and what it says of this thread with it.
    if let Some(outcome) = waiter.rest(Blocker::resting_thread()) {
        return outcome;
    }
    let mut doubts = deadlock::Doubts::default();
    let mut again = doubts.next();
    loop {
        if let Some(outcome) = waiter.outcome() {
            return outcome;
        }
        match again {
            None => thread::park(),
            Some(at) if at <= Instant::now() => {
                again = if deadlock::check_from_thread() { doubts.next() } else { None };
            }
            Some(at) => thread::park_timeout(at.saturating_duration_since(Instant::now())),
        }
    }
}

#[cfg(not(loom))]
fn rest_thread_until(waiter: &Waiter, deadline: Instant) -> Outcome {
    loop {
        if let Some(outcome) = waiter.outcome() {
            return outcome;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            // Lost against a peer that is just carrying its value over: its unpark follows.
            if !waiter.time_out() && waiter.outcome().is_none() {
                thread::park();
            }
        } else {
            thread::park_timeout(left);
        }
    }
}

/// Under loom there is no clock: a deadline may pass at any moment, which is what the yield lets loom explore.
#[cfg(loom)]
fn block_thread(waiter: &Waiter, deadline: Option<Instant>, _: Awaited<'_>) -> Outcome {
    if deadline.is_some() {
        thread::yield_now();
        waiter.time_out();
    }
    loop {
        if let Some(outcome) = waiter.outcome() {
            return outcome;
        }
        thread::park();
    }
}
