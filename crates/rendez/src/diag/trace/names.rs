//! The names of goroutines, which may have ended when the trace is written.
#![forbid(unsafe_code)]

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex, PoisonError},
};

/// So many are remembered; who comes later goes by where it was created.
const MOST: usize = 65_536;

static NAMES: LazyLock<Mutex<HashMap<u64, Box<str>>>> = LazyLock::new(Mutex::default);

/// The goroutine of this number has this name.
#[cold]
pub(crate) fn tell_name(goroutine: u64, name: &str) {
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if names.len() < MOST {
        names.insert(goroutine, name.into());
    }
}

/// What [`tell_name`] was told.
pub(crate) fn name(goroutine: u64) -> Option<Box<str>> {
    NAMES.lock().unwrap_or_else(PoisonError::into_inner).get(&goroutine).cloned()
}
