//! Signals of the system as values on a channel: Go's `os/signal`.
//!
//! # Examples
//! ```no_run
//! use rendez::{select, signal::{self, Signal}};
//! # fn main() -> std::io::Result<()> {
//! let stop = signal::notify([Signal::INTERRUPT, Signal::TERMINATE])?;
//! let reload = signal::notify([Signal::HANGUP])?;
//! loop {
//!     select! {
//!         recv(stop) -> signal => {
//!             println!("{}: draining", signal.unwrap());
//!             break;
//!         }
//!         recv(reload) -> _ => println!("reading the settings anew"),
//!     }
//! }
//! // From now on a second Ctrl-C ends the process at once.
//! drop(stop);
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

use crate::{
    chan::{self, Receiver, Sender, TrySendError},
    sched::waiting::WaitingThread,
};
use signal_hook::{
    consts::signal,
    iterator::{Handle, Signals},
    low_level::{emulate_default_handler, signal_name},
};
use std::{
    fmt, io,
    sync::{Mutex, PoisonError},
    thread,
};

/// A signal.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signal(i32);

impl Signal {
    /// Ctrl-C: `SIGINT`.
    pub const INTERRUPT: Signal = Signal(signal::SIGINT);
    /// The polite request to end: `SIGTERM`.
    pub const TERMINATE: Signal = Signal(signal::SIGTERM);
    /// The terminal has gone, or by custom: read the settings anew. `SIGHUP`.
    pub const HANGUP: Signal = Signal(signal::SIGHUP);
    /// `SIGQUIT`.
    pub const QUIT: Signal = Signal(signal::SIGQUIT);
    /// `SIGUSR1`.
    pub const USER1: Signal = Signal(signal::SIGUSR1);
    /// `SIGUSR2`.
    pub const USER2: Signal = Signal(signal::SIGUSR2);
    /// The terminal has another size: `SIGWINCH`.
    pub const WINDOW_CHANGE: Signal = Signal(signal::SIGWINCH);

    /// The signal of this number.
    pub const fn from_raw(number: i32) -> Signal {
        Signal(number)
    }

    /// Its number.
    pub const fn as_raw(self) -> i32 {
        self.0
    }
}

/// Its name, as `SIGTERM`.
impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match signal_name(self.0) {
            Some(name) => f.write_str(name),
            None => write!(f, "signal {}", self.0),
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// So many signals may wait to be received; those that come when the channel is full are dropped, as in Go.
const CAPACITY: usize = 16;

/// Who wants to know of which.
struct Listeners {
    /// Adds signals for the thread that waits for them.
    handle: Option<Handle>,
    list: Vec<(Vec<Signal>, Sender<Signal>)>,
    /// What is called on `SIGQUIT`.
    on_quit: Option<fn()>,
}

static LISTENERS: Mutex<Listeners> = Mutex::new(Listeners { handle: None, list: Vec::new(), on_quit: None });

impl Listeners {
    /// Where signals are asked for.
    fn handle(&mut self) -> io::Result<&Handle> {
        if self.handle.is_none() {
            let mut source = Signals::new::<[i32; 0], i32>([])?;
            let handle = source.handle();
            thread::Builder::new().name("rendez-signals".into()).spawn(move || {
                let mut signals = source.forever();
                loop {
                    // Whether one may come is for `may_come` to say.
                    let waiting = WaitingThread::new();
                    let Some(number) = signals.next() else { break };
                    drop(waiting);
                    pass_on(Signal(number));
                }
            })?;
            self.handle = Some(handle);
        }
        Ok(self.handle.as_ref().expect("just made"))
    }
}

/// Whether somebody waits for a signal, who could so be woken at any time.
pub(crate) fn may_come() -> bool {
    let listeners = LISTENERS.lock().unwrap_or_else(PoisonError::into_inner);
    listeners.list.iter().any(|(_, tx)| !tx.is_closed())
}

/// Has `f` called on `SIGQUIT`, on the thread that passes signals on.
pub(crate) fn on_quit(f: fn()) -> io::Result<()> {
    let mut listeners = LISTENERS.lock().unwrap_or_else(PoisonError::into_inner);
    listeners.handle()?.add_signal(Signal::QUIT.0)?;
    listeners.on_quit = Some(f);
    Ok(())
}

/// Where these signals come from now on, instead of doing what they do by default. Several that ask for one signal all get it.
///
/// When all receivers are gone that asked for a signal, it does again what it does by default, as after Go's `signal.Stop`: so
/// who drops the receiver when it begins to shut down lets a second Ctrl-C end the process at once.
///
/// A thread of the process, started by the first call, passes the signals on; when none comes it sleeps. While a receiver is there no
/// deadlock is reported, since a signal may always come. In a runtime under test a receive from this channel is one as any other:
/// while a real signal is to be waited for, hold its clock (`testing::ClockHold`).
///
/// # Errors
/// The system's; also for signals that can't be caught (`SIGKILL`, `SIGSTOP`) or must not be (`SIGSEGV`, `SIGFPE`, `SIGILL`).
///
/// # Examples
/// See the [module](self).
#[track_caller]
pub fn notify(signals: impl IntoIterator<Item = Signal>) -> io::Result<Receiver<Signal>> {
    let signals: Vec<Signal> = signals.into_iter().collect();
    if let Some(forbidden) = signals.iter().find(|signal| signal_hook::consts::FORBIDDEN.contains(&signal.0))
    {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{forbidden} can't be caught")));
    }
    let (tx, rx) = chan::bounded(CAPACITY);
    let mut listeners = LISTENERS.lock().unwrap_or_else(PoisonError::into_inner);
    let handle = listeners.handle()?;
    for signal in &signals {
        handle.add_signal(signal.0)?;
    }
    listeners.list.push((signals, tx));
    Ok(rx)
}

fn pass_on(signal: Signal) {
    let (listening, on_quit) = {
        let mut listeners = LISTENERS.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.list.retain(|(_, tx)| !tx.is_closed());
        let asked = listeners.list.iter().filter(|(signals, _)| signals.contains(&signal));
        let listening: Vec<Sender<Signal>> = asked.map(|(_, tx)| tx.clone()).collect();
        (listening, listeners.on_quit.filter(|_| signal == Signal::QUIT))
    };
    let mut wanted = false;
    // Not under the lock: who is woken may be anybody's waker, which may ask for signals itself.
    for tx in listening {
        wanted |= !matches!(tx.try_send(signal), Err(TrySendError::Closed(_)));
    }
    if let Some(f) = on_quit {
        f();
        wanted = true;
    }
    if !wanted {
        // It may end the process here. For a signal that it does not know nothing is done.
        let _ = emulate_default_handler(signal.0);
    }
}
