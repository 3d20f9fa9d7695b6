//! Children of a group that are counted apart, under loom: with every second one that starts, there.

use super::{
    WaitGroup,
    counter::{Child, Handle},
};
use crate::sync::loom_tests::{Checked, explore, explore_with};
use loom::{sync::Arc, thread};
use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::{Context, Waker},
};

/// So many children of one group.
fn family(children: usize) -> (WaitGroup, Vec<Child>) {
    let group = WaitGroup { inner: Handle::new() };
    let children = (0..children).map(|_| group.inner.start_child()).collect();
    (group, children)
}

/// Ends each on a thread of its own, when it has used what is its.
fn end(children: Vec<Child>) -> (Vec<Arc<Checked>>, Vec<thread::JoinHandle<()>>) {
    let start = |child| {
        let value = Arc::new(Checked::new());
        let theirs = value.clone();
        let run = move || {
            theirs.add_alone();
            drop(child);
        };
        (value, thread::spawn(run))
    };
    children.into_iter().map(start).unzip()
}

#[test]
fn who_waits_sees_what_children_have_done_that_are_counted_apart() {
    explore(|| {
        let (group, children) = family(2);
        let (values, threads) = end(children);
        group.wait();
        values.iter().for_each(|value| assert_eq!(value.get(), 1));
        assert_eq!(group.inner.count(), 0);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn who_finds_zero_sees_what_children_have_done_whom_somebody_else_has_taken_off() {
    explore(|| {
        let (group, mut children) = family(2);
        drop(children.pop());
        let (values, mut threads) = end(children);
        threads.push(thread::spawn({
            let group = group.clone();
            move || _ = group.inner.is_zero()
        }));
        if group.inner.is_zero() {
            values.iter().for_each(|value| assert_eq!(value.get(), 1));
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(group.inner.is_zero());
    });
}

#[test]
fn who_finds_zero_sees_what_came_before_it_was_made() {
    explore(|| {
        let (group, children) = family(2);
        let value = Arc::new(Checked::new());
        // Last in loom's first order, so that it finds what is made here.
        let looker = thread::spawn({
            let (group, value) = (group.clone(), value.clone());
            move || {
                if group.inner.is_zero() {
                    assert_eq!(value.get(), 1);
                }
            }
        });
        value.add_alone();
        drop(children);
        assert!(group.inner.is_zero());
        looker.join().unwrap();
    });
}

#[test]
fn a_group_is_freed_with_the_last_of_handles_and_children() {
    explore(|| {
        let (group, children) = family(2);
        let (_, threads) = end(children);
        drop(group);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn two_who_wait_and_one_who_looks_let_nothing_be_lost() {
    explore_with(2, || {
        let (group, mut children) = family(2);
        let other = thread::spawn({
            let group = group.clone();
            move || group.wait()
        });
        let last = children.pop().unwrap();
        let one = thread::spawn(move || drop(children));
        // It may have to take off the first.
        let is_zero = group.inner.is_zero();
        assert!(!is_zero, "one is out");
        drop(last);
        group.wait();
        other.join().unwrap();
        one.join().unwrap();
    });
}

#[test]
fn counting_apart_begins_again_beside_who_ends_and_who_gathers() {
    explore_with(2, || {
        let (group, mut children) = family(2);
        let looker = thread::spawn({
            let group = group.clone();
            move || _ = group.inner.is_zero()
        });
        let last = children.pop().unwrap();
        let one = thread::spawn(move || drop(children));
        // The counter comes by two again if one has been taken off.
        let more = group.inner.start_child();
        looker.join().unwrap();
        drop((last, more));
        group.wait();
        one.join().unwrap();
    });
}

#[test]
fn who_is_about_to_wait_is_not_forgotten_when_counting_apart_begins() {
    explore(|| {
        let (group, mut children) = family(1);
        let waiter = thread::spawn({
            let group = group.clone();
            move || group.wait()
        });
        children.push(group.inner.start_child());
        drop(children);
        waiter.join().unwrap();
    });
}

#[test]
fn what_is_done_by_hand_beside_children_is_exact() {
    explore(|| {
        let (group, mut children) = family(1);
        group.add(1);
        children.push(group.inner.start_child());
        children.push(group.inner.start_child());
        let theirs = children.pop();
        let one = thread::spawn(move || drop(theirs));
        group.done();
        drop(children);
        group.wait();
        one.join().unwrap();
        assert_eq!(group.inner.count(), 0);
    });
}

/// Whether the counter is zero, of who is there for a moment only.
fn is_over(group: &WaitGroup) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    pin!(group.wait_async()).poll(&mut context).is_ready()
}

#[test]
fn nobody_waits_for_children_that_have_ended_nor_wakes_one_who_does() {
    explore(|| {
        let (group, children) = family(2);
        drop(children);
        let other = thread::spawn({
            let group = group.clone();
            move || assert!(is_over(&group))
        });
        assert!(is_over(&group));
        other.join().unwrap();
    });
}

#[test]
fn children_that_have_ended_leave_room_for_others() {
    explore(|| {
        let (group, children) = family(2);
        group.add(i64::from(i32::MAX) - 2);
        drop(children);
        let start = |group: WaitGroup| move || drop(group.inner.start_child());
        let other = thread::spawn(start(group.clone()));
        start(group.clone())();
        other.join().unwrap();
        assert_eq!(group.inner.count(), i32::MAX - 2);
    });
}

#[test]
fn a_group_is_freed_although_counting_apart_begins_beside_a_handle_that_is_dropped() {
    explore(|| {
        let (group, children) = family(1);
        let other = thread::spawn({
            let group = group.clone();
            move || {
                let more = group.inner.start_child();
                drop(group);
                drop(more);
            }
        });
        drop(group);
        drop(children);
        other.join().unwrap();
    });
}

#[test]
fn who_gives_up_beside_counting_apart_leaves_all_as_it_was() {
    explore(|| {
        let (group, mut children) = family(1);
        let other = thread::spawn({
            let group = group.clone();
            move || assert!(!is_over(&group), "one is out")
        });
        children.push(group.inner.start_child());
        drop(children.pop());
        other.join().unwrap();
        assert_eq!((group.inner.count(), group.inner.waiters()), (1, 0));
        drop(children);
        group.wait();
    });
}

#[test]
fn who_takes_off_more_than_is_out_is_told_although_children_are_counted_apart() {
    explore(|| {
        let (group, children) = family(2);
        drop(children);
        assert!(catch_unwind(AssertUnwindSafe(|| group.done())).is_err());
        assert!(is_over(&group));
    });
}

#[test]
fn a_program_that_takes_off_too_much_is_left_with_zero_and_frees_all() {
    explore(|| {
        let (group, children) = family(2);
        let end = |child| move || _ = catch_unwind(AssertUnwindSafe(|| drop(child)));
        let threads: Vec<_> = children.into_iter().map(|child| thread::spawn(end(child))).collect();
        _ = catch_unwind(AssertUnwindSafe(|| group.done()));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(is_over(&group));
    });
    explore(|| {
        let (group, mut children) = family(2);
        group.done();
        children.push(group.inner.start_child());
        // Three, of whom two are in the counter.
        let last = children.pop();
        let other = thread::spawn(move || drop(children));
        drop(last);
        other.join().unwrap();
        assert!(is_over(&group));
    });
}
