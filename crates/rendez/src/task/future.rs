//! Futures on goroutines: `block_on`, and `go_async`, which runs a future as a goroutine without a stack (see
//! [`async_task`]).

use super::{
    async_task,
    join::{JoinHandle, RawHandle},
};
use crate::{
    lock::SpinLock,
    sched,
    wait::{self, Node, Outcome, Reason, Status, WaitQueue, Waiter},
};
use std::{
    future::Future,
    mem,
    panic::Location,
    pin::pin,
    ptr,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
};

/// Runs a future to its end on the calling goroutine, or OS thread, which parks between polls.
///
/// It parks, or lets others run, between polls only, as long as the future awaits and calls nothing that blocks (nor a
/// `FuturesIo` that [suspends](crate::net#what-it-costs) to write): what it sets in
/// thread-locals for the length of a poll (a span, another runtime's context) nobody else sees.
///
/// # Blocking
/// Until the future is ready.
///
/// # Cancellation
/// When the runtime shuts down, the goroutine is unwound and the future dropped.
///
/// # Examples
/// ```
/// let (tx, rx) = rendez::chan::bounded(0);
/// rendez::go(move || tx.send("hello"));
/// assert_eq!(rendez::block_on(rx.recv_async()), Ok("hello"));
/// ```
pub fn block_on<Fut: Future>(future: Fut) -> Fut::Output {
    let signal = Arc::new(Signal::new());
    let waker = Waker::from(signal.clone());
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        let poll = {
            let _polling = Polling::new();
            future.as_mut().poll(&mut context)
        };
        match poll {
            Poll::Ready(output) => return output,
            Poll::Pending => signal.wait(),
        }
    }
}

/// While a poll goes on. What was said before is said again afterwards: a poll may call `block_on` itself.
struct Polling {
    before: bool,
}

impl Polling {
    fn new() -> Polling {
        Polling { before: sched::polling(true) }
    }
}

impl Drop for Polling {
    fn drop(&mut self) {
        sched::polling(self.before);
    }
}

/// Remembers one wake-up for the goroutine or thread in `block_on`.
struct Signal(SpinLock<SignalState>);

struct SignalState {
    woken: bool,
    sleeper: WaitQueue,
}

impl Signal {
    fn new() -> Signal {
        Signal(SpinLock::new(SignalState { woken: false, sleeper: WaitQueue::new() }))
    }

    fn wait(&self) {
        let waiter = Waiter::current();
        let node = Node::new(&waiter, 0, ptr::null_mut());
        {
            let mut state = self.0.lock();
            if mem::take(&mut state.woken) {
                drop(state);
                // A future that always wakes itself must not keep the worker.
                wait::spend_budget();
                wait::spent_in_vain();
                return;
            }
            // SAFETY: node and waiter stay in this frame until the wait is decided and the node out of the queue; nothing
            // in between unwinds.
            unsafe { state.sleeper.push(&node) };
        }
        if !matches!(waiter.wait(None, Reason::Future), Outcome::Arm(_)) {
            // SAFETY: this node is queued here or nowhere.
            unsafe { self.0.lock().sleeper.remove(&node) };
            wait::unwind_cancelled();
        }
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut state = self.0.lock();
        match state.sleeper.pop_winner() {
            Some(winner) => {
                let wakeup = winner.complete(Status::Done);
                drop(state);
                wakeup.wake();
            }
            None => state.woken = true,
        }
    }
}

/// Runs `future` on a goroutine without a stack of its own, which may move between workers at any await.
///
/// # Panics
/// If the global runtime can't be started. A panic in the future comes out of [`JoinHandle::join`].
///
/// # Cancellation
/// When the runtime shuts down, the future is dropped.
///
/// # Examples
/// ```
/// let (tx, rx) = rendez::chan::bounded(1);
/// let sum = rendez::go_async(async move {
///     let mut sum = 0;
///     while let Ok(n) = rx.recv_async().await {
///         sum += n;
///     }
///     sum
/// });
/// (1..=4).for_each(|n| tx.send(n).unwrap());
/// drop(tx);
/// assert_eq!(sum.join().unwrap(), 10);
/// ```
#[doc(alias("spawn"))]
#[track_caller]
pub fn go_async<Fut>(future: Fut) -> JoinHandle<Fut::Output>
where
    Fut: Future + Send + 'static,
    Fut::Output: Send + 'static,
{
    let runtime = sched::current_runtime();
    let task = async_task::allocate(future, sched::next_id(), Location::caller(), runtime.clone());
    sched::spawn_on(&runtime, task);
    // SAFETY: the handle's reference of a task whose result is a `Fut::Output`.
    JoinHandle(unsafe { RawHandle::new(task) })
}
