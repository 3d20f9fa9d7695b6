//! The duration is one, and the bodies are of one type: both are told where they stand.

use rendez::chan;
use rendez::select;

fn main() {
    let (tx, rx) = chan::bounded::<i32>(1);
    let n = select! {
        recv(rx) -> n => n.is_ok(),
        default(1) => false,
    };
    let m = select! {
        recv(rx) -> n => n.is_ok(),
        default => 5,
    };
    drop((tx, n, m));
}
