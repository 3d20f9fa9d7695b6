//! What a worker does when it has nothing to run: steal, spin for a bounded time, sleep.
//!
//! * **Stealing** takes unstarted tasks, and async goroutines that have been woken, only. A thief leaves a victim its last few ([`LEFT_ALONE`]): they are about to be
//!   started there, beside their siblings (see `placement`), unless some have lain there for [`BACKLOG`], and the victim's turns
//!   are long or end who has them: else these are siblings that talk, of which it starts one every few turns. So
//!   does a thief that has many more parked goroutines than the victim: its turn to work comes when they are woken. But where
//!   async goroutines work for long at each poll, as their spawn sites tell, even a single one that was woken lies behind such a poll, and is taken.
//!   So it is where a victim's thread stands still and does not run, for some ten microseconds ([`AWAY`]): the kernel gives its processor to others, for
//!   milliseconds.
//!   Nor does a thief take, for a while, more of what has not been worth it: see [`loot`](super::loot).
//! * **Spinning** lasts [`SPIN`]: about twice what waking a thread costs on the machines measured, so that it never costs
//!   more than three times what an oracle would pay. It is for processors that nobody else wants: after [`POLITE_AFTER`] the
//!   kernel is asked now and then whether somebody does, and where it let another thread run the spinning ends. (Whoever is waited
//!   for may be that thread, as the clients of a server on the same machine: each moment spun is taken from them, and
//!   what they send is then found one by one instead of in heaps. And to ask is to step back: the kernel lets who has yielded wait for
//!   a slice, some milliseconds, even if he sleeps in between. So where somebody did, the next spins are left out, more and more of them.)
//! * **Sleeping** follows the word of [`sleep`](super::sleep). While others are awake, one sleeper is the *sentinel*: it
//!   looks every [`SENTINEL_MIN`] to [`SENTINEL_MAX`] whether unstarted tasks lie about somewhere. So a spawn need
//!   not issue a fence to be sure that it is seen: a missed wake-up costs a moment of parallelism and never a hang, since
//!   the spawner's own worker runs what nobody takes. When all sleep, one wakes once more to give back the memory of free
//!   stacks, and then nobody wakes by time: an idle runtime uses no CPU.
//!   Nor does one to speak of whose other workers are all kept, by goroutines that block in a call, say: after [`QUIET`] looks between
//!   which nothing has run the sentinel *rests*. It is the sentinel no more, so whoever has something for it wakes it, and looks after
//!   [`FIRST_REST`], and then twice that, up to [`LONGEST_REST`]; or when an alarm elsewhere is overdue. One rests: others who come to
//!   that sleep. It does not rest while those who are kept have sources, or something that it could take. (It asks for that once more
//!   when it has said that it sleeps. What crosses with that within some nanoseconds, for want of a fence, is found after the rest.)
//! * **The watch goes on.** Who watches may be woken for something of its own, and be kept by that. So who goes to work from among
//!   sleepers, or with what it has taken, wakes one of them if nobody watches any more and something is left: unstarted tasks or woken
//!   async goroutines at a worker that is awake, itself included, or sources, or alarms. If nothing is left, whoever makes something finds
//!   that nobody watches, and wakes one. One who has been notified counts as a watcher: it is about to look, or to do the same.
//! * **The watch over pollers.** A worker that is kept does not look at its poller, whose news may be for others: the sentinel does so
//!   (see [`poller`](super::poller)). So the watch goes on here too. Not each time by waking somebody: while there are sources the sentinel lingers when all sleep, until nothing has run between
//!   [`SENTINEL_QUIET`] of its looks; and so does a *deputy*, which looks every [`SENTINEL_MAX`], for it may be the sentinel that goes
//!   to work.
//! * **The watch over alarms.** A worker may be kept by what it runs, for any time, while others sleep; its alarms are then
//!   theirs to fire. So while a worker with alarms is awake and another sleeps, a sleeper will look in time: the sentinel,
//!   or, of those who fell asleep when nobody was awake, one that wakes when the first alarm elsewhere is overdue
//!   (`watched` says when that is). Who sets an alarm that comes before that wakes a sleeper, which becomes the sentinel. A worker that sleeps looks after its own alarms. Here too
//!   no fence is issued: who goes to sleep while another is awake becomes the sentinel if there is none.

