//! The scheduler as loom sees it: its lock-free protocols, and what tries them.

mod loom_tests;
/// Stands for the poller's bell: what rings stays rung until it has been heard.
mod bell {
    use crate::primitives::{Condvar, Mutex};

    #[derive(Debug)]
    pub(super) struct Bell {
        rung: Mutex<bool>,
        condvar: Condvar,
    }

    impl Bell {
        pub(super) fn new() -> Bell {
            Bell { rung: Mutex::new(false), condvar: Condvar::new() }
        }

        pub(super) fn ring(&self) {
            *self.rung.lock().unwrap() = true;
            self.condvar.notify_one();
        }

        /// As somebody else does who looks at the poller: whether he took it.
        pub(super) fn overhear(&self) -> bool {
            std::mem::take(&mut *self.rung.lock().unwrap())
        }

        /// As the poller does.
        pub(super) fn hear(&self) {
            let mut rung = self.rung.lock().unwrap();
            while !*rung {
                rung = self.condvar.wait(rung).unwrap();
            }
            *rung = false;
        }
    }
}
#[allow(dead_code, reason = "who uses it is not here")]
mod deque;
#[allow(dead_code, reason = "the run queue is for one thread")]
mod queue;
mod sleep;
mod sources;
