//! Small reads and writes of sockets that are made together: the kernel is entered once for all of them (by `io_uring`).
//!
//! To enter the kernel, to find the way to the socket and to come back costs about as much as what a small write does there; of several in a
//! row, what the first has brought into the caches serves the others. (Measured on a Zen 4 by a bare program, 100 connections, 64 bytes:
//! 10.3 us for a round trip by single calls, 9.1 with four writes at a time, 8.3 with all that there are, 8.0 with the reads as well.) When a look at the
//! poller has made many goroutines ready, each reads, and most of them then write. So:
//!
//! * Who makes such a call while others are ready puts it into the batch, and suspends. The call, with its buffer and its result, is in that
//!   goroutine's frames; nothing but the batch leads to the goroutine, which is in no queue and has no waiter. So nobody but the batch's maker
//!   queues it, nothing ends its wait early, and a shutdown does not unwind it there.
//! * The batch is made by who fills it, who does not suspend for that; or by the loop, when neither a started goroutine nor a poll is ready, or when it maintains for the second
//!   time since (which is after 66 bursts at most). While bursts are long nobody's call is put off.
//!   (The first long one is not foreseen: who blocks its thread for what another one is to write may wait for a call that is put off.)
//! * Those whose calls have been made go on before all who are ready, in their order: their turn was not over, and their stacks are in the cache.
//!   It ends when their budget does, as if they had not been away.
//!
//! Nobody is put off where there are [very many](MANY) sockets.
//!
//! A read is put off only after a wait: then there is something. (Who reads without having waited mostly finds out that there is nothing, for less than a
//! switch costs.)
//!
//! Nobody is put off in the midst of a poll, which may have set thread-locals for as long as it lasts, except by a `FuturesIo` that has been told
//! that it may be; and there no read is (`http` was .97 by that, with the writes alone 1.16 to 1.35: a poll that is suspended costs a stack).
//!
//! # What the kernel may touch
//! A buffer that its goroutine has lent until [`Worker::call_with_others`] returns. No call outlives the making of its batch: each is told not to
//! wait (`MSG_DONTWAIT`), so it is over when the kernel is left; were one not, the worker would wait for it. All of this is done by one thread.
//!
//! A kernel that refuses (older than 5.6; forbidden in a container) is asked once by each worker; from then on all calls are made one by one.

use super::Worker;
use crate::task::{Header, header::ASYNC};
use io_uring::{IoUring, Probe, opcode, squeue, types};
use std::{
    cell::{Cell, RefCell},
    io,
    os::fd::{AsRawFd, BorrowedFd, RawFd},
    ptr,
    time::Instant,
};

/// So many calls make a full batch. (Of half as many each costs 4 percent more; of twice as many none costs less, and those that are put off wait for
/// longer.)
const FULL: usize = 64;
/// So few are not worth the way.
const FEW: usize = 4;
/// Of more sockets than this each comes from memory, whoever was before it; and what waits for its turn in a batch between reading and writing has to come
/// twice. (On a Xeon, 9,900 connections of which both ends are in the process: 6.2 us for a round trip by single calls, 8.4 by batches. Of 1,000 to 4,000 there is no
/// difference that shows, of 400 batches are ahead by 3 percent, of 100 by 4.)
const MANY: usize = if cfg!(test) { 320 } else { 4096 };
/// Of a longer write, most of the time is that of copying.
const SMALL_WRITE: usize = 4 << 10;
/// The room of a read, which mostly is not filled.
const SMALL_READ: usize = 16 << 10;

/// What to do with a buffer. The raw pointer is to what the caller has lent.
#[derive(Clone, Copy)]
enum Transfer {
    Write(*const u8, usize),
    Read(*mut u8, usize),
}

impl Transfer {
    fn is_small(self) -> bool {
        match self {
            Transfer::Write(_, len) => len <= SMALL_WRITE,
            Transfer::Read(_, len) => len <= SMALL_READ,
        }
    }
}

/// A call that is put off.
struct Call {
    fd: RawFd,
    transfer: Transfer,
    /// Who waits for it.
    task: *mut Header,
    /// What the kernel has said: bytes, or an error's number, negated.
    result: Cell<Option<i32>>,
}

