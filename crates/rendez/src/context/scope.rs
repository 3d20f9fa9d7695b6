//! What can be cancelled, and how the end goes down the tree.
//!
//! # Protocol
//!
//! Each scope has a lock. Nobody holds two of them, and under none of them is anybody woken, or user code run or dropped.
//!
//! | field | who may change it |
//! | --- | --- |
//! | `err`: 0, or how it ended | from 0, once, under the lock |
//! | `cause` | before `err`, under the lock |
//! | `done`: the channel, when somebody has asked for it | once, under the lock; made closed if `err` is set |
//! | `settled` | set when `done` has been closed after `err` was set |
//! | `children`, `waiters`, `funcs`, `kept`, the alarm | under the lock; nothing is added once `err` is set |
//! | a node's own `place` | under the lock of the scope that it is linked to; `UNLINKED` may be seen without it |
//!
//! Ending a scope sets `err` under the lock, which decides who is first, and then, without it, closes `done`, wakes who waits
//! and starts the functions. *An `err` that somebody has seen means that `done` is closed*: who reads it before
//! `settled` is set closes the channel too, which is harmless. Those who wait for some siblings are woken together, when all of
//! these have ended, and before anybody's code runs that may wait for one of them.
//!
//! The children are then taken out of the list, some at a time, and ended in the same way; those of them that have children
//! are kept on a stack, which is on the heap, until they have none. A child that is being made at the same
//! time is either linked before `err` is set, and found, or sees `err` and ends at once. One whose last reference has
//! gone is passed over.
//!
//! The list is an array, and each child knows its place in it; the last one fills the gap of one that leaves. (Links from child
//! to child are followed one cache miss after another: of 100,000, that was a tenth of the time of their end.)
//! Once `err` is set the list is taken from the front, and who leaves by himself meanwhile leaves the gap. *Storing
//! `UNLINKED` is the last that is done to a child that nobody has any more*: whoever frees it and finds that need not lock.
//!
//! Several may cancel at once, and a waker that is called by one may cancel again. The second finds `err` set and returns at once,
//! while the first may still be on its way down. It does not wait for the first: that may be waiting in the waker
//! that the second is called by. (In Go, where nobody's code runs in a cancel, the second waits for a lock that the first holds until its
//! children have ended.)
//!
//! What somebody else wrote must not stop an end on its way: a waker's panic is caught, and so is that of a function's destructor, where
//! the function is dropped because its runtime has ended.

use super::{
    ContextError,
    node::{Kind, Node, NodeRef, SelfRef},
};
use crate::{
    chan::{self, Receiver, Sender},
    lock::SpinLock,
    primitives::prefetch_whole,
    sched::{Alarm, Shared},
    select::Occurs,
    task,
    time::Instant,
    wait::{End, Node as WaitNode, Status, Tells, Thing, WaitQueue, WakeBatch},
};
use std::{
    collections::BTreeMap,
    convert::Infallible,
    error::Error,
    mem,
    panic::{AssertUnwindSafe, Location, catch_unwind},
    ptr,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering},
    },
    task::{Wake, Waker},
};

/// Why a context was cancelled, if somebody said.
pub(super) type Cause = Arc<dyn Error + Send + Sync>;

/// Children that are taken out of a list at a time.
const BATCH: usize = 32;
/// A list with room for more than this gives memory back when most of it is not used.
const KEPT: usize = 256;

pub(super) struct Scope {
    /// 0, or a [`ContextError`] as a number.
    err: AtomicU8,
    settled: AtomicBool,
    state: SpinLock<State>,
    /// In its ancestor's list.
    place: AtomicUsize,
    done: OnceLock<(Sender<Infallible>, Receiver<Infallible>)>,
    /// In a box: few have one, and a fat pointer is half a line of a cache with its lock.
    cause: OnceLock<Box<Cause>>,
    /// The earliest of its own and its ancestors'.
    deadline: Option<Instant>,
    /// If the deadline is its own. Used under the lock.
    alarm: Option<Box<Alarm>>,
}

struct State {
    waiters: WaitQueue,
    /// See "who keeps whom" at the head of [`node`](super::node). The alarm's waker has one, too: there is one of the two at most.
    kept: Option<SelfRef>,
    /// Made when it is wanted: most contexts are leaves, of which a crowd may end at once.
    below: Option<Box<Below>>,
}

