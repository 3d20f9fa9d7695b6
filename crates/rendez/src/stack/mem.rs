//! The system calls: one owned mapping, and advice on parts of it.
//!
//! Advice on many parts goes to the kernel in one call where it can: `process_madvise` on ourselves takes a vector,
//! which saves little on one CPU but a great deal when other threads run, because the TLB shoot-down is paid once
//! a call (measured on 2 CPUs, Linux 6.18, returning every second slot with another thread running: 17.2 us a slot
//! by `madvise`, 0.5 us in vectors of 256). Kernels without it (before 6.14) get one `madvise` for each part.

use std::num::NonZeroUsize;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::{io, ptr};

/// The page size of this machine.
pub(crate) fn page_size() -> usize {
    static SIZE: OnceLock<usize> = OnceLock::new();
    *SIZE.get_or_init(|| {
        // SAFETY: `sysconf` reads a constant; it touches none of our memory.
        let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        usize::try_from(size).ok().filter(|size| size.is_power_of_two()).unwrap_or(4096)
    })
}

/// A part of a mapping: offset from its start and length, in bytes, both whole pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) offset: usize,
    pub(super) len: usize,
}

/// What to tell the kernel about a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Advice {
    /// `MADV_GUARD_INSTALL`: any access faults from now on. The content is lost.
    Guard,
    /// `MADV_POPULATE_WRITE`: have the pages there before the first access.
    Populate,
    /// `MADV_DONTNEED`: take the pages away. The content is lost; guards stay.
    Discard,
}

impl Advice {
    fn number(self) -> libc::c_int {
        match self {
            // Not in libc for every target: <asm-generic/mman-common.h>, Linux 6.13.
            Advice::Guard => 102,
            // Linux 5.14.
            Advice::Populate => 23,
            Advice::Discard => libc::MADV_DONTNEED,
        }
    }
}

/// An anonymous, private, readable and writable mapping; unmapped when dropped.
///
/// Addresses are kept as numbers: nothing in this module reads or writes the memory itself.
#[derive(Debug)]
pub(super) struct Mapping {
    start: NonZeroUsize,
    len: usize,
}

impl Mapping {
    /// Reserves `len` bytes (whole pages) of address space. Pages come when they are touched.
    pub(super) fn new(len: usize) -> io::Result<Mapping> {
        let mut flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        #[cfg(any(target_os = "linux", target_os = "android"))]
        {
            flags |= libc::MAP_NORESERVE | libc::MAP_STACK;
        }
        #[cfg(any(target_os = "openbsd", target_os = "netbsd"))]
        {
            flags |= libc::MAP_STACK;
        }
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new anonymous mapping at an address that the kernel chooses overlaps nothing that exists.
        let addr = unsafe { libc::mmap(ptr::null_mut(), len, prot, flags, -1, 0) };
        if addr == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonZeroUsize::new(addr.expose_provenance())
            .ok_or_else(|| io::Error::other("mmap placed a mapping at address zero"))?;
        #[cfg(any(target_os = "linux", target_os = "android"))]
        // A huge page would make one parked goroutine cost 2 MiB. A kernel without huge pages refuses: as well.
        // SAFETY: the range is the mapping just made; this advice changes no content.
        unsafe {
            libc::madvise(addr, len, libc::MADV_NOHUGEPAGE);
        }
        Ok(Mapping { start, len })
    }

    /// The lowest address.
    pub(super) fn start(&self) -> NonZeroUsize {
        self.start
    }

    /// The address of a part as the system calls want it. Panics if the part is not inside the mapping.
    fn address(&self, part: Part) -> *mut libc::c_void {
        let inside = part.offset.checked_add(part.len).is_some_and(|end| end <= self.len);
        assert!(inside && part.len > 0, "{part:?} is outside {self:?}");
        ptr::with_exposed_provenance_mut(self.start.get() + part.offset)
    }

