//! Two of five goroutines wait for each other while the other three go on: each has what the other is to be sent first.

use rendez::{
    Builder,
    chan::{self, Receiver, Sender},
    diag, go, time,
};
use std::time::Duration;

/// Sends its own invoice, or parcel, when the other's has come.
fn exchange(own: Sender<u32>, others: Receiver<u32>) {
    if let Ok(number) = others.recv() {
        let _ = own.send(number + 1);
    }
}

pub(crate) fn main() {
    let (invoice, invoices) = chan::bounded(0);
    let (parcel, parcels) = chan::bounded(0);
    invoice.set_name("invoices");
    parcel.set_name("parcels");
    let (ticks, ticked) = chan::bounded(0);
    for _ in 0..3 {
        let ticks = ticks.clone();
        go(move || while ticks.send(()).is_ok() {});
    }
    drop(Builder::new().name("billing").spawn(move || exchange(invoice, parcels)));
    drop(Builder::new().name("shipping").spawn(move || exchange(parcel, invoices)));
    loop {
        ticked.recv().unwrap();
        let dead = diag::deadlocked();
        if !dead.is_empty() {
            eprint!("{dead}");
            return;
        }
        time::sleep(Duration::from_millis(1));
    }
}
