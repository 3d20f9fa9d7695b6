//! Two mutexes are locked in two orders: each transfer takes the account that it is from, and then the other.

use rendez::{
    Builder,
    sync::{Barrier, Mutex},
};
use std::sync::Arc;

struct Bank {
    checking: Mutex<i64>,
    savings: Mutex<i64>,
    /// So that both have the one when they want the other, as now and then happens by itself.
    both: Barrier,
}

fn transfer(bank: &Bank, from: &Mutex<i64>, to: &Mutex<i64>, amount: i64) {
    let mut from = from.lock();
    bank.both.wait();
    let mut to = to.lock();
    *from -= amount;
    *to += amount;
}

pub(crate) fn main() {
    let bank = Arc::new(Bank { checking: Mutex::new(100), savings: Mutex::new(100), both: Barrier::new(2) });
    bank.checking.set_name("checking");
    bank.savings.set_name("savings");
    let (theirs, other) = (bank.clone(), bank.clone());
    let save =
        Builder::new().name("save").spawn(move || transfer(&theirs, &theirs.checking, &theirs.savings, 10));
    let spend =
        Builder::new().name("spend").spawn(move || transfer(&other, &other.savings, &other.checking, 20));
    save.unwrap().join().unwrap();
    spend.unwrap().join().unwrap();
    println!("{} and {}", bank.checking.lock(), bank.savings.lock());
}
