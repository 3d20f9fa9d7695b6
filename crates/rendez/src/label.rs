//! What reports call a channel, a lock and the like: a name, if it was given one, and where it was made.
//!
//! A name is four bytes in its owner, a number; the texts are in one table for all. So a thing that is not named costs those
//! four bytes (most have them to spare, between other fields), a load and a branch when it is dropped, and nothing when it is used; and
//! one that is named may be moved about like any other, and be a `static`.
//!
//! Where a thing was made is eight bytes more. A channel or a wait group, an allocation of its own, always knows it. Locks lie in
//! the program's own data, and there may be one for each entry of a table: they know it only where debug
//! assertions are on.

use std::{
    fmt,
    panic::Location,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

/// The names that are in use; an owner has the number of its own, from 1.
struct Names {
    texts: Vec<Option<Arc<str>>>,
    free: Vec<u32>,
}

static NAMES: Mutex<Names> = Mutex::new(Names { texts: Vec::new(), free: Vec::new() });

fn with_names<R>(f: impl FnOnce(&mut Names) -> R) -> R {
    f(&mut NAMES.lock().unwrap_or_else(PoisonError::into_inner))
}

const UNNAMED: u32 = 0;

/// The name of a thing.
#[derive(Default)]
pub(crate) struct Label {
    number: AtomicU32,
}

impl Label {
    pub(crate) const fn new() -> Label {
        Label { number: AtomicU32::new(UNNAMED) }
    }

    /// Gives it this name, instead of the one that it may have.
    pub(crate) fn set(&self, name: String) {
        let text = Some(Arc::from(name));
        let before = with_names(|names| {
            // Numbers are given under the lock, so two who name one thing don't each give it one.
            let number = match self.number.load(Ordering::Relaxed) {
                UNNAMED => names.free.pop().unwrap_or_else(|| {
                    names.texts.push(None);
                    u32::try_from(names.texts.len()).expect("there is no memory for so many names")
                }),
                number => number,
            };
            self.number.store(number, Ordering::Relaxed);
            std::mem::replace(&mut names.texts[number as usize - 1], text)
        });
        drop(before);
    }

    pub(crate) fn get(&self) -> Option<Arc<str>> {
        match self.number.load(Ordering::Relaxed) {
            UNNAMED => None,
            number => with_names(|names| names.texts.get(number as usize - 1)?.clone()),
        }
    }
}

impl Drop for Label {
    #[inline(always)]
    fn drop(&mut self) {
        #[cold]
        fn forget(number: u32) {
            let text = with_names(|names| {
                names.free.push(number);
                names.texts[number as usize - 1].take()
            });
            drop(text);
        }
        let number = *self.number.get_mut();
        if number != UNNAMED {
            forget(number);
        }
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

/// Where a lock was made, if there is room for that; see the head of the module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Made {
    #[cfg(debug_assertions)]
    place: &'static Location<'static>,
}

impl Made {
    /// The caller's.
    #[track_caller]
    pub(crate) const fn here() -> Made {
        Made {
            #[cfg(debug_assertions)]
            place: Location::caller(),
        }
    }

    pub(crate) fn get(self) -> Option<&'static Location<'static>> {
        #[cfg(debug_assertions)]
        return Some(self.place);
        #[cfg(not(debug_assertions))]
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{Label, with_names};

    fn names_in_use() -> usize {
        with_names(|names| names.texts.iter().flatten().count())
    }

    #[test]
    fn a_name_goes_with_its_owner_and_its_number_is_given_again() {
        let before = names_in_use();
        for round in 0..3 {
            let labels: Vec<Label> = (0..100).map(|_| Label::new()).collect();
            for (i, label) in labels.iter().enumerate() {
                assert!(label.get().is_none());
                label.set(format!("first {round} {i}"));
                label.set(format!("{round} {i}"));
            }
            let labels: Vec<Label> = labels.into_iter().rev().collect();
            for (i, label) in labels.iter().enumerate() {
                assert_eq!(*label.get().unwrap(), format!("{round} {}", 99 - i));
            }
            assert_eq!(names_in_use(), before + 100);
            drop(labels);
            assert_eq!(names_in_use(), before);
        }
        assert!(with_names(|names| names.texts.len()) <= before + 100);
    }
}
