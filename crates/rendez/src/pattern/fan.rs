//! One channel to many, and many to one.

use super::{
    ending::{Ending, ended},
    linear::{Step, pass_on},
};
use crate::{
    Context,
    chan::{self, Receiver},
    go_async,
};
use std::{pin::pin, sync::Arc};

/// `workers` stages that share the input, each with what `f` makes of the values that it got, in the order in which it got them.
///
/// Each value goes to one of them, to whichever asks first; [`fan_in`] makes one channel of the results. A worker whose
/// output is dropped ends, and the others go on. For results in the order of the input see [`ordered_map`](super::ordered_map).
///
/// With no workers there is nobody to take the input, which is dropped.
///
/// # Examples
/// ```
/// use rendez::{Context, pattern};
/// let ctx = Context::background();
/// let squares = pattern::fan_out(&ctx, pattern::generator(&ctx, 1..=4), 2, |n| n * n);
/// let mut all: Vec<i32> = pattern::fan_in(&ctx, squares).iter().collect();
/// all.sort();
/// assert_eq!(all, [1, 4, 9, 16]);
/// ```
#[doc(alias("buffer_unordered"))]
#[track_caller]
pub fn fan_out<T, U, F>(ctx: &Context, input: Receiver<T>, workers: usize, f: F) -> Vec<Receiver<U>>
where
    T: Send + 'static,
    U: Send + 'static,
    F: Fn(T) -> U + Send + Sync + 'static,
{
    let f = Arc::new(f);
    let mut outputs = Vec::with_capacity(workers);
    for _ in 0..workers {
        let (ctx, input, f, (tx, output)) = (ctx.clone(), input.clone(), f.clone(), chan::bounded(0));
        go_async(async move { pass_on(&ctx, &input, &tx, (), |value| Step::Send(f(value))).await });
        outputs.push(output);
    }
    outputs
}

/// The values of all inputs, as they come. Those of one input keep their order. It ends when all inputs have.
///
/// # Examples
/// ```
/// use rendez::{Context, pattern};
/// let ctx = Context::background();
/// let inputs = [pattern::generator(&ctx, 0..10), pattern::generator(&ctx, 10..20)];
/// assert_eq!(pattern::fan_in(&ctx, inputs).iter().sum::<i32>(), 190);
/// ```
#[doc(alias("merge"))]
#[track_caller]
pub fn fan_in<T, I>(ctx: &Context, inputs: I) -> Receiver<T>
where
    T: Send + 'static,
    I: IntoIterator<Item = Receiver<T>>,
{
    let (tx, output) = chan::bounded(0);
    // One goroutine for each: with a choice among all by a single one, an item would cost the more the more inputs there are.
    // The output closes as the last of them drops its sender.
    for input in inputs {
        let (ctx, tx) = (ctx.clone(), tx.clone());
        go_async(async move { pass_on(&ctx, &input, &tx, (), Step::Send).await });
    }
    output
}

/// The values of a sequence of channels, one channel after another.
///
/// It ends when the sequence has ended, and the last channel in it.
///
/// # Examples
/// ```
/// use rendez::{Context, pattern};
/// let ctx = Context::background();
/// let pages: Vec<_> = (0..3).map(|page| pattern::generator(&ctx, [page, page])).collect();
/// let lines = pattern::bridge(&ctx, pattern::generator(&ctx, pages));
/// assert_eq!(lines.iter().collect::<Vec<_>>(), [0, 0, 1, 1, 2, 2]);
/// ```
#[track_caller]
pub fn bridge<T>(ctx: &Context, inputs: Receiver<Receiver<T>>) -> Receiver<T>
where
    T: Send + 'static,
{
    let (ctx, (tx, output)) = (ctx.clone(), chan::bounded(0));
    go_async(async move {
        let ended = pin!(ended(&ctx, &tx));
        let mut ending = Ending::new(ended);
        while let Some(input) = ending.recv(&inputs).await {
            while let Some(value) = ending.recv(&input).await {
                ending.send(&tx, value).await?;
            }
        }
        Some(())
    });
    output
}
