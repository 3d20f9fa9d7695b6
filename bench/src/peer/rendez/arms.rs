//! What a choice costs by the number of its alternatives.

use rendez::{
    Select,
    chan::{Receiver, Sender, bounded},
    go,
};
use std::time::{Duration, Instant};

/// A step through the channels that meets all of them in no simple order.
const STRIDE: usize = 7919;

fn channels(arms: usize, capacity: usize) -> (Vec<Sender<u64>>, Vec<Receiver<u64>>) {
    (0..arms).map(|_| bounded(capacity)).unzip()
}

fn over(receivers: &[Receiver<u64>]) -> Select<'_> {
    let mut select = Select::new();
    for receiver in receivers {
        select.recv(receiver);
    }
    select
}

/// One arm is ready.
pub(super) fn ready(arms: usize, n: u64) -> Duration {
    let (senders, receivers) = channels(arms, 1);
    let mut select = over(&receivers);
    let start = Instant::now();
    for i in 0..n {
        let at = i as usize * STRIDE % arms;
        senders[at].send(i).expect("there is room");
        let chosen = select.wait();
        let index = chosen.index();
        assert_eq!((index, chosen.recv(&receivers[index])), (at, Ok(i)));
    }
    start.elapsed()
}

/// None is ready until another goroutine runs.
pub(super) fn waited_for(arms: usize, n: u64) -> Duration {
    let (senders, receivers) = channels(arms, 0);
    let mut select = over(&receivers);
    let start = Instant::now();
    go(move || {
        for i in 0..n {
            senders[i as usize * STRIDE % arms].send(i).expect("somebody receives");
        }
    });
    for i in 0..n {
        let chosen = select.wait();
        let index = chosen.index();
        assert_eq!(chosen.recv(&receivers[index]), Ok(i));
    }
    start.elapsed()
}
