//! The switch of x86-64 under the System V ABI.
//!
//! One [`switch`] serves both ways: it leaves what the ABI has a function preserve, and where to go on, on the stack that it leaves, notes
//! where that ends, and takes the same from the other one. Most of the registers it declares as overwritten, so that the
//! compiler saves those alone that it uses; rbx and rbp, which it keeps for itself, are saved here. The control words of the x87 and SSE units
//! are not: they are the thread's, as in corosensei, and nobody else on a worker changes them for longer than he runs.
//!
//! A new stack is laid out as one that has been left just before [`start`]:
//!
//! | address | holds |
//! | --- | --- |
//! | base - 8 | nothing |
//! | base - 16 | the entry |
//! | base - 24 | its data |
//! | base - 32 | `start`: where to go on |
//!
//! # For unwinders
//!
//! `start` says that its caller is unknown, and rbp is zero there: whoever walks over the frames ends at it. A panic that came so far
//! would find no handler and abort. Within a switch the tables of the function around it are wrong: by up to three words before the
//! stack pointer changes, and by a whole stack for the one instruction after. Only a signal's handler could look then; rendez's own
//! reads nothing beyond the stack that it knows.
//!
//! # Registers to come
//!
//! The compiler has no names for those of APX (r16 to r31), which a function may overwrite by the ABI: when it learns to use them, they
//! are to be declared too.

use super::{Entry, Word};
use crate::{primitives::seldom, stack::Stack};
use corosensei::stack::Stack as _;
use std::{
    arch::{asm, naked_asm},
    cell::Cell,
    ptr,
};

/// Whether a coroutine can go on with another one: see [`leave`](Coroutine::leave).
pub(crate) const CAN_PASS: bool = true;

/// A stack, and where it was left. What a switch touches comes first.
#[repr(C)]
pub(crate) struct Coroutine {
    /// Its stack pointer while it does not run.
    left: Cell<*mut u8>,
    /// The stack pointer of whoever resumed it, while it runs.
    resumer: Cell<*mut u8>,
    stack: Stack,
    #[cfg(feature = "sanitize")]
    sanitizer: sanitizer::Fiber,
}

impl Coroutine {
    /// One that will begin with `entry`.
    pub(crate) fn new(stack: Stack, entry: Entry, data: *const ()) -> Coroutine {
        let (base, limit) = (stack.base().get(), stack.limit().get());
        debug_assert!(base.is_multiple_of(16) && base - limit > 4096);
        // The slab's memory is the kernel's, made by a system call: this is where a pointer to it comes from.
        let base: *mut Word = ptr::with_exposed_provenance_mut(base);
        // SAFETY: the stack is ours, and has room for some words below its base.
        let left = unsafe {
            base.sub(2).write(entry as Word);
            base.sub(3).write(data);
            base.sub(4).write(start as Word);
            base.sub(4).cast()
        };
        Coroutine {
            stack,
            left: Cell::new(left),
            resumer: Cell::new(ptr::null_mut()),
            #[cfg(feature = "sanitize")]
            sanitizer: sanitizer::Fiber::new(limit, base.addr() - limit),
        }
    }

    /// Goes to it with `word`, until it suspends; what with.
    ///
    /// # Safety
    /// It does not run, its stack is as it was left, and the caller's thread is its own.
    #[inline(always)]
    pub(crate) unsafe fn resume(&self, word: Word) -> Word {
        #[cfg(feature = "sanitize")]
        let fake = self.sanitizer.leave_for_it();
        // SAFETY: by contract: `left` is as `switch`, or `new`, has left it; the coroutine outlives its run.
        let word = unsafe { switch(word, self.resumer.as_ptr(), self.left.get()) };
        #[cfg(feature = "sanitize")]
        sanitizer::Fiber::come_back(fake);
        word
    }

    /// Goes back to who has resumed it with `word`, until it is resumed again; what with.
    ///
    /// # Safety
    /// The caller runs on it.
    #[inline(always)]
    pub(crate) unsafe fn suspend(&self, word: Word) -> Word {
        // SAFETY: passed on.
        unsafe { self.leave(None, word) }
    }

    /// As [`suspend`](Self::suspend), or, if there is a `next`, goes on with that one, as if who has resumed this one had; until somebody goes to
    /// this one again; what with.
    ///
    /// # Safety
    /// The caller runs on it. The next one is another one of the same thread, does not run, and its stack is as it was left.
    #[inline(always)]
    pub(crate) unsafe fn leave(&self, next: Option<&Coroutine>, word: Word) -> Word {
        #[cfg(feature = "sanitize")]
        let fake = self.sanitizer.leave(next.map(|next| &next.sanitizer));
        let to = match next {
            Some(next) => {
                next.resumer.set(self.resumer.get());
                next.left.get()
            }
            None => {
                seldom();
                self.resumer.get()
            }
        };
        // SAFETY: by contract: `left` and `resumer` are as the `switch` that went from there, or `new`, has left them. What `resumer`
        // says of the stack of who has resumed this one stays true of the next one's: nobody goes there before the last of those
        // that go on with each other like this suspends.
        let word = unsafe { switch(word, self.left.as_ptr(), to) };
        #[cfg(feature = "sanitize")]
        self.sanitizer.come_to_it(fake);
        word
    }

    /// The entry has begun.
    ///
    /// # Safety
    /// Called by the entry, on the coroutine's stack, once and first.
    #[inline(always)]
    pub(crate) unsafe fn begun(&self) {
        #[cfg(feature = "sanitize")]
        self.sanitizer.come_to_it(ptr::null_mut());
    }

