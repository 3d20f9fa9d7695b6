//! What happens when there are no stacks left: who waits for one gets the first that comes free anywhere in the runtime, and
//! a shutdown needs none.
#![cfg(all(target_os = "linux", not(any(loom, rendez_sanitize))))]

mod address_space;
mod child;

use address_space::{limit_address_space, set_address_space, warmed_up};
use child::must_succeed_in_a_child;
use rendez::{Builder, Placement, Runtime, chan, go, go_local, run, sleep, sync::WaitGroup, yield_now};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// Whether `done` becomes true while the caller keeps its worker busy.
fn comes_true(mut done: impl FnMut() -> bool, mut meanwhile: impl FnMut()) -> bool {
    let start = Instant::now();
    while !done() {
        if start.elapsed() > Duration::from_secs(20) {
            return false;
        }
        meanwhile();
    }
    true
}

#[test]
fn what_starves_at_a_busy_worker_is_started_by_another() {
    must_succeed_in_a_child(|| {
        warmed_up(2).run(|| {
            let (gate, rx) = chan::bounded::<()>(0);
            let (begin, begun) = chan::bounded::<()>(0);
            let started = Arc::new(AtomicUsize::new(0));
            let seen = started.clone();
            // It is started before the stacks run out, opens the gate, and then nothing else runs on its worker. What is parked
            // there keeps its stack; what is parked at the other worker ends.
            let busy = go(move || {
                begun.recv().unwrap();
                begun.recv().unwrap();
                gate.close();
                comes_true(|| seen.load(Ordering::SeqCst) == 300, std::hint::spin_loop)
            });
            begin.send(()).unwrap();
            let limit = limit_address_space(96 << 20);
            let all = WaitGroup::new();
            for _ in 0..300 {
                let (rx, started) = (rx.clone(), started.clone());
                all.go(move || {
                    started.fetch_add(1, Ordering::SeqCst);
                    assert!(rx.recv().is_err());
                });
            }
            // Until no more of them start.
            let mut before = usize::MAX;
            while std::mem::replace(&mut before, started.load(Ordering::SeqCst)) != before {
                sleep(Duration::from_millis(20));
            }
            assert!(before < 300, "the limit does not bind");
            begin.send(()).unwrap();
            assert!(busy.join().unwrap(), "{} of 300 were started", started.load(Ordering::SeqCst));
            all.wait();
            set_address_space(limit);
        });
    });
}

#[test]
fn idle_runners_of_other_workers_are_given_back_to_who_starves() {
    must_succeed_in_a_child(|| {
        warmed_up(2).run(|| {
            // Slabs double: these, with what the runtime itself has, fill the first four, of 128 stacks in all. When they have
            // ended, each worker keeps some tens of stacks.
            let (gate, rx) = chan::bounded::<()>(0);
            let here = WaitGroup::new();
            here.add(120);
            let spawn = |_| {
                let (rx, here) = (rx.clone(), here.clone());
                let body = move || {
                    here.done();
                    assert!(rx.recv().is_err());
                };
                Builder::new().placement(Placement::Spread).spawn(body).unwrap()
            };
            let handles: Vec<_> = (0..120).map(spawn).collect();
            here.wait();
            gate.close();
            handles.into_iter().for_each(|handle| handle.join().unwrap());
            let limit = limit_address_space(8 << 20);
            let (gate, rx) = chan::bounded::<()>(0);
            let started = Arc::new(AtomicUsize::new(0));
            let handles: Vec<_> = (0..118)
                .map(|_| {
                    let (rx, started) = (rx.clone(), started.clone());
                    go_local(move || {
                        started.fetch_add(1, Ordering::SeqCst);
                        assert!(rx.recv().is_err());
                    })
                })
                .collect();
            // This worker is never idle, so it is not for that that the other one gives anything back.
            let all = comes_true(|| started.load(Ordering::SeqCst) == 118, yield_now);
            assert!(all, "{} of 118 were started", started.load(Ordering::SeqCst));
            gate.close();
            handles.into_iter().for_each(|handle| handle.join().unwrap());
            set_address_space(limit);
        });
    });
}

/// Waits for ever when it is dropped: a shutdown can't end that.
struct NeverDropped;

impl Drop for NeverDropped {
    fn drop(&mut self) {
        sleep(Duration::MAX);
    }
}

/// Takes all the stacks that there are; `None` of what is spawned is ended.
fn take_all_stacks(runtime: &Runtime) {
    let started = Arc::new(AtomicUsize::new(0));
    for _ in 0..300 {
        let started = started.clone();
        drop(runtime.spawn(move || {
            started.fetch_add(1, Ordering::SeqCst);
            sleep(Duration::MAX);
        }));
    }
    let mut before = usize::MAX;
    while std::mem::replace(&mut before, started.load(Ordering::SeqCst)) != before {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(before < 300, "the limit does not bind");
}

#[test]
fn a_shutdown_needs_no_stack_to_drop_what_has_not_started() {
    must_succeed_in_a_child(|| {
        // They have stacks of the same size, so one pool.
        let (runtime, other) = (warmed_up(1), warmed_up(1));
        let limit = limit_address_space(64 << 20);
        // The runtime's one idle stack goes to a goroutine that will never give it back.
        let (tx, rx) = chan::bounded(0);
        let stuck = runtime.spawn(move || {
            let _never = NeverDropped;
            tx.send(()).unwrap();
            sleep(Duration::MAX);
        });
        rx.recv().unwrap();
        take_all_stacks(&other);
        let started = Arc::new(AtomicUsize::new(0));
        let drops = Arc::new(());
        let spawn = |never: [Option<NeverDropped>; 2]| {
            let (started, token) = (started.clone(), drops.clone());
            runtime.spawn(move || {
                let _captured = (token, never);
                started.fetch_add(1, Ordering::SeqCst);
            })
        };
        let mut handles: Vec<_> = (0..50).map(|_| spawn([None, None])).collect();
        // When this one is dropped, the first destructor is told to end and the second waits for ever, on the stack in reserve.
        handles.push(spawn([Some(NeverDropped), Some(NeverDropped)]));
        handles.extend((0..50).map(|_| spawn([None, None])));
        runtime.shutdown();
        assert_eq!(started.load(Ordering::SeqCst), 0);
        assert!(Arc::strong_count(&drops) <= 2, "{} are left", Arc::strong_count(&drops));
        assert!(stuck.join().unwrap_err().is_cancelled());
        assert!(handles.into_iter().all(|handle| handle.join().unwrap_err().is_cancelled()));
        set_address_space(limit);
        other.shutdown();
        // The pool is none the worse for it.
        assert_eq!(run(|| go(|| 3).join().unwrap()), 3);
    });
}
