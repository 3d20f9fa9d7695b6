//! Go's `sync` for goroutines, OS threads and async tasks.

mod wait_group;
mod wait_group_event;

pub use wait_group::{WaitGroup, WaitGroupFuture};
pub use wait_group_event::WaitGroupEvent;
