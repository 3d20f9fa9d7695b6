//! `WaitGroup`: Go's rules, with its words, from every world.

use crate::worlds::{Wakes, in_every_world, on_one_worker, poll_once, poll_with};
use rendez::{Runtime, chan, sync::WaitGroup};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

/// What `f` panics with.
fn panic_of(f: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(f)).expect_err("it should have panicked");
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload.downcast_ref::<&str>().expect("a text").to_string(),
    }
}

#[test]
fn a_group_at_zero_does_not_wait() {
    let group = WaitGroup::new();
    group.wait();
    assert_eq!(poll_once(pin!(group.wait_async())), Some(()));
    group.add(2);
    group.done();
    group.add(-1);
    group.wait();
    WaitGroup::default().wait();
}

#[test]
fn wait_returns_when_every_worker_is_done() {
    in_every_world(|crew| {
        let group = WaitGroup::new();
        let finished = Arc::new(AtomicUsize::new(0));
        group.add(20);
        let workers: Vec<_> = (0..20)
            .map(|_| {
                let (group, finished) = (group.clone(), finished.clone());
                crew.start(move |ops| async move {
                    ops.pause().await;
                    finished.fetch_add(1, Ordering::Relaxed);
                    group.done();
                })
            })
            .collect();
        group.wait();
        assert_eq!(finished.load(Ordering::Relaxed), 20);
        workers.into_iter().for_each(|worker| worker.join());
    });
}

#[test]
fn everybody_who_waits_goes_on_and_not_before_the_end() {
    const WAITERS: usize = 50;
    in_every_world(|crew| {
        let group = WaitGroup::new();
        let ended = Arc::new(AtomicBool::new(false));
        group.add(2);
        let waiters: Vec<_> = (0..WAITERS)
            .map(|_| {
                let (group, ended) = (group.clone(), ended.clone());
                crew.start(move |ops| async move {
                    ops.wait(&group).await;
                    ended.load(Ordering::Relaxed)
                })
            })
            .collect();
        group.done();
        for _ in 0..10 {
            rendez::yield_now();
        }
        ended.store(true, Ordering::Relaxed);
        group.done();
        for waiter in waiters {
            assert!(waiter.join());
        }
    });
}

#[test]
fn a_hundred_waiters_are_woken_once_each() {
    const WAITERS: usize = 100;
    let group = WaitGroup::new();
    group.add(1);
    let (wakes, waker) = Wakes::new();
    let mut futures: Vec<_> = (0..WAITERS).map(|_| Box::pin(group.wait_async())).collect();
    for future in &mut futures {
        assert!(poll_with(future.as_mut(), &waker).is_none());
    }
    group.done();
    assert_eq!(wakes.count(), WAITERS);
    for future in &mut futures {
        assert_eq!(poll_once(future.as_mut()), Some(()));
    }
}

#[test]
fn a_group_serves_one_round_after_another() {
    in_every_world(|crew| {
        let group = WaitGroup::new();
        let sum = Arc::new(AtomicUsize::new(0));
        for round in 1..=20 {
            group.add(3);
            let workers: Vec<_> = (0..3)
                .map(|_| {
                    let (group, sum) = (group.clone(), sum.clone());
                    crew.start(move |ops| async move {
                        ops.pause().await;
                        sum.fetch_add(1, Ordering::Relaxed);
                        group.done();
                    })
                })
                .collect();
            group.wait();
            assert_eq!(sum.load(Ordering::Relaxed), 3 * round);
            workers.into_iter().for_each(|worker| worker.join());
        }
    });
}

#[test]
fn go_counts_up_before_it_returns_and_down_when_the_goroutine_ends() {
    in_every_world(|crew| {
        crew.start(|ops| async move {
            let group = WaitGroup::new();
            let (tx, rx) = chan::unbounded();
            for i in 0..10 {
                let tx = tx.clone();
                group.go(move || tx.send(i).unwrap());
            }
            ops.wait(&group).await;
            let mut values: Vec<_> = rx.try_iter().collect();
            values.sort_unstable();
            assert_eq!(values, (0..10).collect::<Vec<_>>());
        })
        .join();
    });
}

