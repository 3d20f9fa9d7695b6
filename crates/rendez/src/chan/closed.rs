//! A channel's end as an event, for who sends: nobody listens any more.
//!
//! # Protocol
//!
//! The watch is made when somebody first asks for the event, so a channel that nobody watches pays one load when it
//! closes. Who makes it looks *afterwards* whether the channel is closed; who closes the channel looks *afterwards*
//! whether there is a watch. Both look under, or after, the channel's lock, so at least one of them sees the other. From then on
//! `closed` and the queue are under the watch's own lock, and nobody queues up once it is set.

use super::{Sender, channel::Channel};
use crate::{
    lock::SpinLock,
    select::{Event, Occurrence, Occurs},
    wait::{End, Node, Status, Tells, Thing, WaitQueue, WakeBatch},
};
use std::{
    fmt,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

/// What a channel has for those who watch its end.
#[derive(Default)]
pub(super) struct EndWatch(OnceLock<Box<Watch>>);

struct Watch {
    closed: AtomicBool,
    queue: SpinLock<WaitQueue>,
}

impl EndWatch {
    /// Who is last to be woken is left in `batch`, for the caller to wake.
    pub(super) fn tell(&self, batch: &mut WakeBatch) {
        if let Some(watch) = self.0.get() {
            watch.close(batch);
        }
    }
}

impl Watch {
    #[cold]
    fn close(&self, batch: &mut WakeBatch) {
        let mut queue = self.queue.lock();
        // Under the lock, so that nobody queues up after the queue has been emptied.
        self.closed.store(true, Ordering::Release);
        loop {
            if batch.is_full() {
                drop(queue);
                batch.wake_all();
                queue = self.queue.lock();
            }
            let Some(winner) = queue.pop_winner() else { return };
            batch.push(winner.complete(Status::Done));
        }
    }
}

impl Tells for Watch {
    fn tell(&self, things: &mut Vec<Thing>) {
        things.push(Thing::new("the end of a channel", End::Anybody));
    }
}

// SAFETY: all of it is made for any thread; nodes are decided, queued and taken out under the queue's lock.
unsafe impl Occurs for Watch {
    fn has_occurred(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    unsafe fn queue(&self, node: &Node) -> bool {
        let mut queue = self.queue.lock();
        let is_open = !self.closed.load(Ordering::Relaxed);
        if is_open {
            // SAFETY: passed on.
            unsafe { queue.push(node) };
        }
        is_open
    }

    unsafe fn leave(&self, node: &Node) {
        // SAFETY: passed on.
        unsafe { self.queue.lock().remove(node) };
    }
}

impl<T> Channel<T> {
    fn watch(&self) -> &Watch {
        let watch = self.end_watch.0.get_or_init(|| {
            Box::new(Watch { closed: AtomicBool::new(false), queue: SpinLock::new(WaitQueue::new()) })
        });
        if !watch.has_occurred() && self.is_closed() {
            watch.close(&mut WakeBatch::new());
        }
        watch
    }
}

impl<T> Sender<T> {
    /// The event that the channel closes: by a `close`, or because the last receiver has gone. For whoever would otherwise find
    /// out by its next send, and is busy waiting for something else.
    ///
    /// # Examples
    /// ```
    /// use rendez::{chan, select};
    /// let (tx, rx) = chan::bounded::<i32>(0);
    /// let input = chan::never::<i32>();
    /// let stage = rendez::go(move || select! {
    ///     recv(input) -> value => value.ok(),
    ///     wait(tx.closed_event()) -> () => None,
    /// });
    /// drop(rx);
    /// assert_eq!(stage.join().unwrap(), None);
    /// ```
    pub fn closed_event(&self) -> ClosedEvent<'_> {
        ClosedEvent { watch: self.channel.watch() }
    }
}

/// The event of [`Sender::closed_event`].
#[must_use = "an event does nothing unless it is waited for"]
#[derive(Clone, Copy)]
pub struct ClosedEvent<'a> {
    watch: &'a Watch,
}

impl<'a> Event for ClosedEvent<'a> {
    type Output = ();
    type Operation = Occurrence<'a>;

    fn operation(self) -> Occurrence<'a> {
        Occurrence::of(self.watch)
    }
}

impl fmt::Debug for ClosedEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClosedEvent").field("closed", &self.watch.has_occurred()).finish()
    }
}
