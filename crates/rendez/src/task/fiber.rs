//! A stack with a coroutine on it: a *runner* until something parks on it, then that goroutine's own, then a runner again.
//!
//! A worker runs unstarted goroutines one after another on one runner. The coroutine is a loop: take a task, run it to
//! its end, suspend as `Idle`. If the task parks on the way, it suspends as `Parked` from deep inside; the stack is then
//! the goroutine's, and the worker takes another runner for the next one. When the goroutine ends, the loop is back at
//! `Idle` and the stack is a runner again. So a goroutine that never parks costs two switches and no stack.
//! The poll of an async goroutine is a task here like any other.
//!
//! A fiber's books come from the headers' heap and not from the head of its stack, which would save some 100 bytes of each
//! parked goroutine: there they make the top of every stack more crowded, whose lines compete for few cache sets, and they
//! are not neighbours of each other (measured: a yield among 1000 goroutines 12.3 ns, here 10.2; before there was that heap
//! and the prefetch 11.2).
//!
//! Everything here belongs to one worker, from making to disposal.

pub(crate) use super::switch::CAN_PASS;
use super::{
    frames,
    header::{self, Header},
    heap,
    switch::{Coroutine, Word},
};
use crate::{
    primitives::{LINE, prefetch, seldom},
    sched::Timer,
    stack::Stack,
    wait::{Kind, Reason, Thing, Waiter},
};
use corosensei::stack::Stack as _;
use std::{
    alloc::Layout,
    cell::Cell,
    mem,
    ptr::{self, NonNull},
};

/// What a coroutine tells the worker when it comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Suspend {
    /// The task has ended: the stack is free.
    Idle,
    /// A poll has ended and its task has not: the stack is free.
    Polled,
    /// The goroutine waits, or has queued itself again.
    Parked,
}

/// What a runner is resumed with when it is idle: the task to run and whether only to drop it. A parked goroutine asks only
/// whether it is to go on, or to [tell its frames](Fiber::frames) (null) and stay parked.
#[derive(Clone, Copy)]
pub(crate) struct Order {
    pub(crate) task: *const Header,
    pub(crate) cancelled: bool,
}

/// What a goroutine that goes on touches of its stack: from a little below where it was left, for what it calls, so many lines; of one that then ends,
/// and has no deeper frames than most, all that there are.
const BELOW: usize = 4 * LINE;
const STACK_LINES: usize = 16;
/// The least that a page has, and what the place of a base in it is told in.
const PAGE: usize = 4096;
const UNIT: usize = 128;

/// The bit of `since` that says that the park has been looked at.
pub(crate) const SEEN: u32 = 1 << 31;

impl Suspend {
    fn to_word(self) -> Word {
        ptr::without_provenance(self as usize)
    }

    #[inline(always)]
    fn from_word(word: Word) -> Suspend {
        match word.addr() {
            0 => Suspend::Idle,
            1 => Suspend::Polled,
            _ => Suspend::Parked,
        }
    }
}

impl Order {
    /// In the lowest bit of its task's address.
    const CANCELLED: usize = 1;

    #[inline(always)]
    fn to_word(self) -> Word {
        self.task.map_addr(|address| address | usize::from(self.cancelled)).cast()
    }

    #[inline(always)]
    fn from_word(word: Word) -> Order {
        let task = word.map_addr(|address| address & !Order::CANCELLED).cast();
        Order { task, cancelled: word.addr() & Order::CANCELLED != 0 }
    }
}

const _: () = assert!(align_of::<Header>() > Order::CANCELLED);

/// Its first line is what every park touches and every return from one, its second one what begins and ends.
#[repr(C)]
pub(crate) struct Fiber {
    /// The goroutine that owns this stack, what it waits for, and its time limit.
    pub(crate) timer: Timer,
    /// Why its goroutine is parked, while it is, and for what: see [`wait`](crate::wait).
    pub(crate) awaits: Cell<Option<&'static Kind>>,
    pub(crate) source: Cell<*const ()>,
    /// Since when, in seconds of its worker's clock; about. [`SEEN`] is set by who looks at it.
    pub(crate) since: Cell<u32>,
    /// In the worker's list of stacks that belong to goroutines: its goroutine has parked at least once.
    pub(crate) owned: Cell<bool>,
    /// Counted in the worker's load.
    pub(crate) counted: Cell<bool>,
    /// Parked while its thread was panicking: inside a destructor that an unwind runs. It must not be unwound again.
    pub(crate) unwinding: Cell<bool>,
    /// How much of its last page is below the base, in [`UNIT`]s.
    base_in_page: u8,
    runner: Coroutine,
    /// That list.
    pub(crate) prev: Cell<*mut Fiber>,
    pub(crate) next: Cell<*mut Fiber>,
    /// Where its stack ends, at the guard page, where it begins, and how many bytes it has.
    limit: usize,
    base: usize,
    size: usize,
    /// The books of what runs here may be gone: set before they go, cleared before the next begins.
    pub(crate) is_over: Cell<bool>,
    /// `block_on` polls a future on it: see [`polling`](crate::sched::polling).
    pub(crate) polls: Cell<bool>,
    /// Made for one goroutine that asked for a size of its own: not for the free list.
    pub(crate) special: bool,
    /// How deep what runs here goes is to be known: see `sched::high_water`.
    pub(crate) measured: Cell<bool>,
}