use super::{
    alarms::OVERDUE,
    deadlock::Doubts,
    deque::{self, Steal},
    monitor,
    placement::{CHATTY, SLACK},
    poller::Events,
    runtime::{Shared, Victim},
    shared::{Fresh, WorkerShared},
    sleep::Slept,
    worker::Worker,
};
use crate::{primitives::prefetch_whole, time::Instant};
use crossbeam_deque::{Injector, Steal as Injected};
use std::{
    cell::{Cell, RefMut},
    hint,
    sync::atomic::Ordering,
    thread,
    time::Duration,
};

const SPIN: Duration = Duration::from_micros(60);
/// How long a thief has to have seen unstarted tasks at a victim, in processor time of the victim, to take the last ones
/// too: longer than a burst of siblings takes to start, stacks and all.
const BACKLOG: Duration = Duration::from_micros(40);
/// Async goroutines that run no longer at each poll are better off together: half of what makes a goroutine a chatty one (see `placement`).
const BRIEF: Duration = Duration::from_micros(5);
/// Looks that are further apart tell nothing of the time between.
const CLOSE_LOOKS: Duration = Duration::from_micros(20);
/// Time after which a victim that has not switched is robbed whether it has run or not: the kernel has taken the processor
/// away, and for long. So is one that has not come to what was spread.
const BACKLOG_FOR_SURE: Duration = Duration::from_millis(20);
/// A victim that stands still for so long, and then for as long again in which it has hardly run, has been deprived of its processor. To move an
/// async goroutine costs little; this is many times that, and a fraction of what the kernel gives to another thread at once.
const AWAY: Duration = Duration::from_micros(30);
const LEFT_ALONE: usize = 15;
/// So many may spin in any case; more, as long as there are so many others awake for each of them. (Go has one for each, and not more: with
/// its looks at everybody a spin slows those who work, see docs/scale.md.)
const MAY_SPIN: usize = 2;
const AWAKE_FOR_EACH: usize = 4;
/// How long is spun, and how many rounds after that, before the kernel may let another thread run.
const POLITE_AFTER: Duration = Duration::from_micros(4);
/// Where the processor was wanted it is left at once the next time, up to so many times before it is tried again.
const MOST_SKIPPED: u32 = 63;
/// Who has been away for longer than this was not alone: several times what asking costs when nobody wants the processor.
const WAS_AWAY: Duration = Duration::from_micros(4);
const SENTINEL_MIN: Duration = Duration::from_micros(200);
const SENTINEL_MAX: Duration = Duration::from_millis(10);
/// After so many looks between which nothing has run it sleeps like the others, if they all do.
const SENTINEL_QUIET: u32 = 8;
/// After so many, which is a tenth of a second, it rests if others are kept.
const QUIET: u32 = 16;
const FIRST_REST: Duration = Duration::from_millis(20);
const LONGEST_REST: Duration = Duration::from_millis(320);
/// How often a worker tries again to find a stack for a task, at first and at last.
const STARVED_RETRY: Duration = Duration::from_millis(5);
const STARVED_RETRY_MAX: Duration = Duration::from_millis(80);
/// When all have slept for this long, the memory of all free stacks goes back. (Of more than there is any use for, it does so
/// before: see `stack`.)
const TIDY_AFTER: Duration = Duration::from_millis(200);

impl Worker {
    /// One look everywhere. Returns whether there is something to run.
    pub(super) fn find_work(&self) -> bool {
        self.maintain();
        self.has_work() || self.poll_now() || self.steal() || self.fire_overdue()
    }

    /// Fires the alarms of workers that don't come to it.
    fn fire_overdue(&self) -> bool {
        let runtime = &self.runtime;
        let mut now = None;
        for index in (0..runtime.started_workers()).filter(|&index| index != self.index) {
            let Some(next) = runtime.worker(index).and_then(|shared| shared.alarms.next_deadline()) else {
                continue;
            };
            let now = *now.get_or_insert_with(|| Instant::now().nanos());
            if next.saturating_add(OVERDUE) <= now
                && runtime.worker(index).is_some_and(|shared| shared.alarms.fire(now))
            {
                return self.has_work();
            }
        }
        false
    }

