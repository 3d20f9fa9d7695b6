//! Nodes and the FIFO queues they stand in: intrusive, doubly linked, so that queueing never allocates and a waiter that
//! gives up leaves in constant time.

use super::{
    Waiter, Wakeup,
    waiter::{Claim, Win, Withheld},
};
use crate::primitives::{Cell, LINE, prefetch, rarely};
use std::{marker::PhantomPinned, ptr};

/// What the peer did with a node, told to its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// Nothing yet.
    Pending,
    /// The packet has been filled (a receiver) or emptied (a sender), or the awaited thing has happened.
    Done,
    /// As `Done`, and for everybody who waited: who does not want it has nothing to pass on.
    DoneForAll,
    /// The source was closed; the packet is as the owner left it.
    Closed,
    /// Something has changed here: the owner is to begin its operation anew.
    Retry,
    /// The node is linked with another one, of which one is promised to the other's owner.
    Linked,
}

/// No worker has this number.
const NO_HOME: u32 = 0;

/// One waiter's place in one queue. All fields but `waiter` belong to whoever holds the source's lock while the node is
/// queued, else to the owner; see the head of [`wait`](super).
#[derive(Debug)]
pub struct Node {
    prev: Cell<*const Node>,
    next: Cell<*const Node>,
    queued: Cell<bool>,
    status: Cell<Status>,
    arm: Cell<u32>,
    /// The worker on which its owner waits, if the owner is a goroutine that waits for nothing else; else [`NO_HOME`].
    #[cfg_attr(loom, allow(dead_code, reason = "loom has no workers"))]
    home: Cell<u32>,
    waiter: Cell<*const Waiter>,
    packet: Cell<*mut ()>,
    /// Others write to a queued node while its owner has `&mut` to what it is part of. Such a reference promises the
    /// compiler that nobody does, unless to a type that is not `Unpin`: and none is that holds a node.
    _shared: PhantomPinned,
}

/// A waiter of the calling goroutine or thread with its only node: whoever wakes it goes from the one to the other, on a stack that
/// may not be in the cache, so they lie beside each other.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) node: Node,
    pub(crate) waiter: Waiter,
}

impl Seat {
    /// To be [`taken`](Self::take) where it stays.
    #[inline(always)]
    pub(crate) fn new(packet: *mut ()) -> Seat {
        let node = Node::new(ptr::null(), 0, packet);
        #[cfg(not(loom))]
        node.home.set(crate::lock::worker().unwrap_or(NO_HOME));
        Seat { node, waiter: Waiter::current() }
    }

    /// From now on it does not move.
    #[inline(always)]
    pub(crate) fn take(&self) {
        self.node.waiter.set(&self.waiter);
    }
}

impl Node {
    /// Has the processor fetch a node, and what is about it, for its waiter is in the same frame as a rule. Nothing of null.
    #[cfg_attr(loom, allow(dead_code))]
    pub(crate) fn prefetch(node: *const Node) {
        if node.is_null() {
            return;
        }
        let at = node.cast::<u8>();
        for at in [at.wrapping_sub(LINE), at, at.wrapping_add(LINE)] {
            prefetch(at);
        }
    }

    /// A node that is in no queue. Before it is queued, `waiter` must be set if it is null here.
    #[inline]
    pub(crate) fn new(waiter: *const Waiter, arm: u32, packet: *mut ()) -> Node {
        Node {
            prev: Cell::new(ptr::null()),
            next: Cell::new(ptr::null()),
            queued: Cell::new(false),
            status: Cell::new(Status::Pending),
            arm: Cell::new(arm),
            home: Cell::new(NO_HOME),
            waiter: Cell::new(waiter),
            packet: Cell::new(packet),
            _shared: PhantomPinned,
        }
    }

    /// Tries to win its waiter, under the lock of the source where it is queued.
    ///
    /// On the owner's own thread a wait for one thing alone is won by a plain store, between whose look and whose write
    /// nobody else can decide it:
    /// * peers come under the lock that the caller holds, since the waiter has no other node; and one to whom it was promised
    ///   as well, but then it is not queued;
    /// * its time limit, a shutdown and the owner itself are on this thread. (A goroutine never changes its thread, and no
    ///   two workers of the process have the same number, one after another included. An owner that is not a goroutine, as
    ///   when a destructor waits on the worker's own stack, keeps the thread while it waits, so no claim is made here then.)
    ///
    /// # Safety
    /// The waiter is there, as it is while the node is queued.
    #[inline(always)]
    unsafe fn claim(&self) -> bool {
        // SAFETY: by contract.
        let waiter = unsafe { &*self.waiter.get() };
        #[cfg(not(loom))]
        if crate::lock::worker() == Some(self.home.get()) {
            return waiter.claim_here();
        }
        waiter.claim()
    }

