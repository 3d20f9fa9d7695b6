//! The scheduler: yielding, sleeping, workers that come and go, and nobody starved.
#![cfg(not(loom))]

use crate::kept::{near, spread};
use crate::setup::{in_time, in_worlds_of_time, runtime};
use rendez::{
    Builder, Placement, Runtime, chan, go, go_async,
    net::UnixStream,
    run, set_workers,
    sync::WaitGroup,
    time::{Instant, sleep_until, sleep_until_async},
    workers, yield_now,
};
use std::{
    cell::Cell,
    collections::HashSet,
    hint,
    io::{Read, Write},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

// ---- yield ----

#[test]
fn a_yield_lets_the_others_of_the_worker_run_started_or_not() {
    in_time(|| {
        runtime(1).run(|| {
            let flags = [const { AtomicBool::new(false) }; 8].map(Arc::new);
            for flag in &flags {
                let flag = flag.clone();
                go(move || {
                    yield_now();
                    flag.store(true, Ordering::SeqCst);
                });
            }
            while !flags.iter().all(|flag| flag.load(Ordering::SeqCst)) {
                yield_now();
            }
        });
    });
}

#[test]
fn goroutines_that_yield_take_turns() {
    in_time(|| {
        runtime(1).run(|| {
            let log = Arc::new(Mutex::new(Vec::new()));
            let start = Arc::new(AtomicUsize::new(0));
            let handles: Vec<_> = (0..3)
                .map(|i| {
                    let (log, start) = (log.clone(), start.clone());
                    go(move || {
                        start.fetch_add(1, Ordering::SeqCst);
                        while start.load(Ordering::SeqCst) < 3 {
                            yield_now();
                        }
                        for _ in 0..50 {
                            log.lock().unwrap().push(i);
                            yield_now();
                        }
                    })
                })
                .collect();
            handles.into_iter().for_each(|handle| handle.join().unwrap());
            let log = log.lock().unwrap();
            // Between the first and the last round, whoever has had a turn waits for the two others.
            let middle = &log[9..log.len() - 9];
            for three in middle.windows(3) {
                assert_eq!(three.iter().collect::<HashSet<_>>().len(), 3, "{log:?}");
            }
        });
    });
}

#[test]
fn an_os_thread_may_yield_and_sleep_too() {
    yield_now();
    let start = Instant::now();
    rendez::sleep(Duration::from_millis(3));
    rendez::sleep(Duration::ZERO);
    assert!(start.elapsed() >= Duration::from_millis(3));
}

// ---- sleep ----
//
// Where the time is the machine's, it is about workers: how they see to their sleepers. No test asks that one be quick.

#[test]
fn sleepers_wake_in_the_order_of_their_deadlines() {
    in_worlds_of_time(|clock| {
        let (tx, rx) = chan::unbounded();
        let start = Instant::now();
        for i in [5, 2, 7, 1, 6, 3, 4] {
            let tx = tx.clone();
            go(move || {
                rendez::time::sleep_until(start + Duration::from_millis(2 * i));
                tx.send((i, Instant::now())).unwrap();
            });
        }
        drop(tx);
        let woken: Vec<_> = rx.iter().collect();
        for &(i, at) in &woken {
            clock.meets(at, start + Duration::from_millis(2 * i));
        }
        // Two that are late at once may, by the machine's clock, wake on two workers.
        if clock.is_virtual() {
            assert!(woken.is_sorted_by_key(|&(i, _)| i), "{woken:?}");
        }
    });
}

#[test]
fn sleepers_of_one_worker_wake_in_the_order_of_their_deadlines_however_late_it_is() {
    in_time(|| {
        runtime(1).run(|| {
            let (tx, rx) = chan::unbounded();
            let (start, begun) = (Instant::now(), Arc::new(AtomicUsize::new(0)));
            for i in [5, 2, 7, 1, 6, 3, 4] {
                let (tx, begun) = (tx.clone(), begun.clone());
                go(move || {
                    begun.fetch_add(1, Ordering::SeqCst);
                    rendez::time::sleep_until(start + Duration::from_millis(20 + i));
                    tx.send(i).unwrap();
                });
            }
            drop(tx);
            while begun.load(Ordering::SeqCst) < 7 {
                yield_now();
            }
            // The worker comes to its alarms when all are due.
            thread::sleep(Duration::from_millis(40));
            assert_eq!(rx.iter().collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7]);
        });
    });
}