    /// Takes unstarted tasks, or async goroutines that have been woken, from the injector or another worker.
    fn steal(&self) -> bool {
        let runtime = &self.runtime;
        if self.is_surplus() {
            return false;
        }
        if self.take_injected() || self.take_woken() {
            return true;
        }
        if self.rests_from_stealing() {
            return false;
        }
        // Of all that were started: a surplus worker may still have some that it will not start.
        let victims = runtime.started_workers();
        let first = self.random.borrow_mut().usize(..victims.max(1));
        for victim in (first..victims).chain(0..first) {
            if victim == self.index {
                continue;
            }
            let Some(Victim { shared, fresh, polls }) = runtime.victim(victim) else { continue };
            let (len, handed) = (fresh.len() + polls.len(), shared.burden.incoming.load(Ordering::Relaxed));
            if len == 0 && handed == 0 {
                self.forget(victim);
                continue;
            }
            // Of what was put there on purpose it is asked however much else there is.
            let waits = handed > 0 && shared.spread_waits_for(BACKLOG_FOR_SURE);
            // What lies behind a long poll is better off here, be it a single one; so is what waits for its worker, which waits for a processor.
            let behind = !polls.is_empty()
                && (shared.published.works.load(Ordering::Relaxed) || self.is_away(victim, shared));
            let plenty = behind || len > LEFT_ALONE && !self.is_loaded_beyond(victim);
            let only_polls = fresh.is_empty() && handed == 0;
            if !plenty && !waits && !self.is_backlogged(victim, shared, only_polls.then_some(len)) {
                continue;
            }
            if behind && self.polls.steal_from(polls) {
                self.note_steal();
                self.watch.set(None);
                return true;
            }
            // Placed there on purpose. If nothing runs there it is about to come to it: its thread may just have been started. And where somebody has
            // asked for that, it is undone only where nobody comes to it for long.
            let is_surplus = victim >= runtime.active_workers();
            let is_kept = shared.switches() % 2 == 1 || is_surplus;
            let is_late = waits || is_surplus || !shared.has_spread();
            if let Some(task) = (is_kept && is_late).then(|| shared.take_handed()).flatten() {
                self.note_steal();
                self.fresh.push(task);
                self.has_loot.set(true);
                return true;
            }
            if self.polls.steal_from(polls) {
                self.note_steal();
                self.watch.set(None);
                return true;
            }
            let take = |Fresh(task): Fresh| {
                // All at once: each would else be waited for in its turn, from another processor's cache.
                prefetch_whole(task.as_ptr());
                self.fresh.push(Fresh(task));
            };
            if fresh.steal(take) == Steal::Taken {
                self.note_steal();
                self.note_loot(len);
                self.watch.set(None);
                self.has_loot.set(true);
                return true;
            }
        }
        false
    }

    /// Takes some of what was started elsewhere than in a goroutine: the oldest will run first.
    fn take_injected(&self) -> bool {
        let mut taken = [const { None }; deque::BATCH];
        let count = take_half(&self.runtime.injector, &mut taken);
        taken.into_iter().rev().flatten().for_each(|task| self.fresh.push(task));
        count > 0
    }

    /// Whether somebody else who is awake has something that this worker may take in the end.
    fn others_have_any(&self) -> bool {
        let runtime = &self.runtime;
        (0..runtime.started_workers())
            .filter(|&index| index != self.index)
            .any(|index| runtime.victim(index).is_some_and(|victim| victim.has_any()))
    }

    fn note_steal(&self) {
        self.shared.counters.steals.add(1);
    }

    /// Whether this worker is idle only because all that it has is parked, and has more of that than `victim`.
    fn is_loaded_beyond(&self, victim: usize) -> bool {
        let theirs = self.runtime.worker(victim).map_or(0, |shared| shared.load());
        self.load() > theirs.saturating_add(SLACK)
    }

