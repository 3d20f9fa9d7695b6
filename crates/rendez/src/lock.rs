//! The lock of channels and wait queues: short critical sections, no user code inside, never held across a park.
//!
//! Taking it is one read-modify-write, leaving it one plain store (an exchange at both ends would cost twice as much).
//! The price of the plain store is that a leaving holder cannot know of waiters, so they are not woken: they spin for a
//! bounded time, then give up the processor, then sleep for doubling, bounded times. Critical sections last tens of
//! nanoseconds, so a waiter gets past the spin only when the kernel has taken the processor away from the holder.
//!
//! | state | who may change it |
//! | --- | --- |
//! | free (`false`) | anyone, to held, by `swap` with acquire |
//! | held (`true`) | the holder alone, to free, by a store with release |

#[cfg(loom)]
mod blocking;
#[cfg_attr(loom, allow(dead_code, reason = "only its own model uses it there"))]
mod spin;

#[cfg(loom)]
pub(crate) use blocking::{SpinGuard, SpinLock};
#[cfg(not(loom))]
pub(crate) use spin::{SpinGuard, SpinLock};

/// Waits for something that another running thread is about to do: spins, then yields, then sleeps, each bounded.
#[derive(Debug)]
pub(crate) struct Backoff {
    step: u32,
}

impl Backoff {
    /// Doubling spins up to 2^6 pauses each: about 4 us in all.
    #[cfg(not(loom))]
    const SPINS: u32 = 7;
    /// Then this many times the processor is offered to another thread.
    #[cfg(not(loom))]
    const YIELDS: u32 = 8;

    pub(crate) fn new() -> Self {
        Backoff { step: 0 }
    }

    pub(crate) fn pause(&mut self) {
        #[cfg(loom)]
        crate::primitives::thread::yield_now();
        #[cfg(not(loom))]
        if self.step < Self::SPINS {
            for _ in 0..1u32 << self.step {
                crate::primitives::hint::spin_loop();
            }
        } else if self.step < Self::SPINS + Self::YIELDS {
            std::thread::yield_now();
        } else {
            let doublings = (self.step - Self::SPINS - Self::YIELDS).min(5);
            std::thread::sleep(std::time::Duration::from_micros(20 << doublings));
        }
        self.step = self.step.saturating_add(1);
    }
}
