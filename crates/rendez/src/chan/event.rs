//! Channel operations as arms of a select, and as events.

use super::{
    Receiver, RecvError, SendError, Sender,
    arm::Queued,
    channel::{Channel, Packet, Side},
    state::{Refusal, Ticket},
};
use crate::{
    select::{Arm, Event, Operation, Registered, Sealed, Waiting},
    time::Instant,
    wait::{End, Node, Status, Tells, Thing},
};
use std::{
    cell::UnsafeCell,
    fmt,
    mem::{self, MaybeUninit},
    ptr,
};

/// How far an arm has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Idle,
    Registered,
    Done,
    Closed,
    /// Was `Closed`, and the value has gone back to its owner.
    Returned,
}

impl Stage {
    /// After an attempt, or a registration that turned out ready.
    fn of(result: Result<(), Refusal>) -> Stage {
        match result {
            Ok(()) => Stage::Done,
            Err(Refusal::Closed) => Stage::Closed,
            Err(Refusal::Wait | Refusal::Contended) => Stage::Idle,
        }
    }

    fn is_chosen(self) -> bool {
        matches!(self, Stage::Done | Stage::Closed | Stage::Returned)
    }

    fn note(&mut self, queued: Queued) -> Registered {
        let (stage, registered) = match queued {
            Queued::Waits => (Stage::Registered, Registered::Waits),
            Queued::Done => (Stage::Done, Registered::Chosen),
            Queued::Closed => (Stage::Closed, Registered::Chosen),
            Queued::Decided => (Stage::Idle, Registered::Decided),
        };
        *self = stage;
        registered
    }

    /// A peer chose the arm, and told so in `node`. Whether the arm is done.
    fn conclude(&mut self, node: &Node) -> bool {
        if *self == Stage::Idle {
            // What it says is used once: an arm that has been undone must not be taken for done again, since its packet is empty.
            *self = match node.take_status() {
                Status::Done => Stage::Done,
                Status::Closed => Stage::Closed,
                // (No channel grants anything to all.)
                Status::Retry | Status::Pending | Status::Linked | Status::DoneForAll => Stage::Idle,
            };
        }
        self.is_chosen()
    }
}

fn unaimed() -> Node {
    Node::new(ptr::null(), 0, ptr::null_mut())
}

/// A receive that a select may choose; see [`Receiver::recv_event`]. Without a channel it is never ready.
// The first two are neighbours: who looks for one of many that is ready sees those alone of most.
#[must_use = "an event does nothing unless it is waited for"]
#[repr(C)]
pub struct RecvEvent<'a, T> {
    channel: Option<&'a Channel<T>>,
    stage: Stage,
    node: Node,
    packet: Packet<T>,
}

// SAFETY: the raw pointers in the node point into this very value while it is registered, or are other nodes' that are only
// followed under the channel's lock; the value in the packet may go to another thread: `T: Send`.
unsafe impl<T: Send> Send for RecvEvent<'_, T> {}
// SAFETY: nothing can be done through a shared reference.
unsafe impl<T: Send> Sync for RecvEvent<'_, T> {}

impl<'a, T> RecvEvent<'a, T> {
    pub(crate) fn new(receiver: Option<&'a Receiver<T>>) -> Self {
        RecvEvent {
            channel: receiver.map(|receiver| &*receiver.channel),
            stage: Stage::Idle,
            node: unaimed(),
            packet: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }

    fn slot(&self) -> *mut T {
        self.packet.get().cast()
    }

    /// Moves the value out that has been received.
    pub(crate) fn take(&mut self) -> Result<T, RecvError> {
        match mem::replace(&mut self.stage, Stage::Idle) {
            // SAFETY: `Done` says that the packet has been filled, and has just been left.
            Stage::Done => Ok(unsafe { self.slot().read() }),
            Stage::Closed => Err(RecvError),
            Stage::Idle | Stage::Registered | Stage::Returned => {
                unreachable!("a receive that was not chosen has no result")
            }
        }
    }
}

impl<T> Sealed for RecvEvent<'_, T> {}

impl<T> Arm for RecvEvent<'_, T> {
    fn attempt(&mut self) -> bool {
        let Some(channel) = self.channel else { return false };
        if self.stage.is_chosen() {
            return true;
        }
        // SAFETY: the packet is empty while the arm is idle.
        self.stage = Stage::of(unsafe { channel.take_now(self.slot()) });
        self.stage.is_chosen()
    }

    #[inline]
    fn would_wait(&self) -> bool {
        self.channel.is_none_or(|channel| self.stage == Stage::Idle && channel.has_nothing())
    }

