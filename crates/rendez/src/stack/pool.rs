//! A pool: the slabs of one stack size, and the policy of handing out, keeping and giving back.

use std::collections::{TryReserveError, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::bits::Bits;
use super::guard::{Budget, GuardError, GuardMode};
use super::mem::{Mapping, Part};
use super::slab::{Books, PREPARE_BATCH, SLAB_SLOTS_MAX, SLABS_MAX, Slab, SlotRef};
use super::{Limit, Stack, StackError, check_size};

/// The first slab's number of stacks.
const SLAB_SLOTS_MIN: usize = 16;
/// No slab is larger than this many bytes of address space (unless one stack is).
const SLAB_BYTES_MAX: usize = 1 << 30;
/// How much address space growing leaves to the rest of the process. Where it is limited (`ulimit -v`), a pool that took
/// the last of it would have the next `malloc` fail, and abort, somewhere else.
const HEADROOM: usize = 16 << 20;
/// A lone empty slab with at most this many dirty slots is kept, whatever its size, so that a program that uses one stack
/// more and one less does not map and unmap a slab each time.
const SPARE_DIRTY: usize = 64;
/// How many runs of slots are discarded between two looks at the books.
const DISCARD_RUNS: usize = 512;

/// How many free stacks of `size` are kept with their memory, in slabs that are all free, or when nothing is in use: as
/// many as 256 MiB of address space hold, which is 1024 of the default size (4 MiB, if no more than their top page has
/// been touched).
fn keep(size: usize) -> usize {
    ((256 << 20) / size).clamp(16, 1024)
}

/// The process-wide store of stacks of one size. See the [module](super).
#[derive(Debug)]
pub(crate) struct Pool {
    size: usize,
    budget: Arc<Budget>,
    /// Held while a slab is being mapped, so that threads in need wait for one slab and do not each map their own.
    /// Taken before `inner`, never inside it.
    growth: Mutex<()>,
    inner: Mutex<Inner>,
}

/// A pool's figures at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PoolStats {
    /// Bytes of address space a stack, guard included.
    pub(crate) size: usize,
    /// Mappings.
    pub(crate) slabs: usize,
    /// Stacks that the mappings have room for.
    pub(crate) mapped: usize,
    /// Stacks handed out and not yet back (leaked ones apart).
    pub(crate) in_use: usize,
    /// Free stacks that probably hold memory.
    pub(crate) resident_free: usize,
    /// Stacks given up for ever.
    pub(crate) leaked: usize,
    /// How new guards are made.
    pub(crate) guard_mode: GuardMode,
}

/// What the lock protects. See the module's invariants.
#[derive(Debug)]
struct Inner {
    /// By slab number. `None` is a number to use again.
    slabs: Vec<Option<Books>>,
    /// The numbers in `slabs` that are `None`.
    vacant: Bits,
    /// The slabs with clean slots, and those with bare slots.
    with_clean: Bits,
    with_bare: Bits,
    /// Freed slots, the last freed at the back. Every dirty slot is here; an entry whose slot is not dirty (any more) is
    /// stale, and so is all but one entry for the same slot.
    freed: VecDeque<SlotRef>,
    /// All slabs' dirty slots.
    dirty: usize,
    mapped: usize,
    in_use: usize,
    leaked: usize,
    /// Slabs with `live == 0`, and their slots.
    empty_slabs: usize,
    empty_slots: usize,
    mode: GuardMode,
    /// Whether some thread is in `reclaim`.
    reclaiming: bool,
}

/// What `allocate` found.
enum Found {
    Ready(Stack),
    /// Slots to guard, taken out of the books.
    Bare(Arc<Slab>, std::ops::Range<usize>, GuardMode),
    Nothing,
}

impl Pool {
    /// A pool of its own, outside of the registry, that begins with the given way of guarding.
    ///
    /// # Panics
    /// If `size` is not as [`check_size`] returned it.
    pub(crate) fn with_guard_mode(size: usize, mode: GuardMode) -> Arc<Pool> {
        Pool::with_budget(size, mode, Budget::of_process())
    }

    pub(super) fn with_budget(size: usize, mode: GuardMode, budget: Arc<Budget>) -> Arc<Pool> {
        assert_eq!(check_size(size).ok(), Some(size), "a pool's size must have been checked");
        let inner = Inner {
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
        };
        Arc::new(Pool { size, budget, growth: Mutex::new(()), inner: Mutex::new(inner) })
    }

    /// Bytes of address space a stack, guard included.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// A stack: the last one freed if there is one.
    ///
    /// # Errors
    /// [`StackError::Exhausted`]; nothing has changed then, and a later attempt may succeed.
    pub(crate) fn allocate(self: &Arc<Self>) -> Result<Stack, StackError> {
        loop {
            let found = self.lock().find();
            match found {
                Found::Ready(stack) => return Ok(stack),
                Found::Bare(slab, slots, mode) => {
                    if let Some(stack) = self.prepare(slab, slots, mode)? {
                        return Ok(stack);
                    }
                }
                Found::Nothing => self.grow()?,
            }
        }
    }

