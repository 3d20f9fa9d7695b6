//! Only a function can be run.

#[rendez::main]
struct Program;

fn main() {}
