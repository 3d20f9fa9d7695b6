//! A channel's part in a select: queueing an arm that is not ready, doing one that has become so, and sends whose value
//! comes later. The protocol is at the head of [`wait`](crate::wait).

use super::{
    channel::{Channel, Side},
    state::{Locked, Refusal, State, Ticket},
};
use crate::{
    lock::Backoff,
    wait::{Contended, Node, Searcher, Status, Waiter, Wakeup},
};
use std::ptr;

/// What became of an arm that a select wants to wait with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Queued {
    Waits,
    /// It was ready, the operation is done, and the wait decided by that.
    Done,
    /// The same, but the channel is closed.
    Closed,
    /// A peer has decided the wait at another arm.
    Decided,
}

impl<T> Channel<T> {
    /// Queues the send of a select whose wait is open, or does it if it has become ready meanwhile.
    ///
    /// # Safety
    /// As for [`send_or_queue`](Self::send_or_queue), with `waiter` the select's, which `node` points to.
    pub(super) unsafe fn queue_send(&self, from: *const T, waiter: &Waiter, node: &Node) -> Queued {
        // SAFETY: passed on.
        unsafe {
            self.queue_or_do(
                waiter,
                |state| state.closed || !state.receivers.is_empty() || state.has_room(self.capacity),
                |state| State::give(state, self.capacity, from, Searcher::Holding(waiter)),
                |_| Ok(None),
                |state| state.senders.push(node),
            )
        }
    }

    /// Queues the receive of a select whose wait is open, or does it if it has become ready meanwhile.
    ///
    /// # Safety
    /// As for [`recv_or_queue`](Self::recv_or_queue), with `waiter` the select's, which `node` points to.
    pub(super) unsafe fn queue_recv(&self, into: *mut T, waiter: &Waiter, node: &Node) -> Queued {
        // SAFETY: passed on.
        unsafe {
            self.queue_or_do(
                waiter,
                |state| state.closed || !state.buffer.is_empty() || !state.senders.is_empty(),
                |state| match State::get(state, self.capacity, into, Searcher::Holding(waiter)) {
                    Err((Refusal::Closed, state)) => self.take_timed(state, into, Searcher::Holding(waiter)),
                    other => other,
                },
                |state| state.meet_offer(node, Searcher::Holding(waiter)),
                |state| state.receivers.push(node),
            )
        }
    }

    fn queue_or_do(
        &self,
        waiter: &Waiter,
        may_be_ready: impl Fn(&State<T>) -> bool,
        mut act: impl FnMut(Locked<'_, T>) -> Result<(), (Refusal, Locked<'_, T>)>,
        mut promise: impl FnMut(&mut State<T>) -> Result<Option<Wakeup>, Contended>,
        queue: impl FnOnce(&mut State<T>),
    ) -> Queued {
        let mut backoff = Backoff::new();
        loop {
            let mut state = self.state.lock();
            if may_be_ready(&state) {
                if !waiter.hold() {
                    return Queued::Decided;
                }
                let refusal = match act(state) {
                    Ok(()) => return Queued::Done,
                    Err((refusal, back)) => {
                        state = back;
                        refusal
                    }
                };
                let promised = match refusal {
                    Refusal::Closed => {
                        waiter.settle();
                        return Queued::Closed;
                    }
                    Refusal::Contended => Err(Contended),
                    Refusal::Wait => promise(&mut state),
                };
                match promised {
                    Ok(None) => waiter.release(),
                    Ok(told) => {
                        // SAFETY: the lock has not been left since it was promised.
                        let withheld = unsafe { waiter.withhold() };
                        drop(state);
                        drop(told);
                        waiter.expect(withheld);
                        return Queued::Waits;
                    }
                    Err(Contended) => {
                        waiter.release();
                        drop(state);
                        backoff.pause();
                        continue;
                    }
                }
            }
            queue(&mut state);
            return Queued::Waits;
        }
    }