    unsafe fn register(&mut self, waiting: Waiting<'_>, first: usize) -> Registered {
        let Some(channel) = self.channel else { return Registered::Waits };
        self.node.aim(waiting.waiter, first as u32, self.slot().cast());
        // SAFETY: passed on: packet and node are in this arm.
        let queued = unsafe { channel.queue_recv(self.slot(), waiting.waiter, &self.node) };
        self.stage.note(queued)
    }

    unsafe fn unregister(&mut self) {
        if self.stage == Stage::Registered
            && let Some(channel) = self.channel
        {
            // SAFETY: queued there by `register`.
            unsafe { channel.unqueue(Side::Receivers, &self.node) };
            self.stage = Stage::Idle;
        }
    }

    fn conclude(&mut self, _: usize) -> bool {
        self.stage.conclude(&self.node)
    }

    fn undo(&mut self) {
        if mem::replace(&mut self.stage, Stage::Idle) == Stage::Done
            && let Some(channel) = self.channel
        {
            // SAFETY: `Done` says that the packet has been filled, and has just been left.
            unsafe { channel.give_back(self.slot()) };
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.channel?.next_deadline()
    }

    fn tell(&self, things: &mut Vec<Thing>) {
        match self.channel {
            Some(channel) => channel.tell(things),
            None => things.push(Thing::new("a nil channel", End::Nobody)),
        }
    }
}

impl<T> Drop for RecvEvent<'_, T> {
    fn drop(&mut self) {
        // Chosen and neither finished nor undone: only if something panicked in between. Nothing is lost.
        self.undo();
    }
}

impl<T> Operation for RecvEvent<'_, T> {
    type Output = Result<T, RecvError>;

    fn finish(&mut self) -> Self::Output {
        self.take()
    }
}

impl<T> Event for RecvEvent<'_, T> {
    type Output = Result<T, RecvError>;
    type Operation = Self;

    fn operation(self) -> Self {
        self
    }
}

/// A send that a select may choose; see [`Sender::send_event`]. Without a channel it is never ready.
#[must_use = "an event does nothing unless it is waited for"]
pub struct SendEvent<'a, T> {
    channel: Option<&'a Channel<T>>,
    stage: Stage,
    node: Node,
    /// Full unless the stage is `Done` or `Returned`.
    packet: Packet<T>,
}

// SAFETY: as for `RecvEvent`.
unsafe impl<T: Send> Send for SendEvent<'_, T> {}
// SAFETY: as for `RecvEvent`.
unsafe impl<T: Send> Sync for SendEvent<'_, T> {}

impl<'a, T> SendEvent<'a, T> {
    pub(crate) fn new(sender: Option<&'a Sender<T>>, value: T) -> Self {
        SendEvent {
            channel: sender.map(|sender| &*sender.channel),
            stage: Stage::Idle,
            node: unaimed(),
            packet: UnsafeCell::new(MaybeUninit::new(value)),
        }
    }

    fn slot(&self) -> *mut T {
        self.packet.get().cast()
    }
}

impl<T> Sealed for SendEvent<'_, T> {}

impl<T> Arm for SendEvent<'_, T> {
    fn attempt(&mut self) -> bool {
        let Some(channel) = self.channel else { return false };
        if self.stage.is_chosen() {
            return true;
        }
        // SAFETY: the packet is full while the arm is idle.
        self.stage = Stage::of(unsafe { channel.try_send(self.slot()) });
        self.stage.is_chosen()
    }

    unsafe fn register(&mut self, waiting: Waiting<'_>, first: usize) -> Registered {
        let Some(channel) = self.channel else { return Registered::Waits };
        self.node.aim(waiting.waiter, first as u32, self.slot().cast());
        // SAFETY: passed on: packet and node are in this arm.
        let queued = unsafe { channel.queue_send(self.slot(), waiting.waiter, &self.node) };
        self.stage.note(queued)
    }

    unsafe fn unregister(&mut self) {
        if self.stage == Stage::Registered
            && let Some(channel) = self.channel
        {
            // SAFETY: queued there by `register`.
            unsafe { channel.unqueue(Side::Senders, &self.node) };
            self.stage = Stage::Idle;
        }
    }

    fn conclude(&mut self, _: usize) -> bool {
        // Until the arm is finished or dropped, its stage says whose the value is.
        self.stage.conclude(&self.node)
    }

    /// The value has gone; there is nothing to give back.
    fn undo(&mut self) {}

    fn tell(&self, things: &mut Vec<Thing>) {
        match self.channel {
            Some(channel) => channel.tell(things),
            None => things.push(Thing::new("a nil channel", End::Nobody)),
        }
    }
}

