//! Timers' channels: receivers that nobody sends to but time.
//!
//! As since Go 1.23 (`runtime/time.go`, timers with `isChan`), such a channel is *lazy*. It holds no value, only when the
//! next one is due; who receives and finds that moment past makes the value. Nothing stands in any heap unless somebody
//! waits. So there are never stale values: stopping or resetting the timer changes that moment, and that is all; nor do
//! ticks pile up: however late the receiver comes, it makes one value and moves on to the next tick that lies ahead.
//!
//! # How it fits into a channel
//!
//! The channel is [`closed`](super::state::State::closed) from birth, and has a [`Clock`]. That costs other channels
//! nothing: a receive that finds neither values nor senders at a channel that is not closed is refused as ever; only one that
//! is refused by a closed channel asks whether there is a clock. Nobody can send, for there is no sender; the
//! buffer stays empty; receivers queue up although it says "closed". Whether it has really been closed is the clock's to say.
//!
//! `never()` is such a channel, with a clock that can't be set or closed.
//!
//! # Waiting
//!
//! * Goroutines and threads wait with the next moment as a time limit of their own wait, and look again. So does a
//!   select, in whichever world ([`Arm::deadline`](crate::select::Arm::deadline)).
//! * Async receives queue up, and the *clock's alarm* is set, once for all of them. When it goes off, the first receiver in the queue is
//!   handed the value, as by a sender.
//! * Several that wait for one value all look when it is due; one gets it, the others wait on.
//! * Whoever makes the next moment an earlier one has everybody in the queue look again ([`Status::Retry`]). When it becomes
//!   a later one, nobody is told: those who wait look once for nothing.
//!
//! All of a clock is under the lock of its channel. An alarm's waker is a reference to the channel; it goes when the alarm goes
//! off or is cleared: when the timer is stopped, or the channel closed.

#[cfg(not(loom))]
use super::Receiver;
use super::{
    channel::{Channel, Failure, Waited},
    state::{Locked, Refusal},
};
use crate::{
    time::Instant,
    wait::{Node, Searcher, Status, Wakeup},
};
use std::{cell::Cell, time::Duration};
#[cfg(not(loom))]
use {
    super::end::Ref,
    crate::sched::Alarm,
    std::{
        mem::ManuallyDrop,
        panic::Location,
        ptr::NonNull,
        task::{RawWaker, RawWakerVTable, Waker},
    },
};

/// What a timer's channel has in place of senders. Touched under the channel's lock alone.
pub(super) struct Clock {
    /// When the next value is due; `None` if it has been received, or the timer stopped.
    next: Cell<Option<Instant>>,
    period: Cell<Option<Duration>>,
    /// The value received last, unless the timer has been stopped or set since: one that may be given back.
    taken: Cell<Option<Instant>>,
    closed: Cell<bool>,
    #[cfg(not(loom))]
    alarm: Alarm,
    /// Where it is, for the alarm. Without it the clock can't be set, so only the clock of a `Channel<Instant>` ever is.
    #[cfg(not(loom))]
    channel: Option<NonNull<Channel<Instant>>>,
}

// SAFETY: touched under the channel's lock alone.
unsafe impl Send for Clock {}
// SAFETY: as above.
unsafe impl Sync for Clock {}

/// How a receive that found no value at a channel that looks closed goes on.
pub(super) type Taken<'a, T> = Result<(), (Refusal, Locked<'a, T>)>;

impl Clock {
    #[cfg(not(loom))]
    fn new(channel: Option<NonNull<Channel<Instant>>>) -> Self {
        Clock {
            next: Cell::new(None),
            period: Cell::new(None),
            taken: Cell::new(None),
            closed: Cell::new(false),
            alarm: Alarm::new(),
            channel,
        }
    }

    /// The clock of `never()`.
    pub(super) fn never() -> Self {
        #[cfg(not(loom))]
        return Clock::new(None);
        #[cfg(loom)]
        Clock {
            next: Cell::new(None),
            period: Cell::new(None),
            taken: Cell::new(None),
            closed: Cell::new(false),
        }
    }

