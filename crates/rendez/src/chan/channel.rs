//! What both endpoints share: the buffer, the two queues and the rules of hand-off.
//!
//! # Protocol
//!
//! Everything but the counts of endpoints is under one [`BiasedLock`]. Under it these hold:
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
//! A [`Select`](crate::Select) that offers a send brings no value before it has been chosen: its node has no packet. It
//! does not count as a waiting sender in rule 1: who takes a value finds none there. But a receiver that is about to wait
//! beside it is promised to it, and a slot that comes free is kept for it in its turn, both until it is given the value. A
//! receiver that does not wait so long leaves the value to the next, as if it had been handed it and given it back.
//! (Both waits are decided at once. To tell a select to try again instead would decide its wait without a match; three
//! that offer to each other in a ring would tell each other so for ever.)
//!
//! Timers' channels, and `never()`, are closed in this sense from birth and have a clock: see [`clock`](super::clock).
//!
//! The ends of each side are counted ([`end`](super::end)): when the last of a side goes, the channel is
//! closed; when the last receiver goes, what is buffered is dropped too, outside the lock.

use super::{
    Receiver, Sender, TryRecvError,
    clock::Clock,
    state::{Refusal, State},
};
use crate::{
    label::Label,
    lock::{BiasedGuard, BiasedLock},
    primitives::{
        atomic::{AtomicUsize, Ordering},
        prefetch_whole,
    },
    time::Instant,
    wait::{
        self, Awaited, End, Node, Outcome, Reason, Searcher, Seat, Status, Tells, Thing, Waiter, WakeBatch,
    },
};
use std::{cell::UnsafeCell, convert::Infallible, mem, mem::MaybeUninit, panic::Location, ptr};

pub(super) struct Channel<T> {
    pub(super) state: BiasedLock<State<T>>,
    /// `usize::MAX` stands for unbounded, [`SENDERS_END`] for a channel that receivers can't close.
    pub(super) capacity: usize,
    /// What a channel without senders has in their place; touched under the lock.
    pub(super) clock: Option<Box<Clock>>,
    /// The counts are for [`end`](super::end) to see to.
    pub(super) senders: AtomicUsize,
    pub(super) receivers: AtomicUsize,
    pub(super) refs: AtomicUsize,
    pub(super) label: Label,
    pub(super) made: &'static Location<'static>,
    /// Who is to be told that it has closed.
    #[cfg(not(loom))]
    pub(super) end_watch: super::closed::EndWatch,
}

/// The capacity of a channel that its receivers can't close, and through which nothing is ever sent: of values that can't be made.
/// It is a rendezvous for all who look.
const SENDERS_END: usize = usize::MAX - 1;

/// Where a value waits to be handed over, or is handed to.
pub(super) type Packet<T> = UnsafeCell<MaybeUninit<T>>;

pub(super) enum Side {
    Senders,
    Receivers,
}

/// Why an operation that was ready to wait has not happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    Closed,
    TimedOut,
}

/// How a receive's wait has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waited {
    Done,
    Closed,
    TimedOut,
    /// It is to begin anew.
    Retry,
}

#[cfg_attr(loom, allow(dead_code))]
impl Channel<Infallible> {
    /// One that only its sender closes.
    #[track_caller]
    pub(super) fn ended_by_its_sender() -> (Sender<Infallible>, Receiver<Infallible>) {
        Self::pair_of(SENDERS_END)
    }
}

impl<T> Channel<T> {
    #[track_caller]
    pub(super) fn pair(capacity: Option<usize>) -> (Sender<T>, Receiver<T>) {
        Self::pair_of(capacity.map_or(usize::MAX, |capacity| capacity.min(SENDERS_END - 1)))
    }

    #[track_caller]
    fn pair_of(capacity: usize) -> (Sender<T>, Receiver<T>) {
        let made = Location::caller();
        let (senders, receivers) = Self::with_ends(|| Self::new(capacity, None, made));
        (Sender { channel: senders }, Receiver { channel: receivers })
    }

    fn is_the_senders(&self) -> bool {
        self.capacity == SENDERS_END
    }

