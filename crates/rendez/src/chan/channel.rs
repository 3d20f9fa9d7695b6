//! What both endpoints share: the buffer, the two queues and the rules of hand-off.
//!
//! # Protocol
//!
//! Everything but the counts of endpoints is under one [`SpinLock`]. Under it these hold:
//!
//! 1. A receiver waits only while the buffer is empty and no sender waits; so a send that finds a waiting receiver may
//!    bypass the buffer and stay in order.
//! 2. A sender waits only while the buffer is full (`len >= capacity`, always true for a rendezvous) and no receiver
//!    waits. A receive that frees a slot moves the oldest waiting sender's value into it at once.
//! 3. Once `closed`, nobody waits: `close` wakes the receivers, then the senders, and nobody queues up any more.
//! 4. No user code runs under the lock: no destructor, no waker, no clone. Values are moved by plain copies between the
//!    frames of the two sides. (A buffer may allocate under it.)
//!
//! A value is in exactly one place: the sender's packet (node queued, or status not `Done`), the buffer, or the receiver's
//! packet (status `Done`). An async receiver that is dropped after a value was put into its packet gives it back by
//! [`Channel::give_back`]: to the oldest waiting receiver, else to the *front* of the buffer, which may thereby hold one
//! value more than the capacity, so that later values stay behind it.
//!
//! The endpoints are counted apart from the reference count of the memory: when the last of a side goes, the channel is
//! closed; when the last receiver goes, what is buffered is dropped too, outside the lock.

use super::{Receiver, RecvTimeoutError, SendTimeoutError, Sender, TryRecvError, TrySendError};
use crate::{
    lock::{SpinGuard, SpinLock},
    primitives::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
    wait::{self, Node, Outcome, Reason, Status, WaitQueue, Waiter, WakeBatch},
};
use std::{cell::UnsafeCell, collections::VecDeque, mem, mem::MaybeUninit};

pub(super) struct Channel<T> {
    state: SpinLock<State<T>>,
    /// `usize::MAX` stands for unbounded.
    capacity: usize,
    /// Nil channels can't be closed.
    never: bool,
    pub(super) senders: AtomicUsize,
    pub(super) receivers: AtomicUsize,
}

pub(super) struct State<T> {
    buffer: VecDeque<T>,
    receivers: WaitQueue,
    senders: WaitQueue,
    closed: bool,
}

/// The memory of an emptied unbounded buffer is given back when it is larger than this.
const KEPT_BYTES: usize = 64 * 1024;

/// Where a value waits to be handed over, or is handed to.
pub(super) type Packet<T> = UnsafeCell<MaybeUninit<T>>;

pub(super) enum Side {
    Senders,
    Receivers,
}

impl<T> Channel<T> {
    pub(super) fn pair(capacity: Option<usize>) -> (Sender<T>, Receiver<T>) {
        let channel = Arc::new(Self::new(capacity.unwrap_or(usize::MAX), false));
        (Sender { channel: channel.clone() }, Receiver { channel })
    }

    pub(super) fn never() -> Receiver<T> {
        Receiver { channel: Arc::new(Self::new(0, true)) }
    }

    fn new(capacity: usize, never: bool) -> Self {
        Channel {
            state: SpinLock::new(State {
                buffer: VecDeque::new(),
                receivers: WaitQueue::new(),
                senders: WaitQueue::new(),
                closed: false,
            }),
            capacity,
            never,
            senders: AtomicUsize::new(1),
            receivers: AtomicUsize::new(1),
        }
    }

    pub(super) fn capacity(&self) -> Option<usize> {
        (self.capacity != usize::MAX).then_some(self.capacity)
    }

    pub(super) fn len(&self) -> usize {
        self.state.lock().buffer.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.state.lock().buffer.len() >= self.capacity
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    // ---- send ----

    /// Hands `value` over without waiting, or gives it back with the lock still held.
    #[inline(always)]
    fn offer(&self, value: T) -> Result<(), (TrySendError<T>, SpinGuard<'_, State<T>>)> {
        let mut state = self.state.lock();
        if state.closed {
            return Err((TrySendError::Closed(value), state));
        }
        if !state.receivers.is_empty()
            && let Some(receiver) = state.receivers.pop_winner()
        {
            // SAFETY: a node in `receivers` has an empty packet of this channel's `T`; having won it, we alone fill it.
            unsafe { receiver.packet().cast::<T>().write(value) };
            let wakeup = receiver.complete(Status::Done);
            drop(state);
            wakeup.wake();
            return Ok(());
        }
        if state.buffer.len() < self.capacity {
            state.buffer.push_back(value);
            return Ok(());
        }
        Err((TrySendError::Full(value), state))
    }

    pub(super) fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        wait::spend_budget();
        match self.offer(value) {
            Ok(()) => Ok(()),
            Err((error, state)) => {
                drop(state);
                Err(error)
            }
        }
    }

