//! A free list of slots, by index, as a lock-free stack: who takes the first reads what comes after it, and then puts that in
//! its place if the first is still the same. It may be the same again: others have taken it and the next one, and
//! given only the first back. Then a slot that somebody uses becomes the first of the free ones. Mended, the head carries a
//! count of changes. (The list is of plain atomics, so the program yields where others may come between.)

use crate::Planted;
use rendez::{scope, testing::Strategy, yield_now};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

pub(crate) const BUG: Planted = Planted {
    name: "ABA on a pool",
    broken: || program(0),
    mended: || program(1),
    strategy: Strategy::Random,
    within: 100,
    shows: |failure| failure.is_panic(),
    says: "belongs to somebody else",
};

const SLOTS: usize = 3;
/// Where the list ends.
const END: u64 = SLOTS as u64;
/// The low half of the head is an index, the high half the count.
const ONE_CHANGE: u64 = 1 << 32;

struct FreeList {
    head: AtomicU64,
    next: [AtomicU64; SLOTS],
    used: [AtomicBool; SLOTS],
    /// What a change adds to the count: nothing, in the broken one.
    step: u64,
}

impl FreeList {
    fn new(step: u64) -> FreeList {
        FreeList {
            head: AtomicU64::new(0),
            next: std::array::from_fn(|slot| AtomicU64::new(slot as u64 + 1)),
            used: Default::default(),
            step: step * ONE_CHANGE,
        }
    }

    fn replace(&self, head: u64, index: u64) -> bool {
        let count = (head & !(ONE_CHANGE - 1)).wrapping_add(self.step);
        self.head.compare_exchange(head, count | index, SeqCst, SeqCst).is_ok()
    }

    fn take(&self) -> Option<usize> {
        loop {
            let head = self.head.load(SeqCst);
            let index = head % ONE_CHANGE;
            if index == END {
                return None;
            }
            let next = self.next[index as usize].load(SeqCst);
            yield_now();
            if self.replace(head, next) {
                let index = index as usize;
                assert!(!self.used[index].swap(true, SeqCst), "slot {index} belongs to somebody else");
                return Some(index);
            }
        }
    }

    fn give_back(&self, index: usize) {
        self.used[index].store(false, SeqCst);
        loop {
            let head = self.head.load(SeqCst);
            self.next[index].store(head % ONE_CHANGE, SeqCst);
            if self.replace(head, index as u64) {
                return;
            }
        }
    }
}

fn program(step: u64) {
    let list = FreeList::new(step);
    scope(|s| {
        for _ in 0..2 {
            s.go(|| {
                let (first, second) = (list.take(), list.take());
                first.into_iter().for_each(|slot| list.give_back(slot));
                yield_now();
                let third = list.take();
                second.into_iter().chain(third).for_each(|slot| list.give_back(slot));
            });
        }
    });
}
