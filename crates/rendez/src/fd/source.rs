//! A thing that can be ready, as those who wait for it see it: two words and two queues.
//!
//! # Readiness
//!
//! The poller tells edges: that something has become ready, once. So readiness is kept here, in a word for each side
//! (reading, writing), and whoever tries an operation and finds that there is nothing (or no more) notes that.
//!
//! | bits | meaning | set by | cleared by |
//! | --- | --- | --- | --- |
//! | `READY` | worth an attempt | who is told of an edge, or has [reason](Source::may_be_ready) to try without one | who attempted in vain, or took less than he had room for |
//! | `LASTING` | as long as something is got: the stream has ended, or has urgent data in it | the same | who attempted in vain |
//! | the rest | counts the edges | the same | nobody |
//!
//! An attempt begins with a look at the word, and clears it by an exchange of what it saw: an edge that came in between has
//! changed the count, so the exchange fails and nothing is lost. Attempts that succeed write nothing. Before it is registered a
//! source counts as ready: one knows by trying. (Nobody would tell of an edge, so nothing is cleared.) When it is
//! registered, the words are cleared first: the poller tells at once of what is ready then.
//!
//! # Waiting
//!
//! Under the lock: who wants to wait looks at the word once more, then queues; who is told of an edge sets the word, then
//! takes all out of the queue. (All, not one: an edge may stand for many connections, and one that is woken may not want its turn
//! any more. Several that wait for one side of one source are rare.)
//!
//! # Life
//!
//! Sources are never freed, since a poller may have taken an event for one that has been given up meanwhile; they are
//! used again. A late event makes the next user's look ready for no reason, which costs an attempt in vain.

use crate::{
    lock::SpinLock,
    sched::{Poller, poller_here},
    wait::{Node, Status, WaitQueue, WakeBatch},
};
use std::{
    io,
    os::fd::BorrowedFd,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
};

const READY: u32 = 1;
const LASTING: u32 = 2;
const EDGE: u32 = 4;

/// After so many waits in a row on another worker of the same runtime than that of its poller, a source moves there.
const MOVES_AFTER: u32 = 4;

/// In which direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Read,
    Write,
}

/// What a poller tells of one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    Once,
    /// That less was got than there was room for does not mean that nothing is left.
    Lasting,
}

/// What an attempt saw before it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen(u32);

/// What became of a node that was to be queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Queued {
    Waits,
    /// It is worth another attempt, or closed, which that will tell.
    Ready,
}

#[derive(Debug)]
pub(crate) struct Source {
    words: [AtomicU32; 2],
    /// Whoever waits is woken, and every attempt fails. Written under the lock.
    closed: AtomicBool,
    /// With some poller. Written under the lock.
    registered: AtomicBool,
    inner: SpinLock<Inner>,
}

#[derive(Debug)]
struct Inner {
    queues: [WaitQueue; 2],
    /// Where it is registered.
    home: Option<&'static Poller>,
    /// How many waits in a row were on another worker.
    strays: u32,
}

/// Those that can be used again. They are made by the chunk.
static FREE: SpinLock<Vec<&'static Source>> = SpinLock::new(Vec::new());
const CHUNK: usize = 32;

impl Source {
    fn new() -> Source {
        Source {
            words: [AtomicU32::new(READY), AtomicU32::new(READY)],
            closed: AtomicBool::new(false),
            registered: AtomicBool::new(false),
            inner: SpinLock::new(Inner {
                queues: [WaitQueue::new(), WaitQueue::new()],
                home: None,
                strays: 0,
            }),
        }
    }

