//! The two halves of an asymmetric fence, and who may be at its cheap end.
//!
//! The light fence keeps the compiler from reordering, no more; the heavy one has the kernel run a full fence on every
//! processor that runs a thread of this process (`membarrier(2)`, private expedited, Linux 4.14; threads that don't run
//! have passed one when they were switched out). Together they order as two full fences would.

#[cfg(not(loom))]
pub(crate) use system::{adopt, disown, prepare, worker};
#[cfg(not(loom))]
pub(super) use system::{heavy, is_there, light, me};

/// Not a worker.
pub(super) const NOBODY: u32 = u32::MAX;

/// The numbers of workers are the multiples of this, but for zero: so a lock's word has room for something beside one.
pub(super) const STEP: u32 = 4;

#[cfg(not(loom))]
mod system {
    use super::{NOBODY, STEP};
    use std::{
        cell::Cell,
        sync::atomic::{AtomicU32, Ordering, compiler_fence},
    };

    thread_local! {
        static ME: Cell<u32> = const { Cell::new(NOBODY) };
    }

    /// The number of this thread if it is a worker.
    #[inline(always)]
    pub(in crate::lock) fn me() -> u32 {
        ME.get()
    }

    /// The same, for others: never zero.
    #[inline(always)]
    pub(crate) fn worker() -> Option<u32> {
        Some(me()).filter(|&me| me != NOBODY)
    }

    /// Numbers this thread, a worker. The numbers aren't used again, and after the last one, workers are not numbered any more.
    pub(crate) fn adopt() {
        const LAST: u32 = u32::MAX / 2 / STEP * STEP;
        static NUMBERS: AtomicU32 = AtomicU32::new(STEP);
        let number = NUMBERS.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |number| {
            (number < LAST).then(|| number + STEP)
        });
        ME.set(number.unwrap_or(NOBODY));
    }

    /// This thread is not a worker any more.
    pub(crate) fn disown() {
        ME.set(NOBODY);
    }

    #[inline(always)]
    pub(in crate::lock) fn light() {
        compiler_fence(Ordering::SeqCst);
    }

    /// To be called before a process has many threads: that asks the kernel for the heavy fence, which then takes a microsecond. Where other
    /// threads run, it waits until each processor has been through the scheduler: some milliseconds, which were the first biased lock's.
    pub(crate) fn prepare() {
        is_there();
    }

    /// Whether there is a heavy fence. The first call asks the kernel for it.
    #[cfg(target_os = "linux")]
    pub(in crate::lock) fn is_there() -> bool {
        static THERE: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
        *THERE.get_or_init(|| membarrier(libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) && fence())
    }

    #[cfg(not(target_os = "linux"))]
    pub(in crate::lock) fn is_there() -> bool {
        false
    }

    /// Call it only if it [is there](is_there).
    #[cold]
    pub(in crate::lock) fn heavy() {
        #[cfg(target_os = "linux")]
        {
            // (A process that was forked off may have to ask again.)
            let passed = fence() || (membarrier(libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) && fence());
            if !passed {
                // Somebody has forbidden it meanwhile. Without it a lock can't be taken over, and its channel hangs.
                eprintln!("rendez: the system refuses membarrier(2), which it granted before");
                std::process::abort();
            }
        }
        #[cfg(not(target_os = "linux"))]
        unreachable!("nothing is biased without it");
    }

    #[cfg(target_os = "linux")]
    fn fence() -> bool {
        membarrier(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED)
    }

    #[cfg(target_os = "linux")]
    fn membarrier(command: libc::c_int) -> bool {
        // SAFETY: the call touches no memory.
        unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
    }
}

/// Under loom both are what they amount to together.
#[cfg(loom)]
mod modelled {
    use loom::sync::atomic::{Ordering, fence};

    pub(in crate::lock) fn me() -> u32 {
        super::NOBODY
    }

    pub(in crate::lock) fn light() {
        fence(Ordering::SeqCst);
    }

    pub(in crate::lock) fn heavy() {
        fence(Ordering::SeqCst);
    }

    pub(in crate::lock) fn is_there() -> bool {
        true
    }
}

#[cfg(loom)]
pub(super) use modelled::{heavy, is_there, light, me};

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Neither is a word that looks biased to a worker one that says that the lock is free or held, nor anything to who is no worker.
    #[test]
    fn numbers_leave_room_for_what_else_a_word_says() {
        let number = || {
            std::thread::spawn(|| {
                assert_eq!(me(), NOBODY);
                adopt();
                let number = worker().unwrap();
                disown();
                assert_eq!((me(), worker()), (NOBODY, None));
                number
            })
        };
        let mut numbers = [number(), number(), number()].map(|thread| thread.join().unwrap());
        for number in numbers {
            assert!(number >= STEP && number.is_multiple_of(STEP) && number < NOBODY - STEP, "{number}");
        }
        numbers.sort_unstable();
        assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?}");
    }
}
