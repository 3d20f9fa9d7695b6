//! A goroutine's result goes to whoever joins it, perhaps on another thread: it must be `Send`.

use std::rc::Rc;

fn main() {
    let _handle = rendez::go(|| Rc::new(1));
}
