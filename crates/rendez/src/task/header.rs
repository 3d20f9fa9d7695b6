//! A goroutine's one allocation, and its life.
//!
//! # Who may touch what
//!
//! | field | who |
//! | --- | --- |
//! | `state`, `joiners` | anyone with a reference: see the state word |
//! | `link` | whoever has the goroutine in a queue: it is in at most one queue or inbox at any time (see `wait`) |
//! | `worker`, `fiber` | the worker that started it; `worker` is also read by whoever wakes it, after the park that made it visible |
//! | the payload | closure: whoever runs or cancels the task, once. Result: written before `DONE`, then the handle's |
//! | `extra` | filled before the task is first queued, or by the goroutine itself while it runs; what is in it as its fields say |
//! | all else | written before the task is first queued, read only from then on |
//!
//! # The state word
//!
//! | bit | set | cleared |
//! | --- | --- | --- |
//! | `HANDLE` | at birth, if there is a handle | when the handle is dropped or joined |
//! | `DONE` | by the runner, after it has written the result | never |
//! | `WAITERS` | by a joiner, only while not `DONE` | never |
//! | `RELEASED` | by the runner, after it has woken the joiners (only if `WAITERS`) | never |
//! | `TAKEN` | with the clearing of `HANDLE`, if the handle has moved the result out | never |
//!
//! The allocation is freed by whoever comes last: the runner at `DONE` if there is no `HANDLE`; the handle if it finds
//! `DONE` and either no `WAITERS` (the runner does not look at the header after setting `DONE`) or `RELEASED`; the runner
//! at `RELEASED` if the handle has gone meanwhile.

use super::{
    ForcedUnwind,
    fiber::Fiber,
    heap,
    join::JoinError,
    local::Locals,
    spawn::{Extra, ExtraCell},
};
use crate::{
    lock::SpinLock,
    primitives::{LINE, prefetch},
    sched::{self, WorkerShared},
    select::{Occurs, park},
    wait::{End, Node, Reason, Status, Tells, Thing, WaitQueue, Wakeup},
};
use std::{
    alloc::Layout,
    any::Any,
    cell::{Cell, UnsafeCell},
    mem::{self, ManuallyDrop},
    ops::Range,
    panic::{AssertUnwindSafe, Location, catch_unwind},
    ptr,
    sync::atomic::{AtomicPtr, AtomicU32, Ordering},
};

const HANDLE: u32 = 1;
const DONE: u32 = 2;
const WAITERS: u32 = 4;
const RELEASED: u32 = 8;
const TAKEN: u32 = 16;

/// Must run on the worker that spawned it (not `Send`, or asked to stay near).
pub(crate) const PINNED: u8 = 1;
/// An async goroutine: see [`async_task`](super::async_task).
pub(crate) const ASYNC: u8 = 2;
/// An async goroutine that was left behind. Set, against the table above, before its `DONE`.
pub(super) const ABANDONED: u8 = 4;
/// Started in a burst that had accepted a connection, so probably to serve it.
pub(crate) const SERVES: u8 = 8;
/// Asked to be spread over the workers.
pub(crate) const SPREAD: u8 = 16;

/// A goroutine that has not finished, as queues and wakers hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Goroutine(pub(crate) ptr::NonNull<Header>);

// SAFETY: it is a pointer to a header, whose fields say who may touch them.
unsafe impl Send for Goroutine {}

impl Goroutine {
    /// Has the processor fetch its header.
    #[inline(always)]
    pub(crate) fn prefetch(self) {
        let at = self.0.as_ptr().cast_const().cast::<u8>();
        prefetch(at);
        prefetch(at.wrapping_add(LINE));
    }
}

