//! `Pool`: objects that are used again (Go's `sync/pool.go`).
//!
//! # Shards
//!
//! The objects lie in *shards*: one for each worker, by its number, and a few for the OS threads that are no workers. (Workers
//! with numbers beyond those share the shards of others: there are several runtimes, or workers were added.) `get` takes
//! what was put last into the caller's own shard; if that is empty, it steals one object from another; if there is
//! none, it makes one. `put` goes to the caller's own shard.
//!
//! A shard is two lists under a lock that is [biased](crate::lock) to its worker, so the worker pays neither an exchange nor
//! a fence. (Go's local pools cost none either, as its collector stops the world before it empties them.) Others come only
//! when they have nothing of their own, and look first at the number that is written beside the lock. They come as guests, who
//! leave the bias as it is, unless that happens [often](OFTEN): where some always get what others put, nobody is favoured.
//! Rejected: a slot for one object before the lists, which anybody empties by an exchange: that is 20 cycles for each `get`.
//!
//! Objects lie in boxes that are links of the shards' lists and that the guards hold, so neither `get` nor `put` of a guard
//! moves the object or allocates, and nothing is allocated under a lock. **No user code runs under a lock**: not the
//! maker, not a destructor. A goroutine never parks in here, unless in those.
//!
//! # Ageing
//!
//! A shard's objects are *fresh* or *old*. Once in a [`PERIOD`] a `get` begins a generation: what is still old has not been
//! used for a whole generation and is dropped, what was fresh becomes old. What is put back is fresh. So an object goes after
//! it has not been used for one to two periods. That a period has passed is looked for at every [`LOOK_EVERY`]th `get` of
//! a shard and before an object is made, so it costs next to nothing; a pool that nobody uses does not age.
//!
//! Go takes old objects ("victims") only when nobody has fresh ones. Here a caller takes its own old one first: else after
//! each generation all workers would steal from the one that was first to put something back.

#![forbid(unsafe_code)]

use super::caller;
use crate::{
    lock::{BiasedGuard, BiasedLock},
    sched,
    time::Instant,
};
use crossbeam_utils::CachePadded;
use std::{
    fmt, mem,
    ops::{Deref, DerefMut},
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};

/// How long a generation lasts at least.
const PERIOD: Duration = Duration::from_secs(1);
/// How many `get`s of a shard go by between two looks at the clock.
const LOOK_EVERY: u32 = 256;
/// Who steals from a shard after fewer `get`s of its own than this takes away its bias. (To come as a guest is some microseconds, as
/// much as the bias saves in a hundred `get`s.)
const OFTEN: u32 = 1024;
/// How many objects a shard keeps at most.
const KEPT: usize = 16 * 1024;
/// How many shards there are for OS threads that are no workers.
const FOR_THREADS: usize = 4;

/// A pool of objects that are costly to make and are used again: buffers, above all. [`get`](Self::get) gives one that somebody
/// has used before, or makes one; it comes back when the guard is dropped.
///
/// An object comes as it was put back: clear it. Which one comes, and whether it is one that was put back, is not
/// said: objects that are not used for one to two seconds are dropped by those who use the pool meanwhile, and a pool keeps at
/// most some 16,000 for each worker. A pool that nobody touches any more keeps what it has (at most what was in use at
/// once, and what was [`put`](Self::put)) until it is dropped; [`age`](Self::age) empties it by hand.
///
/// A pool is not a limit on how many objects there are. For that, use a channel, or a semaphore.
///
/// # Examples
/// ```
/// use rendez::sync::{Pool, WaitGroup};
/// use std::sync::Arc;
///
/// let buffers = Arc::new(Pool::new(|| Vec::<u8>::with_capacity(1 << 20)));
/// let group = WaitGroup::new();
/// for i in 0..1000 {
///     let buffers = buffers.clone();
///     group.go(move || {
///         let mut buffer = buffers.get();
///         buffer.clear();
///         buffer.push(i as u8);
///     });
/// }
/// group.wait();
/// assert!(buffers.idle() <= 1000);
/// ```
#[repr(align(128))] // As `Link`: all who use it read it.
pub struct Pool<T> {
    make: Box<dyn Fn() -> T + Send + Sync>,
    /// A power of two for the workers, and then those for threads.
    shards: Box<[CachePadded<Shard<T>>]>,
    for_workers: usize,
    born: Instant,
    /// When the generation began, in milliseconds after the birth.
    generation_began: AtomicU64,
}

