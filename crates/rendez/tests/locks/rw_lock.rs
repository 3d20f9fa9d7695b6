//! `RwLock`: Go's rules, from every world.

use crate::{
    setup::{Drops, runtime, wait_until},
    worlds::{Wakes, in_every_world, on_one_worker, poll_once, poll_with},
};
use rendez::{
    Event, chan, go, select,
    sync::{Barrier, RwLock},
    time::Instant,
};
use std::{
    panic::catch_unwind,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicIsize, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

const ROLES: usize = 8;

/// Tells who is inside: -1 is a writer.
#[derive(Default)]
struct Inside(AtomicIsize);

impl Inside {
    fn read(&self) -> impl Drop + '_ {
        assert!(self.0.fetch_add(1, Ordering::SeqCst) >= 0, "a writer is inside");
        crate::setup::OnDrop(|| assert!(self.0.fetch_sub(1, Ordering::SeqCst) > 0))
    }

    fn write(&self) -> impl Drop + '_ {
        assert_eq!(self.0.swap(-1, Ordering::SeqCst), 0, "somebody is inside");
        crate::setup::OnDrop(|| assert_eq!(self.0.swap(0, Ordering::SeqCst), -1))
    }
}

#[test]
fn writers_are_alone_and_readers_are_not_disturbed() {
    const ROUNDS: usize = 150;
    in_every_world(|crew| {
        let (lock, inside) = (Arc::new(RwLock::new(0)), Arc::new(Inside::default()));
        let roles: Vec<_> = (0..ROLES)
            .map(|role| {
                let (lock, inside) = (lock.clone(), inside.clone());
                crew.start(move |ops| async move {
                    let mut written = 0;
                    for round in 0..ROUNDS {
                        if (role + round) % 4 == 0 {
                            let mut value = ops.write(&lock).await;
                            let _here = inside.write();
                            *value += 1;
                            written += 1;
                        } else {
                            let value = ops.read(&lock).await;
                            let here = inside.read();
                            let before = *value;
                            if round % 8 == 0 {
                                drop(here);
                                ops.pause().await;
                            }
                            assert_eq!(*value, before);
                        }
                    }
                    written
                })
            })
            .collect();
        let written: usize = roles.into_iter().map(|role| role.join()).sum();
        assert_eq!(*lock.try_write().expect("it is free"), written);
    });
}

#[test]
fn every_way_of_locking_keeps_out_whom_it_must() {
    const ROUNDS: usize = 60;
    in_every_world(|crew| {
        let (lock, inside) = (Arc::new(RwLock::new(())), Arc::new(Inside::default()));
        let roles: Vec<_> = (0..ROLES)
            .map(|role| {
                let (lock, inside) = (lock.clone(), inside.clone());
                crew.start(move |ops| async move {
                    let limit = Duration::from_micros(50);
                    for round in 0..ROUNDS {
                        match (role + round) % 8 {
                            0 => {
                                let _guard = ops.event(lock.read_event()).await;
                                drop(inside.read());
                            }
                            1 => {
                                let _guard = ops.event(lock.write_event()).await;
                                drop(inside.write());
                            }
                            2 => drop(lock.try_read().map(|guard| (inside.read(), guard))),
                            3 => drop(lock.try_write().map(|guard| (inside.write(), guard))),
                            4 => drop(lock.read_timeout(limit).map(|guard| (inside.read(), guard))),
                            5 => drop(lock.write_timeout(limit).map(|guard| (inside.write(), guard))),
                            6 => {
                                let mut gone = Box::pin(lock.write_async());
                                drop(poll_once(gone.as_mut()).map(|guard| (inside.write(), guard)));
                                ops.pause().await;
                            }
                            _ => select! {
                                wait(lock.read_event()) -> _guard => drop(inside.read()),
                                wait(lock.write_event()) -> _guard => drop(inside.write()),
                            },
                        }
                    }
                })
            })
            .collect();
        roles.into_iter().for_each(|role| role.join());
        assert!(lock.try_write().is_some(), "it is free");
    });
}

#[test]
fn readers_are_inside_together() {
    in_every_world(|crew| {
        let (lock, meeting) = (Arc::new(RwLock::new(())), Arc::new(Barrier::new(ROLES)));
        let roles: Vec<_> = (0..ROLES)
            .map(|_| {
                let (lock, meeting) = (lock.clone(), meeting.clone());
                crew.start(move |ops| async move {
                    let _guard = ops.read(&lock).await;
                    ops.meet(&meeting).await;
                })
            })
            .collect();
        roles.into_iter().for_each(|role| role.join());
    });
}

#[test]
fn a_writer_that_waits_holds_new_readers_back() {
    let lock = RwLock::new(0);
    let reader = lock.read();
    let mut writer = Box::pin(lock.write_async());
    assert!(poll_once(writer.as_mut()).is_none());
    assert!(lock.try_read().is_none());
    let mut late = pin!(lock.read_async());
    assert!(poll_once(late.as_mut()).is_none());
    drop(reader);
    let guard = poll_once(writer.as_mut()).expect("its turn");
    assert!(poll_once(late.as_mut()).is_none());
    drop(guard);
    assert!(poll_once(late).is_some());
}

