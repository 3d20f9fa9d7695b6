//! One of the two would be ignored.

#[rendez::test(explore = 10, explore = 1000)]
fn adds_up() {}

fn main() {}
