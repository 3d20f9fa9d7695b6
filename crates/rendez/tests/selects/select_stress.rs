//! Selects that meet each other: from both sides, in rings, with themselves, with ends and time-outs; from every world.
//! Every round is accounted for: nothing is lost, doubled or stuck.
#![cfg(not(loom))]

use crate::worlds::{Crew, Ops, Role, WORLDS, World, in_every_world, in_world};
use rendez::{
    Event, Select,
    chan::{self, Receiver, Sender},
    choose, select,
};
use std::{sync::Arc, time::Duration};

const fn rounds(of: usize) -> usize {
    if cfg!(debug_assertions) { of / 50 } else { of }
}

/// How a role asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    SendFirst,
    RecvFirst,
    Shuffled,
    Choose,
    Dynamic,
}

const FORMS: [Form; 5] = [Form::SendFirst, Form::RecvFirst, Form::Shuffled, Form::Choose, Form::Dynamic];

#[derive(Debug, PartialEq, Eq)]
enum Did {
    Sent,
    Received(u64),
    /// One of the channels is closed.
    Ended,
}

impl Did {
    fn sent(ok: bool) -> Did {
        if ok { Did::Sent } else { Did::Ended }
    }

    fn received(value: Option<u64>) -> Did {
        value.map_or(Did::Ended, Did::Received)
    }
}

/// Sends `value`, or receives one, whichever comes first.
async fn exchange(ops: Ops, form: Form, tx: &Sender<u64>, value: u64, rx: &Receiver<u64>) -> Did {
    match form {
        // In an async world these block: a goroutine's poll is parked, a task has its thread.
        Form::SendFirst => select! {
            biased;
            send(tx, value) -> sent => Did::sent(sent.is_ok()),
            recv(rx) -> value => Did::received(value.ok()),
        },
        Form::RecvFirst => select! {
            biased;
            recv(rx) -> value => Did::received(value.ok()),
            send(tx, value) -> sent => Did::sent(sent.is_ok()),
        },
        Form::Shuffled => {
            let mut slot = Some(value);
            select! {
                recv(rx) -> value => Did::received(value.ok()),
                send(tx, take slot) -> sent => Did::sent(sent.is_ok()),
            }
        }
        Form::Choose => {
            let send = tx.send_event(value).map(|sent| Did::sent(sent.is_ok())).boxed();
            let recv = rx.recv_event().map(|value| Did::received(value.ok())).boxed();
            ops.event(choose([send, recv])).await
        }
        Form::Dynamic => {
            let mut select = Select::new();
            select.send(tx);
            select.recv(rx);
            let operation = if ops.awaits() { select.wait_async().await } else { select.wait() };
            match operation.index() {
                0 => Did::sent(operation.send(tx, value).is_ok()),
                _ => Did::received(operation.recv(rx).ok()),
            }
        }
    }
}

/// What a role has sent and received: counts and sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    sent: (u64, u64),
    received: (u64, u64),
}

impl Tally {
    fn note(&mut self, did: &Did, value: u64) -> bool {
        let (tally, value) = match did {
            Did::Sent => (&mut self.sent, value),
            Did::Received(value) => (&mut self.received, *value),
            Did::Ended => return false,
        };
        tally.0 += 1;
        tally.1 += value;
        true
    }

    fn sum(tallies: impl IntoIterator<Item = Tally>) -> Tally {
        tallies.into_iter().fold(Tally::default(), |sum, tally| Tally {
            sent: (sum.sent.0 + tally.sent.0, sum.sent.1 + tally.sent.1),
            received: (sum.received.0 + tally.received.0, sum.received.1 + tally.received.1),
        })
    }
}

/// A role that exchanges `rounds` times, with other values than those of other names, and closes its channels at the end
/// if it is told to.
fn exchanger(
    crew: &Crew,
    name: u64,
    rounds: usize,
    form: impl Fn(usize) -> Form + Send + 'static,
    (tx, rx): (Sender<u64>, Receiver<u64>),
    closes: bool,
) -> Role<Tally> {
    crew.start(move |ops| async move {
        let mut tally = Tally::default();
        for i in 0..rounds {
            let value = name * 1_000_000_007 + i as u64;
            let did = exchange(ops, form(i), &tx, value, &rx).await;
            if let Did::Received(value) = did {
                assert_ne!(value / 1_000_000_007, name, "it met itself");
            }
            if !tally.note(&did, value) {
                break;
            }
        }
        if closes {
            tx.close();
            rx.close();
        }
        tally
    })
}

