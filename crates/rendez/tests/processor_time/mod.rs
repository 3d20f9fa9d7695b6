//! How much of the processor this process uses, and that it uses none.
#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::time::Duration;

/// The processor time of this process so far, of all its threads.
pub(crate) fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a place for the answer.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) }, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// This process rests: of five pauses at least one uses less than `most`. Who spins does so in each of them; one pause alone may say what
/// a hypervisor took while a thread had just woken, for that is in this clock.
pub(crate) fn must_rest(most: Duration, pause: impl Fn()) {
    let mut used = Vec::new();
    while used.last().is_none_or(|&last| last >= most) {
        assert!(used.len() < 5, "a process that rests used, pause by pause: {used:?}");
        let before = processor_time();
        pause();
        used.push(processor_time() - before);
    }
}
