//! A loop that waits for a flag, and keeps its worker from the goroutine that would set it.

use rendez::{diag, go_local};
use std::{
    process,
    sync::atomic::{AtomicBool, Ordering},
};

static READY: AtomicBool = AtomicBool::new(false);

#[expect(clippy::missing_spin_loop, reason = "it is broken, and that would not mend it")]
fn wait_until_ready() {
    while !READY.load(Ordering::Relaxed) {}
}

pub(crate) fn main() {
    diag::on_stuck(|stuck| {
        eprintln!("{stuck}");
        process::exit(3);
    });
    go_local(|| READY.store(true, Ordering::Relaxed));
    wait_until_ready();
    println!("ready");
}