/// Sleepers that tell their number when they have slept until so long after a moment, which comes when all sleep.
fn sleepers(told: &Arc<Mutex<Vec<u64>>>, many: u64, apart: Duration) {
    loop {
        let (at, begun) = (Instant::now() + Duration::from_millis(20), Arc::new(AtomicUsize::new(0)));
        for i in 0..many {
            let (told, begun) = (told.clone(), begun.clone());
            go(move || {
                begun.fetch_add(1, Ordering::SeqCst);
                rendez::time::sleep_until(at + apart * i as u32);
                told.lock().unwrap().push(i);
            });
        }
        while begun.load(Ordering::SeqCst) < many as usize {
            yield_now();
        }
        if Instant::now() < at {
            return;
        }
        // The machine was busy.
        while told.lock().unwrap().len() < many as usize {
            yield_now();
        }
        told.lock().unwrap().clear();
    }
}

#[test]
fn sleepers_of_one_worker_wake_in_the_order_of_their_deadlines_where_others_compute() {
    in_time(|| {
        runtime(1).run(|| {
            let (told, done) = (Arc::default(), Arc::new(AtomicBool::new(false)));
            for _ in 0..8 {
                let done = done.clone();
                go(move || {
                    while !done.load(Ordering::Relaxed) {
                        let start = Instant::now();
                        while start.elapsed() < Duration::from_micros(20) {
                            hint::spin_loop();
                        }
                        yield_now();
                    }
                });
            }
            // Some become due in each burst.
            sleepers(&told, 40, Duration::from_micros(7));
            while told.lock().unwrap().len() < 40 {
                yield_now();
            }
            done.store(true, Ordering::Relaxed);
            assert_eq!(*told.lock().unwrap(), Vec::from_iter(0..40));
        });
    });
}

#[test]
fn sleepers_of_one_worker_wake_in_the_order_of_their_deadlines_when_a_socket_becomes_ready_as_well() {
    in_time(|| {
        runtime(1).run(|| {
            let (mut ours, mut theirs) = UnixStream::pair().unwrap();
            go(move || while theirs.read(&mut [0]).unwrap() > 0 {});
            for _ in 0..10 {
                let told = Arc::default();
                sleepers(&told, 4, Duration::from_micros(1));
                // The worker comes to them in the course of work.
                let start = Instant::now();
                while start.elapsed() < Duration::from_millis(30) {
                    hint::spin_loop();
                }
                ours.write_all(&[1]).unwrap();
                while told.lock().unwrap().len() < 4 {
                    yield_now();
                }
                assert_eq!(*told.lock().unwrap(), [0, 1, 2, 3]);
            }
        });
    });
}

#[test]
fn a_sleep_of_nothing_returns_at_once_and_gives_way_to_nobody() {
    in_time(|| {
        runtime(1).run(|| {
            let other = go(|| ());
            rendez::sleep(Duration::ZERO);
            assert!(!other.is_finished());
            other.join().unwrap();
        });
    });
}

#[test]
fn a_sleep_is_never_too_short() {
    in_time(|| {
        runtime(2).run(|| {
            let handles: Vec<_> = (0..200)
                .map(|i| {
                    go(move || {
                        let wanted = Duration::from_micros(37 * i);
                        let start = Instant::now();
                        rendez::sleep(wanted);
                        assert!(start.elapsed() >= wanted);
                    })
                })
                .collect();
            handles.into_iter().for_each(|handle| handle.join().unwrap());
        });
    });
}

#[test]
fn ten_thousand_sleepers_of_one_instant_wake_and_others_run_between() {
    in_time(|| {
        for workers in [1, 2] {
            runtime(workers).run(|| {
                let group = WaitGroup::new();
                let start = Instant::now();
                for _ in 0..10_000 {
                    group.go(move || {
                        let left = Duration::from_millis(300).saturating_sub(start.elapsed());
                        rendez::sleep(left);
                    });
                }
                let stop = Arc::new(AtomicBool::new(false));
                let theirs = stop.clone();
                let ticker = go(move || {
                    let mut turns = 0u64;
                    while !theirs.load(Ordering::SeqCst) {
                        turns += 1;
                        yield_now();
                    }
                    turns
                });
                group.wait();
                stop.store(true, Ordering::SeqCst);
                assert!(ticker.join().unwrap() > 0);
                assert!(start.elapsed() >= Duration::from_millis(300));
            });
        }
    });
}

