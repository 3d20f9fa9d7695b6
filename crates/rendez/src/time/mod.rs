//! The runtime's clock.

mod instant;

pub use instant::Instant;

#[cfg(not(loom))]
pub use crate::sched::sleep;
