//! Handlers of signals beside those that are there already: what is not for ours goes to whoever handled the signal before.
//!
//! A handler that the program sets later takes the place of ours. Whether it passes on to ours what is not its own is up to it.

use std::{
    cell::UnsafeCell,
    io,
    mem::{self, MaybeUninit},
    ptr,
    sync::OnceLock,
};

pub(super) type Handle = unsafe extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);

/// A handler of ours for one signal.
pub(super) struct Handler {
    signal: libc::c_int,
    handle: Handle,
    /// What the system has said when it was set.
    set: OnceLock<Result<(), i32>>,
    /// Who handled the signal before. Written once, before ours is there, which is who reads it.
    before: UnsafeCell<MaybeUninit<libc::sigaction>>,
}

// SAFETY: all but `before` is made for any thread, and see there.
unsafe impl Sync for Handler {}

impl Handler {
    /// # Safety
    /// `handle` does no more than a handler may, in the middle of anything.
    pub(super) const unsafe fn new(signal: libc::c_int, handle: Handle) -> Handler {
        Handler { signal, handle, set: OnceLock::new(), before: UnsafeCell::new(MaybeUninit::uninit()) }
    }

    /// Sets it, for the whole process, once. It runs on the signal stack of its thread.
    pub(super) fn set(&'static self, flags: libc::c_int) -> io::Result<()> {
        let set = self.set.get_or_init(|| {
            let failed = || Err(io::Error::last_os_error().raw_os_error().unwrap_or_default());
            // SAFETY: a place for what is set, and then a handler that does what handlers may. `before` is written here, once, and read by the
            // handler alone, which is set afterwards.
            unsafe {
                if libc::sigaction(self.signal, ptr::null(), (*self.before.get()).as_mut_ptr()) != 0 {
                    return failed();
                }
                let mut action: libc::sigaction = mem::zeroed();
                action.sa_sigaction = self.handle as *const () as usize;
                action.sa_flags = flags | libc::SA_SIGINFO | libc::SA_ONSTACK;
                libc::sigemptyset(&mut action.sa_mask);
                if libc::sigaction(self.signal, &action, ptr::null_mut()) != 0 {
                    return failed();
                }
            }
            Ok(())
        });
        set.map_err(io::Error::from_raw_os_error)
    }

    /// Whether the system still calls it.
    pub(super) fn is_set(&self) -> bool {
        let mut action = MaybeUninit::<libc::sigaction>::uninit();
        // SAFETY: a place for the answer, which is there if the call says so.
        unsafe {
            libc::sigaction(self.signal, ptr::null(), action.as_mut_ptr()) == 0
                && action.assume_init().sa_sigaction == self.handle as *const () as usize
        }
    }

    /// Calls whoever handled the signal before; `false` if nobody did, but the system.
    ///
    /// # Safety
    /// Called by the handler, with what it was called with.
    pub(super) unsafe fn pass_on(
        &self,
        signal: libc::c_int,
        info: *mut libc::siginfo_t,
        context: *mut libc::c_void,
    ) -> bool {
        // SAFETY: written before the handler was set, which runs. Its fields say what may be called with what.
        unsafe {
            let before = (*self.before.get()).assume_init_ref();
            match before.sa_sigaction {
                libc::SIG_DFL | libc::SIG_IGN => return false,
                handler if before.sa_flags & libc::SA_SIGINFO != 0 => {
                    let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) =
                        mem::transmute(handler);
                    handler(signal, info, context);
                }
                handler => {
                    let handler: extern "C" fn(libc::c_int) = mem::transmute(handler);
                    handler(signal);
                }
            }
        }
        true
    }

    /// Whether the system was to do what it does by default.
    ///
    /// # Safety
    /// Called by the handler.
    pub(super) unsafe fn is_left_to_the_system(&self) -> bool {
        // SAFETY: as in `pass_on`.
        unsafe { (*self.before.get()).assume_init_ref() }.sa_sigaction == libc::SIG_DFL
    }
}
