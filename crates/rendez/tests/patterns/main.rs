//! The patterns, and pipelines of them.
//!
//! None of these minds what else its process does: what does has a file of its own beside this folder.
#![cfg(not(loom))]

mod pattern;
mod pattern_ends;
mod pattern_more;
mod pipeline;
#[path = "../setup/mod.rs"]
mod setup;
#[path = "../stages/mod.rs"]
mod stages;
