//! A queue whose consumer looks, lets go of the lock, and takes it again to wait. A signal that comes between is for nobody:
//! the job lies there, and the consumer sleeps. Mended, it looks and waits under one hold of the lock, and looks
//! again after each signal.

use crate::Planted;
use rendez::{
    go,
    sync::{Cond, Mutex},
    testing::Strategy,
};
use std::{collections::VecDeque, sync::Arc};

pub(crate) const BUG: Planted = Planted {
    name: "missed signal",
    broken: || program(take),
    mended: || program(take_safely),
    strategy: Strategy::Pct { depth: 2 },
    within: 50,
    shows: |failure| failure.is_deadlock(),
    says: "[sync.Cond.Wait]",
};

#[derive(Default)]
struct Queue {
    jobs: Mutex<VecDeque<u32>>,
    filled: Cond,
}

fn take(queue: &Queue) -> u32 {
    while queue.jobs.lock().is_empty() {
        queue.filled.wait(&mut queue.jobs.lock());
    }
    queue.jobs.lock().pop_front().expect("there is one")
}

fn take_safely(queue: &Queue) -> u32 {
    let mut jobs = queue.jobs.lock();
    queue.filled.wait_while(&mut jobs, |jobs| jobs.is_empty());
    jobs.pop_front().expect("there is one")
}

fn program(take: fn(&Queue) -> u32) {
    let queue = Arc::new(Queue::default());
    let consumer = go({
        let queue = queue.clone();
        move || [take(&queue), take(&queue)]
    });
    for job in [1, 2] {
        queue.jobs.lock().push_back(job);
        queue.filled.signal();
    }
    assert_eq!(consumer.join().unwrap(), [1, 2]);
}
