//! Transfers between accounts, each of which has its lock. Who sends takes his own lock first and then the other's, so two
//! that send to each other may each hold one and wait for the other. Mended, the locks are taken in the order of
//! the accounts, whoever sends.

use crate::Planted;
use rendez::{
    go,
    sync::{Mutex, MutexGuard},
    testing::Strategy,
};
use std::sync::Arc;

pub(crate) const BUG: Planted = Planted {
    name: "lock order",
    broken: || program(|bank, from, to| (bank[from].lock(), bank[to].lock())),
    mended: || program(both),
    strategy: Strategy::Pct { depth: 2 },
    within: 300,
    shows: |failure| failure.is_deadlock(),
    says: "[sync.Mutex.Lock]",
};

type Bank = [Mutex<i64>; 3];
type Both<'a> = (MutexGuard<'a, i64>, MutexGuard<'a, i64>);

fn both(bank: &Bank, from: usize, to: usize) -> Both<'_> {
    if from < to {
        let from = bank[from].lock();
        (from, bank[to].lock())
    } else {
        let to = bank[to].lock();
        (bank[from].lock(), to)
    }
}

fn program(locks: fn(&Bank, usize, usize) -> Both<'_>) {
    let bank = Arc::new([Mutex::new(10), Mutex::new(20), Mutex::new(30)]);
    let transfers = [(0, 1), (1, 2), (2, 0)].map(|(from, to)| {
        let bank = bank.clone();
        go(move || {
            let (mut from, mut to) = locks(&bank, from, to);
            *from -= 5;
            *to += 5;
        })
    });
    for transfer in transfers {
        transfer.join().unwrap();
    }
    assert_eq!(bank.iter().map(|account| *account.lock()).sum::<i64>(), 60);
}
