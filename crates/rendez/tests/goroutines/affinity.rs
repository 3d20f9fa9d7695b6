//! A goroutine never changes its OS thread once its first instruction has run: what safe code may conclude from that, and
//! that unstarted work is spread all the same.
#![cfg(not(loom))]

use crate::setup::in_time;
use rendez::{Runtime, block_on, chan, go, go_async, go_local, scope, sync::WaitGroup, yield_now};
use std::{
    cell::{Cell, RefCell},
    collections::HashSet,
    hint,
    rc::Rc,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, ThreadId},
    time::{Duration, Instant},
};

/// What each thread owns, and how many `Rc`s of it were left when the thread ended: a count that two threads change at
/// once, without atomics, comes out wrong sooner or later.
struct Home {
    shared: Rc<Cell<u64>>,
    ends: RefCell<Option<Arc<Ends>>>,
}

#[derive(Default)]
struct Ends {
    threads: AtomicUsize,
    right: AtomicUsize,
    turns: AtomicUsize,
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Some(ends) = self.ends.get_mut() {
            ends.threads.fetch_add(1, Ordering::SeqCst);
            ends.right.fetch_add(usize::from(Rc::strong_count(&self.shared) == 1), Ordering::SeqCst);
            ends.turns.fetch_add(self.shared.get() as usize, Ordering::SeqCst);
        }
    }
}

thread_local! {
    static HOME: Home = Home { shared: Rc::default(), ends: RefCell::default() };
}

/// Where a goroutine was when it started.
struct Origin {
    thread: ThreadId,
    address: *const Home,
    shared: Rc<Cell<u64>>,
}

impl Origin {
    fn new(ends: &Arc<Ends>) -> Origin {
        HOME.with(|home| {
            home.ends.borrow_mut().get_or_insert_with(|| ends.clone());
            Origin { thread: thread::current().id(), address: home, shared: home.shared.clone() }
        })
    }

    /// Counts a turn, and checks that it is still at home.
    fn check(&self) {
        assert_eq!(thread::current().id(), self.thread);
        HOME.with(|home| {
            assert_eq!(&raw const *home, self.address);
            assert!(Rc::ptr_eq(&home.shared, &self.shared));
            let more = home.shared.clone();
            more.set(more.get() + 1);
        });
    }
}

const ROUNDS: u64 = 8;

/// Parks in every way there is, `ROUNDS` times, and looks around after each.
fn wander(number: u64, ends: &Arc<Ends>) {
    let origin = Origin::new(ends);
    for round in 0..ROUNDS {
        match (number + round) % 8 {
            0 => yield_now(),
            1 => rendez::sleep(Duration::from_micros(number % 100)),
            2 => {
                let (tx, rx) = chan::bounded(0);
                go(move || rx.recv().unwrap());
                tx.send(number).unwrap();
            }
            3 => {
                let (tx, rx) = chan::bounded(0);
                go(move || tx.send(number).unwrap());
                assert_eq!(rx.recv(), Ok(number));
            }
            4 => go(yield_now).join().unwrap(),
            5 => {
                let group = WaitGroup::new();
                group.go(yield_now);
                group.wait();
            }
            6 => scope(|s| {
                s.go(yield_now);
                let local = origin.shared.clone();
                let thread = origin.thread;
                go_local(move || {
                    assert_eq!(thread::current().id(), thread);
                    local.get()
                })
                .join()
                .unwrap();
            }),
            _ => {
                let (tx, rx) = chan::bounded(1);
                go(move || tx.send(1).unwrap());
                assert_eq!(block_on(rx.recv_async()), Ok(1));
            }
        }
        origin.check();
    }
}

#[test]
fn thread_locals_stay_put_across_every_kind_of_park() {
    const GOROUTINES: u64 = 2000;
    in_time(|| {
        for workers in [1, 2, 8] {
            let runtime = Runtime::builder().workers(workers).build().unwrap();
            let ends = Arc::new(Ends::default());
            let theirs = ends.clone();
            runtime.run(move || {
                let handles: Vec<_> = (0..GOROUTINES)
                    .map(|number| {
                        let ends = theirs.clone();
                        go(move || wander(number, &ends))
                    })
                    .collect();
                handles.into_iter().for_each(|handle| handle.join().unwrap());
            });
            runtime.shutdown();
            let threads = ends.threads.load(Ordering::SeqCst);
            assert!((1..=workers).contains(&threads));
            assert_eq!(ends.right.load(Ordering::SeqCst), threads, "a count of references is wrong");
            assert_eq!(ends.turns.load(Ordering::SeqCst) as u64, GOROUTINES * ROUNDS);
        }
    });
}

