//! The command line is not an argument of `main`.

#[rendez::main]
fn main(args: Vec<String>) {}
