//! A goroutine may start on another worker, so what it captures must be `Send`.

use std::rc::Rc;

fn main() {
    let shared = Rc::new(1);
    rendez::go(move || println!("{shared}"));
}
