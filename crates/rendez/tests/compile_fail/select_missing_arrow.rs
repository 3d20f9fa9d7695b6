//! An arm needs `=>`, and `->` before a pattern.

use rendez::chan;
use rendez::select;

fn main() {
    let (tx, rx) = chan::bounded::<i32>(1);
    select! { recv(rx) -> n { drop(n) } send(tx, 1) -> _ => {} }
    select! {
        recv(rx) n => drop(n),
        recv(rx) -> n,
        recv(rx),
        recv(rx) -> => {}
        default {}
    }
    select! { recv(rx) }
    select! { recv(rx) -> n }
    select! { default }
}