struct Shard<T> {
    /// How many are in the lists: written under the lock, read by those who look for something to steal.
    kept: AtomicUsize,
    objects: BiasedLock<Objects<T>>,
}

struct Objects<T> {
    fresh: List<T>,
    old: List<T>,
    /// How many are in the old list.
    olds: usize,
    /// How many `get`s there were, wrapping.
    gets: u32,
    /// And when somebody last stole from it.
    gets_at_theft: u32,
}

/// An object in its place in a list, or, with nothing next, in a guard.
///
/// In lines of its own: a worker reads it at each use, and what lies beside it in memory is likely another worker's object, or what that
/// points to.
#[repr(align(128))]
struct Link<T> {
    object: T,
    next: Option<Box<Link<T>>>,
}

struct List<T> {
    first: Option<Box<Link<T>>>,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        List { first: None }
    }
}

impl<T> List<T> {
    #[inline]
    fn push(&mut self, mut link: Box<Link<T>>) {
        // What is in no list has nothing next, and so nothing to drop.
        mem::forget(mem::replace(&mut link.next, self.first.take()));
        self.first = Some(link);
    }

    #[inline]
    fn pop(&mut self) -> Option<Box<Link<T>>> {
        let mut link = self.first.take()?;
        self.first = link.next.take();
        Some(link)
    }
}

impl<T> Drop for List<T> {
    /// One after another, as a long list dropped link by link in each other would overflow the stack. If a destructor
    /// panics, the others still run.
    fn drop(&mut self) {
        struct Rest<'a, T>(&'a mut List<T>);
        impl<T> Drop for Rest<'_, T> {
            fn drop(&mut self) {
                while self.0.pop().is_some() {}
            }
        }
        let rest = Rest(self);
        while let Some(link) = rest.0.pop() {
            drop(link);
        }
    }
}

impl<T> Pool<T> {
    /// A pool whose objects are made by `f`.
    ///
    /// # Panics
    /// If `RENDEZ_WORKERS` is set and is no number of workers.
    pub fn new(f: impl Fn() -> T + Send + Sync + 'static) -> Pool<T> {
        let for_workers = crate::workers().next_power_of_two().max(4);
        Pool {
            make: Box::new(f),
            shards: (0..for_workers + FOR_THREADS).map(|_| CachePadded::new(Shard::new())).collect(),
            for_workers,
            born: Instant::now(),
            generation_began: AtomicU64::new(0),
        }
    }

