//! What a wait is woken by is used once or dropped once, whatever way the wait goes.

use super::{Node, Outcome, Searcher, Status, WaitQueue, Waiter, WakeBatch, Wakeup, Wanted, queue::Winner};
use std::{
    array,
    collections::VecDeque,
    ptr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{RawWaker, RawWakerVTable, Wake, Waker},
    thread,
    time::{Duration, Instant},
};

/// How often it was woken. How many wakers there are says its count of references.
#[derive(Default)]
struct Calls(AtomicUsize);

impl Wake for Calls {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn calls() -> (Arc<Calls>, Waker) {
    let calls = Arc::new(Calls::default());
    (calls.clone(), Waker::from(calls))
}

/// Its calls, and its wakers.
fn state(calls: &Arc<Calls>) -> (usize, usize) {
    (calls.0.load(Ordering::Relaxed), Arc::strong_count(calls) - 1)
}

fn decide(waiter: &Waiter) -> Wakeup {
    assert!(waiter.claim());
    // SAFETY: it has just been claimed.
    unsafe { waiter.complete(1) }
}

#[test]
fn a_waker_goes_with_its_wait() {
    let (calls, waker) = calls();
    let waiter = Waiter::task(waker);
    assert_eq!(state(&calls), (0, 1));
    drop(waiter);
    assert_eq!(state(&calls), (0, 0));
}

#[test]
fn a_waker_that_is_called_is_used_up() {
    let ways: [fn(Wakeup); 3] = [
        Wakeup::wake,
        |wakeup| drop(wakeup),
        |wakeup| {
            let mut batch = WakeBatch::new();
            batch.push(wakeup);
            batch.wake_all();
        },
    ];
    for wake in ways {
        let (calls, waker) = calls();
        let waiter = Waiter::task(waker);
        let wakeup = decide(&waiter);
        assert_eq!(state(&calls), (0, 1));
        wake(wakeup);
        assert_eq!(state(&calls), (1, 0));
        drop(waiter);
        assert_eq!(state(&calls), (1, 0));
    }
}

#[test]
fn a_waker_that_is_replaced_is_dropped_and_so_is_one_that_comes_too_late() {
    let ((old, first), (new, second)) = (calls(), calls());
    let waiter = Waiter::task(first);
    assert_eq!(waiter.poll(&second), None);
    assert_eq!((state(&old), state(&new)), ((0, 0), (0, 2)));
    assert_eq!(waiter.poll(&second), None);
    assert_eq!(state(&new), (0, 2));
    decide(&waiter).wake();
    assert_eq!(state(&new), (1, 1));
    assert!(waiter.poll(&second).is_some());
    // As if it had been decided while the waker was cloned.
    assert!(waiter.rest(super::blocker::Blocker::task(second)).is_some());
    drop(waiter);
    assert_eq!((state(&old), state(&new)), ((0, 0), (1, 0)));
}

#[test]
fn a_waker_that_is_withheld_is_given_back_or_called() {
    let (calls, waker) = calls();
    let waiter = Waiter::task(waker);
    // SAFETY: it is queued nowhere.
    let withheld = unsafe { waiter.withhold() };
    waiter.expect(withheld);
    assert_eq!(state(&calls), (0, 1));
    // SAFETY: as above.
    let withheld = unsafe { waiter.withhold() };
    decide(&waiter).wake();
    assert_eq!(state(&calls), (0, 1));
    waiter.expect(withheld);
    assert_eq!(state(&calls), (1, 0));
    drop(waiter);
    assert_eq!(state(&calls), (1, 0));
}

#[test]
fn the_wakers_of_a_batch_are_called_each_once_and_after_its_threads() {
    /// Waits until somebody else is unparked, who is the same thread.
    struct Waits(AtomicUsize);
    impl Wake for Waits {
        fn wake(self: Arc<Self>) {
            let start = Instant::now();
            thread::park_timeout(LONG);
            self.0.store(1 + usize::from(start.elapsed() < LONG), Ordering::Relaxed);
        }
    }
    const LONG: Duration = Duration::from_secs(10);
    let (waits, (calls, waker)) = (Arc::new(Waits(AtomicUsize::new(0))), calls());
    let mut batch = WakeBatch::new();
    for waker in [Waker::from(waits.clone()), waker.clone(), waker.clone(), waker] {
        batch.push(decide(&Waiter::task(waker)));
    }
    batch.push(decide(&Waiter::current()));
    drop(batch);
    assert_eq!(state(&calls), (3, 0));
    assert_eq!((waits.0.load(Ordering::Relaxed), Arc::strong_count(&waits)), (2, 1));
}

/// Its data is nothing, and its table nobody else's.
#[test]
fn a_waker_without_data_is_the_one_that_it_was() {
    static WOKEN: AtomicUsize = AtomicUsize::new(0);
    static DROPPED: AtomicUsize = AtomicUsize::new(0);
    static TABLE: RawWakerVTable = RawWakerVTable::new(
        |_| RawWaker::new(ptr::null(), &TABLE),
        |_| _ = WOKEN.fetch_add(1, Ordering::Relaxed),
        |_| unreachable!("nobody wakes by reference"),
        |_| _ = DROPPED.fetch_add(1, Ordering::Relaxed),
    );
    // SAFETY: there are no data to go wrong with.
    let waker = unsafe { Waker::new(ptr::null(), &TABLE) };
    let waiter = Waiter::task(waker.clone());
    assert_eq!(waiter.poll(&waker), None);
    decide(&waiter).wake();
    drop(waiter);
    let counts = || (WOKEN.load(Ordering::Relaxed), DROPPED.load(Ordering::Relaxed));
    assert_eq!(counts(), (1, 1));
    drop(waker);
    assert_eq!(counts(), (1, 2));
}

#[test]
fn a_waker_that_panics_is_used_up_all_the_same() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("(a panic of a test)");
        }
    }
    let panics = Arc::new(Panics);
    let waiter = Waiter::task(Waker::from(panics.clone()));
    decide(&waiter).wake();
    assert_eq!(Arc::strong_count(&panics), 1);
}

