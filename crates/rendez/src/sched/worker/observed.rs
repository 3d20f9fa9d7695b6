//! Bursts that are looked at: timed, for what is known of their spawn sites; sampled, for how long wake-ups take; or recorded, for a
//! [`trace`].
//!
//! All of it hangs on one question that the loop asks before each burst, whether [`curious`](Worker) is not zero: so what is not
//! asked for costs nothing there. Who wakes others has to be asked for as well while such a burst runs: then [`NOBODY`] stands in place
//! of the task that was woken last, so that the first wake-up takes the way of the second one, where that is asked.
//!
//! # What a recorded burst costs
//!
//! Reading the processor's counter is most of it. A burst that follows another at once begins when that ended, as long as nothing lies
//! between them but the switch: so there is one reading for each, and not two. (It lies between them if the worker has looked around, or has
//! been brought something by another worker, whose slice would seem to begin after that to which it leads.) The first goroutine that a
//! burst wakes, which most often is the only one, goes into the record of the burst itself.

use super::*;
use crate::{
    diag::trace::{self, Record, Ring},
    sched::shared::RingOfWorker,
};

/// A bit of `curious`: all bursts are recorded. The others count those that are still to be timed.
pub(super) const TRACED: u32 = 1 << 31;
/// When the last recorded burst ended, and what then was: by that the next one can tell whether it follows at once.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LastRecord {
    tick: u32,
    /// How many wake-ups had come from elsewhere.
    arrivals: u64,
    /// In the trace's ticks. Zero: there is no such burst.
    end: u64,
}

/// After a burst that was found to be long, the clock is asked at each switch until so many in a row were found to be short, of those that
/// are timed: beside long ones there may be short ones. And while there is work, the short ones do not count as long as switches are as far apart,
/// on average, as if all bursts were long. (Whoever sleeps and wakes others has short bursts in a rhythm, and so has the timing: four timed ones in a row were the
/// sleeper's again and again, and after that he was late by some twenty bursts of the others, twice. Of 5,000 sleeps a thousandth was late
/// by 450 us or more, and is by 90 now; a hundredth by 41, and now by 27.)
const SLOW_FOR: u32 = 4;

/// Bits of `noting`: what is done with who is woken.
const PROBED: u8 = 1;
const RECORDED: u8 = 2;

impl Worker {
    /// Runs `task` for a burst that is looked at. `curious` is as it was when that was decided.
    ///
    /// # Safety
    /// As in [`execute`](Worker::execute), of which this is a part.
    #[inline(never)]
    pub(super) unsafe fn observe(
        &self,
        task: *mut Header,
        fiber: *mut Fiber,
        order: Order,
        tick: u32,
        curious: u32,
    ) -> Suspend {
        let left = curious & !TRACED;
        let is_timed = is_sampled(tick) || left > 0;
        if left > 0 {
            self.curious.set(curious - 1);
        }
        // SAFETY: passed on; who is not owned begins on an idle runner.
        unsafe {
            if !(*fiber).owned.get() && self.harness.is_none() {
                high_water::offer(&*fiber, (*task).site);
            }
            match self.trace.get() {
                Some(ring) => self.record(ring, task, fiber, order, (tick, is_timed)),
                None => self.time(task, fiber, order, tick),
            }
        }
    }

