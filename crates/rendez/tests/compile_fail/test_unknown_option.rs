//! It is `explore`, and each mistake is told.

#[rendez::test(explores = 1000, seed = "7")]
fn adds_up() {}

fn main() {}
