//! Pool and SingleFlight.

use crate::{Inside, explore};
use rendez::{
    go, scope,
    sync::{Pool, SingleFlight},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

#[test]
fn an_object_of_a_pool_is_one_users_at_a_time() {
    explore(1, || {
        let made = Arc::new(AtomicUsize::new(0));
        let pool = Pool::new({
            let made = made.clone();
            move || {
                made.fetch_add(1, Relaxed);
                Inside::default()
            }
        });
        scope(|s| {
            for _ in 0..2 {
                s.go(|| {
                    for _ in 0..2 {
                        let object = pool.get();
                        object.stay(1);
                    }
                });
            }
            s.go(|| {
                let taken = pool.get().take();
                taken.stay(1);
                pool.put(taken);
                pool.age();
            });
        });
        let made = made.load(Relaxed);
        assert!((1..=5).contains(&made) && pool.idle() <= made);
    });
}

#[test]
fn calls_with_one_key_share_a_flight_that_was_under_way() {
    explore(2, || {
        let flights = SingleFlight::<&str, usize>::new();
        let (inside, begun, landed) = (Inside::default(), AtomicUsize::new(0), AtomicUsize::new(0));
        scope(|s| {
            for _ in 0..3 {
                s.go(|| {
                    let landed_before = landed.load(Relaxed);
                    let flight = flights.run("key", || {
                        let number = begun.fetch_add(1, Relaxed) + 1;
                        inside.stay(1);
                        number
                    });
                    assert!(flight > landed_before, "of a flight that had landed before");
                    landed.fetch_max(flight, Relaxed);
                });
            }
            s.go(|| assert_eq!(flights.run("other", || 0), 0));
        });
        assert_eq!(begun.load(Relaxed), landed.load(Relaxed));
    });
    explore(2, || {
        // A panic is all its passengers', and the next call flies again.
        let flights = Arc::new(SingleFlight::<u32, u32>::new());
        let calls = Arc::new(AtomicUsize::new(0));
        let all = [0, 1].map(|_| {
            let (flights, calls) = (flights.clone(), calls.clone());
            go(move || {
                let call = || {
                    flights.run(1, || match calls.fetch_add(1, Relaxed) {
                        0 => {
                            rendez::yield_now();
                            panic!("the first");
                        }
                        _ => 2,
                    })
                };
                catch_unwind(AssertUnwindSafe(call)).ok()
            })
        });
        let results = all.map(|one| one.join().unwrap());
        match calls.load(Relaxed) {
            1 => assert_eq!(results, [None, None]),
            2 => assert!(results.contains(&None) && results.contains(&Some(2))),
            calls => panic!("{calls} calls"),
        }
        assert_eq!(flights.run(1, || 3), 3);
    });
}
