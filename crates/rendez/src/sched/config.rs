//! Settings: from the builder, else from the environment, else from the machine. A bad value is an error that names it.

use crate::stack;
use std::{env, io, thread, time::Duration};

/// The most workers that a runtime can have.
pub(crate) const MAX_WORKERS: usize = 1024;

/// The most that a program can be told to be slowed down.
const MAX_SLOWDOWN: usize = 10_000;

/// For how long a goroutine may have its worker before that is told, if that is to be told.
const STUCK_AFTER: Duration = Duration::from_millis(10);

/// What happens when a detached goroutine panics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PanicPolicy {
    /// The panic is printed, with the goroutine's number, name and spawn site, and the process goes on.
    #[default]
    Print,
    /// It is printed and the process exits with status 2, as Go does.
    Exit,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Config {
    pub(super) workers: Option<usize>,
    pub(super) stack_size: Option<usize>,
    pub(super) seed: Option<u64>,
    pub(super) panic_policy: PanicPolicy,
    pub(super) stuck_after: Option<Duration>,
    pub(super) spares: Option<usize>,
    pub(super) io_uring: Option<bool>,
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

fn from_env(name: &str, what: &str) -> io::Result<Option<usize>> {
    let Some(value) = env::var_os(name) else { return Ok(None) };
    let number = value.to_str().and_then(|text| text.trim().parse().ok());
    number.map(Some).ok_or_else(|| invalid(format!("{name}={value:?} is not {what}")))
}

fn check_workers(n: usize, origin: &str) -> io::Result<usize> {
    if (1..=MAX_WORKERS).contains(&n) {
        return Ok(n);
    }
    Err(invalid(format!("{origin}: the number of workers must be from 1 to {MAX_WORKERS}, not {n}")))
}

/// As [`check_workers`], for a call that has no error to return.
pub(super) fn assert_workers(n: usize) {
    if let Err(error) = check_workers(n, "set_workers") {
        panic!("{error}");
    }
}

impl Config {
    /// How many workers to start.
    pub(super) fn workers(&self) -> io::Result<usize> {
        if let Some(n) = self.workers {
            return check_workers(n, "RuntimeBuilder::workers");
        }
        if let Some(n) = from_env("RENDEZ_WORKERS", "a number of workers")? {
            return check_workers(n, "RENDEZ_WORKERS");
        }
        // Aware of cgroups and of the affinity mask.
        Ok(thread::available_parallelism().map_or(1, usize::from).min(MAX_WORKERS))
    }

    /// For how long a goroutine may have its worker, and whether `RENDEZ_STUCK` is set, which asks for reports.
    pub(super) fn stuck_after(&self) -> io::Result<(Duration, bool)> {
        let from_env = from_env("RENDEZ_STUCK", "a number of milliseconds")?;
        let limit = from_env.map_or(STUCK_AFTER, |ms| Duration::from_millis(ms as u64));
        Ok((self.stuck_after.unwrap_or(limit), from_env.is_some()))
    }

    /// How many spare workers there may be.
    pub(super) fn spares(&self) -> io::Result<usize> {
        match self.spares {
            Some(spares) => Ok(spares),
            None => Ok(from_env("RENDEZ_SPARES", "a number of spare workers")?.unwrap_or(0)),
        }
    }

    /// How many times slower than on the bare processor the program runs: bursts are taken to be so much shorter than they are.
    pub(super) fn slowdown() -> io::Result<u64> {
        match from_env("RENDEZ_SLOWDOWN", "a number of times")? {
            None => Ok(1),
            Some(times @ 1..=MAX_SLOWDOWN) => Ok(times as u64),
            Some(times) => Err(invalid(format!("RENDEZ_SLOWDOWN={times} is not from 1 to {MAX_SLOWDOWN}"))),
        }
    }

    /// Whether reads and writes of sockets may be made together, where the kernel can.
    pub(super) fn batches(&self) -> io::Result<bool> {
        if let Some(allowed) = self.io_uring {
            return Ok(allowed);
        }
        match from_env("RENDEZ_IO_URING", "0 or 1")? {
            None | Some(1) => Ok(true),
            Some(0) => Ok(false),
            Some(n) => Err(invalid(format!("RENDEZ_IO_URING={n} is neither 0 nor 1"))),
        }
    }

    /// The size of the goroutines' stacks, in bytes of address space.
    pub(super) fn stack_size(&self) -> io::Result<usize> {
        let (size, origin) = match self.stack_size {
            Some(size) => (size, "RuntimeBuilder::stack_size"),
            None => match from_env("RENDEZ_STACK_SIZE", "a stack size in bytes")? {
                Some(size) => (size, "RENDEZ_STACK_SIZE"),
                None => (stack::DEFAULT_STACK_SIZE, "the default"),
            },
        };
        stack::check_size(size).map_err(|error| invalid(format!("{origin}: {error}")))
    }
}
