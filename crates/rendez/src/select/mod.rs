//! Waiting for several things at once: `select!`, [`Select`], and events.
//!
//! | | for |
//! | --- | --- |
//! | [`select!`](crate::select!) | arms that are known where the code is written: Go's `select` |
//! | [`Select`] | arms that are known only at run time, thousands of them, added and removed between waits |
//! | [`Event`] and [`choose`] | alternatives as values, to be passed, mapped, combined and waited for: Concurrent ML's events |
//!
//! All three are the same mechanism: alternatives ([arms](Arm)) that are tried in random order, then queued together, of
//! which one is chosen; the others have no effect. They work from goroutines, OS threads and async tasks. A
//! select over an arm that is ready parks nobody. `select!` allocates nothing, ready or parked, up to 32 arms; nor does a `Select`, which
//! takes a block of the thread's own for each operation that it returns; `choose` makes two lists.
//!
//! The cost grows with the arms. A [`Select`] over 1, 4, 64 and 1024 channels, of which a random one is ready, took 39, 68, 274
//! and 4900 ns with the send that made it so; one that parks until a value comes 71, 133, 906 and 17,800 ns (cases
//! `arms_*` of the bench, in the README's table).

mod arm;
#[cfg(not(loom))]
mod dynamic;
mod event;
#[cfg(not(loom))]
mod future;
#[cfg(all(test, loom))]
mod loom_tests;
#[doc(hidden)]
#[cfg(not(loom))]
pub mod macros;
mod occurrence;
mod run;
#[cfg(not(loom))]
mod selected;

pub(crate) use arm::Sealed;
pub use arm::{Arm, Operation, Registered, Waiting};
#[cfg(not(loom))]
pub use dynamic::{Select, SelectFuture};
pub(crate) use event::wait;
pub use event::{Boxed, BoxedLocal, Choose, Event, Map, choose};
#[cfg(not(loom))]
pub use future::EventFuture;
pub use occurrence::Occurrence;
#[cfg(not(loom))]
pub(crate) use occurrence::park_until;
pub(crate) use occurrence::{Occurs, park, park_for};
pub(crate) use run::Patience;
#[cfg(all(test, loom))]
pub(crate) use run::run;
#[cfg(not(loom))]
pub use selected::SelectedOperation;

/// Random numbers, one after another.
struct Draws(#[cfg(not(loom))] Option<fastrand::Rng>);

impl Draws {
    fn new() -> Self {
        Draws(
            #[cfg(not(loom))]
            crate::sched::random_seed().map(fastrand::Rng::with_seed),
        )
    }

    /// A number below `n`.
    #[inline]
    fn below(&mut self, n: usize) -> usize {
        #[cfg(not(loom))]
        return match &mut self.0 {
            Some(random) => random.usize(..n),
            // Who chooses the schedules chooses here, too.
            None => crate::sched::random_below(n),
        };
        #[cfg(loom)]
        {
            let _ = n;
            0
        }
    }
}
