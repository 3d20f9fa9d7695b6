//! An error in the body is told where it is, with options or without, and alone.

#[rendez::main(workers = 2)]
fn main() {
    let answer: u32 = "42";
}
