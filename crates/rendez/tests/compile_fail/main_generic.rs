//! Nobody could say what `T` is.

#[rendez::main]
fn main<T: Default>() {}
