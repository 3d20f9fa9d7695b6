//! Of attributes, an arm takes `#[cfg(..)]`.

use rendez::chan;
use rendez::select;

fn main() {
    let (tx, rx) = chan::bounded::<i32>(1);
    select! {
        /// Says nothing to anybody.
        recv(rx) -> n => drop(n),
        #[allow(unused)]
        send(tx, 1) -> sent => {}
        #[cfg]
        default => {}
    }
}
