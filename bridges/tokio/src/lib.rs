//! Crates that are bound to tokio (an HTTP client, a database's driver) on rendez: from goroutines, async goroutines and OS threads.
//!
//! What such a crate wants is tokio's *context*: a thread-local that says which tokio runtime sees to its sockets, its timers and what it
//! spawns. [`Compat`], of the crate `async-compat`, wraps a future so that each of its polls runs within that context, and its destructor
//! too. The runtime is one of `async-compat`'s own, of one thread, started when first wanted; on a thread that is within another one, it is that.
//!
//! * [`block_on`] runs such a future where you are, and [`go_async`] as a goroutine without a stack.
//! * [`enter`] calls a closure within the context: to make, or to drop, what wants it.
//! * [`Context::within`](rendez::Context::within) bounds such a future as any other.
//!
//! ```
//! use rendez::{Context, ContextError, go};
//! use std::time::Duration;
//!
//! let patient = go(|| rendez_tokio::block_on(async { tokio::time::sleep(Duration::from_millis(1)).await }));
//! patient.join().unwrap();
//!
//! let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(1));
//! let impatient = tokio::sync::Notify::new();
//! assert_eq!(rendez_tokio::block_on(ctx.within(impatient.notified())), Err(ContextError::DeadlineExceeded));
//! ```
//!
//! # The one rule
//!
//! **Within tokio's context nothing may park.** The context is the thread's, and a goroutine that parks leaves its thread to others, which would
//! find a context that is not theirs. A poll is over before its goroutine parks, so [`block_on`] and [`go_async`] keep the rule by themselves. You break it
//! with a call that blocks inside of the future (`rx.recv()` where `rx.recv_async().await` belongs), inside of [`enter`], or while you hold a guard of
//! `tokio::runtime::Handle::enter`. It is not unsound: the others get a context that they have not asked for, and tokio panics once two guards
//! are dropped in another order than they nest.
//!
//! The guide has a chapter on all of this: `docs/guide/src/tokio-crates.md`.
#![forbid(unsafe_code)]

pub use async_compat::{Compat, CompatExt};

use rendez::JoinHandle;
use std::{
    future::poll_fn,
    pin::pin,
    task::{Context, Poll, Waker},
};

/// Runs a future that wants tokio to its end on the calling goroutine, or OS thread, which parks between polls.
///
/// What the tokio-bound crate has is best made, used and dropped in this one future: some functions that only make one (`tokio::time::sleep`), and
/// some destructors, want the context too.
///
/// # Panics
/// With the future's panic; and at the first use in a process, if the thread of tokio's runtime can't be started.
///
/// # Blocking
/// Until the future is ready. Its wake-ups come from the thread of tokio's runtime.
///
/// # Cancellation
/// By a context: `block_on(ctx.within(future))` drops the future, within tokio's context, when `ctx` ends. When the runtime shuts down, the
/// goroutine is unwound and the future dropped, likewise.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// let word = rendez_tokio::block_on(async {
///     tokio::time::sleep(Duration::from_millis(1)).await;
///     tokio::spawn(async { "hello" }).await.unwrap()
/// });
/// assert_eq!(word, "hello");
/// ```
pub fn block_on<F: Future>(future: F) -> F::Output {
    rendez::block_on(Compat::new(future))
}

/// Runs a future that wants tokio on a goroutine without a stack of its own.
///
/// The polls are made by rendez's workers; tokio's thread has only to do with what the future waits for.
///
/// # Panics
/// As [`rendez::go_async`]. A panic in the future comes out of the handle's `join`.
///
/// # Cancellation
/// When the runtime shuts down, the future is dropped, within tokio's context.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// let sleepers: Vec<_> = (0..100)
///     .map(|_| rendez_tokio::go_async(tokio_sleep(Duration::from_millis(1))))
///     .collect();
/// sleepers.into_iter().for_each(|sleeper| sleeper.join().unwrap());
///
/// async fn tokio_sleep(duration: Duration) {
///     tokio::time::sleep(duration).await;
/// }
/// ```
#[track_caller]
pub fn go_async<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    rendez::go_async(Compat::new(future))
}

/// Calls `f` within tokio's context, which is left when `f` returns or panics: for what wants the context and is not a future, such as a constructor or
/// a destructor.
///
/// `f` must not park (see the [crate](crate)).
///
/// # Panics
/// With `f`'s panic.
///
/// # Blocking
/// Only if `f` does.
///
/// # Examples
/// ```
/// // What wants tokio's context to be made, and to be dropped.
/// let socket = rendez_tokio::enter(|| {
///     let socket = std::net::UdpSocket::bind("127.0.0.1:0")?;
///     socket.set_nonblocking(true)?;
///     tokio::net::UdpSocket::from_std(socket)
/// })?;
/// let addr = socket.local_addr()?;
/// let got = rendez_tokio::block_on(async {
///     socket.send_to(b"hello", addr).await?;
///     socket.recv(&mut [0; 8]).await
/// })?;
/// assert_eq!(got, 5);
/// # std::io::Result::Ok(())
/// ```
pub fn enter<R>(f: impl FnOnce() -> R) -> R {
    let mut f = Some(f);
    let once = poll_fn(|_| Poll::Ready(f.take().expect("polled once")()));
    match pin!(Compat::new(once)).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => unreachable!("it is ready at its first poll"),
    }
}

/// The guide's chapter, whose examples are tests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide/src/tokio-crates.md")]
struct Guide;