    /// A source that is nobody else's.
    pub(super) fn obtain() -> &'static Source {
        if let Some(source) = FREE.lock().pop() {
            return source;
        }
        let chunk = Box::leak(Box::new(std::array::from_fn::<_, CHUNK, _>(|_| Source::new())));
        let (first, others) = chunk.split_first().expect("a chunk has some");
        FREE.lock().extend(others);
        first
    }

    /// Gives it back. Nobody waits for it; `fd` is still open.
    pub(super) fn give_back(&'static self, fd: BorrowedFd<'_>) {
        let home = {
            let mut inner = self.inner.lock();
            inner.strays = 0;
            self.closed.store(false, Ordering::Relaxed);
            self.registered.store(false, Ordering::Relaxed);
            self.set_words(READY);
            inner.home.take()
        };
        if let Some(home) = home {
            home.deregister(fd);
        }
        FREE.lock().push(self);
    }

    /// Under the lock.
    fn set_words(&self, ready: u32) {
        for word in &self.words {
            let edges = word.load(Ordering::Relaxed) & !(READY | LASTING);
            word.store(edges.wrapping_add(EDGE) | ready, Ordering::Release);
        }
    }

    /// Whether an operation is worth an attempt.
    #[inline]
    pub(crate) fn look(&self, side: Side) -> Option<Seen> {
        let word = self.words[side as usize].load(Ordering::Acquire);
        (word & (READY | LASTING) != 0).then_some(Seen(word))
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// An attempt that began when `seen` was so has found nothing.
    pub(crate) fn was_in_vain(&self, side: Side, seen: Seen) {
        self.exchange(side, seen.0, seen.0 & !(READY | LASTING));
    }

    /// An attempt that began when `seen` was so has got less than it had room for.
    pub(crate) fn was_emptied(&self, side: Side, seen: Seen) {
        if seen.0 & LASTING == 0 {
            self.exchange(side, seen.0, seen.0 & !READY);
        }
    }

    fn exchange(&self, side: Side, seen: u32, now: u32) {
        if !self.registered.load(Ordering::Relaxed) {
            return;
        }
        // If it fails there was an edge, after which it is ready again.
        let _ = self.words[side as usize].compare_exchange(seen, now, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// Queues `node`, unless it has become worth another attempt.
    ///
    /// # Errors
    /// If the descriptor can't be registered with a poller.
    ///
    /// # Safety
    /// As for [`WaitQueue::push`]: the node leaves by [`leave`](Self::leave), or is popped.
    pub(crate) unsafe fn queue(
        &'static self,
        fd: BorrowedFd<'_>,
        side: Side,
        node: &Node,
    ) -> io::Result<Queued> {
        let here = poller_here()?;
        let mut inner = self.inner.lock();
        if self.is_closed() {
            return Ok(Queued::Ready);
        }
        let Some(home) = inner.home else {
            self.set_words(0);
            if let Err(error) = here.register(fd, self) {
                self.set_words(READY);
                return Err(error);
            }
            inner.home = Some(here);
            self.registered.store(true, Ordering::Relaxed);
            // SAFETY: passed on.
            unsafe { inner.queues[side as usize].push(node) };
            return Ok(Queued::Waits);
        };
        if self.look(side).is_some() {
            return Ok(Queued::Ready);
        }
        inner.strays = if std::ptr::eq(home, here) { 0 } else { inner.strays + 1 };
        let moves = inner.strays > MOVES_AFTER || !here.is_near(home);
        // What is ready now is told by the new one.
        if moves && here.register(fd, self).is_ok() {
            home.deregister(fd);
            inner.home = Some(here);
            inner.strays = 0;
        }
        // SAFETY: passed on.
        unsafe { inner.queues[side as usize].push(node) };
        Ok(Queued::Waits)
    }

    /// Takes `node` out of the queue if it is still there. Afterwards its wait is open or wholly decided.
    ///
    /// # Safety
    /// `node` is queued on this side or nowhere.
    pub(crate) unsafe fn leave(&self, side: Side, node: &Node) {
        // SAFETY: passed on.
        unsafe { self.inner.lock().queues[side as usize].remove(node) };
    }

    /// The poller tells what has become ready.
    pub(crate) fn is_told(&self, readiness: [Option<Readiness>; 2]) {
        for (side, readiness) in readiness.into_iter().enumerate() {
            let Some(readiness) = readiness else { continue };
            let mut inner = self.inner.lock();
            let word = &self.words[side];
            let before = word.load(Ordering::Relaxed);
            let lasting = if readiness == Readiness::Lasting { LASTING } else { before & LASTING };
            // Who clears it meanwhile is overwritten: as if the edge had come after that.
            let edges = (before & !(READY | LASTING)).wrapping_add(EDGE);
            word.store(edges | READY | lasting, Ordering::Release);
            // Most of the time there is one.
            let first = inner.queues[side].pop_winner().map(|winner| winner.complete(Status::Retry));
            let more = !inner.queues[side].is_empty();
            drop(inner);
            drop(first);
            if more {
                self.wake_all(side);
            }
        }
    }

    /// Somebody has a reason to attempt it though no edge was told: as if one had been.
    #[cold]
    pub(crate) fn may_be_ready(&self, side: Side) {
        let mut told = [None; 2];
        told[side as usize] = Some(Readiness::Once);
        self.is_told(told);
    }

    #[cold]
    fn wake_all(&self, side: usize) {
        let mut batch = WakeBatch::new();
        loop {
            let mut inner = self.inner.lock();
            while !batch.is_full()
                && let Some(winner) = inner.queues[side].pop_winner()
            {
                batch.push(winner.complete(Status::Retry));
            }
            drop(inner);
            let more = batch.is_full();
            batch.wake_all();
            if !more {
                return;
            }
        }
    }

    /// Whoever waits is woken, and every attempt fails from now on. Whether it was this call that closed it.
    pub(crate) fn close(&self) -> bool {
        let inner = self.inner.lock();
        let first = !self.closed.swap(true, Ordering::AcqRel);
        drop(inner);
        (0..2).for_each(|side| self.wake_all(side));
        first
    }
}
