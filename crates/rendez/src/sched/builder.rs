//! What can be set before a runtime starts.

use super::{
    Runtime,
    config::{Config, PanicPolicy},
};
use std::{io, time::Duration};

/// Settings of a [`Runtime`]; what is not set comes from the environment, else from the machine.
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until `build`"]
pub struct RuntimeBuilder {
    config: Config,
}

impl RuntimeBuilder {
    /// The number of workers, from 1 to 1024. Default: `RENDEZ_WORKERS`, else the CPUs available to the process.
    pub fn workers(mut self, workers: usize) -> Self {
        self.config.workers = Some(workers);
        self
    }

    /// The address space of a goroutine's stack, in bytes, from 16 KiB to 1 GiB, guard page included; memory is used as
    /// far as the stack is. Default: `RENDEZ_STACK_SIZE`, else 256 KiB.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.config.stack_size = Some(bytes);
        self
    }

    /// The seed of the runtime's randomness. Default: random.
    pub fn seed(mut self, seed: u64) -> Self {
        self.config.seed = Some(seed);
        self
    }

    /// What a panic in a detached goroutine does. Default: [`PanicPolicy::Print`].
    pub fn panic_policy(mut self, policy: PanicPolicy) -> Self {
        self.config.panic_policy = policy;
        self
    }

    /// For how long a goroutine may have its worker without letting others run, before
    /// [`diag::on_stuck`](crate::diag::on_stuck) is told, and a [spare](Self::spares) may take the place of the worker.
    /// Default: `RENDEZ_STUCK`, in milliseconds, else 10 ms.
    pub fn stuck_after(mut self, limit: Duration) -> Self {
        self.config.stuck_after = Some(limit);
        self
    }

    /// How many spare workers there may be; 0 for none. Default: `RENDEZ_SPARES`, else 0.
    ///
    /// When a worker has been kept by one goroutine for as long as [`stuck_after`](Self::stuck_after) says, in a call that
    /// blocks its thread or in a computation, and there is work that it can't come to and nobody else is free for, a spare
    /// worker takes that: it starts new goroutines and polls async ones. Those that have started on the worker that is kept
    /// stay there. The spare takes nothing new once that worker has come back; it finishes what it has started, beside the
    /// workers, and then its thread sleeps until a spare is wanted again. [`workers`](crate::workers()) does not count spares.
    ///
    /// A thread of the library looks around once in that time while workers are at work, which takes some microseconds; where
    /// nothing goes on but a call that blocks, less and less often, down to three times a second; where all sleep, never.
    ///
    /// There are none by default: what a spare has started stays on its thread, so more threads than there are workers run
    /// goroutines from then on.
    pub fn spares(mut self, spares: usize) -> Self {
        self.config.spares = Some(spares);
        self
    }

    /// Whether workers may use `io_uring`, where the kernel lets them: see [`net`](crate::net#what-it-costs). Default: `RENDEZ_IO_URING`, 0 or 1, else yes.
    pub fn io_uring(mut self, allowed: bool) -> Self {
        self.config.io_uring = Some(allowed);
        self
    }

    /// Starts the runtime.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] for a number of workers or a stack size out of range, here or in the environment;
    /// otherwise what the system says when threads or stacks can't be had.
    pub fn build(self) -> io::Result<Runtime> {
        Runtime::with(&self.config)
    }
}
