//! Locks of whole files, between processes and between handles.

use super::File;
use crate::{
    fd::{Flock, flock},
    sched, sleep,
};
use std::{error::Error, fmt, io, os::fd::AsFd, time::Duration};

/// How long it is until a goroutine tries again, at first and at last.
const PAUSE_MIN: Duration = Duration::from_micros(200);
const PAUSE_MAX: Duration = Duration::from_millis(20);

/// Why a file was not locked at once; the standard library's, which came with Rust 1.89.
#[derive(Debug)]
pub enum TryLockError {
    /// The system's error, named.
    Error(io::Error),
    /// Somebody else has locked it.
    WouldBlock,
}

impl fmt::Display for TryLockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TryLockError::Error(error) => error.fmt(f),
            TryLockError::WouldBlock => f.write_str("somebody else has locked it"),
        }
    }
}

impl Error for TryLockError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            TryLockError::Error(error) => error.source(),
            TryLockError::WouldBlock => None,
        }
    }
}

impl From<TryLockError> for io::Error {
    fn from(error: TryLockError) -> io::Error {
        match error {
            TryLockError::Error(error) => error,
            TryLockError::WouldBlock => io::ErrorKind::WouldBlock.into(),
        }
    }
}

/// Advisory locks (`flock`), which belong to the open file: its clones have them together, and the end of the last handle unlocks. Files that
/// were opened on their own, here or in another process, exclude each other.
impl File {
    /// Locks it for this handle and its clones alone.
    ///
    /// # Errors
    /// The system's, named.
    ///
    /// # Blocking
    /// Parks the goroutine, or blocks the OS thread, until nobody else has locked it. A goroutine tries again and again, after pauses of at
    /// most 20 ms: a wait inside the system could not be given up, and would keep a thread of the pool, which others need to unlock.
    ///
    /// # Cancellation
    /// A runtime's shutdown unwinds the goroutine, which has not locked it then. To wait for as long as a context lasts, try in a
    /// loop of one's own: [`try_lock`](Self::try_lock).
    ///
    /// # Examples
    /// ```
    /// use rendez::fs::{File, TryLockError};
    ///
    /// rendez::run(|| -> std::io::Result<()> {
    ///     let path = std::env::temp_dir().join(format!("rendez-lock-example-{}", std::process::id()));
    ///     let (ours, theirs) = (File::create(&path)?, File::create(&path)?);
    ///     ours.lock()?;
    ///     assert!(matches!(theirs.try_lock(), Err(TryLockError::WouldBlock)));
    ///     ours.unlock()?;
    ///     theirs.try_lock()?;
    ///     rendez::fs::remove_file(&path)
    /// })
    /// # .unwrap();
    /// ```
    pub fn lock(&self) -> io::Result<()> {
        self.lock_as(false)
    }

    /// Locks it together with others that lock it so.
    ///
    /// # Errors
    /// The system's, named.
    ///
    /// # Blocking
    /// As [`lock`](Self::lock), while somebody has it alone.
    pub fn lock_shared(&self) -> io::Result<()> {
        self.lock_as(true)
    }

    /// [`lock`](Self::lock), if that can be had at once.
    ///
    /// # Errors
    /// That it can't, or the system's.
    ///
    /// # Blocking
    /// See the [module](super).
    pub fn try_lock(&self) -> Result<(), TryLockError> {
        self.try_lock_as(false)
    }

    /// [`lock_shared`](Self::lock_shared), if that can be had at once.
    ///
    /// # Errors
    /// That it can't, or the system's.
    ///
    /// # Blocking
    /// See the [module](super).
    pub fn try_lock_shared(&self) -> Result<(), TryLockError> {
        self.try_lock_as(true)
    }

    /// Gives back either kind of lock. It is no error if there is none.
    ///
    /// # Errors
    /// The system's, named.
    ///
    /// # Blocking
    /// See the [module](super).
    pub fn unlock(&self) -> io::Result<()> {
        self.call("unlock", |file| flock(file.as_fd(), Flock::Unlock))
    }

    fn try_lock_as(&self, shared: bool) -> Result<(), TryLockError> {
        match self.call("lock", |file| flock(file.as_fd(), Flock::Lock { shared, waits: false })) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(TryLockError::WouldBlock),
            result => result.map_err(TryLockError::Error),
        }
    }

    fn lock_as(&self, shared: bool) -> io::Result<()> {
        if sched::current_goroutine().is_none() {
            return self.call("lock", |file| flock(file.as_fd(), Flock::Lock { shared, waits: true }));
        }
        let mut pause = PAUSE_MIN;
        loop {
            match self.try_lock_as(shared) {
                Err(TryLockError::WouldBlock) => sleep(pause),
                result => return result.map_err(io::Error::from),
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
}