    /// Whether unstarted tasks have been waiting at `victim` for a while. Either it has had some at every look, and the looks
    /// were close together (two looks far apart may see two bursts), or it has not switched since. Needs to be asked
    /// repeatedly; one victim is watched at a time. Beside it those are remembered that stand still: they would not be watched for long enough
    /// where others have some at every look.
    ///
    /// If there are only woken async goroutines, `polls` of them, they may be others at each look: a few that hand over to each other, one
    /// of which always waits for its turn. As long as their bursts are [`BRIEF`], who was there at the first look has run by now, and
    /// has not waited.
    fn is_backlogged(&self, victim: usize, shared: &WorkerShared, polls: Option<usize>) -> bool {
        let now = Instant::now();
        let Still { switches, since, .. } = *self.still(victim, shared, now);
        if now.duration_since(since) >= BACKLOG_FOR_SURE {
            return true;
        }
        let polled = shared.counters.async_polls.get();
        let watch = self.watch.get().filter(|watch| {
            let polled = polled.saturating_sub(watch.polled);
            let ran = || shared.clock.now().saturating_sub(watch.ran);
            let waits = polled == 0 || polled < watch.polls as u64 || ran() >= BRIEF * polled as u32;
            watch.victim != victim || polls.is_none() || waits
        });
        match watch {
            Some(watch) if watch.victim != victim => return false,
            Some(watch) => {
                let stuck = watch.switches == switches;
                if stuck || now.duration_since(watch.last) <= CLOSE_LOOKS {
                    let waited = now.duration_since(watch.since);
                    self.watch.set(Some(Watch { last: now, ..watch }));
                    if stuck && waited >= BACKLOG_FOR_SURE {
                        return true;
                    }
                    if waited < BACKLOG {
                        return false;
                    }
                    let ran = shared.clock.now().saturating_sub(watch.ran);
                    let turns = turns_between(watch.switches, switches);
                    let finished = shared.published.finished.load(Ordering::Relaxed);
                    if polls.is_some() || !they_talk(ran, turns, finished.wrapping_sub(watch.finished)) {
                        return ran >= BACKLOG;
                    }
                    // Watched anew from here on: else one long turn would not show among the many short ones before it.
                }
            }
            None => {}
        }
        let (polls, ran) = (polls.unwrap_or(0), shared.clock.now());
        let finished = shared.published.finished.load(Ordering::Relaxed);
        self.watch.set(Some(Watch { victim, switches, since: now, last: now, ran, polls, polled, finished }));
        false
    }

