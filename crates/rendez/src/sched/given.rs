//! What goroutines were given when they were created: the words of their closures.
//!
//! A closure is moved to the goroutine's stack when that starts, and what it holds may go anywhere from there. But the place
//! where it was, in the goroutine's own allocation, stays as it was until there is a result to be put there. So as long as a
//! goroutine has not ended it can be said which handles it was born with, though not whether it still has them.
//!
//! Of an async goroutine it is the future itself that lies there, with what it has now.
//!
//! These are bytes that nobody owns any more, or that somebody else is changing, and some of them may never have been
//! written (padding). The system is asked to read them (`/proc/self/mem`), to which that is all one. Where it can't be asked, nobody was given anything.

use super::Inhabitant;
use crate::wait::End;
use std::{collections::HashSet, fs::File, ops::Range};

/// Of so many goroutines at most: a million system calls take a second.
const MOST_ASKED: usize = 500_000;

/// Notes of each of them which of the words for which somebody waits it was given.
pub(super) fn note(all: &mut [Inhabitant]) {
    let words = all.iter().flat_map(|one| &one.things).filter_map(|thing| match thing.end {
        End::Ends { word, .. } | End::Handles { word, .. } | End::Children { word, .. } => Some(word),
        _ => None,
    });
    let wanted: HashSet<usize> = words.collect();
    if wanted.is_empty() {
        return;
    }
    let memory = Memory::open();
    for one in all.iter_mut().take(MOST_ASKED) {
        one.given = memory.words(one.closure.clone());
        one.given.retain(|word| wanted.contains(word));
    }
}

/// The process's own memory, as a file.
struct Memory(Option<File>);

/// Of a closure that is larger so many bytes are looked at.
const MOST: usize = 1024;

impl Memory {
    fn open() -> Memory {
        Memory(File::open("/proc/self/mem").ok().filter(|_| cfg!(target_os = "linux")))
    }

    /// The words there, but for small ones, which are no addresses.
    fn words(&self, range: Range<usize>) -> Vec<usize> {
        const WORD: usize = size_of::<usize>();
        let mut bytes = [0; MOST];
        let start = range.start.next_multiple_of(WORD);
        let len = range.end.saturating_sub(start).min(MOST);
        let read = match &self.0 {
            Some(file) if len >= WORD => read_at(file, &mut bytes[..len], start as u64),
            _ => 0,
        };
        let words = bytes[..read].chunks_exact(WORD);
        words
            .map(|word| usize::from_ne_bytes(word.try_into().expect("it is of that length")))
            .filter(|&word| word > u16::MAX as usize)
            .collect()
    }
}

#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], at: u64) -> usize {
    std::os::unix::fs::FileExt::read_at(file, bytes, at).unwrap_or(0)
}

#[cfg(not(unix))]
fn read_at(_: &File, _: &mut [u8], _: u64) -> usize {
    0
}

#[cfg(test)]
mod tests {
    use super::Memory;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_words_of_a_closure_are_read_and_what_is_no_memory_is_none() {
        let numbers = [0x1234_5678_usize, 7, 0x8765_4321];
        let at = (&raw const numbers).addr();
        let memory = Memory::open();
        assert_eq!(memory.words(at..at + size_of_val(&numbers)), [0x1234_5678, 0x8765_4321]);
        assert_eq!(memory.words(at..at), [0; 0]);
        assert_eq!(memory.words(8..64), [0; 0]);
    }
}
