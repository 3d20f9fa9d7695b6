//! Everybody locks, reads, writes, waits for conditions and permits, in all ways; and nobody may be inside with others who
//! must not be.

use crate::soak::stage::{Rng, Role, Stage, moment};
use rendez::{
    Context, Event,
    sync::{Cond, Mutex, RwLock, Semaphore},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

const PERMITS: usize = 3;
const SHORT: Duration = Duration::from_micros(100);

#[derive(Default)]
struct Shared {
    count: Mutex<u64>,
    counted: AtomicU64,
    pair: RwLock<(u64, u64)>,
    permits: Option<Semaphore>,
    inside: AtomicI64,
    /// A queue with a condition: how many may be taken.
    stock: Mutex<u64>,
    more: Cond,
    taken: AtomicU64,
    put: AtomicU64,
}

impl Shared {
    fn semaphore(&self) -> &Semaphore {
        self.permits.as_ref().expect("made with it")
    }

    fn count_one(&self, count: &mut u64) {
        *count += 1;
        self.counted.fetch_add(1, SeqCst);
    }

    fn with_permits(&self, permits: usize) {
        let inside = self.inside.fetch_add(permits as i64, SeqCst) + permits as i64;
        assert!(inside <= PERMITS as i64, "{inside} permits are out of {PERMITS}");
        self.inside.fetch_sub(permits as i64, SeqCst);
    }
}

pub(super) fn play(stage: &Stage) {
    let mut rng = stage.rng();
    let shared = Arc::new(Shared { permits: Some(Semaphore::new(PERMITS)), ..Shared::default() });
    for _ in 0..rng.u32(2..8) {
        let (shared, ctx) = (shared.clone(), stage.ctx.clone());
        stage.start(&mut rng, Using { shared, ctx, times: stage.rng().u32(10..600) });
    }
    stage.wait();
    if stage.is_whole() {
        let Shared { count, counted, stock, put, taken, .. } = &*shared;
        assert_eq!(*count.lock(), counted.load(SeqCst));
        assert_eq!(*stock.lock(), put.load(SeqCst) - taken.load(SeqCst));
        assert_eq!(shared.semaphore().available(), PERMITS);
    }
    // Also if somebody was ended while he held or waited.
    assert!(shared.pair.try_write().is_some() && shared.count.try_lock().is_some());
}

struct Using {
    shared: Arc<Shared>,
    ctx: Context,
    times: u32,
}

impl Role for Using {
    fn play(self, mut rng: Rng) {
        let Using { shared, ctx, times } = self;
        for _ in 0..times {
            if ctx.err().is_some() {
                return;
            }
            match rng.u32(..10) {
                0 => shared.count_one(&mut shared.count.lock()),
                1 => {
                    if let Some(mut count) = shared.count.lock_timeout(SHORT) {
                        shared.count_one(&mut count);
                        if rng.u32(..4) == 0 {
                            rendez::yield_now();
                        }
                    }
                }
                2 => {
                    if let Ok(mut count) = ctx.bound(shared.count.lock_event()).wait() {
                        shared.count_one(&mut count);
                    }
                }
                3 => {
                    let pair = shared.pair.read();
                    assert_eq!(pair.0, pair.1);
                    if rng.u32(..4) == 0 {
                        rendez::yield_now();
                    }
                    assert_eq!(pair.0, pair.1);
                }
                4 => {
                    let mut pair = shared.pair.write();
                    pair.0 += 1;
                    let both = pair.0;
                    if rng.u32(..4) == 0 {
                        // Who is ended here leaves the two alike.
                        pair.1 = both;
                        rendez::yield_now();
                    }
                    pair.1 = both;
                }
                5 => {
                    let wanted = rng.usize(1..=PERMITS);
                    let _permit = shared.semaphore().acquire(wanted);
                    shared.with_permits(wanted);
                }
                6 => {
                    let wanted = rng.usize(1..=PERMITS);
                    if let Some(_permit) = shared.semaphore().acquire_timeout(wanted, SHORT) {
                        shared.with_permits(wanted);
                    }
                }
                7 => {
                    let mut stock = shared.stock.lock();
                    *stock += 1;
                    shared.put.fetch_add(1, SeqCst);
                    drop(stock);
                    if rng.bool() { shared.more.signal() } else { shared.more.broadcast() }
                }
                8 => {
                    let mut stock = shared.stock.lock();
                    if *stock == 0 {
                        let _ = shared.more.wait_timeout(&mut stock, SHORT);
                    }
                    if *stock > 0 {
                        *stock -= 1;
                        shared.taken.fetch_add(1, SeqCst);
                    }
                }
                _ => rendez::sleep(moment(&mut rng, 100)),
            }
        }
    }

    async fn play_async(self, mut rng: Rng) {
        let Using { shared, ctx, times } = self;
        for _ in 0..times {
            if ctx.err().is_some() {
                return;
            }
            match rng.u32(..6) {
                0 => shared.count_one(&mut *shared.count.lock_async().await),
                1 => {
                    if let Ok(mut count) = ctx.bound(shared.count.lock_event()).wait_async().await {
                        shared.count_one(&mut count);
                    }
                }
                2 => {
                    let pair = shared.pair.read_async().await;
                    assert_eq!(pair.0, pair.1);
                    rendez::time::sleep_async(moment(&mut rng, 20)).await;
                    assert_eq!(pair.0, pair.1);
                }
                3 => {
                    let mut pair = shared.pair.write_async().await;
                    pair.0 += 1;
                    pair.1 += 1;
                }
                4 => {
                    let wanted = rng.usize(1..=PERMITS);
                    let _permit = shared.semaphore().acquire_async(wanted).await;
                    shared.with_permits(wanted);
                }
                _ => {
                    let mut stock = shared.stock.lock_async().await;
                    *stock += 1;
                    shared.put.fetch_add(1, SeqCst);
                    drop(stock);
                    shared.more.signal();
                }
            }
        }
    }
}
