//! `select!` at run time: what may stand for an endpoint, what lives while it parks, timers and groups as arms, shutdowns
//! and unwinding. (How it is written is tested with the macro.)
#![cfg(not(loom))]

use crate::{
    setup::{Drops, OnDrop, in_time, runtime, text},
    worlds::{Clock, Crew, in_every_world, in_worlds_of_time, on_one_worker, until},
};
use rendez::{
    Runtime,
    chan::{self, RecvError, SendError},
    go, select,
    sync::WaitGroup,
    time::{self, Instant},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Mutex,
    time::Duration,
};

const LONG: Duration = Duration::from_secs(60);

fn closed() -> chan::Receiver<i32> {
    chan::bounded(0).1
}

/// Runs `body` as a role of each world.
fn everywhere(body: fn()) {
    in_every_world(|crew: &Crew| crew.start(move |_| async move { body() }).join());
}

/// The same, for what has to do with time.
fn everywhere_in_time(body: fn(Clock)) {
    in_worlds_of_time(|crew: &Crew| crew.start(move |ops| async move { body(ops.clock()) }).join());
}

#[test]
fn an_endpoint_may_be_owned_borrowed_optional_or_temporary() {
    everywhere(|| {
        let (tx, rx) = chan::bounded(8);
        let (mut some_tx, mut some_rx) = (Some(tx.clone()), Some(rx.clone()));
        let mut rx_too = rx.clone();
        for round in 0..8 {
            let sent = match round {
                0 => select! { send(tx, round) -> sent => sent },
                1 => select! { send(&tx, round) -> sent => sent },
                2 => select! { send(&&tx, round) -> sent => sent },
                3 => select! { send(some_tx, round) -> sent => sent },
                4 => select! { send(&some_tx, round) -> sent => sent },
                5 => select! { send(some_tx.as_ref(), round) -> sent => sent },
                6 => select! { send(some_tx.as_mut(), round) -> sent => sent },
                _ => select! { send(tx.clone(), round) -> sent => sent },
            };
            assert_eq!(sent, Ok(()));
        }
        for round in 0..8 {
            let received = match round {
                0 => select! { recv(rx) -> value => value },
                1 => select! { recv(&rx) -> value => value },
                2 => select! { recv(&mut rx_too) -> value => value },
                3 => select! { recv(some_rx) -> value => value },
                4 => select! { recv(&some_rx) -> value => value },
                5 => select! { recv(some_rx.as_ref()) -> value => value },
                6 => select! { recv(some_rx.as_mut()) -> value => value },
                _ => select! { recv(rx.clone()) -> value => value },
            };
            assert_eq!(received, Ok(round));
        }
        drop((tx, some_tx));
        assert_eq!(select! { recv(some_rx) -> value => value }, Err(RecvError));
    });
}

#[test]
fn an_arm_that_is_none_is_never_ready() {
    everywhere(|| {
        let (tx, rx) = chan::bounded(1);
        let (no_tx, mut no_rx) = (None::<chan::Sender<String>>, None::<chan::Receiver<i32>>);
        let mut slot = Some("stays".to_string());
        for _ in 0..10 {
            let chosen = select! {
                recv(no_rx) -> _ => "recv",
                recv(chan::never::<i32>()) -> _ => "never",
                send(no_tx, "dropped".to_string()) -> _ => "send",
                send(no_tx, take slot) -> _ => "take",
                default => "default",
            };
            assert_eq!(chosen, "default");
        }
        tx.send(7).unwrap();
        no_rx = Some(rx);
        let value = select! {
            recv(no_rx) -> value => value,
            send(no_tx, take slot) -> _ => unreachable!("nil"),
        };
        assert_eq!((value, slot.as_deref()), (Ok(7), Some("stays")));
    });
}

/// A slot that is empty is never ready, however ready the channel is, open or closed.
#[test]
fn a_slot_that_is_empty_is_never_sent() {
    everywhere(|| {
        let (tx, _rx) = chan::unbounded::<String>();
        let mut slot = None;
        for close in [false, true] {
            if close {
                tx.close();
            }
            select! {
                send(tx, take slot) -> _ => unreachable!("empty"),
                default => {}
            }
            select! {
                send(tx, take slot) -> _ => unreachable!("empty"),
                default(Duration::from_micros(50)) => {}
            }
        }
        slot = Some("full".to_string());
        let SendError(back) = select! { send(tx, take slot) -> sent => sent.unwrap_err() };
        assert_eq!((&*back, slot), ("full", None));
    });
}

#[test]
fn operands_are_evaluated_once_from_top_to_bottom_though_the_select_parks() {
    in_every_world(|crew| {
        let (tx, rx) = chan::bounded(0);
        let parks = crew.start(move |_| async move {
            let mut order = Vec::new();
            let mut note = |operand: &'static str| order.push(operand);
            let (other_tx, other) = chan::bounded::<i32>(0);
            select! {
                recv({ note("receiver"); &other }) -> _ => unreachable!("nobody sends"),
                send({ note("sender"); &other_tx }, { note("value"); 1 }) -> _ => unreachable!("nobody receives"),
                wait({ note("event"); rx.recv_event() }) -> value => assert_eq!(value, Ok(5)),
                default({ note("limit"); LONG }) => unreachable!("it takes too long"),
            }
            order
        });
        crew.start(move |ops| async move { ops.send(&tx, 5).await }).join().unwrap();
        assert_eq!(parks.join(), ["receiver", "sender", "value", "event", "limit"]);
    });
}

