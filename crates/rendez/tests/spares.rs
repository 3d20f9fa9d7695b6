//! While a worker is kept by one goroutine, in a call that blocks its thread or by a computation, a spare worker starts others.
//!
//! Each test has a process of its own, whose threads and figures nobody else changes.
#![cfg(not(loom))]

mod child;

use child::{in_a_child, must_succeed_in_a_child};
use rendez::{JoinHandle, Runtime, chan, diag, go, go_async, set_workers, workers};
use std::{
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

fn runtime(workers: usize) -> Runtime {
    Runtime::builder().workers(workers).build().unwrap()
}

/// What keeps a goroutine, and its worker with it, until it is opened.
#[derive(Debug, Default)]
struct Gate {
    open: AtomicBool,
    mutex: Mutex<()>,
    opened: Condvar,
    /// How many are kept.
    inside: AtomicUsize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Blocks,
    Computes,
}

const WAYS: [Way; 2] = [Way::Blocks, Way::Computes];

impl Gate {
    fn pass(&self, way: Way) {
        self.inside.fetch_add(1, Ordering::SeqCst);
        match way {
            Way::Computes => {
                while !self.open.load(Ordering::SeqCst) {
                    std::hint::spin_loop();
                }
            }
            Way::Blocks => {
                let guard = self.mutex.lock().unwrap();
                drop(self.opened.wait_while(guard, |()| !self.open.load(Ordering::SeqCst)).unwrap());
            }
        }
        self.inside.fetch_sub(1, Ordering::SeqCst);
    }

    fn open(&self) {
        self.open.store(true, Ordering::SeqCst);
        drop(self.mutex.lock().unwrap());
        self.opened.notify_all();
    }
}

/// So many goroutines keep their workers, from when this returns until the gate is opened.
fn keep(runtime: &Runtime, n: usize, way: Way) -> (Arc<Gate>, Vec<JoinHandle<()>>) {
    let gate = Arc::new(Gate::default());
    let pass = |_| {
        let gate = gate.clone();
        runtime.spawn(move || gate.pass(way))
    };
    let kept = (0..n).map(pass).collect();
    until(|| gate.inside.load(Ordering::SeqCst) == n);
    (gate, kept)
}

fn join_all<R>(handles: impl IntoIterator<Item = JoinHandle<R>>) -> Vec<R> {
    handles.into_iter().map(|handle| handle.join().unwrap()).collect()
}

/// The end of the process says when it takes too long.
fn until(mut done: impl FnMut() -> bool) {
    while !done() {
        thread::sleep(Duration::from_millis(1));
    }
}

fn spares() -> u64 {
    diag::stats().counts.spares
}

#[test]
fn new_goroutines_run_while_all_workers_are_kept() {
    must_succeed_in_a_child(|| {
        for (workers, way) in [1, 2, 8].into_iter().flat_map(|n| WAYS.map(|way| (n, way))) {
            eprintln!("{workers} {way:?}");
            let (runtime, before) = (runtime(workers), spares());
            let (gate, kept) = keep(&runtime, workers, way);
            let new = join_all((0..20).map(|i| {
                runtime.spawn(move || {
                    let child = go(move || i);
                    let polled = go_async(async move { i });
                    (rendez::workers(), child.join().unwrap() + polled.join().unwrap())
                })
            }));
            assert!(gate.inside.load(Ordering::SeqCst) == workers && spares() > before, "{workers} {way:?}");
            assert_eq!(new, (0..20).map(|i| (workers, 2 * i)).collect::<Vec<_>>(), "{way:?}");
            gate.open();
            join_all(kept);
        }
    });
}

#[test]
fn who_blocks_its_thread_for_a_child_that_has_not_started_sees_it_run() {
    must_succeed_in_a_child(|| {
        for workers in [1, 2, 8] {
            let (tx, rx) = mpsc::channel();
            let parent = runtime(workers).run(move || {
                go(move || tx.send(7).unwrap());
                rx.recv().unwrap()
            });
            assert_eq!(parent, 7);
        }
    });
}
