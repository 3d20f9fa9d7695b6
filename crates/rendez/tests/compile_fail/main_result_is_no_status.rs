//! What `main` returns has to say how the program ended.

#[rendez::main]
fn main() -> i32 {
    1
}
