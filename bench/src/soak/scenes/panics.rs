//! Goroutines that panic with values in their hands, joined, and in scopes whose children borrow.

use crate::soak::{
    Planned,
    stage::{Rng, Stage, moment},
};
use rendez::{chan, go, go_async, scope, sync::Mutex};
use std::{
    panic::{AssertUnwindSafe, catch_unwind, panic_any},
    sync::Arc,
};

pub(super) fn play(stage: &Stage) {
    let mut rng = stage.rng();
    // Who panics drops what it has.
    stage.ledger.allow_loss();
    for _ in 0..rng.u32(1..4) {
        let ledger = stage.ledger.clone();
        let whole = stage.clone();
        stage.start(&mut rng, move |mut rng: Rng| {
            let (tx, rx) = chan::bounded(rng.usize(..4));
            let held = Arc::new(Mutex::new(0_u32));
            let handles: Vec<_> = (0..rng.u32(1..12))
                .map(|i| {
                    let (tx, ledger, held, part) = (tx.clone(), ledger.clone(), held.clone(), ledger.part());
                    let (panics, wait) = (rng.bool(), moment(&mut rng, 200));
                    let end = move || {
                        let value = ledger.make();
                        let mut count = held.lock();
                        *count += 1;
                        if panics {
                            panic_any(Planned);
                        }
                        drop(count);
                        value
                    };
                    let handle = if i % 2 == 0 {
                        go(move || {
                            let _part = part;
                            rendez::sleep(wait);
                            _ = tx.send(end()).map_err(|error| error.0.give_back());
                        })
                    } else {
                        go_async(async move {
                            let _part = part;
                            rendez::time::sleep_async(wait).await;
                            let value = end();
                            _ = tx.send_async(value).await.map_err(|error| error.0.give_back());
                        })
                    };
                    (panics, handle)
                })
                .collect();
            drop(tx);
            rx.iter().for_each(|value| value.receive());
            for (panics, handle) in handles {
                match handle.join() {
                    Ok(()) => assert!(!panics),
                    Err(error) if error.is_panic() => assert!(panics && error.into_panic().is::<Planned>()),
                    Err(_) => assert!(!whole.is_whole(), "a goroutine was cancelled"),
                }
            }
            assert!(held.try_lock().is_some(), "a panic has left a lock");
            in_a_scope(&whole, &mut rng);
        });
    }
    stage.wait();
}

fn in_a_scope(stage: &Stage, rng: &mut Rng) {
    let (mut sums, panics) = ([0_u64; 6], rng.bool());
    let caught = catch_unwind(AssertUnwindSafe(|| {
        scope(|s| {
            for (i, sum) in sums.iter_mut().enumerate() {
                s.go(move || {
                    rendez::yield_now();
                    *sum = i as u64;
                    if panics && i == 3 {
                        panic_any(Planned);
                    }
                });
            }
        });
    }));
    match caught {
        Ok(()) => assert!(!panics && sums == [0, 1, 2, 3, 4, 5]),
        Err(payload) if payload.is::<Planned>() => {
            assert!(panics && (sums == [0, 1, 2, 3, 4, 5] || !stage.is_whole()));
        }
        // A shutdown.
        Err(payload) => std::panic::resume_unwind(payload),
    }
}
