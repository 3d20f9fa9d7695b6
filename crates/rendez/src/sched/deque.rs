//! A worker's unstarted tasks: the worker puts in and takes out at the back, thieves take some at once from the front.
//!
//! # Protocol
//!
//! That of Cilk-5 (Frigo, Leiserson and Randall, *The Implementation of the Cilk-5 Multithreaded Language*, 1998), with thieves that take several. Tasks have
//! numbers; those from `front` to `back` are there, and number `i` is in slot `i` modulo the slots.
//!
//! | word | who changes it | meaning |
//! | --- | --- | --- |
//! | `back` | the owner | the number that the next task gets |
//! | `front` | who holds the lock | those before it are a thief's, or claimed by one |
//! | `released` | who holds the lock | the slots of those before it may be used again; it is `front` whenever nobody holds the lock |
//!
//! * **Push**: writes the slot, then `back` (release), which a thief reads (acquire) before it reads the slot.
//! * **Pop**: takes one off `back`, *then* (a fence) reads `front`. If that is not beyond, the task is the owner's. Else a thief claims it, or claims more than it will
//!   get: the owner puts `back` as it was, waits for the lock, and looks again.
//! * **Steal**: one at a time, under the lock; who finds it held goes elsewhere. Adds to `front`, *then* (a fence) reads `back`. What lies before that is the thief's; what does not
//!   he gives back, by setting `front` again. Then he reads the slots, and tells so by `released`.
//!
//! Of the two fences one comes first. If it is the owner's, the thief sees that `back` is less, and leaves that task alone; if the thief's, the
//! owner sees `front`, and does not take what was claimed without the lock. So both may leave one alone, and the owner, who comes to the lock, gets it then.
//!
//! A thief that has claimed some reads them while they are nobody else's: the owner does not write to their slots before it has seen `released` (acquire).
//! Only the owner makes the slots more, or fewer, under the lock, under which alone thieves look at them.
//!
//! # Why not `crossbeam-deque`
//!
//! A thief takes what lies in its deques, where the owner's end is the back, one by one: a fence, a look at `back` and an exchange of `front` for each, while the owner writes to
//! the one and reads the other, in the same line, for each task that it starts. It must, without a lock: the owner's pops can't else be told from what a larger claim takes. (A million goroutines that
//! do nothing, on two workers: 140 ns each with it, see the head of `loot` for what else counts.) Here a batch is one claim, and the owner, which remembers how far its slots
//! reach, reads the thieves' line only when it pops.

use crate::{
    lock::SpinLock,
    primitives::{
        UnsafeCell,
        atomic::{AtomicUsize, Ordering, fence},
    },
};
use crossbeam_utils::CachePadded;
use std::{cell::Cell, fmt, marker::PhantomData, mem::MaybeUninit, ptr::NonNull, sync::Arc};

/// As many as a thief takes at once; and no more than half of what is there, so that the next one finds some too.
pub(super) const BATCH: usize = 32;
const FEWEST_SLOTS: usize = if cfg!(loom) { 2 } else { 64 };
/// An owner that has run out of tasks keeps no more slots than this.
const KEPT_SLOTS: usize = if cfg!(loom) { 2 } else { 1 << 13 };

/// The owner's end. For one thread.
pub(super) struct Deque<T: Copy + Send> {
    inner: Arc<Inner<T>>,
    /// Those of the inner one, which this end alone replaces.
    slots: Cell<Slots<T>>,
    /// `released` as it was when it was last looked at.
    released: Cell<usize>,
    /// For one thread.
    _owner: PhantomData<*const ()>,
}

// SAFETY: whoever has the owner's end is the owner, and tasks may go to another thread.
unsafe impl<T: Copy + Send> Send for Deque<T> {}

/// A thief's end.
#[derive(Clone)]
pub(super) struct Stealer<T: Copy + Send>(Arc<Inner<T>>);

/// What became of an attempt to steal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Steal {
    Taken,
    Empty,
    /// Another one is at it.
    Busy,
}

struct Inner<T> {
    back: CachePadded<AtomicUsize>,
    claims: CachePadded<Claims<T>>,
}