impl Call {
    /// Makes it alone.
    ///
    /// # Safety
    /// The buffer is there, and its owner's to lend.
    unsafe fn make(&self) {
        // SAFETY: by contract; the kernel touches no more than that.
        let done = unsafe {
            match self.transfer {
                Transfer::Write(start, len) => {
                    libc::send(self.fd, start.cast(), len, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL)
                }
                Transfer::Read(start, len) => libc::recv(self.fd, start.cast(), len, libc::MSG_DONTWAIT),
            }
        };
        let done = i32::try_from(done).ok().filter(|&done| done >= 0);
        let error = || -io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO);
        self.result.set(Some(done.unwrap_or_else(error)));
    }

    /// The same for the kernel's queue.
    fn entry(&self) -> squeue::Entry {
        let fd = types::Fd(self.fd);
        match self.transfer {
            // Small: see `is_small`.
            Transfer::Write(start, len) => opcode::Send::new(fd, start, len as u32)
                .flags(libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL)
                .build(),
            Transfer::Read(start, len) => {
                opcode::Recv::new(fd, start, len as u32).flags(libc::MSG_DONTWAIT).build()
            }
        }
    }
}

/// The calls that are put off at a worker, and its way to make them together.
pub(super) struct Batch {
    len: Cell<usize>,
    /// Whether it was there when the worker last maintained.
    asked: Cell<bool>,
    calls: [Cell<*const Call>; FULL],
    way: RefCell<Way>,
}

enum Way {
    Untried,
    Open(Box<IoUring>),
    Closed,
}

impl Batch {
    /// For a worker whose batches are made together if `wanted` and if the kernel can.
    pub(super) fn new(wanted: bool) -> Batch {
        Batch {
            len: Cell::new(0),
            asked: Cell::new(false),
            calls: [const { Cell::new(ptr::null()) }; FULL],
            way: RefCell::new(if wanted { Way::Untried } else { Way::Closed }),
        }
    }

    #[inline(always)]
    pub(super) fn is_empty(&self) -> bool {
        self.len.get() == 0
    }

    /// Whether it is to be made though others are ready: if that has been asked before.
    pub(super) fn is_due(&self) -> bool {
        self.asked.replace(true)
    }

    fn is_closed(&self) -> bool {
        matches!(*self.way.borrow(), Way::Closed)
    }

    /// Adds a call; whether the batch is full now, and to be made.
    fn add(&self, call: &Call) -> bool {
        let len = self.len.get();
        self.calls[len].set(call);
        self.len.set(len + 1);
        len + 1 == FULL
    }

    /// Makes all calls, and shows who waits for them, the last one first. How many were made together.
    ///
    /// # Safety
    /// Calls that have been added are there, with their buffers, until they have their results.
    unsafe fn make(&self, mut each: impl FnMut(*mut Header)) -> u64 {
        self.asked.set(false);
        let calls = &self.calls[..self.len.replace(0)];
        // SAFETY: by contract, for as long as none of those who wait goes on; they are only queued in here.
        let calls = || calls.iter().map(|call| unsafe { &*call.get() });
        // SAFETY: by contract.
        unsafe {
            let together = if calls().len() < FEW { 0 } else { self.make_together(calls()) };
            calls().filter(|call| call.result.get().is_none()).for_each(|call| call.make());
            calls().rev().for_each(|call| each(call.task));
            together
        }
    }

    /// Makes the calls by one way into the kernel. How many of them it has made: if not all, the way is closed from now on.
    ///
    /// # Safety
    /// As for [`make`](Self::make).
    #[inline(never)]
    unsafe fn make_together<'a>(&self, calls: impl Iterator<Item = &'a Call> + Clone) -> u64 {
        let mut way = self.way.borrow_mut();
        if let Way::Untried = *way {
            *way = open().map_or(Way::Closed, |ring| Way::Open(Box::new(ring)));
        }
        let Way::Open(ring) = &mut *way else { return 0 };
        let mut wanted = 0;
        let mut submission = ring.submission();
        for (index, call) in calls.clone().enumerate() {
            // SAFETY: by contract the buffer is there until the call is over, which is when its result is.
            if unsafe { submission.push(&call.entry().user_data(index as u64)) }.is_err() {
                break;
            }
            wanted += 1;
        }
        drop(submission);
        let (mut taken, mut over, mut refused) = (0, 0, false);
        while over < wanted && !(refused && over == taken) {
            // What it has taken is over when it returns; it is told to wait for that all the same.
            match ring.submit_and_wait(if refused { taken - over } else { wanted - over }) {
                Ok(now) => taken += now,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => refused = true,
            }
            for end in ring.completion() {
                if let Some(call) = calls.clone().nth(end.user_data() as usize) {
                    call.result.set(Some(end.result()));
                }
                over += 1;
            }
        }
        if refused {
            *way = Way::Closed;
        }
        over as u64
    }
}

