//! Another thread: its processor time, which tells a worker that is busy from one that the kernel does not let run, and signals to it.

use std::{
    sync::atomic::{AtomicI32, Ordering},
    time::Duration,
};

/// A thread's processor-time clock, which others may read.
#[derive(Debug)]
pub(super) struct ThreadClock {
    clock: AtomicI32,
    /// The thread, as the kernel numbers it.
    thread: AtomicI32,
}

const NONE: i32 = 0;

impl ThreadClock {
    pub(super) const fn new() -> Self {
        ThreadClock { clock: AtomicI32::new(NONE), thread: AtomicI32::new(NONE) }
    }

    /// Makes this the clock of the calling thread.
    pub(super) fn adopt(&self) {
        let mut clock: libc::clockid_t = NONE;
        // SAFETY: the calling thread's own handle, and a place for the answer.
        let error = unsafe { libc::pthread_getcpuclockid(libc::pthread_self(), &mut clock) };
        self.clock.store(if error == 0 { clock } else { NONE }, Ordering::Relaxed);
        // SAFETY: no memory is passed.
        self.thread.store(unsafe { libc::gettid() }, Ordering::Relaxed);
    }

    /// The thread ends. Its numbers may soon be those of another one.
    pub(super) fn disown(&self) {
        self.clock.store(NONE, Ordering::Relaxed);
        self.thread.store(NONE, Ordering::Relaxed);
    }

    /// The thread, as the kernel numbers it.
    pub(super) fn thread(&self) -> u64 {
        self.thread.load(Ordering::Relaxed) as u64
    }

    /// Whether the thread runs, or would if there were a processor for it. Not if that can't be told.
    pub(super) fn is_runnable(&self) -> bool {
        // After the name, which may hold anything, in parentheses.
        std::fs::read_to_string(format!("/proc/self/task/{}/stat", self.thread())).is_ok_and(|stat| {
            stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('R'))
        })
    }

    /// Has the calling thread run on the processors on which this one may, as a thread does that this one starts.
    pub(super) fn share_processors(&self) {
        let thread = self.thread.load(Ordering::Relaxed);
        // SAFETY: a set of this frame's. For a thread that does not exist there is an error, and what can't be had is no harm.
        unsafe {
            let mut set: libc::cpu_set_t = std::mem::zeroed();
            let size = size_of::<libc::cpu_set_t>();
            if thread != NONE && libc::sched_getaffinity(thread, size, &mut set) == 0 {
                libc::sched_setaffinity(0, size, &set);
            }
        }
    }

    /// Sends the thread a signal. If it has ended, nobody gets it, or another thread of this process.
    pub(super) fn signal(&self, signal: i32) {
        let thread = self.thread.load(Ordering::Relaxed);
        if thread != NONE {
            // SAFETY: no memory is passed.
            unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, signal) };
        }
    }

    /// The time that the thread has run; zero if that can't be told (it has ended, say).
    pub(super) fn now(&self) -> Duration {
        let clock = self.clock.load(Ordering::Relaxed);
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: a place for the answer; a clock that does not exist is an error.
        if clock == NONE || unsafe { libc::clock_gettime(clock, &mut time) } != 0 {
            return Duration::ZERO;
        }
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }
}

/// Seconds of a clock that goes on steadily, from no particular moment, and cheap to read: it is the kernel's last tick.
pub(super) fn coarse_seconds() -> u32 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a place for the answer.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &mut time) };
    time.tv_sec as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_runs_uses_processor_time() {
        let clock = ThreadClock::new();
        assert_eq!(clock.now(), Duration::ZERO);
        clock.adopt();
        let before = clock.now();
        while clock.now() < before + Duration::from_millis(1) {
            std::hint::spin_loop();
        }
        assert!(clock.is_runnable());
        clock.disown();
        assert!(!clock.is_runnable());
        assert_eq!((clock.now(), clock.thread()), (Duration::ZERO, 0));
    }
}
