//! `default` has no result to match, and no configuration of its own.

use rendez::chan;
use rendez::select;

fn main() {
    let (tx, rx) = chan::bounded::<i32>(1);
    select! {
        recv(rx) -> n => drop(n),
        default -> n => drop(n),
    }
    select! {
        recv(rx) -> n => drop(n),
        #[cfg(unix)]
        default => {}
    }
    drop(tx);
}
