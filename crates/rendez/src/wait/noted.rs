//! What an async goroutine has awaited last, for reports.
//!
//! Its future is a state machine that nobody can look into. So each future of this crate that suspends the goroutine notes with it why, and
//! which channel it waits at: by the waker that it was polled with, if that is the goroutine's own. The note stays until there is another: while the
//! goroutine is woken and runs, and if it awaits somebody else's future afterwards. And of several futures that one poll comes to, the last one's is left.
//! So what is told of it is that it was awaited last.
//!
//! A note is one word: the address of something that lives as long as the program, and in its low bits of what kind that is. It is written where it
//! changes, which for who receives in a loop it does not. (To wipe it off at each poll, so that it tells what is awaited, took 4 to 10 percent of
//! `async_ping_pong`.)

#![cfg_attr(loom, allow(dead_code, reason = "there are no goroutines"))]

use super::{
    Reason,
    awaited::{Awaited, Kind},
};
use std::{
    panic::Location,
    ptr,
    sync::atomic::{AtomicPtr, Ordering::Relaxed},
};

/// A note; null if there is none.
#[derive(Debug)]
pub(crate) struct Noted(AtomicPtr<()>);

/// At the place where a channel was made, whose address has these bits free.
const SEND: usize = 1;
const RECEIVE: usize = 2;
const KINDS: usize = 3;
const _: () = assert!(align_of::<Location<'static>>() > KINDS);
const _: () = assert!(align_of::<Kind>() > KINDS);

/// What a future waits for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Note(*const ());

impl Note {
    /// To send to a channel that was made there.
    #[inline(always)]
    pub(crate) fn send(made: &'static Location<'static>) -> Note {
        Note::at(made, SEND)
    }

    /// To receive from a channel that was made there.
    #[inline(always)]
    pub(crate) fn receive(made: &'static Location<'static>) -> Note {
        Note::at(made, RECEIVE)
    }

    #[inline(always)]
    fn at(made: &'static Location<'static>, kind: usize) -> Note {
        Note(ptr::from_ref(made).cast::<()>().map_addr(|at| at | kind))
    }
}

impl From<Reason> for Note {
    /// Of a wait that is no channel's: its [`Kind`], which is a constant.
    #[inline(always)]
    fn from(reason: Reason) -> Note {
        Note(ptr::from_ref(Awaited::from(reason).kind).cast())
    }
}

impl Noted {
    pub(crate) const fn new() -> Noted {
        Noted(AtomicPtr::new(ptr::null_mut()))
    }

    /// A future is pending, in a poll of the goroutine.
    #[inline(always)]
    pub(crate) fn note(&self, Note(note): Note) {
        if !ptr::eq(self.0.load(Relaxed), note) {
            self.0.store(note.cast_mut(), Relaxed);
        }
    }

    /// For what it waited last, in the words of a report, and where the channel was made if it was one.
    #[cfg(not(loom))]
    pub(crate) fn read(&self) -> Option<(&'static str, Option<&'static Location<'static>>)> {
        let note = self.0.load(Relaxed).cast_const();
        let at = note.map_addr(|at| at & !KINDS);
        // SAFETY: a note is made of a reference to what its bits say, to last as long as the program does, and neither ever changes; so it does not
        // matter on which thread it was made, and when.
        let made = || unsafe { at.cast::<Location<'static>>().as_ref() };
        Some(match note.addr() & KINDS {
            SEND => (Reason::ChanSend.text(), made()),
            RECEIVE => (Reason::ChanReceive.text(), made()),
            // SAFETY: as above.
            _ => (unsafe { at.cast::<Kind>().as_ref() }?.reason.text(), None),
        })
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_last_wait_is_told() {
        let (here, there) = (Location::caller(), Location::caller());
        assert_ne!(here, there);
        let noted = Noted::new();
        assert_eq!(noted.read(), None);
        for (note, told) in [
            (Note::receive(here), ("chan receive", Some(here))),
            (Note::receive(here), ("chan receive", Some(here))),
            (Note::receive(there), ("chan receive", Some(there))),
            (Note::send(there), ("chan send", Some(there))),
            (Reason::Sleep.into(), ("sleep", None)),
            (Reason::MutexLock.into(), ("sync.Mutex.Lock", None)),
        ] {
            noted.note(note);
            assert_eq!(noted.read(), Some(told));
        }
    }

    /// Any thread may read it, whenever.
    #[test]
    fn a_note_that_is_just_being_changed_is_read_as_one_of_both() {
        let (noted, made) = (Noted::new(), Location::caller());
        std::thread::scope(|s| {
            let reader = s.spawn(|| {
                for _ in 0..10_000 {
                    let told = noted.read();
                    let is_one = matches!(told, None | Some(("select", None)));
                    assert!(is_one || told == Some(("chan send", Some(made))), "{told:?}");
                }
            });
            while !reader.is_finished() {
                for note in [Note::send(made), Reason::Select.into()] {
                    noted.note(note);
                }
            }
            reader.join().unwrap();
        });
    }
}
