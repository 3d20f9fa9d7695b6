//! The state of a channel and the hand-off: how a value goes from a sender to a receiver or through the buffer, told of
//! the state alone. Everything here runs under the channel's lock.

use super::ring::Ring;
use crate::wait::{Contended, Searcher, Status, WaitQueue, Wakeup, Wanted, Winner};
use std::{mem, ptr};

/// What is under a channel's lock; the rules are at the head of `channel`.
pub(super) struct State<T> {
    pub(super) buffer: Ring<T>,
    pub(super) receivers: WaitQueue,
    pub(super) senders: WaitQueue,
    /// Slots that are kept free for sends that have been chosen and not been given their values.
    pub(super) reserved: usize,
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
    Receiver(Winner),
    Slot,
    Closed,
}

impl<T> State<T> {
    pub(super) fn new() -> Self {
        State {
            buffer: Ring::new(),
            receivers: WaitQueue::new(),
            senders: WaitQueue::new(),
            reserved: 0,
            closed: false,
        }
    }

    /// What is buffered, to be dropped after the lock.
    pub(super) fn take_buffer(&mut self) -> Ring<T> {
        mem::replace(&mut self.buffer, Ring::new())
    }

    /// Moves the value at `from` to a waiting receiver, or into the buffer. The wake-up is for after the lock.
    ///
    /// # Safety
    /// `from` holds a value, which has been moved if the answer is `Ok`.
    #[inline(always)]
    pub(super) unsafe fn give(
        &mut self,
        capacity: usize,
        from: *const T,
        by: Searcher<'_>,
    ) -> Result<Option<Wakeup>, Refusal> {
        if self.closed {
            return Err(Refusal::Closed);
        }
        if !self.receivers.is_empty() {
            let receiver = match by {
                Searcher::Plain => self.receivers.pop_winner(),
                by => self.receivers.pop_winner_where(Wanted::Any, by)?,
            };
            if let Some(receiver) = receiver {
                by.settle();
                // SAFETY: a node in `receivers` has an empty packet of this channel's `T`; having won it, we alone fill it.
                unsafe { ptr::copy_nonoverlapping(from, receiver.packet().cast::<T>(), 1) };
                return Ok(Some(receiver.complete(Status::Done)));
            }
        }
        if self.has_room(capacity) {
            by.settle();
            // SAFETY: passed on.
            unsafe { self.buffer.push(from) };
            return Ok(None);
        }
        Err(Refusal::Wait)
    }

    /// Moves the oldest value to `into`: out of the buffer, or from a waiting sender. The wake-up is for after the lock.
    ///
    /// # Safety
    /// `into` can be written, and has been if the answer is `Ok`.
    #[inline(always)]
    pub(super) unsafe fn get(
        &mut self,
        capacity: usize,
        into: *mut T,
        by: Searcher<'_>,
    ) -> Result<Option<Wakeup>, Refusal> {
        // SAFETY: passed on.
        if unsafe { self.buffer.pop(into) } {
            by.settle();
            let wakeup = self.refill(capacity);
            if capacity == usize::MAX && self.buffer.is_empty() && self.buffer.bytes() > KEPT_BYTES {
                self.buffer.shrink();
            }
            return Ok(wakeup);
        }
        // Senders that are still queued at a closed channel are about to get their values back.
        if !self.senders.is_empty() && !self.closed {
            let sender = match by {
                Searcher::Plain => self.senders.pop_winner_with_packet(),
                by => self.senders.pop_winner_where(Wanted::Packet, by)?,
            };
            if let Some(sender) = sender {
                by.settle();
                // SAFETY: a node in `senders` that has a packet has a full one of this channel's `T`; having won it, we
                // alone empty it.
                unsafe { ptr::copy_nonoverlapping(sender.packet().cast::<T>(), into, 1) };
                return Ok(Some(sender.complete(Status::Done)));
            }
        }
        Err(if self.closed { Refusal::Closed } else { Refusal::Wait })
    }

    #[inline(always)]
    pub(super) fn has_room(&self, capacity: usize) -> bool {
        self.buffer.len().saturating_add(self.reserved) < capacity
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
            return Some(sender.complete(Status::Retry));
        }
        // SAFETY: as in `get`.
        unsafe { self.buffer.push(packet) };
        Some(sender.complete(Status::Done))
    }

    /// What a send needs whose value is not there yet: a receiver, or a slot.
    pub(super) fn reserve(&mut self, capacity: usize, by: Searcher<'_>) -> Result<Ticket, Refusal> {
        if self.closed {
            by.settle();
            return Ok(Ticket::Closed);
        }
        if !self.receivers.is_empty()
            && let Some(receiver) = self.receivers.pop_winner_where(Wanted::Any, by)?
        {
            by.settle();
            return Ok(Ticket::Receiver(receiver));
        }
        if self.has_room(capacity) {
            by.settle();
            self.reserved += 1;
            return Ok(Ticket::Slot);
        }
        Err(Refusal::Wait)
    }

    /// A receiver has queued up: tells a select that offers a send without a value.
    #[inline(always)]
    pub(super) fn tell_offers(&mut self, by: Searcher<'_>) -> Option<Wakeup> {
        if self.senders.is_empty() {
            return None;
        }
        let offer = self.senders.pop_winner_where(Wanted::NoPacket, by).ok()??;
        Some(offer.complete(Status::Retry))
    }
}
