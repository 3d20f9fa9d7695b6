//! What async goroutines cost in memory, counted by the allocator. A file of its own, with one test, since all that the
//! process allocates is counted.
#![cfg(not(any(loom, rendez_sanitize)))]

use rendez::{Runtime, chan, go_async, yield_now};
use std::{
    alloc::{GlobalAlloc, Layout, System},
    future::poll_fn,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Poll, Waker},
};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);
static BYTES: AtomicUsize = AtomicUsize::new(0);

// SAFETY: it passes everything on to the system's allocator, and counts.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        BYTES.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How many allocations `body` makes, after a first time that brings queues and stacks to their size.
fn allocations(mut body: impl FnMut()) -> usize {
    body();
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    body();
    ALLOCATIONS.load(Ordering::Relaxed) - before
}

const WAKES: usize = 10_000;
/// For the runtime's own housekeeping and the test's few tasks; far less than one in a hundred wake-ups.
const FEW: usize = 50;

#[test]
fn a_parked_task_takes_300_bytes_and_a_wake_up_none() {
    let runtime = Runtime::builder().workers(1).build().unwrap();
    runtime.run(|| {
        let by_channels = allocations(|| {
            let ((tx, rx), (back, backs)) = (chan::bounded(0), chan::bounded(0));
            let echo = go_async(async move {
                while let Ok(i) = rx.recv_async().await {
                    back.send_async(i).await.unwrap();
                }
            });
            let caller = go_async(async move {
                for i in 0..WAKES {
                    tx.send_async(i).await.unwrap();
                    assert_eq!(backs.recv_async().await, Ok(i));
                }
            });
            caller.join().unwrap();
            echo.join().unwrap();
        });
        assert!(by_channels < FEW, "{by_channels} allocations for {WAKES} wake-ups of two tasks");

        let by_itself = allocations(|| {
            let mut left = WAKES;
            let task = go_async(poll_fn(move |cx| {
                left -= 1;
                cx.waker().wake_by_ref();
                if left == 0 { Poll::Ready(()) } else { Poll::Pending }
            }));
            task.join().unwrap();
        });
        assert!(by_itself < FEW, "{by_itself} allocations for {WAKES} wake-ups of a task by itself");
    });

    let (seen, waker) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(None::<Waker>)));
    let task = runtime.run(|| {
        let (seen, waker) = (seen.clone(), waker.clone());
        go_async(poll_fn(move |cx| {
            *waker.lock().unwrap() = Some(cx.waker().clone());
            match seen.fetch_add(1, Ordering::Release) < 2 * WAKES {
                true => Poll::Pending,
                false => Poll::Ready(()),
            }
        }))
    });
    let wake = || {
        for _ in 0..WAKES {
            let before = seen.load(Ordering::Acquire);
            waker.lock().unwrap().as_ref().unwrap().wake_by_ref();
            while seen.load(Ordering::Acquire) == before {
                std::thread::yield_now();
            }
        }
    };
    while seen.load(Ordering::Acquire) == 0 {
        std::thread::yield_now();
    }
    let from_a_thread = allocations(wake);
    assert!(from_a_thread < FEW, "{from_a_thread} allocations for {WAKES} wake-ups from a thread");
    task.join().unwrap();

    runtime.run(|| {
        const TASKS: usize = 1000;
        let (tx, rx) = chan::bounded::<u64>(0);
        let parked = Arc::new(AtomicUsize::new(0));
        let park = |count: usize, handles: &mut Vec<_>| {
            for _ in 0..count {
                let (rx, parked) = (rx.clone(), parked.clone());
                handles.push(go_async(async move {
                    parked.fetch_add(1, Ordering::Relaxed);
                    rx.recv_async().await.is_err()
                }));
            }
            while parked.load(Ordering::Relaxed) < handles.len() {
                yield_now();
            }
        };
        let mut handles = Vec::with_capacity(3 * TASKS);
        park(2 * TASKS, &mut handles);
        let before = BYTES.load(Ordering::Relaxed);
        park(TASKS, &mut handles);
        let each = (BYTES.load(Ordering::Relaxed) - before) / TASKS;
        assert!(each <= 300, "{each} bytes for each parked task");
        drop(tx);
        assert!(handles.into_iter().all(|handle| handle.join().unwrap()));
    });
}
