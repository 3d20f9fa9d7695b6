//! Alarms: at a given moment a waker is called. They wake what has no worker of its own: async tasks, receivers of timers'
//! channels, the functions of `after_func`.
//!
//! An alarm lies in what it belongs to (a future, a channel's clock) and is set in an [`AlarmSet`]: the one of the worker
//! that sets it, or, on other threads, the one of a *service* thread. So nobody has to be woken to be told of an earlier
//! deadline: a worker that sets one is awake. Each set is under a lock of its own, which is contended only when another
//! thread clears or moves an alarm of it (Go's `runtime/time.go` has it so).
//!
//! # Who may touch what
//!
//! | field | who |
//! | --- | --- |
//! | `home`, `deadline` | the owner: who sets, clears and drops the alarm, one at a time |
//! | `waker` | who holds the lock of `home` |
//! | `slot` | written under that lock; read by the owner without it |
//!
//! | `slot` | meaning | who leaves it, and to what |
//! | --- | --- | --- |
//! | a slot of `home` | set | the owner to `UNSET`; who fires it to `FIRED`, or to `UNSET` if the set is emptied before time |
//! | `FIRED`, `UNSET` | in no set | the owner, by setting it |
//!
//! * *Firing against clearing*: both take the set's lock. Who fires takes the waker out and then stores `slot`: that is the
//!   last that it touches of the alarm, so an owner that finds it there, with the lock or without, may end the alarm.
//! * *Wakers run outside of the lock*, and so do their clones and drops: all are somebody's code. They run on the worker's own
//!   stack, where no goroutine is, or on the service's thread. So one that blocks keeps the worker, and what is to end that
//!   must not be on it: unlike a waker that is called by a peer, where only the peer's goroutine waits.
//! * *A worker that does not come back*, because its goroutine computes: workers that find nothing to do fire what is
//!   [overdue](OVERDUE) elsewhere. That somebody looks in time, see [`idle`](super::idle) under "watch".
//! * *A worker that ends* wakes everybody whose alarm is in its set, before time. A waker may be called for no reason, so whoever
//!   still waits finds that it is not yet time, and sets the alarm again, where it is then.

use super::{
    deadlines::{Deadlines, SLOTS, Slot},
    waiting::WaitingThread,
};
use crate::{lock::SpinLock, time::Instant};
use std::{
    cell::{Cell, UnsafeCell},
    fmt,
    marker::PhantomPinned,
    panic::{AssertUnwindSafe, catch_unwind},
    ptr,
    sync::{
        Condvar, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    task::Waker,
    time::Duration,
};

const UNSET: Slot = SLOTS;
const FIRED: Slot = SLOTS + 1;

/// When no alarm is set.
const NEVER: u64 = u64::MAX;
/// How many alarms are fired under one hold of the lock.
const BATCH: usize = 32;
/// How many a worker fires before it looks at its queues again.
const MOST: usize = 512;
/// By how much an alarm is late when other workers take care of it, in nanoseconds.
pub(super) const OVERDUE: u64 = 1_000_000;

/// The alarms of one worker, or of the service.
#[derive(Debug)]
pub(crate) struct AlarmSet {
    /// The earliest deadline; changed under the lock.
    next: AtomicU64,
    heap: SpinLock<Deadlines<*const Alarm>>,
}

// SAFETY: the alarms that the pointers lead to are there while they are set, and are touched under the lock.
unsafe impl Sync for AlarmSet {}
// SAFETY: as above.
unsafe impl Send for AlarmSet {}

impl AlarmSet {
    pub(super) const fn new() -> Self {
        AlarmSet { next: AtomicU64::new(NEVER), heap: SpinLock::new(Deadlines::new()) }
    }

    /// The earliest deadline.
    #[inline]
    pub(super) fn next_deadline(&self) -> Option<u64> {
        Some(self.next.load(Ordering::Acquire)).filter(|&next| next != NEVER)
    }

    /// How many are set.
    pub(super) fn len(&self) -> u64 {
        self.heap.lock().len() as u64
    }

    /// Whether an alarm is due.
    #[inline]
    fn is_due(&self, now: u64) -> bool {
        self.next.load(Ordering::Acquire) <= now
    }

    fn publish(&self, heap: &Deadlines<*const Alarm>) {
        let next = heap.next().map_or(NEVER, |next| next.min(NEVER - 1));
        if self.next.load(Ordering::Relaxed) != next {
            self.next.store(next, Ordering::Release);
        }
    }

    /// Fires what is due. Returns whether there was something.
    pub(super) fn fire(&self, now: u64) -> bool {
        let mut fired = 0;
        while fired < MOST && self.is_due(now) {
            let batch = self.fire_batch(now, FIRED);
            fired += batch;
            if batch < BATCH {
                break;
            }
        }
        fired > 0
    }

    /// How many are due.
    #[cfg(feature = "testing")]
    pub(super) fn count_due(&self, now: u64) -> usize {
        self.heap.lock().count_due(now)
    }

    /// Fires one of those that are due.
    #[cfg(feature = "testing")]
    pub(super) fn fire_nth(&self, now: u64, nth: usize) {
        let mut heap = self.heap.lock();
        let Some(alarm) = heap.pop_nth_due(now, nth) else { return };
        // SAFETY: as in `fire_batch`.
        let waker = unsafe {
            let waker = (*(*alarm).waker.get()).take();
            (*alarm).slot.store(FIRED, Ordering::Release);
            waker
        };
        self.publish(&heap);
        drop(heap);
        if let Some(waker) = waker {
            wake(waker);
        }
    }

    /// Wakes everybody: nobody will look at this set for a while.
    pub(super) fn empty(&self) {
        while self.fire_batch(NEVER, UNSET) > 0 {}
    }

    fn fire_batch(&self, now: u64, slot: Slot) -> usize {
        let mut wakers = [const { None::<Waker> }; BATCH];
        let mut len = 0;
        let mut heap = self.heap.lock();
        while len < BATCH
            && let Some(alarm) = heap.pop_due(now)
        {
            // SAFETY: it was set, so it is there until its slot says otherwise, and its waker is ours with the lock.
            unsafe {
                wakers[len] = (*(*alarm).waker.get()).take();
                (*alarm).slot.store(slot, Ordering::Release);
            }
            len += 1;
        }
        self.publish(&heap);
        drop(heap);
        for waker in wakers[..len].iter_mut().filter_map(Option::take) {
            wake(waker);
        }
        len
    }
}

/// A waker is somebody's code: its panic, which the hook has told, must not stop the others' clock.
fn wake(waker: Waker) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| waker.wake()))
        && let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload)))
    {
        std::mem::forget(again);
    }
}

