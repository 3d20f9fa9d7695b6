//! A receiver only receives.

fn main() {
    let (_tx, rx) = rendez::chan::bounded::<i32>(1);
    let _ = rx.send(1);
}