    /// As [`observe`](Self::observe): times the burst.
    unsafe fn time(&self, task: *mut Header, fiber: *mut Fiber, order: Order, tick: u32) -> Suspend {
        // SAFETY: as in `execute`; nothing is read of the task after it may have ended.
        unsafe {
            let (site, is_poll) = ((*task).site, (*task).has_flag(ASYNC));
            // (Polls have no stack of their own, the first as little as the others: they all count.)
            let first = !is_poll && !(*fiber).owned.get();
            self.spent_waking.set(Duration::ZERO);
            self.calls.set(0);
            self.not_handed.set(0);
            self.spent_on_others.set(Duration::ZERO);
            if tick % LATENCY_EVERY == SAMPLED {
                self.note_wakes(PROBED);
            }
            let (suspended, burst, end) = self.resume_timed(fiber, order);
            let hand_overs = self.hand_overs();
            #[cfg(test)]
            tests::note_hand_overs(site, hand_overs);
            // What it did for others is not its work.
            let burst = burst.saturating_sub(self.spent_on_others.get());
            let waking = self.spent_waking.get();
            self.stop_noting();
            // (Those that are timed one after the other, for a spawn site, tell nothing of what lies between.)
            let is_fast = is_sampled(tick) && !self.has_switched_slowly(tick, end, self.calls.get());
            self.slow.set(match self.slow.get() {
                _ if burst >= placement::CHATTY => SLOW_FOR,
                slow if is_fast => slow.saturating_sub(1),
                slow => slow,
            });
            let work = burst.saturating_sub(IN_CALL.saturating_mul(self.calls.get()));
            // (The clock of a test tells nothing of how long a burst is.)
            if counts(work, first, waking) && self.harness.is_none() {
                placement::learn(site, placement::Burst { lasted: burst, work, hand_overs });
            }
            if is_poll {
                self.note_poll(site);
            }
            suspended
        }
    }

    /// How much of its budget the burst has spent.
    pub(in crate::sched) fn spent(&self) -> u32 {
        u32::try_from(self.full_budget.get() - self.burst.budget.get()).unwrap_or(0)
    }

    /// How many hand-overs (and locks) the burst has done that is at its end.
    fn hand_overs(&self) -> u32 {
        self.spent().saturating_sub(self.not_handed.get())
    }

    /// Whether the bursts since the one that was asked about last have been long, on average, with what was done between them; asked at the `end` of this tick's,
    /// which has made so many calls of the system. The others are taken to have made as many, which is not their work. (Where thousands of connections
    /// are read and written, switches are as far apart as that, and the calls are to be made in batches.)
    fn has_switched_slowly(&self, tick: u32, end: u64, calls: u32) -> bool {
        if self.harness.is_some() {
            return false;
        }
        let (last, then) = self.last_timed.replace((tick, end));
        let each = placement::CHATTY + IN_CALL * calls;
        stopwatch::between(then, end) >= each.saturating_mul(tick.wrapping_sub(last))
    }

    /// Waits while there is nothing to run. How long that takes tells nothing of bursts, so it does not count as time between switches:
    /// who handles a few requests now and then, each in a moment, would else stay slow, and make no calls in batches.
    pub(in crate::sched) fn untimed(&self, wait: impl FnOnce()) {
        // (Only who is slow asks for that time. What was waited before he became so may make one timed burst more of it.)
        let start = (self.slow.get() > 0 && self.harness.is_none()).then(stopwatch::now);
        wait();
        if let Some(start) = start {
            let waited = stopwatch::now().saturating_sub(start);
            let (tick, then) = self.last_timed.get();
            self.last_timed.set((tick, then.saturating_add(waited)));
        }
    }

    /// Resumes it; for how long it runs, and when that ends, by the stopwatch.
    ///
    /// # Safety
    /// As for [`Fiber::resume`].
    #[inline(always)]
    unsafe fn resume_timed(&self, fiber: *mut Fiber, order: Order) -> (Suspend, Duration, u64) {
        // SAFETY: passed on.
        unsafe {
            if self.harness.is_some() {
                // By the clock of the test: what depends on it is to be the same in every run.
                let start = Instant::now();
                return (Fiber::resume(fiber, order), start.elapsed(), 0);
            }
            let start = stopwatch::now();
            let suspended = Fiber::resume(fiber, order);
            let end = stopwatch::now();
            (suspended, stopwatch::between(start, end), end)
        }
    }

