//! An async goroutine: one allocation with the header of every goroutine, the state word of wake-ups, and the future, later
//! the result in its place.
//!
//! It is queued as itself: what wakes it puts its own header into a queue, so waking allocates nothing. It moves between
//! workers whenever it is queued, which it is only between two polls, and the future is `Send`. A poll runs on a
//! worker's runner; if it blocks there (a plain `recv` inside the future), the runner becomes its stack until that poll
//! ends, and until then it is a started goroutine like any other, which stays on its worker.
//!
//! # Who may touch what
//!
//! The fields of the [`Header`] as its own table says, where "whoever starts it" is whoever begins a poll; `worker` and
//! `fiber` are set anew for every poll. The future belongs to whom [`poll_state`](super::poll_state) says. `prev` and `next`
//! belong to the lock of [`AsyncTasks`].
//!
//! # The end
//!
//! A task ends once: when a poll is ready, or panics, or is unwound by a shutdown, or when it is taken out of its queue on
//! a runtime that is stopping. Whoever polls it then drops the future in place, under a panic boundary, puts the result
//! there, takes the task off the runtime's list, and completes the header as for every goroutine. `RUNNING` stays set, so
//! nothing queues it again. The allocation stays for the handle and for wakers that somebody has kept.
//!
//! A shutdown sets `stopping` and then wakes every task on the list. Whoever polls one asks about `stopping` after `begin`:
//! a wake-up before that has told it, and one after it has the task polled again. A task that was put on the list too late
//! for that was queued after `stopping` was set.
//!
//! A task that is left behind (its poll waits in a destructor and can't be ended) keeps its future for ever, since queues
//! and frames may point into it; its result, "cancelled", gets a place of its own.

use super::{
    ForcedUnwind,
    header::{self, ASYNC, EndLocals, Header, Vtable},
    join::JoinError,
    poll_state::{PollState, Woken},
};
use crate::{
    lock::SpinLock,
    sched::{self, Shared},
    wait::{Note, Noted},
};
use crossbeam_utils::CachePadded;
use std::{
    any::Any,
    cell::{Cell, UnsafeCell},
    future::Future,
    mem::{self, ManuallyDrop},
    ops::Range,
    panic::{AssertUnwindSafe, Location, catch_unwind},
    pin::Pin,
    ptr::{self, NonNull},
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, RawWaker, RawWakerVTable, Waker},
};

/// What all async goroutines have in common. The header is the first field, so a pointer to one is a pointer to the other.
#[repr(C)]
struct Common {
    header: Header,
    state: PollState,
    /// What it awaited last.
    noted: Noted,
    prev: Cell<*const Common>,
    next: Cell<*const Common>,
    runtime: Arc<Shared>,
}

#[repr(C)]
struct AsyncTask<Fut: Future> {
    common: Common,
    payload: UnsafeCell<Payload<Fut>>,
}

impl<Fut: Future> AsyncTask<Fut> {
    const FUTURE: Range<usize> = {
        let start = mem::offset_of!(AsyncTask<Fut>, payload);
        start..start + size_of::<Fut>()
    };
}

union Payload<Fut: Future> {
    future: ManuallyDrop<Fut>,
    output: ManuallyDrop<Result<Fut::Output, JoinError>>,
}

