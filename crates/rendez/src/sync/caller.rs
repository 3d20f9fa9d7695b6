//! Who calls: a number by which a call that waits for its own caller is told from one that waits for somebody else.

/// Numbers of callers are never below this.
// Used at compile time only, which older compilers do not count.
#[allow(dead_code)]
pub(super) const FIRST: u64 = 2;

/// The number of the running goroutine (odd), or else of the thread (even). No number is used twice in a process.
///
/// A task of a foreign executor goes by its thread: what compares two numbers runs within one poll.
pub(super) fn caller() -> u64 {
    #[cfg(not(loom))]
    if let Some(id) = crate::sched::current_id() {
        return id << 1 | 1;
    }
    thread_number() << 1
}

/// The goroutine that a caller is, if it is one.
pub(super) fn goroutine(caller: u64) -> Option<u64> {
    (caller & 1 == 1).then_some(caller >> 1)
}

#[cfg(not(loom))]
pub(super) fn thread_number() -> u64 {
    use std::cell::Cell;
    thread_local! {
        /// It has no destructor, so that it can be asked at any time.
        static NUMBER: Cell<u64> = const { Cell::new(0) };
    }
    match NUMBER.get() {
        0 => {
            NUMBER.set(next_number());
            NUMBER.get()
        }
        number => number,
    }
}

#[cfg(loom)]
fn thread_number() -> u64 {
    loom::thread_local! {
        static NUMBER: u64 = next_number();
    }
    NUMBER.with(|number| *number)
}

fn next_number() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NUMBERS: AtomicU64 = AtomicU64::new(1);
    NUMBERS.fetch_add(1, Ordering::Relaxed)
}