impl<T> Drop for SendEvent<'_, T> {
    fn drop(&mut self) {
        if !matches!(self.stage, Stage::Done | Stage::Returned) {
            // SAFETY: nobody took the value, and the node is out of every queue.
            unsafe { ptr::drop_in_place(self.slot()) };
        }
    }
}

impl<T> Operation for SendEvent<'_, T> {
    type Output = Result<(), SendError<T>>;

    fn finish(&mut self) -> Self::Output {
        match self.stage {
            Stage::Done => Ok(()),
            Stage::Closed => {
                // The packet is empty from now on.
                self.stage = Stage::Returned;
                // SAFETY: nobody took the value.
                Err(SendError(unsafe { self.slot().read() }))
            }
            Stage::Idle | Stage::Registered | Stage::Returned => {
                unreachable!("a send that was not chosen has no result")
            }
        }
    }
}

impl<T> Event for SendEvent<'_, T> {
    type Output = Result<(), SendError<T>>;
    type Operation = Self;

    fn operation(self) -> Self {
        self
    }
}

/// A send out of an `Option` that keeps its value until it is chosen: `send(tx, take slot)`. Never ready while the slot is
/// empty.
pub struct SendTakeEvent<'a, T> {
    channel: Option<&'a Channel<T>>,
    slot: &'a mut Option<T>,
    stage: Stage,
    node: Node,
    /// The value's place inside the slot while the arm is registered.
    value: *mut T,
}

impl<'a, T> SendTakeEvent<'a, T> {
    pub(crate) fn new(sender: Option<&'a Sender<T>>, slot: &'a mut Option<T>) -> Self {
        SendTakeEvent {
            channel: sender.map(|sender| &*sender.channel),
            slot,
            stage: Stage::Idle,
            node: unaimed(),
            value: ptr::null_mut(),
        }
    }

    /// The value has been moved out of the slot.
    fn emptied(&mut self) {
        if self.stage == Stage::Done {
            // SAFETY: what the slot held has been moved: it is overwritten without being dropped.
            unsafe { ptr::write(self.slot, None) };
        }
    }
}

impl<T> Sealed for SendTakeEvent<'_, T> {}

impl<T> Arm for SendTakeEvent<'_, T> {
    fn attempt(&mut self) -> bool {
        let (Some(channel), Some(value)) = (self.channel, self.slot.as_mut()) else { return false };
        // SAFETY: the slot is full.
        self.stage = Stage::of(unsafe { channel.try_send(value) });
        self.emptied();
        self.stage.is_chosen()
    }

    unsafe fn register(&mut self, waiting: Waiting<'_>, first: usize) -> Registered {
        let (Some(channel), Some(value)) = (self.channel, self.slot.as_mut()) else {
            return Registered::Waits;
        };
        self.value = value;
        self.node.aim(waiting.waiter, first as u32, self.value.cast());
        // SAFETY: passed on: the node is in this arm, and the slot is borrowed by it.
        let queued = unsafe { channel.queue_send(self.value, waiting.waiter, &self.node) };
        let registered = self.stage.note(queued);
        self.emptied();
        registered
    }

    unsafe fn unregister(&mut self) {
        if self.stage == Stage::Registered
            && let Some(channel) = self.channel
        {
            // SAFETY: queued there by `register`.
            unsafe { channel.unqueue(Side::Senders, &self.node) };
            self.stage = Stage::Idle;
        }
    }

    fn conclude(&mut self, _: usize) -> bool {
        let chosen = self.stage.conclude(&self.node);
        self.emptied();
        chosen
    }

    fn undo(&mut self) {}

    fn tell(&self, things: &mut Vec<Thing>) {
        match self.channel {
            Some(channel) => channel.tell(things),
            None => things.push(Thing::new("a nil channel", End::Nobody)),
        }
    }
}

impl<T> Operation for SendTakeEvent<'_, T> {
    type Output = Result<(), SendError<T>>;

    fn finish(&mut self) -> Self::Output {
        match self.stage {
            Stage::Done => Ok(()),
            Stage::Closed => {
                Err(SendError(self.slot.take().expect("a chosen send that failed left its value")))
            }
            Stage::Idle | Stage::Registered | Stage::Returned => {
                unreachable!("a send that was not chosen has no result")
            }
        }
    }
}

/// The offer of a send whose value comes when it has been chosen: an arm of [`Select`](crate::Select).
///
/// From when it is chosen until it is carried out or undone, a receiver that was promised to it knows where it is.
pub(crate) struct Offer<'a, T> {
    sender: &'a Sender<T>,
    registered: bool,
    node: Node,
    ticket: Option<Ticket>,
}

impl<'a, T> Offer<'a, T> {
    /// # Safety
    /// From its first use as an arm on it stays where it is, until it is dropped there.
    pub(crate) unsafe fn new(sender: &'a Sender<T>) -> Self {
        Offer { sender, registered: false, node: unaimed(), ticket: None }
    }

