//! How deep a stack has been used: the kernel knows which of its pages have been touched.
//!
//! A stack is handed from goroutine to goroutine, and keeps the pages of the deepest. So before one begins of whom it is to be
//! known, the pages are given back, and afterwards those that are there are its own.

use super::mem::page_size;
use std::ops::Range;

/// What is left as it is at the upper end, where the frames of an idle runner are: far more than these need.
const KEPT: usize = 4096;

/// The pages of a stack that hold nothing while its runner is idle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pages {
    range: Range<usize>,
    base: usize,
}

impl Pages {
    /// Of the stack that begins at `base` and ends at `limit`, with the guard page.
    pub(crate) fn of(limit: usize, base: usize) -> Pages {
        let page = page_size();
        let low = limit + page;
        let high = (base - KEPT) & !(page - 1);
        Pages { range: low..high.max(low), base }
    }

    /// Gives them back. Whether that has been done.
    ///
    /// # Safety
    /// They are of a stack of ours whose runner is idle, and this is its worker.
    pub(crate) unsafe fn forget(&self) -> bool {
        let Range { start, end } = self.range;
        // SAFETY: by contract nobody uses what is there.
        start < end
            && cfg!(target_os = "linux")
            && unsafe {
                let first = std::ptr::with_exposed_provenance_mut(start);
                libc::madvise(first, end - start, libc::MADV_DONTNEED) == 0
            }
    }

    /// How many bytes of the stack have been used since, to the page; what is kept counts as used. May be asked while it runs.
    pub(crate) fn deepest(&self) -> usize {
        self.base - self.lowest().unwrap_or(self.range.end)
    }

    /// The lowest page that is there.
    #[cfg(target_os = "linux")]
    fn lowest(&self) -> Option<usize> {
        let page = page_size();
        let mut there = [0_u8; 256];
        let mut at = self.range.start;
        while at < self.range.end {
            let len = (self.range.end - at).min(there.len() * page);
            // SAFETY: a place for an answer about each page; whether there is a mapping is for the kernel to say.
            let done =
                unsafe { libc::mincore(std::ptr::with_exposed_provenance_mut(at), len, there.as_mut_ptr()) };
            if done != 0 {
                return None;
            }
            if let Some(first) = there[..len / page].iter().position(|page| page & 1 != 0) {
                return Some(at + first * page);
            }
            at += len;
        }
        None
    }

    #[cfg(not(target_os = "linux"))]
    fn lowest(&self) -> Option<usize> {
        None
    }
}
