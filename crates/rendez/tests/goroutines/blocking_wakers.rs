//! A waker is anybody's code, called in the middle of another's operation: it may block there, and the operation goes on
//! afterwards as if it had not.
#![cfg(not(loom))]

use crate::worlds::{Watchdog, poll_with, until};
use rendez::{
    Context, Event, Runtime, Select,
    chan::{self, Receiver, RecvError, Sender},
    select,
    sync::{Cond, Mutex, MutexGuard},
};
use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Wake, Waker},
    thread,
    time::Duration,
};

/// Wakes by a rendezvous.
struct Meets {
    meeting: Sender<()>,
    begun: AtomicUsize,
    ended: AtomicUsize,
}

impl Wake for Meets {
    fn wake(self: Arc<Self>) {
        self.begun.fetch_add(1, Ordering::SeqCst);
        let _ = self.meeting.send(());
        self.ended.fetch_add(1, Ordering::SeqCst);
    }
}

fn waker() -> (Arc<Meets>, Waker, Receiver<()>) {
    let (meeting, met) = chan::bounded(0);
    let waker = Arc::new(Meets { meeting, begun: AtomicUsize::new(0), ended: AtomicUsize::new(0) });
    (waker.clone(), Waker::from(waker), met)
}

type Receive = fn(&Receiver<i32>) -> Result<i32, RecvError>;

const WAYS: [(&str, Receive); 5] = [
    ("recv", Receiver::recv),
    ("recv_timeout", |rx| rx.recv_timeout(Duration::from_secs(100)).map_err(|_| RecvError)),
    ("event", |rx| rx.recv_event().wait()),
    ("select of two", |rx| {
        let never = chan::never::<i32>();
        select! {
            recv(rx) -> value => value,
            recv(never) -> _ => unreachable!(),
        }
    }),
    ("select with an end in the distance", |rx| {
        select! {
            recv(rx) -> value => value,
            default(Duration::from_secs(100)) => Err(RecvError),
        }
    }),
];

/// A receiver meets the offer of an async select, whose waker blocks, and which is `completed` while it does.
fn meets_an_offer(start: impl Fn(Receive, Receiver<i32>) -> Box<dyn FnOnce() -> Result<i32, RecvError>>) {
    for (name, way) in WAYS {
        for completed_meanwhile in [true, false] {
            let _watchdog = Watchdog::new(format!("{name}, {completed_meanwhile}"));
            let (tx, rx) = chan::bounded(0);
            let (meets, waker, met) = waker();
            let mut select = Select::new();
            select.send(&tx);
            let mut offered = pin!(select.wait_async());
            assert!(poll_with(offered.as_mut(), &waker).is_none());
            let receiver = start(way, rx);
            until(|| meets.begun.load(Ordering::SeqCst) == 1);
            let operation = poll_with(offered.as_mut(), &waker).expect("it has met a receiver");
            if completed_meanwhile {
                operation.send(&tx, 7).unwrap();
                // Whoever was woken wrongly by that has had the time to do harm.
                thread::sleep(Duration::from_millis(2));
                assert_eq!(meets.ended.load(Ordering::SeqCst), 0, "the waker blocks until it is met");
                met.recv().unwrap();
            } else {
                met.recv().unwrap();
                operation.send(&tx, 7).unwrap();
            }
            assert_eq!(receiver(), Ok(7));
            assert_eq!(meets.ended.load(Ordering::SeqCst), 1);
            assert!(met.try_recv().is_err());
        }
    }
}

#[test]
fn a_goroutine_that_blocks_in_the_waker_of_an_offer_is_woken_by_what_it_blocks_for() {
    for workers in [1, 2] {
        let runtime = Runtime::builder().workers(workers).build().unwrap();
        meets_an_offer(|way, rx| {
            let receiver = runtime.spawn(move || way(&rx));
            Box::new(move || receiver.join().unwrap())
        });
    }
}

#[test]
fn a_thread_that_blocks_in_the_waker_of_an_offer_is_woken_by_what_it_blocks_for() {
    meets_an_offer(|way, rx| {
        let receiver = thread::spawn(move || way(&rx));
        Box::new(move || receiver.join().unwrap())
    });
}

