//! A look at the goroutine that another thread is running: by a signal to that thread.
//!
//! # The question and its answer
//!
//! There is one [`Question`], and one asks at a time. Its state:
//!
//! | state | meaning | who leaves it, and to what |
//! | --- | --- | --- |
//! | `NONE` | nobody asks; the buffer is the asker's | the asker, to `ASKED` |
//! | `ASKED` | the signal is on its way | the handler on the right thread, to `ANSWERING`; the asker, who gives up, to `NONE` |
//! | `ANSWERING` | the buffer is the handler's | it, to `ANSWERED` or `REFUSED` |
//! | `ANSWERED`, `REFUSED` | the buffer is the asker's again | the asker, to `NONE` |
//!
//! A signal that comes late, or from elsewhere, finds another state, or is on another thread, and goes to whoever handled it before.
//! A handler that the program has set since, and that does not pass it on, leaves the question without an answer: who gives up looks whether
//! that is so.
//!
//! # What the handler may do
//!
//! It runs in the middle of anything. It takes no lock, allocates nothing and calls nothing of the system's; it runs on the signal stack
//! that each worker has, since there may be no room on the goroutine's. What it reads:
//!
//! * the worker's own fields, by [`sched::interrupted`], which says why they can be relied on;
//! * the goroutine's books, which are there until it has ended, which a mark in its fiber tells beforehand;
//! * the registers, which the kernel passes, and the stack from the stack pointer to its beginning, if that is the stack of the
//!   goroutine (a coroutine of somebody else's may run on it): memory that is mapped and in use. It is copied as words, for what lies there is of any type, or padding.

use super::{Stuck, Who, unwind};
use crate::{
    diag::handler::Handler,
    sched::{self, WorkerShared},
};
use std::{
    cell::UnsafeCell,
    io,
    mem::MaybeUninit,
    panic::Location,
    ptr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicPtr, AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// Few use it, by default it is ignored, and debuggers let it pass (Go interrupts its threads by it for the same reasons).
const SIGNAL: libc::c_int = libc::SIGURG;
/// How long an answer is waited for; a thread may be in the kernel, or without a processor.
const PATIENCE: Duration = Duration::from_millis(100);
const PAUSE: Duration = Duration::from_micros(20);
/// Words of the stack that are copied at most; the innermost say enough.
const WORDS: usize = 8 * 1024;
const NAME: usize = 64;

const NONE: u32 = 0;
const ASKED: u32 = 1;
const ANSWERING: u32 = 2;
const ANSWERED: u32 = 3;
const REFUSED: u32 = 4;

struct Question {
    state: AtomicU32,
    worker: AtomicPtr<WorkerShared>,
    /// The worker's number of switches while it runs the goroutine that is meant.
    switches: AtomicU32,
    answer: UnsafeCell<Buffer>,
}

// SAFETY: the answer is touched by whom the state says, one at a time; each step releases what the next one acquires.
unsafe impl Sync for Question {}

static QUESTION: Question = Question {
    state: AtomicU32::new(NONE),
    worker: AtomicPtr::new(ptr::null_mut()),
    switches: AtomicU32::new(0),
    answer: UnsafeCell::new(Buffer {
        id: 0,
        site: None,
        name: [0; NAME],
        name_len: 0,
        registers: unwind::Registers::NONE,
        stack_at: 0,
        stack_len: 0,
        stack: [MaybeUninit::uninit(); WORDS],
    }),
};

struct Buffer {
    id: u64,
    site: Option<&'static Location<'static>>,
    name: [u8; NAME],
    /// More than that if it did not fit.
    name_len: usize,
    registers: unwind::Registers,
    /// The address of the first word, and how many there are.
    stack_at: usize,
    stack_len: usize,
    stack: [MaybeUninit<usize>; WORDS],
}

// SAFETY: see the head of the file.
static HANDLER: Handler = unsafe { Handler::new(SIGNAL, handle) };

/// Sets the handler.
pub(crate) fn prepare() -> io::Result<()> {
    HANDLER.set(libc::SA_RESTART)
}

/// Lets the signal reach the calling thread, a worker, whatever whoever started it has blocked.
pub(crate) fn unblock() {
    // SAFETY: a set of this frame's, and the mask of this thread.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, SIGNAL);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &set, ptr::null_mut());
    }
}

/// The handler.
unsafe extern "C" fn handle(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let worker = QUESTION.worker.load(Ordering::Relaxed);
    let mine = sched::is_worker_here(worker)
        && QUESTION.state.compare_exchange(ASKED, ANSWERING, Ordering::Acquire, Ordering::Relaxed).is_ok();
    if !mine {
        // By default the signal is ignored.
        // SAFETY: what this was called with.
        unsafe { HANDLER.pass_on(signal, info, context) };
        return;
    }
    // Who asked may have given up after the first look, and asked another worker: that one's answer is not ours to give.
    let is_ours = sched::is_worker_here(QUESTION.worker.load(Ordering::Relaxed));
    // SAFETY: the state says that the buffer is ours; the kernel passes what was interrupted.
    let answered = is_ours && unsafe { answer(&mut *QUESTION.answer.get(), context.cast()) };
    QUESTION.state.store(if answered { ANSWERED } else { REFUSED }, Ordering::Release);
}

