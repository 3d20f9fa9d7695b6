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
    assert!(stuck.site().unwrap().file().ends_with("tests/stuck.rs"), "{stuck}");
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
            let whole = (0..5).any(|_| names_a_spinner(workers, &reports).contains("spins_until"));
            // (Nor do those that AddressSanitizer makes.)
            assert!(whole || cfg!(rendez_sanitize), "none of five was seen with its callers");
        }
    });
}

#[test]
fn one_is_told_of_beside_a_runtime_that_has_ended_and_is_kept() {
    must_succeed_in_a_child(|| {
        let reports = reports();
        let ended = runtime(1);
        ended.shutdown();
        // Its worker takes up what the other one has left.
        let runtime = runtime(1);
        let (tx, rx) = mpsc::channel();
        let reader = runtime.spawn(move || rx.recv().unwrap());
        assert!(reports.recv_timeout(Duration::from_secs(60)).is_ok(), "it is told of");
        tx.send(7).unwrap();
        assert_eq!(reader.join().unwrap(), 7);
        drop(ended);
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
        assert!(stuck.backtrace().contains("spins_until") || cfg!(rendez_sanitize), "{stuck}");
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
        diag::on_stuck(move |stuck| _ = tx.lock().unwrap().send(stuck.site().unwrap()));
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
fn the_environment_has_reports_printed_and_neither_hook_nor_spares_means_no_thread() {
    let monitors = || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
        let names = tasks.filter_map(|task| std::fs::read_to_string(task.join("comm")).ok());
        names.filter(|name| name.trim() == "rendez-monitor").count()
    };
    let ended = in_a_child(|| {
        let alone = Runtime::builder().workers(2).spares(0).build().unwrap();
        alone.run(|| rendez::go(|| thread::sleep(Duration::from_millis(30))).join().unwrap());
        assert_eq!(monitors(), 0);
        drop(alone);
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
fn a_process_that_ends_waits_for_a_report_that_is_being_told() {
    let ended = in_a_child(|| {
        let (begun, begins) = mpsc::sync_channel(1);
        diag::on_stuck(move |stuck| {
            let _ = begun.try_send(());
            // As long as naming the first calls may take.
            thread::sleep(Duration::from_millis(300));
            eprintln!("told of {:?}", stuck.name());
        });
        runtime(1).run(move || {
            let waits = move || begins.recv().unwrap();
            Builder::new().name("waits").spawn(waits).unwrap().join().unwrap();
        });
    });
    if let Some(ended) = ended {
        assert!(ended.status.success(), "{ended:?}");
        assert!(ended.err.contains("told of Some(\"waits\")"), "{ended:?}");
    }
}

/// It has no thread that tells.
#[test]
#[cfg_attr(
    rendez_sanitize,
    ignore = "LeakSanitizer looks at the child too, where the parent's threads and what they hold are not"
)]
fn a_forked_child_that_ends_does_not_wait_for_what_its_parent_tells() {
    must_succeed_in_a_child(|| {
        let (begun, begins) = mpsc::sync_channel(1);
        let (end, ends) = mpsc::channel::<()>();
        let ends = Mutex::new(ends);
        diag::on_stuck(move |_| {
            let _ = begun.try_send(());
            // Until the other end is dropped.
            let _ = ends.lock().unwrap().recv();
        });
        let runtime = runtime(1);
        runtime.run(move || begins.recv().unwrap());
        let fork_and_exit = |_| {
            let start = std::time::Instant::now();
            // SAFETY: the child does nothing but exit.
            let pid = unsafe { libc::fork() };
            if pid == 0 {
                // SAFETY: what it calls are the library's own, which know of it.
                unsafe { libc::exit(7) };
            }
            let mut status = 0;
            // SAFETY: `status` is there to be written, and the child is ours.
            assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
            assert_eq!(libc::WEXITSTATUS(status), 7);
            start.elapsed()
        };
        // Whatever stops this process, not each time.
        let fastest = (0..3).map(fork_and_exit).min().unwrap();
        assert!(fastest < Duration::from_millis(900), "{fastest:?}");
        drop(end);
    });
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

/// Has a goroutine hold the worker until so many have been counted since `before`; its number.
fn spins_until_counted(runtime: &Runtime, before: &diag::Stats, n: u64) -> u64 {
    let before = before.clone();
    let spinner = runtime.spawn(move || {
        while diag::stats().since(&before).counts.stuck < n {
            thread::yield_now();
        }
    });
    let id = spinner.id();
    spinner.join().unwrap();
    id
}

#[test]
fn a_hook_that_blocks_keeps_nobody_from_looking_and_is_told_of_the_others_afterwards() {
    must_succeed_in_a_child(|| {
        let (entered, has_entered) = mpsc::channel();
        let (leave, may_leave) = mpsc::channel::<()>();
        let both = Mutex::new((entered, may_leave));
        diag::on_stuck(move |stuck| {
            let (entered, may_leave) = &*both.lock().unwrap();
            entered.send(stuck.id()).unwrap();
            may_leave.recv().unwrap();
        });
        let (runtime, before) = (runtime(1), diag::stats());
        let ids: Vec<u64> = (1..=3).map(|n| spins_until_counted(&runtime, &before, n)).collect();
        for id in ids {
            assert_eq!(has_entered.recv(), Ok(id));
            leave.send(()).unwrap();
        }
    });
}

#[test]
fn a_hook_that_is_replaced_while_it_runs_and_panics_as_it_goes_is_no_reason_for_reports_to_end() {
    struct PanicsAsItGoes(Arc<AtomicBool>);
    impl Drop for PanicsAsItGoes {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
            panic!("on purpose");
        }
    }
    must_succeed_in_a_child(|| {
        let (tx, rx) = mpsc::channel();
        let (tx, has_gone) = (Mutex::new(tx), Arc::new(AtomicBool::new(false)));
        let going = PanicsAsItGoes(has_gone.clone());
        diag::on_stuck(move |_| {
            let (tx, _) = (tx.lock().unwrap().clone(), &going);
            let tx = Mutex::new(tx);
            diag::on_stuck(move |stuck| tx.lock().unwrap().send(stuck.id()).unwrap());
        });
        let (runtime, before) = (runtime(1), diag::stats());
        spins_until_counted(&runtime, &before, 1);
        while !has_gone.load(Ordering::SeqCst) {
            thread::yield_now();
        }
        let id = spins_until_counted(&runtime, &before, 2);
        assert_eq!(rx.recv(), Ok(id));
    });
}

mod handlers {
    //! Handlers of the program's for the signal by which goroutines are looked at.
    use std::{cell::UnsafeCell, mem, ptr};

    struct Before(UnsafeCell<Option<libc::sigaction>>);
    // SAFETY: written before the handler is set that reads it.
    unsafe impl Sync for Before {}
    static BEFORE: Before = Before(UnsafeCell::new(None));

    extern "C" fn ignore(_: libc::c_int) {}

    extern "C" fn pass_on(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
        // SAFETY: it is the library's, which takes these.
        unsafe {
            let before = (*BEFORE.0.get()).expect("set before");
            let before: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) =
                mem::transmute(before.sa_sigaction);
            before(signal, info, context);
        }
    }

    fn set(handler: usize) -> libc::sigaction {
        // SAFETY: places for what is set and was set, and a handler of the kind that the flags say (the first argument is all that `ignore` takes).
        unsafe {
            let (mut action, mut before): (libc::sigaction, libc::sigaction) = (mem::zeroed(), mem::zeroed());
            (action.sa_sigaction, action.sa_flags) = (handler, libc::SA_SIGINFO | libc::SA_RESTART);
            assert_eq!(libc::sigaction(libc::SIGURG, &action, &mut before), 0);
            before
        }
    }

    pub(super) fn set_one_that_ignores() {
        let before = set(ignore as *const () as usize);
        // SAFETY: the handler that reads it is not there yet.
        unsafe { *BEFORE.0.get() = Some(before) };
    }

    pub(super) fn set_one_that_passes_on() {
        set(pass_on as *const () as usize);
    }

    pub(super) fn set_none() {
        // SAFETY: no memory is passed but what is there.
        unsafe {
            let mut action: libc::sigaction = mem::zeroed();
            action.sa_sigaction = libc::SIG_IGN;
            assert_eq!(libc::sigaction(libc::SIGURG, &action, ptr::null_mut()), 0);
        }
    }
}

#[test]
fn a_handler_of_the_programs_that_keeps_the_signal_for_itself_is_told_of_in_place_of_a_name() {
    must_succeed_in_a_child(|| {
        let (reports, runtime, before) = (reports(), runtime(1), diag::stats());
        handlers::set_one_that_ignores();
        spins_until_counted(&runtime, &before, 1);
        let stuck = reports.recv().unwrap();
        assert_eq!((stuck.id(), stuck.name(), stuck.site(), &*stuck.backtrace()), (0, None, None, ""));
        assert!(stuck.held() >= LIMIT && stuck.worker().1 == 0, "{stuck}");
        assert!(stuck.to_string().contains("by SIGURG, for which the program has set a handler"), "{stuck}");
        // One that passes it on is no hindrance.
        handlers::set_one_that_passes_on();
        let id = spins_until_counted(&runtime, &before, 2);
        assert_eq!(reports.recv().unwrap().id(), id);
        handlers::set_none();
        spins_until_counted(&runtime, &before, 3);
        assert_eq!(reports.recv().unwrap().id(), 0);
    });
}
