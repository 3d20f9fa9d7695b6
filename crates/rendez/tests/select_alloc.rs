//! A select allocates nothing: not over arms that are ready, and not when it parks.
#![cfg(not(any(loom, rendez_sanitize)))]

mod worlds;

use rendez::{
    Event, Runtime, Select,
    chan::{self, Receiver, Sender},
    choose, select,
    sync::WaitGroup,
    time,
};
use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    pin::pin,
    sync::Arc,
    task::{Wake, Waker},
    time::Duration,
};
use worlds::{Watchdog, poll_with};

/// The system's allocator, counting the calls of each thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: it passes everything on to the system's, and the counter neither allocates nor is dropped.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: passed on.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// How often this thread allocates in a thousand calls of `f`, after as many to warm up: what a worker needs when it first
/// looks for work is not the select's.
fn allocations(mut f: impl FnMut()) -> usize {
    (0..1000).for_each(|_| f());
    let before = ALLOCATIONS.get();
    (0..1000).for_each(|_| f());
    ALLOCATIONS.get() - before
}

fn ready(
    (tx, rx): &(Sender<[u64; 8]>, Receiver<[u64; 8]>),
    (full, empty): &(Sender<[u64; 8]>, Receiver<[u64; 8]>),
    group: &WaitGroup,
) {
    let value = [1; 8];
    select! {
        send(tx, value) -> sent => sent.unwrap(),
        recv(empty) -> _ => unreachable!("nobody sends"),
    }
    select! {
        recv(rx) -> received => assert_eq!(received, Ok(value)),
        send(full, value) -> _ => unreachable!("full"),
        wait(time::timer(Duration::from_secs(60))) -> _ => unreachable!("too long"),
    }
    let mut slot = Some(value);
    select! {
        send(tx, take slot) -> sent => sent.unwrap(),
        default => unreachable!("it is ready"),
    }
    select! {
        recv(empty) -> _ => unreachable!("nobody sends"),
        send(full, value) -> _ => unreachable!("full"),
        default => {}
    }
    assert_eq!(rx.recv_event().map(|value| value.unwrap()[0]).wait(), 1);
    select! {
        wait(group) -> () => {}
        recv(empty) -> _ => unreachable!("nobody sends"),
        default(Duration::from_secs(60)) => unreachable!("it is zero"),
    }
}

#[test]
fn a_select_over_ready_arms_allocates_nothing() {
    let body = || {
        let (ends, none, group) = (chan::bounded(1), chan::bounded(0), WaitGroup::new());
        assert_eq!(allocations(|| ready(&ends, &none, &group)), 0);
        // A choice has one list of its arms, and if they are many, one of their order.
        let count = |nils: usize| {
            allocations(|| {
                ends.0.send([0; 8]).unwrap();
                let nils = (0..nils).map(|_| none.1.recv_event());
                choose(std::iter::once(ends.1.recv_event()).chain(nils)).wait().unwrap();
            })
        };
        assert_eq!((count(1), count(15), count(16)), (1000, 1000, 2000));
    };
    body();
    Runtime::builder().workers(1).build().unwrap().run(body);
}

/// The arms of a `Select`, and so its operations, are blocks of the thread's own.
#[test]
fn a_select_of_arms_that_are_known_at_run_time_allocates_nothing_for_an_operation() {
    let body = || {
        let ((tx, rx), (_full, empty)) = (chan::bounded::<[u64; 8]>(1), chan::bounded::<[u64; 8]>(0));
        let mut select = Select::new();
        let send = select.send(&tx);
        select.recv(&empty);
        select.recv(&rx);
        let count = allocations(|| {
            let operation = select.wait();
            if operation.index() == send {
                operation.send(&tx, [1; 8]).unwrap();
            } else {
                assert_eq!(operation.recv(&rx), Ok([1; 8]));
            }
            drop(select.wait());
            assert!(select.try_wait().is_some());
        });
        assert_eq!(count, 0);
    };
    body();
    Runtime::builder().workers(1).build().unwrap().run(body);
}

