//! Who gives up waiting for a lock, in whatever way and at whatever moment, takes nothing with it: neither the lock nor somebody
//! else's wake-up.
//!
//! The limits are races with the other threads, so the time is the machine's. Nothing is said of how long anything takes.

use crate::worlds::{Ops, in_every_world, poll_once};
use rendez::{
    Context, Event, chan, select,
    sync::{Mutex, RwLock, Semaphore},
};
use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicIsize, AtomicUsize, Ordering},
    },
    time::Duration,
};

/// What all want.
#[derive(Default)]
struct Wanted {
    mutex: Mutex<usize>,
    lock: RwLock<usize>,
    permits: Permits,
    /// Of the lock: readers, or -1 for a writer.
    inside: AtomicIsize,
    held: AtomicUsize,
}

struct Permits(Semaphore);

impl Default for Permits {
    fn default() -> Self {
        Permits(Semaphore::new(3))
    }
}

/// A little different each time, and the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// Waits for `event`, or gives up in one of many ways.
async fn try_for<E: Event>(ops: Ops, dice: &mut Dice, ctx: &Context, event: E) -> Option<E::Output> {
    match dice.below(7) {
        0 => Some(ops.event(event).await),
        1 if !ops.awaits() => event.wait_timeout(Duration::from_micros(dice.below(200))),
        2 => {
            // Polled some times, and dropped.
            let mut future = pin!(event.wait_async());
            for _ in 0..dice.below(4) {
                let taken = poll_once(future.as_mut());
                if taken.is_some() {
                    return taken;
                }
                ops.pause().await;
            }
            None
        }
        3 => ops.event(ctx.bound(event)).await.ok(),
        4 => select! {
            wait(event) -> taken => Some(taken),
            default => None,
        },
        5 if !ops.awaits() => {
            let (tx, rx) = chan::bounded(1);
            tx.send(()).unwrap();
            select! {
                wait(event) -> taken => Some(taken),
                recv(rx) -> _ => None,
            }
        }
        _ => ops.event(ctx.bound(event).map(|taken| taken)).await.ok(),
    }
}

async fn use_them(ops: Ops, wanted: &Wanted, mut dice: Dice) {
    let (mut ctx, mut cancel) = Context::background().with_cancel();
    for round in 0..60 {
        if round % 5 == 0 {
            // Ends at some moment, by itself.
            cancel.detach();
            (ctx, cancel) = Context::background().with_timeout(Duration::from_micros(dice.below(2000)));
        }
        match dice.below(4) {
            0 => {
                if let Some(mut guard) = try_for(ops, &mut dice, &ctx, wanted.mutex.lock_event()).await {
                    *guard += 1;
                    pause(ops, &mut dice).await;
                }
            }
            1 => {
                if let Some(mut guard) = try_for(ops, &mut dice, &ctx, wanted.lock.write_event()).await {
                    assert_eq!(wanted.inside.swap(-1, Ordering::SeqCst), 0, "a writer is alone");
                    *guard += 1;
                    pause(ops, &mut dice).await;
                    wanted.inside.store(0, Ordering::SeqCst);
                }
            }
            2 => {
                if let Some(guard) = try_for(ops, &mut dice, &ctx, wanted.lock.read_event()).await {
                    assert!(
                        wanted.inside.fetch_add(1, Ordering::SeqCst) >= 0,
                        "readers are among themselves"
                    );
                    pause(ops, &mut dice).await;
                    wanted.inside.fetch_sub(1, Ordering::SeqCst);
                    drop(guard);
                }
            }
            _ => {
                let permits = dice.below(4) as usize;
                let event = wanted.permits.0.acquire_event(permits);
                if let Some(permit) = try_for(ops, &mut dice, &ctx, event).await {
                    assert!(wanted.held.fetch_add(permits, Ordering::SeqCst) + permits <= 3);
                    pause(ops, &mut dice).await;
                    wanted.held.fetch_sub(permits, Ordering::SeqCst);
                    drop(permit);
                }
            }
        }
    }
}

async fn pause(ops: Ops, dice: &mut Dice) {
    if dice.below(3) == 0 {
        ops.pause().await;
    }
}

#[test]
fn who_gives_up_in_whatever_way_leaves_the_locks_to_the_others() {
    in_every_world(|crew| {
        for seed in 0..6 {
            let wanted = Arc::new(Wanted::default());
            let roles: Vec<_> = (0..8)
                .map(|role| {
                    let wanted = wanted.clone();
                    crew.start(move |ops| async move {
                        use_them(ops, &wanted, Dice(seed * 8 + role)).await;
                    })
                })
                .collect();
            roles.into_iter().for_each(|role| role.join());
            assert!(wanted.mutex.try_lock().is_some());
            assert!(wanted.lock.try_write().is_some());
            assert_eq!(wanted.permits.0.available(), 3);
            drop((wanted.lock.read(), wanted.permits.0.acquire(3)));
        }
    });
}