    /// What is known of a victim, which has something, and stands still: since when it has not switched.
    fn still(&self, victim: usize, shared: &WorkerShared, now: Instant) -> RefMut<'_, Still> {
        let mut all = self.still.borrow_mut();
        if all.len() <= victim {
            all.resize(victim + 1, None);
        }
        let switches = shared.published.switches.load(Ordering::Relaxed);
        RefMut::map(all, |all| {
            let still = &mut all[victim];
            if still.is_none_or(|still| still.switches != switches) {
                *still = None;
            }
            still.get_or_insert(Still { switches, since: now, ran: None })
        })
    }

    /// Whether the kernel has taken the processor away from a victim where woken async goroutines wait: it has not switched for a while, and then
    /// hardly run for as long again. They go on here, and may come back.
    fn is_away(&self, victim: usize, shared: &WorkerShared) -> bool {
        let now = Instant::now();
        let mut still = self.still(victim, shared, now);
        match still.ran {
            Some((at, ran)) => {
                let waited = now.duration_since(at);
                waited >= AWAY && shared.clock.now().saturating_sub(ran) < waited / 2
            }
            // The clock is not asked of a victim that switches: that is a call of the system, which holds the victim up.
            None if now.duration_since(still.since) >= AWAY => {
                still.ran = Some((now, shared.clock.now()));
                false
            }
            None => false,
        }
    }

    fn forget(&self, victim: usize) {
        if self.watch.get().is_some_and(|watch| watch.victim == victim) {
            self.watch.set(None);
        }
        if let Some(still) = self.still.borrow_mut().get_mut(victim) {
            *still = None;
        }
    }

    /// Whether somebody has had something at the last look.
    fn has_seen_some(&self) -> bool {
        self.watch.get().is_some() || self.still.borrow().iter().any(Option::is_some)
    }

    /// Waits for something to do. Returns whether the worker is to end.
    pub(super) fn idle(&self) -> bool {
        if self.runtime.is_stopping() {
            return self.idle_stopping();
        }
        self.untimed(|| self.wait_for_work());
        monitor::wake();
        self.heed_trace();
        // Who has nothing to do yet looks for something, and so watches itself.
        if self.has_work() || !self.shared.inbox.is_empty() {
            self.note_going_to_work();
        }
        false
    }

    /// From among sleepers, or with what it has taken.
    #[inline]
    pub(super) fn note_going_to_work(&self) {
        if self.runtime.sleepers.want_to_know() {
            self.pass_watch_on();
        }
    }

    fn wait_for_work(&self) {
        if !self.is_surplus() && !self.spins.skip() && !self.runtime.has_enough_spinning() && self.spin() {
            return;
        }
        let (mut period, mut retry) = (SENTINEL_MIN, STARVED_RETRY);
        let mut tidy_at = Instant::now().checked_add(TIDY_AFTER);
        let mut switches = Vec::new();
        let mut doubts = Doubts::default();
        let (mut quiet, mut progress) = (0, self.runtime.progress());
        let mut rest = FIRST_REST;
        loop {
            // A slab at a time, for somebody may bring work.
            while self.runtime.stacks.settle() {
                if self.find_work() {
                    return;
                }
            }
            let lingers = quiet < SENTINEL_QUIET;
            // What lies somewhere is soon looked at again.
            let rests = (quiet >= QUIET && !self.has_seen_some()).then_some(rest);
            match self.sleep(period, retry, tidy_at, lingers, rests) {
                Woken::Work | Woken::Notified => return,
                Woken::Timer => {
                    if self.find_work() {
                        return;
                    }
                    retry = (retry * 2).min(STARVED_RETRY_MAX);
                    if tidy_at.is_some_and(|at| at <= Instant::now()) {
                        tidy_at = self.tidy(&mut doubts);
                    }
                }
                woken @ (Woken::Sentinel | Woken::Deputy | Woken::Rested) => {
                    if self.find_work() || self.poll_for_others(&mut switches) {
                        // The watch goes on: where there was something there may be more.
                        self.runtime.wake_one();
                        return;
                    }
                    // Something is there, or was a moment ago: a closer look.
                    if self.watch.get().is_some() && self.spin() {
                        return;
                    }
                    let now = self.runtime.progress();
                    quiet = if now == progress { quiet + 1 } else { 0 };
                    progress = now;
                    match woken {
                        Woken::Sentinel => period = (period * 2).min(SENTINEL_MAX),
                        Woken::Rested => rest = (rest * 2).min(LONGEST_REST),
                        _ => {}
                    }
                    if quiet == 0 {
                        rest = FIRST_REST;
                    }
                }
            }
            if self.runtime.is_stopping() {
                return;
            }
        }
    }

    /// Looks again and again, as long as it may pay; whether there is something to run.
    fn spin(&self) -> bool {
        let runtime = &self.runtime;
        let mut crowded = false;
        runtime.searching.fetch_add(1, Ordering::SeqCst);
        let start = Instant::now();
        let mut rounds = 0u32;
        let mut stolen = false;
        let found = loop {
            for _ in 0..4 {
                hint::spin_loop();
            }
            if !self.shared.inbox.is_empty() || self.shared.burden.incoming.load(Ordering::Relaxed) > 0 {
                break true;
            }
            rounds += 1;
            // The system's call takes longer than the pauses between.
            if rounds.is_multiple_of(2) && self.poll_now() {
                break true;
            }
            if rounds.is_multiple_of(8) {
                stolen = self.steal();
                if stolen || self.fire_timers() || runtime.is_stopping() {
                    break true;
                }
                let spun = start.elapsed();
                if spun >= SPIN {
                    break false;
                }
                if spun >= POLITE_AFTER && is_wanted() {
                    crowded = true;
                    break false;
                }
            }
        };
        self.spins.note(crowded);
        let last = runtime.searching.fetch_sub(1, Ordering::SeqCst) == 1;
        if last && (stolen || self.is_surplus()) && runtime.sleepers.surely_want_to_know() {
            // While somebody searched, spawns woke nobody. What they left is for the next one to find.
            runtime.wake_one();
        }
        found
    }

    /// Goes to work: somebody has to watch over the alarms and the pollers of those who are awake, and what they may not come to.
    #[cold]
    pub(super) fn pass_watch_on(&self) {
        let runtime = &self.runtime;
        if runtime.sentinel.load(Ordering::Relaxed) || runtime.searching.load(Ordering::Relaxed) > 0 {
            return;
        }
        let own = self.fresh.len()
            + self.polls.len()
            + self.shared.burden.incoming.load(Ordering::Relaxed) as usize;
        let (mut leaves, mut alarm) =
            (own > 1 || self.poller().is_some(), self.shared.alarms.next_deadline());
        for index in (0..runtime.started_workers()).filter(|&index| index != self.index) {
            let Some(victim) = runtime.victim(index) else { continue };
            let shared = victim.shared;
            if shared.sleep.looks_asleep() {
                continue;
            }
            if index < runtime.active_workers() && shared.sleep.looks_notified() {
                return;
            }
            leaves |= shared.has_sources() || victim.has_any();
            alarm = [alarm, shared.alarms.next_deadline()].into_iter().flatten().min();
        }
        if leaves && !runtime.deputy.load(Ordering::Relaxed) || self.is_unwatched(alarm) {
            runtime.wake_one();
        }
    }

    /// After an alarm has been set here.
    #[inline]
    pub(super) fn alarm_set(&self) {
        if self.runtime.sleepers.want_to_know() && self.is_unwatched(self.shared.alarms.next_deadline()) {
            monitor::wake();
            self.runtime.wake_one();
        }
    }

    /// Whether nobody would look in time if an alarm for `at` became overdue. (Who searches will, be it that he goes to sleep
    /// or to work.)
    fn is_unwatched(&self, at: Option<u64>) -> bool {
        let runtime = &self.runtime;
        at.is_some_and(|at| {
            at.saturating_add(OVERDUE) < runtime.watched.load(Ordering::Relaxed)
                && !runtime.sentinel.load(Ordering::Relaxed)
                && runtime.searching.load(Ordering::Relaxed) == 0
        })
    }

    /// Nobody is awake, and this worker goes to sleep: when it is to look for overdue alarms, if nobody else does by then.
    fn watch_from(&self) -> Option<u64> {
        let runtime = &self.runtime;
        let others = (0..runtime.started_workers()).filter(|&index| index != self.index);
        let next = others.filter_map(|index| runtime.worker(index)?.alarms.next_deadline()).min()?;
        let at = next.saturating_add(OVERDUE);
        (runtime.watched.fetch_min(at, Ordering::SeqCst) > at).then_some(at)
    }

    /// Sleeps until notified, or the next timer; for `retry` if tasks want a stack; until `tidy_at` if nobody else is awake,
    /// or until an alarm of another worker is overdue; for `period` if somebody is and nobody else keeps watch. If there are sources and
    /// this one `lingers`, it may keep watch although nobody is, or as the second one. If it `rests`, and may, it keeps no watch, but looks
    /// after that time, unless another one does, or when an alarm of another worker is overdue.
    fn sleep(
        &self,
        period: Duration,
        retry: Duration,
        tidy_at: Option<Instant>,
        lingers: bool,
        rests: Option<Duration>,
    ) -> Woken {
        let runtime = &self.runtime;
        let active = self.was_active.get();
        runtime.sleepers.enter(active);
        let (mut sentinel, mut deputy, mut rested) = (false, false, false);
        let mut watch = None;
        let has_work = || {
            !self.shared.inbox.is_empty()
                || self.shared.burden.incoming.load(Ordering::SeqCst) > 0
                || runtime.is_stopping()
                || self.is_requested()
                || self.is_asked()
                // Asked after it has been said that this one sleeps: who changes it notifies this one afterwards.
                || self.is_surplus() == active
                || (active
                    && (!runtime.injector.is_empty() || !runtime.woken.is_empty() || runtime.has_plenty()))
                || (active && rests.is_some() && self.others_have_any())
        };
        let timeout = || {
            let awake = runtime.started_workers().saturating_sub(runtime.sleepers.asleep());
            let lingers = active && lingers && runtime.started_workers() > 1 && runtime.has_sources();
            let rests = rests.filter(|_| active && awake > 0 && !self.others_have_sources());
            let watches = active && awake > 0 && rests.is_none() || lingers;
            sentinel = watches && !runtime.sentinel.swap(true, Ordering::SeqCst);
            deputy = lingers && !sentinel && !runtime.deputy.swap(true, Ordering::SeqCst);
            let tidy_at = tidy_at.filter(|_| awake == 0);
            watch =
                if active && (awake == 0 || rests.is_some()) && !sentinel { self.watch_from() } else { None };
            let rests = rests.filter(|_| !runtime.rester.swap(true, Ordering::SeqCst));
            rested = rests.is_some();
            let own = self.next_deadline();
            self.shared.published.timed.store(own.is_some(), Ordering::Relaxed);
            let due_at = own.into_iter().chain(watch).min();
            let until_timer = (due_at.is_some() || tidy_at.is_some()).then(|| {
                let now = Instant::now();
                let until_due = due_at.map(|at| Duration::from_nanos(at.saturating_sub(now.nanos())));
                let until_tidy = tidy_at.map(|at| at.saturating_duration_since(now));
                [until_due, until_tidy].into_iter().flatten().min().expect("one of the two is there")
            });
            let starved = self.is_starved().then_some(retry);
            let looks = if deputy { Some(SENTINEL_MAX) } else { sentinel.then_some(period) };
            [until_timer, starved, looks, rests].into_iter().flatten().min()
        };
        let mut events = None;
        let since = self.shared.counters.sleep_begins();
        let slept = match self.poller() {
            Some(poller) => self.shared.sleep.sleep_polling(has_work, timeout, |timeout| {
                self.shared.counters.poller_looks.add(1);
                poller.wait(events.insert(Events::new()), timeout);
            }),
            // A newcomer may have come there since: see `sources`.
            None => self.shared.sleep.sleep(|| has_work() || self.poller().is_some(), timeout),
        };
        self.shared.counters.sleep_ends(since, slept != Slept::FoundWork);
        runtime.sleepers.leave(active);
        if sentinel {
            runtime.sentinel.store(false, Ordering::SeqCst);
            if self.is_surplus() {
                // Another one is to keep watch, who may have gone to sleep because this one did.
                runtime.wake_one();
            }
        }
        if deputy {
            runtime.deputy.store(false, Ordering::SeqCst);
        }
        if rested {
            runtime.rester.store(false, Ordering::SeqCst);
        }
        if let Some(at) = watch {
            // Unless another one watches from an earlier moment on.
            let _ = runtime.watched.compare_exchange(at, u64::MAX, Ordering::SeqCst, Ordering::Relaxed);
        }
        if let Some(events) = events {
            events.pass_on();
            if self.has_work() {
                return Woken::Work;
            }
        }
        match slept {
            Slept::FoundWork => Woken::Work,
            Slept::Notified => Woken::Notified,
            Slept::TimedOut if sentinel => Woken::Sentinel,
            Slept::TimedOut if deputy => Woken::Deputy,
            Slept::TimedOut if rested => Woken::Rested,
            Slept::TimedOut => Woken::Timer,
        }
    }

    /// After a spawn or the wake-up of an async goroutine, while somebody sleeps: wakes a thief if there is plenty to take, or if nobody keeps watch.
    #[cold]
    pub(super) fn consider_waking(&self) {
        monitor::wake();
        let runtime = &self.runtime;
        if runtime.searching.load(Ordering::Relaxed) > 0 {
            return;
        }
        if self.fresh.len() + self.polls.len() > LEFT_ALONE
            || !runtime.sentinel.load(Ordering::Relaxed)
            || self.shared.published.works.load(Ordering::Relaxed)
        {
            runtime.wake_one();
        }
    }
}

