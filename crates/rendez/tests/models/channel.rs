//! One channel on one thread, with every operation that does not wait, and futures of those that do: which are polled, and
//! dropped, at any time.

use super::Script;
use rendez::chan::{self, Receiver, RecvTimeoutError, SendTimeoutError, Sender, TryRecvError, TrySendError};
use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

/// A value that is counted while it lives.
#[derive(Debug)]
pub(crate) struct Counted {
    pub(crate) number: u32,
    alive: Arc<AtomicUsize>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Relaxed);
    }
}

/// Makes values, with numbers that rise.
#[derive(Default)]
pub(crate) struct Maker {
    next: u32,
    alive: Arc<AtomicUsize>,
}

impl Maker {
    pub(crate) fn make(&mut self) -> Counted {
        self.next += 1;
        self.alive.fetch_add(1, Relaxed);
        Counted { number: self.next, alive: self.alive.clone() }
    }

    /// The number of the last.
    pub(crate) fn next_was(&self) -> u32 {
        self.next
    }

    pub(crate) fn alive(&self) -> usize {
        self.alive.load(Relaxed)
    }
}

/// Where a future stands, as the model has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// In the queue.
    Waiting,
    /// A receive that was handed a value, or a send whose value was taken.
    Done(u32),
    /// A send has its value still.
    Closed(u32),
    /// It is to begin anew with its next poll.
    Again,
}

/// What a channel is.
#[derive(Debug)]
pub(crate) struct Model {
    /// `None` is unbounded.
    pub(crate) capacity: Option<usize>,
    pub(crate) buffer: VecDeque<u32>,
    /// The numbers of futures, with the values of those that send.
    pub(crate) senders: VecDeque<(usize, u32)>,
    pub(crate) receivers: VecDeque<usize>,
    pub(crate) stages: Vec<Stage>,
    pub(crate) closed: bool,
}

impl Model {
    pub(crate) fn new(capacity: Option<usize>) -> Model {
        Model {
            capacity,
            buffer: VecDeque::new(),
            senders: VecDeque::new(),
            receivers: VecDeque::new(),
            stages: Vec::new(),
            closed: false,
        }
    }

    pub(crate) fn has_room(&self) -> bool {
        self.capacity.is_none_or(|capacity| self.buffer.len() < capacity)
    }

    /// Whether a send would not wait.
    pub(crate) fn takes(&self) -> bool {
        self.closed || !self.receivers.is_empty() || self.has_room()
    }

    /// Whether a receive would not wait.
    pub(crate) fn gives(&self) -> bool {
        self.closed || !self.buffer.is_empty() || !self.senders.is_empty()
    }

    pub(crate) fn send(&mut self, value: u32) -> Result<(), TrySendError<u32>> {
        if self.closed {
            return Err(TrySendError::Closed(value));
        }
        if let Some(receiver) = self.receivers.pop_front() {
            self.stages[receiver] = Stage::Done(value);
        } else if self.has_room() {
            self.buffer.push_back(value);
        } else {
            return Err(TrySendError::Full(value));
        }
        Ok(())
    }

    pub(crate) fn recv(&mut self) -> Result<u32, TryRecvError> {
        if let Some(value) = self.buffer.pop_front() {
            // The sender that has waited longest has the slot.
            if self.has_room()
                && let Some((sender, next)) = self.senders.pop_front()
            {
                self.buffer.push_back(next);
                self.stages[sender] = Stage::Done(next);
            }
            return Ok(value);
        }
        if let Some((sender, value)) = self.senders.pop_front() {
            self.stages[sender] = Stage::Done(value);
            return Ok(value);
        }
        Err(if self.closed { TryRecvError::Closed } else { TryRecvError::Empty })
    }

    /// A value that was received is not wanted after all.
    pub(crate) fn give_back(&mut self, value: u32) {
        match self.receivers.pop_front() {
            Some(receiver) => self.stages[receiver] = Stage::Done(value),
            None => self.buffer.push_front(value),
        }
    }

    pub(crate) fn close(&mut self) -> bool {
        for receiver in self.receivers.drain(..) {
            self.stages[receiver] = Stage::Closed(0);
        }
        for (sender, value) in self.senders.drain(..) {
            self.stages[sender] = Stage::Closed(value);
        }
        !std::mem::replace(&mut self.closed, true)
    }
}

type Pending<T> = Pin<Box<dyn Future<Output = T>>>;

enum Operation {
    Send(Pending<Result<(), u32>>),
    Recv(Pending<Result<u32, ()>>),
}

