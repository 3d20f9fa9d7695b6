//! A shutdown that somebody holds up: who it is.
//!
//! A shutdown unwinds who is parked, and who runs when he next blocks. Who neither blocks nor ends keeps it waiting, and nothing could be
//! seen of that but a process that does not end. So an OS thread that shuts a runtime down and has waited for some seconds says so, once,
//! and names each goroutine that has held its worker meanwhile, with where it is (see `diag::stuck`: it is looked at by a signal, for which the
//! handler is set now if it was not). Then it goes on waiting.
#![forbid(unsafe_code)]

use super::{WorkerShared, runtime::Shared};
use crate::{
    diag::{Stuck, stuck},
    sync::WaitGroup,
    time::Instant,
};
use std::{
    io::{self, Write},
    time::Duration,
};

/// How long a shutdown is waited for until it is looked who holds it up.
const PATIENCE: Duration = Duration::from_secs(4);
/// Who has held his worker for so long then.
const LOOK: Duration = Duration::from_secs(1);
/// So often he is asked where he is.
const ASKED: usize = 10;

/// What a worker did at some moment.
struct Seen {
    worker: usize,
    shared: &'static WorkerShared,
    switches: u32,
    processor: Duration,
}

impl Shared {
    /// Waits until all workers have ended; `alive` counts those that have not.
    pub(super) fn wait_for_workers(&self, alive: &WaitGroup) {
        let end_within = |limit| alive.wait_for_children_until(Instant::now().after(limit));
        // A goroutine's time may be a test's, which would go on by that.
        let is_watched = super::current_goroutine().is_none() && !self.is_tested();
        if is_watched && !end_within(PATIENCE) {
            let seen = self.see();
            if !end_within(LOOK) {
                // It does no harm that nobody reads it.
                let _ = io::stderr().write_all(self.who_holds_up(&seen).as_bytes());
            }
        }
        alive.wait_for_children(&());
    }

    fn see(&self) -> Vec<Seen> {
        let seen = |worker| {
            let shared = self.worker(worker)?;
            Some(Seen { worker, shared, switches: shared.switches(), processor: shared.clock.now() })
        };
        (0..self.started_workers()).filter_map(seen).collect()
    }

    /// Tells who has held his worker since it was `seen`.
    fn who_holds_up(&self, seen: &[Seen]) -> String {
        let found: Vec<Stuck> = match stuck::prepare() {
            Ok(()) => seen.iter().filter_map(|seen| self.look_again(seen)).collect(),
            Err(_) => Vec::new(),
        };
        let waited = PATIENCE + LOOK;
        if found.is_empty() {
            return format!(
                "rendez: a shutdown has waited for {waited:?} by now, and goes on: some are unwound and go on, or wait in a \
                 destructor, or can't be asked\n"
            );
        }
        let found: String = found.iter().map(Stuck::to_string).collect();
        format!(
            "rendez: a shutdown has waited for {waited:?} by now, and goes on: it can't end who does not block\n{found}"
        )
    }

    /// Who has held the worker since, if it is still the same one.
    fn look_again(&self, &Seen { worker, shared, switches, processor }: &Seen) -> Option<Stuck> {
        let is_there = || shared.is_of(self.number) && shared.switches() == switches;
        if switches.is_multiple_of(2) {
            return None;
        }
        // A machine that is busy may not let the thread answer in time.
        let mut looks = (0..ASKED).take_while(|_| is_there());
        let snapshot = looks.find_map(|_| stuck::look_at(shared, self.number, switches))?;
        let busy = shared.clock.now().saturating_sub(processor);
        Some(snapshot.into_report(self.number, worker, LOOK, busy))
    }
}
