//! Nobody could say what `T` is.

#[rendez::test]
fn adds_up<T: Default>() {}

fn main() {}
