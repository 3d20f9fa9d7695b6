//! Go's concurrency for Rust: goroutines, channels and `sync`, sound and uncoloured.
#![deny(unsafe_op_in_unsafe_fn)]

pub mod chan;
mod lock;
mod primitives;
#[cfg(not(loom))]
mod sched;
#[cfg(not(loom))]
mod stack;
pub mod sync;
#[cfg(not(loom))]
mod task;
pub mod time;
mod wait;

#[cfg(not(loom))]
pub use rendez_macros::main;
#[cfg(not(loom))]
pub use sched::{PanicPolicy, Runtime, RuntimeBuilder, run, set_workers, sleep, workers, yield_now};
#[cfg(not(loom))]
pub use task::{
    Builder, JoinError, JoinHandle, LocalJoinHandle, Placement, Scope, ScopedJoinHandle, block_on, go,
    go_async, go_local, scope,
};