#[test]
fn a_million_sleepers_of_one_instant_wake_and_others_run_between() {
    // The sanitizers surround each with memory of their own.
    const SLEEPERS: u64 = if cfg!(rendez_sanitize) { 50_000 } else { 1_000_000 };
    in_time(|| {
        runtime(2).run(|| {
            let (group, woken, at) =
                (WaitGroup::new(), Arc::new(AtomicU64::new(0)), Arc::new(OnceLock::new()));
            let (gate, closed) = chan::bounded::<()>(0);
            group.add(SLEEPERS as i64);
            for _ in 0..SLEEPERS {
                let (group, woken, at, closed) = (group.clone(), woken.clone(), at.clone(), closed.clone());
                go_async(async move {
                    assert!(closed.recv_async().await.is_err());
                    let at: Instant = *at.get().unwrap();
                    sleep_until_async(at).await;
                    assert!(Instant::now() >= at);
                    woken.fetch_add(1, Ordering::SeqCst);
                    group.done();
                });
            }
            // They have so long to fall asleep.
            let at = *at.get_or_init(|| Instant::now() + Duration::from_secs(2));
            drop(gate);
            let (theirs, stop) = (woken.clone(), Arc::new(AtomicBool::new(false)));
            let stopped = stop.clone();
            let other = go(move || {
                sleep_until(at);
                let mut between = 0;
                while !stopped.load(Ordering::SeqCst) {
                    between += u64::from((1..SLEEPERS).contains(&theirs.load(Ordering::SeqCst)));
                    yield_now();
                }
                between
            });
            group.wait();
            stop.store(true, Ordering::SeqCst);
            assert!(other.join().unwrap() > 0, "nobody ran between the first and the last");
            assert_eq!(woken.load(Ordering::SeqCst), SLEEPERS);
        });
    });
}

#[test]
fn a_sleeper_wakes_although_its_worker_is_busy_with_others() {
    in_time(|| {
        runtime(1).run(|| {
            let woke = Arc::new(AtomicBool::new(false));
            let theirs = woke.clone();
            go(move || {
                rendez::sleep(Duration::from_millis(5));
                theirs.store(true, Ordering::SeqCst);
            });
            let (tx, rx) = chan::bounded(1);
            while !woke.load(Ordering::SeqCst) {
                // Never waits, and yet gives way.
                tx.send(()).unwrap();
                rx.recv().unwrap();
            }
        });
    });
}

// ---- placement ----

#[test]
fn those_that_are_to_be_spread_start_on_both_workers_though_who_starts_them_runs_on_for_a_moment() {
    in_time(|| {
        runtime(2).run(|| {
            let are_apart = || {
                let here = || thread::current().id();
                let two = [(), ()].map(|()| Builder::new().placement(Placement::Spread).spawn(here).unwrap());
                // Long enough for the other worker to see one lie here.
                let start = Instant::now();
                while start.elapsed() < Duration::from_millis(2) {
                    hint::spin_loop();
                }
                let [one, other] = two.map(|one| one.join().unwrap());
                one != other
            };
            // Not each time: where the system takes the processor away for long the other worker may take both.
            let apart = (0..50).filter(|_| are_apart()).count();
            assert!(apart > 25, "they were apart {apart} times of 50");
        });
    });
}

// ---- nobody is starved ----

