//! Guard pages: the lowest page of every stack, where any access faults.
//!
//! Two ways. *Lightweight*: `MADV_GUARD_INSTALL` (Linux 6.13) marks the page table entry; it costs no mapping (VMA),
//! outlives `MADV_DONTNEED` (a test holds us to it) and goes with `munmap`. Where the kernel answers `EINVAL` (older
//! kernels, other systems, and memory under `mlockall(MCL_FUTURE)`, where it is not allowed), the pool changes for good
//! to *protect*: `mprotect(PROT_NONE)`, which splits the mapping: up to two VMAs a stack, of which a process may have
//! `vm.max_map_count` in all (65,530 by default). Running into that limit would make unrelated `mmap` and `munmap` calls
//! in the process fail, so all pools together keep to a [`Budget`] of three quarters of it.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use super::mem::{Advice, Mapping, Part};

/// How a pool makes its guard pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GuardMode {
    /// `MADV_GUARD_INSTALL`.
    Lightweight,
    /// `mprotect(PROT_NONE)`, within the budget.
    Protect,
}

/// How many VMAs one protected guard may cost.
pub(super) const VMAS_PER_GUARD: usize = 2;

/// The share of `vm.max_map_count` that protected guards may use.
#[derive(Debug)]
pub(super) struct Budget {
    limit: usize,
    used: AtomicUsize,
}

impl Budget {
    /// A budget of `limit` VMAs.
    pub(super) fn new(limit: usize) -> Arc<Budget> {
        Arc::new(Budget { limit, used: AtomicUsize::new(0) })
    }

    /// The budget of this process.
    pub(super) fn of_process() -> Arc<Budget> {
        static PROCESS: OnceLock<Arc<Budget>> = OnceLock::new();
        Arc::clone(PROCESS.get_or_init(|| {
            let limit = max_map_count().map_or(usize::MAX, |count| count - count / 4);
            Budget::new(limit)
        }))
    }

    /// Takes the cost of one guard, if it is there.
    fn take(&self) -> bool {
        let more = |used: usize| used.checked_add(VMAS_PER_GUARD).filter(|&used| used <= self.limit);
        // Relaxed: a counter that orders nothing else.
        self.used.fetch_update(Relaxed, Relaxed, more).is_ok()
    }

    /// Gives back the cost of `guards` guards.
    pub(super) fn put(&self, guards: usize) {
        self.used.fetch_sub(guards * VMAS_PER_GUARD, Relaxed);
    }

    /// VMAs taken now.
    #[cfg(test)]
    pub(super) fn used(&self) -> usize {
        self.used.load(Relaxed)
    }
}

/// The most mappings that the kernel allows a process; `None` where there is no such limit to read.
fn max_map_count() -> Option<usize> {
    if cfg!(any(target_os = "linux", target_os = "android")) {
        // The kernel's default, if /proc is not there to tell.
        let text = std::fs::read_to_string("/proc/sys/vm/max_map_count").unwrap_or_default();
        Some(text.trim().parse().unwrap_or(65_530))
    } else {
        None
    }
}

/// Why a guard was not installed.
#[derive(Debug)]
pub(super) enum GuardError {
    /// Lightweight guards are not to be had here: change to `Protect`.
    Unsupported,
    /// The budget, or the kernel's own limit behind it, is used up.
    MapCount(io::Error),
    /// Anything else.
    Refused(io::Error),
}

/// Installs guards on `pages`, each one page of `mapping`. Stops at the first that fails and says how many were done.
///
/// # Safety
/// Nobody uses the pages, now or later.
pub(super) unsafe fn install(
    mapping: &Mapping,
    pages: &[Part],
    mode: GuardMode,
    budget: &Budget,
) -> (usize, Result<(), GuardError>) {
    match mode {
        GuardMode::Lightweight if cfg!(any(target_os = "linux", target_os = "android")) => {
            // SAFETY: the caller's promise is the one that `advise` asks for.
            let (done, result) = unsafe { mapping.advise(pages, Advice::Guard) };
            let result = result.map_err(|error| match error.raw_os_error() {
                Some(libc::EINVAL) => GuardError::Unsupported,
                _ => GuardError::Refused(error),
            });
            (done, result)
        }
        GuardMode::Lightweight => (0, Err(GuardError::Unsupported)),
        GuardMode::Protect => {
            for (done, &page) in pages.iter().enumerate() {
                if !budget.take() {
                    let error = io::Error::from_raw_os_error(libc::ENOMEM);
                    return (done, Err(GuardError::MapCount(error)));
                }
                // SAFETY: as the caller promises, nobody uses the page.
                if let Err(error) = unsafe { mapping.forbid(page) } {
                    budget.put(1);
                    let error = match error.raw_os_error() {
                        Some(libc::ENOMEM) => GuardError::MapCount(error),
                        _ => GuardError::Refused(error),
                    };
                    return (done, Err(error));
                }
            }
            (pages.len(), Ok(()))
        }
    }
}