/// What ends with a context, and who waits for its end does not.
#[derive(Default)]
struct Below {
    /// Those that are linked; once `err` is set, from `taken` on, and null for those that have left by themselves.
    children: Vec<*const Node>,
    taken: usize,
    funcs: BTreeMap<u64, Func>,
    next_func: u64,
}

// SAFETY: the pointers are followed under the lock only, and lead to nodes that unlink themselves before they are freed.
unsafe impl Send for Below {}

impl State {
    fn below(&mut self) -> &mut Below {
        self.below.get_or_insert_default()
    }
}

/// The `place` of a node that is not linked.
const UNLINKED: usize = usize::MAX;

/// What is to run when a context ends.
pub(super) struct Func {
    pub(super) f: Box<dyn FnOnce() + Send>,
    pub(super) runtime: Weak<Shared>,
    pub(super) site: &'static Location<'static>,
    /// What keeps the context while this may have to run.
    pub(super) _keeps: Option<NodeRef>,
}

impl Func {
    /// Starts it on a goroutine of its runtime, or drops it if that has ended.
    fn start(self) {
        let Func { f, runtime, site, _keeps } = self;
        let start = move || match runtime.upgrade().filter(|runtime| !runtime.is_stopping()) {
            Some(runtime) => task::start_detached(&runtime, site, f),
            None => drop(f),
        };
        // What it has captured is dropped here if it can't run. A panic of that, of which the hook has told, is not the caller's.
        if let Err(payload) = catch_unwind(AssertUnwindSafe(start)) {
            task::header::discard(payload);
        }
    }
}

