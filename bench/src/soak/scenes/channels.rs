//! Some send, some receive, by every operation that there is; and it ends in one of four ways.

use crate::soak::{
    ledger::{Ledger, Value},
    stage::{Rng, Role, Stage, moment},
};
use rendez::{
    Context, Event,
    chan::{self, Receiver, RecvTimeoutError, SendTimeoutError, Sender, TryRecvError, TrySendError},
    select,
};
use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

/// `None` is unbounded.
const CAPACITIES: [Option<usize>; 6] = [Some(0), Some(1), Some(2), Some(7), Some(64), None];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// The senders go, the receivers take what is there.
    Drained,
    /// Somebody closes it amid traffic.
    Closed,
    /// All are told to stop, and what is left goes with the last receiver.
    Cancelled,
    /// The receivers have had enough.
    Deserted,
}

pub(super) fn play(stage: &Stage) {
    let mut rng = stage.rng();
    let (tx, rx) = match CAPACITIES[rng.usize(..CAPACITIES.len())] {
        Some(capacity) => chan::bounded(capacity),
        None => chan::unbounded(),
    };
    let ending = [Ending::Drained, Ending::Closed, Ending::Cancelled, Ending::Deserted][rng.usize(..4)];
    if matches!(ending, Ending::Cancelled | Ending::Deserted) {
        stage.ledger.allow_loss();
    }
    let (ctx, cancel) = stage.ctx.without_cancel().with_cancel();
    let count = rng.u32(1..400);
    for _ in 0..rng.u32(1..5) {
        let role = Sending { tx: tx.clone(), ctx: ctx.clone(), ledger: stage.ledger.clone(), count };
        stage.start(&mut rng, role);
    }
    for _ in 0..rng.u32(1..5) {
        let enough = if ending == Ending::Deserted { rng.u32(..count) } else { u32::MAX };
        let may_stop = ending == Ending::Cancelled;
        stage.start(&mut rng, Receiving { rx: rx.clone(), ctx: ctx.clone(), enough, may_stop });
    }
    match ending {
        Ending::Drained | Ending::Deserted => {}
        Ending::Closed => {
            rendez::sleep(moment(&mut rng, 3000));
            if rng.bool() {
                tx.close()
            } else {
                rx.close()
            };
        }
        Ending::Cancelled => {
            rendez::sleep(moment(&mut rng, 3000));
            cancel.cancel();
        }
    }
    drop((tx, rx));
    stage.wait();
}

struct Sending {
    tx: Sender<Value>,
    ctx: Context,
    ledger: Arc<Ledger>,
    count: u32,
}

const SHORT: Duration = Duration::from_micros(50);

impl Role for Sending {
    fn play(self, mut rng: Rng) {
        let Sending { tx, ctx, ledger, count } = self;
        for _ in 0..count {
            let value = ledger.make();
            let back = match rng.u32(..6) {
                0 => tx.try_send(value).err().map(TrySendError::into_inner),
                1 => tx.send_timeout(value, SHORT).err().map(SendTimeoutError::into_inner),
                2 | 3 => {
                    let mut slot = Some(value);
                    select! {
                        send(tx, take slot) -> sent => sent.err().map(|error| error.0),
                        recv(ctx.done()) -> _ => slot,
                        default(Duration::from_millis(1)) => slot,
                    }
                }
                4 => tx.send_event(value).wait().err().map(|error| error.0),
                _ => tx.send(value).err().map(|error| error.0),
            };
            if let Some(value) = back {
                value.give_back();
            }
            if ctx.err().is_some() {
                return;
            }
        }
    }

    async fn play_async(self, mut rng: Rng) {
        let Sending { tx, ctx, ledger, count } = self;
        for _ in 0..count {
            let value = ledger.make();
            let back = match rng.u32(..3) {
                0 => tx.try_send(value).err().map(TrySendError::into_inner),
                1 => tx.send_event(value).wait_async().await.err().map(|error| error.0),
                _ => tx.send_async(value).await.err().map(|error| error.0),
            };
            if let Some(value) = back {
                value.give_back();
            }
            if ctx.err().is_some() {
                return;
            }
        }
    }
}

struct Receiving {
    rx: Receiver<Value>,
    ctx: Context,
    enough: u32,
    may_stop: bool,
}

/// What came of an attempt: a value, nothing yet, or the end.
enum Got {
    Value(Value),
    Nothing,
    End,
}

impl Receiving {
    fn is_over(&self) -> bool {
        self.may_stop && self.ctx.err().is_some()
    }
}

fn got<E>(received: Result<Value, E>) -> Got {
    received.map_or(Got::End, Got::Value)
}

impl Role for Receiving {
    fn play(self, mut rng: Rng) {
        let mut received = 0;
        while received < self.enough && !self.is_over() {
            let got = match rng.u32(..6) {
                0 => match self.rx.try_recv() {
                    Ok(value) => Got::Value(value),
                    Err(TryRecvError::Empty) => {
                        rendez::yield_now();
                        Got::Nothing
                    }
                    Err(TryRecvError::Closed) => Got::End,
                },
                1 => match self.rx.recv_timeout(SHORT) {
                    Ok(value) => Got::Value(value),
                    Err(RecvTimeoutError::Timeout) => Got::Nothing,
                    Err(RecvTimeoutError::Closed) => Got::End,
                },
                2 => match self.ctx.bound(self.rx.recv_event()).wait_timeout(SHORT) {
                    Some(Ok(value)) => got(value),
                    // The context has ended, and who must drain goes on by other means.
                    Some(Err(_)) | None => Got::Nothing,
                },
                3 => select! {
                    recv(self.rx) -> value => got(value),
                    default => {
                        rendez::yield_now();
                        Got::Nothing
                    }
                },
                4 => select! {
                    recv(self.rx) -> value => got(value),
                    default(SHORT) => Got::Nothing,
                },
                _ => got(self.rx.recv()),
            };
            match got {
                Got::Value(value) => {
                    received += 1;
                    value.receive();
                }
                Got::Nothing => {}
                Got::End => return,
            }
        }
    }

    async fn play_async(self, mut rng: Rng) {
        let mut received = 0;
        while received < self.enough && !self.is_over() {
            let got = match rng.u32(..4) {
                // Polled once and dropped: a value that it was handed meanwhile goes back.
                0 => {
                    let mut receive = pin!(self.rx.recv_async());
                    poll_fn(|cx| match receive.as_mut().poll(cx) {
                        Poll::Ready(received) => Poll::Ready(got(received)),
                        Poll::Pending => Poll::Ready(Got::Nothing),
                    })
                    .await
                }
                1 => got(self.rx.recv_event().wait_async().await),
                2 => match self.ctx.bound(self.rx.recv_event()).wait_async().await {
                    Ok(value) => got(value),
                    Err(_) => got(self.rx.recv_async().await),
                },
                _ => got(self.rx.recv_async().await),
            };
            match got {
                Got::Value(value) => {
                    received += 1;
                    value.receive();
                }
                Got::Nothing => rendez::time::sleep_async(SHORT).await,
                Got::End => return,
            }
        }
    }
}
