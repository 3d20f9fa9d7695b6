//! Why a stack could not be had.

use std::{error, fmt, io};

use super::{MAX_STACK_SIZE, MIN_STACK_SIZE};

/// Why a stack could not be had. Nothing is broken by any of these: a later attempt may succeed.
#[derive(Debug)]
pub(crate) enum StackError {
    /// The size asked for is below [`MIN_STACK_SIZE`].
    TooSmall {
        /// What was asked for, in bytes.
        size: usize,
    },
    /// The size asked for is above [`MAX_STACK_SIZE`].
    TooLarge {
        /// What was asked for, in bytes.
        size: usize,
    },
    /// The operating system, or our share of one of its limits, has no more to give.
    Exhausted {
        /// Size of the stack that could not be made, in bytes.
        size: usize,
        /// Which limit was met.
        limit: Limit,
        /// What the operating system said.
        error: io::Error,
    },
}

/// The limit behind [`StackError::Exhausted`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// Address space: `ulimit -v`, `ulimit -d`, strict overcommit, or the mapping count.
    AddressSpace,
    /// Guard pages made by `mprotect` have used up their share of `vm.max_map_count`.
    MapCount,
    /// The kernel had no memory for the page tables of a guard, or refused it for a reason of its own.
    Guard,
}

impl fmt::Display for StackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StackError::TooSmall { size } => write!(
                f,
                "a stack of {size} bytes is too small: ask for at least {MIN_STACK_SIZE} (guard page included)"
            ),
            StackError::TooLarge { size } => {
                write!(f, "a stack of {size} bytes is too large: ask for at most {MAX_STACK_SIZE}")
            }
            StackError::Exhausted { size, limit, error } => {
                let advice = match limit {
                    Limit::AddressSpace => {
                        "no address space left: raise `ulimit -v` and `ulimit -d`, allow overcommit \
                         (vm.overcommit_memory) or more mappings (vm.max_map_count), use smaller stacks (RENDEZ_STACK_SIZE) or park fewer goroutines"
                    }
                    Limit::MapCount => {
                        "the guard pages have used their share of vm.max_map_count: raise it with \
                         `sysctl -w vm.max_map_count=N` (two for each stack), use Linux 6.13 or later, whose guards \
                         cost none, or park fewer goroutines"
                    }
                    Limit::Guard => {
                        "the kernel refused its guard page: free memory, raise the memory limit of the cgroup, or \
                         park fewer goroutines"
                    }
                };
                write!(f, "no stack of {size} bytes to be had ({error}): {advice}")
            }
        }
    }
}

impl error::Error for StackError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            StackError::Exhausted { error, .. } => Some(error),
            StackError::TooSmall { .. } | StackError::TooLarge { .. } => None,
        }
    }
}

impl From<StackError> for io::Error {
    fn from(error: StackError) -> io::Error {
        let kind = match error {
            StackError::TooSmall { .. } | StackError::TooLarge { .. } => io::ErrorKind::InvalidInput,
            StackError::Exhausted { .. } => io::ErrorKind::OutOfMemory,
        };
        io::Error::new(kind, error)
    }
}