    #[track_caller]
    pub(super) fn never() -> Receiver<T> {
        let made = Location::caller();
        Receiver { channel: Self::with_receiver(|_| Self::with_clock(Clock::never(), made)) }
    }

    pub(super) fn with_clock(clock: Clock, made: &'static Location<'static>) -> Self {
        Self::new(0, Some(Box::new(clock)), made)
    }

    fn new(capacity: usize, clock: Option<Box<Clock>>, made: &'static Location<'static>) -> Self {
        Channel {
            state: BiasedLock::new(State::new(clock.is_some())),
            capacity,
            clock,
            senders: AtomicUsize::new(1),
            receivers: AtomicUsize::new(1),
            refs: AtomicUsize::new(0),
            label: Label::new(),
            made,
            #[cfg(not(loom))]
            end_watch: Default::default(),
        }
    }

    pub(super) fn capacity(&self) -> Option<usize> {
        match self.capacity {
            usize::MAX => None,
            SENDERS_END => Some(0),
            capacity => Some(capacity),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.state.lock().buffer.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.is_the_senders() || !self.state.lock().has_room(self.capacity)
    }

    pub(super) fn is_closed(&self) -> bool {
        let state = self.state.lock();
        match &self.clock {
            None => state.closed,
            Some(clock) => clock.is_closed(),
        }
    }

    // ---- send ----

    /// Moves the value at `from` on without waiting, or says why not with the lock still held.
    ///
    /// # Safety
    /// `from` holds a value, which has been moved if the answer is `Ok`.
    #[inline(always)]
    pub(super) unsafe fn offer(&self, from: *const T) -> Result<(), (Refusal, BiasedGuard<'_, State<T>>)> {
        // SAFETY: passed on.
        unsafe { State::give(self.state.lock(), self.capacity, from, Searcher::Plain) }
    }

    /// # Safety
    /// As for [`offer`](Self::offer).
    #[inline(always)]
    pub(super) unsafe fn try_send(&self, from: *const T) -> Result<(), Refusal> {
        // SAFETY: passed on.
        unsafe { self.offer(from) }.map_err(|(refusal, _)| refusal)
    }

    /// # Safety
    /// As for [`offer`](Self::offer). A shutdown unwinds with the value dropped.
    #[inline(always)]
    pub(super) unsafe fn send(&self, from: *mut T, deadline: Option<Instant>) -> Result<(), Failure> {
        // SAFETY: passed on.
        match unsafe { self.offer(from) } {
            Ok(()) => Ok(()),
            Err((Refusal::Closed, _)) => Err(Failure::Closed),
            Err((_, state)) => {
                if !Self::IS_SMALL {
                    // SAFETY: passed on; the value is still there.
                    return unsafe { self.send_waiting(from, deadline, state) };
                }
                // SAFETY: the value is still there, and moved; back, if it could not be sent.
                unsafe {
                    let from = from.cast::<MaybeUninit<T>>();
                    let mut value = from.read();
                    let result = self.send_waiting(value.as_mut_ptr(), deadline, state);
                    if result.is_err() {
                        from.write(value);
                    }
                    result
                }
            }
        }
    }

    /// Small values go through registers as long as nobody has to wait: the place that others see is another one, made when
    /// it comes to that, so that the caller's need not exist.
    const IS_SMALL: bool = mem::size_of::<T>() <= 2 * mem::size_of::<usize>();

    #[cfg_attr(not(debug_assertions), inline(always))]
    unsafe fn send_waiting(
        &self,
        from: *mut T,
        deadline: Option<Instant>,
        mut state: BiasedGuard<'_, State<T>>,
    ) -> Result<(), Failure> {
        let seat = Seat::new(from.cast());
        seat.take();
        let Seat { node, waiter } = &seat;
        // SAFETY: node, waiter and packet stay in this frame or the caller's until the wait is decided and the node out of
        // the queue; nothing in between unwinds.
        unsafe { state.senders.push(node) };
        drop(state);
        let outcome = waiter.wait_in_place(deadline, Awaited::of(Reason::ChanSend, self));
        match outcome {
            Outcome::Arm(_) if node.status() == Status::Done => return Ok(()),
            Outcome::Arm(_) => return Err(Failure::Closed),
            Outcome::TimedOut | Outcome::Cancelled => {}
        }
        // SAFETY: this node is queued here or nowhere.
        unsafe { self.state.lock().senders.remove(node) };
        if outcome == Outcome::Cancelled {
            // SAFETY: nobody took the value, and nobody can reach it any more.
            unsafe { ptr::drop_in_place(from) };
            wait::unwind_cancelled();
        }
        Err(Failure::TimedOut)
    }

    /// Queues an async send for which there is no room now.
    ///
    /// # Safety
    /// As for [`send_or_queue`](Self::send_or_queue) if that answers `Err(Refusal::Wait)`.
    pub(super) unsafe fn queue_sender(&self, mut state: BiasedGuard<'_, State<T>>, node: &Node) {
        // SAFETY: passed on.
        unsafe { state.senders.push(node) };
    }

    /// An async send with its node: done, closed, or queued.
    ///
    /// # Safety
    /// `from` holds a value, and `node` points to it and to a live waiter; if the answer is `Err(Refusal::Wait)`, none of
    /// them moves or ends before the node has left the queue.
    pub(super) unsafe fn send_or_queue(&self, from: *const T, node: &Node) -> Result<(), Refusal> {
        // SAFETY: passed on.
        unsafe {
            match self.offer(from) {
                Err((Refusal::Wait, state)) => {
                    self.queue_sender(state, node);
                    Err(Refusal::Wait)
                }
                other => other.map_err(|(refusal, _)| refusal),
            }
        }
    }

    // ---- receive ----

    /// Moves a value to `into` without waiting, or says why not with the lock still held.
    ///
    /// # Safety
    /// `into` can be written, and has been if the answer is `Ok`.
    #[inline(always)]
    pub(super) unsafe fn take(&self, into: *mut T) -> Result<(), (Refusal, BiasedGuard<'_, State<T>>)> {
        // SAFETY: passed on.
        unsafe { State::get(self.state.lock(), self.capacity, into, Searcher::Plain) }
    }

    /// Whether a receive would wait, where that can be seen with less than an attempt; else `false`.
    #[inline(always)]
    pub(super) fn has_nothing(&self) -> bool {
        let looks_empty =
            |state: &State<T>| state.buffer.is_empty() && state.senders.is_empty() && !state.closed;
        self.state.lock_if_biased().is_some_and(|state| looks_empty(&state))
    }

    /// # Safety
    /// As for [`take`](Self::take).
    #[inline(always)]
    pub(super) unsafe fn take_now(&self, into: *mut T) -> Result<(), Refusal> {
        // SAFETY: passed on.
        unsafe {
            match self.take(into) {
                Err((Refusal::Closed, state)) => {
                    self.take_timed(state, into, Searcher::Plain).map_err(|(refusal, _)| refusal)
                }
                other => other.map_err(|(refusal, _)| refusal),
            }
        }
    }

    /// # Safety
    /// As for [`take`](Self::take).
    #[inline(always)]
    pub(super) unsafe fn try_recv(&self, into: *mut T) -> Result<(), TryRecvError> {
        // SAFETY: passed on.
        unsafe { self.take_now(into) }.map_err(|refusal| match refusal {
            Refusal::Closed => TryRecvError::Closed,
            _ => TryRecvError::Empty,
        })
    }

    /// # Safety
    /// As for [`take`](Self::take).
    #[inline(always)]
    pub(super) unsafe fn recv(&self, into: *mut T, deadline: Option<Instant>) -> Result<(), Failure> {
        loop {
            // SAFETY: passed on.
            match unsafe { self.take(into) } {
                Ok(()) => return Ok(()),
                // SAFETY: passed on.
                Err((Refusal::Closed, state)) => return unsafe { self.recv_timed(state, into, deadline) },
                Err((_, state)) => {
                    let waited = if Self::IS_SMALL {
                        let mut value = MaybeUninit::<T>::uninit();
                        // SAFETY: it can be written, and so can `into`.
                        unsafe {
                            let waited = self.recv_waiting(value.as_mut_ptr(), deadline, state);
                            if waited == Waited::Done {
                                into.cast::<MaybeUninit<T>>().write(value);
                            }
                            waited
                        }
                    } else {
                        // SAFETY: passed on.
                        unsafe { self.recv_waiting(into, deadline, state) }
                    };
                    match waited {
                        Waited::Done => return Ok(()),
                        Waited::Closed => return Err(Failure::Closed),
                        Waited::TimedOut => return Err(Failure::TimedOut),
                        Waited::Retry => {}
                    }
                }
            }
        }
    }

    /// Waits for a value, in the queue.
    ///
    /// # Safety
    /// `into` can be written, and has been if the answer is `Done`.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) unsafe fn recv_waiting(
        &self,
        into: *mut T,
        deadline: Option<Instant>,
        mut state: BiasedGuard<'_, State<T>>,
    ) -> Waited {
        let seat = Seat::new(into.cast());
        seat.take();
        let Seat { node, waiter } = &seat;
        // SAFETY: as in `send_waiting`.
        if let Some(told) = unsafe { state.queue_receiver(node) } {
            // SAFETY: the lock has not been left since it was promised.
            let withheld = unsafe { waiter.withhold() };
            drop(state);
            told.wake();
            waiter.expect(withheld);
        } else {
            drop(state);
        }
        let outcome = waiter.wait_in_place(deadline, Awaited::of(Reason::ChanReceive, self));
        match outcome {
            Outcome::Arm(_) => match node.status() {
                Status::Done => Waited::Done,
                Status::Retry => Waited::Retry,
                Status::Closed | Status::Pending | Status::Linked | Status::DoneForAll => {
                    self.prefetch();
                    Waited::Closed
                }
            },
            Outcome::TimedOut | Outcome::Cancelled => {
                // SAFETY: this node is queued here or nowhere.
                unsafe { self.state.lock().unqueue_receiver(node) };
                if outcome == Outcome::Cancelled {
                    wait::unwind_cancelled();
                }
                Waited::TimedOut
            }
        }
    }

