//! Alarms: at a given moment a waker is called. For async tasks, which may be polled by anybody's executor.
//!
//! One thread, started with the first alarm, sleeps until the earliest one. Goroutines and OS threads don't need it: their
//! own worker, or their own park, ends with the time.

use super::Instant;
use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError},
    task::Waker,
};

/// The earliest first; those of one moment in the order in which they were set.
type Key = (Instant, u64);

struct Service {
    state: Mutex<State>,
    earlier: Condvar,
}

#[derive(Default)]
struct State {
    alarms: BTreeMap<Key, Waker>,
    set: u64,
}

impl Service {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic runs under the lock but allocation.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get() -> &'static Service {
        static SERVICE: OnceLock<&'static Service> = OnceLock::new();
        SERVICE.get_or_init(|| {
            let service: &'static Service =
                Box::leak(Box::new(Service { state: Mutex::default(), earlier: Condvar::new() }));
            std::thread::Builder::new()
                .name("rendez-alarms".into())
                .spawn(|| service.run())
                .expect("rendez: could not start the thread for time limits of async tasks");
            service
        })
    }

    fn run(&self) {
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            match state.alarms.first_entry() {
                Some(entry) if entry.key().0 <= now => {
                    let waker = entry.remove();
                    drop(state);
                    // A waker is somebody's code: its panic, which the hook has told, must not stop the others' clock.
                    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| waker.wake())) {
                        std::mem::forget(payload);
                    }
                    state = self.lock();
                }
                Some(entry) => {
                    let wait = entry.key().0.saturating_duration_since(now);
                    state = self.earlier.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0;
                }
                None => state = self.earlier.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

/// One alarm of one task; goes when it is dropped.
#[derive(Debug)]
pub(crate) struct Alarm {
    key: Option<Key>,
}

impl Alarm {
    pub(crate) const fn new() -> Self {
        Alarm { key: None }
    }

    /// What it is set to.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.key.map(|(deadline, _)| deadline)
    }

    /// Sets it, or changes its waker.
    pub(crate) fn set(&mut self, deadline: Instant, waker: &Waker) {
        let service = Service::get();
        // Cloned, and what it takes the place of dropped, outside of the lock: both are somebody's code.
        let waker = waker.clone();
        let mut state = service.lock();
        let key = match self.key {
            Some(key) if key.0 == deadline => key,
            other => {
                let moved = other.and_then(|key| state.alarms.remove(&key));
                state.set += 1;
                let key = (deadline, state.set);
                self.key = Some(key);
                if moved.is_some() {
                    drop(state);
                    drop(moved);
                    state = service.lock();
                }
                key
            }
        };
        let before = state.alarms.insert(key, waker);
        let is_first = state.alarms.first_key_value().is_some_and(|(&first, _)| first == key);
        drop(state);
        drop(before);
        if is_first {
            service.earlier.notify_one();
        }
    }

    pub(crate) fn clear(&mut self) {
        if let Some(key) = self.key.take() {
            let waker = Service::get().lock().alarms.remove(&key);
            drop(waker);
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.clear();
    }
}
