//! What runs where, and why it waits: a trace for [Perfetto](https://ui.perfetto.dev).
//!
//! Each worker is a track. Each time that a goroutine has the worker is a slice, called by the goroutine's name, or by where it was
//! created; its arguments are the goroutine's number, its spawn site, and how it ended: by an end, a yield, or a wait, and for what. An arrow leads from the slice in
//! which a goroutine was woken to the one in which it goes on. Spawns and parks are instants.
//!
//! It is a *flight recorder*: each worker writes to a ring of its own, of bounded size ([`Options::memory`]), and the oldest goes first. The file
//! is written when the recording ends: by [`stop`], when the process exits (so at a deadlock as well), and, as a copy that goes on,
//! when a goroutine that nobody joins panics, or by [`write()`].
//!
//! ```no_run
//! use rendez::diag::trace;
//! trace::start("program.perfetto-trace")?;
//! rendez::run(|| { /* what is to be looked at */ });
//! trace::stop()?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! Or, without a change to the program, `RENDEZ_TRACE=program.perfetto-trace`: then it begins with the first runtime. Open the file at
//! <https://ui.perfetto.dev>, which keeps it on your machine, or ask Perfetto's `trace_processor` about it in SQL.
//!
//! # What it costs
//!
//! While nothing is recorded nothing of this costs anything but for a branch at spawns and at wake-ups across workers. While it is, a turn
//! of a goroutine costs a look at the processor's time stamp counter (two, if it does not follow another turn at once) and a record of 32
//! bytes, which holds the first wake-up of the turn as well; others, and spawns, have records of their own. No text is made, nothing is
//! allocated and nothing is shared with other workers: the file's format is made when the file is written.
//! Measured on a virtual machine, as the least of nine runs with one worker: 16 ns for a yield (34 with a trace, 17 without), and some 50
//! for a value over a rendezvous channel (116 and 68). So it is under 5 percent where goroutines run for about a microsecond at a time, and
//! can't be where all they do is to hand over to each other: reading the counter alone takes as long as such a switch.
//!
//! What is not in it: what goroutines do to each other by way of OS threads that are no workers; and which of two wakes came first within one slice. Arrows end
//! at the next slice of who was woken after the slice of who woke it began. Runtimes under test are left out.

mod clock;
mod names;
mod perfetto;
mod protobuf;
mod ring;
mod story;

pub(crate) use clock::ticks;
use names::name;
pub(crate) use names::{round, tell_name};
pub(crate) use ring::{Record, Ring};

use crate::sched;
use clock::Anchor;
use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError, TryLockError,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
    },
    time::Duration,
};

/// Each worker's ring, unless it is said otherwise.
const MEMORY: usize = 8 << 20;

/// Whether workers record.
static ON: AtomicBool = AtomicBool::new(false);
/// Records that a worker's ring has room for.
static CAPACITY: AtomicUsize = AtomicUsize::new(0);
static SESSION: Mutex<Option<Session>> = Mutex::new(None);
/// The process that records: a child that was forked has a copy of the session, and maybe of a lock that nobody will leave, and is not to
/// write over its parent's file.
static RECORDS: AtomicU32 = AtomicU32::new(0);

/// For how long the exit waits for a thread that is just writing.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(1);

struct Session {
    path: PathBuf,
    last: Option<Duration>,
    began: Anchor,
}

/// How much a recording keeps.
#[derive(Clone, Copy, Debug)]
#[must_use = "options do nothing until `start`"]
pub struct Options {
    memory: usize,
    last: Option<Duration>,
}

impl Default for Options {
    fn default() -> Self {
        Options { memory: MEMORY, last: None }
    }
}

impl Options {
    /// The defaults of [`start`].
    pub fn new() -> Options {
        Options::default()
    }

    /// Bytes for each worker, rounded up to a power of two, at least 4 KiB and at most 1 GiB. Default: 8 MiB, which is some 260,000 slices. The memory stays with the worker for later
    /// recordings.
    pub fn memory(mut self, bytes: usize) -> Options {
        self.memory = bytes;
        self
    }

    /// Only what happened in so much time before the file is written. Default: all that is kept.
    pub fn last(mut self, time: Duration) -> Options {
        self.last = Some(time);
        self
    }

