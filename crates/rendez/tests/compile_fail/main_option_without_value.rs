//! An option is a name and a value.

#[rendez::main(workers)]
fn main() {}
