//! Coroutines by themselves, on the architecture's switch.

use super::{Coroutine, Word};
use crate::stack;
use std::{cell::Cell, hint::black_box, ptr};

/// What an entry works with.
struct Shared {
    coroutine: Cell<*const Coroutine>,
    log: Cell<usize>,
}

impl Shared {
    fn new() -> Shared {
        Shared { coroutine: Cell::new(ptr::null()), log: Cell::new(0) }
    }

    fn coroutine(&self) -> &Coroutine {
        // SAFETY: set before it is resumed, and not moved while it is.
        unsafe { &*self.coroutine.get() }
    }

    fn make(&self, entry: super::Entry) -> Box<Coroutine> {
        let pool = stack::pool(64 << 10).expect("a pool");
        let stack = pool.allocate().expect("a stack");
        let made = Box::new(Coroutine::new(stack, entry, ptr::from_ref(self).cast()));
        self.coroutine.set(&raw const *made);
        made
    }
}

fn word(number: usize) -> Word {
    ptr::without_provenance(number)
}

/// Adds up what it is given.
unsafe extern "C" fn adds(first: Word, data: *const ()) -> ! {
    // SAFETY: made with this data, which outlives the coroutine; and called by the first resume.
    let shared = unsafe { &*data.cast::<Shared>() };
    let me = shared.coroutine();
    // SAFETY: first of all.
    unsafe { me.begun() };
    let mut sum = first.addr();
    loop {
        // SAFETY: we run on it.
        sum += unsafe { me.suspend(word(sum)) }.addr();
    }
}

#[test]
fn words_go_to_and_fro() {
    let shared = Shared::new();
    let coroutine = shared.make(adds);
    // SAFETY: it is suspended each time, and this is its thread.
    let sums = [1, 2, 3, 4].map(|n| unsafe { coroutine.resume(word(n)) }.addr());
    assert_eq!(sums, [1, 3, 6, 10]);
    // SAFETY: suspended, and never gone on with.
    drop(unsafe { coroutine.into_stack() });
}

/// Suspends at the end of a recursion, with numbers in all registers that there are.
unsafe extern "C" fn digs(_: Word, data: *const ()) -> ! {
    #[inline(never)]
    fn dig(shared: &Shared, depth: usize, floats: [f64; 4]) -> usize {
        let numbers: [usize; 8] = std::array::from_fn(|i| black_box(depth * 10 + i));
        if depth == 0 {
            // SAFETY: we run on it.
            unsafe { shared.coroutine().suspend(ptr::null()) };
        } else {
            let below = dig(shared, depth - 1, floats.map(|x| black_box(x + 1.0)));
            shared.log.set(shared.log.get() + below);
        }
        assert_eq!(floats[1] - floats[0], 1.0);
        numbers.iter().sum::<usize>() - (0..8).map(|i| depth * 10 + i).sum::<usize>() + 1
    }
    // SAFETY: as above.
    let shared = unsafe { &*data.cast::<Shared>() };
    // SAFETY: first of all.
    unsafe { shared.coroutine().begun() };
    loop {
        dig(shared, 20, [0.0, 1.0, 2.0, 3.0].map(black_box));
    }
}

#[test]
fn what_functions_hold_is_there_when_they_go_on() {
    let shared = Shared::new();
    let coroutine = shared.make(digs);
    let mine: [usize; 8] = std::array::from_fn(black_box);
    for round in 0..5 {
        assert_eq!(shared.log.get(), 20 * usize::saturating_sub(round, 1));
        // SAFETY: as above.
        unsafe { coroutine.resume(ptr::null()) };
        assert_eq!(mine, [0, 1, 2, 3, 4, 5, 6, 7]);
    }
    // SAFETY: suspended, and never gone on with.
    drop(unsafe { coroutine.into_stack() });
}

/// Resumes the one that the word points to, and passes on what that says.
unsafe extern "C" fn nests(first: Word, data: *const ()) -> ! {
    // SAFETY: as above; the words are coroutines that are suspended.
    let shared = unsafe { &*data.cast::<Shared>() };
    let me = shared.coroutine();
    // SAFETY: first of all.
    unsafe { me.begun() };
    let mut inner = first;
    loop {
        // SAFETY: as above.
        unsafe {
            let said = (*inner.cast::<Coroutine>()).resume(word(5));
            inner = me.suspend(said);
        }
    }
}

