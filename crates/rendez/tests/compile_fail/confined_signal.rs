//! A signal carries nothing, so that nobody can take it for himself: a channel of values is none.
use rendez::{chan, pattern};

fn main() {
    let (_tx, values) = chan::bounded::<i32>(0);
    _ = pattern::or([values]).recv();
}
