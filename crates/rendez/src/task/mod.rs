//! Goroutines: what one is made of, how it is started, ended and joined.
//!
//! * [`header`]: the one allocation of a goroutine (bookkeeping, then closure, then result in the closure's place) and its
//!   life as a state word.
//!   [`heap`]: where that allocation comes from.
//! * [`fiber`]: a stack with a coroutine on it. A goroutine gets one only when it parks for the first time. [`switch`]: how stacks
//!   are left and gone back to.
//! * [`join`]: handles and errors. [`spawn`]: `go`, `go_local`, `Builder`. [`scope`]: goroutines that borrow.
//! * [`local`] holds what `goroutine_local!` makes.
//! * [`future`]: `block_on` and `go_async`. [`async_task`]: the one allocation of an async goroutine, with [`poll_state`],
//!   the word that its wakers change. [`join_future`]: awaiting a handle. [`unwind`]: how a runtime's shutdown ends a goroutine that is parked.

mod async_task;
pub(crate) mod fiber;
pub(crate) mod frames;
mod future;
pub(crate) mod header;
pub(crate) mod heap;
mod join;
mod join_event;
mod join_future;
pub(crate) mod local;
mod poll_state;
mod scope;
pub(crate) mod spawn;
mod switch;

pub use future::{block_on, go_async};
pub use join::{JoinError, JoinHandle, LocalJoinHandle};
pub use join_future::JoinFuture;
pub use local::GoroutineLocal;
pub use scope::{Scope, ScopedJoinHandle, scope};
pub use spawn::{Builder, Placement, go, go_local};

pub(crate) use async_task::{AsyncTasks, is_waker, note_await};
pub(crate) use header::{Goroutine, Header};
pub(crate) use spawn::start_detached;

/// The payload of the panic that unwinds a goroutine when its runtime shuts down.
pub(crate) struct ForcedUnwind;

impl Drop for ForcedUnwind {
    /// Whoever catches it drops it, as a rule: then the goroutine is no longer unwinding.
    fn drop(&mut self) {
        crate::sched::note_unwind(false);
    }
}

/// Frames that were unwound on a goroutine's stack leave marks with AddressSanitizer, which clears those of thread stacks
/// alone (it says so: "false positive error reports may follow"). Called where an unwind has been caught: what is
/// deeper on the stack is dead.
#[inline(always)]
pub(crate) fn forget_unwound_frames() {
    #[cfg(rendez_sanitize)]
    {
        const DEEP: usize = 128 * 1024;
        unsafe extern "C" {
            fn __asan_unpoison_memory_region(start: *const std::ffi::c_void, size: usize);
        }
        let here = 0_u64;
        let here = (&raw const here).addr();
        // SAFETY: it changes what the sanitizer knows of that memory, not the memory; its runtime is linked in.
        unsafe { __asan_unpoison_memory_region(std::ptr::without_provenance(here - DEEP), DEEP) };
    }
}

/// Ends the calling goroutine by unwinding it, so that its destructors run. The panic hook is not called: nothing went
/// wrong. Where nothing can be unwound it stays where it is, for good, and the shutdown leaves it behind.
pub(crate) fn unwind() -> ! {
    if cfg!(panic = "abort") && crate::sched::current_goroutine().is_some() {
        loop {
            // As at the end of a scope, because no shutdown interrupts that wait.
            crate::wait::Waiter::current().wait(None, crate::wait::Reason::Scope);
        }
    }
    crate::sched::note_unwind(true);
    std::panic::resume_unwind(Box::new(ForcedUnwind))
}