    #[cfg(all(test, loom))]
    pub(crate) fn boxed(sender: &'a Sender<T>) -> Box<Self> {
        // SAFETY: it stays in its box.
        Box::new(unsafe { Offer::new(sender) })
    }

    /// Takes what it needs, if that is there.
    fn reserve(&mut self) -> bool {
        // SAFETY: the node stands in no queue, and stays in its place until the ticket has been redeemed or given up, at the
        // latest when the offer is dropped.
        self.ticket = unsafe { self.sender.channel.reserve(&self.node) };
        self.ticket.is_some()
    }

    pub(crate) fn sender(&self) -> &'a Sender<T> {
        self.sender
    }

    /// Sends the value that was promised.
    pub(crate) fn send(&mut self, value: T) -> Result<(), SendError<T>> {
        let ticket = self.ticket.take().expect("the offer has been chosen");
        let value = MaybeUninit::new(value);
        // SAFETY: the ticket is this channel's and node's, the value is there, and still ours if the answer is `false`.
        unsafe {
            match self.sender.channel.redeem(ticket, &self.node, value.as_ptr()) {
                true => Ok(()),
                false => Err(SendError(value.assume_init())),
            }
        }
    }
}

impl<T> Sealed for Offer<'_, T> {}

impl<T> Arm for Offer<'_, T> {
    fn attempt(&mut self) -> bool {
        self.ticket.is_some() || self.reserve()
    }

    unsafe fn register(&mut self, waiting: Waiting<'_>, first: usize) -> Registered {
        self.node.aim(waiting.waiter, first as u32, ptr::null_mut());
        // SAFETY: passed on.
        let queued = unsafe { self.sender.channel.queue_offer(waiting.waiter, &self.node, &mut self.ticket) };
        self.registered = queued == Queued::Waits;
        match queued {
            Queued::Waits => Registered::Waits,
            Queued::Done | Queued::Closed => Registered::Chosen,
            Queued::Decided => Registered::Decided,
        }
    }

    unsafe fn unregister(&mut self) {
        if mem::take(&mut self.registered) {
            // SAFETY: queued there by `register`.
            unsafe { self.sender.channel.unqueue(Side::Senders, &self.node) };
        }
    }

    /// A receiver was promised to it, or a slot kept for it. Either is noted now, before any other arm is looked at: if it is
    /// not wanted after all, `undo` passes it on.
    fn conclude(&mut self, _: usize) -> bool {
        // SAFETY: as in `reserve`.
        self.ticket = unsafe { self.sender.channel.granted(&self.node) };
        self.ticket.is_some()
    }

    fn undo(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.sender.channel.give_up(ticket, &self.node);
        }
    }

    fn tell(&self, things: &mut Vec<Thing>) {
        self.sender.channel.tell(things);
    }
}

impl<T> Drop for Offer<'_, T> {
    fn drop(&mut self) {
        self.undo();
    }
}

impl<T> fmt::Debug for RecvEvent<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvEvent").field("stage", &self.stage).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for SendEvent<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendEvent").field("stage", &self.stage).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for SendTakeEvent<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendTakeEvent").field("stage", &self.stage).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use crate::{
        Runtime,
        chan::{self, Receiver, RecvEvent},
        go_local, lock,
        select::Arm,
        yield_now,
    };

    /// Of a channel that this worker has used often enough for its lock to be biased to it.
    fn would_wait(rx: &Receiver<u8>) -> bool {
        (0..3000).for_each(|_| _ = rx.len());
        RecvEvent::new(Some(rx)).would_wait()
    }

    #[test]
    fn a_look_says_that_it_would_wait_where_an_attempt_would_come_to_nothing_and_nowhere_else() {
        Runtime::builder().workers(1).build().unwrap().run(|| {
            for capacity in [0, 1] {
                let (tx, rx) = chan::bounded(capacity);
                assert_eq!(would_wait(&rx), lock::is_biasing(), "nobody sends");
                let sender = go_local(move || tx.send(1));
                yield_now();
                assert!(!would_wait(&rx), "a sender has come");
                let mut arm = RecvEvent::new(Some(&rx));
                assert!(arm.attempt() && !arm.would_wait() && arm.attempt(), "it has been chosen");
                assert_eq!(arm.take(), Ok(1));
                sender.join().unwrap().unwrap();
                assert!(!would_wait(&rx), "closed");
            }
            assert!(
                !RecvEvent::new(Some(&chan::bounded::<u8>(1).1)).would_wait(),
                "whose lock is nobody's habit"
            );
            assert!(RecvEvent::<u8>::new(None).would_wait());
        });
    }
}