/// A temporary endpoint and a lock's guard live as long as the select parks.
#[test]
fn what_operands_make_lives_while_the_select_parks() {
    on_one_worker(|| {
        let (tx, rx) = chan::bounded(0);
        let shared = std::sync::Arc::new(Mutex::new(rx));
        let locked = shared.clone();
        let waits = go(move || {
            let value = select! {
                recv(*locked.lock().unwrap()) -> value => value,
                recv(closed()) -> closed => { assert_eq!(closed, Err(RecvError)); Ok(-1) }
            };
            // The guard is given back before the body, and after it.
            drop(locked.try_lock().expect("it is free"));
            value
        });
        assert_eq!(waits.join().unwrap(), Ok(-1), "the sender of the temporary had gone already");

        let locked = shared.clone();
        let waits = go(move || {
            select! {
                recv(*locked.lock().unwrap()) -> value => value,
                recv(chan::never()) -> value => value,
            }
        });
        until(|| shared.try_lock().is_err());
        tx.send(5).unwrap();
        assert_eq!(waits.join().unwrap(), Ok(5));
        assert!(shared.try_lock().is_ok());
    });
}

#[test]
fn a_body_may_leave_in_every_way_and_nothing_is_left_behind() {
    fn first(rxs: &[chan::Receiver<i32>; 2], errors: &mut i32) -> Result<i32, RecvError> {
        'outer: loop {
            for _ in 0.. {
                select! {
                    recv(rxs[0]) -> value => match value? {
                        0 => continue,
                        1 => continue 'outer,
                        2 => break,
                        3 => break 'outer,
                        value => return Ok(value),
                    },
                    recv(rxs[1]) -> value => *errors += value.map_or(1, |_| 0),
                }
            }
        }
        Ok(-3)
    }
    everywhere(|| {
        let ((tx, rx), (other_tx, other)) = (chan::unbounded(), chan::bounded(1));
        let rxs = [rx, other];
        let mut errors = 0;
        [0, 1, 2, 0, 3].into_iter().for_each(|value| tx.send(value).unwrap());
        assert_eq!(first(&rxs, &mut errors), Ok(-3));
        tx.send(9).unwrap();
        assert_eq!(first(&rxs, &mut errors), Ok(9));
        assert_eq!(errors, 0);
        drop(tx);
        assert_eq!(first(&rxs, &mut errors), Err(RecvError));
        drop(other_tx);
    });
}

#[test]
fn a_timer_as_an_arm_ends_the_wait_in_its_time() {
    everywhere_in_time(|clock| {
        let (_tx, rx) = chan::bounded::<i32>(0);
        let (short, began) = (Duration::from_millis(4), Instant::now());
        let chosen = select! {
            recv(rx) -> _ => "receive",
            wait(time::timer(LONG)) -> _ => "long",
            wait(time::timer(short)) -> _ => "short",
            default(LONG) => "default",
        };
        assert_eq!(chosen, "short");
        clock.has_passed(began, short);

        // In a loop, the moment stays where it is.
        let (mut rounds, began) = (0, Instant::now());
        let timer = time::timer(short);
        loop {
            select! {
                wait(timer) -> _ => break,
                default(Duration::from_micros(1500)) => rounds += 1,
            }
        }
        clock.has_passed(began, short);
        assert!(rounds == 2 || rounds < 2 && !clock.is_virtual(), "{rounds}");

        select! {
            wait(time::timer(Duration::MAX)) -> _ => unreachable!("beyond the clock's end"),
            default(Duration::from_micros(10)) => {}
        }
        clock.has_passed(began, short + Duration::from_micros(10));
    });
}

#[test]
fn a_timer_whose_time_has_come_is_as_ready_as_other_arms() {
    everywhere(|| {
        let past = time::timer(Duration::ZERO);
        let mut timers = 0;
        for _ in 0..200 {
            select! {
                wait(past) -> _ => timers += 1,
                recv(closed()) -> _ => {}
                default => unreachable!("two are ready"),
            }
        }
        assert!((50..150).contains(&timers), "{timers}");
    });
}

#[test]
fn a_wait_group_and_a_goroutine_s_end_are_arms() {
    in_every_world(|crew| {
        let group = WaitGroup::new();
        group.add(2);
        let (tx, rx) = chan::bounded::<()>(0);
        let waits = crew.start({
            let group = group.clone();
            move |_| async move {
                let mut received = 0;
                loop {
                    select! {
                        wait(&group) -> () => break received,
                        recv(rx) -> value => { value.unwrap(); received += 1; }
                    }
                }
            }
        });
        let works = crew.start({
            let (group, tx) = (group.clone(), tx.clone());
            move |ops| async move {
                ops.send(&tx, ()).await.unwrap();
                group.done();
                ops.send(&tx, ()).await.unwrap();
                group.done();
            }
        });
        works.join();
        assert_eq!(waits.join(), 2);
        drop(tx);
        let handle = go(move || group.wait());
        select! {
            wait(&handle) -> () => handle.join().unwrap(),
            default(LONG) => panic!("it has ended long since"),
        }
    });
}

