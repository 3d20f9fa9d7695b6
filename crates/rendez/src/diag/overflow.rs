//! The report of a stack overflow.
//!
//! The guard page at the end of a goroutine's stack faults. The handler runs on a signal stack that each worker has of its own (there is
//! no room on the one that overflowed). If the address lies in the guard of the goroutine that this thread is running, it
//! reports and aborts. Any other fault goes to whoever handled it before: the standard library's handler, which knows the
//! guards of threads, a crash reporter, or the system's default.
//!
//! What the report says first is written without allocation and locks. The backtrace needs both: if the goroutine has
//! overflowed in the middle of the allocator, it may wait for itself, so a clock is set that aborts anyway.

use super::{backtrace, raw::Raw};
use crate::sched;
use std::{
    cell::UnsafeCell,
    fmt::Write,
    mem::MaybeUninit,
    ptr,
    sync::{
        Once,
        atomic::{AtomicBool, Ordering},
    },
};

/// The signals of a bad access.
const SIGNALS: [libc::c_int; 2] = [libc::SIGSEGV, libc::SIGBUS];
/// For symbols' sake; it is address space until it is used.
const SIGNAL_STACK: usize = 256 * 1024;
/// How long the backtrace may take, in seconds.
const PATIENCE: u32 = 10;

/// Who handled the signals before.
struct Before(UnsafeCell<[MaybeUninit<libc::sigaction>; SIGNALS.len()]>);

// SAFETY: written once, before the handler is there that reads it.
unsafe impl Sync for Before {}

static BEFORE: Before = Before(UnsafeCell::new([const { MaybeUninit::uninit() }; SIGNALS.len()]));
static INSTALLED: Once = Once::new();
/// Whether somebody reports; the process is about to end.
static REPORTING: AtomicBool = AtomicBool::new(false);

/// Handles faults from now on, in the whole process.
pub(crate) fn install() {
    INSTALLED.call_once(|| {
        for (index, &signal) in SIGNALS.iter().enumerate() {
            // SAFETY: reading what is set, and setting a handler that does no more than a handler may. `BEFORE` is written by
            // this one call, and read by the handler alone, which is set afterwards.
            unsafe {
                let before = (*BEFORE.0.get())[index].as_mut_ptr();
                if libc::sigaction(signal, ptr::null(), before) != 0 {
                    return;
                }
                let mut action: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction = handle as *const () as usize;
                action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
                libc::sigemptyset(&mut action.sa_mask);
                libc::sigaction(signal, &action, ptr::null_mut());
            }
        }
    });
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
    // SAFETY: a handler that only aborts; the clock of this process.
    unsafe {
        libc::signal(libc::SIGALRM, give_up as *const () as usize);
        libc::alarm(PATIENCE);
    }
    let _ = writeln!(Raw, "its stack:");
    // The handler's own frames come first, then the system's trampoline, then the function that overflowed.
    let mut seen_own = false;
    let _ = backtrace::write_here(&mut Raw, |name| {
        let own =
            name.contains("rendez::diag::") || name.contains("backtrace::") || name.contains("restore_rt");
        seen_own |= own;
        own || !seen_own
    });
    // SAFETY: ends the process.
    unsafe { libc::abort() };
}

/// To whoever handled it before.
fn pass_on(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let Some(index) = SIGNALS.iter().position(|&other| other == signal) else { return };
    // SAFETY: written before this handler was set. Its fields say what may be called with what.
    unsafe {
        let before = (*BEFORE.0.get())[index].assume_init_ref();
        match before.sa_sigaction {
            libc::SIG_DFL | libc::SIG_IGN => {
                // The access is tried again when this returns, and then the system ends the process.
                let mut action: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction = libc::SIG_DFL;
                libc::sigaction(signal, &action, ptr::null_mut());
            }
            handler if before.sa_flags & libc::SA_SIGINFO != 0 => {
                let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) =
                    std::mem::transmute(handler);
                handler(signal, info, context);
            }
            handler => {
                let handler: extern "C" fn(libc::c_int) = std::mem::transmute(handler);
                handler(signal);
            }
        }
    }
}
