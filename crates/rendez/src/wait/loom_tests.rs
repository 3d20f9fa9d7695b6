//! The winner word, the hand-over and the queue under loom: every interleaving of two or three threads.

use super::{Node, Outcome, Reason, Searcher, Status, WaitQueue, Waiter, Wakeup};
use crate::{
    lock::SpinLock,
    primitives::{
        Arc, UnsafeCell,
        atomic::AtomicUsize,
        thread::{self, Thread},
    },
    time::Instant,
};
use std::{
    ptr,
    sync::atomic::{AtomicUsize as Uncounted, Ordering},
    task::{Wake, Waker},
};

/// Runs `model` in every interleaving, and says how many those were.
fn explore(model: impl Fn() + Sync + Send + 'static) {
    let interleavings = std::sync::Arc::new(Uncounted::new(0));
    let counted = interleavings.clone();
    loom::model(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        model();
    });
    println!("{} interleavings", interleavings.load(Ordering::Relaxed));
}

/// A waker for tests that look at what it was called for; it unparks a thread as well.
struct Call {
    calls: AtomicUsize,
    owner: Thread,
}

impl Call {
    fn new() -> std::sync::Arc<Call> {
        std::sync::Arc::new(Call { calls: AtomicUsize::new(0), owner: thread::current() })
    }