/// In this order what every wake-up touches lies on one line.
#[repr(C)]
pub(crate) struct Header {
    /// The next in the same queue or inbox.
    pub(crate) link: AtomicPtr<Header>,
    pub(crate) fiber: Cell<*mut Fiber>,
    pub(crate) worker: Cell<*const WorkerShared>,
    vtable: &'static Vtable,
    pub(crate) site: &'static Location<'static>,
    state: AtomicU32,
    /// Which of its siblings it is: see `sched::placement`.
    pub(crate) sibling: Cell<u16>,
    pub(crate) flags: Cell<u8>,
    pub(crate) family: Cell<u32>,
    pub(crate) id: u64,
    pub(crate) extra: ExtraCell,
    joiners: SpinLock<WaitQueue>,
}

const _: () = assert!(size_of::<Header>() <= 96);

pub(super) struct Vtable {
    /// Runs the closure (or, cancelled, drops it), stores the result, completes. An async goroutine is polled once. Returns
    /// whether the task has ended; the header may be gone, or run elsewhere, in any case.
    pub(super) run: unsafe fn(*const Header, bool) -> bool,
    /// Where its closure was when it was created, from the header on, in bytes; or where the future is.
    pub(super) closure: Range<usize>,
    /// Of its closure.
    pub(super) type_name: Option<fn() -> &'static str>,
    /// Stores a result for a goroutine whose closure is gone and that will never finish by itself.
    pub(super) abandon: unsafe fn(*const Header),
    /// The place of the result: a `Result<R, JoinError>`.
    pub(super) output: unsafe fn(*const Header) -> *mut (),
    /// Drops the result; the panic payload if it was an untold panic.
    pub(super) drop_output: unsafe fn(*const Header) -> Option<Box<dyn Any + Send>>,
    /// Frees the task, once its result has gone; an async goroutine stays for as long as it has wakers.
    pub(super) dealloc: unsafe fn(*mut Header),
}

#[repr(C)]
struct Task<F, R> {
    header: Header,
    payload: UnsafeCell<Payload<F, R>>,
}

impl<F, R> Task<F, R> {
    const CLOSURE: Range<usize> = {
        let start = mem::offset_of!(Task<F, R>, payload);
        start..start + size_of::<F>()
    };
}

union Payload<F, R> {
    closure: ManuallyDrop<F>,
    output: ManuallyDrop<Result<R, JoinError>>,
}

/// Makes a goroutine that has not started. `R` and `F` may be bound to this thread or a scope: whoever calls this sees to
/// it that the task is run and its result taken where and while that is sound.
pub(crate) fn allocate<F, R>(
    closure: F,
    id: u64,
    site: &'static Location<'static>,
    extra: Option<Box<Extra>>,
    flags: u8,
) -> ptr::NonNull<Header>
where
    F: FnOnce() -> R,
{
    let vtable = const {
        &Vtable {
            run: run::<F, R>,
            closure: Task::<F, R>::CLOSURE,
            type_name: Some(std::any::type_name::<F>),
            abandon: abandon::<F, R>,
            output: output::<F, R>,
            drop_output: drop_output::<F, R>,
            dealloc: dealloc::<F, R>,
        }
    };
    let place = heap::allocate(Layout::new::<Task<F, R>>()).cast::<Task<F, R>>();
    // Field by field, in its place: made elsewhere and moved, what has been written in pieces would be read as a whole at once.
    // SAFETY: the place is made for it, and these are all of its fields.
    unsafe {
        let task = place.as_ptr();
        (&raw mut (*task).header).write(Header::new(vtable, id, site, extra, flags));
        (&raw mut (*task).payload).write(UnsafeCell::new(Payload { closure: ManuallyDrop::new(closure) }));
    }
    place.cast()
}

/// # Safety
/// `header` is the first field of a live `Task<F, R>`; so for the functions below.
unsafe fn payload<F, R>(header: *const Header) -> *mut Payload<F, R> {
    // SAFETY: `Task` is `repr(C)` with the header first, and the header pointer has the whole task's provenance.
    unsafe { (*header.cast::<Task<F, R>>()).payload.get() }
}

