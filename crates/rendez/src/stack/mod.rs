//! Stacks for goroutines: slabs of guarded address space, handed out, reused and given back.
//!
//! # Layout
//! A [`Pool`] hands out stacks of one size (address space, guard included). It maps *slabs* of 16 to 4096 of them, each
//! slab as large as all before it together, so a million stacks are some 250 mappings. Memory comes page by page as it is
//! touched, so a stack "grows" in place. A slot of a slab, low address first:
//!
//! ```text
//! limit                                                        base      limit + size
//! | guard page | ............ usable, grows downwards ......... | colour | (spare page) |
//! ```
//!
//! The colour (`slab::COLOUR_STEP`) keeps the hot ends of many stacks out of each other's cache sets, and the spare page
//! (`slab::slot_bytes`) their pages out of each other's sets of translations. It is never touched.
//!
//! # The life of a slot
//! ```text
//! bare ──guard──> dirty <──free── in use        bare:  never used; no guard, no page
//!                   │  ──allocate──^   ^        dirty: free, and probably has pages
//!                discard               │        clean: free, guarded, no pages
//!                   v                  │        in use: a `Stack` owns it
//!                 clean ───allocate────┘        (leaked: in use for ever)
//! ```
//! `allocate` takes the last freed dirty slot, else the lowest clean one, else guards a few bare ones, else maps a slab.
//!
//! # Who may touch what
//! - The memory of a slot belongs to whoever took the slot out of the books (`slab::Books`): its `Stack`, or a thread that
//!   is guarding or discarding it. Only the books' bitmaps say that a slot is free; the pool's free list is a hint about
//!   order, whose entries may be out of date and are checked against the bitmap.
//! - The books are in the pool's ledger, under its lock, which is held for bookkeeping only. Every system call runs
//!   outside of it, on slots taken out of the books: mapping, guarding, discarding, unmapping (by the last `Arc<Slab>`).
//! - A mapping lives as long as any `Arc<Slab>`; each `Stack` holds one. So nothing is unmapped under a stack, whatever
//!   becomes of the pool, and a leaked stack stays mapped for ever.
//!
//! # Memory goes back
//! - A slab whose slots are all free is unmapped whole, page tables included, except that a few such slots are kept
//!   (`pool::keep`), so that a program whose load swings does not map and unmap at each swing.
//! - When more slots are dirty than are in use (and than a floor), slabs are discarded one at a time, beginning with the
//!   slots freed longest ago, in maximal runs, in one system call per 256 runs. So at most half of what is resident is
//!   surplus, and each free pays for O(1) of it.
//! - Both are the *surplus*. A pool that nobody looks after gives it back as it arises. Where somebody does (the workers of
//!   the runtimes that use it, see [`Pool::look_after`]) it stays for `pool::GRACE`, so that those who end together end first.
//!   From then on who looks gives back one slab's at a time, and so does, now and then, who frees a stack: a
//!   runtime of which every worker is busy has looked by then, and one that frees stacks all the time does not outrun it.
//! - [`Pool::trim`] gives back all that is free: for a runtime that has been idle for a while. What counts above is
//!   slots, for nobody knows how much of a free stack has been touched; only `trim` bounds what a few deep ones keep.
//!
//! # Failure
//! Mapping a slab that is too large for what is left is tried again at half the size, down to one stack; then, and when
//! guards run out (see `guard`), `allocate` returns [`StackError::Exhausted`] with everything as it was before.
//! Bookkeeping is reserved fallibly, so that a process at its address-space limit gets the error and not an abort.
//!
//! # Rejected
//! One mapping per stack with `mprotect` guards: two VMAs each, so 32,000 stacks and no more (`may`). Free lists threaded
//! through the stacks' own memory: touches pages that were given back. A decay timer: the pool has no clock; the
//! runtime has, and calls `trim`.

mod bits;
mod depth;
mod error;
mod guard;
mod ledger;
mod mem;
mod pool;
mod slab;
#[cfg(test)]
mod tests;

use std::fmt;
use std::mem::ManuallyDrop;
use std::sync::{Arc, Mutex, PoisonError};

use corosensei::stack::StackPointer;

