//! tokio's context is there in each poll, and nowhere else: above all not while a goroutine is parked.

mod worlds;

use rendez::{Context, ContextError, Runtime, chan, go};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context as Waking, Poll},
    thread::{self, ThreadId},
    time::Duration,
};
use tokio::{runtime::Handle, sync::Notify};
use worlds::{in_every_world, in_time};

/// Whether the calling thread is within tokio's context.
fn is_within() -> bool {
    Handle::try_current().is_ok()
}

fn on_workers<R: Send>(workers: usize, body: impl FnOnce() -> R + Send) -> R {
    Runtime::builder().workers(workers).build().unwrap().run(body)
}

#[test]
fn the_context_is_there_in_every_poll() {
    in_every_world(8, |_| async {
        for _ in 0..20 {
            assert!(is_within());
            tokio::task::yield_now().await;
            assert!(is_within());
            tokio::time::sleep(Duration::from_micros(100)).await;
        }
        assert_eq!(tokio::spawn(async { 7 }).await.unwrap(), 7);
    });
}

#[test]
fn a_goroutine_that_is_parked_in_the_midst_of_its_future_holds_no_context() {
    in_time("one worker", || {
        // One worker: whoever has said that it is there has parked when another runs.
        on_workers(1, || {
            let (gate, (here, arrived)) = (Arc::new(Notify::new()), chan::unbounded());
            let wait = || {
                let (gate, here) = (gate.clone(), here.clone());
                async move {
                    assert!(is_within());
                    // For what only tokio's thread and others can bring about.
                    tokio::time::sleep(Duration::from_micros(1)).await;
                    let opened = gate.notified();
                    here.send_async(()).await.unwrap();
                    opened.await;
                    assert!(is_within());
                }
            };
            let (plain, tasks): (Vec<_>, Vec<_>) = (0..50)
                .map(|_| (wait(), wait()))
                .map(|(plain, task)| {
                    let plain = go(move || {
                        assert!(!is_within());
                        rendez_tokio::block_on(plain);
                        assert!(!is_within());
                    });
                    (plain, rendez_tokio::go_async(task))
                })
                .unzip();
            for _ in 0..100 {
                arrived.recv().unwrap();
                assert!(!is_within());
            }
            gate.notify_waiters();
            for waiter in plain.into_iter().chain(tasks) {
                assert!(!is_within());
                waiter.join().unwrap();
            }
            assert!(!is_within());
        });
    });
}

#[test]
fn a_future_that_is_always_ready_lets_others_run_between_its_polls_and_not_within() {
    in_time("one worker", || {
        on_workers(1, || {
            let busy: Vec<_> = (0..3)
                .map(|i| {
                    let work = async {
                        let (tx, rx) = chan::unbounded();
                        // Many times the budget that an operation without a wait is counted against.
                        for n in 0..20_000 {
                            tx.send_async(n).await.unwrap();
                            assert_eq!(rx.recv_async().await, Ok(n));
                        }
                    };
                    if i == 0 {
                        rendez_tokio::go_async(work)
                    } else {
                        go(move || rendez_tokio::block_on(work))
                    }
                })
                .collect();
            let mut turns = 0;
            while !busy.iter().all(|busy| busy.is_finished()) {
                assert!(!is_within());
                turns += 1;
                rendez::yield_now();
            }
            assert!(turns > 50, "{turns}");
            busy.into_iter().for_each(|busy| busy.join().unwrap());
        });
    });
}

/// Not what to do: the check of the tests above sees it.
#[test]
fn a_guard_that_is_held_across_a_park_is_seen_by_the_neighbour() {
    in_time("one worker", || {
        on_workers(1, || {
            let handle = rendez_tokio::enter(Handle::current);
            let (open, gate) = chan::bounded::<()>(0);
            let (here, arrived) = chan::unbounded();
            let wrong = go(move || {
                let _guard = handle.enter();
                here.send(()).unwrap();
                let _ = gate.recv();
            });
            arrived.recv().unwrap();
            assert!(is_within(), "the neighbour's context is this goroutine's too");
            drop(open);
            wrong.join().unwrap();
            assert!(!is_within());
        });
    });
}

#[test]
fn tokio_objects_when_guards_are_held_across_parks_and_do_not_nest() {
    in_time("one worker", || {
        on_workers(1, || {
            let handle = rendez_tokio::enter(Handle::current);
            let hold = |handle: Handle| {
                let (open, gate) = chan::bounded::<()>(0);
                let (here, arrived) = chan::unbounded();
                let holder = go(move || {
                    let guard = handle.enter();
                    here.send(()).unwrap();
                    let _ = gate.recv();
                    catch_unwind(AssertUnwindSafe(|| drop(guard))).is_err()
                });
                arrived.recv().unwrap();
                (open, holder)
            };
            let (first, second) = (hold(handle.clone()), hold(handle));
            drop(first.0);
            assert!(first.1.join().unwrap(), "the first went while the second was there");
            drop(second.0);
            second.1.join().unwrap();
        });
    });
}

