//! `Select`'s sends, which are chosen before they have their value: what they reserve, and what becomes of that.
#![cfg(not(loom))]

use crate::worlds::{Watchdog, poll_once};
use rendez::{
    Select,
    chan::{self, TryRecvError},
};
use std::pin::pin;

/// Somebody who offers a send is promised a receiver, and goes away instead: the next one who offers gets it.
#[test]
fn an_offer_that_was_promised_a_receiver_and_goes_leaves_it_to_the_next() {
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
fn an_offer_that_was_kept_a_slot_and_goes_leaves_it_to_the_next() {
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

/// A select that was promised a receiver finds another of its arms ready when it looks: it may take either, but if it takes
/// the other, the receiver is another offer's.
#[test]
fn an_offer_that_is_chosen_while_another_arm_comes_ready_keeps_nobody_waiting() {
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

/// Three that offer to each other in a ring, polled by turns: two of them agree at once. (Were a match only a reason to look
/// again, each would always look when the one that it could meet is just looking itself.)
#[test]
fn three_that_offer_in_a_ring_agree() {
    let _watchdog = Watchdog::new("a ring".into());
    let channels: [_; 3] = std::array::from_fn(|_| chan::bounded::<usize>(0));
    let mut selects: Vec<_> = (0..3)
        .map(|i| {
            let mut select = Select::new();
            select.send(&channels[i].0);
            select.recv(&channels[(i + 1) % 3].1);
            select
        })
        .collect();
    let mut waits: Vec<_> = selects.iter_mut().map(|select| Box::pin(select.wait_async())).collect();
    let mut operations: [Option<_>; 3] = [None, None, None];
    // Each but the first finds the one that it could receive from waiting before it.
    for i in [0, 2, 1].into_iter().cycle().take(9) {
        if operations[i].is_none() {
            operations[i] = poll_once(waits[i].as_mut());
        }
    }
    let sender = operations.iter().position(|operation| operation.as_ref().is_some_and(|o| o.index() == 0));
    let sender = sender.expect("one of them has been chosen to send");
    let receiver = (sender + 2) % 3;
    operations[sender].take().unwrap().send(&channels[sender].0, 7).unwrap();
    let received = poll_once(waits[receiver].as_mut()).expect("it has its value");
    assert_eq!((received.index(), received.recv(&channels[sender].1)), (1, Ok(7)));
}
