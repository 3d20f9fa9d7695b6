//! The options are those of the runtime's builder.

#[rendez::main(worker = 4)]
fn main() {}
