//! A goroutine's end as an event.

use super::{
    join::{JoinHandle, LocalJoinHandle},
    scope::ScopedJoinHandle,
};
use crate::select::{Event, Occurrence};

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
    type Operation = Occurrence<'a>;

    fn operation(self) -> Occurrence<'a> {
        Occurrence::of(self.0.header())
    }
}

/// As for a [`JoinHandle`].
impl<'a, R> Event for &'a LocalJoinHandle<R> {
    type Output = ();
    type Operation = Occurrence<'a>;

    fn operation(self) -> Occurrence<'a> {
        Occurrence::of(self.0.header())
    }
}

/// As for a [`JoinHandle`].
impl<'a, R> Event for &'a ScopedJoinHandle<'_, R> {
    type Output = ();
    type Operation = Occurrence<'a>;

    fn operation(self) -> Occurrence<'a> {
        Occurrence::of(self.header())
    }
}
