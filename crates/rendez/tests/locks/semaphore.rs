//! `Semaphore`: the rules of Go's `x/sync/semaphore`, from every world.

use crate::{
    setup::{Drops, runtime, text, wait_until},
    worlds::{Wakes, in_every_world, on_one_worker, poll_once, poll_with},
};
use rendez::{Event, chan, go, select, sync::Semaphore, time::Instant};
use std::{
    panic::{catch_unwind, resume_unwind},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

const TOTAL: usize = 4;
const ROLES: usize = 8;

#[test]
fn no_more_permits_are_out_than_there_are() {
    const ROUNDS: usize = 100;
    in_every_world(|crew| {
        let (semaphore, out) = (Arc::new(Semaphore::new(TOTAL)), Arc::new(AtomicUsize::new(0)));
        let roles: Vec<_> = (0..ROLES)
            .map(|role| {
                let (semaphore, out) = (semaphore.clone(), out.clone());
                crew.start(move |ops| async move {
                    for round in 0..ROUNDS {
                        let wanted = (role + round) % (TOTAL + 1);
                        let limit = Duration::from_micros(50);
                        let permit = match round % 5 {
                            0 => semaphore.try_acquire(wanted),
                            1 => semaphore.acquire_timeout(wanted, limit),
                            2 => Some(ops.event(semaphore.acquire_event(wanted)).await),
                            3 => {
                                let mut gone = Box::pin(semaphore.acquire_async(wanted));
                                drop(poll_once(gone.as_mut()));
                                ops.pause().await;
                                None
                            }
                            _ => Some(ops.acquire(&semaphore, wanted).await),
                        };
                        if let Some(permit) = permit {
                            assert_eq!(permit.permits(), wanted);
                            assert!(out.fetch_add(wanted, Ordering::SeqCst) + wanted <= TOTAL);
                            if round % 3 == 0 {
                                ops.pause().await;
                            }
                            out.fetch_sub(wanted, Ordering::SeqCst);
                        }
                    }
                })
            })
            .collect();
        roles.into_iter().for_each(|role| role.join());
        assert_eq!(semaphore.available(), TOTAL);
        assert!(semaphore.try_acquire(TOTAL).is_some(), "nobody waits");
    });
}

#[test]
fn who_wants_little_waits_behind_who_wants_much() {
    let semaphore = Semaphore::new(3);
    let held = semaphore.acquire(2);
    let mut much = Box::pin(semaphore.acquire_async(3));
    let mut little = Box::pin(semaphore.acquire_async(1));
    assert!(poll_once(much.as_mut()).is_none());
    assert_eq!(semaphore.available(), 1);
    assert!(poll_once(little.as_mut()).is_none());
    assert!(semaphore.try_acquire(1).is_none() && semaphore.try_acquire(0).is_none(), "others wait");
    drop(held);
    let all = poll_once(much.as_mut()).expect("its turn");
    assert!(poll_once(little.as_mut()).is_none());
    drop(all);
    assert!(poll_once(little.as_mut()).is_some());
    assert_eq!(semaphore.available(), 3);
}

#[test]
fn many_are_served_in_the_order_in_which_they_came() {
    const WAITERS: usize = 100;
    let semaphore = Semaphore::new(WAITERS);
    let held = semaphore.acquire(WAITERS);
    let (wakes, waker) = Wakes::new();
    let mut waiters: Vec<_> = (0..WAITERS).map(|_| Box::pin(semaphore.acquire_async(1))).collect();
    for waiter in &mut waiters {
        assert!(poll_with(waiter.as_mut(), &waker).is_none());
    }
    drop(held);
    assert_eq!(wakes.count(), WAITERS);
    let permits: Vec<_> = waiters.iter_mut().map(|waiter| poll_once(waiter.as_mut()).unwrap()).collect();
    assert_eq!(semaphore.available(), 0);
    drop(permits);
    let first = semaphore.acquire(WAITERS);
    let mut order: Vec<_> = (0..3).map(|_| Box::pin(semaphore.acquire_async(WAITERS))).collect();
    for waiter in &mut order {
        assert!(poll_once(waiter.as_mut()).is_none());
    }
    drop(first);
    for waiter in &mut order {
        assert!(poll_once(waiter.as_mut()).is_some());
    }
}

#[test]
fn when_the_first_gives_up_those_behind_it_are_served() {
    let semaphore = Semaphore::new(3);
    let held = semaphore.acquire(1);
    let (wakes, waker) = Wakes::new();
    let mut first = Box::pin(semaphore.acquire_async(3));
    let mut others: Vec<_> = (0..3).map(|_| Box::pin(semaphore.acquire_async(1))).collect();
    assert!(poll_once(first.as_mut()).is_none());
    others.iter_mut().for_each(|other| assert!(poll_with(other.as_mut(), &waker).is_none()));
    drop(first);
    assert_eq!(wakes.count(), 2, "for so many there is enough");
    drop(held);
    assert_eq!(wakes.count(), 3);
    others.iter_mut().for_each(|other| assert!(poll_once(other.as_mut()).is_some()));
    assert_eq!(semaphore.available(), 3);
}

#[test]
fn permits_given_to_a_future_that_is_dropped_go_back() {
    let semaphore = Semaphore::new(2);
    let held = semaphore.acquire(2);
    let mut gone = Box::pin(semaphore.acquire_async(2));
    let mut next = Box::pin(semaphore.acquire_async(1));
    assert!(poll_once(gone.as_mut()).is_none() && poll_once(next.as_mut()).is_none());
    drop(held);
    assert_eq!(semaphore.available(), 0);
    drop(gone);
    assert!(poll_once(next.as_mut()).is_some());
    assert_eq!(semaphore.available(), 2);
}

#[test]
fn who_wants_more_than_there_ever_is_panics() {
    crate::setup::in_every_world(|| {
        let semaphore = Semaphore::new(3);
        for wait in [0, 1, 2] {
            let panic = catch_unwind(|| match wait {
                0 => drop(semaphore.acquire(4)),
                1 => drop(semaphore.acquire_event(4)),
                _ => drop(semaphore.acquire_timeout(4, Duration::ZERO)),
            });
            let text = text(panic.unwrap_err());
            assert_eq!(text, "sync: 4 permits are wanted of a Semaphore that has 3 in all");
        }
        assert!(semaphore.try_acquire(4).is_none() && semaphore.try_acquire(usize::MAX).is_none());
        assert_eq!(semaphore.acquire(3).permits(), 3);
    });
    assert!(catch_unwind(|| Semaphore::new(usize::MAX)).is_err());
    assert_eq!(Semaphore::new(usize::MAX / 2).acquire(usize::MAX / 2).permits(), usize::MAX / 2);
}

#[test]
fn none_is_a_number_of_permits_too() {
    let semaphore = Semaphore::new(0);
    assert_eq!(semaphore.acquire(0).permits(), 0);
    assert!(semaphore.try_acquire(1).is_none());
}

#[test]
fn who_has_a_limit_waits_so_long() {
    crate::setup::in_worlds_of_time(|clock| {
        let semaphore = Semaphore::new(2);
        let _held = semaphore.acquire(1);
        let start = Instant::now();
        let limit = Duration::from_millis(5);
        assert!(semaphore.acquire_timeout(2, limit).is_none());
        assert!(semaphore.acquire_event(2).wait_timeout(limit).is_none());
        clock.has_passed(start, limit * 2);
        assert!(semaphore.acquire_timeout(1, Duration::ZERO).is_some());
    });
}

#[test]
fn an_arm_that_loses_takes_nothing() {
    on_one_worker(|| {
        let semaphore = Semaphore::new(1);
        let (tx, rx) = chan::bounded(1);
        let held = semaphore.acquire(1);
        go(move || tx.send(7).unwrap());
        select! {
            wait(semaphore.acquire_event(1)) -> _ => unreachable!("there is none"),
            recv(rx) -> value => assert_eq!(value, Ok(7)),
        }
        drop(held);
        assert!(semaphore.try_acquire(1).is_some());
    });
}

#[test]
fn a_panic_gives_permits_back() {
    crate::setup::in_every_world(|| {
        let semaphore = Semaphore::new(1);
        let panicked = catch_unwind(|| {
            let _permit = semaphore.acquire(1);
            resume_unwind(Box::new(()));
        });
        assert!(panicked.is_err());
        assert_eq!(semaphore.available(), 1);
    });
}

#[test]
fn a_shutdown_gives_back_what_parked_goroutines_hold() {
    for workers in [1, 2, 8] {
        let semaphore = Arc::new(Semaphore::new(2));
        let (drops, here) = (Drops::default(), Arc::new(AtomicUsize::new(0)));
        let runtime = runtime(workers);
        for i in 0..10 {
            let (semaphore, token, here) = (semaphore.clone(), drops.token(), here.clone());
            runtime.spawn(move || {
                let _token = token;
                here.fetch_add(1, Ordering::SeqCst);
                let _permit = semaphore.acquire(1 + i % 2);
                let _ = chan::never::<()>().recv();
            });
        }
        wait_until(|| here.load(Ordering::SeqCst) == 10);
        runtime.shutdown();
        assert_eq!((drops.count(), semaphore.available()), (10, 2));
        assert!(semaphore.try_acquire(2).is_some());
    }
}

#[test]
fn it_describes_itself() {
    static SEMAPHORE: Semaphore = Semaphore::new(3);
    let permit = SEMAPHORE.acquire(2);
    assert_eq!(format!("{SEMAPHORE:?}"), "Semaphore { available: 1, total: 3, .. }");
    assert_eq!(format!("{permit:?}"), "Permit { permits: 2, .. }");
}

#[test]
fn an_owned_permit_goes_along_with_a_goroutine_and_comes_back_with_its_end_or_its_panic() {
    for workers in [1, 2, 8] {
        runtime(workers).run(|| {
            let semaphore = Arc::new(Semaphore::new(TOTAL));
            let out = Arc::new(AtomicUsize::new(0));
            let all: Vec<_> = (0..50)
                .map(|i| {
                    let permit = match i % 3 {
                        0 => semaphore.acquire(2),
                        1 => semaphore.acquire_timeout(2, Duration::from_secs(60)).unwrap(),
                        _ => semaphore.acquire_event(2).wait(),
                    };
                    let (permit, out) = (permit.into_owned(&semaphore), out.clone());
                    go(move || {
                        assert_eq!(permit.permits(), 2);
                        assert!(out.fetch_add(2, Ordering::SeqCst) + 2 <= TOTAL);
                        rendez::yield_now();
                        out.fetch_sub(2, Ordering::SeqCst);
                        if i % 7 == 0 {
                            resume_unwind(Box::new("asked to"));
                        }
                    })
                })
                .collect();
            let ended = all.into_iter().map(|one| one.join().is_ok()).collect::<Vec<_>>();
            assert_eq!(ended.iter().filter(|ok| !**ok).count(), 8);
            assert_eq!(semaphore.available(), TOTAL);
            assert_eq!(Arc::strong_count(&semaphore), 1, "each has let go of it");
        });
    }
}

#[test]
fn a_permit_can_not_be_owned_through_another_semaphore_and_goes_back() {
    let [one, other] = [1, 1].map(|permits| Arc::new(Semaphore::new(permits)));
    let permit = one.acquire(1);
    let panic = catch_unwind(|| permit.into_owned(&other)).unwrap_err();
    let text = text(panic);
    assert!(text.contains("another Semaphore"), "{text}");
    assert_eq!((one.available(), other.available()), (1, 1));
}