/// # Safety
/// On a worker's thread, in a signal handler; `context` is the handler's.
unsafe fn answer(buffer: &mut Buffer, context: *const libc::ucontext_t) -> bool {
    // SAFETY: by contract.
    let Some((task, stack)) = (unsafe { sched::interrupted() }) else { return false };
    if sched::switches_here() != Some(QUESTION.switches.load(Ordering::Relaxed)) {
        // Meanwhile it runs another one.
        return false;
    }
    buffer.id = task.id;
    buffer.site = Some(task.site);
    let name = task.name().unwrap_or_default().as_bytes();
    let len = name.len().min(NAME);
    buffer.name[..len].copy_from_slice(&name[..len]);
    buffer.name_len = len;
    // SAFETY: by contract.
    buffer.registers = unsafe { unwind::Registers::of(context) };
    let sp = buffer.registers.stack_pointer() & !(size_of::<usize>() - 1);
    buffer.stack_at = sp;
    buffer.stack_len = 0;
    // A sanitizer keeps marks in the stack, and does not let it be read as a whole.
    if !cfg!(rendez_sanitize) && stack.contains(&sp) {
        let words = ((stack.end - sp) / size_of::<usize>()).min(WORDS);
        let from = ptr::with_exposed_provenance::<MaybeUninit<usize>>(sp);
        for (i, word) in buffer.stack[..words].iter_mut().enumerate() {
            // SAFETY: from the stack pointer to the stack's beginning it is mapped, and nobody but this thread, which is in here, writes to it.
            *word = unsafe { from.add(i).read_volatile() };
        }
        buffer.stack_len = words;
    }
    true
}

/// What was seen of a goroutine, or that nothing can be.
pub(crate) struct Snapshot(Who);

/// Looks at the goroutine that the worker, one of the runtime of this number, has run since its number of `switches` was that. `None` if it does not
/// run it any more, or does not answer in time.
pub(crate) fn look_at(worker: &'static WorkerShared, runtime: u64, switches: u32) -> Option<Snapshot> {
    // What the worker shares may be another runtime's by now, whose worker may have switched as often.
    ask(worker, switches).filter(|_| worker.is_of(runtime))
}

fn ask(worker: &'static WorkerShared, switches: u32) -> Option<Snapshot> {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    QUESTION.worker.store(ptr::from_ref(worker).cast_mut(), Ordering::Relaxed);
    QUESTION.switches.store(switches, Ordering::Relaxed);
    QUESTION.state.store(ASKED, Ordering::Release);
    worker.signal(SIGNAL);
    let asked = Instant::now();
    let state = loop {
        match QUESTION.state.load(Ordering::Acquire) {
            state @ (ANSWERED | REFUSED) => break state,
            // The handler comes to its end.
            ASKED if asked.elapsed() >= PATIENCE => {
                let given_up =
                    QUESTION.state.compare_exchange(ASKED, NONE, Ordering::Relaxed, Ordering::Relaxed);
                if given_up.is_ok() {
                    return (!HANDLER.is_set()).then_some(Snapshot(Who::Silenced));
                }
            }
            _ => thread::sleep(PAUSE),
        }
    };
    // SAFETY: the state says that the buffer is ours, until the next question, which waits for its turn.
    let buffer = unsafe { &*QUESTION.answer.get() };
    let snapshot = (state == ANSWERED).then(|| Snapshot::of(buffer));
    QUESTION.state.store(NONE, Ordering::Relaxed);
    snapshot
}

impl Snapshot {
    fn of(buffer: &Buffer) -> Snapshot {
        let name = &buffer.name[..buffer.name_len];
        let word = |address: usize| {
            let offset = address.checked_sub(buffer.stack_at)?;
            let index = offset / size_of::<usize>();
            let is_there = offset.is_multiple_of(size_of::<usize>()) && index < buffer.stack_len;
            // SAFETY: the handler has written the first `stack_len`; what it has copied from padding is some number.
            is_there.then(|| unsafe { buffer.stack[index].assume_init() })
        };
        Snapshot(Who::Goroutine {
            id: buffer.id,
            name: (!name.is_empty()).then(|| String::from_utf8_lossy(name).into_owned()),
            site: buffer.site.expect("an answer has one"),
            frames: unwind::frames(&buffer.registers, word),
        })
    }

    pub(crate) fn into_report(self, runtime: u64, worker: usize, held: Duration, busy: Duration) -> Stuck {
        Stuck { who: self.0, runtime, worker, held, busy }
    }
}
