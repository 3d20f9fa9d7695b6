//! Limits on the address space of this process: for tests that run in a child process.
#![cfg(target_os = "linux")]
#![allow(dead_code, reason = "each test file uses its own part of this")]

use rendez::Runtime;
use std::sync::{Arc, Barrier};

/// A runtime whose threads have all started, and have what the allocator sets aside for each of them: with glibc 64 MiB of
/// address space, which would otherwise be the first to go under a limit.
pub(crate) fn warmed_up(workers: usize) -> Runtime {
    let runtime = Runtime::builder().workers(workers).stack_size(1 << 20).build().unwrap();
    let meeting = Arc::new(Barrier::new(workers));
    let meet = |_| {
        let meeting = meeting.clone();
        runtime.spawn(move || {
            drop(std::hint::black_box(vec![0; 100]));
            meeting.wait();
        })
    };
    let met: Vec<_> = (0..workers).map(meet).collect();
    met.into_iter().for_each(|handle| handle.join().unwrap());
    runtime
}

/// Limits the address space of this process to what it has now and `more` bytes. The old limit is returned.
pub(crate) fn limit_address_space(more: u64) -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split(' ').next().unwrap().parse().unwrap();
    set_address_space(pages * 4096 + more)
}

pub(crate) fn set_address_space(bytes: u64) -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is there to be written, and then to be read.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_AS, &raw mut limit), 0);
        let before = limit.rlim_cur;
        limit.rlim_cur = bytes;
        assert_eq!(libc::setrlimit(libc::RLIMIT_AS, &raw const limit), 0);
        before
    }
}