/// A channel and its model, step by step.
struct Pair {
    model: Model,
    maker: Maker,
    senders: Vec<Sender<Counted>>,
    receivers: Vec<Receiver<Counted>>,
    /// By the numbers of their stages; each has an endpoint of its own. `None` has ended or been dropped.
    futures: Vec<Option<Operation>>,
    /// How many endpoints the futures have.
    held: (usize, usize),
}

/// Plays the script.
pub(crate) fn channel(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let capacity = [Some(0), Some(1), Some(2), Some(3), None][script.below(5)];
    let (tx, rx) = match capacity {
        Some(capacity) => chan::bounded(capacity),
        None => chan::unbounded(),
    };
    let mut pair = Pair {
        model: Model::new(capacity),
        maker: Maker::default(),
        senders: vec![tx],
        receivers: vec![rx],
        futures: Vec::new(),
        held: (0, 0),
    };
    while let Some(kind) = script.step(16) {
        pair.step(kind, &mut script);
        pair.check();
    }
    let Pair { maker, senders, receivers, futures, .. } = pair;
    drop((futures, senders, receivers));
    assert_eq!(maker.alive(), 0, "values are left");
}

impl Pair {
    fn step(&mut self, kind: usize, script: &mut Script<'_>) {
        let tx = (!self.senders.is_empty()).then(|| script.below(self.senders.len()));
        let rx = (!self.receivers.is_empty()).then(|| script.below(self.receivers.len()));
        match (kind, tx, rx) {
            (0..=1, Some(tx), _) => self.try_send(tx, kind == 1),
            (2..=3, _, Some(rx)) => self.try_recv(rx, kind == 3),
            (4, Some(tx), _) => assert_eq!(self.senders[tx].close(), self.model.close()),
            (5, _, Some(rx)) if script.below(4) == 0 => {
                assert_eq!(self.receivers[rx].close(), self.model.close())
            }
            (6, Some(tx), _) => self.senders.push(self.senders[tx].clone()),
            (7, _, Some(rx)) => self.receivers.push(self.receivers[rx].clone()),
            (8, Some(tx), _) => {
                drop(self.senders.swap_remove(tx));
                self.sender_went();
            }
            (9, _, Some(rx)) => {
                drop(self.receivers.swap_remove(rx));
                self.receiver_went();
            }
            (10..=11, Some(tx), _) => self.start_send(tx),
            (12..=13, _, Some(rx)) => self.start_recv(rx),
            (14, ..) => self.poll(script),
            (15, ..) => self.drop_future(script),
            _ => {}
        }
    }

    fn try_send(&mut self, tx: usize, timed: bool) {
        let value = self.maker.make();
        let expected = self.model.send(value.number);
        let number = |value: Counted| value.number;
        let told = match timed {
            false => self.senders[tx].try_send(value).map_err(|error| match error {
                TrySendError::Full(value) => TrySendError::Full(number(value)),
                TrySendError::Closed(value) => TrySendError::Closed(number(value)),
            }),
            true => self.senders[tx].send_timeout(value, Duration::ZERO).map_err(|error| match error {
                SendTimeoutError::Timeout(value) => TrySendError::Full(number(value)),
                SendTimeoutError::Closed(value) => TrySendError::Closed(number(value)),
            }),
        };
        assert_eq!(told, expected);
    }

    fn try_recv(&mut self, rx: usize, timed: bool) {
        let told = match timed {
            false => self.receivers[rx].try_recv(),
            true => self.receivers[rx].recv_timeout(Duration::ZERO).map_err(|error| match error {
                RecvTimeoutError::Timeout => TryRecvError::Empty,
                RecvTimeoutError::Closed => TryRecvError::Closed,
            }),
        };
        assert_eq!(told.map(|value| value.number), self.model.recv());
    }

    fn sender_went(&mut self) {
        if self.senders.len() + self.held.0 == 0 {
            self.model.close();
        }
    }

    fn receiver_went(&mut self) {
        if self.receivers.len() + self.held.1 == 0 {
            self.model.close();
            self.model.buffer.clear();
        }
    }

    fn start_send(&mut self, tx: usize) {
        let (tx, value) = (self.senders[tx].clone(), self.maker.make());
        let number = value.number;
        self.held.0 += 1;
        let sends = async move { tx.send_async(value).await.map_err(|error| error.0.number) };
        self.futures.push(Some(Operation::Send(Box::pin(sends))));
        self.model.stages.push(Stage::Closed(number));
        self.begin_send(self.futures.len() - 1, number);
    }

