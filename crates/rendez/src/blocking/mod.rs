//! Calls that block their thread, carried out where that hurts nobody: on a pool of threads.

mod offload;
mod pool;

pub(crate) use offload::{Offload, offload};
pub(crate) use pool::{Kind, figures as pool_figures};

use crate::{
    sched::{self, harness},
    wait::{Outcome, Reason, Waiter},
};
use pool::Job;
use std::{
    cell::UnsafeCell,
    mem,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    thread,
};

/// Runs `f`, which may block its thread (a call of a C library, a large file, a lock of another library), on a thread of
/// a pool, while the calling goroutine is parked and its worker goes on with others. Returns what `f` returns.
///
/// Since the caller waits, `f` may borrow from it. Outside of goroutines there is no worker to spare, and `f` is simply called. `f` does not
/// run on the caller's thread: thread-locals are the pool's, and [`go`](crate::go) inside it starts goroutines of the global
/// runtime.
///
/// The pool is the process's. It has as many threads as calls at the same time, up to 512; more calls wait for their turn, first come,
/// first served. (Lookups of names, which may hang all at once, have no more than half of them.) A thread that has had nothing to do for five seconds ends. If no thread can be started at all, `f` runs
/// where it was called.
///
/// # Panics
/// With `f`'s panic.
///
/// # Blocking
/// Parks the goroutine until `f` has returned. In a runtime under test the clock stands meanwhile.
///
/// # Cancellation
/// None: nothing can stop `f`, and its borrows have to last. A runtime's shutdown waits until `f` has returned, and unwinds the
/// goroutine when it next waits.
///
/// # Examples
/// ```
/// let names = vec!["a", "b"];
/// let total: usize = rendez::run(|| {
///     // Reading a large file, say.
///     rendez::blocking(|| names.iter().map(|name| name.len()).sum())
/// });
/// assert_eq!(total, 2);
/// ```
#[doc(alias("spawn_blocking", "block_in_place"))]
pub fn blocking<F, R>(f: F) -> R
where
    F: FnOnce() -> R + Send,
    R: Send,
{
    if sched::current_goroutine().is_none() {
        return f();
    }
    let call = Call { content: UnsafeCell::new(Content::Todo(f)), waiter: Waiter::current() };
    let job = Job { run: Call::<F, R>::run, call: (&raw const call).cast_mut().cast(), kind: Kind::Call };
    {
        // A shutdown does not give up on a goroutine that waits for this; the clock of a test stands.
        let _counted = sched::count_offloaded();
        let _hold = harness::hold();
        // SAFETY: the call stays in this frame until it has been carried out, which is what is waited for here: no
        // shutdown ends this wait. (One that can't unwind, or has lost patience, leaves the goroutine behind with its
        // frames, which are never freed.)
        unsafe { pool::submit(job) };
        let outcome = call.waiter.wait(None, Reason::Blocking);
        debug_assert_eq!(outcome, Outcome::Arm(0));
    }
    match call.content.into_inner() {
        Content::Done(Ok(result)) => result,
        Content::Done(Err(payload)) => resume_unwind(payload),
        Content::Todo(_) | Content::Running => unreachable!("the wait ends when the call is done"),
    }
}

/// A call, in its caller's frame.
struct Call<F, R> {
    /// The pool's thread's until the waiter is completed, then the caller's.
    content: UnsafeCell<Content<F, R>>,
    waiter: Waiter,
}

enum Content<F, R> {
    Todo(F),
    Running,
    Done(thread::Result<R>),
}

impl<F: FnOnce() -> R, R> Call<F, R> {
    /// # Safety
    /// `call` is a `Call<F, R>` that has been submitted, and this is the one time that it is run.
    unsafe fn run(call: *mut ()) {
        let call = call.cast_const().cast::<Self>();
        // SAFETY: it is there until its waiter is completed, and the content is ours until then.
        let content = unsafe { (*call).content.get() };
        // SAFETY: as above; the borrow ends here.
        let Content::Todo(f) = mem::replace(unsafe { &mut *content }, Content::Running) else {
            unreachable!("a call is run once")
        };
        let result = catch_unwind(AssertUnwindSafe(f));
        // SAFETY: as above. A claim fails only if the caller has been left behind, with its frame.
        unsafe {
            *content = Content::Done(result);
            if (*call).waiter.claim() {
                (*call).waiter.complete(0).wake();
            }
        }
    }
}
