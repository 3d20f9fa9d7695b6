//! The locks of channels and wait queues: short critical sections, no user code inside, never held across a park.
//!
//! Channels, which are mostly used by one worker, have the [biased](biased) one; the others this:
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

#[cfg_attr(loom, allow(dead_code, reason = "only its own model uses it there"))]
mod biased;
#[cfg(loom)]
mod blocking;
mod fence;
#[cfg_attr(loom, allow(dead_code, reason = "only its own model uses it there"))]
mod spin;

#[cfg(not(loom))]
pub(crate) use biased::{BiasedGuard, BiasedLock};
#[cfg(loom)]
pub(crate) use blocking::{SpinGuard as BiasedGuard, SpinLock as BiasedLock, SpinLock};
#[cfg(not(loom))]
pub(crate) use fence::{adopt, disown, prepare, worker};
#[cfg(not(loom))]
pub(crate) use spin::SpinLock;

#[cfg(all(debug_assertions, not(loom)))]
thread_local! {
    static HELD: std::cell::Cell<i32> = const { std::cell::Cell::new(0) };
}

/// How many of these locks the thread holds; in a debug build.
#[inline(always)]
fn count_held(_change: i32) {
    #[cfg(all(debug_assertions, not(loom)))]
    HELD.with(|held| held.set(held.get() + _change));
}

/// That the caller holds none of these locks, as it must not when it lets another goroutine run: nobody would give it
/// back. Asked in a debug build.
#[cfg(not(loom))]
#[inline(always)]
pub(crate) fn assert_none_is_held() {
    #[cfg(debug_assertions)]
    HELD.with(|held| assert!(held.get() == 0, "a goroutine is left while it holds a spin lock"));
}

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

/// Whether locks can be biased here.
#[cfg(all(test, not(loom)))]
pub(crate) fn is_biasing() -> bool {
    fence::is_there()
}