/// One alarm; it is cleared when it is dropped.
pub(crate) struct Alarm {
    home: Cell<*const AlarmSet>,
    deadline: Cell<Option<Instant>>,
    waker: UnsafeCell<Option<Waker>>,
    slot: AtomicU32,
    /// As in [`Node`](crate::wait::Node).
    _shared: PhantomPinned,
}

// SAFETY: the owner's fields (cells) are touched by one at a time, who got it from the last by whatever made him the owner: a
// move of the future, the lock of the channel or function that it is part of. The others are under the lock of a set, which is
// never freed, but for `slot`, which is atomic.
unsafe impl Send for Alarm {}
// SAFETY: nothing but reading its deadline can be done through a shared reference without answering for being the owner.
unsafe impl Sync for Alarm {}

impl Alarm {
    pub(crate) const fn new() -> Self {
        Alarm {
            home: Cell::new(ptr::null()),
            deadline: Cell::new(None),
            waker: UnsafeCell::new(None),
            slot: AtomicU32::new(UNSET),
            _shared: PhantomPinned,
        }
    }

    /// What it was last set to, if it has not been cleared since.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline.get()
    }

    /// Whether it was set, and its time has come.
    #[inline]
    pub(crate) fn has_fired(&self) -> bool {
        self.slot.load(Ordering::Acquire) == FIRED
    }

    /// Whether it is set and has not fired.
    #[inline]
    pub(crate) fn is_set(&self) -> bool {
        self.slot.load(Ordering::Acquire) < SLOTS
    }

    /// Sets it, or changes its deadline or waker.
    ///
    /// # Safety
    /// The caller is the owner, and the alarm neither moves nor ends before it has been cleared (as a drop does).
    pub(crate) unsafe fn set(&self, deadline: Instant, waker: &Waker) {
        super::with_alarms(|mine, is_service| {
            let mut fresh = None;
            // SAFETY: sets are never freed: they belong to a `WorkerShared`, or to the service.
            if let Some(home) = unsafe { self.home.get().as_ref() }
                && self.is_set()
            {
                if (ptr::eq(home, mine) || self.deadline.get() == Some(deadline))
                    && self.change(home, deadline, waker, &mut fresh)
                {
                    return;
                }
                fresh = self.take_back(home).filter(|old| old.will_wake(waker)).or(fresh);
            }
            let fresh = fresh.unwrap_or_else(|| waker.clone());
            self.home.set(mine);
            self.deadline.set(Some(deadline));
            let at = deadline.nanos();
            let mut heap = mine.heap.lock();
            // SAFETY: in no set: it is the owner's.
            unsafe { *self.waker.get() = Some(fresh) };
            let slot = heap.push(at, self);
            self.slot.store(slot, Ordering::Release);
            mine.publish(&heap);
            drop(heap);
            if is_service {
                SERVICE.get().expect("it has the set").set_earlier(at);
            }
        });
    }

    /// Changes deadline and waker where it is. `false` if it has fired meanwhile; then `fresh` may be a clone of the waker.
    fn change(&self, home: &AlarmSet, deadline: Instant, waker: &Waker, fresh: &mut Option<Waker>) -> bool {
        let mut heap = home.heap.lock();
        let before = loop {
            let slot = self.slot.load(Ordering::Relaxed);
            if slot >= SLOTS {
                return false;
            }
            // SAFETY: under the lock.
            let current = unsafe { &mut *self.waker.get() };
            let is_same = current.as_ref().is_some_and(|current| current.will_wake(waker));
            if is_same || fresh.is_some() {
                if self.deadline.replace(Some(deadline)) != Some(deadline) {
                    heap.set(slot, deadline.nanos());
                    home.publish(&heap);
                }
                break if is_same { fresh.take() } else { std::mem::replace(current, fresh.take()) };
            }
            drop(heap);
            *fresh = Some(waker.clone());
            heap = home.heap.lock();
        };
        drop(heap);
        drop(before);
        if let Some(service) = SERVICE.get()
            && ptr::eq(&service.set, home)
        {
            service.set_earlier(deadline.nanos());
        }
        true
    }

    fn take_back(&self, home: &AlarmSet) -> Option<Waker> {
        let mut heap = home.heap.lock();
        let slot = self.slot.load(Ordering::Relaxed);
        if slot >= SLOTS {
            return None;
        }
        heap.remove(slot);
        self.slot.store(UNSET, Ordering::Relaxed);
        home.publish(&heap);
        // SAFETY: under the lock.
        unsafe { (*self.waker.get()).take() }
    }

    /// Clears it. The waker is called no more, unless it is being called now.
    ///
    /// # Safety
    /// The caller is the owner.
    pub(crate) unsafe fn clear(&self) {
        // SAFETY: as in `set`.
        if let Some(home) = unsafe { self.home.replace(ptr::null()).as_ref() } {
            self.deadline.set(None);
            if self.is_set() {
                drop(self.take_back(home));
            }
            self.slot.store(UNSET, Ordering::Relaxed);
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        // SAFETY: who drops it owns it.
        unsafe { self.clear() };
    }
}