    /// Guards bare slots that have been taken out of the books, and puts all but the first back as free. `None` if
    /// the pool has had to change its way of guarding.
    fn prepare(
        &self,
        slab: Arc<Slab>,
        slots: std::ops::Range<usize>,
        mode: GuardMode,
    ) -> Result<Option<Stack>, StackError> {
        // SAFETY: the slots are out of the books and no `Stack` has them: they are this thread's.
        let (done, result) = unsafe { slab.prepare(slots.start, slots.len(), mode) };
        let mut inner = self.lock();
        for index in slots.clone().skip(done) {
            inner.put_bare(slab.id, index);
        }
        // Backwards, so that the lowest is handed out next: neighbours share page tables.
        for index in slots.clone().take(done).skip(1).rev() {
            inner.put_dirty(slab.id, index);
        }
        inner.vacate(slab.id, slots.len() - done.min(1));
        if done > 0 {
            // Whatever stopped the others, the next attempt meets it again.
            inner.in_use += 1;
            return Ok(Some(Stack { slab, index: slots.start as u32 }));
        }
        let (limit, error) = match result {
            Err(GuardError::Unsupported) => {
                inner.mode = GuardMode::Protect;
                return Ok(None);
            }
            Err(GuardError::MapCount(error)) => (Limit::MapCount, error),
            Err(GuardError::Refused(error)) => (Limit::Guard, error),
            Ok(()) => return Ok(None),
        };
        Err(StackError::Exhausted { size: self.size, limit, error })
    }

    /// Maps a slab, unless something has come free meanwhile.
    fn grow(self: &Arc<Self>) -> Result<(), StackError> {
        let _growth = self.growth.lock().unwrap_or_else(PoisonError::into_inner);
        let (id, mapped) = {
            let mut inner = self.lock();
            if inner.has_free() {
                return Ok(());
            }
            (inner.vacant.first().unwrap_or(inner.slabs.len()), inner.mapped)
        };
        let exhausted = |error| StackError::Exhausted { size: self.size, limit: Limit::AddressSpace, error };
        let no_memory = |_: TryReserveError| exhausted(io::Error::from_raw_os_error(libc::ENOMEM));
        if id >= SLABS_MAX {
            return Err(exhausted(io::Error::from_raw_os_error(libc::ENOMEM)));
        }
        let most = SLAB_SLOTS_MAX.min(SLAB_BYTES_MAX / self.size).max(1);
        // As many as there are already: doubling.
        let mut slots = mapped.next_power_of_two().max(SLAB_SLOTS_MIN).min(most);
        let mapping = loop {
            let tried = Mapping::new(slots * self.size).and_then(|mapping| {
                Mapping::new(HEADROOM)?;
                Ok(mapping)
            });
            match tried {
                Ok(mapping) => break mapping,
                Err(error) if slots == 1 => return Err(exhausted(error)),
                Err(_) => slots /= 2,
            }
        };
        // The one allocation below that cannot fail softly is far smaller than this one.
        Vec::<u8>::new().try_reserve_exact(4096).map_err(no_memory)?;
        let budget = Arc::clone(&self.budget);
        let slab = Arc::new(Slab::new(id, Arc::downgrade(self), (slots, self.size), mapping, budget));
        let books = Books::try_new(slab).map_err(no_memory)?;
        self.lock().insert(id, books).map_err(no_memory)
    }

    /// Takes a slot back from its `Stack`.
    pub(super) fn give_back(&self, id: usize, index: usize) {
        let (empty, over) = {
            let mut inner = self.lock();
            inner.in_use -= 1;
            inner.put_dirty(id, index);
            inner.vacate(id, 1);
            let empty = inner.take_surplus(id, keep(self.size));
            let over = !inner.reclaiming && inner.over(keep(self.size));
            inner.reclaiming |= over;
            (empty, over)
        };
        // Unmaps, if no other thread is just leaving the slab, and not under the lock.
        drop(empty);
        if over {
            self.reclaim();
        }
    }

    /// Counts a stack as leaked. Its slot stays live, so its slab stays too.
    pub(super) fn note_leak(&self) {
        let mut inner = self.lock();
        inner.in_use -= 1;
        inner.leaked += 1;
    }

    /// Gives memory back, a slab at a time, until no more than is worth keeping is left. The caller has set `reclaiming`.
    fn reclaim(&self) {
        let mut parts = Vec::new();
        let ready = parts.try_reserve_exact(DISCARD_RUNS).is_ok();
        loop {
            let (empty, slab) = {
                let mut inner = self.lock();
                let oldest = if ready && inner.over(keep(self.size)) { inner.oldest_dirty() } else { None };
                match oldest {
                    Some(id) => inner.take_to_give_back(id, &mut parts),
                    None => {
                        inner.reclaiming = false;
                        return;
                    }
                }
            };
            drop(empty);
            if let Some(slab) = slab {
                self.discard(&slab, &mut parts, keep(self.size));
            }
        }
    }

