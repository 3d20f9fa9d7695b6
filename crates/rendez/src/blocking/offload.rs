//! Calls that own what they need, whose end is waited for as anything else is: also for a while only, or not at all.

use super::pool::{self, Job, Kind};
use crate::{
    lock::SpinLock,
    sched::deadlock::Outside,
    select::Occurs,
    wait::{End, Node, Status, Tells, Thing, WaitQueue, WakeBatch},
};
use std::{
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// A call on the pool, and then its result. Dropping it lets the call go on, and its result be dropped.
#[derive(Debug)]
pub(crate) struct Offload<R> {
    shared: Arc<Shared<R>>,
}

#[derive(Debug)]
struct Shared<R> {
    done: AtomicBool,
    inner: SpinLock<Inner<R>>,
}

struct Inner<R> {
    result: Option<thread::Result<R>>,
    waiters: WaitQueue,
}

/// Has `f` run on the pool.
pub(crate) fn offload<R: Send + 'static>(kind: Kind, f: impl FnOnce() -> R + Send + 'static) -> Offload<R> {
    let inner = SpinLock::new(Inner { result: None, waiters: WaitQueue::new() });
    let shared = Arc::new(Shared { done: AtomicBool::new(false), inner });
    let call = Box::new(Call { f, shared: shared.clone(), outside: Outside::new() });
    let job = Job { run: run(&call), call: Box::into_raw(call).cast(), kind };
    // SAFETY: the call is owned and `Send`, and `run` does not unwind.
    unsafe { pool::submit(job) };
    Offload { shared }
}

struct Call<F, R> {
    f: F,
    shared: Arc<Shared<R>>,
    /// Until somebody who waits has been woken.
    outside: Outside,
}

/// What runs a call of this type.
fn run<F: FnOnce() -> R, R>(_: &Call<F, R>) -> unsafe fn(*mut ()) {
    /// # Safety
    /// `call` came out of a `Box<Call<F, R>>`, and this is the one time that it is run.
    unsafe fn run<F: FnOnce() -> R, R>(call: *mut ()) {
        // SAFETY: by contract.
        let Call { f, shared, outside } = *unsafe { Box::from_raw(call.cast::<Call<F, R>>()) };
        let result = catch_unwind(AssertUnwindSafe(f));
        shared.complete(result);
        drop(outside);
        // The last reference drops the result, which is somebody's code.
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(shared))) {
            mem::forget(payload);
        }
    }
    run::<F, R>
}

impl<R> Shared<R> {
    fn complete(&self, result: thread::Result<R>) {
        let mut batch = WakeBatch::new();
        let mut inner = self.inner.lock();
        inner.result = Some(result);
        self.done.store(true, Ordering::Release);
        loop {
            while !batch.is_full()
                && let Some(winner) = inner.waiters.pop_winner()
            {
                batch.push(winner.complete(Status::Done));
            }
            drop(inner);
            if !batch.is_full() {
                return batch.wake_all();
            }
            batch.wake_all();
            inner = self.inner.lock();
        }
    }
}

impl<R> Offload<R> {
    /// The result, once it is there.
    pub(crate) fn take(&self) -> Option<thread::Result<R>> {
        if self.shared.done.load(Ordering::Acquire) { self.shared.inner.lock().result.take() } else { None }
    }
}

// SAFETY: results are `Send`, and taken under the lock; waiters are decided under it too.
unsafe impl<R: Send> Occurs for Offload<R> {
    fn has_occurred(&self) -> bool {
        self.shared.done.load(Ordering::Acquire)
    }

    unsafe fn queue(&self, node: &Node) -> bool {
        let mut inner = self.shared.inner.lock();
        if self.has_occurred() {
            return false;
        }
        // SAFETY: passed on.
        unsafe { inner.waiters.push(node) };
        true
    }

    unsafe fn leave(&self, node: &Node) {
        // SAFETY: passed on.
        unsafe { self.shared.inner.lock().waiters.remove(node) };
    }
}

impl<R> Tells for Offload<R> {
    fn tell(&self, things: &mut Vec<Thing>) {
        things.push(Thing::new("a call on the pool", End::Anybody));
    }
}
