//! How a stage learns that it is to end, whatever it waits for at the moment.
//!
//! A stage waits for its input and for its output, over and over, and beside each of these waits for two things that happen
//! once: its context ends, or nobody listens to it any more. To queue up for those two anew at every item would cost more than
//! the item. So a stage queues up for them once, in a future of its own that it keeps, and gives that future a waker which
//! is a *bell*: it leaves a mark and wakes the stage. An operation that does not find the mark does not ask further.
//!
//! No end is overlooked: the bell knows the waker of the present poll before the mark is looked at. Whoever rings it
//! later wakes the stage, which then finds the mark.

use crate::{
    Context, Event,
    chan::{Receiver, Sender},
};
use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Poll, Wake, Waker},
};

/// Ready when a stage that sends to `out` is to end.
pub(super) fn ended<'a, U>(ctx: &'a Context, out: &'a Sender<U>) -> impl Future + Send + 'a
where
    U: Send,
{
    ctx.bound(out.closed_event()).wait_async()
}

struct Bell {
    rung: AtomicBool,
    stage: Mutex<Waker>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        // Woken without the lock: a waker is somebody's code.
        let stage = self.stage.lock().unwrap_or_else(PoisonError::into_inner).clone();
        stage.wake();
    }
}

/// A stage's end, and its waits bounded by it.
pub(super) struct Ending<'a, F> {
    /// Until it is ready.
    ended: Option<Pin<&'a mut F>>,
    bell: Arc<Bell>,
    /// The bell, as what `ended` is polled with.
    ring: Waker,
    /// What the bell wakes.
    stage: Waker,
}

impl<'a, F: Future> Ending<'a, F> {
    pub(super) fn new(ended: Pin<&'a mut F>) -> Self {
        // Rung from the start, so that `ended` is polled before the first wait.
        let bell = Arc::new(Bell { rung: AtomicBool::new(true), stage: Mutex::new(Waker::noop().clone()) });
        Ending { ended: Some(ended), ring: Waker::from(bell.clone()), bell, stage: Waker::noop().clone() }
    }

    /// What `wait` yields; `None` if the stage is to end before, from then on always. The wait is dropped then, and has had no effect.
    pub(super) async fn unless<Fut: Future>(&mut self, wait: Fut) -> Option<Fut::Output> {
        self.unless_pinned(pin!(wait)).await
    }

    /// As [`unless`](Self::unless), for what is waited for at each item: where it lies, and not moved once more.
    fn unless_pinned<'w, Fut: Future>(
        &'w mut self,
        mut wait: Pin<&'w mut Fut>,
    ) -> impl Future<Output = Option<Fut::Output>> + use<'w, 'a, F, Fut> {
        poll_fn(move |cx| {
            if !self.stage.will_wake(cx.waker()) {
                self.stage.clone_from(cx.waker());
                *self.bell.stage.lock().unwrap_or_else(PoisonError::into_inner) = self.stage.clone();
            }
            let Some(ended) = &mut self.ended else { return Poll::Ready(None) };
            if self.bell.rung.load(Ordering::Acquire) && self.bell.rung.swap(false, Ordering::AcqRel) {
                let mut bell = std::task::Context::from_waker(&self.ring);
                if ended.as_mut().poll(&mut bell).is_ready() {
                    self.ended = None;
                    return Poll::Ready(None);
                }
            }
            wait.as_mut().poll(cx).map(Some)
        })
    }

    /// A value, or `Some(None)` at the end of the input; `None` if the stage is to end before.
    pub(super) async fn next<T>(&mut self, input: &Receiver<T>) -> Option<Option<T>> {
        Some(self.unless_pinned(pin!(input.recv_async())).await?.ok())
    }

    /// A value; `None` if there will be none, or the stage is to end.
    pub(super) async fn recv<T>(&mut self, input: &Receiver<T>) -> Option<T> {
        self.unless_pinned(pin!(input.recv_async())).await?.ok()
    }

    /// Sends a value; `None` if nobody takes it, or the stage is to end.
    pub(super) async fn send<U>(&mut self, out: &Sender<U>, value: U) -> Option<()> {
        self.unless_pinned(pin!(out.send_async(value))).await?.ok()
    }
}