    /// Gives back the memory of all free stacks.
    pub(crate) fn trim(&self) {
        let mut parts = Vec::new();
        if parts.try_reserve_exact(DISCARD_RUNS).is_err() {
            return;
        }
        let mut id = 0;
        loop {
            let (empty, slab) = {
                let mut inner = self.lock();
                if id >= inner.slabs.len() {
                    inner.compact();
                    return;
                }
                inner.take_to_give_back(id, &mut parts)
            };
            drop(empty);
            // A slab that filled the vector may have more.
            let more = parts.len() == parts.capacity();
            if let Some(slab) = slab {
                self.discard(&slab, &mut parts, 0);
            }
            id += usize::from(!more);
        }
    }

    /// Discards slots that have been taken out of the books, and puts them back as clean.
    fn discard(&self, slab: &Slab, parts: &mut Vec<Part>, keep: usize) {
        // SAFETY: the slots are out of the books and no `Stack` has them: they are this thread's.
        unsafe { slab.discard(parts) };
        let empty = {
            let mut inner = self.lock();
            let mut taken = 0;
            for index in parts.iter().flat_map(|&part| slab.slots_of(part)) {
                inner.put_clean(slab.id, index);
                taken += 1;
            }
            inner.vacate(slab.id, taken);
            inner.take_surplus(slab.id, keep)
        };
        parts.clear();
        drop(empty);
    }

    /// This instant's figures.
    pub(crate) fn stats(&self) -> PoolStats {
        let inner = self.lock();
        PoolStats {
            size: self.size,
            slabs: inner.slabs.iter().flatten().count(),
            mapped: inner.mapped,
            in_use: inner.in_use,
            resident_free: inner.dirty,
            leaked: inner.leaked,
            guard_mode: inner.mode,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing under the lock panics half-way through a change; should it, a stack less is worse than none.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn books(&mut self, id: usize) -> &mut Books {
        self.slabs[id].as_mut().expect("a live slot's slab is in the table")
    }

    /// Whether the slot of an entry of `freed` is indeed free and dirty.
    fn is_dirty(&self, slot: SlotRef) -> bool {
        matches!(self.slabs.get(slot.slab()), Some(Some(books)) if books.dirty.get(slot.index()))
    }

    fn has_free(&mut self) -> bool {
        self.dirty > 0 || self.with_clean.count() > 0 || self.with_bare.count() > 0
    }

    fn find(&mut self) -> Found {
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
    fn vacate(&mut self, id: usize, n: usize) {
        let books = self.books(id);
        let slots = books.slab.slots;
        books.live -= n;
        if books.live == 0 && n > 0 {
            self.empty_slabs += 1;
            self.empty_slots += slots;
        }
    }

    fn put_bare(&mut self, id: usize, index: usize) {
        self.books(id).bare.insert(index);
        self.with_bare.insert(id);
    }

    fn put_clean(&mut self, id: usize, index: usize) {
        self.books(id).clean.insert(index);
        self.with_clean.insert(id);
    }

    fn put_dirty(&mut self, id: usize, index: usize) {
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
    fn compact(&mut self) {
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
    fn over(&self, keep: usize) -> bool {
        self.dirty > keep.max(self.in_use)
    }

    /// The slab of the slot freed longest ago that is still dirty.
    fn oldest_dirty(&mut self) -> Option<usize> {
        while let Some(&slot) = self.freed.front() {
            if self.is_dirty(slot) {
                return Some(slot.slab());
            }
            self.freed.pop_front();
        }
        None
    }

    /// Takes out of a slab what can be given back: all of it if it is empty, else dirty slots to discard.
    fn take_to_give_back(&mut self, id: usize, parts: &mut Vec<Part>) -> (Option<Books>, Option<Arc<Slab>>) {
        match &mut self.slabs[id] {
            Some(books) if books.live == 0 => (self.remove(id), None),
            Some(books) if books.dirty.count() > 0 => {
                let slab = Arc::clone(&books.slab);
                let (dirty, clean) = books.take_dirty(parts);
                if books.clean.count() == 0 {
                    self.with_clean.remove(id);
                }
                self.dirty -= dirty;
                self.occupy(id, dirty + clean);
                (None, Some(slab))
            }
            _ => (None, None),
        }
    }

    /// The slab, taken out of the table, if it is empty and not worth keeping.
    fn take_surplus(&mut self, id: usize, keep: usize) -> Option<Books> {
        let books = self.books(id);
        if books.live > 0 {
            return None;
        }
        let spare = keep > 0 && books.dirty.count() <= SPARE_DIRTY && self.empty_slabs == 1;
        if self.empty_slots <= keep || spare { None } else { self.remove(id) }
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

    fn insert(&mut self, id: usize, books: Books) -> Result<(), TryReserveError> {
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
