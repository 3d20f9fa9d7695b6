//! 32. Context: cancellation and deadlines.
//!
//! **The notes:** `main` makes a context that it can cancel, and prints a greeting and a farewell at the same time. Asking for the locale takes a
//! minute. The greeting gives it a second, and sees from the deadline that there is no point in starting; on that `main`'s
//! context is cancelled, and the farewell, which has no deadline of its own, is cancelled while it waits.
//!
//! **In Rust** [`Context`] has the same methods. A `CancelFunc` cancels when it is dropped, so there is no `defer cancel()` to forget. The
//! `select` over `Done` and something else is [`ctx.bound(event)`](Context::bound), which gives the context's error if that comes first.

use std::time::Duration;

use rendez::sync::WaitGroup;
use rendez::time::{Instant, timer};
use rendez::{Context, ContextError, Event};

use crate::output::{Check, Output, ensure};

const MINUTE: Duration = Duration::from_secs(60);

pub(crate) fn run(out: &Output) -> Check {
    let start = Instant::now();
    let (ctx, cancel) = Context::background().with_cancel();
    let both = WaitGroup::new();
    both.go({
        let (ctx, out) = (ctx.clone(), out.clone());
        move || {
            if let Err(error) = print_greeting(&ctx, &out) {
                out.say(format_args!("cannot print greeting: {error}"));
                cancel.cancel();
            }
        }
    });
    both.go({
        let out = out.clone();
        move || {
            if let Err(error) = print_farewell(&ctx, &out) {
                out.say(format_args!("cannot print farewell: {error}"));
            }
        }
    });
    both.wait();
    ensure(start.elapsed() < Duration::from_secs(1), "it fails fast, before the deadline")?;
    out.expect([
        "cannot print greeting: context deadline exceeded",
        "cannot print farewell: context canceled",
    ])
}

fn print_greeting(ctx: &Context, out: &Output) -> Result<(), ContextError> {
    out.say(format_args!("{} world!", greeting(ctx)?));
    Ok(())
}

fn print_farewell(ctx: &Context, out: &Output) -> Result<(), ContextError> {
    out.say(format_args!("{} world!", farewell(ctx)?));
    Ok(())
}

fn greeting(ctx: &Context) -> Result<&'static str, ContextError> {
    let (ctx, _cancel) = ctx.with_timeout(Duration::from_secs(1));
    locale(&ctx).map(|_| "hello")
}

fn farewell(ctx: &Context) -> Result<&'static str, ContextError> {
    locale(ctx).map(|_| "goodbye")
}

fn locale(ctx: &Context) -> Result<&'static str, ContextError> {
    // It takes a minute: who has less need not begin.
    if ctx.deadline().is_some_and(|deadline| deadline <= Instant::now() + MINUTE) {
        return Err(ContextError::DeadlineExceeded);
    }
    ctx.bound(timer(MINUTE)).wait()?;
    Ok("EN/US")
}