    /// As [`start`](fn@start).
    ///
    /// # Errors
    /// As [`start`](fn@start).
    pub fn start(self, path: impl AsRef<Path>) -> io::Result<()> {
        let path = path.as_ref();
        let mut session = SESSION.lock().unwrap_or_else(PoisonError::into_inner);
        if session.is_some() {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "a trace is being recorded already"));
        }
        // That it can't be written is better said now.
        File::create(path)?;
        write_at_exit();
        let records = (self.memory.min(1 << 30) / Ring::RECORD).next_power_of_two();
        CAPACITY.store(records.max(128), Ordering::Relaxed);
        // Later the program may have gone to another folder.
        let path = std::path::absolute(path)?;
        names::forget();
        RECORDS.store(std::process::id(), Ordering::Relaxed);
        *session = Some(Session { path, last: self.last, began: Anchor::now() });
        ON.store(true, Ordering::SeqCst);
        Ok(())
    }
}

/// Begins to record, for a trace that is written to `path` when that ends. Workers begin when they next look around: an idle one with
/// what wakes it, a busy one after a few dozen switches, or a long one.
///
/// # Errors
/// If the file can't be made; if a trace is being recorded already ([`io::ErrorKind::AlreadyExists`]).
///
/// # Examples
/// ```
/// use rendez::diag::trace;
/// let file = std::env::temp_dir().join(format!("rendez-{}.perfetto-trace", std::process::id()));
/// trace::start(&file)?;
/// rendez::run(|| (0..10).for_each(|_| rendez::go(rendez::yield_now).join().unwrap()));
/// trace::stop()?;
/// assert!(std::fs::metadata(&file)?.len() > 0);
/// # std::fs::remove_file(file)?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn start(path: impl AsRef<Path>) -> io::Result<()> {
    Options::new().start(path)
}

/// Ends the recording and writes the trace.
///
/// # Errors
/// If the file can't be written; if nothing is being recorded ([`io::ErrorKind::NotFound`]).
///
/// # Blocking
/// The thread, for as long as the file takes.
///
/// # Examples
/// As for [`start`](fn@start).
pub fn stop() -> io::Result<()> {
    let mut session = SESSION.lock().unwrap_or_else(PoisonError::into_inner);
    let session = session.take().ok_or_else(none)?;
    ON.store(false, Ordering::SeqCst);
    let result = session.write();
    names::forget();
    result
}

/// Writes what has been recorded so far, and goes on recording. The next time, the file is written anew.
///
/// # Errors
/// As for [`stop`].
///
/// # Blocking
/// As [`stop`].
pub fn write() -> io::Result<()> {
    SESSION.lock().unwrap_or_else(PoisonError::into_inner).as_ref().ok_or_else(none)?.write()
}

fn none() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "no trace is being recorded")
}

/// As `RENDEZ_TRACE` says, once in a process.
pub(crate) fn start_from_environment() -> io::Result<()> {
    static ASKED: AtomicBool = AtomicBool::new(false);
    match std::env::var_os("RENDEZ_TRACE") {
        Some(path) if !ASKED.swap(true, Ordering::Relaxed) => start(Path::new(&path)).map_err(|error| {
            io::Error::new(error.kind(), format!("RENDEZ_TRACE={}: {error}", path.display()))
        }),
        _ => Ok(()),
    }
}

/// A goroutine has panicked, and the process may not last.
pub(crate) fn note_panic() {
    if is_on()
        && let Err(error) = write()
    {
        let _ = writeln!(io::stderr(), "rendez: the trace could not be written: {error}");
    }
}

/// What has not been stopped when the process exits is written then.
fn write_at_exit() {
    static SET: std::sync::Once = std::sync::Once::new();
    extern "C" fn at_exit() {
        write_the_last();
    }
    SET.call_once(|| {
        // SAFETY: the function may be called at any time, and does not unwind.
        unsafe { libc::atexit(at_exit) };
    });
}

/// Writes what has not been stopped.
fn write_the_last() {
    if RECORDS.load(Ordering::Relaxed) != std::process::id() {
        return;
    }
    // Other threads run on. One that is just writing is waited for, or the process would end in the middle of it; but not for ever: it may be
    // this one, whom something in there has made exit.
    let begin = std::time::Instant::now();
    let session = loop {
        match SESSION.try_lock() {
            Ok(mut session) => break session.take(),
            // Somebody has panicked who had it: what is in it is whole.
            Err(TryLockError::Poisoned(poisoned)) => break poisoned.into_inner().take(),
            Err(TryLockError::WouldBlock) if begin.elapsed() < PATIENCE => std::thread::sleep(PAUSE),
            Err(TryLockError::WouldBlock) => return,
        }
    };
    let Some(session) = session else { return };
    ON.store(false, Ordering::SeqCst);
    if let Err(error) = session.write() {
        let _ = writeln!(io::stderr(), "rendez: the trace could not be written: {error}");
    }
}

