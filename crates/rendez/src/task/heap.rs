//! Memory for goroutines' headers and fibers, for contexts, channels and arms of a `Select`: blocks of a few sizes, made by one thread and
//! often freed by another.
//!
//! A general allocator is at its worst with that: a block that another thread frees takes the lock of the arena that it came
//! from, arenas grow by a system call a page, each of which stops every page fault of the process, and what a million
//! goroutines had is kept for ever if one block at the end of it lives. So:
//!
//! * **Chunks** are [`CHUNK`] bytes of memory, aligned to that, cut into blocks of one size (a *class*).
//! * **Each thread** has a list of free blocks for each class ([`Local`]). Taking and giving back is a push or a pop there.
//! * **The depot** of a class, under a lock, has *batches*: lists of about [`BATCH`] free blocks. A thread that has none left
//!   takes one (or has one cut out of the newest chunk); one that has two gives one away.
//! * **Trimming** (a runtime has been idle for a while) takes all that is in a depot, counts each chunk's free blocks in the
//!   chunk's head, and unmaps the chunks that are free as a whole. Nobody else looks at those counts.
//!
//! A free block is owned by the list that it is in, which is in a depot, in a thread's `Local`, or in the hands of who trims.
//! A chunk is unmapped only by who holds all of its blocks.
//!
//! What is larger than [`LARGEST`] or aligned to more than a block is, and everything under a sanitizer (which could not see
//! into the chunks), comes from the global allocator.

use crate::primitives::{LINE, prefetch_to_write};
use std::{
    alloc::{self, Layout},
    cell::UnsafeCell,
    ptr::{self, NonNull},
    sync::{Mutex, MutexGuard, PoisonError},
};

const CHUNK: usize = 64 << 10;
/// Chunks that are mapped at once.
const REGION_CHUNKS: usize = 16;
/// The processor's larger pages, which the kernel uses where it is asked to and can. Blocks of a crowd are touched in
/// the order in which they were freed before, which is soon none: with small pages, nearly each touch has the processor look up a page.
const LARGE_PAGE: usize = 2 << 20;
/// A class with so many chunks is mapped by large pages from then on: one more is then at most as much again.
const LARGE_FROM_CHUNKS: usize = LARGE_PAGE / CHUNK;
/// What stands before the first block of a chunk.
const CHUNK_HEAD: usize = 64;
const STEP: usize = 16;
const LARGEST: usize = 512;
const CLASSES: usize = LARGEST / STEP;
/// How many blocks threads and the depot exchange at once.
const BATCH: usize = 64;
/// Below this many free blocks in a depot trimming is not worth its time.
const TRIM_FROM: usize = 4096;
/// Free chunks of a class that trimming leaves.
const KEPT_CHUNKS: usize = 8;

/// What a free block holds.
struct Block {
    /// The next in the same list.
    next: *mut Block,
    /// The one that came three after it when it was freed, to be fetched in time: another thread may have written to it last, and only who has
    /// a block knows the next. It may be anywhere since, or nowhere.
    ahead: *mut Block,
    /// In the first block of a batch: the next batch, and this one's length.
    next_batch: *mut Block,
    len: usize,
}

/// The first bytes of a chunk, used by who trims.
struct ChunkHead {
    /// Free blocks found; [`DOOMED`] when the chunk is in the list of those to be unmapped.
    free: usize,
    next: *mut ChunkHead,
}

const DOOMED: usize = usize::MAX;
const _: () = assert!(size_of::<ChunkHead>() <= CHUNK_HEAD && CHUNK_HEAD.is_multiple_of(STEP));

/// A thread's free blocks of one class.
#[derive(Clone, Copy)]
struct List {
    first: *mut Block,
    len: usize,
    /// A whole batch besides, so that a thread at the edge does not go to the depot each time.
    spare: *mut Block,
}

struct Local([UnsafeCell<List>; CLASSES]);

thread_local! {
    static LOCAL: Local = const { Local([const { UnsafeCell::new(EMPTY) }; CLASSES]) };
}

struct Depot {
    /// The first batch.
    batches: *mut Block,
    /// Free blocks in all of them.
    free: usize,
    /// The part of the newest chunk that has not been cut up.
    uncut: Option<Uncut>,
    /// Chunks mapped and not begun, linked through their heads.
    fresh: *mut ChunkHead,
    /// Chunks that are mapped, for the tests.
    chunks: usize,
}

#[derive(Clone, Copy)]
struct Uncut {
    at: NonNull<u8>,
    blocks: usize,
}

// SAFETY: what its pointers lead to is owned by it and used under its lock.
unsafe impl Send for Depot {}

static DEPOTS: [Mutex<Depot>; CLASSES] = [const { Mutex::new(Depot::new()) }; CLASSES];

