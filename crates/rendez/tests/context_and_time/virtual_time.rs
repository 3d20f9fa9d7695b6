//! Virtual time: the clock moves only when everybody waits.

#![cfg(feature = "testing")]

use rendez::{
    Context, chan, go, go_async, scope, select,
    sync::{Cond, Mutex, RwLock, Semaphore, WaitGroup},
    testing::{self, ClockHold},
    time::{self, Instant, Ticker, Timer},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, UNIX_EPOCH},
};

const HOUR: Duration = Duration::from_secs(3600);

/// What a panic in `f` says.
fn panic_of<R>(f: impl FnOnce() -> R) -> String {
    let Err(payload) = catch_unwind(AssertUnwindSafe(f)) else { panic!("it was to panic") };
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload.downcast_ref::<&str>().expect("a text").to_string(),
    }
}

#[test]
fn a_thousand_hours_of_sleeping_take_no_time() {
    let real = std::time::Instant::now();
    let elapsed = testing::virtual_time(|| {
        let start = Instant::now();
        for _ in 0..1000 {
            time::sleep(HOUR);
        }
        start.elapsed()
    });
    assert_eq!(elapsed, 1000 * HOUR);
    assert!(real.elapsed() < Duration::from_secs(60));
}

#[test]
fn the_clock_begins_at_the_turn_of_the_millennium_and_stands_while_something_runs() {
    testing::virtual_time(|| {
        let begin = UNIX_EPOCH + Duration::from_secs(946_684_800);
        assert_eq!(time::wall_clock(), begin);
        std::thread::sleep(Duration::from_millis(2));
        for _ in 0..1000 {
            rendez::yield_now();
        }
        assert_eq!(time::wall_clock(), begin);
        time::sleep(HOUR);
        assert_eq!(time::wall_clock(), begin + HOUR);
    });
}

#[test]
fn sleepers_wake_in_the_order_of_their_moments() {
    let order = testing::virtual_time(|| {
        let (tx, rx) = chan::unbounded();
        for hours in [5, 1, 4, 2, 3] {
            let tx = tx.clone();
            go(move || {
                time::sleep(hours * HOUR);
                tx.send(hours).unwrap();
            });
        }
        drop(tx);
        rx.iter().collect::<Vec<_>>()
    });
    assert_eq!(order, [1, 2, 3, 4, 5]);
}

#[test]
fn every_kind_of_wait_lets_the_clock_move() {
    testing::virtual_time(|| {
        let start = Instant::now();
        let mutex = Mutex::new(0);
        let lock = RwLock::new(0);
        let semaphore = Semaphore::new(1);
        let group = WaitGroup::new();
        group.add(1);
        let cond = Cond::new();
        let (ctx, _cancel) = Context::background().with_timeout(HOUR);
        scope(|s| {
            let (guard, writer, permit) = (mutex.lock(), lock.write(), semaphore.acquire(1));
            s.go(|| *mutex.lock() += 1);
            s.go(|| assert_eq!(*lock.read(), 0));
            s.go(|| drop(semaphore.acquire(1)));
            s.go(|| group.wait());
            s.go(|| {
                let mut guard = mutex.lock();
                assert!(!cond.wait_timeout(&mut guard, HOUR), "nobody signals");
            });
            s.go(|| assert!(ctx.done().recv().is_err()));
            let task = go_async(time::sleep_async(2 * HOUR));
            task.join().unwrap();
            drop((guard, writer, permit));
            group.done();
        });
        assert_eq!(start.elapsed(), 3 * HOUR);
    });
}