#[test]
fn a_panic_in_go_counts_as_done() {
    in_every_world(|_| {
        let group = WaitGroup::new();
        group.go(|| std::panic::resume_unwind(Box::new("quietly")));
        group.go(|| ());
        group.wait();
    });
}

#[test]
fn go_counts_down_when_its_goroutine_is_unwound_by_a_shutdown() {
    let group = WaitGroup::new();
    let runtime = Runtime::builder().workers(1).build().unwrap();
    runtime.run(|| {
        let parked = Arc::new(AtomicBool::new(false));
        group.go({
            let parked = parked.clone();
            move || {
                parked.store(true, Ordering::Relaxed);
                let _ = chan::never::<()>().recv();
            }
        });
        crate::worlds::until(|| parked.load(Ordering::Relaxed));
    });
    runtime.shutdown();
    group.wait();
}

#[test]
fn go_may_be_called_by_the_goroutines_of_the_group() {
    fn tree(group: &WaitGroup, leaves: &Arc<AtomicUsize>, depth: usize) {
        if depth == 0 {
            leaves.fetch_add(1, Ordering::Relaxed);
            return;
        }
        for _ in 0..2 {
            let (own, leaves) = (group.clone(), leaves.clone());
            group.go(move || tree(&own, &leaves, depth - 1));
        }
    }
    in_every_world(|_| {
        let (group, leaves) = (WaitGroup::new(), Arc::new(AtomicUsize::new(0)));
        tree(&group, &leaves, 6);
        group.wait();
        assert_eq!(leaves.load(Ordering::Relaxed), 64);
    });
}

