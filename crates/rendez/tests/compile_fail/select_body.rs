//! An empty body is told at its arrow, and what is wrong inside one at its place.

use rendez::chan;
use rendez::select;

fn main() {
    let (tx, rx) = chan::bounded::<i32>(1);
    select! {
        recv(rx) -> n =>,
        send(tx, 1) -> _ => ,
        default =>
    }
    select! {
        recv(rx) -> n => n.,
        send(tx, 1) -> sent => if { drop(sent) },
        default => {}
    }
    select! {
        recv(rx) -> n => { let n = n n; }
        default => {}
    }
}