#[test]
fn an_offer_that_is_given_up_while_its_waker_blocks_leaves_the_receiver_to_the_next_sender() {
    let runtime = Runtime::builder().workers(1).build().unwrap();
    for (name, way) in WAYS {
        let _watchdog = Watchdog::new(name.to_string());
        let (tx, rx) = chan::bounded(0);
        let (meets, waker, met) = waker();
        let mut select = Select::new();
        select.send(&tx);
        let mut offered = pin!(select.wait_async());
        assert!(poll_with(offered.as_mut(), &waker).is_none());
        let receiver = runtime.spawn(move || way(&rx));
        until(|| meets.begun.load(Ordering::SeqCst) == 1);
        drop(poll_with(offered.as_mut(), &waker).expect("it has met a receiver"));
        let sender = thread::spawn({
            let tx = tx.clone();
            move || tx.send(8)
        });
        thread::sleep(Duration::from_millis(2));
        met.recv().unwrap();
        sender.join().unwrap().unwrap();
        assert_eq!(receiver.join().unwrap(), Ok(8));
    }
}

#[test]
fn a_shutdown_ends_a_receiver_that_blocks_in_the_waker_of_an_offer() {
    for completed in [true, false] {
        for (name, way) in WAYS {
            let _watchdog = Watchdog::new(format!("{name}, {completed}"));
            let runtime = Runtime::builder().workers(1).build().unwrap();
            let (tx, rx) = chan::bounded(0);
            let (meets, waker, met) = waker();
            let mut select = Select::new();
            select.send(&tx);
            let mut offered = pin!(select.wait_async());
            assert!(poll_with(offered.as_mut(), &waker).is_none());
            let receiver = runtime.spawn(move || way(&rx));
            until(|| meets.begun.load(Ordering::SeqCst) == 1);
            let operation = poll_with(offered.as_mut(), &waker).expect("it has met a receiver");
            let operation = if completed {
                operation.send(&tx, 9).unwrap();
                None
            } else {
                Some(operation)
            };
            runtime.shutdown();
            assert_eq!(meets.ended.load(Ordering::SeqCst), 0, "its send was cut short");
            assert!(met.try_recv().is_err());
            match operation {
                // The value had been handed over.
                None => assert_eq!(receiver.join().unwrap(), Ok(9)),
                Some(operation) => {
                    assert!(receiver.join().unwrap_err().is_cancelled());
                    operation.send(&tx, 9).unwrap_err();
                }
            }
        }
    }
}

