//! A number says nothing about success, and an error is told as its `Debug` has it. (As tests, these are compiled only with
//! `--test`: here they are called as what they expand to.)

struct Unprintable;

fn number() -> i32 {
    3
}

fn unprintable() -> Result<(), Unprintable> {
    Ok(())
}

fn main() {
    rendez::__private::succeed(number());
    rendez::__private::succeed(unprintable());
}
