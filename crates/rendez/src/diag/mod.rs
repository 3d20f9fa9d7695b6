//! Programs that go wrong explain themselves.
//!
//! * **A deadlock.** When nothing in the process can ever run again, `fatal error: all goroutines are asleep - deadlock!` is printed with
//!   each goroutine, what it waits for and where it was created, and each OS thread that waits for something of rendez; and the process exits
//!   with status 2, as Go's does. That takes some tenths of a second to be sure. It is told of threads alone, too. It is not said while a timer is set, while an async task's alarm is, or while there is an OS thread that rendez does not
//!   know, which might still wake somebody; a program that has such threads for ever (a server of another crate's, say) is never said
//!   to be dead.
//! * **A stack overflow.** A goroutine that runs into the guard page at the end of its stack is named, with where it was
//!   created, how large its stack is, how to enlarge it, and its backtrace; then the process aborts. Any other fault goes to
//!   whoever handled such faults before.
//! * **An abort.** When the process is aborted in a goroutine, by a panic in a destructor that a panic runs, say, that goroutine is named.
//! * [`dump`] says which goroutines there are; [`dump_on_quit`] has that printed on `SIGQUIT`.
//! * [`deadlocked`] finds those who wait only for each other, while the rest goes on.
//! * [`trace`]: what ran where and why it waited, for Perfetto.
//! * [`on_stuck`]: a goroutine that holds its worker for too long is named, with its calls.
//! * [`stats`] says what the scheduler has done: goroutines, waits, wake-ups, how long these took, workers, stacks.
//!
//! The first, `dump` and `deadlocked` say what a goroutine waits for: a channel, a lock, a semaphore, a condition, a barrier or a wait group by its name (`set_name`), by the type of
//! what is in it, and by where it was made (of locks only where debug assertions are on); with who holds it, or was given an
//! end of it when it was created; and, after the last one, the circles in which some wait for each other.

pub(crate) mod aborts;
mod backtrace;
mod deadlocked;
mod dump;
mod handler;
pub(crate) mod overflow;
mod quit;
mod raw;
mod stats;
pub(crate) mod stuck;
mod told;
pub mod trace;

pub use deadlocked::{Deadlocked, Group, deadlocked};
pub(crate) use dump::write_all;
pub use dump::{Dump, dump};
pub use quit::{AfterDump, dump_on_quit};
#[cfg(feature = "metrics")]
pub use stats::publish::publish_metrics;
pub use stats::{
    BlockingStats, Counts, Goroutines, HighWater, Latency, RuntimeStats, StackStats, Stats, WorkerStats,
    stats,
};
pub use stuck::{Stuck, on_stuck};
pub(crate) use told::write_rings;
#[cfg(feature = "testing")]
pub(crate) use told::write_waits;