#[test]
fn timers_and_tickers_keep_time() {
    testing::virtual_time(|| {
        let start = Instant::now();
        let ticker = Ticker::new(HOUR);
        for n in 1..=24 {
            assert_eq!(ticker.c().recv().unwrap(), start + n * HOUR);
        }
        ticker.stop();
        let timer = Timer::new(HOUR);
        timer.reset(2 * HOUR);
        assert_eq!(timer.c().recv().unwrap(), start + 26 * HOUR);
        let ran = Arc::new(AtomicU32::new(0));
        let _timer = time::after_func(HOUR, {
            let ran = ran.clone();
            move || {
                ran.fetch_add(1, Ordering::Relaxed);
            }
        });
        time::sleep(HOUR - Duration::from_nanos(1));
        assert_eq!(ran.load(Ordering::Relaxed), 0);
        time::sleep(Duration::from_nanos(2));
        assert_eq!(ran.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn the_same_program_runs_the_same_each_time() {
    let run = || {
        testing::virtual_time(|| {
            let (tx, rx) = chan::unbounded();
            for worker in 0..5 {
                let tx = tx.clone();
                go(move || {
                    let (a, b) = (chan::bounded(1), chan::bounded(1));
                    for step in 0..20 {
                        a.0.send(()).unwrap();
                        b.0.send(()).unwrap();
                        let arm = select! {
                            recv(a.1) -> _ => { b.1.recv().unwrap(); 'a' },
                            recv(b.1) -> _ => { a.1.recv().unwrap(); 'b' },
                        };
                        tx.send((worker, step, arm)).unwrap();
                        time::sleep(Duration::from_millis(worker % 3));
                    }
                });
            }
            drop(tx);
            rx.iter().collect::<Vec<_>>()
        })
    };
    let first = run();
    for _ in 0..5 {
        assert_eq!(run(), first);
    }
}

#[test]
fn a_deadlock_is_reported_with_who_waits_for_what() {
    let text = panic_of(|| {
        testing::virtual_time(|| {
            let (tx, rx) = chan::bounded::<i32>(0);
            let handle = rendez::Builder::new().name("printer").spawn(move || rx.recv()).unwrap();
            handle.join().unwrap().unwrap();
            drop(tx);
        });
    });
    assert!(text.starts_with("all goroutines are asleep - deadlock!"), "{text}");
    assert!(
        text.contains("[join]:\n\tcreated at crates/rendez/tests/context_and_time/virtual_time.rs:"),
        "{text}"
    );
    assert!(
        text.contains(
            "\"printer\" [chan receive]:\n\tcreated at crates/rendez/tests/context_and_time/virtual_time.rs:"
        ),
        "{text}"
    );
}

#[test]
fn a_goroutine_that_waits_for_itself_is_a_deadlock() {
    let text = panic_of(|| {
        testing::virtual_time(|| {
            let mutex = Mutex::new(());
            let _guard = mutex.lock();
            let _again = mutex.lock();
        });
    });
    assert!(text.contains("[sync.Mutex.Lock]"), "{text}");
}

#[test]
fn a_timer_that_is_still_set_is_no_deadlock() {
    testing::virtual_time(|| {
        let (tx, rx) = chan::bounded(0);
        let _timer = time::after_func(HOUR, move || tx.send(()).unwrap());
        rx.recv().unwrap();
    });
}

#[test]
fn what_is_left_is_unwound_when_the_first_returns() {
    struct Told(Arc<AtomicU32>);
    impl Drop for Told {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let told = Arc::new(AtomicU32::new(0));
    testing::virtual_time(|| {
        let (tx, rx) = chan::bounded::<()>(0);
        for _ in 0..10 {
            let (rx, guard) = (rx.clone(), Told(told.clone()));
            go(move || {
                let _guard = guard;
                rx.recv()
            });
        }
        go(|| time::sleep(HOUR));
        rendez::yield_now();
        go(move || {
            let _tx = tx;
            chan::never::<()>().recv()
        });
        rendez::yield_now();
    });
    assert_eq!(told.load(Ordering::Relaxed), 10);
}

#[test]
fn a_thread_that_holds_the_clock_is_waited_for() {
    testing::virtual_time(|| {
        let (tx, rx) = chan::bounded(1);
        let hold = ClockHold::new();
        let thread = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(30));
            tx.send(7).unwrap();
            drop(hold);
        });
        assert_eq!(rx.recv_timeout(Duration::from_millis(1)), Ok(7));
        thread.join().unwrap();
    });
}

#[test]
fn another_runtime_is_waited_for() {
    testing::virtual_time(|| {
        let start = Instant::now();
        let hours = testing::virtual_time(|| {
            time::sleep(HOUR);
            1
        });
        let runtime = rendez::Runtime::builder().workers(1).build().unwrap();
        runtime.run(|| time::sleep(Duration::from_millis(5)));
        assert_eq!((hours, start.elapsed()), (1, Duration::ZERO));
    });
}

#[test]
fn a_panic_comes_out_with_its_text() {
    assert_eq!(panic_of(|| testing::virtual_time(|| panic!("as it was"))), "as it was");
}

#[test]
fn goroutines_that_are_left_are_named() {
    let text = panic_of(|| {
        testing::virtual_time(|| {
            let (tx, rx) = chan::bounded::<i32>(0);
            go(move || {
                // So nobody else can receive, or end it.
                let _rx = rx;
                tx.send(1)
            });
            go(|| time::sleep(HOUR)); // which ends
            testing::check_leaks();
        });
    });
    assert!(text.starts_with("1 goroutine has leaked"), "{text}");
    assert!(
        text.contains("[chan send]:\n\tcreated at crates/rendez/tests/context_and_time/virtual_time.rs:"),
        "{text}"
    );
}

#[test]
fn leaks_are_found_on_real_workers_too() {
    let runtime = rendez::Runtime::builder().workers(2).build().unwrap();
    let (text, slept) = runtime.run(|| {
        let slow = go(|| time::sleep(Duration::from_millis(20)));
        let (tx, rx) = chan::bounded::<i32>(0);
        let leak = go({
            let rx = rx.clone();
            move || rx.recv()
        });
        let pending = go_async(std::future::pending::<()>());
        let text = panic_of(testing::check_leaks);
        drop((tx, rx, leak, pending));
        (text, slow.is_finished())
    });
    assert!(slept, "what ends is waited for");
    assert!(text.starts_with("2 goroutines have leaked"), "{text}");
    assert!(text.contains("[chan receive]") && text.contains("[await]"), "{text}");
}

#[test]
fn who_leaves_nobody_behind_passes() {
    testing::virtual_time(|| {
        go(|| time::sleep(HOUR));
        testing::check_leaks();
    });
    let runtime = rendez::Runtime::builder().workers(2).build().unwrap();
    runtime.run(|| {
        go(|| time::sleep(Duration::from_millis(5)));
        testing::check_leaks();
    });
}