    fn count(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

impl Wake for Call {
    fn wake(self: std::sync::Arc<Self>) {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.owner.unpark();
    }
}

/// A source as a channel is one: a queue under a lock, and packets that hold a number.
struct Source {
    queue: SpinLock<WaitQueue>,
}

impl Source {
    fn new() -> Arc<Source> {
        Arc::new(Source { queue: SpinLock::new(WaitQueue::new()) })
    }

    /// Hands `value` to the oldest waiter that can still be won.
    fn hand_over(&self, value: usize) -> bool {
        let mut queue = self.queue.lock();
        let Some(winner) = queue.pop_winner() else { return false };
        // SAFETY: the packets of this source's nodes are cells of `usize`.
        let packet = unsafe { &*winner.packet().cast::<UnsafeCell<usize>>() };
        // SAFETY: the winner alone writes it; loom checks that.
        packet.with_mut(|packet| unsafe { *packet = value });
        let wakeup = winner.complete(Status::Done);
        drop(queue);
        wakeup.wake();
        true
    }

    /// Has a waiter promised to `holder`, if there is one.
    fn promise(&self, holder: &Node) -> bool {
        // SAFETY: the models unlink it by `redeem`, or see the waiter's owner do it, before it ends.
        unsafe { self.queue.lock().promise(holder, Searcher::Plain) }.expect("it holds no wait of its own")
    }

    /// Comes with the value for the waiter that was promised to `holder`, or without one; whether it still waited.
    fn redeem(&self, holder: &Node, value: Option<usize>) -> bool {
        let queue = self.queue.lock();
        let Some(winner) = holder.redeem() else { return false };
        if let Some(value) = value {
            // SAFETY: as in `hand_over`.
            let packet = unsafe { &*winner.packet().cast::<UnsafeCell<usize>>() };
            // SAFETY: as in `hand_over`.
            packet.with_mut(|packet| unsafe { *packet = value });
        }
        let wakeup = winner.complete(if value.is_some() { Status::Done } else { Status::Retry });
        drop(queue);
        wakeup.wake();
        true
    }

    /// Waits for a value; `None` if the deadline passed first.
    fn wait(&self, deadline: Option<Instant>) -> Option<usize> {
        let packet = UnsafeCell::new(0usize);
        let waiter = Waiter::current();
        let node = Node::new(&waiter, 0, ptr::from_ref(&packet).cast_mut().cast());
        // SAFETY: all three stay in this frame until the wait is decided and the node out of the queue.
        unsafe { self.queue.lock().push(&node) };
        match waiter.wait(deadline, Reason::ChanReceive) {
            Outcome::Arm(0) => {
                assert_eq!(node.status(), Status::Done);
                // SAFETY: the wait is decided; loom checks that the winner's write came before.
                Some(packet.with(|packet| unsafe { *packet }))
            }
            Outcome::TimedOut => {
                let mut queue = self.queue.lock();
                if node.unlink().is_none() {
                    // SAFETY: queued here or nowhere.
                    unsafe { queue.remove(&node) };
                }
                drop(queue);
                assert_eq!(node.status(), Status::Pending, "an arm that lost has been touched");
                None
            }
            other => panic!("{other:?}"),
        }
    }

    fn is_empty(&self) -> bool {
        self.queue.lock().is_empty()
    }
}

#[test]
fn a_hand_over_reaches_the_waiter_with_its_packet() {
    explore(|| {
        let source = Source::new();
        let waiter = loom::thread::spawn({
            let source = source.clone();
            move || source.wait(None)
        });
        while !source.hand_over(7) {
            thread::yield_now();
        }
        assert_eq!(waiter.join().unwrap(), Some(7));
        assert!(source.is_empty());
    });
}

#[test]
fn a_hand_over_against_a_time_out_has_one_winner() {
    explore(|| {
        let source = Source::new();
        let waiter = loom::thread::spawn({
            let source = source.clone();
            move || source.wait(Some(Instant::now()))
        });
        let handed = source.hand_over(7);
        assert_eq!(waiter.join().unwrap(), handed.then_some(7));
        assert!(source.is_empty());
    });
}

#[test]
fn of_two_peers_each_waiter_is_won_by_one() {
    explore(|| {
        let source = Source::new();
        let peers: Vec<_> = (1..=2)
            .map(|value| {
                let source = source.clone();
                loom::thread::spawn(move || source.hand_over(value).then_some(value))
            })
            .collect();
        let got = source.wait(Some(Instant::now()));
        let handed: Vec<_> = peers.into_iter().filter_map(|peer| peer.join().unwrap()).collect();
        assert_eq!(handed, Vec::from_iter(got));
    });
}

#[test]
fn a_waiter_that_gives_up_leaves_its_neighbours_in_order() {
    explore(|| {
        let source = Source::new();
        let waiters: Vec<_> = (0..3).map(|_| Box::new(Waiter::task(Waker::noop().clone()))).collect();
        // Their packets are but numbers.
        let nodes: Vec<_> =
            (0..3).map(|i| Node::new(&raw const *waiters[i], 0, ptr::without_provenance_mut(i))).collect();
        for node in &nodes {
            // SAFETY: nodes and waiters stay until the thread has been joined and the queue emptied.
            unsafe { source.queue.lock().push(node) };
        }
        let middle = Addressed(&raw const nodes[1]);
        let leaver = loom::thread::spawn({
            let source = source.clone();
            move || {
                let node = middle.get();
                let mut queue = source.queue.lock();
                // SAFETY: queued here or nowhere, and alive.
                unsafe { queue.remove(&*node) }
            }
        });
        let pop = || {
            let mut queue = source.queue.lock();
            queue.pop_winner().map(|winner| {
                let number = winner.packet().addr();
                drop(winner.complete(Status::Done));
                number
            })
        };
        let popped = [pop(), pop()];
        let left = leaver.join().unwrap();
        let rest = pop();
        if left {
            assert_eq!((popped, rest), ([Some(0), Some(2)], None));
        } else {
            assert_eq!((popped, rest), ([Some(0), Some(1)], Some(2)));
        }
        assert!(source.is_empty());
    });
}

/// A pointer that a model's threads share by their own care.
#[derive(Clone, Copy)]
struct Addressed<T>(*const T);

// SAFETY: the models say at each use why the target lives and who may touch it.
unsafe impl<T> Send for Addressed<T> {}

impl<T> Addressed<T> {
    fn get(self) -> *const T {
        self.0
    }
}

/// Completes `waiter` if it can be won.
fn win(waiter: &Waiter) -> Option<Wakeup> {
    // SAFETY: completed once, right after the claim that succeeded.
    waiter.claim().then(|| unsafe { waiter.complete(0) })
}

#[test]
fn claim_time_out_and_cancel_decide_a_wait_once() {
    explore(|| {
        let call = Call::new();
        let waiter = Arc::new(Waiter::task(Waker::from(call.clone())));
        let peer = loom::thread::spawn({
            let waiter = waiter.clone();
            move || win(&waiter).map(Wakeup::wake).is_some()
        });
        let shutdown = loom::thread::spawn({
            let waiter = waiter.clone();
            move || waiter.cancel()
        });
        let timed_out = waiter.time_out();
        let (won, cancelled) = (peer.join().unwrap(), shutdown.join().unwrap());
        let expected = match (won, timed_out, cancelled) {
            (true, false, false) => Outcome::Arm(0),
            (false, true, false) => Outcome::TimedOut,
            (false, false, true) => Outcome::Cancelled,
            more => panic!("decided more than once, or never: {more:?}"),
        };
        assert_eq!(waiter.outcome(), Some(expected));
        assert_eq!(call.count(), usize::from(won), "only a peer wakes");
    });
}

#[test]
fn a_new_waker_is_in_place_or_the_wait_is_decided() {
    explore(|| {
        let (old, new) = (Call::new(), Call::new());
        let waiter = Arc::new(Waiter::task(Waker::from(old.clone())));
        let peer = loom::thread::spawn({
            let waiter = waiter.clone();
            move || win(&waiter).expect("nobody else decides it").wake()
        });
        let outcome = waiter.poll(&Waker::from(new.clone()));
        peer.join().unwrap();
        assert_eq!(old.count() + new.count(), 1);
        match outcome {
            // Pending: then the waker of this poll is the one that is called.
            None => assert_eq!(new.count(), 1),
            Some(outcome) => {
                assert_eq!(outcome, Outcome::Arm(0));
                assert_eq!(old.count(), 1);
            }
        }
        assert_eq!(waiter.outcome(), Some(Outcome::Arm(0)));
    });
}

#[test]
fn a_task_that_parks_after_a_pending_poll_is_woken() {
    explore(|| {
        let waiter = Arc::new(Waiter::task(Waker::noop().clone()));
        let peer = loom::thread::spawn({
            let waiter = waiter.clone();
            move || win(&waiter).expect("nobody else decides it").wake()
        });
        let call = Call::new();
        let waker = Waker::from(call.clone());
        while waiter.poll(&waker).is_none() {
            thread::park();
        }
        assert_eq!(waiter.outcome(), Some(Outcome::Arm(0)));
        peer.join().unwrap();
    });
}

#[test]
fn the_frame_of_a_waiter_may_end_as_soon_as_its_wait_is_decided() {
    explore(|| {
        let source = Source::new();
        let waiter = loom::thread::spawn({
            let source = source.clone();
            // Node, packet and waiter go with the frame: loom reports it if the peer touches them later.
            move || [source.wait(None), source.wait(None)]
        });
        for value in [1, 2] {
            while !source.hand_over(value) {
                thread::yield_now();
            }
        }
        assert_eq!(waiter.join().unwrap(), [Some(1), Some(2)]);
        assert!(source.is_empty());
    });
}

/// A node for whoever comes with the value later.
fn holder() -> Box<Node> {
    Box::new(Node::new(ptr::null(), 0, ptr::null_mut()))
}

#[test]
fn a_promise_is_kept_or_broken_and_neither_frame_is_touched_after_its_end() {
    explore(|| {
        let source = Source::new();
        let waiter = loom::thread::spawn({
            let source = source.clone();
            // Under loom a deadline may pass at any moment.
            move || source.wait(Some(Instant::now()))
        });
        let holder = holder();
        let kept = source.promise(&holder) && source.redeem(&holder, Some(7));
        drop(holder);
        assert_eq!(waiter.join().unwrap(), kept.then_some(7));
        assert!(source.is_empty());
    });
}

#[test]
fn of_two_who_want_a_waiter_now_and_later_one_gets_it() {
    explore(|| {
        let source = Source::new();
        let waiter = loom::thread::spawn({
            let source = source.clone();
            move || source.wait(Some(Instant::now()))
        });
        let later = loom::thread::spawn({
            let source = source.clone();
            move || {
                let holder = holder();
                source.promise(&holder) && source.redeem(&holder, Some(1))
            }
        });
        let now = source.hand_over(2);
        let later = later.join().unwrap();
        let received = waiter.join().unwrap();
        match (now, later) {
            (true, false) => assert_eq!(received, Some(2)),
            (false, true) => assert_eq!(received, Some(1)),
            (false, false) => assert_eq!(received, None),
            (true, true) => panic!("it was won twice"),
        }
        assert!(source.is_empty());
    });
}

/// A promised task changes its waker while the holder comes: the one that is in place by then is called.
#[test]
fn a_promised_task_that_is_polled_is_woken_by_its_new_waker() {
    explore(|| {
        let source = Source::new();
        let (old, new) = (Call::new(), Call::new());
        let packet = UnsafeCell::new(0usize);
        let waiter = Waiter::task(Waker::from(old.clone()));
        let node = Node::new(&waiter, 0, ptr::from_ref(&packet).cast_mut().cast());
        // SAFETY: all of them stay in this frame until the wait is decided.
        unsafe { source.queue.lock().push(&node) };
        let holder = holder();
        assert!(source.promise(&holder));
        let holding = Addressed(&raw const *holder);
        let comes = loom::thread::spawn({
            let source = source.clone();
            // SAFETY: the holder outlives the thread.
            move || source.redeem(unsafe { &*holding.get() }, Some(7))
        });
        let outcome = waiter.poll(&Waker::from(new.clone()));
        assert!(comes.join().unwrap());
        assert_eq!((old.count(), new.count()), if outcome.is_none() { (0, 1) } else { (1, 0) });
        assert_eq!((waiter.outcome(), node.status()), (Some(Outcome::Arm(0)), Status::Done));
    });
}

/// A promised task is dropped while the holder comes: it has the value, or the holder hears that it has gone.
#[test]
fn a_promised_task_that_is_dropped_breaks_the_promise_or_has_the_value() {
    explore(|| {
        let source = Source::new();
        let packet = Box::new(UnsafeCell::new(0usize));
        let waiter = Box::new(Waiter::task(Waker::noop().clone()));
        let node = Box::new(Node::new(&*waiter, 0, ptr::from_ref(&*packet).cast_mut().cast()));
        // SAFETY: they are in boxes of this frame until the node has been unlinked.
        unsafe { source.queue.lock().push(&node) };
        let holder = holder();
        assert!(source.promise(&holder));
        let comes = loom::thread::spawn({
            let source = source.clone();
            move || source.redeem(&holder, Some(7))
        });
        let outcome = waiter.end();
        let queue = source.queue.lock();
        if node.unlink().is_none() {
            // SAFETY: queued here or nowhere.
            let mut queue = queue;
            assert!(!unsafe { queue.remove(&node) });
        } else {
            drop(queue);
        }
        let has_value = node.status() == Status::Done;
        assert_eq!(outcome.is_some(), has_value);
        drop((node, waiter, packet));
        assert_eq!(comes.join().unwrap(), has_value);
    });
}
