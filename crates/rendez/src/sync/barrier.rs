//! `Barrier`: a meeting of a fixed number (after the standard library's; Go has none).
//!
//! # Protocol
//!
//! Arriving, and all else, happens under one lock. Who arrives is queued and counted; the last one, which is not queued,
//! opens the barrier: it empties queue and count and lets everybody go on. So the next meeting begins clean, and who is
//! still queued has arrived at the present one. Who gives up while queued has not arrived; who gives up at the moment when it
//! is being let go on has.

use super::source::{Request, SyncEvent};
#[cfg(not(loom))]
use crate::select::EventFuture;
use crate::{
    label::{Label, Made},
    lock::SpinLock,
    primitives::atomic::{AtomicUsize, Ordering},
    select::{self, Patience},
    wait::{End, Node, Reason, Status, Thing, WaitQueue},
};
use std::{
    fmt,
    panic::{RefUnwindSafe, UnwindSafe},
};

/// Lets nobody go on until a number of them have come, as often as that number comes.
///
/// # Examples
/// ```
/// use rendez::{scope, sync::Barrier};
/// use std::sync::atomic::{AtomicU32, Ordering};
/// let (barrier, came) = (Barrier::new(3), AtomicU32::new(0));
/// scope(|s| {
///     for _ in 0..3 {
///         s.go(|| {
///             came.fetch_add(1, Ordering::Relaxed);
///             barrier.wait();
///             assert_eq!(came.load(Ordering::Relaxed), 3);
///         });
///     }
/// });
/// ```
pub struct Barrier {
    number: usize,
    /// How many are queued at the present meeting. Touched under the lock of the queue, but read for reports.
    came: AtomicUsize,
    arrivals: SpinLock<WaitQueue>,
    label: Label,
    made: Made,
}

impl UnwindSafe for Barrier {}
impl RefUnwindSafe for Barrier {}

impl Barrier {
    /// One where `number` meet. With 0 or 1, nobody waits.
    #[cfg(not(loom))]
    #[track_caller]
    pub const fn new(number: usize) -> Barrier {
        Barrier {
            number,
            came: AtomicUsize::new(0),
            arrivals: SpinLock::new(WaitQueue::new()),
            label: Label::new(),
            made: Made::here(),
        }
    }

    /// One where `number` meet.
    #[cfg(loom)]
    #[track_caller]
    pub fn new(number: usize) -> Barrier {
        Barrier {
            number,
            came: AtomicUsize::new(0),
            arrivals: SpinLock::new(WaitQueue::new()),
            label: Label::new(),
            made: Made::here(),
        }
    }

    /// Waits until as many have come as are to meet. `true` for one of them, the last that came.
    ///
    /// # Blocking
    /// Parks the goroutine, or the OS thread. A task awaits [`wait_async`](Self::wait_async).
    ///
    /// # Cancellation
    /// A runtime's shutdown unwinds a parked goroutine, which then has not come.
    pub fn wait(&self) -> bool {
        select::wait(self.arrive(), Patience::Endless)
            .unwrap_or_else(|| unreachable!("it waits without a limit"))
    }

    /// As [`wait`](Self::wait), in an async task, which comes when the future is polled for the first time.
    ///
    /// # Cancellation
    /// Safe: a future that is dropped before the others have come has not come.
    ///
    /// # Examples
    /// ```
    /// use rendez::{block_on, go_async, sync::Barrier};
    /// static BARRIER: Barrier = Barrier::new(2);
    /// let other = go_async(async { BARRIER.wait_async().await });
    /// let mine = BARRIER.wait();
    /// assert!(mine != other.join().unwrap(), "one of the two came last");
    /// ```
    #[cfg(not(loom))]
    pub fn wait_async(&self) -> BarrierFuture<'_> {
        BarrierFuture(select::Event::wait_async(self.arrive()))
    }

    /// Names it, for reports: [`diag::dump`](crate::diag::dump), a deadlock. Another name it may have had is forgotten.
    ///
    /// # Examples
    /// ```
    /// let lap = rendez::sync::Barrier::new(4);
    /// lap.set_name("lap");
    /// ```
    pub fn set_name(&self, name: impl Into<String>) {
        self.label.set(name.into());
    }

    fn arrive(&self) -> SyncEvent<Arrive<'_>> {
        SyncEvent::new(Arrive { barrier: self, is_last: false })
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier").field("number", &self.number).finish_non_exhaustive()
    }
}

