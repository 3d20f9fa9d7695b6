//! Spare workers: who takes new work while a worker is kept by one goroutine.
//!
//! A worker that is in a call which blocks its thread, or in a long computation, starts nothing. Idle workers take what may
//! start elsewhere (see [`idle`](super::idle)). If none is idle, the [monitor](super::monitor) *calls* a spare: one more worker
//! takes new work. It *retires* it when the other has come back.
//!
//! # A spare is a worker beyond those that are wanted
//!
//! The workers that take new work are the first `active` ones, those that the program wants are the first `wanted`. So the
//! spares are those between, and there is nothing else that makes a spare: to call one is to raise `active` by one, and to
//! retire one is to lower it, as `set_workers` does. What a surplus worker does is what a retired spare does: it finishes
//! what has started on it, which can't go elsewhere, and hands on what has not; and a retired spare also hands on what that
//! spawns.
//!
//! | | who | what |
//! | --- | --- | --- |
//! | `wanted`, `active` | under the lock of `threads` | `set_workers`: both to the same number. The monitor: `active` alone, between `wanted` and that plus the limit, and never once the runtime is stopping |
//! | `is_spare` of a worker | under the same lock | set by the monitor when it calls one, cleared by `set_workers` for those that are wanted |
//! | `stuck_in` of a worker | the monitor; the worker when it looks around | placement keeps off a worker that is marked so |
//!
//! # When
//!
//! A worker is *kept* when the monitor has seen it with one goroutine for the runtime's limit. It is *stuck* if, besides,
//! * it is *blocked*: since the last look it has used less than half of the time on the processor, and does not want it; or
//!   it has used the processor for the limit. (One that the system does not let run is neither: a spare would wait beside
//!   it.) And
//! * the goroutine has started no other for as long. (One that starts a hundred thousand in a burst is not stuck, though it
//!   may take long: a spare would only tear them apart, for their whole life.) After [`PROLIFIC`] limits that does not
//!   count: it may go on for ever.
//!
//! A spare is called if, at one look of the monitor, all of these are true:
//! 1. an active worker is stuck, and none sleeps or searches, which would take what there is;
//! 2. there is something to take: an unstarted goroutine, an async one that has been woken, an alarm that is overdue, or a
//!    stuck worker's poller with sources in it, which nobody else looks at;
//! 3. all active workers are stuck; or more of them are blocked than there are spares. (One that computes uses its processor: a
//!    thread more gives the program nothing, unless nothing else goes on.)
//!
//! If one does sleep, but none is the sentinel (who was it has been woken for something else, and is stuck by now), one is
//! woken, and becomes that.
//!
//! One spare at each look, up to the limit. One is retired when there are more spares than stuck active workers, so that in
//! all as many workers that are not stuck take work as are wanted, or fewer. Spares may get stuck themselves, and are then
//! replaced like others, within the limit.
//!
//! # Races
//!
//! * *A spare that goes to sleep as it is called, or as it is retired.* After it has said that it sleeps it asks whether it
//!   is active, and does not sleep if that is not what it took itself for when it last looked around; it is notified after
//!   `active` has been changed, with a fence between: one of the two sees the other (`loom_tests`:
//!   `a_spare_that_is_called_as_it_goes_to_sleep_wakes`). So whoever sleeps is counted as what it is, and has looked around
//!   as that.
//! * *Somebody has relied on a spare that is being retired*: he has offered work and woken nobody, since that one searched;
//!   or has woken it and nobody else. A worker that finds itself retired wakes one that is active, which looks for work,
//!   before it sleeps (`loom_tests`: `work_that_woke_nobody_since_a_spare_searched_is_found_though_that_retires`).
//! * *One that is retired while it keeps watch*, as the sentinel or over alarms, gives up the watch when it wakes, which is
//!   at once since it is notified, and wakes somebody who takes it over.
//! * *A task that is handed to a spare as it retires*, or is spawned there, is handed on by it when it next looks around
//!   (`maintain`), which it does before it sleeps, and is notified for; what it starts before that, within some dozens of
//!   switches, stays. If it is kept itself by then, those who search find what it was handed, as with any worker that is
//!   kept.
//! * *A worker that comes back as it is found stuck*: a spare is called in vain, and retired at the next look. The worker
//!   takes the mark off when it looks around, and wakes the monitor if that rests; a mark that is set after that stays
//!   until it looks around again, or the monitor does: until then others don't choose it for new goroutines.
//! * *Called during `set_workers`*: they take turns by the lock. `set_workers` may make a spare one of those that are
//!   wanted, or a surplus one; the monitor counts the stuck anew afterwards, and what it has counted before is wrong for
//!   one look at most: it calls one spare too many, or too few, until the next. There is a slot for it: it calls one only
//!   if `active` is as it has seen it, and then that was less than all slots.
//! * *Called during a shutdown*: who stops the runtime does so under the lock. Once it is stopping nobody is called. All
//!   workers, active or not, take part in the shutdown, and their threads are waited for, also one that has just been
//!   started.
//! * *The thread of a spare is refused*: nothing has changed, and the system is asked again at a later look.
//! * *A deadlock* is looked for among all workers, spares or not. Nobody is stuck then, for nobody is awake; so no spare is
//!   called, and those that there are sleep like others and are counted like others. A spare's thread that is just being
//!   started is one that is not known yet, or a worker that is awake.
//! * *Something to take that comes up while the monitor rests*: see there.
//!
//! # Why there are none unless they are asked for
//!
//! Go replaces a thread that is in a system call, and at most GOMAXPROCS run goroutines all the same: whoever comes back has
//! to wait for a place. Here a goroutine stays on its thread, so what a spare has started goes on there beside the workers
//! for as long as it lives, after a single call that blocked for the limit:
//! * a program that says how many workers it wants would have more threads running goroutines than that, and one that wants
//!   one worker would not have its goroutines run one at a time;
//! * who spawns without end on a retired spare has the workers start all of that, and may be faster than they are. (With four
//!   spares the test `what_was_handed_to_a_worker_that_is_no_longer_wanted_is_started_all_the_same` took over ten times as long
//!   now and then on a busy machine, with a backlog that grew.)
//!
//! And every program would have a thread more, and that look a hundred times a second while it is at work, also if it
//! never blocks.
//!
//! # Where there are none
//!
//! Runtimes under test (virtual time, explored and replayed schedules) have one worker, whose time is not the machine's:
//! the monitor leaves them out. With the limit of zero nobody looks. Beyond [`MAX_WORKERS`] threads there are no more.
//! There is no runtime on the caller's thread.
#![forbid(unsafe_code)]

