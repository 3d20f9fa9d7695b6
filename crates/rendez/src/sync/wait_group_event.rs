//! A wait group as an event: it happens when the counter is zero.

use super::{WaitGroup, wait_group::Inner};
use crate::{
    select::{Arm, Event, Operation, Registered, Sealed, Waiting},
    wait::Node,
};
use std::{fmt, ptr};

/// What `&WaitGroup` becomes while it is waited for as an [`Event`].
pub struct WaitGroupEvent<'a> {
    inner: &'a Inner,
    registered: bool,
    node: Node,
}

// SAFETY: the raw pointers in the node point to a waiter that is kept by whoever registers this arm, or are other nodes' that
// are only followed under the group's lock.
unsafe impl Send for WaitGroupEvent<'_> {}
// SAFETY: nothing can be done through a shared reference.
unsafe impl Sync for WaitGroupEvent<'_> {}

impl Sealed for WaitGroupEvent<'_> {}

impl Arm for WaitGroupEvent<'_> {
    fn attempt(&mut self) -> bool {
        self.inner.is_zero()
    }

    unsafe fn register(&mut self, waiting: Waiting<'_>, first: usize) -> Registered {
        self.node.aim(waiting.waiter, first as u32, ptr::null_mut());
        // SAFETY: passed on: the node is in this arm.
        self.registered = unsafe { self.inner.queue(&self.node) };
        match self.registered {
            true => Registered::Waits,
            false => waiting.choose(),
        }
    }

    unsafe fn unregister(&mut self) {
        if std::mem::take(&mut self.registered) {
            // SAFETY: queued there by `register`.
            unsafe { self.inner.leave(&self.node) };
        }
    }

    fn conclude(&mut self, _: usize) -> bool {
        true
    }

    fn undo(&mut self) {}
}

impl Operation for WaitGroupEvent<'_> {
    type Output = ();

    fn finish(self) {}
}

/// Happens when the counter is zero.
///
/// # Examples
/// ```
/// use rendez::{select, sync::WaitGroup};
/// use std::time::Duration;
/// let wg = WaitGroup::new();
/// wg.go(|| rendez::sleep(Duration::from_millis(2)));
/// let in_time = select! {
///     wait(&wg) -> () => true,
///     default(Duration::from_secs(60)) => false,
/// };
/// assert!(in_time);
/// ```
impl<'a> Event for &'a WaitGroup {
    type Output = ();
    type Operation = WaitGroupEvent<'a>;

    fn operation(self) -> WaitGroupEvent<'a> {
        WaitGroupEvent {
            inner: &self.inner,
            registered: false,
            node: Node::new(ptr::null(), 0, ptr::null_mut()),
        }
    }
}

impl fmt::Debug for WaitGroupEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitGroupEvent").field("registered", &self.registered).finish_non_exhaustive()
    }
}