    #[inline]
    pub(super) fn send(&self, value: T, deadline: Option<Instant>) -> Result<(), SendTimeoutError<T>> {
        wait::spend_budget();
        match self.offer(value) {
            Ok(()) => Ok(()),
            Err((TrySendError::Closed(value), state)) => {
                drop(state);
                Err(SendTimeoutError::Closed(value))
            }
            Err((TrySendError::Full(value), state)) => self.send_waiting(value, deadline, state),
        }
    }

    fn send_waiting(
        &self,
        value: T,
        deadline: Option<Instant>,
        mut state: SpinGuard<'_, State<T>>,
    ) -> Result<(), SendTimeoutError<T>> {
        let packet: Packet<T> = UnsafeCell::new(MaybeUninit::new(value));
        let waiter = Waiter::current();
        let node = Node::new(&waiter, 0, packet.get().cast());
        // SAFETY: node, waiter and packet stay in this frame until the wait is decided and the node out of the queue;
        // nothing in between unwinds.
        unsafe { state.senders.push(&node) };
        drop(state);
        let outcome = waiter.wait(deadline, Reason::ChanSend);
        if let Outcome::Arm(_) = outcome
            && node.status() == Status::Done
        {
            return Ok(());
        }
        if !matches!(outcome, Outcome::Arm(_)) {
            // SAFETY: this node is queued here or nowhere.
            unsafe { self.state.lock().senders.remove(&node) };
        }
        // SAFETY: the status is not `Done`, so nobody took the value, and nobody can reach the packet any more.
        let value = unsafe { packet.into_inner().assume_init() };
        match outcome {
            Outcome::Arm(_) => Err(SendTimeoutError::Closed(value)),
            Outcome::TimedOut => Err(SendTimeoutError::Timeout(value)),
            Outcome::Cancelled => {
                drop(value);
                wait::unwind_cancelled()
            }
        }
    }

    /// The first poll of an async send: done, closed, or queued with the value left in `packet`.
    ///
    /// # Safety
    /// `packet` holds a value and `node` points to it and to a live waiter; if the answer is `None`, neither moves nor
    /// ends before the node has left the queue.
    pub(super) unsafe fn send_or_queue(&self, packet: &Packet<T>, node: &Node) -> Option<Result<(), T>> {
        // SAFETY: the packet is full, by contract, and nobody else can reach it yet.
        let value = unsafe { (*packet.get()).assume_init_read() };
        match self.offer(value) {
            Ok(()) => Some(Ok(())),
            Err((TrySendError::Closed(value), state)) => {
                drop(state);
                Some(Err(value))
            }
            Err((TrySendError::Full(value), mut state)) => {
                // SAFETY: still ours; the lock is held, so nobody sees the node before the value is back in place.
                unsafe {
                    (*packet.get()).write(value);
                    state.senders.push(node);
                }
                None
            }
        }
    }

    // ---- receive ----

    /// Takes a value without waiting, or says why not with the lock still held.
    #[inline(always)]
    fn take(&self) -> Result<T, (TryRecvError, SpinGuard<'_, State<T>>)> {
        let mut state = self.state.lock();
        if let Some(value) = state.buffer.pop_front() {
            let mut wakeup = None;
            if state.buffer.len() < self.capacity
                && !state.senders.is_empty()
                && !state.closed
                && let Some(sender) = state.senders.pop_winner()
            {
                // SAFETY: a node in `senders` has a full packet of this channel's `T`; having won it, we alone empty it.
                state.buffer.push_back(unsafe { sender.packet().cast::<T>().read() });
                wakeup = Some(sender.complete(Status::Done));
            }
            let surplus = (state.buffer.is_empty()
                && self.capacity == usize::MAX
                && state.buffer.capacity().saturating_mul(mem::size_of::<T>()) > KEPT_BYTES)
                .then(|| mem::take(&mut state.buffer));
            drop(state);
            drop(wakeup);
            drop(surplus);
            return Ok(value);
        }
        // Senders that are still queued at a closed channel are about to get their values back.
        if !state.senders.is_empty()
            && !state.closed
            && let Some(sender) = state.senders.pop_winner()
        {
            // SAFETY: as above.
            let value = unsafe { sender.packet().cast::<T>().read() };
            let wakeup = sender.complete(Status::Done);
            drop(state);
            wakeup.wake();
            return Ok(value);
        }
        let error = if state.closed { TryRecvError::Closed } else { TryRecvError::Empty };
        Err((error, state))
    }

    pub(super) fn try_recv(&self) -> Result<T, TryRecvError> {
        // Before the value is taken: spending may yield, and a shutdown may end the goroutine there.
        wait::spend_budget();
        match self.take() {
            Ok(value) => Ok(value),
            Err((error, state)) => {
                drop(state);
                Err(error)
            }
        }
    }

    #[inline]
    pub(super) fn recv(&self, deadline: Option<Instant>) -> Result<T, RecvTimeoutError> {
        // Before the value is taken: spending may yield, and a shutdown may end the goroutine there.
        wait::spend_budget();
        match self.take() {
            Ok(value) => Ok(value),
            Err((TryRecvError::Closed, state)) => {
                drop(state);
                Err(RecvTimeoutError::Closed)
            }
            Err((TryRecvError::Empty, state)) => self.recv_waiting(deadline, state),
        }
    }