    /// Whether it is that of `never()`.
    pub(super) fn is_never(&self) -> bool {
        #[cfg(not(loom))]
        return self.channel.is_none();
        #[cfg(loom)]
        true
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// The value, if it is due; and on to the next one.
    fn take(&self) -> Option<Instant> {
        let due = self.next.get()?;
        let now = Instant::now();
        if due > now {
            return None;
        }
        self.next.set(self.period.get().map(|period| tick_after(now, due, period)));
        self.taken.set(Some(due));
        Some(due)
    }
}

/// The first tick that lies ahead. Go's: `t.when + t.period*(1+delta/t.period)`.
fn tick_after(now: Instant, due: Instant, period: Duration) -> Instant {
    let late = now.duration_since(due).as_nanos();
    // Of no more than the time by which it is late, which fits.
    let past = Duration::from_nanos((late - late % period.as_nanos().max(1)) as u64);
    #[cfg(not(loom))]
    return (due + past).after(period);
    #[cfg(loom)]
    return due + past + period;
}

impl<T> Channel<T> {
    /// A receive without waiting, at a channel that looks closed and has nothing in its buffer.
    ///
    /// # Safety
    /// `into` can be written, and has been if the answer is `Ok`.
    #[cold]
    #[inline(never)]
    pub(super) unsafe fn take_timed<'a>(
        &self,
        state: Locked<'a, T>,
        into: *mut T,
        by: Searcher<'_>,
    ) -> Taken<'a, T> {
        match &self.clock {
            None => Err((Refusal::Closed, state)),
            Some(clock) if clock.is_closed() => Err((Refusal::Closed, state)),
            Some(clock) => match clock.take() {
                Some(value) => {
                    // SAFETY: it can be written; a clock that is set is that of a `Channel<Instant>`, so `T` is that.
                    unsafe { into.cast::<Instant>().write(value) };
                    by.settle();
                    Ok(())
                }
                None => Err((Refusal::Wait, state)),
            },
        }
    }

    /// As [`recv`](Self::recv), at a channel that looks closed.
    ///
    /// # Safety
    /// As for [`take_timed`](Self::take_timed).
    #[cold]
    #[inline(never)]
    pub(super) unsafe fn recv_timed<'a>(
        &'a self,
        mut state: Locked<'a, T>,
        into: *mut T,
        limit: Option<Instant>,
    ) -> Result<(), Failure> {
        let Some(clock) = &self.clock else { return Err(Failure::Closed) };
        loop {
            // SAFETY: passed on.
            let (refusal, locked) = match unsafe { self.take_timed(state, into, Searcher::Plain) } {
                Ok(()) => return Ok(()),
                Err(refused) => refused,
            };
            if refusal == Refusal::Closed {
                return Err(Failure::Closed);
            }
            if limit.is_some_and(|limit| limit <= Instant::now()) {
                return Err(Failure::TimedOut);
            }
            let until = [limit, clock.next.get()].into_iter().flatten().min();
            // SAFETY: passed on.
            match unsafe { self.recv_waiting(into, until, locked) } {
                Waited::Done => return Ok(()),
                Waited::Closed => return Err(Failure::Closed),
                Waited::TimedOut | Waited::Retry => {}
            }
            state = self.state.lock();
        }
    }

    /// As [`recv_or_queue`](Self::recv_or_queue), at a channel that looks closed.
    ///
    /// # Safety
    /// As for `recv_or_queue`.
    #[cold]
    #[inline(never)]
    pub(super) unsafe fn queue_timed(
        &self,
        state: Locked<'_, T>,
        into: *mut T,
        node: &Node,
    ) -> Result<(), Refusal> {
        // SAFETY: passed on.
        match unsafe { self.take_timed(state, into, Searcher::Plain) } {
            Err((Refusal::Wait, mut state)) => {
                // First, because it panics if there is no thread to be had for it: then the node must not be queued.
                self.set_alarm();
                // SAFETY: passed on.
                unsafe { state.receivers.push(node) };
                Err(Refusal::Wait)
            }
            other => other.map_err(|(refusal, _)| refusal),
        }
    }

    /// Has the alarm go off when the next value is due. Under the lock.
    ///
    /// # Panics
    /// On a thread that is no worker, if the service's thread can't be started.
    fn set_alarm(&self) {
        #[cfg(not(loom))]
        if let Some(clock) = &self.clock
            && let Some(next) = clock.next.get()
            && let Some(channel) = clock.channel
            && !(clock.alarm.is_set() && clock.alarm.deadline().is_some_and(|at| at <= next))
        {
            // SAFETY: it is this channel, which the caller's end or reference keeps.
            let waker = waker(unsafe { Ref::to(channel) });
            // SAFETY: who holds the lock is the owner; the alarm is in a box that goes with the channel.
            unsafe { clock.alarm.set(next, &waker) };
        }
    }

    /// When a select that waits here is to look again by itself.
    #[inline]
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let clock = self.clock.as_deref()?;
        let _locked = self.state.lock();
        clock.next.get()
    }

    /// Takes back a value that a receiver was handed and does not want. Go drops ticks that nobody takes in time; so does
    /// this with all but the last one, and with those of before the timer was stopped or set.
    ///
    /// # Safety
    /// `from` holds a value, which is moved.
    #[cold]
    pub(super) unsafe fn give_back_timed(&self, clock: &Clock, from: *const T) {
        // SAFETY: only clocks of a `Channel<Instant>` are set, so only there has a value been received.
        let value = unsafe { from.cast::<Instant>().read() };
        let mut state = self.state.lock();
        if clock.taken.get() == Some(value) && !clock.is_closed() {
            clock.taken.set(None);
            clock.next.set(Some(value));
            let wakeups = Self::all_look_again(&mut state);
            drop(state);
            drop(wakeups);
        }
    }

    /// Everybody who waits is to look again, after the lock.
    fn all_look_again(state: &mut Locked<'_, T>) -> Vec<Wakeup> {
        // At once and not in batches: those who are woken come back into the queue.
        let mut wakeups = Vec::new();
        while let Some(winner) = state.receivers.pop_winner() {
            wakeups.push(winner.complete(Status::Retry));
        }
        wakeups
    }

    /// Closes a channel that looked closed before. `false` if it has been closed, or can't be.
    #[cold]
    pub(super) fn close_timed(&self) -> bool {
        let Some(clock) = self.clock.as_deref().filter(|clock| !clock.is_never()) else { return false };
        let mut state = self.state.lock();
        if clock.closed.replace(true) {
            return false;
        }
        clock.next.set(None);
        clock.taken.set(None);
        #[cfg(not(loom))]
        // SAFETY: who holds the lock is the owner. (The waker that goes is one of several references to this channel.)
        unsafe {
            clock.alarm.clear();
        }
        // Nobody queues up any more.
        let mut wakeups = Vec::new();
        while let Some(winner) = state.receivers.pop_winner() {
            wakeups.push(winner.complete(Status::Closed));
        }
        drop(state);
        drop(wakeups);
        true
    }
}