/// The waits of a thread share its handle, each with a part of its own.
#[test]
fn a_handle_of_a_thread_outlives_the_thread_and_its_other_waits() {
    const WAITS: usize = 4;
    let begins = || {
        let waits: Vec<_> = (0..WAITS).map(|_| Waiter::current()).collect();
        // Decided first to last, of which some are woken at once, and ended in the other order.
        let mut wakeups: Vec<_> = waits.iter().map(decide).collect();
        wakeups.drain(..WAITS / 2).for_each(Wakeup::wake);
        waits.into_iter().rev().for_each(drop);
        // Woken before: does not stay.
        thread::park();
        wakeups
    };
    for wakeup in thread::spawn(begins).join().unwrap() {
        wakeup.wake();
    }
}

/// Also where the handle that its waits share has gone, or has never been made.
#[test]
fn a_thread_waits_in_the_destructors_of_its_locals_too() {
    use crate::chan::{self, Receiver, Sender};
    use std::cell::RefCell;

    struct Asks(Sender<usize>, Receiver<usize>);
    impl Asks {
        fn ask(&self, question: usize) {
            self.0.send(question).unwrap();
            assert_eq!(self.1.recv(), Ok(question));
        }
    }
    impl Drop for Asks {
        fn drop(&mut self) {
            (0..3).for_each(|question| self.ask(question));
        }
    }
    thread_local! {
        static ASKS: RefCell<Option<Asks>> = const { RefCell::new(None) };
    }
    for has_waited in [false, true] {
        let ((tx, asked), (answers, rx)) = (chan::bounded(0), chan::bounded(0));
        let ends = thread::spawn(move || {
            ASKS.set(Some(Asks(tx, rx)));
            if has_waited {
                // What is made later goes first: the handle.
                ASKS.with_borrow(|asks| asks.as_ref().unwrap().ask(7));
            }
        });
        let mut questions = Vec::new();
        for question in asked.iter() {
            // Longer than anybody spins, as a rule.
            thread::sleep(Duration::from_millis(2));
            questions.push(question);
            answers.send(question).unwrap();
        }
        assert_eq!(questions, if has_waited { vec![7, 0, 1, 2] } else { vec![0, 1, 2] });
        ends.join().unwrap();
    }
}