struct Claims<T> {
    front: AtomicUsize,
    released: AtomicUsize,
    slots: SpinLock<Slots<T>>,
}

/// A power of two of them, from `allocate`.
struct Slots<T>(NonNull<[UnsafeCell<MaybeUninit<T>>]>);

impl<T> Clone for Slots<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Slots<T> {}

// SAFETY: what it leads to may go to another thread, and who uses it when is a matter of the protocol.
unsafe impl<T: Send> Send for Slots<T> {}

impl<T> Slots<T> {
    fn allocate(count: usize) -> Slots<T> {
        let slots: Box<[_]> = (0..count).map(|_| UnsafeCell::new(MaybeUninit::uninit())).collect();
        Slots(NonNull::from(Box::leak(slots)))
    }

    fn count(self) -> usize {
        self.0.len()
    }

    /// # Safety
    /// They have not been freed.
    unsafe fn slot<'a>(self, number: usize) -> &'a UnsafeCell<MaybeUninit<T>> {
        let index = number & (self.count() - 1);
        // SAFETY: they are there, by contract, and the index is less than their number, a power of two.
        unsafe { &*self.0.cast::<UnsafeCell<MaybeUninit<T>>>().add(index).as_ptr() }
    }

    /// # Safety
    /// They have not been freed, and nobody writes to this one.
    unsafe fn read(self, number: usize) -> T
    where
        T: Copy,
    {
        // SAFETY: by contract; whoever reads a number has seen that it was written.
        unsafe { self.slot(number).with(|task| (*task).assume_init()) }
    }

    /// # Safety
    /// They have not been freed, and nobody else uses this one.
    unsafe fn write(self, number: usize, task: T) {
        // SAFETY: by contract.
        unsafe { self.slot(number).with_mut(|slot| _ = (*slot).write(task)) };
    }