// Two lines: the heap's blocks of that size begin where a line does.
#[cfg(all(target_arch = "x86_64", not(feature = "sanitize")))]
const _: () = assert!(size_of::<Fiber>() == 2 * LINE && mem::offset_of!(Fiber, runner) + 16 == LINE);

impl Fiber {
    pub(crate) fn new(stack: Stack, special: bool) -> *mut Fiber {
        let place = heap::allocate(Layout::new::<Fiber>()).cast::<Fiber>();
        let (limit, base, size) = (stack.limit().get(), stack.base().get(), stack.size());
        let books = Fiber {
            timer: Timer::new(),
            awaits: Cell::new(None),
            source: Cell::new(ptr::null()),
            since: Cell::new(0),
            owned: Cell::new(false),
            counted: Cell::new(false),
            unwinding: Cell::new(false),
            base_in_page: ((base - 1) % PAGE / UNIT + 1) as u8,
            runner: Coroutine::new(stack, Fiber::run, place.as_ptr().cast_const().cast()),
            prev: Cell::new(ptr::null_mut()),
            next: Cell::new(ptr::null_mut()),
            limit,
            base,
            size,
            is_over: Cell::new(false),
            polls: Cell::new(false),
            special,
            measured: Cell::new(false),
        };
        // SAFETY: the place is made for it.
        unsafe { place.write(books) };
        place.as_ptr()
    }

    /// What runs on the stack: one task after the other.
    ///
    /// # Safety
    /// The entry of a fiber's runner.
    unsafe extern "C" fn run(first: Word, fiber: *const ()) -> ! {
        // SAFETY: the fiber outlives its coroutine.
        let runner = unsafe { &(*fiber.cast::<Fiber>()).runner };
        // SAFETY: first of all.
        unsafe { runner.begun() };
        let mut order = Order::from_word(first);
        loop {
            // SAFETY: the worker hands over a task that it took out of a queue of unstarted ones; and we run on the runner.
            unsafe {
                let ended = header::run_task(order.task, order.cancelled);
                let suspend = if ended { Suspend::Idle } else { Suspend::Polled };
                order = Order::from_word(runner.suspend(suspend.to_word()));
            }
        }
    }

    /// Why its goroutine is parked, if it is.
    pub(crate) fn reason(&self) -> Option<Reason> {
        self.awaits.get().map(|kind| kind.reason)
    }

    /// What the goroutine that is parked on it waits for.
    ///
    /// # Safety
    /// Called by the worker that made the fiber, whose goroutine does not run.
    pub(crate) unsafe fn things(&self) -> Vec<Thing> {
        // SAFETY: while `awaits` is set its goroutine is parked, or is about to be resumed, and its frame borrows the source.
        self.awaits.get().map_or_else(Vec::new, |kind| unsafe { kind.ask(self.source.get()) })
    }

    /// Whether its goroutine is parked, and nobody has woken it.
    ///
    /// # Safety
    /// As for [`things`](Self::things).
    pub(crate) unsafe fn is_waiting(&self) -> bool {
        // SAFETY: a waiter that is set is in the frame of the goroutine, which is parked.
        unsafe { self.timer.waiter.get().as_ref() }.is_some_and(Waiter::is_open)
    }

    /// Marks the park that its goroutine is in as seen. The mark goes with the park: the next one writes `since` anew.
    pub(crate) fn mark_seen(&self) {
        self.since.set(self.since.get() | SEEN);
    }

    /// Whether it is still the park that has been seen.
    pub(crate) fn is_seen(&self) -> bool {
        self.awaits.get().is_some() && self.since.get() & SEEN != 0
    }

    /// The lowest address of its stack, where the guard page begins, and its size, guard included.
    pub(crate) fn bounds(&self) -> (usize, usize) {
        (self.limit, self.size)
    }

    /// The addresses between which its stack pointer is.
    pub(crate) fn stack(&self) -> std::ops::Range<usize> {
        self.limit..self.base
    }

    /// Has the processor fetch what going on touches of the fiber.
    #[inline(always)]
    pub(crate) fn prefetch(fiber: *const Fiber) {
        prefetch(fiber);
    }

    /// Has the processor fetch the end of the stack of a goroutine that is parked, or was until it was woken. (Not of one that yields:
    /// it has not been away for long.)
    #[inline(always)]
    pub(crate) fn prefetch_stack(&self) {
        if self.timer.waiter.get().is_null() {
            return;
        }
        // It may end now.
        prefetch(ptr::from_ref(self).cast::<u8>().wrapping_add(LINE));
        let first = self.end_of_stack().wrapping_sub(BELOW);
        // The base is on the other line. Who parks with more than a page below it is fetched up to that page's end, or near it.
        let base = (first.addr() & !(PAGE - 1)) + usize::from(self.base_in_page) * UNIT;
        for line in 0..STACK_LINES {
            let at = first.wrapping_add(line * LINE);
            if at.addr() >= base {
                break;
            }
            prefetch(at);
        }
    }