/// Somebody waits for a condition, and leaves the mutex to a task whose waker blocks; the condition is signalled while it does,
/// or afterwards.
fn leaves_a_mutex(
    wait: fn(&Cond, &mut MutexGuard<'_, i32>),
    start: impl Fn(Box<dyn FnOnce() + Send>) -> Join,
) {
    for signalled_meanwhile in [true, false] {
        let _watchdog = Watchdog::new(format!("signalled meanwhile: {signalled_meanwhile}"));
        let shared = Arc::new((Mutex::new(0), Cond::new()));
        let (meets, waker, met) = waker();
        let (step, steps) = chan::bounded(0);
        let waits = start(Box::new({
            let shared = shared.clone();
            move || {
                let mut guard = shared.0.lock();
                steps.recv().unwrap();
                steps.recv().unwrap();
                wait(&shared.1, &mut guard);
                *guard += 1;
            }
        }));
        step.send(()).unwrap();
        let mut locking = Box::pin(shared.0.lock_async());
        assert!(poll_with(locking.as_mut(), &waker).is_none(), "it is locked");
        step.send(()).unwrap();
        until(|| meets.begun.load(Ordering::SeqCst) == 1);
        let guard = poll_with(locking.as_mut(), &waker).expect("it has been left");
        drop(guard);
        if signalled_meanwhile {
            shared.1.signal();
            // Whoever was woken wrongly by that has had the time to do harm.
            thread::sleep(Duration::from_millis(2));
            assert_eq!(meets.ended.load(Ordering::SeqCst), 0, "the waker blocks until it is met");
            met.recv().unwrap();
        } else {
            met.recv().unwrap();
            shared.1.signal();
        }
        waits();
        assert_eq!((*shared.0.lock(), meets.ended.load(Ordering::SeqCst)), (1, 1));
        assert!(met.try_recv().is_err());
    }
}

type Join = Box<dyn FnOnce()>;

const WAITS: [fn(&Cond, &mut MutexGuard<'_, i32>); 2] =
    [Cond::wait, |cond, guard| assert!(cond.wait_timeout(guard, Duration::from_secs(100)))];

#[test]
fn who_leaves_a_mutex_for_a_condition_and_blocks_in_a_waker_is_woken_by_what_it_blocks_for() {
    for wait in WAITS {
        for workers in [1, 2] {
            let runtime = Runtime::builder().workers(workers).build().unwrap();
            leaves_a_mutex(wait, |body| {
                let waits = runtime.spawn(body);
                Box::new(move || waits.join().unwrap())
            });
        }
        leaves_a_mutex(wait, |body| {
            let waits = thread::spawn(body);
            Box::new(move || waits.join().unwrap())
        });
    }
}

#[test]
fn a_shutdown_ends_one_that_leaves_a_mutex_for_a_condition_and_blocks_in_a_waker() {
    for signalled in [true, false] {
        let _watchdog = Watchdog::new(format!("signalled: {signalled}"));
        let shared = Arc::new((Mutex::new(0), Cond::new()));
        let (meets, waker, met) = waker();
        let (step, steps) = chan::bounded(0);
        let runtime = Runtime::builder().workers(1).build().unwrap();
        let waits = runtime.spawn({
            let shared = shared.clone();
            move || {
                let mut guard = shared.0.lock();
                steps.recv().unwrap();
                steps.recv().unwrap();
                shared.1.wait(&mut guard);
                chan::never::<()>().recv().unwrap_err();
            }
        });
        step.send(()).unwrap();
        let mut locking = Box::pin(shared.0.lock_async());
        assert!(poll_with(locking.as_mut(), &waker).is_none(), "it is locked");
        step.send(()).unwrap();
        until(|| meets.begun.load(Ordering::SeqCst) == 1);
        if signalled {
            shared.1.signal();
        }
        drop(locking);
        runtime.shutdown();
        assert_eq!(meets.ended.load(Ordering::SeqCst), 0, "its send was cut short");
        assert!(met.try_recv().is_err());
        assert!(waits.join().unwrap_err().is_cancelled());
        assert!(shared.0.try_lock().is_some());
        assert!(format!("{:?}", shared.1).contains("awaited: false"));
    }
}

#[test]
fn a_waker_that_blocks_for_one_who_waits_for_another_context_of_the_same_tree_is_served() {
    for workers in [1, 2] {
        for waker_first in [true, false] {
            let _watchdog = Watchdog::new(format!("{workers}, waker first: {waker_first}"));
            let runtime = Runtime::builder().workers(workers).build().unwrap();
            let (ctx, cancel) = Context::background().with_cancel();
            // Which is older decides whose end comes first.
            let ((one, _cancel_one), (other, _cancel_other)) = (ctx.with_cancel(), ctx.with_cancel());
            let (tasks, goroutines) = if waker_first { (one, other) } else { (other, one) };
            let (meets, waker, met) = waker();
            let mut ending = pin!(tasks.done().recv_async());
            assert!(poll_with(ending.as_mut(), &waker).is_none());
            let (step, steps) = chan::bounded(0);
            let goroutine = runtime.spawn(move || {
                step.send(()).unwrap();
                goroutines.done().recv().unwrap_err();
                met.recv()
            });
            steps.recv().unwrap();
            cancel.cancel();
            assert_eq!(meets.ended.load(Ordering::SeqCst), 1);
            assert_eq!(goroutine.join().unwrap(), Ok(()));
            assert!(poll_with(ending.as_mut(), &waker).is_some());
        }
    }
}
