//! What can only be seen from outside a process: what is printed, the status, and what a goroutine leaves behind that
//! can't be ended. Each test runs itself again as a child process.
#![cfg(not(any(loom, rendez_sanitize)))]

use rendez::{Builder, PanicPolicy, Runtime, chan, go, go_async, run, scope};
use std::{
    env,
    future::{Future, poll_fn},
    io::Read,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Poll, Waker},
    thread,
    time::{Duration, Instant},
};

const CHILD: &str = "RENDEZ_TEST_CHILD";

fn is_child() -> bool {
    env::var_os(CHILD).is_some()
}

fn start(test: &str) -> Child {
    Command::new(env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .env("RUST_BACKTRACE", "0")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The status and the error output of a child, which is killed if it takes too long.
fn end(mut child: Child) -> (Option<i32>, String) {
    let mut pipe = child.stderr.take();
    let reader = thread::spawn(move || {
        let mut text = String::new();
        if let Some(pipe) = &mut pipe {
            pipe.read_to_string(&mut text).unwrap();
        }
        text
    });
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if start.elapsed() > Duration::from_secs(30) {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("it hangs: {}", reader.join().unwrap());
        }
        thread::sleep(Duration::from_millis(5));
    };
    (status.code(), reader.join().unwrap())
}

/// Runs `body` in a child process, and gives back its status and error output here.
fn in_a_child(test: &str, body: impl FnOnce()) -> Option<(Option<i32>, String)> {
    if is_child() {
        body();
        return None;
    }
    Some(end(start(test)))
}

struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

// ---- panics that nobody joins ----

#[test]
fn a_detached_panic_is_printed_with_number_name_and_spawn_site_and_the_process_goes_on() {
    let body = || {
        run(|| {
            let (tx, rx) = chan::bounded::<()>(0);
            let named = Builder::new().name("printer").spawn(move || {
                let _ = rx.recv();
                panic!("out of paper");
            });
            let named = named.unwrap();
            eprintln!("number={}", named.id());
            drop(named);
            drop(tx);
            let unnamed = go(|| panic!("no name"));
            while !unnamed.is_finished() {
                rendez::sleep(Duration::from_millis(1));
            }
            drop(unnamed);
            let future = go_async(async { panic!("a future's") });
            while !future.is_finished() {
                rendez::sleep(Duration::from_millis(1));
            }
            drop(future);
            assert!(go(|| panic!("joined")).join().is_err());
        });
        eprintln!("went on");
    };
    let test = "a_detached_panic_is_printed_with_number_name_and_spawn_site_and_the_process_goes_on";
    let Some((status, text)) = in_a_child(test, body) else { return };
    assert_eq!(status, Some(0), "{text}");
    assert!(text.contains("out of paper") && text.contains("no name") && text.contains("joined"), "{text}");
    let number = text.split("number=").nth(1).unwrap().lines().next().unwrap();
    let told: Vec<&str> = text.lines().filter(|line| line.starts_with("rendez: ")).collect();
    assert_eq!(told.len(), 3, "{text}");
    let printer = format!("rendez: goroutine {number} \"printer\" panicked; created at ");
    assert!(
        told.iter().any(|line| line.starts_with(&printer) && line.contains("shutdown_process.rs:")),
        "{text}"
    );
    assert!(text.contains("went on"), "{text}");
}

#[test]
fn with_the_policy_exit_a_detached_panic_ends_the_process_with_status_2() {
    let body = || {
        let runtime = Runtime::builder().workers(2).panic_policy(PanicPolicy::Exit).build().unwrap();
        runtime.run(|| {
            assert!(go(|| panic!("joined")).join().is_err());
            eprintln!("a joined panic is no reason");
            drop(go(|| panic!("detached")));
            rendez::sleep(Duration::MAX);
        });
    };
    let test = "with_the_policy_exit_a_detached_panic_ends_the_process_with_status_2";
    let Some((status, text)) = in_a_child(test, body) else { return };
    assert_eq!(status, Some(2), "{text}");
    assert!(text.contains("a joined panic is no reason") && text.contains("detached"), "{text}");
    assert!(text.contains("rendez: goroutine "), "{text}");
}

#[test]
fn a_panic_that_nobody_can_read_about_does_no_harm() {
    let body = || {
        // The parent has closed the other end of the pipe.
        thread::sleep(Duration::from_millis(50));
        run(|| {
            for _ in 0..10 {
                let handle = go(|| panic!("unheard"));
                while !handle.is_finished() {
                    rendez::sleep(Duration::from_millis(1));
                }
            }
            assert_eq!(go(|| 3).join().unwrap(), 3);
        });
        std::process::exit(7);
    };
    if is_child() {
        return body();
    }
    let mut child = start("a_panic_that_nobody_can_read_about_does_no_harm");
    drop(child.stderr.take());
    assert_eq!(end(child).0, Some(7));
}

#[test]
fn a_shutdown_prints_nothing() {
    let body = || {
        let (ready, wait) = chan::unbounded();
        run(|| {
            for _ in 0..10 {
                let ready = ready.clone();
                drop(go(move || {
                    ready.send(()).unwrap();
                    rendez::sleep(Duration::MAX);
                }));
            }
            // A result whose destructor waits, of a goroutine that nobody joins.
            drop(go(move || {
                OnDrop(move || {
                    ready.send(()).unwrap();
                    rendez::sleep(Duration::MAX);
                })
            }));
            (0..11).for_each(|_| wait.recv().unwrap());
        });
    };
    let Some((status, text)) = in_a_child("a_shutdown_prints_nothing", body) else { return };
    assert_eq!((status, text.as_str()), (Some(0), ""));
}

// ---- what can't be ended ----

#[test]
fn a_destructor_that_waits_for_ever_is_reported_and_left_behind() {
    let body = || {
        for workers in [1, 2] {
            let runtime = Runtime::builder().workers(workers).build().unwrap();
            let ((ready, wait), (tx, rx)) = (chan::bounded(0), chan::bounded::<Arc<()>>(1));
            let others = Arc::new(AtomicUsize::new(0));
            let stuck = rx.clone();
            let handle = runtime.run(|| {
                let handle = Builder::new().name("stuck").spawn(move || {
                    let _waits = OnDrop(move || {
                        let _ = stuck.recv();
                        unreachable!("it was left behind");
                    });
                    ready.send(()).unwrap();
                    rendez::sleep(Duration::MAX);
                });
                wait.recv().unwrap();
                // Others are ended as ever.
                for _ in 0..10 {
                    let others = others.clone();
                    let counts = OnDrop(move || _ = others.fetch_add(1, Ordering::SeqCst));
                    go(move || {
                        let _counts = counts;
                        rendez::sleep(Duration::MAX);
                    });
                }
                handle.unwrap()
            });
            let start = Instant::now();
            runtime.shutdown();
            let took = start.elapsed();
            assert!(took > Duration::from_secs(1) && took < Duration::from_secs(6), "{took:?}");
            assert_eq!(others.load(Ordering::SeqCst), 10);
            // The abandoned one's place in the queue takes no value and no wake-up.
            assert!(handle.join().unwrap_err().is_cancelled());
            let value = Arc::new(());
            tx.send(value.clone()).unwrap();
            assert_eq!((tx.len(), Arc::strong_count(&value)), (1, 2));
            assert!(Arc::ptr_eq(&rx.recv().unwrap(), &value));
            drop(tx);
            assert!(rx.recv().is_err());
        }
        // And the process is fit for more.
        assert_eq!(run(|| go(|| 5).join().unwrap()), 5);
    };
    let test = "a_destructor_that_waits_for_ever_is_reported_and_left_behind";
    let Some((status, text)) = in_a_child(test, body) else { return };
    assert_eq!(status, Some(0), "{text}");
    let told = text.lines().filter(|line| {
        line.starts_with("rendez: goroutine ")
            && line.contains(" \"stuck\" (created at ")
            && line.contains("waits in a destructor and can't be ended: its stack is left behind")
    });
    assert_eq!(told.count(), 2, "{text}");
}

#[test]
fn an_async_goroutine_that_waits_in_a_destructor_for_ever_is_left_behind_with_its_future() {
    let body = || {
        for workers in [1, 2] {
            let runtime = Runtime::builder().workers(workers).build().unwrap();
            let (ready, wait) = chan::bounded(0);
            let (tx, rx) = chan::bounded::<u64>(0);
            let waker = Arc::new(Mutex::new(None::<Waker>));
            let handle = runtime.run(|| {
                let kept = waker.clone();
                go_async(async move {
                    // Queued at a channel, from inside the future, when the poll blocks.
                    let mut receive = pin!(rx.recv_async());
                    let first = poll_fn(|cx| {
                        *kept.lock().unwrap() = Some(cx.waker().clone());
                        Poll::Ready(receive.as_mut().poll(cx).is_pending())
                    });
                    assert!(first.await);
                    let _waits = OnDrop(|| {
                        let _ = chan::never::<()>().recv();
                        unreachable!("it was left behind");
                    });
                    ready.send(()).unwrap();
                    rendez::sleep(Duration::MAX);
                    [0_u64; 20]
                })
            });
            wait.recv().unwrap();
            runtime.shutdown();
            assert!(handle.join().unwrap_err().is_cancelled());
            // The queued receive is still where it was: it takes the value, and wakes a task that can't be polled.
            tx.send(7).unwrap();
            let waker = waker.lock().unwrap().take().unwrap();
            waker.wake_by_ref();
            waker.wake();
        }
        assert_eq!(run(|| go_async(async { 5 }).join().unwrap()), 5);
    };
    let test = "an_async_goroutine_that_waits_in_a_destructor_for_ever_is_left_behind_with_its_future";
    let Some((status, text)) = in_a_child(test, body) else { return };
    assert_eq!(status, Some(0), "{text}");
    assert_eq!(text.matches("can't be ended: its stack is left behind").count(), 2, "{text}");
}

#[test]
fn a_scope_whose_child_computes_for_seconds_is_not_given_up() {
    let body = || {
        let (ready, wait) = chan::bounded(0);
        let ended = Arc::new(AtomicUsize::new(0));
        let theirs = ended.clone();
        run(|| {
            go(move || {
                let mine = OnDrop(move || _ = theirs.fetch_add(10, Ordering::SeqCst));
                scope(|s| {
                    s.go(|| {
                        ready.send(()).unwrap();
                        let start = Instant::now();
                        while start.elapsed() < Duration::from_millis(2800) {
                            std::hint::spin_loop();
                        }
                        _ = &mine;
                    });
                });
            });
            wait.recv().unwrap();
        });
        assert_eq!(ended.load(Ordering::SeqCst), 10);
    };
    let test = "a_scope_whose_child_computes_for_seconds_is_not_given_up";
    let Some((status, text)) = in_a_child(test, body) else { return };
    assert_eq!((status, text.as_str()), (Some(0), ""));
}

#[test]
fn a_destructor_that_sleeps_for_seconds_is_not_given_up() {
    let body = || {
        let (ready, wait) = chan::bounded(0);
        let ended = Arc::new(AtomicUsize::new(0));
        let theirs = ended.clone();
        run(|| {
            go(move || {
                let _sleeps = OnDrop(move || {
                    rendez::sleep(Duration::from_millis(2800));
                    theirs.fetch_add(1, Ordering::SeqCst);
                });
                ready.send(()).unwrap();
                rendez::sleep(Duration::MAX);
            });
            wait.recv().unwrap();
        });
        assert_eq!(ended.load(Ordering::SeqCst), 1);
    };
    let test = "a_destructor_that_sleeps_for_seconds_is_not_given_up";
    let Some((status, text)) = in_a_child(test, body) else { return };
    assert_eq!((status, text.as_str()), (Some(0), ""));
}

#[test]
fn an_ordinary_main_ends_the_process_whatever_the_global_runtime_does() {
    let body = || {
        let (ready, wait) = chan::unbounded();
        for i in 0..20 {
            let ready = ready.clone();
            drop(go(move || {
                ready.send(()).unwrap();
                match i % 3 {
                    0 => rendez::sleep(Duration::MAX),
                    1 => loop {
                        rendez::yield_now();
                    },
                    _ => _ = chan::never::<()>().recv(),
                }
            }));
        }
        (0..20).for_each(|_| wait.recv().unwrap());
    };
    let test = "an_ordinary_main_ends_the_process_whatever_the_global_runtime_does";
    let Some((status, text)) = in_a_child(test, body) else { return };
    assert_eq!((status, text.as_str()), (Some(0), ""));
}

#[test]
fn a_panic_hook_sees_the_panics_of_goroutines_and_no_shutdown() {
    let body = || {
        let seen = Arc::new(AtomicUsize::new(0));
        let theirs = seen.clone();
        std::panic::set_hook(Box::new(move |_| _ = theirs.fetch_add(1, Ordering::SeqCst)));
        run(|| {
            let (ready, wait) = chan::bounded(0);
            go(move || {
                let caught = catch_unwind(AssertUnwindSafe(|| {
                    ready.send(()).unwrap();
                    rendez::sleep(Duration::MAX);
                }));
                drop(caught);
                rendez::sleep(Duration::MAX);
            });
            wait.recv().unwrap();
            assert!(go(|| panic!("seen")).join().is_err());
        });
        assert_eq!(seen.load(Ordering::SeqCst), 1);
    };
    let test = "a_panic_hook_sees_the_panics_of_goroutines_and_no_shutdown";
    let Some((status, text)) = in_a_child(test, body) else { return };
    assert_eq!(status, Some(0), "{text}");
}
