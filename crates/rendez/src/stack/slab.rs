//! A slab: one mapping cut into stacks of one size, and the state of each of them.

use std::collections::TryReserveError;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Weak};

use super::bits::Bits;
use super::guard::{self, Budget, GuardError, GuardMode};
use super::mem::{Advice, Mapping, Part, page_size};
use super::pool::Pool;

/// The most stacks in a slab; a slot reference keeps this many bits for the index.
pub(super) const SLAB_SLOTS_MAX: usize = 1 << INDEX_BITS;
const INDEX_BITS: u32 = 12;
/// How many slabs a pool can have.
pub(super) const SLABS_MAX: usize = 1 << (u32::BITS - INDEX_BITS);

/// How far apart the tops of neighbouring stacks lie within their page, and after how many they repeat.
///
/// The tops of all stacks are whole pages apart, so without this the frames that a parked goroutine
/// touches when it is resumed would lie at the same page offset in every stack: a 32 KiB, 8-way first-level cache picks
/// its set by address bits 6 to 11 and would keep eight goroutines' tops and no more. 128 bytes, not 64, because
/// the prefetcher fetches lines in pairs. At most 896 bytes, so that a parked goroutine still fits one 4 KiB page.
pub(super) const COLOUR_STEP: usize = 128;
/// See [`COLOUR_STEP`].
pub(super) const COLOURS: usize = 8;

/// Bytes from one slot to the next: an odd number of pages, the one above the stack being spare if there has to be one.
///
/// What [`COLOUR_STEP`] is to caches this is to what holds the translations of pages, which also picks its set by low bits, of the page's
/// number: tops that lie 64 pages apart share two or four sets, which is some 50 stacks, and each further one costs a walk through the page
/// table (in a virtual machine, through two). Pages of an odd distance use all sets. Measured on a Zen 4: a thousand goroutines
/// that yield 12.4 ns each, 19.8 without.
pub(super) fn slot_bytes(size: usize) -> usize {
    let page = page_size();
    if (size / page).is_multiple_of(2) { size + page } else { size }
}

const _: () = assert!(COLOUR_STEP.is_multiple_of(corosensei::stack::STACK_ALIGNMENT));
const _: () = assert!(COLOUR_STEP * (COLOURS - 1) < 1024);

/// Which slot of which slab, packed: what the pool's free list holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SlotRef(u32);

impl SlotRef {
    pub(super) fn new(slab: usize, index: usize) -> SlotRef {
        debug_assert!(slab < SLABS_MAX && index < SLAB_SLOTS_MAX);
        SlotRef((slab as u32) << INDEX_BITS | index as u32)
    }

    pub(super) fn slab(self) -> usize {
        (self.0 >> INDEX_BITS) as usize
    }

    pub(super) fn index(self) -> usize {
        self.0 as usize & (SLAB_SLOTS_MAX - 1)
    }
}

/// The part of a slab that never changes. Every stack holds it, so the mapping outlives them all.
#[derive(Debug)]
pub(super) struct Slab {
    /// Number in the pool's table.
    pub(super) id: usize,
    /// Whom to give slots back to.
    pub(super) pool: Weak<Pool>,
    pub(super) slots: usize,
    /// Bytes of a stack, guard included.
    pub(super) size: usize,
    /// [`slot_bytes`] of it.
    slot: usize,
    mapping: Mapping,
    budget: Arc<Budget>,
    /// Guards that have been paid for out of `budget`.
    protected: AtomicUsize,
}

impl Slab {
    pub(super) fn new(
        id: usize,
        pool: Weak<Pool>,
        (slots, size): (usize, usize),
        mapping: Mapping,
        budget: Arc<Budget>,
    ) -> Slab {
        Slab {
            id,
            pool,
            slots,
            size,
            slot: slot_bytes(size),
            mapping,
            budget,
            protected: AtomicUsize::new(0),
        }
    }

    /// The lowest address of a slot, where its guard page starts.
    pub(super) fn limit(&self, index: usize) -> NonZeroUsize {
        debug_assert!(index < self.slots);
        // Cannot overflow: the slot is inside the mapping.
        self.mapping.start().saturating_add(index * self.slot)
    }

    /// Where a stack in this slot starts to grow down from, coloured.
    pub(super) fn base(&self, index: usize) -> NonZeroUsize {
        self.limit(index).saturating_add(self.size - index % COLOURS * COLOUR_STEP)
    }