    /// Has the processor look up the page of the stack's end, of a goroutine as in [`prefetch_stack`](Self::prefetch_stack).
    #[inline(always)]
    pub(crate) fn prefetch_page(&self) {
        prefetch(self.end_of_stack());
    }

    /// Where the stack was left; about.
    #[inline(always)]
    fn end_of_stack(&self) -> *const u8 {
        self.runner.left().unwrap_or(self.timer.waiter.get().cast())
    }

    /// Switches to the fiber until it suspends.
    ///
    /// # Safety
    /// Called by the worker that made the fiber, on its own stack (but see [`frames`](Self::frames)).
    #[inline(always)]
    pub(crate) unsafe fn resume(fiber: *const Fiber, order: Order) -> Suspend {
        // SAFETY: by contract it does not run, and this is its thread.
        Suspend::from_word(unsafe { (*fiber).runner.resume(order.to_word()) })
    }

    /// Leaves the fiber for the worker's loop, or for the `next` one if that is not null, until it is resumed. Whether another one has passed
    /// on to it then, and not the loop.
    ///
    /// # Safety
    /// Called on this fiber's stack. The next one is another one of the same worker, on which a goroutine is parked.
    #[inline(always)]
    pub(crate) unsafe fn suspend(fiber: *const Fiber, next: *const Fiber) -> bool {
        // SAFETY: by contract we run on it, and the next one does not run.
        unsafe {
            // To the loop it says what has become of it, and to the next one to go on, as any word does that is no null task; and no task is there.
            let next = next.as_ref().map(|next| &next.runner);
            let word = (*fiber).runner.leave(next, Suspend::Parked.to_word());
            let passed = word == Suspend::Parked.to_word();
            if !passed {
                seldom();
                if Order::from_word(word).task.is_null() {
                    Fiber::tell_frames(fiber);
                }
            }
            passed
        }
    }

    /// Tells the frames, and suspends again, until it is resumed.
    ///
    /// # Safety
    /// Called on this fiber's stack.
    #[cold]
    unsafe fn tell_frames(fiber: *const Fiber) {
        // SAFETY: by contract we run on it.
        unsafe {
            loop {
                frames::note((*fiber).limit);
                if !Order::from_word((*fiber).runner.suspend(Suspend::Parked.to_word())).task.is_null() {
                    return;
                }
            }
        }
    }

    /// The frames of the goroutine that is parked on this stack; empty if there is no room left to look at them from.
    ///
    /// They are looked at from the stack itself, which is resumed for it and suspends again at once.
    ///
    /// # Safety
    /// Called by the worker that made the fiber, whose stack belongs to a goroutine that has suspended and does not run.
    pub(crate) unsafe fn frames(fiber: *const Fiber) -> Vec<usize> {
        // SAFETY: by contract it hangs in `suspend`, where it comes back from at once, and nothing else is done on it. The
        // caller may be on another goroutine's stack: coroutines may be resumed from others.
        let suspended = unsafe { Fiber::resume(fiber, Order { task: ptr::null(), cancelled: false }) };
        debug_assert_eq!(suspended, Suspend::Parked);
        frames::take_noted()
    }

    /// Ends an idle runner and gives its stack back.
    ///
    /// # Safety
    /// The fiber is idle, nobody uses it afterwards, and this is its worker.
    pub(crate) unsafe fn dispose(fiber: *mut Fiber) {
        // SAFETY: passed on.
        drop(unsafe { Fiber::end(fiber) });
    }

    /// Ends an idle runner, without going to its stack, which may not be in the cache any more, and returns that.
    ///
    /// # Safety
    /// As for [`dispose`](Self::dispose).
    pub(crate) unsafe fn end(fiber: *mut Fiber) -> Stack {
        // SAFETY: by contract. Nothing that an idle runner has on its stack, or that one has that was never started, needs to be
        // dropped, and nobody points to it: it may as well be forgotten.
        unsafe { Fiber::free(fiber).into_stack() }
    }

    /// Frees the books; the coroutine, with its stack, is left.
    ///
    /// # Safety
    /// Nobody uses the fiber afterwards.
    unsafe fn free(fiber: *mut Fiber) -> Coroutine {
        // SAFETY: by contract; `new` made it there, and what it holds besides the coroutine drops nothing.
        unsafe {
            let runner = (&raw const (*fiber).runner).read();
            heap::free(NonNull::new_unchecked(fiber).cast(), Layout::new::<Fiber>());
            runner
        }
    }

    /// Gives up a fiber whose goroutine can't be ended: its frames stay where they are, for ever, because others may
    /// point into them.
    ///
    /// # Safety
    /// Nobody resumes it afterwards.
    pub(crate) unsafe fn abandon(fiber: *mut Fiber) {
        // SAFETY: by contract nobody resumes it; what is on the stack is left as it is, on purpose.
        unsafe { Fiber::free(fiber).into_stack() }.leak();
    }
}

impl std::fmt::Debug for Fiber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fiber").field("reason", &self.reason()).finish_non_exhaustive()
    }
}
