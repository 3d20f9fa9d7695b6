//! Selects on OS threads alone, so that Miri can run them: `cargo +nightly miri test -p rendez --test select_threads`, with
//! `MIRIFLAGS="-Zmiri-disable-isolation -Zmiri-ignore-leaks"` (the thread of the alarms stays), with and without
//! `-Zmiri-tree-borrows`.
#![cfg(not(loom))]

mod worlds;

use rendez::{
    Event, Select,
    chan::{self, Receiver, Sender},
    choose, select,
    sync::WaitGroup,
    time,
};
use std::{
    pin::{Pin, pin},
    sync::atomic::{AtomicPtr, Ordering},
    thread,
    time::Duration,
};
use worlds::{Watchdog, drive, poll_once};

const ROUNDS: usize = if cfg!(miri) { 60 } else { 5_000 };

type Value = Box<usize>;

/// One exchange, in one of the forms that a select has: how many values came.
fn exchange(form: usize, tx: &Sender<Value>, value: usize, rx: &Receiver<Value>) -> usize {
    let value = Box::new(value);
    match form % 5 {
        0 => select! {
            send(tx, value) -> sent => { sent.unwrap(); 0 }
            recv(rx) -> value => { value.unwrap(); 1 }
        },
        1 => {
            let mut slot = Some(value);
            let received = select! {
                recv(rx) -> value => { value.unwrap(); 1 }
                send(tx, take slot) -> sent => { sent.unwrap(); 0 }
            };
            assert_eq!(slot.is_some(), received == 1);
            received
        }
        2 => choose([
            rx.recv_event().map(|value| value.map_or_else(|_| panic!("closed"), |_| 1)).boxed(),
            tx.send_event(value).map(|sent| sent.map_or_else(|_| panic!("closed"), |()| 0)).boxed(),
        ])
        .wait(),
        3 => {
            let mut select = Select::new();
            select.recv(rx);
            select.send(tx);
            let operation = select.wait();
            match operation.index() {
                0 => operation.recv(rx).map_or_else(|_| panic!("closed"), |_| 1),
                _ => operation.send(tx, value).map_or_else(|_| panic!("closed"), |()| 0),
            }
        }
        _ => drive(async {
            let mut select = Select::new();
            select.send(tx);
            select.recv(rx);
            let operation = select.wait_async().await;
            match operation.index() {
                0 => operation.send(tx, value).map_or_else(|_| panic!("closed"), |()| 0),
                _ => operation.recv(rx).map_or_else(|_| panic!("closed"), |_| 1),
            }
        }),
    }
}

#[test]
fn selects_of_all_forms_meet() {
    let _watchdog = Watchdog::new("threads".into());
    let ((tx_a, rx_a), (tx_b, rx_b)) = (chan::bounded(0), chan::bounded(0));
    thread::scope(|scope| {
        let other = scope.spawn(|| (0..ROUNDS).map(|i| exchange(i / 5, &tx_b, i, &rx_a)).sum::<usize>());
        let mine: usize = (0..ROUNDS).map(|i| exchange(i, &tx_a, i, &rx_b)).sum();
        assert_eq!(
            mine + other.join().unwrap(),
            ROUNDS,
            "each round has one that sends and one that receives"
        );
    });
}

#[test]
fn time_outs_and_dropped_futures_lose_nothing() {
    let _watchdog = Watchdog::new("threads".into());
    let ((tx_a, rx_a), (tx_b, rx_b)) = (chan::bounded(0), chan::bounded(1));
    thread::scope(|scope| {
        let sender = scope.spawn(move || {
            for i in 0..ROUNDS {
                let mut slot = Some(Box::new(i));
                while slot.is_some() {
                    let tx = if slot.as_deref().is_some_and(|i| i % 2 == 0) { &tx_a } else { &tx_b };
                    select! {
                        send(tx, take slot) -> sent => sent.unwrap(),
                        default(Duration::from_nanos(200)) => thread::yield_now(),
                    }
                }
            }
        });
        let (mut received, mut turn) = (vec![false; ROUNDS], 0);
        let mut note =
            |value: Value| assert!(!std::mem::replace(&mut received[*value], true), "{value} came twice");
        loop {
            turn += 1;
            let value = match turn % 4 {
                0 => select! {
                    recv(rx_a) -> value => value,
                    recv(rx_b) -> value => value,
                    default(Duration::from_nanos(300)) => continue,
                },
                1 => drive(choose([rx_a.recv_event(), rx_b.recv_event()]).wait_async()),
                2 => {
                    let mut either = pin!(choose([rx_a.recv_event(), rx_b.recv_event()]).wait_async());
                    let Some(value) = poll_once(either.as_mut()) else {
                        // The sender may hand it one just now.
                        thread::yield_now();
                        continue;
                    };
                    value
                }
                _ => {
                    let mut select = Select::new();
                    select.recv(&rx_b);
                    select.recv(&rx_a);
                    let operation = select.wait();
                    match operation.index() {
                        _ if turn % 8 == 3 => continue,
                        0 => operation.recv(&rx_b),
                        _ => operation.recv(&rx_a),
                    }
                }
            };
            match value {
                Ok(value) => note(value),
                Err(_)
                    if rx_a.try_iter().map(&mut note).count() + rx_b.try_iter().map(&mut note).count()
                        == 0 =>
                {
                    break;
                }
                Err(_) => {}
            }
        }
        sender.join().unwrap();
        assert!(received.into_iter().all(|came| came));
    });
}