#[test]
fn of_those_who_wait_the_oldest_is_won_that_is_wanted_and_not_decided() {
    const MANY: usize = 5;
    /// Whom each of these ways to win one is for.
    type Way = (fn(&mut WaitQueue) -> Option<Winner>, fn(bool) -> bool);
    let ways: [Way; 3] = [
        (WaitQueue::pop_winner, |_| true),
        (WaitQueue::pop_winner_with_packet, |brings| brings),
        (|queue| queue.pop_winner_where(Wanted::NoPacket, Searcher::Plain).unwrap(), |brings| !brings),
    ];
    let mut random = fastrand::Rng::with_seed(5);
    for _ in 0..5000 {
        let waiters: [_; MANY] = array::from_fn(|_| Waiter::task(Waker::noop().clone()));
        let brings: [bool; MANY] = array::from_fn(|_| random.bool());
        let mut packets = [0_u64; MANY];
        let nodes: [_; MANY] = array::from_fn(|i| {
            let packet = if brings[i] { (&raw mut packets[i]).cast() } else { ptr::null_mut() };
            Node::new(&waiters[i], i as u32, packet)
        });
        let (mut queue, mut model) = (WaitQueue::new(), VecDeque::new());
        for (i, node) in nodes.iter().enumerate() {
            // SAFETY: it is in no queue, and stays where it is until it has been taken out, below.
            unsafe { queue.push(node) };
            model.push_back(i);
        }
        for _ in 0..4 {
            for waiter in &waiters {
                // By another arm, or because its owner has given up.
                match random.u32(..6) {
                    0 if waiter.is_open() => drop(decide(waiter)),
                    1 => _ = waiter.cancel(),
                    _ => {}
                }
            }
            let (won, expected) = if !queue.is_empty() && random.u32(..4) == 0 {
                let expected = model.pop_front().filter(|&i| waiters[i].is_open());
                (queue.pop_front(), expected)
            } else {
                let (pop, is_for) = ways[random.usize(..ways.len())];
                let expected = model.iter().copied().find(|&i| is_for(brings[i]) && waiters[i].is_open());
                // Those before it that are not open have gone, if they have been looked at.
                model.retain(|&i| !is_for(brings[i]) || expected.is_some_and(|won| i > won));
                (pop(&mut queue), expected)
            };
            assert_eq!(won.is_some(), expected.is_some());
            if let (Some(won), Some(expected)) = (won, expected) {
                assert!(!waiters[expected].is_open(), "another one has been won");
                assert_eq!(!won.packet().is_null(), brings[expected]);
                drop(won.complete(Status::Done));
                assert_eq!(waiters[expected].outcome(), Some(Outcome::Arm(expected)));
            }
        }
        for (i, node) in nodes.iter().enumerate() {
            // SAFETY: if it is queued, it is here.
            assert_eq!(unsafe { queue.remove(node) }, model.contains(&i));
        }
        assert!(queue.is_empty());
    }
}

/// An owner that holds its own wait for a moment is waited for, also by who has found the oldest decided.
#[test]
fn who_looks_for_a_peer_waits_for_an_owner_that_holds_its_wait() {
    let ways: [fn(&mut WaitQueue) -> Option<Winner>; 2] =
        [WaitQueue::pop_winner, WaitQueue::pop_winner_with_packet];
    for (pop, is_decided) in ways.into_iter().flat_map(|pop| [(pop, false), (pop, true)]) {
        let waiters: [_; 2] = array::from_fn(|_| Waiter::task(Waker::noop().clone()));
        let mut packet = 0_u64;
        let nodes: [_; 2] = array::from_fn(|i| Node::new(&waiters[i], i as u32, (&raw mut packet).cast()));
        let mut queue = WaitQueue::new();
        // SAFETY: they are in no queue, and stay where they are until they have been taken out, below.
        nodes.iter().for_each(|node| unsafe { queue.push(node) });
        if is_decided {
            waiters[0].cancel();
        }
        let held = &waiters[usize::from(is_decided)];
        assert!(held.hold());
        thread::scope(|s| {
            s.spawn(|| {
                thread::sleep(Duration::from_millis(5));
                held.release();
            });
            drop(pop(&mut queue).expect("it lets go").complete(Status::Done));
        });
        assert_eq!(held.outcome(), Some(Outcome::Arm(usize::from(is_decided))));
        // SAFETY: as above.
        assert_eq!(unsafe { queue.remove(&nodes[1]) }, !is_decided);
    }
}
