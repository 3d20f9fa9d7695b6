//! Goroutines that hold their worker for too long are named, with where they are.
//!
//! There is one hook for the process: each test has a process of its own.
#![cfg(not(loom))]

mod child;

use child::{in_a_child, must_succeed_in_a_child};
use rendez::{
    Builder, Runtime,
    diag::{self, Stuck},
};
use std::{
    hint::black_box,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

const LIMIT: Duration = Duration::from_millis(20);

fn runtime(workers: usize) -> Runtime {
    Runtime::builder().workers(workers).stuck_after(LIMIT).build().unwrap()
}

/// What the hook is told.
fn reports() -> mpsc::Receiver<Stuck> {
    let (tx, rx) = mpsc::channel();
    let tx = Mutex::new(tx);
    diag::on_stuck(move |stuck| _ = tx.lock().unwrap().send(stuck.clone()));
    rx
}

#[inline(never)]
fn spins_until(done: &AtomicBool) -> u64 {
    let mut rounds = 0;
    while !done.load(Ordering::Relaxed) {
        rounds = black_box(spins_deeper(rounds));
    }
    rounds
}

#[inline(never)]
fn spins_deeper(rounds: u64) -> u64 {
    let start = std::time::Instant::now();
    let mut some = [rounds; 20];
    while start.elapsed() < Duration::from_millis(50) {
        for word in &mut some {
            *word = black_box(word.wrapping_mul(31));
        }
    }
    rounds + 1 + black_box(some[3] & 1)
}

/// Has a goroutine compute until it is told of; the report.
fn names_a_spinner(workers: usize, reports: &mpsc::Receiver<Stuck>) -> String {
    let runtime = runtime(workers);
    let done = Arc::new(AtomicBool::new(false));
    let (theirs, before) = (done.clone(), diag::stats());
    let spinner = runtime.spawn(move || {
        Builder::new().name("spinner").spawn(move || spins_until(&theirs)).unwrap().join().unwrap()
    });
    let stuck = reports.recv().unwrap();
    done.store(true, Ordering::Relaxed);
    assert!(spinner.join().unwrap() > 0);
    assert_eq!(stuck.name(), Some("spinner"));
    assert!(stuck.site().file().ends_with("tests/stuck.rs"), "{stuck}");
    assert!(stuck.held() >= LIMIT && stuck.worker().1 < workers, "{stuck}");
    let text = stuck.to_string();
    assert!(text.contains("created at crates/rendez/tests/stuck.rs"), "{text}");
    assert!(diag::stats().since(&before).counts.stuck >= 1);
    // Once for each time that it has the worker; and who waits for it is not stuck.
    assert!(reports.try_iter().all(|again| again.name() == Some("spinner")), "{workers} workers");
    text
}

#[test]
fn a_goroutine_that_computes_without_end_is_named_with_its_calls_and_counted() {
    must_succeed_in_a_child(|| {
        let reports = reports();
        for workers in [1, 2, 8] {
            // A few instructions of the program, or of the standard library, have no tables that are exact: from there no caller is found.
            let whole = (0..5).any(|_| names_a_spinner(workers, &reports).contains("stuck::spins_until"));
            // (Nor do those that AddressSanitizer makes.)
            assert!(whole || cfg!(rendez_sanitize), "none of five was seen with its callers");
        }
    });
}

#[test]
fn one_that_is_in_a_call_that_blocks_is_told_and_goes_on() {
    must_succeed_in_a_child(|| {
        let reports = reports();
        let runtime = runtime(1);
        let (tx, rx) = mpsc::channel();
        let reader = runtime.spawn(move || rx.recv().unwrap());
        let stuck = reports.recv().unwrap();
        assert!(stuck.busy() <= stuck.held(), "{stuck}");
        tx.send(7).unwrap();
        assert_eq!(reader.join().unwrap(), 7);
    });
}

#[test]
fn a_poll_of_an_async_goroutine_that_does_not_come_back_is_told() {
    must_succeed_in_a_child(|| {
        let reports = reports();
        let done = Arc::new(AtomicBool::new(false));
        let theirs = done.clone();
        let runtime = runtime(2);
        let task = runtime.run(|| {
            rendez::go_async(async move {
                rendez::time::sleep(Duration::ZERO);
                spins_until(&theirs)
            })
        });
        let stuck = reports.recv().unwrap();
        done.store(true, Ordering::Relaxed);
        assert!(stuck.backtrace().contains("stuck::spins_until") || cfg!(rendez_sanitize), "{stuck}");
        assert!(task.join().unwrap() > 0);
    });
}

#[test]
fn those_that_wait_and_yield_and_a_hook_that_panics_are_no_reason_for_reports_to_end() {
    must_succeed_in_a_child(|| {
        let (tx, rx) = mpsc::channel();
        let tx = Mutex::new(tx);
        diag::on_stuck(move |stuck| {
            tx.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).send(stuck.id()).unwrap();
            panic!("on purpose");
        });
        let runtime = Runtime::builder().workers(1).stuck_after(Duration::from_secs(1)).build().unwrap();
        // More than a second, by goroutines that each have the worker for a moment.
        runtime.run(|| {
            let start = std::time::Instant::now();
            rendez::scope(|s| {
                for _ in 0..2 {
                    s.go(|| {
                        while start.elapsed() < Duration::from_millis(1500) {
                            rendez::yield_now();
                        }
                    });
                }
            });
        });
        assert!(rx.try_recv().is_err(), "somebody was told of");
        let spin = || thread::sleep(Duration::from_millis(1800));
        for _ in 0..2 {
            let handle = runtime.spawn(spin);
            assert_eq!(rx.recv().unwrap(), handle.id());
            handle.join().unwrap();
        }
    });
}