impl fmt::Debug for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alarm").field("deadline", &self.deadline.get()).finish()
    }
}

// ---- the service ----

/// A thread that fires the alarms of those threads that are no workers. It starts with the first of them.
pub(super) struct Service {
    pub(super) set: AlarmSet,
    mutex: Mutex<()>,
    earlier: Condvar,
}

static SERVICE: OnceLock<&'static Service> = OnceLock::new();

/// The longest single wait, for systems whose condition variables can't wait for ever.
const LONGEST: Duration = Duration::from_secs(3600);

/// Whether an alarm is set at the service. One that is just being fired is not any more; then the service's thread does not wait.
pub(super) fn is_set_at_service() -> bool {
    SERVICE.get().is_some_and(|service| service.set.next_deadline().is_some())
}

/// How many alarms are set at the service.
pub(super) fn set_at_service() -> u64 {
    SERVICE.get().map_or(0, |service| service.set.len())
}

impl Service {
    pub(super) fn get() -> &'static Service {
        SERVICE.get_or_init(|| {
            let service: &'static Service = Box::leak(Box::new(Service {
                set: AlarmSet::new(),
                mutex: Mutex::new(()),
                earlier: Condvar::new(),
            }));
            std::thread::Builder::new()
                .name("rendez-alarms".into())
                .spawn(|| service.run())
                .expect("rendez: could not start the thread for timers of threads that are no workers");
            service
        })
    }

    /// An alarm for `at` has been put into the set.
    fn set_earlier(&self, at: u64) {
        // If one that is as early was there before, the thread knows of it, or will look once more before it sleeps.
        if self.set.next_deadline().is_none_or(|next| at <= next) {
            drop(self.mutex.lock().unwrap_or_else(PoisonError::into_inner));
            self.earlier.notify_one();
        }
    }

    fn run(&self) {
        loop {
            if self.set.fire(Instant::now().nanos()) {
                continue;
            }
            // Whoever sets an earlier one passes through the mutex before it notifies: after this look, or before.
            let guard = self.mutex.lock().unwrap_or_else(PoisonError::into_inner);
            let wait = match self.set.next_deadline() {
                None => LONGEST,
                Some(next) => Duration::from_nanos(next.saturating_sub(Instant::now().nanos())).min(LONGEST),
            };
            if !wait.is_zero() {
                let waiting = WaitingThread::new();
                drop(self.earlier.wait_timeout(guard, wait));
                drop(waiting);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        sync::{Arc, atomic::AtomicUsize},
        task::Wake,
    };

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn counted() -> (Arc<Count>, Waker) {
        let count = Arc::new(Count::default());
        (count.clone(), Waker::from(count))
    }

    fn wait_until(condition: impl Fn() -> bool) {
        while !condition() {
            std::thread::sleep(Duration::from_micros(100));
        }
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn an_alarm_fires_once_and_a_cleared_one_does_not_and_drops_its_waker() {
        let (fired, waker) = counted();
        let (cleared, other) = counted();
        let alarms: Vec<Box<Alarm>> = (0..200).map(|_| Box::new(Alarm::new())).collect();
        let start = Instant::now();
        for (i, alarm) in alarms.iter().enumerate() {
            let waker = if i % 2 == 0 { &waker } else { &other };
            // SAFETY: in a box, and this is the owner.
            unsafe { alarm.set(start + HOUR + Duration::from_micros(i as u64), waker) };
        }
        drop(other);
        assert!(Arc::strong_count(&cleared) > 100);
        for (i, alarm) in alarms.iter().enumerate() {
            match i % 2 {
                // SAFETY: as above.
                0 => unsafe { alarm.set(Instant::now() + Duration::from_millis(2), &waker) },
                // SAFETY: as above.
                _ => unsafe { alarm.clear() },
            }
        }
        assert_eq!(Arc::strong_count(&cleared), 1);
        wait_until(|| fired.0.load(Ordering::SeqCst) == 100);
        assert!(start.elapsed() >= Duration::from_millis(2));
        assert!(alarms.iter().step_by(2).all(|alarm| alarm.has_fired() && !alarm.is_set()));
        assert_eq!(cleared.0.load(Ordering::SeqCst), 0);
        drop(waker);
        wait_until(|| Arc::strong_count(&fired) == 1);
    }

    #[test]
    fn alarms_are_set_moved_and_cleared_beside_their_firing_from_several_threads() {
        std::thread::scope(|scope| {
            for seed in 0..4 {
                scope.spawn(move || {
                    let mut random = fastrand::Rng::with_seed(seed);
                    let (count, waker) = counted();
                    let mut most = 0;
                    for _ in 0..2000 {
                        let alarm = Box::new(Alarm::new());
                        for _ in 0..random.u32(1..4) {
                            let delay = Duration::from_micros(random.u64(..60));
                            // SAFETY: in a box, and this is the owner.
                            unsafe { alarm.set(Instant::now() + delay, &waker) };
                            most += 1;
                            if random.bool() {
                                std::thread::yield_now();
                            }
                        }
                        if random.bool() {
                            wait_until(|| alarm.has_fired());
                        }
                    }
                    drop(waker);
                    wait_until(|| Arc::strong_count(&count) == 1);
                    assert!(count.0.load(Ordering::SeqCst) <= most);
                });
            }
        });
    }

    #[test]
    fn a_set_that_is_emptied_wakes_everybody_before_time() {
        let set = AlarmSet::new();
        let (count, waker) = counted();
        let alarms: Vec<Box<Alarm>> = (0..100).map(|_| Box::new(Alarm::new())).collect();
        for alarm in &alarms {
            // As `set` does it.
            let mut heap = set.heap.lock();
            // SAFETY: in no other set.
            unsafe { *alarm.waker.get() = Some(waker.clone()) };
            let slot = heap.push(u64::MAX / 2, &**alarm);
            alarm.slot.store(slot, Ordering::Release);
            set.publish(&heap);
        }
        assert_eq!(set.next_deadline(), Some(u64::MAX / 2));
        assert!(!set.fire(u64::MAX / 2 - 1));
        set.empty();
        assert_eq!(count.0.load(Ordering::SeqCst), 100);
        assert_eq!(set.next_deadline(), None);
        assert!(alarms.iter().all(|alarm| !alarm.has_fired() && !alarm.is_set()));
    }

    #[test]
    fn a_waker_that_panics_does_not_stop_the_others() {
        struct Panics;
        impl Wake for Panics {
            fn wake(self: Arc<Self>) {
                panic!("a waker's panic, for the test");
            }
        }
        let (count, waker) = counted();
        let bad = Waker::from(Arc::new(Panics));
        let alarms = [Box::new(Alarm::new()), Box::new(Alarm::new())];
        let at = Instant::now() + Duration::from_millis(1);
        // SAFETY: in a box, and this is the owner.
        unsafe {
            alarms[0].set(at, &bad);
            alarms[1].set(at, &waker);
        }
        wait_until(|| count.0.load(Ordering::SeqCst) == 1);
    }
}