unsafe fn run<F: FnOnce() -> R, R>(header: *const Header, cancelled: bool) -> bool {
    // SAFETY: the closure is there until `run`, which is called once.
    let closure = unsafe { ManuallyDrop::take(&mut (*payload::<F, R>(header)).closure) };
    let result = catch_unwind(AssertUnwindSafe(|| {
        // Also of one that never ran: what its closure drops may make some, which must not outlive the goroutine, since who
        // frees the header may be on another thread.
        let _locals = EndLocals(header);
        if cancelled {
            drop(closure);
            Err(JoinError::cancelled(header))
        } else {
            Ok(closure())
        }
    }));
    if result.is_err() {
        super::forget_unwound_frames();
    }
    let result = match result {
        Ok(result) => result,
        Err(payload) if payload.is::<ForcedUnwind>() => Err(JoinError::cancelled(header)),
        Err(payload) => Err(JoinError::panicked(header, payload)),
    };
    // SAFETY: the closure has been moved out, so the place is free; this is the one completion.
    unsafe {
        (*payload::<F, R>(header)).output = ManuallyDrop::new(result);
        sched::note_over(header);
        complete(header);
    }
    true
}

/// Drops the goroutine's own values, after its closure and before anybody is told that it has ended.
pub(super) struct EndLocals(pub(super) *const Header);

impl Drop for EndLocals {
    fn drop(&mut self) {
        // SAFETY: this is the goroutine, whose header is there until it is completed. (One that is cancelled where no goroutine
        // is, or in the middle of another one, has no values, and nobody to make any.)
        unsafe { (*self.0).end_locals() };
    }
}

unsafe fn abandon<F, R>(header: *const Header) {
    // SAFETY: the caller says that the closure has been moved out and nothing else will be written here.
    unsafe { (*payload::<F, R>(header)).output = ManuallyDrop::new(Err(JoinError::cancelled(header))) };
}

unsafe fn output<F, R>(header: *const Header) -> *mut () {
    // SAFETY: by contract of the table.
    unsafe { (&raw mut (*payload::<F, R>(header)).output).cast() }
}

unsafe fn drop_output<F, R>(header: *const Header) -> Option<Box<dyn Any + Send>> {
    // SAFETY: the result is there and nobody else takes it.
    match unsafe { ManuallyDrop::take(&mut (*payload::<F, R>(header)).output) } {
        Ok(value) => {
            drop(value);
            None
        }
        Err(error) => error.try_into_panic().ok(),
    }
}

unsafe fn dealloc<F, R>(header: *mut Header) {
    // SAFETY: by contract `allocate` made it, with this type, and nobody uses it any more; its payload is a union and drops
    // nothing.
    unsafe {
        header.cast::<Task<F, R>>().drop_in_place();
        heap::free(ptr::NonNull::new_unchecked(header).cast(), Layout::new::<Task<F, R>>());
    }
}

impl Header {
    #[inline(always)]
    pub(super) fn new(
        vtable: &'static Vtable,
        id: u64,
        site: &'static Location<'static>,
        extra: Option<Box<Extra>>,
        flags: u8,
    ) -> Header {
        Header {
            vtable,
            link: AtomicPtr::new(ptr::null_mut()),
            state: AtomicU32::new(HANDLE),
            flags: Cell::new(flags),
            sibling: Cell::new(0),
            family: Cell::new(0),
            joiners: SpinLock::new(WaitQueue::new()),
            id,
            site,
            extra: ExtraCell::new(extra),
            worker: Cell::new(ptr::null()),
            fiber: Cell::new(ptr::null_mut()),
        }
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.extra.get().and_then(|extra| extra.name.as_deref())
    }

    /// The goroutine's own values.
    ///
    /// # Safety
    /// The caller is the goroutine itself, and so is whoever else uses them as long as the reference lives.
    pub(super) unsafe fn locals(&self) -> &Locals {
        // SAFETY: passed on.
        unsafe { &self.extra.get_or_make().locals }
    }

