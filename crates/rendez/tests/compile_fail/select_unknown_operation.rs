//! All unknown operations are told at once, with what was meant where that can be guessed.

use rendez::chan;
use rendez::select;

fn main() {
    let (tx, rx) = chan::bounded::<i32>(1);
    select! {
        receive(rx) -> n => drop(n),
        sned(tx, 1) -> sent => drop(sent),
        Some(n) = rx.recv() => drop(n),
        recv(rx) -> n => drop(n),
        timeout(std::time::Duration::ZERO) => {}
        <-rx => {}
        else => {}
    }
}
