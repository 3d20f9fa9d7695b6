//! Go's `sync` for goroutines, OS threads and async tasks.

mod wait_group;

pub use wait_group::{WaitGroup, WaitGroupFuture};
