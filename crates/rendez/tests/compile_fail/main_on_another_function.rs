//! The attribute makes the program's entry, and that is called `main`.

#[rendez::main]
fn start() {}

fn main() {}