fn depot(class: usize) -> MutexGuard<'static, Depot> {
    // Nothing under the lock panics half-way through a change.
    DEPOTS[class].lock().unwrap_or_else(PoisonError::into_inner)
}

/// The class of blocks that `layout` fits; `None` for what is left to the global allocator.
const fn class(layout: Layout) -> Option<usize> {
    let small = layout.size() > 0 && layout.size() <= LARGEST && layout.align() <= STEP;
    if small && !cfg!(any(rendez_sanitize, miri)) { Some(layout.size().div_ceil(STEP) - 1) } else { None }
}

/// The classes below this are too small for a free block's books.
const FIRST_CLASS: usize = size_of::<Block>().div_ceil(STEP) - 1;

const fn block_size(class: usize) -> usize {
    (class + 1) * STEP
}

const fn blocks_of_chunk(class: usize) -> usize {
    (CHUNK - CHUNK_HEAD) / block_size(class)
}

/// Memory for a value of this layout, which has a size. Aborts, as a `Box` does, if there is none.
#[inline]
pub(crate) fn allocate(layout: Layout) -> NonNull<u8> {
    debug_assert!(layout.size() > 0, "nothing is allocated without a size");
    match class(layout) {
        Some(class) => take(class.max(FIRST_CLASS)).cast(),
        None => {
            // SAFETY: the layout has a size.
            let memory = unsafe { alloc::alloc(layout) };
            NonNull::new(memory).unwrap_or_else(|| alloc::handle_alloc_error(layout))
        }
    }
}

/// Gives back what [`allocate`] returned.
///
/// # Safety
/// `memory` is from `allocate` with this layout, and nobody uses it any more.
#[inline]
pub(crate) unsafe fn free(memory: NonNull<u8>, layout: Layout) {
    match class(layout) {
        // SAFETY: by contract; a block is large enough for the books and aligned for them.
        Some(class) => unsafe { give(class.max(FIRST_CLASS), memory.cast()) },
        // SAFETY: by contract.
        None => unsafe { alloc::dealloc(memory.as_ptr(), layout) },
    }
}

/// Gives the calling thread's free blocks to the depots: a few of them can keep as many chunks.
pub(crate) fn flush() {
    let _ = LOCAL.try_with(|local| {
        for (class, list) in local.0.iter().enumerate() {
            // SAFETY: this thread's alone, and nothing in between comes back here.
            unsafe { (*list.get()).flush(class) };
        }
    });
}

/// Gives the memory of free blocks back, as far as whole chunks of them can be found.
pub(crate) fn trim() {
    if let Ok(trimming) = TRIMMING.try_lock() {
        (FIRST_CLASS..CLASSES).for_each(|class| trim_class(class, &trimming));
    }
}

/// Who trims has the counts in the chunks' heads to himself.
static TRIMMING: Mutex<()> = Mutex::new(());

#[inline]
fn take(class: usize) -> NonNull<Block> {
    let taken = LOCAL.try_with(|local| {
        // SAFETY: this thread's alone, and nothing in between comes back here.
        let list = unsafe { &mut *local.0[class].get() };
        if list.first.is_null() {
            list.refill(class);
        }
        // SAFETY: refilled, so not empty; a free block in our list is ours.
        unsafe {
            let block = NonNull::new_unchecked(list.first);
            list.first = block.as_ref().next;
            list.len -= 1;
            for at in (0..block_size(class)).step_by(LINE) {
                prefetch_to_write(block.as_ref().ahead.cast::<u8>().wrapping_add(at));
            }
            block
        }
    });
    // The thread is ending and its locals are gone: a batch for one block.
    taken.unwrap_or_else(|_| {
        let mut depot = depot(class);
        let batch = depot.take_batch(class);
        // SAFETY: the batch is ours, and has at least one block.
        unsafe {
            if !(*batch).next.is_null() {
                depot.put_batch((*batch).next, (*batch).len - 1);
            }
            NonNull::new_unchecked(batch)
        }
    })
}

/// # Safety
/// The block is of this class and the caller's.
#[inline]
unsafe fn give(class: usize, block: NonNull<Block>) {
    let block = block.as_ptr();
    let given = LOCAL.try_with(|local| {
        // SAFETY: the list is this thread's alone, and nothing in between comes back here. The block becomes the list's.
        unsafe {
            let list = &mut *local.0[class].get();
            if list.len >= BATCH {
                list.pass_on(class);
            }
            (*block).next = list.first;
            // These two have been freed lately, or fetched.
            (*block).ahead = if list.len >= 2 { (*(*list.first).next).next } else { ptr::null_mut() };
            list.first = block;
            list.len += 1;
        }
    });
    if given.is_err() {
        // SAFETY: the block is ours.
        unsafe {
            (*block).next = ptr::null_mut();
            // Who takes it reads that, and what was there is what the block was used for.
            (*block).ahead = ptr::null_mut();
            depot(class).put_batch(block, 1);
        }
    }
}

