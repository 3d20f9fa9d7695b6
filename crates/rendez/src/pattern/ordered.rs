//! Many at a time, and in order.
//!
//! # Protocol
//!
//! The workers are all alike. Whoever is free takes the *turn* (a lock), waits for a value with it, numbers the value and passes the turn
//! on. What it makes of the value it puts into the *line* at the number's place, and goes on; unless it finds the head of
//! the line there and nobody sending: then it sends what is at the head, one after another, until the head is missing.
//! So there is no goroutine that only sorts or sends.
//!
//! The line is bounded: who has the turn does not take a value whose number is [`AHEAD`] times the workers beyond the last one sent. It
//! then waits for the one who sends to say that there is room.
//!
//! If a worker ends without a result (its function panicked), the line would never move past its number. It closes the output,
//! by which all others end.

use super::{
    ending::{Ending, ended},
    meter::Meter,
};
use crate::{
    Context,
    chan::{self, Receiver, Sender},
    go_async,
    sync::Mutex,
};
use std::{
    collections::VecDeque,
    pin::pin,
    sync::{self, Arc, MutexGuard, PoisonError},
};

/// How many values each worker may be ahead of the last one sent.
pub(super) const AHEAD: usize = 4;

/// What `f` makes of each value, of which up to `workers` are worked on at a time, in the order of the input.
///
/// However slow its reader is, no more than eight values for each worker are ever on the way, half of them results in the output's
/// buffer.
///
/// # Panics
/// If `workers` is zero. If `f` panics, everything ends at the value before, or earlier.
///
/// # Examples
/// ```
/// use rendez::{Context, pattern, sleep};
/// use std::time::Duration;
/// let ctx = Context::background();
/// let slow_first = pattern::ordered_map(&ctx, pattern::generator(&ctx, [3, 2, 1]), 3, |n| {
///     sleep(Duration::from_millis(n));
///     n * 10
/// });
/// assert_eq!(slow_first.iter().collect::<Vec<_>>(), [30, 20, 10]);
/// ```
#[doc(alias("buffered"))]
#[track_caller]
pub fn ordered_map<T, U, F>(ctx: &Context, input: Receiver<T>, workers: usize, f: F) -> Receiver<U>
where
    T: Send + 'static,
    U: Send + 'static,
    F: Fn(T) -> U + Send + Sync + 'static,
{
    assert!(workers > 0, "pattern::ordered_map needs at least one worker");
    let f = Arc::new(f);
    let (tx, output) = chan::bounded(AHEAD * workers);
    let shared = Arc::new(Ordered::new(input, AHEAD * workers));
    for _ in 0..workers {
        let (ctx, shared, tx, f) = (ctx.clone(), shared.clone(), tx.clone(), f.clone());
        go_async(async move { shared.work(&ctx, &tx, (), |value| Some(f(value))).await });
    }
    output
}

/// What the workers share.
pub(super) struct Ordered<T, U> {
    turn: Mutex<Turn<T>>,
    line: sync::Mutex<Line<U>>,
    room: (Sender<()>, Receiver<()>),
}

struct Turn<T> {
    input: Receiver<T>,
    /// The number of the next value.
    next: usize,
}

struct Line<U> {
    /// The number at the head: all before have been sent, or the last of them is being sent.
    head: usize,
    /// At `i`, what has come of number `head + i`, if it is there.
    results: VecDeque<Option<U>>,
    /// Somebody sends.
    sending: bool,
    /// How many have been sent.
    sent: usize,
    most: usize,
    /// Who has the turn waits for room.
    is_awaited: bool,
}

impl<T: Send, U: Send> Ordered<T, U> {
    pub(super) fn new(input: Receiver<T>, most: usize) -> Self {
        Ordered {
            turn: Mutex::new(Turn { input, next: 0 }),
            line: sync::Mutex::new(Line {
                head: 0,
                results: VecDeque::new(),
                sending: false,
                sent: 0,
                most,
                is_awaited: false,
            }),
            room: chan::bounded(1),
        }
    }

    /// Puts a result in its place. If the caller is to send, the head.
    fn put(&self, number: usize, result: U) -> Option<U> {
        let mut line = self.line();
        if line.put(number, result) { line.take() } else { None }
    }

    /// The head has been sent: the next one, if it is there.
    fn next(&self) -> Option<U> {
        let mut line = self.line();
        let is_awaited = line.has_sent();
        let head = line.take();
        drop(line);
        if is_awaited {
            // If there is such a word already, that one will do.
            _ = self.room.0.try_send(());
        }
        head
    }

    // The standard library's mutex: it is held for a few instructions, and never across a wait.
    fn line(&self) -> MutexGuard<'_, Line<U>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One worker. It ends the whole when `f` returns nothing. `Some` says that it has come to the end of the input, and `None` that it was
    /// told to end before.
    pub(super) async fn work(
        &self,
        ctx: &Context,
        out: &Sender<U>,
        mut meter: impl Meter,
        mut f: impl FnMut(T) -> Option<U>,
    ) -> Option<()> {
        let ended = pin!(ended(ctx, out));
        let mut ending = Ending::new(ended);
        loop {
            let (number, value) = {
                let mut turn = ending.unless(self.turn.lock_async()).await?;
                if !self.line().has_room(turn.next) {
                    meter.waited();
                    ending.recv(&self.room.1).await?;
                    while !self.line().has_room(turn.next) {
                        ending.recv(&self.room.1).await?;
                    }
                    meter.waited_for_room();
                }
                let Some(value) = ending.next(&turn.input).await? else { return Some(()) };
                turn.next += 1;
                (turn.next - 1, value)
            };
            meter.received();
            let missing = Missing(out);
            let result = f(value)?;
            std::mem::forget(missing);
            meter.worked();
            let mut head = self.put(number, result);
            while let Some(result) = head {
                ending.send(out, result).await?;
                meter.sent();
                head = self.next();
            }
        }
    }
}

/// Closes the output if a value is left without a result.
struct Missing<'a, U>(&'a Sender<U>);

impl<U> Drop for Missing<'_, U> {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl<U> Line<U> {
    /// Whether the value with this number may be taken; if not, [`has_sent`](Self::has_sent) tells when to ask again.
    fn has_room(&mut self, number: usize) -> bool {
        self.is_awaited = number - self.sent >= self.most;
        !self.is_awaited
    }

    /// Puts a result in its place. Whether the caller is to send what is at the head.
    fn put(&mut self, number: usize, result: U) -> bool {
        let place = number - self.head;
        if place >= self.results.len() {
            self.results.resize_with(place + 1, || None);
        }
        self.results[place] = Some(result);
        let sends = !self.sending && place == 0;
        self.sending |= sends;
        sends
    }

    /// The result at the head, to be sent; if it is missing, the caller sends no more.
    fn take(&mut self) -> Option<U> {
        let head = self.results.front_mut().and_then(Option::take);
        match head {
            Some(_) => {
                self.results.pop_front();
                self.head += 1;
            }
            None => self.sending = false,
        }
        head
    }

    /// Whether somebody waits for that.
    fn has_sent(&mut self) -> bool {
        self.sent += 1;
        std::mem::take(&mut self.is_awaited)
    }
}
