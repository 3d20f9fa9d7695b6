//! A lock for readers and writers, made of a mutex and a condition: a writer waits until there are no readers. Readers that
//! come meanwhile go in, so while some always overlap the writer waits for ever. Mended, who comes while a writer waits waits behind it.

use crate::Planted;
use rendez::{
    scope,
    sync::{Cond, Mutex},
    testing::Strategy,
};

pub(crate) const BUG: Planted = Planted {
    name: "writer starvation",
    broken: || program(false),
    mended: || program(true),
    strategy: Strategy::Pct { depth: 3 },
    within: 200,
    shows: |failure| failure.is_panic(),
    says: "readers went before a writer that waits",
};

/// As many readers as there are may be inside, or on their way in, when a writer comes.
const READERS: u32 = 2;

#[derive(Default)]
struct State {
    readers: u32,
    writing: bool,
    waiting_writers: u32,
    /// Readers that went in since a writer has been waiting; and the most that there were.
    passed: u32,
    most: u32,
}

struct Lock {
    state: Mutex<State>,
    changed: Cond,
    lets_writers_first: bool,
}

impl Lock {
    fn read(&self, f: impl FnOnce()) {
        let mut state = self.state.lock();
        self.changed.wait_while(&mut state, |state| {
            state.writing || (self.lets_writers_first && state.waiting_writers > 0)
        });
        state.readers += 1;
        if state.waiting_writers > 0 {
            state.passed += 1;
            state.most = state.most.max(state.passed);
        }
        drop(state);
        f();
        self.state.lock().readers -= 1;
        self.changed.broadcast();
    }

    fn write(&self, f: impl FnOnce()) {
        let mut state = self.state.lock();
        state.waiting_writers += 1;
        self.changed.wait_while(&mut state, |state| state.writing || state.readers > 0);
        state.waiting_writers -= 1;
        state.passed = 0;
        state.writing = true;
        drop(state);
        f();
        self.state.lock().writing = false;
        self.changed.broadcast();
    }
}

fn program(lets_writers_first: bool) {
    let lock = Lock { state: Mutex::default(), changed: Cond::new(), lets_writers_first };
    let version = Mutex::new(0);
    scope(|s| {
        for _ in 0..READERS {
            s.go(|| (0..5).for_each(|_| lock.read(|| assert!(*version.lock() <= 1))));
        }
        s.go(|| lock.write(|| *version.lock() += 1));
    });
    assert_eq!(*version.lock(), 1);
    let most = lock.state.lock().most;
    assert!(most <= READERS, "{most} readers went before a writer that waits");
}
