//! The names of goroutines, which may have ended when the trace is written.
//!
//! A worker tells the name of a goroutine that it runs, once in each *round*. A round ends when [`MOST`] names have been told in it: then
//! those of the round before are forgotten, and whoever goes on running is told of again. So there are never more than twice as many; those of who ran last are among
//! them, and those of who lives on. A recording begins with a new round and nothing, and when it has been written all are forgotten.
#![forbid(unsafe_code)]

use std::{
    collections::HashMap,
    mem,
    sync::{
        LazyLock, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

/// So many are told in a round.
const MOST: usize = 32_768;

/// By the numbers of goroutines.
#[derive(Default)]
struct Names {
    now: HashMap<u64, Box<str>>,
    before: HashMap<u64, Box<str>>,
}

static NAMES: LazyLock<Mutex<Names>> = LazyLock::new(Mutex::default);
/// Changed under the lock. Zero is no round.
static ROUND: AtomicU32 = AtomicU32::new(1);

fn names() -> MutexGuard<'static, Names> {
    NAMES.lock().unwrap_or_else(PoisonError::into_inner)
}

fn end_round() {
    // (Of so many that none is met again.)
    ROUND.store(ROUND.load(Ordering::Relaxed).wrapping_add(1).max(1), Ordering::Relaxed);
}

/// The round in which a name has to have been told, so that it is known.
#[inline]
pub(crate) fn round() -> u32 {
    ROUND.load(Ordering::Relaxed)
}

/// The goroutine of this number has this name. Returns in which round that was told.
#[cold]
pub(crate) fn tell_name(goroutine: u64, name: &str) -> u32 {
    let mut names = names();
    let told = round();
    names.now.insert(goroutine, name.into());
    if names.now.len() >= MOST {
        names.before = mem::take(&mut names.now);
        end_round();
    }
    told
}

/// What [`tell_name`] was told.
pub(crate) fn name(goroutine: u64) -> Option<Box<str>> {
    let names = names();
    names.now.get(&goroutine).or_else(|| names.before.get(&goroutine)).cloned()
}

/// Forgets all. Who is met again is told of again.
pub(super) fn forget() {
    let forgotten = {
        let mut names = names();
        end_round();
        mem::take(&mut *names)
    };
    drop(forgotten);
}

#[cfg(test)]
pub(super) fn len() -> usize {
    let names = names();
    names.now.len() + names.before.len()
}
