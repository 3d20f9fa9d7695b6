//! The runtime's clock, and what waits for it: sleeps, timers, tickers, functions that run later (Go's `time/sleep.go`, `tick.go`).
//!
//! | | |
//! | --- | --- |
//! | [`sleep`], [`sleep_until`] and their `_async` twins | let time pass |
//! | [`timer`] | a moment as an [event](crate::Event), for `select!` |
//! | [`timeout`] | any event, but for no longer |
//! | [`Timer`], [`Ticker`], [`chan::after`](crate::chan::after), [`at`](crate::chan::at), [`tick`](crate::chan::tick) | moments that are received |
//! | [`after_func`] | runs a function later |
//! | [`wall_clock`] | the time of day |
//!
//! # Rules
//!
//! Go's since 1.23: after `stop` or `reset`, no value of before can be received, and the channel of a timer has length and capacity
//! 0. Ticks that nobody takes in time are dropped, however many, and the next comes when it is due. What sleeps for no time returns at
//! once. A moment beyond what the clock can say never comes.
//!
//! # What it costs
//!
//! A moment that somebody waits for stands in a heap of the worker on which it was set: O(log n) to set and to clear, close to nothing for
//! one that is later than most; 28 bytes each. The time limits of goroutines need no lock. Those of async tasks, and functions,
//! are under a lock of their worker's, which is free unless another thread clears one; if that worker is late, idle ones see
//! to them. A [`Timer`], a [`Ticker`] or an `after` that nobody receives from stands nowhere, and nothing happens when its moment comes.

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
mod wall_clock;

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
#[cfg(not(loom))]
pub use wall_clock::wall_clock;
