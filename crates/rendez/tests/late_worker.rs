//! A worker that wakes when its runtime has all but ended meddles with no other runtime.
//!
//! In a file of its own: what one runtime leaves the next takes up, and no other is to come between.
#![cfg(all(not(loom), feature = "testing"))]

use rendez::{
    Context, Event, Runtime,
    testing::virtual_time,
    time::{Instant, sleep_async},
};
use std::{
    cell::RefCell,
    pin::Pin,
    sync::{Arc, Mutex, mpsc},
    task::{self, Wake, Waker},
    thread,
    time::Duration,
};

const SOON: Duration = Duration::from_millis(20);

/// Keeps the worker that calls it.
struct Keeps {
    kept: mpsc::Sender<()>,
    released: Mutex<mpsc::Receiver<()>>,
}

impl Wake for Keeps {
    fn wake(self: Arc<Self>) {
        self.kept.send(()).unwrap();
        self.released.lock().unwrap().recv().unwrap();
    }
}

thread_local! {
    /// Dropped when the thread ends.
    static HERE: RefCell<Option<mpsc::Sender<()>>> = const { RefCell::new(None) };
}

#[test]
fn what_waits_in_virtual_time_is_not_woken_by_a_worker_of_a_runtime_that_ends() {
    let runtime = Runtime::builder().workers(2).build().unwrap();
    let (kept, is_kept) = mpsc::channel();
    let (release, released) = mpsc::channel();
    let waker = Waker::from(Arc::new(Keeps { kept, released: Mutex::new(released) }));
    let mut sleep: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(sleep_async(SOON));
    runtime.run(|| assert!(sleep.as_mut().poll(&mut task::Context::from_waker(&waker)).is_pending()));
    is_kept.recv().unwrap();
    let (here, is_gone) = mpsc::channel();
    runtime.run(|| HERE.set(Some(here)));
    let shutdown = thread::spawn(move || drop(runtime));
    assert!(is_gone.recv().is_err(), "the other worker has left");
    virtual_time(move || {
        let start = Instant::now();
        let (ctx, _cancel) = Context::background().with_timeout(SOON / 10);
        release.send(()).unwrap();
        // It blocks the worker: no time passes.
        shutdown.join().unwrap();
        assert_eq!(ctx.err(), None);
        _ = (&ctx).wait();
        assert_eq!(start.elapsed(), SOON / 10);
    });
}
