//! `take` leaves the value in a place until it is sent: it needs a place.

use rendez::chan;
use rendez::select;

fn main() {
    let (tx, rx) = chan::bounded::<i32>(1);
    let mut slot = Some(1);
    select! {
        send(tx, take 5) -> _ => {}
        send(tx, take slot.clone()) -> _ => {}
        send(tx, take &mut slot) -> _ => {}
        send(tx, take slot + 1) -> _ => {}
        send(tx, take slot, 2) -> _ => {}
    }
    drop((rx, slot));
}
