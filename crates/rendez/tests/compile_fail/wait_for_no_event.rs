//! What can be waited for is told where something else is.

use rendez::{chan, go, select, time};
use std::time::Duration;

fn main() {
    let handle = go(|| 1);
    let (_tx, rx) = chan::bounded::<i32>(1);
    select! {
        wait(handle) -> _ => {}
        wait(rx) -> _ => {}
    }
    let _ = time::timeout(Duration::from_secs(1), async { 1 });
}
