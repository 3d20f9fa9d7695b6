//! Go's `sync` for goroutines, OS threads and async tasks.

mod caller;
mod once;
#[cfg(not(loom))]
mod once_value;
#[cfg(not(loom))]
mod panic_text;
#[cfg(not(loom))]
mod pool;
#[cfg(not(loom))]
mod single_flight;
mod wait_group;

pub use once::Once;
#[cfg(not(loom))]
pub use once_value::OnceValue;
#[cfg(not(loom))]
pub use pool::{Pool, PoolGuard};
#[cfg(not(loom))]
pub use single_flight::SingleFlight;
pub use wait_group::{WaitGroup, WaitGroupFuture};