struct Arrive<'a> {
    barrier: &'a Barrier,
    is_last: bool,
}

impl Request for Arrive<'_> {
    type Output = bool;

    fn reason(&self) -> Reason {
        Reason::Barrier
    }

    fn tell(&self, things: &mut Vec<Thing>) {
        let Barrier { number, came, label, made, .. } = self.barrier;
        let end = End::Arrivals { came: came.load(Ordering::Relaxed), number: *number };
        things.push(Thing { name: label.get(), made: made.get(), ..Thing::new("barrier", end) });
    }

    /// The last one comes.
    fn attempt(&mut self) -> bool {
        let Barrier { number, came, arrivals, .. } = self.barrier;
        let mut arrivals = arrivals.lock();
        let before = came.load(Ordering::Relaxed);
        if before + 1 < *number {
            return false;
        }
        // All under one hold of the lock, so that nobody is among them who comes for the next meeting.
        let mut wakeups = Vec::with_capacity(before);
        came.store(0, Ordering::Relaxed);
        while let Some(winner) = arrivals.pop_winner() {
            wakeups.push(winner.complete(Status::Done));
        }
        drop(arrivals);
        drop(wakeups);
        self.is_last = true;
        true
    }

    /// Another one comes.
    unsafe fn queue(&mut self, node: &Node) -> bool {
        let Barrier { number, came, arrivals, .. } = self.barrier;
        let mut arrivals = arrivals.lock();
        let before = came.load(Ordering::Relaxed);
        if before + 1 >= *number {
            return false;
        }
        came.store(before + 1, Ordering::Relaxed);
        // SAFETY: passed on.
        unsafe { arrivals.push(node) };
        true
    }

    unsafe fn leave(&mut self, node: &Node) {
        let Barrier { came, arrivals, .. } = self.barrier;
        let mut arrivals = arrivals.lock();
        // SAFETY: passed on.
        if unsafe { arrivals.remove(node) } {
            came.store(came.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
        }
    }

    fn give_back(&mut self) {}

    fn finish(self) -> bool {
        self.is_last
    }
}

/// The future of [`Barrier::wait_async`].
#[cfg(not(loom))]
#[must_use = "futures do nothing unless polled"]
pub struct BarrierFuture<'a>(EventFuture<SyncEvent<Arrive<'a>>>);

#[cfg(not(loom))]
impl Future for BarrierFuture<'_> {
    type Output = bool;

    fn poll(self: std::pin::Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> std::task::Poll<bool> {
        // SAFETY: the inner future is pinned with this one, and nothing is moved out.
        unsafe { self.map_unchecked_mut(|this| &mut this.0) }.poll(cx)
    }
}

#[cfg(not(loom))]
impl fmt::Debug for BarrierFuture<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BarrierFuture").field(&self.0).finish()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{Arrive, Barrier, End, Request};
    use std::{sync::mpsc, thread, time::Duration};

    /// Whoever asks may be anywhere.
    #[test]
    fn a_barrier_tells_of_itself_also_while_its_lock_is_held() {
        static BARRIER: Barrier = Barrier::new(3);
        let held = BARRIER.arrivals.lock();
        let (tx, rx) = mpsc::channel();
        thread::spawn(move || {
            let mut things = Vec::new();
            Arrive { barrier: &BARRIER, is_last: false }.tell(&mut things);
            tx.send(things).unwrap();
        });
        let told = rx.recv_timeout(Duration::from_secs(20));
        drop(held);
        assert_eq!(told.unwrap()[0].end, End::Arrivals { came: 0, number: 3 });
    }
}