#[cfg(not(loom))]
impl Channel<Instant> {
    /// A timer's channel; `next` is when the first value is due.
    #[track_caller]
    pub(super) fn timed(next: Instant, period: Option<Duration>) -> Receiver<Instant> {
        let made = Location::caller();
        let channel = Channel::with_receiver(|channel| {
            let clock = Clock::new(Some(channel));
            clock.next.set(Some(next));
            clock.period.set(period);
            Channel::with_clock(clock, made)
        });
        Receiver { channel }
    }

    /// Sets the timer anew (or stops it: `None`), whatever it was before. Whether a value was due or still to come.
    fn set_clock(&self, next: Option<Instant>, period: Option<Duration>) -> bool {
        let mut state = self.state.lock();
        let Some(clock) = self.clock.as_deref().filter(|clock| !clock.is_closed()) else { return false };
        let before = clock.next.replace(next);
        clock.period.set(period);
        clock.taken.set(None);
        let mut wakeups = Vec::new();
        match next {
            // SAFETY: who holds the lock is the owner. (The waker is one of several references to this channel.)
            None => unsafe { clock.alarm.clear() },
            Some(next) if before.is_none_or(|before| next < before) => {
                wakeups = Self::all_look_again(&mut state);
            }
            Some(_) => {}
        }
        drop(state);
        drop(wakeups);
        before.is_some()
    }

    /// The alarm has gone off: hands the value to the first who waits.
    fn ring(&self) {
        let Some(clock) = &self.clock else { return };
        // Declared first: carried out after the lock, also if `set_alarm` panics.
        let mut wakeup = None;
        let mut state = self.state.lock();
        if clock.next.get().is_some_and(|next| next <= Instant::now())
            && let Some(winner) = state.receivers.pop_winner()
        {
            let value = clock.take().expect("it is due");
            // SAFETY: a node in `receivers` has an empty packet of this channel's values; having won it, we alone fill it.
            unsafe { winner.packet().cast::<Instant>().write(value) };
            wakeup = Some(winner.complete(Status::Done));
        }
        if !state.receivers.is_empty() {
            self.set_alarm();
        }
        drop(state);
        drop(wakeup);
    }
}

/// The alarm's waker: a reference to the channel.
#[cfg(not(loom))]
fn waker(channel: Ref<Instant>) -> Waker {
    static VTABLE: RawWakerVTable = RawWakerVTable::new(
        |channel| {
            // SAFETY: what a waker carries is from `into_raw`; the waker that is cloned keeps its reference.
            let channel = ManuallyDrop::new(unsafe { Ref::<Instant>::from_raw(channel) });
            // SAFETY: the reference above keeps it.
            RawWaker::new(unsafe { Ref::to(channel.place()) }.into_raw(), &VTABLE)
        },
        // SAFETY: as above; the waker that wakes by value gives its reference up.
        |channel| unsafe { Ref::<Instant>::from_raw(channel) }.get().ring(),
        // SAFETY: as above; it keeps its reference.
        |channel| ManuallyDrop::new(unsafe { Ref::<Instant>::from_raw(channel) }).get().ring(),
        // SAFETY: as above; the waker that is dropped gives its reference up.
        |channel| drop(unsafe { Ref::<Instant>::from_raw(channel) }),
    );
    // SAFETY: the functions keep `RawWaker`'s contract, each in its way above; a channel of `Instant`s, which is all under a lock or
    // atomic, may be used and freed by any thread.
    unsafe { Waker::from_raw(RawWaker::new(channel.into_raw(), &VTABLE)) }
}

#[cfg(not(loom))]
impl Receiver<Instant> {
    /// For timers: sets when values come. Whether one was due or still to come.
    pub(crate) fn set_clock(&self, next: Instant, period: Option<Duration>) -> bool {
        self.channel.set_clock(Some(next), period)
    }

    /// For timers: no values come any more.
    pub(crate) fn stop_clock(&self) -> bool {
        self.channel.set_clock(None, None)
    }
}
