//! Sockets are heard whatever becomes of the worker where they were first waited for: busy, kept, or gone.
#![cfg(not(loom))]

mod child;
mod processor_time;
mod setup;

use child::must_succeed_in_a_child;
use processor_time::must_rest;
use rendez::{Event, diag, go, go_local, net::UnixStream, yield_now};
use setup::{in_time, runtime};
use std::{
    io::{Read, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

const SHORT: Duration = Duration::from_millis(20);
/// After which sleeping workers have nothing to look after any more but a doubt whether there is a deadlock, a second from then.
const LONG: Duration = Duration::from_secs(2);

/// Has the poller of whoever calls watch it from now on.
fn register(stream: &UnixStream) {
    assert!(stream.read_event(&mut [0]).wait_timeout(Duration::from_millis(1)).is_none());
}

#[test]
fn a_socket_is_heard_although_others_are_always_ready() {
    in_time(|| {
        for workers in [1, 2, 8] {
            runtime(workers).run(move || {
                let (mut ours, mut theirs) = UnixStream::pair().unwrap();
                let done = Arc::new(AtomicBool::new(false));
                let busy: Vec<_> = (0..2 * workers)
                    .map(|_| {
                        let done = done.clone();
                        go(move || {
                            while !done.load(Ordering::Relaxed) {
                                yield_now();
                            }
                        })
                    })
                    .collect();
                let echo = go(move || {
                    let mut byte = [0];
                    while theirs.read(&mut byte).unwrap() > 0 {
                        theirs.write_all(&byte).unwrap();
                    }
                });
                for i in 0..50 {
                    ours.write_all(&[i]).unwrap();
                    let mut byte = [0];
                    ours.read_exact(&mut byte).unwrap();
                    assert_eq!(byte, [i]);
                }
                drop(ours);
                echo.join().unwrap();
                done.store(true, Ordering::Relaxed);
                busy.into_iter().for_each(|busy| busy.join().unwrap());
            });
        }
    });
}

#[test]
fn a_thread_hears_a_socket_whose_worker_is_kept() {
    in_time(|| {
        runtime(1).run(|| {
            let (ours, mut theirs) = UnixStream::pair().unwrap();
            register(&ours);
            let (tx, rx) = mpsc::channel();
            let reader = thread::spawn(move || {
                tx.send(()).unwrap();
                (&ours).read(&mut [0]).unwrap()
            });
            rx.recv().unwrap();
            thread::sleep(SHORT);
            theirs.write_all(b"x").unwrap();
            // This keeps the worker: nobody looks at its poller before the thread has heard.
            assert_eq!(reader.join().unwrap(), 1);
        });
    });
}

#[test]
fn a_goroutine_hears_a_socket_whose_worker_is_kept_while_all_others_are_busy() {
    in_time(|| {
        runtime(2).run(|| {
            let (ours, mut theirs) = UnixStream::pair().unwrap();
            register(&ours);
            let (begun, begins) = mpsc::channel();
            let (done, ended) = mpsc::channel();
            go(move || {
                let heard = Arc::new(AtomicBool::new(false));
                let busy = go_local({
                    let heard = heard.clone();
                    move || {
                        while !heard.load(Ordering::Relaxed) {
                            yield_now();
                        }
                    }
                });
                begun.send(()).unwrap();
                assert_eq!((&ours).read(&mut [0]).unwrap(), 1);
                heard.store(true, Ordering::Relaxed);
                busy.join().unwrap();
                done.send(()).unwrap();
            });
            // This keeps the worker, so the other one takes that goroutine.
            begins.recv().unwrap();
            thread::sleep(SHORT);
            theirs.write_all(b"x").unwrap();
            ended.recv().unwrap();
        });
    });
}

#[test]
fn a_goroutine_hears_a_socket_whose_worker_is_kept_although_all_others_had_gone_to_sleep() {
    in_time(|| {
        runtime(2).run(|| {
            let (ours, mut theirs) = UnixStream::pair().unwrap();
            register(&ours);
            let (begun, begins) = mpsc::channel();
            let (done, ended) = mpsc::channel();
            let reader = go(move || {
                begun.send(()).unwrap();
                assert_eq!((&ours).read(&mut [0]).unwrap(), 1);
                done.send(()).unwrap();
            });
            // This keeps the worker, so the other one takes that goroutine.
            begins.recv().unwrap();
            let (mut waker, woken) = UnixStream::pair().unwrap();
            let (kept, keeps) = mpsc::channel();
            let client = thread::spawn(move || {
                thread::sleep(LONG);
                waker.write_all(b"x").unwrap();
                keeps.recv().unwrap();
                theirs.write_all(b"x").unwrap();
                let start = Instant::now();
                ended.recv().unwrap();
                start.elapsed()
            });
            assert_eq!((&woken).read(&mut [0]).unwrap(), 1);
            kept.send(()).unwrap();
            // This keeps the worker again.
            let took = client.join().unwrap();
            assert!(took < LONG / 4, "nobody looked there for {took:?}");
            reader.join().unwrap();
        });
    });
}

#[test]
fn a_goroutine_hears_a_socket_whose_runtime_is_kept() {
    in_time(|| {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let (ours, done) = (Arc::new(ours), Arc::new(AtomicBool::new(false)));
        let (kept, (begun, begins)) = (runtime(1), mpsc::channel());
        let keeps = kept.spawn({
            let (ours, done) = (ours.clone(), done.clone());
            move || {
                register(&ours);
                begun.send(()).unwrap();
                while !done.load(Ordering::Relaxed) {
                    thread::yield_now();
                }
            }
        });
        begins.recv().unwrap();
        let reader = go(move || (&*ours).read(&mut [0]).unwrap());
        thread::sleep(SHORT);
        theirs.write_all(b"x").unwrap();
        assert_eq!(reader.join().unwrap(), 1);
        done.store(true, Ordering::Relaxed);
        keeps.join().unwrap();
    });
}

#[test]
fn a_poller_whose_worker_has_ended_uses_no_processor() {
    must_succeed_in_a_child(|| {
        let pairs: Vec<_> = (0..4).map(|_| UnixStream::pair().unwrap()).collect();
        for workers in [2, 1] {
            runtime(workers).run(|| {
                rendez::scope(|s| {
                    for (ours, _) in &pairs {
                        s.go(|| register(ours));
                    }
                });
            });
        }
        thread::sleep(SHORT);
        must_rest(Duration::from_millis(50), || thread::sleep(Duration::from_millis(500)));
        // But whoever waits there hears.
        for (mut ours, mut theirs) in pairs {
            let reader = thread::spawn(move || ours.read(&mut [0]).unwrap());
            thread::sleep(Duration::from_millis(1));
            theirs.write_all(b"x").unwrap();
            assert_eq!(reader.join().unwrap(), 1);
        }
    });
}

#[cfg(feature = "testing")]
#[test]
fn a_runtime_under_test_leaves_the_sockets_of_one_that_has_ended_to_others() {
    must_succeed_in_a_child(|| {
        in_time(|| {
            let (ours, mut theirs) = UnixStream::pair().unwrap();
            let mut read = Box::pin(async move { ours.read_async(&mut [0]).await.unwrap() });
            let first = runtime(1);
            let mut read = first.run(move || {
                let waker = futures_util::task::noop_waker();
                assert!(read.as_mut().poll(&mut std::task::Context::from_waker(&waker)).is_pending());
                read
            });
            drop(first);
            // It takes what the other's worker left behind, but never looks there.
            rendez::testing::virtual_time(move || {
                let reader = go(move || rendez::block_on(&mut read));
                rendez::blocking(|| thread::sleep(SHORT));
                theirs.write_all(b"x").unwrap();
                // While this is waited for there is no deadlock to be seen.
                let _hold = rendez::testing::ClockHold::new();
                assert_eq!(reader.join().unwrap(), 1);
            });
        });
    });
}

/// What has come to its end, and does not know it yet, is no reason to start elsewhere.
#[test]
fn goroutines_whose_sockets_are_ready_run_before_another_one_is_given_away() {
    must_succeed_in_a_child(|| {
        runtime(2).run(|| {
            // Keeps the other worker, so that nobody takes anything.
            let (stop, stopped) = (Arc::new(AtomicBool::new(false)), mpsc::channel());
            let busy = go({
                let (stop, begun) = (stop.clone(), stopped.0);
                move || {
                    begun.send(()).unwrap();
                    while !stop.load(Ordering::Relaxed) {
                        std::hint::spin_loop();
                    }
                }
            });
            stopped.1.recv().unwrap();
            let (ours, theirs): (Vec<_>, Vec<_>) = (0..3).map(|_| UnixStream::pair().unwrap()).unzip();
            let readers: Vec<_> = ours
                .into_iter()
                .map(|ours| go_local(move || assert_eq!((&ours).read(&mut [0]).unwrap(), 0)))
                .collect();
            // Until this worker does not take its bursts for long ones, in which it would look at its sockets all the time.
            (0..2000).for_each(|_| yield_now());
            let before = diag::stats();
            drop(theirs);
            go(|| ()).join().unwrap();
            // What has been given to the other worker would have been taken back.
            assert_eq!(diag::stats().since(&before).counts.steals, 0);
            readers.into_iter().for_each(|reader| reader.join().unwrap());
            stop.store(true, Ordering::Relaxed);
            busy.join().unwrap();
        });
    });
}