/// Counts how many of them there are.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(alive: &Arc<AtomicUsize>) -> Counted {
        alive.fetch_add(1, Ordering::Relaxed);
        Counted(alive.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Enough that those who end are counted apart from those who start.
const CROWD: usize = 1000;

#[test]
fn a_crowd_is_waited_for_in_every_world_round_after_round() {
    in_every_world(|crew| {
        let (group, alive) = (WaitGroup::new(), Arc::new(AtomicUsize::new(0)));
        for round in 1..4 {
            for _ in 0..CROWD * round {
                let one = Counted::new(&alive);
                group.go(move || drop(one));
            }
            let waits = || {
                let (group, alive) = (group.clone(), alive.clone());
                crew.start(move |ops| async move {
                    ops.wait(&group).await;
                    assert_eq!(alive.load(Ordering::Relaxed), 0);
                })
            };
            let others: Vec<_> = (0..3).map(|_| waits()).collect();
            group.wait();
            assert_eq!(alive.load(Ordering::Relaxed), 0);
            // The next round must not begin before they have returned.
            others.into_iter().for_each(|other| other.join());
        }
        assert!(format!("{group:?}").contains("counter: 0"), "{group:?}");
    });
}

#[test]
fn who_looks_and_who_gives_up_beside_a_crowd_disturb_nobody() {
    in_every_world(|_| {
        let group = WaitGroup::new();
        let open = Arc::new(AtomicBool::new(false));
        let waits = {
            let open = open.clone();
            move || crate::worlds::until(|| open.load(Ordering::Relaxed))
        };
        group.go(waits);
        for i in 0..CROWD {
            group.go(|| ());
            if i % 50 == 0 {
                assert!(poll_once(pin!(group.wait_async())).is_none(), "one is out");
                let is_over = rendez::select! { wait(&group) -> () => true, default => false };
                assert!(!is_over, "one is out");
            }
        }
        open.store(true, Ordering::Relaxed);
        group.wait();
        assert_eq!(poll_once(pin!(group.wait_async())), Some(()));
    });
}

#[test]
fn a_crowd_that_its_group_is_dropped_before_ends_all_the_same() {
    in_every_world(|_| {
        let (group, alive) = (WaitGroup::new(), Arc::new(AtomicUsize::new(0)));
        for _ in 0..CROWD {
            let one = Counted::new(&alive);
            group.go(move || drop(one));
        }
        drop(group);
        crate::worlds::until(|| alive.load(Ordering::Relaxed) == 0);
    });
}

#[test]
fn crowds_that_several_start_beside_who_looks_and_drops_handles_are_counted_and_freed() {
    in_every_world(|crew| {
        let (group, alive) = (WaitGroup::new(), Arc::new(AtomicUsize::new(0)));
        let starters: Vec<_> = (0..4)
            .map(|_| {
                let (group, alive) = (group.clone(), alive.clone());
                group.add(1);
                crew.start(move |ops| async move {
                    for i in 0..CROWD {
                        let one = Counted::new(&alive);
                        match i % 97 {
                            0 => {
                                let own = group.clone();
                                group.go(move || drop((one, own)));
                            }
                            _ => group.go(move || drop(one)),
                        }
                        if i % 101 == 0 {
                            assert!(poll_once(pin!(group.wait_async())).is_none(), "one is out");
                            ops.pause().await;
                        }
                    }
                    group.done();
                })
            })
            .collect();
        group.wait();
        assert_eq!(alive.load(Ordering::Relaxed), 0);
        starters.into_iter().for_each(|starter| starter.join());
        assert_eq!(panic_of(|| group.done()), "sync: negative WaitGroup counter");
    });
}

#[test]
fn what_is_added_by_hand_beside_a_crowd_is_counted_exactly() {
    in_every_world(|_| {
        let group = WaitGroup::new();
        group.add(CROWD as i64);
        for i in 0..CROWD {
            group.go(|| ());
            if i % 3 == 0 {
                group.done();
            }
        }
        let done = CROWD.div_ceil(3);
        assert!(poll_once(pin!(group.wait_async())).is_none());
        group.add(done as i64 - CROWD as i64);
        group.wait();
        assert_eq!(panic_of(|| group.done()), "sync: negative WaitGroup counter");
    });
}

#[test]
fn a_crowd_of_which_each_panics_or_is_unwound_is_counted_to_the_end() {
    const FEW: usize = 200;
    let group = WaitGroup::new();
    let runtime = Runtime::builder().workers(2).build().unwrap();
    let parked = Arc::new(AtomicUsize::new(0));
    runtime.run(|| {
        for _ in 0..FEW {
            let parked = parked.clone();
            group.go(move || {
                parked.fetch_add(1, Ordering::Relaxed);
                let _ = chan::never::<()>().recv();
            });
        }
        crate::worlds::until(|| parked.load(Ordering::Relaxed) == FEW);
    });
    assert!(format!("{group:?}").contains("counter: 200"), "{group:?}");
    runtime.shutdown();
    group.wait();
}

#[test]
fn a_counter_below_zero_panics_in_gos_words_and_stays_as_it_was() {
    assert_eq!(panic_of(|| WaitGroup::new().done()), "sync: negative WaitGroup counter");
    assert_eq!(panic_of(|| WaitGroup::new().add(-3)), "sync: negative WaitGroup counter");
    let group = WaitGroup::new();
    group.add(1);
    let mut wait = pin!(group.wait_async());
    assert!(poll_once(wait.as_mut()).is_none());
    assert_eq!(panic_of(|| group.add(-2)), "sync: negative WaitGroup counter");
    // Neither was anybody let go, nor is anything left to be made up for.
    assert!(poll_once(wait.as_mut()).is_none());
    group.done();
    assert_eq!(poll_once(wait), Some(()));
    assert_eq!(panic_of(|| group.done()), "sync: negative WaitGroup counter");
    group.wait();
}

#[test]
fn a_counter_beyond_32_bits_panics_and_stays_as_it_was() {
    let group = WaitGroup::new();
    for delta in [1 << 40, i64::MIN, i64::from(i32::MAX) + 1] {
        let text = panic_of(|| group.add(delta));
        assert!(text.contains("WaitGroup counter out of range"), "{text}");
    }
    group.wait();
    group.add(i64::from(i32::MAX));
    let text = panic_of(|| group.add(1));
    assert!(text.contains("WaitGroup counter out of range"), "{text}");
    group.add(-i64::from(i32::MAX));
    group.wait();
}

#[test]
fn a_bad_call_beside_good_ones_disturbs_none_of_them() {
    in_every_world(|crew| {
        for _ in 0..20 {
            let group = WaitGroup::new();
            group.add(1);
            let careless: Vec<_> = (0..2)
                .map(|_| {
                    let group = group.clone();
                    crew.start(move |_| async move {
                        // The counter is never above 3.
                        (0..20).filter(|_| catch_unwind(|| group.add(-100)).is_err()).count()
                    })
                })
                .collect();
            let careful: Vec<_> = (0..2)
                .map(|_| {
                    let group = group.clone();
                    crew.start(move |_| async move {
                        for _ in 0..100 {
                            group.add(1);
                            group.done();
                        }
                    })
                })
                .collect();
            careless.into_iter().for_each(|role| assert_eq!(role.join(), 20));
            careful.into_iter().for_each(|role| role.join());
            group.done();
            group.wait();
        }
    });
}

#[test]
fn a_wait_group_is_reused_too_early_when_others_wait_for_the_next_round_already() {
    let group = WaitGroup::new();
    group.add(1);
    let mut slow = pin!(group.wait_async());
    assert!(poll_once(slow.as_mut()).is_none());
    group.done();
    // The first round is over, but its waiter has not returned.
    group.add(1);
    let mut early = pin!(group.wait_async());
    assert!(poll_once(early.as_mut()).is_none());
    let text = panic_of(|| assert!(poll_once(slow.as_mut()).is_some()));
    assert_eq!(text, "sync: WaitGroup is reused before previous Wait has returned");
    group.done();
    assert_eq!(poll_once(early), Some(()));
}

#[test]
fn a_wait_that_is_dropped_has_no_effect_on_the_group() {
    let group = WaitGroup::new();
    group.add(1);
    let mut gone = Box::pin(group.wait_async());
    let mut kept = Box::pin(group.wait_async());
    let (wakes, waker) = Wakes::new();
    assert!(poll_with(gone.as_mut(), &waker).is_none());
    assert!(poll_once(kept.as_mut()).is_none());
    drop(gone);
    group.done();
    assert_eq!(wakes.count(), 0);
    assert_eq!(poll_once(kept.as_mut()), Some(()));
    // All that waited have gone: the next round starts clean.
    group.add(1);
    let mut gone = Box::pin(group.wait_async());
    assert!(poll_once(gone.as_mut()).is_none());
    drop(gone);
    group.done();
    group.add(1);
    group.done();
    group.wait();
}

#[test]
fn waits_that_are_dropped_while_the_last_one_is_done_leave_the_counter_right() {
    in_every_world(|crew| {
        for _ in 0..50 {
            let group = WaitGroup::new();
            group.add(1);
            let mut wait = Box::pin(group.wait_async());
            assert!(poll_once(wait.as_mut()).is_none());
            let worker = crew.start({
                let group = group.clone();
                move |_| async move { group.done() }
            });
            drop(wait);
            group.wait();
            group.add(1);
            group.done();
            group.wait();
            worker.join();
        }
    });
}

#[test]
fn the_latest_waker_is_the_one_that_is_called() {
    let group = WaitGroup::new();
    group.add(1);
    let (first, first_waker) = Wakes::new();
    let (second, second_waker) = Wakes::new();
    let mut wait = pin!(group.wait_async());
    assert!(poll_with(wait.as_mut(), &first_waker).is_none());
    assert!(poll_with(wait.as_mut(), &second_waker).is_none());
    group.done();
    assert_eq!((first.count(), second.count()), (0, 1));
    assert_eq!(poll_once(wait.as_mut()), Some(()));
    assert!(
        catch_unwind(AssertUnwindSafe(|| poll_once(wait.as_mut()))).is_err(),
        "polled after it was ready"
    );
}

#[test]
fn what_was_written_before_done_is_seen_after_wait() {
    on_one_worker(|| {
        let group = WaitGroup::new();
        let value = Arc::new(AtomicUsize::new(0));
        for _ in 0..1000 {
            let value = value.clone();
            group.go(move || {
                value.fetch_add(1, Ordering::Relaxed);
            });
        }
        group.wait();
        assert_eq!(value.load(Ordering::Relaxed), 1000);
    });
}

#[test]
fn a_group_describes_itself() {
    let group = WaitGroup::new();
    group.add(2);
    assert_eq!(format!("{group:?}"), "WaitGroup { counter: 2, waiters: 0 }");
}
