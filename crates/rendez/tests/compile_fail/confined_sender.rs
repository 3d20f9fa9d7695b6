//! The sending end of a pattern's channel never leaves its owner: what others get can't send.
use rendez::{Context, pattern};

fn main() {
    let numbers = pattern::generator(&Context::background(), [1, 2, 3]);
    numbers.send(4).unwrap();
}
