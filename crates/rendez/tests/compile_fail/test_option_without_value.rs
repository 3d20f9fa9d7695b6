//! What takes a value, and what takes none.

#[rendez::test(workers)]
fn how_many() {}

#[rendez::test(virtual_time = true)]
fn as_a_value() {}

#[rendez::test(leaks = deny)]
fn as_always() {}

fn main() {}
