//! Storage of a goroutine's own: `goroutine_local!`.
//!
//! The values of a goroutine hang on its header, in a list by the address of the static that names them: few, so they are
//! looked through in order. Outside of goroutines the thread has such a list.
//!
//! * Only the goroutine itself touches its list, while it runs, so the list needs no lock. Values are boxed: one that is in use
//!   stays where it is while others are added.
//! * A goroutine stays on its thread, so its values need not be `Send`. An *async* goroutine moves between polls, and
//!   takes its values along: there a value that is not `Send` is refused, at its first use. (The macro tells the two
//!   apart where the type is known.)
//! * Values are dropped when their goroutine has ended, by it, in the reverse order of their making, before it can be joined. While they are
//!   dropped a value can't be used any more, nor after that: one that was dropped is not made anew, and none is made that was not there.

use super::header::{ASYNC, Header};
use crate::sched;
use std::{any::Any, cell::RefCell, fmt, ptr};

/// A key to a value that each goroutine has of its own; made by [`goroutine_local!`](crate::goroutine_local).
pub struct GoroutineLocal<T: 'static> {
    init: fn() -> T,
    /// Whether `T: Send`, as far as the macro could see.
    is_send: bool,
    name: &'static str,
}

/// The values of one goroutine, or thread, with the keys' addresses. `None` once they are being dropped.
#[derive(Default)]
pub(crate) struct Locals(RefCell<List>);

#[derive(Default)]
struct List {
    values: Vec<(usize, Box<dyn Any>)>,
    ended: bool,
}

impl Locals {
    /// The value of `key`, made if there is none yet; `None` if it is too late. It stays where it is until `end`.
    fn find<T>(&self, key: &'static GoroutineLocal<T>) -> Option<*const T> {
        let address = ptr::from_ref(key).addr();
        let existing = |list: &List| {
            let value = list.values.iter().find(|(other, _)| *other == address)?;
            value.1.downcast_ref::<T>().map(ptr::from_ref)
        };
        {
            let list = self.0.borrow();
            if list.ended {
                return None;
            }
            if let Some(value) = existing(&list) {
                return Some(value);
            }
        }
        // The initializer is the user's code, which may use this key or others.
        let fresh = Box::new((key.init)());
        let mut list = self.0.borrow_mut();
        if list.ended {
            return None;
        }
        // One that was made meanwhile stays: others may hold on to it.
        if existing(&list).is_none() {
            list.values.push((address, fresh));
        }
        existing(&list)
    }

    /// Leaves the values where they are, for ever: the goroutine was left behind.
    pub(crate) fn forget(&self) {
        let mut list = self.0.borrow_mut();
        list.ended = true;
        std::mem::forget(std::mem::take(&mut list.values));
    }

    /// Drops the values. One that panics keeps none of the others.
    pub(crate) fn end(&self) {
        let mut values = {
            let mut list = self.0.borrow_mut();
            list.ended = true;
            std::mem::take(&mut list.values)
        };
        /// Goes on when a destructor has panicked.
        struct Rest<'a>(&'a mut Vec<(usize, Box<dyn Any>)>);
        impl Drop for Rest<'_> {
            fn drop(&mut self) {
                while let Some(value) = self.0.pop() {
                    drop(value);
                }
            }
        }
        let rest = Rest(&mut values);
        while let Some(value) = rest.0.pop() {
            drop(value);
        }
    }
}

thread_local! {
    /// For whoever is no goroutine.
    static OF_THREAD: Locals = const { Locals(RefCell::new(List { values: Vec::new(), ended: false })) };
}

