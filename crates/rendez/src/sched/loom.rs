//! The scheduler as loom sees it: its two lock-free protocols, and what tries them.

mod loom_tests;
#[allow(dead_code, reason = "the run queue is for one thread")]
mod queue;
mod sleep;
