//! Settings and limits: what is out of range is an error that names it, and what runs out does not crash. Tests that
//! change the environment or a limit of the process run themselves again as a child process.
#![cfg(not(any(loom, rendez_sanitize)))]

mod address_space;
mod child;
mod processor_time;
mod setup;

#[cfg(target_os = "linux")]
use address_space::{limit_address_space, set_address_space, warmed_up};
use child::{end, is_child, must_succeed_in_a_child, start, test_around};
use processor_time::must_rest;
use rendez::{Builder, Runtime, chan, go, run, set_workers, sync::WaitGroup, workers};
use setup::text;
use std::{
    io,
    panic::catch_unwind,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

// ---- settings ----

#[test]
fn a_number_of_workers_out_of_range_is_an_error_of_build() {
    for n in [0, 1025, usize::MAX] {
        let error = Runtime::builder().workers(n).build().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        let expected =
            format!("RuntimeBuilder::workers: the number of workers must be from 1 to 1024, not {n}");
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn a_number_of_workers_out_of_range_is_a_panic_of_set_workers() {
    for n in [0, 1025, usize::MAX] {
        let said = text(catch_unwind(|| set_workers(n)).unwrap_err());
        assert_eq!(said, format!("set_workers: the number of workers must be from 1 to 1024, not {n}"));
        let said = text(catch_unwind(|| run(|| set_workers(n))).unwrap_err());
        assert!(said.starts_with("set_workers: "), "{said}");
    }
}

#[test]
fn a_stack_size_out_of_range_is_an_error_of_build_and_of_spawn() {
    for size in [0, 1, 16 * 1024 - 1, (1 << 30) + 1, usize::MAX] {
        let error = Runtime::builder().workers(1).stack_size(size).build().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        let told = error.to_string();
        assert!(
            told.starts_with("RuntimeBuilder::stack_size: ") && told.contains(&size.to_string()),
            "{told}"
        );
        let error = Builder::new().stack_size(size).spawn(|| ()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains(&size.to_string()), "{error}");
    }
}

#[test]
fn the_smallest_stack_and_an_odd_size_will_do() {
    for size in [16 * 1024, 100_001, 1 << 20] {
        let runtime = Runtime::builder().workers(1).stack_size(size).build().unwrap();
        let (tx, rx) = chan::bounded(0);
        let handle = runtime.spawn(move || rx.recv().unwrap());
        runtime.run(|| tx.send(size).unwrap());
        assert_eq!(handle.join().unwrap(), size);
        assert_eq!(Builder::new().stack_size(size).spawn(move || size).unwrap().join().unwrap(), size);
    }
}

#[test]
fn a_bad_setting_in_the_environment_is_named_by_run_and_by_build() {
    if is_child() {
        let said = Runtime::builder().build().map(drop).map_err(|error| {
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            error.to_string()
        });
        println!("build=<{}>", said.unwrap_err());
        println!("run=<{}>", text(catch_unwind(|| run(|| ())).unwrap_err()));
        println!("go=<{}>", text(catch_unwind(|| drop(go(|| ()))).unwrap_err()));
        // What is set in the program goes before the environment.
        Runtime::builder().workers(1).stack_size(1 << 20).io_uring(false).build().unwrap().run(|| ());
        return;
    }
    for (name, value, expected) in [
        ("RENDEZ_WORKERS", "abc", "RENDEZ_WORKERS=\"abc\" is not a number of workers"),
        ("RENDEZ_WORKERS", "-1", "RENDEZ_WORKERS=\"-1\" is not a number of workers"),
        ("RENDEZ_WORKERS", "", "RENDEZ_WORKERS=\"\" is not a number of workers"),
        ("RENDEZ_WORKERS", "0", "RENDEZ_WORKERS: the number of workers must be from 1 to 1024, not 0"),
        (
            "RENDEZ_WORKERS",
            "99999",
            "RENDEZ_WORKERS: the number of workers must be from 1 to 1024, not 99999",
        ),
        ("RENDEZ_STACK_SIZE", "1", "RENDEZ_STACK_SIZE: a stack of 1 bytes is too small"),
        ("RENDEZ_IO_URING", "off", "RENDEZ_IO_URING=\"off\" is not 0 or 1"),
        ("RENDEZ_IO_URING", "2", "RENDEZ_IO_URING=2 is neither 0 nor 1"),
        ("RENDEZ_STACK_SIZE", "256k", "RENDEZ_STACK_SIZE=\"256k\" is not a stack size in bytes"),
    ] {
        let ended = end(start(test_around(&|| ()), &[(name, value)]));
        assert!(ended.status.success(), "{name}={value}: {ended:?}");
        let prefix = "rendez: the runtime could not be started: ";
        for told in [
            format!("build=<{expected}"),
            format!("run=<{prefix}{expected}"),
            format!("go=<{prefix}{expected}"),
        ] {
            assert!(ended.out.contains(&told), "{name}={value}: {told} is not in {ended:?}");
        }
    }
}

/// Nothing in the program can say it, so it counts for every runtime.
#[test]
fn a_slowdown_that_is_none_is_told() {
    if is_child() {
        println!("build=<{}>", Runtime::builder().workers(1).build().map(drop).unwrap_err());
        return;
    }
    for (value, expected) in [
        ("0", "RENDEZ_SLOWDOWN=0 is not from 1 to 10000"),
        ("10001", "RENDEZ_SLOWDOWN=10001 is not from 1 to 10000"),
        ("50x", "RENDEZ_SLOWDOWN=\"50x\" is not a number of times"),
    ] {
        let ended = end(start(test_around(&|| ()), &[("RENDEZ_SLOWDOWN", value)]));
        assert!(ended.status.success(), "{value}: {ended:?}");
        assert!(ended.out.contains(&format!("build=<{expected}>")), "{value}: {ended:?}");
    }
}

#[test]
fn good_settings_in_the_environment_are_taken() {
    if is_child() {
        assert_eq!(workers(), 3);
        run(|| assert_eq!(workers(), 3));
        go(|| assert_eq!(workers(), 3)).join().unwrap();
        let runtime = Runtime::builder().workers(2).build().unwrap();
        runtime.run(|| assert_eq!(workers(), 2));
        return;
    }
    let environment = [("RENDEZ_WORKERS", " 3 "), ("RENDEZ_STACK_SIZE", "65536"), ("RENDEZ_SLOWDOWN", "50")];
    let ended = end(start(test_around(&|| ()), &environment));
    assert!(ended.status.success(), "{ended:?}");
}

// ---- what runs out ----

#[test]
#[cfg(target_os = "linux")]
fn without_address_space_build_and_spawn_return_errors() {
    must_succeed_in_a_child(|| {
        let before = limit_address_space(8 << 20);
        let error = Runtime::builder().workers(2).build().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::OutOfMemory);
        assert!(error.to_string().contains("no address space left"), "{error}");
        set_address_space(before);
        // It was no harm.
        warmed_up(2).run(|| {
            let before = limit_address_space(64 << 20);
            let error = Builder::new().stack_size(1 << 30).spawn(|| ()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::OutOfMemory);
            assert!(error.to_string().contains("no stack of 1073741824 bytes to be had"), "{error}");
            set_address_space(before);
            assert_eq!(Builder::new().stack_size(1 << 30).spawn(|| 3).unwrap().join().unwrap(), 3);
        });
    });
}

#[test]
#[cfg(target_os = "linux")]
fn workers_that_cannot_be_started_are_an_error_and_may_be_asked_for_again() {
    must_succeed_in_a_child(|| {
        warmed_up(1).run(|| {
            // Less than a thread's stack.
            let before = limit_address_space(1 << 20);
            let said = text(catch_unwind(|| set_workers(1000)).unwrap_err());
            assert!(said.starts_with("rendez: could not start 1000 workers: "), "{said}");
            set_address_space(before);
            assert_eq!(go(|| 3).join().unwrap(), 3);
            set_workers(300);
            assert_eq!(workers(), 300);
            assert_eq!(go(|| 4).join().unwrap(), 4);
        });
    });
}

/// How many threads this process has.
#[cfg(target_os = "linux")]
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

/// Waits until it has so many. (One that has been joined is still shown for a moment.)
#[cfg(target_os = "linux")]
fn until_threads_are(number: usize) {
    let begin = std::time::Instant::now();
    while threads() != number {
        assert!(begin.elapsed() < std::time::Duration::from_secs(10), "{} and not {number}", threads());
        std::thread::yield_now();
    }
}

/// Limits the processes and threads of this process's user, and returns the old limit.
#[cfg(target_os = "linux")]
fn limit_threads(number: u64) -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is there to be written, and then to be read.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_NPROC, &raw mut limit), 0);
        let before = limit.rlim_cur;
        limit.rlim_cur = number;
        assert_eq!(libc::setrlimit(libc::RLIMIT_NPROC, &raw const limit), 0);
        before
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_runtime_of_which_some_threads_cannot_be_started_is_an_error_and_leaves_none_behind() {
    must_succeed_in_a_child(|| {
        // The limit does not hold for root, so this process becomes some user that most likely has no other processes.
        // SAFETY: it has no preconditions. The child has one thread, this one, which is all that the calls change.
        unsafe {
            if libc::geteuid() == 0 {
                assert_eq!(libc::setresuid(54_321, 54_321, 54_321), 0);
            }
        }
        let before = limit_threads(20);
        let had = threads();
        for _ in 0..5 {
            let error = Runtime::builder().workers(64).build().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "{error}");
            until_threads_are(had);
        }
        let said = text(catch_unwind(|| run(|| set_workers(64))).unwrap_err());
        assert!(said.starts_with("rendez: "), "{said}");
        until_threads_are(had);
        limit_threads(before);
        assert_eq!(run(|| go(|| 3).join().unwrap()), 3);
        Runtime::builder().workers(64).build().unwrap().run(|| assert_eq!(workers(), 64));
    });
}