    /// As [`observe`](Self::observe): records the burst, and times it at this tick.
    unsafe fn record(
        &self,
        ring: &Ring,
        task: *mut Header,
        fiber: *mut Fiber,
        order: Order,
        (tick, is_timed): (u32, bool),
    ) -> Suspend {
        // SAFETY: as in `execute`; nothing is read of the task after it may have ended.
        unsafe {
            let header = &*task;
            if let Some(extra) = header.extra.get()
                && let Some(name) = &extra.name
                && extra.told.get() != trace::round()
            {
                extra.told.set(trace::tell_name(header.id, name));
            }
            let (goroutine, site) = (header.id, ptr::from_ref(header.site).expose_provenance());
            let begin = self.recorded_begin(tick, &*fiber);
            self.note_wakes(RECORDED);
            let suspended = match is_timed {
                true => self.time(task, fiber, order, tick),
                false => Fiber::resume(fiber, order),
            };
            let now = trace::ticks().max(begin);
            self.stop_noting();
            let arrivals = self.shared.counters.remote_wakes.get();
            self.last_record.set(LastRecord { tick, arrivals, end: now });
            let end = match suspended {
                Suspend::Idle => Record::ENDED,
                Suspend::Polled => Record::PENDING,
                Suspend::Parked => {
                    (*fiber).reason().map_or(Record::YIELDED, |reason| Record::PARKED + reason as u8)
                }
            };
            let woken = self.recorded_wake.replace(None);
            ring.push(Record::Run { begin, length: now - begin, goroutine, site, end, woken });
            suspended
        }
    }

    /// When the burst of this tick begins, for the trace: see the module.
    #[inline]
    fn recorded_begin(&self, tick: u32, fiber: &Fiber) -> u64 {
        let last = self.last_record.get();
        let follows = last.end != 0
            && tick == last.tick.wrapping_add(1)
            && !is_maintained(tick)
            && self.slow.get() == 0
            && last.arrivals == self.shared.counters.remote_wakes.get()
            // One that starts may have been handed over, and its stack may have been made for it.
            && fiber.owned.get();
        if follows { last.end } else { trace::ticks() }
    }

    /// From now on, who is woken is noted.
    fn note_wakes(&self, what: u8) {
        // A clock that a test bends tells nothing of latencies.
        if self.harness.is_none() {
            self.noting.set(self.noting.get() | what);
            if self.woken.get().is_null() {
                self.woken.set(NOBODY);
            }
        }
    }

    fn stop_noting(&self) {
        self.noting.set(0);
        if ptr::eq(self.woken.get(), NOBODY) {
            self.woken.set(ptr::null_mut());
        }
    }

    /// Something is noted: `task` is woken, at this worker.
    #[cold]
    pub(super) fn note_wake(&self, task: *const Header) {
        self.note_any_wake(task, self.shared);
    }

    /// `task` is about to be queued at another worker.
    #[inline]
    pub(in crate::sched) fn note_remote_wake(&self, task: *const Header, home: &WorkerShared) {
        if self.noting.get() != 0 {
            self.note_any_wake(task, home);
        }
    }

    #[cold]
    fn note_any_wake(&self, task: *const Header, home: &WorkerShared) {
        if self.noting.get() & PROBED != 0 {
            home.counters.set_probe(task.cast_mut());
        }
        // SAFETY: who is woken has not ended, and does not before it is queued, which is after this.
        self.record_wake(unsafe { (*task).id });
    }

    /// An async goroutine is about to be queued here, and something is noted.
    #[cold]
    pub(super) fn note_async_wake(&self, task: *const Header) {
        // SAFETY: as above.
        self.record_wake(unsafe { (*task).id });
    }

    /// The first of a burst goes into its record, the others have records of their own.
    fn record_wake(&self, goroutine: u64) {
        self.record_if_traced(|ring| match self.recorded_wake.get() {
            None => self.recorded_wake.set(NonZeroU64::new(goroutine)),
            Some(_) => ring.push(Record::Wake { goroutine }),
        });
    }

