//! Sockets against those of the standard library.
//!
//! None of these minds what else its process does: what does has a file of its own beside this folder.
#![cfg(not(loom))]

mod net_others;
mod net_parity;
mod net_tcp;
#[path = "../setup/mod.rs"]
mod setup;
#[path = "../worlds/mod.rs"]
mod worlds;