#[test]
fn a_writer_that_was_woken_and_has_not_run_holds_readers_back_too() {
    let lock = RwLock::new(0);
    let first = lock.write();
    let mut second = Box::pin(lock.write_async());
    assert!(poll_once(second.as_mut()).is_none());
    drop(first);
    assert!(lock.try_read().is_none());
    assert!(poll_once(second.as_mut()).is_some());
    assert!(lock.try_read().is_some());
}

#[test]
fn a_writer_that_leaves_lets_the_readers_in_first_that_wait() {
    const READERS: usize = 100;
    let lock = RwLock::new(0);
    let writer = lock.write();
    let mut next = Box::pin(lock.write_async());
    assert!(poll_once(next.as_mut()).is_none());
    let (wakes, waker) = Wakes::new();
    let mut readers: Vec<_> = (0..READERS).map(|_| Box::pin(lock.read_async())).collect();
    for reader in &mut readers {
        assert!(poll_with(reader.as_mut(), &waker).is_none());
    }
    drop(writer);
    assert_eq!(wakes.count(), READERS);
    let guards: Vec<_> = readers.iter_mut().map(|reader| poll_once(reader.as_mut()).unwrap()).collect();
    assert!(lock.try_read().is_none(), "the next writer waits");
    assert!(poll_once(next.as_mut()).is_none());
    drop(guards);
    assert!(poll_once(next.as_mut()).is_some());
}

/// They would wait for ever, and the test hang. (On real workers, of which some go on while others wait.)
#[test]
fn neither_readers_nor_writers_starve() {
    crate::setup::in_time(|| {
        for workers in [1, 2, 8] {
            runtime(workers).run(|| {
                let lock = Arc::new(RwLock::new(false));
                let busy: Vec<_> = (0..4)
                    .map(|i| {
                        let lock = lock.clone();
                        go(move || {
                            loop {
                                let ended = if i % 2 == 0 {
                                    let guard = lock.read();
                                    rendez::yield_now();
                                    *guard
                                } else {
                                    let guard = lock.write();
                                    rendez::yield_now();
                                    *guard
                                };
                                if ended {
                                    break;
                                }
                            }
                        })
                    })
                    .collect();
                for _ in 0..10 {
                    assert!(!*lock.read());
                    *lock.write() = false;
                }
                *lock.write() = true;
                busy.into_iter().for_each(|busy| busy.join().unwrap());
            });
        }
    });
}

#[test]
fn a_writer_that_gives_up_lets_those_in_whom_it_held_back() {
    let lock = RwLock::new(0);
    let reader = lock.read();
    let (wakes, waker) = Wakes::new();
    let mut writer = Box::pin(lock.write_async());
    assert!(poll_once(writer.as_mut()).is_none());
    let mut late: Vec<_> = (0..3).map(|_| Box::pin(lock.read_async())).collect();
    for late in &mut late {
        assert!(poll_with(late.as_mut(), &waker).is_none());
    }
    drop(writer);
    assert_eq!(wakes.count(), 3);
    let guards: Vec<_> = late.iter_mut().map(|late| poll_once(late.as_mut()).unwrap()).collect();
    assert!(lock.try_write().is_none());
    drop((reader, guards));
    assert!(lock.try_write().is_some());
}

#[test]
fn one_of_two_writers_gives_up_and_readers_are_still_held_back() {
    let lock = RwLock::new(0);
    let reader = lock.read();
    let mut first = Box::pin(lock.write_async());
    let mut second = Box::pin(lock.write_async());
    assert!(poll_once(first.as_mut()).is_none() && poll_once(second.as_mut()).is_none());
    drop(first);
    assert!(lock.try_read().is_none());
    drop(reader);
    assert!(poll_once(second.as_mut()).is_some());
}

#[test]
fn futures_that_are_dropped_after_they_were_let_in_leave_again() {
    let lock = RwLock::new(0);
    let writer = lock.write();
    let mut readers: Vec<_> = (0..2).map(|_| Box::pin(lock.read_async())).collect();
    readers.iter_mut().for_each(|reader| assert!(poll_once(reader.as_mut()).is_none()));
    drop(writer);
    assert!(lock.try_write().is_none(), "they have been let in");
    drop(readers);
    let reader = lock.read();
    let mut writer = Box::pin(lock.write_async());
    assert!(poll_once(writer.as_mut()).is_none());
    drop(reader);
    assert!(lock.try_read().is_none(), "it has been handed the lock");
    drop(writer);
    assert!(lock.try_read().is_some());
    let first = lock.write();
    let mut woken = Box::pin(lock.write_async());
    let mut reader = Box::pin(lock.read_async());
    assert!(poll_once(woken.as_mut()).is_none());
    drop(first);
    assert!(poll_once(reader.as_mut()).is_none(), "a writer has been woken");
    drop(woken);
    assert!(poll_once(reader.as_mut()).is_some());
    assert!(lock.try_write().is_some());
}

