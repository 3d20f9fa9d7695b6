//! What stands for the lock in loom's models of everything else: two threads that spin by turns are endless to loom.

use loom::sync::{Mutex, MutexGuard};
use std::ops::{Deref, DerefMut};

#[derive(Debug)]
pub(crate) struct SpinLock<T>(Mutex<T>);

#[must_use]
#[derive(Debug)]
pub(crate) struct SpinGuard<'a, T>(MutexGuard<'a, T>);

impl<T> SpinLock<T> {
    pub(crate) fn new(value: T) -> Self {
        SpinLock(Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> SpinGuard<'_, T> {
        SpinGuard(self.0.lock().expect("nothing panics under it"))
    }
}

impl<T> Deref for SpinGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for SpinGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}
