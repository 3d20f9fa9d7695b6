//! Goroutines that go on with each other directly, where the worker's loop would do nothing in between: whoever is looked at, unwinds, polls or
//! ends among them, and whoever else waits for a turn.
#![cfg(not(loom))]

mod setup;

use rendez::{
    Builder, block_on,
    chan::{self, Receiver, Sender},
    diag, go, go_async, go_local,
    net::UnixStream,
    scope, time, yield_now,
};
use setup::{in_time, runtime};
use std::{
    hint::black_box,
    io::{Read, Write},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

const ROUNDS: usize = if cfg!(rendez_sanitize) { 100 } else { 400 };

/// Receives and answers, `ROUNDS` times; what is in its frame stays what it was.
fn answers(rx: &Receiver<usize>, tx: &Sender<usize>) -> usize {
    let mut sum = 0;
    for round in 0..ROUNDS {
        let kept = black_box([round; 16]);
        sum += rx.recv().unwrap();
        tx.send(sum).unwrap();
        assert_eq!(kept, [round; 16]);
    }
    sum
}

fn asks(tx: &Sender<usize>, rx: &Receiver<usize>) -> usize {
    let mut last = 0;
    for round in 0..ROUNDS {
        tx.send(round).unwrap();
        last = rx.recv().unwrap();
    }
    last
}

/// Waits in a destructor while it unwinds.
struct Answers(Receiver<usize>, Sender<usize>, Arc<AtomicUsize>);

impl Drop for Answers {
    fn drop(&mut self) {
        assert!(thread::panicking());
        self.2.store(answers(&self.0, &self.1), Ordering::SeqCst);
    }
}

#[test]
fn who_is_passed_to_may_be_looked_at_unwind_block_in_a_poll_and_end() {
    const SUM: usize = ROUNDS * (ROUNDS - 1) / 2;
    for workers in [1, 2] {
        in_time(move || {
            let all_have_ended = Arc::new(AtomicBool::new(false));
            let pair = || {
                let ((tx, requests), (replies, rx)) = (chan::bounded(0), chan::bounded(0));
                ((tx, rx), (requests, replies))
            };
            let runtime = runtime(workers);
            let ended = all_have_ended.clone();
            // Looks at all the others, from its own stack.
            let looks = runtime.spawn(move || {
                let mut looks = 0;
                while !ended.load(Ordering::SeqCst) {
                    looks += usize::from(!diag::dump().is_empty());
                    yield_now();
                }
                looks
            });
            runtime.run(move || {
                let mut pairs = Vec::new();
                for kind in 0..15 {
                    let ((tx, rx), (requests, replies)) = pair();
                    let asking = go(move || asks(&tx, &rx));
                    let answering = match kind % 5 {
                        0 => go(move || answers(&requests, &replies)),
                        1 => go(move || go_local(move || answers(&requests, &replies)).join().unwrap()),
                        2 => {
                            go(move || go_async(async move { answers(&requests, &replies) }).join().unwrap())
                        }
                        3 => go(move || block_on(async move { answers(&requests, &replies) })),
                        _ => go(move || {
                            let sum = Arc::new(AtomicUsize::new(0));
                            let answers = Answers(requests, replies, sum.clone());
                            let unwound = catch_unwind(AssertUnwindSafe(move || {
                                let _answers = answers;
                                std::panic::resume_unwind(Box::new(kind));
                            }));
                            assert_eq!(*unwound.unwrap_err().downcast::<usize>().unwrap(), kind);
                            sum.load(Ordering::SeqCst)
                        }),
                    };
                    pairs.push((asking, answering));
                }
                for (asking, answering) in pairs {
                    assert_eq!((asking.join().unwrap(), answering.join().unwrap()), (SUM, SUM));
                }
                all_have_ended.store(true, Ordering::SeqCst);
            });
            assert!(looks.join().unwrap() > 0);
        });
    }
}

/// Two that pass on to each other, and many that give way to each other, for as long as the others wait for a turn.
#[test]
fn those_who_pass_on_to_each_other_leave_others_their_turns() {
    for crowd in [0, 40] {
        in_time(move || {
            let runtime = runtime(1);
            runtime.run(|| {
                let on = AtomicBool::new(true);
                let (tx, rx) = chan::bounded(0);
                scope(|s| {
                    s.go(|| {
                        while on.load(Ordering::SeqCst) {
                            tx.send(1).unwrap();
                        }
                        drop(tx);
                    });
                    s.go(|| rx.iter().sum::<usize>());
                    for _ in 0..crowd {
                        s.go(|| {
                            while on.load(Ordering::SeqCst) {
                                yield_now();
                            }
                        });
                    }
                    // A timer.
                    time::sleep(Duration::from_millis(2));
                    // An unstarted one, and one with a stack that has been woken.
                    assert_eq!(go(|| 2).join().unwrap(), 2);
                    // An async one, at several awaits.
                    let awaits = go_async(async {
                        for _ in 0..10 {
                            time::sleep_async(Duration::from_micros(50)).await;
                        }
                        3
                    });
                    assert_eq!(awaits.join().unwrap(), 3);
                    // From elsewhere.
                    let (tx, rx) = chan::bounded(0);
                    let thread = thread::spawn(move || tx.send(4).unwrap());
                    assert_eq!(rx.recv(), Ok(4));
                    thread.join().unwrap();
                    // A socket.
                    let (mut ours, theirs) = UnixStream::pair().unwrap();
                    let writer = go(move || {
                        time::sleep(Duration::from_millis(1));
                        (&theirs).write_all(b"x").unwrap();
                        theirs
                    });
                    assert_eq!(ours.read(&mut [0]).unwrap(), 1);
                    drop(writer.join().unwrap());
                    on.store(false, Ordering::SeqCst);
                });
            });
        });
    }
}

/// In turns of theirs, how long others wait; what comes from elsewhere has come before they go on.
#[test]
fn those_who_pass_on_to_each_other_leave_others_their_turns_soon() {
    // One that waits for a pair has to wait for a streak of theirs too, in whose bursts are two turns of theirs each.
    for (pairs, yielding, fresh, others) in [(0, 2, 32, 72), (1, 0, 100, 200), (1, 3, 100, 200)] {
        in_time(move || {
            let runtime = Arc::new(rendez::Runtime::builder().workers(1).spares(0).build().unwrap());
            let (on, turns) = (AtomicBool::new(true), AtomicUsize::new(1));
            let turn = || turns.fetch_add(1, Ordering::SeqCst);
            let came = || Arc::new(AtomicUsize::new(0));
            runtime.run(|| {
                scope(|s| {
                    for _ in 0..pairs {
                        let (tx, rx) = chan::bounded(0);
                        s.go(|| {
                            let tx = tx;
                            while on.load(Ordering::SeqCst) {
                                tx.send(turn()).unwrap();
                            }
                        });
                        s.go(|| {
                            let rx = rx;
                            rx.iter().for_each(|_| _ = turn());
                        });
                    }
                    for _ in 0..yielding {
                        s.go(|| {
                            while on.load(Ordering::SeqCst) {
                                turn();
                                yield_now();
                            }
                        });
                    }
                    let waited = |came: &AtomicUsize| {
                        let since = turns.load(Ordering::SeqCst);
                        while came.load(Ordering::SeqCst) == 0 {
                            yield_now();
                        }
                        turns.load(Ordering::SeqCst) - since
                    };
                    let comes = |came: &Arc<AtomicUsize>| {
                        let came = came.clone();
                        move || came.store(1, Ordering::SeqCst)
                    };
                    // Told at the end: the others would go on for ever.
                    let mut late = Vec::new();
                    for round in 0..70 {
                        let mut note = |who: &str, turns: usize, most: usize| {
                            if turns > most {
                                late.push(format!("{who}, {round}: {turns}"));
                            }
                        };
                        // At each place between two looks of the loop.
                        (0..round).for_each(|_| yield_now());
                        let unstarted = came();
                        drop(go(comes(&unstarted)));
                        let turns = waited(&unstarted);
                        note("unstarted", turns, fresh);
                        let (from_elsewhere, start) = (came(), runtime.clone());
                        let start_it = comes(&from_elsewhere);
                        thread::spawn(move || drop(start.spawn(start_it))).join().unwrap();
                        let turns = waited(&from_elsewhere);
                        note("from elsewhere", turns, others);
                        for is_async in [false, true] {
                            let (is_there, wakes) = (came(), came());
                            let ((tx, rx), there, comes) =
                                (chan::bounded(1), comes(&is_there), comes(&wakes));
                            if is_async {
                                drop(go_async(async move {
                                    there();
                                    rx.recv_async().await.unwrap();
                                    comes();
                                }));
                            } else {
                                drop(go(move || {
                                    there();
                                    rx.recv().unwrap();
                                    comes();
                                }));
                            }
                            waited(&is_there);
                            yield_now();
                            thread::spawn(move || tx.send(()).unwrap()).join().unwrap();
                            let turns = waited(&wakes);
                            note(if is_async { "async" } else { "woken" }, turns, others);
                        }
                        let (is_there, wakes) = (came(), came());
                        let (there, comes) = (comes(&is_there), comes(&wakes));
                        let sleep = Duration::from_micros(50);
                        drop(go(move || {
                            there();
                            time::sleep(sleep);
                            comes();
                        }));
                        waited(&is_there);
                        let due = Instant::now() + 2 * sleep;
                        while Instant::now() < due {
                            std::hint::spin_loop();
                        }
                        let turns = waited(&wakes);
                        note("a timer", turns, others);
                    }
                    on.store(false, Ordering::SeqCst);
                    assert!(late.is_empty(), "{late:?}");
                });
            });
        });
    }
}

/// It is looked for before each switch, also by who passes on.
#[test]
fn who_is_woken_from_elsewhere_is_queued_before_the_next_one_goes_on() {
    in_time(|| {
        let runtime = rendez::Runtime::builder().workers(1).spares(0).build().unwrap();
        runtime.run(|| {
            let on = AtomicBool::new(true);
            scope(|s| {
                s.go(|| {
                    while on.load(Ordering::SeqCst) {
                        yield_now();
                    }
                });
                let mut late = Vec::new();
                // At each place between two looks of the loop.
                for place in 0..70 {
                    let ((tx, rx), is_there, came) =
                        (chan::bounded(1), AtomicBool::new(false), AtomicBool::new(false));
                    scope(|s| {
                        s.go(|| {
                            is_there.store(true, Ordering::SeqCst);
                            rx.recv().unwrap();
                            came.store(true, Ordering::SeqCst);
                        });
                        while !is_there.load(Ordering::SeqCst) {
                            yield_now();
                        }
                        (0..place).for_each(|_| yield_now());
                        thread::spawn(move || tx.send(()).unwrap()).join().unwrap();
                        // Queued behind this one, which yields: so this one has one turn before it.
                        let mut turns = 0;
                        while !came.load(Ordering::SeqCst) {
                            turns += 1;
                            yield_now();
                        }
                        if turns > 2 {
                            late.push((place, turns));
                        }
                    });
                }
                // Told at the end: the other would go on for ever.
                on.store(false, Ordering::SeqCst);
                assert!(late.is_empty(), "{late:?}");
            });
        });
    });
}

/// Each of two spends less than its budget, and the two together more.
#[test]
fn who_is_passed_to_has_a_budget_of_its_own() {
    in_time(|| {
        let runtime = rendez::Runtime::builder().workers(1).spares(0).build().unwrap();
        runtime.run(|| {
            let works = AtomicBool::new(false);
            scope(|s| {
                for _ in 0..2 {
                    s.go(|| {
                        let (tx, rx) = chan::bounded(1);
                        for _ in 0..ROUNDS {
                            assert!(!works.swap(true, Ordering::SeqCst), "the other one was interrupted");
                            for n in 0..200 {
                                tx.send(n).unwrap();
                                assert_eq!(rx.recv(), Ok(n));
                            }
                            works.store(false, Ordering::SeqCst);
                            yield_now();
                        }
                    });
                }
            });
        });
    });
}

/// A streak is of those who were woken one after the other: who had a turn between them has ended it.
#[test]
fn a_streak_ends_when_another_one_has_had_its_turn() {
    in_time(|| {
        let runtime = rendez::Runtime::builder().workers(1).spares(0).build().unwrap();
        runtime.run(|| {
            let (on, talks) = (AtomicBool::new(true), AtomicBool::new(false));
            let ((tx, requests), (replies, rx)) = (chan::bounded(0), chan::bounded(0));
            scope(|s| {
                s.go(|| {
                    let replies = replies;
                    requests.iter().for_each(|n: usize| replies.send(n).unwrap());
                });
                s.go(|| {
                    let tx = tx;
                    let talk = |rounds| {
                        for n in 0..rounds {
                            tx.send(n).unwrap();
                            assert_eq!(rx.recv(), Ok(n));
                        }
                    };
                    // The other one has started then, and waits.
                    talk(1);
                    yield_now();
                    for _ in 0..ROUNDS {
                        talks.store(true, Ordering::SeqCst);
                        // Twenty are woken one after the other, of the 32 that may be.
                        talk(10);
                        talks.store(false, Ordering::SeqCst);
                        yield_now();
                    }
                    on.store(false, Ordering::SeqCst);
                });
                s.go(|| {
                    while on.load(Ordering::SeqCst) {
                        if talks.load(Ordering::SeqCst) {
                            on.store(false, Ordering::SeqCst);
                            panic!("between two that were woken");
                        }
                        yield_now();
                    }
                });
            });
        });
    });
}

/// A shutdown begins while they pass on.
#[test]
fn those_who_pass_on_to_each_other_are_ended_by_a_shutdown() {
    for workers in [1, 2] {
        in_time(move || {
            let runtime = runtime(workers);
            let ended = Arc::new(AtomicUsize::new(0));
            struct Counts(Arc<AtomicUsize>);
            impl Drop for Counts {
                fn drop(&mut self) {
                    self.0.fetch_add(1, Ordering::SeqCst);
                }
            }
            let (has_begun, begins) = std::sync::mpsc::channel();
            for _ in 0..20 {
                let ((tx, rx), begun) = (chan::bounded(0), has_begun.clone());
                let counts = [Counts(ended.clone()), Counts(ended.clone())];
                let [first, second] = counts;
                drop(runtime.spawn(move || {
                    let _first = first;
                    for n in 0.. {
                        if tx.send(n).is_err() {
                            break;
                        }
                        if n == 50 {
                            begun.send(()).unwrap();
                        }
                    }
                }));
                drop(runtime.spawn(move || {
                    let _second = second;
                    rx.iter().for_each(drop);
                }));
            }
            (0..20).for_each(|_| begins.recv().unwrap());
            runtime.shutdown();
            assert_eq!(ended.load(Ordering::SeqCst), 40);
        });
    }
}

#[test]
fn who_was_passed_to_and_keeps_the_worker_is_told_by_name() {
    static TOLD: Mutex<Vec<String>> = Mutex::new(Vec::new());
    static IS_TOLD: AtomicBool = AtomicBool::new(false);
    diag::on_stuck(|stuck| {
        if stuck.name() == Some("keeps") {
            TOLD.lock().unwrap().push(stuck.backtrace());
            IS_TOLD.store(true, Ordering::SeqCst);
        }
    });
    #[inline(never)]
    fn keeps_it() {
        while !IS_TOLD.load(Ordering::SeqCst) {
            std::hint::spin_loop();
        }
        black_box(());
    }
    in_time(|| {
        let runtime =
            rendez::Runtime::builder().workers(1).stuck_after(Duration::from_millis(20)).build().unwrap();
        runtime.run(|| {
            let ((tx, requests), (replies, rx)) = (chan::bounded::<usize>(0), chan::bounded::<usize>(0));
            let keeps = move || {
                // Not at a tick at which the loop looks around, whatever that is: it is passed to.
                for _ in 0..101 {
                    replies.send(requests.recv().unwrap()).unwrap();
                }
                keeps_it();
            };
            let keeps = Builder::new().name("keeps").spawn(keeps).unwrap();
            for n in 0..101 {
                tx.send(n).unwrap();
                assert_eq!(rx.recv(), Ok(n));
            }
            keeps.join().unwrap();
        });
        let told = TOLD.lock().unwrap();
        assert!(cfg!(rendez_sanitize) || told[0].contains("keeps_it"), "{told:?}");
    });
}
