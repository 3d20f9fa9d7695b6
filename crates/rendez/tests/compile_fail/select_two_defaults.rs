//! Of two `default`s, both places are told.

use rendez::chan;
use rendez::select;

fn main() {
    let (tx, rx) = chan::bounded::<i32>(1);
    select! {
        default => {}
        recv(rx) -> n => drop(n),
        default(std::time::Duration::ZERO) => {}
    }
    drop(tx);
}