    /// Gives one piece of advice on many parts. Stops at the first that fails and says how many were done.
    ///
    /// # Safety
    /// For `Guard` and `Discard`, nobody else uses the parts' content, now or later, as if it were kept.
    pub(super) unsafe fn advise(&self, parts: &[Part], advice: Advice) -> (usize, io::Result<()>) {
        let batched = parts.len() > 1 && self.advise_batch(parts, advice);
        if batched {
            return (parts.len(), Ok(()));
        }
        for (done, &part) in parts.iter().enumerate() {
            let addr = self.address(part);
            // SAFETY: `address` checked that the range is inside our mapping, which lives as long as `self`; the
            // caller vouches that the content is nobody's.
            if unsafe { libc::madvise(addr, part.len, advice.number()) } != 0 {
                return (done, Err(io::Error::last_os_error()));
            }
        }
        if parts.len() > 1 {
            // One by one it works, so it was the vector that this kernel does not do.
            BATCHES_REFUSED.store(true, Relaxed);
        }
        (parts.len(), Ok(()))
    }

    /// As `advise`, with the same contract, in one call for each `BATCH` parts; false if any of it was not done (then
    /// some may have been: all of these are harmless twice).
    #[cfg(target_os = "linux")]
    fn advise_batch(&self, parts: &[Part], advice: Advice) -> bool {
        /// `PIDFD_SELF_THREAD` of <linux/pidfd.h>: a name for ourselves that is no descriptor, and so after a `fork`
        /// still means the caller and not its parent.
        const PIDFD_SELF: libc::c_int = -10_000;
        const BATCH: usize = 256;
        if BATCHES_REFUSED.load(Relaxed) {
            return false;
        }
        let mut vector: Vec<libc::iovec> = Vec::new();
        if vector.try_reserve_exact(parts.len().min(BATCH)).is_err() {
            return false;
        }
        for chunk in parts.chunks(BATCH) {
            vector.clear();
            vector.extend(
                chunk.iter().map(|&part| libc::iovec { iov_base: self.address(part), iov_len: part.len }),
            );
            let bytes: usize = chunk.iter().map(|part| part.len).sum();
            // SAFETY: the vector holds `vector.len()` valid entries, each a range that `address` checked to be inside
            // our mapping; the caller of `advise` vouches for their content. The kernel only reads the vector.
            let done = unsafe {
                libc::syscall(
                    libc::SYS_process_madvise,
                    PIDFD_SELF,
                    vector.as_ptr(),
                    vector.len(),
                    advice.number(),
                    0,
                )
            };
            if usize::try_from(done) != Ok(bytes) {
                return false;
            }
        }
        true
    }

    #[cfg(not(target_os = "linux"))]
    fn advise_batch(&self, _: &[Part], _: Advice) -> bool {
        false
    }

    /// Makes a part inaccessible with `mprotect`.
    ///
    /// # Safety
    /// Nobody else uses the part, now or later.
    pub(super) unsafe fn forbid(&self, part: Part) -> io::Result<()> {
        let addr = self.address(part);
        // SAFETY: `address` checked that the range is ours; the caller vouches that nobody uses it.
        match unsafe { libc::mprotect(addr, part.len, libc::PROT_NONE) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// Set once the kernel has shown that it takes advice one part at a time only.
static BATCHES_REFUSED: AtomicBool = AtomicBool::new(false);

impl Drop for Mapping {
    fn drop(&mut self) {
        let addr = ptr::with_exposed_provenance_mut(self.start.get());
        // SAFETY: the range is the one that `new` mapped, it is unmapped nowhere else, and whoever uses memory in it
        // keeps `self` alive.
        let failed = unsafe { libc::munmap(addr, self.len) } != 0;
        if failed {
            // The kernel may have joined us with a neighbour, and a process at its limit of mappings is not allowed
            // to split them again. The address space is lost, the memory need not be.
            // SAFETY: as above; the mapping is still there, and nobody uses it.
            unsafe { libc::madvise(addr, self.len, libc::MADV_DONTNEED) };
        }
    }
}
