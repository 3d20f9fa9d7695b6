//! The report of a stack overflow.
//!
//! The guard page at the end of a goroutine's stack faults. The handler runs on a signal stack that each worker has of its own (there is
//! no room on the one that overflowed). If the address lies in the guard of the goroutine that this thread is running, it
//! reports and aborts. Any other fault goes to whoever handled it before: the standard library's handler, which knows the
//! guards of threads, a crash reporter, or the system's default.
//!
//! What the report says first is written without allocation and locks. The backtrace needs both: if the goroutine has
//! overflowed in the middle of the allocator, it may wait for itself, so a clock is set that aborts anyway.

use super::{backtrace, handler::Handler, raw::Raw};
use crate::sched;
use std::{
    fmt::Write,
    mem::MaybeUninit,
    ptr,
    sync::atomic::{AtomicBool, Ordering},
};

/// For symbols' sake; it is address space until it is used.
const SIGNAL_STACK: usize = 256 * 1024;
/// How long the backtrace may take, in seconds.
const PATIENCE: u32 = 10;

/// For the signals of a bad access.
// SAFETY: see the head of the file: it does what handlers may, until the process is lost anyway.
static HANDLERS: [Handler; 2] =
    unsafe { [Handler::new(libc::SIGSEGV, handle), Handler::new(libc::SIGBUS, handle)] };
/// Whether somebody reports; the process is about to end.
static REPORTING: AtomicBool = AtomicBool::new(false);

/// Handles faults from now on, in the whole process. (If the handlers can't be set, an overflow ends the process without a report.)
pub(crate) fn install() {
    for handler in &HANDLERS {
        let _ = handler.set(0);
    }
}

/// Whether the process ends because of an overflow that has been told. May be called in a signal handler.
pub(super) fn is_reported() -> bool {
    REPORTING.load(Ordering::SeqCst)
}

/// A signal stack for the calling thread, until it is dropped there.
pub(crate) struct SignalStack {
    memory: *mut libc::c_void,
    before: libc::stack_t,
}

impl SignalStack {
    /// `None` if there is no memory: the thread keeps the one that it has.
    pub(crate) fn new() -> Option<SignalStack> {
        // SAFETY: new memory that nobody else knows; then a call with places for question and answer.
        unsafe {
            let memory = libc::mmap(
                ptr::null_mut(),
                SIGNAL_STACK,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            );
            if memory == libc::MAP_FAILED {
                return None;
            }
            let stack = libc::stack_t { ss_sp: memory, ss_flags: 0, ss_size: SIGNAL_STACK };
            let mut before = MaybeUninit::uninit();
            if libc::sigaltstack(&stack, before.as_mut_ptr()) != 0 {
                libc::munmap(memory, SIGNAL_STACK);
                return None;
            }
            Some(SignalStack { memory, before: before.assume_init() })
        }
    }
}

impl Drop for SignalStack {
    fn drop(&mut self) {
        // SAFETY: this thread's, and no handler runs on it now; the one before is still there, since who made it outlives us.
        unsafe {
            libc::sigaltstack(&self.before, ptr::null_mut());
            libc::munmap(self.memory, SIGNAL_STACK);
        }
    }
}

/// The handler.
unsafe extern "C" fn handle(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the system passes a description of the fault.
    let address = unsafe { (*info).si_addr().addr() };
    if let Some(overflow) = sched::overflow_at(address) {
        report(&overflow);
    }
    pass_on(signal, info, context);
}

fn report(overflow: &sched::Overflow<'_>) -> ! {
    if REPORTING.swap(true, Ordering::SeqCst) {
        // Another thread does, or this one again: one report will do.
        loop {
            // SAFETY: waits for a signal, or for the end.
            unsafe { libc::pause() };
        }
    }
    let _ = overflow.write(&mut Raw);
    unsafe extern "C" fn give_up(_: libc::c_int) {
        // SAFETY: may be called in a handler.
        unsafe { libc::abort() };
    }
    // SAFETY: a handler that only aborts; the clock of this process, whose signal may have been blocked on all threads; a set of this frame's.
    unsafe {
        libc::signal(libc::SIGALRM, give_up as *const () as usize);
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, libc::SIGALRM);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &set, ptr::null_mut());
        libc::alarm(PATIENCE);
    }
    let _ = writeln!(Raw, "its stack:");
    // The handler's own frames come first, then the system's trampoline, then the function that overflowed.
    let mut seen_own = false;
    let _ = backtrace::write_here(&mut Raw, |name, file| {
        let own = name.contains("rendez::diag::")
            || file.ends_with("diag/overflow.rs")
            || name.contains("backtrace::")
            || name.contains("restore_rt");
        seen_own |= own;
        own || !seen_own
    });
    // SAFETY: ends the process.
    unsafe { libc::abort() };
}

/// To whoever handled it before.
fn pass_on(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let [segv, bus] = &HANDLERS;
    let handler = if signal == libc::SIGBUS { bus } else { segv };
    // SAFETY: what the handler was called with; then what is set by default, and what is set now, into places for it.
    unsafe {
        // (What is no more than zero is what Linux says of all that programs send.)
        let is_sent = (*info).si_code <= 0 || (*info).si_code == libc::SI_USER;
        let mut action: libc::sigaction = std::mem::zeroed();
        if !handler.pass_on(signal, info, context) {
            if is_sent && !handler.is_left_to_the_system() {
                // It was ignored, and is.
                return;
            }
            // The access is tried again when this returns, and then the system ends the process.
            action.sa_sigaction = libc::SIG_DFL;
            libc::sigaction(signal, &action, ptr::null_mut());
        }
        // Of a signal that was sent, as by `kill -SEGV` for a core dump, nothing is tried again. If whoever handled it has left it to the system, as
        // the standard library does, that is to have it: when this returns.
        if is_sent
            && libc::sigaction(signal, ptr::null(), &mut action) == 0
            && action.sa_sigaction == libc::SIG_DFL
        {
            libc::raise(signal);
        }
    }
}