/// Two goroutines of one worker that select by turns, each parking every time.
#[test]
fn a_select_that_parks_allocates_nothing() {
    let _watchdog = Watchdog::new("two that park".into());
    Runtime::builder().workers(1).build().unwrap().run(|| {
        let ((tx, rx), (tx_back, rx_back)) = (chan::bounded::<u64>(0), chan::bounded::<u64>(0));
        let (_quiet, never) = chan::bounded::<u64>(0);
        let echo = rendez::go({
            let never = never.clone();
            move || {
                loop {
                    let value = select! {
                        recv(rx) -> value => match value {
                            Ok(value) => value,
                            Err(_) => break,
                        },
                        recv(never) -> _ => unreachable!("nobody sends"),
                    };
                    let mut slot = Some(value);
                    while slot.is_some() {
                        select! {
                            send(tx_back, take slot) -> sent => sent.unwrap(),
                            recv(never) -> _ => unreachable!("nobody sends"),
                            default(Duration::from_secs(60)) => unreachable!("too long"),
                        }
                    }
                }
            }
        });
        let mut i = 0;
        let count = allocations(|| {
            i += 1;
            select! {
                send(tx, i) -> sent => sent.unwrap(),
                recv(never) -> _ => unreachable!("nobody sends"),
            }
            select! {
                recv(never) -> _ => unreachable!("nobody sends"),
                recv(rx_back) -> value => assert_eq!(value, Ok(i)),
                wait(time::timer(Duration::from_secs(60))) -> _ => unreachable!("too long"),
            }
        });
        assert_eq!(count, 0);
        drop(tx);
        echo.join().unwrap();
    });
}

/// Time-outs of a parked select, of a goroutine and of a thread.
#[test]
fn a_select_that_times_out_allocates_nothing() {
    let body = || {
        let (tx, rx) = chan::bounded::<u64>(0);
        let count = allocations(|| {
            select! {
                send(tx, 1) -> _ => unreachable!("nobody receives"),
                recv(rx) -> _ => unreachable!("it does not meet itself"),
                default(Duration::from_micros(1)) => {}
            }
        });
        assert_eq!(count, 0);
    };
    body();
    Runtime::builder().workers(1).build().unwrap().run(body);
}

/// Two threads that wait for each other, and one that waits until it is known to rest.
#[test]
fn a_thread_that_waits_until_it_is_woken_allocates_nothing() {
    let _watchdog = Watchdog::new("threads that rest".into());
    let ((tx, rx), (tx_back, rx_back)) = (chan::bounded::<u64>(0), chan::bounded::<u64>(0));
    let echo = std::thread::spawn(move || {
        rx.iter().for_each(|value| {
            // Longer than anybody spins, now and then.
            if value % 16 == 0 {
                std::thread::sleep(Duration::from_micros(100));
            }
            tx_back.send(value).unwrap();
        });
    });
    let mut i = 0;
    let count = allocations(|| {
        i += 1;
        tx.send(i).unwrap();
        assert_eq!(rx_back.recv(), Ok(i));
    });
    assert_eq!(count, 0);
    drop(tx);
    echo.join().unwrap();
}

/// A future of one event, polled until it is pending, woken and polled again.
#[test]
fn awaiting_an_event_allocates_nothing() {
    struct Quiet;
    impl Wake for Quiet {
        fn wake(self: Arc<Self>) {}
    }
    let waker = Waker::from(Arc::new(Quiet));
    let (tx, rx) = chan::bounded::<u64>(0);
    let count = allocations(|| {
        let mut receive = pin!(rx.recv_event().map(|value| value.unwrap()).wait_async());
        assert_eq!(poll_with(receive.as_mut(), &waker), None);
        assert_eq!(poll_with(receive.as_mut(), &waker), None);
        tx.send(1).unwrap();
        assert_eq!(poll_with(receive.as_mut(), &waker), Some(1));
    });
    assert_eq!(count, 0);
}
