//! `SingleFlight`: one call for each key at a time, whose end all who came meanwhile share.
#![cfg(not(loom))]

use crate::worlds::{Crew, Ops, Role, in_every_world, on_one_worker, poll_once, until};
use rendez::{Runtime, block_on, chan, go, sync::SingleFlight};
use std::{
    future::{pending, ready},
    hash::{Hash, Hasher},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

type Flights = Arc<SingleFlight<&'static str, u32>>;

fn panic_of<R>(f: impl FnOnce() -> R) -> String {
    let payload = catch_unwind(AssertUnwindSafe(|| drop(f()))).expect_err("it should have panicked");
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload.downcast_ref::<&str>().expect("a text").to_string(),
    }
}

/// Starts a call whose function waits for a message before it does `end`, and returns when it runs.
fn leader<R: Send + 'static>(
    crew: &Crew,
    flights: &Flights,
    key: &'static str,
    end: impl FnOnce() -> u32 + Send + 'static,
    then: impl FnOnce(Result<u32, String>) -> R + Send + 'static,
) -> (Role<R>, chan::Sender<()>) {
    let (release, is_released) = chan::bounded::<()>(1);
    let (called, is_called) = chan::bounded(1);
    let flights = flights.clone();
    let role = crew.start(move |ops| async move {
        if ops.awaits() {
            let flight = flights.run_async(key, async move {
                called.send_async(()).await.unwrap();
                is_released.recv_async().await.unwrap();
                end()
            });
            return then(Ok(flight.await));
        }
        let run = || {
            flights.run(key, || {
                called.send(()).unwrap();
                is_released.recv().unwrap();
                end()
            })
        };
        let mut value = None;
        match catch_unwind(AssertUnwindSafe(|| value = Some(run()))) {
            Ok(()) => then(Ok(value.unwrap())),
            Err(payload) => then(Err(payload.downcast_ref::<&str>().unwrap().to_string())),
        }
    });
    is_called.recv().unwrap();
    (role, release)
}

async fn call(ops: Ops, flights: &Flights, key: &'static str, value: u32) -> u32 {
    match ops.awaits() {
        true => flights.run_async(key, ready(value)).await,
        false => flights.run(key, || value),
    }
}

#[test]
fn all_who_come_meanwhile_share_one_call() {
    in_every_world(|crew| {
        let flights = Flights::default();
        let (first, release) = leader(crew, &flights, "key", || 7, |value| value);
        // These have come, for certain: they have been polled.
        let mut polled: Vec<_> = (0..50).map(|_| Box::pin(flights.run_async("key", pending()))).collect();
        for future in &mut polled {
            assert_eq!(poll_once(future.as_mut()), None);
        }
        let others: Vec<_> = (0..8)
            .map(|_| {
                let flights = flights.clone();
                crew.start(move |ops| async move { call(ops, &flights, "key", 8).await })
            })
            .collect();
        release.send(()).unwrap();
        assert_eq!(first.join(), Ok(7));
        for future in &mut polled {
            assert_eq!(poll_once(future.as_mut()), Some(7));
        }
        // These came in time, or started a flight of their own.
        others.into_iter().for_each(|other| assert!([7, 8].contains(&other.join())));
        assert_eq!(format!("{flights:?}"), "SingleFlight { keys: 0, .. }");
    });
}

