//! Locks, and what else goroutines meet at: conditions, barriers, counts, groups, pools.
//!
//! None of these minds what else its process does: what does has a file of its own beside this folder.

mod barrier;
mod cond;
mod give_ups;
mod group;
mod mutex;
mod once;
mod pool;
mod rw_lock;
mod semaphore;
#[path = "../setup/mod.rs"]
mod setup;
mod single_flight;
mod wait_group;
#[path = "../worlds/mod.rs"]
mod worlds;
