//! Threads that are no workers, and wait without a limit for something of rendez.
//!
//! Whoever looks for a [deadlock](super::deadlock) has to know what each thread of the process does. Those of the library's own that
//! wait until somebody has something for them are only counted. One of the program's, which waits for a channel, say, is *asked*: it
//! stands in a list, with what it waits for, so that a report can tell that.
//!
//! Whoever wakes a thread says so before ([`WaitingThread`] is dropped), for it may not run for any time. From the list it takes itself, before
//! it goes on: so a source that stands there is borrowed by a wait that lasts, for as long as the list is locked.

use super::census::Inhabitant;
use crate::wait::{Awaited, Kind, Reason};
use std::{
    collections::BTreeMap,
    marker::PhantomData,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, Thread},
};

/// How many wait, of both sorts, in the lower half; above that, how often one has begun or ended.
static WAITING: AtomicU64 = AtomicU64::new(0);
const CHANGE: u64 = 1 << 32;
/// Those that can be asked, by numbers, each of which is given once.
static ASKED: Mutex<Asked> = Mutex::new(Asked { next: 1, entries: BTreeMap::new() });

struct Asked {
    next: u64,
    entries: BTreeMap<u64, Entry>,
}

struct Entry {
    thread: Thread,
    kind: &'static Kind,
    source: *const (),
}

// SAFETY: a source is looked at under the lock, while its wait borrows it, by `Kind::ask`, which reads what any thread may read.
unsafe impl Send for Entry {}

fn asked() -> MutexGuard<'static, Asked> {
    ASKED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// While there is one, a thread, which is no worker, waits for something of rendez. Whoever wakes it drops this before.
#[derive(Debug)]
pub(crate) struct WaitingThread(());

impl WaitingThread {
    pub(crate) fn new() -> WaitingThread {
        WAITING.fetch_add(CHANGE + 1, Ordering::SeqCst);
        WaitingThread(())
    }

    /// One that has been made, and forgotten.
    pub(crate) fn taken_back() -> WaitingThread {
        WaitingThread(())
    }
}

impl Drop for WaitingThread {
    fn drop(&mut self) {
        WAITING.fetch_add(CHANGE - 1, Ordering::SeqCst);
    }
}

/// The calling thread's in the list, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    number: u64,
    _source: PhantomData<&'a ()>,
}

impl<'a> Place<'a> {
    /// The thread waits for this.
    ///
    /// # Safety
    /// It is dropped, and not forgotten.
    pub(crate) unsafe fn of(awaited: Awaited<'a>) -> Place<'a> {
        let entry = Entry { thread: thread::current(), kind: awaited.kind, source: awaited.source };
        let mut asked = asked();
        let number = asked.next;
        asked.next += 1;
        asked.entries.insert(number, entry);
        Place { number, _source: PhantomData }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let entry = asked().entries.remove(&self.number);
        // Not under the lock: it may be the last handle of a thread.
        drop(entry);
    }
}

/// How many threads wait, and a number that changes when one begins to, or is woken. (Where the two are as many before and after, others may be.)
pub(super) fn count() -> (usize, u64) {
    let word = WAITING.load(Ordering::SeqCst);
    ((word % CHANGE) as usize, word)
}

/// Whether there are some that can be asked.
pub(super) fn any_asked() -> bool {
    !asked().entries.is_empty()
}

/// Those that can be asked, with what they wait for.
pub(super) fn census() -> Vec<Inhabitant> {
    let asked = asked();
    let each = asked.entries.iter().map(|(number, entry)| {
        let title = entry.thread.name().map_or("a thread".into(), |name| format!("thread {name:?}"));
        // SAFETY: it stands in the list, which is locked: see the head of the module.
        let things = unsafe { entry.kind.ask(entry.source) };
        Inhabitant::of_thread(title, u64::MAX - number, entry.kind.reason.text(), things)
    });
    // Who waits in `run` for the goroutine there tells nothing: that one is told.
    each.filter(|one| !(one.state == Reason::Scope.text() && one.things.is_empty())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Other tests wait meanwhile: that, too, changes the number.
    #[test]
    fn who_was_woken_and_waits_again_is_told_from_who_has_waited_all_the_time() {
        let first = WaitingThread::new();
        let (many, before) = count();
        assert!(many > 0);
        drop(first);
        let (_, woken) = count();
        let _again = WaitingThread::new();
        let (_, after) = count();
        assert!(before != woken && woken != after && before != after);
    }
}
