//! The async twins. A future holds its own waiter, node and packet, so awaiting allocates nothing; and one that need not wait clones
//! no waker: waiter and node are made when it has to. As no foreign code may run under the channel's lock, that is left for it and taken
//! anew, unless the waker is an async goroutine's.
//!
//! | state | the node | the packet |
//! | --- | --- | --- |
//! | `Fresh` | in no queue, not yet aimed | a send's value; empty for a receive |
//! | `Queued` | in the queue, or popped by a winner | the waiter's outcome and the node's status tell |
//! | `Finished` | in no queue | empty |
//!
//! Only `Queued` has something to undo on drop: leave the queue; a send then still owns its value unless the status is
//! `Done`, a receive owns one if it is, and gives it back to the channel.

use super::{
    RecvError, SendError,
    channel::{Channel, Packet, Side},
    state::{Locked, Refusal},
};
use crate::wait::{self, Node, Note, Status, Waiter};
use std::{
    cell::UnsafeCell,
    fmt,
    future::Future,
    marker::PhantomPinned,
    mem::MaybeUninit,
    pin::Pin,
    ptr,
    task::{Context, Poll},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Fresh,
    Queued,
    Finished,
}

/// What both futures are made of.
struct Operation<'a, T> {
    channel: &'a Channel<T>,
    stage: Stage,
    waiter: Option<Waiter>,
    node: Node,
    packet: Packet<T>,
    _pinned: PhantomPinned,
}

// SAFETY: the raw pointers in the node point into this very value, or are other nodes' that are only followed under the
// channel's lock; the value in the packet may go to another thread: `T: Send`.
unsafe impl<T: Send> Send for Operation<'_, T> {}
// SAFETY: nothing can be done through a shared reference.
unsafe impl<T: Send> Sync for Operation<'_, T> {}

impl<'a, T> Operation<'a, T> {
    fn new(channel: &'a Channel<T>, packet: MaybeUninit<T>) -> Self {
        Operation {
            channel,
            stage: Stage::Fresh,
            waiter: None,
            node: Node::new(ptr::null(), 0, ptr::null_mut()),
            packet: UnsafeCell::new(packet),
            _pinned: PhantomPinned,
        }
    }

    /// Puts a new waiter in place for the first poll. The operation is pinned from here on.
    fn aim(&mut self, cx: &Context<'_>) {
        let waiter: *const Waiter = self.waiter.insert(Waiter::task(cx.waker().clone()));
        self.node.aim(waiter, 0, self.packet.get().cast());
    }

    /// The status once the wait is decided; `None` while it is not, with the waker in place.
    fn poll_status(&self, cx: &Context<'_>) -> Option<Status> {
        let waiter = self.waiter.as_ref().expect("a queued operation has its waiter");
        // A peer may decide the wait right now.
        wait::point();
        waiter.poll(cx.waker()).map(|_| self.node.status())
    }

    /// Queues a send that has to wait, or carries it out if that can be done by now.
    ///
    /// # Safety
    /// The packet holds the value, and the operation is pinned and leaves the queue before it ends.
    unsafe fn queue_send(&mut self, cx: &Context<'_>, state: Locked<'a, T>) -> Result<(), Refusal> {
        if wait::is_own(cx.waker()) {
            self.aim(cx);
            // SAFETY: the node was just aimed at the packet and its waiter; the rest is passed on.
            unsafe { self.channel.queue_sender(state, &self.node) };
            return Err(Refusal::Wait);
        }
        drop(state);
        // Cloning a waker may panic: then the value is still ours to drop.
        self.stage = Stage::Fresh;
        self.aim(cx);
        self.stage = Stage::Finished;
        // SAFETY: as above.
        unsafe { self.channel.send_or_queue(self.packet.get().cast(), &self.node) }
    }

