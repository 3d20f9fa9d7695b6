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

/// What the line of a task's `status` says that begins with `name`, in numbers.
fn of_monitor(name: &str) -> u64 {
    let is_monitor = |task: &std::path::PathBuf| {
        std::fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim() == "rendez-monitor")
    };
    let monitor = loop {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
        if let Some(monitor) = tasks.into_iter().find(is_monitor) {
            break monitor;
        }
        // It has been started, and is about to give itself its name.
        thread::yield_now();
    };
    let status = std::fs::read_to_string(monitor.join("status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().parse().unwrap()
}

/// Waits until the monitor rests: where it looks, it wakes every 10 ms.
fn until_the_monitor_rests() {
    until(|| {
        let before = of_monitor("voluntary_ctxt_switches:");
        thread::sleep(Duration::from_millis(100));
        of_monitor("voluntary_ctxt_switches:") == before
    });
}

#[test]
fn while_nothing_goes_on_but_a_call_that_blocks_the_monitor_looks_a_few_times_a_second() {
    must_succeed_in_a_child(|| {
        for workers in [1, 2, 8] {
            let runtime = runtime(workers);
            let (gate, kept) = keep(&runtime, workers.div_ceil(2), Way::Blocks);
            // It begins to rest soon, and then more and more.
            until(|| {
                let before = of_monitor("voluntary_ctxt_switches:");
                thread::sleep(Duration::from_secs(1));
                of_monitor("voluntary_ctxt_switches:") - before <= 6
            });
            gate.open();
            join_all(kept);
        }
    });
}

#[test]
fn who_offers_work_while_the_monitor_rests_is_served_as_soon_as_if_it_did_not() {
    /// What is started on whose behalf, while the only worker is kept: from the midst of the burst that keeps it, or from
    /// outside.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Offer {
        Outside,
        Spawn,
        Spread,
        Wake,
        Alarm,
    }
    must_succeed_in_a_child(|| {
        for offer in [Offer::Outside, Offer::Spawn, Offer::Spread, Offer::Wake, Offer::Alarm] {
            let mut took = Vec::new();
            for _ in 0..3 {
                let runtime = runtime(1);
                let (tx, rx) = mpsc::channel::<std::time::Instant>();
                let (told, is_told) = mpsc::channel::<()>();
                let (wake, woken) = chan::bounded::<()>(1);
                let (answer, answers) = mpsc::channel::<()>();
                let (inner, waits) = mpsc::channel::<()>();
                let polled = runtime.run({
                    let answer = answer.clone();
                    move || {
                        go_async(async move {
                            inner.send(()).unwrap();
                            _ = woken.recv_async().await;
                            _ = answer.send(());
                        })
                    }
                });
                waits.recv().unwrap();
                let keeper = runtime.spawn(move || {
                    // Kept, until it is told to go on; then it is kept again, in the same burst.
                    is_told.recv().unwrap();
                    tx.send(std::time::Instant::now()).unwrap();
                    match offer {
                        Offer::Outside => {}
                        Offer::Spawn => drop(go(move || answer.send(()).unwrap())),
                        Offer::Spread => {
                            let spread = rendez::Builder::new().placement(rendez::Placement::Spread);
                            drop(spread.spawn(move || answer.send(()).unwrap()).unwrap());
                        }
                        Offer::Wake => wake.try_send(()).unwrap(),
                        Offer::Alarm => {
                            // Its first poll sets the alarm; what comes of that is for who fires it.
                            let sleep = rendez::time::sleep_async(Duration::from_millis(1));
                            let mut sleep = Box::pin(sleep);
                            let waker = std::task::Waker::from(Arc::new(Answer(answer)));
                            let polled = sleep.as_mut().poll(&mut std::task::Context::from_waker(&waker));
                            assert!(polled.is_pending());
                            _ = is_told.recv();
                            return;
                        }
                    }
                    _ = is_told.recv();
                });
                until_the_monitor_rests();
                let mut began = std::time::Instant::now();
                if offer == Offer::Outside {
                    let (outside, has_run) = mpsc::channel();
                    runtime.spawn(move || outside.send(()).unwrap());
                    has_run.recv().unwrap();
                    told.send(()).unwrap();
                } else {
                    told.send(()).unwrap();
                    began = rx.recv().unwrap();
                    answers.recv().unwrap();
                }
                took.push(began.elapsed());
                drop(told);
                keeper.join().unwrap();
                drop(runtime);
                _ = polled.join();
            }
            took.sort();
            // If nobody told the monitor it would be the half of its rest, 160 ms, and more.
            assert!(took[1] < Duration::from_millis(100), "{offer:?}: {took:?}");
        }
    });
}

struct Answer(mpsc::Sender<()>);

impl std::task::Wake for Answer {
    fn wake(self: Arc<Self>) {
        _ = self.0.send(());
    }
}

#[test]
fn a_goroutine_that_starts_others_for_ever_does_not_keep_them_from_running() {
    must_succeed_in_a_child(|| {
        for workers in [1, 2] {
            let limit = Duration::from_millis(2);
            let runtime = Runtime::builder().workers(workers).spares(1).stuck_after(limit).build().unwrap();
            let parents = (0..workers).map(|_| {
                runtime.spawn(move || {
                    let has_run = Arc::new(AtomicBool::new(false));
                    while !has_run.load(Ordering::SeqCst) {
                        let theirs = has_run.clone();
                        go(move || theirs.store(true, Ordering::SeqCst));
                        let started = std::time::Instant::now();
                        while started.elapsed() < limit / 4 && !has_run.load(Ordering::SeqCst) {
                            std::hint::spin_loop();
                        }
                    }
                })
            });
            join_all(parents.collect::<Vec<_>>());
        }
    });
}