impl Scope {
    /// One that ends at `deadline`, if that is its own.
    pub(super) fn new(deadline: Option<Instant>, is_own: bool) -> Scope {
        Scope {
            err: AtomicU8::new(0),
            settled: AtomicBool::new(false),
            state: SpinLock::new(State { waiters: WaitQueue::new(), kept: None, below: None }),
            place: AtomicUsize::new(UNLINKED),
            done: OnceLock::new(),
            cause: OnceLock::new(),
            deadline,
            alarm: is_own.then(|| Box::new(Alarm::new())),
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    pub(super) fn has_own_deadline(&self) -> bool {
        self.alarm.is_some()
    }

    /// How it has ended, if it has; if so, `done` is closed.
    #[inline]
    pub(super) fn ended(&self) -> Option<ContextError> {
        let err = ContextError::of(self.err.load(Ordering::Acquire))?;
        if !self.settled.load(Ordering::Acquire)
            && let Some(done) = self.done.get()
        {
            done.0.close();
        }
        Some(err)
    }

    pub(super) fn cause(&self) -> Option<&Cause> {
        self.ended().and_then(|_| self.cause.get()).map(|cause| &**cause)
    }

    /// Of `node`, whose scope this is.
    #[track_caller]
    pub(super) fn done(&self, node: &Node) -> &Receiver<Infallible> {
        if let Some(done) = self.done.get() {
            return &done.1;
        }
        let made = chan::ended_by_its_sender();
        let mut is_closed = false;
        let (mut state, has_ended) = loop {
            let state = self.state.lock();
            let has_ended = self.err.load(Ordering::Relaxed) != 0;
            if !has_ended || is_closed {
                break (state, has_ended);
            }
            // Without the lock.
            drop(state);
            made.0.close();
            is_closed = true;
        };
        let mut made = Some(made);
        if self.done.get().is_none()
            && let Some(done) = made.take()
        {
            _ = self.done.set(done);
            if !has_ended && !self.has_own_deadline() && node.above().is_some() {
                state.kept = Some(SelfRef::to(node));
            }
        }
        drop(state);
        drop(made);
        &self.done.get().expect("it has been set just now, or before").1
    }

    /// `false`: it does not, and will not unless somebody asks for `done`.
    pub(super) fn may_keep_itself(&self) -> bool {
        (self.has_own_deadline() || self.done.get().is_some()) && self.err.load(Ordering::Relaxed) == 0
    }

    /// Gives up the reference by which the node keeps itself, if there is one, nobody has a clone of `done`, and, asked under the
    /// lock, there is `one_other` reference to it: the caller's.
    ///
    /// Then nobody can come to have another: neither from a handle nor, by `done`, from here. (An ancestor that
    /// ends may take a reference for a moment. It finds the node with its own one given up, and frees it afterwards.)
    pub(super) fn let_go(&self, one_other: impl FnOnce() -> bool) {
        let mut state = self.state.lock();
        let alarm = self.alarm.as_ref().filter(|alarm| alarm.is_set());
        if (state.kept.is_none() && alarm.is_none())
            || !one_other()
            || self.done.get().is_some_and(|done| done.1.is_shared())
        {
            return;
        }
        let kept = state.kept.take();
        if let Some(alarm) = alarm {
            // SAFETY: who holds the lock is the owner. (Its waker's reference is not the last: the caller has one.)
            unsafe { alarm.clear() };
        }
        drop(state);
        drop(kept);
    }

    #[inline(always)]
    fn has_begun_to_end(&self) -> bool {
        self.err.load(Ordering::Acquire) != 0
    }

    /// Ends it, if it has not ended. Who waits for it is woken, or left in `wakeups` for the caller to wake; its children are
    /// another matter: whether it has some, or `None` if it had ended.
    fn end(&self, err: ContextError, cause: Option<&Cause>, wakeups: &mut WakeBatch) -> Option<bool> {
        if self.has_begun_to_end() {
            return None;
        }
        let mut state = self.state.lock();
        if self.err.load(Ordering::Relaxed) != 0 {
            return None;
        }
        if let Some(cause) = cause {
            _ = self.cause.set(Box::new(cause.clone()));
        }
        self.err.store(err.number(), Ordering::Release);
        if let Some(alarm) = &self.alarm {
            // SAFETY: who holds the lock is the owner. (Its waker has a reference to this, which is not the last: the caller
            // has one.)
            unsafe { alarm.clear() };
        }
        let (funcs, has_children) = match &mut state.below {
            Some(below) => (mem::take(&mut below.funcs), !below.children.is_empty()),
            None => (BTreeMap::new(), false),
        };
        let kept = state.kept.take();
        // Nobody queues up any more.
        loop {
            if wakeups.is_full() {
                drop(state);
                wakeups.wake_all();
                state = self.state.lock();
            }
            let Some(winner) = state.waiters.pop_winner() else { break };
            wakeups.push(winner.complete(Status::Done));
        }
        drop(state);
        // Nobody sets it any more but one who closes it as well.
        if let Some(done) = self.done.get() {
            done.0.close_with(wakeups);
        }
        self.settled.store(true, Ordering::Release);
        if !funcs.is_empty() {
            // One that can't start any more is dropped: somebody's code, which may wait for one of these.
            wakeups.wake_all();
            funcs.into_values().for_each(Func::start);
        }
        // Not the last one: the caller has a reference.
        drop(kept);
        Some(has_children)
    }

    // ---- children ----

    /// Links `child`, or says how this has ended.
    pub(super) fn link(&self, child: &Node) -> Result<(), ContextError> {
        let mut state = self.state.lock();
        if let Some(err) = ContextError::of(self.err.load(Ordering::Relaxed)) {
            return Err(err);
        }
        let children = &mut state.below().children;
        child.scope().place.store(children.len(), Ordering::Relaxed);
        children.push(child);
        Ok(())
    }

    /// Takes `child` out of the list if it is there.
    pub(super) fn unlink(&self, child: &Node) {
        let place = &child.scope().place;
        if place.load(Ordering::Acquire) == UNLINKED {
            return;
        }
        let mut state = self.state.lock();
        let gap = place.load(Ordering::Relaxed);
        if gap == UNLINKED {
            return;
        }
        place.store(UNLINKED, Ordering::Release);
        let children = &mut state.below().children;
        if self.err.load(Ordering::Relaxed) != 0 {
            children[gap] = ptr::null();
            return;
        }
        children.swap_remove(gap);
        if let Some(&moved) = children.get(gap) {
            // SAFETY: what is linked unlinks itself, under this lock, before it is freed.
            unsafe { (*moved).scope().place.store(gap, Ordering::Relaxed) };
        }
        let (len, capacity) = (children.len(), children.capacity());
        if capacity > KEPT && len < capacity / 4 {
            children.shrink_to(capacity / 2);
        }
    }

    /// Takes some children out of the list of a context that has ended, those that somebody still has. Whether there are more.
    fn take_children(&self, into: &mut Vec<NodeRef>) -> bool {
        let mut state = self.state.lock();
        let Some(below) = &mut state.below else { return false };
        let from = below.taken;
        let to = below.children.len().min(from + BATCH);
        below.taken = to;
        for &child in &below.children[from..to] {
            prefetch_whole(child);
        }
        for &child in &below.children[from..to] {
            // SAFETY: as in `unlink`; and as long as the place is not `UNLINKED` it does so.
            if let Some(child) = unsafe { child.as_ref() } {
                into.extend(child.upgrade());
                child.scope().place.store(UNLINKED, Ordering::Release);
            }
        }
        if to < below.children.len() {
            return true;
        }
        below.taken = 0;
        let all = mem::take(&mut below.children);
        drop(state);
        drop(all);
        false
    }

    #[cfg(test)]
    pub(super) fn count_children(&self) -> usize {
        let state = self.state.lock();
        let Some(below) = &state.below else { return 0 };
        below.children[below.taken..].iter().filter(|child| !child.is_null()).count()
    }

    // ---- functions ----

    /// Has `func` start at the end; its number, or what it is now that it has ended.
    pub(super) fn add_func(&self, func: Func) -> Option<u64> {
        let mut state = self.state.lock();
        if self.err.load(Ordering::Relaxed) != 0 {
            drop(state);
            func.start();
            return None;
        }
        let below = state.below();
        let number = below.next_func;
        below.next_func += 1;
        below.funcs.insert(number, func);
        Some(number)
    }

    /// The function of that number, if it has not been started.
    pub(super) fn remove_func(&self, number: u64) -> Option<Func> {
        self.state.lock().below.as_mut()?.funcs.remove(&number)
    }
}

// SAFETY: the state is shared. `err` is set, and waiters are popped afterwards, under the lock under which they queue and leave.
unsafe impl Occurs for Scope {
    fn has_occurred(&self) -> bool {
        self.ended().is_some()
    }

    unsafe fn queue(&self, node: &WaitNode) -> bool {
        let mut state = self.state.lock();
        let is_open = self.err.load(Ordering::Relaxed) == 0;
        if is_open {
            // SAFETY: passed on.
            unsafe { state.waiters.push(node) };
        }
        is_open
    }

    unsafe fn leave(&self, node: &WaitNode) {
        // SAFETY: passed on.
        unsafe { self.state.lock().waiters.remove(node) };
    }
}

impl Tells for Scope {
    fn tell(&self, things: &mut Vec<Thing>) {
        things.push(Thing::new("a context", End::Anybody));
    }
}

/// What never ends.
pub(super) struct Never;

impl Tells for Never {
    fn tell(&self, things: &mut Vec<Thing>) {
        things.push(Thing::new("a context that can't be cancelled", End::Nobody));
    }
}

// SAFETY: no node is ever queued.
unsafe impl Occurs for Never {
    fn has_occurred(&self) -> bool {
        false
    }

    unsafe fn queue(&self, _: &WaitNode) -> bool {
        true
    }

    unsafe fn leave(&self, _: &WaitNode) {}
}

// ---- the tree ----

/// Ends a context that can be cancelled, and all below it. Nothing if it has ended.
pub(super) fn cancel(node: &Node, err: ContextError, cause: Option<Cause>) {
    // It may have been left alone for as long as its owner waited, and most of it is wanted, now or when it is dropped.
    prefetch_whole(node);
    if !node.scope().has_begun_to_end() {
        cancel_all(node, err, cause);
    }
}

/// Not a part of [`cancel`]: its frame is a kilobyte, and whoever gives up a context that has ended long ago would touch that much of his stack,
/// which has not been in the cache since he began to wait.
#[inline(never)]
fn cancel_all(node: &Node, err: ContextError, cause: Option<Cause>) {
    let scope = node.scope();
    let mut wakeups = WakeBatch::new();
    let Some(has_children) = scope.end(err, cause.as_ref(), &mut wakeups) else { return };
    if let Some(above) = node.above() {
        above.scope().unlink(node);
    }
    if !has_children {
        return;
    }
    let (mut stack, mut batch) = (vec![node.to_ref()], Vec::with_capacity(BATCH));
    let mut ended = Vec::with_capacity(BATCH);
    while let Some(top) = stack.last() {
        let is_done = !top.get().scope().take_children(&mut batch);
        if is_done {
            stack.pop();
        }
        prefetch_waiters(&batch);
        for child in batch.drain(..) {
            let scope = child.get().scope();
            // One that has ended by itself meanwhile sees to its children itself.
            match scope.end(err, cause.as_ref(), &mut wakeups) {
                Some(true) => stack.push(child),
                _ => ended.push(child),
            }
        }
        wakeups.wake_all();
        // The last reference to one frees it, and values of its ancestors, whose destructors are somebody's code.
        ended.clear();
    }
}

/// Has the processor fetch what ending these will touch. Who waits for a child has been parked for as long as that lives, so neither the
/// child's channel nor the waiter's stack is in the cache, nor are their pages in the processor's table, and each is found through the
/// one before: for all at once, the steps overlap. (But not across the taking of a lock, which waits for what was begun
/// before it. So addresses are collected first.)
fn prefetch_waiters(children: &[NodeRef]) {
    if children.len() < 2 {
        return;
    }
    let mut nodes = [ptr::null(); BATCH];
    for (child, node) in children.iter().zip(&mut nodes) {
        let scope = child.get().scope();
        *node = scope.state.lock().waiters.oldest();
    }
    let dones = || children.iter().filter_map(|child| child.get().scope().done.get());
    for (_, done) in dones() {
        done.prefetch();
    }
    for node in &mut nodes {
        WaitNode::prefetch(mem::replace(node, ptr::null()));
    }
    for ((_, done), node) in dones().zip(&mut nodes) {
        *node = done.oldest_waiter();
    }
    for node in nodes {
        WaitNode::prefetch(node);
    }
}

/// Makes a context that can be cancelled.
pub(super) fn start(node: &NodeRef) {
    let (this, scope) = (node.get(), node.get().scope());
    if let Some(above) = this.above()
        && let Err(err) = above.scope().link(this)
    {
        cancel(this, err, above.scope().cause().cloned());
    } else if let Some(deadline) = scope.deadline.filter(|_| scope.has_own_deadline()) {
        if deadline <= Instant::now() {
            cancel(this, ContextError::DeadlineExceeded, None);
        } else {
            scope.set_alarm(&Waker::from(Arc::new(Expiry(SelfRef::to(this)))), deadline);
        }
    }
}

/// If its deadline has passed and nobody has noticed (a goroutine that computes keeps its worker from its timers), ends
/// what it is the deadline of.
#[cold]
pub(super) fn check_deadline(node: &Node) {
    let now = Instant::now();
    let mut at = Some(node);
    while let Some(node) = at {
        let scope = node.scope();
        if scope.deadline.is_none_or(|deadline| deadline > now) {
            return;
        }
        if scope.has_own_deadline() {
            // An ancestor's may have been the earlier one.
            let above =
                node.above().map(Node::scope).filter(|above| above.deadline.is_some_and(|at| at <= now));
            if above.is_none() {
                return cancel(node, ContextError::DeadlineExceeded, None);
            }
        }
        at = node.above();
    }
}

impl Scope {
    fn set_alarm(&self, waker: &Waker, deadline: Instant) {
        let state = self.state.lock();
        if self.err.load(Ordering::Relaxed) == 0
            && let Some(alarm) = &self.alarm
        {
            // SAFETY: who holds the lock is the owner; the alarm is in a box of the node's, and cleared as that is dropped.
            // (A waker that it may drop has a reference that is not the last: the caller has one.)
            unsafe { alarm.set(deadline, waker) };
        }
        drop(state);
    }
}

/// The waker of a deadline's alarm.
struct Expiry(SelfRef);

impl Wake for Expiry {
    fn wake(self: Arc<Self>) {
        let node = self.0.get();
        let Kind::Cancel(scope) = node.kind() else { return };
        match scope.deadline {
            // Its worker has ended before time.
            Some(deadline) if deadline > Instant::now() => {
                scope.set_alarm(&Waker::from(self.clone()), deadline);
            }
            _ => cancel(node, ContextError::DeadlineExceeded, None),
        }
    }
}