    /// Queues an async receive for which there is nothing now.
    ///
    /// # Safety
    /// As for [`recv_or_queue`](Self::recv_or_queue) if that answers `Err(Refusal::Wait)`.
    pub(super) unsafe fn queue_receiver(&self, mut state: BiasedGuard<'_, State<T>>, node: &Node) {
        // SAFETY: passed on.
        let told = unsafe { state.queue_receiver(node) };
        drop(state);
        drop(told);
    }

    /// An async receive with its node: a value, the end, or queued.
    ///
    /// # Safety
    /// `node` points to the empty packet `into` and to a live waiter; if the answer is `Err(Refusal::Wait)`, none of them
    /// moves or ends before the node has left the queue.
    pub(super) unsafe fn recv_or_queue(&self, into: *mut T, node: &Node) -> Result<(), Refusal> {
        // SAFETY: passed on.
        unsafe {
            match self.take(into) {
                Err((Refusal::Wait, state)) => {
                    self.queue_receiver(state, node);
                    Err(Refusal::Wait)
                }
                Err((Refusal::Closed, state)) => self.queue_timed(state, into, node),
                other => other.map_err(|(refusal, _)| refusal),
            }
        }
    }

    /// Takes back the value at `from`, which was handed to a receiver that is dropped before it could return it.
    ///
    /// # Safety
    /// `from` holds a value, which is moved.
    pub(super) unsafe fn give_back(&self, from: *const T) {
        if let Some(clock) = &self.clock {
            // SAFETY: passed on.
            return unsafe { self.give_back_timed(clock, from) };
        }
        let mut state = self.state.lock();
        if let Some(receiver) = state.receivers.pop_winner() {
            // SAFETY: as in `give`.
            unsafe { ptr::copy_nonoverlapping(from, receiver.packet().cast::<T>(), 1) };
            let wakeup = receiver.complete(Status::Done);
            drop(state);
            wakeup.wake();
        } else {
            // SAFETY: passed on.
            unsafe { state.buffer.push_front(from) };
        }
    }