impl List {
    #[cold]
    fn refill(&mut self, class: usize) {
        self.first = match self.spare.is_null() {
            false => std::mem::replace(&mut self.spare, ptr::null_mut()),
            true => depot(class).take_batch(class),
        };
        // SAFETY: a batch of ours: its first block has its length.
        self.len = unsafe { (*self.first).len };
    }

    /// Makes the list, which is full, the spare batch; the spare one goes to the depot.
    #[cold]
    fn pass_on(&mut self, class: usize) {
        if let Some(spare) = NonNull::new(self.spare) {
            // SAFETY: ours until the depot has it.
            unsafe { depot(class).put_batch(spare.as_ptr(), spare.as_ref().len) };
        }
        // SAFETY: the list is not empty, and ours.
        unsafe { (*self.first).len = self.len };
        self.spare = std::mem::replace(&mut self.first, ptr::null_mut());
        self.len = 0;
    }

    fn flush(&mut self, class: usize) {
        let List { first, len, spare } = std::mem::replace(self, EMPTY);
        // SAFETY: the lists are ours until the depot has them.
        unsafe {
            if !first.is_null() {
                depot(class).put_batch(first, len);
            }
            if !spare.is_null() {
                depot(class).put_batch(spare, (*spare).len);
            }
        }
    }
}

const EMPTY: List = List { first: ptr::null_mut(), len: 0, spare: ptr::null_mut() };

impl Drop for Local {
    fn drop(&mut self) {
        for (class, list) in self.0.iter_mut().enumerate() {
            list.get_mut().flush(class);
        }
    }
}

impl Depot {
    const fn new() -> Depot {
        Depot { batches: ptr::null_mut(), free: 0, uncut: None, fresh: ptr::null_mut(), chunks: 0 }
    }

    /// # Safety
    /// The list is `len` blocks of this class, at least one, and the caller's.
    unsafe fn put_batch(&mut self, first: *mut Block, len: usize) {
        // SAFETY: by contract.
        unsafe {
            (*first).next_batch = self.batches;
            (*first).len = len;
        }
        self.batches = first;
        self.free += len;
    }

    fn take_batch(&mut self, class: usize) -> *mut Block {
        let batch = self.batches;
        if batch.is_null() {
            return self.cut_batch(class);
        }
        // SAFETY: a batch in the depot is the depot's.
        unsafe {
            self.batches = (*batch).next_batch;
            self.free -= (*batch).len;
        }
        batch
    }

    /// Cuts blocks out of the newest chunk, lowest first.
    fn cut_batch(&mut self, class: usize) -> *mut Block {
        let uncut = self.uncut.unwrap_or_else(|| {
            if self.fresh.is_null() {
                self.map(class);
            }
            let chunk = self.fresh;
            // SAFETY: chunks in this list are mapped and the depot's; the first block lies behind the head.
            unsafe {
                self.fresh = (*chunk).next;
                let at = NonNull::new_unchecked(chunk.cast::<u8>().add(CHUNK_HEAD));
                Uncut { at, blocks: blocks_of_chunk(class) }
            }
        });
        let (size, len) = (block_size(class), uncut.blocks.min(BATCH));
        let left = uncut.blocks - len;
        // SAFETY: `blocks` of them fit into the chunk behind `at`, and nobody else has them.
        unsafe {
            let mut next = ptr::null_mut();
            for i in (0..len).rev() {
                let block = uncut.at.add(i * size).cast::<Block>();
                block.write(Block {
                    next,
                    // All of them are in the cache.
                    ahead: next,
                    next_batch: ptr::null_mut(),
                    len: len - i,
                });
                next = block.as_ptr();
            }
            self.uncut = (left > 0).then(|| Uncut { at: uncut.at.add(len * size), blocks: left });
            next
        }
    }

    #[cold]
    fn map(&mut self, class: usize) {
        let large = (self.chunks >= LARGE_FROM_CHUNKS).then_some(LARGE_PAGE);
        let (region, chunks) = large
            .and_then(|page| map_region(page, page))
            .map(|region| {
                // SAFETY: a mapping of ours, of that length. (Advice: without it, it is as useful.)
                unsafe { libc::madvise(region.as_ptr().cast(), LARGE_PAGE, libc::MADV_HUGEPAGE) };
                (region, LARGE_PAGE / CHUNK)
            })
            .or_else(|| map_region(REGION_CHUNKS * CHUNK, CHUNK).map(|region| (region, REGION_CHUNKS)))
            .or_else(|| map_region(CHUNK, CHUNK).map(|region| (region, 1)))
            .unwrap_or_else(|| {
                alloc::handle_alloc_error(
                    Layout::from_size_align(block_size(class), STEP).unwrap_or(Layout::new::<u8>()),
                )
            });
        self.chunks += chunks;
        for i in (0..chunks).rev() {
            // SAFETY: inside the region, which is new and ours, and aligned as a chunk is.
            unsafe {
                let chunk = region.add(i * CHUNK).cast::<ChunkHead>();
                chunk.write(ChunkHead { free: 0, next: self.fresh });
                self.fresh = chunk.as_ptr();
            }
        }
    }
}

