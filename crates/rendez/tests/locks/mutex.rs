//! `Mutex`: Go's rules, from every world.

use crate::{
    setup::{Drops, runtime, wait_until},
    worlds::{Wakes, in_every_world, on_one_worker, poll_once, poll_with, until},
};
use rendez::{
    Event, chan, go, go_async, select,
    sync::{Mutex, MutexGuard},
    time::Instant,
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

/// Longer than anybody waits before the mutex is handed on in order. More does no harm, so it is real time.
const LONG: Duration = Duration::from_millis(3);
const ROLES: usize = 8;

/// A number that two who change it at once get wrong.
#[derive(Default)]
struct Number(AtomicUsize, AtomicBool);

impl Number {
    fn add_one(&self) {
        assert!(!self.1.swap(true, Ordering::Relaxed), "two at once");
        self.0.store(self.0.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        assert!(self.1.swap(false, Ordering::Relaxed));
    }
}

#[test]
fn one_at_a_time_holds_it() {
    const ROUNDS: usize = 300;
    in_every_world(|crew| {
        let mutex = Arc::new(Mutex::new(Number::default()));
        let roles: Vec<_> = (0..ROLES)
            .map(|_| {
                let mutex = mutex.clone();
                crew.start(move |ops| async move {
                    for _ in 0..ROUNDS {
                        ops.lock(&mutex).await.add_one();
                    }
                })
            })
            .collect();
        roles.into_iter().for_each(|role| role.join());
        assert_eq!(mutex.lock().0.load(Ordering::Relaxed), ROLES * ROUNDS);
    });
}

#[test]
fn it_is_held_across_parks_and_awaits() {
    const ROUNDS: usize = 30;
    in_every_world(|crew| {
        let mutex = Arc::new(Mutex::new(0));
        let roles: Vec<_> = (0..ROLES)
            .map(|_| {
                let mutex = mutex.clone();
                crew.start(move |ops| async move {
                    for _ in 0..ROUNDS {
                        let mut guard = ops.lock(&mutex).await;
                        let before = *guard;
                        ops.pause().await;
                        *guard = before + 1;
                    }
                })
            })
            .collect();
        roles.into_iter().for_each(|role| role.join());
        assert_eq!(*mutex.lock(), ROLES * ROUNDS);
    });
}

#[test]
fn every_way_of_locking_keeps_the_others_out() {
    const ROUNDS: usize = 60;
    in_every_world(|crew| {
        let mutex = Arc::new(Mutex::new(Number::default()));
        let (_never, silence) = chan::bounded::<()>(0);
        let roles: Vec<_> = (0..ROLES)
            .map(|role| {
                let (mutex, silence) = (mutex.clone(), silence.clone());
                crew.start(move |ops| async move {
                    for round in 0..ROUNDS {
                        let guard = loop {
                            let guard = match (role + round) % 5 {
                                0 => Some(ops.lock(&mutex).await),
                                1 => mutex.try_lock(),
                                2 => mutex.lock_timeout(Duration::from_micros(50)),
                                3 => Some(ops.event(mutex.lock_event()).await),
                                _ => select! {
                                    wait(mutex.lock_event()) -> guard => Some(guard),
                                    recv(silence) -> _ => unreachable!(),
                                    default(Duration::from_micros(50)) => None,
                                },
                            };
                            match guard {
                                Some(guard) => break guard,
                                None => ops.pause().await,
                            }
                        };
                        guard.add_one();
                        drop(guard);
                    }
                })
            })
            .collect();
        roles.into_iter().for_each(|role| role.join());
        assert_eq!(mutex.try_lock().expect("it is free").0.load(Ordering::Relaxed), ROLES * ROUNDS);
    });
}

#[test]
fn who_tries_a_mutex_that_is_held_fails_at_once_and_who_has_a_limit_waits_so_long() {
    crate::setup::in_worlds_of_time(|clock| {
        let mutex = Mutex::new(1);
        let guard = mutex.try_lock().unwrap();
        assert!(mutex.try_lock().is_none());
        assert!(mutex.lock_timeout(Duration::ZERO).is_none());
        let start = Instant::now();
        assert!(mutex.lock_timeout(Duration::from_millis(5)).is_none());
        assert!(mutex.lock_event().wait_timeout(Duration::from_millis(5)).is_none());
        clock.has_passed(start, Duration::from_millis(10));
        drop(guard);
        assert_eq!(mutex.lock_timeout(Duration::ZERO).map(|guard| *guard), Some(1));
        assert_eq!(mutex.lock_timeout(Duration::MAX).map(|guard| *guard), Some(1));
    });
}

#[test]
fn who_is_running_goes_before_those_who_are_being_woken() {
    on_one_worker(|| {
        let mutex = Arc::new(Mutex::new(0));
        let guard = mutex.lock();
        let waits = start({
            let mutex = mutex.clone();
            move || *mutex.lock() += 1
        });
        drop(guard);
        assert!(mutex.try_lock().is_some(), "it has been woken, and has not run");
        waits.join().unwrap();
    });
}

/// Starts a goroutine of this, the only, worker, and returns when it parks, or has ended.
fn start(f: impl FnOnce() + Send + 'static) -> rendez::JoinHandle<()> {
    let runs = Arc::new(AtomicBool::new(false));
    let handle = go({
        let runs = runs.clone();
        move || {
            runs.store(true, Ordering::Relaxed);
            f();
        }
    });
    until(|| runs.load(Ordering::Relaxed));
    handle
}

/// A goroutine that has waited for long and lost again: from then on the mutex is handed on.
fn starve(mutex: &Arc<Mutex<Vec<u32>>>) -> rendez::JoinHandle<()> {
    let guard = mutex.lock();
    let waits = start({
        let mutex = mutex.clone();
        move || mutex.lock().push(1)
    });
    thread::sleep(LONG);
    drop(guard);
    // It has been woken; when it runs, it finds the mutex locked.
    let guard = mutex.lock();
    rendez::yield_now();
    drop(guard);
    waits
}

#[test]
fn a_waiter_that_has_waited_a_millisecond_is_handed_the_mutex() {
    on_one_worker(|| {
        let mutex = Arc::new(Mutex::new(vec![]));
        let waits = starve(&mutex);
        assert!(mutex.try_lock().is_none(), "it has been handed to who waits, who has not run");
        mutex.lock().push(2);
        waits.join().unwrap();
        assert_eq!(*mutex.lock(), [1, 2]);
    });
}

#[test]
fn a_starving_mutex_is_handed_on_in_order_until_somebody_has_waited_for_less() {
    on_one_worker(|| {
        let mutex = Arc::new(Mutex::new(vec![]));
        let starved = starve(&mutex);
        let others: Vec<_> = (2..5)
            .map(|number| {
                let mutex = mutex.clone();
                start(move || mutex.lock().push(number))
            })
            .collect();
        starved.join().unwrap();
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!(*mutex.lock(), [1, 2, 3, 4]);
        assert!(mutex.try_lock().is_some(), "nobody is left, so nobody starves");
    });
}

#[test]
fn waiters_get_it_in_the_order_in_which_they_came() {
    on_one_worker(|| {
        let mutex = Arc::new(Mutex::new(vec![]));
        let guard = mutex.lock();
        let waiters: Vec<_> = (0..10)
            .map(|number| {
                let mutex = mutex.clone();
                if number % 2 == 0 {
                    return start(move || mutex.lock().push(number));
                }
                let runs = Arc::new(AtomicBool::new(false));
                let handle = go_async({
                    let runs = runs.clone();
                    async move {
                        runs.store(true, Ordering::Relaxed);
                        mutex.lock_async().await.push(number);
                    }
                });
                until(|| runs.load(Ordering::Relaxed));
                handle
            })
            .collect();
        drop(guard);
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
        assert_eq!(*mutex.lock(), Vec::from_iter(0..10));
    });
}

/// It would starve, and the test hang. (By the machine's clock: the virtual one stands while the holder yields.)
#[test]
fn a_holder_that_yields_in_a_loop_lets_a_waiter_in() {
    crate::setup::in_time(|| {
        for workers in [1, 2, 8] {
            runtime(workers).run(|| {
                let mutex = Arc::new(Mutex::new(false));
                let greedy = go({
                    let mutex = mutex.clone();
                    move || {
                        loop {
                            let guard = mutex.lock();
                            if *guard {
                                break;
                            }
                            rendez::yield_now();
                        }
                    }
                });
                for round in 0..20 {
                    *mutex.lock() = round == 19;
                    rendez::yield_now();
                }
                greedy.join().unwrap();
            });
        }
    });
}

#[test]
fn a_panic_unlocks_and_does_not_poison() {
    crate::setup::in_every_world(|| {
        let mutex = Mutex::new(1);
        let panicked = catch_unwind(|| {
            let mut guard = mutex.lock();
            *guard = 2;
            std::panic::resume_unwind(Box::new(()));
        });
        assert!(panicked.is_err());
        assert_eq!(*mutex.lock(), 2);
    });
}

#[test]
fn an_arm_that_loses_does_not_hold_the_mutex() {
    crate::setup::in_every_world(|| {
        let mutex = Arc::new(Mutex::new(0));
        let (tx, rx) = chan::bounded(1);
        for round in 0..100 {
            let guard = mutex.lock();
            let sender = go({
                let tx = tx.clone();
                move || tx.send(7).unwrap()
            });
            let received = select! {
                wait(mutex.lock_event()) -> _ => unreachable!("it is held"),
                recv(rx) -> value => value,
            };
            assert_eq!(received, Ok(7), "{round}");
            sender.join().unwrap();
            drop(guard);
            assert!(mutex.try_lock().is_some());
        }
    });
}

#[test]
fn a_select_between_two_mutexes_holds_one_of_them() {
    in_every_world(|crew| {
        let mutexes = Arc::new([Mutex::new(0), Mutex::new(0)]);
        let roles: Vec<_> = (0..4)
            .map(|_| {
                let mutexes = mutexes.clone();
                crew.start(move |ops| async move {
                    for _ in 0..50 {
                        let events = mutexes.iter().map(Mutex::lock_event);
                        *ops.event(rendez::choose(events)).await += 1;
                        ops.pause().await;
                    }
                })
            })
            .collect();
        roles.into_iter().for_each(|role| role.join());
        assert_eq!(*mutexes[0].try_lock().unwrap() + *mutexes[1].try_lock().unwrap(), 200);
    });
}

#[test]
fn a_mutex_may_stand_in_several_arms() {
    on_one_worker(|| {
        let mutex = Arc::new(Mutex::new(0));
        let guard = mutex.lock();
        let selects = start({
            let mutex = mutex.clone();
            move || {
                select! {
                    wait(mutex.lock_event()) -> mut guard => *guard += 1,
                    wait(mutex.lock_event()) -> mut guard => *guard += 1,
                }
            }
        });
        drop(guard);
        selects.join().unwrap();
        assert_eq!(*mutex.try_lock().unwrap(), 1);
    });
}

#[test]
fn a_future_that_is_dropped_while_it_waits_leaves_the_queue() {
    let mutex = Mutex::new(0);
    let guard = mutex.lock();
    let mut first = Box::pin(mutex.lock_async());
    let mut second = Box::pin(mutex.lock_async());
    assert!(poll_once(first.as_mut()).is_none() && poll_once(second.as_mut()).is_none());
    drop(first);
    drop(guard);
    assert!(poll_once(second.as_mut()).is_some());
    assert!(mutex.try_lock().is_some());
}

#[test]
fn a_future_that_is_dropped_after_it_was_woken_wakes_the_next() {
    let mutex = Mutex::new(0);
    let guard = mutex.lock();
    let (first_wakes, first_waker) = Wakes::new();
    let (second_wakes, second_waker) = Wakes::new();
    let mut first = Box::pin(mutex.lock_async());
    let mut second = Box::pin(mutex.lock_async());
    assert!(poll_with(first.as_mut(), &first_waker).is_none());
    assert!(poll_with(second.as_mut(), &second_waker).is_none());
    drop(guard);
    assert_eq!((first_wakes.count(), second_wakes.count()), (1, 0));
    drop(first);
    assert_eq!(second_wakes.count(), 1);
    assert!(poll_once(second.as_mut()).is_some());
    assert!(mutex.try_lock().is_some());
}

#[test]
fn a_future_that_is_dropped_after_the_mutex_was_handed_to_it_passes_it_on() {
    let mutex = Mutex::new(0);
    let mut first = Box::pin(mutex.lock_async());
    let mut second = Box::pin(mutex.lock_async());
    let (wakes, waker) = Wakes::new();
    let guard = mutex.lock();
    assert!(poll_once(first.as_mut()).is_none());
    thread::sleep(LONG);
    drop(guard);
    let guard = mutex.lock();
    assert!(poll_once(first.as_mut()).is_none(), "somebody was faster");
    assert!(poll_with(second.as_mut(), &waker).is_none());
    drop(guard);
    assert!(mutex.try_lock().is_none(), "it is the first one's");
    drop(first);
    assert_eq!(wakes.count(), 1);
    assert!(poll_once(second.as_mut()).is_some());
    assert!(mutex.try_lock().is_some());
}

#[test]
fn the_latest_waker_is_the_one_that_is_called() {
    let mutex = Mutex::new(0);
    let guard = mutex.lock();
    let (first, first_waker) = Wakes::new();
    let (second, second_waker) = Wakes::new();
    let mut lock = pin!(mutex.lock_async());
    assert!(poll_with(lock.as_mut(), &first_waker).is_none());
    assert!(poll_with(lock.as_mut(), &second_waker).is_none());
    drop(guard);
    assert_eq!((first.count(), second.count()), (0, 1));
    assert!(poll_once(lock.as_mut()).is_some());
    assert!(
        catch_unwind(AssertUnwindSafe(|| poll_once(lock.as_mut()))).is_err(),
        "polled after it was ready"
    );
}

#[test]
fn futures_that_are_dropped_while_the_mutex_goes_round_lose_nothing() {
    in_every_world(|crew| {
        let mutex = Arc::new(Mutex::new(0));
        let roles: Vec<_> = (0..ROLES)
            .map(|role| {
                let mutex = mutex.clone();
                crew.start(move |ops| async move {
                    for _ in 0..100 {
                        if role % 2 == 0 {
                            *ops.lock(&mutex).await += 1;
                        } else {
                            let mut gone = Box::pin(mutex.lock_async());
                            drop(poll_once(gone.as_mut()));
                            ops.pause().await;
                        }
                    }
                })
            })
            .collect();
        roles.into_iter().for_each(|role| role.join());
        assert_eq!(*mutex.try_lock().expect("it is free"), 100 * ROLES / 2);
    });
}

#[test]
fn a_shutdown_unwinds_who_waits_and_who_holds_and_the_mutex_is_free() {
    for workers in [1, 2, 8] {
        let mutex = Arc::new(Mutex::new(()));
        let drops = Drops::default();
        let waiting = Arc::new(AtomicUsize::new(0));
        let runtime = runtime(workers);
        let (held, holds) = chan::bounded(1);
        runtime.spawn({
            let (mutex, token) = (mutex.clone(), drops.token());
            move || {
                let _token = token;
                let _guard = mutex.lock();
                held.send(()).unwrap();
                let _ = chan::never::<()>().recv();
            }
        });
        holds.recv().unwrap();
        for i in 0..10 {
            let (mutex, token, waiting) = (mutex.clone(), drops.token(), waiting.clone());
            runtime.spawn(move || {
                let _token = token;
                waiting.fetch_add(1, Ordering::SeqCst);
                if i % 2 == 0 {
                    let _ = mutex.lock();
                } else {
                    go_async(async move { drop(mutex.lock_async().await) });
                }
            });
        }
        wait_until(|| waiting.load(Ordering::SeqCst) == 10);
        runtime.shutdown();
        assert_eq!(drops.count(), 11);
        assert!(mutex.try_lock().is_some());
    }
}

#[test]
fn a_destructor_that_runs_because_of_a_shutdown_may_lock() {
    struct Counts(Arc<Mutex<usize>>);
    impl Drop for Counts {
        fn drop(&mut self) {
            let mut guard = self.0.lock();
            rendez::yield_now();
            *guard += 1;
        }
    }
    for workers in [1, 2] {
        let count = Arc::new(Mutex::new(0));
        let runtime = runtime(workers);
        let (ready, here) = chan::unbounded();
        for _ in 0..10 {
            let (counts, ready) = (Counts(count.clone()), ready.clone());
            runtime.spawn(move || {
                let _counts = counts;
                ready.send(()).unwrap();
                let _ = chan::never::<()>().recv();
            });
        }
        (0..10).for_each(|_| here.recv().unwrap());
        runtime.shutdown();
        assert_eq!(*count.try_lock().expect("it is free"), 10);
    }
}

#[test]
fn a_guard_may_go_to_another_thread_and_end_there() {
    static MUTEX: Mutex<i32> = Mutex::new(0);
    let mut guard = MUTEX.lock();
    thread::spawn(move || *guard = 1).join().unwrap();
    assert_eq!(*MUTEX.try_lock().unwrap(), 1);
}

#[test]
fn the_value_is_dropped_once() {
    let drops = Drops::default();
    drop(Mutex::new(drops.token()));
    assert_eq!(drops.count(), 1);
    let token = Mutex::new(drops.token()).into_inner();
    assert_eq!(drops.count(), 1);
    drop(token);
    assert_eq!(drops.count(), 2);
}

#[test]
fn a_mutex_of_what_has_no_size() {
    let mutex: Arc<Mutex<[i32]>> = Arc::new(Mutex::new([1, 2, 3]));
    mutex.lock()[0] = 7;
    assert_eq!(mutex.lock_event().wait()[..], [7, 2, 3]);
}

#[test]
fn an_operation_that_was_not_chosen_yields_no_guard() {
    use rendez::select::Operation;
    let mutex = Mutex::new(0);
    let _guard = mutex.lock();
    let mut operation = mutex.lock_event().operation();
    assert!(catch_unwind(AssertUnwindSafe(|| drop(operation.finish()))).is_err());
}

#[test]
fn an_operation_that_is_chosen_and_dropped_unlocks() {
    use rendez::select::Arm;
    let mutex = Mutex::new(0);
    let mut operation = mutex.lock_event().operation();
    assert!(operation.attempt() && operation.attempt());
    assert!(!mutex.lock_event().operation().attempt());
    operation.undo();
    operation.undo();
    assert!(operation.attempt() && operation.conclude(0));
    drop(operation);
    assert!(mutex.try_lock().is_some());
}

#[test]
fn it_describes_itself() {
    static MUTEX: Mutex<i32> = Mutex::new(3);
    assert_eq!(format!("{MUTEX:?}"), "Mutex { data: 3 }");
    let guard: MutexGuard<'_, i32> = MUTEX.lock();
    assert_eq!(format!("{MUTEX:?} {guard:?} {guard}"), "Mutex { data: <locked> } 3 3");
    let mut other = Mutex::from(5);
    *other.get_mut() += Mutex::<i32>::default().into_inner();
    assert_eq!(other.into_inner(), 5);
}
