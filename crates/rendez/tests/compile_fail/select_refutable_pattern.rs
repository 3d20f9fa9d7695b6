//! A pattern has to match whatever the operation may give.

use rendez::chan;
use rendez::select;

fn main() {
    let (tx, rx) = chan::bounded::<i32>(1);
    select! {
        recv(rx) -> Ok(n) => drop(n),
        send(tx, 1) -> Ok(()) => {}
    }
}