    // ---- leaving ----

    /// Takes the node of a dropped future out of its queue. Afterwards the future's wait is decided and its node is
    /// nobody else's.
    ///
    /// # Safety
    /// `node` belongs to `waiter` and is, if at all, queued at this side of this channel.
    pub(super) unsafe fn leave(&self, side: Side, waiter: &Waiter, node: &Node) {
        waiter.end();
        // SAFETY: passed on.
        unsafe { self.unqueue(side, node) };
    }

    /// Has the processor fetch all of it: for who is about to close it, or was woken by that and is about to drop his end.
    #[inline(always)]
    pub(super) fn prefetch(&self) {
        prefetch_whole(self);
    }

    /// The receiver that has waited longest, for its address alone.
    #[cfg_attr(loom, allow(dead_code))]
    pub(super) fn oldest_receiver(&self) -> *const Node {
        self.state.lock().receivers.oldest()
    }

    /// Closes the channel and wakes everybody: receivers first, then senders, then who watches for it. `false` if it was closed before.
    pub(super) fn close(&self) -> bool {
        // Who drops the last end of a channel that has been closed is not to touch as much of his stack as a batch takes.
        (self.clock.is_some() || !self.state.lock().closed) && self.close_open()
    }

    #[inline(never)]
    fn close_open(&self) -> bool {
        self.close_with(&mut WakeBatch::new())
    }