/// How many rounds a world makes in the time that the others have: threads take micro-seconds for each.
fn weight(world: World, of: usize) -> usize {
    match world {
        World::Goroutines(_) => of,
        World::Threads | World::Tasks => of / 8,
        _ => of / 4,
    }
}

/// A million rounds and more over all worlds.
fn two_meet(
    form: impl Fn(usize) -> Form + Copy + Send + Sync + 'static,
    other: impl Fn(usize) -> Form + Copy + Send + Sync + 'static,
) {
    for world in WORLDS {
        in_world(world, |crew| {
            let rounds = rounds(weight(world, 220_000));
            let ((tx_a, rx_a), (tx_b, rx_b)) = (chan::bounded(0), chan::bounded(0));
            let one = exchanger(crew, 1, rounds, form, (tx_a, rx_b), false);
            let two = exchanger(crew, 2, rounds, other, (tx_b, rx_a), false);
            let (one, two) = (one.join(), two.join());
            assert_eq!((one.sent, one.received), (two.received, two.sent));
            assert_eq!((one.sent.0 + one.received.0) as usize, rounds);
        });
    }
}

#[test]
fn two_selects_that_both_send_first_meet() {
    two_meet(|_| Form::SendFirst, |_| Form::SendFirst);
}

#[test]
fn two_selects_that_both_receive_first_meet() {
    two_meet(|_| Form::RecvFirst, |_| Form::RecvFirst);
}

#[test]
fn two_selects_of_opposite_orders_meet() {
    two_meet(|_| Form::SendFirst, |_| Form::RecvFirst);
}

#[test]
fn two_choices_meet() {
    two_meet(|_| Form::Choose, |_| Form::Choose);
}

#[test]
fn two_dynamic_selects_meet() {
    two_meet(|_| Form::Dynamic, |_| Form::Dynamic);
}

#[test]
fn two_selects_of_changing_forms_meet() {
    two_meet(|i| FORMS[i % 5], |i| FORMS[i / 5 % 5]);
}

/// Each sends to the next and receives from the one before.
#[test]
fn selects_in_rings_of_three_and_five_meet() {
    for world in WORLDS {
        in_world(world, |crew| {
            for size in [3, 5] {
                let rounds = rounds(weight(world, 40_000));
                let channels: Vec<_> = (0..size).map(|_| chan::bounded(0)).collect();
                let roles: Vec<_> = (0..size)
                    .map(|i| {
                        let ends = (channels[i].0.clone(), channels[(i + 1) % size].1.clone());
                        exchanger(crew, i as u64, rounds, move |j| FORMS[(i + j / 7) % 5], ends, true)
                    })
                    .collect();
                drop(channels);
                let sum = Tally::sum(roles.into_iter().map(Role::join));
                assert_eq!(sum.sent, sum.received);
                assert!(sum.sent.0 as usize >= rounds / 2, "the first to end has made its rounds");
            }
        });
    }
}

/// Every role sends to and receives from one and the same channel.
#[test]
fn a_channel_that_stands_on_both_sides_of_a_select_never_meets_itself() {
    for world in WORLDS {
        in_world(world, |crew| {
            for roles in [2, 3, 7] {
                let rounds = rounds(weight(world, 20_000));
                let (tx, rx) = chan::bounded(0);
                let roles: Vec<_> = (0..roles)
                    .map(|i| {
                        let ends = (tx.clone(), rx.clone());
                        exchanger(crew, i, rounds, move |j| FORMS[(i as usize + j / 7) % 5], ends, true)
                    })
                    .collect();
                let sum = Tally::sum(roles.into_iter().map(Role::join));
                assert_eq!(sum.sent, sum.received);
            }
        });
    }
}

/// The same channel in two receiving and two sending arms, with a buffer that may hold what the select itself has sent.
#[test]
fn a_channel_in_four_arms_counts_as_one() {
    in_every_world(|crew| {
        for capacity in [0, 1, 2] {
            let rounds = rounds(5_000);
            let (tx, rx) = chan::bounded(capacity);
            let role = |name: u64| {
                let (tx, rx) = (tx.clone(), rx.clone());
                crew.start(move |_| async move {
                    let mut tally = Tally::default();
                    for i in 0..rounds as u64 {
                        let value = name * 1_000_000_007 + i;
                        let did = select! {
                            recv(rx) -> value => Did::received(value.ok()),
                            send(tx, value) -> sent => Did::sent(sent.is_ok()),
                            recv(&rx) -> value => Did::received(value.ok()),
                            send(&tx, value) -> sent => Did::sent(sent.is_ok()),
                        };
                        if !tally.note(&did, value) {
                            break;
                        }
                    }
                    tx.close();
                    tally
                })
            };
            let mut sum = Tally::sum([role(1), role(2), role(3)].map(Role::join));
            for value in rx.try_iter() {
                sum.note(&Did::Received(value), 0);
            }
            assert_eq!(sum.sent, sum.received);
        }
    });
}

