//! Go's concurrency for Rust: goroutines, channels and `sync`, sound where other coroutine libraries are not, without
//! colouring functions `async`.
//!
//! ```
//! use rendez::{chan, go};
//!
//! rendez::run(|| {
//!     let (tx, rx) = chan::bounded(0);
//!     for word in ["hello", "greetings", "good day"] {
//!         let tx = tx.clone();
//!         go(move || tx.send(word));
//!     }
//!     drop(tx);
//!     let mut words: Vec<&str> = rx.iter().collect();
//!     words.sort();
//!     assert_eq!(words, ["good day", "greetings", "hello"]);
//! });
//! ```
//!
//! # What is here
//!
//! * [`go`], [`go_local`], [`scope`](scope()) and [`Builder`] start goroutines: plain closures that may block, some four
//!   kilobytes each while they wait. [`JoinHandle`] waits for one and takes its result or its panic.
//! * [`go_async`] runs a future as a goroutine without a stack; [`block_on`] runs one where you are.
//! * [`run`], or `#[rendez::main]`, makes a closure the main goroutine; [`Runtime`] is for those who need several.
//! * [`select!`] waits for several things at once, as Go's `select`; [`Select`] does for arms that are known only at run time,
//!   and an [`Event`] is such a thing as a value.
//! * [`chan`] has bounded, unbounded and rendezvous channels; [`sync`] has locks, conditions, counters and pools: all of Go's,
//!   and a [`Barrier`](sync::Barrier).
//! * [`net`] has sockets in plain blocking style, [`fs`] files, [`process`] child processes, [`signal`] signals; [`blocking`](blocking()) makes any call that
//!   blocks its thread.
//! * [`Context`] says when to stop, and [`Context::bound`] has anything that blocks heed it; [`time`] has sleeps, timers and tickers.
#![cfg_attr(
    feature = "testing",
    doc = "* [`testing`] has virtual time, chosen schedules and leak checks; [`#[rendez::test]`](macro@test) makes tests of them."
)]
//!
//! Everything that blocks works from goroutines, from OS threads and, by its `_async` twin, from async tasks, and between
//! them.
//!
//! # What to know
//!
//! * **A goroutine stays on its OS thread** from its first instruction to its last, so thread-locals and `Rc`s are safe in
//!   it. Work moves between workers only before it starts (async goroutines: at any await). [`Placement`] has a say.
//! * **Thread-locals are per worker, not per goroutine**: other goroutines of the worker see and change them while one is
//!   parked. [`goroutine_local!`] declares values of a goroutine's own. Crates whose unsafe code trusts that a thread-local is left as it was set (scoped thread-locals set around a
//!   blocking call, from two goroutines) are the one thing that can break soundness.
//! * **A blocking system call blocks its worker**, unless it is made by [`blocking`](blocking()), or here: [`net`], [`fs`]. Goroutines are not preempted.
//!   New ones start on a spare worker meanwhile where one is allowed ([`RuntimeBuilder::spares`]).
//! * **Ending**: when a [`Runtime`] shuts down, parked goroutines are unwound, so that their destructors run. With
//!   `panic = "abort"` they can't be, and are left as they are.
//!
//! The feature `testing`, on by default, has the module of that name, and in every operation the question whether it runs under test: a
//! load and a branch. The feature `metrics` adds `diag::publish_metrics`, `sink` adds `Sender::sink`, and `futures-io` the `AsyncRead` and `AsyncWrite` of sockets and pipes, for code
//! that uses the `futures` crates.
//!
//! `RENDEZ_WORKERS` and `RENDEZ_STACK_SIZE` set the defaults of runtimes that don't set their own. With `RENDEZ_STUCK=10` goroutines that hold
//! their worker for longer than 10 ms are told of: see [`diag::on_stuck`]; `RENDEZ_SPARES` says how many spare workers may take their place: see
//! [`RuntimeBuilder::spares`]; with `RENDEZ_TRACE=file` what runs is recorded: see [`diag::trace`]; with `RENDEZ_IO_URING=0` no worker uses `io_uring`: see [`net`].
//! Under a tool that makes a program many times slower, as valgrind does, `RENDEZ_SLOWDOWN=50` has the time for which goroutines run counted
//! so many times shorter (from 1 to 10,000), so that they are placed as they would be without it.

