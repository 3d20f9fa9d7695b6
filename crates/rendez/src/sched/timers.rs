//! A worker's timers: a four-ary heap that only its worker touches, so it needs no lock. Setting and removing one costs
//! O(log n); a timer is 24 bytes in the heap and a node in the frame that waits.

use crate::{task::Header, time::Instant, wait::Waiter};
use std::{
    cell::{Cell, UnsafeCell},
    fmt,
};

const ARITY: usize = 4;
const NOWHERE: usize = usize::MAX;

/// A time limit of one parked goroutine; it lives in the parking frame.
#[derive(Debug)]
pub(crate) struct Timer {
    index: Cell<usize>,
    pub(super) waiter: *const Waiter,
    pub(super) task: *const Header,
}

impl Timer {
    pub(super) fn new(waiter: *const Waiter, task: *const Header) -> Timer {
        Timer { index: Cell::new(NOWHERE), waiter, task }
    }
}

#[derive(Clone, Copy)]
struct Entry {
    deadline: Instant,
    /// Ties are broken by the order of setting.
    number: u64,
    timer: *const Timer,
}

impl Entry {
    fn is_before(&self, other: &Entry) -> bool {
        (self.deadline, self.number) < (other.deadline, other.number)
    }
}

/// The heap. Its methods never call out, so the cell is never borrowed twice.
pub(super) struct Timers {
    heap: UnsafeCell<Vec<Entry>>,
    set: Cell<u64>,
}

impl Timers {
    pub(super) const fn new() -> Self {
        Timers { heap: UnsafeCell::new(Vec::new()), set: Cell::new(0) }
    }

    #[allow(clippy::mut_from_ref, reason = "the borrow ends inside each method; see the type")]
    fn heap(&self) -> &mut Vec<Entry> {
        // SAFETY: one thread (the type is not `Sync`), and no method calls another that borrows while it borrows.
        unsafe { &mut *self.heap.get() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.heap().is_empty()
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.heap().first().map(|entry| entry.deadline)
    }

    /// # Safety
    /// `timer` stays where it is until it has fired or been removed.
    pub(super) unsafe fn set(&self, timer: &Timer, deadline: Instant) {
        let number = self.set.replace(self.set.get() + 1);
        let heap = self.heap();
        heap.push(Entry { deadline, number, timer });
        let last = heap.len() - 1;
        sift_up(heap, last);
    }

    pub(super) fn remove(&self, timer: &Timer) {
        let index = timer.index.get();
        if index != NOWHERE {
            let heap = self.heap();
            remove_at(heap, index);
            give_back(heap);
        }
    }

    /// Takes the earliest timer out if it is due.
    pub(super) fn pop_due(&self, now: Instant) -> Option<*const Timer> {
        let heap = self.heap();
        let first = heap.first()?;
        if first.deadline > now {
            return None;
        }
        let timer = first.timer;
        remove_at(heap, 0);
        give_back(heap);
        Some(timer)
    }
}

impl fmt::Debug for Timers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timers").field("len", &self.heap().len()).finish()
    }
}

/// An emptied heap that was large gives its memory back.
fn give_back(heap: &mut Vec<Entry>) {
    if heap.is_empty() && heap.capacity() > 4096 {
        *heap = Vec::new();
    }
}

fn place(heap: &mut [Entry], index: usize, entry: Entry) {
    heap[index] = entry;
    // SAFETY: a timer stays where it is while it is in the heap.
    unsafe { (*entry.timer).index.set(index) };
}

fn sift_up(heap: &mut [Entry], mut index: usize) {
    let entry = heap[index];
    while index > 0 {
        let parent = (index - 1) / ARITY;
        if !entry.is_before(&heap[parent]) {
            break;
        }
        place(heap, index, heap[parent]);
        index = parent;
    }
    place(heap, index, entry);
}

fn sift_down(heap: &mut [Entry], mut index: usize) {
    let entry = heap[index];
    loop {
        let first = index * ARITY + 1;
        let children = first..(first + ARITY).min(heap.len());
        let Some(least) = children.reduce(|a, b| if heap[b].is_before(&heap[a]) { b } else { a }) else {
            break;
        };
        if !heap[least].is_before(&entry) {
            break;
        }
        place(heap, index, heap[least]);
        index = least;
    }
    place(heap, index, entry);
}

fn remove_at(heap: &mut Vec<Entry>, index: usize) {
    let entry = heap.swap_remove(index);
    // SAFETY: still where it was: it is in the heap until now.
    unsafe { (*entry.timer).index.set(NOWHERE) };
    if index < heap.len() {
        // What came from the end may belong further up or further down.
        sift_up(heap, index);
        sift_down(heap, index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{ptr, time::Duration};

    #[test]
    fn timers_come_out_in_order_and_removed_ones_do_not() {
        let timers = Timers::new();
        let start = Instant::now();
        let mut random = fastrand::Rng::with_seed(7);
        let nodes: Vec<Timer> = (0..2000).map(|_| Timer::new(ptr::null(), ptr::null())).collect();
        let mut expected = Vec::new();
        for (i, node) in nodes.iter().enumerate() {
            let delay = random.u64(0..500);
            // SAFETY: `nodes` is not touched until the heap is gone.
            unsafe { timers.set(node, start + Duration::from_millis(delay)) };
            if i % 3 != 0 {
                expected.push((delay, i));
            }
        }
        for node in nodes.iter().step_by(3) {
            timers.remove(node);
            timers.remove(node);
        }
        expected.sort_unstable();
        let mut seen = Vec::new();
        for ms in 0..500 {
            while let Some(timer) = timers.pop_due(start + Duration::from_millis(ms)) {
                let index = nodes.iter().position(|node| ptr::eq(node, timer)).unwrap();
                seen.push((ms, index));
            }
        }
        assert_eq!(seen, expected);
        assert!(timers.is_empty());
    }
}
