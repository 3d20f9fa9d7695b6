//! `default`: taken only if at one instant no arm was ready, and what becomes of a peer that comes at that instant.
//!
//! The instant, and the limits, are races with other threads, so the time is the machine's. Nothing is said of how long
//! anything takes.
#![cfg(not(loom))]

use crate::worlds::{Crew, Role, in_every_world};
use rendez::{
    Event, Select,
    chan::{self, Receiver, RecvError, Sender},
    choose, select,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

/// Per world; the debug build is some twenty times slower.
const fn tries(of: usize) -> usize {
    if cfg!(debug_assertions) { of / 50 } else { of }
}

/// Two roles move one token from channel to channel, each inserting before it takes out, so that at every instant at least
/// one of the channels holds one, but for the time in which `find` has taken it.
fn a_token_is_always_somewhere(
    crew: &Crew,
    tries: usize,
    mut find: impl FnMut(&Receiver<u32>, &Receiver<u32>) -> Option<Found>,
) {
    let (tx_a, rx_a) = chan::bounded(2);
    let (tx_b, rx_b) = chan::bounded(2);
    tx_a.send(0).unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let moves = Arc::new(AtomicUsize::new(0));
    let mover = |to: &Sender<u32>, from: &Receiver<u32>| {
        let (to, from, over, moves) = (to.clone(), from.clone(), over.clone(), moves.clone());
        crew.start(|ops| async move {
            while !over.load(Ordering::Relaxed) {
                if ops.send(&to, 0).await.is_err() || ops.recv(&from).await.is_err() {
                    break;
                }
                if moves.fetch_add(1, Ordering::Relaxed) % 64 == 0 {
                    ops.pause().await;
                }
            }
        })
    };
    let movers = [mover(&tx_b, &rx_a), mover(&tx_a, &rx_b)];
    let mut i = 0;
    while i < tries || moves.load(Ordering::Relaxed) < 100 {
        i += 1;
        match find(&rx_a, &rx_b) {
            Some(Found::A(token)) => tx_a.send(token).unwrap(),
            Some(Found::B(token)) => tx_b.send(token).unwrap(),
            Some(Found::PutBack) => {}
            None => panic!("the default was taken at try {i}"),
        }
        if i % 64 == 0 {
            rendez::yield_now();
        }
    }
    over.store(true, Ordering::Relaxed);
    tx_a.close();
    tx_b.close();
    movers.into_iter().for_each(Role::join);
}

enum Found {
    A(u32),
    B(u32),
    PutBack,
}

#[test]
fn select_never_takes_its_default_while_a_token_is_somewhere() {
    in_every_world(|crew| {
        a_token_is_always_somewhere(crew, tries(1_000_000), |a, b| {
            select! {
                recv(a) -> token => Some(Found::A(token.unwrap())),
                recv(b) -> token => Some(Found::B(token.unwrap())),
                default => None,
            }
        });
    });
}

#[test]
fn biased_select_never_takes_its_default_while_a_token_is_somewhere() {
    in_every_world(|crew| {
        a_token_is_always_somewhere(crew, tries(200_000), |a, b| {
            select! {
                biased;
                recv(a) -> token => Some(Found::A(token.unwrap())),
                recv(b) -> token => Some(Found::B(token.unwrap())),
                default(Duration::ZERO) => None,
            }
        });
    });
}

#[test]
fn a_choice_looked_at_never_finds_nothing_while_a_token_is_somewhere() {
    in_every_world(|crew| {
        a_token_is_always_somewhere(crew, tries(200_000), |a, b| {
            let a = a.recv_event().map(|token| Found::A(token.unwrap())).boxed();
            let b = b.recv_event().map(|token| Found::B(token.unwrap())).boxed();
            choose([a, b]).wait_timeout(Duration::ZERO)
        });
    });
}

#[test]
fn a_dynamic_select_tried_never_finds_nothing_while_a_token_is_somewhere() {
    in_every_world(|crew| {
        a_token_is_always_somewhere(crew, tries(200_000), |a, b| {
            let mut select = Select::new();
            select.recv(a);
            select.recv(b);
            // Given up: the token goes back to where it was.
            select.try_wait().map(|_operation| Found::PutBack)
        });
    });
}

/// A goroutine whose default loses to a peer gets that peer's wake-up although it does not sleep: it must not be left for
/// the goroutine's next park.
#[test]
fn a_default_that_loses_to_a_peer_leaves_no_wake_up_behind() {
    let rounds = tries(200_000);
    in_every_world(|crew| {
        let (tx, rx) = chan::bounded::<usize>(0);
        let (_other, nothing) = chan::bounded::<usize>(0);
        let sender = crew.start(|ops| async move {
            for i in 0..rounds {
                ops.send(&tx, i).await.unwrap();
            }
        });
        let mut received = 0;
        while received < rounds {
            select! {
                recv(rx) -> value => {
                    assert_eq!(value, Ok(received));
                    received += 1;
                }
                recv(nothing) -> _ => unreachable!("nobody sends there"),
                default => rendez::sleep(Duration::from_nanos(1)),
            }
        }
        sender.join();
        assert_eq!(rx.recv(), Err(RecvError));
    });
}

/// The same, with the time-out in place of the default: the limit passes around the hand-over.
#[test]
fn a_time_out_around_the_hand_over_takes_the_value_or_leaves_it() {
    let rounds = tries(20_000);
    in_every_world(|crew| {
        let (tx, rx) = chan::bounded::<usize>(0);
        let (_other, nothing) = chan::bounded::<usize>(0);
        let sender = crew.start(|ops| async move {
            for i in 0..rounds {
                ops.send(&tx, i).await.unwrap();
            }
        });
        let (mut received, mut limit) = (0, 1);
        while received < rounds {
            select! {
                recv(rx) -> value => {
                    assert_eq!(value, Ok(received));
                    received += 1;
                }
                recv(nothing) -> _ => unreachable!("nobody sends there"),
                default(Duration::from_nanos(limit)) => limit = limit * 5 % 60_013 + 1,
            }
        }
        sender.join();
    });
}
