//! What somebody waits for, in a form that a report can ask.
//!
//! A park leaves two words in the books of its goroutine: the [`Kind`] of its wait, which is a constant, and where its source
//! lies. That is all it costs. Who makes a report asks the source then, on the goroutine's own worker: the wait borrows
//! the source, so it is there for as long as the goroutine is parked.

use super::Reason;
use std::{marker::PhantomData, panic::Location, ptr, sync::Arc};

/// Something that can be waited for, and can say what it is.
pub(crate) trait Tells {
    /// Adds what it is. Takes no lock but that of the names, and calls no code of the program's; reads what any thread may, for if it is a
    /// thread that waits another one asks.
    fn tell(&self, things: &mut Vec<Thing>);
}

/// Says nothing: there is more than could be said.
impl Tells for () {
    fn tell(&self, _: &mut Vec<Thing>) {}
}

/// Why, and at what kind of source.
#[derive(Clone, Copy)]
#[cfg_attr(loom, allow(dead_code, reason = "goroutines are asked"))]
pub(crate) struct Kind {
    pub(crate) reason: Reason,
    /// Asks a source of this kind.
    tell: unsafe fn(*const (), &mut Vec<Thing>),
}

/// All the kinds that a source of type `S` has.
struct Kinds<S>(PhantomData<S>);

impl<S: Tells> Kinds<S> {
    const ALL: [Kind; Reason::ALL.len()] = {
        let mut kinds = [Kind { reason: Reason::ALL[0], tell: tell::<S> }; Reason::ALL.len()];
        let mut i = 0;
        while i < kinds.len() {
            kinds[i].reason = Reason::ALL[i];
            i += 1;
        }
        kinds
    };
}

/// # Safety
/// `source` is an `S` that is there, and may be looked at.
unsafe fn tell<S: Tells>(source: *const (), things: &mut Vec<Thing>) {
    // SAFETY: by contract.
    unsafe { (*source.cast::<S>()).tell(things) }
}

/// Why one waits, and for what; see the head of the module.
#[derive(Clone, Copy)]
#[cfg_attr(loom, allow(dead_code, reason = "goroutines are asked"))]
pub(crate) struct Awaited<'a> {
    pub(crate) kind: &'static Kind,
    pub(crate) source: *const (),
    _source: PhantomData<&'a ()>,
}

impl<'a> Awaited<'a> {
    #[inline(always)]
    pub(crate) fn of<S: Tells>(reason: Reason, source: &'a S) -> Self {
        let kinds: &'static [Kind] = &Kinds::<S>::ALL;
        Awaited { kind: &kinds[reason as usize], source: ptr::from_ref(source).cast(), _source: PhantomData }
    }
}

impl From<Reason> for Awaited<'_> {
    #[inline(always)]
    fn from(reason: Reason) -> Self {
        Awaited::of(reason, &())
    }
}

impl Kind {
    /// Asks the source of a wait of this kind.
    ///
    /// # Safety
    /// Both have been left together by a park that lasts, and this is the worker of the goroutine that is parked; or by a thread, whose wait
    /// lasts for as long as this takes, and which has made known to this one what it did before.
    #[cfg(not(loom))]
    pub(crate) unsafe fn ask(&self, source: *const ()) -> Vec<Thing> {
        let mut things = Vec::new();
        // SAFETY: by contract: the wait borrows it.
        unsafe { (self.tell)(source, &mut things) };
        things
    }
}

/// One thing that is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(loom, allow(dead_code, reason = "nobody is told"))]
pub struct Thing {
    /// As `channel`.
    pub(crate) what: &'static str,
    /// Of what type its values are.
    pub(crate) of: Option<&'static str>,
    pub(crate) name: Option<Arc<str>>,
    pub(crate) made: Option<&'static Location<'static>>,
    pub(crate) end: End,
}

impl Thing {
    pub(crate) fn new(what: &'static str, end: End) -> Thing {
        Thing { what, of: None, name: None, made: None, end }
    }
}

/// Who can end a wait for a thing, as far as the thing knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(loom, allow(dead_code, reason = "nobody is told"))]
#[expect(unreachable_pub, reason = "as `Thing`, whose field it is")]
pub enum End {
    /// Nobody, ever.
    Nobody,
    /// Time, the system, or whoever: it does not know.
    Anybody,
    /// This goroutine alone, by ending.
    Goroutine(u64),
    /// The goroutine with this number, of which these are the low bits, has locked it.
    Holder(u32),
    /// A thread that is no goroutine has locked it.
    Thread,
    /// It is on its way from one who held it to one who waited.
    Passing,
    /// So many readers hold it.
    Readers(u32),
    /// The goroutine that calls its function.
    Caller(u64),
    /// The children of a scope, of whom there are so many. Each was given `word` when it was created.
    Children { count: i32, word: usize },
    /// Whoever has one of the ends of a channel. An end is, in memory, `word`.
    Ends { senders: usize, receivers: usize, word: usize },
    /// Whoever has one of so many handles of a wait group, whose counter is `count`. A handle is, in memory, `word`.
    Handles { count: i32, handles: usize, word: usize },
    /// Permits: how many are wanted, how many are free, of how many.
    Permits { wanted: usize, free: usize, total: usize },
    /// Others that are to come as well: how many have, of how many.
    Arrivals { came: usize, number: usize },
}

/// What a handle is in memory that is an [`Arc`](std::sync::Arc) of what is at `at`: the address of the counts, which stand
/// before the value. (That is a matter of the standard library. If it changes, a test says so, and until then some
/// goroutines are not said to be deadlocked that are.)
#[cfg(not(loom))]
pub(crate) fn word_of_arc<T>(at: &T) -> usize {
    let counts = 2 * size_of::<usize>();
    ptr::from_ref(at).addr() - counts.next_multiple_of(align_of::<T>())
}

const _: () = {
    let mut i = 0;
    while i < Reason::ALL.len() {
        assert!(Reason::ALL[i] as usize == i, "they are out of order");
        i += 1;
    }
    assert!(Reason::Rest as usize == Reason::ALL.len() - 1, "one is missing");
};

#[cfg(all(test, not(loom)))]
mod tests {
    use super::word_of_arc;
    use std::sync::Arc;

    fn bits<T>(handle: &Arc<T>) -> usize {
        assert_eq!(size_of_val(handle), size_of::<usize>());
        // SAFETY: it is one word, and is only looked at.
        unsafe { std::mem::transmute_copy(handle) }
    }

    #[test]
    fn a_handle_is_the_word_that_it_is_taken_for() {
        #[repr(align(64))]
        struct Wide(u8);
        let (byte, word, wide) = (Arc::new(1_u8), Arc::new([2_u64; 3]), Arc::new(Wide(3)));
        assert_eq!(word_of_arc(&*byte), bits(&byte));
        assert_eq!(word_of_arc(&*word), bits(&word));
        assert_eq!(word_of_arc(&*wide), bits(&wide));
        assert_eq!(wide.0, 3);
    }
}