impl<T: 'static> GoroutineLocal<T> {
    #[doc(hidden)]
    pub const fn __new(name: &'static str, init: fn() -> T, is_send: is_send::IsSend<T>) -> Self {
        GoroutineLocal { init, is_send: is_send.0, name }
    }

    /// Shows `f` the caller's own value, which is made at its first use.
    ///
    /// # Panics
    /// If the goroutine's values are being dropped because it has ended, or have been; if the initializer panics; and in an async goroutine, if the
    /// type is not `Send`: such a goroutine moves between threads, and its values with it.
    ///
    /// # Examples
    /// ```
    /// use std::cell::Cell;
    /// rendez::goroutine_local! {
    ///     static DEPTH: Cell<u32> = const { Cell::new(0) };
    /// }
    /// DEPTH.with(|depth| depth.set(5));
    /// let theirs = rendez::go(|| DEPTH.with(|depth| depth.get()));
    /// assert_eq!(theirs.join().unwrap(), 0);
    /// ```
    #[track_caller]
    pub fn with<F, R>(&'static self, f: F) -> R
    where
        F: FnOnce(&T) -> R,
    {
        match self.find() {
            // SAFETY: values stay where they are until their goroutine, or thread, ends, which it does not do within this call.
            Some(value) => f(unsafe { &*value }),
            None => {
                panic!(
                    "the goroutine-local {} is used while its goroutine's values are dropped, or after that",
                    self.name
                )
            }
        }
    }

    /// As [`with`](Self::with), but `None` if the goroutine's values are being dropped, or have been.
    ///
    /// # Panics
    /// Otherwise as [`with`](Self::with).
    #[track_caller]
    pub fn try_with<F, R>(&'static self, f: F) -> Option<R>
    where
        F: FnOnce(&T) -> R,
    {
        // SAFETY: as in `with`.
        self.find().map(|value| f(unsafe { &*value }))
    }

    #[track_caller]
    fn find(&'static self) -> Option<*const T> {
        match sched::current_goroutine() {
            Some(goroutine) => {
                // SAFETY: the running goroutine's header, whose locals only it touches.
                let header: &Header = unsafe { goroutine.0.as_ref() };
                assert!(
                    self.is_send || !header.has_flag(ASYNC),
                    "the goroutine-local {} is not Send, and an async goroutine moves between threads",
                    self.name
                );
                // What runs on its stack after its end (the destructor of a result that nobody takes, a joiner's waker) is too late as
                // well: nobody would end what it makes, and whoever frees the header may be on another thread.
                if header.is_done() {
                    return None;
                }
                // SAFETY: as above.
                unsafe { header.locals() }.find(self)
            }
            None => OF_THREAD.try_with(|locals| locals.find(self)).ok().flatten(),
        }
    }
}

impl<T: 'static> GoroutineLocal<std::cell::Cell<T>> {
    /// Sets the caller's value.
    ///
    /// # Panics
    /// As [`with`](Self::with).
    #[track_caller]
    pub fn set(&'static self, value: T) {
        self.with(|cell| cell.set(value));
    }

    /// A copy of the caller's value.
    ///
    /// # Panics
    /// As [`with`](Self::with).
    #[track_caller]
    pub fn get(&'static self) -> T
    where
        T: Copy,
    {
        self.with(std::cell::Cell::get)
    }
}

impl<T: 'static> GoroutineLocal<RefCell<T>> {
    /// Shows `f` the caller's value.
    ///
    /// # Panics
    /// As [`with`](Self::with); and if it is borrowed mutably.
    #[track_caller]
    pub fn with_borrow<F, R>(&'static self, f: F) -> R
    where
        F: FnOnce(&T) -> R,
    {
        self.with(|cell| f(&cell.borrow()))
    }

    /// Lets `f` change the caller's value.
    ///
    /// # Panics
    /// As [`with`](Self::with); and if it is borrowed.
    #[track_caller]
    pub fn with_borrow_mut<F, R>(&'static self, f: F) -> R
    where
        F: FnOnce(&mut T) -> R,
    {
        self.with(|cell| f(&mut cell.borrow_mut()))
    }
}

impl<T: 'static> fmt::Debug for GoroutineLocal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GoroutineLocal").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Whether a type is `Send`, for macros that know which: the constant of the inherent block goes before that of the trait.
#[doc(hidden)]
pub mod is_send {
    use std::marker::PhantomData;

    /// The answer, about `T` alone. Only this module makes one, and says yes only where the compiler has seen that it is so: memory
    /// safety rests on it.
    #[derive(Debug)]
    pub struct IsSend<T>(pub(super) bool, PhantomData<fn(T) -> T>);

    #[derive(Debug)]
    pub struct Probe<T>(PhantomData<T>);

    pub trait Otherwise: Sized {
        type Of;
        const IS_SEND: IsSend<Self::Of>;
    }

    impl<T> Otherwise for Probe<T> {
        type Of = T;
        const IS_SEND: IsSend<T> = IsSend(false, PhantomData);
    }

    impl<T: Send> Probe<T> {
        pub const IS_SEND: IsSend<T> = IsSend(true, PhantomData);
    }
}

/// Declares values that each goroutine has of its own, as [`std::thread_local!`] does for threads, which it is written like.
///
/// A `thread_local!` belongs to the *worker*: all goroutines on it see the same value, and change it for each other whenever
/// one waits. A `goroutine_local!` belongs to the goroutine: it is made at the first use there, and dropped when the goroutine
/// ends, before `join` returns. Outside of goroutines each thread has one. See [`GoroutineLocal`] for what can be done with it.
///
/// In an async goroutine the type has to be `Send`, since it moves between threads: if it is not, the first use there panics.
///
/// # Examples
/// ```
/// use std::cell::{Cell, RefCell};
/// rendez::goroutine_local! {
///     /// Whose request this goroutine works on.
///     static REQUEST: RefCell<String> = RefCell::new(String::new());
///     static STEPS: Cell<u32> = const { Cell::new(0) };
/// }
/// let handles = ["ann", "bob"].map(|name| {
///     rendez::go(move || {
///         REQUEST.with_borrow_mut(|request| request.push_str(name));
///         rendez::yield_now(); // others come between
///         STEPS.set(STEPS.get() + 1);
///         (REQUEST.with_borrow(Clone::clone), STEPS.get())
///     })
/// });
/// let told = handles.map(|handle| handle.join().unwrap());
/// assert_eq!(told, [("ann".to_string(), 1), ("bob".to_string(), 1)]);
/// ```
#[macro_export]
macro_rules! goroutine_local {
    () => {};
    ($(#[$attr:meta])* $vis:vis static $name:ident : $t:ty = const $init:block $(; $($rest:tt)*)?) => {
        $crate::__goroutine_local!($(#[$attr])* $vis $name, $t, $init);
        $($crate::goroutine_local! { $($rest)* })?
    };
    ($(#[$attr:meta])* $vis:vis static $name:ident : $t:ty = $init:expr $(; $($rest:tt)*)?) => {
        $crate::__goroutine_local!($(#[$attr])* $vis $name, $t, $init);
        $($crate::goroutine_local! { $($rest)* })?
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __goroutine_local {
    ($(#[$attr:meta])* $vis:vis $name:ident, $t:ty, $init:expr) => {
        $(#[$attr])*
        $vis static $name: $crate::GoroutineLocal<$t> = {
            #[allow(unused_imports)]
            use $crate::__is_send::Otherwise as _;
            fn init() -> $t {
                $init
            }
            $crate::GoroutineLocal::__new(
                ::core::stringify!($name),
                init,
                $crate::__is_send::Probe::<$t>::IS_SEND,
            )
        };
    };
}
