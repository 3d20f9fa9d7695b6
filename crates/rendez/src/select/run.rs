//! The select itself, for goroutines and OS threads: try, queue, wait, withdraw.
//!
//! 1. Every arm is tried, in random order (or as they stand, if `biased`), while the select stands in no queue. The first
//!    that can be done is done. (Of many, those are left out at which a look sees nothing: step 2 misses none.)
//! 2. All are queued with one waiter. One that has become ready meanwhile is done, if the wait can still be held.
//! 3. With a default, the select now gives up its wait: if it can, no arm was ready at that instant. (Trying alone would
//!    not do: a value may move from an arm not yet tried to one that has been.) Otherwise it waits.
//! 4. All leave their queues. The peer's choice is concluded; if its arm is only to be tried again, all begins anew.

use super::arm::{Arm, Registered, Waiting};
use crate::{
    time::Instant,
    wait::{self, Awaited, Outcome, Reason, Tells, Thing, Waiter},
};
use std::time::Duration;

/// The arms of one select.
pub(crate) trait Arms {
    /// How many places there are.
    fn len(&self) -> usize;

    /// The arm in a place, or `None` if the place is free.
    fn arm(&mut self, index: usize) -> Option<&mut dyn Arm>;

    /// The same, for who only looks at it.
    fn look(&self, index: usize) -> Option<&dyn Arm>;

    /// What is waited for.
    fn tell(&self, things: &mut Vec<Thing>) {
        for arm in (0..self.len()).filter_map(|index| self.look(index)) {
            arm.tell(things);
        }
    }

    /// Some order of the places, for many of them: it is shuffled a little further by each select.
    fn with_order<R>(&mut self, f: impl FnOnce(&mut Self, &mut [u32]) -> R) -> R;
}

/// More arms than this in a `select!` cost it an allocation.
const ON_STACK: usize = 32;

impl Arms for [&mut dyn Arm] {
    fn len(&self) -> usize {
        <[_]>::len(self)
    }

    fn arm(&mut self, index: usize) -> Option<&mut dyn Arm> {
        Some(&mut *self[index])
    }

    fn look(&self, index: usize) -> Option<&dyn Arm> {
        Some(&*self[index])
    }

    fn with_order<R>(&mut self, f: impl FnOnce(&mut Self, &mut [u32]) -> R) -> R {
        let len = <[_]>::len(self);
        if len <= ON_STACK {
            let mut order: [u32; ON_STACK] = std::array::from_fn(|i| i as u32);
            f(self, &mut order[..len])
        } else {
            let mut order: Vec<u32> = (0..len as u32).collect();
            f(self, &mut order)
        }
    }
}

/// For how long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    None,
    Until(Instant),
    Endless,
}

impl Patience {
    /// To wait for so long; with a limit of zero, not at all.
    pub(crate) fn of(limit: Duration) -> Patience {
        match limit {
            Duration::ZERO => Patience::None,
            // Beyond what the clock can say is for ever.
            limit => Instant::now().checked_add(limit).map_or(Patience::Endless, Patience::Until),
        }
    }
}

/// Why one waits for them.
pub(super) fn reason<A: Arms + ?Sized>(arms: &A) -> Reason {
    match arms.len() {
        1 => arms.look(0).map_or(Reason::Select, |arm| arm.reason()),
        _ => Reason::Select,
    }
}

