//! A pool's ledger: which slots are free, in which state, and in which order they came back. All of it is under the pool's
//! lock, none of it makes a system call.

use std::collections::{TryReserveError, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use super::Stack;
use super::bits::Bits;
use super::guard::GuardMode;
use super::mem::Part;
use super::slab::{Books, PREPARE_BATCH, Slab, SlotRef};

/// A lone empty slab with at most this many dirty slots is kept, whatever its size, so that a program that uses one stack
/// more and one less does not map and unmap a slab each time.
const SPARE_DIRTY: usize = 64;

/// What the lock protects. See the module's invariants.
pub(super) struct Ledger {
    /// By slab number. `None` is a number to use again.
    pub(super) slabs: Vec<Option<Books>>,
    /// The numbers in `slabs` that are `None`.
    pub(super) vacant: Bits,
    /// The slabs with clean slots, and those with bare slots.
    with_clean: Bits,
    with_bare: Bits,
    /// Freed slots, the last freed at the back. Every dirty slot is here; an entry whose slot is not dirty (any more) is
    /// stale, and so is all but one entry for the same slot.
    freed: VecDeque<SlotRef>,
    /// All slabs' dirty slots.
    pub(super) dirty: usize,
    pub(super) mapped: usize,
    pub(super) in_use: usize,
    pub(super) leaked: usize,
    /// Slabs with `live == 0`, and their slots.
    empty_slabs: usize,
    empty_slots: usize,
    pub(super) mode: GuardMode,
    /// Whether some thread is in `reclaim`.
    pub(super) reclaiming: bool,
    /// Since when there has been a surplus, if somebody looks after it, and how often was looked.
    pub(super) surplus_since: Option<Instant>,
    pub(super) surplus_looks: u32,
}

/// What `allocate` found.
pub(super) enum Found {
    Ready(Stack),
    /// Slots to guard, taken out of the books.
    Bare(Arc<Slab>, Range<usize>, GuardMode),
    Nothing,
}

impl Ledger {
    /// The ledger of a pool without slabs.
    pub(super) fn new(mode: GuardMode) -> Ledger {
        Ledger {
            slabs: Vec::new(),
            vacant: Bits::default(),
            with_clean: Bits::default(),
            with_bare: Bits::default(),
            freed: VecDeque::new(),
            dirty: 0,
            mapped: 0,
            in_use: 0,
            leaked: 0,
            empty_slabs: 0,
            empty_slots: 0,
            mode,
            reclaiming: false,
            surplus_since: None,
            surplus_looks: 0,
        }
    }

    fn books(&mut self, id: usize) -> &mut Books {
        self.slabs[id].as_mut().expect("a live slot's slab is in the table")
    }

    /// Whether the slot of an entry of `freed` is indeed free and dirty.
    fn is_dirty(&self, slot: SlotRef) -> bool {
        matches!(self.slabs.get(slot.slab()), Some(Some(books)) if books.dirty.get(slot.index()))
    }

    pub(super) fn has_free(&mut self) -> bool {
        self.dirty > 0 || self.with_clean.count() > 0 || self.with_bare.count() > 0
    }

    pub(super) fn find(&mut self) -> Found {
        while let Some(slot) = self.freed.pop_back() {
            if self.is_dirty(slot) {
                self.books(slot.slab()).dirty.remove(slot.index());
                self.dirty -= 1;
                return Found::Ready(self.hand_out(slot.slab(), slot.index()));
            }
        }
        if let Some(id) = self.with_clean.first() {
            let clean = &mut self.books(id).clean;
            let index = clean.first().expect("a slab in `with_clean` has a clean slot");
            clean.remove(index);
            if clean.count() == 0 {
                self.with_clean.remove(id);
            }
            return Found::Ready(self.hand_out(id, index));
        }
        if let Some(id) = self.with_bare.first() {
            let mode = self.mode;
            // Protected guards come out of a budget: none in advance.
            let most = if mode == GuardMode::Protect { 1 } else { PREPARE_BATCH };
            let books = self.books(id);
            let slots = books.take_bare(most).expect("a slab in `with_bare` has a bare slot");
            let slab = Arc::clone(&books.slab);
            if books.bare.count() == 0 {
                self.with_bare.remove(id);
            }
            self.occupy(id, slots.len());
            return Found::Bare(slab, slots, mode);
        }
        Found::Nothing
    }

    fn hand_out(&mut self, id: usize, index: usize) -> Stack {
        self.occupy(id, 1);
        self.in_use += 1;
        Stack { slab: Arc::clone(&self.books(id).slab), index: index as u32 }
    }

    /// `n` slots of the slab have been taken out of the books.
    fn occupy(&mut self, id: usize, n: usize) {
        let books = self.books(id);
        let (was, slots) = (books.live, books.slab.slots);
        books.live += n;
        if was == 0 && n > 0 {
            self.empty_slabs -= 1;
            self.empty_slots -= slots;
        }
    }

    /// `n` slots of the slab have been put back into the books.
    pub(super) fn vacate(&mut self, id: usize, n: usize) {
        let books = self.books(id);
        let slots = books.slab.slots;
        books.live -= n;
        if books.live == 0 && n > 0 {
            self.empty_slabs += 1;
            self.empty_slots += slots;
        }
    }

    pub(super) fn put_bare(&mut self, id: usize, index: usize) {
        self.books(id).bare.insert(index);
        self.with_bare.insert(id);
    }

    pub(super) fn put_clean(&mut self, id: usize, index: usize) {
        self.books(id).clean.insert(index);
        self.with_clean.insert(id);
    }

    pub(super) fn put_dirty(&mut self, id: usize, index: usize) {
        if self.freed.len() > 2 * self.dirty + 1024 {
            self.compact();
        }
        if self.freed.try_reserve(1).is_err() {
            // Not a place in the list to be had: then it must be found by the bitmap.
            return self.put_clean(id, index);
        }
        self.books(id).dirty.insert(index);
        self.dirty += 1;
        self.freed.push_back(SlotRef::new(id, index));
    }

    /// Drops the stale entries of `freed`.
    pub(super) fn compact(&mut self) {
        let mut freed = std::mem::take(&mut self.freed);
        let entries = freed.make_contiguous();
        let mut kept = entries.len();
        // From the last freed on; taking the bit makes older entries for the same slot stale.
        for i in (0..entries.len()).rev() {
            if self.is_dirty(entries[i]) {
                self.books(entries[i].slab()).dirty.remove(entries[i].index());
                kept -= 1;
                entries[kept] = entries[i];
            }
        }
        for slot in &entries[kept..] {
            self.books(slot.slab()).dirty.insert(slot.index());
        }
        freed.drain(..kept);
        debug_assert_eq!(freed.len(), self.dirty);
        if freed.capacity() > 4 * freed.len() + 4096 {
            freed.shrink_to(2 * freed.len() + 1024);
        }
        self.freed = freed;
    }

    /// Whether more memory lies in free slots than in used ones (or than is kept in any case).
    pub(super) fn over(&self, keep: usize) -> bool {
        self.dirty > keep.max(self.in_use)
    }

    /// A slot comes back from its `Stack`.
    pub(super) fn put_back(&mut self, id: usize, index: usize) {
        self.in_use -= 1;
        self.put_dirty(id, index);
        self.vacate(id, 1);
    }

    /// Whether there is something to give back, or nearly so.
    pub(super) fn has_surplus(&self, keep: usize) -> bool {
        let spare = self.empty_slabs == 1 && self.dirty <= SPARE_DIRTY;
        self.over(keep) || (self.empty_slots > keep && !spare)
    }

    /// The slab of the slot freed longest ago that is still dirty.
    pub(super) fn oldest_dirty(&mut self) -> Option<usize> {
        while let Some(&slot) = self.freed.front() {
            if self.is_dirty(slot) {
                return Some(slot.slab());
            }
            self.freed.pop_front();
        }
        None
    }

    /// Takes out of a slab what can be given back: all of it if it is empty, else dirty slots to discard.
    pub(super) fn take_to_give_back(
        &mut self,
        id: usize,
        parts: &mut Vec<Part>,
    ) -> (Option<Books>, Option<Arc<Slab>>) {
        match &mut self.slabs[id] {
            Some(books) if books.live == 0 => (self.remove(id), None),
            Some(books) if books.dirty.count() > 0 => {
                let slab = Arc::clone(&books.slab);
                let taken = books.take_dirty(parts);
                self.dirty -= taken;
                self.occupy(id, taken);
                (None, Some(slab))
            }
            _ => (None, None),
        }
    }

    /// The slab, taken out of the table, if it is empty and not worth keeping.
    pub(super) fn take_surplus(&mut self, id: usize, keep: usize) -> Option<Books> {
        let books = self.books(id);
        if books.live > 0 {
            return None;
        }
        let spare = keep > 0 && books.dirty.count() <= SPARE_DIRTY && self.empty_slabs == 1;
        if self.empty_slots <= keep || spare { None } else { self.remove(id) }
    }

    /// A slab that is empty and not worth keeping.
    pub(super) fn take_any_surplus(&mut self, keep: usize) -> Option<Books> {
        if self.empty_slots <= keep {
            return None;
        }
        let is_empty = |books: &Option<Books>| books.as_ref().is_some_and(|books| books.live == 0);
        let id = self.slabs.iter().rposition(is_empty)?;
        self.take_surplus(id, keep)
    }

    /// Takes an empty slab out of the table. To be dropped without the lock.
    fn remove(&mut self, id: usize) -> Option<Books> {
        let books = self.slabs[id].take()?;
        debug_assert_eq!(books.live, 0);
        self.vacant.insert(id);
        self.with_clean.remove(id);
        self.with_bare.remove(id);
        self.dirty -= books.dirty.count();
        self.mapped -= books.slab.slots;
        self.empty_slabs -= 1;
        self.empty_slots -= books.slab.slots;
        Some(books)
    }

    pub(super) fn insert(&mut self, id: usize, books: Books) -> Result<(), TryReserveError> {
        if id == self.slabs.len() {
            self.slabs.try_reserve(1)?;
            for bits in [&mut self.vacant, &mut self.with_clean, &mut self.with_bare] {
                bits.try_grow(id + 1)?;
            }
            self.slabs.push(None);
        }
        self.vacant.remove(id);
        self.with_bare.insert(id);
        self.mapped += books.slab.slots;
        self.empty_slabs += 1;
        self.empty_slots += books.slab.slots;
        self.slabs[id] = Some(books);
        Ok(())
    }
}