#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// The chapters of the guide, whose examples are tests.
#[cfg(doctest)]
mod guide {
    macro_rules! chapters {
        ($($name:ident: $file:literal),+ $(,)?) => {
            $(#[doc = include_str!(concat!("../../../docs/guide/src/", $file))] struct $name;)+
        };
    }
    chapters! {
        Introduction: "introduction.md",
        Goroutines: "goroutines.md",
        Channels: "channels.md",
        Select: "select.md",
        Sync: "sync.md",
        Context: "context.md",
        Patterns: "patterns.md",
        Pipelines: "pipelines.md",
        Io: "io.md",
        FromGo: "from-go.md",
        FromTokio: "from-tokio.md",
        Translations: "translations.md",
        Limits: "limits.md",
        Symptoms: "symptoms.md",
    }
    #[cfg(feature = "testing")]
    chapters! { Testing: "testing.md" }
}

// What `select!` expands to names the crate, also in here.
#[cfg(not(loom))]
extern crate self as rendez;

#[cfg(not(loom))]
mod blocking;
pub mod chan;
#[cfg(not(loom))]
pub mod context;
#[cfg(not(loom))]
pub mod diag;
#[cfg(not(loom))]
mod fd;
#[cfg(not(loom))]
pub mod fs;
mod label;
mod lock;
#[cfg(not(loom))]
pub mod net;
#[cfg(not(loom))]
pub mod pattern;
/// Of `task`, the part that loom can check.
#[cfg(all(test, loom))]
#[path = "task/poll_state.rs"]
mod poll_state;
mod primitives;
#[cfg(not(loom))]
pub mod process;
#[cfg(not(loom))]
mod sched;
#[cfg(all(loom, test))]
#[path = "sched/loom.rs"]
mod sched;
pub mod select;
#[cfg(not(loom))]
pub mod signal;
#[cfg(not(loom))]
mod stack;
#[cfg(not(loom))]
mod stdin;
pub mod sync;
#[cfg(not(loom))]
mod task;
#[cfg(all(not(loom), feature = "testing"))]
pub mod testing;
pub mod time;
mod wait;

#[cfg(not(loom))]
pub use blocking::blocking;
#[cfg(not(loom))]
pub use context::{CancelFunc, Context, ContextError, StopFunc};
#[cfg(all(not(loom), feature = "testing"))]
#[doc(inline)]
pub use rendez_macros::test;
#[cfg(not(loom))]
#[doc(inline)]
pub use rendez_macros::{main, select};
#[cfg(not(loom))]
pub use sched::{PanicPolicy, Runtime, RuntimeBuilder, run, set_workers, workers, yield_now};
pub use select::{Event, choose};
#[cfg(not(loom))]
pub use select::{Select, SelectedOperation};
#[cfg(not(loom))]
pub use stdin::{Stdin, StdinEvent, stdin};
#[doc(hidden)]
#[cfg(not(loom))]
pub use task::local::is_send as __is_send;
#[cfg(not(loom))]
pub use task::{
    Builder, GoroutineLocal, JoinError, JoinFuture, JoinHandle, LocalJoinHandle, Placement, Scope,
    ScopedJoinHandle, block_on, go, go_async, go_local, scope,
};
#[cfg(not(loom))]
pub use time::sleep;

/// What the macros expand to names of. Not for use by hand.
#[doc(hidden)]
#[cfg(not(loom))]
pub mod __private {
    pub use crate::select::macros::*;
    #[cfg(feature = "testing")]
    pub use crate::testing::attribute::{Test, TestResult, succeed};
}
