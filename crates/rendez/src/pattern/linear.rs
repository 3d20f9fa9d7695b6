//! Stages with one input and one output.

use super::{
    ending::{Ending, ended},
    meter::Meter,
};
use crate::{
    Context,
    chan::{self, Receiver, Sender},
    go_async,
};
use std::pin::pin;

/// What `f` makes of each value, in order.
///
/// # Examples
/// ```
/// use rendez::{Context, pattern};
/// let ctx = Context::background();
/// let lengths = pattern::map(&ctx, pattern::generator(&ctx, ["a", "bcd"]), str::len);
/// assert_eq!(lengths.iter().collect::<Vec<_>>(), [1, 3]);
/// ```
#[track_caller]
pub fn map<T, U, F>(ctx: &Context, input: Receiver<T>, mut f: F) -> Receiver<U>
where
    T: Send + 'static,
    U: Send + 'static,
    F: FnMut(T) -> U + Send + 'static,
{
    stage(ctx, input, 0, move |value| Step::Send(f(value)))
}

/// Those values of which `keep` says so, in order.
///
/// # Examples
/// ```
/// use rendez::{Context, pattern};
/// let ctx = Context::background();
/// let even = pattern::filter(&ctx, pattern::generator(&ctx, 1..=6), |n| n % 2 == 0);
/// assert_eq!(even.iter().collect::<Vec<_>>(), [2, 4, 6]);
/// ```
#[track_caller]
pub fn filter<T, F>(ctx: &Context, input: Receiver<T>, mut keep: F) -> Receiver<T>
where
    T: Send + 'static,
    F: FnMut(&T) -> bool + Send + 'static,
{
    stage(ctx, input, 0, move |value| if keep(&value) { Step::Send(value) } else { Step::Skip })
}

/// The values, of which up to `capacity` wait in a queue: the stage before may be that far ahead.
///
/// A queue makes nothing faster that works steadily; it evens out stages whose times vary, and lets the one before it go on with
/// something else. Values that are queued when the context ends are still received.
///
/// # Examples
/// ```
/// use rendez::{Context, pattern};
/// let ctx = Context::background();
/// let buffered = pattern::buffer(&ctx, pattern::generator(&ctx, 0..5), 2);
/// assert_eq!(buffered.iter().count(), 5);
/// ```
#[track_caller]
pub fn buffer<T>(ctx: &Context, input: Receiver<T>, capacity: usize) -> Receiver<T>
where
    T: Send + 'static,
{
    stage(ctx, input, capacity, Step::Send)
}

/// The values of a channel that knows nothing of `ctx`, until that ends.
///
/// For a loop over a channel from another part of the program, which may stay open and silent when we are cancelled. (In a
/// `select!`, or with [`Context::bound`], no stage is needed for this.)
///
/// # Examples
/// ```
/// use rendez::{Context, chan, pattern};
/// let (ctx, cancel) = Context::background().with_cancel();
/// let mut seen = 0;
/// let (tx, theirs) = chan::bounded(1);
/// tx.send(7).unwrap();
/// for value in pattern::or_done(&ctx, theirs) {
///     seen = value;
///     cancel.cancel(); // else the loop would wait: `tx` is still there
/// }
/// assert_eq!(seen, 7);
/// ```
#[track_caller]
pub fn or_done<T>(ctx: &Context, input: Receiver<T>) -> Receiver<T>
where
    T: Send + 'static,
{
    stage(ctx, input, 0, Step::Send)
}

/// What comes of a value.
pub(super) enum Step<U> {
    Send(U),
    Skip,
    /// The stage is to end with this.
    Last(U),
    /// The stage is to end.
    Stop,
}

#[track_caller]
pub(super) fn stage<T, U, F>(ctx: &Context, input: Receiver<T>, capacity: usize, f: F) -> Receiver<U>
where
    T: Send + 'static,
    U: Send + 'static,
    F: FnMut(T) -> Step<U> + Send + 'static,
{
    let (ctx, (tx, output)) = (ctx.clone(), chan::bounded(capacity));
    go_async(async move { pass_on(&ctx, &input, &tx, (), f).await });
    output
}

/// A stage: sends what `f` makes of each value. `Some` says that it has come to the end of its input, and `None` that it was told to end before.
pub(super) async fn pass_on<T, U, F>(
    ctx: &Context,
    input: &Receiver<T>,
    out: &Sender<U>,
    mut meter: impl Meter,
    mut f: F,
) -> Option<()>
where
    T: Send,
    U: Send,
    F: FnMut(T) -> Step<U>,
{
    let ended = pin!(ended(ctx, out));
    let mut ending = Ending::new(ended);
    while let Some(value) = ending.next(input).await? {
        meter.received();
        let step = f(value);
        meter.worked();
        match step {
            Step::Send(value) => {
                ending.send(out, value).await?;
                meter.sent();
            }
            Step::Skip => {}
            Step::Last(value) => {
                ending.send(out, value).await?;
                meter.sent();
                return Some(());
            }
            Step::Stop => return None,
        }
    }
    Some(())
}

/// As [`pass_on`], where `f` makes many of each value, which are sent one after another.
pub(super) async fn pass_on_each<T, I, F>(
    ctx: &Context,
    input: &Receiver<T>,
    out: &Sender<I::Item>,
    mut meter: impl Meter,
    mut f: F,
) -> Option<()>
where
    T: Send,
    I: IntoIterator,
    I::Item: Send,
    F: FnMut(T) -> I,
{
    let ended = pin!(ended(ctx, out));
    let mut ending = Ending::new(ended);
    while let Some(value) = ending.next(input).await? {
        meter.received();
        for made in f(value) {
            meter.worked();
            ending.send(out, made).await?;
            meter.sent();
        }
        meter.worked();
    }
    Some(())
}

/// The first `count` values. It lets go of its input when it has received the last of them, before anybody has taken that.
///
/// If there are fewer, it ends with them. (The notes' `take` passes on zero values then.)
///
/// # Examples
/// ```
/// use rendez::{Context, pattern};
/// let ctx = Context::background();
/// let ones = pattern::take(&ctx, pattern::repeat(&ctx, [1]), 3);
/// assert_eq!(ones.iter().collect::<Vec<_>>(), [1, 1, 1]);
/// ```
#[track_caller]
pub fn take<T>(ctx: &Context, input: Receiver<T>, count: usize) -> Receiver<T>
where
    T: Send + 'static,
{
    let (ctx, (tx, output)) = (ctx.clone(), chan::bounded(0));
    if count == 0 {
        return output;
    }
    go_async(async move {
        let ended = pin!(ended(&ctx, &tx));
        let mut ending = Ending::new(ended);
        for _ in 1..count {
            let value = ending.recv(&input).await?;
            ending.send(&tx, value).await?;
        }
        let last = ending.recv(&input).await?;
        drop(input);
        ending.send(&tx, last).await
    });
    output
}
