//! Goroutines: what one is made of, how it is started, ended and joined.
//!
//! * [`header`]: the one allocation of a goroutine (bookkeeping, then closure, then result in the closure's place) and its
//!   life as a state word.
//!   [`heap`]: where that allocation comes from.
//! * [`fiber`]: a stack with a coroutine on it. A goroutine gets one only when it parks for the first time.
//! * [`join`]: handles and errors. [`spawn`]: `go`, `go_local`, `Builder`. [`scope`]: goroutines that borrow.
//! * [`future`]: `block_on` and `go_async`. [`unwind`]: how a runtime's shutdown ends a goroutine that is parked.

pub(crate) mod fiber;
mod future;
pub(crate) mod header;
pub(crate) mod heap;
mod join;
mod scope;
pub(crate) mod spawn;

pub use future::{block_on, go_async};
pub use join::{JoinError, JoinHandle, LocalJoinHandle};
pub use scope::{Scope, ScopedJoinHandle, scope};
pub use spawn::{Builder, Placement, go, go_local};

pub(crate) use future::AsyncTasks;
pub(crate) use header::{Goroutine, Header};

/// The payload of the panic that unwinds a goroutine when its runtime shuts down.
pub(crate) struct ForcedUnwind;

impl Drop for ForcedUnwind {
    /// Whoever catches it drops it, as a rule: then the goroutine is no longer unwinding.
    fn drop(&mut self) {
        crate::sched::note_unwind(false);
    }
}

/// Ends the calling goroutine by unwinding it, so that its destructors run. The panic hook is not called: nothing went
/// wrong.
pub(crate) fn unwind() -> ! {
    crate::sched::note_unwind(true);
    std::panic::resume_unwind(Box::new(ForcedUnwind))
}