#[test]
#[cfg(target_os = "linux")]
fn goroutines_beyond_the_stacks_that_can_be_had_wait_for_one() {
    must_succeed_in_a_child(|| {
        for n in [1, 2] {
            let runtime = warmed_up(n);
            runtime.run(|| {
                // Room for less than a hundred stacks, and two thousand goroutines that want to park.
                let before = limit_address_space(96 << 20);
                let parked = Arc::new(AtomicUsize::new(0));
                let group = WaitGroup::new();
                let (tx, rx) = chan::bounded::<()>(0);
                for _ in 0..2000 {
                    let (rx, parked) = (rx.clone(), parked.clone());
                    group.go(move || {
                        parked.fetch_add(1, Ordering::SeqCst);
                        rx.recv().unwrap();
                    });
                }
                for _ in 0..2000 {
                    tx.send(()).unwrap();
                }
                group.wait();
                assert_eq!(parked.load(Ordering::SeqCst), 2000);
                set_address_space(before);
            });
        }
    });
}

#[test]
#[cfg(target_os = "linux")]
fn a_shutdown_with_goroutines_that_wait_for_a_stack_ends_them() {
    must_succeed_in_a_child(|| {
        let runtime = warmed_up(2);
        let drops = Arc::new(());
        let handles = runtime.run(|| {
            let before = limit_address_space(64 << 20);
            let handles: Vec<_> = (0..500)
                .map(|_| {
                    let token = drops.clone();
                    go(move || {
                        let _token = token;
                        rendez::sleep(Duration::MAX);
                    })
                })
                .collect();
            // Until some have parked; the sleep gives way to those that have not.
            rendez::sleep(Duration::from_millis(50));
            set_address_space(before);
            handles
        });
        assert!(handles.iter().all(|handle| !handle.is_finished()));
        runtime.shutdown();
        assert_eq!(Arc::strong_count(&drops), 1);
        assert!(handles.into_iter().all(|handle| handle.join().unwrap_err().is_cancelled()));
    });
}

// ---- nothing burns ----

#[test]
#[cfg(target_os = "linux")]
fn an_idle_runtime_uses_no_processor_time() {
    must_succeed_in_a_child(|| {
        for n in [1, 2, 8] {
            let runtime = Runtime::builder().workers(n).build().unwrap();
            let (tx, rx) = chan::bounded::<()>(0);
            let (started, starts) = chan::unbounded();
            let handles: Vec<_> = (0..10_000)
                .map(|i| {
                    let (rx, started) = (rx.clone(), started.clone());
                    runtime.spawn(move || {
                        started.send(()).unwrap();
                        match i % 100 {
                            0 => rendez::sleep(Duration::from_secs(2)),
                            _ => assert!(rx.recv().is_err()),
                        }
                    })
                })
                .collect();
            (0..10_000).for_each(|_| starts.recv().unwrap());
            // What follows a burst (looking for work, giving memory back) is not idleness.
            thread::sleep(Duration::from_millis(300));
            must_rest(Duration::from_millis(30), || thread::sleep(Duration::from_millis(300)));
            drop(tx);
            handles.into_iter().for_each(|handle| handle.join().unwrap());
        }
    });
}
