//! What a primitive should do, in a few lines, and the same sequence of operations on both: the bytes that are given say which.
//!
//! The functions here take any bytes and panic where the library does something else than the model. `model.rs` gives them
//! random ones, with proptest; the fuzz targets in `fuzz/` look for those that go new ways.

pub(crate) mod channel;
pub(crate) mod context;
pub(crate) mod crowd;
pub(crate) mod locks;
pub(crate) mod meetings;
pub(crate) mod select;
pub(crate) mod times;

/// Choices, out of bytes. When they are used up, there are no more steps.
pub(crate) struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Script(bytes)
    }

    /// The next step's kind, below `kinds`; `None` at the end.
    pub(crate) fn step(&mut self, kinds: usize) -> Option<usize> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(usize::from(first) % kinds)
    }

    /// One of `n`, at least one.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.step(n).unwrap_or(0)
    }
}