fn trim_class(class: usize, _trimming: &MutexGuard<'_, ()>) {
    let batches = {
        let mut depot = depot(class);
        if depot.free < TRIM_FROM {
            return;
        }
        depot.free = 0;
        std::mem::replace(&mut depot.batches, ptr::null_mut())
    };
    let whole = blocks_of_chunk(class);
    let mut doomed = ptr::null_mut::<ChunkHead>();
    let mut spared = 0;
    // SAFETY: the blocks are ours, so their chunks stay mapped, and once a chunk is begun only who trims uses its head. (A
    // chunk that is not cut up to its end has less than all of its blocks here.)
    unsafe {
        for_each_block(batches, |block| (*chunk_of(block)).free += 1);
        // Batches of survivors go back one at a time: whoever spawns meanwhile finds some.
        let (mut kept, mut len) = (ptr::null_mut::<Block>(), 0);
        for_each_block(batches, |block| {
            let chunk = chunk_of(block);
            if (*chunk).free == whole && spared == KEPT_CHUNKS {
                chunk.write(ChunkHead { free: DOOMED, next: doomed });
                doomed = chunk;
            }
            if (*chunk).free == DOOMED {
                return;
            }
            if (*chunk).free == whole {
                spared += 1;
            }
            // Counted anew next time; and the chunk's other blocks survive with this one.
            (*chunk).free = 0;
            (*block).next = kept;
            (kept, len) = (block, len + 1);
            if len == BATCH {
                depot(class).put_batch(kept, len);
                (kept, len) = (ptr::null_mut(), 0);
            }
        });
        if len > 0 {
            depot(class).put_batch(kept, len);
        }
    }
    let mut unmapped = 0;
    while let Some(chunk) = NonNull::new(doomed) {
        // SAFETY: all blocks of the chunk were in our hands, and we have let them fall.
        unsafe {
            doomed = chunk.as_ref().next;
            unmap(chunk.as_ptr().cast(), CHUNK);
        }
        unmapped += 1;
    }
    depot(class).chunks -= unmapped;
}

/// # Safety
/// The batches are the caller's; `visit` may do with each block what it likes.
unsafe fn for_each_block(mut batches: *mut Block, mut visit: impl FnMut(*mut Block)) {
    // SAFETY: by contract; what leads on is read before the block is given to `visit`.
    unsafe {
        while !batches.is_null() {
            let mut block = batches;
            batches = (*batches).next_batch;
            while !block.is_null() {
                let next = (*block).next;
                visit(block);
                block = next;
            }
        }
    }
}

fn chunk_of(block: *mut Block) -> *mut ChunkHead {
    block.map_addr(|addr| addr & !(CHUNK - 1)).cast()
}

/// Maps `len` bytes, aligned to `align`, which is a power of two and a chunk at least; `None` if there is no address space.
fn map_region(len: usize, align: usize) -> Option<NonNull<u8>> {
    let (prot, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // More than is needed, of which the edges go: the kernel aligns to pages only.
    // SAFETY: a new anonymous mapping at an address that the kernel chooses overlaps nothing that exists.
    let mapped = unsafe { libc::mmap(ptr::null_mut(), len + align, prot, flags, -1, 0) };
    if mapped == libc::MAP_FAILED {
        return None;
    }
    let mapped: *mut u8 = mapped.cast();
    let before = mapped.align_offset(align);
    // SAFETY: both edges are inside the mapping, whole pages, and used by nobody.
    unsafe {
        let start = mapped.add(before);
        if before > 0 {
            unmap(mapped, before);
        }
        unmap(start.add(len), align - before);
        NonNull::new(start)
    }
}

/// # Safety
/// The range is part of a mapping of ours, whole pages and at least one, and nobody uses it any more.
unsafe fn unmap(start: *mut u8, len: usize) {
    // SAFETY: by contract.
    if unsafe { libc::munmap(start.cast(), len) } != 0 {
        // The process is at its limit of mappings, so this one can't be split. Its memory goes all the same.
        // SAFETY: by contract.
        unsafe { libc::madvise(start.cast(), len, libc::MADV_DONTNEED) };
    }
}

#[cfg(test)]
mod tests;