#[test]
fn timers_and_wait_groups_are_arms_of_a_thread() {
    let _watchdog = Watchdog::new("threads".into());
    let group = WaitGroup::new();
    for round in 0..ROUNDS.min(200) {
        group.add(1);
        thread::scope(|scope| {
            let done = scope.spawn(|| group.done());
            match round % 3 {
                0 => select! {
                    wait(&group) -> () => {}
                    recv(chan::never::<i32>()) -> _ => unreachable!("nil"),
                },
                1 => drive(Event::wait_async(&group)),
                _ => select! {
                    wait(&group) -> () => {}
                    wait(time::timer(Duration::from_micros(3))) -> _ => {}
                },
            }
            done.join().unwrap();
        });
    }
}

/// Operations can be had, and asked out of turn, by anybody; what they answer is their affair, but they must keep memory
/// safe.
#[test]
fn operations_that_are_asked_out_of_turn_keep_their_values() {
    use rendez::select::{Arm, Operation};
    let (tx, rx) = chan::bounded(4);
    let mut send = tx.send_event("once".to_string()).operation();
    assert!(send.attempt() && send.attempt() && send.conclude(0));
    assert_eq!((rx.len(), send.finish()), (1, Ok(())));

    let mut receive = rx.recv_event().operation();
    assert!(receive.attempt() && receive.attempt() && receive.conclude(0));
    assert_eq!(receive.finish(), Ok("once".to_string()));

    tx.send("again".to_string()).unwrap();
    let mut receive = rx.recv_event().operation();
    assert!(receive.attempt());
    receive.undo();
    receive.undo();
    assert!(!receive.conclude(0));
    drop(receive);
    assert_eq!(rx.try_iter().collect::<Vec<_>>(), ["again"]);

    let mut either = choose([tx.send_event("a".to_string()), tx.send_event("b".to_string())]).operation();
    assert!(either.attempt());
    either.undo();
    drop(either);
    assert_eq!(rx.len(), 1);

    tx.close();
    let mut send = tx.send_event("back".to_string()).operation();
    assert!(send.attempt() && send.attempt() && send.conclude(0));
    send.undo();
    assert_eq!(send.finish().unwrap_err().0, "back");
}

/// A pending future that is forgotten keeps its memory, but not what it borrows: a `Select` whose future was forgotten is
/// used again, gets other arms, moves and ends.
#[test]
fn a_forgotten_wait_of_a_select_ends_with_its_next_use() {
    let _watchdog = Watchdog::new("a forgotten future".into());
    let (tx, rx) = chan::bounded(0);
    let (other_tx, other_rx) = chan::bounded(0);
    let mut select = Select::new();
    let number = select.recv(&rx);
    select.send(&other_tx);
    // Where a leak checker finds them.
    let mut forgotten_ones = Vec::new();
    let mut forget = |select: &mut Select<'_>| {
        let forgotten = Box::leak(Box::new(select.wait_async()));
        assert!(poll_once(Pin::new(&mut *forgotten)).is_none());
        forgotten_ones.push(std::ptr::from_mut(forgotten).cast::<()>());
    };
    // Another wait.
    forget(&mut select);
    assert!(select.try_wait().is_none());
    forget(&mut select);
    thread::scope(|scope| {
        scope.spawn(|| tx.send("sent").unwrap());
        let operation = select.wait();
        assert_eq!((operation.index(), operation.recv(&rx)), (number, Ok("sent")));
    });
    // A value that came before it: it goes back.
    forget(&mut select);
    tx.try_send("handed over").unwrap();
    assert_eq!(rx.len(), 0);
    let operation = poll_once(pin!(select.wait_async())).expect("it is ready");
    assert_eq!(operation.recv(&rx), Ok("handed over"));
    // An arm that goes, and one that comes.
    forget(&mut select);
    select.remove(number);
    assert!(tx.try_send("nobody there").is_err());
    forget(&mut select);
    select.recv(&rx);
    assert!(tx.try_send("nobody there").is_err());
    // All of it moves, and ends.
    forget(&mut select);
    drop(Box::new(select));
    assert!(tx.try_send("nobody there").is_err());
    assert!(other_rx.recv_event().wait_timeout(Duration::from_micros(10)).is_none());
    assert!(other_tx.try_send(1).is_err());
    static FORGOTTEN: AtomicPtr<Vec<*mut ()>> = AtomicPtr::new(std::ptr::null_mut());
    FORGOTTEN.store(Box::leak(Box::new(forgotten_ones)), Ordering::Relaxed);
}
