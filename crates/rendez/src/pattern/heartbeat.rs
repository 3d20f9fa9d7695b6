//! Signs of life.

use super::{
    batch::before,
    ending::{Ending, ended},
};
use crate::{
    Context,
    chan::{self, Receiver, Sender},
    go_async,
    time::Instant,
};
use std::{
    future::Future,
    pin::{Pin, pin},
    time::Duration,
};

/// The values, and beside them a beat every `every`, whether there are values or not: a sign that the stage is alive and waits for its input, or for
/// somebody to take its output.
///
/// Beats that nobody takes are dropped, but for one: who looks after a while finds a single one, and then one at each turn. The second channel
/// closes when the stage ends; dropping it stops the beats alone.
///
/// # Panics
/// If `every` is zero.
///
/// # Examples
/// ```
/// use rendez::{Context, chan, pattern};
/// use std::time::Duration;
/// let (_silent, input) = chan::bounded::<i32>(0);
/// let (_values, beats) = pattern::heartbeat(&Context::background(), input, Duration::from_millis(1));
/// assert_eq!(beats.iter().take(3).count(), 3);
/// ```
#[track_caller]
pub fn heartbeat<T>(ctx: &Context, input: Receiver<T>, every: Duration) -> (Receiver<T>, Receiver<Instant>)
where
    T: Send + 'static,
{
    assert!(!every.is_zero(), "pattern::heartbeat needs some time between two beats");
    let (ctx, (tx, output), (beat, beats)) = (ctx.clone(), chan::bounded(0), chan::bounded(1));
    go_async(async move {
        let ended = pin!(ended(&ctx, &tx));
        let mut ending = Ending::new(ended);
        let mut heart = Heart { beat, every, next: Instant::now().checked_add(every) };
        loop {
            let value = {
                let next = pin!(input.recv_async());
                ending.unless(heart.during(next)).await?.ok()?
            };
            let sent = pin!(tx.send_async(value));
            ending.unless(heart.during(sent)).await?.ok()?;
        }
        #[allow(unreachable_code, reason = "it says what type the block has")]
        None::<()>
    });
    (output, beats)
}

struct Heart {
    beat: Sender<Instant>,
    every: Duration,
    next: Option<Instant>,
}

impl Heart {
    /// Beats while `wait` is waited for.
    async fn during<Fut: Future>(&mut self, mut wait: Pin<&mut Fut>) -> Fut::Output {
        loop {
            if let Some(output) = before(wait.as_mut(), self.next).await {
                return output;
            }
            let now = Instant::now();
            _ = self.beat.try_send(now);
            self.next = now.checked_add(self.every);
        }
    }
}

/// What somebody who works says that he is alive with: see [`Supervisor`](super::Supervisor). Clones are the same pulse.
#[derive(Clone, Debug)]
pub struct Pulse {
    beat: Sender<()>,
}

impl Pulse {
    /// A pulse, and where its beats arrive: one at the most, however many there were since the last look.
    ///
    /// # Examples
    /// ```
    /// let (pulse, beats) = rendez::pattern::Pulse::new();
    /// pulse.beat();
    /// pulse.beat();
    /// assert_eq!(beats.try_iter().count(), 1);
    /// ```
    #[track_caller]
    pub fn new() -> (Pulse, Receiver<()>) {
        let (beat, beats) = chan::bounded(1);
        (Pulse { beat }, beats)
    }

    /// Says so. Never blocks.
    pub fn beat(&self) {
        _ = self.beat.try_send(());
    }
}