    /// Where its stack was left; for an address alone.
    #[inline(always)]
    pub(crate) fn left(&self) -> Option<*const u8> {
        Some(self.left.get())
    }

    /// Its stack; what is on it is forgotten.
    ///
    /// # Safety
    /// It does not run, and nothing leads to what is on its stack.
    pub(crate) unsafe fn into_stack(self) -> Stack {
        #[cfg(feature = "sanitize")]
        self.sanitizer.forget();
        self.stack
    }
}

/// Leaves this stack, and notes at `left` where it ends; goes on with `word` where `to` was left. Comes back when somebody goes to this one, with
/// his word.
///
/// # Safety
/// `to` was noted by a `switch` or made by [`Coroutine::new`], and nobody has gone there since.
#[inline(always)]
unsafe fn switch(word: Word, left: *mut *mut u8, to: *mut u8) -> Word {
    let brought: Word;
    // SAFETY: by contract. What is pushed here is popped by who comes back to label 2, where the stack pointer is what it was;
    // all registers but these two are declared as overwritten, and so is all memory, by default.
    unsafe {
        asm!(
            "push rbp",
            "push rbx",
            "lea rax, [rip + 2f]",
            "push rax",
            "mov [rsi], rsp",
            "mov rax, [rdx]",
            "lea rsp, [rdx + 8]",
            // Not by `ret`: see the head of `switch`.
            "jmp rax",
            "2:",
            "pop rbx",
            "pop rbp",
            inlateout("rdi") word => brought,
            in("rsi") left,
            in("rdx") to,
            lateout("r12") _, lateout("r13") _, lateout("r14") _, lateout("r15") _,
            clobber_abi("sysv64"),
        );
    }
    brought
}

/// Where a new stack begins: calls its entry with the word, which is in its place, and the data. It is not called but gone to.
#[unsafe(naked)]
unsafe extern "sysv64" fn start() {
    naked_asm!(
        ".cfi_startproc",
        ".cfi_undefined rip",
        "xor ebp, ebp",
        "mov rsi, [rsp]",
        // To base - 16, so that the stack is aligned as the ABI has it before a call.
        "add rsp, 8",
        "call [rsp]",
        // It does not return.
        "ud2",
        ".cfi_endproc",
    )
}

/// What AddressSanitizer wants to be told of switches.
#[cfg(feature = "sanitize")]
mod sanitizer {
    use std::{cell::Cell, ffi::c_void, ptr};

    unsafe extern "C" {
        fn __sanitizer_start_switch_fiber(fake: *mut *mut u8, bottom: *const u8, size: usize);
        fn __sanitizer_finish_switch_fiber(fake: *mut u8, bottom: *mut *const u8, size: *mut usize);
        fn __asan_unpoison_memory_region(start: *const c_void, size: usize);
    }

    /// The bounds of a coroutine's stack, and of that of who has resumed it.
    pub(super) struct Fiber {
        own: (*const u8, usize),
        resumer: Cell<(*const u8, usize)>,
        /// Whether who goes to it leaves a stack that is not its resumer's.
        passed: Cell<bool>,
    }

    impl Fiber {
        pub(super) fn new(limit: usize, size: usize) -> Fiber {
            Fiber {
                own: (ptr::without_provenance(limit), size),
                resumer: Cell::new((ptr::null(), 0)),
                passed: Cell::new(false),
            }
        }

        #[inline(always)]
        pub(super) fn leave_for_it(&self) -> *mut u8 {
            leave_for(self.own)
        }

        #[inline(always)]
        pub(super) fn leave_for_resumer(&self) -> *mut u8 {
            leave_for(self.resumer.get())
        }

        #[inline(always)]
        pub(super) fn leave(&self, next: Option<&Fiber>) -> *mut u8 {
            let Some(next) = next else { return self.leave_for_resumer() };
            next.resumer.set(self.resumer.get());
            next.passed.set(true);
            next.leave_for_it()
        }

        /// On the coroutine's stack again, or for the first time.
        #[inline(always)]
        pub(super) fn come_to_it(&self, fake: *mut u8) {
            let (mut bottom, mut size) = (ptr::null(), 0);
            // SAFETY: it writes the bounds of the stack that was left.
            unsafe { __sanitizer_finish_switch_fiber(fake, &raw mut bottom, &raw mut size) };
            if !self.passed.replace(false) {
                self.resumer.set((bottom, size));
            }
        }

        #[inline(always)]
        pub(super) fn come_back(fake: *mut u8) {
            // SAFETY: it takes what `leave_for` gave, and is not to write anything.
            unsafe { __sanitizer_finish_switch_fiber(fake, ptr::null_mut(), ptr::null_mut()) };
        }

        /// Nothing on the stack is alive any more.
        pub(super) fn forget(&self) {
            // SAFETY: it changes what the sanitizer knows of that memory, not the memory.
            unsafe { __asan_unpoison_memory_region(self.own.0.cast(), self.own.1) };
        }
    }

    #[inline(always)]
    fn leave_for((bottom, size): (*const u8, usize)) -> *mut u8 {
        let mut fake = ptr::null_mut();
        // SAFETY: it writes what is to be given back when this stack is gone on with.
        unsafe { __sanitizer_start_switch_fiber(&raw mut fake, bottom, size) };
        fake
    }
}
