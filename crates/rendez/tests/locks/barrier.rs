//! `Barrier`: nobody goes on before all have come, from every world.

use crate::{
    setup::{Drops, runtime, wait_until},
    worlds::{Wakes, in_every_world, poll_once, poll_with},
};
use rendez::{chan, sync::Barrier};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

#[test]
fn nobody_goes_on_before_all_have_come_and_one_is_told_apart() {
    const NUMBER: usize = 8;
    const ROUNDS: usize = 50;
    in_every_world(|crew| {
        let (barrier, came) = (Arc::new(Barrier::new(NUMBER)), Arc::new(AtomicUsize::new(0)));
        let roles: Vec<_> = (0..NUMBER)
            .map(|_| {
                let (barrier, came) = (barrier.clone(), came.clone());
                crew.start(move |ops| async move {
                    let mut last = 0;
                    for round in 1..=ROUNDS {
                        came.fetch_add(1, Ordering::SeqCst);
                        last += usize::from(ops.meet(&barrier).await);
                        let came = came.load(Ordering::SeqCst);
                        assert!((round * NUMBER..(round + 1) * NUMBER).contains(&came), "{round}: {came}");
                    }
                    last
                })
            })
            .collect();
        let last: usize = roles.into_iter().map(|role| role.join()).sum();
        assert_eq!(last, ROUNDS);
    });
}

#[test]
fn a_barrier_for_one_or_none_keeps_nobody() {
    for number in [0, 1] {
        let barrier = Barrier::new(number);
        assert!(barrier.wait() && barrier.wait());
    }
}

#[test]
fn a_future_that_is_dropped_has_not_come() {
    let barrier = Barrier::new(3);
    let (wakes, waker) = Wakes::new();
    let mut gone = Box::pin(barrier.wait_async());
    let mut first = Box::pin(barrier.wait_async());
    let mut second = Box::pin(barrier.wait_async());
    assert!(poll_once(gone.as_mut()).is_none());
    assert!(poll_with(first.as_mut(), &waker).is_none());
    drop(gone);
    assert!(poll_with(second.as_mut(), &waker).is_none(), "one is missing");
    assert_eq!(wakes.count(), 0);
    assert!(barrier.wait());
    assert_eq!(wakes.count(), 2);
    assert_eq!(poll_once(first.as_mut()), Some(false));
    // That they all have met is not undone.
    drop(second);
    let mut next = Box::pin(barrier.wait_async());
    assert_eq!(poll_once(next.as_mut()), None);
    assert!(format!("{next:?} {barrier:?}").contains("number: 3"));
}

#[test]
fn a_shutdown_takes_away_those_who_wait() {
    for workers in [1, 2, 8] {
        let (barrier, drops) = (Arc::new(Barrier::new(4)), Drops::default());
        let here = Arc::new(AtomicUsize::new(0));
        let first = runtime(workers);
        for _ in 0..3 {
            let (barrier, token, here) = (barrier.clone(), drops.token(), here.clone());
            first.spawn(move || {
                let _token = token;
                here.fetch_add(1, Ordering::SeqCst);
                barrier.wait();
            });
        }
        wait_until(|| here.load(Ordering::SeqCst) == 3);
        first.shutdown();
        assert_eq!(drops.count(), 3);
        // It needs four again.
        let (met, meets) = chan::unbounded();
        let second = runtime(workers);
        for _ in 0..3 {
            let (barrier, met) = (barrier.clone(), met.clone());
            second.spawn(move || met.send(barrier.wait()).unwrap());
        }
        // Real runtimes were shut down, so the time is real as well; on a slow machine less is seen, and nothing fails.
        assert!(meets.recv_timeout(std::time::Duration::from_millis(5)).is_err(), "one is missing");
        let mine = barrier.wait();
        let last = (0..3).filter(|_| meets.recv().unwrap()).count() + usize::from(mine);
        assert_eq!(last, 1);
    }
}
