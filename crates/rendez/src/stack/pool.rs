//! A pool: the slabs of one stack size, and the policy of handing out, keeping and giving back.

use std::collections::TryReserveError;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{fmt, io};

use crossbeam_utils::CachePadded;

use super::error::Limit;
use super::guard::{Budget, GuardError, GuardMode};
use super::ledger::{Found, Ledger};
use super::mem::{Mapping, Part};
use super::slab::{Books, SLAB_SLOTS_MAX, SLABS_MAX, Slab, slot_bytes};
use super::{Stack, StackError, check_size};

/// The first slab's number of stacks.
const SLAB_SLOTS_MIN: usize = 16;
/// The stacks of a slab take no more than this many bytes of address space (unless one does), spare pages apart.
const SLAB_BYTES_MAX: usize = 1 << 30;
/// How much address space growing leaves to the rest of the process. Where it is limited (`ulimit -v`), a pool that took
/// the last of it would have the next `malloc` fail, and abort, somewhere else.
const HEADROOM: usize = 16 << 20;
/// How many runs of slots are discarded between two looks at the books.
const DISCARD_RUNS: usize = 512;
/// For how long a surplus stays that somebody [looks after](Pool::settle): longer than a hundred thousand goroutines take to
/// end, which are not to pay for it. (Measured: a quarter of the time from a cancel of 100,000 to their end.)
pub(super) const GRACE: Duration = Duration::from_millis(200);
/// Of the stacks that come back meanwhile, one in this many looks at the clock.
const CLOCK_EVERY: u32 = 64;

/// How many free stacks of `size` are kept with their memory, in slabs that are all free, or when nothing is in use: as
/// many as 256 MiB of address space hold, which is 1024 of the default size (4 MiB, if no more than their top page has
/// been touched).
fn keep(size: usize) -> usize {
    ((256 << 20) / size).clamp(16, 1024)
}