// ---- ends ----

#[test]
fn a_shutdown_unwinds_selects_that_park_and_gives_their_values_to_nobody() {
    in_time(|| {
        for workers in [1, 2, 8] {
            let drops = Drops::default();
            let (tx, rx) = chan::bounded(0);
            let (parked, parks) = chan::unbounded();
            let runtime = runtime(workers);
            runtime.run(|| {
                for i in 0..40 {
                    let (value, token, parked, tx) =
                        (drops.token(), drops.token(), parked.clone(), tx.clone());
                    go(move || {
                        let _token = token;
                        parked.send(()).unwrap();
                        match i % 4 {
                            0 => select! {},
                            1 => select! { biased; },
                            2 => select! {
                                send(tx, value) -> _ => unreachable!("nobody receives"),
                                recv(chan::never::<i32>()) -> _ => unreachable!("nil"),
                            },
                            _ => select! {
                                recv(chan::never::<i32>()) -> _ => unreachable!("nil"),
                                wait(time::timer(LONG)) -> _ => unreachable!("it takes too long"),
                                default(LONG) => unreachable!("it takes too long"),
                            },
                        }
                    });
                }
                (0..40).for_each(|_| parks.recv().unwrap());
            });
            runtime.shutdown();
            assert_eq!(drops.count(), 80);
            drop(tx);
            assert!(rx.recv().is_err(), "no value was delivered");
        }
    });
}

/// A destructor that selects while its goroutine unwinds, by a panic or by a shutdown.
#[test]
fn a_destructor_may_select_while_its_goroutine_unwinds() {
    in_time(|| {
        for workers in [1, 2] {
            let (tx, rx) = chan::unbounded();
            let runtime = runtime(workers);
            let in_destructor = |tx: chan::Sender<i32>| {
                OnDrop(move || {
                    let (echo_tx, echo_rx) = chan::bounded(0);
                    let echo = go(move || echo_tx.send(1));
                    let value = select! {
                        recv(echo_rx) -> value => value.unwrap_or(2),
                        recv(chan::never::<i32>()) -> _ => 3,
                    };
                    drop(echo);
                    tx.send(value).unwrap();
                })
            };
            runtime.run(|| {
                let on_panic = in_destructor(tx.clone());
                let panics = go(move || {
                    let _on_panic = on_panic;
                    panic!("on purpose");
                });
                assert_eq!(text(panics.join().unwrap_err().into_panic()), "on purpose");
                assert_eq!(rx.recv(), Ok(1));
                let (started, starts) = chan::bounded(0);
                let on_end = in_destructor(tx.clone());
                go(move || {
                    let _on_end = on_end;
                    started.send(()).unwrap();
                    select! {}
                });
                starts.recv().unwrap();
            });
            runtime.shutdown();
            // Whether its echo still comes is the shutdown's affair; the destructor has ended either way.
            assert!(rx.try_recv().is_ok_and(|value| value < 3));
        }
    });
}

#[test]
fn a_panic_in_a_body_leaves_channels_and_select_as_they_were() {
    everywhere(|| {
        let (tx, rx) = chan::bounded(4);
        (0..4).for_each(|i| tx.send(i).unwrap());
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            select! {
                recv(rx) -> value => panic!("{}", value.unwrap()),
                recv(chan::never::<i32>()) -> _ => {}
            }
        }));
        assert_eq!(text(panicked.unwrap_err()), "0");
        assert_eq!(rx.try_iter().collect::<Vec<_>>(), [1, 2, 3]);
    });
}

/// A select from a thread and one from a goroutine of another runtime.
#[test]
fn selects_of_different_runtimes_meet() {
    in_time(|| {
        let runtimes: Vec<Runtime> = (1..4).map(runtime).collect();
        let (tx, rx) = chan::bounded(0);
        let roles: Vec<_> = runtimes
            .iter()
            .map(|runtime| {
                let (tx, rx) = (tx.clone(), rx.clone());
                runtime.spawn(move || {
                    let (mut sent, mut received) = (0, 0);
                    loop {
                        select! {
                            send(tx, 1) -> result => match result {
                                Ok(()) => sent += 1,
                                Err(_) => break (sent, received),
                            },
                            recv(rx) -> value => match value {
                                Ok(value) => received += value,
                                Err(_) => break (sent, received),
                            },
                        }
                    }
                })
            })
            .collect();
        let mut balance = 0;
        for i in 0..2_000 {
            select! {
                send(tx, 1) -> sent => { sent.unwrap(); balance += 1; }
                recv(rx) -> value => balance -= value.unwrap(),
                default(Duration::from_micros(i % 7)) => {}
            }
        }
        tx.close();
        for role in roles {
            let (sent, received) = role.join().unwrap();
            balance += sent - received;
        }
        assert_eq!(balance, 0);
    });
}
