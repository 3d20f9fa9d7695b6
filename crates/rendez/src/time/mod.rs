//! The runtime's clock.

#[cfg(not(loom))]
mod alarm;
mod instant;
#[cfg(not(loom))]
mod timer;

#[cfg(not(loom))]
pub(crate) use alarm::Alarm;
pub use instant::Instant;
#[cfg(not(loom))]
pub use timer::{TimerEvent, timeout, timer};

#[cfg(not(loom))]
pub use crate::sched::sleep;
