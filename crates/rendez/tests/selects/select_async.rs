//! Selects in async tasks: futures that are dropped, polled late or by others, and what became of the values.
#![cfg(not(loom))]

use crate::{
    setup::{Drops, Token},
    worlds::{Ops, Role, Wakes, Watchdog, drive, in_every_world},
};
use futures_core::Stream;
use rendez::{
    Event, Runtime, Select,
    chan::{self, Receiver, RecvError},
    choose,
    sync::WaitGroup,
    time,
};
use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    task::{Poll, Wake, Waker},
    thread,
    time::{Duration, Instant},
};

/// An async goroutine that always finds its select ready must let others run.
fn lets_others_run<Fut: Future<Output = ()> + Send + 'static>(
    select: impl Fn(Receiver<u32>) -> Fut + Send + Sync + 'static,
) {
    const MANY: u32 = 1_000_000;
    let _watchdog = Watchdog::new("budget".into());
    Runtime::builder().workers(1).build().unwrap().run(move || {
        let (started, stop) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let busy = rendez::go_async({
            let (started, stop) = (started.clone(), stop.clone());
            async move {
                // Closed, so always ready.
                let (_, rx) = chan::bounded(1);
                let mut rounds = 0;
                while !stop.load(Ordering::Relaxed) && rounds < MANY {
                    started.store(true, Ordering::Relaxed);
                    select(rx.clone()).await;
                    rounds += 1;
                }
                rounds
            }
        });
        crate::worlds::until(|| started.load(Ordering::Relaxed));
        stop.store(true, Ordering::Relaxed);
        assert!(busy.join().unwrap() < MANY, "it had the worker to itself");
    });
}

#[test]
fn a_choice_that_is_always_ready_lets_others_run() {
    lets_others_run(|rx| async move { assert!(choose([rx.recv_event()]).wait_async().await.is_err()) });
}

#[test]
fn a_dynamic_select_that_is_always_ready_lets_others_run() {
    lets_others_run(|rx| async move {
        let mut select = Select::new();
        select.recv(&rx);
        let operation = select.wait_async().await;
        assert!(operation.recv(&rx).is_err());
    });
}

// ---- futures that are dropped ----

/// Polls `future` until it is ready, at most `polls` times; between polls others run.
async fn perhaps<Fut: Future>(mut future: Pin<&mut Fut>, mut polls: usize) -> Option<Fut::Output> {
    poll_fn(move |cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        if polls == 0 {
            return Poll::Ready(None);
        }
        polls -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}

/// A value with a number, counted when it is dropped.
#[derive(Debug)]
struct Value {
    number: usize,
    _token: Token,
}

/// A role that makes receives of every kind, polls each a few times, and drops those that are not ready by then, with or
/// without a value in hand. What it received.
async fn receives_and_drops(ops: Ops, seed: u64, rxs: [Receiver<Value>; 2]) -> Vec<usize> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut received = Vec::new();
    let mut ended = 0;
    while ended < 2 {
        let (one, other) = (&rxs[random.usize(..2)], &rxs[random.usize(..2)]);
        let (kind, polls) = (random.usize(..4), random.usize(..4));
        let attempt = async {
            let value = match kind {
                0 => {
                    let mut receive = pin!(one.recv_async());
                    let value = perhaps(receive.as_mut(), polls).await;
                    ops.pause().await;
                    value
                }
                1 => {
                    let mut either = pin!(choose([one.recv_event(), other.recv_event()]).wait_async());
                    let value = perhaps(either.as_mut(), polls).await;
                    ops.pause().await;
                    value
                }
                2 => {
                    let mut select = Select::new();
                    select.recv(one);
                    let mut operation = pin!(select.wait_async());
                    let operation = perhaps(operation.as_mut(), polls).await;
                    ops.pause().await;
                    // Every other one is given up, and gives its value back.
                    operation.filter(|_| polls % 2 == 0).map(|operation| operation.recv(one))
                }
                _ => {
                    let mut stream = pin!(one.stream());
                    let next = poll_fn(|cx| stream.as_mut().poll_next(cx));
                    let value = perhaps(pin!(next), polls).await;
                    ops.pause().await;
                    value.map(|value| value.ok_or(RecvError))
                }
            };
            value.and_then(Result::ok)
        };
        let value = if ops.awaits() { attempt.await } else { rendez::block_on(attempt) };
        received.extend(value.map(|value| value.number));
        ended = rxs.iter().filter(|rx| rx.is_closed() && rx.is_empty()).count();
    }
    // A value that another's dropped future held may have come back since.
    for rx in &rxs {
        received.extend(rx.try_iter().map(|value| value.number));
    }
    received
}

