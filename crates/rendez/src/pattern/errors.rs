//! Errors as values: streams of `Result`s, and what is to be done about the `Err`s.
//!
//! | | |
//! | --- | --- |
//! | to carry on | [`try_map`] passes errors by; [`split_errors`] gives them a channel of their own |
//! | to stop at the first | [`until_error`]; or `stream.iter().collect::<Result<Vec<_>, _>>()`, and drop the stream |
//! | to know all | [`collect_all`] |

use super::{
    ending::Ending,
    linear::{Step, stage},
    tee::ctx_or_all_closed,
};
use crate::{
    Context,
    chan::{self, Receiver},
    go_async,
};
use std::pin::pin;

/// What `f` makes of each value that is no error; errors, and those that `f` returns, are passed on in their places.
///
/// # Examples
/// ```
/// use rendez::{Context, pattern};
/// let ctx = Context::background();
/// let words = pattern::generator(&ctx, ["1", "x", "3"].map(Ok));
/// let numbers = pattern::try_map(&ctx, words, |word| word.parse::<i32>().map_err(|_| word));
/// let doubled = pattern::try_map(&ctx, numbers, |n| Ok(n * 2));
/// assert_eq!(doubled.iter().collect::<Vec<_>>(), [Ok(2), Err("x"), Ok(6)]);
/// ```
#[track_caller]
pub fn try_map<T, U, E, F>(ctx: &Context, input: Receiver<Result<T, E>>, mut f: F) -> Receiver<Result<U, E>>
where
    T: Send + 'static,
    U: Send + 'static,
    E: Send + 'static,
    F: FnMut(T) -> Result<U, E> + Send + 'static,
{
    stage(ctx, input, 0, move |value: Result<T, E>| Step::Send(value.and_then(&mut f)))
}

/// The values up to the first error, and that; then it ends, and lets go of its input.
///
/// # Examples
/// ```
/// use rendez::{Context, pattern};
/// let ctx = Context::background();
/// let results = pattern::generator(&ctx, (1..).map(|n| if n < 3 { Ok(n) } else { Err("too much") }));
/// let some = pattern::until_error(&ctx, results);
/// assert_eq!(some.iter().collect::<Vec<_>>(), [Ok(1), Ok(2), Err("too much")]);
/// ```
#[track_caller]
pub fn until_error<T, E>(ctx: &Context, input: Receiver<Result<T, E>>) -> Receiver<Result<T, E>>
where
    T: Send + 'static,
    E: Send + 'static,
{
    stage(ctx, input, 0, |value: Result<T, E>| match value {
        Ok(_) => Step::Send(value),
        Err(_) => Step::Last(value),
    })
}

/// The values and the errors, each on a channel of its own.
///
/// Both have to be read, by different goroutines or in a `select!`: what nobody takes holds up the other. One that is dropped is not waited for.
///
/// # Examples
/// ```
/// use rendez::{Context, go, pattern};
/// let ctx = Context::background();
/// let results = pattern::generator(&ctx, [Ok(1), Err("no"), Ok(2)]);
/// let (values, errors) = pattern::split_errors(&ctx, results);
/// let log = go(move || errors.iter().collect::<Vec<&str>>());
/// assert_eq!(values.iter().sum::<i32>(), 3);
/// assert_eq!(log.join().unwrap(), ["no"]);
/// ```
#[track_caller]
pub fn split_errors<T, E>(ctx: &Context, input: Receiver<Result<T, E>>) -> (Receiver<T>, Receiver<E>)
where
    T: Send + 'static,
    E: Send + 'static,
{
    let (ctx, (good, values), (bad, errors)) = (ctx.clone(), chan::bounded(0), chan::bounded(0));
    go_async(async move {
        let ended = pin!(ctx_or_all_closed(&ctx, [good.closed_event(), bad.closed_event()]));
        let mut ending = Ending::new(ended);
        loop {
            match ending.recv(&input).await? {
                // An output that nobody reads is passed over; that nobody reads either is for `ending` to say.
                Ok(value) => drop(ending.unless(good.send_async(value)).await?),
                Err(error) => drop(ending.unless(bad.send_async(error)).await?),
            }
        }
        #[allow(unreachable_code, reason = "it says what type the block has")]
        None::<()>
    });
    (values, errors)
}

/// Reads the stream to its end: all values, and all errors, each in their order.
///
/// # Blocking
/// Until the stream ends.
///
/// # Examples
/// ```
/// use rendez::{Context, pattern};
/// let results = pattern::generator(&Context::background(), [Ok(1), Err("no"), Ok(2), Err("never")]);
/// assert_eq!(pattern::collect_all(results), (vec![1, 2], vec!["no", "never"]));
/// ```
pub fn collect_all<T, E>(input: Receiver<Result<T, E>>) -> (Vec<T>, Vec<E>) {
    let (mut values, mut errors) = (Vec::new(), Vec::new());
    for result in input {
        match result {
            Ok(value) => values.push(value),
            Err(error) => errors.push(error),
        }
    }
    (values, errors)
}