    /// Points a node that is in no queue to its waiter and packet (both move with a future until it is first polled).
    pub(crate) fn aim(&self, waiter: *const Waiter, arm: u32, packet: *mut ()) {
        debug_assert!(!self.queued.get());
        self.waiter.set(waiter);
        self.arm.set(arm);
        self.packet.set(packet);
        self.status.set(Status::Pending);
    }

    #[inline]
    pub(crate) fn status(&self) -> Status {
        self.status.get()
    }

    /// The status of a node that is in no queue, which is then `Pending` again.
    pub(crate) fn take_status(&self) -> Status {
        self.status.replace(Status::Pending)
    }

    /// Gives a node that is in no queue another packet.
    pub(crate) fn carry(&self, packet: *mut ()) {
        debug_assert!(!self.queued.get());
        self.packet.set(packet);
    }

    /// [Withholds](Waiter::withhold) the waiter of a node that its owner has yet to queue, and will call a waker before it
    /// goes to sleep.
    ///
    /// # Safety
    /// The node points to a live waiter, none of whose nodes has been queued.
    pub(crate) unsafe fn withhold(&self) -> Withheld {
        // SAFETY: by contract; nobody else knows of the waiter.
        unsafe { (*self.waiter.get()).withhold() }
    }

    /// The owner may be woken again; see [`Waiter::expect`].
    ///
    /// # Safety
    /// The owner calls this, before its waiter ends.
    pub(crate) unsafe fn expect(&self, withheld: Withheld) {
        // SAFETY: by contract.
        unsafe { (*self.waiter.get()).expect(withheld) };
    }

    /// Links two nodes that are in no queue.
    fn link(&self, other: &Node) {
        for (one, other) in [(self, other), (other, self)] {
            debug_assert!(!one.queued.get());
            one.prev.set(other);
            one.status.set(Status::Linked);
        }
    }

    /// Cuts the link, if there is one, and returns its other end. Under the lock under which it was made.
    pub(crate) fn unlink(&self) -> Option<*const Node> {
        if self.status.get() != Status::Linked {
            return None;
        }
        let other = self.prev.get();
        self.status.set(Status::Pending);
        // SAFETY: a linked node lives until the link has been cut, by this function, under this lock.
        unsafe { (*other).status.set(Status::Pending) };
        Some(other)
    }

    /// Takes the waiter for good that was promised to this node's owner, or says that it could not wait so long. Under the
    /// lock under which it was promised.
    pub(crate) fn redeem(&self) -> Option<Winner> {
        let node = self.unlink()?;
        // SAFETY: the link was there, so the other node is, and its waiter.
        unsafe { (*(*node).waiter.get()).redeem().then_some(Winner { node }) }
    }
}

/// A waiter that this thread has won: carry the packet over, then [`complete`](Winner::complete) it.
#[must_use = "a won waiter sleeps for ever unless it is completed"]
#[derive(Debug)]
pub(crate) struct Winner {
    node: *const Node,
}

impl Winner {
    /// Where the owner's value is, or where it is to go.
    #[inline]
    pub(crate) fn packet(&self) -> *mut () {
        // SAFETY: between claim and completion the owner's frame, and the node in it, stay.
        unsafe { (*self.node).packet.get() }
    }

    /// Tells the owner what happened and takes over the duty to wake it.
    #[inline]
    pub(crate) fn complete(self, status: Status) -> Wakeup {
        // SAFETY: as in `packet`; a `Winner` exists only after a successful claim and is consumed here.
        unsafe {
            let node = &*self.node;
            node.status.set(status);
            (*node.waiter.get()).complete(node.arm.get() as usize)
        }
    }

    /// Tells the owner, who will come with a value later, that the waiter of `node` is promised to it. Both are decided by
    /// this: the one completely, the other but for the value.
    ///
    /// # Safety
    /// `node` is in no queue, and its waiter held by its owner, which calls this, or shown to nobody yet.
    #[inline]
    pub(crate) unsafe fn promise(self, node: &Node) -> Wakeup {
        // SAFETY: as in `packet`, and by contract.
        unsafe {
            let holder = &*self.node;
            holder.link(node);
            (*node.waiter.get()).promise();
            self.complete(Status::Linked)
        }
    }
}

