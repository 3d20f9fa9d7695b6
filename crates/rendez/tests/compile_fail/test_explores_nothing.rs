//! A test that can't fail.

#[rendez::test(explore = 0)]
fn adds_up() {}

fn main() {}