#[test]
fn who_tries_fails_at_once_and_who_has_a_limit_waits_so_long() {
    crate::setup::in_worlds_of_time(|clock| {
        let lock = RwLock::new(0);
        let limit = Duration::from_millis(5);
        let start = Instant::now();
        let writer = lock.write();
        assert!(lock.try_read().is_none() && lock.try_write().is_none());
        assert!(lock.read_timeout(limit).is_none() && lock.write_timeout(limit).is_none());
        assert!(lock.read_timeout(Duration::ZERO).is_none() && lock.write_timeout(Duration::ZERO).is_none());
        drop(writer);
        let reader = lock.read_timeout(Duration::ZERO).unwrap();
        assert!(lock.try_read().is_some() && lock.try_write().is_none());
        assert!(lock.write_timeout(limit).is_none());
        assert!(lock.read_event().wait_timeout(limit).is_some(), "nobody is held back any more");
        clock.has_passed(start, limit * 3);
        drop(reader);
        assert!(lock.write_timeout(Duration::MAX).is_some());
    });
}

#[test]
fn an_arm_that_loses_does_not_hold_the_lock() {
    on_one_worker(|| {
        let lock = RwLock::new(0);
        let (tx, rx) = chan::bounded(1);
        let reader = lock.read();
        go(move || tx.send(7).unwrap());
        select! {
            wait(lock.write_event()) -> _ => unreachable!("somebody reads"),
            recv(rx) -> value => assert_eq!(value, Ok(7)),
        }
        assert!(lock.try_read().is_some(), "no writer waits");
        drop(reader);
        assert!(lock.try_write().is_some());
    });
}

#[test]
fn a_panic_unlocks_and_does_not_poison() {
    crate::setup::in_every_world(|| {
        let lock = RwLock::new(1);
        for write in [false, true] {
            let panicked = catch_unwind(|| {
                let guards = if write { (None, Some(lock.write())) } else { (Some(lock.read()), None) };
                std::panic::resume_unwind(Box::new(guards.0.is_some()));
            });
            assert!(panicked.is_err());
        }
        *lock.try_write().expect("it is free") = 2;
    });
}

#[test]
fn a_shutdown_unwinds_who_waits_and_who_holds_and_the_lock_is_free() {
    for workers in [1, 2, 8] {
        for write in [false, true] {
            let lock = Arc::new(RwLock::new(()));
            let (drops, waiting) = (Drops::default(), Arc::new(AtomicUsize::new(0)));
            let runtime = runtime(workers);
            let (held, holds) = chan::bounded(1);
            runtime.spawn({
                let (lock, token) = (lock.clone(), drops.token());
                move || {
                    let _token = token;
                    let _guards = if write { (None, Some(lock.write())) } else { (Some(lock.read()), None) };
                    held.send(()).unwrap();
                    let _ = chan::never::<()>().recv();
                }
            });
            holds.recv().unwrap();
            for i in 0..10 {
                let (lock, token, waiting) = (lock.clone(), drops.token(), waiting.clone());
                runtime.spawn(move || {
                    let _token = token;
                    waiting.fetch_add(1, Ordering::SeqCst);
                    match i % 2 {
                        0 => drop(lock.write()),
                        _ => drop(lock.read()),
                    }
                });
            }
            wait_until(|| waiting.load(Ordering::SeqCst) == 10);
            runtime.shutdown();
            assert_eq!(drops.count(), 11);
            assert!(lock.try_write().is_some());
        }
    }
}

#[test]
fn guards_may_go_to_another_thread_and_end_there() {
    static LOCK: RwLock<i32> = RwLock::new(0);
    let mut guard = LOCK.write();
    thread::spawn(move || *guard = 1).join().unwrap();
    let guard = LOCK.read();
    thread::spawn(move || assert_eq!(*guard, 1)).join().unwrap();
    assert!(LOCK.try_write().is_some());
}

#[test]
fn it_describes_itself() {
    static LOCK: RwLock<i32> = RwLock::new(3);
    let reader = LOCK.read();
    assert_eq!(format!("{LOCK:?} {reader:?} {reader}"), "RwLock { data: 3 } 3 3");
    drop(reader);
    let writer = LOCK.write();
    assert_eq!(format!("{LOCK:?} {writer:?} {writer}"), "RwLock { data: <locked> } 3 3");
    let mut other = RwLock::from(5);
    *other.get_mut() += RwLock::<i32>::default().into_inner();
    assert_eq!(other.into_inner(), 5);
    let unsized_one: &RwLock<[u8]> = &RwLock::new([1, 2]);
    assert_eq!(unsized_one.read().len(), 2);
}
