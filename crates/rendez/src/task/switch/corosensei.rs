//! The switch of other architectures: corosensei's.

use super::{Entry, Word};
use crate::stack::Stack;
use corosensei::{CoroutineResult, Yielder};
use std::{
    cell::{Cell, UnsafeCell},
    convert::Infallible,
    ptr,
};

type Inner = corosensei::Coroutine<Word, Word, Infallible, Stack>;

/// There is no way from one coroutine to another but through who has resumed them.
pub(crate) const CAN_PASS: bool = false;

/// A stack, and where it was left.
pub(crate) struct Coroutine {
    inner: UnsafeCell<Inner>,
    yielder: Cell<*const Yielder<Word, Word>>,
}

impl Coroutine {
    /// One that will begin with `entry`.
    pub(crate) fn new(stack: Stack, entry: Entry, data: *const ()) -> Coroutine {
        let inner = Inner::with_stack(stack, move |yielder, word| {
            YIELDER.set(yielder);
            // SAFETY: the contract of `resume` and of the entry.
            unsafe { entry(word, data) }
        });
        Coroutine { inner: UnsafeCell::new(inner), yielder: Cell::new(ptr::null()) }
    }

    /// Goes to it with `word`, until it suspends; what with.
    ///
    /// # Safety
    /// It does not run, its stack is as it was left, and the caller's thread is its own.
    #[inline(always)]
    pub(crate) unsafe fn resume(&self, word: Word) -> Word {
        // SAFETY: it does not run, so nobody else reaches for the coroutine; who runs on it touches the yielder alone.
        match unsafe { (*self.inner.get()).resume(word) } {
            CoroutineResult::Yield(word) => word,
            CoroutineResult::Return(never) => match never {},
        }
    }

    /// Goes back to who has resumed it with `word`, until it is resumed again; what with.
    ///
    /// # Safety
    /// The caller runs on it.
    #[inline(always)]
    pub(crate) unsafe fn suspend(&self, word: Word) -> Word {
        // SAFETY: set when it began; it lives at the base of the stack.
        unsafe { (*self.yielder.get()).suspend(word) }
    }

    /// As [`suspend`](Self::suspend): here there is no next one.
    ///
    /// # Safety
    /// The caller runs on it.
    #[inline(always)]
    pub(crate) unsafe fn leave(&self, next: Option<&Coroutine>, word: Word) -> Word {
        assert!(next.is_none(), "none can be passed to");
        // SAFETY: passed on.
        unsafe { self.suspend(word) }
    }

    /// The entry has begun.
    ///
    /// # Safety
    /// Called by the entry, on the coroutine's stack, once and first.
    pub(crate) unsafe fn begun(&self) {
        self.yielder.set(YIELDER.get());
    }

    /// Where its stack was left: that is not told.
    #[inline(always)]
    pub(crate) fn left(&self) -> Option<*const u8> {
        None
    }

    /// Its stack; what is on it is forgotten.
    ///
    /// # Safety
    /// It does not run, and nothing leads to what is on its stack.
    pub(crate) unsafe fn into_stack(self) -> Stack {
        let mut inner = self.inner.into_inner();
        // SAFETY: by contract.
        unsafe { inner.force_reset() };
        inner.into_stack()
    }
}

thread_local! {
    /// From the first resume of a coroutine to its entry.
    static YIELDER: Cell<*const Yielder<Word, Word>> = const { Cell::new(ptr::null()) };
}