/// Has the calling thread run only when nobody else wants its processor, or as all do.
fn set_idle(idle: bool) {
    let policy = if idle { libc::SCHED_IDLE } else { libc::SCHED_OTHER };
    // SAFETY: it is given a valid place.
    let error = unsafe { libc::sched_setscheduler(0, policy, &libc::sched_param { sched_priority: 0 }) };
    assert_eq!(error, 0);
}

/// Has the calling thread run on this processor only.
fn set_processor(processor: usize) {
    // SAFETY: a set of this frame's.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(processor, &mut set);
        assert_eq!(libc::sched_setaffinity(0, size_of_val(&set), &set), 0);
    }
}

/// On which processors the calling thread may run.
fn processors() -> Vec<usize> {
    // SAFETY: a set of this frame's.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        assert_eq!(libc::sched_getaffinity(0, size_of_val(&set), &mut set), 0);
        (0..libc::CPU_SETSIZE as usize).filter(|&processor| libc::CPU_ISSET(processor, &set)).collect()
    }
}

#[test]
fn a_worker_that_the_system_does_not_let_run_is_not_stuck() {
    must_succeed_in_a_child(|| {
        let (runtime, processor) = (runtime(1), processors()[0]);
        let (has_begun, begun) = mpsc::channel();
        let gate = Arc::new(Gate::default());
        let theirs = gate.clone();
        let hog = Arc::new(AtomicBool::new(true));
        let hogs = hog.clone();
        let kept = runtime.spawn(move || {
            set_processor(processor);
            set_idle(true);
            has_begun.send(()).unwrap();
            theirs.pass(Way::Computes);
            set_idle(false);
        });
        begun.recv().unwrap();
        let hog_thread = thread::spawn(move || {
            set_processor(processor);
            while hogs.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        let before = spares();
        let new = runtime.spawn(|| ());
        // Some limits later it has used the processor for a fraction of one; also in a process that is nice, whose hog has but five times its share.
        thread::sleep(Duration::from_millis(60));
        assert_eq!(spares(), before);
        hog.store(false, Ordering::Relaxed);
        hog_thread.join().unwrap();
        // Now it has it, and is.
        new.join().unwrap();
        assert!(spares() > before);
        gate.open();
        kept.join().unwrap();
    });
}

#[test]
fn a_spare_runs_on_the_processors_of_the_worker_beside_which_it_works() {
    must_succeed_in_a_child(|| {
        // The monitor, which starts spares, is started where all are allowed.
        let first = runtime(1);
        first.run(|| ());
        for processor in processors() {
            let pinned = thread::spawn(move || {
                set_processor(processor);
                let runtime = runtime(1);
                let (gate, kept) = keep(&runtime, 1, Way::Blocks);
                let its = runtime.run(processors);
                gate.open();
                join_all(kept);
                its
            });
            assert_eq!(pinned.join().unwrap(), [processor]);
        }
    });
}

#[test]
fn workers_that_are_not_wanted_any_more_start_what_they_spawn_where_spares_are_allowed_too() {
    must_succeed_in_a_child(|| {
        let runtime = Runtime::builder().workers(2).spares(1).build().unwrap();
        let on_second = || thread::current().name() == Some("rendez-1");
        let (tx, rx) = chan::bounded::<()>(0);
        let (told, tells) = mpsc::channel();
        // Many spread, so that the second worker has one of them.
        let parents: Vec<_> = (0..20)
            .map(|_| {
                let (told, rx) = (told.clone(), rx.clone());
                let spread = rendez::Builder::new().placement(rendez::Placement::Spread);
                let body = move || {
                    told.send(()).unwrap();
                    // One of these comes at a time.
                    while rx.recv().is_ok() {
                        if on_second() {
                            // So that it looks around, and finds itself surplus.
                            (0..100).for_each(|_| rendez::yield_now());
                            return Some(join_all((0..50).map(|_| go(on_second))));
                        }
                        rendez::yield_now();
                    }
                    None
                };
                runtime.run(move || spread.spawn(body).unwrap())
            })
            .collect();
        (0..20).for_each(|_| tells.recv().unwrap());
        runtime.run(|| set_workers(1));
        // The first worker is at work, and so does not take what the other has, but is not kept.
        let done = Arc::new(AtomicBool::new(false));
        let theirs = done.clone();
        let busy = runtime.spawn(move || {
            while !theirs.load(Ordering::Relaxed) {
                rendez::yield_now();
            }
        });
        while parents.iter().all(|parent| !parent.is_finished()) {
            _ = tx.send_timeout((), Duration::from_millis(1));
        }
        drop(tx);
        let there: Vec<bool> = join_all(parents).into_iter().flatten().flatten().collect();
        done.store(true, Ordering::Relaxed);
        busy.join().unwrap();
        // What it has spawned and not started when it looks around, every some dozens of switches, is handed on.
        let stayed = there.iter().filter(|&&there| there).count();
        // (After each long burst it looks around at once, and under a sanitizer nearly all are long.)
        assert!(!there.is_empty() && (stayed > there.len() / 4 || cfg!(rendez_sanitize)), "{there:?}");
    });
}