use super::{alarms::OVERDUE, config::MAX_WORKERS, monitor, runtime::Shared, worker::Worker};
use crate::time::Instant;
use std::sync::{
    Arc, PoisonError,
    atomic::{Ordering, fence},
};

/// A goroutine that has had its worker for so many limits is stuck there, however many others it starts.
pub(super) const PROLIFIC: u32 = 100;

/// What the monitor has seen of a runtime's active workers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sight {
    /// How many are stuck, and how many of these wait in the system rather than compute.
    pub(super) stuck: usize,
    pub(super) blocked: usize,
    /// Whether one sleeps.
    pub(super) any_asleep: bool,
}

impl Worker {
    /// Whether it takes no new work.
    #[inline(always)]
    pub(super) fn is_surplus(&self) -> bool {
        self.index >= self.runtime.active_workers()
    }

    /// Whether it is a spare that has retired. (One that the program does not want any more starts what it spawns: if few
    /// had to start what many go on spawning, they would fall behind for ever.)
    pub(super) fn is_retired(&self) -> bool {
        self.is_surplus() && self.runtime.was_spare(self.index)
    }

    /// It looks around: if it was taken for stuck, it is not.
    #[inline(always)]
    pub(super) fn heed_monitor(&self) {
        if self.shared.unmark_stuck() {
            monitor::wake();
        }
    }
}

impl Shared {
    /// How many spares there may be, for so many workers that are wanted.
    fn most_spares(&self, wanted: usize) -> usize {
        self.most_spares.min(MAX_WORKERS - wanted)
    }

    /// The monitor has looked at all workers: calls a spare, or retires some. Whether it has changed anything.
    pub(super) fn heed(self: &Arc<Self>, sight: Sight) -> bool {
        let (wanted, active) = (self.wanted_workers(), self.active_workers());
        let spares = active.saturating_sub(wanted);
        if spares > sight.stuck {
            return self.retire_spares(sight.stuck);
        }
        if sight.stuck == 0 || self.searching.load(Ordering::Relaxed) > 0 || !self.has_to_take() {
            return false;
        }
        match sight.any_asleep {
            true => self.wake_watch(),
            false => {
                spares < self.most_spares(wanted)
                    && (sight.stuck == active || sight.blocked > spares)
                    && self.call_spare(active)
            }
        }
    }

    /// Some worker sleeps and there is something to take: sees to it that it looks.
    fn wake_watch(&self) -> bool {
        !self.sentinel.load(Ordering::SeqCst) && self.wake_one()
    }

    /// Raises the number of active workers from `active` by one.
    fn call_spare(self: &Arc<Self>, active: usize) -> bool {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_stopping() || self.active_workers() != active {
            return false;
        }
        // The system is asked again at the next look.
        if active >= self.started_workers() && self.start_worker(&mut threads, self.worker(0)).is_err() {
            return false;
        }
        self.note_spare(active, true);
        self.active.store(active + 1, Ordering::SeqCst);
        drop(threads);
        fence(Ordering::SeqCst);
        if let Some(shared) = self.worker(active) {
            shared.counters.note_spare();
            shared.notify();
        }
        true
    }

    /// Lowers the number of spares to `left`.
    fn retire_spares(&self, left: usize) -> bool {
        let threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let (wanted, active) = (self.wanted_workers(), self.active_workers());
        if active <= wanted + left {
            return false;
        }
        self.active.store(wanted + left, Ordering::SeqCst);
        drop(threads);
        fence(Ordering::SeqCst);
        for index in wanted + left..active {
            if let Some(shared) = self.worker(index) {
                shared.notify();
            }
        }
        true
    }

    /// When the first alarm here will be overdue, of those that are not.
    pub(super) fn next_overdue(&self) -> Option<u64> {
        let now = Instant::now().nanos();
        let alarms =
            (0..self.started_workers()).filter_map(|index| self.worker(index)?.alarms.next_deadline());
        alarms.map(|at| at.saturating_add(OVERDUE)).filter(|&at| at > now).min()
    }

    /// Whether there is something that any worker may take, and whom nobody has to wake first.
    fn has_to_take(&self) -> bool {
        if !self.injector.is_empty() || !self.woken.is_empty() {
            return true;
        }
        let overdue = Instant::now().nanos().saturating_sub(OVERDUE);
        (0..self.started_workers()).filter_map(|index| self.victim(index)).any(|victim| {
            !victim.fresh.is_empty()
                || !victim.polls.is_empty()
                || victim.shared.burden.incoming.load(Ordering::Relaxed) > 0
                || victim.shared.alarms.next_deadline().is_some_and(|at| at <= overdue)
                || victim.shared.is_stuck(self.number) && victim.shared.has_sources()
        })
    }
}
