//! Goroutines that are dead while the others go on.

use super::{told::write_rings, write_all};
use crate::{
    sched::{self, Inhabitant, Knot},
    sync::Mutex,
};
use std::fmt;

/// Goroutines that wait only for each other; see [`deadlocked`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deadlocked {
    groups: Vec<Group>,
}

/// Some that wait for each other, and belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    members: Vec<Inhabitant>,
    /// Its members are all of those, in their order.
    knot: Knot,
}

/// One look at a time: who asks twice is to see what it has marked itself.
static TURN: Mutex<()> = Mutex::new(());

/// Finds goroutines that can never go on, while the rest of the process does: each waits, without a time limit, for what only
/// others of them could bring.
///
/// What each waits for, and who could bring it:
///
/// | it waits for | that can be brought by |
/// | --- | --- |
/// | a [`Mutex`](crate::sync::Mutex) or [`RwLock`](crate::sync::RwLock) that is locked (for writing, if the latter) | the goroutine that locked it |
/// | a goroutine's end, a `Once` | that goroutine |
/// | the end of a [`scope`](crate::scope()) | its goroutines, all of them |
/// | [`chan::never`](crate::chan::never) | nobody |
/// | a channel | any goroutine that has a sender or a receiver of it |
/// | a [`WaitGroup`](crate::sync::WaitGroup) | any goroutine that has a handle of it |
///
/// Who waits for one of several things is dead if none of them can come; and whoever waits for something else, a condition, a
/// semaphore, a context, a timer, a socket, is taken to be alive.
///
/// **What is certain.** A group that waits for locks, ends and scopes alone is dead for certain: [`Group::is_certain`]. (One
/// thing could deceive it: a guard that its goroutine has sent to another one.) Channels and wait groups keep no books of who has their
/// ends, but they count them, and a goroutine is known to have been given those that its closure held when it was created. If the group's are
/// exactly as many as there are, and nobody else was given one, it is probably dead: one of it could still have passed an end on through a
/// channel, or a variable that is shared.
///
/// **What it does not see.** An end of a channel that lies on the heap, in a thread, in a future, in a variable that goroutines borrow, or that a goroutine
/// made itself and does not wait at, is anybody's. So a group may be missed; what is found is
/// seldom wrong. Goroutines that are async are not found, nor who waits for them. On systems without `/proc` nobody is found who waits for channels or wait groups.
///
/// Each worker answers as for [`dump`](super::dump), twice; who ran in between is alive. It costs about a microsecond for each
/// goroutine.
///
/// # Blocking
/// Parks the goroutine, or the OS thread, until the workers have answered.
///
/// # Examples
/// ```
/// use rendez::{diag, go, sync::Mutex};
/// use std::sync::Arc;
/// rendez::run(|| {
///     let mutex = Arc::new(Mutex::new(0));
///     mutex.set_name("balance");
///     go(move || {
///         let _guard = mutex.lock();
///         let _again = mutex.lock(); // waits for itself
///     });
///     let dead = loop {
///         let dead = diag::deadlocked();
///         if !dead.is_empty() {
///             break dead;
///         }
///         rendez::yield_now();
///     };
///     assert!(dead.groups()[0].is_certain());
///     assert!(dead.to_string().contains("waits for mutex \"balance\", which it holds itself"));
/// });
/// ```
pub fn deadlocked() -> Deadlocked {
    let _turn = TURN.lock();
    // Who is marked by this and still is at the second look has been parked at one instant with all others of whom that is so.
    drop(sched::every_park());
    let all = sched::every_park();
    let groups = sched::knots(&all, |one| one.is_seen).into_iter().map(|knot| Group::of(&all, knot));
    Deadlocked { groups: groups.collect() }
}

impl Deadlocked {
    /// The groups of those that belong together.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }
}

impl Group {
    fn of(all: &[Inhabitant], mut knot: Knot) -> Group {
        let members = knot.members.iter().map(|&at| all[at].clone()).collect();
        let place = |at| knot.members.binary_search(&at).expect("who is in the ring is one of them");
        for edge in &mut knot.ring {
            (edge.from, edge.to) = (place(edge.from), place(edge.to));
        }
        knot.members = (0..knot.members.len()).collect();
        Group { members, knot }
    }

    /// The numbers of its goroutines.
    pub fn goroutines(&self) -> impl ExactSizeIterator<Item = u64> + '_ {
        self.members.iter().map(|one| one.id)
    }

    /// Whether there is no doubt that they are dead; see [`deadlocked`].
    pub fn is_certain(&self) -> bool {
        self.knot.is_certain
    }
}

impl fmt::Display for Deadlocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.groups.iter().try_for_each(|group| group.fmt(f))
    }
}

/// Each goroutine as in a [`Dump`](super::Dump), and how they wait for each other.
impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let will = if self.is_certain() { "will never" } else { "will probably never" };
        match self.members.len() {
            1 => writeln!(f, "1 goroutine {will} go on:\n")?,
            n => writeln!(f, "{n} goroutines {will} go on: they wait only for each other\n")?,
        }
        write_all(f, &self.members)?;
        write_rings(f, &self.members, std::slice::from_ref(&self.knot))
    }
}
