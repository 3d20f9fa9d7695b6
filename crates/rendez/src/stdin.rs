//! Standard input.
//!
//! What it is (a terminal, a pipe, a file) is not for this process to change, so it is read by a blocking call on the pool,
//! when somebody wants to read, and not before. That call can't be interrupted, so it belongs to nobody: whoever gives up
//! waiting for it leaves it behind, and what it brings goes to the next who reads.

use crate::{
    Event,
    blocking::{Kind, Offload, offload},
    fd::named,
    sched::harness::{self, Hold},
    select::{Arm, EventFuture, Occurs, Operation, Registered, Sealed, Waiting},
    wait::{Node, Reason},
};
use std::{
    collections::VecDeque,
    fmt,
    io::{self, Read},
    mem, ptr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// As much is read at once.
const PIECE: usize = 8192;

struct State {
    /// What has been read, and nobody has taken.
    bytes: VecDeque<u8>,
    /// How the last call ended, if that was not with bytes: told once.
    end: Option<io::Result<()>>,
    call: Option<Arc<Offload<io::Result<Vec<u8>>>>>,
}

static STATE: Mutex<State> = Mutex::new(State { bytes: VecDeque::new(), end: None, call: None });

fn lock() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    /// Takes what there is; if there is nothing, has it read.
    fn read(&mut self, buf: &mut [u8]) -> Option<io::Result<usize>> {
        if buf.is_empty() {
            return Some(Ok(0));
        }
        if let Some(result) = self.call.as_ref().and_then(|call| call.take()) {
            self.call = None;
            match result {
                Ok(Ok(bytes)) if bytes.is_empty() => self.end = Some(Ok(())),
                Ok(Ok(bytes)) => self.bytes.extend(bytes),
                Ok(Err(error)) => self.end = Some(Err(error)),
                Err(_) => self.end = Some(Err(io::Error::other("the read panicked"))),
            }
        }
        if !self.bytes.is_empty() {
            return Some(self.bytes.read(buf));
        }
        if let Some(end) = self.end.take() {
            return Some(end.map(|()| 0));
        }
        self.call.get_or_insert_with(|| {
            Arc::new(offload(Kind::Call, || {
                let mut bytes = vec![0; PIECE];
                let len = io::stdin().lock().read(&mut bytes)?;
                bytes.truncate(len);
                Ok(bytes)
            }))
        });
        None
    }
}

/// The process's standard input, to be read without blocking the worker.
///
/// It is the same that [`std::io::stdin`] reads; who uses both finds bytes missing in either, since both buffer.
///
/// # Examples
/// ```no_run
/// use std::io::{BufRead, BufReader};
/// rendez::run(|| {
///     for line in BufReader::new(rendez::stdin()).lines() {
///         println!("{}", line.unwrap().to_uppercase());
///     }
/// });
/// ```
pub fn stdin() -> Stdin {
    Stdin(())
}

/// Standard input, by [`stdin`](stdin()). It implements [`Read`]; lines come by [`BufReader`](std::io::BufReader)`::new(rendez::stdin()).lines()`, and there is
/// no lock to take.
#[derive(Clone, Debug)]
pub struct Stdin(());

impl Stdin {
    /// A read as an event, which yields what [`Read::read`] returns. One that is not chosen takes nothing.
    pub fn read_event<'a>(&self, buf: &'a mut [u8]) -> StdinEvent<'a> {
        let node = Node::new(ptr::null(), 0, ptr::null_mut());
        StdinEvent { buf, result: None, call: None, node, hold: None }
    }

    /// Reads in an async task.
    ///
    /// # Cancellation
    /// Safe: a future that is dropped before it is ready has read nothing.
    pub fn read_async<'a>(&self, buf: &'a mut [u8]) -> EventFuture<StdinEvent<'a>> {
        self.read_event(buf).wait_async()
    }
}

/// # Blocking
/// Parks the goroutine, or the OS thread.
///
/// # Cancellation
/// A runtime's shutdown unwinds a goroutine that waits. The system's call goes on, and what it brings is for the next who reads.
impl Read for Stdin {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.read_event(buf).wait()
    }
}

impl Read for &Stdin {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.read_event(buf).wait()
    }
}

/// The event of [`Stdin::read_event`].
#[must_use = "an event does nothing unless it is waited for"]
pub struct StdinEvent<'a> {
    buf: &'a mut [u8],
    result: Option<io::Result<usize>>,
    /// Where it is queued.
    call: Option<Arc<Offload<io::Result<Vec<u8>>>>>,
    node: Node,
    /// The clock of a runtime under test stands while this is queued.
    hold: Option<Hold>,
}

// SAFETY: the raw pointers in the node point to a waiter that is kept by whoever registers this arm, or are other nodes' that
// are only followed under the call's lock.
unsafe impl Send for StdinEvent<'_> {}
// SAFETY: nothing can be done through a shared reference.
unsafe impl Sync for StdinEvent<'_> {}

impl Sealed for StdinEvent<'_> {}

impl Arm for StdinEvent<'_> {
    fn attempt(&mut self) -> bool {
        if self.result.is_none() {
            self.result = lock()
                .read(self.buf)
                .map(|result| result.map_err(|error| named("read", "standard input", error)));
        }
        self.result.is_some()
    }

    unsafe fn register(&mut self, waiting: Waiting<'_>, first: usize) -> Registered {
        if self.result.is_some() {
            return waiting.choose();
        }
        // If there is none, somebody else has taken what it brought.
        let Some(call) = lock().call.clone() else { return Registered::Again };
        self.node.aim(waiting.waiter, first as u32, ptr::null_mut());
        // SAFETY: passed on: the node is in this arm, which keeps the call.
        if unsafe { call.queue(&self.node) } {
            self.call = Some(call);
            self.hold = harness::hold();
            Registered::Waits
        } else {
            Registered::Again
        }
    }

    unsafe fn unregister(&mut self) {
        if let Some(call) = mem::take(&mut self.call) {
            // SAFETY: queued there by `register`.
            unsafe { call.leave(&self.node) };
            self.hold = None;
        }
    }

    fn conclude(&mut self, _: usize) -> bool {
        self.result.is_some()
    }

    fn undo(&mut self) {
        self.result = None;
    }

    fn reason(&self) -> Reason {
        Reason::IoWait
    }
}

impl Operation for StdinEvent<'_> {
    type Output = io::Result<usize>;

    fn finish(&mut self) -> io::Result<usize> {
        self.result.take().expect("it was chosen")
    }
}

impl Event for StdinEvent<'_> {
    type Output = io::Result<usize>;
    type Operation = Self;

    fn operation(self) -> Self {
        self
    }
}

impl fmt::Debug for StdinEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StdinEvent").field("queued", &self.call.is_some()).finish_non_exhaustive()
    }
}