/// Says on which threads it was polled and dropped, and whether that was within the context.
struct Told {
    tell: chan::Sender<(bool, ThreadId)>,
}

impl Future for Told {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Waking<'_>) -> Poll<()> {
        self.tell.send((is_within(), thread::current().id())).unwrap();
        Poll::Pending
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        self.tell.send((is_within(), thread::current().id())).unwrap();
    }
}

#[test]
fn a_future_is_dropped_within_the_context_whoever_ends_it() {
    in_time("two workers", || {
        let (tell, told) = chan::unbounded();
        let future = || Told { tell: tell.clone() };
        let is_told = |how: &str| {
            for what in ["poll", "drop"] {
                assert!(told.recv().unwrap().0, "{how}: the {what} was without context");
            }
        };
        on_workers(2, || {
            let (ctx, cancel) = Context::background().with_cancel();
            let waiting = {
                let future = future();
                go(move || rendez_tokio::block_on(ctx.within(future)))
            };
            assert!(told.recv().unwrap().0);
            cancel.cancel();
            assert_eq!(waiting.join().unwrap(), Err(ContextError::Canceled));
            assert!(told.recv().unwrap().0, "dropped by its context without context");
            // One that is never polled.
            drop(rendez_tokio::Compat::new(future()));
            assert!(told.recv().unwrap().0);
        });
        // By a shutdown: on a stack, and without.
        let runtime = Runtime::builder().workers(2).build().unwrap();
        let plain = {
            let future = future();
            runtime.spawn(move || rendez_tokio::block_on(future))
        };
        let (polled, first) = told.recv().unwrap();
        assert!(polled);
        runtime.shutdown();
        assert!(plain.join().unwrap_err().is_cancelled());
        assert_eq!(told.recv().unwrap(), (true, first), "a goroutine stays on its thread");
        let runtime = Runtime::builder().workers(2).build().unwrap();
        let task = runtime.run(|| rendez_tokio::go_async(future()));
        let polled = told.recv().unwrap();
        assert!(polled.0);
        runtime.shutdown();
        assert!(task.join().unwrap_err().is_cancelled());
        assert!(told.recv().unwrap().0, "dropped by the shutdown without context");
        // On an OS thread.
        let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(5));
        assert_eq!(rendez_tokio::block_on(ctx.within(future())), Err(ContextError::DeadlineExceeded));
        is_told("a thread");
        assert!(!is_within());
    });
}

#[test]
fn a_panic_in_a_poll_leaves_no_context_behind() {
    in_time("one worker", || {
        on_workers(1, || {
            let fails = || async {
                tokio::task::yield_now().await;
                std::panic::resume_unwind(Box::new("as planned")) as u32
            };
            assert!(go(move || rendez_tokio::block_on(fails())).join().unwrap_err().is_panic());
            assert!(rendez_tokio::go_async(fails()).join().unwrap_err().is_panic());
            assert!(
                catch_unwind(|| rendez_tokio::enter(|| std::panic::resume_unwind(Box::new(())) as u32))
                    .is_err()
            );
            go(|| assert!(!is_within())).join().unwrap();
        });
    });
}

#[test]
fn waiting_for_tokio_alone_is_no_deadlock() {
    in_time("run", || {
        // All goroutines are asleep, but for what tokio's thread will do.
        let waited = rendez::run(|| {
            rendez_tokio::block_on(async {
                tokio::time::sleep(Duration::from_millis(1500)).await;
                true
            })
        });
        assert!(waited);
    });
}

#[test]
fn ten_thousand_wait_for_tokio_at_once() {
    in_time("ten thousand", || {
        on_workers(2, || {
            let sleepers: Vec<_> = (0..10_000)
                .map(|i| {
                    let nap = async move {
                        tokio::time::sleep(Duration::from_micros(i % 100)).await;
                        i
                    };
                    if i % 2 == 0 {
                        go(move || rendez_tokio::block_on(nap))
                    } else {
                        rendez_tokio::go_async(nap)
                    }
                })
                .collect();
            let sum: u64 = sleepers.into_iter().map(|sleeper| sleeper.join().unwrap()).sum();
            assert_eq!(sum, 9_999 * 10_000 / 2);
        });
    });
}

#[test]
fn sockets_of_tokio_talk_to_those_of_rendez() {
    use std::io::{Read, Write};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let server = |many| {
        let listener = rendez::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming().take(many) {
                let mut stream = stream.unwrap();
                go(move || {
                    let mut all = Vec::new();
                    stream.read_to_end(&mut all).unwrap();
                    stream.write_all(&all).unwrap();
                });
            }
        });
        addr
    };
    let addr = server(usize::MAX);
    in_every_world(20, move |i| async move {
        let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
        let text = vec![i as u8; 10_000];
        stream.write_all(&text).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut back = Vec::new();
        stream.read_to_end(&mut back).await.unwrap();
        assert_eq!(back, text);
    });
}
