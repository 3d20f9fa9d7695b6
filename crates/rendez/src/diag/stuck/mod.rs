//! Goroutines that hold their worker for too long: who they are, and where.
//!
//! The monitor (`sched::monitor`) finds that a worker has run one goroutine for too long. Which one, only the worker's thread can say
//! without a race: the goroutine may end at any moment, and its books with it. So the monitor sends that thread a signal, whose handler
//! copies what identifies the goroutine, the registers and the stack into a buffer ([`snapshot`]). All that takes time, locks or memory
//! is done afterwards, on the monitor's thread: the copy of the stack is unwound ([`unwind`]), its frames are named when they are shown. The
//! program's hook is called on a thread of its own ([`reporter`]).
//!
//! Unwinding in the handler, as profilers do, was rejected: the system's unwinder may take the dynamic linker's lock and allocate,
//! and the signal may have come in the middle of either.

mod reporter;
mod snapshot;
mod unwind;

pub(crate) use reporter::tell;
pub(crate) use snapshot::{look_at, prepare, unblock};

use super::backtrace;
use crate::sched::monitor;
use std::{
    fmt,
    panic::Location,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// A goroutine that has held its worker for longer than its runtime's limit: see [`on_stuck`].
///
/// Shown as `goroutine 7 "printer" has held worker 0 for 12 ms, and computed for 12 ms of it:`, its calls, and where it was created. If the
/// program has set a handler of its own for `SIGURG` since, which does not call the one that was there before, that is said in place of who it is.
#[derive(Clone, Debug)]
pub struct Stuck {
    who: Who,
    runtime: u64,
    worker: usize,
    held: Duration,
    busy: Duration,
}

#[derive(Clone, Debug)]
enum Who {
    Goroutine {
        id: u64,
        name: Option<String>,
        site: &'static Location<'static>,
        frames: Vec<usize>,
    },
    /// It can't be asked: its signal goes elsewhere.
    Silenced,
}

impl Stuck {
    /// The goroutine's number, as [`JoinHandle::id`](crate::JoinHandle::id); 0, which none has, if it can't be said.
    pub fn id(&self) -> u64 {
        match self.who {
            Who::Goroutine { id, .. } => id,
            Who::Silenced => 0,
        }
    }

    /// The goroutine's name, if it has one; the first 64 bytes of it.
    pub fn name(&self) -> Option<&str> {
        match &self.who {
            Who::Goroutine { name, .. } => name.as_deref(),
            Who::Silenced => None,
        }
    }

    /// Where the goroutine was created, if it can be said who it is.
    pub fn site(&self) -> Option<&'static Location<'static>> {
        match self.who {
            Who::Goroutine { site, .. } => Some(site),
            Who::Silenced => None,
        }
    }

    /// The runtime and the worker, numbered as in [`stats`](super::stats()).
    pub fn worker(&self) -> (u64, usize) {
        (self.runtime, self.worker)
    }

    /// For how long it has held its worker, at least: that it did was noticed by then.
    pub fn held(&self) -> Duration {
        self.held
    }

    /// The processor time that it has used meanwhile. Nearly all: it computes. Nearly none: it is in a call that blocks its thread, or
    /// the machine had no processor for it.
    pub fn busy(&self) -> Duration {
        self.busy
    }

    /// Its calls, as text: each by name, with its place in the next line where that is known. Empty where they could not be found.
    pub fn backtrace(&self) -> String {
        let mut text = String::new();
        if let Who::Goroutine { frames, .. } = &self.who {
            // Into a String, which takes all.
            let _ = backtrace::write(&mut text, frames);
        }
        text
    }
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stuck { who, worker, held, busy, .. } = self;
        match who {
            Who::Goroutine { id, name, .. } => {
                write!(f, "goroutine {id}")?;
                if let Some(name) = name {
                    write!(f, " {name:?}")?;
                }
            }
            Who::Silenced => f.write_str("a goroutine")?,
        }
        writeln!(f, " has held worker {worker} for {held:.1?}, and computed for {busy:.1?} of it:")?;
        match who {
            Who::Goroutine { site, .. } => write!(f, "{}\tcreated at {site}", self.backtrace()),
            Who::Silenced => f.write_str(
                "\twhich one can't be said: it is asked by SIGURG, for which the program has set a handler of its own since,\n\
                 \tand that does not call the one that was there before",
            ),
        }
    }
}

type Hook = Arc<dyn Fn(&Stuck) + Send + Sync>;

static HOOK: Mutex<Option<Hook>> = Mutex::new(None);

fn hook() -> Option<Hook> {
    HOOK.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// From now on, `f` is told of each goroutine that holds its worker for longer than the limit of its runtime
/// ([`RuntimeBuilder::stuck_after`](crate::RuntimeBuilder::stuck_after), else `RENDEZ_STUCK` in milliseconds, else 10 ms): it computes without a
/// yield, or is in a call that blocks its thread, and others of the worker wait meanwhile. A hook that was set before is replaced.
///
/// It is told once for each time that a goroutine has the worker, on a thread of the library's own; a panic of `f` is printed and
/// otherwise ignored. [`Counts::stuck`](super::Counts::stuck) counts them.
///
/// `f` may block. The monitor goes on meanwhile; what it finds is told when `f` has returned, one report after the other, of which 64 wait
/// at most: more are only counted. While `f` runs no deadlock is reported, since it might wake somebody. A process that ends waits for those who are
/// being told of, for a second at most.
///
/// Nobody is told unless this has been called, or the environment variable `RENDEZ_STUCK` is set, with which reports go to the standard
/// error: a program whose goroutines compute for long on purpose is not to be scolded. A thread looks twice in each limit while a worker is awake, and
/// sleeps when all do. (Where there are no reports but [spares](crate::RuntimeBuilder::spares) are allowed it looks once.)
/// Runtimes under test are left out: their time is not the machine's.
///
/// Who it is, and its calls, are found by a signal (`SIGURG`) to its thread, so a system call in which it waits may be interrupted;
/// what can be restarted is. A handler for that signal that is there before this is called gets those that are not for us; one that is set later
/// has to call the one before it, or nobody can be named, which the reports say then. On processors other than x86-64 and AArch64 there is only
/// the innermost call.
///
/// # Panics
/// If the thread can't be started.
///
/// # Examples
/// ```
/// use rendez::{Builder, chan, diag};
/// use std::time::{Duration, Instant};
///
/// let (tx, rx) = chan::bounded(1);
/// diag::on_stuck(move |stuck| _ = tx.try_send(stuck.name().map(String::from)));
/// rendez::run(|| {
///     // It neither waits nor yields.
///     let spin = move || {
///         let start = Instant::now();
///         while start.elapsed() < Duration::from_millis(200) {
///             std::hint::spin_loop();
///         }
///     };
///     Builder::new().name("spinner").spawn(spin).unwrap().join().unwrap();
/// });
/// assert_eq!(rx.recv().unwrap().as_deref(), Some("spinner"));
/// ```
pub fn on_stuck(f: impl Fn(&Stuck) + Send + Sync + 'static) {
    let before = HOOK.lock().unwrap_or_else(PoisonError::into_inner).replace(Arc::new(f));
    // Not under the lock: what it has captured may be dropped with it, and call this.
    drop(before);
    if let Err(error) = monitor::start_reporting() {
        panic!("rendez: the monitor could not be started: {error}");
    }
}