/// Which nodes a search is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wanted {
    Any,
    /// Those that bring a packet.
    Packet,
    /// Those that bring none: they come with it when they have been won.
    NoPacket,
}

/// Who looks for a peer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Searcher<'a> {
    /// One that stands in no queue.
    Plain,
    /// A select with nodes in queues, which holds its own wait.
    Holding(&'a Waiter),
}

impl Searcher<'_> {
    /// The searcher has matched by itself: if it is a select, its own wait is decided by that.
    #[inline(always)]
    pub(crate) fn settle(self) {
        if let Searcher::Holding(me) = self {
            me.settle();
        }
    }
}

/// A peer holds its own wait, as the searching select does, and goes first: the select is to let go and try again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contended;

/// A FIFO queue of nodes. It lives under its source's lock.
#[derive(Debug)]
pub(crate) struct WaitQueue {
    head: *const Node,
    tail: *const Node,
}

// SAFETY: the queue is reached only under its source's lock, and the nodes it points to are kept alive by their owners
// until they have left it (the contract of `push`).
unsafe impl Send for WaitQueue {}

impl WaitQueue {
    pub(crate) const fn new() -> WaitQueue {
        WaitQueue { head: ptr::null(), tail: ptr::null() }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.head.is_null()
    }

    /// Queues `node` behind the others.
    ///
    /// # Safety
    /// The node is in no queue, points to a live waiter, and neither moves nor ends before it has left this queue: the
    /// owner must either see it popped (its wait decided by an arm of this node) or `remove` it under the lock.
    #[inline]
    pub(crate) unsafe fn push(&mut self, node: &Node) {
        debug_assert!(!node.queued.get());
        node.prev.set(self.tail);
        node.next.set(ptr::null());
        node.queued.set(true);
        // Most often it is the only one.
        if rarely(!self.tail.is_null()) {
            // SAFETY: a queued node lives until it leaves the queue.
            unsafe { (*self.tail).next.set(node) };
        } else {
            self.head = node;
        }
        self.tail = node;
    }

    /// Queues `node` ahead of the others.
    ///
    /// # Safety
    /// As for [`push`](Self::push).
    pub(crate) unsafe fn push_front(&mut self, node: &Node) {
        debug_assert!(!node.queued.get());
        node.prev.set(ptr::null());
        node.next.set(self.head);
        node.queued.set(true);
        if self.head.is_null() {
            self.tail = node;
        } else {
            // SAFETY: a queued node lives until it leaves the queue.
            unsafe { (*self.head).prev.set(node) };
        }
        self.head = node;
    }

    /// The oldest node, for its address alone.
    #[cfg_attr(loom, allow(dead_code))]
    pub(crate) fn oldest(&self) -> *const Node {
        self.head
    }

    /// The packet of the oldest node.
    pub(crate) fn front(&self) -> Option<*mut ()> {
        // SAFETY: as above.
        unsafe { self.head.as_ref() }.map(|node| node.packet.get())
    }

    /// Pops the oldest node, of a queue that is not empty: won, or dropped from the queue because its wait was decided
    /// elsewhere.
    pub(crate) fn pop_front(&mut self) -> Option<Winner> {
        assert!(!self.head.is_null());
        // SAFETY: there is a head.
        unsafe { self.pop_oldest() }
    }

    /// Takes `node` out if it is still here.
    ///
    /// # Safety
    /// If the node is queued at all, it is queued in this queue.
    pub(crate) unsafe fn remove(&mut self, node: &Node) -> bool {
        if !node.queued.replace(false) {
            return false;
        }
        let (prev, next) = (node.prev.get(), node.next.get());
        if prev.is_null() {
            self.head = next;
        } else {
            // SAFETY: neighbours in the queue are queued, so they live.
            unsafe { (*prev).next.set(next) };
        }
        if next.is_null() {
            self.tail = prev;
        } else {
            // SAFETY: as above.
            unsafe { (*next).prev.set(prev) };
        }
        true
    }

