//! Tasks as hyper wants them.

use hyper::rt;
use rendez::go_async;

/// hyper's `Executor`: what it is given runs as an async goroutine of the runtime in which it is given.
///
/// HTTP/2 needs one, a task for each stream.
///
/// # Examples
/// ```
/// use hyper::rt::Executor as _;
/// use rendez::chan;
/// let (tx, rx) = chan::bounded(1);
/// rendez_hyper::Executor.execute(async move { tx.send("hello").unwrap() });
/// assert_eq!(rx.recv(), Ok("hello"));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Executor;

impl<F> rt::Executor<F> for Executor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        drop(go_async(future));
    }
}
