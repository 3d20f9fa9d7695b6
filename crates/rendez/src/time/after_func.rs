//! Functions that run when it is time.
//!
//! # Protocol
//!
//! All of a [`Func`] is under its lock, its alarm included; the lock is held across no call of `f`, nor drop of it.
//!
//! | state | `next` | `f` | the alarm |
//! | --- | --- | --- | --- |
//! | set | `Some` | there, or running | set, or about to call `wake` |
//! | not set | `None` | there, or running | clear, or about to call `wake`, which then does nothing |
//! | running | either | with the goroutine that runs it | either |
//!
//! The alarm's waker is a reference to the `Func`; so is the [`Timer`], and the goroutine that runs `f`. Stopped, or fired, and with the
//! timer dropped, `f` goes at once. The runtime is held weakly: what is left of a timer after its runtime has ended is freed
//! when its moment comes, or earlier, with the runtime's workers.

use super::{Instant, Timer};
use crate::{
    lock::SpinLock,
    sched::{self, Alarm, Shared},
    task,
};
use std::{
    mem,
    panic::{Location, RefUnwindSafe, UnwindSafe},
    sync::{Arc, Weak},
    task::{Wake, Waker},
    time::Duration,
};

/// Runs `f` on a goroutine of its own once `duration` has passed.
///
/// [`Timer::stop`] says whether it prevented that; [`Timer::reset`] has `f` run, or run again, at another moment. Dropping the
/// timer does not stop it. The goroutine is one of the caller's runtime or, called outside of one, of the global runtime; if
/// that has shut down, `f` is dropped. It is Go's `time.AfterFunc` but for this: if `f` is still running when it is due again,
/// it runs again when it has returned (in Go: beside itself), once, however often it was due.
///
/// As `reset` may have it run again, it can't consume what it has captured. One that does so is wrapped:
///
/// ```
/// # let (tx, rx) = rendez::chan::bounded::<()>(1);
/// let mut once = Some(move || drop(tx));
/// rendez::time::after_func(std::time::Duration::ZERO, move || {
///     if let Some(once) = once.take() {
///         once();
///     }
/// });
/// assert!(rx.recv().is_err());
/// ```
///
/// (To take either kind is not to be had: a closure that can run again is one that can run once, too, so a call would not say which it
/// means.)
///
/// # Panics
/// If the global runtime is needed and can't be started. A panic in `f` is told as any detached goroutine's; a later `reset`
/// has it run again.
///
/// # Blocking
/// Never. `f` may block.
///
/// # Examples
/// ```
/// use rendez::{chan, time::after_func};
/// use std::time::Duration;
/// let (tx, rx) = chan::bounded(1);
/// let timer = after_func(Duration::from_millis(1), move || tx.send("now").unwrap());
/// assert_eq!(rx.recv(), Ok("now"));
/// assert!(!timer.stop()); // too late
/// ```
#[track_caller]
pub fn after_func<F>(duration: Duration, f: F) -> Timer
where
    F: FnMut() + Send + 'static,
{
    let func = Arc::new(Func {
        runtime: Arc::downgrade(&sched::current_runtime()),
        site: Location::caller(),
        state: SpinLock::new(State {
            next: None,
            f: Some(Box::new(f)),
            running: false,
            again: false,
            alarm: Alarm::new(),
        }),
    });
    func.set(Some(Instant::now().after(duration)));
    Timer::of_func(func)
}

pub(super) struct Func {
    runtime: Weak<Shared>,
    site: &'static Location<'static>,
    state: SpinLock<State>,
}

struct State {
    next: Option<Instant>,
    /// `None` while it runs, and when it never will again.
    f: Option<Box<dyn FnMut() + Send>>,
    running: bool,
    /// It came due while it ran.
    again: bool,
    alarm: Alarm,
}

// A panic in `f` is caught at the goroutine's end; no other user code runs here.
impl UnwindSafe for Func {}
impl RefUnwindSafe for Func {}

impl Func {
    /// Sets it, or stops it. Whether it was set.
    pub(super) fn set(self: &Arc<Self>, next: Option<Instant>) -> bool {
        let waker = Waker::from(self.clone());
        let mut state = self.state.lock();
        let before = mem::replace(&mut state.next, next);
        // A run that has been put off until the running one has returned has not begun.
        let prevented = mem::take(&mut state.again);
        // SAFETY: who holds the lock is the owner, and the alarm goes with the memory that this is in. (The wakers that come
        // and go under the lock are references to this, and never the last.)
        unsafe {
            match next {
                Some(next) => state.alarm.set(next, &waker),
                None => state.alarm.clear(),
            }
        }
        before.is_some() || prevented
    }

    /// The alarm has gone off, or its worker has ended.
    fn ring(self: Arc<Self>) {
        let waker = Waker::from(self.clone());
        let runtime = self.runtime.upgrade().filter(|runtime| !runtime.is_stopping());
        let mut state = self.state.lock();
        let Some(next) = state.next else { return };
        let Some(runtime) = runtime else {
            state.next = None;
            let f = state.f.take();
            drop(state);
            drop(f);
            return;
        };
        if next > Instant::now() {
            // SAFETY: as in `set`.
            unsafe { state.alarm.set(next, &waker) };
            return;
        }
        state.next = None;
        if mem::replace(&mut state.running, true) {
            state.again = true;
            return;
        }
        drop(state);
        let site = self.site;
        let run = Run(self);
        task::start_detached(&runtime, site, move || run.run());
    }
}

impl Wake for Func {
    fn wake(self: Arc<Self>) {
        self.ring();
    }
}

/// The goroutine that runs `f`.
struct Run(Arc<Func>);

impl Run {
    fn run(self) {
        loop {
            let Some(f) = self.0.state.lock().f.take() else { return };
            // Puts it back, whether it returns or panics.
            let mut back = Back { func: &self.0, f: Some(f) };
            if let Some(f) = &mut back.f {
                f();
            }
            drop(back);
            if !mem::take(&mut self.0.state.lock().again) {
                return;
            }
        }
    }
}

impl Drop for Run {
    /// Also when the runtime drops it unstarted.
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.running = false;
        if mem::take(&mut state.again) {
            // It panicked, or came due again just now: so it is due.
            let now = Instant::now();
            state.next.get_or_insert(now);
            let waker = Waker::from(self.0.clone());
            // SAFETY: as in `Func::set`.
            unsafe { state.alarm.set(state.next.unwrap_or(now), &waker) };
        }
    }
}

struct Back<'a> {
    func: &'a Func,
    f: Option<Box<dyn FnMut() + Send>>,
}

impl Drop for Back<'_> {
    fn drop(&mut self) {
        self.func.state.lock().f = self.f.take();
    }
}
