//! A heap of deadlines: what is due first comes out first.
//!
//! Four-ary, of 16 bytes an entry, so that the four children that a step down compares lie in one cache line or two. An
//! entry names its *slot*; where in the heap it is, is kept in a list of places by the slot, beside the item: so a step of
//! the heap writes to two dense lists, and not, as with a place in each timer, to frames and futures all over memory.
//! Setting and removing cost O(log n); setting a deadline that is later than most costs next to nothing.
//!
//! Memory: 28 bytes a deadline in three lists that grow by doubling. A large one that has been emptied gives it back.

use std::fmt;

const ARITY: usize = 4;
/// Ends the list of free slots.
const NONE: u32 = u32::MAX;
/// As many slots as an emptied heap keeps.
const KEPT: usize = 4096;

/// Where an item is.
pub(super) type Slot = u32;

/// The slots that there can be end here: higher numbers are free for other meanings.
pub(super) const SLOTS: Slot = u32::MAX - 15;

#[derive(Clone, Copy)]
struct Entry {
    /// In [`Instant::nanos`](crate::time::Instant::nanos).
    at: u64,
    /// Ties are broken by the order of setting.
    number: u32,
    slot: Slot,
}

impl Entry {
    #[inline(always)]
    fn is_before(&self, other: &Entry) -> bool {
        if self.at != other.at {
            return self.at < other.at;
        }
        // Numbers come round again.
        (self.number.wrapping_sub(other.number) as i32) < 0
    }
}

/// Items by deadline.
pub(super) struct Deadlines<T> {
    heap: Vec<Entry>,
    /// By slot: the place in the heap; of a free slot the next free one.
    places: Vec<u32>,
    items: Vec<T>,
    free: Slot,
    set: u32,
}

