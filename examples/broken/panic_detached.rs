//! A goroutine panics whose handle nobody kept: it is told, and the program goes on without it.

use rendez::{Builder, chan};

pub(crate) fn main() {
    let (tx, rx) = chan::bounded::<&str>(0);
    let worker = Builder::new().name("worker").spawn(move || {
        let number: u32 = "12o".parse().expect("the order has a number");
        tx.send(if number > 0 { "done" } else { "nothing to do" })
    });
    drop(worker); // detached
    match rx.recv() {
        Ok(answer) => println!("{answer}"),
        Err(error) => println!("no answer: {error}"),
    }
}
