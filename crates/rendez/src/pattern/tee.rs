//! One channel to several, each of which gets everything.

use super::ending::Ending;
use crate::{
    Context, Event,
    chan::{self, ClosedEvent, Receiver, SendError, Sender, TrySendError},
    go_async,
};
use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::Poll,
};

/// Two channels that both get every value, in order.
///
/// Neither is ever more than one value ahead of the other: the next is taken when both have got this one. If one of the two is
/// dropped, the other goes on alone.
///
/// # Examples
/// ```
/// use rendez::{Context, pattern};
/// let ctx = Context::background();
/// let (log, work) = pattern::tee(&ctx, pattern::generator(&ctx, 1..=3));
/// for value in work {
///     assert_eq!(log.recv(), Ok(value));
/// }
/// ```
#[track_caller]
pub fn tee<T>(ctx: &Context, input: Receiver<T>) -> (Receiver<T>, Receiver<T>)
where
    T: Clone + Send + 'static,
{
    let mut outputs = tee_n(ctx, input, 2);
    let second = outputs.pop().expect("two were asked for");
    (outputs.pop().expect("two were asked for"), second)
}

/// As [`tee`], with any number of channels. With none, the input is dropped.
///
/// # Examples
/// ```
/// use rendez::{Context, pattern};
/// let ctx = Context::background();
/// let thrice = pattern::tee_n(&ctx, pattern::generator(&ctx, ["a", "b"]), 3);
/// for value in ["a", "b"] {
///     assert!(thrice.iter().rev().all(|each| each.recv() == Ok(value)));
/// }
/// ```
#[track_caller]
pub fn tee_n<T>(ctx: &Context, input: Receiver<T>, count: usize) -> Vec<Receiver<T>>
where
    T: Clone + Send + 'static,
{
    let (mut senders, mut outputs) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for _ in 0..count {
        // Not by a closure, whose caller would be the standard library: reports say where a channel was made.
        let (tx, output) = chan::bounded(0);
        senders.push(tx);
        outputs.push(output);
    }
    if senders.is_empty() {
        return outputs;
    }
    let ctx = ctx.clone();
    go_async(async move {
        let ended = pin!(ctx_or_all_closed(&ctx, senders.iter().map(Sender::closed_event)));
        let mut ending = Ending::new(ended);
        loop {
            let value = ending.recv(&input).await?;
            ending.unless(send_to_all(&senders, value)).await?;
        }
        #[allow(unreachable_code, reason = "it says what type the block has")]
        None::<()>
    });
    outputs
}

/// Ready when the context has ended, or nobody listens at any of several outputs.
pub(super) async fn ctx_or_all_closed<'a>(ctx: &Context, outputs: impl IntoIterator<Item = ClosedEvent<'a>>) {
    for closed in outputs {
        if ctx.bound(closed).wait_async().await.is_err() {
            return;
        }
    }
}

/// Sends the value to each output, to whichever takes it first first. Those that are closed are passed over.
async fn send_to_all<T: Clone + Send>(outputs: &[Sender<T>], value: T) {
    type Sending<'a, T> = Pin<Box<dyn Future<Output = Result<(), SendError<T>>> + Send + 'a>>;
    let mut waiting: Vec<Sending<'_, T>> = Vec::new();
    let (last, others) = outputs.split_last().expect("there is an output");
    let copies = others.iter().map(|output| (output, value.clone()));
    for (output, value) in copies.collect::<Vec<_>>().into_iter().chain([(last, value)]) {
        if let Err(TrySendError::Full(value)) = output.try_send(value) {
            waiting.push(Box::pin(output.send_async(value)));
        }
    }
    poll_fn(|cx| {
        waiting.retain_mut(|sending| sending.as_mut().poll(cx).is_pending());
        if waiting.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}
