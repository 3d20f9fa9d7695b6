//! How much of their stacks goroutines use, by where they are created; for [`stats`](crate::diag::stats).
//!
//! A sample: to measure one costs some microseconds, since the pages of its stack are given back before it begins (see
//! [`Pages`]). Offered are those whose site its worker has not started lately, those with a stack of a size of their own, and those
//! whose first burst is observed anyway. Of what is offered the first few of each site are measured, and then one of some dozens: about
//! one start in two thousand. So each site is known soon, and a start pays for it with one comparison.
//!
//! Those that are still there can be asked for as well, from any thread: the kernel is asked, and not the memory. Whoever is in the
//! list has its stack: it is taken out before that goes back.

use crate::{stack::Pages, task::fiber::Fiber};
use std::{
    cell::Cell,
    collections::BTreeMap,
    panic::Location,
    ptr,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// So many of each site are measured at once, and later one in so many of those that are offered.
const FIRST: u64 = 16;
const EVERY: u64 = 32;
/// So many are measured at the same time: they are looked through whenever one of them ends.
const MOST_LIVE: usize = 1024;
/// So many misses are offered at once, and later one in so many: sites that share a slot are to cost no more.
const FIRST_MISSES: u32 = 1024;
const MISSES_EVERY: u32 = 64;
const SLOTS: usize = 64;

/// What is known of a site.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HighWater {
    /// How many goroutines have been measured, or polls.
    pub(crate) measured: u64,
    /// The most that one of them has used, in bytes, and how large its stack is, guard included.
    pub(crate) deepest: usize,
    pub(crate) size: usize,
    offered: u64,
}

impl HighWater {
    fn note(&mut self, deepest: usize, size: usize) {
        self.measured += 1;
        if deepest > self.deepest {
            (self.deepest, self.size) = (deepest, size);
        }
    }
}

/// One that is measured and has not ended.
#[derive(Debug)]
struct Live {
    fiber: *const Fiber,
    site: &'static Location<'static>,
    pages: Pages,
    size: usize,
}

// SAFETY: the fiber is a name here, and not looked at.
unsafe impl Send for Live {}

#[derive(Debug)]
struct Marks {
    sites: BTreeMap<&'static Location<'static>, HighWater>,
    live: Vec<Live>,
}

static MARKS: Mutex<Marks> = Mutex::new(Marks { sites: BTreeMap::new(), live: Vec::new() });

fn marks() -> MutexGuard<'static, Marks> {
    MARKS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The sites that a worker has started lately.
#[derive(Debug)]
pub(super) struct Lately {
    slots: [Cell<*const Location<'static>>; SLOTS],
    misses: Cell<u32>,
}

impl Lately {
    pub(super) fn new() -> Lately {
        Lately { slots: [const { Cell::new(ptr::null()) }; SLOTS], misses: Cell::new(0) }
    }

    /// Whether one of this site is to be offered.
    #[inline(always)]
    pub(super) fn is_new(&self, site: &'static Location<'static>) -> bool {
        // Locations lie beside each other.
        let at = ptr::from_ref(site).addr() / size_of::<Location<'_>>();
        let slot = &self.slots[at % SLOTS];
        !ptr::eq(slot.get(), site) && self.miss(slot, site)
    }

    #[cold]
    fn miss(&self, slot: &Cell<*const Location<'static>>, site: &'static Location<'static>) -> bool {
        slot.set(site);
        let misses = self.misses.get().wrapping_add(1);
        self.misses.set(misses);
        misses < FIRST_MISSES || misses.is_multiple_of(MISSES_EVERY)
    }
}

/// One of `site` is about to begin on `fiber`; it is measured if it is its turn, and nobody else is at it.
///
/// # Safety
/// The fiber is idle, or has not begun, and this is its worker.
#[cold]
pub(super) unsafe fn offer(fiber: &Fiber, site: &'static Location<'static>) {
    if fiber.measured.get() {
        return;
    }
    let Ok(mut marks) = MARKS.try_lock() else { return };
    // (Who comes then does not count: the first of its site are those that can be measured.)
    if marks.live.len() >= MOST_LIVE {
        return;
    }
    let mark = marks.sites.entry(site).or_default();
    mark.offered += 1;
    if mark.offered > FIRST && !mark.offered.is_multiple_of(EVERY) {
        return;
    }
    let (stack, (limit, size)) = (fiber.stack(), fiber.bounds());
    let pages = Pages::of(limit, stack.end);
    // SAFETY: passed on.
    if unsafe { pages.forget() } {
        fiber.measured.set(true);
        marks.live.push(Live { fiber, site, pages, size });
    }
}

/// What runs on `fiber`, which is measured, has ended, or has been given up; the stack is still there.
#[cold]
pub(super) fn take(fiber: &Fiber) {
    fiber.measured.set(false);
    let mut marks = marks();
    if let Some(at) = marks.live.iter().position(|live| ptr::eq(live.fiber, fiber)) {
        let Live { site, pages, size, .. } = marks.live.swap_remove(at);
        marks.sites.entry(site).or_default().note(pages.deepest(), size);
    }
}

/// What is known of all sites of which some have been measured, the deepest first.
pub(crate) fn high_water() -> Vec<(&'static Location<'static>, HighWater)> {
    let marks = marks();
    let mut sites = marks.sites.clone();
    for Live { site, pages, size, .. } in &marks.live {
        sites.entry(site).or_default().note(pages.deepest(), *size);
    }
    drop(marks);
    let mut known: Vec<_> = sites.into_iter().filter(|(_, mark)| mark.measured > 0).collect();
    known.sort_by_key(|(_, mark)| std::cmp::Reverse(mark.deepest));
    known
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Builder, Runtime};

    /// One with a stack of its own size, which is always offered; how many of its site have been measured.
    fn start() -> u64 {
        let runtime = Runtime::builder().workers(1).build().unwrap();
        // (What others measure at the moment is in the way.)
        let site = runtime.run(|| {
            let one = Builder::new().stack_size(64 << 10).spawn(own_site).unwrap();
            one.join().unwrap()
        });
        high_water().into_iter().find(|(other, _)| ptr::eq(*other, site)).map_or(0, |(_, mark)| mark.measured)
    }

    fn own_site() -> &'static Location<'static> {
        let crate::task::Goroutine(task) = crate::sched::current_goroutine().unwrap();
        // SAFETY: it is the running goroutine's.
        unsafe { task.as_ref() }.site
    }

    #[test]
    fn a_site_that_comes_while_too_many_are_measured_is_known_as_soon_as_there_is_room() {
        let site = Location::caller();
        let others =
            (0..MOST_LIVE).map(|_| Live { fiber: ptr::null(), site, pages: Pages::of(0, 8192), size: 0 });
        marks().live.extend(others);
        let before = (0..FIRST + 4).map(|_| start()).sum::<u64>();
        marks().live.retain(|live| !live.fiber.is_null());
        assert_eq!(before, 0);
        // Fewer than it takes until it is one's turn again.
        assert!((0..8).any(|_| start() > 0));
    }
}