    /// The same for a receive that was refused. (Of a channel with a clock `Closed` means no more than that nobody sends.)
    ///
    /// # Safety
    /// The packet is empty, and the operation is pinned and leaves the queue before it ends.
    unsafe fn queue_recv(
        &mut self,
        cx: &Context<'_>,
        refusal: Refusal,
        state: Locked<'a, T>,
    ) -> Result<(), Refusal> {
        if refusal == Refusal::Closed && self.channel.clock.is_none() {
            return Err(refusal);
        }
        if refusal == Refusal::Wait && wait::is_own(cx.waker()) {
            self.aim(cx);
            // SAFETY: as in `queue_send`.
            unsafe { self.channel.queue_receiver(state, &self.node) };
            return Err(refusal);
        }
        drop(state);
        // As in `queue_send`: then it can be polled again.
        self.stage = Stage::Fresh;
        self.aim(cx);
        self.stage = Stage::Finished;
        // SAFETY: as above.
        unsafe { self.channel.recv_or_queue(self.packet.get().cast(), &self.node) }
    }

    fn leave(&mut self, side: Side) {
        let waiter = self.waiter.as_ref().expect("a queued operation has its waiter");
        wait::point();
        // SAFETY: the node was queued on this side of this channel by the first poll, with this waiter.
        unsafe { self.channel.leave(side, waiter, &self.node) };
        self.stage = Stage::Finished;
    }

    /// # Safety
    /// The packet is full and nobody else can reach it.
    unsafe fn take(&mut self) -> T {
        // SAFETY: by contract.
        unsafe { self.packet.get_mut().assume_init_read() }
    }
}

/// The future of [`Sender::send_async`](super::Sender::send_async).
#[must_use = "futures do nothing unless polled"]
pub struct SendFuture<'a, T>(Operation<'a, T>);

impl<'a, T> SendFuture<'a, T> {
    pub(super) fn new(channel: &'a Channel<T>, value: T) -> Self {
        SendFuture(Operation::new(channel, MaybeUninit::new(value)))
    }
}

impl<T> Future for SendFuture<'_, T> {
    type Output = Result<(), SendError<T>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: nothing is moved out of the operation but the value in its packet.
        let operation = unsafe { &mut self.get_unchecked_mut().0 };
        let closed = match operation.stage {
            Stage::Fresh => {
                if !wait::poll_budget(cx) {
                    return Poll::Pending;
                }
                // First, because waking a peer may run a waker that panics, and the value has gone by then.
                operation.stage = Stage::Finished;
                // SAFETY: the packet holds the value since `new`.
                match unsafe { operation.channel.offer(operation.packet.get().cast()) } {
                    Ok(()) => false,
                    Err((Refusal::Closed, _)) => true,
                    // SAFETY: as above.
                    Err((_, state)) => match unsafe { operation.queue_send(cx, state) } {
                        Ok(()) => false,
                        Err(Refusal::Closed) => true,
                        Err(Refusal::Wait | Refusal::Contended) => {
                            operation.stage = Stage::Queued;
                            return wait::pending(cx, Note::send(operation.channel.made));
                        }
                    },
                }
            }
            Stage::Queued => match operation.poll_status(cx) {
                None => return wait::pending(cx, Note::send(operation.channel.made)),
                Some(status) => status != Status::Done,
            },
            Stage::Finished => panic!("`send_async` polled after it was ready"),
        };
        operation.stage = Stage::Finished;
        // SAFETY: the wait is decided and nobody took the value.
        Poll::Ready(if closed { Err(SendError(unsafe { operation.take() })) } else { Ok(()) })
    }
}

impl<T> Drop for SendFuture<'_, T> {
    fn drop(&mut self) {
        let operation = &mut self.0;
        let owns_value = match operation.stage {
            Stage::Fresh => true,
            Stage::Queued => {
                operation.leave(Side::Senders);
                operation.node.status() != Status::Done
            }
            Stage::Finished => false,
        };
        if owns_value {
            // SAFETY: not handed over, and out of every queue.
            drop(unsafe { operation.take() });
        }
    }
}

