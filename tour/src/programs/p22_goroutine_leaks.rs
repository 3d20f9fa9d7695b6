//! 22. Preventing goroutine leaks.
//!
//! **The notes:** a goroutine ends when its work is done, when it panics, or when it is told to. One that waits for ever,
//! to receive from a channel that nobody sends on or to send where nobody receives, is never collected. So whoever
//! starts a goroutine sees to it that it can be told to end: by a `done` channel that it selects on.
//!
//! **In Rust** both are as in the notes, and there are two more ends. A goroutine that sends learns from the dropped
//! receiver that nobody listens: its `send` returns an error. And what is still parked when its runtime shuts down is
//! unwound, so that its destructors run.
//!
//! Who forgot it is told by a test: the leak check, which `#[rendez::test]` makes at the end, names whoever is left.

use rendez::chan::{self, Receiver};
use rendez::testing::{self, Config};
use rendez::{Builder, JoinHandle, Runtime, go, select};

use crate::output::{Check, Output, ensure};

/// Says so when it is dropped: Go's `defer`.
struct Exited(&'static str, Output);

impl Drop for Exited {
    fn drop(&mut self) {
        self.1.say(format_args!("{} exited.", self.0));
    }
}

/// Prints strings until it is told to stop.
fn do_work(done: Receiver<()>, strings: Receiver<String>, out: Output) -> JoinHandle<()> {
    go(move || {
        let _exited = Exited("doWork", out.clone());
        loop {
            select! {
                recv(strings) -> s => match s {
                    Ok(s) => out.say(s),
                    Err(_) => return,
                },
                recv(done) -> _ => return,
            }
        }
    })
}

/// A stream of numbers that ends when it is told to, or when nobody reads it any more.
fn new_rand_stream(done: Receiver<()>, out: Output) -> (Receiver<u64>, JoinHandle<()>) {
    let (tx, stream) = chan::bounded(0);
    let producer = go(move || {
        let _exited = Exited("newRandStream", out);
        let mut random = 1_u64;
        loop {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            select! {
                send(tx, random >> 33) -> sent => if sent.is_err() { return },
                recv(done) -> _ => return,
            }
        }
    });
    (stream, producer)
}

/// Both of the notes' leaks: one receives from a nil channel, one sends to a reader that has read all that it wants.
fn leak_both() {
    let named = |name: &str| Builder::new().name(name);
    drop(named("doWork").spawn(|| chan::never::<String>().recv()));
    let (numbers, stream) = chan::bounded(0);
    drop(named("newRandStream").spawn(move || (0..).try_for_each(|number| numbers.send(number))));
    assert_eq!(stream.iter().take(3).count(), 3);
    // Somebody has it, for ever.
    std::mem::forget(stream);
}

pub(crate) fn run(out: &Output) -> Check {
    // Blocked on a receive: nobody will ever send.
    let (cancel, done) = chan::bounded(0);
    let worker = do_work(done, chan::never(), out.clone());
    ensure(!worker.is_finished(), "it waits")?;
    out.say("Canceling doWork goroutine...");
    cancel.close();
    worker.join()?;
    out.say("done");

    // Blocked on a send, and told to stop.
    let (cancel, done) = chan::bounded(0);
    let (stream, producer) = new_rand_stream(done, out.clone());
    ensure(stream.iter().take(3).count() == 3, "three numbers")?;
    cancel.close();
    producer.join()?;

    // Blocked on a send; its reader goes.
    let (stream, producer) = new_rand_stream(chan::never(), out.clone());
    ensure(stream.iter().take(3).count() == 3, "three numbers")?;
    drop(stream);
    producer.join()?;

    // Without `done`, and with a reader that keeps the stream, both are left; the leak check says so.
    let once = Config { iterations: Some(1), ..Config::default() };
    let report = testing::check(once, leak_both).expect_err("two are left").message();
    for line in report.lines().filter(|line| !line.is_empty() && !line.starts_with('\t')) {
        out.say(line);
    }

    // Nobody tells it anything: the end of its runtime does.
    let leaky = Runtime::builder().workers(1).build()?;
    let (parked, is_parked) = chan::bounded(0);
    let leak = leaky.spawn({
        let out = out.clone();
        move || {
            let _exited = Exited("leak", out);
            parked.send(())?;
            chan::never::<()>().recv()?;
            Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
        }
    });
    is_parked.recv()?;
    leaky.shutdown();
    let ended = leak.join();
    ensure(ended.is_err_and(|error| error.is_cancelled()), "a leak is cancelled with its runtime")?;

    out.expect([
        "Canceling doWork goroutine...",
        "doWork exited.",
        "done",
        "newRandStream exited.",
        "newRandStream exited.",
        "2 goroutines have leaked: they did not end",
        "goroutine 2 \"doWork\" [chan receive]:",
        "goroutine 3 \"newRandStream\" [chan send]:",
        "leak exited.",
    ])
}
