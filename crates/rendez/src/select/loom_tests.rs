//! Select under loom: two selects that meet, a select against a close, a time-out, and the instant of a default.

use super::{
    arm::{Arm, Operation},
    run::{Patience, run},
};
use crate::{
    chan::{self, Offer, Receiver, RecvError, Sender},
    time::Instant,
};
use loom::thread;
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

fn explore(model: impl Fn() + Sync + Send + 'static) {
    let interleavings = std::sync::Arc::new(AtomicUsize::new(0));
    let counted = interleavings.clone();
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(2));
    builder.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        model();
    });
    println!("{} interleavings", interleavings.load(Ordering::Relaxed));
}

/// What a select over one send and one receive has done.
#[derive(Debug, PartialEq)]
enum Did {
    Sent(bool),
    Received(Result<u32, RecvError>),
    Nothing,
}

/// A deadline that may pass at any moment.
fn some_time() -> Patience {
    Patience::Until(Instant::now().checked_add(Duration::from_secs(1)).expect("in range"))
}

fn exchange(tx: &Sender<u32>, value: u32, rx: &Receiver<u32>, send_first: bool, patience: Patience) -> Did {
    let mut send = tx.send_event(value);
    let mut recv = rx.recv_event();
    let mut arms: [&mut dyn Arm; 2] =
        if send_first { [&mut send, &mut recv] } else { [&mut recv, &mut send] };
    match run(&mut arms[..], true, patience) {
        None => Did::Nothing,
        Some(index) if (index == 0) == send_first => Did::Sent(send.finish().is_ok()),
        Some(_) => Did::Received(recv.finish()),
    }
}

#[test]
fn two_selects_that_meet_on_two_channels_agree() {
    for orders in 0..4 {
        explore(move || {
            let (tx_a, rx_a) = chan::bounded(0);
            let (tx_b, rx_b) = chan::bounded(0);
            let other = thread::spawn(move || exchange(&tx_b, 2, &rx_a, orders & 1 == 0, Patience::Endless));
            let mine = exchange(&tx_a, 1, &rx_b, orders & 2 == 0, Patience::Endless);
            match (mine, other.join().unwrap()) {
                (Did::Sent(true), Did::Received(Ok(1))) | (Did::Received(Ok(2)), Did::Sent(true)) => {}
                other => panic!("{other:?}"),
            }
        });
    }
}