#[test]
fn receives_that_are_dropped_at_any_moment_lose_and_double_nothing() {
    in_every_world(|crew| {
        for capacities in [[0, 0], [0, 1], [2, 3]] {
            let many = if cfg!(debug_assertions) { 200 } else { 10_000 };
            let drops = Drops::default();
            let channels = capacities.map(chan::bounded);
            let rxs = [channels[0].1.clone(), channels[1].1.clone()];
            let senders: Vec<_> = (0..3)
                .map(|name| {
                    let (txs, drops) = ([channels[0].0.clone(), channels[1].0.clone()], drops.clone());
                    crew.start(move |ops| async move {
                        for i in 0..many {
                            let value = Value { number: name * many + i, _token: drops.token() };
                            ops.send(&txs[(name + i) % 2], value).await.expect("the receivers are there");
                        }
                    })
                })
                .collect();
            drop(channels);
            let receivers: Vec<_> = (0..3)
                .map(|seed| {
                    let rxs = rxs.clone();
                    crew.start(move |ops| receives_and_drops(ops, seed, rxs))
                })
                .collect();
            senders.into_iter().for_each(Role::join);
            let mut received: Vec<_> = receivers.into_iter().flat_map(Role::join).collect();
            for rx in &rxs {
                received.extend(rx.try_iter().map(|value| value.number));
            }
            received.sort_unstable();
            assert!(received.into_iter().eq(0..3 * many), "each came once");
            assert_eq!(drops.count(), 3 * many);
        }
    });
}

/// Sends that are dropped at any moment: each value is delivered or dropped with its future, and never both.
#[test]
fn sends_that_are_dropped_at_any_moment_deliver_or_drop_their_values() {
    in_every_world(|crew| {
        let many = if cfg!(debug_assertions) { 300 } else { 6_000 };
        for capacity in [0, 1] {
            let drops = Drops::default();
            let (tx, rx) = chan::bounded(capacity);
            let senders: Vec<_> = (0..2)
                .map(|name| {
                    let (tx, drops) = (tx.clone(), drops.clone());
                    crew.start(move |ops| async move {
                        let mut random = fastrand::Rng::with_seed(name as u64);
                        let mut sent = 0;
                        for i in 0..many {
                            let value = Value { number: name * many + i, _token: drops.token() };
                            let (kind, polls) = (random.usize(..3), random.usize(..3));
                            let attempt = async {
                                match kind {
                                    0 => perhaps(pin!(tx.send_async(value)), polls).await,
                                    1 => perhaps(pin!(tx.send_event(value).wait_async()), polls).await,
                                    _ => {
                                        let mut select = Select::new();
                                        select.send(&tx);
                                        let mut operation = pin!(select.wait_async());
                                        let operation = perhaps(operation.as_mut(), polls).await;
                                        ops.pause().await;
                                        operation.map(|operation| operation.send(&tx, value))
                                    }
                                }
                            };
                            let result = if ops.awaits() { attempt.await } else { rendez::block_on(attempt) };
                            sent += usize::from(result.is_some_and(|sent| sent.is_ok()));
                        }
                        sent
                    })
                })
                .collect();
            drop(tx);
            let mut received = Vec::new();
            while let Ok(value) = rx.recv() {
                received.push(value.number);
            }
            let sent: usize = senders.into_iter().map(Role::join).sum();
            // Of those dropped, some had been delivered, which nobody was told.
            assert!(received.len() >= sent);
            let count = received.len();
            received.sort_unstable();
            received.dedup();
            assert_eq!(received.len(), count, "none came twice");
            assert_eq!(drops.count(), 2 * many);
        }
    });
}

/// A waker that is called late, by another thread, in the order that comes about.
struct Late {
    waker: Waker,
    post: mpsc::Sender<Waker>,
}

impl Wake for Late {
    fn wake(self: Arc<Self>) {
        let _ = self.post.send(self.waker.clone());
    }
}