/// Waits until one arm is chosen, and says which; `None` when patience ends first.
pub(crate) fn run<A: Arms + ?Sized>(arms: &mut A, biased: bool, patience: Patience) -> Option<usize> {
    wait::spend_budget();
    loop {
        if let Some(chosen) = attempt(arms, biased) {
            return Some(chosen);
        }
        // Nothing moves behind the back of a single arm.
        let is_single = match arms.len() {
            0 => true,
            1 => arms.arm(0).is_none_or(|arm| arm.leaves() == 1),
            _ => false,
        };
        if patience == Patience::None && is_single {
            wait::spent_in_vain();
            return None;
        }
        let reason = reason(arms);
        let waiter = Waiter::current();
        // SAFETY: the waiter is in this frame and the arms are borrowed; `withdraw` comes before either ends, and nothing
        // in between unwinds.
        let outcome = match unsafe { register(arms, &waiter) } {
            Progress::Chosen(index) => {
                // SAFETY: the wait has been decided by that arm.
                unsafe { withdraw(arms) };
                return Some(index);
            }
            Progress::Again => {
                let outcome = waiter.end_here(reason);
                // SAFETY: decided.
                unsafe { withdraw(arms) };
                match outcome {
                    Some(outcome) => outcome,
                    None => continue,
                }
            }
            Progress::Waits => {
                let outcome = match patience {
                    Patience::None => waiter.end_here(reason).unwrap_or(Outcome::TimedOut),
                    Patience::Until(_) | Patience::Endless => {
                        let deadline = earliest(arms, patience);
                        waiter.wait_in_place(deadline, Awaited::of(reason, &Queued(arms)))
                    }
                };
                // SAFETY: decided.
                unsafe { withdraw(arms) };
                outcome
            }
        };
        match outcome {
            Outcome::Arm(leaf) => {
                if let Some(chosen) = conclude(arms, leaf) {
                    return Some(chosen);
                }
            }
            Outcome::TimedOut => {
                if patience == Patience::None {
                    wait::spent_in_vain();
                    return None;
                }
                if let Some(chosen) = attempt_due(arms) {
                    return Some(chosen);
                }
                if let Patience::Until(limit) = patience
                    // (Under loom, which has no clock, the limit passes when it likes.)
                    && (cfg!(loom) || limit <= Instant::now())
                {
                    return None;
                }
            }
            Outcome::Cancelled => wait::unwind_cancelled(),
        }
    }
}

/// The arms of a select that waits, of which nobody changes anything but what is shared (see [`wait`](crate::wait)).
struct Queued<'a, A: ?Sized>(&'a mut A);

impl<A: Arms + ?Sized> Tells for Queued<'_, A> {
    fn tell(&self, things: &mut Vec<Thing>) {
        self.0.tell(things);
    }
}

/// Tries the arms, one after another.
pub(crate) fn attempt<A: Arms + ?Sized>(arms: &mut A, biased: bool) -> Option<usize> {
    let len = arms.len();
    if biased || len <= 1 {
        return (0..len).find(|&i| arms.arm(i).is_some_and(Arm::attempt));
    }
    let mut draws = super::Draws::new();
    if len <= Few::MOST {
        let mut order = Few::in_order();
        for left in (1..=len).rev() {
            let index = order.take(draws.below(left), left);
            if arms.arm(index).is_some_and(Arm::attempt) {
                return Some(index);
            }
        }
        return None;
    }
    arms.with_order(|arms, order| {
        for left in (1..=len).rev() {
            let drawn = draws.below(left);
            let index = order[drawn] as usize;
            order.swap(drawn, left - 1);
            if arms.arm(index).is_some_and(|arm| !arm.would_wait() && arm.attempt()) {
                return Some(index);
            }
        }
        None
    })
}

/// The places of a few arms in some order, in one word: a digit of four bits each.
struct Few(u64);

impl Few {
    const MOST: usize = 16;

    fn in_order() -> Few {
        Few(0xFEDC_BA98_7654_3210)
    }

    /// Takes one of the `left` that have not been taken; the last one of these stands where it stood.
    #[inline(always)]
    fn take(&mut self, drawn: usize, left: usize) -> usize {
        let digit = |at: usize| self.0 >> (4 * at) & 0xF;
        let (taken, last) = (digit(drawn), digit(left - 1));
        self.0 ^= (taken ^ last) << (4 * drawn);
        taken as usize
    }
}

