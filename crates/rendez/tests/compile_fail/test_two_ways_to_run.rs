//! What is explored runs in virtual time as it is.

#[rendez::test(virtual_time, explore = 1000)]
fn adds_up() {}

fn main() {}