impl Victim<'_> {
    /// Whether there is something to take, now or when it has lain there for long enough.
    fn has_any(&self) -> bool {
        !self.fresh.is_empty()
            || !self.polls.is_empty()
            || self.shared.burden.incoming.load(Ordering::Relaxed) > 0
    }
}

impl Shared {
    /// Whether some worker has more tasks that others may take than it will run in a moment.
    fn has_plenty(&self) -> bool {
        let mut victims = (0..self.started_workers()).filter_map(|index| self.victim(index));
        victims.any(|Victim { shared, fresh, polls }| {
            fresh.len() + polls.len() > LEFT_ALONE
                || shared.published.works.load(Ordering::Relaxed) && !polls.is_empty()
        })
    }

    /// Whether so many workers spin that another one had better sleep at once.
    fn has_enough_spinning(&self) -> bool {
        let spinning = self.searching.load(Ordering::Relaxed);
        spinning >= MAY_SPIN && {
            let awake = self.started_workers().saturating_sub(self.sleepers.asleep());
            // The caller, who has nothing to run, and those who spin are among them.
            spinning * (AWAKE_FOR_EACH + 1) >= awake
        }
    }
}

/// Takes the oldest half of what is there, the oldest first, as far as there is room; says how many. (Who takes it keeps the last few for a
/// while, see [`LEFT_ALONE`]. So the other half is for others who are idle.)
fn take_half<T>(injector: &Injector<T>, to: &mut [Option<T>]) -> usize {
    let wanted = injector.len().div_ceil(2).min(to.len());
    let mut count = 0;
    while count < wanted {
        match injector.steal() {
            Injected::Success(task) => {
                to[count] = Some(task);
                count += 1;
            }
            Injected::Empty => break,
            Injected::Retry => {}
        }
    }
    count
}

