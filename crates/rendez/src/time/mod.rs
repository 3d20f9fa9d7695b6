//! The runtime's clock.

#[cfg(not(loom))]
mod after_func;
#[cfg(not(loom))]
mod event;
mod instant;
#[cfg(not(loom))]
mod sleep;
#[cfg(not(loom))]
mod ticker;
#[cfg(not(loom))]
mod timer;

#[cfg(not(loom))]
pub use after_func::after_func;
#[cfg(not(loom))]
pub use event::{TimerEvent, timeout, timer};
pub use instant::Instant;
#[cfg(not(loom))]
pub use sleep::{SleepFuture, sleep, sleep_async, sleep_until, sleep_until_async};
#[cfg(not(loom))]
pub use ticker::Ticker;
#[cfg(not(loom))]
pub use timer::Timer;