#[test]
fn goroutines_that_end_all_the_time_may_be_looked_at_at_any_moment() {
    must_succeed_in_a_child(|| {
        // So short a limit that every burst may be told of, also as it ends.
        let (tx, rx) = mpsc::channel();
        let tx = Mutex::new(tx);
        diag::on_stuck(move |stuck| _ = tx.lock().unwrap().send(stuck.site()));
        let runtime = Runtime::builder().workers(2).stuck_after(Duration::from_nanos(1)).build().unwrap();
        runtime.run(|| {
            let start = std::time::Instant::now();
            while start.elapsed() < Duration::from_secs(2) {
                let some: Vec<_> = (0..50)
                    .map(|i| {
                        rendez::go(move || {
                            let since = std::time::Instant::now();
                            while since.elapsed() < Duration::from_micros(60 * i) {}
                            Box::new(i)
                        })
                    })
                    .collect();
                let tasks: Vec<_> = (0..50)
                    .map(|i| {
                        rendez::go_async(async move {
                            let since = std::time::Instant::now();
                            while since.elapsed() < Duration::from_micros(60 * i) {}
                            Box::new(i)
                        })
                    })
                    .collect();
                for handle in some.into_iter().chain(tasks) {
                    handle.join().unwrap();
                }
            }
        });
        let sites: Vec<_> = rx.try_iter().collect();
        assert!(sites.len() > 10, "only {} were told", sites.len());
        // All of them have a site of this file, or of the main function of `run`, which is here too.
        assert!(sites.iter().all(|site| site.file().ends_with("tests/stuck.rs")), "{sites:?}");
    });
}

#[test]
fn the_environment_has_reports_printed_and_no_hook_means_no_thread() {
    let monitors = || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
        let names = tasks.filter_map(|task| std::fs::read_to_string(task.join("comm")).ok());
        names.filter(|name| name.trim() == "rendez-monitor").count()
    };
    let ended = in_a_child(|| {
        rendez::run(|| rendez::go(|| thread::sleep(Duration::from_millis(30))).join().unwrap());
        assert_eq!(monitors(), 0);
        // SAFETY: no other thread reads the environment: the runtime has ended, and the test's other threads wait.
        unsafe { std::env::set_var("RENDEZ_STUCK", "20") };
        rendez::run(|| {
            let sleeper = || thread::sleep(Duration::from_millis(400));
            Builder::new().name("sleeper").spawn(sleeper).unwrap().join().unwrap();
        });
        assert_eq!(monitors(), 1);
        // One is told after the other: when this one is, the first has been.
        let (reports, done) = (reports(), Arc::new(AtomicBool::new(false)));
        let (theirs, runtime) = (done.clone(), runtime(1));
        let spinner = runtime.spawn(move || spins_until(&theirs));
        while reports.recv().unwrap().id() != spinner.id() {}
        done.store(true, Ordering::Relaxed);
        spinner.join().unwrap();
    });
    if let Some(ended) = ended {
        assert!(ended.status.success(), "{ended:?}");
        assert!(ended.err.contains("\"sleeper\" has held worker "), "{ended:?}");
        assert!(ended.err.contains("created at crates/rendez/tests/stuck.rs"), "{ended:?}");
    }
}

#[test]
fn the_monitor_sleeps_when_all_workers_do_and_sees_who_wakes() {
    must_succeed_in_a_child(|| {
        let reports = reports();
        let runtime = runtime(2);
        runtime.run(|| ());
        // `None` until it has begun.
        let switches = || {
            let tasks = std::fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
            let is_it = |task: &std::path::PathBuf| {
                std::fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim() == "rendez-monitor")
            };
            let status = std::fs::read_to_string(tasks.into_iter().find(is_it)?.join("status")).unwrap();
            let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap();
            line.trim().parse::<u64>().ok()
        };
        // It falls asleep some looks after the last worker, which looks around once more after a fifth of a second.
        let quiet = (0..100).any(|_| {
            let before = switches();
            thread::sleep(Duration::from_millis(300));
            before.is_some() && switches() == before
        });
        assert!(quiet, "it goes on looking");
        let done = Arc::new(AtomicBool::new(false));
        let theirs = done.clone();
        let spinner = runtime.spawn(move || spins_until(&theirs));
        assert_eq!(reports.recv().unwrap().id(), spinner.id());
        done.store(true, Ordering::Relaxed);
        spinner.join().unwrap();
    });
}
