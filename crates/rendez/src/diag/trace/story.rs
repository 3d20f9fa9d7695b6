//! What the workers' records tell together: slices, and who woke whom.
//!
//! A wake-up is recorded without a time, in the slice in which it happened; the slice in which it took effect is found here. A
//! goroutine that is woken has parked before, and goes on after: so of its slices that come after a wait, each takes the oldest wake-up that may be
//! meant, which is one from a slice that began before it and did not end before the goroutine parked. (Wakes that nobody recorded, by a
//! timer or a thread, leave a slice without one.)
#![forbid(unsafe_code)]

use super::ring::Record;
use crate::sched::{RingOfWorker, WorkerName};
use std::{
    collections::{HashMap, VecDeque},
    num::NonZeroU64,
};

/// A goroutine has the worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slice {
    /// Its place in the list of workers.
    pub(super) worker: usize,
    pub(super) begin: u64,
    pub(super) end: u64,
    pub(super) goroutine: u64,
    pub(super) site: usize,
    pub(super) how: u8,
    /// The arrows that begin here, and those that end here.
    pub(super) wakes: Vec<u64>,
    pub(super) woken_by: Vec<u64>,
    /// Goroutines that were started: when, their numbers and sites.
    pub(super) spawns: Vec<(u64, u64, usize)>,
}

/// The workers, and their slices since `began`, by their beginnings.
pub(super) fn tell(rings: &[RingOfWorker], began: u64) -> (Vec<WorkerName>, Vec<Slice>) {
    let (mut workers, mut slices) = (Vec::new(), Vec::new());
    // The numbers of goroutines that were woken, by the slice, as it is here, in which they were.
    let mut woken: Vec<Vec<u64>> = Vec::new();
    for RingOfWorker { ring, worker } in rings {
        let records = ring.read();
        // What comes before the first one that is told is of another, whose name has been written over.
        let is_told = records.iter().any(|record| matches!(record, Record::Worker(_)));
        workers.push(if is_told { WorkerName::default() } else { *worker });
        let (mut wakes, mut spawns) = (Vec::new(), Vec::new());
        let mut last = 0;
        for record in records {
            match record {
                Record::Worker(worker) => workers.push(worker),
                Record::Wake { goroutine } => wakes.push(goroutine),
                Record::Spawn { at, goroutine, site } => spawns.push((at, goroutine, site)),
                Record::Run { begin, length, goroutine, site, end: how, woken: first } => {
                    wakes.extend(first.map(NonZeroU64::get));
                    let (wakes, spawns) = (std::mem::take(&mut wakes), std::mem::take(&mut spawns));
                    // A clock that is not quite the same everywhere must not have slices overlap.
                    let begin = begin.max(last);
                    last = begin + length;
                    if begin < began {
                        continue;
                    }
                    woken.push(wakes);
                    slices.push(Slice {
                        worker: workers.len() - 1,
                        begin,
                        end: last,
                        goroutine,
                        site,
                        how,
                        wakes: Vec::new(),
                        woken_by: Vec::new(),
                        spawns,
                    });
                }
            }
        }
    }
    link(&mut slices, &woken);
    slices.sort_by_key(|slice| slice.begin);
    (workers, slices)
}

