//! Goroutines that are dead while others go on are found, and those that are not are not said to be.

use rendez::{
    Builder, Context, Event, Runtime,
    chan::{self, Receiver, Sender},
    diag::{self, Deadlocked},
    go, go_async, scope, select,
    sync::{Barrier, Cond, Mutex, Once, RwLock, Semaphore, WaitGroup},
    time::{self, Instant},
};
use std::{
    sync::{
        Arc, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// Tests look at the whole process, so one at a time.
static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// On several numbers of workers, where what is left dead ends with the runtime.
fn on_workers(f: impl Fn() + Send + Sync) {
    let _alone = alone();
    for workers in [1, 2, 4] {
        let runtime = Runtime::builder().workers(workers).build().unwrap();
        runtime.run(&f);
    }
}

/// Looks until somebody is dead.
fn found() -> Deadlocked {
    loop {
        let dead = diag::deadlocked();
        if !dead.is_empty() {
            return dead;
        }
        rendez::yield_now();
    }
}

/// Looks until the dump has all of these, which it has when all have parked that are to.
fn until_parked(lines: &[&str]) {
    let is_there = |text: &str| lines.iter().all(|line| text.contains(line));
    while !is_there(&diag::dump().to_string()) {
        rendez::yield_now();
    }
}

#[track_caller]
fn assert_has(dead: &Deadlocked, lines: &[&str]) {
    let text = dead.to_string();
    for line in lines {
        assert!(text.contains(line), "no {line:?} in: {text}");
    }
}

/// What goes on meanwhile, until it is dropped.
struct Others(Arc<AtomicBool>);

impl Others {
    fn start() -> Others {
        let stop = Arc::new(AtomicBool::new(false));
        let (tx, rx) = chan::bounded(0);
        let mutex = Arc::new(Mutex::new(0));
        for _ in 0..3 {
            let (stop, mutex, tx, rx) = (stop.clone(), mutex.clone(), tx.clone(), rx.clone());
            go(move || {
                while !stop.load(Ordering::Relaxed) {
                    select! {
                        send(tx, 1) -> _ => {}
                        recv(rx) -> _ => {}
                        default => rendez::yield_now(),
                    }
                    let _guard = mutex.lock();
                    rendez::yield_now();
                }
            });
        }
        Others(stop)
    }
}

impl Drop for Others {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Two goroutines take two mutexes in two orders.
fn cross(left: &Arc<Mutex<i32>>, right: &Arc<Mutex<i32>>) {
    let both = Arc::new(Barrier::new(2));
    for (name, first, second) in [("a", left, right), ("b", right, left)] {
        let (first, second, both) = (first.clone(), second.clone(), both.clone());
        let cross = move || {
            let _first = first.lock();
            both.wait();
            let _second = second.lock();
        };
        drop(Builder::new().name(name).spawn(cross).unwrap());
    }
}

#[test]
fn two_that_lock_in_two_orders_are_found_among_others_that_go_on() {
    on_workers(|| {
        let _others = Others::start();
        let (left, right) = (Arc::new(Mutex::new(1)), Arc::new(Mutex::new(2)));
        left.set_name("left");
        right.set_name("right");
        cross(&left, &right);
        let dead = found();
        assert_eq!(dead.groups().len(), 1, "{dead}");
        let group = &dead.groups()[0];
        assert_eq!(group.goroutines().len(), 2, "{dead}");
        assert!(group.is_certain());
        assert_has(
            &dead,
            &[
                "2 goroutines will never go on: they wait only for each other\n\ngoroutine ",
                "waits for mutex \"right\" of i32, ",
                "they wait for each other in a circle:\n\tgoroutine ",
                "\"a\" waits for mutex \"right\", held by goroutine ",
                "\"b\" waits for mutex \"left\", held by goroutine ",
            ],
        );
        let ids = |dead: &Deadlocked| dead.groups()[0].goroutines().collect::<Vec<_>>();
        assert_eq!(ids(&dead), ids(&diag::deadlocked()), "they stay so");
    });
}

#[test]
fn who_waits_for_the_dead_is_dead_as_well() {
    on_workers(|| {
        let _others = Others::start();
        let (left, right) = (Arc::new(Mutex::new(1)), Arc::new(Mutex::new(2)));
        cross(&left, &right);
        found();
        let locks = (left.clone(), right.clone());
        let joins = go(move || {
            let waits = go(move || drop(locks.0.lock()));
            waits.join().unwrap();
        });
        let parent = go(move || scope(|s| drop(s.go(|| drop(right.lock())))));
        let last = Builder::new().name("last").spawn(move || joins.join()).unwrap();
        until_parked(&["\"last\" [join]", "[scope]"]);
        loop {
            let dead = found();
            if dead.groups()[0].goroutines().len() == 7 {
                assert_eq!(dead.groups().len(), 1, "{dead}");
                assert!(dead.groups()[0].is_certain());
                assert_has(&dead, &["waits for the goroutines of its scope, of which 1 has not ended"]);
                break;
            }
            rendez::yield_now();
        }
        drop((parent, last, left));
    });
}

#[test]
fn who_waits_for_itself_or_for_nothing_is_found() {
    on_workers(|| {
        let _others = Others::start();
        let mutex = Arc::new(Mutex::new(String::new()));
        go(move || {
            let _guard = mutex.lock();
            drop(mutex.lock());
        });
        go(|| chan::never::<Vec<u8>>().recv());
        loop {
            let dead = found();
            if dead.groups().len() == 2 {
                assert!(
                    dead.groups().iter().all(|group| group.is_certain() && group.goroutines().len() == 1)
                );
                assert_has(
                    &dead,
                    &["which it holds itself", "it waits for itself:", "a nil channel of Vec<u8>"],
                );
                break;
            }
            rendez::yield_now();
        }
    });
}

#[test]
fn a_lock_that_is_held_for_writing_is_followed_and_one_that_is_read_is_not() {
    on_workers(|| {
        let lock = Arc::new(RwLock::new(0));
        lock.set_name("table");
        let theirs = lock.clone();
        let writer = move || {
            let _guard = theirs.write();
            drop(theirs.read());
        };
        drop(Builder::new().name("writer").spawn(writer).unwrap());
        let dead = found();
        assert_has(&dead, &["\"writer\" [sync.RWMutex.RLock]", "waits for lock \"table\" of i32, "]);
        let other = Arc::new(RwLock::new(0));
        let theirs = other.clone();
        go(move || {
            let _guard = theirs.read();
            drop(theirs.write());
        });
        until_parked(&["held by 1 reader"]);
        assert_eq!(diag::deadlocked().groups().len(), 1);
    });
}

/// Each receives before it sends.
fn exchange(own: Sender<u32>, others: Receiver<u32>) {
    if let Ok(n) = others.recv() {
        let _ = own.send(n);
    }
}

/// Two of these; with an end of one channel, if it is wanted.
fn start_exchange(kept: bool) -> Option<Sender<u32>> {
    let (left, lefts) = chan::bounded(0);
    let (right, rights) = chan::bounded(0);
    left.set_name("lefts");
    rights.set_name("rights");
    let end = kept.then(|| left.clone());
    drop(Builder::new().name("a").spawn(move || exchange(left, rights)).unwrap());
    drop(Builder::new().name("b").spawn(move || exchange(right, lefts)).unwrap());
    end
}

#[test]
fn two_that_wait_for_what_the_other_would_send_are_found() {
    on_workers(|| {
        let _others = Others::start();
        start_exchange(false);
        let dead = found();
        assert_eq!(dead.groups().len(), 1, "{dead}");
        let group = &dead.groups()[0];
        assert_eq!(group.goroutines().len(), 2, "{dead}");
        assert!(!group.is_certain(), "nobody keeps books of ends");
        assert_has(
            &dead,
            &[
                "2 goroutines will probably never go on",
                "waits for channel \"rights\" of u32, made at crates/rendez/tests/deadlocked.rs",
                "it has 1 sender and 1 receiver; an end was given to goroutine ",
                "\"b\" waits for channel \"lefts\", an end of which was given to goroutine ",
            ],
        );
    });
}

#[test]
fn an_end_that_somebody_else_has_is_hope() {
    on_workers(|| {
        let end = start_exchange(true);
        until_parked(&["\"a\" [chan receive]", "\"b\" [chan receive]"]);
        let on_the_heap = Box::new(end);
        for _ in 0..5 {
            assert!(diag::deadlocked().is_empty());
        }
        std::mem::drop(on_the_heap);
        assert_eq!(found().groups()[0].goroutines().len(), 2);
    });
}

#[test]
fn an_end_that_was_passed_on_to_a_child_is_hope() {
    on_workers(|| {
        for is_async in [false, true] {
            let (tx, rx) = chan::bounded::<i32>(0);
            let (wake, wakes) = chan::bounded::<()>(0);
            // It was given both ends, and has neither: it waits for who waits for the child that has one, and sleeps.
            let parent = move || {
                let reader = go(move || rx.recv().unwrap());
                match is_async {
                    true => drop(go_async(async move {
                        let _ = wakes.recv_async().await;
                        tx.send_async(1).await.unwrap();
                    })),
                    false => drop(go(move || {
                        let _ = wakes.recv();
                        tx.send(1).unwrap();
                    })),
                }
                reader.join().unwrap()
            };
            let parent = Builder::new().name("parent").spawn(parent).unwrap();
            until_parked(&["\"parent\" [join]", "of i32, made at"]);
            for _ in 0..5 {
                let dead = diag::deadlocked();
                assert!(dead.is_empty(), "{dead}");
            }
            drop(wake);
            assert_eq!(parent.join().unwrap(), 1);
        }
    });
}

#[test]
fn a_wait_group_that_those_keep_who_wait_for_it_is_found() {
    on_workers(|| {
        let _others = Others::start();
        let group = WaitGroup::new();
        group.set_name("uploads");
        // Some that had a handle, and are over.
        (0..200).for_each(|_| group.go(|| ()));
        group.add(2);
        for name in ["first", "second"] {
            let group = group.clone();
            let waits = move || {
                group.wait(); // before it says that it is done
                group.done();
            };
            drop(Builder::new().name(name).spawn(waits).unwrap());
        }
        until_parked(&["\"first\" [sync.WaitGroup.Wait]", "\"second\" [sync.WaitGroup.Wait]"]);
        assert!(diag::deadlocked().is_empty(), "we have a handle");
        drop(group);
        let dead = found();
        assert_eq!(dead.groups()[0].goroutines().len(), 2, "{dead}");
        assert_has(&dead, &["waits for wait group \"uploads\"", "whose counter is 2; it has 2 handles"]);
    });
}

#[test]
fn who_can_still_be_helped_is_not_said_to_be_dead() {
    on_workers(|| {
        let (tx, rx) = chan::bounded::<i32>(0);
        let ends = Arc::new((Cond::new(), Semaphore::new(1), Once::new(), Mutex::new(())));
        let (ctx, cancel) = Context::background().with_cancel();
        let permit = ends.1.acquire(1);
        let guard = ends.3.lock();
        // A pool that waits for work; one that waits for a timer; and those who wait for what is no book's.
        for _ in 0..3 {
            let rx = rx.clone();
            go(move || rx.iter().sum::<i32>());
        }
        go(move || time::sleep(Duration::from_secs(3600)));
        go(|| chan::after(Duration::from_secs(3600)).recv());
        go(|| chan::never::<()>().recv_timeout(Duration::from_secs(3600)));
        let waits = ctx.clone();
        go(move || select! { wait(&waits) -> _ => {} });
        let waits = ctx.clone();
        go(move || waits.bound(chan::never::<()>().recv_event()).wait());
        let all = ends.clone();
        go(move || drop(all.1.acquire(1)));
        let all = ends.clone();
        go(move || all.0.wait(&mut Mutex::new(()).lock()));
        let all = ends.clone();
        go(move || all.2.wait());
        let all = ends.clone();
        let held = go(move || drop(all.3.lock()));
        let joins = go(move || held.join());
        // Its sender is in a future, which may send when it is woken.
        let (later, laters) = chan::bounded::<i32>(0);
        go_async(async move {
            time::sleep_async(Duration::from_secs(3600)).await;
            let _ = later.send_async(1).await;
        });
        go(move || laters.recv());
        until_parked(&["[join]", "[sync.Mutex.Lock]", "[sync.Once.Do]", "[sync.Cond.Wait]", "[semacquire]"]);
        for _ in 0..10 {
            let dead = diag::deadlocked();
            assert!(dead.is_empty(), "{dead}");
        }
        drop((permit, guard, tx, joins));
        cancel.cancel();
    });
}

#[test]
fn those_who_lock_and_send_all_the_time_are_never_taken_for_dead() {
    on_workers(|| {
        let _others = Others::start();
        let mutexes: Arc<[Mutex<u32>; 3]> = Arc::new(std::array::from_fn(|_| Mutex::new(0)));
        let stop = Arc::new(AtomicBool::new(false));
        let group = WaitGroup::new();
        for _ in 0..4 {
            let (mutexes, stop) = (mutexes.clone(), stop.clone());
            group.go(move || {
                while !stop.load(Ordering::Relaxed) {
                    let mut first = mutexes[0].lock();
                    rendez::yield_now();
                    let mut second = mutexes[1].lock();
                    drop(mutexes[2].lock());
                    *first += 1;
                    *second += 1;
                    drop((first, second));
                    let (tx, rx) = chan::bounded(0);
                    let child = go(move || tx.send(1));
                    rx.recv().unwrap();
                    child.join().unwrap().unwrap();
                }
            });
        }
        for _ in 0..200 {
            let dead = diag::deadlocked();
            assert!(dead.is_empty(), "{dead}");
        }
        stop.store(true, Ordering::Relaxed);
        group.wait();
    });
}

#[test]
fn a_crowd_that_is_dead_is_found_in_time() {
    let _alone = alone();
    const MANY: usize = 20_000;
    let runtime = Runtime::builder().workers(2).build().unwrap();
    runtime.run(|| {
        let (left, right) = (Arc::new(Mutex::new(1)), Arc::new(Mutex::new(2)));
        cross(&left, &right);
        found();
        for _ in 0..MANY {
            let left = left.clone();
            go(move || drop(left.lock()));
        }
        let begin = Instant::now();
        let dead = loop {
            let dead = found();
            if dead.groups()[0].goroutines().len() == MANY + 2 {
                break dead;
            }
            rendez::yield_now();
        };
        assert_eq!(dead.groups().len(), 1);
        assert!(dead.to_string().len() < 50_000, "{dead}");
        assert_has(&dead, &["they wait for each other in a circle:"]);
        // The last look alone is some tens of milliseconds; there were others while they came.
        assert!(begin.elapsed() < Duration::from_secs(60));
    });
}

#[test]
fn a_thread_may_ask_and_is_told_what_threads_hold() {
    let _alone = alone();
    let mutex = Arc::new(Mutex::new(0));
    mutex.set_name("shared");
    let guard = mutex.lock();
    let runtime = Runtime::builder().workers(1).build().unwrap();
    let theirs = mutex.clone();
    let waits = runtime.spawn(move || drop(theirs.lock()));
    until_parked(&["waits for mutex \"shared\" of i32", "held by a thread that is no goroutine"]);
    assert!(diag::deadlocked().is_empty());
    drop(guard);
    waits.join().unwrap();
}

#[test]
fn a_dump_names_what_is_waited_for() {
    on_workers(|| {
        let (tx, rx) = chan::bounded::<u8>(3);
        rx.set_name("first");
        tx.set_name("bytes"); // the last one counts
        let semaphore = Arc::new(Semaphore::new(3));
        semaphore.set_name("downloads");
        let cond = Arc::new(Cond::new());
        cond.set_name("room");
        let barrier = Arc::new(Barrier::new(3));
        barrier.set_name("lap");
        let permits = semaphore.acquire(2);
        let (s, c) = (semaphore.clone(), cond.clone());
        go(move || drop(s.acquire(2)));
        go(move || c.wait(&mut Mutex::new(()).lock()));
        for _ in 0..2 {
            let barrier = barrier.clone();
            go(move || barrier.wait());
        }
        let both = rx.clone();
        go(move || {
            select! {
                recv(both) -> _ => {}
                recv(None::<&Receiver<i32>>) -> _ => {}
            }
        });
        until_parked(&[
            "waits for channel \"bytes\" of u8, made at crates/rendez/tests/deadlocked.rs:",
            "waits for a nil channel",
            "waits for semaphore \"downloads\"",
            ": it wants 2 of its 3 permits, and 1 is free",
            "waits for condition \"room\"",
            "waits for barrier \"lap\"",
            ": 2 of 3 have come",
        ]);
        barrier.wait();
        drop((permits, tx));
        cond.broadcast();
    });
}

#[test]
#[cfg(feature = "testing")]
fn failures_that_are_explored_tell_the_circle() {
    use rendez::testing::{self, Config};
    let _alone = alone();
    let failure = testing::check(Config { seed: Some(1), ..Config::default() }, || {
        let (left, right) = (Arc::new(Mutex::new(1)), Arc::new(Mutex::new(2)));
        left.set_name("left");
        right.set_name("right");
        let (theirs, other) = (left.clone(), right.clone());
        let child = go(move || {
            let _left = theirs.lock();
            let _right = other.lock();
        });
        let _right = right.lock();
        drop(left.lock());
        drop(_right);
        child.join().unwrap();
    });
    let text = failure.unwrap_err().to_string();
    for line in
        ["waits for mutex \"left\" of i32", "they wait for each other in a circle:", "held by goroutine 2;"]
    {
        assert!(text.contains(line), "no {line:?} in: {text}");
    }
}
