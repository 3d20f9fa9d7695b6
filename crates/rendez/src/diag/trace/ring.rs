//! A worker's ring of records: one writes, anybody reads.
//!
//! | | the worker writes the n-th record | who reads |
//! | --- | --- | --- |
//! | 1 | stores n + 1 to `begun` | loads `ended` (acquire) |
//! | 2 | fence (release) | copies the records before that, as far as the ring reaches |
//! | 3 | stores the words | fence (acquire) |
//! | 4 | stores n + 1 to `ended` (release) | loads `begun`: what may have been written over meanwhile is left out |
//!
//! If a reader has seen a word of the n-th record in place of an older one, its fence comes after the writer's, so that it sees that
//! `begun` is n + 1 at least, and leaves the older one out. (Boehm, "Can seqlocks get along with programming language memory models?", 2012.)
#![forbid(unsafe_code)]

use crate::sched::WorkerName;
use std::{
    num::NonZeroU64,
    sync::atomic::{
        AtomicU64,
        Ordering::{Acquire, Relaxed, Release},
        fence,
    },
};

const WORDS: usize = 4;

/// What a worker has recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    /// A goroutine has had the worker.
    Run {
        /// In ticks.
        begin: u64,
        /// In ticks, from there.
        length: u64,
        goroutine: u64,
        /// The address of its spawn site.
        site: usize,
        /// How that ended: one of the constants below, or those plus the number of a reason.
        end: u8,
        /// Who was woken meanwhile, or the first of those.
        woken: Option<NonZeroU64>,
    },
    /// In the next slice, the goroutine of this number was woken.
    Wake { goroutine: u64 },
    /// In the next slice, a goroutine was started.
    Spawn { at: u64, goroutine: u64, site: usize },
    /// What follows is of this worker.
    Worker(WorkerName),
}

impl Record {
    pub(crate) const ENDED: u8 = 0;
    pub(crate) const YIELDED: u8 = 1;
    pub(crate) const PENDING: u8 = 2;
    pub(crate) const PARKED: u8 = 3;

    const KIND_RUN: u64 = 0;
    const KIND_WAKE: u64 = 1;
    const KIND_SPAWN: u64 = 2;
    const KIND_WORKER: u64 = 3;

    /// The kind in the lowest byte, how it ended in the second, and a length in the others. Who was woken stands above the spawn site,
    /// whose address leaves room there, as the difference of the numbers: zero for nobody. What does not fit is left out: see
    /// [`wake_apart`](Self::wake_apart).
    #[inline(always)]
    fn into_words(self) -> [u64; WORDS] {
        match self {
            Record::Run { begin, length, goroutine, site, end, woken } => {
                let length = length.min((1 << 48) - 1);
                let site = site as u64;
                let by = woken.and_then(|woken| difference(woken, goroutine)).unwrap_or(0);
                let site = if site >> ADDRESS_BITS == 0 { site } else { 0 };
                let last = site | u64::from(by as u16) << ADDRESS_BITS;
                [Self::KIND_RUN | u64::from(end) << 8 | length << 16, begin, goroutine, last]
            }
            Record::Wake { goroutine } => [Self::KIND_WAKE, 0, goroutine, 0],
            Record::Spawn { at, goroutine, site } => [Self::KIND_SPAWN, at, goroutine, site as u64],
            Record::Worker(WorkerName { runtime, index, thread }) => {
                [Self::KIND_WORKER, runtime, index, thread]
            }
        }
    }

    /// Who was woken, if there is no room for that in the record of the burst.
    #[inline(always)]
    fn wake_apart(&self) -> Option<NonZeroU64> {
        let Record::Run { goroutine, woken: Some(woken), .. } = *self else { return None };
        difference(woken, goroutine).is_none().then_some(woken)
    }

    fn from_words([first, time, goroutine, last]: [u64; WORDS]) -> Record {
        match first & 0xff {
            Self::KIND_RUN => {
                let by = (last >> ADDRESS_BITS) as u16 as i16;
                let woken = goroutine.wrapping_add_signed(by.into());
                Record::Run {
                    begin: time,
                    length: first >> 16,
                    goroutine,
                    site: (last & ((1 << ADDRESS_BITS) - 1)) as usize,
                    end: (first >> 8) as u8,
                    woken: if by == 0 { None } else { NonZeroU64::new(woken) },
                }
            }
            Self::KIND_WAKE => Record::Wake { goroutine },
            Self::KIND_SPAWN => Record::Spawn { at: time, goroutine, site: last as usize },
            _ => Record::Worker(WorkerName { runtime: time, index: goroutine, thread: last }),
        }
    }
}

/// So many bits the addresses of what lies in a program have, of processors of today. (Above that the site is not known.)
const ADDRESS_BITS: u32 = 48;

/// As it stands above the site.
#[inline(always)]
fn difference(woken: NonZeroU64, goroutine: u64) -> Option<i16> {
    let by = woken.get().wrapping_sub(goroutine).cast_signed();
    i16::try_from(by).ok().filter(|&by| by != 0)
}

