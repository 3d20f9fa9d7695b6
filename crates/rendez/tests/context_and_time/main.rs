//! Contexts, timers, and what ends in time.
//!
//! None of these minds what else its process does: what does has a file of its own beside this folder.

mod after_func;
mod context;
mod context_ends;
mod context_tree;
#[path = "../setup/mod.rs"]
mod setup;
mod ticker;
mod timers;
mod virtual_time;
#[path = "../worlds/mod.rs"]
mod worlds;