    /// # Safety
    /// Nobody uses them any more.
    unsafe fn free(self) {
        // SAFETY: from `allocate`, and by contract.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

/// How many numbers there are from `front` to `back`; none if a claim goes beyond.
fn distance(front: usize, back: usize) -> usize {
    usize::try_from(back.wrapping_sub(front).cast_signed()).unwrap_or(0)
}

impl<T: Copy + Send> Deque<T> {
    pub(super) fn new() -> Deque<T> {
        Deque::from_number(0)
    }

    fn from_number(first: usize) -> Deque<T> {
        let slots = Slots::allocate(FEWEST_SLOTS);
        let [back, front, released] = [first; 3].map(AtomicUsize::new);
        let claims = Claims { front, released, slots: SpinLock::new(slots) };
        let inner = Inner { back: CachePadded::new(back), claims: CachePadded::new(claims) };
        let released = Cell::new(first);
        Deque { inner: Arc::new(inner), slots: Cell::new(slots), released, _owner: PhantomData }
    }

    pub(super) fn stealer(&self) -> Stealer<T> {
        Stealer(self.inner.clone())
    }

    fn back(&self) -> usize {
        // The owner is the only one to change it.
        self.inner.back.load(Ordering::Relaxed)
    }

    /// Those that a thief is about to take are counted.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.inner.len()
    }

    /// Whether it is worth a `pop`.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[inline]
    pub(super) fn push(&self, task: T) {
        let back = self.back();
        if distance(self.released.get(), back) == self.slots.get().count() {
            self.make_room(back);
        }
        // SAFETY: the owner's slots; and this one is released, or was never used.
        unsafe { self.slots.get().write(back, task) };
        self.inner.back.store(back.wrapping_add(1), Ordering::Release);
    }

    /// The newest.
    #[inline]
    pub(super) fn pop(&self) -> Option<T> {
        self.pop_and_show(1, |_| ())
    }

    /// The newest. Shows the one that comes so many turns after it, if there is one and no thief comes first.
    #[inline]
    pub(super) fn pop_and_show(&self, ahead: usize, show: impl FnOnce(T)) -> Option<T> {
        let (inner, end) = (&*self.inner, self.back());
        if inner.claims.released.load(Ordering::Acquire) == end {
            self.keep_few();
            return None;
        }
        let newest = end.wrapping_sub(1);
        inner.back.store(newest, Ordering::Release);
        fence(Ordering::SeqCst);
        let front = inner.claims.front.load(Ordering::Relaxed);
        if newest.wrapping_sub(front).cast_signed() < 0 {
            inner.back.store(end, Ordering::Release);
            return self.pop_contested(end);
        }
        let later = newest.wrapping_sub(ahead);
        if later.wrapping_sub(front).cast_signed() >= 0 {
            // SAFETY: the owner's slots; this one has been written, and only the owner writes there again.
            show(unsafe { self.slots.get().read(later) });
        }
        // SAFETY: the owner's slots, and its own task: no thief has claimed it, nor will any.
        Some(unsafe { self.slots.get().read(newest) })
    }

    /// A thief claims it, or has.
    #[cold]
    fn pop_contested(&self, end: usize) -> Option<T> {
        let claims = &self.inner.claims;
        let slots = claims.slots.lock();
        if claims.front.load(Ordering::Relaxed) == end {
            drop(slots);
            self.keep_few();
            return None;
        }
        let newest = end.wrapping_sub(1);
        self.inner.back.store(newest, Ordering::Release);
        // SAFETY: the owner's slots; nobody has claimed it, and nobody can without the lock.
        Some(unsafe { slots.read(newest) })
    }

    /// The oldest.
    pub(super) fn pop_oldest(&self) -> Option<T> {
        let claims = &self.inner.claims;
        if self.is_empty() {
            return None;
        }
        let slots = claims.slots.lock();
        let front = claims.front.load(Ordering::Relaxed);
        if front == self.back() {
            return None;
        }
        // SAFETY: nobody else claims it meanwhile, and it is the owner who would write there.
        let task = unsafe { slots.read(front) };
        claims.front.store(front.wrapping_add(1), Ordering::Relaxed);
        claims.released.store(front.wrapping_add(1), Ordering::Relaxed);
        Some(task)
    }

    /// For one more task than there seemed to be slots.
    #[cold]
    fn make_room(&self, back: usize) {
        let claims = &self.inner.claims;
        self.released.set(claims.released.load(Ordering::Acquire));
        let count = self.slots.get().count();
        if distance(self.released.get(), back) == count {
            self.replace(count * 2);
        }
    }

    /// There are no tasks.
    #[inline]
    fn keep_few(&self) {
        if self.slots.get().count() > KEPT_SLOTS {
            self.replace(KEPT_SLOTS);
        }
    }

    /// Moves what is there into so many slots, which are enough for that.
    #[cold]
    fn replace(&self, count: usize) {
        let new = Slots::allocate(count);
        let mut slots = self.inner.claims.slots.lock();
        let mut number = self.inner.claims.front.load(Ordering::Relaxed);
        self.released.set(number);
        while number != self.back() {
            // SAFETY: under the lock, so what is there is claimed by nobody; the new ones nobody else knows yet.
            unsafe { new.write(number, slots.read(number)) };
            number = number.wrapping_add(1);
        }
        let old = std::mem::replace(&mut *slots, new);
        self.slots.set(new);
        // SAFETY: thieves look at them under the lock, and find others now; so does the owner.
        unsafe { old.free() };
    }
}

impl<T: Copy + Send> Stealer<T> {
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes the oldest half, up to [`BATCH`], and gives each to `to`, the oldest first.
    pub(super) fn steal(&self, to: impl FnMut(T)) -> Steal {
        let mut taken = [const { MaybeUninit::uninit() }; BATCH];
        let Ok(count) = self.take(&mut taken) else { return Steal::Busy };
        // SAFETY: so many have been written.
        taken[..count].iter().map(|task| unsafe { task.assume_init() }).for_each(to);
        if count > 0 { Steal::Taken } else { Steal::Empty }
    }