/// Sends, receives, time-outs around the moment of the hand-over, and a close in the middle: what was sent is received, or is
/// in the buffer.
#[test]
fn time_outs_and_closes_around_the_hand_over_lose_nothing() {
    for world in WORLDS {
        in_world(world, |crew| {
            for capacity in [0, 1] {
                let rounds = rounds(weight(world, 10_000));
                let ((tx_a, rx_a), (tx_b, rx_b)) = (chan::bounded(capacity), chan::bounded(capacity));
                let both = Arc::new((tx_a, rx_a, tx_b, rx_b));
                let role = |name: u64, form: usize| {
                    let both = both.clone();
                    crew.start(move |ops| async move {
                        let mut tally = Tally::default();
                        let (tx_a, rx_a, tx_b, rx_b) = &*both;
                        for i in 0..rounds as u64 {
                            let value = name * 1_000_000_007 + i;
                            let limit = Duration::from_nanos(i * 37 % 5_003);
                            let did = match form {
                                0 => select! {
                                    send(tx_a, value) -> sent => Some(Did::sent(sent.is_ok())),
                                    send(tx_b, value) -> sent => Some(Did::sent(sent.is_ok())),
                                    default(limit) => None,
                                },
                                1 => select! {
                                    recv(rx_a) -> value => Some(Did::received(value.ok())),
                                    recv(rx_b) -> value => Some(Did::received(value.ok())),
                                    default(limit) => None,
                                },
                                2 => choose([
                                    tx_a.send_event(value).map(|sent| Did::sent(sent.is_ok())).boxed(),
                                    rx_b.recv_event().map(|value| Did::received(value.ok())).boxed(),
                                ])
                                .wait_timeout(limit),
                                _ => {
                                    let mut select = Select::new();
                                    select.send(tx_b);
                                    select.recv(rx_a);
                                    select.wait_timeout(limit).map(|operation| match operation.index() {
                                        0 => Did::sent(operation.send(tx_b, value).is_ok()),
                                        _ => Did::received(operation.recv(rx_a).ok()),
                                    })
                                }
                            };
                            match did {
                                Some(did) if !tally.note(&did, value) => break,
                                Some(_) => {}
                                None => ops.pause().await,
                            }
                        }
                        both.0.close();
                        both.3.close();
                        tally
                    })
                };
                let roles = [0, 1, 2, 3, 0, 1].into_iter().zip(0..).map(|(form, name)| role(name, form));
                let roles: Vec<_> = roles.collect();
                let mut sum = Tally::sum(roles.into_iter().map(Role::join));
                for value in both.1.try_iter().chain(both.3.try_iter()) {
                    sum.note(&Did::Received(value), 0);
                }
                assert_eq!(sum.sent, sum.received);
            }
        });
    }
}

/// Of a select's many arms some close while it parks, one after another: each is told once, and no value is lost.
#[test]
fn arms_that_close_while_the_select_parks_are_told_and_the_others_go_on() {
    in_every_world(|crew| {
        for round in 0..rounds(1_000) {
            let (txs, rxs): (Vec<_>, Vec<_>) = (0..4).map(|i| chan::bounded(i % 2)).unzip();
            let roles: Vec<_> = txs
                .into_iter()
                .enumerate()
                .map(|(i, tx)| {
                    crew.start(move |ops| async move {
                        for value in 0..(round + i) % 4 {
                            ops.send(&tx, value as u64).await.unwrap();
                        }
                        // Its drop closes the channel.
                    })
                })
                .collect();
            let mut open: Vec<_> = rxs.into_iter().map(Some).collect();
            let mut received = [0; 4];
            while open.iter().any(Option::is_some) {
                let (i, value) = select! {
                    recv(open[0]) -> value => (0, value),
                    recv(&open[1]) -> value => (1, value),
                    recv(open[2].as_ref()) -> value => (2, value),
                    recv(open[3]) -> value => (3, value),
                };
                match value {
                    Ok(value) => {
                        assert_eq!(value, received[i]);
                        received[i] += 1;
                    }
                    Err(_) => open[i] = None,
                }
            }
            for (i, received) in received.into_iter().enumerate() {
                assert_eq!(received as usize, (round + i) % 4);
            }
            roles.into_iter().for_each(Role::join);
        }
    });
}
