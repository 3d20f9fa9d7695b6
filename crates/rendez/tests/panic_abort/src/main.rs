//! Programs for `panic = "abort"`, by name: how a shutdown ends what it can't unwind.

use rendez::{Runtime, chan, go, go_async, run, scope, yield_now};
use std::{
    env,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

static DROPS: AtomicUsize = AtomicUsize::new(0);

/// Counts its drop.
struct Token;

impl Drop for Token {
    fn drop(&mut self) {
        DROPS.fetch_add(1, Ordering::SeqCst);
    }
}

fn main() {
    if cfg!(not(panic = "abort")) {
        panic!("build it with panic = \"abort\"");
    }
    let case = env::args().nth(1).expect("the name of a case");
    for workers in [1, 2, 8] {
        let runtime = Arc::new(Runtime::builder().workers(workers).build().expect("a runtime"));
        match &case[..] {
            "parked" => parked(&runtime),
            "running" => running(&runtime),
            "dropped" => dropped(&runtime),
            "again" => again(workers),
            "panic" => panicking(&runtime),
            _ => panic!("no such case: {case}"),
        }
        DROPS.store(0, Ordering::SeqCst);
    }
    println!("done");
}

/// What is parked is left where it is, without its destructors, and its handle says that it was cancelled.
fn parked(runtime: &Runtime) {
    let (ready, wait) = chan::unbounded();
    let (tx, rx) = chan::bounded::<Arc<()>>(0);
    let mut handles: Vec<_> = (0..30)
        .map(|i| {
            let (ready, rx) = (ready.clone(), rx.clone());
            runtime.spawn(move || {
                let _token = Token;
                let borrowed = AtomicUsize::new(0);
                ready.send(()).unwrap();
                match i % 3 {
                    0 => _ = rx.recv(),
                    1 => rendez::sleep(Duration::from_secs(3600)),
                    _ => scope(|s| {
                        s.go(|| {
                            borrowed.fetch_add(1, Ordering::SeqCst);
                            rendez::sleep(Duration::MAX);
                        });
                    }),
                }
                unreachable!("a goroutine of a runtime that has ended went on");
            })
        })
        .collect();
    // An async one in the midst of a poll is as any other.
    handles.push(runtime.run(|| {
        go_async(async move {
            let _token = Token;
            ready.send(()).unwrap();
            rendez::sleep(Duration::MAX);
        })
    }));
    (0..31).for_each(|_| wait.recv().unwrap());
    runtime.shutdown();
    assert!(handles.into_iter().all(|handle| handle.join().unwrap_err().is_cancelled()));
    assert_eq!(DROPS.load(Ordering::SeqCst), 0);
    // None of those that were left in the queue takes a value.
    let value = Arc::new(());
    assert!(tx.try_send(value.clone()).is_err());
    assert_eq!(Arc::strong_count(&value), 1);
}

/// What runs ends at its next wait or yield.
fn running(runtime: &Arc<Runtime>) {
    let (ready, wait) = chan::unbounded();
    let mut handles = Vec::new();
    for i in 0..30 {
        let (ready, theirs) = (ready.clone(), runtime.clone());
        handles.push(runtime.spawn(move || {
            let (tx, rx) = chan::bounded::<u32>(0);
            ready.send(()).unwrap();
            match i % 5 {
                0 => {
                    go(move || rx.iter().sum::<u32>());
                    // It fails if the other one was dropped before it started.
                    while tx.send(1).is_ok() {}
                    rendez::sleep(Duration::MAX);
                }
                1 => loop {
                    yield_now();
                },
                2 => loop {
                    _ = rx.recv_timeout(Duration::from_millis(1));
                },
                // Time limits of others pass meanwhile.
                3 => loop {
                    let start = Instant::now();
                    while start.elapsed() < Duration::from_millis(1) {}
                    yield_now();
                },
                _ => {
                    while theirs.spawn(|| ()).join().is_ok() {}
                    rendez::sleep(Duration::MAX);
                    unreachable!("it went on");
                }
            }
        }));
    }
    (0..30).for_each(|_| wait.recv().unwrap());
    runtime.shutdown();
    for handle in handles {
        assert!(handle.join().map(|()| "it ended").unwrap_err().is_cancelled());
    }
}

/// What has no stack of its own is dropped, as ever.
fn dropped(runtime: &Arc<Runtime>) {
    let (ready, wait) = chan::unbounded();
    let handles = runtime.run(|| {
        let futures: Vec<_> = (0..10)
            .map(|_| {
                let ready = ready.clone();
                go_async(async move {
                    let _token = Token;
                    ready.send_async(()).await.unwrap();
                    chan::never::<()>().recv_async().await.unwrap();
                })
            })
            .collect();
        (0..10).for_each(|_| wait.recv().unwrap());
        futures
    });
    let theirs = runtime.clone();
    let unstarted = runtime.spawn(move || {
        theirs.shutdown();
        let tokens = (0..10).map(|_| Token);
        tokens.map(|token| go(move || drop(token))).collect::<Vec<_>>()
    });
    let unstarted = unstarted.join().unwrap();
    runtime.shutdown();
    assert!(handles.into_iter().all(|handle| handle.join().unwrap_err().is_cancelled()));
    assert!(unstarted.into_iter().all(|handle| handle.join().unwrap_err().is_cancelled()));
    assert_eq!(DROPS.load(Ordering::SeqCst), 20);
}

/// `run` returns however many are left, and the process is fit for more.
fn again(workers: usize) {
    for round in 0..50 {
        let result = run(|| {
            rendez::set_workers(workers);
            for _ in 0..20 {
                go(|| rendez::sleep(Duration::MAX));
            }
            yield_now();
            round
        });
        assert_eq!(result, round);
    }
}

/// A panic ends the process, joined or not.
fn panicking(runtime: &Runtime) {
    let handle = runtime.spawn(|| panic!("out of paper"));
    drop(handle.join());
    println!("went on");
}
