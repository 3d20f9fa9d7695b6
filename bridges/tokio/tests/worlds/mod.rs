//! Futures that want tokio, in every world: goroutines, OS threads, async goroutines.
#![allow(dead_code, reason = "each test uses its own part of this")]

use rendez::{Runtime, go};
use std::{
    panic::resume_unwind,
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

/// Where a future is polled.
#[derive(Clone, Copy, Debug)]
pub(crate) enum World {
    /// `block_on` in a goroutine; the number is that of the workers.
    Goroutines(usize),
    /// `go_async`.
    AsyncGoroutines(usize),
    /// `block_on` on an OS thread.
    Threads,
    /// The three by turns.
    Mixed(usize),
}

const WORLDS: [World; 8] = [
    World::Goroutines(1),
    World::Goroutines(2),
    World::Goroutines(8),
    World::AsyncGoroutines(1),
    World::AsyncGoroutines(2),
    World::Threads,
    World::Mixed(1),
    World::Mixed(2),
];

/// Fails where it would hang. The limit is far beyond what a test takes on a slow machine.
pub(crate) fn in_time(what: &str, test: impl FnOnce() + Send + 'static) {
    let (done, ended) = mpsc::channel::<()>();
    let thread = thread::spawn(move || {
        let _done = done;
        test();
    });
    if ended.recv_timeout(Duration::from_secs(120)) == Err(RecvTimeoutError::Timeout) {
        panic!("it hangs: {what}");
    }
    if let Err(payload) = thread.join() {
        resume_unwind(payload);
    }
}

/// Runs as many futures as are wanted at once, in each world, and looks at the end that all have ended well.
pub(crate) fn in_every_world<F, Fut>(many: usize, make: F)
where
    F: Fn(usize) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let make = Arc::new(make);
    for world in WORLDS {
        let make = make.clone();
        in_time(&format!("{world:?}"), move || match world {
            World::Threads => all(world, many, &*make),
            World::Goroutines(workers) | World::AsyncGoroutines(workers) | World::Mixed(workers) => {
                let runtime = Runtime::builder().workers(workers).build().unwrap();
                runtime.run(|| all(world, many, &*make));
            }
        });
    }
}

fn all<Fut>(world: World, many: usize, make: &(impl Fn(usize) -> Fut + Send + Sync))
where
    Fut: Future<Output = ()> + Send + 'static,
{
    let (mut goroutines, mut threads) = (Vec::new(), Vec::new());
    for i in 0..many {
        let future = make(i);
        let turn = match world {
            World::Goroutines(_) => 0,
            World::AsyncGoroutines(_) => 1,
            World::Threads => 2,
            World::Mixed(_) => i % 3,
        };
        match turn {
            0 => goroutines.push(go(move || rendez_tokio::block_on(future))),
            1 => goroutines.push(rendez_tokio::go_async(future)),
            _ => threads.push(go_thread(move || rendez_tokio::block_on(future))),
        }
    }
    for goroutine in goroutines {
        if let Err(error) = goroutine.join() {
            resume_unwind(error.into_panic());
        }
    }
    for thread in threads {
        if let Err(payload) = rendez::blocking(|| thread.join()) {
            resume_unwind(payload);
        }
    }
}

fn go_thread(f: impl FnOnce() + Send + 'static) -> thread::JoinHandle<()> {
    thread::Builder::new().name("test".into()).spawn(f).unwrap()
}
