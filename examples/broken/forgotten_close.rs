//! A channel is never closed: the producers have ended, but `main`, which made the sender for them, has kept it.

use rendez::{Builder, chan, go};

pub(crate) fn main() {
    let (tx, rx) = chan::bounded(0);
    tx.set_name("words");
    for word in ["hello", "greetings", "good day"] {
        let tx = tx.clone();
        go(move || tx.send(word));
    }
    let counter = Builder::new().name("counter").spawn(move || rx.iter().count()).unwrap();
    println!("{} words", counter.join().unwrap());
}
