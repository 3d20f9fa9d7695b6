//! A spin lock that costs its habitual holder no atomic read-modify-write.
//!
//! Most channels are used by goroutines of one worker alone, because chatty goroutines are placed together. Their lock is
//! *biased* to that worker: it takes the lock by plain stores and loads. Whoever else wants it first has the bias revoked,
//! which the *heavy fence* makes possible: a system call (`membarrier`) after which every other thread has passed a full
//! memory fence. (Biased locks: Kawachiya et al., *Lock Reservation*, 2002; Dice et al., *Quickly Reacquirable Locks*, 2003.
//! Fences of which one side pays for both: Dice, Huang and Yang, *Asymmetric Dekker Synchronization*, 2001.)
//!
//! # Protocol
//!
//! | word | meaning | who may leave it, and to what |
//! | --- | --- | --- |
//! | `FREE` | nobody holds it | anyone, by exchange, to `HELD` |
//! | `HELD` | held by a thread, or being revoked by one | it, by a store, to `FREE`, to `(worker, chance)` of its own, or, as a guest, to what it was |
//! | `(worker, chance)`, the sum of the two | biased: held by the worker if `busy[chance]` is set, else free | anyone else, by exchange, to `HELD` |
//!
//! * The worker, to whom the word is biased: sets `busy[chance]`, *light fence*, reads the word again. If it is as before,
//!   it holds the lock, and leaves it by clearing `busy[chance]`. If not, it clears it too, and takes the other way.
//! * Who revokes: exchanges the word for `HELD`, *heavy fence*, waits until `busy[chance]` is clear: it holds the lock.
//!
//! Either the worker's second look came after the heavy fence: then it saw the revocation. Or it came before: then the
//! store before it did too (the light fence keeps them in order), and the revoker sees it and waits. So they never both hold
//! the lock. What the holder did under it is seen by the next: the store that clears `busy` releases, the load that finds it
//! clear acquires; when nobody was in it, the store that it finds is that of the holder before.
//!
//! A worker may be interrupted between its first look and its store, for any time. That store then falls into a time when
//! its bias is gone: so each bias has a `busy` of its own, of which nothing is asked after it has been revoked; and a guard
//! knows by itself in which way it was taken.
//!
//! A *guest* revokes a bias like anybody, and gives it back, the same one, when it leaves. So the worker's second look may find
//! a word that is as before, and that a guest has been in between: it acquires, to see what the guest did. Nobody is in the lock
//! then, or the look would have found `HELD`; and who comes after it finds `busy[chance]`, as ever.
//!
//! A worker that has ended holds nothing, its number is not given again, and its `busy` is clear: the next to come revokes. A
//! panic under the lock leaves it like any return, by the guard's drop. The lock is not reentrant, and unlike another one that
//! is taken again by its holder it would not hang, but let him in: so nothing under it may call what might.
//!
//! # When
//!
//! A lock is biased to a worker that took it [`PATIENCE`] times in a row: a heavy fence costs some microseconds (it
//! interrupts the other processors), as much as that many exchanges save. Each further bias needs eight times as many, and
//! there are [`CHANCES`]. Threads that are no workers never get one, nor does anybody where there is no such fence.

use super::{Backoff, count_held, fence};
use crate::primitives::{
    UnsafeCell,
    atomic::{AtomicBool, AtomicU32, Ordering},
    rarely, seldom,
};
use std::ops::{Deref, DerefMut};

const FREE: u32 = 0;
const HELD: u32 = 1;
/// How often a lock can be biased.
const CHANCES: usize = fence::STEP as usize;
/// The [way](BiasedGuard::way) to a free lock.
const TO_FREE: usize = CHANCES + FREE as usize;
/// How many times in a row a worker has to take a lock before it is biased to it.
#[cfg(not(loom))]
const PATIENCE: u32 = 1024;
#[cfg(loom)]
const PATIENCE: u32 = 1;

/// A value that is reached under a lock that may be biased.
pub(crate) struct BiasedLock<T> {
    word: AtomicU32,
    busy: [AtomicBool; CHANCES],
    habit: UnsafeCell<Habit>,
    value: UnsafeCell<T>,
}

/// Who takes the lock when it is not biased; under the lock.
struct Habit {
    last: u32,
    /// How many more times in a row until it is biased.
    left: u32,
    biased: u32,
}

// SAFETY: the lock hands out one exclusive guard at a time, so sharing it moves `&mut T` between threads: `T: Send`.
unsafe impl<T: Send> Sync for BiasedLock<T> {}
// SAFETY: owning the lock is owning the value.
unsafe impl<T: Send> Send for BiasedLock<T> {}

