//! An async goroutine may move to another worker at any await, so its future must be `Send`.

use std::rc::Rc;

fn main() {
    rendez::go_async(async {
        let shared = Rc::new(1);
        std::future::ready(()).await;
        println!("{shared}");
    });
}