/// What `register` came to.
pub(crate) enum Progress {
    /// All are queued, or a peer has decided the wait.
    Waits,
    Chosen(usize),
    Again,
}

/// Queues the arms, until one is ready or a peer has decided.
///
/// # Safety
/// As for [`Arm::register`], for all arms.
pub(crate) unsafe fn register<A: Arms + ?Sized>(arms: &mut A, waiter: &Waiter) -> Progress {
    let mut first = 0;
    for index in 0..arms.len() {
        let Some(arm) = arms.arm(index) else { continue };
        // SAFETY: passed on.
        match unsafe { arm.register(Waiting { waiter }, first) } {
            Registered::Waits => first += arm.leaves(),
            Registered::Chosen => return Progress::Chosen(index),
            Registered::Decided => break,
            Registered::Again => return Progress::Again,
        }
    }
    Progress::Waits
}

/// Takes the arms out of all queues.
///
/// # Safety
/// The wait has been decided.
pub(crate) unsafe fn withdraw<A: Arms + ?Sized>(arms: &mut A) {
    for index in 0..arms.len() {
        if let Some(arm) = arms.arm(index) {
            // SAFETY: passed on.
            unsafe { arm.unregister() };
        }
    }
}

/// A peer has decided for `leaf`: the arm to which that belongs, if it is done.
pub(crate) fn conclude<A: Arms + ?Sized>(arms: &mut A, leaf: usize) -> Option<usize> {
    let mut first = 0;
    for index in 0..arms.len() {
        let Some(arm) = arms.arm(index) else { continue };
        let leaves = arm.leaves();
        if leaf < first + leaves {
            return arm.conclude(leaf - first).then_some(index);
        }
        first += leaves;
    }
    unreachable!("a peer chose an arm that there is not")
}

/// A time has come: tries the arms that it may concern.
fn attempt_due<A: Arms + ?Sized>(arms: &mut A) -> Option<usize> {
    (0..arms.len()).find(|&i| arms.arm(i).is_some_and(|arm| arm.deadline().is_some() && arm.attempt()))
}

/// The first moment at which the wait has to end by itself.
pub(crate) fn earliest<A: Arms + ?Sized>(arms: &mut A, patience: Patience) -> Option<Instant> {
    let mut earliest = match patience {
        Patience::Until(limit) => Some(limit),
        _ => None,
    };
    for index in 0..arms.len() {
        if let Some(deadline) = arms.arm(index).and_then(|arm| arm.deadline()) {
            earliest = Some(earliest.map_or(deadline, |earliest| earliest.min(deadline)));
        }
    }
    earliest
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::Few;

    #[test]
    fn of_a_few_each_is_taken_once_and_in_each_order_as_often() {
        for len in 1..=Few::MOST {
            for _ in 0..100 {
                let mut order = Few::in_order();
                let mut taken: Vec<usize> =
                    (1..=len).rev().map(|left| order.take(fastrand::usize(..left), left)).collect();
                taken.sort_unstable();
                assert!(taken.into_iter().eq(0..len));
            }
        }
        // As of many, who lie in a slice.
        for len in 1..=Few::MOST {
            for _ in 0..100 {
                let (mut few, mut many) = (Few::in_order(), (0..len).collect::<Vec<_>>());
                for left in (1..=len).rev() {
                    let drawn = fastrand::usize(..left);
                    assert_eq!(few.take(drawn, left), many[drawn]);
                    many.swap(drawn, left - 1);
                }
            }
        }
        let draws = (0..4).flat_map(|a| (0..3).flat_map(move |b| (0..2).map(move |c| [a, b, c, 0])));
        let orders = draws.map(|draws| {
            let mut order = Few::in_order();
            draws
                .into_iter()
                .zip((1..=4).rev())
                .map(|(drawn, left)| order.take(drawn, left))
                .collect::<Vec<_>>()
        });
        assert_eq!(orders.collect::<std::collections::BTreeSet<_>>().len(), 24);
    }
}
