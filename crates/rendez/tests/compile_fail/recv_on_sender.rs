//! A sender only sends.

fn main() {
    let (tx, _rx) = rendez::chan::bounded::<i32>(1);
    let _ = tx.recv();
}