    /// Drops the goroutine's own values. It ends by this as far as they are concerned.
    ///
    /// # Safety
    /// As for [`locals`](Self::locals).
    #[inline(always)]
    unsafe fn end_locals(&self) {
        if let Some(extra) = self.extra.get() {
            extra.locals.end();
        }
    }

    pub(crate) fn has_flag(&self, flag: u8) -> bool {
        self.flags.get() & flag != 0
    }

    /// Where its closure was when it was created: as long as it has not ended, its bytes are still there, though what they were is
    /// on its stack now. Of an async goroutine, where its future is.
    pub(crate) fn closure(&self) -> Range<usize> {
        let (at, Range { start, end }) = (ptr::from_ref(self).addr(), self.vtable.closure.clone());
        at + start..at + end
    }

    /// The name of its closure's type, in which is that of the function where it is written.
    pub(crate) fn type_name(&self) -> Option<&'static str> {
        self.vtable.type_name.map(|name| name())
    }

    /// Whether only the worker that has it may start it.
    pub(crate) fn must_stay(&self) -> bool {
        self.has_flag(PINNED)
            || self.extra.get().is_some_and(|extra| extra.placement == crate::Placement::Near)
    }

    /// How reports name it: `goroutine 7 "printer"`.
    pub(crate) fn title(&self) -> String {
        let id = sched::harness::shown_id(self.id);
        match self.name() {
            Some(name) => format!("goroutine {id} {name:?}"),
            None => format!("goroutine {id}"),
        }
    }

    /// Whether the result is there.
    pub(crate) fn is_done(&self) -> bool {
        self.state.load(Ordering::Acquire) & DONE != 0
    }

    /// Waits for the result.
    pub(crate) fn wait_done(&self) {
        if !self.is_done() {
            park(self, Reason::Join);
        }
    }
}

impl Tells for Header {
    fn tell(&self, things: &mut Vec<Thing>) {
        things.push(Thing::new("the end of", End::Goroutine(self.id)));
    }
}

// SAFETY: the state word and the joiners are made for any thread, and nothing else is used; joiners are decided under their lock.
unsafe impl Occurs for Header {
    fn has_occurred(&self) -> bool {
        self.is_done()
    }

    unsafe fn queue(&self, node: &Node) -> bool {
        let mut joiners = self.joiners.lock();
        let mut state = self.state.load(Ordering::Acquire);
        loop {
            if state & DONE != 0 {
                return false;
            }
            let with = state | WAITERS;
            match self.state.compare_exchange_weak(state, with, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => break,
                Err(changed) => state = changed,
            }
        }
        // SAFETY: passed on. The runner sees `WAITERS` at `DONE` and takes the lock after us.
        unsafe { joiners.push(node) };
        true
    }

    unsafe fn leave(&self, node: &Node) {
        // SAFETY: passed on.
        unsafe { self.joiners.lock().remove(node) };
    }
}

/// Moves the result out.
///
/// # Safety
/// The header is a task's whose result is an `R`, `DONE` has been seen, and this is done once.
pub(super) unsafe fn take_output<R>(header: *const Header) -> Result<R, JoinError> {
    // SAFETY: by contract; the pointer has the whole task's provenance.
    unsafe { ((*header).vtable.output)(header).cast::<Result<R, JoinError>>().read() }
}

/// Runs a task that has not started on the calling stack, to its end, or drops its closure there if it is `cancelled`; an
/// async goroutine is polled once. Returns whether the task has ended.
///
/// # Safety
/// The task has not started, and nobody else will start it. The header may be gone afterwards.
#[inline]
pub(crate) unsafe fn run_task(header: *const Header, cancelled: bool) -> bool {
    // SAFETY: by contract.
    unsafe { ((*header).vtable.run)(header, cancelled) }
}

/// Gives up the reference of a waker.
///
/// # Safety
/// The header is an async goroutine's, and the caller owns the reference. The header may be gone afterwards.
pub(super) unsafe fn release_reference(header: *const Header) {
    // SAFETY: by contract.
    unsafe { ((*header).vtable.dealloc)(header.cast_mut()) };
}

