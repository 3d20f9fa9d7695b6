//! Values in heaps.

use super::{
    ending::{Ending, ended},
    meter::Meter,
};
use crate::{
    Context,
    chan::{self, Receiver, Sender},
    go_async,
    time::{Instant, sleep_until_async},
};
use std::{
    future::{Future, poll_fn},
    mem,
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

/// The values in batches of up to `size`, in order; a batch that is not full is passed on when its first value has waited for `patience`, or
/// the input ends. No batch is empty.
///
/// With [`Duration::MAX`] only the size counts.
///
/// # Panics
/// If `size` is zero.
///
/// # Examples
/// ```
/// use rendez::{Context, pattern};
/// use std::time::Duration;
/// let ctx = Context::background();
/// let threes = pattern::batch(&ctx, pattern::generator(&ctx, 1..=7), 3, Duration::from_secs(1));
/// assert_eq!(threes.iter().collect::<Vec<_>>(), [vec![1, 2, 3], vec![4, 5, 6], vec![7]]);
/// ```
#[track_caller]
pub fn batch<T>(ctx: &Context, input: Receiver<T>, size: usize, patience: Duration) -> Receiver<Vec<T>>
where
    T: Send + 'static,
{
    assert!(size > 0, "pattern::batch needs room for at least one value");
    let (ctx, (tx, output)) = (ctx.clone(), chan::bounded(0));
    go_async(async move { gather(&ctx, &input, &tx, size, patience, ()).await });
    output
}

/// The stage; its answer is that of [`pass_on`](super::linear::pass_on).
pub(super) async fn gather<T: Send>(
    ctx: &Context,
    input: &Receiver<T>,
    out: &Sender<Vec<T>>,
    size: usize,
    patience: Duration,
    mut meter: impl Meter,
) -> Option<()> {
    let ended = pin!(ended(ctx, out));
    let mut ending = Ending::new(ended);
    let (mut batch, mut deadline) = (Vec::new(), None);
    loop {
        let arrival = {
            let next = pin!(input.recv_async());
            ending.unless(before(next, deadline)).await?
        };
        let at_end = matches!(arrival, Some(Err(_)));
        let is_late = arrival.is_none();
        if let Some(Ok(value)) = arrival {
            if batch.is_empty() {
                // Beyond what the clock can say is never.
                deadline = Instant::now().checked_add(patience);
            }
            batch.push(value);
            meter.received();
        }
        if !batch.is_empty() && (at_end || is_late || batch.len() == size) {
            deadline = None;
            ending.send(out, mem::take(&mut batch)).await?;
            meter.sent();
        }
        if at_end {
            return Some(());
        }
    }
}

/// What `wait` yields, or `None` if `deadline` is over before.
pub(super) async fn before<Fut: Future>(
    mut wait: Pin<&mut Fut>,
    deadline: Option<Instant>,
) -> Option<Fut::Output> {
    let Some(deadline) = deadline else { return Some(wait.await) };
    let mut alarm = pin!(sleep_until_async(deadline));
    poll_fn(|cx| match wait.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => alarm.as_mut().poll(cx).map(|()| None),
    })
    .await
}