/// Futures of one thread that are woken late, polled again before that, moved to other threads between polls, and dropped
/// by yet others.
#[test]
fn wakers_that_are_called_late_and_futures_that_wander_lose_nothing() {
    type Wandering = Pin<Box<dyn Future<Output = Option<Value>> + Send>>;
    in_every_world(|crew| {
        let many = if cfg!(debug_assertions) { 150 } else { 2_000 };
        let drops = Drops::default();
        let ((tx_a, rx_a), (tx_b, rx_b)) = (chan::bounded(0), chan::bounded(1));
        let (post, posted) = mpsc::channel::<Waker>();
        let postman = thread::spawn(move || {
            let mut held = Vec::new();
            for waker in posted {
                held.push(waker);
                if held.len() > 3 {
                    held.drain(..).rev().for_each(Waker::wake);
                }
            }
        });
        let (graves, buried) = mpsc::channel::<Wandering>();
        let gravedigger = thread::spawn(move || buried.into_iter().map(drop).count());
        let (pass_on, taken_over) = chan::unbounded::<Wandering>();
        let number = Arc::new(AtomicUsize::new(0));
        let senders: Vec<_> = [tx_a, tx_b]
            .into_iter()
            .map(|tx| {
                let (drops, number) = (drops.clone(), number.clone());
                crew.start(move |ops| async move {
                    for _ in 0..many {
                        let number = number.fetch_add(1, Ordering::Relaxed);
                        ops.send(&tx, Value { number, _token: drops.token() }).await.expect("open");
                    }
                })
            })
            .collect();
        let wanderers: Vec<_> = (0..3)
            .map(|seed| {
                let (rx_a, rx_b, post) = (rx_a.clone(), rx_b.clone(), post.clone());
                let (graves, pass_on, taken_over) = (graves.clone(), pass_on.clone(), taken_over.clone());
                thread::spawn(move || {
                    let mut random = fastrand::Rng::with_seed(seed);
                    let mut received = Vec::new();
                    let waker = Waker::from(Arc::new(Late { waker: Waker::noop().clone(), post }));
                    while ![&rx_a, &rx_b].iter().all(|rx| rx.is_closed() && rx.is_empty()) {
                        let mut future = taken_over.try_recv().unwrap_or_else(|_| {
                            let (rx_a, rx_b) = (rx_a.clone(), rx_b.clone());
                            match random.usize(..3) {
                                0 => Box::pin(async move { rx_a.recv_async().await.ok() }),
                                1 => Box::pin(async move {
                                    choose([rx_a.recv_event(), rx_b.recv_event()]).wait_async().await.ok()
                                }),
                                _ => Box::pin(async move {
                                    let mut select = Select::new();
                                    select.recv(&rx_b);
                                    select.wait_async().await.recv(&rx_b).ok()
                                }),
                            }
                        });
                        match crate::worlds::poll_with(future.as_mut(), &waker) {
                            Some(value) => received.extend(value.map(|value| value.number)),
                            None if random.bool() => pass_on.send(future).expect("its receiver is here"),
                            None => graves.send(future).expect("somebody buries"),
                        }
                    }
                    received
                })
            })
            .collect();
        senders.into_iter().for_each(Role::join);
        let mut received: Vec<_> =
            wanderers.into_iter().flat_map(|wanderer| wanderer.join().unwrap()).collect();
        drop((post, graves));
        taken_over.try_iter().for_each(drop);
        gravedigger.join().unwrap();
        for rx in [&rx_a, &rx_b] {
            received.extend(rx.try_iter().map(|value| value.number));
        }
        postman.join().unwrap();
        received.sort_unstable();
        assert!(received.into_iter().eq(0..2 * many), "each came once");
        assert_eq!(drops.count(), 2 * many);
    });
}

/// A time limit in an async select, on an executor that rendez knows nothing of: it comes, and its alarm goes with the future.
#[test]
fn timers_in_async_selects_come_and_their_wakers_go() {
    let _watchdog = Watchdog::new("alarms".into());
    let (_tx, rx) = chan::bounded::<()>(0);
    let short = Duration::from_millis(3);
    let both = |limit| {
        choose([rx.recv_event().map(|_| false).boxed(), time::timer(limit).map(|_| true).boxed()])
            .wait_async()
    };
    let began = Instant::now();
    assert!(drive(both(short)));
    assert!(began.elapsed() >= short);

    let (wakes, waker) = Wakes::new();
    let held = Arc::strong_count(&wakes);
    {
        let mut long = pin!(both(Duration::from_secs(600)));
        for _ in 0..3 {
            assert!(crate::worlds::poll_with(long.as_mut(), &waker).is_none());
        }
        assert!(Arc::strong_count(&wakes) > held, "the alarm and the wait each hold a waker");
    }
    assert_eq!(Arc::strong_count(&wakes), held);

    // Many at once, of which most are dropped; each that is left comes once.
    let mut futures: Vec<_> = (0..300_u64).map(|i| Box::pin(both(Duration::from_micros(i * 10)))).collect();
    let mut i = 0;
    futures.retain_mut(|future| {
        i += 1;
        crate::worlds::poll_with(future.as_mut(), &waker).is_none() && i % 3 == 0
    });
    for mut future in futures {
        assert!(drive(poll_fn(|cx| future.as_mut().poll(cx))), "the time-out");
    }
    // (An alarm that went off just now may still be at it.)
    crate::setup::wait_until(|| Arc::strong_count(&wakes) == held);
}

/// Wait groups, and a choice among choices, awaited and dropped.
#[test]
fn groups_and_nested_choices_are_awaited_and_dropped() {
    in_every_world(|crew| {
        let group = WaitGroup::new();
        let (tx, rx) = chan::bounded::<u32>(0);
        let rounds = if cfg!(debug_assertions) { 100 } else { 2_000 };
        for round in 0..rounds {
            group.add(1);
            let waits = crew.start({
                let (group, rx) = (group.clone(), rx.clone());
                move |ops| async move {
                    {
                        let attempt = async {
                            perhaps(pin!(Event::wait_async(&group)), round % 3).await;
                        };
                        if ops.awaits() { attempt.await } else { rendez::block_on(attempt) }
                    }
                    let nested = choose([
                        choose([rx.recv_event(), rx.recv_event()]).map(|value| value.unwrap()).boxed(),
                        (&group).map(|()| 0).boxed(),
                    ]);
                    ops.event(nested).await
                }
            });
            let acts = crew.start({
                let (group, tx) = (group.clone(), tx.clone());
                move |ops| async move {
                    if round % 2 == 0 {
                        ops.send(&tx, 1).await.unwrap();
                    }
                    group.done();
                }
            });
            assert_eq!(waits.join(), u32::from(round % 2 == 0));
            acts.join();
        }
    });
}
