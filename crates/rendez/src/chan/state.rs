//! The state of a channel and the hand-off: how a value goes from a sender to a receiver or through the buffer, told of
//! the state alone. Everything here runs under the channel's lock.

use super::ring::Ring;
use crate::lock::BiasedGuard;
use crate::primitives::{rarely, seldom};
use crate::wait::{Contended, Node, Searcher, Status, WaitQueue, Wakeup, Wanted};
use std::{mem, ptr};

/// What is under a channel's lock; the rules are at the head of `channel`.
pub(super) struct State<T> {
    pub(super) buffer: Ring<T>,
    pub(super) receivers: WaitQueue,
    pub(super) senders: WaitQueue,
    /// Slots that are kept free for sends that have been chosen and not been given their values.
    pub(super) reserved: usize,
    /// Nobody sends any more. Of a channel that has a clock always true.
    pub(super) closed: bool,
}

/// The memory of an emptied unbounded buffer is given back when it is larger than this.
const KEPT_BYTES: usize = 64 * 1024;

/// Why an operation can't happen at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It would have to wait.
    Wait,
    Closed,
    /// The select that asks is to let go of its wait and try again.
    Contended,
}

impl From<Contended> for Refusal {
    fn from(_: Contended) -> Self {
        Refusal::Contended
    }
}

/// What a send that has been chosen before it has its value has reserved.
#[must_use = "redeem it or give it back: a receiver or a slot waits for it"]
#[derive(Debug)]
pub(super) enum Ticket {
    /// The one that the node is linked with.
    Receiver,
    Slot,
    Closed,
}

/// The state while its lock is held.
pub(super) type Locked<'a, T> = BiasedGuard<'a, State<T>>;

impl<T> State<T> {
    pub(super) fn new(closed: bool) -> Self {
        State {
            buffer: Ring::new(),
            receivers: WaitQueue::new(),
            senders: WaitQueue::new(),
            reserved: 0,
            closed,
        }
    }

    /// What is buffered, to be dropped after the lock.
    pub(super) fn take_buffer(&mut self) -> Ring<T> {
        mem::replace(&mut self.buffer, Ring::new())
    }