/// Makes an async goroutine of `runtime` that is to be queued, with the reference of its handle, and puts it on the
/// runtime's list.
pub(super) fn allocate<Fut>(
    future: Fut,
    id: u64,
    site: &'static Location<'static>,
    runtime: Arc<Shared>,
) -> NonNull<Header>
where
    Fut: Future + Send + 'static,
    Fut::Output: Send + 'static,
{
    let vtable = const {
        &Vtable {
            run: run::<Fut>,
            closure: AsyncTask::<Fut>::FUTURE,
            // It names the async function, if it is one's, and not who called that.
            type_name: None,
            abandon: abandon::<Fut>,
            output: output::<Fut>,
            drop_output: drop_output::<Fut>,
            dealloc: release::<Fut>,
        }
    };
    let task = Box::new(AsyncTask {
        common: Common {
            header: Header::new(vtable, id, site, None, ASYNC),
            state: PollState::new(),
            noted: Noted::new(),
            prev: Cell::new(ptr::null()),
            next: Cell::new(ptr::null()),
            runtime,
        },
        payload: UnsafeCell::new(Payload { future: ManuallyDrop::new(future) }),
    });
    let task: NonNull<AsyncTask<Fut>> = NonNull::from(Box::leak(task));
    // SAFETY: just made. The pointer that goes on the list has the whole task's provenance.
    unsafe { common(task.as_ptr().cast()).runtime.async_tasks.insert(task.as_ptr().cast()) };
    task.cast()
}

/// The whole of an async goroutine.
///
/// # Safety
/// `header` is the first field of a live `AsyncTask<Fut>` and has its provenance; so for all functions of the table.
unsafe fn common<'a>(header: *const Header) -> &'a Common {
    // SAFETY: by contract; both structs are `repr(C)`.
    unsafe { &*header.cast::<Common>() }
}

unsafe fn payload<Fut: Future>(header: *const Header) -> *mut Payload<Fut> {
    // SAFETY: by contract.
    unsafe { (*header.cast::<AsyncTask<Fut>>()).payload.get() }
}

/// Polls the future once; or, `cancelled`, ends it.
unsafe fn run<Fut: Future>(header: *const Header, cancelled: bool) -> bool {
    // SAFETY: the task has been taken out of its queue, so the future is ours until `pause`, and the task has not ended.
    let (common, future) =
        unsafe { (common(header), (&raw mut (*payload::<Fut>(header)).future).cast::<Fut>()) };
    common.state.begin();
    // Asked after `begin`: a shutdown that finds it woken before that leaves it at that.
    let polled = match cancelled || common.runtime.is_stopping() {
        true => Err(JoinError::cancelled(header)),
        false => {
            // SAFETY: the task's own reference lasts longer than this poll, and the waker gives none up when it goes.
            let waker = ManuallyDrop::new(unsafe { Waker::from_raw(RawWaker::new(header.cast(), &WAKER)) });
            let mut context = Context::from_waker(&waker);
            // SAFETY: the future stays where it was allocated until it is dropped there.
            let pinned = unsafe { Pin::new_unchecked(&mut *future) };
            let caught = catch_unwind(AssertUnwindSafe(|| pinned.poll(&mut context)));
            if caught.is_err() {
                super::forget_unwound_frames();
            }
            match caught {
                Ok(Poll::Pending) => {
                    // The next poll may begin elsewhere at once.
                    common.header.fiber.set(ptr::null_mut());
                    sched::note_over(header);
                    if common.state.pause() {
                        // SAFETY: `pause` says that we are to queue it, and that nobody else does or ends it.
                        unsafe { queue(header) };
                    }
                    return false;
                }
                Ok(Poll::Ready(output)) => Ok(output),
                Err(payload) if payload.is::<ForcedUnwind>() => Err(JoinError::cancelled(header)),
                Err(payload) => Err(JoinError::panicked(header, payload)),
            }
        }
    };
    let dropped = catch_unwind(AssertUnwindSafe(|| {
        let _locals = EndLocals(header);
        // SAFETY: not polled again: the task stays `RUNNING`. In place, as pinning asks.
        unsafe { ptr::drop_in_place(future) };
    }));
    let result = match dropped {
        // A destructor that waited when the runtime shut down: nothing went wrong.
        Err(payload) if !payload.is::<ForcedUnwind>() => {
            let dropped = catch_unwind(AssertUnwindSafe(|| {
                // Of what the result's destructor makes, if there were no values before.
                let _locals = EndLocals(header);
                drop(polled);
            }));
            if let Err(again) = dropped {
                header::discard(again);
            }
            Err(JoinError::panicked(header, payload))
        }
        _ => polled,
    };
    common.runtime.async_tasks.remove(common);
    // SAFETY: the future has gone, so the place is free; this is the task's one completion.
    unsafe {
        (*payload::<Fut>(header)).output = ManuallyDrop::new(result);
        sched::note_over(header);
        header::complete(header);
    }
    true
}