impl<T: Copy> Deadlines<T> {
    pub(super) const fn new() -> Self {
        Deadlines { heap: Vec::new(), places: Vec::new(), items: Vec::new(), free: NONE, set: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }

    /// The earliest.
    #[inline]
    pub(super) fn next(&self) -> Option<u64> {
        self.heap.first().map(|entry| entry.at)
    }

    fn number(&mut self) -> u32 {
        self.set = self.set.wrapping_add(1);
        self.set
    }

    /// Adds an item.
    pub(super) fn push(&mut self, at: u64, item: T) -> Slot {
        let slot = match self.free {
            NONE => {
                let slot = self.items.len() as Slot;
                assert!(slot < SLOTS, "too many timers");
                self.items.push(item);
                self.places.push(0);
                slot
            }
            slot => {
                self.free = self.places[slot as usize];
                self.items[slot as usize] = item;
                slot
            }
        };
        let number = self.number();
        let entry = Entry { at, number, slot };
        self.heap.push(entry);
        self.rise(self.heap.len() - 1, entry);
        slot
    }

    /// Gives what is in `slot` another deadline.
    pub(super) fn set(&mut self, slot: Slot, at: u64) {
        let place = self.places[slot as usize] as usize;
        let entry = Entry { at, number: self.number(), slot };
        self.settle(place, entry);
    }

    /// Takes out what is in `slot`.
    pub(super) fn remove(&mut self, slot: Slot) {
        let place = self.places[slot as usize] as usize;
        let last = self.heap.pop().expect("a slot that is taken is in the heap");
        if place < self.heap.len() {
            self.settle(place, last);
        }
        self.vacate(slot);
    }

    /// Takes out the earliest if it is due.
    pub(super) fn pop_due(&mut self, now: u64) -> Option<T> {
        let first = *self.heap.first()?;
        if first.at > now {
            return None;
        }
        let item = self.items[first.slot as usize];
        let last = self.heap.pop().expect("there is a first");
        if !self.heap.is_empty() {
            // The last one belongs near the bottom in all likelihood: the hole goes there without asking for it.
            let hole = self.sink(0);
            self.rise(hole, last);
        }
        self.vacate(first.slot);
        Some(item)
    }

    /// How many are due.
    #[cfg(feature = "testing")]
    pub(super) fn count_due(&self, now: u64) -> usize {
        self.heap.iter().filter(|entry| entry.at <= now).count()
    }

    /// Takes out one of those that are due: the one with this number, in the order in which they would come out.
    #[cfg(feature = "testing")]
    pub(super) fn pop_nth_due(&mut self, now: u64, nth: usize) -> Option<T> {
        let mut due: Vec<Entry> = self.heap.iter().copied().filter(|entry| entry.at <= now).collect();
        due.sort_by(|a, b| b.is_before(a).cmp(&a.is_before(b)));
        let slot = due.get(nth)?.slot;
        let item = self.items[slot as usize];
        self.remove(slot);
        Some(item)
    }

    fn vacate(&mut self, slot: Slot) {
        self.places[slot as usize] = self.free;
        self.free = slot;
        if self.heap.is_empty() && self.items.capacity() > KEPT {
            *self = Deadlines { set: self.set, ..Deadlines::new() };
        }
    }

    #[inline(always)]
    fn put(&mut self, place: usize, entry: Entry) {
        self.heap[place] = entry;
        self.places[entry.slot as usize] = place as u32;
    }

    /// Puts an entry into a hole, from which it may belong up or down.
    fn settle(&mut self, hole: usize, entry: Entry) {
        if hole > 0 && entry.is_before(&self.heap[(hole - 1) / ARITY]) {
            self.rise(hole, entry);
        } else {
            let mut hole = hole;
            while let Some(least) = self.least_child(hole)
                && self.heap[least].is_before(&entry)
            {
                self.put(hole, self.heap[least]);
                hole = least;
            }
            self.put(hole, entry);
        }
    }

    /// Puts an entry into a hole, from which it may belong up.
    #[inline]
    fn rise(&mut self, mut hole: usize, entry: Entry) {
        while hole > 0 {
            let parent = (hole - 1) / ARITY;
            if !entry.is_before(&self.heap[parent]) {
                break;
            }
            self.put(hole, self.heap[parent]);
            hole = parent;
        }
        self.put(hole, entry);
    }

    /// Moves a hole down to a leaf.
    #[inline]
    fn sink(&mut self, mut hole: usize) -> usize {
        while let Some(least) = self.least_child(hole) {
            self.put(hole, self.heap[least]);
            hole = least;
        }
        hole
    }

    #[inline(always)]
    fn least_child(&self, place: usize) -> Option<usize> {
        let first = place * ARITY + 1;
        let children = self.heap.get(first..(first + ARITY).min(self.heap.len()))?;
        let mut least = 0;
        for (i, child) in children.iter().enumerate().skip(1) {
            if child.is_before(&children[least]) {
                least = i;
            }
        }
        (!children.is_empty()).then_some(first + least)
    }
}

impl<T> fmt::Debug for Deadlines<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deadlines").field("len", &self.heap.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Against a sorted map, with many ties.
    #[test]
    fn deadlines_come_out_in_order_whatever_was_set_moved_and_removed_before() {
        for seed in 0..50 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut heap = Deadlines::new();
            // (deadline, order of setting) to (item, slot).
            let mut model: BTreeMap<(u64, u32), (u32, Slot)> = BTreeMap::new();
            let mut order = 0;
            let range = [3, 50, 100_000][seed as usize % 3];
            for item in 0..3000 {
                let pick = |random: &mut fastrand::Rng, model: &BTreeMap<_, _>| {
                    let skipped = random.usize(..model.len());
                    *model.iter().nth(skipped).expect("within").0
                };
                match random.u32(..10) {
                    0..5 => {
                        let at = random.u64(..range);
                        order += 1;
                        let slot = heap.push(at, item);
                        assert!(model.insert((at, order), (item, slot)).is_none());
                    }
                    5 | 6 if !model.is_empty() => {
                        let (item, slot) = model.remove(&pick(&mut random, &model)).expect("picked");
                        let at = random.u64(..range);
                        order += 1;
                        heap.set(slot, at);
                        model.insert((at, order), (item, slot));
                    }
                    7 if !model.is_empty() => {
                        let (_, slot) = model.remove(&pick(&mut random, &model)).expect("picked");
                        heap.remove(slot);
                    }
                    _ => {
                        let now = random.u64(..range);
                        let due = model.first_entry().filter(|first| first.key().0 <= now);
                        assert_eq!(heap.pop_due(now), due.map(|first| first.remove().0));
                    }
                }
                assert_eq!(heap.len(), model.len());
                assert_eq!(heap.next(), model.first_key_value().map(|(&(at, _), _)| at));
            }
            while let Some((_, (item, _))) = model.pop_first() {
                assert_eq!(heap.pop_due(u64::MAX), Some(item));
            }
            assert!(heap.is_empty());
        }
    }

    #[test]
    fn an_emptied_heap_gives_its_memory_back_and_a_small_one_keeps_it() {
        let mut heap = Deadlines::new();
        for many in [10, 100_000] {
            (0..many).for_each(|i| _ = heap.push(i % 100, i));
            while heap.pop_due(100).is_some() {}
            assert_eq!(heap.items.capacity() > 0, many == 10);
        }
        let slot = heap.push(1, 7);
        heap.remove(slot);
        assert_eq!(heap.pop_due(1), None);
    }

    #[test]
    fn numbers_that_come_round_again_keep_the_order_of_setting() {
        let mut heap = Deadlines::new();
        heap.set = u32::MAX - 2;
        (0..6).for_each(|i| _ = heap.push(5, i));
        assert!((0..6).all(|i| heap.pop_due(5) == Some(i)));
    }
}
