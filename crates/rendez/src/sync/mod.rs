//! Go's `sync` for goroutines, OS threads and async tasks.

mod barrier;
mod caller;
mod cond;
#[cfg(not(loom))]
mod group;
#[cfg(all(test, loom))]
pub(crate) mod loom_tests;
mod mutex;
mod once;
#[cfg(not(loom))]
mod once_value;
#[cfg(not(loom))]
mod panic_text;
#[cfg(not(loom))]
mod pool;
mod raw_lock;
mod rw_lock;
mod semaphore;
#[cfg(not(loom))]
mod single_flight;
mod source;
mod wait_group;

#[cfg(not(loom))]
pub(crate) use raw_lock::THREAD;

pub use barrier::Barrier;
#[cfg(not(loom))]
pub use barrier::BarrierFuture;
pub use cond::Cond;
#[cfg(not(loom))]
pub use cond::CondFuture;
#[cfg(not(loom))]
pub use group::Group;
#[cfg(not(loom))]
pub use mutex::LockFuture;
pub use mutex::{LockEvent, Mutex, MutexGuard};
pub use once::Once;
#[cfg(not(loom))]
pub use once_value::OnceValue;
#[cfg(not(loom))]
pub use pool::{Pool, PoolGuard};
pub use rw_lock::{ReadEvent, RwLock, RwLockReadGuard, RwLockWriteGuard, WriteEvent};
#[cfg(not(loom))]
pub use rw_lock::{ReadFuture, WriteFuture};
#[cfg(not(loom))]
pub use semaphore::AcquireFuture;
pub use semaphore::{AcquireEvent, OwnedPermit, Permit, Semaphore};
#[cfg(not(loom))]
pub use single_flight::SingleFlight;
pub use source::SyncEvent;
pub use wait_group::{WaitGroup, WaitGroupFuture};