#[test]
fn one_may_be_resumed_from_another_ones_stack() {
    let (outer, inner) = (Shared::new(), Shared::new());
    let (nesting, adding) = (outer.make(nests), inner.make(adds));
    // SAFETY: both are suspended each time.
    let sums = [5, 12, 17].map(|sum| {
        if sum == 12 {
            // SAFETY: as above.
            unsafe { adding.resume(word(2)) };
        }
        // SAFETY: as above.
        unsafe { nesting.resume((&raw const *adding).cast()) }.addr()
    });
    assert_eq!(sums, [5, 12, 17]);
    // SAFETY: suspended, and never gone on with.
    drop(unsafe { (nesting.into_stack(), adding.into_stack()) });
}

/// Panics and catches it, then looks at its own frames.
unsafe extern "C" fn panics(_: Word, data: *const ()) -> ! {
    // SAFETY: as above.
    let shared = unsafe { &*data.cast::<Shared>() };
    let me = shared.coroutine();
    // SAFETY: first of all.
    unsafe { me.begun() };
    loop {
        let caught = std::panic::catch_unwind(|| std::panic::resume_unwind(Box::new(7_usize)));
        let caught = *caught.unwrap_err().downcast::<usize>().expect("a number");
        shared.log.set(super::super::frames::here().len());
        // SAFETY: we run on it.
        unsafe { me.suspend(word(caught)) };
    }
}

#[test]
fn panics_are_caught_on_it_and_whoever_walks_over_its_frames_ends_at_its_first() {
    let shared = Shared::new();
    let coroutine = shared.make(panics);
    for _ in 0..2 {
        // SAFETY: as above.
        assert_eq!(unsafe { coroutine.resume(ptr::null()) }.addr(), 7);
        let frames = shared.log.get();
        assert!((2..12).contains(&frames), "{frames} frames");
    }
    // SAFETY: suspended, and never gone on with.
    drop(unsafe { coroutine.into_stack() });
}

/// Goes on with the other one, whose address is the word that it begins with, until so many rounds are over; then says how many it has had.
unsafe extern "C" fn passes(first: Word, data: *const ()) -> ! {
    // SAFETY: as above.
    let shared = unsafe { &*data.cast::<Shared>() };
    let me = shared.coroutine();
    // SAFETY: first of all.
    unsafe { me.begun() };
    let other = first.cast::<Coroutine>();
    // SAFETY: we run on it.
    let mut left = unsafe { me.suspend(ptr::null()) }.addr();
    loop {
        let kept = black_box([left; 6]);
        shared.log.set(shared.log.get() + 1);
        left = match left {
            // SAFETY: as above.
            0 => unsafe { me.leave(None, word(shared.log.get())) }.addr(),
            // SAFETY: as above; the other one has suspended, or left for this one.
            _ => unsafe { me.leave(Some(&*other), word(left - 1)) }.addr(),
        };
        assert_eq!(kept[0], kept[5]);
    }
}

#[test]
fn one_may_go_on_with_another_which_goes_back_to_who_resumed_the_first() {
    if !super::CAN_PASS {
        return;
    }
    let all = [Shared::new(), Shared::new()];
    let [a, b] = all.each_ref().map(|shared| shared.make(passes));
    let go = |coroutine: &Coroutine, word| {
        // SAFETY: both are suspended each time.
        unsafe { coroutine.resume(word) }.addr()
    };
    go(&a, (&raw const *b).cast());
    go(&b, (&raw const *a).cast());
    let mine: [usize; 8] = std::array::from_fn(black_box);
    assert_eq!(go(&a, word(4)), 3, "a, b, a, b, and a is the last");
    assert_eq!(go(&b, word(0)), 3, "b alone");
    assert_eq!(go(&b, word(1)), 4, "it passes on to a, in the midst of whose run it was left");
    // From another one's stack, and back to that.
    let outer = Shared::new();
    let nesting = outer.make(nests);
    assert_eq!(go(&nesting, (&raw const *a).cast()), 7);
    assert_eq!(mine, [0, 1, 2, 3, 4, 5, 6, 7]);
    // SAFETY: suspended, and never gone on with.
    drop(unsafe { (a.into_stack(), b.into_stack(), nesting.into_stack()) });
}
