//! A stack with a coroutine on it: a *runner* until something parks on it, then that goroutine's own, then a runner again.
//!
//! A worker runs unstarted goroutines one after another on one runner. The coroutine is a loop: take a task, run it to
//! its end, suspend as `Idle`. If the task parks on the way, it suspends as `Parked` from deep inside; the stack is then
//! the goroutine's, and the worker takes another runner for the next one. When the goroutine ends, the loop is back at
//! `Idle` and the stack is a runner again. So a goroutine that never parks costs two switches and no stack.
//!
//! The books of a fiber lie in the head of its own stack: no allocation, and no memory of their own, since a goroutine that
//! has parked has touched that page anyway. So the stack goes last, after it has been moved out of the books that own it.
//!
//! Everything here belongs to one worker, from making to disposal.

use super::header::{self, Header};
use crate::{
    sched::Timer,
    stack::{self, Stack},
    wait::Waiter,
};
use corosensei::{Coroutine, CoroutineResult, Yielder};
use std::{
    cell::{Cell, UnsafeCell},
    ptr,
};

/// What a coroutine tells the worker when it comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Suspend {
    /// The task has ended: the stack is free.
    Idle,
    /// The goroutine waits, or has queued itself again.
    Parked,
}

/// What a runner is resumed with when it is idle: the task to run and whether only to drop it; null to end the loop. A
/// parked goroutine ignores it.
#[derive(Clone, Copy)]
pub(crate) struct Order {
    pub(crate) task: *const Header,
    pub(crate) cancelled: bool,
}

type Runner = Coroutine<Order, Suspend, (), Stack>;

pub(crate) struct Fiber {
    runner: UnsafeCell<Option<Runner>>,
    yielder: Cell<*const Yielder<Order, Suspend>>,
    /// The goroutine that owns this stack, from its start to its end.
    pub(crate) task: Cell<*const Header>,
    /// What it waits for, while it does.
    pub(crate) waiter: Cell<*const Waiter>,
    /// The worker's list of stacks that belong to goroutines.
    pub(crate) prev: Cell<*mut Fiber>,
    pub(crate) next: Cell<*mut Fiber>,
    /// In that list: its goroutine has parked at least once.
    pub(crate) owned: Cell<bool>,
    /// Counted in the worker's load.
    pub(crate) counted: Cell<bool>,
    /// Parked while its thread was panicking: inside a destructor that an unwind runs. It must not be unwound again.
    pub(crate) unwinding: Cell<bool>,
    /// Made for one goroutine that asked for a size of its own: not for the free list.
    pub(crate) special: bool,
    pub(crate) reason: Cell<Option<crate::wait::Reason>>,
    /// Its time limit, while it waits with one.
    pub(crate) timer: Cell<*const Timer>,
}

const _: () = assert!(size_of::<Fiber>() <= stack::HEAD && stack::HEAD.is_multiple_of(align_of::<Fiber>()));

impl Fiber {
    pub(crate) fn new(stack: Stack, special: bool) -> *mut Fiber {
        let fiber: *mut Fiber = stack.head().cast();
        let books = Fiber {
            runner: UnsafeCell::new(None),
            yielder: Cell::new(ptr::null()),
            task: Cell::new(ptr::null()),
            waiter: Cell::new(ptr::null()),
            prev: Cell::new(ptr::null_mut()),
            next: Cell::new(ptr::null_mut()),
            owned: Cell::new(false),
            counted: Cell::new(false),
            unwinding: Cell::new(false),
            special,
            reason: Cell::new(None),
            timer: Cell::new(ptr::null()),
        };
        // SAFETY: the head is large enough and aligned (asserted above) and ours as long as the stack, which the fiber
        // owns from here on.
        unsafe { fiber.write(books) };
        let runner = Runner::with_stack(stack, move |yielder, mut order: Order| {
            // SAFETY: the fiber outlives its coroutine.
            unsafe { (*fiber).yielder.set(yielder) };
            while !order.task.is_null() {
                // SAFETY: the worker hands over a task that it took out of a queue of unstarted ones.
                unsafe { header::run_to_end(order.task, order.cancelled) };
                order = yielder.suspend(Suspend::Idle);
            }
        });
        // SAFETY: just made, nobody else knows it.
        unsafe { *(*fiber).runner.get() = Some(runner) };
        fiber
    }

