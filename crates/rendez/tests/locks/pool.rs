//! `Pool`: objects are used again, by one at a time, and go when nobody uses them.
#![cfg(not(loom))]

use crate::worlds::{Watchdog, in_every_world, on_one_worker, until};
use rendez::{Runtime, chan, go, sync::Pool};
use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

/// How many objects there are, and were.
#[derive(Clone, Default)]
struct Census {
    made: Arc<AtomicUsize>,
    dropped: Arc<AtomicUsize>,
}

impl Census {
    fn made(&self) -> usize {
        self.made.load(Ordering::SeqCst)
    }

    fn dropped(&self) -> usize {
        self.dropped.load(Ordering::SeqCst)
    }

    fn pool(&self) -> Pool<Object> {
        let census = self.clone();
        Pool::new(move || census.object())
    }

    fn object(&self) -> Object {
        let number = self.made.fetch_add(1, Ordering::SeqCst);
        Object { number, is_used: AtomicBool::new(false), census: self.clone() }
    }
}

struct Object {
    number: usize,
    is_used: AtomicBool,
    census: Census,
}

impl Drop for Object {
    fn drop(&mut self) {
        assert!(!*self.is_used.get_mut(), "dropped while it is used");
        self.census.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn what_was_put_back_is_given_out_again() {
    in_every_world(|crew| {
        crew.start(|_| async {
            let census = Census::default();
            let pool = census.pool();
            for _ in 0..10_000 {
                assert_eq!(pool.get().number, 0);
            }
            assert_eq!((census.made(), census.dropped(), pool.idle()), (1, 0, 1));
            drop(pool);
            assert_eq!(census.dropped(), 1);
        })
        .join();
    });
}

#[test]
fn as_many_are_made_as_are_used_at_once() {
    on_one_worker(|| {
        let census = Census::default();
        let pool = census.pool();
        for round in 1..=5 {
            let used: Vec<_> = (0..round * 10).map(|_| pool.get()).collect();
            assert_eq!(census.made(), used.len());
        }
        assert_eq!(pool.idle(), 50);
    });
}

#[test]
fn a_hundred_thousand_calls_one_after_another_share_one_object() {
    on_one_worker(|| {
        let census = Census::default();
        let pool = Arc::new(census.pool());
        let group = rendez::sync::WaitGroup::new();
        for _ in 0..100_000 {
            let pool = pool.clone();
            group.go(move || _ = pool.get());
        }
        group.wait();
        assert_eq!(census.made(), 1);
    });
}

#[test]
fn an_object_is_used_by_one_at_a_time_and_dropped_once() {
    in_every_world(|crew| {
        let census = Census::default();
        let pool = Arc::new(census.pool());
        let roles: Vec<_> = (0..8)
            .map(|_| {
                let pool = pool.clone();
                crew.start(move |ops| async move {
                    for i in 0..300 {
                        let object = pool.get();
                        assert!(!object.is_used.swap(true, Ordering::Relaxed), "used by two");
                        if i % 7 == 0 {
                            ops.pause().await;
                        }
                        object.is_used.store(false, Ordering::Relaxed);
                        match i % 50 {
                            10 => drop(object.take()),
                            20 => {
                                let own = object.take();
                                pool.put(own);
                            }
                            30 => pool.age(),
                            _ => drop(object),
                        }
                    }
                })
            })
            .collect();
        roles.into_iter().for_each(|role| role.join());
        assert_eq!(census.made() - census.dropped(), pool.idle());
        until(|| Arc::strong_count(&pool) == 1);
        drop(pool);
        assert_eq!(census.made(), census.dropped());
    });
}

#[test]
fn what_others_put_is_found_before_one_is_made() {
    let census = Census::default();
    let pool = Arc::new(census.pool());
    let put_some = |pool: &Pool<Object>| (0..10).for_each(|_| pool.put(census.object()));
    let runtime = Runtime::builder().workers(2).build().unwrap();
    for _ in 0..3 {
        // A thread's, for goroutines.
        thread::scope(|s| _ = s.spawn(|| put_some(&pool)));
        runtime.run(|| (0..10).for_each(|_| drop(pool.get().take())));
        // A goroutine's, for threads.
        runtime.run(|| put_some(&pool));
        for _ in 0..10 {
            thread::scope(|s| _ = s.spawn(|| drop(pool.get().take())));
        }
    }
    assert_eq!((census.made(), census.dropped()), (60, 60));
}

#[test]
fn taking_an_object_out_keeps_it_from_going_back() {
    let census = Census::default();
    let pool = census.pool();
    let own = pool.get().take();
    assert_eq!((pool.idle(), census.dropped()), (0, 0));
    assert_eq!(pool.get().number, 1);
    drop(own);
    assert_eq!((pool.idle(), census.dropped()), (1, 1));
}

#[test]
fn a_guard_is_its_object() {
    let pool = Pool::new(Vec::<u8>::new);
    let mut buffer = pool.get();
    buffer.extend(*b"hello");
    assert_eq!(format!("{buffer:?}"), "PoolGuard([104, 101, 108, 108, 111])");
    drop(buffer);
    assert_eq!(&**pool.get(), b"hello", "it comes as it was put back");
    assert_eq!(format!("{pool:?}"), "Pool { idle: 1, .. }");
}

#[test]
fn unused_objects_go_after_two_generations_and_used_ones_stay() {
    let census = Census::default();
    let pool = census.pool();
    drop((0..10).map(|_| pool.get()).collect::<Vec<_>>());
    for _ in 0..5 {
        pool.age();
        // One of them is used in every generation.
        drop(pool.get());
    }
    assert_eq!((census.made(), census.dropped(), pool.idle()), (10, 9, 1));
    pool.age();
    pool.age();
    assert_eq!((census.dropped(), pool.idle()), (10, 0));
}

#[test]
fn who_uses_a_pool_ages_it_by_the_way() {
    let _watchdog = Watchdog::new("ageing".to_string());
    let census = Census::default();
    let pool = census.pool();
    drop((0..10).map(|_| pool.get()).collect::<Vec<_>>());
    // Also what lies with others.
    thread::scope(|s| _ = s.spawn(|| pool.put(census.object())));
    until(|| {
        drop(pool.get());
        census.dropped() == 10
    });
    assert_eq!((census.made(), pool.idle()), (11, 1));
}

#[test]
fn who_takes_only_what_others_put_ages_it_too() {
    let _watchdog = Watchdog::new("ageing what others put".to_string());
    let pool = Pool::new(|| 0);
    let runtime = Runtime::builder().workers(1).build().unwrap();
    runtime.run(|| (0..10).for_each(|_| pool.put(1)));
    until(|| {
        // The last one that was put is what is stolen.
        runtime.run(|| pool.put(2));
        assert_eq!(pool.get().take(), 2);
        pool.idle() == 0
    });
}

#[test]
fn what_is_put_without_end_is_not_kept_without_end() {
    const PUT: usize = 200_000;
    let census = Census::default();
    let pool = census.pool();
    for _ in 0..PUT {
        pool.put(census.object());
    }
    assert!(pool.idle() >= 1000 && pool.idle() < PUT / 2, "{}", pool.idle());
    assert_eq!(census.made() - census.dropped(), pool.idle());
}

#[test]
fn a_full_pool_is_dropped_on_a_small_stack() {
    on_one_worker(|| {
        let census = Census::default();
        let pool = census.pool();
        (0..16_000).for_each(|_| pool.put(census.object()));
        drop(pool);
        assert_eq!(census.dropped(), 16_000);
    });
}

#[test]
fn a_maker_that_panics_leaves_the_pool_whole() {
    let fails = Arc::new(AtomicBool::new(true));
    let pool = Pool::new({
        let fails = fails.clone();
        move || assert!(!fails.load(Ordering::Relaxed), "no more objects")
    });
    for _ in 0..3 {
        assert!(catch_unwind(AssertUnwindSafe(|| drop(pool.get()))).is_err());
    }
    pool.put(());
    drop(pool.get());
    fails.store(false, Ordering::Relaxed);
    let used = [pool.get(), pool.get()];
    drop(used);
    assert_eq!(pool.idle(), 2);
}

#[test]
fn an_object_comes_back_from_a_user_that_panics() {
    let census = Census::default();
    let pool = census.pool();
    let user = || {
        let _object = pool.get();
        std::panic::resume_unwind(Box::new("quietly"));
    };
    assert!(catch_unwind(AssertUnwindSafe(user)).is_err());
    assert_eq!((census.made(), census.dropped(), pool.idle()), (1, 0, 1));
}

#[test]
fn a_destructor_that_panics_keeps_no_other_from_running() {
    struct Bad(usize, Arc<AtomicUsize>);
    impl Drop for Bad {
        fn drop(&mut self) {
            self.1.fetch_add(1, Ordering::Relaxed);
            assert!(self.0 != 5, "object 5");
        }
    }
    let drops = Arc::new(AtomicUsize::new(0));
    let pool = Pool::new({
        let drops = drops.clone();
        move || Bad(0, drops.clone())
    });
    (0..10).for_each(|i| pool.put(Bad(i, drops.clone())));
    pool.age();
    assert!(catch_unwind(AssertUnwindSafe(|| pool.age())).is_err());
    assert_eq!((drops.load(Ordering::Relaxed), pool.idle()), (10, 0));
    drop(pool.get());
    assert_eq!(pool.idle(), 1);
}

#[test]
fn makers_and_destructors_may_park_and_use_the_pool() {
    struct Nested(Option<&'static Pool<Nested>>);
    impl Drop for Nested {
        fn drop(&mut self) {
            rendez::yield_now();
            if let Some(pool) = self.0.take() {
                drop(pool.get());
            }
        }
    }
    static POOL: OnceLock<Pool<Nested>> = OnceLock::new();
    let pool = POOL.get_or_init(|| {
        Pool::new(|| {
            rendez::yield_now();
            Nested(None)
        })
    });
    in_every_world(|crew| {
        let roles: Vec<_> = (0..4)
            .map(|_| {
                crew.start(move |ops| async move {
                    for _ in 0..10 {
                        pool.put(Nested(Some(pool)));
                        drop(pool.get());
                        ops.pause().await;
                        pool.age();
                    }
                })
            })
            .collect();
        roles.into_iter().for_each(|role| role.join());
    });
}

#[test]
fn objects_need_only_be_send() {
    let pool = Arc::new(Pool::new(|| Cell::new(0)));
    let users: Vec<_> = (0..4)
        .map(|_| {
            let pool = pool.clone();
            go(move || {
                let cell = pool.get();
                cell.set(cell.get() + 1);
            })
        })
        .collect();
    users.into_iter().for_each(|user| user.join().unwrap());
    let mut sum = 0;
    while pool.idle() > 0 {
        sum += pool.get().take().get();
    }
    assert_eq!(sum, 4);
}

#[test]
fn objects_of_any_size_are_pooled() {
    let units = Pool::new(|| ());
    drop((units.get(), units.get()));
    assert_eq!(units.idle(), 2);
    let pages = Pool::new(|| [0_u8; 4096]);
    pages.get()[4095] = 1;
    assert_eq!(pages.get()[4095], 1);
    #[repr(align(128))]
    struct Aligned(u8);
    let aligned = Pool::new(|| Aligned(1));
    assert!(std::ptr::from_ref(&*aligned.get()).addr().is_multiple_of(128));
    assert_eq!(aligned.get().0, 1);
}

#[test]
fn a_shutdown_gives_back_what_parked_goroutines_hold() {
    let census = Census::default();
    let pool = Arc::new(census.pool());
    let runtime = Runtime::builder().workers(2).build().unwrap();
    runtime.run(|| {
        for _ in 0..10 {
            let pool = pool.clone();
            go(move || {
                let _held = pool.get();
                let _ = chan::never::<()>().recv();
            });
        }
        until(|| census.made() == 10);
    });
    runtime.shutdown();
    assert_eq!((census.dropped(), pool.idle()), (0, 10));
}
