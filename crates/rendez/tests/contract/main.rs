//! The public contract: what programs elsewhere may write.
//!
//! None of these minds what else its process does: what does has a file of its own beside this folder.
#![cfg(not(loom))]

mod api;
mod api_root;
mod auto_traits;
