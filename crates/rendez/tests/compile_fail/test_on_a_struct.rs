//! A test is a function.

#[rendez::test]
struct Sum;

fn main() {}