    fn take(&self, taken: &mut [MaybeUninit<T>; BATCH]) -> Result<usize, ()> {
        let Inner { back, claims } = &*self.0;
        if self.is_empty() {
            return Ok(0);
        }
        let slots = claims.slots.try_lock().ok_or(())?;
        let front = claims.front.load(Ordering::Relaxed);
        let wanted = distance(front, back.load(Ordering::Relaxed)).div_ceil(2).min(BATCH);
        claims.front.store(front.wrapping_add(wanted), Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let count = distance(front, back.load(Ordering::Acquire)).min(wanted);
        let end = front.wrapping_add(count);
        claims.front.store(end, Ordering::Relaxed);
        for (offset, task) in taken[..count].iter_mut().enumerate() {
            // SAFETY: under the lock they are there; the task is claimed, and `back` has said that it was written.
            task.write(unsafe { slots.read(front.wrapping_add(offset)) });
        }
        claims.released.store(end, Ordering::Release);
        Ok(count)
    }
}

impl<T> Inner<T> {
    #[inline]
    fn len(&self) -> usize {
        distance(self.claims.released.load(Ordering::Relaxed), self.back.load(Ordering::Relaxed))
    }
}

impl<T> Drop for Inner<T> {
    fn drop(&mut self) {
        // SAFETY: the last who knew of them goes.
        unsafe { self.claims.slots.lock().free() };
    }
}

impl<T: Copy + Send> fmt::Debug for Deque<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deque").field("len", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::{
        sync::atomic::{AtomicBool, AtomicU8},
        thread,
    };

    #[test]
    fn the_owner_has_the_newest_and_thieves_the_oldest_half() {
        let deque = Deque::new();
        let stealer = deque.stealer();
        assert_eq!((deque.pop(), deque.pop_oldest()), (None, None));
        assert_eq!(stealer.steal(|_| unreachable!()), Steal::Empty);
        (0..10).for_each(|task| deque.push(task));
        assert_eq!((deque.len(), stealer.len()), (10, 10));
        let mut stolen = Vec::new();
        assert_eq!(stealer.steal(|task| stolen.push(task)), Steal::Taken);
        assert_eq!(stolen, [0, 1, 2, 3, 4]);
        assert_eq!((deque.pop(), deque.pop_oldest()), (Some(9), Some(5)));
        stolen.clear();
        while stealer.steal(|task| stolen.push(task)) == Steal::Taken {}
        assert_eq!(stolen, [6, 7, 8]);
        assert_eq!((deque.pop(), deque.len()), (None, 0));
    }

    #[test]
    fn it_grows_and_gives_back() {
        let deque = Deque::new();
        let many = KEPT_SLOTS * 4;
        for _ in 0..2 {
            (0..many).for_each(|task| deque.push(task));
            assert!(deque.slots.get().count() >= many);
            (0..many).rev().for_each(|task| assert_eq!(deque.pop(), Some(task)));
            assert_eq!(deque.pop(), None);
            assert_eq!(deque.slots.get().count(), KEPT_SLOTS, "whoever had the last one");
        }
        (0..many).for_each(|task| deque.push(task));
        let stealer = deque.stealer();
        while stealer.steal(|_| ()) == Steal::Taken {}
        assert_eq!(deque.pop(), None);
        assert_eq!(deque.slots.get().count(), KEPT_SLOTS);
    }

    #[test]
    fn numbers_may_wrap_around() {
        // One on either side of the end; then so many across it that the slots are replaced.
        let deque = Deque::from_number(usize::MAX);
        let (stealer, mut stolen) = (deque.stealer(), Vec::new());
        (0..2).for_each(|task| deque.push(task));
        assert_eq!((deque.len(), deque.pop(), deque.pop(), deque.pop()), (2, Some(1), Some(0), None));
        (0..FEWEST_SLOTS * 2).for_each(|task| deque.push(task));
        assert_eq!((deque.len(), deque.slots.get().count()), (FEWEST_SLOTS * 2, FEWEST_SLOTS * 2));
        assert_eq!((deque.pop_oldest(), deque.pop()), (Some(0), Some(FEWEST_SLOTS * 2 - 1)));
        while stealer.steal(|task| stolen.push(task)) == Steal::Taken {}
        assert_eq!(stolen, (1..FEWEST_SLOTS * 2 - 1).collect::<Vec<_>>());
        assert_eq!((deque.pop(), deque.pop_oldest(), deque.len()), (None, None, 0));
    }

