//! `SingleFlight`: calls with one key at the same time are one call (Go's `x/sync/singleflight`).
//!
//! # Protocol
//!
//! A *flight* is one running function with its key. Those under way are in a table by the hash of their keys, under a lock.
//! Hashing and comparing keys is user code, which may panic, park or come here again, so it is not done under the lock: a
//! caller hashes its key first, then takes from the table, one at a time, the flights of that hash that it has not
//! compared yet, compares outside, and enters its own flight under the same hold of the lock that found no more of them.
//!
//! Whoever entered the flight *leads* it: it runs the function, takes the flight off the table, leaves the landing (the
//! value, or the panic's text) and completes the flight's `Once`, for which the others wait. A flight whose leader is
//! unwound by a shutdown, or whose future is dropped, is *abandoned*: those who waited begin anew, and one of them leads.

use super::{Once, caller::caller, panic_text::text_of};
use crate::{
    lock::SpinLock,
    task::{ForcedUnwind, forget_unwound_frames},
    wait::Reason,
};
use std::{
    any::Any,
    collections::HashMap,
    fmt,
    future::{Future, poll_fn},
    hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::pin,
    sync::{Arc, OnceLock},
    task::Poll,
};

/// Makes one call of those with the same key that come while it runs; all get its result.
///
/// Unlike a cache it forgets: the key is free again when the call has ended.
///
/// # Examples
/// ```
/// use rendez::{go, sync::SingleFlight};
/// use std::sync::Arc;
///
/// let flights = Arc::new(SingleFlight::new());
/// let pages: Vec<_> = (0..10)
///     .map(|_| {
///         let flights = flights.clone();
///         go(move || flights.run("/index", || "fetched once for all who ask meanwhile".to_string()))
///     })
///     .collect();
/// for page in pages {
///     assert!(page.join().unwrap().starts_with("fetched"));
/// }
/// ```
pub struct SingleFlight<K, V> {
    hasher: RandomState,
    flights: SpinLock<Table<K, V>>,
}

type Table<K, V> = HashMap<u64, Vec<Arc<Flight<K, V>>>, BuildHasherDefault<Hashed>>;

struct Flight<K, V> {
    key: K,
    hash: u64,
    /// The caller that runs the function; 0 if that is a task, in several polls.
    leader: u64,
    landing: OnceLock<Landing<V>>,
    /// Nobody calls it: the leader completes it when the landing is there.
    landed: Once,
}

enum Landing<V> {
    Value(V),
    Panicked(String),
    Abandoned,
}

/// The part of whoever leads a flight. Dropped, it abandons it.
struct Leader<'a, K, V> {
    flights: &'a SingleFlight<K, V>,
    flight: Arc<Flight<K, V>>,
}

enum Entry<'a, K, V> {
    Leads(Leader<'a, K, V>),
    /// Another one's flight, and the key back.
    Follows(Arc<Flight<K, V>>, K),
}

impl<K: Eq + Hash, V> SingleFlight<K, V> {
    /// One without flights.
    pub fn new() -> SingleFlight<K, V> {
        SingleFlight { hasher: RandomState::new(), flights: SpinLock::new(Table::default()) }
    }

    /// Runs `f`, or, if a call with this key is under way, waits for that and returns a clone of its value; `f` is then
    /// dropped.
    ///
    /// # Panics
    /// If `f` panics, here and in all that wait for it: here with its payload, there with its text. If `f` runs a call with
    /// its own key, which would wait for itself.
    ///
    /// # Blocking
    /// Parks the goroutine, or the OS thread, while another caller's call is under way.
    ///
    /// # Cancellation
    /// A runtime's shutdown unwinds a parked goroutine. If it unwinds the one that runs the function, another caller that
    /// waited runs its own.
    #[track_caller]
    pub fn run<F: FnOnce() -> V>(&self, mut key: K, f: F) -> V
    where
        V: Clone,
    {
        crate::wait::point();
        let me = caller();
        loop {
            match self.enter(key, me) {
                Entry::Leads(leader) => {
                    return match catch_unwind(AssertUnwindSafe(f)) {
                        Ok(value) => leader.land(value),
                        Err(payload) => leader.crash(payload),
                    };
                }
                Entry::Follows(flight, own) => {
                    if flight.leader == me {
                        panic!(
                            "sync: SingleFlight is used by its own function with its own key, which would wait for itself"
                        );
                    }
                    flight.landed.park(Reason::SingleFlight);
                    match flight.result() {
                        Some(value) => return value,
                        None => key = own,
                    }
                }
            }
        }
    }

