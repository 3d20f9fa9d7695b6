//! How often something may happen: the token bucket.
//!
//! The bucket is one moment, that when it will be full again; how many tokens are in it follows. Taking one moves that moment on. So nothing runs and nothing is
//! counted while nobody asks (the "generic cell rate algorithm" of ATM networks has it like this). Who has to wait does so under a lock, so the
//! others queue behind it and a wait that is given up costs nobody a token.

use super::ending::{Ending, ended};
use crate::{
    Context, ContextError, Event, block_on,
    chan::{self, Receiver},
    go_async,
    sync::Mutex,
    time::{Instant, timer},
};
use std::{fmt, pin::pin, time::Duration};

/// A bucket of tokens, of which each allows one thing to be done. It holds up to `burst` and gets a new one every so often.
///
/// # Examples
/// ```
/// use rendez::{Context, pattern::RateLimit, time::Instant};
/// use std::time::Duration;
/// let (ctx, start) = (Context::background(), Instant::now());
/// let limit = RateLimit::new(2, Duration::from_millis(5));
/// for _ in 0..4 {
///     limit.wait(&ctx)?; // two at once, then one every five milliseconds
/// }
/// assert!(start.elapsed() >= Duration::from_millis(10));
/// # Ok::<(), rendez::ContextError>(())
/// ```
pub struct RateLimit {
    /// When the bucket will be full, if nothing more is taken.
    full_at: Mutex<Instant>,
    every: Duration,
    /// How long before that one token is there.
    spare: Duration,
}

impl RateLimit {
    /// A full bucket of `burst` tokens, which gets another one every `every` while it is not full.
    ///
    /// # Panics
    /// If `burst` or `every` is zero: nothing would ever be allowed, or everything always.
    #[track_caller]
    pub fn new(burst: u32, every: Duration) -> RateLimit {
        assert!(burst > 0, "a RateLimit needs a burst of at least one");
        assert!(!every.is_zero(), "a RateLimit needs some time between two tokens");
        RateLimit { full_at: Mutex::new(Instant::now()), every, spare: every.saturating_mul(burst - 1) }
    }

    /// Takes a token, waiting for one. Who comes first is served first.
    ///
    /// # Errors
    /// If the context ends before; then none has been taken.
    ///
    /// # Blocking
    /// Parks the goroutine, or the OS thread. A task awaits [`wait_async`](Self::wait_async).
    pub fn wait(&self, ctx: &Context) -> Result<(), ContextError> {
        block_on(self.wait_async(ctx))
    }

    /// As [`wait`](Self::wait), in an async task.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    ///
    /// # Cancellation
    /// Safe: a future that is dropped takes no token.
    pub async fn wait_async(&self, ctx: &Context) -> Result<(), ContextError> {
        let mut full_at = ctx.bound(self.full_at.lock_event()).wait_async().await?;
        while let Some(more) = self.missing(*full_at) {
            ctx.bound(timer(more)).wait_async().await?;
        }
        self.take(&mut full_at);
        Ok(())
    }

    /// Takes a token if there is one now and nobody waits.
    ///
    /// # Examples
    /// ```
    /// use rendez::pattern::RateLimit;
    /// let limit = RateLimit::new(1, std::time::Duration::from_secs(3600));
    /// assert!(limit.try_take());
    /// assert!(!limit.try_take());
    /// ```
    pub fn try_take(&self) -> bool {
        let Some(mut full_at) = self.full_at.try_lock() else { return false };
        let is_there = self.missing(*full_at).is_none();
        if is_there {
            self.take(&mut full_at);
        }
        is_there
    }

    /// How long it will take until a token is there.
    fn missing(&self, full_at: Instant) -> Option<Duration> {
        let until_full = full_at.saturating_duration_since(Instant::now());
        until_full.checked_sub(self.spare).filter(|missing| !missing.is_zero())
    }

    fn take(&self, full_at: &mut Instant) {
        let from = (*full_at).max(Instant::now());
        // Beyond what the clock can say: nobody lives to see the next one.
        *full_at = from.checked_add(self.every).unwrap_or(from);
    }
}

impl fmt::Debug for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit").field("every", &self.every).finish_non_exhaustive()
    }
}

/// The values, of which each takes a token: no more than `burst` at once, and one every `every` on the whole.
///
/// # Panics
/// As [`RateLimit::new`].
///
/// # Examples
/// ```
/// use rendez::{Context, pattern};
/// use std::time::Duration;
/// let ctx = Context::background();
/// let calm = pattern::rate_limit(&ctx, pattern::generator(&ctx, 0..5), 3, Duration::from_millis(1));
/// assert_eq!(calm.iter().count(), 5);
/// ```
#[track_caller]
pub fn rate_limit<T>(ctx: &Context, input: Receiver<T>, burst: u32, every: Duration) -> Receiver<T>
where
    T: Send + 'static,
{
    let limit = RateLimit::new(burst, every);
    let (ctx, (tx, output)) = (ctx.clone(), chan::bounded(0));
    go_async(async move {
        let ended = pin!(ended(&ctx, &tx));
        let mut ending = Ending::new(ended);
        loop {
            let value = ending.recv(&input).await?;
            ending.unless(limit.wait_async(&ctx)).await?.ok()?;
            ending.send(&tx, value).await?;
        }
        #[allow(unreachable_code, reason = "it says what type the block has")]
        None::<()>
    });
    output
}