/// The place of the result of a task that has been left behind is another one: see the head of the file.
unsafe fn abandon<Fut: Future>(header: *const Header) {
    // SAFETY: by contract of the table.
    let common = unsafe { common(header) };
    let result: Result<Fut::Output, JoinError> = Err(JoinError::cancelled(header));
    // In no queue any more: the link is ours. Who reads it has seen `DONE`.
    common.header.link.store(Box::into_raw(Box::new(result)).cast(), Ordering::Relaxed);
    common.header.flags.set(common.header.flags.get() | header::ABANDONED);
    // Never given up.
    common.state.retain();
    common.runtime.async_tasks.remove(common);
}

unsafe fn output<Fut: Future>(header: *const Header) -> *mut () {
    // SAFETY: by contract of the table.
    unsafe {
        match (*header).has_flag(header::ABANDONED) {
            true => (*header).link.load(Ordering::Relaxed).cast(),
            false => (&raw mut (*payload::<Fut>(header)).output).cast(),
        }
    }
}

unsafe fn drop_output<Fut: Future>(header: *const Header) -> Option<Box<dyn Any + Send>> {
    // SAFETY: the result is there and nobody else takes it.
    match unsafe { output::<Fut>(header).cast::<Result<Fut::Output, JoinError>>().read() } {
        Ok(value) => {
            drop(value);
            None
        }
        Err(error) => error.try_into_panic().ok(),
    }
}

/// Gives up one reference, and frees the task if it was the last.
unsafe fn release<Fut: Future>(header: *mut Header) {
    // SAFETY: by contract of the table. The last one frees what was leaked from a box of this type; the payload is a union
    // and drops nothing, and what was in it has gone with the reference of the task and its handle.
    unsafe {
        if common(header).state.release() {
            drop(Box::from_raw(header.cast::<AsyncTask<Fut>>()));
        }
    }
}

/// Queues a task on its runtime.
///
/// # Safety
/// The state word obliges the caller to. The task may be gone afterwards.
unsafe fn queue(header: *const Header) {
    // SAFETY: until it is queued it can't be polled, so it can't end and keeps its own reference.
    unsafe { sched::queue_async(header.cast_mut(), &raw const (*header.cast::<Common>()).runtime) };
}

// ---- wakers: a pointer to the header, and a reference ----

static WAKER: RawWakerVTable = RawWakerVTable::new(clone_waker, wake, wake_by_ref, drop_waker);

/// Whether the waker is an async goroutine's.
#[inline]
pub(crate) fn is_waker(waker: &Waker) -> bool {
    ptr::eq(waker.vtable(), &WAKER)
}

/// Somebody polled with this waker waits. Noted if it is an async goroutine's.
#[inline(always)]
pub(crate) fn note_await(waker: &Waker, note: Note) {
    if is_waker(waker) {
        // SAFETY: as below: with this table it is the waker of a task, and has a reference to it.
        unsafe { common(waker.data().cast()).noted.note(note) };
    }
}

unsafe fn clone_waker(data: *const ()) -> RawWaker {
    // SAFETY: by the contract of wakers, here and below, `data` is the header of a task and the waker has a reference to it.
    unsafe { common(data.cast()).state.retain() };
    RawWaker::new(data, &WAKER)
}

unsafe fn wake(data: *const ()) {
    let header: *const Header = data.cast();
    // SAFETY: as above. After the step only what it tells to do is allowed: a task that is to be queued has a reference of
    // its own, and the last reference is still ours.
    unsafe {
        match common(header).state.wake_and_release() {
            Woken::Nothing => {}
            Woken::Queue => queue(header),
            Woken::Release => header::release_reference(header),
        }
    }
}

