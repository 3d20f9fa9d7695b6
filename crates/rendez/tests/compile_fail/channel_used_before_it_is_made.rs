//! Go's `var stream chan int; <-stream` waits for ever. Here a channel that was only declared can't be used.

use rendez::chan::Receiver;

fn main() {
    let stream: Receiver<i32>;
    let _ = stream.recv();
}
