//! The frames of a stack, as addresses of code: taken at once, named later, if at all.

use std::cell::RefCell;

/// Of an endless recursion, or a deep one, the innermost say enough.
const MOST: usize = 64;
/// How much of a goroutine's stack has to be left for looking at it.
const ROOM: usize = 24 * 1024;

thread_local! {
    static NOTED: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// Those of the calling stack, the innermost first.
#[inline(never)]
pub(crate) fn here() -> Vec<usize> {
    let mut frames = Vec::with_capacity(MOST);
    // SAFETY: what has to be synchronised is the loading of symbols, and on Windows; here only the unwinder is used.
    unsafe {
        backtrace::trace_unsynchronized(|frame| {
            frames.push(frame.ip() as usize);
            frames.len() < MOST
        });
    }
    frames
}

/// Leaves those of the calling stack, which ends at `limit`, for [`take_noted`] on the same thread.
#[cold]
#[inline(never)]
pub(super) fn note(limit: usize) {
    let place = 0_u8;
    if (&raw const place).addr().saturating_sub(limit) >= ROOM {
        let frames = here();
        NOTED.with_borrow_mut(|noted| *noted = frames);
    }
}

pub(super) fn take_noted() -> Vec<usize> {
    NOTED.take()
}
