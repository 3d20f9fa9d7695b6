//! 25. A pipeline.
//!
//! **The notes:** a stage takes values from a channel, does something, and passes them on. Every stage is a goroutine, so
//! all of them work at the same time. Each also watches a `done` channel, without which a consumer that
//! goes away leaves every stage before it blocked for ever.
//!
//! **In Rust** going away is itself the signal. When the last receiver is dropped the stage before it gets an
//! error from its send and returns, which drops *its* receiver, and so on up to the generator: one `drop` cancels the
//! whole pipeline. At the other end, a stage whose input is exhausted returns and drops its sender, which ends the
//! loop of the stage after it.

use rendez::chan::{self, Receiver};
use rendez::{JoinHandle, go};

use crate::output::{Check, Output, ensure};

/// The goroutines of a pipeline, in order. A program that does not count them needs only the receivers.
#[derive(Default)]
struct Stages(Vec<JoinHandle<()>>);

impl Stages {
    /// From values to a stream of them.
    fn generator<I>(&mut self, values: I) -> Receiver<I::Item>
    where
        I: IntoIterator + Send + 'static,
        I::Item: Send + 'static,
    {
        let (sender, stream) = chan::bounded(0);
        self.0.push(go(move || {
            for value in values {
                if sender.send(value).is_err() {
                    return;
                }
            }
        }));
        stream
    }

    /// A stage that passes on what `f` makes of each value.
    fn map<T, U>(&mut self, input: Receiver<T>, f: impl Fn(T) -> U + Send + 'static) -> Receiver<U>
    where
        T: Send + 'static,
        U: Send + 'static,
    {
        self.generator(input.into_iter().map(f))
    }

    fn add(&mut self, input: Receiver<i32>, addend: i32) -> Receiver<i32> {
        self.map(input, move |value| value + addend)
    }

    fn multiply(&mut self, input: Receiver<i32>, factor: i32) -> Receiver<i32> {
        self.map(input, move |value| value * factor)
    }

    /// Waits for every stage; how many there were.
    fn join(self) -> Result<usize, rendez::JoinError> {
        let count = self.0.len();
        self.0.into_iter().try_for_each(JoinHandle::join)?;
        Ok(count)
    }
}

pub(crate) fn run(out: &Output) -> Check {
    // To the end.
    let mut stages = Stages::default();
    let ints = stages.generator([1, 2, 3, 4]);
    let plus_one = stages.add(ints, 1);
    let doubled = stages.multiply(plus_one, 2);
    for value in doubled {
        out.say(value);
    }
    let ended = stages.join()?;
    ensure(ended == 3, "a pipeline of three stages should have three")?;
    out.expect([4, 6, 8, 10])?;

    // Cancelled half-way, with a generator that never ends by itself.
    let mut stages = Stages::default();
    let ints = stages.generator(1..);
    let plus_one = stages.add(ints, 1);
    let doubled = stages.multiply(plus_one, 2);
    let taken: Vec<i32> = doubled.iter().take(2).collect();
    drop(doubled);
    let ended = stages.join()?;
    out.say(format_args!("cancelled after {taken:?}: all {ended} stages have ended"));
    ensure(taken == [4, 6] && ended == 3, "all three stages should have ended after two values")
}
