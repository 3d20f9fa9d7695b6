//! What happens when the system refuses the thread that fires the alarms of those who are no workers. In a process of its own,
//! since that thread is started once.
#![cfg(all(target_os = "linux", target_pointer_width = "64", not(any(loom, rendez_sanitize))))]

use rendez::time::Timer;
use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Runs `f` while no thread can be started: there is no address space for its stack.
fn without_threads<R>(f: impl FnOnce() -> R) -> R {
    let mut before = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: they are given a valid place.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_AS, &raw mut before), 0);
        let none = libc::rlimit { rlim_cur: 1 << 20, ..before };
        assert_eq!(libc::setrlimit(libc::RLIMIT_AS, &raw const none), 0);
    }
    let result = f();
    // SAFETY: as above.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const before) }, 0);
    result
}

#[test]
fn a_receive_that_could_set_no_alarm_stands_in_no_queue() {
    // A backtrace needs memory, of which there is little.
    std::panic::set_hook(Box::new(|_| {}));
    let timer = Timer::new(Duration::from_secs(60));
    let count = Arc::new(Count::default());
    let waker = Waker::from(count.clone());
    {
        let mut receive = pin!(timer.c().recv_async());
        let polled = without_threads(|| {
            catch_unwind(AssertUnwindSafe(|| receive.as_mut().poll(&mut Context::from_waker(&waker))))
        });
        assert!(polled.is_err(), "the thread was refused");
        _ = std::panic::take_hook();
    }
    // Everybody who waits is told to look again: nobody does.
    timer.reset(Duration::from_millis(1));
    assert_eq!(count.0.load(Ordering::SeqCst), 0, "a future that is gone was woken");
    assert_eq!(Arc::strong_count(&count), 2, "once the waker is dropped, once, with the future");
    // And when threads can be had again, all is as it should be.
    let mut receive = pin!(timer.c().recv_async());
    while receive.as_mut().poll(&mut Context::from_waker(&waker)) == Poll::Pending {
        std::thread::yield_now();
    }
}
