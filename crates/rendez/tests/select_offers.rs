//! `Select`'s sends, which are chosen before they have their value: what they reserve, and what becomes of that.
#![cfg(not(loom))]

mod worlds;

use rendez::{
    Select,
    chan::{self, TryRecvError},
};
use std::pin::pin;
use worlds::{Watchdog, poll_once};

/// Somebody who offers a send is told that a receiver has come, and goes away instead: the next one who offers must hear
/// of it.
#[test]
fn an_offer_that_was_told_of_a_receiver_and_goes_leaves_it_to_the_next() {
    let _watchdog = Watchdog::new("offers".into());
    let (tx, rx) = chan::bounded(0);
    let (mut first, mut second) = (Select::new(), Select::new());
    first.send(&tx);
    second.send(&tx);
    let mut receive = pin!(rx.recv_async());
    let mut sends = pin!(second.wait_async());
    {
        let mut goes = pin!(first.wait_async());
        assert!(poll_once(goes.as_mut()).is_none());
        assert!(poll_once(sends.as_mut()).is_none());
        assert!(poll_once(receive.as_mut()).is_none());
    }
    // (Given back by the one that has gone, the receive begins anew.)
    assert!(poll_once(receive.as_mut()).is_none());
    let operation = poll_once(sends.as_mut()).expect("a receiver is there");
    operation.send(&tx, 7).unwrap();
    assert_eq!(poll_once(receive.as_mut()), Some(Ok(7)));
}

/// The same with a slot of the buffer, which a plain sender waits for behind the offer.
#[test]
fn an_offer_that_was_told_of_a_slot_and_goes_leaves_it_to_the_next() {
    let _watchdog = Watchdog::new("offers".into());
    let (tx, rx) = chan::bounded(1);
    tx.send(1).unwrap();
    let mut select = Select::new();
    select.send(&tx);
    let mut send = pin!(tx.send_async(2));
    {
        let mut goes = pin!(select.wait_async());
        assert!(poll_once(goes.as_mut()).is_none());
        assert!(poll_once(send.as_mut()).is_none());
        assert_eq!(rx.recv(), Ok(1));
    }
    assert_eq!(poll_once(send.as_mut()), Some(Ok(())), "there is room");
    assert_eq!(rx.recv(), Ok(2));
}

/// A select that was told of a receiver finds another of its arms ready when it looks: it may take either, but if it takes
/// the other, the receiver is another offer's.
#[test]
fn an_offer_that_is_told_and_chooses_another_arm_keeps_nobody_waiting() {
    let _watchdog = Watchdog::new("offers".into());
    for _ in 0..64 {
        let (tx, rx) = chan::bounded(0);
        let (tx_other, rx_other) = chan::bounded(1);
        let (mut both, mut single) = (Select::new(), Select::new());
        both.recv(&rx_other);
        both.send(&tx);
        single.send(&tx);
        let mut receive = pin!(rx.recv_async());
        let mut sends = pin!(single.wait_async());
        let mut chooses = pin!(both.wait_async());
        assert!(poll_once(chooses.as_mut()).is_none());
        assert!(poll_once(sends.as_mut()).is_none());
        assert!(poll_once(receive.as_mut()).is_none());
        tx_other.send(1).unwrap();
        let operation = poll_once(chooses.as_mut()).expect("both its arms are ready");
        match operation.index() {
            0 => {
                assert_eq!(operation.recv(&rx_other), Ok(1));
                poll_once(sends.as_mut()).expect("a receiver is there").send(&tx, 2).unwrap();
            }
            _ => operation.send(&tx, 2).unwrap(),
        }
        assert_eq!(poll_once(receive.as_mut()), Some(Ok(2)));
    }
}

/// A receive that a send has been reserved for is dropped, or polled, by the very thread that is to send.
#[test]
fn a_receive_that_a_send_has_reserved_can_be_polled_and_dropped() {
    let _watchdog = Watchdog::new("a reserved receive".into());
    let (tx, rx) = chan::bounded(0);
    let mut select = Select::new();
    select.send(&tx);
    let operation = {
        let mut receive = pin!(rx.recv_async());
        assert!(poll_once(receive.as_mut()).is_none());
        let operation = select.try_wait().expect("a receiver is there");
        assert!(poll_once(receive.as_mut()).is_none(), "it has no value yet");
        operation
    };
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    operation.send(&tx, 7).unwrap();
    // As if it had been handed to the receive before that was dropped.
    assert_eq!(rx.try_recv(), Ok(7));
}