#[test]
fn a_select_does_not_meet_itself() {
    explore(|| {
        let (tx, rx) = chan::bounded(0);
        let other = thread::spawn({
            let (tx, rx) = (tx.clone(), rx.clone());
            move || exchange(&tx, 2, &rx, true, Patience::Endless)
        });
        let mine = exchange(&tx, 1, &rx, false, Patience::Endless);
        match (mine, other.join().unwrap()) {
            (Did::Sent(true), Did::Received(Ok(1))) | (Did::Received(Ok(2)), Did::Sent(true)) => {}
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_select_against_a_time_out_loses_nothing() {
    explore(|| {
        let (tx_a, rx_a) = chan::bounded(0);
        let (tx_b, rx_b) = chan::bounded(0);
        let other = thread::spawn(move || exchange(&tx_b, 2, &rx_a, true, some_time()));
        let mine = exchange(&tx_a, 1, &rx_b, true, some_time());
        match (mine, other.join().unwrap()) {
            (Did::Sent(true), Did::Received(Ok(1))) | (Did::Received(Ok(2)), Did::Sent(true)) => {}
            (Did::Nothing, Did::Nothing) => {}
            // Whoever has gone has closed its channels.
            (Did::Nothing, Did::Sent(false) | Did::Received(Err(RecvError))) => {}
            (Did::Sent(false) | Did::Received(Err(RecvError)), Did::Nothing) => {}
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_select_whose_arms_close_and_fill_while_it_parks_gets_one_of_both() {
    explore(|| {
        let (tx_a, rx_a) = chan::bounded::<u32>(0);
        let (tx_b, rx_b) = chan::bounded(1);
        let closer = thread::spawn(move || drop(tx_a));
        let sender = thread::spawn(move || tx_b.send(7).unwrap());
        let (mut a, mut b) = (rx_a.recv_event(), rx_b.recv_event());
        let mut arms: [&mut dyn Arm; 2] = [&mut a, &mut b];
        match run(&mut arms[..], true, Patience::Endless) {
            Some(0) => {
                assert_eq!(a.finish(), Err(RecvError));
                drop(b);
                assert_eq!(rx_b.recv(), Ok(7), "the losing arm took nothing");
            }
            _ => assert_eq!(b.finish(), Ok(7)),
        }
        closer.join().unwrap();
        sender.join().unwrap();
    });
}

#[test]
fn a_default_is_never_taken_while_a_token_is_somewhere() {
    explore(|| {
        let (tx_a, rx_a) = chan::bounded(1);
        let (tx_b, rx_b) = chan::bounded(1);
        tx_b.send(1).unwrap();
        let mover = thread::spawn({
            let rx_b = rx_b.clone();
            move || {
                // One of the channels holds a token at every instant.
                tx_a.send(1).unwrap();
                let _ = rx_b.try_recv();
                tx_a
            }
        });
        let (mut a, mut b) = (rx_a.recv_event(), rx_b.recv_event());
        let mut arms: [&mut dyn Arm; 2] = [&mut a, &mut b];
        assert!(
            run(&mut arms[..], true, Patience::None).is_some(),
            "a token was in one of them all the time"
        );
        drop(mover.join().unwrap());
    });
}

#[test]
fn a_send_that_gets_its_value_later_meets_a_receiver_that_may_give_up() {
    explore(|| {
        let (tx, rx) = chan::bounded(0);
        let receiver = thread::spawn(move || (rx.recv_deadline(Instant::now()).is_ok(), rx));
        let mut offer = Offer::boxed(&tx);
        let mut arms: [&mut dyn Arm; 1] = [&mut *offer];
        let chosen = run(&mut arms[..], true, some_time()).is_some();
        let sent = chosen && offer.send(5).is_ok();
        drop(offer);
        let (received, rx) = receiver.join().unwrap();
        assert!(sent || !received);
        assert_eq!(rx.try_recv().is_ok(), sent && !received, "what it could not wait for is the next one's");
    });
}

#[test]
fn a_send_that_gets_its_value_later_meets_a_select_that_may_give_up() {
    explore(|| {
        let (tx, rx) = chan::bounded(0);
        let (_tx_other, rx_other) = chan::bounded::<u32>(0);
        let receiver = thread::spawn(move || {
            let (mut a, mut b) = (rx_other.recv_event(), rx.recv_event());
            let mut arms: [&mut dyn Arm; 2] = [&mut a, &mut b];
            let received = match run(&mut arms[..], true, some_time()) {
                None => false,
                Some(0) => panic!("nobody sends there"),
                Some(_) => b.finish().is_ok(),
            };
            (received, rx.clone())
        });
        let mut offer = Offer::boxed(&tx);
        let mut arms: [&mut dyn Arm; 1] = [&mut *offer];
        let sent = run(&mut arms[..], true, some_time()).is_some() && offer.send(5).is_ok();
        drop(offer);
        let (received, rx) = receiver.join().unwrap();
        assert!(sent || !received);
        assert_eq!(rx.try_recv().is_ok(), sent && !received, "what it could not wait for is the next one's");
    });
}

/// Of two that offer, one goes away, perhaps with the receiver promised to it.
#[test]
fn an_offer_that_was_promised_a_receiver_and_goes_leaves_it_to_the_next() {
    explore(|| {
        let (tx, rx) = chan::bounded(0);
        let receiver = thread::spawn(move || rx.recv());
        let goes = thread::spawn({
            let tx = tx.clone();
            move || {
                let mut offer = Offer::boxed(&tx);
                let mut arms: [&mut dyn Arm; 1] = [&mut *offer];
                run(&mut arms[..], true, some_time());
            }
        });
        let mut offer = Offer::boxed(&tx);
        let mut arms: [&mut dyn Arm; 1] = [&mut *offer];
        assert_eq!(run(&mut arms[..], true, Patience::Endless), Some(0));
        assert_eq!(offer.send(9), Ok(()));
        goes.join().unwrap();
        assert_eq!(receiver.join().unwrap(), Ok(9));
    });
}

#[test]
fn a_send_that_is_not_carried_out_leaves_its_receiver_to_the_next() {
    explore(|| {
        let (tx, rx) = chan::bounded(0);
        let receiver = thread::spawn(move || rx.recv());
        let mut offer = Offer::boxed(&tx);
        let mut arms: [&mut dyn Arm; 1] = [&mut *offer];
        assert_eq!(run(&mut arms[..], true, Patience::Endless), Some(0));
        drop(offer);
        tx.send(9).unwrap();
        assert_eq!(receiver.join().unwrap(), Ok(9));
    });
}
