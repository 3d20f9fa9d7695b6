//! What the tests of goroutines and runtimes share: a limit of time, runtimes, things that tell of their drop.
#![allow(dead_code, reason = "each test file uses its own part of this")]

#[allow(
    clippy::duplicate_mod,
    reason = "a test that has both `setup` and `worlds` has two clocks, which never meet"
)]
#[path = "../clock/mod.rs"]
mod clock;

pub(crate) use clock::Clock;
use rendez::{Runtime, go_async};
use std::{
    any::Any,
    panic::resume_unwind,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

/// Fails where it would hang. The limit is far beyond what a test takes on a slow machine.
pub(crate) fn in_time(test: impl FnOnce() + Send + 'static) {
    let (done, ended) = mpsc::channel::<()>();
    let thread = thread::spawn(move || {
        let _done = done;
        test();
    });
    if ended.recv_timeout(Duration::from_secs(120)) == Err(mpsc::RecvTimeoutError::Timeout) {
        panic!("it hangs");
    }
    if let Err(payload) = thread.join() {
        resume_unwind(payload);
    }
}

/// Runs `body` in all three worlds: on an OS thread, in a goroutine and in an async goroutine; the latter two on one, two
/// and eight workers.
pub(crate) fn in_every_world(body: fn()) {
    in_time(move || {
        body();
        for workers in [1, 2, 8] {
            let runtime = runtime(workers);
            runtime.run(body);
            runtime.spawn(body).join().unwrap();
            runtime.run(|| go_async(async move { body() }).join()).unwrap();
        }
    });
}

/// As [`in_every_world`], for what has to do with time: by the machine's clock on an OS thread and on real workers, and in a
/// goroutine and an async goroutine in virtual time. There, `body` must not spin until time has passed.
pub(crate) fn in_worlds_of_time(body: fn(Clock)) {
    in_time(move || {
        body(Clock::Machine);
        let runtime = runtime(2);
        runtime.run(|| body(Clock::Machine));
        runtime.run(|| go_async(async move { body(Clock::Machine) }).join()).unwrap();
        #[cfg(feature = "testing")]
        {
            rendez::testing::virtual_time(|| body(Clock::Virtual));
            rendez::testing::virtual_time(|| go_async(async move { body(Clock::Virtual) }).join()).unwrap();
        }
    });
}

pub(crate) fn runtime(workers: usize) -> Runtime {
    Runtime::builder().workers(workers).build().unwrap()
}

pub(crate) fn wait_until(condition: impl Fn() -> bool) {
    while !condition() {
        rendez::sleep(Duration::from_micros(200));
    }
}

/// Counts how often its tokens are dropped.
#[derive(Clone, Debug, Default)]
pub(crate) struct Drops(Arc<AtomicUsize>);

impl Drops {
    pub(crate) fn token(&self) -> Token {
        Token(self.0.clone())
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

#[derive(Debug)]
pub(crate) struct Token(Arc<AtomicUsize>);

impl Drop for Token {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Does something when it is dropped.
pub(crate) struct OnDrop<F: FnMut()>(pub(crate) F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// What a panic said.
pub(crate) fn text(payload: Box<dyn Any + Send>) -> String {
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload.downcast::<&str>().expect("a panic with a text").to_string(),
    }
}