/// The future of [`Receiver::recv_async`](super::Receiver::recv_async).
#[must_use = "futures do nothing unless polled"]
pub struct RecvFuture<'a, T>(Operation<'a, T>);

impl<'a, T> RecvFuture<'a, T> {
    pub(super) fn new(channel: &'a Channel<T>) -> Self {
        RecvFuture(Operation::new(channel, MaybeUninit::uninit()))
    }
}

impl<T> Future for RecvFuture<'_, T> {
    type Output = Result<T, RecvError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: nothing is moved out of the operation but the value in its packet.
        let operation = unsafe { &mut self.get_unchecked_mut().0 };
        loop {
            let closed = match operation.stage {
                Stage::Fresh => {
                    if !wait::poll_budget(cx) {
                        return Poll::Pending;
                    }
                    operation.stage = Stage::Finished;
                    // SAFETY: the packet is empty since `new`.
                    match unsafe { operation.channel.take(operation.packet.get().cast()) } {
                        Ok(()) => false,
                        // SAFETY: as above.
                        Err((refusal, state)) => match unsafe { operation.queue_recv(cx, refusal, state) } {
                            Ok(()) => false,
                            Err(Refusal::Closed) => true,
                            Err(Refusal::Wait | Refusal::Contended) => {
                                operation.stage = Stage::Queued;
                                return wait::pending(cx, Note::receive(operation.channel.made));
                            }
                        },
                    }
                }
                Stage::Queued => match operation.poll_status(cx) {
                    None => return wait::pending(cx, Note::receive(operation.channel.made)),
                    Some(Status::Retry) => {
                        operation.stage = Stage::Fresh;
                        operation.waiter = None;
                        continue;
                    }
                    Some(status) => status != Status::Done,
                },
                Stage::Finished => panic!("`recv_async` polled after it was ready"),
            };
            operation.stage = Stage::Finished;
            // SAFETY: a sender has filled the packet, and the wait is decided.
            return Poll::Ready(if closed { Err(RecvError) } else { Ok(unsafe { operation.take() }) });
        }
    }
}

impl<T> Drop for RecvFuture<'_, T> {
    fn drop(&mut self) {
        let operation = &mut self.0;
        if operation.stage == Stage::Queued {
            operation.leave(Side::Receivers);
            if operation.node.status() == Status::Done {
                // SAFETY: a sender has filled the packet, and the node is out of every queue.
                unsafe { operation.channel.give_back(operation.packet.get().cast()) };
            }
        }
    }
}

/// The stream of [`Receiver::stream`](super::Receiver::stream).
#[must_use = "streams do nothing unless polled"]
pub struct RecvStream<'a, T> {
    channel: &'a Channel<T>,
    /// The receive that is under way.
    next: Option<RecvFuture<'a, T>>,
}

impl<'a, T> RecvStream<'a, T> {
    pub(super) fn new(channel: &'a Channel<T>) -> Self {
        RecvStream { channel, next: None }
    }
}

impl<T> futures_core::Stream for RecvStream<'_, T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        // SAFETY: `next` is pinned with the stream: it is only polled in place, and dropped in place by `set`.
        let (channel, mut next) = unsafe {
            let this = self.get_unchecked_mut();
            (this.channel, Pin::new_unchecked(&mut this.next))
        };
        if next.is_none() {
            next.set(Some(RecvFuture::new(channel)));
        }
        let future = next.as_mut().as_pin_mut().expect("set above");
        let Poll::Ready(result) = future.poll(cx) else { return Poll::Pending };
        next.set(None);
        Poll::Ready(result.ok())
    }
}

impl<T> fmt::Debug for SendFuture<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendFuture").field("stage", &self.0.stage).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for RecvFuture<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvFuture").field("stage", &self.0.stage).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for RecvStream<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvStream").field("next", &self.next).finish_non_exhaustive()
    }
}
