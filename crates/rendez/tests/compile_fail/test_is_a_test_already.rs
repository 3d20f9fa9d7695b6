//! It would be run twice, once outside of any goroutine.

#[rendez::test]
#[test]
fn adds_up() {}

fn main() {}