#[test]
fn two_that_always_find_each_other_ready_do_not_starve_a_third() {
    in_time(|| {
        runtime(1).run(|| {
            let (there, ping) = chan::bounded::<u32>(0);
            let (back, pong) = chan::bounded::<u32>(0);
            go(move || {
                for value in ping {
                    if back.send(value).is_err() {
                        break;
                    }
                }
            });
            let (started, resumed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
            let theirs = (started.clone(), resumed.clone());
            go(move || {
                theirs.0.store(true, Ordering::SeqCst);
                for _ in 0..10 {
                    yield_now();
                    theirs.1.fetch_add(1, Ordering::SeqCst);
                }
            });
            while !started.load(Ordering::SeqCst) || resumed.load(Ordering::SeqCst) < 10 {
                there.send(1).unwrap();
                pong.recv().unwrap();
            }
        });
    });
}

#[test]
fn what_has_not_started_does_so_whatever_the_mixture_of_those_that_are_always_ready() {
    thread_local! {
        static TURNS: Cell<usize> = const { Cell::new(0) };
    }
    /// Counts a turn; of the one worker that there is.
    fn turn() -> usize {
        TURNS.replace(TURNS.get() + 1)
    }
    fn talk() {
        let (tx, rx) = chan::bounded::<()>(0);
        go(move || rx.iter().for_each(drop));
        while tx.send(()).is_ok() {
            turn();
        }
    }
    fn give_way() {
        loop {
            turn();
            yield_now();
        }
    }
    fn start_others() {
        while go(|| ()).join().is_ok() {
            turn();
        }
    }
    in_time(|| {
        let kinds = [talk as fn(), give_way, start_others];
        for mixture in (0..64).map(|i| [i % 4, i / 4 % 4, i / 16]) {
            runtime(1).run(|| {
                let started = Arc::new(AtomicUsize::new(0));
                for (kind, count) in kinds.into_iter().zip(mixture) {
                    for _ in 0..count {
                        let started = started.clone();
                        go(move || {
                            started.fetch_add(1, Ordering::SeqCst);
                            kind();
                        });
                    }
                }
                while started.load(Ordering::SeqCst) < mixture.iter().sum() {
                    yield_now();
                }
                for _ in 0..20 {
                    let before = turn();
                    let took = go(turn).join().unwrap() - before;
                    assert!(took < 5000, "{took} turns among {mixture:?}");
                }
            });
        }
    });
}

#[test]
fn what_others_hand_over_does_not_keep_a_worker_from_what_it_has_itself() {
    static HANDED: AtomicUsize = AtomicUsize::new(0);
    in_time(|| {
        runtime(2).run(|| {
            let here = thread::current().id();
            // The other worker is never idle, and has so many goroutines that what it starts is for this one.
            let (ready, wait) = chan::bounded(0);
            (0..10).for_each(|_| near(|| rendez::sleep(Duration::MAX)));
            yield_now();
            // Nothing is handed to a worker whose thread has yet to come up.
            while spread(|| thread::current().id()).join().unwrap() == here {
                yield_now();
            }
            let other = spread(move || {
                (0..100).for_each(|_| near(|| rendez::sleep(Duration::MAX)));
                near(|| {
                    loop {
                        yield_now();
                    }
                });
                for _ in 0..50 {
                    near(|| while spread(|| HANDED.fetch_add(1, Ordering::SeqCst)).join().is_ok() {});
                }
                ready.send(thread::current().id()).unwrap();
            });
            assert_ne!(wait.recv(), Ok(here));
            other.join().unwrap();
            while HANDED.load(Ordering::SeqCst) < 500 {
                yield_now();
            }
            for _ in 0..20 {
                let mut turns = 0;
                let mine = go(|| ());
                while !mine.is_finished() {
                    assert!(turns < 20_000, "it has not started");
                    turns += 1;
                    yield_now();
                }
            }
        });
    });
}

#[test]
fn one_that_never_gives_way_does_not_hold_up_what_its_worker_has_not_started() {
    in_time(|| {
        for batch in [1, 2, 3, 20] {
            runtime(2).run(|| {
                let done = Arc::new(AtomicUsize::new(0));
                for _ in 0..batch {
                    let done = done.clone();
                    go(move || done.fetch_add(1, Ordering::SeqCst));
                }
                while done.load(Ordering::SeqCst) < batch {
                    hint::spin_loop();
                }
            });
        }
    });
}

#[test]
fn what_a_foreign_thread_starts_is_found_by_workers_that_sleep_and_by_busy_ones() {
    in_time(|| {
        let runtime = Arc::new(runtime(2));
        let busy = Arc::new(AtomicBool::new(true));
        let theirs = busy.clone();
        let spinner = runtime.spawn(move || {
            while theirs.load(Ordering::SeqCst) {
                yield_now();
            }
        });
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let runtime = runtime.clone();
                thread::spawn(move || {
                    for i in 0..300 {
                        assert_eq!(runtime.spawn(move || i).join().unwrap(), i);
                        assert_eq!(runtime.run(|| i + 1), i + 1);
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        busy.store(false, Ordering::SeqCst);
        spinner.join().unwrap();
    });
}

#[test]
fn a_burst_wakes_sleeping_workers() {
    in_time(|| {
        let runtime = runtime(4);
        for _ in 0..20 {
            // Long enough for all to be asleep.
            thread::sleep(Duration::from_millis(2));
            runtime.run(|| {
                let group = WaitGroup::new();
                let threads = Arc::new(Mutex::new(HashSet::new()));
                for _ in 0..40 {
                    let threads = threads.clone();
                    group.go(move || {
                        let start = Instant::now();
                        while start.elapsed() < Duration::from_micros(500) {
                            hint::spin_loop();
                        }
                        threads.lock().unwrap().insert(thread::current().id());
                    });
                }
                group.wait();
                assert!(threads.lock().unwrap().len() > 1);
            });
        }
    });
}

// ---- many ----

#[test]
fn fifty_thousand_goroutines_park_and_are_released() {
    in_time(|| {
        let runtime = runtime(2);
        runtime.run(|| {
            let ((tx, rx), (started, starts)) = (chan::bounded::<()>(0), chan::unbounded());
            let handles: Vec<_> = (0..50_000u32)
                .map(|i| {
                    let (rx, started) = (rx.clone(), started.clone());
                    go(move || {
                        started.send(()).unwrap();
                        assert!(rx.recv().is_err());
                        i
                    })
                })
                .collect();
            (0..50_000).for_each(|_| starts.recv().unwrap());
            assert!(handles.iter().all(|handle| !handle.is_finished()));
            drop(tx);
            for (i, handle) in (0..).zip(handles) {
                assert_eq!(handle.join().unwrap(), i);
            }
        });
    });
}

#[test]
fn bursts_of_goroutines_come_and_go() {
    in_time(|| {
        runtime(2).run(|| {
            for _ in 0..20 {
                let count = Arc::new(AtomicUsize::new(0));
                let group = WaitGroup::new();
                for i in 0..1000 {
                    let count = count.clone();
                    group.go(move || {
                        if i % 2 == 0 {
                            rendez::sleep(Duration::from_micros(i));
                        }
                        count.fetch_add(1, Ordering::SeqCst);
                    });
                }
                group.wait();
                assert_eq!(count.load(Ordering::SeqCst), 1000);
            }
        });
    });
}

// ---- workers ----

#[test]
fn workers_tells_the_number_of_ones_own_runtime() {
    in_time(|| {
        for n in [1, 2, 8] {
            let runtime = runtime(n);
            runtime.run(|| {
                assert_eq!(workers(), n);
                assert_eq!(go(workers).join().unwrap(), n);
                assert_eq!(go_async(async { workers() }).join().unwrap(), n);
                let other = Runtime::builder().workers(3).build().unwrap();
                assert_eq!(other.run(workers), 3);
                assert_eq!(workers(), n);
            });
        }
        assert!(workers() > 0);
        assert_eq!(workers(), go(workers).join().unwrap());
    });
}

#[test]
fn raising_the_number_of_workers_starts_more() {
    in_time(|| {
        let runtime = runtime(1);
        runtime.run(|| {
            set_workers(3);
            assert_eq!(workers(), 3);
            // All three at once, or none gets on.
            let meeting = Arc::new(std::sync::Barrier::new(3));
            let handles: Vec<_> = (0..3)
                .map(|_| {
                    let meeting = meeting.clone();
                    let started = Builder::new().placement(Placement::Spread).spawn(move || {
                        meeting.wait();
                        thread::current().id()
                    });
                    started.unwrap()
                })
                .collect();
            let threads: HashSet<_> = handles.into_iter().map(|handle| handle.join().unwrap()).collect();
            assert_eq!(threads.len(), 3);
        });
    });
}

#[test]
fn lowering_the_number_lets_the_surplus_finish_what_they_have_started_and_start_no_more() {
    in_time(|| {
        let runtime = runtime(4);
        let (tx, rx) = chan::bounded::<()>(0);
        let (started, starts) = chan::unbounded();
        let parked: Vec<_> = (0..100)
            .map(|_| {
                let (rx, started) = (rx.clone(), started.clone());
                let spread = move || {
                    let here = thread::current().id();
                    started.send(()).unwrap();
                    assert!(rx.recv().is_err());
                    assert_eq!(thread::current().id(), here);
                    here
                };
                runtime.run(|| Builder::new().placement(Placement::Spread).spawn(spread).unwrap())
            })
            .collect();
        (0..100).for_each(|_| starts.recv().unwrap());
        runtime.run(|| {
            set_workers(1);
            assert_eq!(workers(), 1);
        });
        let here = || thread::current().name().map(String::from);
        // What was on its way when the number changed may still have ended elsewhere.
        (0..100).for_each(|_| drop(runtime.spawn(here).join()));
        for _ in 0..300 {
            assert_eq!(runtime.spawn(here).join().unwrap().as_deref(), Some("rendez-0"));
        }
        drop(tx);
        let threads: HashSet<_> = parked.into_iter().map(|handle| handle.join().unwrap()).collect();
        assert!(threads.len() > 1);
    });
}

#[test]
fn the_number_of_workers_may_change_while_all_are_busy() {
    in_time(|| {
        let runtime = runtime(2);
        let stop = Arc::new(AtomicBool::new(false));
        let pairs: Vec<_> = (0..20)
            .map(|_| {
                let stop = stop.clone();
                runtime.spawn(move || {
                    let (tx, rx) = chan::bounded(0);
                    let echo = go(move || rx.iter().sum::<u64>());
                    let mut sent = 0;
                    while !stop.load(Ordering::SeqCst) {
                        tx.send(1).unwrap();
                        sent += go(|| 1).join().unwrap();
                    }
                    drop(tx);
                    assert_eq!(echo.join().unwrap(), sent);
                })
            })
            .collect();
        for n in [1, 8, 2, 16, 1, 3, 1, 5, 2].into_iter().cycle().take(60) {
            runtime.run(|| {
                set_workers(n);
                assert_eq!(workers(), n);
                (0..20).for_each(|i| assert_eq!(go(move || i).join().unwrap(), i));
            });
        }
        stop.store(true, Ordering::SeqCst);
        pairs.into_iter().for_each(|pair| pair.join().unwrap());
    });
}

#[test]
fn what_was_handed_to_a_worker_that_is_no_longer_wanted_is_started_all_the_same() {
    in_time(|| {
        let runtime = Arc::new(runtime(4));
        let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let spreaders: Vec<_> = (0..4)
            .map(|_| {
                let (stop, count) = (stop.clone(), count.clone());
                runtime.spawn(move || {
                    let mut spread = Vec::new();
                    while !stop.load(Ordering::SeqCst) {
                        for _ in 0..20 {
                            let count = count.clone();
                            let builder = Builder::new().placement(Placement::Spread);
                            let handle = builder.spawn(move || {
                                yield_now();
                                count.fetch_add(1, Ordering::SeqCst);
                            });
                            spread.push(handle.unwrap());
                        }
                        yield_now();
                    }
                    let started = spread.len();
                    spread.into_iter().for_each(|handle| handle.join().unwrap());
                    started
                })
            })
            .collect();
        for n in [1, 4, 2, 8, 1, 3].into_iter().cycle().take(120) {
            let before = count.load(Ordering::SeqCst);
            runtime.run(|| set_workers(n));
            while count.load(Ordering::SeqCst) < before + 20 {
                thread::yield_now();
            }
        }
        stop.store(true, Ordering::SeqCst);
        let started: usize = spreaders.into_iter().map(|spreader| spreader.join().unwrap()).sum();
        assert_eq!(count.load(Ordering::SeqCst), started);
    });
}

#[test]
fn a_shutdown_may_meet_a_change_of_the_number_of_workers() {
    in_time(|| {
        for n in 1..20 {
            run(|| {
                for i in 0..4 {
                    go(move || {
                        set_workers((n * i) % 7 + 1);
                        rendez::sleep(Duration::MAX);
                    });
                }
                yield_now();
            });
        }
    });
}
