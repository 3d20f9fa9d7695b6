//! What can only be seen from outside a process: what is printed, the status, and what a goroutine leaves behind that
//! can't be ended.
#![cfg(not(any(loom, rendez_sanitize)))]

mod child;
mod setup;

use child::{end, in_a_child, is_child, start, test_around};
use rendez::{Builder, PanicPolicy, Runtime, chan, go, go_async, run, scope};
use setup::OnDrop;
use std::{
    future::{Future, poll_fn},
    io::{self, Write},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    task::{Context, Poll, Wake, Waker},
    thread,
    time::{Duration, Instant},
};

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
    let Some(ended) = in_a_child(body) else { return };
    let text = &ended.err;
    assert_eq!(ended.status.code(), Some(0), "{text}");
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
    let Some(ended) = in_a_child(body) else { return };
    let text = &ended.err;
    assert_eq!(ended.status.code(), Some(2), "{text}");
    assert!(text.contains("a joined panic is no reason") && text.contains("detached"), "{text}");
    assert!(text.contains("rendez: goroutine "), "{text}");
}

#[test]
fn a_panic_that_nobody_can_read_about_does_no_harm() {
    let body = || {
        // Until the parent has closed the other end of the pipe.
        while writeln!(io::stderr(), "is anybody there?").is_ok() {
            thread::sleep(Duration::from_millis(1));
        }
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
    let mut child = start(test_around(&|| ()), &[]);
    drop(child.stderr.take());
    assert_eq!(end(child).status.code(), Some(7));
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
    let Some(ended) = in_a_child(body) else { return };
    assert_eq!((ended.status.code(), ended.err.as_str()), (Some(0), ""));
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
            assert!(start.elapsed() > Duration::from_secs(1), "it was not waited for");
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
    let Some(ended) = in_a_child(body) else { return };
    let text = &ended.err;
    assert_eq!(ended.status.code(), Some(0), "{text}");
    let told = text.lines().filter(|line| {
        line.starts_with("rendez: goroutine ")
            && line.contains(" \"stuck\" (created at ")
            && line.contains("waits in a destructor and can't be ended: its stack is left behind")
    });
    assert_eq!(told.count(), 2, "{text}");
}

#[test]
fn a_scope_whose_child_is_left_behind_is_left_behind_with_what_the_child_borrows() {
    let body = || {
        for workers in [1, 2] {
            let runtime = Runtime::builder().workers(workers).build().unwrap();
            let ((ready, wait), (tx, rx)) = (chan::bounded(0), chan::bounded::<u32>(0));
            let drops = Arc::new(AtomicUsize::new(0));
            let (inner, outer) = (drops.clone(), drops.clone());
            let handle = runtime.spawn(move || {
                let borrowed = OnDrop(move || _ = outer.fetch_add(1, Ordering::SeqCst));
                scope(|s| {
                    scope(|s| {
                        s.go(|| {
                            let _waits = OnDrop(|| _ = rx.recv());
                            ready.send(()).unwrap();
                            rendez::sleep(Duration::MAX);
                            _ = &borrowed;
                        });
                        // A sibling is ended as ever.
                        let counts = OnDrop(move || _ = inner.fetch_add(10, Ordering::SeqCst));
                        s.go(move || {
                            let _counts = counts;
                            rendez::sleep(Duration::MAX);
                        });
                    });
                    s.go(|| ());
                });
            });
            wait.recv().unwrap();
            runtime.shutdown();
            assert!(handle.join().unwrap_err().is_cancelled());
            // What the child's destructor may still look at has not been dropped, nor is anybody woken to look.
            assert_eq!(drops.load(Ordering::SeqCst), 10);
            assert!(tx.try_send(1).is_err());
        }
    };
    let Some(ended) = in_a_child(body) else { return };
    assert_eq!(ended.status.code(), Some(0), "{}", ended.err);
    let told = ended.err.lines().filter(|line| line.contains("its stack is left behind")).count();
    // The child and its parent, on each runtime.
    assert_eq!(told, 4, "{}", ended.err);
}

#[test]
fn an_async_goroutine_whose_poll_is_left_behind_was_cancelled() {
    let body = || {
        let runtime = Runtime::builder().workers(2).build().unwrap();
        let (ready, wait) = chan::unbounded();
        let handles: Vec<_> = (0..4)
            .map(|i| {
                let ready = ready.clone();
                let waits = OnDrop(|| _ = chan::never::<()>().recv());
                let poll = async move {
                    let _waits = waits;
                    ready.send(()).unwrap();
                    rendez::sleep(Duration::MAX);
                };
                // Somebody may wait for it already.
                let handle = runtime.run(|| go_async(poll));
                (i % 2 == 0).then(|| thread::spawn(|| handle.join().unwrap_err().is_cancelled()))
            })
            .collect();
        (0..4).for_each(|_| wait.recv().unwrap());
        runtime.shutdown();
        assert!(handles.into_iter().flatten().all(|joiner| joiner.join().unwrap()));
    };
    let Some(ended) = in_a_child(body) else { return };
    assert_eq!(ended.status.code(), Some(0), "{}", ended.err);
    let told = ended.err.lines().filter(|line| line.contains("its stack is left behind")).count();
    assert_eq!(told, 4, "{}", ended.err);
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
    let Some(ended) = in_a_child(body) else { return };
    assert_eq!(ended.status.code(), Some(0), "{}", ended.err);
    let told = ended.err.lines().filter(|line| line.contains("its stack is left behind")).count();
    assert_eq!(told, 2, "{}", ended.err);
}

#[test]
fn one_that_is_woken_while_it_is_left_behind_gets_the_value_or_the_sender_keeps_it() {
    let body = || {
        let start = Instant::now();
        let races: Vec<_> = (0..24)
            .map(|i| {
                thread::spawn(move || {
                    let runtime = Arc::new(Runtime::builder().workers(1 + i % 2).build().unwrap());
                    let ((ready, wait), (tx, rx)) = (chan::bounded(0), chan::bounded::<Arc<()>>(0));
                    let got = Arc::new(AtomicUsize::new(0));
                    let theirs = got.clone();
                    let handle = runtime.spawn(move || {
                        let _waits = OnDrop(move || {
                            // The count tells whether it went on after its wait, and had a value then.
                            let received = rx.recv();
                            theirs.store(1 + usize::from(received.is_ok()), Ordering::SeqCst);
                        });
                        ready.send(()).unwrap();
                        rendez::sleep(Duration::MAX);
                    });
                    wait.recv().unwrap();
                    let stopping = runtime.clone();
                    let shutdown = thread::spawn(move || stopping.shutdown());
                    // One after another about when it is given up.
                    let at = Duration::from_millis(2000 + 25 * i as u64);
                    thread::sleep(at.saturating_sub(start.elapsed()));
                    let value = Arc::new(());
                    let sent = tx.try_send(value.clone()).is_ok();
                    shutdown.join().unwrap();
                    assert!(handle.join().unwrap_err().is_cancelled());
                    assert_eq!(got.load(Ordering::SeqCst), if sent { 2 } else { 0 });
                    assert_eq!(Arc::strong_count(&value), 1);
                    sent
                })
            })
            .collect();
        let sent = races.into_iter().map(|race| race.join().unwrap());
        eprintln!("sent={}", sent.filter(|sent| *sent).count());
    };
    let Some(ended) = in_a_child(body) else { return };
    assert_eq!(ended.status.code(), Some(0), "{}", ended.err);
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
    let Some(ended) = in_a_child(body) else { return };
    assert_eq!((ended.status.code(), ended.err.as_str()), (Some(0), ""));
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
    let Some(ended) = in_a_child(body) else { return };
    assert_eq!((ended.status.code(), ended.err.as_str()), (Some(0), ""));
}

#[test]
fn a_shutdown_that_is_held_up_says_by_whom_and_goes_on_waiting() {
    let body = || {
        let runtime = Runtime::builder().workers(1).build().unwrap();
        let (ready, wait) = mpsc::channel();
        let spin = move || {
            ready.send(()).unwrap();
            // Until it has been told, and some more. A time in which the process was stopped hardly counts.
            let (mut left, mut last) = (Duration::from_secs(8), Instant::now());
            while !left.is_zero() {
                std::hint::spin_loop();
                let now = Instant::now();
                left = left.saturating_sub((now - last).min(Duration::from_secs(1)));
                last = now;
            }
            eprintln!("spun");
        };
        runtime.run(|| Builder::new().name("spinner").spawn(spin)).unwrap();
        wait.recv().unwrap();
        runtime.shutdown();
        eprintln!("ended");
    };
    let Some(ended) = in_a_child(body) else { return };
    let text = &ended.err;
    assert_eq!(ended.status.code(), Some(0), "{text}");
    assert_eq!(text.matches("rendez: a shutdown has waited for 5s").count(), 1, "{text}");
    assert!(text.contains("\"spinner\" has held worker"), "{text}");
    assert!(text.contains("created at crates/rendez/tests/shutdown_process.rs"), "{text}");
    // To name the calls may have taken a while.
    assert!(text.contains("spun\n") && text.ends_with("ended\n"), "{text}");
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
    let Some(ended) = in_a_child(body) else { return };
    assert_eq!((ended.status.code(), ended.err.as_str()), (Some(0), ""));
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
    let Some(ended) = in_a_child(body) else { return };
    let text = &ended.err;
    assert_eq!(ended.status.code(), Some(0), "{text}");
}

#[test]
fn one_that_is_left_behind_in_the_waker_of_who_joins_it_has_its_result() {
    struct Waits(mpsc::SyncSender<()>);
    impl Wake for Waits {
        fn wake(self: Arc<Self>) {
            let _waits = OnDrop(|| {
                self.0.send(()).unwrap();
                let _ = chan::never::<()>().recv();
            });
            panic!("in a waker, for the test");
        }
    }
    let body = || {
        let runtime = Runtime::builder().workers(1).build().unwrap();
        let (go_on, until) = chan::bounded::<()>(0);
        let handle = runtime.spawn(move || {
            until.recv().unwrap_err();
            String::from("its result")
        });
        let (begun, has_begun) = mpsc::sync_channel(1);
        let waker = Waker::from(Arc::new(Waits(begun)));
        let mut joined = pin!(handle.into_future());
        assert!(joined.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        drop(go_on);
        has_begun.recv().unwrap();
        runtime.shutdown();
        let Poll::Ready(result) = joined.poll(&mut Context::from_waker(Waker::noop())) else {
            panic!("it has ended")
        };
        assert_eq!(result.unwrap(), "its result");
    };
    let Some(ended) = in_a_child(body) else { return };
    assert_eq!(ended.status.code(), Some(0), "{}", ended.err);
    assert_eq!(ended.err.matches("its stack is left behind").count(), 1, "{}", ended.err);
}