    /// Pops nodes, oldest first, until one is won. Nodes whose wait was decided elsewhere are dropped from the queue:
    /// their owners will not look for them here.
    #[inline]
    pub(crate) fn pop_winner(&mut self) -> Option<Winner> {
        if self.head.is_null() {
            return None;
        }
        // SAFETY: there is a head.
        let winner = unsafe { self.pop_oldest() };
        winner.or_else(|| self.pop_younger(Wanted::Any))
    }

    /// # Safety
    /// There is a head.
    #[inline(always)]
    unsafe fn pop_oldest(&mut self) -> Option<Winner> {
        let node = self.head;
        // SAFETY: a queued node lives until it leaves the queue, and its owner can't remove it while we hold the lock; its
        // waiter lives as long.
        unsafe {
            self.pop_head();
            (*node).claim().then_some(Winner { node })
        }
    }

    /// The oldest has not been won: goes on with those behind it.
    #[cold]
    #[inline(never)]
    fn pop_younger(&mut self, wanted: Wanted) -> Option<Winner> {
        self.pop_winner_where(wanted, Searcher::Plain).unwrap_or(None)
    }

    /// # Safety
    /// There is a head.
    #[inline(always)]
    unsafe fn pop_head(&mut self) {
        // SAFETY: queued nodes live until they have left the queue.
        unsafe {
            let node = self.head;
            let next = (*node).next.get();
            // It lies on a stack that may not have been touched for long.
            prefetch(next);
            self.head = next;
            if next.is_null() {
                self.tail = ptr::null();
            } else {
                (*next).prev.set(ptr::null());
            }
            (*node).queued.set(false);
        }
    }

    /// As [`pop_winner`](Self::pop_winner), of the nodes that bring a packet.
    #[inline]
    pub(crate) fn pop_winner_with_packet(&mut self) -> Option<Winner> {
        // SAFETY: a queued node lives until it leaves the queue.
        let brings = unsafe { self.head.as_ref() }.is_some_and(|node| !node.packet.get().is_null());
        // SAFETY: there is a head.
        let winner = if brings { unsafe { self.pop_oldest() } } else { None };
        winner.or_else(|| self.pop_younger(Wanted::Packet))
    }

    /// As [`pop_winner`](Self::pop_winner), past nodes that are not `wanted` and those of the searching select itself,
    /// which stay where they are. `Err` only to a select that holds its wait: it is to let go and try again.
    #[cold]
    pub(crate) fn pop_winner_where(
        &mut self,
        wanted: Wanted,
        by: Searcher<'_>,
    ) -> Result<Option<Winner>, Contended> {
        let node = self.pop_won(wanted, by, Win::Now)?;
        Ok(node.map(|node| Winner { node }))
    }

    /// Wins a waiter for the owner of `holder`, who will come with a value later, and links their nodes. Whether there was
    /// one.
    ///
    /// # Safety
    /// `holder` neither moves nor ends before it has been unlinked, under the same lock.
    #[cold]
    pub(crate) unsafe fn promise(&mut self, holder: &Node, by: Searcher<'_>) -> Result<bool, Contended> {
        let node = self.pop_won(Wanted::Any, by, Win::Later)?;
        if let Some(node) = node {
            // SAFETY: its owner's frame ends only after it has cut the link, which it can't while we hold the lock.
            holder.link(unsafe { &*node });
        }
        Ok(node.is_some())
    }

    fn pop_won(
        &mut self,
        wanted: Wanted,
        by: Searcher<'_>,
        win: Win,
    ) -> Result<Option<*const Node>, Contended> {
        let mut next = self.head;
        while !next.is_null() {
            let node = next;
            // SAFETY: as in `pop_winner`.
            unsafe {
                next = (*node).next.get();
                let waiter = (*node).waiter.get();
                let is_mine = match by {
                    Searcher::Plain => false,
                    Searcher::Holding(me) => ptr::eq(me, waiter),
                };
                let is_wanted = match wanted {
                    Wanted::Any => true,
                    Wanted::Packet => !(*node).packet.get().is_null(),
                    Wanted::NoPacket => (*node).packet.get().is_null(),
                };
                if is_mine || !is_wanted {
                    continue;
                }
                let beside = match by {
                    Searcher::Holding(me) => Some(me),
                    Searcher::Plain => None,
                };
                match (*waiter).claim_for(win, beside) {
                    Claim::Contended => return Err(Contended),
                    Claim::Won => {
                        self.remove(&*node);
                        return Ok(Some(node));
                    }
                    Claim::Lost => _ = self.remove(&*node),
                }
            }
        }
        Ok(None)
    }
}
