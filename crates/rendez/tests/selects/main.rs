//! Select: `select!`, `Select`, and events as values.
//!
//! None of these minds what else its process does: what does has a file of its own beside this folder.
#![cfg(not(loom))]

mod select;
mod select_async;
mod select_default;
mod select_dynamic;
mod select_events;
mod select_fairness;
mod select_offers;
mod select_pairs;
mod select_stress;
mod select_values;
#[path = "../setup/mod.rs"]
mod setup;
#[path = "../worlds/mod.rs"]
mod worlds;