    /// As [`run`](Self::run), in an async task, with a future that is polled if this call leads.
    ///
    /// # Panics
    /// As [`run`](Self::run); but a future that awaits its own key waits for ever.
    ///
    /// # Cancellation
    /// Safe: if a call that leads is dropped, another that waits runs its own future (or function) from the beginning.
    ///
    /// # Examples
    /// ```
    /// use rendez::{block_on, sync::SingleFlight};
    /// let flights = SingleFlight::new();
    /// assert_eq!(block_on(flights.run_async("one", async { 1 })), 1);
    /// ```
    pub async fn run_async<Fut>(&self, mut key: K, future: Fut) -> V
    where
        Fut: Future<Output = V>,
        V: Clone,
    {
        crate::wait::point();
        loop {
            match self.enter(key, 0) {
                Entry::Leads(leader) => {
                    let mut future = pin!(future);
                    let polled =
                        poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
                            Ok(Poll::Pending) => Poll::Pending,
                            Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
                            Err(payload) => Poll::Ready(Err(payload)),
                        });
                    return match polled.await {
                        Ok(value) => leader.land(value),
                        Err(payload) => leader.crash(payload),
                    };
                }
                Entry::Follows(flight, own) => {
                    flight.landed.wait_async().await;
                    match flight.result() {
                        Some(value) => return value,
                        None => key = own,
                    }
                }
            }
        }
    }

    /// Forgets a key: the next call with it runs its own function, and does not wait for one that is under way. Whoever
    /// waits already goes on waiting for that.
    ///
    /// # Examples
    /// ```
    /// use rendez::sync::SingleFlight;
    /// let flights = SingleFlight::new();
    /// let nested = flights.run("key", || {
    ///     flights.forget(&"key");
    ///     flights.run("key", || 2) + 1
    /// });
    /// assert_eq!(nested, 3);
    /// ```
    pub fn forget(&self, key: &K) {
        crate::wait::point();
        let hash = self.hasher.hash_one(key);
        let candidates = self.flights.lock().get(&hash).cloned().unwrap_or_default();
        for flight in candidates {
            if flight.key == *key {
                self.remove(&flight);
            }
        }
    }

    fn enter(&self, key: K, leader: u64) -> Entry<'_, K, V> {
        let hash = self.hasher.hash_one(&key);
        let own = Arc::new(Flight { key, hash, leader, landing: OnceLock::new(), landed: Once::new() });
        let mut compared: Vec<Arc<Flight<K, V>>> = Vec::new();
        loop {
            let other = {
                let mut flights = self.flights.lock();
                let same_hash = flights.entry(hash).or_default();
                let is_new = |flight: &&Arc<_>| !compared.iter().any(|other| Arc::ptr_eq(flight, other));
                match same_hash.iter().find(is_new) {
                    Some(other) => Some(other.clone()),
                    None => {
                        same_hash.push(own.clone());
                        None
                    }
                }
            };
            let Some(other) = other else {
                return Entry::Leads(Leader { flights: self, flight: own });
            };
            if other.key == own.key {
                let own = Arc::into_inner(own).expect("it has been shown to nobody");
                return Entry::Follows(other, own.key);
            }
            compared.push(other);
        }
    }
}

impl<K, V> SingleFlight<K, V> {
    /// Takes a flight off the table, if it is there.
    fn remove(&self, flight: &Arc<Flight<K, V>>) {
        let removed = {
            let mut flights = self.flights.lock();
            let same_hash = flights.get_mut(&flight.hash);
            let removed = same_hash.and_then(|same_hash| {
                let at = same_hash.iter().position(|other| Arc::ptr_eq(other, flight))?;
                Some((same_hash.swap_remove(at), same_hash.is_empty()))
            });
            if let Some((_, true)) = removed {
                flights.remove(&flight.hash);
            }
            removed
        };
        // Without the lock.
        drop(removed);
    }
}

impl<K, V> Leader<'_, K, V> {
    /// Gives the others, if there are any, a clone.
    fn land(self, value: V) -> V
    where
        V: Clone,
    {
        crate::wait::point();
        self.flights.remove(&self.flight);
        // Off the table the flight has no new followers, so a one is a one. A clone that panics abandons it.
        if Arc::strong_count(&self.flight) > 1 {
            let _ = self.flight.landing.set(Landing::Value(value.clone()));
        }
        value
    }

    fn crash(self, payload: Box<dyn Any + Send>) -> ! {
        forget_unwound_frames();
        crate::wait::point();
        if !payload.is::<ForcedUnwind>() {
            let _ = self.flight.landing.set(Landing::Panicked(text_of(&*payload)));
        }
        drop(self);
        resume_unwind(payload)
    }
}

impl<K, V> Drop for Leader<'_, K, V> {
    fn drop(&mut self) {
        self.flights.remove(&self.flight);
        self.flight.landing.get_or_init(|| Landing::Abandoned);
        self.flight.landed.complete();
    }
}

impl<K, V> Flight<K, V> {
    /// What the leader has left; `None` if it has abandoned the flight.
    #[track_caller]
    fn result(&self) -> Option<V>
    where
        V: Clone,
    {
        match self.landing.get().expect("it is there once the flight has landed") {
            Landing::Value(value) => Some(value.clone()),
            Landing::Panicked(text) => panic!("{text}"),
            Landing::Abandoned => None,
        }
    }
}

/// Takes what has been hashed already.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("the table's keys are hashes")
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

impl<K: Eq + Hash, V> Default for SingleFlight<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, V> fmt::Debug for SingleFlight<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SingleFlight").field("keys", &self.flights.lock().len()).finish_non_exhaustive()
    }
}
