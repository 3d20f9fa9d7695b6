//! Channels.
//!
//! None of these minds what else its process does: what does has a file of its own beside this folder.

mod chan;
mod chan_async;
mod chan_close;
mod chan_model;
mod chan_order;
mod chan_timeout;
mod chan_values;
mod drops;
mod foreign_wakers;
mod sink;
#[path = "../worlds/mod.rs"]
mod worlds;