    /// An object that was put back, or a new one. It goes back when the guard is dropped, also by a panic: then it may be
    /// half changed, and whoever minds that [takes](PoolGuard::take) it out while it is so.
    ///
    /// # Panics
    /// As `f` does, or the destructor of an object that is dropped for its age. The pool is whole afterwards.
    ///
    /// # Blocking
    /// Never parks by itself.
    #[inline]
    pub fn get(&self) -> PoolGuard<'_, T> {
        crate::wait::point();
        let home = self.home();
        let (link, gets) = self.shards[home].pop();
        if link.is_none() {
            return self.get_elsewhere(home, gets);
        }
        let guard = PoolGuard { pool: self, link };
        if gets.is_multiple_of(LOOK_EVERY) {
            self.age_if_due();
        }
        guard
    }

    /// Gives an object to the pool, whether it came from there or not.
    ///
    /// # Blocking
    /// Never parks. Allocates the object's place; the drop of a guard does not.
    pub fn put(&self, object: T) {
        self.put_link(Box::new(Link { object, next: None }));
    }

    /// How many objects are in the pool, about.
    pub fn idle(&self) -> usize {
        self.shards.iter().map(|shard| shard.kept.load(Ordering::Relaxed)).sum()
    }

    /// Begins a generation now: drops the objects that have not been used since the last one began. Called twice, it drops
    /// all that are not in use: for a program that knows that it is short of memory, or done for a while.
    ///
    /// # Panics
    /// As an object's destructor does.
    ///
    /// # Examples
    /// ```
    /// use rendez::sync::Pool;
    /// let pool = Pool::new(String::new);
    /// drop(pool.get());
    /// pool.age();
    /// assert_eq!(pool.idle(), 1);
    /// pool.age();
    /// assert_eq!(pool.idle(), 0);
    /// ```
    pub fn age(&self) {
        for shard in &self.shards {
            if shard.kept.load(Ordering::Relaxed) > 0 {
                let unused = shard.age();
                // Destructors run here, without the lock.
                drop(unused);
            }
        }
    }

    /// The caller's own shard.
    #[inline]
    fn home(&self) -> usize {
        match sched::worker_number() {
            Some(number) => number & (self.for_workers - 1),
            None => self.for_workers + caller::thread_number() as usize % FOR_THREADS,
        }
    }

    /// Steals an object, or makes one; after so many `get`s of the own shard.
    #[cold]
    fn get_elsewhere(&self, home: usize, gets: u32) -> PoolGuard<'_, T> {
        if gets.is_multiple_of(LOOK_EVERY) {
            self.age_if_due();
        }
        // First from those who have more than they need next.
        for enough in [2, 1] {
            for step in 1..self.shards.len() {
                let shard = &self.shards[(home + step) % self.shards.len()];
                if shard.kept.load(Ordering::Relaxed) >= enough
                    && let link @ Some(_) = shard.steal()
                {
                    return PoolGuard { pool: self, link };
                }
            }
        }
        self.age_if_due();
        PoolGuard { pool: self, link: Some(Box::new(Link { object: (self.make)(), next: None })) }
    }

    #[inline]
    fn put_link(&self, link: Box<Link<T>>) {
        crate::wait::point();
        self.shards[self.home()].push(link);
    }

    #[cold]
    fn age_if_due(&self) {
        let now = self.born.elapsed().as_millis() as u64;
        let began = self.generation_began.load(Ordering::Relaxed);
        if now.saturating_sub(began) >= PERIOD.as_millis() as u64
            && self
                .generation_began
                .compare_exchange(began, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        {
            self.age();
        }
    }
}

impl<T> Shard<T> {
    fn new() -> Shard<T> {
        Shard {
            kept: AtomicUsize::new(0),
            objects: BiasedLock::new(Objects {
                fresh: List::default(),
                old: List::default(),
                olds: 0,
                gets: 0,
                gets_at_theft: 0,
            }),
        }
    }

    /// One of the lists, and how many `get`s there have been; for whose shard it is.
    #[inline]
    fn pop(&self) -> (Option<Box<Link<T>>>, u32) {
        let mut objects = self.objects.lock();
        objects.gets = objects.gets.wrapping_add(1);
        (self.pop_from(&mut objects), objects.gets)
    }

    /// The same, for who has another shard.
    fn steal(&self) -> Option<Box<Link<T>>> {
        let mut objects = self.objects.lock_as_guest();
        let link = self.pop_from(&mut objects)?;
        if objects.gets.wrapping_sub(objects.gets_at_theft) < OFTEN {
            BiasedGuard::revoke(&mut objects);
        }
        objects.gets_at_theft = objects.gets;
        Some(link)
    }