unsafe fn wake_by_ref(data: *const ()) {
    let header: *const Header = data.cast();
    // SAFETY: as above; and the word says that we are to queue it.
    unsafe {
        if common(header).state.wake() {
            queue(header);
        }
    }
}

unsafe fn drop_waker(data: *const ()) {
    // SAFETY: as above: the table's function gives up one reference.
    unsafe { header::release_reference(data.cast()) };
}

// ---- the list ----

/// The async goroutines of a runtime that have not ended, for a shutdown to find those that wait: lists that go through the
/// tasks themselves, each under a lock of its own.
#[derive(Default)]
pub(crate) struct AsyncTasks {
    lists: [CachePadded<SpinLock<List>>; LISTS],
}

/// Numbers come to workers in blocks, and a task's list goes by the block: workers that start tasks seldom meet.
const LISTS: usize = 16;

#[derive(Debug)]
struct List {
    first: *const Common,
    len: u64,
}

// SAFETY: the tasks in a list are there, and their links are touched under the list's lock alone.
unsafe impl Send for List {}

impl Default for SpinLock<List> {
    fn default() -> Self {
        SpinLock::new(List { first: ptr::null(), len: 0 })
    }
}

impl AsyncTasks {
    fn list(&self, task: &Common) -> &SpinLock<List> {
        &self.lists[(task.header.id / sched::ID_BLOCK) as usize % LISTS]
    }

    /// # Safety
    /// The task has just been made, and is removed before it is completed. The pointer has the whole task's provenance.
    unsafe fn insert(&self, task: *const Common) {
        // SAFETY: by contract; the task that was first is still there, since it is on the list.
        unsafe {
            let mut list = self.list(&*task).lock();
            (*task).next.set(list.first);
            if let Some(second) = list.first.as_ref() {
                second.prev.set(task);
            }
            list.first = task;
            list.len += 1;
        }
    }

    /// Takes a task off its list if it is there.
    fn remove(&self, task: &Common) {
        let mut list = self.list(task).lock();
        let (prev, next) = (task.prev.replace(ptr::null()), task.next.replace(ptr::null()));
        // SAFETY: neighbours are on the list, so they are there.
        unsafe {
            match prev.as_ref() {
                Some(prev) => prev.next.set(next),
                None if ptr::eq(list.first, task) => list.first = next,
                None => return,
            }
            if let Some(next) = next.as_ref() {
                next.prev.set(prev);
            }
            list.len -= 1;
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> u64 {
        self.lists.iter().map(|list| list.lock().len).sum()
    }

    /// Shows each of them, and what it awaited last.
    pub(crate) fn for_each(&self, mut f: impl FnMut(&Header, &Noted)) {
        for list in &self.lists {
            let list = list.lock();
            let mut task = list.first;
            // SAFETY: what is on the list is there while we hold the lock.
            while let Some(this) = unsafe { task.as_ref() } {
                f(&this.header, &this.noted);
                task = this.next.get();
            }
        }
    }

    /// Wakes everybody, on a runtime that is stopping: whoever takes them out of their queues ends them.
    pub(crate) fn wake_all(&self) {
        for list in &self.lists {
            let mut woken: *mut Header = ptr::null_mut();
            {
                let list = list.lock();
                let mut task = list.first;
                // SAFETY: what is on the list is there while we hold the lock; what we have woken can't end until we queue
                // it, and its link is ours until then.
                while let Some(this) = unsafe { task.as_ref() } {
                    if this.state.wake() {
                        this.header.link.store(woken, Ordering::Relaxed);
                        woken = task.cast_mut().cast();
                    }
                    task = this.next.get();
                }
            }
            while !woken.is_null() {
                // SAFETY: as above; the link is read before the task is given away.
                unsafe {
                    let task = woken;
                    woken = (*task).link.load(Ordering::Relaxed);
                    queue(task);
                }
            }
        }
    }
}

impl std::fmt::Debug for AsyncTasks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AsyncTasks").finish_non_exhaustive()
    }
}
