//! How many sources there are in a poller, and the word to its worker that there are some again.
//!
//! # Newcomers
//!
//! A worker whose poller has sources sleeps there, else on its condition variable, where it hears none of them. Its own goroutines register theirs
//! while it is awake. But where another worker can't make a poller, for want of descriptors, that one's goroutines come to this one's: at any
//! moment. They choose a poller that has sources; the last of these may have gone by the time they register their own, and the worker
//! may sleep elsewhere by then.
//!
//! | | who registers a source | the worker that is about to sleep elsewhere |
//! | --- | --- | --- |
//! | 1 | counts it | stores `ASLEEP` |
//! | 2 | fence | fence |
//! | 3 | if it is the first: notifies the worker, if that sleeps | looks at the count: if there are sources, it is awake again, and sleeps in its poller the next time |
//! | 4 | has the kernel watch it; if the kernel does not, takes it from the count | |
//!
//! * *No newcomer is left unheard*: by the fences, at least one of the two sees in 3 what the other has done in 1 (see
//!   [`sleep`](super::sleep)). In its poller the worker hears whatever is watched, before it gets there or after.
//! * *The first one stands for all.* The count leaves zero by a source that is the first, whose owner notifies after that; whoever comes until it
//!   is zero again relies on it. So the first one notifies although the kernel may refuse it: those behind it stay.
//! * *The worker itself* is awake when it registers a source, and notifies nobody.

use super::sleep::Sleep;
use crate::primitives::atomic::{AtomicUsize, Ordering, fence};

#[derive(Debug)]
pub(super) struct Sources(AtomicUsize);

impl Sources {
    pub(super) fn new() -> Sources {
        Sources(AtomicUsize::new(0))
    }

    /// One more is about to be registered in the poller of the worker with this `sleep`, if it is a worker's. Whether it is the first.
    pub(super) fn add(&self, sleep: Option<&Sleep>) -> bool {
        let first = self.0.fetch_add(1, Ordering::SeqCst) == 0;
        if first && let Some(sleep) = sleep {
            fence(Ordering::SeqCst);
            sleep.notify();
        }
        first
    }

    /// One less.
    pub(super) fn remove(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn any(&self) -> bool {
        self.count() > 0
    }

    #[inline]
    pub(super) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    //! The models can fail; each of these was tried, and the worker slept for ever with a source in its poller: nobody notifies; the worker
    //! does not look at the count after it has said that it sleeps; the first one notifies when the kernel has taken its source, and it is refused.

    use super::{
        super::{bell::Bell, sleep::Sleep},
        Sources,
    };
    use crate::primitives::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };
    use loom::thread;

    struct Worker {
        sources: Sources,
        sleep: Sleep,
        /// Whether a source that stays has become ready.
        is_ready: AtomicBool,
    }

    impl Worker {
        fn new() -> Arc<Worker> {
            let worker =
                Worker { sources: Sources::new(), sleep: Sleep::new(), is_ready: AtomicBool::new(false) };
            worker.sleep.hang(Bell::new());
            Arc::new(worker)
        }

        /// Sleeps as in `idle` until it has heard that source.
        fn run(&self) {
            while !self.is_ready.load(Ordering::Acquire) {
                if self.sources.any() {
                    let bell = self.sleep.bell().expect("hung above");
                    self.sleep.sleep_polling(|| false, || None, |_| bell.hear());
                } else {
                    self.sleep.sleep(|| self.sources.any(), || None);
                }
            }
        }

        /// Registers a source that is ready. What the kernel tells of it stays in the poller, as a ring of the bell does.
        fn register(&self) {
            self.sources.add(Some(&self.sleep));
            self.is_ready.store(true, Ordering::Release);
            self.sleep.bell().expect("hung above").ring();
        }
    }

    #[test]
    fn a_newcomer_is_heard_though_the_last_source_goes_as_it_comes() {
        loom::model(|| {
            let worker = Worker::new();
            worker.sources.add(None);
            let newcomer = thread::spawn({
                let worker = worker.clone();
                move || worker.register()
            });
            let last = thread::spawn({
                let worker = worker.clone();
                move || worker.sources.remove()
            });
            worker.run();
            newcomer.join().unwrap();
            last.join().unwrap();
        });
    }

    #[test]
    fn a_newcomer_is_heard_though_the_one_before_it_is_refused() {
        loom::model(|| {
            let worker = Worker::new();
            let newcomer = thread::spawn({
                let worker = worker.clone();
                move || worker.register()
            });
            let refused = thread::spawn({
                let worker = worker.clone();
                move || {
                    worker.sources.add(Some(&worker.sleep));
                    worker.sources.remove();
                }
            });
            worker.run();
            newcomer.join().unwrap();
            refused.join().unwrap();
        });
    }
}