pub(crate) use depth::Pages;
pub(crate) use error::StackError;
pub(crate) use guard::GuardMode;
pub(crate) use mem::page_size;
pub(crate) use pool::{Pool, PoolStats};
use slab::Slab;

/// Address space of a stack unless told otherwise, guard included.
pub(crate) const DEFAULT_STACK_SIZE: usize = 256 * 1024;
/// The smallest stack that can be asked for, guard included.
pub(crate) const MIN_STACK_SIZE: usize = 16 * 1024;
/// The largest stack that can be asked for.
pub(crate) const MAX_STACK_SIZE: usize = 1 << 30;

/// The size a stack really gets: `size` rounded up to the page (and to two pages, where pages are large).
///
/// # Errors
/// Below [`MIN_STACK_SIZE`] or above [`MAX_STACK_SIZE`].
pub(crate) fn check_size(size: usize) -> Result<usize, StackError> {
    match size {
        0..MIN_STACK_SIZE => Err(StackError::TooSmall { size }),
        MIN_STACK_SIZE..=MAX_STACK_SIZE => {
            let page = mem::page_size();
            Ok(size.next_multiple_of(page).max(2 * page))
        }
        _ => Err(StackError::TooLarge { size }),
    }
}

static POOLS: Mutex<Vec<Arc<Pool>>> = Mutex::new(Vec::new());

/// The figures of all pools.
pub(crate) fn stats() -> Vec<PoolStats> {
    POOLS.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|pool| pool.stats()).collect()
}

/// The pool of this process for stacks of `size`, rounded as [`check_size`] does.
///
/// # Errors
/// As [`check_size`].
pub(crate) fn pool(size: usize) -> Result<Arc<Pool>, StackError> {
    let size = check_size(size)?;
    let mut pools = POOLS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(pool) = pools.iter().find(|pool| pool.size() == size) {
        return Ok(Arc::clone(pool));
    }
    let pool = Pool::with_guard_mode(size, GuardMode::Lightweight);
    pools.push(Arc::clone(&pool));
    Ok(pool)
}

/// A stack: its holder alone may use the memory between `limit` and `base`, of which the lowest page faults. Dropping it
/// gives it back to its pool.
pub(crate) struct Stack {
    slab: Arc<Slab>,
    index: u32,
}

impl Stack {
    /// Bytes of address space, guard included: what was asked for, rounded.
    pub(crate) fn size(&self) -> usize {
        self.slab.size
    }

    /// Gives the stack up without giving it back: it is never used again and stays mapped. For a stack with frames on it
    /// that could not be unwound, which something may still point to.
    pub(crate) fn leak(self) {
        // Holding on to the slab for ever is what keeps the mapping.
        let stack = ManuallyDrop::new(self);
        if let Some(pool) = stack.slab.pool.upgrade() {
            pool.note_leak();
        }
    }

    fn index(&self) -> usize {
        self.index as usize
    }

    /// The slot is in the pool's books again.
    fn gone(self) {
        let stack = ManuallyDrop::new(self);
        // SAFETY: `stack` is not dropped, so this is the one use of its reference.
        drop(unsafe { std::ptr::read(&raw const stack.slab) });
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // Without its pool, a slab goes with its last stack.
        if let Some(pool) = self.slab.pool.upgrade() {
            pool.give_back(self.slab.id, self.index());
        }
    }
}

// SAFETY: `allocate` hands out only slots whose lowest page has been made to fault, and slots are at least 16 KiB (or two
// pages), so more than `MIN_STACK_SIZE` is usable below the colour; `base` and `limit` are multiples of the alignment
// (asserted beside `COLOUR_STEP`; slots start at pages). The memory stays mapped while `self.slab` lives, and by the books'
// invariant no other `Stack` has the same slot.
unsafe impl corosensei::stack::Stack for Stack {
    #[inline]
    fn base(&self) -> StackPointer {
        self.slab.base(self.index())
    }

    #[inline]
    fn limit(&self) -> StackPointer {
        self.slab.limit(self.index())
    }
}

impl fmt::Debug for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (limit, base) = (self.slab.limit(self.index()), self.slab.base(self.index()));
        f.debug_struct("Stack").field("memory", &format_args!("{limit:#x}..{base:#x}")).finish()
    }
}
