//! Goroutines of both kinds, scopes and runtimes: how they begin, run and end.
//!
//! None of these minds what else its process does: what does has a file of its own beside this folder.
#![cfg(not(loom))]

mod affinity;
mod async_endings;
mod async_goroutines;
mod async_join;
mod async_wakers;
mod block_on;
mod blocking;
mod blocking_wakers;
mod kept;
mod local;
mod sched;
mod scope;
#[path = "../setup/mod.rs"]
mod setup;
mod shutdown;
mod task;
mod unwinding;
#[path = "../worlds/mod.rs"]
mod worlds;
