//! While a worker is kept by one goroutine, in a call that blocks its thread or by a computation, a spare worker starts others.
//!
//! Each test has a process of its own, whose threads and figures nobody else changes.
#![cfg(not(loom))]

mod child;

use child::{in_a_child, must_succeed_in_a_child};
use rendez::{JoinHandle, Runtime, chan, diag, go, go_async, set_workers, workers};
use std::{
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

fn runtime(workers: usize) -> Runtime {
    Runtime::builder().workers(workers).spares(workers).build().unwrap()
}

/// What keeps a goroutine, and its worker with it, until it is opened.
#[derive(Debug, Default)]
struct Gate {
    open: AtomicBool,
    mutex: Mutex<()>,
    opened: Condvar,
    /// How many are kept.
    inside: AtomicUsize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Blocks,
    Computes,
}

const WAYS: [Way; 2] = [Way::Blocks, Way::Computes];

impl Gate {
    fn pass(&self, way: Way) {
        self.inside.fetch_add(1, Ordering::SeqCst);
        match way {
            Way::Computes => {
                while !self.open.load(Ordering::SeqCst) {
                    std::hint::spin_loop();
                }
            }
            Way::Blocks => {
                let guard = self.mutex.lock().unwrap();
                drop(self.opened.wait_while(guard, |()| !self.open.load(Ordering::SeqCst)).unwrap());
            }
        }
        self.inside.fetch_sub(1, Ordering::SeqCst);
    }

    fn open(&self) {
        self.open.store(true, Ordering::SeqCst);
        drop(self.mutex.lock().unwrap());
        self.opened.notify_all();
    }
}

/// So many goroutines keep their workers, from when this returns until the gate is opened.
fn keep(runtime: &Runtime, n: usize, way: Way) -> (Arc<Gate>, Vec<JoinHandle<()>>) {
    let gate = Arc::new(Gate::default());
    let pass = |_| {
        let gate = gate.clone();
        runtime.spawn(move || gate.pass(way))
    };
    let kept = (0..n).map(pass).collect();
    until(|| gate.inside.load(Ordering::SeqCst) == n);
    (gate, kept)
}

fn join_all<R>(handles: impl IntoIterator<Item = JoinHandle<R>>) -> Vec<R> {
    handles.into_iter().map(|handle| handle.join().unwrap()).collect()
}

/// The end of the process says when it takes too long.
fn until(mut done: impl FnMut() -> bool) {
    while !done() {
        thread::sleep(Duration::from_millis(1));
    }
}

fn spares() -> u64 {
    diag::stats().counts.spares
}

#[test]
fn new_goroutines_run_while_all_workers_are_kept() {
    must_succeed_in_a_child(|| {
        for (workers, way) in [1, 2, 8].into_iter().flat_map(|n| WAYS.map(|way| (n, way))) {
            let (runtime, before) = (runtime(workers), spares());
            let (gate, kept) = keep(&runtime, workers, way);
            let new = join_all((0..20).map(|i| {
                runtime.spawn(move || {
                    let child = go(move || i);
                    let polled = go_async(async move { i });
                    (rendez::workers(), child.join().unwrap() + polled.join().unwrap())
                })
            }));
            assert!(gate.inside.load(Ordering::SeqCst) == workers && spares() > before, "{workers} {way:?}");
            assert_eq!(new, (0..20).map(|i| (workers, 2 * i)).collect::<Vec<_>>(), "{way:?}");
            gate.open();
            join_all(kept);
        }
    });
}

#[test]
fn who_blocks_its_thread_for_a_child_that_has_not_started_sees_it_run() {
    must_succeed_in_a_child(|| {
        for workers in [1, 2, 8] {
            let (tx, rx) = mpsc::channel();
            let parent = runtime(workers).run(move || {
                go(move || tx.send(7).unwrap());
                rx.recv().unwrap()
            });
            assert_eq!(parent, 7);
        }
    });
}

/// How many spares take new work now.
fn active_spares() -> u64 {
    diag::stats().runtimes.iter().map(|runtime| runtime.spares).sum()
}

/// The number of the process's threads.
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

#[test]
fn after_many_rounds_there_are_no_more_threads_than_workers_and_spares_and_they_sleep() {
    must_succeed_in_a_child(|| {
        for workers in [1, 2, 8] {
            let runtime = runtime(workers);
            runtime.run(|| ());
            let (before, called) = (threads(), spares());
            for round in 0..10 {
                let (gate, kept) = keep(&runtime, workers, WAYS[round % 2]);
                join_all((0..8).map(|_| runtime.spawn(rendez::yield_now)));
                gate.open();
                join_all(kept);
                until(|| active_spares() == 0);
                assert!(threads() <= before + workers, "{workers} workers");
            }
            assert!(spares() >= called + 10, "{workers} workers");
            // Also the monitor does, after some looks: from then on nobody of them wakes.
            until(|| {
                let before = switches_of_others();
                thread::sleep(Duration::from_millis(100));
                switches_of_others() == before
            });
            drop(runtime);
            until(|| threads() == before - workers);
        }
    });
}

/// How often the process's threads, but for the two of the test, have given up a processor.
fn switches_of_others() -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
    let rendez = tasks.filter(|task| {
        std::fs::read_to_string(task.join("comm")).is_ok_and(|name| name.starts_with("rendez-"))
    });
    let switches = rendez.filter_map(|task| {
        let status = std::fs::read_to_string(task.join("status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        line.trim().parse::<u64>().ok()
    });
    switches.sum()
}

#[test]
fn what_a_spare_has_started_is_woken_on_its_thread_after_the_spare_has_retired() {
    must_succeed_in_a_child(|| {
        for (workers, way) in [1, 2, 8].into_iter().flat_map(|n| WAYS.map(|way| (n, way))) {
            let runtime = runtime(workers);
            let (started, has_started) = mpsc::channel();
            let (tx, rx) = chan::bounded::<u32>(0);
            let (gate, kept) = keep(&runtime, workers, way);
            let parked = runtime.spawn(move || {
                let home = thread::current().id();
                started.send(thread::current().name().map(String::from)).unwrap();
                let received = rx.iter().map(|n| (n, thread::current().id() == home)).collect::<Vec<_>>();
                rendez::time::sleep(Duration::from_millis(2));
                (received, thread::current().id() == home)
            });
            let name = has_started.recv().unwrap().unwrap();
            assert!(name["rendez-".len()..].parse::<usize>().unwrap() >= workers, "{name}");
            gate.open();
            join_all(kept);
            until(|| active_spares() == 0);
            // Unless another one has been called, for somebody else: the machine may keep a worker from coming back.
            let is_retired = || {
                let before = spares();
                let names = (0..16).map(|_| runtime.spawn(|| thread::current().name().map(String::from)));
                !join_all(names).contains(&Some(name.clone())) || spares() > before || active_spares() > 0
            };
            for n in 0..5 {
                tx.send(n).unwrap();
                assert!(is_retired());
            }
            drop(tx);
            assert_eq!(
                parked.join().unwrap(),
                ((0..5).map(|n| (n, true)).collect(), true),
                "{workers} {way:?}"
            );
        }
    });
}

#[test]
fn children_of_a_goroutine_on_a_retired_spare_start_on_workers() {
    must_succeed_in_a_child(|| {
        let runtime = runtime(1);
        let (tx, rx) = chan::bounded::<()>(0);
        let (gate, kept) = keep(&runtime, 1, Way::Blocks);
        let (started, has_started) = mpsc::channel();
        let parent = runtime.spawn(move || {
            started.send(()).unwrap();
            rx.recv().unwrap();
            join_all((0..50).map(|_| {
                go(|| {
                    rendez::time::sleep(Duration::from_millis(1));
                    thread::current().name() == Some("rendez-0")
                })
            }))
        });
        has_started.recv().unwrap();
        gate.open();
        join_all(kept);
        until(|| active_spares() == 0);
        let before = spares();
        tx.send(()).unwrap();
        let on_the_worker = parent.join().unwrap();
        // It finds out that it has retired when it next looks around, some dozens of switches later at most.
        let stayed = on_the_worker.iter().filter(|&&is_there| !is_there).count();
        // Or another spare was called: the machine may keep the worker from coming back.
        assert!(stayed < 32 || spares() > before, "{on_the_worker:?}");
    });
}

#[test]
fn overdue_time_limits_of_a_kept_worker_are_seen_to_by_a_spare() {
    must_succeed_in_a_child(|| {
        for workers in [1, 2, 8] {
            let runtime = runtime(workers);
            // Each worker has alarms set, and is then kept.
            let sleepers: Vec<_> = (0..4 * workers)
                .map(|_| {
                    runtime.run(|| {
                        go_async(async { rendez::time::sleep_async(Duration::from_millis(20)).await })
                    })
                })
                .collect();
            let (gate, kept) = keep(&runtime, workers, Way::Blocks);
            join_all(sleepers);
            assert_eq!(gate.inside.load(Ordering::SeqCst), workers);
            gate.open();
            join_all(kept);
        }
    });
}

#[test]
fn set_workers_and_shutdown_come_between_spares_and_nothing_is_lost() {
    must_succeed_in_a_child(|| {
        for round in 0..40 {
            let runtime = runtime(1 + round % 2);
            let (gate, kept) = keep(&runtime, 1 + round % 2, WAYS[round / 2 % 2]);
            let new = (0..50).map(|i| {
                let body = move || {
                    if i % 10 == 0 {
                        set_workers(1 + (i + round) % 4);
                    }
                    rendez::time::sleep(Duration::from_micros(100));
                    i
                };
                runtime.spawn(body)
            });
            let new: Vec<_> = new.collect();
            if round % 4 == 0 {
                // While the spares are at it.
                gate.open();
                drop(runtime);
                new.into_iter().for_each(|handle| _ = handle.join());
                continue;
            }
            assert_eq!(join_all(new), (0..50).collect::<Vec<_>>());
            let wanted = runtime.run(workers_after(3));
            assert_eq!(wanted, 3);
            gate.open();
            join_all(kept);
        }
    });
}

/// Says how many workers there are once it has set their number.
fn workers_after(n: usize) -> impl FnOnce() -> usize + Send {
    move || {
        set_workers(n);
        workers()
    }
}

#[test]
fn the_limit_of_spares_is_kept_and_zero_means_none() {
    must_succeed_in_a_child(|| {
        for most in [0, 1, 3] {
            let runtime = Runtime::builder().workers(1).spares(most).build().unwrap();
            let (gate, kept) = keep(&runtime, 1, Way::Blocks);
            let (theirs, before) = (gate.clone(), spares());
            let more: Vec<_> = (0..6)
                .map(|_| {
                    let gate = theirs.clone();
                    runtime.spawn(move || gate.pass(Way::Blocks))
                })
                .collect();
            until(|| gate.inside.load(Ordering::SeqCst) == 1 + most);
            // Several looks of the monitor later that is still so.
            thread::sleep(Duration::from_millis(100));
            assert_eq!((gate.inside.load(Ordering::SeqCst), spares() - before), (1 + most, most as u64));
            gate.open();
            join_all(kept.into_iter().chain(more));
        }
    });
}

#[test]
fn the_environment_says_how_many_spares_there_may_be() {
    if let Some(ended) = in_a_child(|| {
        // SAFETY: no other thread reads the environment: no runtime has been started, and the test's other threads wait.
        unsafe { std::env::set_var("RENDEZ_SPARES", "none") };
        let error = Runtime::builder().build().unwrap_err().to_string();
        assert!(error.contains("RENDEZ_SPARES=\"none\" is not a number of spare workers"), "{error}");
        // SAFETY: as above.
        unsafe { std::env::remove_var("RENDEZ_SPARES") };
        assert!(!starts_beside_a_blocked_worker());
        let names = std::fs::read_dir("/proc/self/task").unwrap();
        let is_monitor = |task: std::path::PathBuf| {
            std::fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim() == "rendez-monitor")
        };
        assert!(!names.map(|task| task.unwrap().path()).any(is_monitor));
        // SAFETY: as above; the runtime of before has ended.
        unsafe { std::env::set_var("RENDEZ_SPARES", "1") };
        assert!(starts_beside_a_blocked_worker());
    }) {
        assert!(ended.status.success(), "{ended:?}");
    }
}

/// Whether a goroutine starts while the only worker of a runtime, whose spares nobody sets, is blocked.
fn starts_beside_a_blocked_worker() -> bool {
    let has_run = Arc::new(AtomicBool::new(false));
    let theirs = has_run.clone();
    let runtime = Runtime::builder().workers(1).build().unwrap();
    let (has, child) = runtime.run(|| {
        let child = go(move || theirs.store(true, Ordering::SeqCst));
        let patience = if std::env::var_os("RENDEZ_SPARES").is_some() { 60_000 } else { 100 };
        let started = std::time::Instant::now();
        while !has_run.load(Ordering::SeqCst) && started.elapsed() < Duration::from_millis(patience) {
            thread::sleep(Duration::from_millis(10));
        }
        (has_run.load(Ordering::SeqCst), child)
    });
    child.join().unwrap();
    has
}