/// # Errors
/// If the kernel does not know of this, or not of sockets, or forbids it.
fn open() -> io::Result<IoUring> {
    // Not in a child that is forked: its pages are the kernel's, so the child's would be the same.
    let ring: IoUring = IoUring::builder().dontfork().build(FULL as u32)?;
    let mut probe = Probe::new();
    ring.submitter().register_probe(&mut probe)?;
    match [opcode::Send::CODE, opcode::Recv::CODE].into_iter().all(|code| probe.is_supported(code)) {
        true => Ok(ring),
        false => Err(io::ErrorKind::Unsupported.into()),
    }
}

impl Worker {
    /// Makes a call on a socket together with others. `None` if nobody else is ready, or if it is better not put off: nothing has happened then.
    ///
    /// # Safety
    /// The buffer is the caller's to lend until this returns.
    #[inline]
    unsafe fn call_with_others(&self, fd: RawFd, transfer: Transfer, in_poll: bool) -> Option<i32> {
        if (self.batch.is_empty() && !self.queue.has_two() && self.polls.len() < 2)
            || self.slow.get() > 0
            || !transfer.is_small()
            || !self.can_put_off(in_poll)
        {
            return None;
        }
        let (task, fiber) = (self.goroutine()?.0.as_ptr(), ptr::from_ref(self.fiber()?));
        let call = Call { fd, transfer, task, result: Cell::new(None) };
        if self.batch.add(&call) {
            let start = Instant::now();
            self.make_batch();
            self.spent_on_others.set(self.spent_on_others.get() + start.elapsed());
        }
        // Nothing in here unwinds before the call has been made: the batch has its address.
        loop {
            if let Some(result) = call.result.get() {
                return Some(result);
            }
            let budget = self.burst.budget.get();
            // SAFETY: the running goroutine's fiber; who makes the batch queues it.
            unsafe { self.suspend(fiber, false, self.has_started()) };
            // The same turn goes on: were it a new one each time, as many as fill a batch could keep all others waiting.
            self.burst.budget.set(budget);
            self.note_spent(self.spent());
        }
    }

    /// Whether what runs may let others run for a while: it is not in the midst of a poll, unless it is said that it may be, nor unwinding. And whether it
    /// makes sense.
    fn can_put_off(&self, in_poll: bool) -> bool {
        // SAFETY: the header of what runs is there.
        let runs = unsafe { self.current.get().as_ref() };
        runs.is_some_and(|task| in_poll || !task.has_flag(ASYNC) && !self.is_polling())
            && !self.is_unwinding()
            && self.harness.is_none()
            && !self.batch.is_closed()
            && self.shared.poller.get().is_none_or(|poller| poller.sources() <= MANY)
    }

    /// Makes the calls that have been put off. Those who wait for them, but not who runs, go on before all others.
    pub(super) fn make_batch(&self) {
        let runs = self.current.get();
        // SAFETY: calls are in frames of goroutines of this worker that are suspended, or is that of the one that runs, until they have their
        // results; these goroutines are unfinished and in no queue.
        let together = unsafe {
            self.batch.make(|task| {
                if !ptr::eq(task, runs) {
                    self.queue.push_first(task);
                }
            })
        };
        self.shared.counters.calls_together.add(together);
    }
}

/// Writes to a socket together with what others read and write: see the [module](self). `None` if it is to be written to alone: nothing has
/// happened then. In a poll that is always so, unless it may be suspended as by a call that blocks (`in_poll`).
#[inline]
pub(crate) fn write_with_others(
    socket: BorrowedFd<'_>,
    buf: &[u8],
    in_poll: bool,
) -> Option<io::Result<usize>> {
    // SAFETY: the buffer is borrowed for as long as this takes, and the kernel reads it only.
    unsafe { with_others(socket, Transfer::Write(buf.as_ptr(), buf.len()), in_poll) }
}

/// As [`write_with_others`].
#[inline]
pub(crate) fn read_with_others(socket: BorrowedFd<'_>, buf: &mut [u8]) -> Option<io::Result<usize>> {
    // SAFETY: the buffer is borrowed for as long as this takes; the kernel writes bytes.
    unsafe { with_others(socket, Transfer::Read(buf.as_mut_ptr(), buf.len()), false) }
}

/// # Safety
/// As for [`Worker::call_with_others`].
#[inline]
unsafe fn with_others(
    socket: BorrowedFd<'_>,
    transfer: Transfer,
    in_poll: bool,
) -> Option<io::Result<usize>> {
    let call = |worker: Option<&Worker>| {
        // SAFETY: passed on.
        unsafe { worker?.call_with_others(socket.as_raw_fd(), transfer, in_poll) }
    };
    let result = super::with_worker(call)?;
    Some(usize::try_from(result).map_err(|_| io::Error::from_raw_os_error(-result)))
}

#[cfg(test)]
mod tests;