    /// Installs the guards of slots `first..first + len`, and with lightweight guards has their top pages ready too:
    /// a fault costs more than asking (measured: 1.6 us a stack by guard and fault, 1.4 us by guard and populate).
    /// Returns how many slots from `first` on are guarded, and what stopped the rest.
    ///
    /// # Safety
    /// The caller has these slots to itself (they are neither in use nor free in the pool's books).
    pub(super) unsafe fn prepare(
        &self,
        first: usize,
        len: usize,
        mode: GuardMode,
    ) -> (usize, Result<(), GuardError>) {
        let page = page_size();
        let mut parts = [Part { offset: 0, len: page }; PREPARE_BATCH];
        let parts = &mut parts[..len];
        for (i, part) in parts.iter_mut().enumerate() {
            part.offset = (first + i) * self.slot;
        }
        // SAFETY: a slot's lowest page is used by no one now, as the caller has the slots to itself, nor later: a stack
        // counts as overflown when it gets there.
        let (done, result) = unsafe { guard::install(&self.mapping, parts, mode, &self.budget) };
        match mode {
            GuardMode::Protect => {
                self.protected.fetch_add(done, Relaxed);
            }
            GuardMode::Lightweight if cfg!(target_os = "linux") && done > 0 => {
                for part in &mut parts[..done] {
                    part.offset += self.size - page;
                }
                // SAFETY: populating keeps all content. Should it fail (kernels before 5.14, no memory), the pages
                // come by fault as ever, or the fault tells.
                let _ = unsafe { self.mapping.advise(&parts[..done], Advice::Populate) };
            }
            GuardMode::Lightweight => {}
        }
        (done, result)
    }

    /// The part of the mapping that slots `first..end` cover.
    fn part(&self, first: usize, end: usize) -> Part {
        Part { offset: first * self.slot, len: (end - first) * self.slot }
    }

    /// The slots that a part covers: the reverse of `part`.
    pub(super) fn slots_of(&self, part: Part) -> Range<usize> {
        part.offset / self.slot..(part.offset + part.len) / self.slot
    }

    /// Returns the memory of whole slots to the system. Guards stay.
    ///
    /// # Safety
    /// The caller has these slots to itself.
    pub(super) unsafe fn discard(&self, parts: &[Part]) {
        // SAFETY: the slots are the caller's alone, and a free stack's content means nothing. Refused (`EINVAL`, when
        // locked by `mlockall`), the memory just stays.
        let _ = unsafe { self.mapping.advise(parts, Advice::Discard) };
    }
}

impl Drop for Slab {
    fn drop(&mut self) {
        self.budget.put(*self.protected.get_mut());
        // And the mapping goes by its own `drop`.
    }
}

/// How many slots are guarded at once, at most.
pub(super) const PREPARE_BATCH: usize = 16;
/// The books of a slab, under the pool's lock.
///
/// A slot is in exactly one of: `dirty`, `clean`, `bare`, or none, and then somebody has it to himself and `live` counts
/// it: a [`Stack`](super::Stack) (in use or leaked), or a thread that is guarding or discarding it.
#[derive(Debug)]
pub(super) struct Books {
    pub(super) slab: Arc<Slab>,
    pub(super) live: usize,
    /// Free, guarded, and probably with pages.
    pub(super) dirty: Bits,
    /// Free, guarded, and without pages.
    pub(super) clean: Bits,
    /// Never handed out: no guard and no pages.
    pub(super) bare: Bits,
}

impl Books {
    /// The books of a slab whose slots are all bare.
    pub(super) fn try_new(slab: Arc<Slab>) -> Result<Books, TryReserveError> {
        let slots = slab.slots;
        Ok(Books {
            live: 0,
            dirty: Bits::try_new(slots, false)?,
            clean: Bits::try_new(slots, false)?,
            bare: Bits::try_new(slots, true)?,
            slab,
        })
    }

    /// Takes the lowest run of bare slots, at most `most` of them.
    pub(super) fn take_bare(&mut self, most: usize) -> Option<Range<usize>> {
        let first = self.bare.first()?;
        let len = (first..self.slab.slots).take(most).take_while(|&i| self.bare.remove(i)).count();
        Some(first..first + len)
    }

    /// Takes dirty slots to discard, in maximal runs; stops when `parts` has no room left. Returns how many it took.
    ///
    /// Runs do not bridge clean slots between dirty ones: the kernel would walk their page tables again each time
    /// (measured: a million stacks freed in random order take 0.65 s without bridging, 0.95 s with it).
    pub(super) fn take_dirty(&mut self, parts: &mut Vec<Part>) -> usize {
        let mut taken = 0;
        let mut from = 0;
        while parts.len() < parts.capacity() {
            let Some(first) = self.dirty.next(from) else { break };
            let mut end = first;
            while end < self.slab.slots && self.dirty.remove(end) {
                end += 1;
            }
            parts.push(self.slab.part(first, end));
            taken += end - first;
            from = end;
        }
        taken
    }
}