    #[test]
    fn what_is_shown_is_what_comes_so_many_turns_later_and_nothing_where_there_is_none() {
        const FIRST: usize = usize::MAX - 3;
        const AHEAD: usize = 2;
        // Across the end of the numbers; each task is its own.
        let deque = Deque::from_number(FIRST);
        let pop = || {
            let mut shown = None;
            let task = deque.pop_and_show(AHEAD, |task| shown = Some(task));
            (task, shown)
        };
        let number = |task: usize| FIRST.wrapping_add(task);
        let many = FEWEST_SLOTS * 2 + 1;
        for _ in 0..2 {
            (0..many).for_each(|task| deque.push(number(task)));
            for task in (0..many).rev() {
                assert_eq!(pop(), (Some(number(task)), task.checked_sub(AHEAD).map(number)));
            }
            assert_eq!(pop(), (None, None));
        }
        // Some are a thief's, and then the slots are replaced: what lay before is not there any more.
        (0..10).for_each(|task| deque.push(number(task)));
        assert_eq!(deque.stealer().steal(|_| ()), Steal::Taken);
        (10..many * 3).for_each(|task| deque.push(number(task)));
        for task in (5..many * 3).rev() {
            assert_eq!(pop(), (Some(number(task)), (task >= 5 + AHEAD).then(|| number(task - AHEAD))));
        }
        assert_eq!(pop(), (None, None));
    }