    /// Moves the value at `from` to a waiting receiver, or into the buffer, and leaves the lock; else gives that back.
    ///
    /// (The wake-up is carried out here, in the branch that makes it: handed to the caller within a `Result`, it
    /// costs every send a copy of that, in pieces that the processor can't forward from store to load: 10 ns.)
    ///
    /// # Safety
    /// `from` holds a value, which has been moved if the answer is `Ok`.
    #[inline(always)]
    pub(super) unsafe fn give<'a>(
        mut state: Locked<'a, T>,
        capacity: usize,
        from: *const T,
        by: Searcher<'_>,
    ) -> Result<(), (Refusal, Locked<'a, T>)> {
        if rarely(state.closed) {
            return Err((Refusal::Closed, state));
        }
        if !state.receivers.is_empty() {
            let receiver = match by {
                Searcher::Plain => state.receivers.pop_winner(),
                by => match state.receivers.pop_winner_where(Wanted::Any, by) {
                    Ok(receiver) => receiver,
                    Err(Contended) => return Err((Refusal::Contended, state)),
                },
            };
            if let Some(receiver) = receiver {
                by.settle();
                // SAFETY: a node in `receivers` has an empty packet of this channel's `T`; having won it, we alone fill it.
                unsafe { ptr::copy_nonoverlapping(from, receiver.packet().cast::<T>(), 1) };
                let wakeup = receiver.complete(Status::Done);
                drop(state);
                wakeup.wake();
                return Ok(());
            }
            seldom();
        }
        if state.has_room(capacity) {
            by.settle();
            // SAFETY: passed on.
            unsafe { state.buffer.push(from) };
            return Ok(());
        }
        Err((Refusal::Wait, state))
    }

    /// Moves the oldest value to `into`, out of the buffer or from a waiting sender, and leaves the lock; else gives that
    /// back.
    ///
    /// # Safety
    /// `into` can be written, and has been if the answer is `Ok`.
    #[inline(always)]
    pub(super) unsafe fn get<'a>(
        mut state: Locked<'a, T>,
        capacity: usize,
        into: *mut T,
        by: Searcher<'_>,
    ) -> Result<(), (Refusal, Locked<'a, T>)> {
        // SAFETY: passed on.
        if unsafe { state.buffer.pop(into) } {
            by.settle();
            if !state.senders.is_empty() {
                Self::refill_and_leave(state, capacity);
                return Ok(());
            }
            if rarely(capacity == usize::MAX) {
                state.shrink_if_emptied();
            }
            return Ok(());
        }
        // Senders that are still queued at a closed channel are about to get their values back.
        if !state.senders.is_empty() && !state.closed {
            let sender = match by {
                Searcher::Plain => state.senders.pop_winner_with_packet(),
                by => match state.senders.pop_winner_where(Wanted::Packet, by) {
                    Ok(sender) => sender,
                    Err(Contended) => return Err((Refusal::Contended, state)),
                },
            };
            if let Some(sender) = sender {
                by.settle();
                // SAFETY: a node in `senders` that has a packet has a full one of this channel's `T`; having won it, we
                // alone empty it.
                unsafe { ptr::copy_nonoverlapping(sender.packet().cast::<T>(), into, 1) };
                let wakeup = sender.complete(Status::Done);
                drop(state);
                wakeup.wake();
                return Ok(());
            }
            seldom();
        }
        let refusal = if state.closed { Refusal::Closed } else { Refusal::Wait };
        Err((refusal, state))
    }

    /// The last value has been taken out of an unbounded buffer, perhaps.
    fn shrink_if_emptied(&mut self) {
        if self.buffer.is_empty() && self.buffer.bytes() > KEPT_BYTES {
            self.buffer.shrink();
        }
    }

    #[inline(always)]
    pub(super) fn has_room(&self, capacity: usize) -> bool {
        // Neither comes near overflowing: there is memory behind each.
        self.buffer.len().wrapping_add(self.reserved) < capacity
    }

    /// A slot has come free, and there are senders: see [`refill`](Self::refill).
    // Once in many receives: not in the midst of them.
    #[inline(never)]
    fn refill_and_leave(mut state: Locked<'_, T>, capacity: usize) {
        if let Some(wakeup) = state.refill(capacity) {
            drop(state);
            wakeup.wake();
        }
    }

    /// A slot may have come free: moves the oldest waiting sender's value into it.
    #[inline(always)]
    pub(super) fn refill(&mut self, capacity: usize) -> Option<Wakeup> {
        if self.senders.is_empty() || self.closed || !self.has_room(capacity) {
            return None;
        }
        let sender = self.senders.pop_winner()?;
        let packet = sender.packet().cast::<T>();
        if packet.is_null() {
            // A select that offers a send: the slot is kept for it.
            self.reserved += 1;
            return Some(sender.complete(Status::Done));
        }
        // SAFETY: as in `get`.
        unsafe { self.buffer.push(packet) };
        Some(sender.complete(Status::Done))
    }

    /// What a send needs whose value is not there yet: a receiver, or a slot.
    ///
    /// # Safety
    /// `node` is in no queue, and neither moves nor ends before the ticket has been redeemed or given up.
    pub(super) unsafe fn reserve(
        &mut self,
        capacity: usize,
        node: &Node,
        by: Searcher<'_>,
    ) -> Result<Ticket, Refusal> {
        if self.closed {
            by.settle();
            return Ok(Ticket::Closed);
        }
        // SAFETY: passed on.
        if !self.receivers.is_empty() && unsafe { self.receivers.promise(node, by)? } {
            by.settle();
            return Ok(Ticket::Receiver);
        }
        if self.has_room(capacity) {
            by.settle();
            self.reserved += 1;
            return Ok(Ticket::Slot);
        }
        Err(Refusal::Wait)
    }

    /// Takes a receiver's node out of the queue, or the promise of it back.
    ///
    /// # Safety
    /// If it is queued at all, it is queued here.
    pub(super) unsafe fn unqueue_receiver(&mut self, node: &Node) {
        if node.unlink().is_none() {
            // SAFETY: passed on.
            unsafe { self.receivers.remove(node) };
        }
    }

    /// A receiver is about to wait: has it promised to a select that offers a send, if one waits. `None`: there is none.
    ///
    /// # Safety
    /// `node` is the receiver's, in no queue, and its waiter held by the caller or shown to nobody yet; if the answer is
    /// `Some`, none of them moves or ends before it has been completed or [unqueued](Self::unqueue_receiver).
    #[cold]
    pub(super) unsafe fn meet_offer(
        &mut self,
        node: &Node,
        by: Searcher<'_>,
    ) -> Result<Option<Wakeup>, Contended> {
        let offer = self.senders.pop_winner_where(Wanted::NoPacket, by)?;
        // SAFETY: passed on.
        Ok(offer.map(|offer| unsafe { offer.promise(node) }))
    }

    /// Queues a receiver that has found nothing, or has it promised to a select that offers a send. The wake-up is for after
    /// the lock.
    ///
    /// # Safety
    /// As for [`WaitQueue::push`], and nobody has been shown the node's waiter yet.
    #[inline(always)]
    pub(super) unsafe fn queue_receiver(&mut self, node: &Node) -> Option<Wakeup> {
        if !self.senders.is_empty()
            // SAFETY: passed on.
            && let Ok(Some(wakeup)) = unsafe { self.meet_offer(node, Searcher::Plain) }
        {
            return Some(wakeup);
        }
        // SAFETY: passed on.
        unsafe { self.receivers.push(node) };
        None
    }

    /// What a select that offered a send has got when its wait was decided here; `None` if it is gone again.
    ///
    /// # Safety
    /// As for [`reserve`](Self::reserve).
    pub(super) unsafe fn granted(&mut self, capacity: usize, node: &Node) -> Option<Ticket> {
        match node.status() {
            Status::Linked => Some(Ticket::Receiver),
            Status::Done => Some(Ticket::Slot),
            Status::Closed => Some(Ticket::Closed),
            // It was promised a receiver that could not wait so long; there may be another.
            Status::Pending | Status::Retry | Status::DoneForAll => {
                // SAFETY: passed on.
                unsafe { self.reserve(capacity, node, Searcher::Plain).ok() }
            }
        }
    }
}