#[test]
fn goroutines_of_one_worker_share_one_call() {
    on_one_worker(|| {
        let flights = Flights::default();
        let (count, come) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (release, is_released) = chan::bounded::<()>(0);
        let callers: Vec<_> = (0..10)
            .map(|_| {
                let (flights, count, come) = (flights.clone(), count.clone(), come.clone());
                let is_released = is_released.clone();
                go(move || {
                    come.fetch_add(1, Ordering::Relaxed);
                    flights.run("key", || {
                        is_released.recv().unwrap();
                        count.fetch_add(1, Ordering::Relaxed);
                        5
                    })
                })
            })
            .collect();
        until(|| come.load(Ordering::Relaxed) == 10);
        release.send(()).unwrap();
        callers.into_iter().for_each(|caller| assert_eq!(caller.join().unwrap(), 5));
        assert_eq!(count.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn other_keys_do_not_wait() {
    in_every_world(|crew| {
        let flights = Flights::default();
        let (slow, release) = leader(crew, &flights, "slow", || 1, |value| value);
        let quick = crew.start({
            let flights = flights.clone();
            move |ops| async move { call(ops, &flights, "quick", 2).await }
        });
        assert_eq!(quick.join(), 2);
        release.send(()).unwrap();
        assert_eq!(slow.join(), Ok(1));
    });
}

#[test]
fn a_key_is_forgotten_when_its_call_has_ended() {
    in_every_world(|crew| {
        crew.start(|ops| async move {
            let flights = Flights::default();
            for i in 0..100 {
                assert_eq!(call(ops, &flights, "key", i).await, i);
            }
        })
        .join();
    });
}

#[test]
fn no_two_calls_with_one_key_run_at_once() {
    in_every_world(|crew| {
        let flights = Flights::default();
        let running = Arc::new(AtomicUsize::new(0));
        let callers: Vec<_> = (0..8)
            .map(|_| {
                let (flights, running) = (flights.clone(), running.clone());
                crew.start(move |ops| async move {
                    for _ in 0..50 {
                        let running = running.clone();
                        let begin = || assert_eq!(running.fetch_add(1, Ordering::SeqCst), 0);
                        let end = || assert_eq!(running.fetch_sub(1, Ordering::SeqCst), 1);
                        if ops.awaits() {
                            let flight = async {
                                begin();
                                ops.pause().await;
                                end();
                                1
                            };
                            flights.run_async("key", flight).await;
                        } else {
                            let flight = || {
                                begin();
                                rendez::yield_now();
                                end();
                                1
                            };
                            flights.run("key", flight);
                        }
                    }
                })
            })
            .collect();
        callers.into_iter().for_each(|caller| caller.join());
    });
}

#[test]
fn a_panic_goes_to_all_with_its_text() {
    in_every_world(|crew| {
        let flights = Flights::default();
        let (release, is_released) = chan::bounded::<()>(1);
        let (called, is_called) = chan::bounded(1);
        let first = crew.start({
            let flights = flights.clone();
            move |ops| async move {
                let flight = async {
                    called.send(()).unwrap();
                    is_released.recv().unwrap();
                    resume_unwind(Box::new("the flight crashed"))
                };
                let mut async_flight = Box::pin(flights.run_async("key", flight));
                match ops.awaits() {
                    // Ready at its first poll, or panicking in it.
                    true => panic_of(|| poll_once(async_flight.as_mut())),
                    false => panic_of(|| block_on(async_flight)),
                }
            }
        });
        is_called.recv().unwrap();
        let mut polled = Box::pin(flights.run_async("key", pending()));
        assert_eq!(poll_once(polled.as_mut()), None);
        release.send(()).unwrap();
        assert_eq!(first.join(), "the flight crashed");
        assert_eq!(panic_of(|| poll_once(polled.as_mut())), "the flight crashed");
        assert_eq!(flights.run("key", || 1), 1);
    });
}

#[test]
fn a_panic_goes_to_goroutines_that_are_parked_for_it() {
    on_one_worker(|| {
        let flights = Flights::default();
        let (release, is_released) = chan::bounded::<()>(0);
        let come = Arc::new(AtomicUsize::new(0));
        let callers: Vec<_> = (0..5)
            .map(|_| {
                let (flights, is_released, come) = (flights.clone(), is_released.clone(), come.clone());
                go(move || {
                    come.fetch_add(1, Ordering::Relaxed);
                    panic_of(|| {
                        flights.run("key", || {
                            is_released.recv().unwrap();
                            panic!("flight {}", 7)
                        })
                    })
                })
            })
            .collect();
        until(|| come.load(Ordering::Relaxed) == 5);
        release.send(()).unwrap();
        callers.into_iter().for_each(|caller| assert_eq!(caller.join().unwrap(), "flight 7"));
    });
}

#[test]
fn a_forgotten_key_starts_a_new_call_beside_the_old_one() {
    in_every_world(|crew| {
        let flights = Flights::default();
        let (first, release) = leader(crew, &flights, "key", || 1, |value| value);
        let mut waits = pin!(flights.run_async("key", pending()));
        assert_eq!(poll_once(waits.as_mut()), None);
        flights.forget(&"another");
        let mut waits_too = pin!(flights.run_async("key", pending()));
        assert_eq!(poll_once(waits_too.as_mut()), None);
        flights.forget(&"key");
        let (second, release_second) = leader(crew, &flights, "key", || 2, |value| value);
        release.send(()).unwrap();
        assert_eq!(first.join(), Ok(1));
        assert_eq!(poll_once(waits), Some(1));
        assert_eq!(poll_once(waits_too), Some(1));
        // The end of the first has not forgotten the second.
        let mut waits = pin!(flights.run_async("key", pending()));
        assert_eq!(poll_once(waits.as_mut()), None);
        release_second.send(()).unwrap();
        assert_eq!(second.join(), Ok(2));
        assert_eq!(poll_once(waits), Some(2));
    });
}

#[test]
fn a_call_from_within_with_its_own_key_panics_and_with_another_does_not() {
    in_every_world(|crew| {
        crew.start(|_| async {
            let flights = Flights::default();
            let text = panic_of(|| flights.run("key", || flights.run("key", || 1)));
            assert!(text.contains("would wait for itself"), "{text}");
            assert_eq!(flights.run("key", || flights.run("other", || 1)), 1);
        })
        .join();
    });
}

/// All have one hash.
#[derive(Clone, PartialEq, Eq)]
struct Clashing(u32);

impl Hash for Clashing {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

#[test]
fn keys_with_one_hash_are_told_apart() {
    let flights = SingleFlight::new();
    let mut futures: Vec<_> = (0..10)
        .map(|i| {
            let (tx, rx) = chan::bounded(1);
            let future =
                Box::pin(flights.run_async(Clashing(i), async move { rx.recv_async().await.unwrap() }));
            (tx, future)
        })
        .collect();
    for (_, future) in &mut futures {
        assert_eq!(poll_once(future.as_mut()), None);
    }
    let mut followers: Vec<_> =
        (0..10).map(|i| Box::pin(flights.run_async(Clashing(i), pending::<u32>()))).collect();
    for future in &mut followers {
        assert_eq!(poll_once(future.as_mut()), None);
    }
    for (i, (tx, future)) in futures.iter_mut().enumerate() {
        tx.send(i as u32 * 11).unwrap();
        assert_eq!(poll_once(future.as_mut()), Some(i as u32 * 11));
        assert_eq!(poll_once(followers[i].as_mut()), Some(i as u32 * 11));
    }
    assert_eq!(format!("{flights:?}"), "SingleFlight { keys: 0, .. }");
}

#[test]
fn keys_may_park_panic_and_call_again_while_they_are_compared() {
    struct Odd(u32, Arc<SingleFlight<Odd, u32>>);
    impl PartialEq for Odd {
        fn eq(&self, other: &Odd) -> bool {
            rendez::yield_now();
            self.1.forget(&Odd(100, Arc::default()));
            assert!(self.0 != 13 && other.0 != 13, "an unlucky key");
            self.0 == other.0
        }
    }
    impl Eq for Odd {}
    impl Hash for Odd {
        fn hash<H: Hasher>(&self, state: &mut H) {
            (self.0 / 10).hash(state);
        }
    }
    let flights: Arc<SingleFlight<Odd, u32>> = Arc::default();
    let key = |number| Odd(number, flights.clone());
    {
        let mut first = Box::pin(flights.run_async(key(10), pending()));
        assert_eq!(poll_once(first.as_mut()), None);
        assert!(panic_of(|| flights.run(key(13), || 1)).contains("unlucky"));
        assert_eq!(flights.run(key(11), || 2), 2);
        assert_eq!(flights.run(key(20), || 3), 3);
    }
    assert_eq!(flights.run(key(13), || 4), 4);
    assert_eq!(format!("{flights:?}"), "SingleFlight { keys: 0, .. }");
}

#[test]
fn when_a_leading_future_is_dropped_one_that_waits_begins_anew() {
    in_every_world(|crew| {
        let flights = Flights::default();
        let mut gone = Box::pin(flights.run_async("key", pending()));
        assert_eq!(poll_once(gone.as_mut()), None);
        let mut polled: Vec<_> = (0..5).map(|i| Box::pin(flights.run_async("key", ready(i)))).collect();
        for future in &mut polled {
            assert_eq!(poll_once(future.as_mut()), None);
        }
        let caller = crew.start({
            let flights = flights.clone();
            move |ops| async move { call(ops, &flights, "key", 9).await }
        });
        // A follower that is dropped is missed by nobody.
        drop(polled.remove(2));
        drop(gone);
        let values: Vec<_> = polled.iter_mut().map(|future| block_on(future.as_mut())).collect();
        assert!(values.iter().all(|value| [0, 1, 3, 4, 9].contains(value)), "{values:?}");
        assert!([0, 1, 3, 4, 9].contains(&caller.join()));
    });
}

#[test]
fn when_a_shutdown_unwinds_the_leader_one_that_waits_runs_its_own() {
    let flights = Flights::default();
    let runtime = Runtime::builder().workers(1).build().unwrap();
    runtime.run(|| {
        let called = Arc::new(AtomicBool::new(false));
        go({
            let (flights, called) = (flights.clone(), called.clone());
            move || {
                flights.run("key", || {
                    called.store(true, Ordering::Relaxed);
                    let _ = chan::never::<()>().recv();
                    1
                })
            }
        });
        until(|| called.load(Ordering::Relaxed));
        // A parked follower of the same runtime is unwound itself.
        go({
            let flights = flights.clone();
            move || flights.run("key", || 2)
        });
        rendez::yield_now();
    });
    let mut waits = pin!(flights.run_async("key", ready(3)));
    assert_eq!(poll_once(waits.as_mut()), None);
    runtime.shutdown();
    assert_eq!(poll_once(waits), Some(3));
}

/// Counts its clones and drops.
struct Counted(Arc<[AtomicUsize; 2]>);

impl Clone for Counted {
    fn clone(&self) -> Counted {
        self.0[0].fetch_add(1, Ordering::Relaxed);
        Counted(self.0.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0[1].fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_value_is_cloned_only_for_others_and_every_clone_is_dropped() {
    let counts: Arc<[AtomicUsize; 2]> = Arc::default();
    let count = || (counts[0].load(Ordering::Relaxed), counts[1].load(Ordering::Relaxed));
    let flights = SingleFlight::new();
    drop(flights.run(1, || Counted(counts.clone())));
    assert_eq!(count(), (0, 1));
    let (tx, rx) = chan::bounded::<()>(1);
    let mut first = Box::pin(flights.run_async(1, async {
        rx.recv_async().await.unwrap();
        Counted(counts.clone())
    }));
    assert!(poll_once(first.as_mut()).is_none());
    let mut others: Vec<_> = (0..3).map(|_| Box::pin(flights.run_async(1, pending()))).collect();
    assert!(others.iter_mut().all(|other| poll_once(other.as_mut()).is_none()));
    tx.send(()).unwrap();
    assert!(poll_once(first.as_mut()).is_some());
    assert!(others.iter_mut().all(|other| poll_once(other.as_mut()).is_some()));
    drop((first, others));
    // One for the landing and one each.
    assert_eq!(count(), (4, 6));
}
