//! What a worker does when it has nothing to run: steal, spin for a bounded time, sleep.
//!
//! * **Stealing** takes unstarted tasks only. A thief leaves a victim its last few ([`LEFT_ALONE`]): they are about to be
//!   started there, beside their siblings (see `placement`), unless one goroutine has had the victim for [`STUCK`].
//! * **Spinning** lasts [`SPIN`]: about twice what waking a thread costs on the machines measured, so that it never costs
//!   more than three times what an oracle would pay.
//! * **Sleeping** follows the word of [`sleep`](super::sleep). While others are awake, one sleeper is the *sentinel*: it
//!   looks every [`SENTINEL_MIN`] to [`SENTINEL_MAX`] whether somebody is stuck beside unstarted tasks. So a spawn need
//!   not issue a fence to be sure that it is seen: a missed wake-up costs a moment of parallelism and never a hang, since
//!   the spawner's own worker runs what nobody takes. When all sleep, nobody wakes by time: an idle runtime uses no CPU.

use super::worker::Worker;
use crate::time::Instant;
use crossbeam_deque::Steal;
use std::{
    hint,
    sync::atomic::{Ordering, fence},
    time::Duration,
};

const SPIN: Duration = Duration::from_micros(50);
const STUCK: Duration = Duration::from_micros(10);
pub(super) const LEFT_ALONE: usize = 15;
const SENTINEL_MIN: Duration = Duration::from_micros(200);
const SENTINEL_MAX: Duration = Duration::from_millis(10);
/// How often a worker with tasks that found no stack tries again.
const STARVED_RETRY: Duration = Duration::from_millis(5);
/// How often a worker looks again while its runtime shuts down.
const STOPPING_RETRY: Duration = Duration::from_millis(1);
/// After this many fruitless looks, what is still parked in a destructor is left behind.
const STOPPING_PATIENCE: u32 = 2000;

impl Worker {
    /// One look everywhere. Returns whether there is something to run.
    pub(super) fn find_work(&self) -> bool {
        self.maintain();
        self.has_work() || self.steal()
    }

    /// Takes unstarted tasks from the injector or another worker.
    fn steal(&self) -> bool {
        let runtime = &self.runtime;
        let workers = runtime.active_workers();
        if self.index >= workers {
            return false;
        }
        loop {
            match runtime.injector.steal_batch_and_pop(&self.fresh) {
                Steal::Success(task) => {
                    self.fresh.push(task);
                    return true;
                }
                Steal::Empty => break,
                Steal::Retry => {}
            }
        }
        let first = self.random.borrow_mut().usize(..workers);
        for victim in (first..workers).chain(0..first) {
            if victim == self.index {
                continue;
            }
            let Some(stealer) = runtime.stealer(victim) else { continue };
            let len = stealer.len();
            if len == 0 || (len <= LEFT_ALONE && !self.is_stuck(victim)) {
                continue;
            }
            loop {
                match stealer.steal_batch_and_pop(&self.fresh) {
                    Steal::Success(task) => {
                        self.fresh.push(task);
                        self.watch.set(None);
                        return true;
                    }
                    Steal::Empty => break,
                    Steal::Retry => {}
                }
            }
        }
        false
    }

    /// Whether the same goroutine has had `victim` for a while. Needs to be asked repeatedly.
    fn is_stuck(&self, victim: usize) -> bool {
        let Some(shared) = self.runtime.worker(victim) else { return false };
        let switches = shared.published.switches.load(Ordering::Relaxed);
        let now = Instant::now();
        match self.watch.get() {
            Some((watched, seen, since)) if watched == victim && seen == switches => {
                now.duration_since(since) >= STUCK
            }
            _ => {
                self.watch.set(Some((victim, switches, now)));
                false
            }
        }
    }

    /// Waits for something to do. Returns whether the worker is to end.
    pub(super) fn idle(&self) -> bool {
        if self.runtime.is_stopping() {
            return self.idle_stopping();
        }
        if self.index < self.runtime.active_workers() && self.spin() {
            return false;
        }
        let mut period = SENTINEL_MIN;
        loop {
            match self.sleep(period) {
                Slept::FoundWork | Slept::Notified => return false,
                Slept::Timer => {
                    if self.find_work() {
                        return false;
                    }
                }
                Slept::Sentinel => {
                    if self.find_work() {
                        return false;
                    }
                    period = (period * 2).min(SENTINEL_MAX);
                }
            }
            if self.runtime.is_stopping() {
                return false;
            }
        }
    }

