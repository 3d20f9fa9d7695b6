//! A body that is no block needs a comma after it; the arms after it are still understood.

use rendez::chan;
use rendez::select;

fn main() {
    let (tx, rx) = chan::bounded::<i32>(1);
    let () = select! {
        recv(rx) -> n => drop(n)
        send(tx, 1) -> sent => drop(sent)
        default => ()
    };
    select! {
        recv(rx) -> n => drop(n);
        default => ();
    }
    select! {
        recv(rx) -> n => {} + 1,
        default => () stray tokens,
    }
}
