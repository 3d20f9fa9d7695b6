//! From values to channels.

use super::{
    ending::{Ending, ended},
    meter::Meter,
};
use crate::{
    Context,
    chan::{self, Receiver, Sender},
    go_async,
};
use std::{any::Any, pin::pin};

/// Where the values of a first stage come from.
pub(super) enum Source<I: Iterator> {
    Values(I),
    /// Whose end, and whose values, can be waited for beside other things.
    Channel(Receiver<I::Item>),
}

/// Tells a receiver, which is iterated over like all else, from what can only be iterated over.
pub(super) fn source<I>(values: I) -> Source<I::IntoIter>
where
    I: IntoIterator + 'static,
    I::Item: 'static,
{
    let mut values = Some(values);
    match (&mut values as &mut dyn Any).downcast_mut::<Option<Receiver<I::Item>>>() {
        Some(channel) => Source::Channel(channel.take().expect("it was put there")),
        None => Source::Values(values.expect("it was put there").into_iter()),
    }
}

/// The values of `values`, in order, as a stream.
///
/// The channel closes after the last one. `values` may be without end, and may block in finding the next one; a
/// [`Receiver`] is followed by its events, so that the stage can end while it waits for it.
///
/// # Examples
/// ```
/// use rendez::{Context, pattern};
/// let squares = pattern::generator(&Context::background(), (1..).map(|n| n * n));
/// assert_eq!(squares.iter().take(3).collect::<Vec<u64>>(), [1, 4, 9]);
/// ```
#[track_caller]
pub fn generator<I>(ctx: &Context, values: I) -> Receiver<I::Item>
where
    I: IntoIterator + 'static,
    I::IntoIter: Send + 'static,
    I::Item: Send + 'static,
{
    let (ctx, source, (tx, stream)) = (ctx.clone(), source(values), chan::bounded(0));
    go_async(async move { generate(&ctx, source, &tx, ()).await });
    stream
}

/// A first stage. `Some` says that it has come to the end of its values, and `None` that it was told to end before.
pub(super) async fn generate<I: Iterator>(
    ctx: &Context,
    source: Source<I>,
    out: &Sender<I::Item>,
    mut meter: impl Meter,
) -> Option<()>
where
    I::Item: Send,
{
    let ended = pin!(ended(ctx, out));
    let mut ending = Ending::new(ended);
    match source {
        Source::Values(values) => {
            for value in values {
                meter.worked();
                ending.send(out, value).await?;
                meter.sent();
            }
        }
        Source::Channel(input) => {
            while let Some(value) = ending.next(&input).await? {
                meter.received();
                ending.send(out, value).await?;
                meter.sent();
            }
        }
    }
    Some(())
}

/// The values over and over, without end. Without any, it ends at once.
///
/// # Examples
/// ```
/// use rendez::{Context, pattern};
/// let ctx = Context::background();
/// let beats = pattern::take(&ctx, pattern::repeat(&ctx, ["tick", "tock"]), 3);
/// assert_eq!(beats.iter().collect::<Vec<_>>(), ["tick", "tock", "tick"]);
/// ```
#[track_caller]
pub fn repeat<I>(ctx: &Context, values: I) -> Receiver<I::Item>
where
    I: IntoIterator + Clone + Send + 'static,
    I::IntoIter: Send + 'static,
    I::Item: Send + 'static,
{
    let (ctx, (tx, stream)) = (ctx.clone(), chan::bounded(0));
    go_async(async move {
        let ended = pin!(ended(&ctx, &tx));
        let mut ending = Ending::new(ended);
        loop {
            let mut any = false;
            for value in values.clone() {
                any = true;
                ending.send(&tx, value).await?;
            }
            if !any {
                return Some(());
            }
        }
    });
    stream
}

/// What `make` returns, call after call, without end. It is called again when the value before has been taken.
///
/// # Examples
/// ```
/// use rendez::{Context, pattern};
/// let mut n = 0;
/// let counted = pattern::repeat_with(&Context::background(), move || { n += 1; n });
/// assert_eq!(counted.iter().take(3).collect::<Vec<i32>>(), [1, 2, 3]);
/// ```
#[track_caller]
pub fn repeat_with<F, T>(ctx: &Context, make: F) -> Receiver<T>
where
    F: FnMut() -> T + Send + 'static,
    T: Send + 'static,
{
    generator(ctx, std::iter::repeat_with(make))
}
