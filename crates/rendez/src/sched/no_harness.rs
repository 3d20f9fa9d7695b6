//! In place of [`harness`](super::harness) where the feature `testing` is off: no worker is under test, and the compiler knows.

use super::{shared::WorkerShared, worker::Worker};
use crate::{task::Header, time::Instant};
use std::time::Duration;

/// There is none.
#[derive(Debug)]
pub(crate) enum Harness {}

/// There is none.
#[derive(Debug)]
pub(crate) enum Start {}

/// There is none.
#[derive(Debug)]
pub(crate) enum Hold {}

/// As a worker would have it.
pub(super) type Attached = Harness;

impl Start {
    pub(super) fn first_id(&self) -> u64 {
        match *self {}
    }

    pub(super) fn attach(self, _: &'static WorkerShared) -> Attached {
        match self {}
    }
}

impl Harness {
    pub(super) fn is_exploring(&self) -> bool {
        match *self {}
    }

    pub(super) fn pick(&self, _: usize) -> Option<usize> {
        match *self {}
    }
}

impl Worker {
    pub(super) fn run_under_harness(&self, harness: &Harness) {
        match *harness {}
    }

    pub(super) fn point(&self) {}
}

/// The goroutine's number as people are shown it.
pub(crate) fn shown_id(id: u64) -> u64 {
    id
}

/// The present moment, where it is not the machine's: nowhere.
#[inline(always)]
pub(crate) fn virtual_now() -> Option<Instant> {
    None
}

/// The time since the clock began, where it is not the machine's: nowhere.
pub(crate) fn virtual_elapsed() -> Option<Duration> {
    None
}

/// There is no clock to hold.
pub(crate) fn hold() -> Option<Hold> {
    None
}

/// Whether the caller runs under a chosen schedule.
pub(crate) fn is_exploring() -> bool {
    false
}

/// Whether somebody who asks if a goroutine has ended, which it has, asks before it does: only under a chosen schedule.
pub(crate) fn ends_late(_: &Header) -> bool {
    false
}

/// A goroutine that nobody joins has panicked, and is told as usual.
pub(super) fn take_panic(_: &Header) -> bool {
    false
}
