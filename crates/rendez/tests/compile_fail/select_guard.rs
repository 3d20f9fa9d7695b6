//! An arm has no guard, and no type beside its pattern: what to write instead of a guard is told.

use rendez::chan;
use rendez::select;

fn main() {
    let (tx, rx) = chan::bounded::<i32>(1);
    select! {
        recv(rx) -> n if true => drop(n),
        recv(rx) -> n: Result<i32, _> => drop(n),
        default => {}
    }
    drop(tx);
}
