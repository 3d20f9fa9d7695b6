//! Every operation says how many operands it takes, and which.

use rendez::chan;
use rendez::select;

fn main() {
    let (tx, rx) = chan::bounded::<i32>(1);
    select! {
        recv() -> _ => {}
        recv(rx, 1) -> _ => {}
        recv(rx rx) -> _ => {}
        recv -> _ => {}
        send(tx) -> _ => {}
        send(tx,) -> _ => {}
        send(tx 1) -> _ => {}
        send(tx, 1, 2) -> _ => {}
        wait() -> _ => {}
        default() => {}
        send(tx, 1 +) -> _ => {}
    }
}