    /// A goroutine is about to be queued for the first time, and something is noted.
    #[cold]
    pub(super) fn note_spawn(&self, task: &Header) {
        self.record_if_traced(|ring| {
            let site = ptr::from_ref(task.site).expose_provenance();
            ring.push(Record::Spawn { at: trace::ticks(), goroutine: task.id, site });
        });
    }

    fn record_if_traced(&self, record: impl FnOnce(&Ring)) {
        if self.noting.get() & RECORDED != 0
            && let Some(ring) = self.trace.get()
        {
            record(ring);
        }
    }

    /// Begins to record, or ends it, if that has been asked for.
    #[inline]
    pub(in crate::sched) fn heed_trace(&self) {
        if trace::is_on() != self.trace.get().is_some() {
            self.change_trace();
        }
    }

    #[cold]
    fn change_trace(&self) {
        let curious = self.curious.get();
        if !trace::is_on() {
            self.trace.set(None);
            self.curious.set(curious & !TRACED);
        } else if self.harness.is_none() {
            let ring = RingOfWorker::obtain(self.shared, self.runtime.number, self.index);
            self.last_record.set(LastRecord::default());
            self.trace.set(Some(ring));
            self.curious.set(curious | TRACED);
        }
    }
}

/// Whether a burst tells what kind of goroutine it was. A short one that is the `first` does not. And `waking` other workers is not the goroutine's work: if it
/// counted, those that talk across workers would pass for working ones and be placed apart again; nor can it be told apart from what the kernel does then.
fn counts(work: Duration, first: bool, waking: Duration) -> bool {
    if work < placement::CHATTY { !first } else { waking.is_zero() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Runtime, chan, sched, select};
    use std::{cell::RefCell, future, task::Poll};

    thread_local! {
        /// The sites of this worker's timed bursts and what each handed over, if a test asks for that.
        static HAND_OVERS: RefCell<Option<Vec<(&'static Location<'static>, u32)>>> = const { RefCell::new(None) };
    }

    pub(super) fn note_hand_overs(site: &'static Location<'static>, count: u32) {
        HAND_OVERS.with_borrow_mut(|noted| {
            if let Some(all) = noted {
                all.push((site, count));
            }
        });
    }

    /// What the bursts of a goroutine that does `f` hand over, all of which are timed.
    fn hand_overs_of(f: impl FnOnce() + Send + 'static) -> Vec<u32> {
        Runtime::builder().workers(1).build().unwrap().run(|| {
            sched::with_worker(|worker| worker.unwrap().curious.set(10_000));
            HAND_OVERS.set(Some(Vec::new()));
            let line = line!() + 1;
            crate::go(f).join().unwrap();
            let all = HAND_OVERS.take().unwrap();
            all.into_iter().filter(|(site, _)| site.line() == line).map(|(_, count)| count).collect()
        })
    }

    #[test]
    fn a_burst_that_ends_by_its_budget_has_handed_over_as_often_as_that_says() {
        let (tx, rx) = chan::bounded(1);
        let all = hand_overs_of(move || {
            for i in 0..3 * BUDGET / 2 {
                tx.send(i).unwrap();
                rx.recv().unwrap();
            }
        });
        assert_eq!(all, [BUDGET as u32, BUDGET as u32, BUDGET as u32, 0]);
    }

    #[test]
    fn what_finds_nothing_hands_nothing_over() {
        let (tx, rx) = chan::bounded(1);
        let (other, closed) = chan::bounded::<i32>(1);
        other.close();
        let all = hand_overs_of(move || {
            for _ in 0..10 {
                assert!(rx.try_recv().is_err());
                select! {
                    recv(rx) -> _ => unreachable!(),
                    default => {}
                }
                select! {
                    recv(rx) -> _ => unreachable!(),
                    recv(rx) -> _ => unreachable!(),
                    default => {}
                }
                assert!(closed.recv().is_err() && other.send(1).is_err());
                assert!(closed.recv_timeout(Duration::MAX).is_err());
                assert!(other.send_timeout(1, Duration::MAX).is_err());
            }
            tx.try_send(1).unwrap();
            assert!(tx.try_send(2).is_err());
            assert_eq!(rx.try_recv(), Ok(1));
            crate::yield_now();
            // What was noted in the burst before is forgotten.
            tx.try_send(3).unwrap();
            assert_eq!(rx.try_recv(), Ok(3));
        });
        assert_eq!(all, [2, 2]);
    }

    #[test]
    fn neither_a_short_first_burst_nor_a_long_one_that_wakes_a_worker_tells_its_kind() {
        let (short, long) = (placement::CHATTY / 2, placement::CHATTY);
        assert!(counts(short, false, short) && !counts(short, true, Duration::ZERO));
        assert!(counts(long, true, Duration::ZERO) && !counts(long, false, short));
    }

    #[test]
    fn calls_of_the_system_hand_nothing_over() {
        let all = hand_overs_of(|| {
            let mutex = crate::sync::Mutex::new(());
            for _ in 0..5 {
                sched::spend_budget_on_call();
                drop(mutex.lock());
            }
        });
        assert_eq!(all, [5]);
    }

    #[test]
    fn short_polls_of_an_async_goroutine_make_a_chatty_site() {
        Runtime::builder().workers(1).build().unwrap().run(|| {
            let mut left = 64 * SAMPLE_EVERY;
            let handle = crate::go_async(future::poll_fn(move |cx| {
                left -= 1;
                cx.waker().wake_by_ref();
                // SAFETY: the header of what runs is there.
                let site = || sched::with_worker(|worker| unsafe { (*worker.unwrap().current.get()).site });
                if left == 0 { Poll::Ready(site()) } else { Poll::Pending }
            }));
            let site = handle.join().unwrap();
            assert_eq!(placement::kind(site).0, placement::Kind::Chatty);
        });
    }

    #[test]
    fn how_far_apart_switches_were_is_told_by_their_number() {
        Runtime::builder().workers(1).build().unwrap().run(|| {
            sched::with_worker(|worker| {
                let worker = worker.unwrap();
                let tick = worker.tick.get();
                // (A thread that is not let run is slow, too: so of many tries one has to be fast.)
                let has_switched_slowly = |tick| worker.has_switched_slowly(tick, stopwatch::now(), 0);
                let is_fast = |tick| {
                    has_switched_slowly(tick);
                    !has_switched_slowly(tick.wrapping_add(64))
                };
                assert!((0..100).any(|_| is_fast(tick)));
                assert!((0..100).any(|_| is_fast(u32::MAX - 10)));
                let compute = || {
                    has_switched_slowly(tick);
                    let start = stopwatch::now();
                    while stopwatch::between(start, stopwatch::now()) < placement::CHATTY * 64 {
                        std::hint::spin_loop();
                    }
                };
                compute();
                assert!(has_switched_slowly(tick.wrapping_add(64)));
                let is_excused = || {
                    compute();
                    !worker.has_switched_slowly(tick.wrapping_add(64), stopwatch::now(), 1)
                };
                assert!((0..100).any(|_| is_excused()));
            });
        });
    }

    #[test]
    fn who_only_idles_between_short_bursts_is_not_slow_for_that() {
        Runtime::builder().workers(1).build().unwrap().run(|| {
            let slow = |then: fn(&Cell<u32>) -> u32| sched::with_worker(|worker| then(&worker.unwrap().slow));
            // As after a long burst.
            slow(|slow| slow.replace(SLOW_FOR));
            // (Bursts that an interrupt makes long count as long: so there are many tries.)
            let is_calm = (0..5000).any(|_| {
                crate::sleep(Duration::from_millis(2));
                crate::scope(|s| {
                    for _ in 0..2 {
                        s.go(|| (0..10).for_each(|_| crate::yield_now()));
                    }
                });
                slow(Cell::get) == 0
            });
            assert!(is_calm);
        });
    }
}