    #[inline]
    fn pop_from(&self, objects: &mut Objects<T>) -> Option<Box<Link<T>>> {
        let link = objects.fresh.pop().or_else(|| {
            let old = objects.old.pop()?;
            objects.olds -= 1;
            Some(old)
        })?;
        self.kept.store(self.kept.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
        Some(link)
    }

    /// Keeps it, unless there are too many.
    #[inline]
    fn push(&self, link: Box<Link<T>>) {
        let mut objects = self.objects.lock();
        let kept = self.kept.load(Ordering::Relaxed);
        if kept == KEPT {
            return drop_surplus(link, objects);
        }
        objects.fresh.push(link);
        self.kept.store(kept + 1, Ordering::Relaxed);
    }

    /// Makes old what was fresh. Returns what was old.
    fn age(&self) -> List<T> {
        let mut objects = self.objects.lock_as_guest();
        let fresh = mem::take(&mut objects.fresh);
        let unused = mem::replace(&mut objects.old, fresh);
        let kept = self.kept.load(Ordering::Relaxed) - objects.olds;
        objects.olds = kept;
        self.kept.store(kept, Ordering::Relaxed);
        unused
    }
}

/// Drops the link, whose destructor is the user's, without the lock.
#[cold]
fn drop_surplus<T>(link: Box<Link<T>>, lock: BiasedGuard<'_, Objects<T>>) {
    drop(lock);
    drop(link);
}

impl<T> fmt::Debug for Pool<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("idle", &self.idle()).finish_non_exhaustive()
    }
}

/// An object of a [`Pool`], which goes back when this is dropped.
#[must_use = "the object goes back to the pool at once if it is not used"]
pub struct PoolGuard<'a, T> {
    pool: &'a Pool<T>,
    /// `None` only within `take`.
    link: Option<Box<Link<T>>>,
}

const HELD: &str = "a guard holds its object until it is consumed";

impl<T> PoolGuard<'_, T> {
    /// Takes the object out for good: it does not go back by itself.
    ///
    /// # Examples
    /// ```
    /// use rendez::sync::Pool;
    /// let pool = Pool::new(|| String::from("mine"));
    /// let text: String = pool.get().take();
    /// assert_eq!((text.as_str(), pool.idle()), ("mine", 0));
    /// pool.put(text);
    /// assert_eq!(pool.idle(), 1);
    /// ```
    #[must_use = "dropped, the object is gone: drop the guard to put it back"]
    pub fn take(mut self) -> T {
        self.link.take().expect(HELD).object
    }
}

impl<T> Deref for PoolGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.link.as_ref().expect(HELD).object
    }
}

impl<T> DerefMut for PoolGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.link.as_mut().expect(HELD).object
    }
}

impl<T> Drop for PoolGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if let Some(link) = self.link.take() {
            self.pool.put_link(link);
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for PoolGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PoolGuard").field(&**self).finish()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{OFTEN, Pool};
    use std::thread;

    #[test]
    fn a_worker_keeps_its_bias_when_others_come_seldom_and_not_when_they_come_often() {
        if !crate::lock::is_biasing() {
            return;
        }
        let pool = Pool::new(|| 0);
        let elsewhere = |f: fn(&Pool<i32>)| thread::scope(|s| s.spawn(|| f(&pool)).join().unwrap());
        let age = || elsewhere(Pool::age);
        let steal = || {
            elsewhere(|pool| assert_eq!(pool.get().take(), 1));
            assert_eq!(pool.idle(), 0);
        };
        let use_it = |times: u32| {
            pool.put(1);
            (0..times).for_each(|_| assert_eq!(*pool.get(), 1));
        };
        let runtime = crate::Runtime::builder().workers(1).build().unwrap();
        runtime.run(|| {
            let is_biased = || pool.shards[pool.home()].objects.is_biased();
            use_it(OFTEN / 2 - 1);
            assert!(!is_biased());
            use_it(OFTEN / 2);
            assert!(is_biased());
            age();
            assert!(is_biased());
            assert_eq!(*pool.get(), 1);
            age();
            assert!(is_biased());
            assert_eq!(pool.idle(), 1, "one was not used");
            for _ in 0..10 {
                steal();
                assert!(is_biased());
                use_it(OFTEN);
            }
            steal();
            assert!(is_biased());
            use_it(OFTEN - 1);
            steal();
            assert!(!is_biased());
        });
    }
}