    /// Takes the node of a select out of its queue.
    ///
    /// # Safety
    /// It is queued, if at all, at this side of this channel.
    pub(super) unsafe fn unqueue(&self, side: Side, node: &Node) {
        let mut state = self.state.lock();
        // SAFETY: passed on.
        unsafe {
            match side {
                Side::Senders => _ = state.senders.remove(node),
                Side::Receivers => state.unqueue_receiver(node),
            }
        }
    }

    /// Reserves what a send needs whose value is not there yet.
    ///
    /// # Safety
    /// As for [`State::reserve`].
    pub(super) unsafe fn reserve(&self, node: &Node) -> Option<Ticket> {
        let mut state = self.state.lock();
        // SAFETY: passed on.
        unsafe { state.reserve(self.capacity, node, Searcher::Plain).ok() }
    }

    /// Queues the offer of a send without a value, or reserves what it needs if it has become ready meanwhile.
    ///
    /// # Safety
    /// As for [`queue_send`](Self::queue_send), but that the node has no packet; and as for [`State::reserve`].
    pub(super) unsafe fn queue_offer(
        &self,
        waiter: &Waiter,
        node: &Node,
        ticket: &mut Option<Ticket>,
    ) -> Queued {
        self.queue_or_do(
            waiter,
            |state| state.closed || !state.receivers.is_empty() || state.has_room(self.capacity),
            // SAFETY: passed on.
            |mut state| match unsafe { state.reserve(self.capacity, node, Searcher::Holding(waiter)) } {
                Ok(reserved) => {
                    *ticket = Some(reserved);
                    Ok(())
                }
                Err(refusal) => Err((refusal, state)),
            },
            |_| Ok(None),
            // SAFETY: passed on.
            |state| unsafe { state.senders.push(node) },
        )
    }

    /// What the offer of a send has got when a peer has decided the select's wait in its favour.
    ///
    /// # Safety
    /// As for [`State::reserve`].
    pub(super) unsafe fn granted(&self, node: &Node) -> Option<Ticket> {
        // SAFETY: passed on.
        unsafe { self.state.lock().granted(self.capacity, node) }
    }

    /// Carries out a send that has been chosen, with the value at `from`. `false` if the channel was closed before.
    ///
    /// # Safety
    /// `ticket` is this channel's, and `node`'s; `from` holds a value, which has been moved if the answer is `true`.
    pub(super) unsafe fn redeem(&self, ticket: Ticket, node: &Node, from: *const T) -> bool {
        let mut state = self.state.lock();
        match ticket {
            Ticket::Closed => return false,
            Ticket::Receiver => {
                if let Some(receiver) = node.redeem() {
                    // SAFETY: as in `give`: it has been won, and is completed here.
                    unsafe { ptr::copy_nonoverlapping(from, receiver.packet().cast::<T>(), 1) };
                    let wakeup = receiver.complete(Status::Done);
                    drop(state);
                    wakeup.wake();
                    return true;
                }
                // It has given up: the value goes where it would have gone if it had given up just after having got it.
            }
            Ticket::Slot => state.reserved -= 1,
        }
        // SAFETY: passed on.
        match unsafe { State::give(state, self.capacity, from, Searcher::Plain) } {
            // If a receiver took the value, the slot is free.
            Ok(()) => {
                let refilled = self.state.lock().refill(self.capacity);
                drop(refilled);
            }
            Err((Refusal::Closed, _)) => return false,
            // The buffer is over-full with what was given back to it, or there is none: it was promised all the same.
            // SAFETY: passed on.
            Err((_, mut state)) => unsafe { state.buffer.push(from) },
        }
        true
    }

    /// Gives back what a send has reserved that will not take place.
    pub(super) fn give_up(&self, ticket: Ticket, node: &Node) {
        let mut state = self.state.lock();
        let wakeup = match ticket {
            Ticket::Closed => None,
            Ticket::Receiver => node.redeem().map(|receiver| receiver.complete(Status::Retry)),
            Ticket::Slot => {
                state.reserved -= 1;
                state.refill(self.capacity)
            }
        };
        drop(state);
        drop(wakeup);
    }
}
