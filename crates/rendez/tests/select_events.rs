//! `Select`: arms that are known only at run time.
#![cfg(not(loom))]

use rendez::{
    Select,
    chan::{self, TryRecvError},
    go,
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

#[test]
fn thousands_of_arms_added_and_removed_between_waits() {
    let channels: Vec<_> = (0..3000).map(|_| chan::bounded::<usize>(1)).collect();
    let mut select = Select::new();
    let mut numbers: Vec<usize> = channels.iter().map(|(_, rx)| select.recv(rx)).collect();
    assert_eq!(select.len(), 3000);
    for turn in 0..1000 {
        let place = (turn * 7919) % channels.len();
        channels[place].0.send(turn).unwrap();
        let operation = select.wait();
        assert_eq!(operation.index(), numbers[place]);
        assert_eq!(operation.recv(&channels[place].1), Ok(turn));
        select.remove(numbers[place]);
        numbers[place] = select.recv(&channels[place].1);
    }
    assert!(select.try_wait().is_none());
    assert!(select.wait_timeout(Duration::from_millis(1)).is_none());
    let gone = catch_unwind(AssertUnwindSafe(|| select.remove(0))).unwrap_err();
    assert!(gone.downcast::<String>().unwrap().contains("no arm 0"));
}

#[test]
fn sends_get_their_values_when_they_have_been_chosen() {
    rendez::run(|| {
        let (tx, rx) = chan::bounded::<String>(0);
        let (out, collected) = chan::bounded::<i32>(0);
        go(move || (0..100).for_each(|i| tx.send(i.to_string()).unwrap()));
        let sum = go(move || collected.iter().sum::<i32>());
        let mut select = Select::new();
        let (words, numbers) = (select.recv(&rx), select.send(&out));
        let (mut received, mut sent) = (0, 0);
        while received < 100 || sent < 50 {
            let operation = select.wait();
            if operation.index() == words {
                match operation.recv(&rx) {
                    Ok(word) => {
                        assert_eq!(word, received.to_string());
                        received += 1;
                    }
                    Err(_) => select.remove(words),
                }
            } else {
                assert_eq!(operation.index(), numbers);
                operation.send(&out, 1).unwrap();
                sent += 1;
            }
        }
        drop(select);
        drop(out);
        assert_eq!(sum.join().unwrap(), sent);
    });
}

#[test]
fn two_that_meet_one_to_send_and_one_to_receive_agree() {
    let rounds = if cfg!(debug_assertions) || cfg!(rendez_sanitize) { 2_000 } else { 50_000 };
    for workers in [1, 2] {
        let runtime = rendez::Runtime::builder().workers(workers).build().unwrap();
        runtime.run(|| {
            let (tx, rx) = chan::bounded::<u64>(0);
            let (_open, silent) = chan::bounded::<u64>(0);
            let receiver = go(move || {
                let mut select = Select::new();
                select.recv(&silent);
                let arm = select.recv(&rx);
                (0..rounds)
                    .map(|_| {
                        let operation = select.wait();
                        assert_eq!(operation.index(), arm);
                        operation.recv(&rx).unwrap()
                    })
                    .sum::<u64>()
            });
            let mut select = Select::new();
            select.send(&tx);
            for i in 0..rounds {
                select.wait().send(&tx, i).unwrap();
            }
            assert_eq!(receiver.join().unwrap(), rounds * (rounds - 1) / 2);
        });
    }
}

#[test]
fn what_is_not_completed_has_not_happened() {
    let (tx, rx) = chan::bounded(2);
    tx.send(1).unwrap();
    tx.send(2).unwrap();
    let mut select = Select::new();
    select.recv(&rx);
    drop(select.wait());
    assert_eq!((rx.recv(), rx.recv()), (Ok(1), Ok(2)), "it goes back to the front");

    // A reserved slot that is not used is free again, and whoever waits for one goes on.
    let (tx, rx) = chan::bounded(1);
    let mut select = Select::new();
    select.send(&tx);
    let reserved = select.wait();
    assert!(tx.try_send(1).is_err(), "the slot is reserved");
    let sender = go({
        let tx = tx.clone();
        move || tx.send(2)
    });
    drop(reserved);
    assert_eq!(rx.recv(), Ok(2));
    sender.join().unwrap().unwrap();

    // A receiver that was promised a value goes on waiting, and gets the next.
    let (tx, rx) = chan::bounded(0);
    let receiver = go(move || rx.recv());
    let mut select = Select::new();
    select.send(&tx);
    drop(select.wait());
    tx.send(7).unwrap();
    assert_eq!(receiver.join().unwrap(), Ok(7));
}

#[test]
fn a_closed_channel_makes_both_kinds_of_arms_ready() {
    let (tx, rx) = chan::bounded::<i32>(0);
    let mut select = Select::new();
    let recv = select.recv(&rx);
    select.send(&tx);
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    rx.close();
    for _ in 0..20 {
        let operation = select.wait();
        if operation.index() == recv {
            assert!(operation.recv(&rx).is_err());
        } else {
            assert_eq!(operation.send(&tx, 3).unwrap_err().into_inner(), 3);
        }
    }
}

#[test]
fn completing_with_another_channel_panics_and_loses_nothing() {
    let (tx, rx) = chan::bounded(1);
    let (_tx2, rx2) = chan::bounded::<String>(1);
    tx.send(5).unwrap();
    let mut select = Select::new();
    select.recv(&rx);
    let operation = select.wait();
    let told = catch_unwind(AssertUnwindSafe(|| drop(operation.recv(&rx2)))).unwrap_err();
    assert!(told.downcast::<String>().unwrap().contains("not the one of the selected arm"));
    assert_eq!(rx.recv(), Ok(5));
}