    fn spin(&self) -> bool {
        let runtime = &self.runtime;
        runtime.searching.fetch_add(1, Ordering::SeqCst);
        let start = Instant::now();
        let mut rounds = 0u32;
        let found = loop {
            for _ in 0..4 {
                hint::spin_loop();
            }
            if !self.shared.inbox.is_empty() {
                break true;
            }
            rounds += 1;
            if rounds % 8 == 0 {
                if self.steal() || self.fire_timers() || runtime.is_stopping() {
                    break true;
                }
                if start.elapsed() >= SPIN {
                    break false;
                }
            }
        };
        runtime.searching.fetch_sub(1, Ordering::SeqCst);
        found
    }

    fn sleep(&self, period: Duration) -> Slept {
        let runtime = &self.runtime;
        let sleep = &self.shared.sleep;
        let active = self.index < runtime.active_workers();
        runtime.sleepers.fetch_add(1, Ordering::SeqCst);
        sleep.prepare();
        fence(Ordering::SeqCst);
        let work = !self.shared.inbox.is_empty()
            || runtime.is_stopping()
            || (active && (!runtime.injector.is_empty() || runtime.has_plenty()));
        if work {
            sleep.cancel();
            runtime.sleepers.fetch_sub(1, Ordering::SeqCst);
            return Slept::FoundWork;
        }
        let awake = runtime.started_workers().saturating_sub(runtime.sleepers.load(Ordering::SeqCst));
        let sentinel = active && awake > 0 && !runtime.sentinel.swap(true, Ordering::SeqCst);
        let until_timer = self.timers.next_deadline().map(|at| at.saturating_duration_since(Instant::now()));
        let starved = self.is_starved().then_some(STARVED_RETRY);
        let timeout = [until_timer, starved, sentinel.then_some(period)].into_iter().flatten().min();
        let notified = sleep.commit(timeout);
        runtime.sleepers.fetch_sub(1, Ordering::SeqCst);
        if sentinel {
            runtime.sentinel.store(false, Ordering::SeqCst);
        }
        match (notified, sentinel) {
            (true, _) => Slept::Notified,
            (false, true) => Slept::Sentinel,
            (false, false) => Slept::Timer,
        }
    }

    /// After a spawn, while somebody sleeps: wakes a thief if there is plenty to take, or if nobody keeps watch.
    #[cold]
    pub(super) fn consider_waking(&self) {
        let runtime = &self.runtime;
        if runtime.searching.load(Ordering::Relaxed) > 0 {
            return;
        }
        if self.fresh.len() > LEFT_ALONE || !runtime.sentinel.load(Ordering::Relaxed) {
            runtime.wake_one();
        }
    }

    /// Nothing to run, and the runtime shuts down: ends when every task of the runtime has.
    fn idle_stopping(&self) -> bool {
        let runtime = &self.runtime;
        let mut fruitless = 0;
        let mut seen = runtime.progress();
        loop {
            if runtime.is_quiescent() {
                runtime.exit.store(true, Ordering::SeqCst);
                runtime.wake_all();
                return true;
            }
            if runtime.exit.load(Ordering::SeqCst) {
                return true;
            }
            if self.find_work() {
                return false;
            }
            if cfg!(panic = "abort") {
                self.abandon_parked();
            }
            self.shared.sleep.prepare();
            if self.shared.inbox.is_empty() {
                self.shared.sleep.commit(Some(STOPPING_RETRY));
            } else {
                self.shared.sleep.cancel();
            }
            let progress = runtime.progress();
            fruitless = if progress == seen { fruitless + 1 } else { 0 };
            seen = progress;
            if fruitless > STOPPING_PATIENCE && self.has_parked() {
                self.abandon_parked();
            }
        }
    }
}

/// Why a worker woke.
enum Slept {
    FoundWork,
    Notified,
    Timer,
    Sentinel,
}
