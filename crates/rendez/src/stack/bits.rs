//! A set of small numbers: slots of a slab, or slabs of a pool.

use std::collections::TryReserveError;

const WORD: usize = u64::BITS as usize;

/// A bitmap that finds its lowest member quickly.
///
/// Invariants: no bit stands in a word below `low`; `ones` is the number of bits that stand.
#[derive(Debug, Default)]
pub(super) struct Bits {
    words: Vec<u64>,
    ones: usize,
    low: usize,
}

impl Bits {
    /// A set with room for the numbers below `len`: all of them in it, or none.
    pub(super) fn try_new(len: usize, full: bool) -> Result<Bits, TryReserveError> {
        let mut bits = Bits::default();
        bits.try_grow(len)?;
        if full {
            for (i, word) in bits.words.iter_mut().enumerate() {
                let here = (len - i * WORD).min(WORD);
                *word = u64::MAX >> (WORD - here);
            }
            bits.ones = len;
        }
        Ok(bits)
    }

    /// Makes room for the numbers below `len`.
    pub(super) fn try_grow(&mut self, len: usize) -> Result<(), TryReserveError> {
        let words = len.div_ceil(WORD);
        if words > self.words.len() {
            self.words.try_reserve(words - self.words.len())?;
            self.words.resize(words, 0);
        }
        Ok(())
    }

    /// How many numbers are in the set.
    pub(super) fn count(&self) -> usize {
        self.ones
    }

    /// Whether `i` is in the set.
    pub(super) fn get(&self, i: usize) -> bool {
        self.words.get(i / WORD).is_some_and(|word| word >> (i % WORD) & 1 == 1)
    }

    // The counts below are made from the bit and not by `usize::from(new)`: an integer comparison whose result is both
    // cast and branched on is compiled wrongly by rustc 1.95 at opt-level 2 (rust-lang/rust#158206; it did, here).

    /// Puts `i` in; says whether it was not there.
    pub(super) fn insert(&mut self, i: usize) -> bool {
        let word = &mut self.words[i / WORD];
        let old = *word >> (i % WORD) & 1;
        *word |= 1 << (i % WORD);
        self.ones += 1 - old as usize;
        self.low = self.low.min(i / WORD);
        old == 0
    }

    /// Takes `i` out; says whether it was there.
    pub(super) fn remove(&mut self, i: usize) -> bool {
        let word = &mut self.words[i / WORD];
        let old = *word >> (i % WORD) & 1;
        *word &= !(1 << (i % WORD));
        self.ones -= old as usize;
        old == 1
    }

    /// The lowest number in the set. Amortised O(1): words found empty are not looked at again until filled.
    pub(super) fn first(&mut self) -> Option<usize> {
        if self.ones == 0 {
            self.low = self.words.len();
            return None;
        }
        while self.words[self.low] == 0 {
            self.low += 1;
        }
        Some(self.low * WORD + self.words[self.low].trailing_zeros() as usize)
    }

    /// The lowest number in the set that is at least `from`.
    pub(super) fn next(&self, from: usize) -> Option<usize> {
        let mut i = from / WORD;
        let mut mask = u64::MAX << (from % WORD);
        while i < self.words.len() {
            let word = self.words[i] & mask;
            if word != 0 {
                return Some(i * WORD + word.trailing_zeros() as usize);
            }
            (i, mask) = (i + 1, u64::MAX);
        }
        None
    }
}
