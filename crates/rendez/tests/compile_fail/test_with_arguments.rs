//! Nobody could say what `n` is; and nothing but `async` goes before `fn`.

#[rendez::test]
#[should_panic]
const unsafe fn adds_up(n: i32) {}

fn main() {}