    #[test]
    fn what_is_shown_beside_thieves_has_been_pushed_and_comes_later() {
        const TASKS: usize = if cfg!(rendez_sanitize) { 20_000 } else { 200_000 };
        const AHEAD: usize = 2;
        let first = usize::MAX - TASKS / 2;
        let deque = Deque::from_number(first);
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..2 {
                let (stealer, is_over) = (deque.stealer(), &is_over);
                scope.spawn(move || {
                    while stealer.steal(|_| ()) == Steal::Taken || !is_over.load(Ordering::Acquire) {
                        std::hint::spin_loop();
                    }
                });
            }
            let (mut shows, mut wrong) = (0, Vec::new());
            for round in 0..TASKS / 10 {
                // A task is the number that it gets.
                (0..if round % 50 == 0 { 500 } else { round % 7 }).for_each(|_| deque.push(deque.back()));
                let few = round % 3 == 0;
                for _ in 0..if few { 2 } else { usize::MAX } {
                    let mut shown = None;
                    let Some(task) = deque.pop_and_show(AHEAD, |task| shown = Some(task)) else { break };
                    if task != deque.back() || shown.is_some_and(|shown| shown != task.wrapping_sub(AHEAD)) {
                        wrong.push((task, shown));
                    }
                    shows += usize::from(shown.is_some());
                }
            }
            // First, or the thieves would go on for ever.
            is_over.store(true, Ordering::Release);
            assert!(shows > 0 && wrong.is_empty(), "{shows} {wrong:?}");
        });
    }

    #[test]
    fn thieves_take_some_at_once_and_not_more_than_a_batch() {
        let deque = Deque::new();
        (0..1000).for_each(|task| deque.push(task));
        let mut count = 0;
        assert_eq!(deque.stealer().steal(|_| count += 1), Steal::Taken);
        assert_eq!((count, deque.len()), (BATCH, 1000 - BATCH));
    }

    #[test]
    fn each_task_is_had_by_one() {
        const TASKS: usize = if cfg!(rendez_sanitize) { 20_000 } else { 200_000 };
        const THIEVES: usize = 3;
        let deque = Deque::from_number(usize::MAX - TASKS / 2);
        let had: Vec<AtomicU8> = (0..TASKS).map(|_| AtomicU8::new(0)).collect();
        let is_over = AtomicBool::new(false);
        let have = |task: usize| assert_eq!(had[task].fetch_add(1, Ordering::Relaxed), 0);
        thread::scope(|scope| {
            for _ in 0..THIEVES {
                let (stealer, have, is_over) = (deque.stealer(), &have, &is_over);
                scope.spawn(move || {
                    while stealer.steal(have) == Steal::Taken || !is_over.load(Ordering::Acquire) {
                        std::hint::spin_loop();
                    }
                });
            }
            let mut next = 0;
            // From none to some and back, so that the ends often meet; and now and then many.
            for round in 0.. {
                let more = if round % 100 == 0 { 1000 } else { round % 5 + 1 };
                for _ in 0..more.min(TASKS - next) {
                    deque.push(next);
                    next += 1;
                }
                let oldest = round % 7 == 0;
                while let Some(task) = if oldest { deque.pop_oldest() } else { deque.pop() } {
                    have(task);
                }
                if next == TASKS {
                    break;
                }
            }
            is_over.store(true, Ordering::Release);
        });
        assert_eq!((deque.len(), deque.pop()), (0, None));
        assert!(had.iter().all(|had| had.load(Ordering::Relaxed) == 1));
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use crate::sync::loom_tests::explore_with;
    use loom::thread;

    /// Every interleaving of the owner with thieves that try so often each; every task comes to one.
    fn explore(
        before: usize,
        thieves: usize,
        tries: usize,
        owner: impl Fn(&Deque<usize>) -> Vec<usize> + Sync + Send + 'static,
    ) {
        explore_with(5, move || {
            // The numbers wrap around beside the thieves.
            let deque = Deque::from_number(usize::MAX);
            (0..before).for_each(|task| deque.push(task));
            let all: Vec<_> = (0..thieves)
                .map(|_| {
                    let stealer = deque.stealer();
                    thread::spawn(move || {
                        let mut stolen = Vec::new();
                        (0..tries).for_each(|_| _ = stealer.steal(|task| stolen.push(task)));
                        stolen
                    })
                })
                .collect();
            let mut had = owner(&deque);
            all.into_iter().for_each(|thief| had.extend(thief.join().unwrap()));
            while let Some(task) = deque.pop() {
                had.push(task);
            }
            had.sort_unstable();
            let last = had.len();
            assert_eq!(had, (0..last).collect::<Vec<_>>());
            assert!(last >= before);
        });
    }

    #[test]
    fn the_last_ones_are_the_owner_s_or_a_thief_s() {
        explore(2, 1, 2, |deque| {
            let had: Vec<_> = [deque.pop(), deque.pop()].into_iter().flatten().collect();
            if had.len() < 2 {
                assert_eq!(deque.pop(), None, "what is left alone is the owner's");
            }
            had
        });
    }

    #[test]
    fn a_claim_that_goes_too_far_is_taken_back() {
        // A thief wants two of four, and the owner pops down to where it claims.
        explore(4, 1, 1, |deque| (0..4).map_while(|_| deque.pop()).collect());
    }

    #[test]
    fn a_slot_is_written_again_only_when_it_was_read() {
        explore(2, 1, 2, |deque| {
            deque.push(2);
            // A thief may have had it.
            let had = deque.pop().unwrap_or(3);
            deque.push(had);
            Vec::new()
        });
    }

    #[test]
    fn what_is_pushed_beside_a_thief_is_whole_when_one_has_been_popped() {
        explore(0, 1, 2, |deque| {
            deque.push(0);
            deque.push(1);
            deque.pop().into_iter().collect()
        });
    }

    #[test]
    fn two_thieves_and_the_owner_share() {
        explore(3, 2, 1, |deque| [deque.pop(), deque.pop_oldest()].into_iter().flatten().collect());
    }

    #[test]
    fn slots_are_replaced_beside_a_thief() {
        explore(2, 1, 1, |deque| {
            deque.push(2);
            deque.push(3);
            deque.push(4);
            Vec::new()
        });
    }

    #[test]
    fn slots_are_given_back_beside_a_thief() {
        explore(3, 1, 2, |deque| {
            let had = std::iter::from_fn(|| deque.pop()).collect();
            assert_eq!(deque.slots.get().count(), KEPT_SLOTS);
            deque.push(3);
            had
        });
    }
}