pub(crate) struct Ring {
    /// A power of two of records.
    words: Box<[AtomicU64]>,
    begun: AtomicU64,
    ended: AtomicU64,
}

impl Ring {
    /// Bytes of a record.
    pub(crate) const RECORD: usize = WORDS * size_of::<u64>();

    /// With room for so many records: a power of two.
    pub(crate) fn new(records: usize) -> Ring {
        assert!(records.is_power_of_two(), "the place of a record is found by a mask");
        let words = (0..records * WORDS).map(|_| AtomicU64::new(0)).collect();
        Ring { words, begun: AtomicU64::new(0), ended: AtomicU64::new(0) }
    }

    /// For how many records there is room.
    pub(crate) fn capacity(&self) -> usize {
        self.words.len() / WORDS
    }

    /// By its one writer.
    #[inline(always)]
    pub(crate) fn push(&self, record: Record) {
        if let Some(woken) = record.wake_apart() {
            self.push_words(Record::Wake { goroutine: woken.get() }.into_words());
        }
        self.push_words(record.into_words());
    }

    #[inline(always)]
    fn push_words(&self, words: [u64; WORDS]) {
        let n = self.ended.load(Relaxed);
        self.begun.store(n + 1, Relaxed);
        fence(Release);
        let at = (n as usize * WORDS) & (self.words.len() - 1);
        if let Some(place) = self.words.get(at..at + WORDS) {
            for (place, word) in place.iter().zip(words) {
                place.store(word, Relaxed);
            }
        }
        self.ended.store(n + 1, Release);
    }

    /// What is in it, oldest first.
    pub(crate) fn read(&self) -> Vec<Record> {
        let capacity = self.capacity() as u64;
        let ended = self.ended.load(Acquire);
        let first = ended.saturating_sub(capacity);
        let record = |n: u64| -> [u64; WORDS] {
            let at = (n as usize * WORDS) & (self.words.len() - 1);
            std::array::from_fn(|i| self.words[at + i].load(Relaxed))
        };
        let all: Vec<_> = (first..ended).map(|n| (n, record(n))).collect();
        fence(Acquire);
        let intact = self.begun.load(Relaxed).saturating_sub(capacity);
        all.into_iter().filter(|&(n, _)| n >= intact).map(|(_, words)| Record::from_words(words)).collect()
    }
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring")
            .field("capacity", &self.capacity())
            .field("ended", &self.ended.load(Relaxed))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    fn run(n: u64) -> Record {
        Record::Run {
            begin: n,
            length: n * 3,
            goroutine: n * 5,
            site: n as usize * 7,
            end: (n % 23) as u8,
            woken: NonZeroU64::new(n * 5 + 1 + n % 7),
        }
    }

    #[test]
    fn who_was_woken_is_in_the_record_or_if_there_is_no_room_in_one_before() {
        let burst = |goroutine, woken| Record::Run {
            begin: 1,
            length: (1 << 48) - 1,
            goroutine,
            site: (1 << 48) - 1,
            end: 255,
            woken: NonZeroU64::new(woken),
        };
        let near = [(7, 8), (8, 7), (1, 1 + 0x7fff), (1 + 0x8000, 1), (u64::MAX, 5), (5, u64::MAX), (3, 0)];
        for (goroutine, woken) in near {
            let ring = Ring::new(8);
            ring.push(burst(goroutine, woken));
            assert_eq!(ring.read(), [burst(goroutine, woken)]);
        }
        let far = [(7, 7), (1, 1 + 0x8000), (2 + 0x8000, 1), (5, u64::MAX / 2)];
        for (goroutine, woken) in far {
            let ring = Ring::new(8);
            ring.push(burst(goroutine, woken));
            assert_eq!(ring.read(), [Record::Wake { goroutine: woken }, burst(goroutine, 0)]);
        }
    }

    #[test]
    fn the_last_records_come_out_in_order_and_as_they_were() {
        let ring = Ring::new(8);
        assert_eq!(ring.read(), []);
        (0..3).for_each(|n| ring.push(run(n)));
        assert_eq!(ring.read(), [run(0), run(1), run(2)]);
        let others = [Record::Wake { goroutine: 9 }, Record::Spawn { at: 1, goroutine: 2, site: 3 }];
        others.into_iter().for_each(|other| ring.push(other));
        assert_eq!(ring.read()[3..], others);
        (3..20).for_each(|n| ring.push(run(n)));
        assert_eq!(ring.read(), (12..20).map(run).collect::<Vec<_>>());
    }

    #[test]
    fn who_reads_meanwhile_sees_whole_records_in_a_row() {
        let ring = Ring::new(64);
        thread::scope(|s| {
            let writer = s.spawn(|| (0..300_000).for_each(|n| ring.push(run(n))));
            while !writer.is_finished() {
                let seen = ring.read();
                for pair in seen.windows(2) {
                    let [Record::Run { begin, .. }, Record::Run { begin: next, .. }] = pair else {
                        panic!("{pair:?}");
                    };
                    assert_eq!((pair[0], *next), (run(*begin), begin + 1));
                }
            }
        });
        assert_eq!(ring.read().len(), 64);
    }
}