/// Lets another thread run, if the processor is wanted; whether it was.
fn is_wanted() -> bool {
    let asked = Instant::now();
    thread::yield_now();
    asked.elapsed() >= WAS_AWAY
}

/// How spinning has gone.
#[derive(Debug, Default)]
pub(super) struct Spins {
    /// How many are left out from now on, and how many were after the last one.
    left: Cell<u32>,
    skipped: Cell<u32>,
}

impl Spins {
    /// Whether the next one is left out.
    fn skip(&self) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        left > 0
    }

    fn note(&self, crowded: bool) {
        self.skipped.set(if crowded { (2 * self.skipped.get() + 1).min(MOST_SKIPPED) } else { 0 });
        self.left.set(self.skipped.get());
    }
}

/// How many turns a victim has begun, at most (its looks around count as well), between two looks at its [`switches`](WorkerShared::switches), which are odd while one runs.
fn turns_between(first: u32, last: u32) -> u32 {
    (last | 1).wrapping_sub(first | 1) / 2
}

/// Whether those talk to each other who have had so many `turns` at a victim that `ran` for so long meanwhile: the turns are short, and less than half of them led
/// to an end. What waits there is left alone, for it has a turn soon as well, and talks to them. (Eight that lock one lock run for 8 us each, until their budget is
/// used up. Now and then some were taken by another worker at the start, and all of them were three to five times slower for their life.)
fn they_talk(ran: Duration, turns: u32, ended: u64) -> bool {
    ended * 2 < u64::from(turns) && ran < CHATTY.saturating_mul(turns)
}

