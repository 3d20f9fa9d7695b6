//! `OnceValue`: a value that is made when it is first asked for (Go's `sync/oncefunc.go`).

use super::{Once, panic_text::text_of};
use crate::{
    sched,
    task::{ForcedUnwind, forget_unwound_frames},
    wait,
};
use std::{
    any::Any,
    cell::UnsafeCell,
    fmt, mem,
    panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind, resume_unwind},
};

/// A value that is made by a function when it is first asked for. Whoever asks meanwhile waits; whoever asks later gets it after
/// one load.
///
/// The function is dropped once it has been called. If it panics, the first caller gets its panic, and every later one a
/// panic with the same text (payloads can't be cloned: one that is neither `&str` nor `String` is told as such).
///
/// `OnceValue<()>` is Go's `OnceFunc`, and `OnceValue<(A, B)>` its `OnceValues`.
///
/// # Statics
/// [`new`](Self::new) boxes its function, which can't be done in a static. [`from_fn`](Self::from_fn) doesn't, and can.
/// The standard library's `LazyLock` would do, but blocks the whole worker while another goroutine makes the value, for
/// ever if that one parks meanwhile and is this worker's too.
///
/// # Examples
/// ```
/// use rendez::sync::OnceValue;
/// let words = OnceValue::new(|| vec!["hello", "greetings", "good day"]);
/// assert_eq!(words.get().len(), 3);
///
/// static SQUARES: OnceValue<Vec<u64>, fn() -> Vec<u64>> = OnceValue::from_fn(|| (0..100).map(|n| n * n).collect());
/// assert_eq!(SQUARES.get()[12], 144);
/// ```
#[doc(alias("LazyLock", "OnceCell"))]
pub struct OnceValue<T, F = Box<dyn FnOnce() -> T + Send>> {
    once: Once,
    /// Written by the one who runs the call of `once`; read by anybody once that has been completed, and never changed
    /// from then on.
    slot: UnsafeCell<Slot<T, F>>,
}

enum Slot<T, F> {
    Function(F),
    Running,
    Value(T),
    Panicked(String),
    /// A shutdown has unwound the call: what callers are told.
    Ended(String),
}

// SAFETY: callers on any thread get `&T` (`T: Sync`), the first of them makes it where it is and the last owner drops it
// (`T: Send`), and the function is run by one of them (`F: Send`). `once` orders the write before the reads.
unsafe impl<T: Send + Sync, F: Send> Sync for OnceValue<T, F> {}

// The function is not seen again after a panic, which is remembered; what is left to be seen broken is the value.
impl<T: UnwindSafe, F> UnwindSafe for OnceValue<T, F> {}
impl<T: RefUnwindSafe + UnwindSafe, F> RefUnwindSafe for OnceValue<T, F> {}

impl<T> OnceValue<T> {
    /// A value that `f` will make.
    pub fn new(f: impl FnOnce() -> T + Send + 'static) -> OnceValue<T> {
        OnceValue::from_fn(Box::new(f))
    }
}

impl<T, F: FnOnce() -> T> OnceValue<T, F> {
    /// A value that `f` will make, which is kept as it is: for statics (`F` is then `fn() -> T`) and fields.
    pub const fn from_fn(f: F) -> OnceValue<T, F> {
        OnceValue { once: Once::new(), slot: UnsafeCell::new(Slot::Function(f)) }
    }

    /// The value; made now if it has not been.
    ///
    /// # Panics
    /// As the function panicked. If the function asks for its own value.
    ///
    /// # Blocking
    /// Parks the goroutine, or the OS thread, while another caller makes the value.
    ///
    /// # Cancellation
    /// A runtime's shutdown unwinds a parked goroutine. If it unwinds the one that makes the value, goroutines that are to end
    /// with it are unwound when they ask; other callers are told so by a panic.
    #[inline]
    #[track_caller]
    pub fn get(&self) -> &T {
        if !self.once.is_completed() {
            self.make();
        }
        // SAFETY: completed; see the field.
        match unsafe { &*self.slot.get() } {
            Slot::Value(value) => value,
            slot => slot.refuse(),
        }
    }

    /// The value if it has been made.
    ///
    /// # Examples
    /// ```
    /// use rendez::sync::OnceValue;
    /// let answer = OnceValue::new(|| 42);
    /// assert_eq!(answer.try_get(), None);
    /// answer.get();
    /// assert_eq!(answer.try_get(), Some(&42));
    /// ```
    pub fn try_get(&self) -> Option<&T> {
        if !self.once.is_completed() {
            return None;
        }
        // SAFETY: completed; see the field.
        match unsafe { &*self.slot.get() } {
            Slot::Value(value) => Some(value),
            _ => None,
        }
    }

    #[cold]
    #[track_caller]
    fn make(&self) {
        let mut panicked: Option<Box<dyn Any + Send>> = None;
        self.once.call("OnceValue", || {
            let slot = self.slot.get();
            // SAFETY: we are the one that runs the call. No reference is held while the function runs.
            let Slot::Function(f) = (unsafe { mem::replace(&mut *slot, Slot::Running) }) else {
                unreachable!("it is called once")
            };
            let made = match catch_unwind(AssertUnwindSafe(f)) {
                Ok(value) => Slot::Value(value),
                Err(payload) => {
                    forget_unwound_frames();
                    let text = text_of(&*payload);
                    let ended = payload.is::<ForcedUnwind>();
                    panicked = Some(payload);
                    if ended { Slot::Ended(text) } else { Slot::Panicked(text) }
                }
            };
            // SAFETY: as above. What is overwritten is `Running`, which has no destructor.
            unsafe { *slot = made };
        });
        if let Some(payload) = panicked {
            resume_unwind(payload);
        }
    }
}

impl<T, F> Slot<T, F> {
    #[cold]
    #[track_caller]
    fn refuse(&self) -> ! {
        match self {
            // Nothing went wrong: no panic is to be told, nor, by the policy, to end the process.
            Slot::Ended(_) if sched::is_ending() => wait::unwind_cancelled(),
            Slot::Panicked(text) | Slot::Ended(text) => panic!("{text}"),
            _ => unreachable!("a call that has been completed leaves a value or a panic"),
        }
    }
}

impl<T, F> fmt::Debug for OnceValue<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnceValue").field("completed", &self.once.is_completed()).finish_non_exhaustive()
    }
}