/// The process-wide store of stacks of one size. See the [module](super).
pub(crate) struct Pool {
    size: usize,
    budget: Arc<Budget>,
    /// Held while a slab is being mapped, so that threads in need wait for one slab and do not each map their own.
    /// Taken before `ledger`, never inside it.
    growth: Mutex<()>,
    ledger: Mutex<Ledger>,
    /// How many look after the surplus.
    keepers: AtomicUsize,
    /// Whether there may be one.
    surplus: CachePadded<AtomicBool>,
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
        Arc::new(Pool {
            size,
            budget,
            growth: Mutex::new(()),
            ledger: Mutex::new(Ledger::new(mode)),
            keepers: AtomicUsize::new(0),
            surplus: CachePadded::default(),
        })
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
        slots: Range<usize>,
        mode: GuardMode,
    ) -> Result<Option<Stack>, StackError> {
        // SAFETY: the slots are out of the books and no `Stack` has them: they are this thread's.
        let (done, result) = unsafe { slab.prepare(slots.start, slots.len(), mode) };
        let mut ledger = self.lock();
        for index in slots.clone().skip(done) {
            ledger.put_bare(slab.id, index);
        }
        // Backwards, so that the lowest is handed out next: neighbours share page tables.
        for index in slots.clone().take(done).skip(1).rev() {
            ledger.put_dirty(slab.id, index);
        }
        ledger.vacate(slab.id, slots.len() - done.min(1));
        if done > 0 {
            // Whatever stopped the others, the next attempt meets it again.
            ledger.in_use += 1;
            return Ok(Some(Stack { slab, index: slots.start as u32 }));
        }
        let (limit, error) = match result {
            Err(GuardError::Unsupported) => {
                ledger.mode = GuardMode::Protect;
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
            let mut ledger = self.lock();
            if ledger.has_free() {
                return Ok(());
            }
            (ledger.vacant.first().unwrap_or(ledger.slabs.len()), ledger.mapped)
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
            let tried = Mapping::new(slots * slot_bytes(self.size)).and_then(|mapping| {
                Mapping::new(HEADROOM)?;
                Ok(mapping)
            });
            match tried {
                Ok(mapping) => break mapping,
                // Some other thread may have freed one meanwhile.
                Err(_) if slots == 1 && self.lock().has_free() => return Ok(()),
                Err(error) if slots == 1 => return Err(exhausted(error)),
                Err(_) => slots /= 2,
            }
        };
        // The one allocation below that cannot fail softly is far smaller than this one (which the optimiser would
        // otherwise leave out).
        std::hint::black_box(&mut Vec::<u8>::new()).try_reserve_exact(4096).map_err(no_memory)?;
        let budget = Arc::clone(&self.budget);
        let slab = Arc::new(Slab::new(id, Arc::downgrade(self), (slots, self.size), mapping, budget));
        let books = Books::try_new(slab).map_err(no_memory)?;
        self.lock().insert(id, books).map_err(no_memory)
    }

    /// Takes a slot back from its `Stack`.
    pub(super) fn give_back(&self, id: usize, index: usize) {
        let keep = keep(self.size);
        let kept = self.keepers.load(Relaxed) > 0;
        let (empty, over) = {
            let mut ledger = self.lock();
            ledger.put_back(id, index);
            let empty = if kept { None } else { ledger.take_surplus(id, keep) };
            let over =
                if kept { self.note_surplus(&mut ledger) } else { !ledger.reclaiming && ledger.over(keep) };
            ledger.reclaiming |= over;
            (empty, over)
        };
        // Unmaps, if no other thread is just leaving the slab, and not under the lock.
        drop(empty);
        if over {
            self.reclaim(!kept);
        }
    }

    /// Takes back many stacks of this pool under one hold of the lock.
    pub(crate) fn give_back_all(&self, stacks: Vec<Stack>) {
        if self.keepers.load(Relaxed) == 0 {
            return drop(stacks);
        }
        let over = {
            let mut ledger = self.lock();
            let mut over = false;
            for stack in &stacks {
                assert!(std::ptr::eq(stack.slab.pool.as_ptr(), self), "a stack of another pool");
                ledger.put_back(stack.slab.id, stack.index());
                over |= self.note_surplus(&mut ledger);
            }
            ledger.reclaiming |= over;
            over
        };
        for stack in stacks {
            stack.gone();
        }
        if over {
            self.reclaim(false);
        }
    }

    // ---- the surplus ----

    /// The caller will [`settle`](Self::settle) now and then, until it says [`leave`](Self::leave).
    pub(crate) fn look_after(&self) {
        self.keepers.fetch_add(1, Relaxed);
    }

    /// The caller looks after the surplus no longer. It goes at once: those who still look after it, workers of another
    /// runtime, may sleep for ever.
    pub(crate) fn leave(&self) {
        self.keepers.fetch_sub(1, Relaxed);
        // Who is at it already will not finish it.
        self.lock().reclaiming = true;
        self.reclaim(true);
    }

    /// Sees whether there is a surplus, and since when. Returns whether it is time that it goes, and the caller's to do that.
    fn note_surplus(&self, ledger: &mut Ledger) -> bool {
        let Some(since) = ledger.surplus_since else {
            if ledger.has_surplus(keep(self.size)) {
                ledger.surplus_since = Some(Instant::now());
                self.surplus.store(true, Relaxed);
            }
            return false;
        };
        ledger.surplus_looks = ledger.surplus_looks.wrapping_add(1);
        ledger.surplus_looks.is_multiple_of(CLOCK_EVERY) && !ledger.reclaiming && since.elapsed() >= GRACE
    }

    /// Whether [`settle`](Self::settle) may find something.
    #[inline(always)]
    pub(crate) fn may_settle(&self) -> bool {
        self.surplus.load(Relaxed)
    }

    /// Gives some of the surplus back if it has been there for a while. Returns whether there is more.
    pub(crate) fn settle(&self) -> bool {
        if !self.may_settle() {
            return false;
        }
        {
            let mut ledger = self.lock();
            let is_due = ledger.surplus_since.is_some_and(|since| since.elapsed() >= GRACE);
            if ledger.reclaiming || !is_due {
                return false;
            }
            ledger.reclaiming = true;
        }
        self.reclaim(false)
    }

    /// Gives the surplus back, a slab at a time: `all` of it, or one slab's. The caller has set `reclaiming`. Returns whether
    /// there may be more.
    fn reclaim(&self, all: bool) -> bool {
        loop {
            if !self.reclaim_some() {
                return false;
            }
            if !all {
                self.lock().reclaiming = false;
                return true;
            }
        }
    }

    /// One step of [`reclaim`](Self::reclaim). If there is no surplus, clears `reclaiming` and returns `false`.
    fn reclaim_some(&self) -> bool {
        let keep = keep(self.size);
        let mut parts = Vec::new();
        let ready = parts.try_reserve_exact(DISCARD_RUNS).is_ok();
        let (empty, slab) = {
            let mut ledger = self.lock();
            let oldest = if ready && ledger.over(keep) { ledger.oldest_dirty() } else { None };
            if let Some(id) = oldest {
                ledger.take_to_give_back(id, &mut parts)
            } else if let Some(empty) = ledger.take_any_surplus(keep) {
                (Some(empty), None)
            } else {
                ledger.reclaiming = false;
                ledger.surplus_since = None;
                self.surplus.store(false, Relaxed);
                return false;
            }
        };
        drop(empty);
        if let Some(slab) = slab {
            self.discard(&slab, &mut parts, keep);
        }
        true
    }

    /// Counts a stack as leaked. Its slot stays live, so its slab stays too.
    pub(super) fn note_leak(&self) {
        let mut ledger = self.lock();
        ledger.in_use -= 1;
        ledger.leaked += 1;
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
                let mut ledger = self.lock();
                if id >= ledger.slabs.len() {
                    ledger.compact();
                    return;
                }
                ledger.take_to_give_back(id, &mut parts)
            };
            drop(empty);
            // A slab that filled the vector may have more.
            let more = parts.len() == parts.capacity();
            if let Some(slab) = slab {
                self.discard(&slab, &mut parts, 0);
            }
            if !more {
                id += 1;
            }
        }
    }

    /// Discards slots that have been taken out of the books, and puts them back as clean.
    fn discard(&self, slab: &Slab, parts: &mut Vec<Part>, keep: usize) {
        // SAFETY: the slots are out of the books and no `Stack` has them: they are this thread's.
        unsafe { slab.discard(parts) };
        let empty = {
            let mut ledger = self.lock();
            let mut taken = 0;
            for index in parts.iter().flat_map(|&part| slab.slots_of(part)) {
                ledger.put_clean(slab.id, index);
                taken += 1;
            }
            ledger.vacate(slab.id, taken);
            ledger.take_surplus(slab.id, keep)
        };
        parts.clear();
        drop(empty);
    }

    /// This instant's figures.
    pub(crate) fn stats(&self) -> PoolStats {
        let ledger = self.lock();
        PoolStats {
            size: self.size,
            slabs: ledger.slabs.iter().flatten().count(),
            mapped: ledger.mapped,
            in_use: ledger.in_use,
            resident_free: ledger.dirty,
            leaked: ledger.leaked,
            guard_mode: ledger.mode,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Ledger> {
        // Nothing under the lock panics half-way through a change; should it, a stack less is worse than none.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pool").field(&self.stats()).finish()
    }
}