/// What a thief has seen of a victim.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watch {
    victim: usize,
    /// Its switches at the first look.
    switches: u32,
    since: Instant,
    last: Instant,
    /// The processor time that the victim's thread had used.
    ran: Duration,
    /// How many async goroutines that had been woken it had, and how many polls it had run.
    polls: usize,
    polled: u64,
    /// How many goroutines had ended there.
    finished: u64,
}

/// A victim that has had something, and not switched, since.
#[derive(Clone, Copy, Debug)]
pub(super) struct Still {
    switches: u32,
    since: Instant,
    /// Its processor time when it had stood still for a while, and when that was.
    ran: Option<(Instant, Duration)>,
}

/// Why a worker woke.
enum Woken {
    Work,
    Notified,
    Timer,
    Sentinel,
    Deputy,
    Rested,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_counted_from_within_one_and_from_between_two() {
        for (first, last, turns) in [(7, 7, 0), (7, 9, 1), (6, 7, 0), (7, 6, 0), (6, 9, 1), (u32::MAX, 1, 1)]
        {
            assert_eq!(turns_between(first, last), turns, "{first} {last}");
        }
    }

    #[test]
    fn siblings_talk_whose_turns_are_short_and_lead_to_no_end() {
        let us = Duration::from_micros;
        assert!(!they_talk(us(40), 0, 0), "all of it in one turn");
        assert!(!they_talk(us(50), 5, 0), "turns of work");
        assert!(!they_talk(us(50), 50, 50), "they end, and don't talk");
        assert!(they_talk(us(50), 6, 1));
        assert!(they_talk(us(149), 100, 50 - 1));
    }

    #[test]
    fn half_of_what_was_injected_is_left_for_others() {
        let injector = Injector::new();
        (0..100).for_each(|task| injector.push(task));
        let mut counts = Vec::new();
        let mut next = 0;
        loop {
            let mut taken = [None; deque::BATCH];
            let count = take_half(&injector, &mut taken);
            if count == 0 {
                break;
            }
            assert!(taken.into_iter().flatten().eq(next..next + count), "the oldest, in order");
            next += count;
            counts.push(count);
        }
        assert_eq!(counts, [32, 32, 18, 9, 5, 2, 1, 1]);
    }
}
