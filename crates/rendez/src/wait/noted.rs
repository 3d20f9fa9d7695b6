//! What an async goroutine awaits, for reports.
//!
//! Its future is a state machine that nobody can look into. So each future of this crate that suspends the goroutine notes with it why, and
//! which channel it waits at: by the waker that it was polled with, which is the goroutine itself. The next poll begins by wiping that off. What a future of
//! somebody else's waits for stays unknown; and one of this crate's that was polled and then dropped, for another branch's sake, stays noted
//! until the next poll.
//!
//! A note is one word, since it is written at each wait: the address of something that lives as long as the program, and in its low bits of what kind that is.

#![cfg_attr(loom, allow(dead_code, reason = "there are no goroutines"))]

use super::Reason;
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
const _: () = assert!(align_of::<Words>() > KINDS);

/// No channel's: in the words of a report.
#[repr(align(8))]
#[derive(Debug)]
pub(crate) struct Words(&'static str);

static SEVERAL: Words = Words("await several");

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
    #[inline(always)]
    fn from(reason: Reason) -> Note {
        Note(ptr::from_ref(reason.awaited()).cast())
    }
}

impl Reason {
    /// Of an async goroutine.
    fn awaited(self) -> &'static Words {
        match self {
            Reason::ChanSend => &Words("await chan send"),
            Reason::ChanReceive => &Words("await chan receive"),
            Reason::Join => &Words("await join"),
            Reason::WaitGroup => &Words("await sync.WaitGroup.Wait"),
            Reason::MutexLock => &Words("await sync.Mutex.Lock"),
            Reason::RwLockRead => &Words("await sync.RWMutex.RLock"),
            Reason::RwLockWrite => &Words("await sync.RWMutex.Lock"),
            Reason::CondWait => &Words("await sync.Cond.Wait"),
            Reason::Semacquire => &Words("await semacquire"),
            Reason::Barrier => &Words("await barrier"),
            Reason::Select => &Words("await select"),
            Reason::Sleep => &Words("await sleep"),
            Reason::IoWait => &Words("await IO wait"),
            // None of them is awaited.
            Reason::Scope
            | Reason::Once
            | Reason::SingleFlight
            | Reason::Future
            | Reason::Blocking
            | Reason::Rest => &Words("await"),
        }
    }
}

impl Noted {
    pub(crate) const fn new() -> Noted {
        Noted(AtomicPtr::new(ptr::null_mut()))
    }

    /// A poll begins.
    #[inline(always)]
    pub(crate) fn wipe(&self) {
        self.0.store(ptr::null_mut(), Relaxed);
    }

    /// A future is pending, in a poll of the goroutine.
    #[inline(always)]
    pub(crate) fn note(&self, Note(note): Note) {
        match self.0.load(Relaxed).is_null() {
            true => self.0.store(note.cast_mut(), Relaxed),
            false => self.note_another(note),
        }
    }

    #[cold]
    fn note_another(&self, note: *const ()) {
        if !ptr::eq(self.0.load(Relaxed), note) {
            self.0.store(ptr::from_ref(&SEVERAL).cast_mut().cast(), Relaxed);
        }
    }

    /// Why it waits, in the words of a report, and where the channel was made for which it does.
    pub(crate) fn read(&self) -> (&'static str, Option<&'static Location<'static>>) {
        let note = self.0.load(Relaxed).cast_const();
        let at = note.map_addr(|at| at & !KINDS);
        // SAFETY: a note is made of a reference to what the bits say, that lives as long as the program, and each is of what does not change;
        // so it does not matter that it may have been made on another thread, and when.
        let made = || unsafe { at.cast::<Location<'static>>().as_ref() };
        match note.addr() & KINDS {
            SEND => (Reason::ChanSend.awaited().0, made()),
            RECEIVE => (Reason::ChanReceive.awaited().0, made()),
            // SAFETY: as above.
            _ => (unsafe { at.cast::<Words>().as_ref() }.map_or("await", |words| words.0), None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wait_is_told_and_of_several_that_they_are() {
        let (here, there) = (Location::caller(), Location::caller());
        assert_ne!(here, there);
        let noted = Noted::new();
        let note = |waits: &[Note]| {
            noted.wipe();
            waits.iter().for_each(|&wait| noted.note(wait));
            noted.read()
        };
        assert_eq!(note(&[]), ("await", None));
        assert_eq!(note(&[Note::receive(here)]), ("await chan receive", Some(here)));
        assert_eq!(note(&[Note::send(there)]), ("await chan send", Some(there)));
        assert_eq!(note(&[Reason::Sleep.into()]), ("await sleep", None));
        // Polled twice.
        assert_eq!(note(&[Note::receive(here), Note::receive(here)]), ("await chan receive", Some(here)));
        assert_eq!(note(&[Reason::Sleep.into(), Reason::Sleep.into()]), ("await sleep", None));
        assert_eq!(note(&[Note::receive(here), Note::receive(there)]), ("await several", None));
        assert_eq!(note(&[Note::receive(here), Note::send(here)]), ("await several", None));
        assert_eq!(
            note(&[Note::receive(here), Reason::Sleep.into(), Note::receive(here)]),
            ("await several", None)
        );
    }

    /// Any thread may read it, whenever.
    #[test]
    fn a_note_that_is_just_being_changed_is_read_as_one_of_both() {
        let (noted, made) = (Noted::new(), Location::caller());
        std::thread::scope(|s| {
            let reader = s.spawn(|| {
                for _ in 0..10_000 {
                    let (why, at) = noted.read();
                    assert!(matches!(why, "await" | "await select" | "await chan send"), "{why}");
                    assert_eq!(at, (why == "await chan send").then_some(made));
                }
            });
            while !reader.is_finished() {
                for note in [Note::send(made), Reason::Select.into()] {
                    noted.wipe();
                    noted.note(note);
                }
            }
            reader.join().unwrap();
        });
    }
}