/// Completes, as cancelled, a started task whose stack will never be resumed.
///
/// # Safety
/// The task has started and parked, and its frames never run again. The header may be gone afterwards.
pub(crate) unsafe fn abandon_parked(header: *const Header) {
    // SAFETY: by contract.
    unsafe {
        if (*header).is_done() {
            // It waits in its result's destructor, or in a joiner's waker: the result is the handle's, or gone, and what else there is to do is
            // left behind with its frames.
            return;
        }
        // They may not be `Send`, and who frees the header may be on another thread.
        if let Some(extra) = (*header).extra.get() {
            extra.locals.forget();
        }
        ((*header).vtable.abandon)(header);
        complete(header);
    }
}

/// Makes the result known, wakes the joiners, and frees the task if the handle has gone.
///
/// # Safety
/// The result is in its place, and this is done once. The header may be gone afterwards.
pub(super) unsafe fn complete(header: *const Header) {
    // SAFETY: the runner's reference lasts until `DONE` is set (then see the head of the file).
    unsafe {
        #[cfg(feature = "testing")]
        sched::note_end(&*header);
        let before = (*header).state.fetch_or(DONE, Ordering::AcqRel);
        if before & HANDLE == 0 {
            free_untaken(header);
        } else if before & WAITERS != 0 {
            {
                // One, as a rule, for whom nothing is allocated; never many: one hold of the lock will do.
                let mut rest = Vec::new();
                let mut joiners = (*header).joiners.lock();
                let first = joiners.pop_winner().map(|winner| winner.complete(Status::Done));
                while let Some(winner) = joiners.pop_winner() {
                    rest.push(winner.complete(Status::Done));
                }
                drop(joiners);
                if let Some(first) = first {
                    first.wake();
                }
                rest.into_iter().for_each(Wakeup::wake);
            }
            let state = (*header).state.fetch_or(RELEASED, Ordering::AcqRel);
            if state & HANDLE == 0 {
                free(header, state & TAKEN != 0);
            }
        }
    }
}

/// Gives up the handle. `taken` says that the result has been moved out.
///
/// # Safety
/// The caller owns the handle's reference and gives it up.
pub(crate) unsafe fn release_handle(header: *const Header, taken: bool) {
    // SAFETY: the handle's reference lasts until `HANDLE` is cleared.
    unsafe {
        // `HANDLE` goes from 1 to 0, `TAKEN` from 0 to 1 if the result has been moved out.
        let before = (*header).state.fetch_xor(if taken { HANDLE | TAKEN } else { HANDLE }, Ordering::AcqRel);
        if before & DONE != 0 && before & (WAITERS | RELEASED) != WAITERS {
            free(header, taken);
        }
    }
}

/// Frees a task that is `DONE` and has no references left.
unsafe fn free(header: *const Header, taken: bool) {
    // SAFETY: by contract.
    unsafe {
        if taken {
            ((*header).vtable.dealloc)(header.cast_mut());
        } else {
            free_untaken(header);
        }
    }
}

/// Drops a result that nobody took, tells a panic that nobody will see, and frees the task.
unsafe fn free_untaken(header: *const Header) {
    // SAFETY: `DONE` is set and ours is the last reference.
    unsafe {
        let drop_output = (*header).vtable.drop_output;
        match catch_unwind(AssertUnwindSafe(|| drop_output(header))) {
            Ok(None) => {}
            Ok(Some(payload)) => {
                sched::report_detached_panic(&*header);
                discard(payload);
            }
            // A destructor that waited when the runtime shut down: nothing went wrong.
            Err(payload) if payload.is::<ForcedUnwind>() => {}
            Err(payload) => {
                sched::report_detached_panic(&*header);
                discard(payload);
            }
        }
        ((*header).vtable.dealloc)(header.cast_mut());
    }
}

/// Drops a panic's payload; a payload that panics again in its destructor is left alone.
pub(crate) fn discard(payload: Box<dyn Any + Send>) {
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(again);
    }
}
