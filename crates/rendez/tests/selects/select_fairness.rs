//! A select chooses at random among what is ready, each as likely as the others; `biased` takes the first.
#![cfg(not(loom))]

use crate::worlds::{Crew, in_every_world};
use rendez::{
    Event, Select,
    chan::{self, Receiver, Sender},
    choose, select,
};

const PICKS: usize = 10_000;

/// How often each of the first `ready` of `arms` arms was picked, if all those are ready all the time.
fn picks(
    crew: &Crew,
    ready: [bool; 3],
    pick: impl Fn(&[Receiver<()>; 3]) -> usize + Send + Sync + 'static,
) -> [usize; 3] {
    crew.start(move |_| async move {
        let channels: [(Sender<()>, Receiver<()>); 3] = std::array::from_fn(|_| chan::unbounded());
        let (txs, rxs): (Vec<_>, Vec<_>) = channels.into_iter().unzip();
        let rxs: [_; 3] = rxs.try_into().expect("three");
        for i in (0..3).filter(|&i| ready[i]) {
            (0..PICKS).for_each(|_| txs[i].send(()).unwrap());
        }
        let mut picks = [0; 3];
        for _ in 0..PICKS {
            picks[pick(&rxs)] += 1;
        }
        for (i, rx) in rxs.iter().enumerate() {
            let left = if ready[i] { PICKS - picks[i] } else { 0 };
            assert_eq!(rx.len(), left, "what was not picked has lost nothing");
        }
        picks
    })
    .join()
}

fn are_near(picks: [usize; 3], expected: [usize; 3]) {
    for (picks_of_one, expected) in picks.into_iter().zip(expected) {
        let slack = if expected == 0 { 0 } else { 300 };
        assert!(picks_of_one.abs_diff(expected) <= slack, "{picks:?}");
    }
}

const THREE: [bool; 3] = [true, true, true];

fn three(rxs: &[Receiver<()>; 3]) -> usize {
    let [a, b, c] = rxs;
    select! {
        recv(a) -> _ => 0,
        recv(b) -> _ => 1,
        recv(c) -> _ => 2,
    }
}

fn three_biased(rxs: &[Receiver<()>; 3]) -> usize {
    let [a, b, c] = rxs;
    select! {
        biased;
        recv(a) -> _ => 0,
        recv(b) -> _ => 1,
        recv(c) -> _ => 2,
        default => unreachable!("one is ready"),
    }
}

fn two(rxs: &[Receiver<()>; 3]) -> usize {
    let [a, b, _] = rxs;
    select! {
        recv(a) -> _ => 0,
        recv(b) -> _ => 1,
    }
}

#[test]
fn select_is_fair() {
    in_every_world(|crew| {
        are_near(picks(crew, THREE, two), [PICKS / 2, PICKS / 2, 0]);
        are_near(picks(crew, THREE, three), [PICKS / 3; 3]);
        are_near(picks(crew, [true, false, true], three), [PICKS / 2, 0, PICKS / 2]);
        are_near(picks(crew, [false, true, true], three), [0, PICKS / 2, PICKS / 2]);
        are_near(picks(crew, [false, true, false], three), [0, PICKS, 0]);
    });
}

#[test]
fn a_biased_select_takes_the_first_that_is_ready() {
    in_every_world(|crew| {
        assert_eq!(picks(crew, THREE, three_biased), [PICKS, 0, 0]);
        assert_eq!(picks(crew, [false, true, true], three_biased), [0, PICKS, 0]);
        assert_eq!(picks(crew, [false, false, true], three_biased), [0, 0, PICKS]);
    });
}

#[test]
fn choose_is_fair() {
    let of = |rxs: &[Receiver<()>]| {
        choose(rxs.iter().enumerate().map(|(i, rx)| rx.recv_event().map(move |_| i))).wait()
    };
    in_every_world(|crew| {
        are_near(picks(crew, THREE, move |rxs| of(&rxs[..2])), [PICKS / 2, PICKS / 2, 0]);
        are_near(picks(crew, THREE, move |rxs| of(rxs)), [PICKS / 3; 3]);
        are_near(picks(crew, [true, false, true], move |rxs| of(rxs)), [PICKS / 2, 0, PICKS / 2]);
    });
}

/// A choice inside a select counts as one arm of it.
#[test]
fn a_choice_within_a_select_shares_its_part() {
    in_every_world(|crew| {
        let picks = picks(crew, THREE, |[a, b, c]| {
            let inner = [b.recv_event().map(|_| 1).boxed(), c.recv_event().map(|_| 2).boxed()];
            select! {
                recv(a) -> _ => 0,
                wait(choose(inner)) -> i => i,
            }
        });
        are_near(picks, [PICKS / 2, PICKS / 4, PICKS / 4]);
    });
}

#[test]
fn a_dynamic_select_is_fair() {
    let of = |rxs: &[Receiver<()>]| {
        let mut select = Select::new();
        for rx in rxs {
            select.recv(rx);
        }
        let operation = select.wait();
        let index = operation.index();
        operation.recv(&rxs[index]).unwrap();
        index
    };
    in_every_world(|crew| {
        are_near(picks(crew, THREE, move |rxs| of(&rxs[..2])), [PICKS / 2, PICKS / 2, 0]);
        are_near(picks(crew, THREE, move |rxs| of(rxs)), [PICKS / 3; 3]);
        are_near(picks(crew, [true, false, true], move |rxs| of(rxs)), [PICKS / 2, 0, PICKS / 2]);
    });
}

/// One that is waited with again and again, and that loses and gets arms, stays fair.
#[test]
fn a_dynamic_select_that_is_used_again_is_fair() {
    in_every_world(|crew| {
        crew.start(|ops| async move {
            let channels: Vec<(Sender<()>, Receiver<()>)> = (0..4).map(|_| chan::unbounded()).collect();
            for (tx, _) in &channels {
                (0..2 * PICKS).for_each(|_| tx.send(()).unwrap());
            }
            let mut select = Select::new();
            let first = select.recv(&channels[0].1);
            let numbers: Vec<usize> = channels[1..].iter().map(|(_, rx)| select.recv(rx)).collect();
            select.remove(first);
            assert_eq!((first, &numbers[..], select.len()), (0, &[1, 2, 3][..], 3));
            let mut picks = [0; 3];
            for _ in 0..PICKS {
                let operation = if ops.awaits() { select.wait_async().await } else { select.wait() };
                let index = operation.index();
                operation.recv(&channels[index].1).unwrap();
                picks[index - 1] += 1;
            }
            are_near(picks, [PICKS / 3; 3]);
        })
        .join();
    });
}

/// Sends and receives are alike.
#[test]
fn a_send_is_as_likely_as_a_receive() {
    in_every_world(|crew| {
        crew.start(|_| async move {
            let (tx, rx) = chan::unbounded();
            let (tx_out, rx_out) = chan::unbounded();
            (0..PICKS).for_each(|i| tx.send(i).unwrap());
            let mut received = 0;
            for i in 0..PICKS {
                select! {
                    recv(rx) -> value => {
                        assert_eq!(value, Ok(received));
                        received += 1;
                    }
                    send(tx_out, i) -> sent => sent.unwrap(),
                }
            }
            assert_eq!(rx_out.len(), PICKS - received);
            are_near([received, rx_out.len(), 0], [PICKS / 2, PICKS / 2, 0]);
        })
        .join();
    });
}