    /// The first poll.
    fn begin_send(&mut self, index: usize, number: u32) {
        match self.model.send(number) {
            Ok(()) => self.model.stages[index] = Stage::Done(number),
            Err(TrySendError::Closed(_)) => self.model.stages[index] = Stage::Closed(number),
            Err(TrySendError::Full(_)) => {
                self.model.stages[index] = Stage::Waiting;
                self.model.senders.push_back((index, number));
            }
        }
        self.poll_this(index);
    }

    fn start_recv(&mut self, rx: usize) {
        let rx = self.receivers[rx].clone();
        self.held.1 += 1;
        let receives = async move { rx.recv_async().await.map(|value| value.number).map_err(drop) };
        self.futures.push(Some(Operation::Recv(Box::pin(receives))));
        self.model.stages.push(Stage::Again);
        self.begin_recv(self.futures.len() - 1);
    }

    fn begin_recv(&mut self, index: usize) {
        match self.model.recv() {
            Ok(value) => self.model.stages[index] = Stage::Done(value),
            Err(TryRecvError::Closed) => self.model.stages[index] = Stage::Closed(0),
            Err(TryRecvError::Empty) => {
                self.model.stages[index] = Stage::Waiting;
                self.model.receivers.push_back(index);
            }
        }
        self.poll_this(index);
    }

    fn chosen(&self, script: &mut Script<'_>) -> Option<usize> {
        let there: Vec<usize> = (0..self.futures.len()).filter(|&i| self.futures[i].is_some()).collect();
        (!there.is_empty()).then(|| there[script.below(there.len())])
    }

    fn poll(&mut self, script: &mut Script<'_>) {
        if let Some(index) = self.chosen(script) {
            self.poll_this(index);
        }
    }

    /// What it says is what the model has for it.
    fn poll_this(&mut self, index: usize) {
        let mut cx = Context::from_waker(Waker::noop());
        let stage = self.model.stages[index];
        match self.futures[index].as_mut().expect("it has not ended") {
            Operation::Send(future) => {
                let expected = match stage {
                    Stage::Waiting | Stage::Again => Poll::Pending,
                    Stage::Done(_) => Poll::Ready(Ok(())),
                    Stage::Closed(value) => Poll::Ready(Err(value)),
                };
                assert_eq!(future.as_mut().poll(&mut cx), expected);
                if expected.is_ready() {
                    self.futures[index] = None;
                    self.held.0 -= 1;
                    self.sender_went();
                }
            }
            Operation::Recv(future) => {
                let expected = match stage {
                    Stage::Waiting | Stage::Again => Poll::Pending,
                    Stage::Done(value) => Poll::Ready(Ok(value)),
                    Stage::Closed(_) => Poll::Ready(Err(())),
                };
                assert_eq!(future.as_mut().poll(&mut cx), expected);
                if expected.is_ready() {
                    self.futures[index] = None;
                    self.held.1 -= 1;
                    self.receiver_went();
                }
            }
        }
    }

    fn drop_future(&mut self, script: &mut Script<'_>) {
        let Some(index) = self.chosen(script) else { return };
        self.model.senders.retain(|&(sender, _)| sender != index);
        self.model.receivers.retain(|&receiver| receiver != index);
        let future = self.futures[index].take().expect("chosen");
        let is_send = matches!(future, Operation::Send(_));
        drop(future);
        if is_send {
            self.held.0 -= 1;
            self.sender_went();
        } else {
            if let Stage::Done(value) = self.model.stages[index] {
                self.model.give_back(value);
            }
            self.held.1 -= 1;
            self.receiver_went();
        }
    }

    fn check(&self) {
        let Model { capacity, buffer, closed, senders, .. } = &self.model;
        let gauges = (buffer.len(), buffer.is_empty(), !self.model.has_room(), *closed, *capacity);
        for tx in &self.senders {
            assert_eq!((tx.len(), tx.is_empty(), tx.is_full(), tx.is_closed(), tx.capacity()), gauges);
        }
        for rx in &self.receivers {
            assert_eq!((rx.len(), rx.is_empty(), rx.is_full(), rx.is_closed(), rx.capacity()), gauges);
        }
        // Alive is what is in the buffer, what senders hold, and what futures have not told of yet.
        let untold = self.futures.iter().zip(&self.model.stages).filter(|pair| {
            matches!(
                pair,
                (Some(Operation::Send(_)), Stage::Closed(_)) | (Some(Operation::Recv(_)), Stage::Done(_))
            )
        });
        assert_eq!(self.maker.alive(), buffer.len() + senders.len() + untold.count());
    }
}
