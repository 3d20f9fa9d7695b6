//! A goroutine in which the process aborts is named: by a panic in a destructor that a panic runs, by any panic where panics
//! abort, by code that aborts by itself.
//!
//! Nothing unwinds then, so nobody up the stack could tell, and the standard library's message names the thread, which is a worker. The panic
//! hook would see panics. But it is the program's to set, and can't be wrapped without a moment in which one that is just being set is lost; and it
//! does not see what is no panic. The signal that each abort sends to its own thread has neither fault.

use super::{handler::Handler, overflow, raw::Raw};
use crate::sched;

// SAFETY: see `handle`.
static HANDLER: Handler = unsafe { Handler::new(libc::SIGABRT, handle) };

/// Names them from now on, in the whole process. (If the handler can't be set, the program can do without.)
pub(crate) fn install() {
    let _ = HANDLER.set(0);
}

/// The handler. It takes no lock and allocates nothing.
unsafe extern "C" fn handle(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the system passes a description of the signal.
    let is_own = unsafe { (*info).si_code == libc::SI_TKILL && (*info).si_pid() == libc::getpid() };
    // (Of an overflow all has been told.)
    if is_own && !overflow::is_reported() {
        // SAFETY: in a handler.
        if let Some((task, _)) = unsafe { sched::interrupted() } {
            let _ = sched::write_abort(&mut Raw, task);
        }
    }
    // SAFETY: what this was called with; and both calls are a handler's to make.
    unsafe {
        if !HANDLER.pass_on(signal, info, context) && HANDLER.is_left_to_the_system() {
            // `abort` would end the process by itself when this returns; who sends the signal from outside, or raises it, relies on that it does.
            // It comes when this returns.
            libc::signal(signal, libc::SIG_DFL);
            libc::raise(signal);
        }
    }
}