    fn recv_waiting(
        &self,
        deadline: Option<Instant>,
        mut state: SpinGuard<'_, State<T>>,
    ) -> Result<T, RecvTimeoutError> {
        let packet: Packet<T> = UnsafeCell::new(MaybeUninit::uninit());
        let waiter = Waiter::current();
        let node = Node::new(&waiter, 0, packet.get().cast());
        // SAFETY: as in `send_waiting`.
        unsafe { state.receivers.push(&node) };
        drop(state);
        let outcome = waiter.wait(deadline, Reason::ChanReceive);
        match outcome {
            Outcome::Arm(_) if node.status() == Status::Done => {
                // SAFETY: the status says that a sender has filled the packet, and the wait is decided.
                Ok(unsafe { packet.into_inner().assume_init() })
            }
            Outcome::Arm(_) => Err(RecvTimeoutError::Closed),
            Outcome::TimedOut | Outcome::Cancelled => {
                // SAFETY: this node is queued here or nowhere.
                unsafe { self.state.lock().receivers.remove(&node) };
                if outcome == Outcome::Cancelled {
                    wait::unwind_cancelled();
                }
                Err(RecvTimeoutError::Timeout)
            }
        }
    }

    /// The first poll of an async receive: a value, the end, or queued.
    ///
    /// # Safety
    /// `node` points to an empty packet of this `T` and to a live waiter; if the answer is `None`, neither moves nor ends
    /// before the node has left the queue.
    pub(super) unsafe fn recv_or_queue(&self, node: &Node) -> Option<Option<T>> {
        match self.take() {
            Ok(value) => Some(Some(value)),
            Err((TryRecvError::Closed, state)) => {
                drop(state);
                Some(None)
            }
            Err((TryRecvError::Empty, mut state)) => {
                // SAFETY: passed on.
                unsafe { state.receivers.push(node) };
                None
            }
        }
    }

    /// A value that was handed to an async receiver which is dropped before it could return it.
    pub(super) fn give_back(&self, value: T) {
        let mut state = self.state.lock();
        if let Some(receiver) = state.receivers.pop_winner() {
            // SAFETY: as in `offer`.
            unsafe { receiver.packet().cast::<T>().write(value) };
            let wakeup = receiver.complete(Status::Done);
            drop(state);
            wakeup.wake();
        } else {
            state.buffer.push_front(value);
        }
    }

    // ---- leaving ----

    /// Takes the node of a dropped future out of its queue. Afterwards the future's wait is decided and its node is
    /// nobody else's.
    ///
    /// # Safety
    /// `node` belongs to `waiter` and is, if at all, queued at this side of this channel.
    pub(super) unsafe fn leave(&self, side: Side, waiter: &Waiter, node: &Node) {
        let mut state = self.state.lock();
        // Winners complete under the lock that we hold, so the wait is either open or wholly decided.
        waiter.cancel();
        let queue = match side {
            Side::Senders => &mut state.senders,
            Side::Receivers => &mut state.receivers,
        };
        // SAFETY: passed on.
        unsafe { queue.remove(node) };
    }

    /// Closes the channel and wakes everybody: receivers first, then senders. `false` if it was closed before.
    pub(super) fn close(&self) -> bool {
        if self.never {
            return false;
        }
        let mut batch = WakeBatch::new();
        let mut state = self.state.lock();
        if mem::replace(&mut state.closed, true) {
            return false;
        }
        loop {
            let winner = state.receivers.pop_winner().or_else(|| state.senders.pop_winner());
            let Some(winner) = winner else { break };
            batch.push(winner.complete(Status::Closed));
            if batch.is_full() {
                drop(state);
                batch.wake_all();
                state = self.state.lock();
            }
        }
        drop(state);
        batch.wake_all();
        true
    }

    pub(super) fn add(&self, side: Side) {
        let count = self.count(side).fetch_add(1, Ordering::Relaxed);
        assert!(count < usize::MAX / 2, "too many endpoints of one channel");
    }

    /// One endpoint of `side` goes; the last one closes the channel, and the last receiver drops what is buffered.
    pub(super) fn subtract(&self, side: Side) {
        let receivers = matches!(side, Side::Receivers);
        if self.count(side).fetch_sub(1, Ordering::AcqRel) != 1 {
            return;
        }
        self.close();
        if receivers {
            let buffer = mem::take(&mut self.state.lock().buffer);
            drop(buffer);
        }
    }

    fn count(&self, side: Side) -> &AtomicUsize {
        match side {
            Side::Senders => &self.senders,
            Side::Receivers => &self.receivers,
        }
    }

    /// For `Debug` of the endpoints.
    pub(super) fn describe(&self, name: &str, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (len, closed) = {
            let state = self.state.lock();
            (state.buffer.len(), state.closed)
        };
        f.debug_struct(name)
            .field("len", &len)
            .field("capacity", &self.capacity())
            .field("closed", &closed)
            .finish()
    }
}