/// Finds the slices in which the wake-ups took effect, and spawns.
fn link(slices: &mut [Slice], woken: &[Vec<u64>]) {
    let mut by_time: Vec<usize> = (0..slices.len()).collect();
    by_time.sort_by_key(|&i| slices[i].begin);
    /// What is known of a goroutine.
    #[derive(Default)]
    struct Known {
        /// The slices in which it was woken, and that have not been taken for a slice of its own; and the one in which it was started.
        pending: VecDeque<usize>,
        started_in: Option<usize>,
        /// When it last stopped running; and whether by a wait.
        parked_at: Option<u64>,
        has_run: bool,
    }
    let mut known: HashMap<u64, Known> = HashMap::new();
    let mut arrows = 0;
    for &i in &by_time {
        // Those that it wakes come after it, be it on another worker.
        for &goroutine in &woken[i] {
            known.entry(goroutine).or_default().pending.push_back(i);
        }
        let (starts, begin) = (slices[i].spawns.clone(), slices[i].begin);
        for (_, goroutine, _) in starts {
            known.entry(goroutine).or_default().started_in = Some(i);
        }
        let goroutine = known.entry(slices[i].goroutine).or_default();
        let cause = match goroutine.parked_at {
            Some(parked_at) => loop {
                let Some(&by) = goroutine.pending.front() else { break None };
                if slices[by].begin > begin {
                    break None;
                }
                goroutine.pending.pop_front();
                // What ended before it parked can't have woken it.
                if slices[by].end >= parked_at {
                    break Some(by);
                }
            },
            // Its start, or, of one that had parked before the recording, a wake-up that was before this for certain.
            None if !goroutine.has_run => goroutine.started_in.or_else(|| {
                let by = goroutine.pending.front().copied().filter(|&by| slices[by].end <= begin)?;
                goroutine.pending.pop_front();
                Some(by)
            }),
            None => None,
        };
        goroutine.has_run = true;
        let waits = slices[i].how >= Record::PENDING;
        goroutine.parked_at = waits.then_some(slices[i].end);
        if let Some(by) = cause.filter(|&by| by != i) {
            arrows += 1;
            slices[by].wakes.push(arrows);
            slices[i].woken_by.push(arrows);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::trace::Ring;

    fn ring(records: &[Record]) -> RingOfWorker {
        // Kept, as a worker's are.
        static KEPT: std::sync::Mutex<Vec<&Ring>> = std::sync::Mutex::new(Vec::new());
        let ring = Box::leak(Box::new(Ring::new(16)));
        KEPT.lock().unwrap().push(ring);
        records.iter().for_each(|&record| ring.push(record));
        RingOfWorker { ring, worker: WorkerName::default() }
    }

    fn run(goroutine: u64, begin: u64, end: u64, how: u8) -> Record {
        Record::Run { begin, length: end - begin, goroutine, site: 0, end: how, woken: None }
    }

    #[test]
    fn a_wake_in_the_record_of_its_burst_is_as_one_with_a_record_of_its_own() {
        let waking = |woken| Record::Run {
            begin: 10,
            length: 10,
            goroutine: 2,
            site: 0,
            end: Record::YIELDED,
            woken: NonZeroU64::new(woken),
        };
        let (first, last) = (run(1, 0, 10, Record::PARKED), run(1, 20, 30, Record::ENDED));
        let within = ring(&[first, waking(1), last]);
        let apart = ring(&[first, Record::Wake { goroutine: 1 }, waking(0), last]);
        let (_, slices) = tell(&[within], 0);
        assert_eq!(tell(&[apart], 0).1, slices);
        assert_eq!((slices[1].wakes.len(), &slices[1].wakes), (1, &slices[2].woken_by));
    }

    #[test]
    fn an_arrow_leads_from_who_wakes_to_who_goes_on() {
        let one = ring(&[
            run(1, 0, 10, Record::PARKED),
            Record::Wake { goroutine: 1 },
            run(2, 10, 20, Record::YIELDED),
            run(1, 20, 30, Record::ENDED),
        ]);
        let (_, slices) = tell(&[one], 0);
        let arrows: Vec<_> = slices.iter().map(|s| (s.wakes.len(), s.woken_by.len())).collect();
        assert_eq!(arrows, [(0, 0), (1, 0), (0, 1)]);
        assert_eq!(slices[1].wakes, slices[2].woken_by);
    }

    #[test]
    fn a_long_slice_that_began_before_the_park_may_have_woken_and_one_that_ended_before_may_not() {
        let waker = ring(&[Record::Wake { goroutine: 1 }, run(2, 0, 100, Record::ENDED)]);
        let woken = ring(&[run(1, 10, 20, Record::PARKED), run(1, 50, 60, Record::ENDED)]);
        let (_, slices) = tell(&[waker, woken], 0);
        assert_eq!(slices[0].wakes, slices[2].woken_by);
        assert_eq!((slices[0].wakes.len(), slices[1].woken_by.len()), (1, 0));
        let early = ring(&[Record::Wake { goroutine: 1 }, run(2, 12, 15, Record::ENDED)]);
        let woken = ring(&[run(1, 10, 20, Record::PARKED), run(1, 50, 60, Record::ENDED)]);
        let (_, slices) = tell(&[early, woken], 0);
        assert!(slices.iter().all(|slice| slice.wakes.is_empty() && slice.woken_by.is_empty()), "{slices:?}");
    }

    #[test]
    fn who_was_started_is_led_to_and_what_lies_before_the_beginning_is_left_out() {
        let one = ring(&[
            run(9, 0, 5, Record::ENDED),
            Record::Spawn { at: 12, goroutine: 2, site: 0 },
            run(1, 10, 20, Record::YIELDED),
            run(2, 20, 30, Record::ENDED),
            run(1, 30, 31, Record::ENDED),
        ]);
        let (_, slices) = tell(&[one], 10);
        assert_eq!(slices.len(), 3);
        assert_eq!(slices[0].spawns, [(12, 2, 0)]);
        assert_eq!((slices[0].wakes.len(), slices[1].woken_by.len(), slices[2].woken_by.len()), (1, 1, 0));
    }
}
