//! The heap of blocks, each test with a size of its own: the depots are the process's.

use super::*;
use std::{collections::HashSet, thread};

/// A size that no task of these tests' process has: the depots are the process's.
fn layout(size: usize) -> Layout {
    assert!(class(Layout::from_size_align(size, 16).unwrap()).is_none_or(|class| class >= FIRST_CLASS));
    Layout::from_size_align(size, 16).unwrap()
}

/// Fills it, so that a block which somebody else has too is noticed.
fn filled(layout: Layout, with: u8) -> usize {
    let memory = allocate(layout);
    // SAFETY: so many bytes are ours.
    unsafe { memory.write_bytes(with, layout.size()) };
    memory.as_ptr().expose_provenance()
}

fn free_filled(memory: usize, layout: Layout, with: u8) {
    let memory = NonNull::new(ptr::with_exposed_provenance_mut::<u8>(memory)).unwrap();
    // SAFETY: `filled` made it, and it is freed once.
    unsafe {
        let bytes = std::slice::from_raw_parts(memory.as_ptr(), layout.size());
        assert!(bytes.iter().all(|&byte| byte == with));
        free(memory, layout);
    }
}

#[test]
fn blocks_are_apart_aligned_and_used_again() {
    let layout = layout(497);
    let held: Vec<_> = (0..1000).map(|i| (filled(layout, i as u8), i as u8)).collect();
    let places: HashSet<_> = held.iter().map(|&(memory, _)| memory).collect();
    assert_eq!(places.len(), 1000);
    assert!(places.iter().all(|place| place.is_multiple_of(16)));
    held.into_iter().for_each(|(memory, with)| free_filled(memory, layout, with));
    let again: Vec<_> = (0..1000).map(|_| filled(layout, 1)).collect();
    if class(layout).is_some() {
        assert!(again.iter().all(|place| places.contains(place)));
    }
    again.into_iter().for_each(|memory| free_filled(memory, layout, 1));
}

#[test]
fn what_does_not_fit_a_block_is_allocated_too() {
    for layout in [
        Layout::from_size_align(LARGEST + 1, 8).unwrap(),
        Layout::from_size_align(100, 256).unwrap(),
        Layout::from_size_align(1, 1).unwrap(),
        Layout::from_size_align(LARGEST, 16).unwrap(),
    ] {
        let memory = filled(layout, 7);
        assert!(memory.is_multiple_of(layout.align()));
        free_filled(memory, layout, 7);
    }
}

#[test]
#[cfg_attr(any(rendez_sanitize, miri), ignore = "there are no chunks then")]
fn whole_chunks_go_back_and_others_stay() {
    let layout = layout(450);
    let class = class(layout).unwrap();
    let chunks = || depot(class).chunks;
    let held: Vec<_> = (0..20_000).map(|_| filled(layout, 3)).collect();
    let most = chunks();
    assert!(most >= 20_000 / blocks_of_chunk(class));
    // One in each chunk or so stays: nothing can go.
    let (few, many): (Vec<_>, Vec<_>) = held.into_iter().enumerate().partition(|(i, _)| i % 64 == 0);
    many.into_iter().for_each(|(_, memory)| free_filled(memory, layout, 3));
    flush();
    trim_class(class, &TRIMMING.lock().unwrap());
    assert_eq!(chunks(), most);
    few.into_iter().for_each(|(_, memory)| free_filled(memory, layout, 3));
    flush();
    trim_class(class, &TRIMMING.lock().unwrap());
    let left = chunks();
    assert!(left <= KEPT_CHUNKS + LARGE_FROM_CHUNKS + 3, "{left} of {most} are left");
    // And what is left can be used, and trimmed again.
    let held: Vec<_> = (0..20_000).map(|_| filled(layout, 5)).collect();
    held.into_iter().for_each(|memory| free_filled(memory, layout, 5));
    flush();
    trim_class(class, &TRIMMING.lock().unwrap());
    assert!(chunks() <= KEPT_CHUNKS + LARGE_FROM_CHUNKS + 3);
}

#[test]
fn threads_may_free_what_others_made_and_trim_meanwhile() {
    let layout = layout(402);
    let (tx, rx) = std::sync::mpsc::sync_channel::<Vec<usize>>(4);
    thread::scope(|scope| {
        for with in [9_u8, 9] {
            let tx = tx.clone();
            scope.spawn(move || {
                for round in 0..50 {
                    tx.send((0..round * 10).map(|_| filled(layout, with)).collect()).unwrap();
                }
            });
        }
        drop(tx);
        scope.spawn(move || {
            for held in rx {
                held.into_iter().for_each(|memory| free_filled(memory, layout, 9));
            }
        });
        scope.spawn(|| (0..50).for_each(|_| trim()));
    });
}

#[test]
#[cfg_attr(any(rendez_sanitize, miri), ignore = "there are no depots then")]
fn a_thread_that_ends_leaves_its_blocks_to_others() {
    let layout = layout(418);
    let class = class(layout).unwrap();
    let free = || depot(class).free;
    let before = free();
    thread::spawn(move || free_filled(filled(layout, 2), layout, 2)).join().unwrap();
    assert!(free() > before);
}

#[test]
#[cfg_attr(any(rendez_sanitize, miri), ignore = "there are no depots then")]
fn a_block_that_is_freed_when_a_thread_s_lists_are_gone_leads_nowhere() {
    thread_local! {
        static LAST: std::cell::RefCell<Option<Frees>> = const { std::cell::RefCell::new(None) };
    }
    struct Frees(usize, Layout);
    impl Drop for Frees {
        fn drop(&mut self) {
            let gone = LOCAL.try_with(|_| ()).is_err();
            free_filled(self.0, self.1, 0xA5);
            assert!(gone, "the test is to see to that");
        }
    }
    let layout = layout(434);
    let class = class(layout).unwrap();
    let frees = thread::spawn(move || {
        // What a thread has first it drops last.
        LAST.with(|_| ());
        let memory = filled(layout, 0xA5);
        LAST.with(|last| *last.borrow_mut() = Some(Frees(memory, layout)));
        memory
    });
    let memory = frees.join().unwrap();
    let depot = depot(class);
    let mut batch = depot.batches;
    // SAFETY: what is in a depot stays there as long as its lock is held.
    unsafe {
        while batch.addr() != memory {
            batch = (*batch).next_batch;
        }
        assert_eq!(((*batch).next, (*batch).ahead, (*batch).len), (ptr::null_mut(), ptr::null_mut(), 1));
    }
}