impl<T> BiasedLock<T> {
    pub(crate) fn new(value: T) -> Self {
        BiasedLock {
            word: AtomicU32::new(FREE),
            busy: std::array::from_fn(|_| AtomicBool::new(false)),
            habit: UnsafeCell::new(Habit { last: fence::NOBODY, left: PATIENCE, biased: 0 }),
            value: UnsafeCell::new(value),
        }
    }

    #[inline(always)]
    pub(crate) fn lock(&self) -> BiasedGuard<'_, T> {
        self.lock_as(fence::me())
    }

    #[inline(always)]
    fn lock_as(&self, me: u32) -> BiasedGuard<'_, T> {
        debug_assert!(me == fence::NOBODY || me.is_multiple_of(CHANCES as u32));
        let word = self.word.load(Ordering::Relaxed);
        // The chance, if it is biased to the caller; all else is greater.
        let chance = (word ^ me) as usize;
        if !rarely(chance >= CHANCES)
            && let Some(guard) = self.lock_biased(word, chance)
        {
            return guard;
        }
        seldom();
        if self.word.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed).is_err()
            && let Ok(guard) = self.lock_slowly(me)
        {
            return guard;
        }
        self.note(me)
    }

    /// Takes the lock if it is biased to the caller, and so costs little.
    #[inline(always)]
    pub(crate) fn lock_if_biased(&self) -> Option<BiasedGuard<'_, T>> {
        let word = self.word.load(Ordering::Relaxed);
        let chance = (word ^ fence::me()) as usize;
        if chance < CHANCES { self.lock_biased(word, chance) } else { None }
    }

    /// Takes the lock, which looked biased to the caller.
    #[inline(always)]
    fn lock_biased(&self, word: u32, chance: usize) -> Option<BiasedGuard<'_, T>> {
        let busy = &self.busy[chance];
        busy.store(true, Ordering::Relaxed);
        fence::light();
        if rarely(self.word.load(Ordering::Acquire) != word) {
            busy.store(false, Ordering::Release);
            return None;
        }
        count_held(1);
        Some(BiasedGuard { lock: self, way: chance })
    }

    /// Takes the lock once, and leaves it to whom it is biased. For who comes seldom, and won't come more often for having come.
    #[cold]
    pub(crate) fn lock_as_guest(&self) -> BiasedGuard<'_, T> {
        self.lock_as_guest_of(fence::me())
    }

    fn lock_as_guest_of(&self, me: u32) -> BiasedGuard<'_, T> {
        self.lock_slowly(me).unwrap_or_else(|before| {
            count_held(1);
            BiasedGuard { lock: self, way: CHANCES + before as usize }
        })
    }

    /// Takes the lock from `FREE` when it is that, or from whom it is biased to, and returns what the word was. If it is biased to
    /// the caller, as it may be when a guest has left, takes it by the bias.
    #[cold]
    fn lock_slowly(&self, me: u32) -> Result<BiasedGuard<'_, T>, u32> {
        let mut backoff = Backoff::new();
        loop {
            let word = self.word.load(Ordering::Relaxed);
            let chance = (word ^ me) as usize;
            if chance < CHANCES {
                if let Some(guard) = self.lock_biased(word, chance) {
                    return Ok(guard);
                }
            } else if word != HELD
                && self.word.compare_exchange(word, HELD, Ordering::Acquire, Ordering::Relaxed).is_ok()
            {
                if word != FREE {
                    fence::heavy();
                    let busy = &self.busy[word as usize % CHANCES];
                    while busy.load(Ordering::Acquire) {
                        backoff.pause();
                    }
                }
                return Err(word);
            }
            backoff.pause();
        }
    }

    /// The caller has taken the lock from `FREE`; that may become a habit.
    #[inline(always)]
    fn note(&self, me: u32) -> BiasedGuard<'_, T> {
        // SAFETY: the caller holds the lock by `HELD`, and nobody touches the habit who does not.
        let is_habit = self.habit.with_mut(|habit| unsafe {
            let habit = &mut *habit;
            if habit.last == me {
                habit.left -= 1;
                habit.left == 0
            } else {
                habit.last = me;
                habit.left = PATIENCE << (3 * habit.biased);
                false
            }
        });
        let chance = if is_habit { self.bias(me) } else { None };
        count_held(1);
        BiasedGuard { lock: self, way: chance.unwrap_or(TO_FREE) }
    }

    /// Biases the lock, which the caller holds, to it, who goes on holding it.
    #[cold]
    fn bias(&self, me: u32) -> Option<usize> {
        // SAFETY: as in `note`: the word is still `HELD`.
        let chance = self.habit.with_mut(|habit| unsafe {
            let habit = &mut *habit;
            habit.left = u32::MAX;
            if me == fence::NOBODY || habit.biased as usize == CHANCES || !fence::is_there() {
                return None;
            }
            habit.last = fence::NOBODY;
            habit.biased += 1;
            Some(habit.biased - 1)
        })?;
        let busy = &self.busy[chance as usize];
        busy.store(true, Ordering::Relaxed);
        self.word.store(me | chance, Ordering::Release);
        Some(chance as usize)
    }
}

