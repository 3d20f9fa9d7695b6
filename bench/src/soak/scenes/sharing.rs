//! `WaitGroup`, `Once`, `OnceValue`, `Pool`, `SingleFlight`, `Barrier` and `Group`.

use crate::soak::{
    is_of_a_shutdown,
    ledger::{Ledger, Value},
    stage::{Rng, Stage, moment},
};
use rendez::sync::{Barrier, Group, Once, OnceValue, Pool, SingleFlight, WaitGroup};
use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
    },
};

/// An object of the pool: one user at a time.
struct Object {
    used: AtomicBool,
    _value: Value,
}

struct Shared {
    once: Once,
    calls: AtomicU32,
    value: OnceValue<u32>,
    pool: Pool<Object>,
    flights: SingleFlight<u32, u32>,
    inside: AtomicU32,
}

impl Shared {
    fn new(ledger: Arc<Ledger>) -> Shared {
        // Objects are dropped when they have not been used for long, and with the pool.
        ledger.allow_loss();
        Shared {
            once: Once::new(),
            calls: AtomicU32::new(0),
            value: OnceValue::new(|| {
                rendez::yield_now();
                42
            }),
            pool: Pool::new(move || Object { used: AtomicBool::new(false), _value: ledger.make() }),
            flights: SingleFlight::new(),
            inside: AtomicU32::new(0),
        }
    }
}

pub(super) fn play(stage: &Stage) {
    let mut rng = stage.rng();
    let shared = Arc::new(Shared::new(stage.ledger.clone()));
    let (group, number) = (WaitGroup::new(), rng.usize(2..6));
    let barrier = Arc::new(Barrier::new(number));
    let chosen = Arc::new(AtomicU32::new(0));
    for _ in 0..number {
        let (shared, whole, mut theirs) = (shared.clone(), stage.clone(), rng.fork());
        let (barrier, chosen) = (barrier.clone(), chosen.clone());
        group.add(1);
        let counted = Counted(group.clone());
        // A goroutine, because all come to the barrier, or else a shutdown ends them all.
        stage.go(move || {
            let _counted = counted;
            chosen.fetch_add(u32::from(barrier.wait()), SeqCst);
            use_all(&shared, &whole, &mut theirs);
        });
    }
    for _ in 0..rng.u32(..3) {
        let (shared, whole) = (shared.clone(), stage.clone());
        stage.start(&mut rng, move |mut rng: Rng| use_all(&shared, &whole, &mut rng));
    }
    members(stage, &mut rng);
    group.wait();
    stage.wait();
    if stage.is_whole() {
        assert_eq!(chosen.load(SeqCst), 1);
        assert!(shared.calls.load(SeqCst) <= 1);
    }
}

struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

struct Counted(WaitGroup);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.done();
    }
}

fn use_all(shared: &Shared, stage: &Stage, rng: &mut Rng) {
    for _ in 0..rng.u32(10..300) {
        if stage.ctx.err().is_some() {
            return;
        }
        match rng.u32(..4) {
            0 => {
                shared.once.call_once(|| {
                    rendez::yield_now();
                    shared.calls.fetch_add(1, SeqCst);
                });
                assert!(shared.once.is_completed());
            }
            1 => match catch_unwind(AssertUnwindSafe(|| *shared.value.get())) {
                Ok(value) => assert_eq!(value, 42),
                Err(payload) if is_of_a_shutdown(&*payload) => {
                    assert!(!stage.is_whole(), "the value will never be there");
                    return;
                }
                Err(payload) => resume_unwind(payload),
            },
            2 => {
                let object = shared.pool.get();
                assert!(!object.used.swap(true, SeqCst), "an object of the pool has two users");
                // A shutdown may end the user here.
                let _used = OnDrop(|| object.used.store(false, SeqCst));
                if rng.u32(..4) == 0 {
                    rendez::yield_now();
                }
            }
            _ => {
                let key = rng.u32(..3);
                let got = shared.flights.run(key, || {
                    let inside = 1 << (8 * key);
                    let before = shared.inside.fetch_add(inside, SeqCst);
                    let _left = OnDrop(|| _ = shared.inside.fetch_sub(inside, SeqCst));
                    assert_eq!(before >> (8 * key) & 0xFF, 0, "two calls with one key");
                    rendez::yield_now();
                    key * 2
                });
                assert_eq!(got, key * 2);
            }
        }
    }
}

/// A group with a limit, of which one may fail.
fn members(stage: &Stage, rng: &mut Rng) {
    let (group, ctx) = Group::<u32>::with_context(&stage.ctx);
    let most = rng.usize(1..4);
    group.limit(most);
    let (inside, fails) = (Arc::new(AtomicU32::new(0)), rng.bool());
    for i in 0..rng.u32(1..12) {
        let (inside, ctx, part, wait) = (inside.clone(), ctx.clone(), stage.ledger.part(), moment(rng, 200));
        group.go(move || {
            let _part = part;
            assert!(inside.fetch_add(1, SeqCst) < most as u32, "more members run than may");
            let _left = OnDrop(|| _ = inside.fetch_sub(1, SeqCst));
            rendez::sleep(wait);
            if fails && i == 3 && ctx.err().is_none() { Err(i) } else { Ok(()) }
        });
    }
    let result = group.wait();
    assert!(matches!(result, Ok(()) | Err(3)));
    if stage.is_whole() {
        assert!(ctx.err().is_some());
    }
}
