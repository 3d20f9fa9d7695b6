//! Go's patterns of concurrency: pieces of a pipeline, and what joins them. Built on the public interface of this crate alone.
//!
//! | | |
//! | --- | --- |
//! | [`generator`], [`repeat`], [`repeat_with`] | from values to a channel |
//! | [`map`], [`filter`], [`take`], [`buffer`], [`batch`], [`or_done`] | one channel in, one out |
//! | [`fan_out`], [`fan_in`], [`tee`], [`tee_n`], [`bridge`] | one to many, many to one |
//! | [`ordered_map`] | many at a time, and in order all the same |
//! | [`or`] | the first of any number of signals |
//! | [`try_map`], [`until_error`], [`split_errors`], [`collect_all`] | errors as values |
//! | [`rate_limit`], [`RateLimit`] | how often something may happen |
//! | [`heartbeat`], [`Supervisor`] | is it alive, and if not, again |
//! | [`replicate`] | the same request to several, the first answer wins |
//! | [`Pipeline`] | several of these as one thing, with its errors, its panics and a report |
//!
//! ```
//! use rendez::{Context, pattern};
//! let (ctx, _cancel) = Context::background().with_cancel();
//! let numbers = pattern::generator(&ctx, [1, 2, 3, 4]);
//! let added = pattern::map(&ctx, numbers, |n| n + 1);
//! let doubled = pattern::map(&ctx, added, |n| n * 2);
//! assert_eq!(doubled.iter().collect::<Vec<i32>>(), [4, 6, 8, 10]);
//! ```
//!
//! # How a stage ends
//!
//! Every stage is an async goroutine, which takes no stack while it waits, and moves to a worker that is idle. It ends, closes its output
//! and lets go of its input
//! * when its input has ended;
//! * when its context ends, whatever it is waiting for;
//! * when its output's last receiver is dropped, or closes it, whatever it is waiting for. As it lets go of its input, the stage
//!   before it ends too: dropping the last channel of a chain ends the whole of it. So a context is needed only where somebody else
//!   is to be able to end it; else pass [`Context::background()`](crate::Context::background).
//!
//! It can't end in the midst of a function that it was given. A value that it has in hand when it is told to end is dropped.
//!
//! # The functions that a stage is given
//!
//! They are plain closures, called by one goroutine at a time unless something else is said, and may block as any goroutine
//! may: the stage then takes a stack for as long. A closure that panics ends its stage as if its input had ended, and is told as any panic of a
//! goroutine that nobody joins. Where that must not pass for a regular end, use a [`Pipeline`], which tells.
//!
//! # Values
//!
//! Each comes out once and, where nothing else is said, in the order in which it came in. Stages pass values by rendezvous: one that
//! nobody wants yet is not asked for. [`buffer`] puts a queue where one is wanted.
#![forbid(unsafe_code)]

mod batch;
mod ending;
mod errors;
mod fan;
mod heartbeat;
mod linear;
mod meter;
mod or;
mod ordered;
mod pipeline;
mod rate;
mod replicate;
mod source;
mod supervisor;
mod tee;

pub use batch::batch;
pub use errors::{collect_all, split_errors, try_map, until_error};
pub use fan::{bridge, fan_in, fan_out};
pub use heartbeat::{Pulse, heartbeat};
pub use linear::{buffer, filter, map, or_done, take};
pub use or::or;
pub use ordered::ordered_map;
pub use pipeline::{Pipeline, PipelineError, Report, Run, StageReport};
pub use rate::{RateLimit, rate_limit};
pub use replicate::{ReplicateError, replicate, replicate_async};
pub use source::{generator, repeat, repeat_with};
pub use supervisor::{Failure, Supervisor, SupervisorError};
pub use tee::{tee, tee_n};
