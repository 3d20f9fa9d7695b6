//! A result can be taken once: `join` consumes the handle.

fn main() {
    let handle = rendez::go(|| String::from("once"));
    let _ = handle.join();
    let _ = handle.join();
}
