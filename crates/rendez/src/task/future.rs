//! Futures on goroutines: `block_on`, and `go_async`, which runs a future as a goroutine without a stack.
//!
//! An async goroutine is polled by short unstarted tasks, one for each time it is woken: they move between workers until
//! they start, so the future, which is `Send`, moves at any await; and a poll that calls something that blocks becomes an
//! ordinary parked goroutine, which leaves the worker free. The state machine of wake-ups is the `async-task` crate's; the
//! result goes into a header of its own, so that handles are the same as everybody's.
//!
//! A runtime knows its pending async goroutines by a waker each. When it shuts down it calls them all: being polled on a
//! runtime that is stopping drops the future. A poll that is left behind by the shutdown takes the async goroutine with it.

use super::{
    header::{self, Header},
    join::{JoinError, JoinHandle, RawHandle},
};
use crate::{
    lock::SpinLock,
    sched::{self, Shared},
    wait::{self, Node, Outcome, Reason, Status, WaitQueue, Waiter},
};
use async_task::Runnable;
use std::{
    future::Future,
    mem::{self, ManuallyDrop},
    panic::{AssertUnwindSafe, Location, catch_unwind},
    pin::{Pin, pin},
    ptr::{self, NonNull},
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Wake, Waker},
};

/// Runs a future to its end on the calling goroutine, or OS thread, which parks between polls.
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
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => signal.wait(),
        }
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
#[track_caller]
pub fn go_async<Fut>(future: Fut) -> JoinHandle<Fut::Output>
where
    Fut: Future + Send + 'static,
    Fut::Output: Send + 'static,
{
    let site = Location::caller();
    let runtime = sched::current_runtime();
    let header = header::allocate_result::<Fut::Output>(sched::next_id(), site);
    let key = runtime.async_tasks.reserve();
    let completion = Completion { header, result: None };
    let future = ManuallyDrop::new(future);
    let body = Body { future, dropped: false, completion, key, runtime: runtime.clone() };
    let home = runtime.clone();
    let schedule = move |runnable: Runnable| {
        let poll = header::allocate(move || _ = runnable.run(), sched::next_id(), site, None, 0);
        sched::spawn_on(&home, poll);
        // SAFETY: the handle's reference of a task just made, whose result is `()`.
        unsafe { header::release_handle(poll.as_ptr(), false) };
    };
    let (runnable, task) = async_task::spawn(body, schedule);
    task.detach();
    runtime.async_tasks.set(key, runnable.waker());
    runnable.schedule();
    // SAFETY: the handle's reference of a header whose result is a `Fut::Output`.
    JoinHandle(unsafe { RawHandle::new(header) })
}

/// The right to complete an async goroutine's header, used when dropped: with the result, or as cancelled without one.
struct Completion<R> {
    header: NonNull<Header>,
    result: Option<Result<R, JoinError>>,
}

// SAFETY: it carries an `R` to a handle on another thread; the header is made for sharing.
unsafe impl<R: Send> Send for Completion<R> {}

impl<R> Drop for Completion<R> {
    fn drop(&mut self) {
        let header = self.header.as_ptr();
        let result = self.result.take().unwrap_or_else(|| Err(JoinError::cancelled(header)));
        // SAFETY: the one completion of this header, whose result is an `R`.
        unsafe { header::complete_with::<R>(header, result) };
    }
}

/// The future with what is to be done when it ends. Its destructor is called here, under a boundary of our own, because
/// `async-task` answers a panic in a destructor by aborting the process.
struct Body<Fut: Future> {
    /// Dropped by `drop_future`, once.
    future: ManuallyDrop<Fut>,
    dropped: bool,
    completion: Completion<Fut::Output>,
    key: usize,
    runtime: Arc<Shared>,
}

impl<Fut: Future> Body<Fut> {
    /// Drops the future in place; a panic in its destructor becomes the result.
    ///
    /// # Safety
    /// The body is not polled afterwards.
    unsafe fn drop_future(&mut self) {
        if mem::replace(&mut self.dropped, true) {
            return;
        }
        // SAFETY: once, by the flag; in place, as pinning asks.
        let caught = catch_unwind(AssertUnwindSafe(|| unsafe { ManuallyDrop::drop(&mut self.future) }));
        if let Err(payload) = caught
            && !payload.is::<super::ForcedUnwind>()
        {
            self.completion.result = Some(Err(JoinError::panicked(self.completion.header.as_ptr(), payload)));
        }
    }
}

impl<Fut: Future> Future for Body<Fut> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // SAFETY: `future` is pinned with the body and never moved; the other fields are not pinned.
        let this = unsafe { self.get_unchecked_mut() };
        let _acting = Acting::begin(&this.completion);
        // SAFETY: as above; it has not been dropped, since a body that is ready is not polled again.
        let future = unsafe { Pin::new_unchecked(&mut *this.future) };
        let header = this.completion.header.as_ptr();
        this.completion.result = match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(output)) => Some(Ok(output)),
            Err(payload) if payload.is::<super::ForcedUnwind>() => None,
            Err(payload) => Some(Err(JoinError::panicked(header, payload))),
        };
        // SAFETY: ready.
        unsafe { this.drop_future() };
        Poll::Ready(())
    }
}

impl<Fut: Future> Drop for Body<Fut> {
    fn drop(&mut self) {
        let acting = Acting::begin(&self.completion);
        // SAFETY: it goes.
        unsafe { self.drop_future() };
        drop(acting);
        drop(self.runtime.async_tasks.remove(self.key));
    }
}

/// While it is there, the running goroutine has an async goroutine's future in its hands, and is left behind together with
/// it. It ends before the completion is used.
struct Acting {
    before: *const Header,
}

impl Acting {
    fn begin<R>(completion: &Completion<R>) -> Acting {
        Acting { before: sched::act_for(completion.header.as_ptr()) }
    }
}

impl Drop for Acting {
    fn drop(&mut self) {
        sched::act_for(self.before);
    }
}

/// The pending async goroutines of a runtime.
#[derive(Debug, Default)]
pub(crate) struct AsyncTasks(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    wakers: Vec<Option<Waker>>,
    free: Vec<usize>,
}

impl AsyncTasks {
    fn with<R>(&self, f: impl FnOnce(&mut Entries) -> R) -> R {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn reserve(&self) -> usize {
        self.with(|entries| {
            entries.free.pop().unwrap_or_else(|| {
                entries.wakers.push(None);
                entries.wakers.len() - 1
            })
        })
    }

    fn set(&self, key: usize, waker: Waker) {
        self.with(|entries| entries.wakers[key] = Some(waker));
    }

    fn remove(&self, key: usize) -> Option<Waker> {
        self.with(|entries| {
            entries.free.push(key);
            let waker = entries.wakers[key].take();
            if entries.free.len() == entries.wakers.len() && entries.free.len() > 1024 {
                *entries = Entries::default();
            }
            waker
        })
    }

    /// Wakes everybody, on a runtime that is stopping.
    pub(crate) fn wake_all(&self) {
        let wakers: Vec<Waker> =
            self.with(|entries| entries.wakers.iter_mut().filter_map(Option::take).collect());
        wakers.into_iter().for_each(Waker::wake);
    }
}
