//! A channel's ends can go to another thread only if its values can.

use std::rc::Rc;

fn main() {
    let (tx, rx) = rendez::chan::bounded::<Rc<i32>>(1);
    rendez::go(move || tx.send(Rc::new(1)).is_ok());
    let _ = rx.recv();
}
