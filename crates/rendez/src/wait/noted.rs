//! What an async goroutine awaits, for reports.
//!
//! Its future is a state machine that nobody can look into. So each future of this crate that suspends the goroutine notes with it why, and
//! which channel it waits at: by the waker that it was polled with, which is the goroutine itself. The next poll begins by wiping that off. What a future of
//! somebody else's waits for stays unknown; and one of this crate's that was polled and then dropped, for another branch's sake, stays noted
//! until the next poll.
//!
//! A note is two words, each written and read whole. Whoever reads them while a poll writes them anew may see one of either: they are for
//! reports alone.
#![forbid(unsafe_code)]

use super::Reason;
use crossbeam_utils::atomic::AtomicCell;
use std::{
    panic::Location,
    sync::atomic::{AtomicU8, Ordering::Relaxed},
};

#[derive(Debug)]
pub(crate) struct Noted {
    /// [`NOTHING`], [`SEVERAL`], or the reason's number and one.
    why: AtomicU8,
    /// Where the channel was made.
    made: AtomicCell<Option<&'static Location<'static>>>,
}

const NOTHING: u8 = 0;
/// Not all for the same reason.
const SEVERAL: u8 = u8::MAX;

impl Noted {
    pub(crate) const fn new() -> Noted {
        Noted { why: AtomicU8::new(NOTHING), made: AtomicCell::new(None) }
    }

    /// A poll begins.
    #[inline(always)]
    pub(crate) fn wipe(&self) {
        self.why.store(NOTHING, Relaxed);
    }

    /// A future is pending, in a poll of the goroutine.
    #[inline]
    pub(crate) fn note(&self, reason: Reason, made: Option<&'static Location<'static>>) {
        let why = reason as u8 + 1;
        match self.why.load(Relaxed) {
            NOTHING => {
                self.made.store(made);
                self.why.store(why, Relaxed);
            }
            before => {
                if before != why {
                    self.why.store(SEVERAL, Relaxed);
                }
                if before != why || self.made.load() != made {
                    self.made.store(None);
                }
            }
        }
    }

    /// Why it waits, in the words of a report, and where the channel was made for which it does.
    pub(crate) fn read(&self) -> (&'static str, Option<&'static Location<'static>>) {
        match self.why.load(Relaxed) {
            NOTHING => ("await", None),
            SEVERAL => ("await several", None),
            why => (Reason::ALL[usize::from(why) - 1].text_of_await(), self.made.load()),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn one_wait_is_told_and_of_several_as_much_as_is_common_to_them() {
        let (here, there) = (Location::caller(), Location::caller());
        assert_ne!(here, there);
        let noted = Noted::new();
        let note = |waits: &[(Reason, Option<&'static Location<'static>>)]| {
            noted.wipe();
            waits.iter().for_each(|&(reason, made)| noted.note(reason, made));
            noted.read()
        };
        assert_eq!(note(&[]), ("await", None));
        assert_eq!(note(&[(Reason::ChanReceive, Some(here))]), ("await chan receive", Some(here)));
        assert_eq!(note(&[(Reason::Sleep, None)]), ("await sleep", None));
        let (receive, send) =
            (|made| (Reason::ChanReceive, Some(made)), |made| (Reason::ChanSend, Some(made)));
        assert_eq!(note(&[receive(here), receive(here)]), ("await chan receive", Some(here)));
        assert_eq!(note(&[receive(here), receive(there)]), ("await chan receive", None));
        assert_eq!(note(&[receive(here), receive(there), receive(here)]), ("await chan receive", None));
        assert_eq!(note(&[receive(here), send(here)]), ("await several", None));
        assert_eq!(note(&[receive(here), send(here), receive(here)]), ("await several", None));
    }
}
