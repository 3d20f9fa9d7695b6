//! An account from which two draw at the same time. Each looks at the balance under the lock, and writes the new one under
//! the lock, but not under the same hold of it: of two who have seen the same balance, one draws for nothing.

use crate::Planted;
use rendez::{scope, sync::Mutex, testing::Strategy};

pub(crate) const BUG: Planted = Planted {
    name: "lost update",
    broken: || program(draw),
    mended: || program(draw_at_once),
    strategy: Strategy::Random,
    within: 50,
    shows: |failure| failure.is_panic(),
    says: "money out of nothing",
};

fn draw(balance: &Mutex<u32>, amount: u32) -> bool {
    let seen = *balance.lock();
    if seen < amount {
        return false;
    }
    *balance.lock() = seen - amount;
    true
}

fn draw_at_once(balance: &Mutex<u32>, amount: u32) -> bool {
    let mut balance = balance.lock();
    match balance.checked_sub(amount) {
        Some(left) => *balance = left,
        None => return false,
    }
    true
}

fn program(draw: fn(&Mutex<u32>, u32) -> bool) {
    let (balance, paid) = (Mutex::new(100), Mutex::new(0));
    scope(|s| {
        for amount in [60, 30] {
            let (balance, paid) = (&balance, &paid);
            s.go(move || {
                if draw(balance, amount) {
                    *paid.lock() += amount;
                }
            });
        }
    });
    assert_eq!(*balance.lock() + *paid.lock(), 100, "money out of nothing");
}
