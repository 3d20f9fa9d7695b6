//! Random sequences of non-waiting operations on one thread, compared with the obvious model of a channel.

use crate::worlds::{channel, poll_once};
use proptest::prelude::*;
use rendez::chan::{Receiver, SendError, Sender, TryRecvError, TrySendError};
use std::{collections::VecDeque, pin::Pin, sync::Arc};

/// A value that can be counted: the model keeps the other half of each.
type Value = (u32, Arc<()>);

#[derive(Clone, Debug)]
enum Step {
    TrySend,
    TryRecv,
    Close,
    CloneSender,
    CloneReceiver,
    DropSender,
    DropReceiver,
    /// Starts an async send or receive and drops it after this many polls.
    CancelledSend(u8),
    CancelledReceive(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => Just(Step::TrySend),
        8 => Just(Step::TryRecv),
        1 => Just(Step::Close),
        1 => Just(Step::CloneSender),
        1 => Just(Step::CloneReceiver),
        1 => Just(Step::DropSender),
        1 => Just(Step::DropReceiver),
        2 => (0u8..3).prop_map(Step::CancelledSend),
        2 => (0u8..3).prop_map(Step::CancelledReceive),
    ]
}

/// What a channel is.
struct Model {
    capacity: Option<usize>,
    buffer: VecDeque<u32>,
    closed: bool,
}

impl Model {
    fn is_full(&self) -> bool {
        self.capacity.is_some_and(|capacity| self.buffer.len() >= capacity)
    }

    fn send(&mut self, value: u32) -> Result<(), TrySendError<u32>> {
        if self.closed {
            return Err(TrySendError::Closed(value));
        }
        if self.is_full() {
            return Err(TrySendError::Full(value));
        }
        self.buffer.push_back(value);
        Ok(())
    }

    fn recv(&mut self) -> Result<u32, TryRecvError> {
        let end = if self.closed { TryRecvError::Closed } else { TryRecvError::Empty };
        self.buffer.pop_front().ok_or(end)
    }
}

/// A channel and its model, step by step.
struct Pair {
    model: Model,
    senders: Vec<Sender<Value>>,
    receivers: Vec<Receiver<Value>>,
    alive: Arc<()>,
    made: u32,
}

impl Pair {
    fn new(capacity: Option<usize>) -> Pair {
        let (tx, rx) = channel(capacity);
        Pair {
            model: Model { capacity, buffer: VecDeque::new(), closed: false },
            senders: vec![tx],
            receivers: vec![rx],
            alive: Arc::new(()),
            made: 0,
        }
    }

    fn value(&mut self) -> Value {
        self.made += 1;
        (self.made, self.alive.clone())
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::TrySend => {
                let value = self.value();
                let Some(tx) = self.senders.last() else { return };
                let id = value.0;
                let got = tx.try_send(value).map_err(|error| match error {
                    TrySendError::Full(value) => TrySendError::Full(value.0),
                    TrySendError::Closed(value) => TrySendError::Closed(value.0),
                });
                assert_eq!(got, self.model.send(id));
            }
            Step::TryRecv => {
                let Some(rx) = self.receivers.last() else { return };
                assert_eq!(rx.try_recv().map(|value| value.0), self.model.recv());
            }
            Step::Close => {
                let did = match (self.senders.last(), self.receivers.last()) {
                    (Some(tx), _) => tx.close(),
                    (None, Some(rx)) => rx.close(),
                    (None, None) => return,
                };
                assert_eq!(did, !self.model.closed);
                self.model.closed = true;
            }
            Step::CloneSender => self.senders.extend(self.senders.last().cloned()),
            Step::CloneReceiver => self.receivers.extend(self.receivers.last().cloned()),
            Step::DropSender => {
                self.senders.pop();
                self.model.closed |= self.senders.is_empty();
            }
            Step::DropReceiver => {
                self.receivers.pop();
                if self.receivers.is_empty() {
                    self.model.closed = true;
                    self.model.buffer.clear();
                }
            }
            Step::CancelledSend(polls) => {
                let value = self.value();
                let Some(tx) = self.senders.last() else { return };
                let id = value.0;
                let mut send = Box::pin(tx.send_async(value));
                let result = poll_times(send.as_mut(), polls)
                    .map(|result| result.map_err(|SendError(value)| TrySendError::Closed(value.0)));
                drop(send);
                if polls > 0 {
                    let expected = self.model.send(id);
                    assert_eq!(result, (expected != Err(TrySendError::Full(id))).then_some(expected));
                }
            }
            Step::CancelledReceive(polls) => {
                let Some(rx) = self.receivers.last() else { return };
                let mut receive = Box::pin(rx.recv_async());
                let result = poll_times(receive.as_mut(), polls);
                drop(receive);
                if polls > 0 {
                    let result = result.map(|result| result.map(|value| value.0).ok());
                    let expected = match self.model.recv() {
                        Ok(value) => Some(Some(value)),
                        Err(TryRecvError::Closed) => Some(None),
                        Err(TryRecvError::Empty) => None,
                    };
                    assert_eq!(result, expected);
                }
            }
        }
        self.compare();
    }

    /// The gauges, and that exactly the buffered values are alive.
    fn compare(&self) {
        let len = self.model.buffer.len();
        if let Some(tx) = self.senders.last() {
            assert_eq!((tx.len(), tx.is_closed()), (len, self.model.closed));
            assert_eq!((tx.is_full(), tx.is_empty()), (self.model.is_full(), len == 0));
            assert_eq!(tx.capacity(), self.model.capacity);
        }
        if let Some(rx) = self.receivers.last() {
            assert_eq!((rx.len(), rx.is_closed()), (len, self.model.closed));
            assert_eq!((rx.is_full(), rx.is_empty()), (self.model.is_full(), len == 0));
            assert_eq!(rx.capacity(), self.model.capacity);
        }
        assert_eq!(Arc::strong_count(&self.alive), 1 + len);
    }
}

fn poll_times<Fut: Future>(mut future: Pin<&mut Fut>, times: u8) -> Option<Fut::Output> {
    (0..times).find_map(|_| poll_once(future.as_mut()))
}

proptest! {
    #[test]
    fn a_channel_does_what_a_queue_with_a_limit_and_an_end_does(
        capacity in prop_oneof![Just(Some(0)), Just(Some(1)), Just(Some(3)), Just(None)],
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let mut pair = Pair::new(capacity);
        for step in steps {
            pair.run(step);
        }
        let alive = pair.alive.clone();
        drop(pair);
        prop_assert_eq!(Arc::strong_count(&alive), 1);
    }
}
