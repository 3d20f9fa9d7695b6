//! `fork`: of all threads only the one that calls it is in the child, so none of the workers is.
#![cfg(all(unix, not(any(loom, rendez_sanitize))))]

mod child;
mod setup;

use child::{is_child, must_succeed_in_a_child};
use rendez::{Runtime, chan, go, run, yield_now};
use setup::runtime;
use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// Forks; the status with which the child ends, which `in_child` decides, is returned in the parent. It blocks the thread.
fn fork(in_child: impl FnOnce() -> u8) -> i32 {
    assert!(is_child(), "the harness has other threads");
    // SAFETY: what runs in the child uses neither the runtime nor (but for the last test, which forks before there are
    // other threads) anything else that another thread may have had in its hands, or it replaces the process.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let status = in_child();
        // SAFETY: it may be called at any time.
        unsafe { libc::_exit(status.into()) };
    }
    assert!(pid > 0, "{}", std::io::Error::last_os_error());
    let mut status = 0;
    // SAFETY: `status` is there to be written, and the child is ours.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    assert!(libc::WIFEXITED(status), "{status}");
    libc::WEXITSTATUS(status)
}

/// The child becomes `sh`, which exits with 9.
fn exec() -> u8 {
    let arguments = [c"sh".as_ptr(), c"-c".as_ptr(), c"exit 9".as_ptr(), std::ptr::null()];
    // SAFETY: strings that end in a zero, and an array of them that ends in a null.
    unsafe { libc::execv(c"/bin/sh".as_ptr(), arguments.as_ptr()) };
    1
}

/// Two that talk to each other and one that gives way, for as long as the flag is set.
fn busy(runtime: &Runtime, on: &Arc<AtomicBool>) {
    let (tx, rx) = chan::bounded(0);
    runtime.spawn(move || rx.iter().sum::<u32>());
    let theirs = on.clone();
    runtime.spawn(move || {
        while theirs.load(Ordering::SeqCst) {
            tx.send(1).unwrap();
        }
    });
    let theirs = on.clone();
    runtime.spawn(move || {
        while theirs.load(Ordering::SeqCst) {
            yield_now();
        }
    });
}

#[test]
fn a_forked_child_may_exit_or_exec_and_its_parent_goes_on() {
    must_succeed_in_a_child(|| {
        for workers in [1, 2] {
            let (runtime, on) = (runtime(workers), Arc::new(AtomicBool::new(true)));
            busy(&runtime, &on);
            for _ in 0..10 {
                // From a goroutine, on its stack, and from a thread.
                assert_eq!(runtime.run(|| fork(|| 7)), 7);
                assert_eq!(runtime.run(|| fork(exec)), 9);
                assert_eq!(thread::scope(|s| s.spawn(|| fork(|| 8)).join().unwrap()), 8);
                assert_eq!(fork(exec), 9);
                let status = runtime.run(|| Command::new("/bin/sh").args(["-c", "exit 6"]).status().unwrap());
                assert_eq!(status.code(), Some(6));
            }
            on.store(false, Ordering::SeqCst);
            assert_eq!(runtime.run(|| go(|| 3).join().unwrap()), 3);
            runtime.shutdown();
        }
    });
}

#[test]
fn a_child_that_was_forked_before_there_was_a_runtime_may_have_one() {
    must_succeed_in_a_child(|| {
        let status = fork(|| {
            let sum = run(|| (1..=4).map(|i| go(move || i)).map(|handle| handle.join().unwrap()).sum::<u8>());
            sum + go(|| 10).join().unwrap()
        });
        assert_eq!(status, 20);
        assert_eq!(run(|| go(|| 5).join().unwrap()), 5);
    });
}
