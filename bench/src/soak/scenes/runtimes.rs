//! Runtimes that come and go while others work, with goroutines parked in them, started in them, and never started.

use crate::soak::stage::{Rng, Stage, moment};
use rendez::{Runtime, chan, go, go_async};

pub(super) fn play(stage: &Stage) {
    let mut rng = stage.rng();
    // Whoever waits when a runtime ends goes with what it has in hand.
    stage.ledger.allow_loss();
    for _ in 0..rng.u32(1..4) {
        let ledger = stage.ledger.clone();
        stage.start(&mut rng, move |mut rng: Rng| {
            let Ok(runtime) = Runtime::builder().workers(rng.usize(1..3)).build() else { return };
            let (rx, tx) = {
                let (tx, rx) = chan::bounded(rng.usize(..3));
                (rx, tx)
            };
            let (parked, ends_with) = (rng.u32(1..40), rng.u32(..3));
            runtime.run(|| {
                for _ in 0..parked {
                    let (tx, ledger, part) = (tx.clone(), ledger.clone(), ledger.part());
                    match rng.u32(..3) {
                        0 => drop(go(move || {
                            let _part = part;
                            _ = tx.send(ledger.make()).map_err(|error| error.0.give_back());
                        })),
                        1 => drop(go_async(async move {
                            let _part = part;
                            _ = tx.send_async(ledger.make()).await.map_err(|error| error.0.give_back());
                        })),
                        _ => drop(go(move || {
                            let (_part, _tx) = (part, tx);
                            chan::never::<()>().recv()
                        })),
                    }
                }
                for _ in 0..rng.u32(..parked) {
                    if let Ok(value) = rx.try_recv() {
                        value.receive();
                    }
                    rendez::yield_now();
                }
            });
            rendez::sleep(moment(&mut rng, 300));
            match ends_with {
                0 => runtime.shutdown(),
                1 => {
                    let handle = runtime.spawn(|| chan::never::<()>().recv().is_ok());
                    runtime.shutdown();
                    assert!(handle.join().is_err_and(|error| error.is_cancelled()));
                }
                _ => drop(runtime),
            }
            drop(tx);
            rx.try_iter().for_each(|value| value.receive());
        });
    }
    stage.wait();
}
