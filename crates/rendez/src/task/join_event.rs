//! A goroutine's end as an event.

use super::{
    header::Header,
    join::{JoinHandle, LocalJoinHandle},
    scope::ScopedJoinHandle,
};
use crate::{
    select::{Arm, Event, Operation, Registered, Sealed, Waiting},
    wait::Node,
};
use std::{fmt, ptr};

/// What `&JoinHandle` becomes while it is waited for as an [`Event`].
pub struct JoinEvent<'a> {
    header: &'a Header,
    registered: bool,
    node: Node,
}

// SAFETY: the raw pointers in the node point to a waiter that is kept by whoever registers this arm, or are other nodes' that
// are only followed under the lock of the task's joiners; of the header only what is made for sharing is used.
unsafe impl Send for JoinEvent<'_> {}
// SAFETY: nothing can be done through a shared reference.
unsafe impl Sync for JoinEvent<'_> {}

impl<'a> JoinEvent<'a> {
    pub(super) fn new(header: &'a Header) -> Self {
        JoinEvent { header, registered: false, node: Node::new(ptr::null(), 0, ptr::null_mut()) }
    }
}

impl Sealed for JoinEvent<'_> {}

impl Arm for JoinEvent<'_> {
    fn attempt(&mut self) -> bool {
        self.header.is_done()
    }

    unsafe fn register(&mut self, waiting: Waiting<'_>, first: usize) -> Registered {
        self.node.aim(waiting.waiter, first as u32, ptr::null_mut());
        // SAFETY: passed on: the node is in this arm, which borrows the handle and by that the header.
        self.registered = unsafe { self.header.queue_joiner(&self.node) };
        match self.registered {
            true => Registered::Waits,
            false => waiting.choose(),
        }
    }

    unsafe fn unregister(&mut self) {
        if std::mem::take(&mut self.registered) {
            // SAFETY: queued there by `register`.
            unsafe { self.header.leave_joiner(&self.node) };
        }
    }

    fn conclude(&mut self, _: usize) -> bool {
        true
    }

    fn undo(&mut self) {}
}

impl Operation for JoinEvent<'_> {
    type Output = ();

    fn finish(self) {}
}

/// Happens when the goroutine has ended, so that [`join`](JoinHandle::join) does not wait.
///
/// # Examples
/// ```
/// use rendez::{go, select, time};
/// use std::time::Duration;
/// let handle = go(|| 42);
/// let result = select! {
///     wait(&handle) -> () => Some(handle.join().unwrap()),
///     wait(time::timer(Duration::from_secs(60))) -> _ => None,
/// };
/// assert_eq!(result, Some(42));
/// ```
impl<'a, R> Event for &'a JoinHandle<R> {
    type Output = ();
    type Operation = JoinEvent<'a>;

    fn operation(self) -> JoinEvent<'a> {
        JoinEvent::new(self.0.header())
    }
}

/// As for a [`JoinHandle`].
impl<'a, R> Event for &'a LocalJoinHandle<R> {
    type Output = ();
    type Operation = JoinEvent<'a>;

    fn operation(self) -> JoinEvent<'a> {
        JoinEvent::new(self.0.header())
    }
}

/// As for a [`JoinHandle`].
impl<'a, R> Event for &'a ScopedJoinHandle<'_, R> {
    type Output = ();
    type Operation = JoinEvent<'a>;

    fn operation(self) -> JoinEvent<'a> {
        JoinEvent::new(self.header())
    }
}

impl fmt::Debug for JoinEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinEvent").field("goroutine", &self.header.id).finish_non_exhaustive()
    }
}