#[test]
fn a_poll_that_blocks_ends_on_the_thread_where_it_started() {
    in_time(|| {
        for workers in [1, 2, 8] {
            let runtime = Runtime::builder().workers(workers).build().unwrap();
            let ends = Arc::new(Ends::default());
            runtime.run(|| {
                let handles: Vec<_> = (0..500u64)
                    .map(|number| {
                        let ends = ends.clone();
                        go_async(async move {
                            for _ in 0..4 {
                                {
                                    let origin = Origin::new(&ends);
                                    rendez::sleep(Duration::from_micros(number % 50));
                                    origin.check();
                                    yield_now();
                                    origin.check();
                                }
                                let (tx, rx) = chan::bounded(0);
                                go(move || tx.send(()).unwrap());
                                // Here it may move.
                                rx.recv_async().await.unwrap();
                            }
                        })
                    })
                    .collect();
                handles.into_iter().for_each(|handle| handle.join().unwrap());
            });
            runtime.shutdown();
            assert_eq!(ends.right.load(Ordering::SeqCst), ends.threads.load(Ordering::SeqCst));
            assert_eq!(ends.turns.load(Ordering::SeqCst), 500 * 4 * 2);
        }
    });
}

#[test]
fn unstarted_goroutines_that_compute_are_spread() {
    in_time(|| {
        for workers in [2, 8] {
            let runtime = Runtime::builder().workers(workers).build().unwrap();
            let threads = Arc::new(Mutex::new(HashSet::new()));
            runtime.run(|| {
                let group = WaitGroup::new();
                for _ in 0..64 {
                    let threads = threads.clone();
                    group.go(move || {
                        let start = Instant::now();
                        while start.elapsed() < Duration::from_millis(1) {
                            hint::spin_loop();
                        }
                        threads.lock().unwrap().insert(thread::current().id());
                    });
                }
                group.wait();
            });
            let threads = threads.lock().unwrap().len();
            assert!(threads > 1 && threads <= workers, "{threads} of {workers}");
        }
    });
}

#[test]
fn stages_that_compute_between_parks_are_spread() {
    in_time(|| {
        let runtime = Runtime::builder().workers(2).build().unwrap();
        let threads = Arc::new(Mutex::new(HashSet::new()));
        runtime.run(|| {
            let (first, mut last) = chan::bounded::<u32>(0);
            for _ in 0..8 {
                let (tx, rx) = chan::bounded(0);
                let (from, threads) = (std::mem::replace(&mut last, rx), threads.clone());
                go(move || {
                    threads.lock().unwrap().insert(thread::current().id());
                    for value in from {
                        let start = Instant::now();
                        while start.elapsed() < Duration::from_micros(20) {
                            hint::spin_loop();
                        }
                        tx.send(value + 1).unwrap();
                    }
                });
            }
            go(move || (0..200).for_each(|value| first.send(value).unwrap()));
            assert_eq!(last.iter().collect::<Vec<_>>(), (8..208).collect::<Vec<_>>());
        });
        assert_eq!(threads.lock().unwrap().len(), 2);
    });
}

#[test]
fn a_thread_local_is_the_workers_and_others_see_what_a_goroutine_left_in_it() {
    thread_local! {
        static MARK: Cell<u32> = const { Cell::new(0) };
    }
    in_time(|| {
        let runtime = Runtime::builder().workers(1).build().unwrap();
        runtime.run(|| {
            MARK.set(1);
            go(|| {
                assert_eq!(MARK.get(), 1);
                MARK.set(2);
            })
            .join()
            .unwrap();
            assert_eq!(MARK.get(), 2);
        });
        assert_eq!(MARK.get(), 0);
    });
}