    /// Has the processor fetch what a switch to the fiber will touch first. (Measured: of a million goroutines woken at once
    /// each ended in 880 ns instead of 1130.)
    #[inline(always)]
    pub(crate) fn prefetch(fiber: *const Fiber) {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            const LINE: usize = 64;
            let head = fiber.cast::<i8>();
            // The fiber, and the first line of the stack.
            for at in [head, head.wrapping_add(LINE), head.wrapping_sub(LINE)] {
                // SAFETY: a hint, which may be given for any address.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(at) };
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = fiber;
    }

    /// Switches to the fiber until it suspends.
    ///
    /// # Safety
    /// Called on the worker's own stack, by the worker that made the fiber.
    #[inline(always)]
    pub(crate) unsafe fn resume(fiber: *const Fiber, order: Order) -> Suspend {
        // SAFETY: only the worker's loop reaches for the coroutine, and it is not re-entered; the code that runs on the
        // fiber touches the other fields alone. The coroutine is there from `new` to `dispose`.
        let result = unsafe { (*(*fiber).runner.get()).as_mut().unwrap_unchecked().resume(order) };
        match result {
            CoroutineResult::Yield(suspend) => suspend,
            CoroutineResult::Return(()) => unreachable!("a runner ends only in `dispose`"),
        }
    }

    /// Leaves the fiber for the worker's loop until it is resumed.
    ///
    /// # Safety
    /// Called on this fiber's stack.
    #[inline(always)]
    pub(crate) unsafe fn suspend(fiber: *const Fiber) {
        // SAFETY: the yielder was set when the coroutine started and lives as long as it.
        unsafe { (*(*fiber).yielder.get()).suspend(Suspend::Parked) };
    }

    /// Ends an idle runner and gives its stack back.
    ///
    /// # Safety
    /// The fiber is idle, nobody uses it afterwards, and this is its worker.
    pub(crate) unsafe fn dispose(fiber: *mut Fiber) {
        // SAFETY: by contract; an idle runner returns at once when it is given no task.
        unsafe {
            let mut runner = Fiber::take_runner(fiber);
            if runner.started() {
                let result = runner.resume(Order { task: ptr::null(), cancelled: false });
                debug_assert!(matches!(result, CoroutineResult::Return(())));
            }
            // With it goes the stack, and the fiber.
            drop(runner);
        }
    }

    /// Moves the coroutine out, so that what lies in its stack's head does not own the stack any more.
    ///
    /// # Safety
    /// The fiber is used for nothing afterwards that wants the coroutine.
    unsafe fn take_runner(fiber: *mut Fiber) -> Runner {
        // SAFETY: the coroutine is there from `new` on, until here; its frames do not depend on where it is kept.
        unsafe { (*(*fiber).runner.get()).take().unwrap_unchecked() }
    }

    /// Gives up a fiber whose goroutine can't be ended: its frames stay where they are, for ever, because others may
    /// point into them.
    ///
    /// # Safety
    /// Nobody resumes it afterwards.
    pub(crate) unsafe fn abandon(fiber: *mut Fiber) {
        // SAFETY: by contract nobody resumes it; what is on the stack is left as it is, on purpose.
        unsafe {
            let mut runner = Fiber::take_runner(fiber);
            runner.force_reset();
            runner.into_stack().leak();
        }
    }
}

impl std::fmt::Debug for Fiber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fiber").field("reason", &self.reason.get()).finish_non_exhaustive()
    }
}
