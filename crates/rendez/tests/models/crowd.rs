//! A few goroutines that the script writes, over two channels, under schedules that it chooses: every value is received once, or
//! returned, or still there, and what one sends on a channel comes in its order.

use super::Script;
use rendez::{
    chan::{self, Receiver, SendTimeoutError, Sender},
    scope, select,
    testing::{self, Config, Strategy},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

/// Who sent it on which channel, and which of his it was.
type Value = (usize, usize, u32);

/// In virtual time, where no wait is long: what nobody serves ends by this.
const LIMIT: Duration = Duration::from_millis(1);

/// Plays the script: seven bytes choose schedules and sizes, the others are the goroutines' steps by turns.
pub(crate) fn crowd(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let seed = (0..4).fold(0, |seed, _| seed << 8 | script.below(256) as u64);
    let strategy = if script.below(2) == 0 { Strategy::Random } else { Strategy::Pct { depth: 3 } };
    let early_timers = script.below(2) == 1;
    let capacities = [script.below(3), script.below(3)];
    let mut steps: Vec<Vec<usize>> = vec![Vec::new(); 2 + script.below(3)];
    let goroutines = steps.len();
    let mut turn = 0;
    // Not more than a schedule can get through.
    while let Some(step) = script.step(KINDS * 2)
        && turn < 40
    {
        steps[turn % goroutines].push(step);
        turn += 1;
    }
    let config =
        Config { seed: Some(seed), iterations: Some(4), strategy, early_timers, ..Config::default() };
    if let Err(failure) = testing::check(config, move || play(&steps, capacities)) {
        panic!("{failure}");
    }
}

const KINDS: usize = 6;

#[derive(Default)]
struct Tally {
    made: AtomicUsize,
    received: AtomicUsize,
    returned: AtomicUsize,
}

fn play(steps: &[Vec<usize>], capacities: [usize; 2]) {
    let channels = Arc::new(capacities.map(chan::bounded::<Value>));
    let tally = Tally::default();
    scope(|s| {
        for (me, steps) in steps.iter().enumerate() {
            let (channels, tally) = (&channels, &tally);
            s.go(move || one(me, steps, channels, tally));
        }
    });
    let left: usize = channels.iter().map(|(_, rx)| rx.try_iter().count()).sum();
    let [made, received, returned] = [&tally.made, &tally.received, &tally.returned].map(|n| n.load(Relaxed));
    assert_eq!(made, received + returned + left);
}

fn one(me: usize, steps: &[usize], channels: &[(Sender<Value>, Receiver<Value>); 2], tally: &Tally) {
    let mut next = [0; 2];
    // The last that came of each sender on each channel.
    let mut seen = [[None; 8]; 2];
    let mut receive = |(sender, channel, number): Value| {
        let last = seen[channel][sender].replace(number);
        assert!(last.is_none_or(|last| last < number), "{number} of {sender} came after {last:?}");
        tally.received.fetch_add(1, Relaxed);
    };
    let mut make = |channel: usize| {
        next[channel] += 1;
        tally.made.fetch_add(1, Relaxed);
        (me, channel, next[channel])
    };
    let give_back = |_: Value| _ = tally.returned.fetch_add(1, Relaxed);
    for step in steps {
        let (here, there) = (step / KINDS % 2, 1 - step / KINDS % 2);
        let (tx, rx) = &channels[here];
        match step % KINDS {
            0 => match tx.send_timeout(make(here), LIMIT) {
                Ok(()) => {}
                Err(SendTimeoutError::Timeout(value) | SendTimeoutError::Closed(value)) => give_back(value),
            },
            1 => {
                if let Ok(value) = rx.recv_timeout(LIMIT) {
                    receive(value);
                }
            }
            2 => {
                let mut slot = Some(make(here));
                select! {
                    send(tx, take slot) -> sent => {
                        if let Err(error) = sent {
                            give_back(error.0);
                        }
                    }
                    recv(channels[there].1) -> value => {
                        if let Ok(value) = value {
                            receive(value);
                        }
                    }
                    default(LIMIT) => {}
                }
                if let Some(value) = slot {
                    give_back(value);
                }
            }
            3 => {
                if let Err(error) = tx.try_send(make(here)) {
                    give_back(error.into_inner());
                }
            }
            4 => select! {
                recv(rx) -> value => {
                    if let Ok(value) = value {
                        receive(value);
                    }
                }
                default => {}
            },
            _ if me == 0 && here == 1 => _ = tx.close(),
            _ => rendez::yield_now(),
        }
    }
}