/// Whether workers are to record.
#[inline(always)]
pub(crate) fn is_on() -> bool {
    ON.load(Ordering::Relaxed)
}

/// How many records a ring is to have room for.
pub(crate) fn capacity() -> usize {
    CAPACITY.load(Ordering::Relaxed)
}

impl Session {
    fn write(&self) -> io::Result<()> {
        let ends = Anchor::now();
        let scale = self.began.to(&ends);
        let began =
            self.last.map_or(self.began.ticks, |last| scale.ticks_before(&ends, last).max(self.began.ticks));
        let (workers, slices) = story::tell(&sched::rings(), began);
        let mut out = BufWriter::new(File::create(&self.path)?);
        perfetto::write(&mut out, &workers, &slices, |ticks| scale.nanoseconds(ticks))?;
        out.flush()
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("path", &self.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Builder;

    /// There is one recording for the process.
    static TURN: Mutex<()> = Mutex::new(());

    fn file(test: &str) -> PathBuf {
        std::env::temp_dir().join(format!("rendez-{test}-{}.perfetto-trace", std::process::id()))
    }

    /// The numbers of so many goroutines that have run, each with its name.
    fn run_some(n: usize) -> Vec<u64> {
        crate::run(|| {
            // Until the workers record.
            (0..100).for_each(|_| crate::yield_now());
            let run = |n| {
                let named = Builder::new().name(format!("number {n}")).spawn(|| ()).unwrap();
                let id = named.id();
                named.join().unwrap();
                id
            };
            (0..n).map(run).collect()
        })
    }

    #[test]
    fn names_are_forgotten_when_a_recording_ends() {
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let file = file("names");
        start(&file).unwrap();
        let ids = run_some(100);
        assert!(ids.iter().filter(|&&id| name(id).is_some()).count() > 50);
        stop().unwrap();
        assert!(ids.iter().all(|&id| name(id).is_none()));
        let written = std::fs::read(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        let is_there = |name: &[u8]| written.windows(name.len()).any(|some| some == name);
        assert!(is_there(b"number 99"));
    }

    #[test]
    fn of_many_names_the_latest_are_kept_and_of_who_lives_on_it_is_told_again() {
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        names::forget();
        let (first, mut told) = (u64::MAX, 0);
        for n in 0..200_000 {
            // It runs now and then, as a server's main goroutine does.
            if n % 1000 == 0 && told != names::round() {
                told = tell_name(first, "main");
            }
            tell_name(n, "one of many");
        }
        assert!(names::len() <= 65_536, "{}", names::len());
        assert_eq!(name(first).as_deref(), Some("main"));
        assert_eq!((name(199_999).as_deref(), name(0)), (Some("one of many"), None));
        names::forget();
        assert_eq!(name(first), None);
    }

    #[test]
    fn an_exit_writes_the_trace_also_if_somebody_has_panicked_with_its_lock_or_has_it_for_a_moment() {
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let file = file("exit");
        start(&file).unwrap();
        run_some(1);
        let panicked = std::thread::spawn(|| {
            let _session = SESSION.lock().unwrap_or_else(PoisonError::into_inner);
            std::panic::resume_unwind(Box::new("on purpose"));
        });
        assert!(panicked.join().is_err() && SESSION.is_poisoned());
        assert_eq!(std::fs::metadata(&file).unwrap().len(), 0);
        write_the_last();
        assert!(std::fs::metadata(&file).unwrap().len() > 0 && !is_on());
        start(&file).unwrap();
        let (tx, rx) = std::sync::mpsc::channel();
        let writer = std::thread::spawn(move || {
            let session = SESSION.lock().unwrap_or_else(PoisonError::into_inner);
            tx.send(()).unwrap();
            std::thread::sleep(PAUSE * 100);
            drop(session);
        });
        rx.recv().unwrap();
        write_the_last();
        assert!(!is_on());
        writer.join().unwrap();
        std::fs::remove_file(&file).unwrap();
    }
}