    /// As [`close`](Self::close), but who is last to be woken is left in `batch`, for the caller to wake.
    pub(super) fn close_with(&self, batch: &mut WakeBatch) -> bool {
        if self.clock.is_some() {
            return self.close_timed();
        }
        let mut state = self.state.lock();
        if mem::replace(&mut state.closed, true) {
            return false;
        }
        loop {
            if batch.is_full() {
                drop(state);
                batch.wake_all();
                state = self.state.lock();
            }
            let winner = state.receivers.pop_winner().or_else(|| state.senders.pop_winner());
            let Some(winner) = winner else { break };
            batch.push(winner.complete(Status::Closed));
        }
        drop(state);
        #[cfg(not(loom))]
        self.end_watch.tell(batch);
        true
    }

    /// As [`close`](Self::close), by a receiver.
    pub(super) fn close_by_receiver(&self) -> bool {
        !self.is_the_senders() && self.close()
    }

    /// The last end of `side` goes: that closes the channel, and the last receiver drops what is buffered.
    pub(super) fn end_of(&self, side: Side) {
        self.close();
        if matches!(side, Side::Receivers) {
            let buffer = self.state.lock().take_buffer();
            drop(buffer);
        }
    }

    /// All that was done to the state has been done before this: what loom checks, where the channel is about to be freed.
    #[inline(always)]
    pub(super) fn last_look(&mut self) {
        #[cfg(loom)]
        self.state.check_exclusive();
    }

    pub(super) fn count(&self, side: Side) -> &AtomicUsize {
        match side {
            Side::Senders => &self.senders,
            Side::Receivers => &self.receivers,
        }
    }

    /// For `Debug` of the endpoints.
    pub(super) fn describe(&self, name: &str, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct(name)
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .field("closed", &self.is_closed())
            .finish()
    }
}

impl<T> Tells for Channel<T> {
    fn tell(&self, things: &mut Vec<Thing>) {
        let (what, end) = match &self.clock {
            Some(clock) if clock.is_never() => ("a nil channel", End::Nobody),
            Some(_) => ("a timer's channel", End::Anybody),
            None => {
                let (senders, receivers) = (&self.senders, &self.receivers);
                let [senders, receivers] = [senders, receivers].map(|count| count.load(Ordering::Relaxed));
                ("channel", End::Ends { senders, receivers, word: ptr::from_ref(self).addr() })
            }
        };
        things.push(Thing {
            of: Some(std::any::type_name::<T>()),
            name: self.label.get(),
            made: Some(self.made),
            ..Thing::new(what, end)
        });
    }
}