impl<T> std::fmt::Debug for BiasedLock<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BiasedLock").finish_non_exhaustive()
    }
}

/// Leaves the lock when dropped.
#[must_use]
pub(crate) struct BiasedGuard<'a, T> {
    lock: &'a BiasedLock<T>,
    /// How it is left. If it is held by its bias: which `busy` says so. Else what the word will be, after the [`CHANCES`].
    way: usize,
}

impl<T> BiasedGuard<'_, T> {
    /// Leaves the lock free, to nobody biased, after having come as a guest.
    pub(crate) fn revoke(guard: &mut Self) {
        guard.way = guard.way.min(TO_FREE);
    }
}

impl<T> Deref for BiasedGuard<'_, T> {
    type Target = T;
    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: the guard is the proof that this thread holds the lock, so nobody else has a reference.
        self.lock.value.with(|value| unsafe { &*value })
    }
}

impl<T> DerefMut for BiasedGuard<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`, and the guard is borrowed exclusively.
        self.lock.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T> Drop for BiasedGuard<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        count_held(-1);
        match self.lock.busy.get(self.way) {
            Some(busy) => busy.store(false, Ordering::Release),
            None => {
                seldom();
                self.lock.word.store((self.way - CHANCES) as u32, Ordering::Release);
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{BiasedLock, PATIENCE};
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };

    impl<T> BiasedLock<T> {
        pub(crate) fn is_biased(&self) -> bool {
            self.word.load(Ordering::Relaxed) > super::HELD
        }
    }

    fn take(lock: &BiasedLock<u64>, me: u32, times: u32) {
        (0..times).for_each(|_| *lock.lock_as(me) += 1);
    }

    #[test]
    fn it_is_biased_to_who_takes_it_often_in_a_row_and_less_easily_each_time() {
        if !super::fence::is_there() {
            return;
        }
        let lock = BiasedLock::new(0);
        let mut total = 0;
        for chance in 0..super::CHANCES as u32 {
            let needed = PATIENCE << (3 * chance);
            let (me, other) = (28 + 4 * chance, 400 + 4 * chance);
            take(&lock, other, 1);
            take(&lock, me, needed);
            assert!(!lock.is_biased(), "{chance}");
            take(&lock, me, 2);
            assert!(lock.is_biased(), "{chance}");
            // Each time by another chance: what its owner does late, at the one before, is nothing to it.
            assert_eq!(lock.word.load(Ordering::Relaxed), me + chance);
            take(&lock, other, 1);
            assert!(!lock.is_biased(), "{chance}");
            total += u64::from(needed) + 4;
        }
        take(&lock, 28, PATIENCE << 13);
        assert!(!lock.is_biased());
        assert_eq!(*lock.lock(), total + (u64::from(PATIENCE) << 13));
        take(&lock, super::fence::NOBODY, 2 * PATIENCE);
        assert!(!lock.is_biased());
    }

    #[test]
    fn a_guest_changes_nothing_for_whom_it_is_biased_to() {
        let lock = BiasedLock::new(0);
        let mut total = 0;
        for _ in 0..100 {
            take(&lock, 28, PATIENCE + 1);
            *lock.lock_as_guest_of(400) += 1;
            *lock.lock_as_guest_of(super::fence::NOBODY) += 1;
            *lock.lock_as_guest_of(28) += 1;
            assert_eq!(lock.is_biased(), super::fence::is_there());
            total += u64::from(PATIENCE) + 4;
        }
        assert_eq!(*lock.lock_as_guest_of(28), total);
        // Unless it wants to.
        super::BiasedGuard::revoke(&mut lock.lock_as_guest_of(28));
        assert_eq!(lock.is_biased(), super::fence::is_there());
        super::BiasedGuard::revoke(&mut lock.lock_as_guest_of(400));
        assert!(!lock.is_biased());
        // Of a lock that is free it makes nothing else, and it does not interrupt a habit.
        let lock = BiasedLock::new(0);
        take(&lock, 28, PATIENCE);
        assert!(!lock.is_biased());
        (0..2 * PATIENCE).for_each(|_| *lock.lock_as_guest_of(400) += 1);
        assert!(!lock.is_biased());
        take(&lock, 28, 1);
        assert_eq!(lock.is_biased(), super::fence::is_there());
    }

    #[test]
    fn one_is_in_it_at_a_time_whatever_is_revoked() {
        let rounds = if cfg!(debug_assertions) { 300 } else { 3000 };
        let stop = AtomicBool::new(false);
        let current = std::sync::Mutex::new(Arc::new(BiasedLock::new((0u64, 0u64))));
        std::thread::scope(|scope| {
            let owner = scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let lock = current.lock().unwrap().clone();
                    for _ in 0..2 * PATIENCE {
                        let mut value = lock.lock_as(36);
                        value.0 += 1;
                        value.1 += 1;
                        assert_eq!(value.0, value.1);
                    }
                }
            });
            for round in 0..rounds {
                let lock = current.lock().unwrap().clone();
                while super::fence::is_there() && !lock.is_biased() && !owner.is_finished() {
                    std::hint::spin_loop();
                }
                (0..round % 50).for_each(|_| std::hint::spin_loop());
                for i in 0..8 {
                    let mut value = if i < 5 { lock.lock_as_guest_of(40) } else { lock.lock_as(40) };
                    value.0 += 1;
                    assert_eq!(value.0, value.1 + 1);
                    value.1 += 1;
                }
                *current.lock().unwrap() = Arc::new(BiasedLock::new((0, 0)));
            }
            stop.store(true, Ordering::Relaxed);
        });
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::BiasedLock;
    use loom::{sync::Arc, thread};

    /// The worker takes the lock again and again, biased from the second time on; others revoke that at any moment.
    #[test]
    fn a_bias_can_be_revoked_at_any_moment() {
        loom::model(|| {
            let lock = Arc::new(BiasedLock::new(0));
            let other = thread::spawn({
                let lock = lock.clone();
                move || *lock.lock_as(32) += 1
            });
            for _ in 0..3 {
                *lock.lock_as(28) += 1;
            }
            other.join().unwrap();
            assert_eq!(*lock.lock_as(28), 4);
        });
    }

    /// A bias of one worker after that of another: what they do under it is seen by each other, though neither of them
    /// takes the lock by an exchange then.
    #[test]
    fn a_bias_follows_a_bias() {
        loom::model(|| {
            let lock = Arc::new(BiasedLock::new(0));
            (0..2).for_each(|_| *lock.lock_as(28) += 1);
            let other = thread::spawn({
                let lock = lock.clone();
                // Revokes, is biased to, and takes by the bias.
                move || (0..3).for_each(|_| *lock.lock_as(32) += 1)
            });
            *lock.lock_as(28) += 1;
            other.join().unwrap();
            assert_eq!(*lock.lock_as(28), 6);
        });
    }

    /// A guest comes at any moment, twice, and gives the bias back; what it did is seen by whom the lock is biased to.
    #[test]
    fn a_guest_may_come_at_any_moment() {
        loom::model(|| {
            let lock = Arc::new(BiasedLock::new(0));
            let other = thread::spawn({
                let lock = lock.clone();
                move || (0..2).for_each(|_| *lock.lock_as_guest_of(32) += 1)
            });
            (0..4).for_each(|_| *lock.lock_as(28) += 1);
            other.join().unwrap();
            assert_eq!(*lock.lock_as(28), 6);
        });
    }

    /// Whom it is biased to keeps that, however it meets guests.
    #[test]
    fn guests_take_no_bias_away() {
        loom::model(|| {
            let lock = Arc::new(BiasedLock::new(0));
            (0..2).for_each(|_| *lock.lock_as(28) += 1);
            let guest = thread::spawn({
                let lock = lock.clone();
                move || (0..2).for_each(|_| *lock.lock_as_guest_of(32) += 1)
            });
            (0..2).for_each(|_| *lock.lock_as(28) += 1);
            guest.join().unwrap();
            assert_eq!(*lock.lock_as(28), 6);
            assert_eq!(lock.word.load(super::Ordering::Relaxed), 28);
        });
    }

    /// What a guest gives back, another one takes away, or the other way round.
    #[test]
    fn a_guest_and_another_heir() {
        loom::model(|| {
            let lock = Arc::new(BiasedLock::new(0));
            (0..2).for_each(|_| *lock.lock_as(28) += 1);
            let guest = thread::spawn({
                let lock = lock.clone();
                move || *lock.lock_as_guest_of(36) += 1
            });
            *lock.lock_as(32) += 1;
            *lock.lock_as(28) += 1;
            guest.join().unwrap();
            assert_eq!(*lock.lock_as(28), 5);
        });
    }

    /// Two that revoke each other.
    #[test]
    fn what_one_has_done_the_next_one_sees() {
        loom::model(|| {
            let lock = Arc::new(BiasedLock::new(0));
            let other = thread::spawn({
                let lock = lock.clone();
                move || (0..2).for_each(|_| *lock.lock_as(32) += 1)
            });
            (0..2).for_each(|_| *lock.lock_as(28) += 1);
            other.join().unwrap();
            assert_eq!(*lock.lock_as(36), 4);
        });
    }
}
